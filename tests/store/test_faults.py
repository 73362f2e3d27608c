"""A disk, a lock, a signal that get in the way: the old state, or the new one, or a word that it is not known yet."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.errors import (
    BacklogLocked,
    BacklogUnreadable,
    DiskFault,
    ForeignFile,
    GitLocked,
    Interrupted,
    LogDamaged,
    NoWorkingLock,
    TaskkeepError,
)
from taskkeep.store import log
from taskkeep.store.files import read
from taskkeep.store.git.objects import THREADS_FROM, _deflate_in_threads
from taskkeep.store.layout import Root
from taskkeep.store.lock import is_locked, writer_lock
from taskkeep.store.pack import pack_old
from taskkeep.store.save import Options, writing
from taskkeep.store.signals import check_interrupt, held_signals

from .test_archive import BOTH_WAYS

# -- a disk that fails -----------------------------------------------------------------------


def set_up(kit: Any) -> None:
    taskkeep.init(str(kit.folder))


def archive_first(kit: Any) -> None:
    kit.project.archive(older_than="0d")


def both_ways(kit: Any) -> None:
    exec(BOTH_WAYS, {"project": kit.project})


def is_old(before: dict[str, bytes], kit: Any) -> bool:
    after = kit.files()
    return all(after.get(name) == before.get(name) for name in ("backlog.json", "backlog.archive.json"))


@pytest.fixture
def ready(kit: Any) -> Any:
    """With a task in the archive, one to go there and one to come back."""
    for title in ("back", "gone"):
        kit.project.add(title)
        kit.project.finish([kit.id_of(title)])
    kit.project.archive(older_than="0d")
    return kit


def failing(name: str, number: int, *, lasting: bool) -> tuple[Callable[..., Any], list[int]]:
    """The system's call *name*, which fails at its *number*-th use, and ever after if *lasting*."""
    real, left = getattr(os, name), [number]

    def call(*args: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 or (lasting and left[0] < 0):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*args, **more)

    return call, left


def numbers() -> Iterator[int]:
    yield from range(1, 80)
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("name", ["replace", "link", "fsync", "unlink"])
@pytest.mark.parametrize("request_", [archive_first, both_ways], ids=["the first archive", "both ways"])
def test_an_archive_on_a_disk_that_fails_is_moved_or_not_and_never_half(
    request: pytest.FixtureRequest,
    kit: Any,
    monkeypatch: pytest.MonkeyPatch,
    request_: Callable[[Any], None],
    name: str,
    lasting: bool,
) -> None:
    """At each call; where the way back fails too the error says so, and the next writer settles both files."""
    if request_ is both_ways:
        request.getfixturevalue("ready")
    else:
        kit.project.finish([kit.id_of("first")])
    for number in numbers():
        copy = type(kit)(kit.folder.parent / "copy")
        shutil.copytree(kit.folder, copy.folder, symlinks=True)
        before, tasks = copy.files(), copy.project.backlog()
        call, left = failing(name, number, lasting=lasting)
        error = None
        with monkeypatch.context() as patch:
            patch.setattr(os, name, call)
            try:
                request_(copy)
            except TaskkeepError as refused:
                error = refused
        if error is not None and not error.details.get("uncertain"):
            assert is_old(before, copy), number
        copy.project.add("after")
        after = copy.project.backlog()
        everything = {*after.tasks, *after.archived} - {copy.id_of("after")}
        assert len(everything) >= len({*tasks.tasks, *tasks.archived}) - (request_ is both_ways), number
        assert not set(after.tasks) & set(after.archived), number
        assert copy.project.verify().findings == [], number
        shutil.rmtree(copy.folder)
        if left[0] > 0:
            break


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("name", ["replace", "link", "fsync", "unlink"])
def test_a_backlog_that_cannot_be_made_is_not_half_made(
    bare_kit: Any, monkeypatch: pytest.MonkeyPatch, name: str, lasting: bool
) -> None:
    """There is none, and `init` again makes it; or there is one, and the next writer settles what was left open."""
    (bare_kit.folder / "theirs").write_text("of the user's")
    bare_kit.git("add", "theirs")
    bare_kit.git("commit", "-q", "-m", "theirs")
    for number in numbers():
        copy = type(bare_kit)(bare_kit.folder.parent / "copy")
        shutil.copytree(bare_kit.folder, copy.folder, symlinks=True)
        call, left = failing(name, number, lasting=lasting)
        with monkeypatch.context() as patch:
            patch.setattr(os, name, call)
            try:
                set_up(copy)
            except TaskkeepError as error:
                if not error.details.get("uncertain"):
                    assert not copy.file.exists(), number
        if not copy.file.exists():
            set_up(copy)
        copy.project.add("after")
        assert copy.titles() == {"after"}, number
        assert copy.project.verify().findings == [], number
        assert copy.git("status", "--porcelain") == "", number
        shutil.rmtree(copy.folder)
        if left[0] > 0:
            break


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_a_disk_that_stays_broken_is_told_and_what_stands_is_settled_later(
    kit: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A change that the error calls uncertain is done or not done after the next save, and the log says which."""
    uncertain = 0
    for number in numbers():
        title = f"{name} {number}"
        call, left = failing(name, number, lasting=True)
        error = None
        with monkeypatch.context() as patch:
            patch.setattr(os, name, call)
            try:
                kit.project.add(title, commit=number % 2 == 0)
            except TaskkeepError as refused:
                error = refused
        uncertain += error is not None and bool(error.details.get("uncertain"))
        if error is None or not error.details.get("uncertain"):
            assert (title in kit.titles()) == (error is None), number
        kit.project.add(f"after {title}")
        assert kit.project.verify().findings == [], number
        if left[0] > 0:
            break
    assert uncertain


def test_a_file_system_without_hard_links_keeps_and_commits_a_backlog(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies take their place; another git's lock is respected all the same."""

    def refuse(*args: Any, **more: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refuse)
        assert kit.project.add("third").commit == kit.head()
        assert len(kit.project.backups()) == 3
        lock = kit.folder / ".git" / "index.lock"
        lock.write_text("another git's")
        with pytest.raises(GitLocked):
            kit.project.add("fourth", wait=0)
        lock.unlink()
        kit.project.add("fourth")

    assert kit.titles() == {"first", "second", "third", "fourth"}
    kit.assert_sound()


def test_a_log_that_cannot_be_listed_once_is_no_git_that_refuses(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit of a save waits for git alone."""
    real = log.list_files
    for number in range(1, 20):
        left, titles, title = [number], kit.titles(), f"third {number}"
        kit.git("commit", "-q", "--allow-empty", "-m", "the user's, so that HEAD is looked into")

        def fail(root: Any, left: list[int] = left) -> list[str]:
            left[0] -= 1
            if left[0] == 0:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return real(root)

        with monkeypatch.context() as patch:
            patch.setattr(log, "list_files", fail)
            try:
                saved = kit.project.add(title)
            except DiskFault:
                assert kit.titles() == titles, number
            else:
                assert saved.commit == kit.head(), number
        if left[0] > 0:
            break
    assert 3 < number < 19
    kit.assert_sound()


def test_an_archive_that_the_disk_did_not_take_is_put_back(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read again before anything is said."""
    kit.project.finish([kit.id_of("first")])
    before = kit.files()
    real = os.replace

    def lose(source: Any, target: Any) -> None:
        real(source, target)
        if str(source).endswith(("archive-last", "archive-between")):
            Path(target).write_bytes(b"")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lose)
        with pytest.raises(DiskFault, match=r"archive\.json does not hold what was written"):
            kit.project.archive(older_than="0d")

    assert kit.files() == before
    kit.assert_sound()


def test_where_a_folder_should_be_lies_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskFault, match="cannot read below"):
        read(str(tmp_path / "file" / "below"))


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="a file that cannot be read is needed")
def test_a_file_that_breaks_while_it_is_read_is_told() -> None:
    with pytest.raises(DiskFault, match="cannot read mem"):
        read("/proc/self/mem")


def test_a_thread_that_fails_fails_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object must not be written with a part of it missing."""

    class Packer:
        def compress(self, data: Any) -> bytes:
            raise MemoryError

    monkeypatch.setattr("zlib.compressobj", lambda *args: Packer())
    with pytest.raises(MemoryError):
        list(_deflate_in_threads([b"x" * THREADS_FROM], 4))


# -- the lock --------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="the kernel's lock of POSIX")
def test_a_file_system_without_a_lock_is_refused(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could be kept out. A reader sees no writer there."""
    import fcntl

    def refuse(*args: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    before = kit.files()
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(NoWorkingLock, match="no lock"):
        kit.project.add("refused")

    assert kit.files() == before
    assert not is_locked(str(kit.local / "lock"))


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be removed there")
@pytest.mark.parametrize("made_anew", [False, True])
def test_a_lock_that_git_clean_took_away_is_taken_anew(tmp_path: Path, made_anew: bool) -> None:
    """The lock of a file without a name excludes nobody."""
    import fcntl

    path = tmp_path / "lock"
    holder = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)

    def clean() -> None:
        path.unlink()
        if made_anew:
            path.touch()
        os.close(holder)

    timer = threading.Timer(0.05, clean)
    timer.start()
    with writer_lock(str(path), wait=30) as held:
        assert os.path.samestat(os.fstat(held), path.stat())
    timer.join()


def test_a_lock_that_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(DiskFault, match="cannot open the lock"), writer_lock(str(folder), wait=0):
        pass
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(DiskFault, match="cannot open the lock"), writer_lock(str(tmp_path / "link"), wait=0):
        pass
    assert not (tmp_path / "elsewhere").exists()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert not is_locked(str(tmp_path / "pipe")), "and no reader waits for somebody to write into it"
        with pytest.raises(ForeignFile, match="no plain file"), writer_lock(str(tmp_path / "pipe"), wait=0):
            pass


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_who_holds_the_lock_is_only_a_courtesy(tmp_path: Path) -> None:
    """On a disk that takes not one byte more, `restore` and `undo` must not fail by it."""
    import resource

    path = tmp_path / "lock"
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, old[1]))
    try:
        with writer_lock(str(path), wait=0):
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
            with pytest.raises(BacklogLocked, match="another taskkeep is writing"), writer_lock(str(path), wait=0):
                pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


# -- signals ---------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_waits_for_the_end_of_a_save_and_is_then_answered() -> None:
    """Before anything is done it stops the save; afterwards it is dropped, and the next one counts again."""
    heard: list[int] = []
    old = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with held_signals():
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(Interrupted):
                check_interrupt()
        check_interrupt()
        assert heard == []
        signal.raise_signal(signal.SIGINT)
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, old)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_save_in_a_thread_leaves_signals_to_the_program(kit: Any) -> None:
    """Its handlers are not ours to change; it hears of the signal after the save."""
    heard: list[int] = []
    old = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))

    def work() -> None:
        with held_signals():
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            heard.append(0)

    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGTERM, old)
    assert heard == [0, signal.SIGTERM]


# -- what lies in the log's folder ---------------------------------------------------------------


def test_a_stray_file_among_the_days_of_the_log_is_passed_over(kit: Any) -> None:
    before = log.list_files(Root(str(kit.root)))
    (kit.root / ".taskkeep" / "audit" / "2026-01-01").write_text("no folder")
    assert log.list_files(Root(str(kit.root))) == before


def test_a_file_of_the_log_that_is_none_is_damage(kit: Any) -> None:
    path = kit.root / ".taskkeep" / "audit" / "pack-0.jsonl"
    path.mkdir()
    with pytest.raises(LogDamaged, match=r"pack-0\.jsonl is a folder"):
        kit.project.add("refused")


def test_a_log_without_git_takes_the_younger_branch_for_the_others(scratch: Path) -> None:
    """Two copies of a backlog that were put together by hand: no record and no git says whose head is our own."""
    here, there = scratch / "here", scratch / "there"
    here.mkdir()
    taskkeep.init(str(here), git=False)
    taskkeep.open(str(here)).add("first")
    shutil.copytree(here, there)
    for folder in (here, there):
        taskkeep.open(str(folder)).update([next(iter(taskkeep.open(str(folder)).backlog().tasks))], edit(folder.name))
    for path in (there / ".taskkeep" / "audit").rglob("*.jsonl"):
        shutil.copy(path, here / path.relative_to(there))
    shutil.rmtree(here / ".taskkeep" / "local")

    with writing(Root(str(here)), Options()) as writer:
        state = writer.log

    assert len(state.heads) == 2
    events = {event["hash"]: event for event in log.read_all(Root(str(here)))}
    assert [events[name]["timestamp"] for name in state.heads] == sorted(
        events[name]["timestamp"] for name in state.heads
    )


def edit(label: str) -> Any:
    return taskkeep.Edit(add={"labels": [label]})


def test_an_id_that_only_a_compressed_or_a_damaged_snapshot_could_know(kit: Any) -> None:
    """The one is read, the other is verify's to name, and no hindrance."""
    import gzip

    folder = kit.local / "backups"
    (folder / "backlog_20260101_000000_000000.json.gz").write_bytes(gzip.compress(b'{"id": "TKEPT"}'))
    (folder / "backlog_20260101_000000_000001.json.gz").write_bytes(b"rubbish")
    (kit.local / "cache" / "log.json").unlink()

    assert log.load(Root(str(kit.root))).known("TKEPT")


def test_a_fresh_clone_takes_for_its_own_what_no_merge_has_brought(kit: Any, scratch: Path) -> None:
    """Not what a squash has brought before, of which the merged branch knows more."""
    kit.git("branch", "other")
    kit.project.add("ours")
    own = kit.project.verify().checked["heads"]
    kit.git("checkout", "-q", "other")
    kit.project.add("theirs")
    kit.git("checkout", "-q", "main")
    kit.git("merge", "-q", "--squash", "other")
    kit.git("commit", "-q", "-m", "squashed")
    kit.git("checkout", "-q", "other")
    kit.project.add("more of theirs")
    kit.git("checkout", "-q", "main")
    kit.git("merge", "-q", "-m", "m", "other")
    clone = type(kit)(scratch / "clone")
    kit.git("clone", "-q", str(kit.folder), str(clone.folder))
    with writing(Root(str(clone.root)), Options()) as writer:
        assert len(writer.log.heads) == 2
        assert writer.log.heads[0] == own[0]


def test_where_git_has_none_of_the_heads_the_older_comes_first(bare_kit: Any, scratch: Path) -> None:
    taskkeep.init(str(bare_kit.folder), commit=False)
    bare_kit.project.add("first", commit=False)
    there = scratch / "there"
    shutil.copytree(bare_kit.folder, there)
    for folder in (bare_kit.folder, there):
        taskkeep.open(str(folder)).add(folder.name, commit=False)
    for path in (there / ".taskkeep" / "audit").rglob("*.jsonl"):
        shutil.copy(path, bare_kit.folder / path.relative_to(there))
    shutil.rmtree(bare_kit.local)
    with writing(Root(str(bare_kit.root)), Options()) as writer:
        events = {event["hash"]: event for event in log.read_all(Root(str(bare_kit.root)))}
        times = [events[name]["timestamp"] for name in writer.log.heads]
    assert len(times) == 2
    assert times == sorted(times)


# -- packing -----------------------------------------------------------------------------------


def test_a_log_without_git_is_packed_too(scratch: Path) -> None:
    taskkeep.init(str(scratch), git=False)
    project = taskkeep.open(str(scratch))
    for number in range(4):
        project.add(f"task {number}")
    before = project.log(limit=0).events

    with writing(Root(str(scratch)), Options()) as writer:
        assert pack_old(writer, limit=2, kept=1)

    assert project.log(limit=0).events == before
    assert (
        len([path for path in (scratch / ".taskkeep" / "audit").rglob("*.jsonl") if path.parent.name != "audit"]) == 1
    )


def test_a_save_that_packs_leaves_a_log_that_is_known(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next save reads none of it."""
    for number in range(3):
        kit.project.add(f"task {number}")
    monkeypatch.setattr("taskkeep.store.pack.LIMIT", 2)
    monkeypatch.setattr("taskkeep.store.pack.pack_old", lambda writer, limit: pack_old(writer, limit=limit, kept=1))
    kit.project.add("last")
    monkeypatch.undo()
    assert any("pack-" in name for name in kit.log_files())
    state = log.vouched(Root(str(kit.root)))
    assert state is not None
    assert state.count == len(kit.project.log(limit=0).events)
    kit.assert_sound()


def test_a_packing_whose_commit_is_refused_is_taken_back_and_the_save_stands(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another git holds the index: the packing is for another time."""
    for number in range(3):
        kit.project.add(f"task {number}")
    monkeypatch.setattr("taskkeep.store.pack.LIMIT", 2)
    monkeypatch.setattr("taskkeep.store.pack.pack_old", lambda writer, limit: pack_old(writer, limit=limit, kept=1))
    real = os.replace
    lock = kit.folder / ".git" / "index.lock"

    def pack_is_laid(source: Any, target: Any) -> None:
        real(source, target)
        if "audit/pack-" in str(target):
            lock.write_text("another git's")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", pack_is_laid)
        saved = kit.project.add("third", wait=0.01)

    assert saved.commit == kit.head()
    assert any("could not be packed" in words for words in saved.warnings)
    assert not any("pack-" in name for name in kit.log_files())
    assert lock.read_text() == "another git's"
    lock.unlink()
    kit.assert_sound()


# -- what the journal names ------------------------------------------------------------------------


def test_a_save_whose_file_was_put_back_by_hand_is_taken_back(
    kit: Any, run_and_die: Callable[[Any, int | str, str], bool]
) -> None:
    """Killed with its event in the log already, then `git checkout`: the journal's save goes, nothing is a riddle."""
    before = kit.file.read_bytes()
    assert run_and_die(kit, ".jsonl", "project.add('killed')")
    kit.file.write_bytes(before)

    saved = kit.project.add("after")

    assert any("took back" in words for words in saved.warnings)
    assert kit.titles() == {"first", "second", "after"}
    kit.assert_sound()


@pytest.mark.parametrize("gone", [False, True])
def test_an_archive_cut_short_follows_the_backlog(
    kit: Any, run_and_die: Callable[[Any, int | str, str], bool], gone: bool
) -> None:
    """The first archive of all is no file again; a later one whose old state is gone too is said to be as it is."""
    if gone:
        kit.project.finish([kit.id_of("second")])
        kit.project.archive(older_than="0d")
    kit.project.finish([kit.id_of("first")])
    before = kit.file.read_bytes()
    assert run_and_die(kit, "backlog.archive.json", "project.archive(older_than='0d')")
    if gone:
        for path in (kit.local / "tmp").iterdir():
            path.unlink()
    assert kit.file.read_bytes() == before

    warnings = kit.project.recover().warnings

    assert any("cut short" in words for words in warnings)
    assert any("could not be brought to the same state" in words for words in warnings) == gone
    if not gone:
        assert not (kit.root / "backlog.archive.json").exists()
        kit.assert_sound()


# -- what a request says ---------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["actor", "key", "source"])
@pytest.mark.parametrize("value", ["", " ", "two\nlines", "x" * 201])
def test_names_of_a_request_are_one_short_line(kit: Any, option: str, value: str) -> None:
    with pytest.raises(taskkeep.Usage, match=option):
        kit.project.add("refused", **{option: value})


def test_a_key_answers_without_git_too(scratch: Path) -> None:
    taskkeep.init(str(scratch), git=False)
    project = taskkeep.open(str(scratch))
    first = project.add("once", key="k", actor="ada")
    again = project.add("once", key="k", actor="ada")
    assert (again.replayed, again.events, again.commit, again.pending) == (True, first.events, None, False)


def test_a_link_in_place_of_the_backlog_is_refused(kit: Any) -> None:
    kit.file.rename(kit.root / "elsewhere.json")
    kit.file.symlink_to("elsewhere.json")
    with pytest.raises(BacklogUnreadable, match="symbolic link") as refused:
        kit.project.add("refused")
    assert "Put a plain file in its place" in refused.value.hint

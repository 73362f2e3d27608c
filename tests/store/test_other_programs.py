"""Git and editors know nothing of taskkeep's lock: what they put there while it works is neither lost nor taken for
damage."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskkeep.backlog.changes import Edit
from taskkeep.errors import BacklogUnreadable, ChangedMeanwhile, HandEdit
from taskkeep.store.git.commit import Commit
from taskkeep.store.placement import Placement

from .test_mending import forget


@pytest.fixture(autouse=True)
def at_any_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for comes, however slow the machine; what is waited between two tries shows nothing."""
    monkeypatch.setattr("taskkeep.store.patience.PATIENCE", 60.0)
    monkeypatch.setattr("taskkeep.project.PAUSE", 0.0)


@pytest.fixture
def sides(kit: Any) -> Any:
    """A branch with another title, a new task and an archived one; HEAD is main, without them."""
    kit.git("checkout", "-q", "-b", "other")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "first of other"}))
    kit.project.add("new of other")
    kit.project.finish([kit.id_of("second")])
    kit.project.archive(older_than="0d")
    kit.git("checkout", "-q", "main")
    return kit


GIT = {
    "fast-forward": ["merge", "-q", "--ff-only", "other"],
    "merge": ["merge", "-q", "--no-ff", "--no-edit", "other"],
    "checkout": ["checkout", "-q", "-f", "other"],
    "reset": ["reset", "-q", "--hard", "other"],
}


def meanwhile(monkeypatch: pytest.MonkeyPatch, kind: type, step: str, act: Callable[[], object]) -> None:
    """Have *act* done once, just before *step* of a save."""
    real = getattr(kind, step)

    def patched(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(kind, step, real)
        act()
        return real(*args, **more)

    monkeypatch.setattr(kind, step, patched)


# Where a save is when git comes in between: before anything is written, with all laid ready, just before the
# files, and after them, when git refuses but by force.
STEPS: list[tuple[type, str]] = [(Placement, "put"), (Placement, "_rename"), (Placement, "_refuse_theirs")]
FORCED: list[tuple[type, str]] = [(Placement, "_read_back"), (Commit, "publish")]
MOMENTS = [(way, *step) for way in GIT for step in STEPS]
MOMENTS += [(way, *step) for way in ("checkout", "reset") for step in FORCED]


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is not begun anew."""
    monkeypatch.setattr("taskkeep.project.TRIES", 1)


every_moment = pytest.mark.parametrize(
    ("way", "kind", "step"), MOMENTS, ids=lambda one: one if isinstance(one, str) else one.__name__
)


@every_moment
def test_a_branch_that_comes_during_a_save_stands_and_the_save_is_refused(
    sides: Any, once: None, monkeypatch: pytest.MonkeyPatch, way: str, kind: type, step: str
) -> None:
    """Else its tasks would go again, in a commit that says nothing of it."""
    meanwhile(monkeypatch, kind, step, lambda: sides.git(*GIT[way]))

    with pytest.raises(ChangedMeanwhile) as refused:
        sides.project.add("ours")

    assert refused.value.retryable
    assert sides.titles() == sides.titles_in_head() == {"first of other", "new of other"}
    sides.assert_sound()


@every_moment
def test_a_save_that_a_branch_came_into_is_begun_anew_on_it(
    sides: Any, monkeypatch: pytest.MonkeyPatch, way: str, kind: type, step: str
) -> None:
    meanwhile(monkeypatch, kind, step, lambda: sides.git(*GIT[way]))

    saved = sides.project.add("ours")

    assert saved.commit == sides.head()
    assert sides.titles_in_head() == {"first of other", "new of other", "ours"}
    sides.assert_sound()


def test_a_file_that_was_put_there_between_saving_and_committing_stands(
    kit: Any, once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a checkout that has written the files and not yet moved HEAD."""
    theirs = kit.file.read_bytes()

    def replace() -> None:
        kit.file.unlink()
        kit.file.write_bytes(theirs)

    meanwhile(monkeypatch, Commit, "publish", replace)
    with pytest.raises(ChangedMeanwhile):
        kit.project.add("ours")

    assert kit.titles() == kit.titles_in_head() == {"first", "second"}
    kit.assert_sound()


@pytest.mark.parametrize("step", ["put", "_refuse_theirs"])
def test_an_archive_that_comes_during_archiving_stands(
    sides: Any, once: None, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    sides.project.finish([sides.id_of("first")])
    meanwhile(monkeypatch, Placement, step, lambda: sides.git("checkout", "-q", "other"))

    with pytest.raises(ChangedMeanwhile):
        sides.project.archive(older_than="0d")

    assert sides.git("status", "--porcelain") == ""
    assert sides.titles() == {"first of other", "new of other"}
    sides.git("checkout", "-q", "main")
    sides.project.archive(older_than="0d")
    sides.assert_sound()


def test_an_edit_by_hand_during_a_save_is_not_written_over(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = kit.file.read_bytes().replace(b'"first"', b'"by hand"')
    meanwhile(monkeypatch, Placement, "_rename", lambda: kit.file.write_bytes(edited))

    with pytest.raises(HandEdit):
        kit.project.add("ours")

    assert kit.file.read_bytes() == edited


def test_a_file_that_git_has_taken_away_for_a_moment_is_no_fault_of_the_disk(
    kit: Any, once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kit.file.with_name("kept")
    meanwhile(monkeypatch, Placement, "_prepare", lambda: kit.file.rename(kept))

    with pytest.raises(ChangedMeanwhile):
        kit.project.add("ours")

    kept.rename(kit.file)
    kit.project.add("ours")
    kit.assert_sound()


def test_events_that_git_brings_during_a_save_are_known_to_the_next(
    sides: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads the log anew and sees what backlog.json lacks, rather than go on with what it knew."""
    files = sides.git("ls-tree", "-r", "--name-only", "other", ".taskkeep/audit").split()
    meanwhile(monkeypatch, Placement, "finish", lambda: sides.git("checkout", "other", "--", *files))

    sides.project.add("ours")

    with pytest.raises(HandEdit):
        sides.project.add("after")
    assert "lost_task" in {finding["code"] for finding in sides.project.verify().findings}


# -- git half-way --------------------------------------------------------------------------------------------


def git_at_work(kit: Any, half: Callable[[], object], whole: Callable[[], object]) -> threading.Thread:
    """A git that holds the index while *half* of its work is done, and soon does the rest."""
    lock = kit.folder / ".git" / "index.lock"
    lock.write_text("git's")
    half()

    def end() -> None:
        time.sleep(0.2)
        whole()
        lock.unlink()

    thread = threading.Thread(target=end)
    thread.start()
    return thread


HALVES: dict[str, Callable[[Any], object]] = {
    "gone": lambda kit: kit.file.unlink(),
    "empty": lambda kit: kit.file.write_bytes(b""),
    "cut off": lambda kit: kit.file.write_bytes(kit.file.read_bytes()[:200]),
}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("act", ["titles", "add", "show"])
def test_a_backlog_that_git_is_just_writing_is_waited_for(kit: Any, half: str, act: str) -> None:
    data, task_id = kit.file.read_bytes(), kit.id_of("first")
    thread = git_at_work(kit, lambda: HALVES[half](kit), lambda: kit.file.write_bytes(data))
    try:
        if act == "titles":
            assert "first" in kit.titles()
        elif act == "show":
            assert kit.project.show([task_id])[0]["title"] == "first"
        else:
            kit.project.add("third")
            assert "first" in kit.titles()
    finally:
        thread.join()
    kit.project.add("after")
    kit.assert_sound()


@pytest.fixture
def half_a_log(kit: Any) -> Iterator[Any]:
    """The log while git is at work: of a file that comes by a branch it has written half."""
    kit.git("checkout", "-q", "-b", "other")
    kit.project.add("theirs")
    name = kit.git("diff", "--name-only", "main", "other", "--", ".taskkeep/audit").strip()
    path = kit.folder / name
    data, backlog = path.read_bytes(), kit.file.read_bytes()
    kit.git("checkout", "-q", "main")

    def half() -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data[:40])

    def whole() -> None:
        path.write_bytes(data)
        kit.file.write_bytes(backlog)

    thread = git_at_work(kit, half, whole)
    yield kit
    thread.join()


def test_a_log_that_git_is_just_writing_is_waited_for(half_a_log: Any) -> None:
    """Half of a file is no damage."""
    half_a_log.project.add("ours", commit=False)
    assert {"theirs", "ours"} <= half_a_log.titles()


@pytest.mark.parametrize("read", [lambda project: project.log().notes, lambda project: project.diff().notes])
def test_no_reader_takes_half_a_log_for_a_damaged_one(half_a_log: Any, read: Callable[[Any], Any]) -> None:
    forget(half_a_log)
    assert list(read(half_a_log.project)) == []


@pytest.mark.parametrize("git", ["one that is broken", "none"])
def test_without_a_git_that_could_be_waited_for_a_damaged_file_is_told_at_once(
    kit: Any, monkeypatch: pytest.MonkeyPatch, git: str
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    os.rename(kit.folder / ".git", kit.folder / "git")
    if git != "none":
        (kit.folder / ".git").mkdir()
    kit.file.write_text("{")
    with pytest.raises(BacklogUnreadable):
        kit.titles()
    assert not slept


def test_a_lock_of_git_that_stays_is_not_waited_for_for_ever(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskkeep.store.patience.PATIENCE", 0.05)
    (kit.folder / ".git" / "index.lock").write_text("of a git that died")
    kit.file.unlink()
    with pytest.raises(BacklogUnreadable, match="gone"):
        kit.titles()


def test_what_is_said_of_a_file_that_is_gone_can_be_followed_where_branches_have_just_met(sides: Any) -> None:
    """No single event stands for the state then, so that another witness has to be named."""
    sides.project.add("ours")
    sides.git("merge", "-q", "--no-edit", "other")
    sides.file.unlink()
    with pytest.raises(BacklogUnreadable) as told:
        sides.titles()
    assert "None" not in told.value.hint
    name = told.value.hint.partition("--at ")[2].partition("'")[0]
    sides.project.restore(at=name)
    assert sides.titles() == {"first of other", "new of other", "ours"}
    sides.assert_sound()

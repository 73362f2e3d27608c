"""What one save leaves behind: in the files, in the log, in git, and in what is the user's."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.changes import Edit
from taskkeep.backlog.events import event_hash
from taskkeep.backlog.task import etag
from taskkeep.errors import CommitFailed, DiskFault, KeyReused, OneTaskOnly, StaleEtag, TaskNotFound
from taskkeep.store import save
from taskkeep.store.git import commit as commits

Repositories = Callable[..., Any]


def give_the_user_work(kit: Any) -> None:
    """Files in every state that git knows."""
    names = "staged partly unstaged renamed deleted removed mode same".split()
    for name in names:
        (kit.folder / f"{name}.txt").write_text(f"{name}\none\ntwo\nthree\n")
    kit.git("add", *[f"{name}.txt" for name in names])
    kit.git("commit", "-q", "-m", "the user's", "--", *[f"{name}.txt" for name in names])
    (kit.folder / "staged.txt").write_text("staged\n")
    (kit.folder / "new.txt").write_text("new and staged\n")
    (kit.folder / "partly.txt").write_text("partly\n")
    kit.git("add", "staged.txt", "new.txt", "partly.txt")
    (kit.folder / "partly.txt").write_text("partly, and changed again\n")
    (kit.folder / "unstaged.txt").write_text("unstaged\n")
    (kit.folder / "untracked.txt").write_text("untracked\n")
    (kit.folder / "intended.txt").write_text("intended\n")
    kit.git("add", "-N", "intended.txt")
    kit.git("mv", "renamed.txt", "renamed to.txt")
    kit.git("rm", "-q", "removed.txt")
    kit.git("update-index", "--assume-unchanged", "same.txt")
    (kit.folder / "deleted.txt").unlink()
    (kit.folder / "mode.txt").chmod(0o755)


def write_in_every_way(kit: Any) -> None:
    """All that changes a backlog, one after the other."""
    project = kit.project
    task = project.add("written", labels=["x"]).task
    ids = [task["id"]]
    project.update(ids, Edit(set={"title": "changed"}))
    project.start(ids)
    project.note(ids[0], "a note")
    project.block(ids)
    project.reopen(ids)
    project.finish(ids)
    project.add("waits", commit=False)
    project.add("does not", dry_run=True)
    project.recover()
    project.cancel(ids)
    project.delete(ids, why="enough")
    project.verify()
    project.doctor()
    project.status()


# -- git: only our paths ---------------------------------------------------------------------


def test_a_request_is_one_event_and_one_commit_of_our_paths(kit: Any) -> None:
    count = kit.commits()

    saved = kit.project.add("third", why="because")

    assert kit.commits() == count + 1
    assert kit.head() == saved.commit
    assert len(saved.events) == 1
    changed = kit.git("show", "--format=", "--name-status", "HEAD").split("\n")[:-1]
    assert [row.split("\t")[0] for row in changed] == ["A", "M"]
    assert changed[0].startswith("A\t.taskkeep/audit/")
    assert changed[1] == "M\tbacklog.json"
    kit.assert_sound()


def test_a_request_on_many_tasks_is_one_commit_with_an_event_for_each(kit: Any) -> None:
    """They share one request and one file, and those that nothing happened to have none."""
    first, second = kit.project.backlog().tasks
    kit.project.start([first])
    count, files = kit.commits(), len(kit.log_files())

    saved = kit.project.start([first, second, second.lower()])

    assert [task["id"] for task in saved.tasks] == [first, second]
    assert len(saved.events) == 1
    saved = kit.project.finish([first, second])
    assert len(saved.events) == 2
    assert (kit.commits(), len(kit.log_files())) == (count + 2, files + 2)
    events = kit.project.log(limit=2).events
    assert len({event["txn"] for event in events}) == 1
    assert {event["after"] for event in events} == {sha256(kit.file.read_bytes()).hexdigest()}


def test_the_users_work_is_as_before_after_every_command(kit: Any) -> None:
    """Staged, partly staged, not staged, untracked, renamed, removed: index and files, bit for bit."""
    give_the_user_work(kit)
    before = kit.users_state()
    assert "renamed to.txt" in before[0]

    write_in_every_way(kit)

    assert kit.users_state() == before
    assert kit.project.verify().findings == []


def test_the_users_work_in_a_linked_worktree_is_as_before(kit: Any) -> None:
    """And the main worktree does not notice."""
    kit.git("worktree", "add", "-q", "-b", "linked", str(kit.folder.parent / "linked"))
    linked = type(kit)(kit.folder.parent / "linked")
    give_the_user_work(kit)
    give_the_user_work(linked)
    before, head = (kit.users_state(), linked.users_state()), kit.head()

    write_in_every_way(linked)

    assert (kit.users_state(), linked.users_state()) == before
    assert kit.head() == head
    assert "waits" in linked.titles()
    assert "waits" not in kit.titles()
    assert linked.project.verify().findings == kit.project.verify().findings == []


def test_a_backlog_in_a_sub_folder_commits_there(bare_kit: Any) -> None:
    """A package of a monorepo has its own; another package's is not touched."""
    roots = [bare_kit.folder / "packages" / name for name in ("one", "two with a blank")]
    kits = []
    for root in roots:
        root.mkdir(parents=True)
        taskkeep.init(str(root))
        kits.append(type(bare_kit)(bare_kit.folder, root))
    give_the_user_work(bare_kit)
    before, untouched = bare_kit.users_state(), kits[1].file.read_bytes()

    write_in_every_way(kits[0])
    deep = roots[0] / "src" / "deep"
    deep.mkdir(parents=True)
    saved = taskkeep.open(str(deep)).add("from below")

    assert bare_kit.users_state() == before
    assert kits[1].file.read_bytes() == untouched
    paths = bare_kit.git("show", "--format=", "--name-only", str(saved.commit)).split("\n")[:-1]
    assert all(path.startswith("packages/one/") for path in paths)
    assert [kit.project.verify().findings for kit in kits] == [[], []]
    assert "from below" in kits[0].titles_in_head()


def test_the_first_commit_is_made_on_a_branch_that_is_not_born(bare_kit: Any) -> None:
    """And what the user had staged for their own first commit stays staged."""
    (bare_kit.folder / "mine.txt").write_text("mine\n")
    bare_kit.git("add", "mine.txt")

    saved = taskkeep.init(str(bare_kit.folder))

    assert bare_kit.commits() == 1
    assert bare_kit.head() == saved.commit
    assert bare_kit.git("symbolic-ref", "HEAD").strip() == "refs/heads/main"
    assert "mine.txt" not in bare_kit.git("ls-tree", "-r", "--name-only", "HEAD")
    assert bare_kit.git("status", "--porcelain") == "A  mine.txt\n"
    assert bare_kit.project.verify().findings == []


def test_a_detached_head_is_committed_on_with_a_warning(kit: Any) -> None:
    """No branch holds the commit, and the answer says so."""
    kit.git("checkout", "-q", "--detach")
    main = kit.git("rev-parse", "main")

    saved = kit.project.add("third")

    assert any("detached" in warning for warning in saved.warnings)
    assert kit.head() == saved.commit
    assert kit.git("rev-parse", "main") == main
    kit.assert_sound()


def test_a_repository_of_sha256_is_one_like_any_other(new_repository: Repositories, scratch: Path) -> None:
    kit = new_repository(scratch / "sha256", "--object-format=sha256")
    taskkeep.init(str(kit.folder))
    give_the_user_work(kit)
    before = kit.users_state()

    write_in_every_way(kit)

    assert len(kit.head()) == 64
    assert kit.users_state() == before
    assert kit.project.verify().findings == []
    assert kit.git("fsck", "--strict", "--no-dangling") == ""


def test_packed_branches_and_objects_are_built_on(kit: Any) -> None:
    """After `git gc` neither the branch nor its tree is a file of its own."""
    kit.git("gc", "-q")
    assert not (kit.folder / ".git" / "refs" / "heads" / "main").exists()
    head = kit.head()

    saved = kit.project.add("third")

    assert kit.git("rev-parse", "HEAD~1").strip() == head
    assert kit.head() == saved.commit
    kit.assert_sound()


def test_the_reflog_knows_each_save(kit: Any) -> None:
    """So that git's own ways back work."""
    kit.project.add("third")

    assert "taskkeep: add" in kit.git("reflog", "-1")
    kit.git("reset", "-q", "--hard", "HEAD@{1}")
    assert kit.titles() == {"first", "second"}


@pytest.mark.parametrize("value", ["true", "1", "yes", "ON", "always", "false", "0", "no", "off"])
def test_the_reflog_is_kept_as_git_is_told_to(kit: Any, value: str) -> None:
    kit.git("config", "core.logAllRefUpdates", value)
    kept = [kit.folder / ".git" / "logs" / name for name in ("HEAD", "refs/heads/main")]
    before = [path.read_text() for path in kept]

    kit.project.add("third")

    rows = [path.read_text().removeprefix(old).splitlines() for path, old in zip(kept, before, strict=True)]
    wanted = int(value not in ("false", "0", "no", "off"))
    assert [len(found) for found in rows] == [wanted, wanted]
    assert all(row.split()[1] == kit.head() for found in rows for row in found)


def test_a_branch_of_many_folders_is_committed_to(kit: Any) -> None:
    kit.git("checkout", "-q", "-b", "feature/deep/branch")
    kit.git("pack-refs", "--all", "--prune")

    assert kit.project.add("third").commit == kit.head()
    assert kit.git("symbolic-ref", "HEAD").strip() == "refs/heads/feature/deep/branch"
    kit.assert_sound()


def test_a_commit_of_somebody_else_in_between_is_built_on(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The branch moves while our commit is being made: both commits stand, one on the other."""
    real, moved = commits.Commit._publish, []

    def move_first(self: Any, *args: Any) -> Any:
        if not moved:
            kit.git("commit", "-q", "--allow-empty", "-m", "in between")
            moved.append(kit.head())
        return real(self, *args)

    monkeypatch.setattr(commits.Commit, "_publish", move_first)
    saved = kit.project.add("third")

    assert kit.git("rev-parse", "HEAD~1").strip() == moved[0]
    assert kit.head() == saved.commit
    kit.assert_sound()


def test_what_the_user_stages_meanwhile_stays_staged(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index changes between our copy of it and its replacement."""
    real, staged = commits.Commit._publish, []

    def stage_first(self: Any, *args: Any) -> Any:
        if not staged:
            (kit.folder / "meanwhile.txt").write_text("by the user\n")
            kit.git("add", "meanwhile.txt")
            staged.append(True)
        return real(self, *args)

    monkeypatch.setattr(commits.Commit, "_publish", stage_first)
    kit.project.add("third")

    assert kit.git("status", "--porcelain") == "A  meanwhile.txt\n"


# -- the message -----------------------------------------------------------------------------


def trailers(kit: Any, name: str) -> list[str]:
    return str(kit.git("log", "-1", f"--format=%(trailers:key={name},valueonly)")).split()


def test_a_commit_can_be_read_by_people_and_by_programs(kit: Any) -> None:
    """The subject names task and title, the reason is the body, the trailers name events."""
    saved = kit.project.add("A title, with ✓ and ü", why="two lines\n\nof reasons", actor="bot")

    assert saved.task is not None
    subject, _, body = kit.git("log", "-1", "--format=%B").partition("\n")
    assert subject == f"taskkeep: add {saved.task['id']}: A title, with ✓ and ü"
    assert body.startswith("\ntwo lines\n\nof reasons\n\n")
    [event] = kit.project.log(limit=1).events
    assert trailers(kit, "Taskkeep-Txn") == [event["txn"]]
    assert trailers(kit, "Taskkeep-Event") == [event["event_id"]] == saved.events
    assert trailers(kit, "Taskkeep-Type") == ["task_created"]
    assert trailers(kit, "Taskkeep-Task") == [saved.task["id"]]
    assert trailers(kit, "Taskkeep-Actor") == ["bot"]


@pytest.mark.parametrize(
    "why",
    [
        "Taskkeep-Txn: forged",
        "reason\n\nTaskkeep-Txn: forged\nTaskkeep-Actor: editor",
        "x\n\nSigned-off-by: editor\n\n",
    ],
)
def test_a_reason_that_looks_like_a_trailer_is_none(kit: Any, why: str) -> None:
    """Nobody signs or forges anything through a reason."""
    kit.project.add("third", why=why)

    [event] = kit.project.log(limit=1).events
    assert event["why"] == why
    assert trailers(kit, "Taskkeep-Txn") == [event["txn"]]
    assert trailers(kit, "Taskkeep-Actor") == [event["actor"]]
    assert trailers(kit, "Signed-off-by") == []


def test_the_subject_of_an_edits_commit_names_the_fields(kit: Any) -> None:
    kit.project.update([kit.id_of("first")], Edit(set={"priority": "high"}))
    assert "priority" in kit.git("log", "-1", "--format=%s")


def test_a_title_never_reaches_git_as_more_than_a_subject(kit: Any) -> None:
    """However long, and whatever it begins with."""
    for title in ("-m --amend", "# not a comment", "x" * 500):
        saved = kit.project.add(title)
        assert saved.task is not None
        subject = kit.git("log", "-1", "--format=%s").rstrip("\n")
        assert f"add {saved.task['id']}: {title}".startswith(subject.removeprefix("taskkeep: "))
        assert len(subject) <= 100


# -- what is not written, and what waits -----------------------------------------------------


def everything(kit: Any) -> tuple[Any, ...]:
    return kit.files(), kit.head(), kit.git("ls-files", "-s"), kit.project.log().total


def test_a_dry_run_says_what_would_be_and_writes_nothing(kit: Any) -> None:
    task_id, before = kit.id_of("first"), everything(kit)

    added = kit.project.add("third", dry_run=True)
    ended = kit.project.finish([task_id], dry_run=True)
    deleted = kit.project.delete([task_id], why="x", dry_run=True)

    assert added.task is not None
    assert added.task["title"] == "third"
    assert ended.tasks[0]["status"] == "done"
    assert all(saved.changed and saved.dry_run for saved in (added, ended, deleted))
    assert all((saved.commit, saved.events, saved.pending) == (None, [], False) for saved in (added, ended, deleted))
    assert everything(kit) == before


def test_a_dry_run_is_refused_what_the_run_would_be_refused(kit: Any) -> None:
    with pytest.raises(TaskNotFound):
        kit.project.finish(["T9999999"], dry_run=True)


def test_a_change_that_changes_nothing_writes_nothing(kit: Any) -> None:
    task_id, before = kit.id_of("first"), everything(kit)

    for saved in (
        kit.project.reopen([task_id]),
        kit.project.update([task_id], Edit(set={"title": "first"})),
        kit.project.update([task_id], Edit(remove={"labels": ["x"]})),
    ):
        assert not saved.changed
        assert (saved.commit, saved.events, saved.pending) == (None, [], False)
    assert everything(kit) == before


def test_what_waits_becomes_a_commit_of_its_own(kit: Any) -> None:
    """Before the next change that is committed; several that wait are one."""
    count = kit.commits()
    waiting = [kit.project.add(f"waits {number}", commit=False) for number in range(3)]
    assert all(saved.pending and saved.commit is None for saved in waiting)
    assert kit.commits() == count
    assert kit.project.status()["pending"]
    assert [(f["code"], f["severity"]) for f in kit.project.verify().findings] == [("pending_commit", "warning")]

    saved = kit.project.add("next")

    assert kit.commits() == count + 2
    assert not saved.pending
    paths = kit.git("show", "--format=", "--name-only", "HEAD").split()
    assert len(paths) == 2
    kit.git("checkout", "-q", "HEAD~1")
    assert kit.titles() == {"first", "second", "waits 0", "waits 1", "waits 2"}
    txns = kit.git("log", "-1", "--format=%(trailers:key=Taskkeep-Txn,valueonly)").split()
    assert len(set(txns)) == 3
    assert kit.git("log", "-1", "--format=%s").strip().endswith("(had waited)")
    assert kit.project.verify().ok


def test_what_waits_and_is_carried_to_another_branch_is_committed_there_aloud(kit: Any) -> None:
    """git takes uncommitted files along; the warning names where the change was made."""
    kit.project.add("waits", commit=False)
    kit.git("checkout", "-q", "-b", "other")

    saved = kit.project.add("after")

    assert any("was made on main" in warning for warning in saved.warnings)
    assert kit.titles_in_head() == kit.titles()
    kit.assert_sound()


def test_a_change_that_changes_nothing_leaves_what_waits(kit: Any) -> None:
    """Only a writer that itself changes something commits for others."""
    kit.project.add("waits", commit=False)
    head = kit.head()

    assert not kit.project.reopen([kit.id_of("first")]).changed
    kit.project.add("dry", dry_run=True)

    assert kit.head() == head
    assert kit.project.status()["pending"]


@pytest.mark.parametrize("way", ["--soft", "--mixed"])
@pytest.mark.parametrize("settle", [lambda kit: kit.project.add("third"), lambda kit: kit.project.recover()])
def test_a_change_whose_commit_git_took_back_waits_again(kit: Any, way: str, settle: Callable[[Any], Any]) -> None:
    """No commit holds a change without its event, whoever took the event's commit away."""
    kit.git("reset", "-q", way, "HEAD~1")
    assert kit.project.status()["pending"]
    assert [one["code"] for one in kit.project.doctor().findings] == ["pending_commit"]

    settle(kit)

    assert not kit.project.status()["pending"]
    assert "(had waited)" in kit.git("log", "-2", "--format=%s")
    kit.assert_sound()
    assert kit.clone(kit.folder.parent / "clone").project.verify(strict=True).findings == []


def test_below_the_top_a_change_whose_commit_git_took_back_waits_as_well(bare_kit: Any) -> None:
    """And nothing else does."""
    root = bare_kit.folder / "packages" / "one"
    root.mkdir(parents=True)
    taskkeep.init(str(root))
    project = taskkeep.open(str(root))
    project.add("first")
    project.add("second")
    bare_kit.git("reset", "-q", "HEAD~1")
    assert project.status()["pending"]

    project.recover()

    assert not project.status()["pending"]
    assert len(bare_kit.git("show", "--format=", "--name-only", "HEAD").split()) == 2
    bare_kit.git("commit", "-q", "--allow-empty", "-m", "the user's")
    assert not project.status()["pending"]


def test_on_a_new_line_of_history_the_whole_log_is_committed(kit: Any) -> None:
    kit.git("checkout", "-q", "--orphan", "anew")
    kit.project.add("third")
    assert kit.clone(kit.folder.parent / "clone").project.verify().findings == []


def test_a_commit_by_hand_settles_what_waits(kit: Any) -> None:
    kit.project.add("waits", commit=False)
    kit.git("add", "-A")
    kit.git("commit", "-q", "-m", "by hand")
    count = kit.commits()

    kit.project.add("next")

    assert kit.commits() == count + 1
    kit.assert_sound()


def test_recover_makes_the_commit_that_waits(kit: Any) -> None:
    kit.project.add("waits", commit=False)

    saved = kit.project.recover()

    assert saved.changed
    assert saved.commit == kit.head()
    assert "waits" in kit.titles_in_head()
    kit.assert_sound()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
@pytest.mark.parametrize("where", ["prepare", "publish"])
def test_where_git_may_not_be_written_the_commit_waits(
    kit: Any, monkeypatch: pytest.MonkeyPatch, where: str, code: int
) -> None:
    """A sandbox that holds .git read-only is no failure: the change stands, the answer says it waits."""

    def refuse(*args: Any) -> None:
        raise OSError(code, os.strerror(code))

    head = kit.head()
    with monkeypatch.context() as patch:
        patch.setattr(commits.Commit, where, refuse)
        saved = kit.project.add("third")

    assert saved.changed
    assert saved.pending
    assert saved.commit is None
    assert saved.warnings
    assert kit.head() == head
    assert "third" in kit.titles()
    assert kit.project.verify().ok
    kit.project.add("fourth")
    assert {"third", "fourth"} <= kit.titles_in_head()
    kit.assert_sound()


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_git_folder_that_is_read_only_indeed(kit: Any) -> None:
    """The same with real permissions."""
    folders = [kit.folder / ".git", *(path for path in (kit.folder / ".git").rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        saved = kit.project.add("third")
    finally:
        for folder in folders:
            folder.chmod(0o700)

    assert saved.pending
    assert kit.project.recover().commit == kit.head()
    kit.assert_sound()


@pytest.mark.parametrize("where", ["prepare", "publish"])
@pytest.mark.parametrize(
    "error,raised",
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFault),
        (OSError(errno.EIO, "Input/output error"), DiskFault),
        (CommitFailed("git would not; nothing was changed"), CommitFailed),
    ],
)
def test_a_commit_that_fails_otherwise_takes_the_change_back(
    kit: Any, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception, raised: type[Exception]
) -> None:
    """The old state stands, and nothing is left to be settled."""

    def fail(*args: Any) -> None:
        raise error

    before = everything(kit)
    with monkeypatch.context() as patch:
        patch.setattr(commits.Commit, where, fail)
        with pytest.raises(raised) as refused:
            kit.project.add("third")

    assert refused.value.exit_status == 7  # type: ignore[attr-defined]
    assert everything(kit) == before
    kit.assert_sound()
    assert kit.project.add("third").warnings == []


@pytest.mark.parametrize("name", ["replace", "link", "fsync", "mkdir"])
def test_a_disk_that_fails_at_any_call_leaves_the_old_state_or_says_what_stands(
    kit: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each such call fails once: refused with the old state, or saved; never half of it, never a traceback."""
    real = getattr(os, name)
    for number in range(1, 60):
        left = [number]

        def fail(*args: Any, left: list[int] = left, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **more)

        titles, title = kit.titles(), f"{name} {number}"
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            try:
                kit.project.add(title)
            except taskkeep.TaskkeepError as error:
                assert error.exit_status == 7, number  # noqa: PT017
                assert kit.titles() == titles, number
            else:
                assert kit.titles() == titles | {title}, number
        after = kit.project.add(f"after {title}")
        assert kit.titles() >= titles | {f"after {title}"}, number
        assert after.commit == kit.head(), number
        assert kit.project.verify().findings == [], number
        if left[0] > 0:
            return
    raise AssertionError("it never came to an end")


# -- keys and etags --------------------------------------------------------------------------


def test_a_key_makes_a_request_safe_to_repeat(kit: Any) -> None:
    """The second time nothing is written and the first answer is given again."""
    first = kit.project.add("once", key="K-1", labels=["a"])
    count = kit.commits()
    kit.project.add("in between")

    again = kit.project.add("once", key="K-1", labels=["a"])

    assert again.replayed
    assert again.changed
    assert (again.task, again.events, again.commit) == (first.task, first.events, first.commit)
    assert kit.commits() == count + 1


def test_a_repeated_request_shows_the_task_as_it_is_now(kit: Any) -> None:
    first = kit.project.add("once", key="K")
    assert first.task is not None
    kit.project.update([first.task["id"]], Edit(set={"title": "renamed"}))

    again = kit.project.add("once", key="K")

    assert again.task is not None
    assert again.task["title"] == "renamed"


def test_a_key_for_another_request_is_refused(kit: Any) -> None:
    """Other fields, another command, another actor."""
    kit.project.add("once", key="K")
    before = everything(kit)

    for request in (
        lambda: kit.project.add("twice", key="K"),
        lambda: kit.project.add("once", labels=["a"], key="K"),
        lambda: kit.project.add("once", key="K", actor="editor"),
        lambda: kit.project.finish([kit.id_of("first")], key="K"),
    ):
        with pytest.raises(KeyReused):
            request()
    assert everything(kit) == before


def test_a_key_is_remembered_by_the_log_not_by_the_cache(kit: Any) -> None:
    """A fresh checkout of it answers the same."""
    first = kit.project.add("once", key="K")
    kit.git("clean", "-q", "-fdx")

    again = kit.project.add("once", key="K")

    assert again.replayed
    assert again.events == first.events


def test_a_request_that_failed_or_changed_nothing_keeps_no_key(kit: Any) -> None:
    task_id = kit.id_of("first")
    with pytest.raises(TaskNotFound):
        kit.project.start(["T9999999"], key="K")
    assert not kit.project.reopen([task_id], key="K").changed
    kit.project.add("dry", key="K", dry_run=True)

    saved = kit.project.start([task_id], key="K")

    assert saved.changed
    assert not saved.replayed


def test_an_etag_guards_against_what_others_wrote_meanwhile(kit: Any) -> None:
    """A stale one is refused and the task as it is now is shown."""
    task_id = kit.id_of("first")
    seen = etag(kit.project.show([task_id])[0])
    kit.project.note(task_id, "meanwhile")
    before = everything(kit)

    with pytest.raises(StaleEtag) as refused:
        kit.project.update([task_id], Edit(set={"title": "mine"}), if_match=seen)

    assert refused.value.exit_status == 5
    now = refused.value.details["task"]
    assert now["notes"][0]["text"] == "meanwhile"
    assert task_id in refused.value.message
    assert refused.value.message.endswith(" (notes)")
    assert refused.value.details["differs"].keys() == {"notes", "updated_at"}
    assert everything(kit) == before
    saved = kit.project.update([task_id], Edit(set={"title": "mine"}), if_match=now["etag"])
    assert saved.tasks[0]["title"] == "mine"


def test_an_etag_goes_with_one_task(kit: Any) -> None:
    with pytest.raises(OneTaskOnly):
        kit.project.start(list(kit.project.backlog().tasks), if_match="x")


def test_an_etag_is_that_of_the_task_named_not_of_those_that_change_with_it(kit: Any) -> None:
    """As the one whose link to a deleted task is taken out."""
    first, second = kit.id_of("first"), kit.id_of("second")
    kit.project.update([first], Edit(add={"depends_on": [second]}))
    seen = etag(kit.project.show([second])[0])
    kit.project.delete([second], why="not needed", unlink=True, if_match=seen)
    assert "depends_on" not in kit.project.show([first])[0]


# -- ids -------------------------------------------------------------------------------------


def draw(monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    drawn = iter(ids)
    monkeypatch.setattr(save, "random_id", lambda count, bits: next(drawn))


def test_a_deletion_answers_with_the_tasks_that_it_unlinked(kit: Any) -> None:
    """As they are on disk; so does the dry run with what would be, and a retry."""
    first = kit.project.add("first").tasks[0]["id"]
    second = kit.project.add("second", depends_on=[first]).tasks[0]["id"]
    asked = {"why": "not needed", "unlink": True, "key": "K1"}

    would, did, again = (kit.project.delete([first], dry_run=dry, **asked) for dry in (True, False, False))

    assert [[task["id"] for task in saved.tasks] for saved in (would, did, again)] == [[second]] * 3
    assert did.tasks == again.tasks == kit.project.show([second])
    assert "depends_on" not in would.tasks[0]


def test_the_id_of_a_deleted_task_is_never_drawn_again(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = kit.id_of("first")
    kit.project.delete([gone], why="gone")
    draw(monkeypatch, gone, kit.id_of("second"), "TZZZZ")

    saved = kit.project.add("third")

    assert saved.task is not None
    assert saved.task["id"] == "TZZZZ"


@pytest.mark.parametrize(
    "back", [["reset", "--hard", "HEAD~1"], ["checkout", "--detach", "HEAD~1"], ["checkout", "-B", "main", "HEAD~2"]]
)
def test_an_id_that_only_this_checkout_remembers_is_not_drawn_again(
    kit: Any, monkeypatch: pytest.MonkeyPatch, back: list[str]
) -> None:
    """Not even when git took the task and its event away."""
    gone = kit.id_of("second")
    kit.git(back[0], "-q", *back[1:])
    assert "second" not in kit.titles()
    draw(monkeypatch, gone, "TZZZZ")

    saved = kit.project.add("third")

    assert saved.task is not None
    assert saved.task["id"] == "TZZZZ"


def test_ids_in_sequence_go_on_past_the_highest_ever_given(bare_kit: Any) -> None:
    taskkeep.init(str(bare_kit.folder), ids="sequential")
    assert [bare_kit.project.add(str(n)).tasks[0]["id"] for n in range(3)] == ["T0001", "T0002", "T0003"]
    bare_kit.project.delete(["T0003"], why="gone")
    assert bare_kit.project.add("x").tasks[0]["id"] == "T0004"
    bare_kit.git("reset", "-q", "--hard", "HEAD~3")
    assert set(bare_kit.project.backlog().tasks) == {"T0001", "T0002"}

    assert bare_kit.project.add("y").tasks[0]["id"] == "T0005"


def test_two_tasks_never_share_a_uid(kit: Any) -> None:
    uids = [kit.project.add(str(number), commit=False).tasks[0]["uid"] for number in range(5)]

    assert len(set(uids)) == 5


# -- the log ---------------------------------------------------------------------------------


def test_no_file_of_the_log_is_ever_touched_again(kit: Any) -> None:
    seen = kit.log_files()
    times = {name: (kit.root / ".taskkeep/audit" / name).stat().st_mtime_ns for name in seen}

    write_in_every_way(kit)

    assert len(kit.log_files()) > len(seen)
    assert {name: kit.log_files()[name] for name in seen} == seen
    assert {name: (kit.root / ".taskkeep/audit" / name).stat().st_mtime_ns for name in seen} == times


def test_events_are_linked_by_hash_and_name_the_file_before_and_after(kit: Any) -> None:
    """Held against git: what an event says the file became is what its commit holds."""
    write_in_every_way(kit)
    events = kit.project.log().events[::-1]

    assert all(event["hash"] == event_hash(event) for event in events)
    assert events[0]["prev"] == []
    for event, previous in zip(events[1:], events, strict=False):
        assert event["prev"] == [previous["hash"]]
        if event["txn"] != previous["txn"]:
            assert event["before"] == previous["after"]
    in_git = {
        sha256(
            subprocess.run(
                ["git", "show", f"{name}:backlog.json"], cwd=kit.folder, capture_output=True, check=True
            ).stdout
        ).hexdigest()
        for name in kit.git("rev-list", "HEAD").split()
    }
    assert in_git <= {event["after"] for event in events}
    assert events[-1]["after"] == sha256(kit.file.read_bytes()).hexdigest()


def test_the_joined_log_is_the_files_of_the_log_in_order(kit: Any) -> None:
    """While it grows, and when it has to be made again."""
    write_in_every_way(kit)
    joined = kit.local / "audit.jsonl"
    rows = b"".join(data for _, data in sorted(kit.log_files().items()))
    assert joined.read_bytes() == rows
    for damage in (None, b"{}\n", rows[:-1], b""):
        if damage is None:
            joined.unlink()
        else:
            joined.write_bytes(damage)

        kit.project.add("third")

        rows = b"".join(data for _, data in sorted(kit.log_files().items()))
        assert joined.read_bytes() == rows


def test_an_event_of_an_update_says_from_what_to_what(kit: Any) -> None:
    task_id = kit.id_of("first")
    kit.project.update(
        [task_id],
        Edit(set={"title": "new", "priority": "high"}, add={"labels": ["b", "a"]}, metadata={"k": [1]}),
        why="so",
        actor="bot",
        source="cli",
    )

    [event] = kit.project.log(limit=1).events
    assert (event["event_type"], event["task_id"], event["actor"]) == ("task_updated", task_id, "bot")
    assert (event["why"], event["source"], event["v"]) == ("so", "cli", 1)
    assert event["details"]["changes"] == {
        "title": {"from": "first", "to": "new"},
        "priority": {"from": "medium", "to": "high"},
        "labels": {"added": ["a", "b"], "removed": []},
        "metadata": {"k": {"from": None, "to": [1]}},
    }


def test_a_deleted_task_stands_whole_in_the_log(kit: Any) -> None:
    task = kit.project.show([kit.id_of("first")])[0]
    kit.project.delete([task["id"]], why="gone")

    [event] = kit.project.log(limit=1).events
    assert event["event_type"] == "task_deleted"
    assert event["details"]["task"] == task
    assert event["why"] == "gone"


# -- files -----------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_snapshot_holds_what_was_before_for_its_owner_alone(kit: Any) -> None:
    """Whatever the umask, and whatever the file's own mode."""
    before = kit.file.read_bytes()
    kit.file.chmod(0o664)
    known = set((kit.local / "backups").iterdir())

    kit.project.add("third")

    [new] = set((kit.local / "backups").iterdir()) - known
    assert new.read_bytes() == before
    assert new.stat().st_mode & 0o777 == 0o600
    assert (kit.local / "backups").stat().st_mode & 0o777 == 0o700
    assert {name: (kit.local / name).stat().st_mode & 0o700 for name in (".", "cache", "tmp")} == dict.fromkeys(
        (".", "cache", "tmp"), 0o700
    )
    assert [(kit.local / name).stat().st_mode & 0o077 for name in ("cache", "tmp")] == [0, 0]
    private = [kit.local / "audit.jsonl", *(kit.local / "cache").iterdir(), *(kit.local / "backups").iterdir()]
    assert {path.name: path.stat().st_mode & 0o777 for path in private} == {path.name: 0o600 for path in private}
    assert kit.file.stat().st_mode & 0o777 == 0o664


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_a_clones_own_folder_is_made_by_the_first_that_writes_there(kit: Any, scratch: Path) -> None:
    """Open as the user's other folders are; what a save works in is its owner's alone."""
    clone = kit.clone(scratch / "clone")
    before = os.umask(0o022)
    try:
        clone.project.add("third")
    finally:
        os.umask(before)
    modes = {name: (clone.local / name).stat().st_mode & 0o777 for name in (".", "cache", "tmp", "backups")}
    assert modes == {".": 0o755, "cache": 0o700, "tmp": 0o700, "backups": 0o700}
    assert (clone.local / ".gitignore").read_bytes() == b"*\n"


def test_what_is_this_checkouts_own_is_not_in_git(kit: Any) -> None:
    write_in_every_way(kit)

    assert not [name for name in kit.git("ls-files").split() if "local" in name]
    assert "local" not in kit.git("status", "--porcelain", "-uall")


def test_the_file_is_plain_canonical_json(kit: Any) -> None:
    """Exactly what json.dumps and a line break give."""
    write_in_every_way(kit)
    data = kit.file.read_bytes()

    assert (json.dumps(json.loads(data), indent=2, ensure_ascii=False) + "\n").encode() == data
    ids = [task["id"] for task in json.loads(data)["tasks"]]
    assert ids == sorted(ids)


def test_a_program_that_keeps_a_backlog_in_memory_loses_nothing_on_failure(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its values are as before, and the error says why."""
    project = kit.project
    backlog = project.backlog()
    before = json.dumps(backlog.tasks)

    def fail(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(commits.Commit, "prepare", fail)
        with pytest.raises(DiskFault, match="No space"):
            project.update([kit.id_of("first")], Edit(set={"title": "new"}))

    assert json.dumps(backlog.tasks) == before
    assert project.backlog().tasks == backlog.tasks

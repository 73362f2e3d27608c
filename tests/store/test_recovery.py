"""A save that dies at any step: the old state or the new one, and the next command settles it, aloud."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.changes import Edit
from taskkeep.errors import GitLocked, HandEdit

Die = Callable[[Any, Any, str], bool]

ADD = "project.add('killed', actor='ada', why='to see')"
# Every way a save can go; each is killed at every call that changes something on the disk.
REQUESTS = {
    "an added task": ADD,
    "a deleted task": "project.delete([project.list().tasks[0]['id']], why='gone')",
    "a change without a commit": "project.add('killed', commit=False)",
}
MOST = 200
JOURNAL, REPLACED = "local/journal", "/backlog.json"  # killed just after a file got this name


def copy_of(kit: Any, folder: Path) -> Any:
    shutil.copytree(kit.folder, folder, symlinks=True)
    return type(kit)(folder, folder / kit.root.relative_to(kit.folder))


def every_step(kit: Any, die: Die, code: str, stride: int = 1) -> Any:
    """Yield (step, a copy of the repository in which *code* was killed at that step), until it survives."""
    for step in range(1, MOST, stride):
        copy = copy_of(kit, kit.folder.parent / f"step-{step}")
        killed = die(copy, step, code)
        yield step, copy
        shutil.rmtree(copy.folder)
        if not killed:
            return
    raise AssertionError(f"more than {MOST} steps")


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_kill_at_any_step_leaves_the_old_state_or_the_new_one(kit: Any, run_and_die: Die, request_: str) -> None:
    """A reader sees one of the two at once; the next command finishes the change or takes it back, and says so."""
    old = kit.titles()
    seen = set()
    for step, copy in every_step(kit, run_and_die, REQUESTS[request_]):
        found = copy.titles()
        new = [old | {"killed"}] if "killed" in REQUESTS[request_] else [{"first"}, {"second"}]
        assert found in [old, *new], step
        interrupted = (copy.local / "journal").exists()
        saved = copy.project.add("after")

        assert copy.titles() == found | {"after"}, step
        if interrupted and found == old:
            assert any("took back" in warning for warning in saved.warnings), step
        copy.assert_sound()
        assert copy.titles_in_head() == copy.titles(), step
        seen.add(frozenset(found))
    assert len(seen) > 1, "both states were reached"


def test_what_was_reported_as_done_is_never_lost_to_the_users_own_commit(kit: Any, run_and_die: Die) -> None:
    """Killed at any step, then a plain `git commit` of another file: a change that HEAD had stays in HEAD."""
    for step, copy in every_step(kit, run_and_die, ADD):
        held = "killed" in copy.titles_in_head()
        found = copy.titles()
        (copy.folder / "theirs.txt").write_text("the user's\n")
        copy.git("add", "theirs.txt", check=False)
        copy.git("commit", "-q", "-m", "the user's", check=False)
        if held:
            assert "killed" in copy.titles_in_head(), step

        copy.project.add("after")
        copy.git("add", "theirs.txt")

        assert copy.titles() == copy.titles_in_head() == found | {"after"}, step
        assert copy.project.verify().findings == [], step


@pytest.mark.parametrize("after,titles", [(JOURNAL, set()), (REPLACED, {"killed"})])
def test_a_recovery_that_is_killed_too_is_recovered_from(
    kit: Any, run_and_die: Die, after: str, titles: set[str]
) -> None:
    """At each of its own steps, whether it was finishing a change or taking one back."""
    assert run_and_die(kit, after, ADD)
    for step, copy in every_step(kit, run_and_die, "project.recover()", 2):
        copy.project.add("after")

        assert copy.titles() == {"first", "second", "after"} | titles, step
        copy.assert_sound()


def test_the_first_commit_of_a_repository_may_be_killed_too(bare_kit: Any, run_and_die: Die) -> None:
    """`init` on an unborn branch, at every step: afterwards there is a backlog, or init makes one."""
    for step, copy in every_step(bare_kit, run_and_die_init(run_and_die), "", 3):
        try:
            taskkeep.init(str(copy.folder))
        except taskkeep.Refused as refused:
            assert refused.code == "already_initialised", step  # noqa: PT017
        copy.project.add("after")
        assert copy.titles() == {"after"}, step
        assert copy.project.verify().findings == [], step
        assert copy.git("fsck", "--strict", "--no-dangling") == "", step


def run_and_die_init(die: Die) -> Die:
    """As *die*, but for `init`, which has no project to be opened yet."""

    def run(kit: Any, step: int, _: str) -> bool:
        code = f"taskkeep.init({str(kit.folder)!r})"
        folder = kit.folder.parent / "elsewhere" / ".taskkeep" / "audit"
        folder.mkdir(parents=True, exist_ok=True)
        return die(type(kit)(folder.parent.parent), step, code)

    return run


def test_a_backlog_without_git_is_as_safe(scratch: Path, kit: Any, run_and_die: Die) -> None:
    """Outside of any repository there is no commit to fall back on, and none is needed."""
    plain = type(kit)(scratch / "plain")
    plain.folder.mkdir()
    taskkeep.init(str(plain.folder), git=False)
    plain.project.add("first")
    seen = set()
    for step, copy in every_step(plain, run_and_die, ADD):
        found = copy.titles()
        copy.project.add("after")
        assert copy.titles() == found | {"after"}, step
        assert copy.project.verify().findings == [], step
        seen.add(frozenset(found))
    assert seen == {frozenset({"first"}), frozenset({"first", "killed"})}


@pytest.mark.parametrize("after,outcome", [(JOURNAL, "taken_back"), (REPLACED, "finished")])
def test_who_and_why_of_an_interrupted_change_are_not_lost(
    kit: Any, run_and_die: Die, after: str, outcome: str
) -> None:
    """Finished or taken back, the answer says so, and an event that names them."""
    assert run_and_die(kit, after, ADD)

    saved = kit.project.recover()

    assert saved.changed
    assert any(outcome.split("_")[0] in warning or "took back" in warning for warning in saved.warnings)
    [event] = kit.project.log(types=["recovered"]).events
    assert (event["why"], event["source"]) == ("to see", "recovery")
    if os.name != "nt":
        modes = {path.stat().st_mode & 0o777 for path in (kit.local / "backups").iterdir()}
        assert modes == {0o600}, "the snapshot too is for its owner alone"
    assert event["details"]["outcome"] == outcome
    assert event["details"]["events"][0]["actor"] == "ada"
    kit.assert_sound()


def test_recover_with_nothing_to_recover_writes_nothing(kit: Any) -> None:
    before, head = kit.files(), kit.head()

    assert not kit.project.recover().changed
    assert (kit.files(), kit.head()) == (before, head)


def test_reading_leaves_an_interrupted_change_to_the_next_writer(kit: Any, run_and_die: Die) -> None:
    """Reading repairs nothing: it takes no lock and writes nothing."""
    assert run_and_die(kit, REPLACED, ADD)
    before = kit.files()

    codes = {finding["code"] for finding in kit.project.verify().findings}
    kit.project.list()
    kit.project.status()

    assert "interrupted" in codes
    assert kit.files() == before
    assert (kit.local / "journal").exists()


def test_a_damaged_journal_is_put_aside_and_nothing_is_done_by_it(kit: Any, run_and_die: Die) -> None:
    """Its event says something else than what was hashed: it vouches for nothing, and is kept to be looked at."""
    assert run_and_die(kit, REPLACED, ADD)
    journal = kit.local / "journal"
    journal.write_bytes(journal.read_bytes().replace(b'"why":', b'"why" :').replace(b"task_created", b"task_updated"))
    logged = kit.log_files()

    with pytest.raises(HandEdit) as refused:
        kit.project.add("after")

    assert any("journal was damaged" in warning for warning in refused.value.details["warnings"])
    assert kit.log_files() == logged
    assert [path.read_bytes().count(b"task_updated") for path in kit.local.glob("journal.damaged-*")] == [1]


# -- locks of git ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "refs/heads/main.lock"])
def test_a_lock_that_a_killed_save_left_is_removed_by_the_next_writer(kit: Any, run_and_die: Die, name: str) -> None:
    """And it says so."""
    assert run_and_die(kit, name, ADD)
    assert (kit.folder / ".git" / name).exists()

    saved = kit.project.add("after")

    assert any(os.path.basename(name) in warning for warning in saved.warnings)
    kit.assert_sound()


def test_a_set_up_of_the_driver_that_was_killed_is_made_by_the_next_writer(kit: Any, run_and_die: Die) -> None:
    """And the lock of git's configuration that it left is removed."""
    kit.git("config", "--remove-section", "merge.taskkeep")
    assert run_and_die(kit, "config.lock", ADD)
    assert "taskkeep" not in kit.git("config", "--local", "--list")

    saved = kit.project.add("after")

    assert any("config.lock" in warning for warning in saved.warnings)
    assert "merge.taskkeep.driver" in kit.git("config", "--local", "--list")
    kit.assert_sound()


@pytest.mark.parametrize(
    "content", [b"", b"some other git's half of an index", b"taskkeep taskkeep-0000\n/elsewhere\n"]
)
@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "refs/heads/main.lock"])
def test_a_lock_of_somebody_else_is_waited_for_then_refused_and_stands(kit: Any, name: str, content: bytes) -> None:
    lock = kit.folder / ".git" / name
    lock.write_bytes(content)
    before, head = kit.files(), kit.head()

    with pytest.raises(GitLocked) as refused:
        kit.project.add("third", wait=0.05)

    assert refused.value.exit_status == 7
    assert refused.value.retryable
    assert lock.name in refused.value.message
    assert lock.read_bytes() == content
    assert (kit.files(), kit.head()) == (before, head)
    lock.unlink()
    kit.assert_sound()


def test_a_lock_that_is_let_go_in_time_is_no_obstacle(kit: Any) -> None:
    """Editors take index.lock all day, each time for an instant."""
    lock = kit.folder / ".git" / "index.lock"
    lock.write_bytes(b"")
    program = "import os, sys, time; time.sleep(0.3); os.unlink(sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", program, str(lock)]):
        saved = kit.project.add("third", wait=10)

    assert saved.commit == kit.head()
    kit.assert_sound()


def test_a_copied_checkout_removes_no_lock_of_the_one_it_was_copied_from(kit: Any, tmp_path: Path) -> None:
    """A lock of another folder's writer is another's."""
    other = type(kit)(tmp_path / "other")
    other.folder.mkdir()
    other.git("init", "-q", "-b", "main")
    other.git("config", "user.name", "Ada")
    other.git("config", "user.email", "ada@example.invalid")
    taskkeep.init(str(other.folder))
    token = (other.local / "token").read_text().strip()
    lock = kit.folder / ".git" / "index.lock"
    lock.write_text(f"taskkeep {token}\n{other.folder}\n")

    with pytest.raises(GitLocked):
        kit.project.add("third", wait=0.05)
    assert lock.exists()


@pytest.mark.parametrize("move", ["checkout -q -f other", "reset -q --hard HEAD~1"])
@pytest.mark.parametrize("request_", ["add", "archive"])
def test_a_killed_save_is_nothing_to_another_state_that_git_put_in_its_place(
    kit: Any, run_and_die: Die, request_: str, move: str
) -> None:
    """Its event is not left to a log that does not lead to it, nor its archive to a backlog that had another."""
    kit.project.update([kit.id_of("first")], Edit(set={"status": "done"}))
    kit.git("branch", "other")
    kit.project.update([kit.id_of("second")], Edit(set={"status": "done"}))
    kit.project.archive(older_than="0d")
    kit.project.add("third")
    kit.project.update([kit.id_of("third")], Edit(set={"status": "done"}))
    seen = set()
    code = {"add": ADD, "archive": "project.archive(older_than='0d')"}[request_]
    for step, copy in every_step(kit, run_and_die, code, 2):
        interrupted = (copy.local / "journal").exists()
        for lock in (copy.folder / ".git").rglob("*.lock"):
            lock.unlink()
        copy.git(*move.split())
        titles = copy.titles_in_head()
        copy.project.add("later")
        assert copy.titles() == titles | {"later"}, step
        assert copy.project.verify().findings == [], step
        assert copy.git("status", "--porcelain") == "", step
        seen.add(interrupted)
    assert seen == {True, False}

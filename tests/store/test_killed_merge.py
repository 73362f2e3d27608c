"""A settling of conflicts that is killed at any step can be gone on with, or given up."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import Any

import pytest

from taskkeep.backlog.changes import Edit
from taskkeep.errors import DiskFault, GitLocked, NotFound, RepositoryBusy
from taskkeep.store.git.repository import Answer, Repository
from taskkeep.store.placement import Placement

from .test_recovery import MOST, Die, copy_of, every_step


def conflicting(kit: Any) -> Any:
    kit.git("checkout", "-q", "-b", "other")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "theirs"}))
    kit.project.delete([kit.id_of("second")], why="gone")
    kit.git("checkout", "-q", "main")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "ours"}))
    kit.project.note(kit.id_of("second"), "still needed")
    kit.git("merge", "-q", "-m", "merge", "other", check=False)
    return kit


def assert_can_be_given_up(kit: Any, *, recovers: bool) -> None:
    """In a copy; *recovers*: by a command of ours first, which takes away whatever lock of git's was ours."""
    copy = copy_of(kit, kit.folder.with_name(f"{kit.folder.name}-given-up"))
    if recovers:
        copy.project.recover()
    copy.git("status")  # which looks anew at files that were only copied
    copy.git("merge", "--abort")
    copy.project.add("after")
    assert copy.titles() == {"ours", "second", "after"}
    copy.assert_sound()
    shutil.rmtree(copy.folder)


@pytest.mark.parametrize("with_driver", [True, False])
def test_a_resolve_that_was_killed_is_gone_on_with_or_given_up(kit: Any, run_and_die: Die, with_driver: bool) -> None:
    if not with_driver:
        kit.git("config", "--remove-section", "merge.taskkeep")
        (kit.root / ".taskkeep" / "local" / "uninstalled").touch()
    conflicting(kit)
    steps = 0

    for step, copy in every_step(kit, run_and_die, "project.resolve(choice='theirs')", 3):
        steps += 1
        assert_can_be_given_up(copy, recovers=True)
        assert_can_be_given_up(copy, recovers=(copy.folder / ".git" / "index.lock").exists())
        ended = not ((copy.local / "journal").exists() or copy.project.conflicts())
        with pytest.raises(NotFound) if ended else contextlib.nullcontext():
            copy.project.resolve(choice="theirs")
        assert copy.project.conflicts() == [], step
        copy.git("commit", "-q", "-m", "merge")
        assert copy.titles() == {"theirs"}, step
        assert copy.project.verify().findings == [], step
        copy.project.add("after")
        assert copy.git("status", "--porcelain") == "", step
    assert steps > 2


def test_a_resolve_that_was_killed_and_finished_by_a_refused_writer_is_committed_by_git(
    kit: Any, run_and_die: Die
) -> None:
    """The refused command settled what it found, and what is settled is staged."""
    conflicting(kit)
    finished = 0
    for step, copy in every_step(kit, run_and_die, "project.resolve(choice='theirs')", 3):
        with pytest.raises(RepositoryBusy):
            copy.project.add("not yet")
        if not (copy.root / "backlog.json").read_bytes().startswith(b"{") or copy.project.conflicts():
            continue  # it was taken back
        finished += 1
        copy.git("commit", "-q", "-m", "merge")
        assert copy.titles() == {"theirs"}, step
        copy.project.add("after")
        copy.assert_sound()
    assert finished


def test_a_merge_that_was_committed_without_the_event_of_a_killed_resolve_gets_it_afterwards(
    kit: Any, run_and_die: Die
) -> None:
    """The user takes the files for settled, as they are, and commits them by name."""
    conflicting(kit)
    finished = 0
    for step, copy in every_step(kit, run_and_die, "project.resolve(choice='theirs')", 3):
        if (copy.root / "backlog.json").read_bytes().count(b"<<<<") or copy.project.conflicts():
            continue  # it had not come so far
        finished += (copy.local / "journal").exists()
        (copy.folder / ".git" / "index.lock").unlink(missing_ok=True)
        copy.git("add", "backlog.json")
        copy.git("commit", "-q", "-m", "merge")
        copy.project.add("after")
        assert copy.titles() == {"theirs", "after"}, step
        copy.assert_sound()
    assert finished


def test_a_part_of_the_conflicts_settled_and_killed_leaves_the_others_open(kit: Any, run_and_die: Die) -> None:
    """What recovery stages of it is the log alone: git holds the files for unmerged until all is settled."""
    conflicting(kit)
    first, finished = kit.project.conflicts()[0], 0
    wanted = f"project.resolve({first.conflict.task_id!r}, choice='theirs')"
    for step, copy in every_step(kit, run_and_die, wanted, 3):
        interrupted = (copy.local / "journal").exists()
        with pytest.raises(RepositoryBusy):
            copy.project.add("not yet")
        left = copy.project.conflicts()
        assert copy.git("ls-files", "-u", "--", "backlog.json"), step
        finished += interrupted and len(left) == 1
        assert_can_be_given_up(copy, recovers=False)
        copy.project.resolve(choice="theirs")
        copy.git("commit", "-q", "-m", "merge")
        assert copy.titles() == {"theirs"}, step
        copy.assert_sound()
    assert finished


def test_a_part_settled_and_killed_and_committed_leaves_the_others_a_choice_to_be_looked_at(
    kit: Any, run_and_die: Die
) -> None:
    """Whichever way recovery went, none of its words are one on what is still open."""
    conflicting(kit)
    found: set[int] = set()
    for task_id in [one.conflict.task_id for one in kit.project.conflicts()]:
        for step, copy in every_step(kit, run_and_die, f"project.resolve({task_id!r}, choice='theirs')", 3):
            with pytest.raises(RepositoryBusy):
                copy.project.add("not yet")
            left = len(copy.project.conflicts())
            found.add(left)
            copy.git("add", "-A")
            copy.git("commit", "-q", "-m", "merge")
            assert [one["code"] for one in copy.project.verify().findings] == ["merge_choice"] * left, step
        kit.project.resolve(task_id, choice="theirs")
    assert found == {0, 1, 2}


def archived_here(kit: Any) -> Any:
    """Two titles in conflict, and a task that main has archived, brought back by a note on the other branch."""
    done = kit.project.add("done").task["id"]
    kit.project.finish([done])
    kit.git("checkout", "-q", "-b", "other")
    kit.project.note(done, "needed again")
    for title in ("first", "second"):
        kit.project.update([kit.id_of(title)], Edit(set={"title": f"{title} of theirs"}))
    kit.git("checkout", "-q", "main")
    kit.project.archive(older_than="0d")
    for title in ("first", "second"):
        kit.project.update([kit.id_of(title)], Edit(set={"title": f"{title} of ours"}))
    kit.git("merge", "-q", "-m", "merge", "other", check=False)
    return kit


def assert_given_up(kit: Any) -> None:
    """What is archived is so again, and the next save finds nothing in its way."""
    assert "done" not in kit.titles()
    kit.project.add("after")
    assert [task["title"] for task in kit.project.backlog().archived.values()] == ["done"]
    kit.assert_sound()


def test_a_merge_given_up_takes_back_the_archive_that_a_resolve_of_a_part_has_written(kit: Any) -> None:
    archived_here(kit)
    _, left = kit.project.resolve(kit.id_of("first of ours"), choice="ours")
    assert (len(left), "done" in kit.titles()) == (1, True)

    kit.git("merge", "--abort")

    assert kit.git("status", "--porcelain") == ""
    assert_given_up(kit)


def test_a_resolve_that_was_killed_between_the_two_files_leaves_the_archive_as_its_merge_is_given_up(
    kit: Any, run_and_die: Die
) -> None:
    """Or is gone on with, and committed."""
    archived_here(kit)
    for step, copy in every_step(
        kit, run_and_die, f"project.resolve({kit.id_of('first of ours')!r}, choice='ours')", 3
    ):
        for recovers in (True, (copy.folder / ".git" / "index.lock").exists()):
            given_up = copy_of(copy, copy.folder.with_name(f"{copy.folder.name}-given-up"))
            if recovers:
                given_up.project.recover()
            given_up.git("status")
            given_up.git("merge", "--abort")
            assert_given_up(given_up)
            shutil.rmtree(given_up.folder)
        copy.project.resolve(choice="theirs")
        copy.git("commit", "-q", "-m", "merge")
        copy.project.add("after")
        assert "done" in copy.titles(), step
        copy.assert_sound()


def test_a_resolve_that_was_killed_with_its_git_leaves_no_lock_to_be_removed_by_hand(
    kit: Any, run_and_die: Die
) -> None:
    """Killed while git writes the index: whatever lock stands there is known as ours."""
    conflicting(kit)
    killing = "import os, taskkeep.store.git.staging as staging; staging._update = lambda *_: os.kill(os.getpid(), 9);"
    assert run_and_die(kit, MOST, f"{killing} project.resolve(choice='theirs')")
    assert (kit.folder / ".git" / "index.lock").exists()

    kit.project.resolve(choice="theirs")

    kit.git("commit", "-q", "-m", "merge")
    assert kit.titles() == {"theirs"}
    kit.project.add("after")
    kit.assert_sound()


def test_a_resolve_that_cannot_stage_leaves_the_merge_as_it_was(kit: Any) -> None:
    """Another git holds the index: nothing is settled, nothing is changed."""
    conflicting(kit)
    files, conflicts = kit.files(), kit.project.conflicts()
    lock = kit.folder / ".git" / "index.lock"
    lock.write_text("another's")

    with pytest.raises(GitLocked):
        kit.project.resolve(choice="theirs", wait=0)

    assert kit.files() == files
    assert kit.project.conflicts() == conflicts
    lock.unlink()
    assert kit.project.resolve(choice="theirs")[1] == []


def test_a_resolve_that_cannot_stage_once_more_at_its_end_says_what_helps(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another git took the index when all was saved and staged: only the files' times are unknown to it."""
    conflicting(kit)
    lock = kit.folder / ".git" / "index.lock"
    finish = Placement.finish

    def meanwhile(*args: Any, **more: Any) -> None:
        finish(*args, **more)
        lock.write_text("another's")

    monkeypatch.setattr(Placement, "finish", meanwhile)
    outcome, left = kit.project.resolve(choice="theirs", wait=0)

    assert left == []
    assert any("git status" in warning for warning in outcome.warnings)
    lock.unlink()
    kit.git("commit", "-q", "-m", "merge")
    assert kit.titles() == {"theirs"}
    kit.assert_sound()


@pytest.mark.parametrize("name", ["fsync", "replace", "link"])
def test_a_disk_that_fails_at_any_call_of_a_resolve_leaves_the_merge_as_it_was(
    kit: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Files, conflicts and index, until a fault comes too late to hinder it."""
    conflicting(kit)
    before = kit.files(), kit.project.conflicts(), kit.git("ls-files", "-s")
    real = getattr(os, name)
    for number in range(1, MOST):
        left = [number]

        def fail(*args: Any, left: list[int] = left, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **more)

        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            try:
                kit.project.resolve(choice="theirs")
            except DiskFault:
                failed = True
            else:
                failed = False
        if not failed:
            break
        assert (kit.files(), kit.project.conflicts(), kit.git("ls-files", "-s")) == before, number
    assert number > 1
    assert kit.project.conflicts() == []
    kit.git("commit", "-q", "-m", "merge")
    kit.project.add("after")
    kit.assert_sound()


def test_a_folder_of_the_log_that_git_cannot_open_once_leaves_no_event_out_of_the_merge(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git then lists its new files as none, and ends well."""
    conflicting(kit)
    real = Repository.run

    def blind(self: Repository, *args: str, **more: Any) -> Answer:
        return Answer(0, b"", b"warning: could not open directory") if "-o" in args else real(self, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Repository, "run", blind)
        kit.project.resolve(choice="theirs")

    kit.git("commit", "-q", "-m", "merge")
    kit.assert_sound()

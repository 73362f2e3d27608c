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

from .test_recovery import MOST, Die, every_step


def conflicting(kit: Any) -> Any:
    kit.git("checkout", "-q", "-b", "other")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "theirs"}))
    kit.project.delete([kit.id_of("second")], why="gone")
    kit.git("checkout", "-q", "main")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "ours"}))
    kit.project.note(kit.id_of("second"), "still needed")
    kit.git("merge", "-q", "-m", "merge", "other", check=False)
    return kit


@pytest.mark.parametrize("with_driver", [True, False])
def test_a_resolve_that_was_killed_is_gone_on_with_or_given_up(kit: Any, run_and_die: Die, with_driver: bool) -> None:
    if not with_driver:
        kit.git("config", "--remove-section", "merge.taskkeep")
        (kit.root / ".taskkeep" / "local" / "uninstalled").touch()
    conflicting(kit)
    steps = 0

    for step, copy in every_step(kit, run_and_die, "project.resolve(choice='theirs')", 3):
        steps += 1
        for recovers in (True, False):
            other = type(kit)(copy.folder.with_name(f"{copy.folder.name}-given-up"))
            shutil.copytree(copy.folder, other.folder, symlinks=True)
            if recovers or (other.folder / ".git" / "index.lock").exists():
                other.project.recover()  # whatever lock of git's was ours
            other.git("status")  # which looks anew at files that were only copied
            other.git("merge", "--abort")
            other.project.add("after")
            assert other.titles() == {"ours", "second", "after"}, step
            other.assert_sound()
            shutil.rmtree(other.folder)
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

"""What looks like a crash and is none: refused as a hand edit, or accepted as a state; never repaired."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest

import taskkeep
from taskkeep.errors import HandEdit

Deed = Callable[[Any], None]


def rewrite(kit: Any, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit the file as a program would that knows its form: the bytes stay canonical."""
    value = json.loads(kit.file.read_bytes())
    edit(value)
    kit.file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


# -- hand edits ------------------------------------------------------------------------------


def the_file_of_an_earlier_commit(kit: Any) -> None:
    kit.git("checkout", "-q", "HEAD~1", "--", "backlog.json")


def the_file_of_an_earlier_commit_not_staged(kit: Any) -> None:
    kit.git("restore", "--source", "HEAD~2", "backlog.json")


def all_files_of_an_earlier_commit(kit: Any) -> None:
    """The newer event stays: git takes no file away here."""
    kit.git("checkout", "-q", "HEAD~1", "--", ".")


def a_waiting_change_that_was_stashed(kit: Any) -> None:
    kit.project.add("waits", commit=False)
    kit.git("stash", "-q")


def a_waiting_change_that_was_checked_out_over(kit: Any) -> None:
    kit.project.add("waits", commit=False)
    kit.git("checkout", "-q", "--", "backlog.json")


def an_editors_old_buffer(kit: Any) -> None:
    """An editor that had the file open writes it back over a save."""
    buffer = kit.file.read_bytes()
    kit.project.add("saved meanwhile")
    kit.file.write_bytes(buffer)


def an_editors_old_buffer_put_in_place_by_rename(kit: Any) -> None:
    buffer = kit.file.read_bytes()
    kit.project.add("saved meanwhile")
    other = kit.root / "backlog.json~"
    other.write_bytes(buffer)
    other.replace(kit.file)


def a_snapshot_copied_over_the_file(kit: Any) -> None:
    newest = max((kit.local / "backups").iterdir())
    shutil.copyfile(newest, kit.file)


def a_title_changed_by_hand(kit: Any) -> None:
    rewrite(kit, lambda value: value["tasks"][0].update(title="by hand"))


def a_title_changed_by_hand_and_committed(kit: Any) -> None:
    a_title_changed_by_hand(kit)
    kit.git("commit", "-q", "-am", "by hand")


def a_task_that_a_model_dropped(kit: Any) -> None:
    rewrite(kit, lambda value: value["tasks"].pop(1))


def a_file_without_tasks(kit: Any) -> None:
    rewrite(kit, lambda value: value["tasks"].clear())


def a_task_added_by_hand(kit: Any) -> None:
    rewrite(kit, lambda value: value["tasks"].append({**value["tasks"][-1], "id": "TZZZZZ", "uid": "f" * 32}))


def another_layout(kit: Any) -> None:
    kit.file.write_text(json.dumps(json.loads(kit.file.read_bytes())))


def line_ends_of_windows(kit: Any) -> None:
    kit.file.write_bytes(kit.file.read_bytes().replace(b"\n", b"\r\n"))


def the_last_event_taken_away(kit: Any) -> None:
    sorted((kit.root / ".taskkeep/audit").rglob("*.jsonl"))[-1].unlink()


def a_local_folder_of_another_checkout(kit: Any) -> None:
    """Its record tells of another log; the file here is an older one."""
    kit.git("checkout", "-q", "HEAD~1", "--", "backlog.json")
    (kit.local / "pending").unlink(missing_ok=True)
    shutil.rmtree(kit.local / "cache")


REFUSED: list[Deed] = [
    the_file_of_an_earlier_commit,
    the_file_of_an_earlier_commit_not_staged,
    all_files_of_an_earlier_commit,
    a_waiting_change_that_was_stashed,
    a_waiting_change_that_was_checked_out_over,
    an_editors_old_buffer,
    an_editors_old_buffer_put_in_place_by_rename,
    a_snapshot_copied_over_the_file,
    a_title_changed_by_hand,
    a_title_changed_by_hand_and_committed,
    a_task_that_a_model_dropped,
    a_file_without_tasks,
    a_task_added_by_hand,
    another_layout,
    line_ends_of_windows,
    the_last_event_taken_away,
    a_local_folder_of_another_checkout,
]


@pytest.mark.parametrize("deed", REFUSED, ids=lambda deed: deed.__name__)
def test_told_as_a_hand_edit_and_left_alone(kit: Any, deed: Deed) -> None:
    """Every writer refuses, again and again, and nothing is written; verify finds it; reading goes on."""
    deed(kit)
    kit.project.list()
    before, head, status = kit.files(), kit.head(), kit.git("status", "--porcelain")
    task_id = next(iter(kit.project.backlog().tasks), "T0000")

    for write in (
        lambda: kit.project.add("third"),
        lambda: kit.project.add("third", commit=False),
        lambda: kit.project.add("third", dry_run=True),
        lambda: kit.project.note(task_id, "a note"),
        lambda: kit.project.add("third"),
    ):
        with pytest.raises(HandEdit) as refused:
            write()
        assert refused.value.exit_status == 5
        assert refused.value.hint

    assert (kit.files(), kit.head(), kit.git("status", "--porcelain")) == (before, head, status)
    assert not kit.project.verify().ok


@pytest.mark.parametrize("deed", REFUSED, ids=lambda deed: deed.__name__)
def test_recover_names_it_and_leaves_it_alone(kit: Any, deed: Deed) -> None:
    """It settles what a crash left, and this is none."""
    deed(kit)
    before = kit.files()

    saved = kit.project.recover()

    assert any("left alone" in warning for warning in saved.warnings)
    assert kit.files() == before


@pytest.mark.parametrize("deed", REFUSED[:3], ids=lambda deed: deed.__name__)
def test_once_the_saved_file_is_back_all_is_well(kit: Any, deed: Deed) -> None:
    """The way out that the hint names."""
    deed(kit)
    kit.git("checkout", "-q", "HEAD", "--", "backlog.json")

    kit.project.add("third")

    kit.assert_sound()


# -- states ----------------------------------------------------------------------------------


def reset_to_an_earlier_commit(kit: Any) -> None:
    kit.git("reset", "-q", "--hard", "HEAD~1")


def an_earlier_commit_checked_out(kit: Any) -> None:
    kit.git("checkout", "-q", "HEAD~2")


def another_branch(kit: Any) -> None:
    kit.git("branch", "older", "HEAD~1")
    kit.git("checkout", "-q", "older")
    kit.project.add("on the other branch")
    kit.git("checkout", "-q", "main")
    kit.git("checkout", "-q", "older")


def a_reverted_save(kit: Any) -> None:
    """Event and change are gone together, as if never done."""
    kit.git("revert", "--no-edit", "HEAD")


def an_amended_commit(kit: Any) -> None:
    kit.git("commit", "-q", "--amend", "-m", "another message")


def squashed_commits(kit: Any) -> None:
    kit.git("reset", "-q", "--soft", "HEAD~2")
    kit.git("commit", "-q", "-m", "squashed")


def a_rebased_branch(kit: Any) -> None:
    kit.git("checkout", "-q", "-b", "work")
    kit.project.add("on work")
    kit.git("checkout", "-q", "main")
    kit.git("commit", "-q", "--allow-empty", "-m", "on main")
    kit.git("checkout", "-q", "work")
    kit.git("rebase", "-q", "main")


def the_users_own_work_stashed_and_back(kit: Any) -> None:
    (kit.folder / "code.txt").write_text("code\n")
    kit.git("add", "code.txt")
    kit.git("stash", "-q")
    kit.project.add("meanwhile")
    kit.git("stash", "pop", "-q")
    kit.git("rm", "-q", "-f", "code.txt")


def a_waiting_change_stashed_with_its_event(kit: Any) -> None:
    kit.project.add("waits", commit=False)
    kit.git("stash", "-q", "--include-untracked")


def a_waiting_change_stashed_with_its_event_and_back(kit: Any) -> None:
    a_waiting_change_stashed_with_its_event(kit)
    kit.git("stash", "pop", "-q")


def a_file_that_was_only_touched(kit: Any) -> None:
    os.utime(kit.file, (time.time() + 5, time.time() + 5))


def a_file_written_again_with_the_same_bytes(kit: Any) -> None:
    data = kit.file.read_bytes()
    kit.file.unlink()
    kit.file.write_bytes(data)


def a_file_taken_away_and_brought_back(kit: Any) -> None:
    kit.file.unlink()
    kit.git("checkout", "-q", "--", "backlog.json")


def a_cleaned_checkout(kit: Any) -> None:
    kit.git("clean", "-q", "-fdx")


def a_fresh_clone_in_its_place(kit: Any) -> None:
    other = kit.folder.parent / "clone"
    kit.git("clone", "-q", str(kit.folder), str(other))
    for name in ("user.name", "user.email"):
        value = kit.git("config", name).strip()
        type(kit)(other).git("config", name, value)
    shutil.rmtree(kit.folder)
    other.rename(kit.folder)


def a_pull_that_brought_others_changes(kit: Any) -> None:
    other = kit.clone(kit.folder.parent / "clone")
    other.project.add("from afar")
    kit.git("pull", "-q", "--ff-only", str(other.folder), "main")


def a_repository_packed_and_swept(kit: Any) -> None:
    kit.git("gc", "-q", "--prune=now")


def a_waiting_change_committed_by_hand(kit: Any) -> None:
    kit.project.add("waits", commit=False)
    kit.git("add", "-A")
    kit.git("commit", "-q", "-m", "by hand")


def a_moved_folder(kit: Any) -> None:
    kit.folder.rename(kit.folder.parent / "moved")
    kit.folder = kit.root = kit.folder.parent / "moved"


ACCEPTED: list[Deed] = [
    reset_to_an_earlier_commit,
    an_earlier_commit_checked_out,
    another_branch,
    a_reverted_save,
    an_amended_commit,
    squashed_commits,
    a_rebased_branch,
    the_users_own_work_stashed_and_back,
    a_waiting_change_stashed_with_its_event,
    a_waiting_change_stashed_with_its_event_and_back,
    a_file_that_was_only_touched,
    a_file_written_again_with_the_same_bytes,
    a_file_taken_away_and_brought_back,
    a_cleaned_checkout,
    a_fresh_clone_in_its_place,
    a_pull_that_brought_others_changes,
    a_repository_packed_and_swept,
    a_waiting_change_committed_by_hand,
    a_moved_folder,
]


@pytest.mark.parametrize("deed", ACCEPTED, ids=lambda deed: deed.__name__)
def test_accepted_as_a_state_of_its_own(kit: Any, deed: Deed) -> None:
    """File and log agree, so nobody edited anything; nothing is recovered, the next change builds on it."""
    deed(kit)
    there, log = kit.titles(), kit.log_files()
    assert kit.project.verify().ok, kit.project.verify().findings
    assert kit.titles() == there

    saved = kit.project.add("after")

    assert kit.titles() == there | {"after"}
    assert kit.project.log(types=["recovered"]).total == 0
    assert not any("cut short" in warning for warning in saved.warnings)
    assert {name: kit.log_files()[name] for name in log} == log
    kit.assert_sound()


def test_a_waiting_change_is_carried_to_another_branch(kit: Any) -> None:
    """Git takes it along, so it is committed there."""
    kit.project.add("waits", commit=False)
    kit.git("checkout", "-q", "-b", "other")

    kit.project.add("after")

    assert {"waits", "after"} <= kit.titles_in_head()
    kit.git("checkout", "-q", "main")
    assert kit.titles() == {"first", "second"}
    assert kit.project.verify().ok


def test_a_hand_edit_beside_a_crash_is_not_swept_into_it(kit: Any, run_and_die: Any) -> None:
    """A save was cut short, then somebody edited: the save is settled, the edit is refused and stays."""
    assert run_and_die(kit, "local/journal", "project.add('killed')")
    rewrite(kit, lambda value: value["tasks"][0].update(title="by hand"))
    edited = kit.file.read_bytes()

    with pytest.raises(taskkeep.Refused) as refused:
        kit.project.add("third")

    assert refused.value.code == "hand_edit"
    assert any("took back" in warning for warning in refused.value.details["warnings"])
    assert kit.file.read_bytes() == edited
    assert not (kit.local / "journal").exists()

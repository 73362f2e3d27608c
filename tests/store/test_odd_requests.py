"""Saves, adoptions and set-ups that meet what seldom stands there."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep import Edit
from taskkeep.backlog.events import event_hash, line
from taskkeep.errors import (
    AlreadyInitialised,
    BacklogUnreadable,
    DiskFault,
    FieldsReverted,
    ForeignFile,
    HandEdit,
    LogDamaged,
    Outside,
    TasksLost,
)
from taskkeep.store import files, schemas
from taskkeep.store.layout import Root
from taskkeep.store.setup import edits, git_hook
from taskkeep.store.setup import init as setup

from .conftest import FakeGit
from .test_adopt import edit as edited
from .test_adopt import named
from .test_mending import forget, log_file
from .test_secrets import OTHER, TOKEN


def with_log_of(kit: Any, branch: str) -> None:
    """The branch as merged by hand: our files, and all files of both logs."""
    kit.git("merge", "-q", "-s", "ours", branch)
    kit.git("checkout", "-q", branch, "--", ".taskkeep/audit")
    kit.git("commit", "-q", "--amend", "--no-edit")


# -- adopt -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("git", "told"), [(True, "is gone; commit [0-9a-f]+ has it"), (False, "empty or gone")])
def test_without_a_log_nothing_can_be_adopted(kit: Any, git: bool, told: str) -> None:
    """Whoever has it still is named."""
    if not git:
        shutil.rmtree(kit.folder / ".git")
    for path in (kit.root / ".taskkeep" / "audit").rglob("*.jsonl"):
        path.unlink()
    forget(kit)
    with pytest.raises(LogDamaged, match=told):
        kit.project.adopt()


def test_a_task_deleted_on_one_branch_and_edited_upon_the_merge_is_kept_as_edited(kit: Any) -> None:
    """The log says deleted and edited; the file says kept, with a further edit: choice and edit are recorded."""
    task_id = kit.id_of("first")
    kit.git("checkout", "-q", "-b", "work")
    kit.project.delete([task_id], why="gone")
    kit.git("checkout", "-q", "main")
    kit.project.update([task_id], Edit(set={"priority": "high"}))
    with_log_of(kit, "work")
    edited(kit, lambda tasks: named(tasks, "first").update(description="by hand"))

    kit.project.adopt()

    task = kit.project.show([task_id])[0]
    assert (task["priority"], task["description"]) == ("high", "by hand")
    kit.assert_sound()


@pytest.mark.parametrize("way", ["merge", "by hand", "not at all"])
def test_two_tasks_of_one_id_are_told_apart_by_a_merge_or_by_hand(
    kit: Any, scratch: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Two clones have drawn one id: who gives one of them another keeps the old as its alias."""
    clone = kit.clone(scratch / "clone")
    with monkeypatch.context() as patch:
        patch.setattr("taskkeep.store.save.random_bits", lambda count: (1 << count) - 5)
        theirs = clone.project.add("theirs").task
        ours = kit.project.add("ours").task
    assert ours["id"] == theirs["id"]
    kit.git("fetch", "-q", str(clone.folder), "main:work")
    if way == "merge":
        kit.project.merge("work")
    else:
        with_log_of(kit, "work")
        edited(kit, lambda rows: rows.append({**theirs, "id": "TAPART"} if way == "by hand" else theirs))
        if way == "not at all":
            with pytest.raises(BacklogUnreadable, match="two tasks have the id") as refused:
                kit.project.adopt()
            assert refused.value.hint.startswith("Give one of them another id, and 'taskkeep adopt' records it.")
            edited(kit, lambda rows: rows[-1].update(id="TAPART"))
        kit.project.adopt()
        assert kit.project.show(["TAPART"])[0]["aliases"] == [ours["id"]]
    assert {"ours", "theirs"} <= kit.titles()
    kit.project.add("after")
    kit.assert_sound()


@pytest.mark.parametrize("field", ["id", "uid"])
def test_an_identity_that_is_no_text_is_refused(kit: Any, field: str) -> None:
    edited(kit, lambda tasks: tasks[0].update({field: 5}))
    with pytest.raises(BacklogUnreadable, match=f"{field} of task 1 must be text"):
        kit.project.adopt()


@pytest.mark.parametrize("way", ["commit", "dry run", "without a commit"])
@pytest.mark.parametrize("place", [0, -2, -1])
def test_an_event_that_was_removed_by_hand_comes_back_from_the_base_alone(kit: Any, way: str, place: int) -> None:
    """The files are as they should be; that their event is back is a change all the same."""
    kit.git("branch", "base")
    name = sorted(kit.log_files())[place]
    (kit.root / ".taskkeep" / "audit" / name).unlink()
    kit.git("commit", "-q", "-a", "-m", "removed")
    before = kit.files()
    options: dict[str, Any] = {"commit": {}, "dry run": {"dry_run": True}, "without a commit": {"commit": False}}[way]

    saved = kit.project.adopt(base="base", **options)

    assert saved.changed
    assert any(name in words for words in saved.warnings)
    if way == "dry run":
        assert kit.files() == before
        return
    assert name in kit.log_files()
    assert (saved.commit == kit.head(), saved.pending) == (way == "commit", way != "commit")
    kit.project.recover()
    kit.assert_sound()


def test_a_dry_run_that_is_refused_leaves_the_base_where_it_is(kit: Any) -> None:
    task_id = kit.id_of("first")
    kit.project.update([task_id], Edit(set={"title": "newer"}))
    kit.git("branch", "base")
    kit.git("revert", "--no-edit", "HEAD")
    before = kit.files()
    with pytest.raises(FieldsReverted):
        kit.project.adopt(base="base", dry_run=True)
    assert kit.files() == before


def test_a_base_that_is_refused_leaves_nothing_that_waits(kit: Any) -> None:
    """The events that it would have brought back are gone again, and so is the note of them."""
    kit.git("branch", "base")
    kit.git("rm", "-q", sorted(f".taskkeep/audit/{name}" for name in kit.log_files())[-1])
    kit.git("commit", "-q", "-m", "an event is gone")
    forget(kit)
    edited(kit, lambda tasks: named(tasks, "first").update(status="never"))
    before = kit.files()
    with pytest.raises(taskkeep.TaskkeepError):
        kit.project.adopt(base="base")
    assert kit.files() == before
    assert not (kit.local / "pending").exists()


def test_a_base_needs_git_and_a_log_that_git_can_read(kit: Any, git_that: FakeGit, scratch: Path) -> None:
    alone = scratch / "alone"
    alone.mkdir()
    taskkeep.init(str(alone), git=False)
    with pytest.raises(Outside, match="needs git"):
        taskkeep.open(str(alone)).adopt(base="main")
    git_that('case "$*" in *ls-tree*) echo "fatal: bad tree" >&2; exit 128;; esac')
    with pytest.raises(Outside, match="bad tree"):
        kit.project.adopt(base="HEAD")


@pytest.mark.parametrize("way", ["lacks", "damaged", "edited", "has in another file"])
def test_a_base_whose_log_is_not_whole_gives_nothing(kit: Any, way: str) -> None:
    """Events that lie here in another file are known already."""
    path = log_file(kit, -1)
    if way in ("damaged", "edited"):
        data = path.read_bytes()
        path.write_bytes(b"{}\n" if way == "damaged" else data.replace(b"Ada", b"Eve"))
        kit.git("commit", "-q", "-a", "-m", "damaged")
        kit.git("branch", "base")
        path.write_bytes(data)
        shutil.copy(path, path.with_name("000000.000000Z-000000000000.jsonl"))
        path.unlink()
    else:
        kit.git("branch", "base")
        blob = kit.git("rev-parse", f"HEAD:{path.relative_to(kit.folder).as_posix()}").strip()
        if way == "lacks":
            (kit.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
            path.unlink()
        else:
            path.rename(path.with_name("000000.000000Z-000000000000.jsonl"))
    if way == "has in another file":
        assert not kit.project.adopt(base="base").changed
        return
    with pytest.raises(
        Outside if way == "lacks" else LogDamaged, match="git lacks" if way == "lacks" else "of the base"
    ):
        kit.project.adopt(base="base")


def test_what_was_picked_early_can_be_adopted_as_it_lies(kit: Any) -> None:
    """Its last event names another file than the log gives; an event of its own says which one holds."""
    for branch, title, role in (("other", "first", "backend"), ("main", "second", "frontend")):
        kit.git("checkout", "-q", *(["-b"] if branch == "other" else []), branch)
        kit.project.update([kit.id_of(title)], Edit(set={"role": role}))
    kit.git("checkout", "-q", "-b", "third")
    kit.git("merge", "-q", "-m", "m", "other")
    kit.project.add("picked")
    kit.git("checkout", "-q", "main")
    kit.git("cherry-pick", "third")
    kit.project.add("meanwhile")
    kit.git("merge", "-q", "-m", "m", "other")

    assert kit.project.adopt().changed

    assert kit.project.log(limit=1).events[0]["event_type"] == "merged"
    assert not kit.project.adopt().changed
    kit.assert_sound()


def test_an_event_that_names_another_file_than_the_log_gives_is_no_ground(kit: Any) -> None:
    path = log_file(kit, -1)
    event = json.loads(path.read_text())
    event["after"] = "0" * 64
    event["hash"] = event_hash(event)
    path.write_bytes(line(event))
    forget(kit)
    with pytest.raises(HandEdit, match=r"backlog\.json is not what the last save wrote"):
        kit.project.add("refused")


def test_what_recovery_did_is_said_beside_what_the_change_has_to_say(kit: Any, run_and_die: Any) -> None:
    assert run_and_die(kit, "local/journal", "project.add('killed')")
    edited(kit, lambda tasks: named(tasks, "first").update(status="done", created_by="Editor"))
    warnings = kit.project.adopt().warnings
    assert any("took back" in words for words in warnings)
    assert any("created_by" in words for words in warnings)


@pytest.mark.parametrize("name", ["actor", "key"])
def test_what_names_a_request_is_one_line_of_a_length_that_a_log_can_bear(kit: Any, name: str) -> None:
    assert kit.project.add("third", **{name: "x" * 200}).changed
    for wrong in ("", "  ", "a\nb", "x" * 201, "\x1b"):
        with pytest.raises(taskkeep.Usage, match=name):
            kit.project.add("fourth", **{name: wrong})
    assert kit.titles() == {"first", "second", "third"}


@pytest.mark.parametrize("wrong", ["a\nb", "x" * 201, "\x1b"])
def test_an_actor_of_the_environment_is_held_to_the_same_rule(
    kit: Any, scratch: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """Before anything is written, a new backlog too."""
    monkeypatch.setenv("TASKKEEP_ACTOR", wrong)
    (scratch / "new").mkdir()

    with pytest.raises(taskkeep.Usage, match="actor") as refused:
        kit.project.add("third")
    with pytest.raises(taskkeep.Usage, match="actor"):
        taskkeep.init(str(scratch / "new"), git=False)

    assert "TASKKEEP_ACTOR" in refused.value.hint
    assert kit.titles() == {"first", "second"}
    assert [path.name for path in (scratch / "new").rglob("*") if "local" not in path.parts] == [".taskkeep"]


def test_the_hook_is_named_as_it_lies_below_the_backlog(
    kit: Any, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever one stands; one that lies elsewhere is named whole."""
    monkeypatch.chdir(scratch)
    assert git_hook.planned(kit.project.root).name == ".git/hooks/pre-commit"
    kit.git("config", "core.hooksPath", str(scratch / "hooks"))
    assert git_hook.planned(kit.project.root).name == str(scratch / "hooks" / "pre-commit")


def test_ids_in_sequence_go_on_within_one_request(bare_kit: Any) -> None:
    taskkeep.init(str(bare_kit.folder), ids="sequential")
    for number in range(3):
        bare_kit.project.add(f"task {number}")
    saved = bare_kit.project.batch([{"op": "add", "title": "fourth"}, {"op": "add", "title": "fifth"}])
    assert [task["id"] for task in saved.tasks] == ["T0004", "T0005"]


# -- standing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["as merged", "edited", "in another form"])
def test_status_tells_a_hand_edit_where_branches_have_just_met(kit: Any, way: str) -> None:
    kit.git("checkout", "-q", "-b", "work")
    kit.project.add("theirs")
    kit.git("checkout", "-q", "main")
    kit.project.add("ours")
    kit.git("merge", "-q", "work")
    if way == "edited":
        edited(kit, lambda tasks: named(tasks, "ours").update(title="by hand"))
    if way == "in another form":
        edited(kit, lambda tasks: None)
    for _ in range(2):
        assert kit.project.status()["hand_edit"] is (way != "as merged")
        kit.project.recover()


# -- secrets that were let pass ----------------------------------------------------------------------


def test_secrets_of_two_tasks_are_moved_within_them_by_one_request(kit: Any) -> None:
    """What each was allowed is looked up once; what the one may hold the other may not."""
    ids = []
    for secret in (TOKEN, OTHER):
        ids.append(kit.project.add(f"use {secret}", allow_secret=True, why="a test key").task["id"])
    moves = [
        {"op": "update", "id": task_id, "title": "moved", "description": secret}
        for task_id, secret in zip(ids, (TOKEN, OTHER), strict=True)
    ]
    assert kit.project.batch(moves).changed
    with pytest.raises(taskkeep.TaskkeepError, match="description"):
        kit.project.batch([{**moves[0], "id": ids[1]}, {**moves[1], "id": ids[0]}])
    assert kit.project.batch([{"op": "update", "id": task_id, "description": "none"} for task_id in ids]).changed
    kit.project.undo()
    assert {TOKEN, OTHER} <= {task.get("description") for task in kit.project.show(ids)}


# -- a log of many files, where no commit is wanted ----------------------------------------------------


def test_a_log_is_not_packed_while_its_commits_wait(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskkeep.store.pack.LIMIT", 2)
    saved = kit.project.add("third", commit=False)
    assert (saved.pending, saved.warnings) == (True, [])
    assert len(kit.log_files()) == 4
    monkeypatch.undo()
    kit.project.recover()
    kit.assert_sound()


# -- init and uninstall ---------------------------------------------------------------------------------


def test_a_configuration_that_is_there_is_taken_in(bare_kit: Any) -> None:
    (bare_kit.folder / ".taskkeep").mkdir()
    (bare_kit.folder / ".taskkeep" / "config.toml").write_text('ids = "sequential"\n')
    taskkeep.init(str(bare_kit.folder), ids="sequential")
    assert bare_kit.git("show", "HEAD:.taskkeep/config.toml") == 'ids = "sequential"\n'
    assert bare_kit.project.add("first").task["id"] == "T0001"
    with pytest.raises(AlreadyInitialised):
        taskkeep.init(str(bare_kit.folder))


def test_attributes_that_are_a_link_are_not_written_through(bare_kit: Any) -> None:
    (bare_kit.folder / "elsewhere").write_text("*.txt text\n")
    (bare_kit.folder / ".gitattributes").symlink_to("elsewhere")
    with pytest.raises(ForeignFile, match="symbolic link"):
        taskkeep.init(str(bare_kit.folder))
    assert (bare_kit.folder / "elsewhere").read_text() == "*.txt text\n"
    assert not bare_kit.file.exists()


@pytest.mark.parametrize("committed", [True, False])
def test_the_users_own_attributes_stay_staged_and_edited_as_they_are(bare_kit: Any, committed: bool) -> None:
    """Each of the three versions gets our lines; the commit holds none of the user's changes."""
    path = bare_kit.folder / ".gitattributes"
    if committed:
        path.write_text("*.a text\n")
        bare_kit.git("add", ".gitattributes")
        bare_kit.git("commit", "-q", "-m", "attributes")
    path.write_text("*.a text\n*.b text\n")
    bare_kit.git("add", ".gitattributes")
    path.write_text("*.a text\n*.b text\n*.c text\n")

    taskkeep.init(str(bare_kit.folder))

    of_head, staged, here = (
        bare_kit.git("show", "HEAD:.gitattributes"),
        bare_kit.git("show", ":.gitattributes"),
        path.read_text(),
    )
    assert of_head == ("*.a text\n" if committed else "") + setup.BLOCK.text
    assert staged == "*.a text\n*.b text\n" + setup.BLOCK.text
    assert here == "*.a text\n*.b text\n*.c text\n" + setup.BLOCK.text


@pytest.mark.parametrize("others", ["", "*.txt text\n", None])
def test_uninstall_leaves_the_users_own_attributes(kit: Any, others: str | None) -> None:
    path = kit.folder / ".gitattributes"
    if others is None:
        path.write_text("*.txt text\n")
    else:
        path.write_text(others + path.read_text())
    path.chmod(0o600)
    kit.project.uninstall()
    assert (path.read_text() if path.exists() else "") == (others if others is not None else "*.txt text\n")
    assert not path.exists() or path.stat().st_mode & 0o777 == 0o600
    assert setup.without_attributes(Root(str(kit.folder))).action == "unchanged"


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Your quota is used up"),
        (errno.EACCES, "Look at the permissions"),
        (errno.EPERM, "Look at the permissions"),
        (errno.EROFS, "mounted read-only"),
        (errno.EMFILE, "Too many files are open"),
        (errno.EIO, "Look at the disk"),
    ],
)
def test_what_the_disk_refuses_is_said_with_what_stands_and_what_helps(number: int, hint: str) -> None:
    error = OSError(number, "reason")
    plain = files.disk_fault("it failed", error)
    assert (plain.message, plain.details["uncertain"]) == ("it failed: reason; nothing was changed", False)
    assert hint in plain.hint
    assert plain.details["errno"] == number
    assert files.disk_fault("it failed", error, left="half stands").message == "it failed: reason; half stands"
    open_ = files.disk_fault("it failed", error, uncertain=True)
    assert open_.message.startswith("it failed: reason; the outcome is uncertain")
    assert open_.details["uncertain"] is True
    assert files.disk_fault("it failed", OSError("only words")).message == "it failed: only words; nothing was changed"


def test_edits_of_files_are_shown_as_a_patch_shows_them(tmp_path: Path) -> None:
    """With its own side missing where a file comes or goes."""
    made = edits.FileEdit("made", str(tmp_path / "made"), None, b"one\n")
    changed = edits.FileEdit("changed", str(tmp_path / "changed"), b"one\ntwo\n", b"one\n\xff\n")
    gone = edits.FileEdit("gone", str(tmp_path / "gone"), b"one\n", None)
    same = edits.FileEdit("same", str(tmp_path / "same"), b"one\n", b"one\n")
    assert [edit.action for edit in (made, changed, gone, same)] == ["created", "changed", "removed", "unchanged"]
    assert edits.difference([made, changed, gone, same]) == (
        "--- /dev/null\n+++ made\n@@ -0,0 +1 @@\n+one\n"
        "--- changed\n+++ changed\n@@ -1,2 +1,2 @@\n one\n-two\n+\udcff\n"
        "--- gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n"
    )


def test_edits_of_files_are_made_or_not_at_all(kit: Any, tmp_path: Path) -> None:
    """A file is replaced as a whole; where a folder stands in its place that is said, and nothing is left beside."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("")
    with pytest.raises(ForeignFile, match="is a folder"):
        edits.found("folder", str(tmp_path / "folder"))
    wanted = edits.FileEdit("folder", str(tmp_path / "folder"), None, b"text", 0o644)
    same = edits.FileEdit("same", str(tmp_path / "same"), b"x", b"x", 0o644)
    with pytest.raises(DiskFault, match=r"folder cannot be written: .*; nothing was changed"):
        edits.carry_out([same, wanted], str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]
    first = edits.FileEdit("first", str(tmp_path / "first"), None, b"text", 0o644)
    with pytest.raises(DiskFault, match=r"folder cannot be written: .*; done before: all, first created"):
        edits.carry_out([first, wanted], str(tmp_path), done=["all"])


def test_an_installation_without_its_data_files_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(schemas, "_FOLDERS", (str(tmp_path),))
    with pytest.raises(FileNotFoundError, match="install it again"):
        schemas.schema_text("backlog.schema.json")
    with pytest.raises(FileNotFoundError, match="install it again"):
        schemas.answer_names()


def test_a_task_lost_in_a_file_without_its_last_line_is_asked_about(kit: Any) -> None:
    edited(kit, lambda tasks: tasks.pop())
    with pytest.raises(TasksLost):
        kit.project.adopt()
    assert subprocess.run(["git", "status", "--porcelain"], cwd=kit.folder, capture_output=True, check=True).stdout

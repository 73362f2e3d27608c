"""adopt: a hand edit becomes an audited change, after the rules have seen it; nothing is lost on the way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest

import taskkeep
from taskkeep.errors import (
    BacklogUnreadable,
    FieldsReverted,
    HandEdit,
    Invalid,
    LogDamaged,
    NotFound,
    TasksLost,
    Usage,
)
from taskkeep.store.log import MEND
from tests.store.test_recovery import copy_of

Value = dict[str, Any]
Die = Callable[[Any, int | str, str], bool]


def edit(kit: Any, change: Callable[[list[Value]], None], name: str = "backlog.json") -> None:
    """Edit a file as a person's script would: parsed, changed, written with another indent."""
    path = kit.root / name
    value = json.loads(path.read_bytes())
    change(value["tasks"])
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def task(kit: Any, title: str) -> Value:
    found = next(one for one in kit.project.backlog().tasks.values() if one["title"] == title)
    return dict(found)


def events(kit: Any, count: int) -> list[Value]:
    return list(kit.project.log(limit=count).events)


def named(tasks: list[Value], title: str) -> Value:
    return next(one for one in tasks if one["title"] == title)


# -- what is recorded --------------------------------------------------------------------------


def test_an_edited_field_becomes_an_event_with_a_reason_and_a_commit(kit: Any) -> None:
    edit(kit, lambda tasks: named(tasks, "first").update(title="by hand"))

    saved = kit.project.adopt()

    [event] = events(kit, 1)
    assert (event["event_type"], event["source"], bool(event["why"])) == ("task_updated", "adopt", True)
    assert event["details"]["changes"]["title"] == {"from": "first", "to": "by hand"}
    assert saved.difference.changed[0].changes["title"]["to"] == "by hand"
    assert saved.commit == kit.head()
    assert kit.project.adopt().changed is False
    kit.assert_sound()


def test_an_edit_that_was_committed_is_recorded_like_one_that_was_not(kit: Any) -> None:
    edit(kit, lambda tasks: named(tasks, "first").update(priority="high"))
    kit.git("commit", "-q", "-am", "from the web page")

    assert kit.project.adopt(why="from the web page").changed

    assert events(kit, 1)[0]["why"] == "from the web page"
    kit.assert_sound()


def test_what_only_the_program_sets_is_put_right_and_told(kit: Any) -> None:
    """A status brings its times; what made a task is not to be rewritten; the file's own updated_at is nothing."""
    was = task(kit, "first")
    edit(kit, lambda tasks: named(tasks, "first").update(status="done", created_by="Editor", updated_at="yesterday"))

    saved = kit.project.adopt()

    now = task(kit, "first")
    assert now["completed_at"] == now["updated_at"] > was["updated_at"]
    assert now["created_by"] == was["created_by"]
    assert any("completed_at" in text and "created_by" in text for text in saved.warnings)
    kit.assert_sound()


def test_a_time_of_finishing_that_a_person_wrote_is_kept(kit: Any) -> None:
    at = "2026-01-02T03:04:05.000000Z"
    edit(kit, lambda tasks: named(tasks, "first").update(status="done", completed_at=at))

    kit.project.adopt()

    assert task(kit, "first")["completed_at"] == at


def test_a_task_written_by_hand_gets_what_it_lacks(kit: Any) -> None:
    """Identity and times are told; its links by the id in the file follow the id it gets."""
    edit(
        kit,
        lambda tasks: tasks.extend(
            [{"title": "bare"}, {"id": "todo-1", "title": "named"}, {"title": "last", "depends_on": ["todo-1"]}]
        ),
    )

    saved = kit.project.adopt()

    assert {"bare", "named", "last"} <= kit.titles()
    assert task(kit, "last")["depends_on"] == [task(kit, "named")["id"]]
    assert [text.count("(the file calls it") for text in saved.warnings if "got new ids" in text] == [1]
    assert all(event["event_type"] == "task_created" for event in events(kit, 3))
    kit.assert_sound()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: json.dumps(json.loads(data)).encode(),
        lambda data: json.dumps(json.loads(data), indent=2, sort_keys=True).encode() + b"\n\n",
    ],
    ids=["CRLF", "BOM", "one line", "sorted keys"],
)
def test_another_form_of_the_same_content_is_written_canonically(kit: Any, spoil: Callable[[bytes], bytes]) -> None:
    data = kit.file.read_bytes()
    kit.file.write_bytes(spoil(data))
    kit.git("commit", "-q", "-am", "by an editor", check=False)  # for git CRLF is no change

    assert kit.project.adopt().changed

    assert kit.file.read_bytes() == data
    assert events(kit, 1)[0]["event_type"] == "reformatted"
    kit.assert_sound()


def test_a_dry_run_shows_and_writes_nothing(kit: Any) -> None:
    edit(kit, lambda tasks: named(tasks, "first").update(title="by hand"))
    before, head = kit.files(), kit.head()

    saved = kit.project.adopt(dry_run=True)

    assert saved.changed
    assert [one["title"] for one in saved.tasks] == ["by hand"]
    assert (kit.files(), kit.head()) == (before, head)


def test_nothing_edited_is_nothing_to_adopt(kit: Any) -> None:
    before, head = kit.files(), kit.head()
    assert kit.project.adopt().changed is False
    assert (kit.files(), kit.head()) == (before, head)


# -- what is refused ---------------------------------------------------------------------------


def refused(kit: Any, kind: type[taskkeep.TaskkeepError], **asked: Any) -> taskkeep.TaskkeepError:
    """adopt refuses, and all files are as they were."""
    before, head, status = kit.files(), kit.head(), kit.git("status", "--porcelain")
    with pytest.raises(kind) as caught:
        kit.project.adopt(**asked)
    assert (kit.files(), kit.head(), kit.git("status", "--porcelain")) == (before, head, status)
    return caught.value


def test_a_task_that_is_gone_must_be_named(kit: Any) -> None:
    gone = kit.id_of("first")
    edit(kit, lambda tasks: tasks.remove(named(tasks, "first")))

    error = refused(kit, TasksLost, allow_delete=[kit.id_of("second")])

    assert (error.exit_status, error.code) == (5, "lost_task")
    assert error.details["lost"] == [{"task_id": gone, "title": "first"}]
    kit.project.adopt(allow_delete=[gone.lower()])
    assert kit.titles() == {"second"}
    assert events(kit, 1)[0]["why"]
    kit.assert_sound()


def test_a_field_that_goes_back_to_an_older_value_must_be_named(kit: Any) -> None:
    """An editor's old buffer, written back over saves."""
    buffer = kit.file.read_bytes()
    task_id = kit.id_of("first")
    kit.project.update([task_id], taskkeep.Edit(set={"title": "newer"}, add={"labels": ["ci"]}))
    kit.project.note(task_id, "seen")
    kit.file.write_bytes(buffer)

    error = refused(kit, FieldsReverted)

    assert (error.exit_status, error.code) == (5, "reverted_field")
    assert {one["field"] for one in error.details["reverted"]} == {"title", "labels", "notes"}
    kit.project.adopt(allow_revert=[task_id])
    assert "first" in kit.titles()
    kit.assert_sound()


def test_a_field_that_a_person_emptied_is_taken_as_meant(kit: Any) -> None:
    """Unlike what a program empties, which `apply` refuses; verify calls it no step back either."""
    task_id = kit.project.add("full", description="long", labels=["ci"], assignee="ada", metadata={"key": 1}).task["id"]
    fields = {"description", "labels", "assignee", "metadata"}
    edit(kit, lambda tasks: [named(tasks, "full").pop(name) for name in fields])

    found = {one["code"] for one in kit.project.verify().findings}
    assert "unaudited_change" in found
    assert "reverted_field" not in found
    kit.project.adopt()

    [task] = kit.project.show([task_id])
    assert not fields & task.keys()
    kit.assert_sound()


def test_a_deleted_task_that_comes_back_must_be_named(kit: Any) -> None:
    buffer, task_id = kit.file.read_bytes(), kit.id_of("first")
    kit.project.delete([task_id], why="not needed")
    kit.file.write_bytes(buffer)

    error = refused(kit, FieldsReverted)

    assert error.details["reverted"][0]["field"] is None
    kit.project.adopt(allow_revert=[task_id])
    assert kit.id_of("first") == task_id
    kit.assert_sound()


def test_an_id_that_a_deleted_task_had_is_not_given_out_again(kit: Any) -> None:
    task_id = kit.id_of("first")
    kit.project.delete([task_id], why="not needed")
    edit(kit, lambda tasks: tasks.append({"id": task_id, "title": "another"}))

    kit.project.adopt()

    assert kit.id_of("another") != task_id
    kit.assert_sound()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"status": "someday"}, 4),
        ({"title": "two\nlines"}, 4),
        ({"colour": "red"}, 4),
        ({"due": "2026-02-30"}, 4),
        ({"labels": "ci"}, 4),
        ({"depends_on": ["T99999"]}, 5),
    ],
)
def test_what_the_rules_refuse_is_refused(kit: Any, fields: Value, status: int) -> None:
    edit(kit, lambda tasks: named(tasks, "first").update(fields))

    assert refused(kit, taskkeep.TaskkeepError).exit_status == status


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version":1,"tasks":[],"tasks":[]}', b"<<<<<<< ours\n"])
def test_a_file_that_is_no_backlog_is_refused(kit: Any, data: bytes) -> None:
    kit.file.write_bytes(data)

    refused(kit, BacklogUnreadable)


def test_text_spoiled_by_a_wrong_encoding_is_named(kit: Any) -> None:
    kit.project.update([kit.id_of("first")], taskkeep.Edit(set={"description": "Das Menü – fertig"}))
    spoiled = kit.file.read_bytes().decode().encode().decode("cp1252").encode()
    kit.file.write_bytes(spoiled)

    assert refused(kit, Invalid).code == "mojibake"


# -- branches that met, the archive, crashes -----------------------------------------------------


def test_the_choice_of_a_merge_is_recorded(kit: Any) -> None:
    task_id = kit.id_of("first")
    kit.git("checkout", "-q", "-b", "work")
    kit.project.update([task_id], taskkeep.Edit(set={"title": "theirs"}))
    kit.git("checkout", "-q", "main")
    kit.project.update([task_id], taskkeep.Edit(set={"title": "ours"}))
    kit.git("merge", "-q", "-s", "ours", "work")
    kit.git("checkout", "-q", "work", "--", ".taskkeep/audit")
    kit.git("commit", "-q", "--amend", "--no-edit")

    kit.project.adopt(why="ours is right")

    [event] = events(kit, 1)
    assert (event["event_type"], event["why"]) == ("merged", "ours is right")
    assert "ours" in kit.titles()
    kit.assert_sound()


def test_an_edit_upon_a_merge_is_recorded_beside_the_choice(kit: Any) -> None:
    task_id = kit.id_of("first")
    kit.git("checkout", "-q", "-b", "work")
    kit.project.update([task_id], taskkeep.Edit(set={"title": "theirs", "priority": "high"}))
    kit.git("checkout", "-q", "main")
    kit.project.update([task_id], taskkeep.Edit(set={"title": "ours"}))
    kit.git("merge", "-q", "-X", "ours", "work", check=False)
    edit(kit, lambda tasks: named(tasks, "ours").update(priority="high", description="by hand"))
    kit.git("add", "-A")
    kit.git("commit", "-q", "-m", "merged")

    kit.project.adopt()

    assert [event["event_type"] for event in events(kit, 2)] == ["task_updated", "merged"]
    assert task(kit, "ours")["description"] == "by hand"
    assert task(kit, "ours")["priority"] == "high"
    kit.assert_sound()


def test_a_hand_edit_of_the_archive_is_adopted_like_one_of_the_backlog(kit: Any) -> None:
    task_id = kit.id_of("first")
    kit.project.finish([task_id])
    kit.project.archive(older_than="0d")
    edit(kit, lambda tasks: named(tasks, "first").update(description="by hand"), "backlog.archive.json")

    kit.project.adopt()

    [event] = events(kit, 1)
    assert event["details"]["archived"] is True
    assert kit.project.backlog().archived[task_id]["description"] == "by hand"
    kit.assert_sound()


def test_another_form_of_the_archive_is_written_canonically(kit: Any) -> None:
    """Beside a backlog that is as it was saved; the event tells which file it was."""
    kit.project.finish([kit.id_of("first")])
    kit.project.archive(older_than="0d")
    edit(kit, lambda tasks: None, "backlog.archive.json")

    kit.project.adopt()

    [event] = events(kit, 1)
    assert (event["event_type"], event["details"]) == ("reformatted", {"files": ["backlog.archive.json"]})
    kit.assert_sound()


def test_a_reverted_save_is_brought_back_from_the_base_and_then_taken_back_aloud(kit: Any) -> None:
    """git revert took event and change away; the base has the event, so the tree must say why it lacks the change."""
    task_id = kit.id_of("first")
    kit.project.update([task_id], taskkeep.Edit(set={"title": "newer"}))
    kit.git("branch", "base")
    kit.git("revert", "--no-edit", "HEAD")
    kit.project.add("since then")
    lacking = kit.log_files()

    refused(kit, FieldsReverted, base="base")
    kit.project.adopt(base="base", allow_revert=[task_id], why="it was wrong")

    assert kit.git("rev-list", "--count", "base..HEAD").strip() == "3"
    assert {name: kit.log_files()[name] for name in lacking} == lacking
    assert len(kit.log_files()) == len(lacking) + 2
    assert "first" in kit.titles()
    kit.assert_sound()


@pytest.mark.parametrize(
    ("base", "kind"),
    [("nowhere", NotFound), ("", Usage), ("--output=x", Usage), ("a\nb", Usage), ("backlog.json", Usage)],
)
def test_a_base_that_is_no_revision_is_refused(kit: Any, base: str, kind: type[taskkeep.TaskkeepError]) -> None:
    refused(kit, kind, base=base)


@pytest.mark.parametrize("away", ["first", "second", "all"])
def test_what_the_log_lacks_is_mended_and_not_adopted(kit: Any, away: str) -> None:
    """No hand edit: every refusal names the file and who has it, and leads to what brings it back."""
    files = sorted((kit.root / ".taskkeep/audit").rglob("*.jsonl"))
    for file in {"first": files[1:2], "second": files[2:], "all": files}[away]:
        file.unlink()
    if away == "all":
        shutil.rmtree(kit.root / ".taskkeep/audit")

    for write, kind in ((lambda: kit.project.add("third"), HandEdit), (lambda: kit.project.adopt(), LogDamaged)):
        with pytest.raises(kind, match=r"is gone; commit .* has it") as refused:
            write()
        assert "doctor --fix" in refused.value.hint
    assert {one["hint"] for one in kit.project.verify().findings if "taken out" in one["message"]} == {MEND}

    saved = kit.project.adopt(base="HEAD")
    assert (saved.changed, saved.commit, saved.pending) == (True, None, False)
    kit.assert_sound()


def test_a_kill_at_any_step_leaves_the_hand_edit_or_the_change(kit: Any, run_and_die: Die) -> None:
    task_id = kit.id_of("first")
    kit.project.update([task_id], taskkeep.Edit(set={"title": "newer"}))
    kit.git("branch", "base")
    kit.git("revert", "--no-edit", "HEAD")
    kit.project.add("since then")
    code = f"project.adopt(base='base', allow_revert=[{task_id!r}])"
    for step in range(1, 200):
        copy = copy_of(kit, kit.folder.parent / f"step-{step}")
        killed = run_and_die(copy, step, code)

        copy.project.recover()
        copy.project.adopt(base="base", allow_revert=[task_id])

        assert copy.project.log(types=["merged"]).total == 1, step
        copy.project.add("after")
        copy.assert_sound()
        if not killed:
            break
    assert step > 10


# -- what waits beside a hand edit -----------------------------------------------------------------


@pytest.mark.parametrize("spoil", [b"{", b"", None], ids=["no JSON", "empty", "against the schema"])
def test_recover_commits_what_waits_beside_a_file_that_nobody_can_read(kit: Any, spoil: bytes | None) -> None:
    """The hand edit stays in the working tree and is named; the commit holds what was saved."""
    kit.project.add("waits", commit=False)
    saved = kit.file.read_bytes()
    kit.file.write_bytes(saved.replace(b'"todo"', b'"someday"') if spoil is None else spoil)
    edited = kit.file.read_bytes()

    answer = kit.project.recover()

    assert any("left alone" in text for text in answer.warnings)
    assert answer.commit == kit.head()
    assert kit.file.read_bytes() == edited
    assert "waits" in kit.titles_in_head()
    assert kit.git("status", "--porcelain").strip() == "M backlog.json"
    kit.file.write_bytes(saved)
    kit.assert_sound()


def test_what_waits_is_committed_as_it_was_saved_before_the_hand_edit(kit: Any) -> None:
    kit.project.add("waits", commit=False)
    saved = kit.file.read_bytes()
    edit(kit, lambda tasks: named(tasks, "waits").update(title="by hand"))

    kit.project.adopt()

    assert kit.git("show", "HEAD~1:backlog.json").encode() == saved
    kit.assert_sound()


@pytest.mark.parametrize("cached", [True, False])
def test_status_tells_a_hand_edit_with_and_without_the_cache(kit: Any, cached: bool) -> None:
    def status() -> Any:
        if not cached:
            shutil.rmtree(kit.local / "cache")
        return kit.project.status()["hand_edit"]

    assert status() is False
    edit(kit, lambda tasks: named(tasks, "first").update(title="by hand"))
    (kit.local / "cache").mkdir(exist_ok=True)
    assert status() is True

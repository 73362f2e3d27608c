"""apply: a backlog that a program or a model rewrote as a whole goes through the rules as one change."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import taskkeep
from taskkeep.errors import (
    Conflicting,
    FieldsReverted,
    HandEdit,
    InputInvalid,
    Mojibake,
    OneTaskOnly,
    TasksLost,
    UnknownPoint,
)

Value = dict[str, Any]


def rewritten(kit: Any, change: Callable[[list[Value]], object]) -> bytes:
    value = json.loads(kit.file.read_bytes())
    change(value["tasks"])
    return json.dumps(value).encode()


def named(tasks: list[Value], title: str) -> Value:
    return next(one for one in tasks if one["title"] == title)


def task(kit: Any, title: str) -> Value:
    return dict(named(list(kit.project.backlog().tasks.values()), title))


def refused(kit: Any, data: bytes, kind: type[taskkeep.TaskkeepError], **asked: Any) -> taskkeep.TaskkeepError:
    before, head = kit.files(), kit.head()
    with pytest.raises(kind) as caught:
        kit.project.apply(data, **asked)
    assert (kit.files(), kit.head()) == (before, head)
    return caught.value


def test_all_differences_are_one_change(kit: Any) -> None:
    """One commit, an event for each task, told by source, with a reason."""

    def change(tasks: list[Value]) -> None:
        named(tasks, "first").update(status="done", labels=["b", "a"])
        tasks.append({"title": "third", "depends_on": [named(tasks, "second")["id"]], "notes": ["from the model"]})

    commits = kit.commits()

    saved = kit.project.apply(rewritten(kit, change), name="new.json")

    assert kit.commits() == commits + 1
    assert sorted(event["event_type"] for event in kit.project.log(limit=2).events) == ["task_created", "task_updated"]
    assert {(event["source"], event["why"]) for event in kit.project.log(limit=2).events} == {
        ("apply", "new.json applied as a whole")
    }
    assert [one["title"] for one in saved.difference.added] == ["third"]
    assert task(kit, "first")["completed_at"] == task(kit, "first")["updated_at"]
    assert task(kit, "third")["notes"][0]["by"] == task(kit, "third")["created_by"]
    kit.assert_sound()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: b"Here you are:\n```json\n" + json.dumps(value).encode() + b"\n```\nAnything else?\n",
        lambda value: json.dumps(value["tasks"]).encode(),
        lambda value: b"\xef\xbb\xbf" + json.dumps(value, indent=4).replace("\n", "\r\n").encode(),
        lambda value: json.dumps({"tasks": [dict(reversed(one.items())) for one in value["tasks"][::-1]]}).encode(),
        lambda value: json.dumps({"schema_version": 1, "tasks": value["tasks"], "total": 2, "next": None}).encode(),
    ],
    ids=["fenced", "a bare list", "BOM and CRLF", "another order", "as list --json gives it"],
)
def test_the_same_content_in_another_dress_changes_nothing(kit: Any, wrap: Callable[[Value], bytes]) -> None:
    before = kit.files()

    assert kit.project.apply(wrap(json.loads(kit.file.read_bytes()))).changed is False

    assert kit.files() == before


def test_fields_that_the_program_sets_are_not_taken_from_the_file(kit: Any) -> None:
    was = task(kit, "first")

    def change(tasks: list[Value]) -> None:
        one = named(tasks, "first")
        for field in ("uid", "created_at", "created_by", "updated_at"):
            del one[field]
        one.update(completed_at="never", claimed_by="a model", aliases=["x"], etag="0" * 16)

    assert kit.project.apply(rewritten(kit, change)).changed is False
    assert task(kit, "first") == was


def test_a_task_that_is_missing_must_be_named(kit: Any) -> None:
    gone = kit.id_of("first")
    data = rewritten(kit, lambda tasks: tasks.remove(named(tasks, "first")))

    error = refused(kit, data, TasksLost)

    assert error.details["lost"] == [{"task_id": gone, "title": "first"}]
    kit.project.apply(data, allow_delete=[gone])
    assert kit.titles() == {"second"}
    kit.assert_sound()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", "medium"),
        ("labels", []),
        ("labels", ["kept"]),
        ("description", None),
        ("notes", []),
        ("acceptance_criteria", [{"text": "one", "done": True}]),
        ("acceptance_criteria", [{"text": "one", "done": False}, {"text": "two", "done": False}]),
        ("metadata", {}),
        ("assignee", None),
    ],
)
def test_what_goes_back_or_is_cut_must_be_named(kit: Any, field: str, value: Any) -> None:
    """Set back to what the log knows as older, or emptied: either way somebody's work would be gone."""
    task_id = kit.id_of("first")
    criteria = [{"text": "one", "done": False}, {"text": "two", "done": False}]
    kit.project.update(
        [task_id],
        taskkeep.Edit(
            set={"priority": "high", "labels": ["kept"], "description": "long", "acceptance_criteria": criteria},
            metadata={"key": 1},
        ),
    )
    kit.project.update([task_id], taskkeep.Edit(set={"assignee": "ada"}, add={"labels": ["ci"]}, check=[1]))
    kit.project.note(task_id, "seen")
    data = rewritten(kit, lambda tasks: named(tasks, "first").update({field: value}))

    error = refused(kit, data, FieldsReverted)

    assert [one["field"].partition(".")[0] for one in error.details["reverted"]] == [field]
    assert kit.project.apply(data, allow_revert=[task_id]).changed
    kit.assert_sound()


def test_new_values_pass_without_a_word(kit: Any) -> None:
    """A new wording, another label, a criterion ticked or put in other words are what a rewriting is for."""
    task_id = kit.id_of("first")
    criteria = [{"text": "one", "done": False}, {"text": "two", "done": False}]
    kit.project.update([task_id], taskkeep.Edit(set={"acceptance_criteria": criteria, "description": "as it was"}))

    def change(tasks: list[Value]) -> None:
        named(tasks, "first").update(
            title="First", labels=["new"], priority="low", description="in other words",
            acceptance_criteria=[{"text": "one", "done": True}, {"text": "the second", "done": False}],
        )  # fmt: skip

    saved = kit.project.apply(rewritten(kit, change))

    assert saved.changed
    assert saved.warnings == []
    kit.assert_sound()


def test_a_description_that_shrank_to_a_stub_is_told(kit: Any) -> None:
    kit.project.update([kit.id_of("first")], taskkeep.Edit(set={"description": "word " * 100}))

    saved = kit.project.apply(rewritten(kit, lambda tasks: named(tasks, "first").update(description="…")))

    assert saved.changed
    assert any("shrank" in text for text in saved.warnings)


def test_text_that_was_only_wrapped_anew_stays_as_it_is(kit: Any) -> None:
    kit.project.update([kit.id_of("first")], taskkeep.Edit(set={"description": "one two\nthree"}))
    before = kit.files()

    saved = kit.project.apply(rewritten(kit, lambda tasks: named(tasks, "first").update(description="one\ntwo three")))

    assert saved.changed is False
    assert any("line breaks" in text for text in saved.warnings)
    assert kit.files() == before


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("Menü – fertig", "MenÃ¼ â€“ fertig"), ("Menü", "Men?"), ("plain", "cafÃ© at noon"), ("Menü", "Men\ufffd")],
)
def test_mojibake_is_named(kit: Any, ours: str, theirs: str) -> None:
    kit.project.update([kit.id_of("first")], taskkeep.Edit(set={"description": ours}))
    data = rewritten(kit, lambda tasks: named(tasks, "first").update(description=theirs))

    error = refused(kit, data, Mojibake)

    assert error.exit_status == 4
    assert error.details["found"][0]["field"] == "description"


def test_text_of_many_scripts_is_no_mojibake(kit: Any) -> None:
    text = "Ça va? Größe, naïve façade – «œuvre» … 漢字 Ελλάδα “quoted” ½ × 3 £ © 2026 👩‍💻"
    data = rewritten(kit, lambda tasks: named(tasks, "first").update(description=text))

    kit.project.apply(data)

    assert task(kit, "first")["description"] == text


def test_a_block_copied_to_begin_a_new_task_is_a_new_task(kit: Any) -> None:
    """Its uid is that of the task it was copied from, which keeps its own."""
    first = kit.id_of("first")

    kit.project.apply(
        rewritten(kit, lambda tasks: tasks.append({**named(tasks, "first"), "id": "NEW", "title": "copy"}))
    )

    assert kit.id_of("first") == first
    assert task(kit, "copy")["uid"] != task(kit, "first")["uid"]
    kit.assert_sound()


def test_a_task_under_another_id_is_known_by_its_uid_and_keeps_its_id(kit: Any) -> None:
    """Links by the id of the file are taken for what they mean."""
    first = kit.id_of("first")

    def change(tasks: list[Value]) -> None:
        named(tasks, "first")["id"] = "T00001"
        named(tasks, "second")["depends_on"] = ["T00001"]

    saved = kit.project.apply(rewritten(kit, change))

    assert kit.id_of("first") == first
    assert task(kit, "second")["depends_on"] == [first]
    assert any("kept their ids" in text for text in saved.warnings)


def test_an_archived_task_comes_back_only_when_it_is_named(kit: Any) -> None:
    task_id = kit.id_of("first")
    kit.project.finish([task_id])
    data = kit.file.read_bytes()
    kit.project.archive(older_than="0d")

    error = refused(kit, data, FieldsReverted)

    assert [(one["task_id"], one["field"]) for one in error.details["reverted"]] == [(task_id, "archived")]
    kit.project.apply(data, allow_revert=[task_id])
    assert "first" in kit.titles()
    kit.assert_sound()


@pytest.mark.parametrize(
    "data",
    [b"", b"no JSON", b"{}", b"[1]", b'{"version": 2, "tasks": []}', b'{"tasks": {}}', b"\xff", b"```\n{\n```\n",
     b'[{"title": "a", "title": "b"}]', b'[{"id": "T1", "title": "a"}, {"id": "T1", "title": "b"}]', b"[{}]",
     b'[{"id": 7, "title": "a"}]'],
)  # fmt: skip
def test_what_is_no_backlog_is_refused_as_invalid(kit: Any, data: bytes) -> None:
    assert refused(kit, data, taskkeep.Invalid).exit_status == 4


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"colour": "red"}, 4), ({"status": "someday"}, 4), ({"title": None}, 4), ({"depends_on": ["T99999"]}, 5)],
)
def test_what_the_rules_refuse_is_refused(kit: Any, fields: Value, status: int) -> None:
    data = rewritten(kit, lambda tasks: named(tasks, "first").update(fields))

    assert refused(kit, data, taskkeep.TaskkeepError).exit_status == status


def test_upon_a_hand_edit_nothing_is_applied(kit: Any) -> None:
    data = kit.file.read_bytes()
    kit.file.write_bytes(data.replace(b"first", b"edited"))

    refused(kit, data, HandEdit)


def test_a_dry_run_shows_and_writes_nothing_and_an_etag_has_no_meaning(kit: Any) -> None:
    before = kit.files()
    data = rewritten(kit, lambda tasks: named(tasks, "first").update(title="new"))

    saved = kit.project.apply(data, dry_run=True)

    assert (saved.changed, [one["title"] for one in saved.tasks]) == (True, ["new"])
    assert kit.files() == before
    refused(kit, data, OneTaskOnly, if_match="0" * 16)


def test_the_same_request_with_its_key_is_replayed(kit: Any) -> None:
    data = rewritten(kit, lambda tasks: tasks.append({"title": "third"}))
    first = kit.project.apply(data, key="k")

    again = kit.project.apply(data, key="k")

    assert (again.replayed, again.events, again.commit) == (True, first.events, first.commit)
    assert kit.project.backlog().tasks.keys() >= {one["id"] for one in again.tasks}


def test_input_errors_name_the_file(kit: Any) -> None:
    assert "their.json" in refused(kit, b"{", InputInvalid, name="their.json").message


# -- upon an older state -------------------------------------------------------------------


def test_what_came_since_the_base_stays(kit: Any) -> None:
    """Other fields of the same task, a new task, a deletion, a note; the file's own changes come on top."""
    kit.project.add("third")
    third = kit.id_of("third")
    written_upon = kit.head()
    fields = {"priority": "high", "labels": ["theirs"], "notes": ["of the model"]}
    data = rewritten(kit, lambda tasks: named(tasks, "first").update(fields))
    kit.project.update([kit.id_of("first")], taskkeep.Edit(set={"assignee": "ada"}, add={"labels": ["ours"]}))
    kit.project.note(kit.id_of("second"), "meanwhile")
    kit.project.delete([third], why="done elsewhere")
    kit.project.add("fourth")
    refused(kit, data, TasksLost)

    saved = kit.project.apply(data, base=written_upon)

    assert saved.changed
    assert [(one.task_id, sorted(one.changes)) for one in saved.difference.changed] == [
        (kit.id_of("first"), ["labels", "notes", "priority"])
    ]
    first = task(kit, "first")
    assert (first["priority"], first["assignee"], first["labels"]) == ("high", "ada", ["ours", "theirs"])
    assert kit.titles() == {"first", "second", "fourth"}
    assert task(kit, "second")["notes"][0]["text"] == "meanwhile"
    assert kit.project.apply(data, base=written_upon).changed is False
    kit.assert_sound()


def test_the_base_is_an_event_or_a_revision(kit: Any) -> None:
    data = rewritten(kit, lambda tasks: named(tasks, "first").update(priority="high"))
    event = kit.project.log(limit=1).events[0]["event_id"]
    kit.project.update([kit.id_of("second")], taskkeep.Edit(set={"role": "backend"}))

    assert kit.project.apply(data, base=event).changed
    assert kit.project.apply(data, base="HEAD~2").changed is False

    assert (task(kit, "first")["priority"], task(kit, "second")["role"]) == ("high", "backend")
    assert isinstance(refused(kit, data, taskkeep.TaskkeepError, base="nowhere"), UnknownPoint)


def test_what_both_changed_is_refused_and_named(kit: Any) -> None:
    """One field set to two values, and a task that the file changes and somebody deleted meanwhile."""
    first, second = kit.id_of("first"), kit.id_of("second")

    def change(tasks: list[Value]) -> None:
        named(tasks, "first").update(title="of the file", role="backend")
        named(tasks, "second").update(priority="low")

    data, base = rewritten(kit, change), kit.head()
    kit.project.update([first], taskkeep.Edit(set={"title": "since"}))
    kit.project.delete([second], why="gone")

    error = refused(kit, data, Conflicting, base=base)

    found = {(one["task_id"], one["field"], one["kind"]) for one in error.details["conflicts"]}
    assert found == {(first, "title", "field"), (second, None, "delete_edit")}
    [title] = [one for one in error.details["conflicts"] if one["field"] == "title"]
    assert (title["base"], title["ours"], title["theirs"]) == ("first", "since", "of the file")


def test_upon_a_base_nothing_goes_or_goes_back_unnamed_either(kit: Any) -> None:
    kit.project.update([kit.id_of("first")], taskkeep.Edit(set={"priority": "high"}))
    first, second, base = kit.id_of("first"), kit.id_of("second"), kit.head()
    kit.project.add("third")
    dropped = rewritten(kit, lambda tasks: tasks.remove(named(tasks, "second")))
    back = rewritten(kit, lambda tasks: named(tasks, "first").update(priority="medium"))

    refused(kit, dropped, TasksLost, base=base)
    refused(kit, back, FieldsReverted, base=base)

    assert kit.project.apply(dropped, base=base, allow_delete=[second]).changed
    assert kit.project.apply(back, base=base, allow_revert=[first]).changed
    assert kit.titles() == {"first", "third"}
    kit.assert_sound()


def test_a_task_that_the_base_has_not_and_the_file_names_is_no_new_one(kit: Any) -> None:
    """The base was named too early."""
    base = kit.head()
    kit.project.add("third")
    data = rewritten(kit, lambda tasks: named(tasks, "third").update(priority="high"))

    kit.project.apply(data, base=base)

    assert kit.titles() == {"first", "second", "third"}
    assert task(kit, "third")["priority"] == "high"
    kit.assert_sound()

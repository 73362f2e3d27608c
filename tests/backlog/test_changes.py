"""Each change of a backlog: what it does, what it leaves, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from taskkeep.backlog import changes
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import Edit, new_task
from taskkeep.backlog.task import PROGRAM_FIELDS, Task, etag
from taskkeep.errors import (
    ClaimHeld,
    CriterionNotFound,
    DanglingLink,
    InvalidField,
    LinkCycle,
    TaskArchived,
    TaskBlocked,
    TaskkeepError,
    TaskNeeded,
    TaskNotFound,
    UnknownField,
)

THEN = "2026-11-20T12:00:00.000000Z"
NOW = "2026-11-21T12:00:00.000000Z"
LATER = "2026-11-22T12:00:00.000000Z"
WHO: dict[str, Any] = {"now": NOW, "actor": "ada"}


def task(task_id: str, *, aliases: tuple[str, ...] = (), **fields: Any) -> Task:
    uid = task_id[1:].lower().rjust(32, "0")
    fields = {"title": task_id, **fields}
    program: dict[str, Any] = {"aliases": list(aliases)}
    for field in PROGRAM_FIELDS:
        if field in fields:
            program[field] = fields.pop(field)
    return new_task(
        Backlog({}), fields, task_id=task_id, uid=uid, now=THEN, actor="ada", program=program, resolve=False
    )


def updated(backlog: Backlog, task_id: str, **edit: Any) -> Task:
    return changes.update_task(backlog, task_id, Edit(**edit), **WHO).tasks[task_id]


# -- adding


def test_a_new_task_has_the_usual_values() -> None:
    backlog = changes.add_task(Backlog({}), {"title": "One"}, task_id="T0001", uid="0" * 32, **WHO)
    assert backlog.tasks["T0001"] == {
        "id": "T0001",
        "uid": "0" * 32,
        "title": "One",
        "status": "todo",
        "priority": "medium",
        "type": "task",
        "created_at": NOW,
        "created_by": "ada",
        "updated_at": NOW,
    }


def test_a_new_task_takes_every_field_that_a_user_sets() -> None:
    fields = {
        "title": "One",
        "description": "a\r\nb",
        "status": "In-Progress",
        "priority": "HIGH",
        "type": "bug",
        "labels": ["ui", " ci "],
        "assignee": "ada",
        "role": "backend",
        "parent": "t0002",
        "depends_on": ["t0003", "T0002"],
        "acceptance_criteria": ["works", {"text": "looks good", "done": True}],
        "due": "2027-01-31",
        "external_refs": ["github:17"],
        "notes": ["first"],
        "metadata": {"b": 1, "a": [None]},
    }
    backlog = Backlog.of([task("T0002"), task("T0004", aliases=("T0003",))])

    result = changes.add_task(backlog, fields, task_id="T0001", uid="0" * 32, **WHO).tasks["T0001"]

    assert result["description"] == "a\nb"
    assert (result["status"], result["started_at"]) == ("in_progress", NOW)
    assert result["labels"] == ["ci", "ui"]
    assert result["parent"] == "T0002"
    assert result["depends_on"] == ["T0002", "T0004"]
    assert result["acceptance_criteria"] == [
        {"text": "works", "done": False},
        {"text": "looks good", "done": True},
    ]
    assert result["notes"] == [{"at": NOW, "by": "ada", "text": "first"}]
    assert list(result["metadata"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, InvalidField),
        ({"title": "a\nb"}, InvalidField),
        ({"title": 5}, InvalidField),
        ({"title": "a", "labels": "ci"}, InvalidField),
        ({"title": "a", "labels": ["ci", 5]}, InvalidField),
        ({"title": "a", "status": "finished"}, InvalidField),
        ({"title": "a", "priority": 1}, InvalidField),
        ({"title": "a", "due": "2026-02-30"}, InvalidField),
        ({"title": "a", "due": "tomorrow"}, InvalidField),
        ({"title": "a", "metadata": [1]}, InvalidField),
        ({"title": "a", "metadata": {"a": float("nan")}}, InvalidField),
        ({"title": "a", "metadata": {"a": 10**300}}, InvalidField),
        ({"title": "a", "metadata": {"a": object()}}, InvalidField),
        ({"title": "a", "metadata": {"a\x00": 1}}, InvalidField),
        ({"title": "a", "acceptance_criteria": [{"done": True}]}, InvalidField),
        ({"title": "a", "acceptance_criteria": [{"text": "b", "done": 1}]}, InvalidField),
        ({"title": "a", "acceptance_criteria": [{"text": "b", "x": 1}]}, InvalidField),
        ({"title": "a", "notes": [{"text": "b", "by": "bot", "at": THEN}]}, InvalidField),
        ({"title": "a", "id": "T9999"}, InvalidField),
        ({"title": "a", "completed_at": NOW}, InvalidField),
        ({"title": "a", "assignee": "a\tb"}, InvalidField),
        ({"title": "a", "titel": "b"}, UnknownField),
        ({"title": "a", "parent": "T9999"}, DanglingLink),
        ({"title": "a", "depends_on": ["T9999"]}, DanglingLink),
        ({"title": "a", "depends_on": ["t0001"]}, LinkCycle),
        ({"title": "a", "parent": "T0001"}, LinkCycle),
    ],
)
def test_a_wrong_field_is_refused_by_name(fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        changes.add_task(Backlog({}), fields, task_id="T0001", uid="0" * 32, **WHO)
    assert (list(fields) or ["title"])[-1] in str(caught.value)


def test_a_misspelt_field_names_the_nearest() -> None:
    with pytest.raises(UnknownField) as caught:
        changes.add_task(Backlog({}), {"title": "a", "asignee": "b"}, task_id="T0001", uid="0" * 32, **WHO)
    assert "assignee" in caught.value.hint


def test_metadata_is_nested_as_deep_as_the_file_allows() -> None:
    value: Any = 1
    for _ in range(59):
        value = [value]
    backlog = Backlog.of([task("T0001")])
    assert updated(backlog, "T0001", metadata={"a": value})["metadata"] == {"a": value}
    with pytest.raises(InvalidField, match="deeper"):
        updated(backlog, "T0001", metadata={"a": [value]})


def test_an_import_keeps_the_times_that_its_source_knows() -> None:
    result = new_task(
        Backlog({}),
        {"title": "a", "status": "done", "notes": [{"at": THEN, "by": "bot", "text": "b"}], "parent": "T0002"},
        task_id="T0001",
        uid="0" * 32,
        now=NOW,
        actor="ada",
        program={"created_at": THEN, "completed_at": THEN, "created_by": "bot"},
        resolve=False,
    )
    assert (result["created_at"], result["completed_at"], result["updated_at"]) == (THEN, THEN, NOW)
    assert result["created_by"] == "bot"


# -- updating


def test_an_update_changes_only_what_it_names() -> None:
    backlog = Backlog.of([task("T0001", labels=["ci"]), task("T0002")])
    after = changes.update_task(backlog, "t0001", Edit(set={"title": "New"}), **WHO)
    assert after.tasks["T0001"] == {**backlog.tasks["T0001"], "title": "New", "updated_at": NOW}
    assert after.tasks["T0002"] is backlog.tasks["T0002"]
    assert backlog.tasks["T0001"]["title"] == "T0001"


@pytest.mark.parametrize(
    "edit",
    [
        Edit(),
        Edit(set={"title": "T0001", "priority": "MEDIUM", "description": None, "due": ""}),
        Edit(set={"labels": ["ui", "ci", "ci"], "depends_on": ["t0002"]}),
        Edit(add={"labels": ["ci"], "acceptance_criteria": ["works"], "depends_on": ["t0002"]}),
        Edit(remove={"labels": ["gone"], "depends_on": ["T0003"], "acceptance_criteria": ["gone"]}),
        Edit(metadata={"a": 1, "gone": None}),
        Edit(uncheck=[1]),
    ],
)
def test_what_is_so_already_changes_nothing(edit: Edit) -> None:
    backlog = Backlog.of(
        [
            task(
                "T0001",
                labels=["ci", "ui"],
                depends_on=["T0002"],
                acceptance_criteria=["works"],
                metadata={"a": 1},
            ),
            task("T0002"),
            task("T0003"),
        ]
    )
    assert changes.update_task(backlog, "T0001", edit, **WHO) is backlog


def test_lists_grow_and_shrink() -> None:
    backlog = Backlog.of(
        [task("T0001", labels=["ci", "ui"], external_refs=["a:1"], depends_on=["T0002"]), task("T0002")]
    )
    result = updated(
        backlog,
        "T0001",
        add={"labels": ["api"], "external_refs": ["b:2"], "acceptance_criteria": ["one", "two"], "notes": ["x"]},
        remove={"labels": ["ui"], "depends_on": ["t0002"]},
    )
    assert result["labels"] == ["api", "ci"]
    assert result["external_refs"] == ["a:1", "b:2"]
    assert [item["text"] for item in result["acceptance_criteria"]] == ["one", "two"]
    assert result["notes"] == [{"at": NOW, "by": "ada", "text": "x"}]
    assert "depends_on" not in result


def test_a_criterion_is_taken_out_by_its_text_and_a_link_by_any_name_of_its_task() -> None:
    """Ticked or not; by an alias too."""
    criteria = [{"text": "one", "done": True}, {"text": "two", "done": False}, {"text": "three", "done": True}]
    backlog = Backlog.of([
        task("T0001", acceptance_criteria=criteria, depends_on=["T0002", "T0003"]),
        task("T0002", aliases=("T0077",)), task("T0003"),
    ])  # fmt: skip

    result = updated(backlog, "T0001", remove={"acceptance_criteria": ["one", "two"], "depends_on": ["t0077"]})

    assert (result["acceptance_criteria"], result["depends_on"]) == (criteria[2:], ["T0003"])
    taken_out = {"acceptance_criteria": ["one"], "labels": ["x"], "depends_on": ["T0001"]}
    assert updated(backlog, "T0002", remove=taken_out) is backlog.tasks["T0002"]


def test_criteria_are_ticked_by_number_from_one() -> None:
    backlog = Backlog.of([task("T0001", acceptance_criteria=["a", {"text": "b", "done": True}])])
    result = updated(backlog, "T0001", check=[1], uncheck=[2])
    assert [item["done"] for item in result["acceptance_criteria"]] == [True, False]
    for number in (0, 3, -1):
        with pytest.raises(CriterionNotFound):
            updated(backlog, "T0001", check=[number])


@pytest.mark.parametrize("field", ["title", "status", "priority", "type", "id", "uid", "created_at"])
def test_a_required_field_is_not_taken_out(field: str) -> None:
    with pytest.raises(InvalidField, match=field):
        updated(Backlog.of([task("T0001")]), "T0001", set={field: None})


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_nothing_in_whatever_form_takes_a_field_out(nothing: Any) -> None:
    full: dict[str, Any] = {
        "description": "a", "labels": ["a"], "assignee": "a", "role": "a", "parent": "T0002", "depends_on": ["T0002"],
        "acceptance_criteria": ["a"], "due": "2027-01-31", "external_refs": ["a"], "notes": ["a"], "metadata": {"a": 1},
    }  # fmt: skip
    backlog = Backlog.of([task("T0001", **full), task("T0002")])
    for field in full:
        assert backlog.tasks["T0001"].keys() - updated(backlog, "T0001", set={field: nothing}).keys() == {field}


@pytest.mark.parametrize("kind", ["add", "remove"])
@pytest.mark.parametrize("field", ["title", "aliases", "metadata", "nonsense"])
def test_only_lists_of_the_user_grow_and_shrink(kind: str, field: str) -> None:
    with pytest.raises((InvalidField, UnknownField), match=field):
        updated(Backlog.of([task("T0001")]), "T0001", **{kind: {field: ["x"]}})


def test_a_number_in_metadata_keeps_its_kind() -> None:
    backlog = Backlog.of([task("T0001", metadata={"a": 1, "b": 2})])
    assert updated(backlog, "T0001", metadata={"a": True, "b": None})["metadata"] == {"a": True}
    assert repr(updated(backlog, "T0001", metadata={"a": 1.0})["metadata"]["a"]) == "1.0"


def test_a_dangling_link_that_was_there_neither_hinders_nor_stays_for_ever() -> None:
    backlog = Backlog.of([task("T0001", depends_on=["T8888", "T9999"])])
    assert updated(backlog, "T0001", set={"depends_on": ["T9999"]})["depends_on"] == ["T9999"]
    assert updated(backlog, "T0001", remove={"depends_on": ["t9999"]})["depends_on"] == ["T8888"]


def test_a_field_of_a_newer_version_survives_a_change() -> None:
    backlog = Backlog.of([{**task("T0001"), "zeta": 1}])
    assert updated(backlog, "T0001", set={"title": "b"})["zeta"] == 1


@pytest.mark.parametrize("link", ["T0001", "t0001", "T0007"])
def test_a_task_is_not_linked_to_itself_under_any_of_its_names(link: str) -> None:
    backlog = Backlog.of([task("T0001", aliases=("T0007",))])
    for edit in ({"add": {"depends_on": [link]}}, {"set": {"parent": link}}):
        with pytest.raises(LinkCycle):
            updated(backlog, "T0001", **edit)


# -- objects


def test_a_task_object_given_back_changes_nothing() -> None:
    full = task("T0001", metadata={"a": None}, labels=["ci"], notes=["x"], status="done", aliases=("T0007",))
    backlog = Backlog.of([full])
    obj = {**full, "etag": etag(full)}
    assert changes.merge_object(backlog, "T0001", obj, **WHO) is backlog
    assert changes.object_etag(obj) == etag(full)


def test_in_an_object_absent_stays_and_null_removes() -> None:
    backlog = Backlog.of([task("T0001", assignee="ada", role="qa", metadata={"a": 1, "b": 2, "c": None})])
    obj = {"assignee": None, "labels": ["ci"], "metadata": {"a": None, "c": None, "d": 3}}
    result = changes.merge_object(backlog, "T0001", obj, **WHO).tasks["T0001"]
    assert "assignee" not in result
    assert (result["role"], result["labels"]) == ("qa", ["ci"])
    assert result["metadata"] == {"b": 2, "c": None, "d": 3}


@pytest.mark.parametrize("field", PROGRAM_FIELDS)
def test_an_object_does_not_set_what_the_program_sets(field: str) -> None:
    with pytest.raises(InvalidField, match=field):
        changes.merge_object(Backlog.of([task("T0001")]), "T0001", {field: "other"}, **WHO)


@pytest.mark.parametrize("name", ["T0001", "t0001", "T0007", "t0007"])
def test_an_object_names_its_task_as_an_argument_does(name: str) -> None:
    """In any case, or by an alias; the name of another task is refused."""
    backlog = Backlog.of([task("T0001", aliases=("T0007",)), task("T0002")])

    result = changes.merge_object(backlog, "T0001", {"id": name, "title": "x"}, **WHO)

    assert result.tasks["T0001"]["title"] == "x"
    with pytest.raises(InvalidField, match="id is set by taskkeep alone"):
        changes.merge_object(backlog, "T0002", {"id": name, "title": "x"}, **WHO)


def test_an_object_takes_the_text_of_a_note_but_no_invented_author() -> None:
    backlog = Backlog.of([task("T0001", notes=["x"])])
    old = backlog.tasks["T0001"]["notes"][0]
    result = changes.merge_object(backlog, "T0001", {"notes": [{**old, "text": "y"}, "new"]}, **WHO)
    assert [note["text"] for note in result.tasks["T0001"]["notes"]] == ["y", "new"]
    with pytest.raises(InvalidField, match="bot"):
        changes.merge_object(backlog, "T0001", {"notes": [{**old, "by": "bot"}]}, **WHO)


# -- status


def test_the_first_start_stands() -> None:
    backlog = changes.set_status(Backlog.of([task("T0001")]), "T0001", "in_progress", **WHO)
    assert backlog.tasks["T0001"]["started_at"] == NOW
    for status in ("blocked", "in-progress"):
        backlog = changes.set_status(backlog, "T0001", status, now=LATER, actor="ada")
    assert backlog.tasks["T0001"]["started_at"] == NOW


@pytest.mark.parametrize("status", ["todo", "in_progress", "blocked", "review"])
def test_reopening_takes_the_end_back(status: str) -> None:
    backlog = Backlog.of([task("T0001", status="done")])
    result = changes.set_status(backlog, "T0001", status, **WHO).tasks["T0001"]
    assert result["status"] == status
    assert "completed_at" not in result


def test_an_end_has_a_time_that_stands_and_ends_the_claim() -> None:
    claimed = task("T0001", claimed_by="ada", claimed_until=LATER, status="in_progress")
    backlog = changes.finish_task(Backlog.of([claimed]), "T0001", **WHO)
    assert backlog.tasks["T0001"]["completed_at"] == NOW
    assert not {"claimed_by", "claimed_until"} & backlog.tasks["T0001"].keys()
    assert changes.finish_task(backlog, "T0001", now=LATER, actor="ada") is backlog
    cancelled = changes.set_status(backlog, "T0001", "cancelled", now=LATER, actor="ada")
    assert cancelled.tasks["T0001"]["completed_at"] == NOW


def test_a_task_is_not_done_before_those_it_depends_on() -> None:
    backlog = Backlog.of([task("T0001"), task("T0002", depends_on=["T0001"])])
    with pytest.raises(TaskBlocked, match="T0001"):
        changes.finish_task(backlog, "T0002", **WHO)
    assert changes.finish_task(backlog, "T0002", force=True, **WHO).tasks["T0002"]["status"] == "done"
    assert updated(backlog, "T0002", set={"status": "done"})["completed_at"] == NOW


def test_blockers_come_first_and_what_no_order_can_help_stays() -> None:
    backlog = Backlog.of(
        [
            task("T0001", depends_on=["T0003"]),
            task("T0002", depends_on=["T0001", "T0009"]),
            task("T0003"),
            task("T0004", depends_on=["T0005"]),
            task("T0005", depends_on=["T0004"]),
        ]
    )
    ids = ["T0002", "T0004", "T0005", "T0001", "T0003", "T0404"]
    assert changes.blockers_first(backlog, ids) == ["T0003", "T0404", "T0001", "T0002", "T0004", "T0005"]


# -- claims


@pytest.mark.parametrize(
    "change",
    [
        lambda backlog, **who: changes.update_task(backlog, "T0001", Edit(set={"title": "x"}), **who),
        lambda backlog, **who: changes.merge_object(backlog, "T0001", {"title": "x"}, **who),
        lambda backlog, **who: changes.set_status(backlog, "T0001", "blocked", **who),
        lambda backlog, **who: changes.finish_task(backlog, "T0001", **who),
        lambda backlog, **who: changes.delete_tasks(backlog, ["T0001"], **who),
        lambda backlog, **who: changes.delete_tasks(backlog, ["T0002"], unlink=True, **who),
    ],
)
def test_while_a_claim_runs_others_are_refused(change: Any) -> None:
    claimed = task("T0001", status="in_progress", claimed_by="agent", claimed_until=LATER, parent="T0002")
    backlog = Backlog.of([claimed, task("T0002")])
    with pytest.raises(ClaimHeld, match="agent") as refused:
        change(backlog, now=NOW, actor="ada")
    assert refused.value.details["task_id"] == "T0001"
    assert change(backlog, now=NOW, actor="agent") is not backlog
    assert change(backlog, now=LATER, actor="ada") is not backlog
    assert change(backlog, now=NOW, actor="ada", force=True) is not backlog


def test_a_note_is_free_and_always_new() -> None:
    claimed = task("T0001", status="in_progress", claimed_by="agent", claimed_until=LATER)
    backlog = Backlog.of([claimed])
    for _ in range(2):
        backlog = changes.add_note(backlog, "T0001", "seen\nit", **WHO)
    assert backlog.tasks["T0001"]["notes"] == [{"at": NOW, "by": "ada", "text": "seen\nit"}] * 2
    with pytest.raises(InvalidField):
        changes.add_note(backlog, "T0001", " \n", **WHO)


# -- deletion


def test_a_task_that_others_name_is_not_deleted_under_them() -> None:
    backlog = Backlog.of([task("T0001"), task("T0002", depends_on=["T0001"]), task("T0003", parent="T0001")])
    with pytest.raises(TaskNeeded) as caught:
        changes.delete_tasks(backlog, ["t0001"], **WHO)
    assert caught.value.details["dependents"] == ["T0002", "T0003"]
    after = changes.delete_tasks(backlog, ["T0001"], unlink=True, **WHO)
    assert list(after.tasks) == ["T0002", "T0003"]
    assert all(not {"parent", "depends_on"} & item.keys() for item in after.tasks.values())
    assert {item["updated_at"] for item in after.tasks.values()} == {NOW}


def test_tasks_that_only_name_each_other_go_together() -> None:
    backlog = Backlog.of([task("T0001"), task("T0002", depends_on=["T0001"])])
    assert not changes.delete_tasks(backlog, ["T0001", "T0002", "t0001"], **WHO).tasks


@pytest.mark.parametrize(("task_id", "error"), [("T9999", TaskNotFound), ("T0005", TaskArchived)])
def test_only_a_live_task_is_changed(task_id: str, error: type[Exception]) -> None:
    backlog = Backlog.of([], [task("T0005", status="done")])
    for change in (
        lambda: changes.update_task(backlog, task_id, Edit(), **WHO),
        lambda: changes.finish_task(backlog, task_id, **WHO),
        lambda: changes.add_note(backlog, task_id, "x", **WHO),
        lambda: changes.delete_tasks(backlog, [task_id], **WHO),
    ):
        with pytest.raises(error):
            change()


# -- what is handed in


def test_an_edit_that_asks_for_nothing_is_empty() -> None:
    asked: list[dict[str, Any]] = [
        {"set": {"title": None}},
        {"check": [1]},
        {"uncheck": [1]},
        {"remove": {"labels": []}},
        {"add": {"labels": []}},
        {"metadata": {"k": None}},
    ]

    assert not Edit()
    assert all(Edit(**one) for one in asked)


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ({"title": "x"}, "is not for an import to give"),
        ({"uid": "x"}, "is not for an import to give"),
        ({"created_at": "soon"}, "is no time"),
        ({"completed_at": 5}, "is no time"),
        ({"created_by": "two\nlines"}, "must be one line"),
        ({"claimed_by": 5}, "must be text, not a number"),
        ({"aliases": "T0007"}, "must be a list, not text"),
    ],
)
def test_what_an_import_says_of_the_programs_fields_is_checked(program: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidField) as refused:
        new_task(Backlog({}), {"title": "x"}, task_id="T0001", uid="0" * 32, program=program, **WHO)

    assert problem in refused.value.message
    assert refused.value.details["task_id"] == "T0001"


def test_an_object_may_bring_its_etag_along() -> None:
    assert changes.object_etag({"etag": "abc"}) == "abc"
    assert changes.object_etag({"etag": None}) is changes.object_etag({}) is None
    with pytest.raises(InvalidField, match=r"^etag must be text, not a number$") as refused:
        changes.object_etag({"etag": 5})
    assert refused.value.details["field"] == "etag"


def test_notes_only_grow() -> None:
    """They are the memory of the task."""
    backlog = changes.add_note(Backlog.of([task("T0001")]), "T0001", "n", **WHO)

    with pytest.raises(InvalidField, match="only grow"):
        updated(backlog, "T0001", remove={"notes": ["n"]})
    with pytest.raises(InvalidField, match=r"^T0001: notes must not be blank"):
        changes.add_note(backlog, "t0001", " ", **WHO)


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (Edit(set={"title": None}), "title"),
        (Edit(set={"status": "nonsense"}), "status"),
        (Edit(set={"uid": "x"}), "uid"),
        (Edit(set={"nothing": "x"}), "nothing"),
        (Edit(set={"notes": [{"text": "x", "by": "eve"}]}), "notes"),
        (Edit(set={"acceptance_criteria": [{"text": "x", "done": 1}]}), "acceptance_criteria"),
        (Edit(set={"depends_on": ["T0009"]}), "depends_on"),
        (Edit(set={"parent": "T0009"}), "parent"),
        (Edit(remove={"notes": ["x"]}), "notes"),
        (Edit(remove={"labels": [5]}), "labels"),
        (Edit(remove={"title": ["x"]}), "title"),
        (Edit(add={"labels": [" \t "]}), "labels"),
        (Edit(add={"aliases": ["x"]}), "aliases"),
        (Edit(add={"nothing": ["x"]}), "nothing"),
        (Edit(add={"notes": [{"text": "x", "by": "eve"}]}), "notes"),
        (Edit(add={"notes": [" "]}), "notes"),
        (Edit(metadata={"k": float("inf")}), "metadata"),
    ],
)
def test_a_refused_edit_names_the_field_and_the_task(edit: Edit, field: str) -> None:
    """An object handed in as well."""
    backlog = Backlog.of([task("T0001")])

    refusals = []
    with pytest.raises(TaskkeepError) as refused:
        changes.update_task(backlog, "t0001", edit, **WHO)
    refusals.append(refused.value)
    if edit.set:
        with pytest.raises(TaskkeepError) as refused:
            changes.merge_object(backlog, "t0001", edit.set, **WHO)
        refusals.append(refused.value)

    for error in refusals:
        assert (error.details["field"], error.details["task_id"]) == (field, "T0001")


def test_a_refused_status_and_a_refused_note_of_a_new_task_name_the_task() -> None:
    fields = {"title": "x", "notes": [{"text": "x", "by": "eve"}]}
    with pytest.raises(InvalidField, match=r"^T0002: notes has a note of eve"):
        changes.add_task(Backlog({}), fields, task_id="T0002", uid="0" * 32, **WHO)
    with pytest.raises(InvalidField, match=r"^T0001: status cannot be"):
        changes.set_status(Backlog.of([task("T0001")]), "t0001", "nonsense", **WHO)


@pytest.mark.parametrize("link", ["T0001", "t0001", "T0077"])
@pytest.mark.parametrize("field", ["parent", "depends_on"])
def test_a_link_to_itself_is_refused_as_a_circle_of_one(field: str, link: str) -> None:
    backlog = Backlog.of([task("T0001", aliases=("T0077",))])
    with pytest.raises(LinkCycle) as refused:
        updated(backlog, "T0001", set={field: link if field == "parent" else [link]})
    assert (refused.value.details["field"], refused.value.details["path"]) == (field, ["T0001", "T0001"])


def test_a_criterion_that_is_not_there_is_named_by_its_number() -> None:
    backlog = Backlog.of([task("T0001", acceptance_criteria=["one"])])
    for number in (0, 2):
        with pytest.raises(CriterionNotFound, match=f"T0001 has no acceptance criterion {number}$") as refused:
            updated(backlog, "T0001", check=[number])
        assert "It has 1" in refused.value.hint


def test_a_change_of_status_says_when() -> None:
    backlog = Backlog.of([task("T0001")])
    for change in (
        changes.set_status(backlog, "T0001", "blocked", **WHO),
        changes.finish_task(backlog, "T0001", **WHO),
        changes.add_note(backlog, "T0001", "n", **WHO),
    ):
        assert change.tasks["T0001"]["updated_at"] == NOW


def test_who_loses_one_link_by_a_deletion_keeps_the_others() -> None:
    backlog = Backlog.of(
        [
            task("T0001"),
            task("T0002"),
            task("T0003", depends_on=["T0001", "T0002"]),
            task("T0004", parent="T0001", depends_on=["T0002"]),
        ]
    )
    after = changes.delete_tasks(backlog, ["T0001"], unlink=True, **WHO).tasks
    assert [after[task_id].get("depends_on") for task_id in ("T0003", "T0004")] == [["T0002"], ["T0002"]]
    assert "parent" not in after["T0004"]
    with pytest.raises(TaskNeeded) as needed:
        changes.delete_tasks(backlog, ["T0003", "T0002"], **WHO)
    assert (needed.value.details["task_id"], needed.value.details["dependents"]) == ("T0002", ["T0004"])

"""A plan becomes tasks: once."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from importing import NOW, import_into

from taskkeep.backlog.rules import problems
from taskkeep.backlog.shape import beyond_schema, quick_ok
from taskkeep.backlog.task import canonical
from taskkeep.errors import InputInvalid
from taskkeep.importers import FORMATS


def file_of(*tasks: Any) -> bytes:
    return json.dumps({"tasks": tasks}).encode()


def test_a_second_import_of_the_same_file_changes_nothing() -> None:
    data = file_of({"id": "a", "title": "a"}, {"id": "b", "title": "b", "dependsOn": "a"})
    backlog, first = import_into(None, "json", data)
    again, second = import_into(backlog, "json", data)

    assert again is backlog
    assert (first.new, first.known) == (2, 0)
    assert (second.new, second.known) == (0, 2)
    assert second.warnings() == []


def test_a_file_that_grew_adds_what_is_new_and_links_it_to_what_is_there() -> None:
    backlog, _ = import_into(None, "json", file_of({"id": "a", "title": "a"}))
    known = next(iter(backlog.tasks))
    grown, report = import_into(
        backlog, "json", file_of({"id": "b", "title": "b", "dependsOn": "a"}, {"id": "a", "title": "a"})
    )
    new = next(task for task in grown.tasks.values() if task["title"] == "b")

    assert (report.new, report.known) == (1, 1)
    assert new["depends_on"] == [known]


def test_a_link_may_lead_to_a_task_of_an_earlier_file() -> None:
    backlog, _ = import_into(None, "json", file_of({"id": "a", "title": "a"}))
    known = next(iter(backlog.tasks))
    grown, report = import_into(backlog, "json", file_of({"id": "b", "title": "b", "dependsOn": "a"}))

    assert report.links_missing == []
    assert [task.get("depends_on") for task in grown.tasks.values()] == [None, [known]]


def test_what_has_changed_in_the_file_is_left_alone_and_named() -> None:
    backlog, _ = import_into(None, "json", file_of({"id": "a", "title": "a"}))
    again, report = import_into(backlog, "json", file_of({"id": "a", "title": "other", "status": "done"}))

    assert again is backlog
    assert report.differing == [
        {"task_id": next(iter(backlog.tasks)), "place": "tasks[1] (a)", "fields": "title, status"}
    ]
    assert "left alone" in report.warnings()[0]


def test_an_archived_task_is_known_too() -> None:
    backlog, _ = import_into(None, "json", file_of({"id": "a", "title": "a", "status": "done"}))
    archived = type(backlog)({}, backlog.tasks)

    assert import_into(archived, "json", file_of({"id": "a", "title": "a", "status": "done"}))[0] is archived


def test_a_task_of_this_backlog_is_known_by_its_uid() -> None:
    backlog, _ = import_into(None, "json", file_of({"id": "a", "title": "a"}))
    task = dict(next(iter(backlog.tasks.values())))
    del task["external_refs"]
    bare = type(backlog)({task["id"]: task})

    assert import_into(bare, "json", file_of(task))[0] is bare


def test_the_same_ids_of_two_formats_are_different_tasks() -> None:
    backlog, _ = import_into(None, "json", file_of({"id": "bd-1", "title": "a"}))
    both, report = import_into(backlog, "beads", b'{"id": "bd-1", "title": "a"}\n')

    assert report.new == 1
    assert len(both.tasks) == 2


def test_a_claim_of_the_other_place_is_not_taken_over() -> None:
    claim = {"claimed_by": "lead", "claimed_until": "2026-12-01T00:00:00.000000Z"}
    backlog, report = import_into(None, "json", file_of({"id": "a", "title": "a", **claim}))

    assert "claimed_by" not in next(iter(backlog.tasks.values()))
    assert report.ignored == {"claimed_by": 1, "claimed_until": 1}


def test_ten_times_the_tasks_take_about_ten_times_as_long() -> None:
    """In the processor's time, and far from the hundred times of a walk that begins anew with each task."""
    took = {}
    for count in (1_000, 10_000):
        data = file_of(*({"id": f"x-{n}", "title": f"Task {n}", "dependsOn": f"x-{n - 1}"} for n in range(count)))
        started = time.process_time()
        assert len(import_into(None, "json", data)[0].tasks) == count
        took[count] = time.process_time() - started

    assert took[10_000] < 40 * took[1_000]


def test_the_report_is_json_and_lines() -> None:
    _, report = import_into(None, "json", file_of({"id": "a", "name": "a", "effort": 3, "status": "open"}))
    value = report.as_json()

    assert json.loads(json.dumps(value)) == value
    assert value["format"] == "json"
    assert list(report.lines()) == [
        "1 task in the file: 1 new, 0 here already",
        "fields: id → external_refs (1), name → title (1)",
        "status: open → todo (1)",
        "kept in metadata: effort (1)",
    ]


NAMES = (
    "id uuid uid title name description details status state done priority type labels tags assignee owner parent dependsOn"
    " dependencies acceptance_criteria due refs notes created_at updated completedAt subtasks metadata aliases extra _type key"
    " issue_type comments design external_ref claimed_by"
).split()
TEXT = st.text(alphabet=st.sampled_from("ab1, -[x]\n\r\t\x00\x1b\u200b\u202e\u2028\ufeffé😀\ud800*T0"), max_size=12)
WORDS = st.sampled_from(["a", "b", "1", "1.1", "open", "done", "P1", "2026-01-01", "2026-13-41T00:00:00Z", "T0001", ""])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    WORDS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | TEXT, inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.fixed_dictionaries({}, optional={name: VALUES if name != "title" else TEXT for name in NAMES})


@settings(max_examples=300, deadline=None)
@given(st.lists(OBJECTS, max_size=5), st.sampled_from(sorted(FORMATS)))
def test_whatever_the_file_holds_becomes_sound_tasks_or_one_clear_refusal(
    objects: list[dict[str, Any]], source: str
) -> None:
    """And a second import of it changes nothing."""
    data = b"\n".join(json.dumps(item).encode() for item in objects) if source == "beads" else file_of(*objects)
    try:
        backlog, report = import_into(None, source, data)
    except InputInvalid as error:
        refused = error.message
    else:
        refused = ""
    assert "\n" not in refused
    if refused:
        return
    for task in backlog.tasks.values():
        assert canonical(task) == task
        assert list(canonical(task)) == list(task)
        assert quick_ok(task) or beyond_schema(task) is None
    assert problems(backlog) == []
    assert all("\n" not in line for line in (*report.lines(), *report.warnings()))
    again, _ = import_into(backlog, source, data)
    assert again is backlog


@pytest.mark.parametrize("source", sorted(FORMATS))
def test_an_import_takes_its_time_and_actor_where_the_file_has_none(source: str) -> None:
    backlog, _ = import_into(None, source, b'[{"id": "a", "title": "a"}]')
    task = next(iter(backlog.tasks.values()))

    assert (task["created_at"], task["updated_at"], task["created_by"]) == (NOW, NOW, "ada")

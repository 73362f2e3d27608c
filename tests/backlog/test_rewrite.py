"""What a whole rewritten backlog asks for, and what it would lose or set back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks import task

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import Chain, Event, Request, task_changes
from taskkeep.backlog.rewrite import Past, Rewriting, Wanted, lost, read_rows, reverted, stubs
from taskkeep.errors import InputInvalid, TaskkeepError

NOW, LATER = "2026-11-20T12:00:00.000000Z", "2026-11-21T12:00:00.000000Z"
USER_VALUES: dict[str, list[Any]] = {
    "title": ["One", "Two", "Three"],
    "description": [None, "text", "other text"],
    "status": ["todo", "review", "blocked"],
    "labels": [[], ["a"], ["a", "b"], ["c"]],
    "assignee": [None, "ada", "bot"],
    "acceptance_criteria": [[], [{"text": "x", "done": False}], [{"text": "x", "done": True}]],
    "metadata": [{}, {"k": 1}, {"k": True}, {"k": None, "l": [1]}],
}
FIELDS = st.fixed_dictionaries({field: st.sampled_from(values) for field, values in USER_VALUES.items()})


def history(*states: Backlog) -> list[Event]:
    """The events that lead through *states*."""
    events: list[Event] = []
    before = Backlog({})
    for number, after in enumerate(states):
        request = Request(txn=str(number), actor="ada", now=NOW, source="api", why=None, key=None, digest=None)
        chain = Chain(request, before=None, after="", heads=[e["hash"] for e in events[-1:]], new_id=str)
        for kind, one, details in task_changes(before, after, NOW):
            chain.add(kind, one["id"], one["uid"], details)
        events += chain.events
        before = after
    return events


def ask(before: Backlog, rows: list[Any], events: list[Event] = [], *, by_hand: bool = False) -> Wanted:  # noqa: B006
    numbers = iter(range(900, 999))
    rewriting = Rewriting(
        before,
        Past(events),
        new_id=lambda: f"T{next(numbers):04d}",
        new_uid=lambda: f"{next(numbers):032x}",
        now=LATER,
        actor="bot",
        by_hand=by_hand,
    )
    return rewriting.wanted(rows, None if not by_hand else [])


@given(st.lists(FIELDS, max_size=4), st.booleans(), st.randoms(use_true_random=False))
def test_a_backlog_written_again_as_it_is_is_no_change(drafts: list[Any], by_hand: bool, random: Any) -> None:
    """In any order of tasks and keys, by hand or by a program; the very same object comes back."""
    before = Backlog.of(task(number, **fields) for number, fields in enumerate(drafts))
    rows = [dict(random.sample(list(one.items()), len(one))) for one in before.tasks.values()]
    random.shuffle(rows)

    assert ask(before, rows, by_hand=by_hand).backlog is before


@given(FIELDS, FIELDS)
def test_what_is_asked_for_is_what_is_given(old: Any, new: Any) -> None:
    """Every field that a user sets becomes that of the file; what made the task stays."""
    before = Backlog.of([task(1, **old)])
    wanted = task(1, **new)

    after = ask(before, [json.loads(json.dumps(wanted))]).backlog.tasks["T0001"]

    ignored = ("updated_at", "started_at", "completed_at")
    assert {k: v for k, v in after.items() if k not in ignored} == {k: v for k, v in wanted.items() if k not in ignored}


@given(st.lists(FIELDS, min_size=2, max_size=4), st.data())
def test_any_older_state_of_a_task_is_known_as_such(states: list[Any], data: Any) -> None:
    """Whatever stale copy of the file is written back: where it differs, at least one field is told."""
    path = [Backlog.of([task(1, **fields)]) for fields in states]
    events = history(*path)
    older = data.draw(st.sampled_from(path[:-1]))

    after = ask(path[-1], list(older.tasks.values()), events).backlog
    found = reverted(path[-1], after, Past(events), cuts=False)

    assert bool(found) == (after is not path[-1])


def test_one_and_true_are_different_values_of_metadata() -> None:
    before, after = (Backlog.of([task(1, metadata={"k": value})]) for value in (1, True))

    assert reverted(before, after, Past(history(before)), cuts=False) == []
    assert [one.field for one in reverted(before, after, Past(history(after, before)), cuts=False)] == ["metadata.k"]


def test_a_label_taken_out_before_is_known_where_others_came_since() -> None:
    """No older value as a whole, and yet a step back."""
    states = [Backlog.of([task(1, labels=labels)]) for labels in (["a", "b"], ["a"], ["a", "c"])]
    after = Backlog.of([task(1, labels=["a", "b", "c"])])

    assert [one.field for one in reverted(states[-1], after, Past(history(*states)), cuts=False)] == ["labels"]


def test_a_task_is_lost_where_neither_file_has_it() -> None:
    before = Backlog.of([task(1), task(2), task(3)])
    after = Backlog.of([task(1)], [task(2)])

    assert [one["id"] for one in lost(before, after)] == ["T0003"]


def test_swapped_ids_are_put_right_by_uid() -> None:
    """Links follow what the file means by its ids."""
    before = Backlog.of([task(1), task(2), task(3)])
    rows = [{**task(1), "id": "T0002"}, {**task(2), "id": "T0001"}, {**task(3), "depends_on": ["T0002"]}]

    wanted = ask(before, rows)

    assert wanted.backlog.tasks["T0001"] is before.tasks["T0001"]
    assert wanted.backlog.tasks["T0003"]["depends_on"] == ["T0001"]
    assert len(wanted.told) == 1


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b'{"tasks": [{"title": "a"}]}', 1),
        (b'[{"title": "a"}, {"title": "b"}]', 2),
        (b'Sure!\n\n```json\n[{"title": "a"}]\n```\n\nDone.', 1),
        (b'```\nls\n```\nand\n```json\n{"version": 1, "tasks": []}\n```', 0),
        (b'\xef\xbb\xbf[{"title": "```"}]', 1),
    ],
)
def test_a_file_is_read_through_what_models_put_around_it(data: bytes, count: int) -> None:
    assert len(read_rows(data, "it")[0]) == count


@given(st.binary(max_size=40) | st.text(alphabet='`{}[]\n "a:1', max_size=30).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        rows, _ = read_rows(data, "it")
    except InputInvalid:
        return
    assert all(isinstance(row, dict) for row in rows)


def test_every_description_that_shrank_to_a_stub_is_told_wherever_its_task_stands() -> None:
    """A task that is as it was, or new, stands between."""
    long = {"description": "word " * 100}
    before = Backlog.of([task(1), task(2, **long), task(4, **long)])
    after = before.replacing(task(2, description="…"), task(3), task(4, description="…"))
    [words] = stubs(before, after)
    assert "T0002 from 500 to 1 characters" in words
    assert "T0004 from 500 to 1 characters" in words


def test_a_field_that_taskkeep_does_not_know_is_named_with_its_task() -> None:
    before = Backlog.of([task(1), task(2)])
    with pytest.raises(TaskkeepError, match="T0002 has a field 'effort'") as refused:
        ask(before, [task(1), {**task(2), "effort": 3}])
    assert refused.value.details["task_id"] == "T0002"

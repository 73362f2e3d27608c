"""A page or a task found in checked bytes is the one that the plain way gives."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.outline import changed_rows, having, ready_stubs, row, urgency
from taskkeep.backlog.query import Query, is_plain, ready, select, select_rows
from taskkeep.backlog.task import PRIORITIES, STATUSES, TYPES, Task, canonical
from taskkeep.backlog.text import dump, find_tasks, parse_trusted

NOW = "2026-11-20T12:00:00.000000Z"
IDS = [f"T{number:04d}" for number in range(12)]
TIMES = st.sampled_from([f"2026-11-{day}T12:00:00.000000Z" for day in range(17, 24)])
# What a text could hold that looks like the fields and edges that are looked for.
TEXTS = st.sampled_from([
    '\n    {\n      "id": "T0001",', '",\n      "status": "done",', '},\n    {\n', "]", '"', "\\", "\u2028", "é", "a\n    }",
    '\n      "due": "2026-01-01",', '\n      "claimed_by": "x",', '\n      "depends_on": [',
])  # fmt: skip
NAMES = ["title", "description", "assignee", "role", "created_by", "claimed_by"]


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    result = []
    for task_id in sorted(draw(st.sets(st.sampled_from(IDS)))):
        task: dict[str, Any] = {
            "id": task_id,
            "uid": "0" * 32,
            "status": draw(st.sampled_from(STATUSES)),
            "priority": draw(st.sampled_from(PRIORITIES)),
            "type": draw(st.sampled_from(TYPES)),
            "created_at": draw(TIMES),
            "updated_at": draw(TIMES),
        }
        for name in NAMES:
            if name in ("title", "created_by") or draw(st.booleans()):
                task[name] = draw(TEXTS)
        if "claimed_by" in task:
            task["claimed_until"] = draw(TIMES)
        if draw(st.booleans()):
            task["due"] = f"2026-12-{draw(st.integers(10, 20))}"
        task["depends_on"] = draw(st.lists(st.sampled_from(IDS), max_size=3))
        task["labels"] = draw(st.lists(TEXTS, max_size=2))
        if draw(st.booleans()):
            task["metadata"] = {"status": "done", "due": "x", "claimed_by": [{"id": "T0001", "status": "todo"}]}
            task["notes"] = [{"text": draw(TEXTS), "at": NOW, "by": draw(TEXTS)}]
        result.append(canonical(task))
    return result


@st.composite
def queries(draw: st.DrawFn) -> Query:
    return Query(
        statuses=tuple(draw(st.lists(st.sampled_from(STATUSES), max_size=2))),
        priorities=tuple(draw(st.lists(st.sampled_from(PRIORITIES), max_size=2))),
        types=tuple(draw(st.lists(st.sampled_from(TYPES), max_size=2))),
        ready=draw(st.booleans()),
        all=draw(st.booleans()),
        sort=draw(st.sampled_from([None, "priority", "-priority"])),
        limit=draw(st.sampled_from([None, 1, 3, 500])),
        offset=draw(st.integers(0, 3)),
    )


@given(tasks(), queries(), st.booleans())
def test_the_page_is_that_of_all_tasks_decoded(given_tasks: list[Task], query: Query, best: bool) -> None:
    data = dump(given_tasks)
    plain = {task["id"]: task for task in parse_trusted(data)}
    choose = ready if best else select
    expected = choose(Backlog(plain), query, now=NOW)
    assert is_plain(query)
    rows = [row(task) for task in given_tasks]
    if best or query.ready:
        found = ready_stubs(rows)
        assert list(found) == list(plain)
        page = choose(Backlog(found), query, now=NOW)
    else:
        page = select_rows(rows, query)
    full = find_tasks(data, [task["id"] for task in page.tasks])
    assert page._replace(tasks=[full[task["id"]] for task in page.tasks]) == expected


def test_a_row_gives_back_the_fields_that_choose_a_page() -> None:
    """And no other; a claim's holder may be called anything."""
    task = canonical({
        "id": "T0001", "uid": "0" * 32, "title": "t", "status": "in_progress", "priority": "low", "type": "bug",
        "labels": ["l"], "due": "2026-12-31", "depends_on": ["T0003", "T0002"], "created_at": NOW, "created_by": "ada",
        "updated_at": NOW, "claimed_by": 'a\t"b"', "claimed_until": NOW,
    })  # fmt: skip
    bare = {
        name: value for name, value in task.items() if name not in ("due", "depends_on", "claimed_by", "claimed_until")
    }
    few = ("id", "status", "priority", "type", "due", "created_at", "depends_on", "claimed_by", "claimed_until")

    for one in (task, bare):
        assert ready_stubs([row(one)]) == {"T0001": {name: one[name] for name in few if name in one}}


def test_rows_are_chosen_by_status_priority_and_type_and_ordered_by_priority_and_day() -> None:
    """Each value alone, and with others; of days the last digit counts, and no day is the last."""
    given_tasks = [
        {"id": "T0001", "status": status, "priority": priority, "type": kind, "created_at": NOW, **due}
        for status in STATUSES for priority in PRIORITIES for kind in TYPES
        for due in ({}, {"due": "2026-12-10"}, {"due": "2026-12-11"})
    ]  # fmt: skip
    pairs = [(row(task), task) for task in given_tasks]
    rows = [line for line, _ in pairs]

    for field, names in (("status", STATUSES), ("priority", PRIORITIES), ("type", TYPES)):
        for some in (names[:1], names[1:3], names[2:], ()):
            wanted = [line for line, task in pairs if not some or task[field] in some]
            assert having(rows, *(some if field == one else () for one in ("status", "priority", "type"))) == wanted
    assert having(rows, ["done"], ["low"], ["bug", "epic"]) == [
        line
        for line, task in pairs
        if task["status"] == "done" and task["priority"] == "low" and task["type"] in ("bug", "epic")
    ]
    assert sorted(rows, key=urgency) == [
        line
        for line, _ in sorted(pairs, key=lambda pair: (PRIORITIES.index(pair[1]["priority"]), pair[1].get("due", "9")))
    ]


@given(tasks(), tasks())
def test_changed_rows_are_those_of_the_changed_tasks(before: list[Task], after: list[Task]) -> None:
    """Whatever was added, changed and taken out."""
    old, new = ({task["id"]: task for task in some} for some in (before, after))
    changed = {task_id: new.get(task_id) for task_id in {*old, *new} if old.get(task_id) != new.get(task_id)}

    assert changed_rows([row(task) for task in before], changed) == [row(task) for task in after]


@given(tasks())
def test_tasks_are_found_by_their_ids_alone(given_tasks: list[Task]) -> None:
    data = dump(given_tasks)
    plain = {task["id"]: task for task in parse_trusted(data)}
    names = ["T0003", "T000", "", 'T0001",', "é", "T0001\n"]
    assert find_tasks(data, names) == {name: plain[name] for name in names if name in plain}
    assert find_tasks(data, reversed(IDS)) == plain


def test_what_looks_at_other_fields_is_not_plain() -> None:
    assert is_plain(Query())
    values: dict[str, Any] = {
        "labels": ("a",), "assignees": ("a",), "roles": ("a",), "parents": ("T0001",), "text": "a", "mine": True,
        "overdue": True, "archived": True, "since": NOW, "until": NOW, "sort": "title", "limit": 0,
    }  # fmt: skip
    assert set(values) | {"statuses", "priorities", "types", "ready", "all", "offset"} == set(Query._fields)
    for name, value in values.items():
        assert not is_plain(Query(**{name: value})), name

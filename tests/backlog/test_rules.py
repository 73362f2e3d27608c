"""The rules of the graph: what is found, what is refused, what is only a warning."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks import task as made

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.rules import LINK_FIELDS, links, problems, refuse_worse
from taskkeep.backlog.task import Task
from taskkeep.errors import DanglingLink, InvalidField, LinkCycle

NOW = "2026-11-20T12:00:00.000000Z"


def task(number: int, *depends_on: int, parent: int | None = None, **fields: Any) -> Task:
    result = made(number, **fields)
    if depends_on:
        result["depends_on"] = [f"T{target:04d}" for target in sorted(depends_on)]
    if parent is not None:
        result["parent"] = f"T{parent:04d}"
    return result


def codes(*tasks: Task) -> list[tuple[str, str]]:
    return [(problem.code, problem.task_id) for problem in problems(Backlog.of(tasks))]


def test_a_sound_backlog_has_no_problems() -> None:
    assert codes(task(1), task(2, 1, parent=1), task(3, status="done", completed_at=NOW)) == []


@pytest.mark.parametrize(
    ("tasks", "found"),
    [
        ([task(1, 9)], [("dangling_link", "T0001")]),
        ([task(1, parent=9)], [("dangling_link", "T0001")]),
        ([task(1, 1)], [("cycle", "T0001")]),
        ([task(1, 2), task(2, 3), task(3, 1), task(4, 1)], [("cycle", "T0001")]),
        ([task(1, parent=2), task(2, parent=1)], [("cycle", "T0001")]),
        ([task(1, 2), task(2, parent=1)], []),
        ([task(1), task(2, uid=f"{1:032x}")], [("duplicate_uid", "T0002")]),
        ([task(1, status="done")], [("status_times", "T0001")]),
        ([task(1, completed_at=NOW)], [("status_times", "T0001")]),
        ([task(1, claimed_by="ada")], [("status_times", "T0001")]),
        ([task(1, claimed_until=NOW)], [("status_times", "T0001")]),
    ],
)
def test_every_broken_rule_is_found_once(tasks: list[Task], found: list[tuple[str, str]]) -> None:
    assert codes(*tasks) == found


def test_what_is_wrong_is_said_in_a_sentence_that_names_the_task() -> None:
    broken = [
        task(1, 9), task(2, 3), task(3, 2), task(4, status="done"), task(5, completed_at=NOW), task(6, claimed_by="a"),
        task(7, claimed_until=NOW), task(8, uid=f"{1:032x}"),
    ]  # fmt: skip
    assert [problem.message for problem in problems(Backlog.of(broken))] == [
        "T0001: depends_on names T0009, which is not there",
        "depends_on goes in a circle: T0002 -> T0003 -> T0002",
        "T0004 is done and has no completed_at",
        "T0005 is todo and has a completed_at",
        "T0006 has claimed_by and no claimed_until",
        "T0007 has claimed_until and no claimed_by",
        "T0008 has the uid of T0001",
    ]


def test_a_link_may_lead_into_the_archive_whose_own_are_history() -> None:
    assert problems(Backlog.of([task(1, 2)], [task(2, 1, 9, status="done", completed_at=NOW)])) == []


def test_a_task_in_both_files_is_one_task() -> None:
    done = task(1, status="done", completed_at=NOW)
    assert problems(Backlog.of([done], [done])) == []


@pytest.mark.parametrize(
    ("changed", "error", "named"),
    [
        (task(1, 9), DanglingLink, "T0009"),
        (task(1, 3), LinkCycle, "T0001 -> T0003 -> T0002 -> T0001"),
        (task(1, parent=1), LinkCycle, "T0001 -> T0001"),
        (task(1, status="done"), InvalidField, "completed_at"),
        (task(4, uid=f"{1:032x}"), InvalidField, "T0004: uid is that of T0001"),
        (task(2, 1, uid=f"{1:032x}"), InvalidField, "T0002: uid is that of T0001"),
        (task(1, status="done"), InvalidField, "T0001: completed_at does not fit the rest of the task"),
    ],
)
def test_what_a_change_makes_worse_is_refused(changed: Task, error: type[Exception], named: str) -> None:
    before = Backlog.of([task(1), task(2, 1), task(3, 2)])
    with pytest.raises(error, match=named):
        refuse_worse(before, before.replacing(changed))


def test_a_task_that_goes_leaves_no_link_behind() -> None:
    before = Backlog.of([task(1), task(2, 1)])
    with pytest.raises(DanglingLink, match="T0001"):
        refuse_worse(before, before.without("T0001"))


@pytest.mark.parametrize("broken", [task(1, 9), task(1, 2), task(1, status="done"), task(1, claimed_by="a")])
def test_what_was_broken_before_is_a_warning(broken: Task) -> None:
    """And the repair passes without one."""
    before = Backlog.of([broken, task(2, 1)])
    assert len(refuse_worse(before, before.replacing({**broken, "title": "Two"}))) == 1
    assert refuse_worse(before, before.replacing(task(1))) == []


def test_a_second_link_within_a_circle_is_worse() -> None:
    before = Backlog.of([task(1, 2), task(2, 3), task(3, 1)])
    with pytest.raises(LinkCycle):
        refuse_worse(before, before.replacing(task(1, 2, 3)))


EDGES = st.dictionaries(st.integers(0, 7), st.sets(st.integers(0, 8), max_size=3), min_size=1)


def graph(edges: dict[int, set[int]]) -> Backlog:
    return Backlog.of([task(number, *targets) for number, targets in edges.items()])


def reaches(backlog: Backlog, start: str, goal: str) -> bool:
    seen: set[str] = set()
    level = list(links(backlog.tasks[start], "depends_on"))
    while level:
        node = level.pop()
        if node not in seen and node in backlog.tasks:
            seen.add(node)
            level += links(backlog.tasks[node], "depends_on")
    return goal in seen


@given(EDGES)
def test_circles_are_exactly_the_tasks_that_reach_themselves(edges: dict[int, set[int]]) -> None:
    backlog = graph(edges)
    found = {node for problem in problems(backlog) if problem.code == "cycle" for node in problem.key[1:]}
    assert found == {node for node in backlog.tasks if reaches(backlog, node, node)}


@given(EDGES, EDGES)
def test_a_change_is_refused_exactly_when_it_makes_a_bad_link(
    first: dict[int, set[int]], second: dict[int, set[int]]
) -> None:
    """The quick look at what changed agrees with the look at everything."""
    before = graph(first)
    after = before.replacing(*graph(second).tasks.values())
    new = [
        (source, target)
        for source in after.tasks
        for target in links(after.tasks[source], "depends_on")
        if target not in links(before.tasks.get(source, {}), "depends_on")
    ]
    dangling = any(target not in after for _, target in new)
    circle = any(target == source or (target in after and reaches(after, target, source)) for source, target in new)
    try:
        warnings = refuse_worse(before, after)
    except DanglingLink:
        assert dangling
    except LinkCycle as error:
        assert circle
        assert not dangling
        path = error.details["path"]
        assert path[0] == path[-1]
        for source, target in pairwise(path):
            assert target in links(after.tasks[source], "depends_on")
    else:
        assert not dangling
        assert not circle
        circles = [problem.message for problem in problems(after) if problem.code == "cycle"]
        assert not warnings or circles or any("not there" in warning for warning in warnings)


@pytest.mark.parametrize("field", LINK_FIELDS)
def test_a_chain_of_a_hundred_thousand_is_walked_without_recursion(field: str) -> None:
    count = 100_000
    tasks = {}
    for number in range(count):
        item = task(number)
        target = f"T{(number + 1) % count:04d}"
        item[field] = target if field == "parent" else [target]
        tasks[item["id"]] = item
    backlog = Backlog.of(tasks.values())
    assert [problem.code for problem in problems(backlog)] == ["cycle"]

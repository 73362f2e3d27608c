"""Which tasks a reader sees, in what order, and what is ready."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.query import SORTS, Page, Query, ready, select
from taskkeep.backlog.task import PRIORITIES, STATUSES, Task
from taskkeep.errors import InvalidField, TaskkeepError, TaskNotFound, Usage

THEN = "2026-11-19T12:00:00.000000Z"
NOW = "2026-11-20T12:00:00.000000Z"
LATER = "2026-11-21T12:00:00.000000Z"


def task(number: int, **fields: Any) -> Task:
    return {
        "id": f"T{number:04d}",
        "uid": f"{number:032x}",
        "title": f"Number {number}",
        "status": "todo",
        "priority": "medium",
        "type": "task",
        "created_at": THEN,
        "created_by": "ada",
        "updated_at": THEN,
        **fields,
    }


def ids(page: Page) -> list[int]:
    return [int(item["id"][1:]) for item in page.tasks]


def found(tasks: list[Task], **query: Any) -> list[int]:
    return ids(select(Backlog.of(tasks), Query(**query), now=NOW, actor="ada"))


BY_STATUS = [task(number, status=status) for number, status in enumerate(STATUSES, 1)]


def test_open_tasks_are_shown_unless_more_is_asked_for() -> None:
    assert found(BY_STATUS) == [1, 2, 3, 4]
    assert found(BY_STATUS, all=True) == [1, 2, 3, 4, 5, 6]
    assert found(BY_STATUS, statuses=("todo", "Done")) == [1, 5]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"priorities": ("low", "high")}, [2, 1]),
        ({"types": ("BUG",)}, [3]),
        ({"labels": ("ci",)}, [3, 1]),
        ({"labels": ("UI", "ci")}, [3]),
        ({"assignees": ("Bot", "editor")}, [2, 1]),
        ({"roles": ("qa",)}, [4]),
        ({"parents": ("t0001",)}, [2, 4]),
        ({"mine": True}, [3, 4]),
        ({"overdue": True}, [2]),
        ({"since": NOW}, [4]),
        ({"until": THEN}, [2, 3, 1]),
        ({"text": "straße ci"}, [3]),
        ({"text": "NUMBER t0002"}, [2]),
        ({"text": "T0003"}, [3]),
        ({"text": "deep 42"}, [4]),
        ({"text": "true"}, [4]),
        ({"text": "xx"}, []),
        ({"text": "said must ref:9"}, [1]),
        ({"labels": ("ci",), "types": ("bug",)}, [3]),
        ({"labels": ("c",)}, []),
    ],
)
def test_filters(query: dict[str, Any], expected: list[int]) -> None:
    tasks = [
        task(
            1,
            priority="low",
            labels=["ci"],
            assignee="bot",
            due="2026-11-20",
            notes=[{"at": THEN, "by": "ada", "text": "Said so"}],
            acceptance_criteria=[{"text": "it must", "done": False}],
            external_refs=["ref:9"],
        ),
        task(2, priority="high", assignee="Editor", parent="T0001", due="2026-11-19"),
        task(3, type="bug", labels=["ci", "ui"], assignee="ada", description="STRASSE"),
        task(4, role="qa", parent="T0001", claimed_by="ada", claimed_until=LATER, updated_at=NOW,
             metadata={"a": [{"b": "Deep"}, 42, None, True]}),
    ]  # fmt: skip
    assert found(tasks, **query) == expected


def test_a_finished_task_is_never_overdue() -> None:
    assert found([task(1, due="2020-01-01", status="done")], overdue=True, all=True) == []


def test_the_archive_is_looked_at_when_asked() -> None:
    backlog = Backlog.of([task(2)], [task(1, status="done"), task(2, title="old")])
    page = select(backlog, Query(all=True, archived=True), now=NOW)
    assert ids(page) == [1, 2]
    assert page.tasks[1]["title"] == "Number 2"
    assert ids(select(backlog, Query(archived=True), now=NOW)) == [1, 2]
    assert ids(select(backlog, Query(), now=NOW)) == [2]
    assert ids(select(backlog, Query(archived=True, statuses=("todo",)), now=NOW)) == [2]
    assert ids(select(backlog, Query(archived=True, statuses=("done",)), now=NOW)) == [1]


@pytest.mark.parametrize(
    ("query", "error", "words", "hint"),
    [
        ({"statuses": ("nope",)}, InvalidField, "status cannot be 'nope'", "in_progress"),
        ({"parents": ("T9999",)}, TaskNotFound, "T9999", ""),
        ({"sort": "colour"}, Usage, "cannot sort by 'colour'", "updated"),
        ({"sort": "x" * 50}, Usage, f"cannot sort by '{'x' * 40}'$", "updated"),
        ({"limit": -1}, Usage, "cannot be negative", "0 means all"),
        ({"offset": -1}, Usage, "cannot be negative", ""),
    ],
)
def test_a_filter_that_no_task_can_meet_is_an_error(
    query: dict[str, Any], error: type[TaskkeepError], words: str, hint: str
) -> None:
    with pytest.raises(error, match=words) as refused:
        found([task(1)], **query)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, [4, 3, 2, 1]),
        ("priority", [4, 3, 2, 1]),
        ("-priority", [1, 2, 3, 4]),
        ("created", [2, 4, 1, 3]),
        ("-created", [3, 1, 4, 2]),
        ("updated", [1, 2, 3, 4]),
        ("due", [3, 2, 1, 4]),
        ("-due", [2, 3, 1, 4]),
        ("title", [3, 4, 2, 1]),
        ("-title", [1, 2, 4, 3]),
    ],
)
def test_sorting(sort: str | None, expected: list[int]) -> None:
    at = "2026-11-{:02d}T12:00:00.000000Z".format
    tasks = [
        task(1, title="delta", created_at=at(2)),
        task(2, title="Ci", created_at=at(4), due="2027-01-02"),
        task(3, title="alpha", created_at=at(1), due="2027-01-01"),
        task(4, title="Bravo", created_at=at(3), priority="critical"),
    ]
    assert found(tasks, sort=sort) == expected


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.sampled_from((None, *SORTS)))
def test_pages_joined_are_the_whole(count: int, limit: int, offset: int, sort: str | None) -> None:
    tasks = [task(number, priority=PRIORITIES[number % 4]) for number in range(1, count + 1)]
    whole = found(tasks, limit=0, sort=sort)
    page = select(Backlog.of(tasks), Query(limit=limit, offset=offset, sort=sort), now=NOW)
    assert page.total == count
    assert ids(page) == (whole[offset : offset + limit] if limit else whole[offset:])
    assert (page.next is None) == (limit == 0 or offset + limit >= count)
    if page.next is not None:
        assert page.next == offset + limit


def test_fifty_are_listed_and_ten_are_ready_by_default() -> None:
    backlog = Backlog.of([task(number) for number in range(60)])
    assert len(select(backlog, Query(), now=NOW).tasks) == 50
    page = ready(backlog, Query(), now=NOW)
    assert (len(page.tasks), page.total, page.next) == (10, 60, 10)
    for limit, shown in ((None, 50), (20, 20), (0, 60)):
        assert len(select(backlog, Query(ready=True, limit=limit), now=NOW).tasks) == shown
    assert select(backlog, Query(), now=NOW).why == []


def test_of_several_priorities_no_more_are_looked_at_than_the_page_needs() -> None:
    """And no fewer: the page after goes on where this one ends."""
    backlog = Backlog.of([task(1, priority="low"), task(2, priority="high"), task(3, priority="high")])
    assert ids(ready(backlog, Query(limit=2), now=NOW)) == [2, 3]
    assert ids(ready(backlog, Query(limit=2, offset=1), now=NOW)) == [3, 1]


# -- ready


@pytest.mark.parametrize(
    ("fields", "is_ready"),
    [
        ({}, True),
        ({"status": "in_progress"}, False),
        ({"status": "in_progress", "claimed_by": "a", "claimed_until": NOW}, True),
        ({"status": "in_progress", "claimed_by": "a", "claimed_until": LATER}, False),
        ({"status": "in_progress", "claimed_by": "a"}, True),
        ({"claimed_by": "a", "claimed_until": LATER}, False),
        ({"claimed_by": "a", "claimed_until": NOW}, True),
        ({"claimed_by": "a"}, True),
        ({"status": "blocked"}, False),
        ({"status": "review"}, False),
        ({"status": "done"}, False),
        ({"depends_on": ["T0001"]}, False),
        ({"depends_on": ["T0002", "T0003", "T0004"]}, True),
        ({"depends_on": ["T9999"]}, False),
    ],
)
def test_what_is_ready(fields: dict[str, Any], is_ready: bool) -> None:
    others = [task(1, status="review"), task(2, status="done"), task(3, status="cancelled")]
    backlog = Backlog.of([*others, task(5, **fields)], [task(4, status="done")])
    assert (5 in ids(ready(backlog, Query(), now=NOW))) == is_ready
    assert (5 in ids(select(backlog, Query(ready=True), now=NOW))) == is_ready
    assert (5 in ids(select(backlog, Query(ready=True, sort="title"), now=NOW))) == is_ready


def test_the_best_comes_first_and_says_why() -> None:
    """Priority, then what unblocks most (through others too), then age."""
    backlog = Backlog.of(
        [
            task(1, created_at=NOW),
            task(2, created_at=THEN),
            task(3, created_at=LATER),
            task(4, depends_on=["T0003"]),
            task(5, depends_on=["T0004"]),
            task(6, depends_on=["T0002"], status="done"),
            task(7, priority="critical", created_at=LATER),
        ]
    )
    page = ready(backlog, Query(), now=NOW)
    assert ids(page) == [7, 3, 2, 1]
    assert page.why == [
        "critical; waiting since 2026-11-21",
        "medium; unblocks 2; waiting since 2026-11-21",
        "medium; waiting since 2026-11-19",
        "medium; waiting since 2026-11-20",
    ]


def test_an_ended_claim_is_told() -> None:
    backlog = Backlog.of([task(1, status="in_progress", claimed_by="agent", claimed_until=THEN)])
    assert "the claim of agent has ended" in ready(backlog, Query(), now=NOW).why[0]


@given(st.integers(1, 5), st.integers(0, 12))
def test_pages_of_ready_joined_are_the_whole(limit: int, offset: int) -> None:
    tasks = [task(n, priority=PRIORITIES[n * 7 % 4], depends_on=[f"T{n - 1:04d}"] * (n % 3 == 0)) for n in range(12)]
    backlog = Backlog.of(tasks)
    whole = ids(ready(backlog, Query(limit=0), now=NOW))
    page = ready(backlog, Query(limit=limit, offset=offset), now=NOW)
    assert ids(page) == whole[offset : offset + limit]
    assert page.total == len(whole)


def test_a_task_that_several_ways_lead_to_is_counted_once() -> None:
    """Whatever waits for it twice over."""
    links = {2: [1], 3: [1], 4: [2, 3]}
    tasks = [task(1), *(task(number, depends_on=[f"T{to:04d}" for to in targets]) for number, targets in links.items())]

    page = ready(Backlog.of(tasks), Query(), now=NOW)

    assert "unblocks 3" in page.why[0]

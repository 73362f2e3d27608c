"""The audit log and the text form, as laws: what the log says is what the backlog holds."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

from histories import STOCK, History, replayed, steps
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskkeep.backlog import text
from taskkeep.backlog.events import apply, diff, event_hash
from taskkeep.backlog.replay import causal_order, heads
from taskkeep.backlog.task import canonical
from taskkeep.backlog.times import to_text

# Every kind of step at least once, and again upon what it made.
EVERY: list[list[tuple[str, str, Any]]] = [
    [("note", "T0001", "one"), ("note", "T0002", "one")],
    [("note", "T0001", "two")],
    [("update", "T0001", {"acceptance_criteria": ["one", "two"], "labels": ["ci"], "due": "2027-01-31"})],
    [("check", "T0001", 2), ("link", "T0001", "T0002")],
    [("uncheck", "T0001", 2), ("link", "T0001", "T0003")],
    [("metadata", "T0001", {"x": 1, "y": "a", "z": [1]})],
    [("metadata", "T0001", {"x": True, "y": None})],
    [("update", "T0001", {"acceptance_criteria": ["two", "three"], "labels": ["ui", "api"], "due": None})],
    [("status", "T0002", "done"), ("archive", "T0002", None)],
    [("bring back", "T0002", None)],
    [("archive", "T0002", None), ("delete", "T0003", None)],
    [("add", "T0003", "again"), ("note", "T0003", "new")],
    [("add", "T0004", "made and moved in one"), ("status", "T0004", "done"), ("archive", "T0004", None)],
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(steps, min_size=1, max_size=4), max_size=40), st.randoms())
@example(EVERY, Random(0))
def test_replaying_the_log_gives_the_backlog_byte_for_byte(requests: list[Any], random: Any) -> None:
    """After any sequence of changes, in whatever order the files of the log are read."""
    history = History()
    for request in (STOCK, *requests):
        history.do(*request)

    shuffled = list(history.events)
    random.shuffle(shuffled)

    assert replayed(shuffled) == (history.text, history.archive)
    assert causal_order(shuffled) == history.events
    assert all(event["hash"] == event_hash(event) for event in history.events)
    assert len(heads(history.events)) == bool(history.events)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(steps, min_size=1, max_size=4), max_size=25))
@example(EVERY)
def test_a_change_says_all_that_it_did(requests: list[Any]) -> None:
    """What diff() tells of two states of a task, apply() makes of the first: the second."""
    history, now = History(), to_text(1_796_000_000_000_000)
    states: dict[str, list[dict[str, Any]]] = {}
    for request in (STOCK, *requests):
        history.do(*request)
        for task in history.backlog.tasks.values():
            states.setdefault(task["uid"], []).append(task)

    for seen in states.values():
        for old, new in pairwise(seen):
            changed = canonical({**new, "updated_at": now})
            assert text.dump([apply(old, diff(old, changed, now), now)]) == text.dump([changed])
            assert diff(changed, changed, now) == {}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(steps, min_size=1, max_size=6), min_size=1, max_size=10),
    st.lists(steps, max_size=6),
)
def test_a_spliced_text_is_the_text_written_anew(before: list[Any], request: list[Any]) -> None:
    """Whatever was added, changed and taken out, and wherever in the file."""
    history = History()
    for one in (STOCK, *before):
        history.do(*one)
    old = history.backlog
    data = history.text
    history.do(*request)
    new = history.backlog
    touched = {i for i in {*old.tasks, *new.tasks} if old.tasks.get(i) is not new.tasks.get(i)}

    pieces = text.splice(data, list(old.tasks), {i: new.tasks.get(i) for i in touched})

    assert b"".join(pieces) == history.text
    assert {task["id"]: task for task in text.parse(history.text)} == new.tasks


@settings(max_examples=100, deadline=None)
@given(
    st.lists(steps, min_size=8, max_size=25),
    st.lists(steps, max_size=6),
    st.lists(steps, max_size=6),
    st.randoms(),
)
def test_a_merged_log_is_read_the_same_in_every_clone(
    base: list[Any], ours: list[Any], theirs: list[Any], random: Any
) -> None:
    """Neither the order of the files nor which side is ours changes what two branches add up to."""
    history = History()
    history.do(*STOCK, *base)
    left, right = history.branch(), history.branch()
    left.do(*ours)
    right.do(*theirs)
    events = [*left.events, *right.events]
    expected = replayed(events)

    random.shuffle(events)

    assert replayed(events) == expected
    assert replayed([*right.events, *left.events]) == expected

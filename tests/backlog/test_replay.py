"""The audit log and the text form, as laws: what the log says is what the backlog holds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from histories import History, replayed, steps
from hypothesis import given, settings
from hypothesis import strategies as st

from taskkeep.backlog import text
from taskkeep.backlog.events import apply, diff, event_hash
from taskkeep.backlog.replay import causal_order, heads
from taskkeep.backlog.task import canonical
from taskkeep.backlog.times import to_text


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(steps, min_size=1, max_size=4), max_size=40), st.randoms())
def test_replaying_the_log_gives_the_backlog_byte_for_byte(requests: list[Any], random: Any) -> None:
    """After any sequence of changes, in whatever order the files of the log are read."""
    history = History()
    for request in requests:
        history.do(*request)

    shuffled = list(history.events)
    random.shuffle(shuffled)

    assert replayed(shuffled) == (history.text, history.archive)
    assert causal_order(shuffled) == history.events
    assert all(event["hash"] == event_hash(event) for event in history.events)
    assert len(heads(history.events)) == bool(history.events)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(steps, min_size=1, max_size=4), max_size=25))
def test_a_change_says_all_that_it_did(requests: list[Any]) -> None:
    """What diff() tells of two states of a task, apply() makes of the first: the second."""
    history, now = History(), to_text(1_796_000_000_000_000)
    states: dict[str, list[dict[str, Any]]] = {}
    for request in requests:
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
    for one in before:
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
    history.do(*base)
    left, right = history.branch(), history.branch()
    left.do(*ours)
    right.do(*theirs)
    events = [*left.events, *right.events]
    expected = replayed(events)

    random.shuffle(events)

    assert replayed(events) == expected
    assert replayed([*right.events, *left.events]) == expected

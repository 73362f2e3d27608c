"""Any moment of the past, as laws over random histories: changes, batches, undo, restore, archive, branch, merge."""

from __future__ import annotations

from typing import Any

from histories import STOCK, History, steps
from hypothesis import given, settings
from hypothesis import strategies as st

from taskkeep.backlog import text, travel
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.difference import difference
from taskkeep.backlog.events import Chain, Event, Request, line, task_changes
from taskkeep.backlog.history import Outline, blame, last_lines, lines_with, state_of
from taskkeep.backlog.replay import Replay, causal_order, heads, reconcile
from taskkeep.backlog.times import to_text
from taskkeep.errors import TaskkeepError

requests = st.lists(steps, min_size=1, max_size=4)
actions = st.one_of(
    st.tuples(st.just("do"), requests),
    st.tuples(st.just("do"), requests),
    st.tuples(st.just("switch"), st.none()),
    st.tuples(st.just("merge"), st.none()),
    st.tuples(st.just("restore"), st.integers(0, 99)),
    st.tuples(st.just("undo"), st.integers(0, 99)),
)
State = tuple[bytes, bytes]


def bytes_of(backlog: Backlog) -> State:
    return text.dump(backlog.tasks.values()), text.dump(backlog.archived.values())


class World:
    """Two branches of one history, and a model that only remembers what each request left."""

    def __init__(self) -> None:
        self.here = History()
        self.here.do(*STOCK)
        self.there = self.here.branch()
        # By the hash of a request's last event.
        self.left: dict[str, State] = {self.here.events[-1]["hash"]: bytes_of(self.here.backlog)}
        self.own: list[str] = []  # the last events of the branch that we are on

    def act(self, kind: str, value: Any) -> None:
        before = len(self.here.events)
        if kind == "do":
            self.here.do(*value)
        elif kind == "switch":
            self.here, self.there = self.there, self.here.branch()
        elif kind == "merge":
            self.merge()
        elif self.here.events:
            last = [event for event in self.here.events if event["hash"] in self.left]
            target = last[value % len(last)]
            self.travel(kind, target)
        if len(self.here.events) > before:
            self.left[self.here.events[-1]["hash"]] = bytes_of(self.here.backlog)

    def merge(self) -> None:
        events = causal_order([*self.here.events, *self.there.events])
        found = heads(events)
        replay = Replay(events)
        ids = [task["id"] for task in replay.tasks().values()]
        if len(found) < 2 or len(set(ids)) < len(ids):
            return  # nothing to join, or one id drawn twice
        backlog = state_of(replay)
        choices, wrong = reconcile(replay, backlog.tasks, backlog.archived)
        assert wrong == []
        chain = self.chain(events)
        chain.add("merged", None, None, {"heads": found, "choices": choices})
        self.here.events, self.here.backlog = [*events, *chain.events], backlog

    def chain(self, events: list[Event]) -> Chain:
        number = next(History.numbers)
        now = to_text(1_795_000_000_000_000 + number)
        request = Request(txn=f"{number:036d}", actor="ada", now=now, source="api", why=None, key=None, digest=None)
        ids = History.numbers
        return Chain(request, before="", after="", heads=heads(events), new_id=lambda: f"{next(ids):036d}")

    def travel(self, kind: str, target: Event) -> None:
        outline = outline_of(self.here.events)
        chain = self.chain(self.here.events)
        now, number = chain.request.now, outline.place[target["hash"]]
        try:
            if kind == "restore":
                after, _ = travel.restore(self.here.backlog, outline.state(number), None, unlink=True, now=now)
            else:
                events = [event for event in self.here.events if event["txn"] == target["txn"]]
                first = [outline.place[prev] for prev in events[0]["prev"]]
                seen = outline.past([number])[0]
                later = [event for n, event in enumerate(self.here.events) if n not in seen]
                after, _ = travel.undo(
                    self.here.backlog, outline.state(*first), outline.state(number), events, later, now=now, actor="ada"
                )
        except TaskkeepError:
            return
        for what, task, details in task_changes(self.here.backlog, after, now):
            chain.add(what, task["id"], task["uid"], details)
        self.here.events = [*self.here.events, *chain.events]
        self.here.backlog = after


def outline_of(events: list[Event]) -> Outline:
    return Outline(b"".join(line(event) for event in causal_order(events)))


@settings(max_examples=120)
@given(st.lists(actions, max_size=25), st.integers(0, 99))
def test_every_moment_is_as_it_was_whatever_came_after_and_beside_it(history: list[Any], pick: int) -> None:
    """The state at the last event of each request, on all branches, is byte for byte what the request left."""
    world = World()
    for kind, value in history:
        world.act(kind, value)
    events = causal_order([*world.here.events, *world.there.events])

    outline = outline_of(events)

    assert outline.hashes == [event["hash"] for event in events]
    for name, state in world.left.items():
        number = outline.place[name]
        assert bytes_of(outline.state(number)) == state
        live, archived = ({task["id"]: task for task in text.parse(data)} for data in state)
        for task_id in {**live, **archived}:
            named = outline.tasks_named(task_id, number)
            assert named.tasks.get(task_id) == live.get(task_id)
            assert named.archived.get(task_id) == archived.get(task_id)
    ends = [outline.place[name] for name in world.left]
    for head in ends[-2:]:
        for number in ends:
            changed = outline.later(number, head)
            if changed is not None:
                near = outline.state_before(outline.state(head), changed, number)
                assert bytes_of(near) == bytes_of(outline.state(number))
    if world.left:
        name = sorted(world.left)[pick % len(world.left)]
        then = outline.state(outline.place[name])
        assert_restored(world.here.backlog, then)


@settings(max_examples=60)
@given(st.lists(requests, min_size=1, max_size=8), st.integers(0, 99), st.integers(0, 99))
def test_a_log_known_to_have_no_branch_is_read_from_its_end_with_the_same_answers(
    history: list[Any], one: int, other: int
) -> None:
    """Whichever event is asked for first, by number, hash, time, or the tasks that changed since."""
    world = World()
    for request in history:
        world.act("do", request)
    events = world.here.events
    if not events:
        return
    plain = outline_of(events)

    def quick() -> Outline:
        return Outline(b"".join(map(line, events)), straight=len(events))

    head, at, since = events[-1]["hash"], one % len(events), other % len(events)
    uids = {event["uid"] for event in events[at:]}
    assert len(quick()) == len(plain)
    assert quick().number(head) == plain.number(head) == len(events) - 1
    assert quick().number(events[at]["hash"]) == at
    assert quick().number("of no event") is plain.number("of no event") is None
    assert quick().said(at) == plain.said(at)
    assert quick().event(at) == plain.event(at) == events[at]
    assert list(quick().line(head)) == list(plain.line(head))
    assert quick().at_time(head, events[at]["timestamp"]) == plain.at_time(head, events[at]["timestamp"])
    assert quick().past([at]) == plain.past([at])
    assert quick().later(since, len(events) - 1) == plain.later(since, len(events) - 1)
    for some in ({*sorted(uids)[:2]}, uids):
        assert quick().replay([at], some).tasks() == plain.replay([at], some).tasks()
        assert quick().replay([at], some).archived() == plain.replay([at], some).archived()
    for name in {event["task_id"] for event in events} | {"T0"}:
        assert bytes_of(quick().tasks_named(name, at)) == bytes_of(plain.tasks_named(name, at))
    assert bytes_of(quick().state(at)) == bytes_of(plain.state(at))
    assert (quick().ids, quick().times, quick().hashes, quick().prevs) == (
        plain.ids, plain.times, plain.hashes, plain.prevs
    )  # fmt: skip


def assert_restored(now: Backlog, then: Backlog) -> None:
    """The whole state comes back byte for byte, but for updated_at; a second time nothing changes."""
    moment = "2027-01-01T00:00:00.000000Z"
    after, _ = travel.restore(now, then, None, unlink=True, now=moment)
    found = {task["uid"]: task for task in (*after.tasks.values(), *after.archived.values())}
    wanted = {task["uid"]: task for task in (*then.tasks.values(), *then.archived.values())}
    links = {task["id"] for task in wanted.values()}
    assert found.keys() == wanted.keys()
    for uid, task in wanted.items():
        if set(task.get("depends_on", ())) <= links:
            assert {**found[uid], "updated_at": ""} == {**task, "updated_at": "", "id": found[uid]["id"]}
    assert {task["uid"] for task in after.archived.values()} == {task["uid"] for task in then.archived.values()}
    assert travel.restore(after, then, None, unlink=True, now="2028-01-01T00:00:00.000000Z")[0] is after
    assert all(change.changes.keys() == {"updated_at"} for change in difference(after, then).changed if not change)


@settings(max_examples=120)
@given(st.lists(requests, min_size=1, max_size=12))
def test_the_last_request_undone_is_as_if_it_had_not_been(history: list[Any]) -> None:
    """And its undo undone is as if it had: but for updated_at, and the claim, which is never brought back."""
    world = World()
    for request in history:
        world.act("do", request)
    if not world.left:
        return
    last = world.here.events[-1]
    outline = outline_of(world.here.events)
    first = next(event for event in world.here.events if event["txn"] == last["txn"])
    before = outline.state(*(outline.place[prev] for prev in first["prev"]))
    left = world.here.backlog

    world.act("undo", len(world.left) - 1)
    undone = world.here.backlog
    world.act("undo", len(world.left) - 1)

    assert quiet(undone) == quiet(before)
    assert quiet(world.here.backlog) == quiet(left)


def quiet(backlog: Backlog) -> list[Any]:
    return [
        {task_id: {**task, "updated_at": ""} for task_id, task in tasks.items()}
        for tasks in (backlog.tasks, backlog.archived)
    ]


@settings(max_examples=60)
@given(st.lists(actions, max_size=20))
def test_blame_names_the_event_after_which_each_field_was_as_it_is(history: list[Any]) -> None:
    """At that event the field had its value, and every field has one."""
    world = World()
    for kind, value in history:
        if kind != "switch":
            world.act(kind, value)
    outline = outline_of(world.here.events)
    for task in world.here.backlog.tasks.values():
        for told in blame(world.here.events, task["uid"], task):
            assert told["event_id"] is not None, told
            state = outline.state(outline.ids.index(told["event_id"]))
            then = next(one for one in (*state.tasks.values(), *state.archived.values()) if one["uid"] == task["uid"])
            field, _, key = told["field"].partition(".")
            assert (then[field][key] if key else then[field]) == told["value"]


@given(st.lists(st.sampled_from([b"", b"a", b"ab", b"ba", b"abab", b"c"]), max_size=12), st.integers(0, 15))
def test_lines_are_found_as_if_all_were_looked_at(lines: list[bytes], count: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    for needles in ([b"ab"], [b"a", b"c"], [b"bb"], [b"abab", b"ba"], []):
        assert lines_with(data, needles) == [line for line in lines if any(needle in line for needle in needles)]
    assert last_lines(data, count) == (lines[-count:] if count else lines)

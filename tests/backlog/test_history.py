"""A log tells of any moment: its line, its past, what changed since, and who set what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from branches import STOCK, Branch, by_uid, requests
from hypothesis import given, settings
from hypothesis import strategies as st

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import Event, json_text, line
from taskkeep.backlog.history import (
    FEW,
    Outline,
    blame,
    changed_uids,
    last_lines,
    lines_with,
    named_uids,
    state_of,
    touches,
)
from taskkeep.backlog.merge import merge
from taskkeep.backlog.replay import Replay, causal_order


def outline(events: list[Event]) -> Outline:
    return Outline(b"".join(map(line, causal_order(events))))


def loose(events: list[Event]) -> Outline:
    """As another program may have written them: other blanks, keys in another order."""
    return Outline(b"".join(json.dumps(event, sort_keys=True).encode() + b"\n" for event in causal_order(events)))


def branched() -> tuple[Branch, Branch, Branch]:
    """Two branches of one past, and what the first was when they had met."""
    root = Branch().do([("add", "T0001", "one")], [("add", "T0002", "two")])
    one = root.fork().do([("update", "T0001", {"title": "ours"})], [("note", "T0002", "n")])
    other = root.fork().do([("update", "T0002", {"title": "theirs"})])
    met = one.fork()
    met.join(other, merge(root.backlog, one.backlog, other.backlog)[0])
    return one, other, met.do([("update", "T0001", {"role": "after"})])


@settings(max_examples=60, deadline=None)
@given(requests, requests, requests)
def test_a_log_is_read_the_same_in_whatever_way_its_lines_are_written(base: Any, left: Any, right: Any) -> None:
    """And the state at an event is the later one with the tasks that changed since taken back."""
    root = Branch().do(STOCK, *base)
    one, other = root.fork().do(*left), root.fork().do(*right)
    met = one.fork()
    met.join(other, merge(root.backlog, one.backlog, other.backlog)[0])
    quick, slow = outline(met.events), loose(met.events)

    for field in ("ids", "times", "prevs", "hashes"):
        assert getattr(quick, field) == getattr(slow, field)
    assert len(quick) == len(slow) == len(met.events)
    if not met.events:
        return
    last = len(quick) - 1
    for number in range(len(quick)):
        assert quick.uids_of(number) == slow.uids_of(number)
        state = quick.state(number)
        assert by_uid(state) == by_uid(slow.state(number))
        changed = quick.later(number, last)
        if changed is not None:
            near = quick.state_before(quick.state(last), changed, number)
            assert json_text([near.tasks, near.archived]) == json_text([state.tasks, state.archived])


def told_apart() -> Branch:
    """A straight log with every kind of change, a renumbering and a task that is made again."""
    branch = Branch().do(
        STOCK,
        [("update", "T0001", {"title": "T0002", "labels": ["ci"]}), ("note", "T0003", "T0001")],
        [("link", "T0002", "T0003"), ("metadata", "T0002", {"x": "T0009", "y": 1})],
        [("add", "T0004", "four"), ("add", "T0005", "five"), ("add", "T0006", "six")],
        [("claim", "T0004", "bot"), ("update", "T0005", {"parent": "T0006"}), ("archive", "T0003", None)],
    )
    renamed = {**branch.backlog.tasks["T0001"], "id": "T0009", "aliases": ["T0001"]}
    branch.save(branch.backlog.without("T0001").replacing(renamed), "2027-01-01T00:00:00.000000Z", 1)
    return branch.do([("delete", "T0006", None)], [("update", "T0002", {"status": "done"}), ("archive", "T0003", None)])


def test_a_log_that_is_known_to_be_straight_tells_the_same_a_line_at_a_time() -> None:
    """Whatever is asked for first; and one that is empty."""
    events = told_apart().events
    data, count = b"".join(map(line, events)), len(events)
    plain, uids = Outline(data), sorted({one["uid"] for one in events})

    def quick() -> Outline:
        return Outline(data, straight=count)

    def seen(state: Backlog) -> Any:
        return state.tasks, state.archived

    assert len(quick()) == count
    known = quick()
    for number in range(count):
        name = plain.hashes[number]
        assert quick().row(number) == known.row(number) == plain.rows[number] == line(events[number])[:-1]
        assert quick().said(number) == known.said(number) == plain.said(number)
        assert quick().number(name) == known.number(name) == number
        assert list(quick().line(name)) == list(plain.line(name)) == list(range(number, -1, -1))
        assert quick().at_time(plain.hashes[-1], plain.times[number]) == max(
            place for place, time in enumerate(plain.times) if time <= plain.times[number]
        )
        assert quick().uids_of(number) == plain.uids_of(number) == {events[number]["uid"]}
        assert quick().later(number, count - 1) == {one["uid"] for one in events[number + 1 :]}
        assert seen(quick().state(number)) == seen(plain.state(number)) == seen(state_of(Replay(events[: number + 1])))
        for some in (uids[:1], uids[1:3], uids[:FEW], uids[: FEW + 1]):
            assert seen(state_of(quick().replay([number], set(some)))) == seen(
                state_of(plain.replay([number], set(some)))
            )
        for task_id in ("T0001", "T0002", "T0003", "T0006", "T0009"):
            assert seen(quick().tasks_named(task_id, number)) == seen(plain.tasks_named(task_id, number))
            assert seen(quick().tasks_named(task_id, 0, number)) == seen(plain.tasks_named(task_id, number))
    assert quick().number("unknown") is None
    assert (len(Outline(b"", straight=0)), Outline(b"", straight=0).number("unknown")) == (0, None)


def test_what_a_log_is_not_asked_for_is_not_read() -> None:
    """Of a line the middle, until its event is asked for; of a log that is known to be straight the lines before."""
    events = told_apart().events
    broken = b"".join(line(one).replace(b'"details":', b'"details":?') for one in events)
    found = Outline(broken)

    assert found.ids == [one["event_id"] for one in events]
    assert found.times == [one["timestamp"] for one in events]
    assert found.prevs == [one["prev"] for one in events]
    assert found.hashes == [one["hash"] for one in events]
    with pytest.raises(ValueError):
        found.event(0)

    last = Outline(b"no event\n" + line(events[-1]), straight=2)
    assert (last.said(1).hash, last.number(events[-1]["hash"])) == (events[-1]["hash"], 1)
    assert last.later(1, 1) == set()
    assert list(last.replay([1], {"none"}).tasks()) == []


NEARLY: list[Any] = [
    lambda row: row.replace(b'{"v":1,', b'{ "v":1,'),
    lambda row: row.replace(b'"timestamp":', b'"timestamp": '),
    lambda row: row.replace(b'"hash":', b'"hash" :'),
    lambda row: row.replace(b'"prev":', b'"prev": '),
    lambda row: row[:-1] + b" }",
    lambda row: row.replace(b'{"v":1,', b'{"v":1,"hash":"x",'),
]


@pytest.mark.parametrize("turned", NEARLY)
def test_a_line_that_is_nearly_as_we_write_it_is_read_as_well(turned: Any) -> None:
    """So is one whose task holds words of a line."""
    texts = {"title": '"prev":["x"]', "metadata": {"prev": ["x"], "hash": "y", "uid": "z", "timestamp": "w"}}
    branch = Branch().do([("add", "T0001", "one")], [("add", "T0002", "two")])
    full = {**branch.backlog.tasks["T0001"], "id": "T0003", "uid": "3" * 32, **texts}
    branch.save(branch.backlog.replacing(full), "2027-01-01T00:00:00.000000Z", 1)
    branch.save(branch.backlog.without("T0003"), "2027-01-02T00:00:00.000000Z", 2)
    rows = [line(one)[:-1] for one in branch.events]

    for found in (Outline(b"\n".join([*rows, b""])), Outline(b"\n".join([*map(turned, rows), b""]))):
        assert found.ids == [one["event_id"] for one in branch.events]
        assert found.times == [one["timestamp"] for one in branch.events]
        assert found.prevs == [one["prev"] for one in branch.events]
        assert found.hashes == [one["hash"] for one in branch.events]
        assert [found.uids_of(number) for number in range(4)] == [{one["uid"]} for one in branch.events]
    nobody = {**branch.events[0], "uid": None, "task_id": None, "details": {}}
    assert Outline(line(nobody)).uids_of(0) == set()


def test_the_line_of_an_event_goes_back_along_its_own_branch() -> None:
    """Not along the one that was merged in; a time means the last event not later than it there."""
    one, other, met = branched()
    found = outline(met.events)
    own = [event["hash"] for event in one.events]

    way = [found.hashes[number] for number in found.line(met.events[-1]["hash"])]

    assert way[-len(own) :] == own[::-1]
    assert not {event["hash"] for event in other.events} - {event["hash"] for event in one.events} & set(way)
    for branch in (one, other):
        back = [found.hashes[number] for number in found.line(branch.events[-1]["hash"])]
        assert back == [event["hash"] for event in branch.events][::-1]
    at = {event["hash"]: event["timestamp"] for event in met.events}
    assert found.at_time(own[-1], at[own[1]]) == found.place[own[1]]
    assert found.at_time(own[-1], at[own[0]][:-2]) is None
    assert list(found.line("unknown")) == []
    assert found.at_time("unknown", at[own[1]]) is None


def test_two_logs_that_begin_apart_are_each_a_line_to_its_own_beginning() -> None:
    one, other = (
        Branch().do([("add", "T0001", "one")]),
        Branch().do([("add", "T0002", "two")], [("note", "T0002", "n")]),
    )
    found = outline([*one.events, *other.events])

    for branch in (one, other):
        back = [found.hashes[number] for number in found.line(branch.events[-1]["hash"])]
        assert back == [event["hash"] for event in branch.events][::-1]


def test_a_few_tasks_of_branches_that_met_are_folded_as_among_all_the_others() -> None:
    """What one side changed and the other moved to the archive, not knowing, has come back from there."""
    root = Branch().do(STOCK)
    one = root.fork().do([("update", "T0001", {"labels": ["ci"]})])
    other = root.fork().do([("archive", "T0001", None)], [("note", "T0002", "n")])
    one.join(other, merge(root.backlog, one.backlog, other.backlog)[0])
    found, task = outline(one.events), one.backlog.tasks["T0001"]
    last = len(found) - 1

    assert state_of(found.replay([last], {task["uid"]})).tasks == {"T0001": task}
    assert found.tasks_named("T0001", last).tasks == {"T0001": task}
    assert found.state(last).tasks["T0001"] == task


def test_the_past_of_an_event_is_all_that_it_follows_and_names_what_is_missing() -> None:
    one, other, met = branched()
    found = outline(met.events)
    last = found.place[one.events[-1]["hash"]]

    assert [found.hashes[number] for number in found.past([last])[0]] == [event["hash"] for event in one.events]
    both = found.past([last, found.place[other.events[-1]["hash"]]])[0]
    assert {found.hashes[number] for number in both} == {event["hash"] for event in (*one.events, *other.events)}
    assert found.past([]) == ([], [])
    cut = outline(met.events[1:])
    assert cut.past([len(cut) - 1]) == (list(range(len(cut))), [met.events[0]["hash"]])


def test_what_changed_since_is_told_only_where_the_one_follows_the_other() -> None:
    """And not where the past has gaps: then nothing is certain."""
    one, other, met = branched()
    found = outline(met.events)
    uids = {task["id"]: task["uid"] for task in met.backlog.tasks.values()}

    def number(event: Event) -> int:
        return found.place[event["hash"]]

    assert found.later(number(one.events[1]), number(one.events[2])) == {uids["T0001"]}
    assert found.later(number(one.events[1]), number(one.events[-1])) == {uids["T0001"], uids["T0002"]}
    assert found.later(number(one.events[-1]), number(one.events[-1])) == set()
    assert found.later(number(one.events[-2]), number(one.events[-1])) == {uids["T0002"]}
    assert found.later(number(other.events[-2]), number(other.events[-1])) == {uids["T0002"]}
    assert found.later(number(other.events[-1]), number(one.events[-1])) is None
    cut = outline(met.events[1:])
    assert cut.later(0, len(cut) - 1) is None


@pytest.mark.parametrize(
    "data",
    [
        b'{"v":1}',
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"{\n",
        b'{"event_id": "a", "timestamp": "b", "prev": []}\n',
        b"\xff\n",
    ],
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        Outline(data)


@pytest.mark.parametrize(("rows", "said"), [([b"{}"], "line 2 is no event"), ([b'{"v":1'], "the last line is cut off")])
def test_a_line_that_is_no_event_is_named(rows: list[bytes], said: str) -> None:
    data = line(told_apart().events[0]) + b"\n".join([*rows, b""] if "cut" not in said else rows)
    with pytest.raises(ValueError, match=said):
        Outline(data)


def test_a_long_walk_is_watched() -> None:
    """So that a command can show how far it is."""
    seen: list[int] = []

    def watch(steps: Any) -> Any:
        seen.append(len(steps))
        return steps

    root = Branch().do([("add", "T0001", "one")])
    found = Outline(b"".join(map(line, root.events)), watch)

    assert found.state(0).tasks == root.backlog.tasks
    assert seen == [1]


ROWS = st.lists(st.sampled_from([b"", b"a", b"ab", b"ba b", b"c"]), max_size=6)


@given(ROWS, st.sets(st.sampled_from([b"a", b"b", b"ab", b"z"])), st.booleans())
def test_the_lines_that_speak_of_something_are_found_once_and_in_order(
    rows: list[bytes], needles: set[bytes], ended: bool
) -> None:
    """The last one too, where no line break ends it."""
    data = b"\n".join(rows) + (b"\n" if ended else b"")

    assert lines_with(data, needles) == [row for row in rows if any(needle in row for needle in needles)]


def test_a_line_is_found_by_its_first_letter_and_none_that_begins_behind_the_stop() -> None:
    assert lines_with(b"ab\nb\nca\na", [b"a"]) == [b"ab", b"ca", b"a"]
    assert lines_with(b"ab\nb\nca\na", [b"a", b"b"], 5) == [b"ab", b"b"]


@given(ROWS, st.integers(0, 7))
def test_the_last_lines_are_the_last(rows: list[bytes], count: int) -> None:
    """All of them with 0, and where there are no more."""
    data = b"".join(row + b"\n" for row in rows)

    assert last_lines(data, count) == (rows[-count:] if count else rows)


# -- tasks by the names they had -------------------------------------------------------------------


def test_a_task_is_found_under_any_id_that_it_had() -> None:
    """Renumbered by a merge or by hand; archived ones too. A name that nobody bore gives nothing."""
    root = Branch().do([("add", "T0001", "one"), ("add", "T0002", "two"), ("add", "T0003", "three")])
    renamed = {**root.backlog.tasks["T0001"], "id": "T0009", "aliases": ["T0001"]}
    later = root.fork()
    later.save(root.backlog.without("T0001").replacing(renamed), "2027-01-01T00:00:00.000000Z", 1)
    later.do([("archive", "T0002", None)])
    found = outline(later.events)
    last = len(found) - 1

    assert list(found.tasks_named("T0001", last).tasks) == list(found.tasks_named("T0009", last).tasks) == ["T0009"]
    assert list(found.tasks_named("T0001", 2).tasks) == ["T0001"]
    assert list(found.tasks_named("T0002", last).archived) == ["T0002"]
    assert found.tasks_named("T0008", last).tasks == found.tasks_named("T0009", 2).tasks == {}


def test_a_name_in_a_text_is_no_name_of_the_task() -> None:
    root = Branch().do([("add", "T0001", "T0002")], [("add", "T0003", "three")], [("link", "T0003", "T0001")])

    assert outline(root.events).tasks_named("T0002", 2).tasks == {}
    assert list(outline(root.events).tasks_named("T0001", 2).tasks) == ["T0001"]


def event(uid: str | None, **details: Any) -> Event:
    said = {"actor": "ada", "why": None, "source": "cli", "event_type": "x", "timestamp": "t"}
    return {"uid": uid, "task_id": uid and "T0001", "details": details, "event_id": json.dumps(details), **said}


def test_the_choices_of_a_merge_speak_of_tasks_too() -> None:
    merged = event(None, choices=[{"uid": "u", "task_id": "T0002", "field": "title", "to": "x"}])

    assert named_uids(merged, "T0002") == {"u"}
    assert named_uids(merged, "T0001") == set()
    assert named_uids(event("v"), "T0001") == {"v"}
    assert (changed_uids(merged), changed_uids(event(None)), changed_uids(event("v"))) == ({"u"}, set(), {"v"})
    assert named_uids(event("w", changes={"id": {"from": "T0007", "to": "T0001"}}), "T0007") == {"w"}
    assert named_uids(event("w", changes={"id": None}), "T0007") == set()
    assert touches(merged, {"u"})
    assert not touches(merged, {"v"})
    assert touches(event("v"), {"v"})
    assert not touches(event(None), {"v"})


# -- who set what ----------------------------------------------------------------------------------


def told(events: list[Event], **fields: Any) -> dict[str, Any]:
    """The number of the event that each field is from."""
    numbers = {one["event_id"]: number for number, one in enumerate(events)}
    return {one["field"]: numbers.get(one["event_id"]) for one in blame(events, "u", fields)}


def test_each_field_is_from_the_event_that_set_it_last() -> None:
    """Metadata by key; a time of change from any change of the task, not from a move to the archive."""
    events = [
        event("u", task={"title": "a", "labels": ["x"], "updated_at": "1"}),
        event("v", changes={"title": {"from": "a", "to": "b"}}),
        event("u", changes={"title": {"from": "a", "to": "c"}, "metadata": {"k": {"from": None, "to": 1}}}),
        event("u", changes={}, archived=True),
    ]
    fields = {"title": "c", "labels": ["x"], "updated_at": "2", "metadata": {"k": 1, "l": 2}}

    assert told(events, **fields) == {"title": 2, "labels": 0, "updated_at": 2, "metadata.k": 2, "metadata.l": 0}
    assert told([*events, event("u", changes={})], **fields)["updated_at"] == 4
    edit = event("u", changes={"title": {"from": "c", "to": "d"}}, archived=True)
    assert told([*events, edit], **fields)["updated_at"] == 4


def test_a_choice_of_a_merge_sets_a_field_and_of_metadata_every_key() -> None:
    choices = [
        {"uid": "u", "field": "title", "to": "b"},
        {"uid": "u", "field": "metadata", "to": {"k": 1}},
        {"uid": "v", "field": "labels", "to": []},
        {"uid": "u", "field": None, "to": None},
    ]
    events = [event("u", task={"title": "a", "labels": []}), event(None, choices=choices)]

    assert told(events, title="b", labels=[], metadata={"k": 1}) == {"title": 1, "labels": 0, "metadata.k": 1}


def test_what_no_event_set_is_from_none() -> None:
    [found] = blame([event("v", task={"title": "a"})], "u", {"title": "a"})

    assert found == {
        "field": "title",
        "value": "a",
        **dict.fromkeys(("timestamp", "actor", "why", "source", "event_id", "event_type")),
    }


def test_a_state_has_each_task_in_one_place() -> None:
    root = Branch().do([("add", "T0001", "one"), ("add", "T0002", "two")], [("archive", "T0001", None)])

    state = state_of(Replay(root.events))

    assert (state.tasks, state.archived) == (root.backlog.tasks, root.backlog.archived)
    assert state_of(Replay([])).tasks == Backlog({}).tasks

"""What an audit log tells of any moment: the events in its past, and the backlog that they lead to."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import json_text
from taskkeep.backlog.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence, Set

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task

_START = b'{"v":1,"event_id":"'
_TIME = b'","timestamp":"'
CHUNK = 1000
FEW = 4  # tasks up to which their lines are looked for one task after the other
_UID = b'"uid":'
_HASH = b'],"hash":"'


def lines_with(data: bytes, needles: Iterable[bytes], stop: int | None = None) -> list[bytes]:
    """The lines before *stop* that hold one of *needles*, in their order; the others are not even told apart."""
    stop = len(data) if stop is None else stop
    starts: dict[int, int] = {}
    for needle in needles:
        at = data.find(needle, 0, stop)
        while at >= 0:
            end = data.find(b"\n", at)
            end = len(data) if end < 0 else end
            starts[data.rfind(b"\n", 0, at) + 1] = end
            at = data.find(needle, end, stop)
    return [data[start : starts[start]] for start in sorted(starts)]


def last_lines(data: bytes, count: int) -> list[bytes]:
    """The last lines, in their order; all of them with 0."""
    found = data.rsplit(b"\n", count + 1) if count else data.split(b"\n")
    return found[-count - 1 : -1] if count else found[:-1]


class _Ends(NamedTuple):
    """What stands at both ends of a line."""

    event_id: str
    time: str
    prev: list[str]
    hash: str


class Outline:
    """A log in causal order, of which only the ends of each line are read until an event is asked for.

    Decoding all events to find one takes ten times as long.
    """

    def __init__(
        self,
        data: bytes,
        watch: Callable[[Sequence[Any]], Iterable[Any]] = iter,
        *,
        straight: int | None = None,
    ) -> None:
        """*data*: one event a line, each after those it follows; *watch* is given what a long walk goes along.

        *straight*: how many events there are, where it is known that each follows just the one before; then
        only the lines that are asked for are told apart. Raises ValueError for what is no event.
        """
        self._data, self._watch = data, watch
        self._events: dict[int, Event] = {}
        self._is_straight = straight is not None
        if not data.endswith(b"\n") and data:
            raise ValueError("the last line is cut off")
        # Where lines begin, as far as they were looked for, from the last one back.
        self._begins: dict[int, int] = {} if straight is None else {straight: len(data)}
        self._first_known = straight or 0
        # How many events from the first on follow one another without a branch.
        self._straight = self._count_straight() if straight is None else straight

    def _count_straight(self) -> int:
        last: list[str] = []
        for number, prevs in enumerate(self.prevs):
            if prevs != last:
                return number
            last = [self.hashes[number]]
        return len(self.prevs)

    # -- columns: of every event the same ---------------------------------------------------

    @cached_property
    def rows(self) -> list[bytes]:
        return self._data.split(b"\n")[:-1]

    @cached_property
    def _ends(self) -> list[_Ends]:
        return [self._read_ends(number, row) for number, row in enumerate(self.rows)]

    @cached_property
    def ids(self) -> list[str]:
        return [ends.event_id for ends in self._ends]

    @cached_property
    def times(self) -> list[str]:
        return [ends.time for ends in self._ends]

    @cached_property
    def prevs(self) -> list[list[str]]:
        return [ends.prev for ends in self._ends]

    @cached_property
    def hashes(self) -> list[str]:
        return [ends.hash for ends in self._ends]

    @cached_property
    def place(self) -> dict[str, int]:
        """The numbers of the events by hash."""
        return {name: number for number, name in enumerate(self.hashes)}

    def _read_ends(self, number: int, row: bytes) -> _Ends:
        cut = row.rfind(b'"prev":[')
        if cut > 0 and row[:19] == _START and row[55:70] == _TIME and row[-76:-66] == _HASH and row[-2:] == b'"}':
            prev = row[cut + 8 : -76].decode().split('"')[1::2]
            return _Ends(row[19:55].decode(), row[70:97].decode(), prev, row[-66:-2].decode())
        event = self.event(number)
        try:
            return _Ends(event["event_id"], event["timestamp"], event["prev"], event["hash"])
        except (KeyError, TypeError):
            raise ValueError(f"line {number + 1} is no event") from None

    # -- single events ---------------------------------------------------------------------

    def number(self, name: str) -> int | None:
        """Where the event of a hash stands; mostly that of the last is asked for."""
        if self._is_straight and self._straight and self.said(self._straight - 1).hash == name:
            return self._straight - 1
        return self.place.get(name)

    def said(self, number: int) -> _Ends:
        """The id, time, predecessors and hash of an event."""
        return self._read_ends(number, self.row(number)) if self._is_straight else self._ends[number]

    def row(self, number: int) -> bytes:
        """The line of an event."""
        return self._data[self._begin(number) : self._begin(number + 1) - 1] if self._is_straight else self.rows[number]

    def _begin(self, number: int) -> int:
        while self._first_known > number:
            at = self._begins[self._first_known]
            self._first_known -= 1
            self._begins[self._first_known] = self._data.rfind(b"\n", 0, at - 1) + 1
        return self._begins[number]

    def __len__(self) -> int:
        return self._straight if self._is_straight else len(self.rows)

    def event(self, number: int) -> Event:
        """The event on a line, counted from 0. Raises ValueError."""
        if number not in self._events:
            self._events[number] = json.loads(self.row(number).decode())
        return self._events[number]

    # -- the past of an event ------------------------------------------------------------

    def line(self, head: str) -> Iterator[int]:
        """The numbers of the events from *head* back along the first predecessors."""
        at = self.number(head)
        while at is not None:
            yield at
            if at < self._straight:
                at = at - 1 if at else None
            else:
                at = self.place.get(self.prevs[at][0]) if self.prevs[at] else None

    def at_time(self, head: str, time: str) -> int | None:
        """The last event not later than *time* on the line of *head*; None before the first."""
        return next((number for number in self.line(head) if self.said(number).time <= time), None)

    def past(self, heads: Iterable[int]) -> tuple[list[int], list[str]]:
        """The numbers of *heads* and all that they follow, ascending, and predecessors that are not there."""
        wanted = set(heads)
        last = max(wanted, default=-1)
        if last < self._straight:
            return list(range(last + 1)), []
        marked = bytearray(last + 1)
        for number in wanted:
            marked[number] = 1
        missing: list[str] = []
        for number in range(last, -1, -1):
            if marked[number]:
                for prev in self.prevs[number]:
                    place = self.place.get(prev)
                    if place is None:
                        missing.append(prev)
                    else:
                        marked[place] = 1
        return [number for number in range(last + 1) if marked[number]], missing

    # -- states --------------------------------------------------------------------------

    def replay(self, heads: Iterable[int], uids: Set[str] | None = None) -> Replay:
        """Fold the past of *heads*; with *uids* only the events that concern one of these tasks, in their places."""
        numbers = self.past(heads)[0]
        if uids is None:
            return Replay(self._events_of(numbers))
        if numbers and self._is_straight and len(uids) <= FEW:
            found = [event for event in self._holding(uids, numbers[-1]) if touches(event, uids)]
            return _replay_line(found)
        concerned = [number for number in numbers if self.concerns(number, uids)]
        if not numbers or numbers[-1] < self._straight:
            return _replay_line(list(self._events_of(concerned)))
        wanted = set(concerned)
        return Replay(self.event(number) if number in wanted else self._stub(number) for number in numbers)

    def _events_of(self, numbers: Sequence[int]) -> Iterator[Event]:
        """Many events at once, which takes half the time of one by one."""
        for start in self._watch(range(0, len(numbers), CHUNK)):
            rows = (self.rows[number] for number in numbers[start : start + CHUNK])
            yield from json.loads(b"[%s]" % b",".join(rows))

    def _holding(self, texts: Iterable[str], last: int) -> Iterator[Event]:
        """The events up to *last* whose lines hold one of these texts in quotes."""
        needles = [json_text(text).encode() for text in texts]
        for row in lines_with(self._data, needles, self._begin(last + 1)):
            yield json.loads(row)

    def concerns(self, number: int, uids: Container[str]) -> bool:
        """Does an event change one of these tasks?"""
        return any(uid in uids for uid in self.uids_of(number))

    def uids_of(self, number: int) -> set[str]:
        """The tasks that an event changes, by a look at its line where that is as we write it."""
        row = self.row(number)
        if row[:19] == _START and b'"choices":' not in row:
            at = row.find(_UID)
            return {row[at + 7 : row.find(b'"', at + 7)].decode()} if row[at + 6 : at + 7] == b'"' else set()
        return changed_uids(self.event(number))

    def _stub(self, number: int) -> Event:
        """An event that changes nothing, in the place of one that does not matter here."""
        return {
            "hash": self.hashes[number],
            "prev": self.prevs[number],
            "timestamp": self.times[number],
            "event_type": "",
            "uid": None,
            "details": {},
        }

    def state(self, *heads: int) -> Backlog:
        """The backlog that the events *heads* and their past lead to."""
        return state_of(self.replay(heads))

    def tasks_named(self, task_id: str, *heads: int) -> Backlog:
        """Those tasks of the state at *heads* that are or were called *task_id*, archived ones too."""
        needle = b'"%s"' % task_id.encode()
        uids: set[str] = set()
        if self._is_straight:
            for event in self._holding([task_id], max(heads)):
                uids |= named_uids(event, task_id)
        else:
            for number in self.past(heads)[0]:
                if needle in self.rows[number]:
                    uids |= named_uids(self.event(number), task_id)
        if not uids:
            return Backlog({})
        whole = state_of(self.replay(heads, uids))
        return Backlog(_of(whole.tasks, uids), _of(whole.archived, uids))

    def later(self, number: int, head: int) -> set[str] | None:
        """The tasks that were changed between the event *number* and *head*; None where the one does not follow
        the other, or its past has gaps."""
        if number <= head < self._straight:
            return set().union(*map(self.uids_of, range(number + 1, head + 1)))
        after, missing = self.past([head])
        before = set(self.past([number])[0])
        if missing or number not in after:
            return None
        uids: set[str] = set()
        for one in after:
            if one not in before:
                uids |= self.uids_of(one)
        return uids

    def state_before(self, backlog: Backlog, uids: Set[str], number: int) -> Backlog:
        """The state at the event *number*, where *backlog* is a later one and *uids* are the tasks that changed
        between: the others are taken from there, which spares the replay of all their past."""
        then = state_of(self.replay([number], uids))
        live = [task for task in backlog.tasks.values() if task["uid"] not in uids]
        old = [task for task in backlog.archived.values() if task["uid"] not in uids]
        return Backlog.of(
            live + [task for task in then.tasks.values() if task["uid"] in uids],
            old + [task for task in then.archived.values() if task["uid"] in uids],
        )


def _replay_line(events: Sequence[Event]) -> Replay:
    """Fold events of one line: what stood between them moves none of them."""
    return Replay({**event, "prev": [events[place - 1]["hash"]] if place else []} for place, event in enumerate(events))


def _of(tasks: dict[str, Task], uids: set[str]) -> dict[str, Task]:
    return {task_id: task for task_id, task in tasks.items() if task["uid"] in uids}


def state_of(replay: Replay) -> Backlog:
    """The backlog that a replay gives."""
    archived = replay.archived()
    tasks = replay.tasks()
    return Backlog.of(
        [task for uid, task in tasks.items() if uid not in archived],
        [task for uid, task in tasks.items() if uid in archived],
    )


def named_uids(event: Event, task_id: str) -> set[str]:
    """The uids that *event* calls by this id: of its task, by an id that it changes, in a choice of a merge."""
    found = set()
    details = event["details"]
    if event["uid"] and (
        event["task_id"] == task_id or task_id in (details.get("changes", {}).get("id") or {}).values()
    ):
        found.add(event["uid"])
    return found | {choice["uid"] for choice in details.get("choices", ()) if choice.get("task_id") == task_id}


def changed_uids(event: Event) -> set[str]:
    """The tasks that *event* changes, those of its choices too."""
    found = {choice["uid"] for choice in event["details"].get("choices", ())}
    return found | {event["uid"]} if event["uid"] else found


def touches(event: Event, uids: Container[str]) -> bool:
    """Does *event* concern one of these tasks?"""
    return any(uid in uids for uid in changed_uids(event))


# -- who set what ------------------------------------------------------------------------


def blame(events: Iterable[Event], uid: str, task: Task) -> list[dict[str, Any]]:
    """For each field of *task*, the last of *events* (oldest first) that set it; metadata by key."""
    last: dict[str, Event] = {}
    keys = [f"metadata.{key}" for key in task.get("metadata", {})]
    for event in events:
        details = event["details"]
        for choice in details.get("choices", ()):
            if choice["uid"] == uid and choice["field"] is not None:
                last.update(dict.fromkeys(keys if choice["field"] == "metadata" else [choice["field"]], event))
        if event["uid"] != uid:
            continue
        if "task" in details:
            last = dict.fromkeys([*details["task"], *keys], event)
        for field, change in details.get("changes", {}).items():
            names = [f"metadata.{key}" for key in change] if field == "metadata" else [field]
            last.update(dict.fromkeys(names, event))
        if "changes" in details and (details["changes"] or "archived" not in details):
            last["updated_at"] = event
    found = []
    for field, value in task.items():
        parts = [(f"{field}.{key}", one) for key, one in value.items()] if field == "metadata" else [(field, value)]
        found += [_blamed(name, one, last.get(name)) for name, one in parts]
    return found


def _blamed(field: str, value: Any, event: Event | None) -> dict[str, Any]:
    said = ("timestamp", "actor", "why", "source", "event_id", "event_type")
    return {"field": field, "value": value, **{name: None if event is None else event[name] for name in said}}

"""The backlog that an audit log tells of, whatever shape its branches have."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog.events import SEQUENCE_FIELDS, apply_field
from taskkeep.backlog.task import SET_FIELDS, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task


def causal_order(events: Iterable[Event]) -> list[Event]:
    """Return each event once, after all it follows; among free ones the earlier, then the lesser hash.

    A predecessor that is not among *events* counts as being before all.
    """
    by_hash = {event["hash"]: event for event in events}
    waits: dict[str, int] = {}
    followers: dict[str, list[str]] = {}
    for name, event in by_hash.items():
        known = [prev for prev in event["prev"] if prev in by_hash]
        waits[name] = len(known)
        for prev in known:
            followers.setdefault(prev, []).append(name)
    free = [(by_hash[name]["timestamp"], name) for name, count in waits.items() if not count]
    heapify(free)
    ordered: list[Event] = []
    while free:
        _, name = heappop(free)
        ordered.append(by_hash[name])
        for follower in followers.get(name, ()):
            waits[follower] -= 1
            if not waits[follower]:
                heappush(free, (by_hash[follower]["timestamp"], follower))
    return ordered


def heads(events: Sequence[Event]) -> list[str]:
    """Return the hashes that no event follows, in the order of *events*."""
    followed = {prev for event in events for prev in event["prev"]}
    return [event["hash"] for event in events if event["hash"] not in followed]


class Point:
    """An event's place: a number on a chain, and how far it has seen the other chains."""

    __slots__ = ("chain", "number", "orphan", "seen", "timestamp")

    def __init__(self, chain: int, number: int, seen: dict[int, int], timestamp: str, orphan: bool) -> None:
        self.chain, self.number, self.seen = chain, number, seen
        self.timestamp, self.orphan = timestamp, orphan

    def follows(self, other: Point) -> bool:
        if self.chain == other.chain:
            return self.number >= other.number
        return self.seen.get(other.chain, -1) >= other.number


class Write(NamedTuple):
    """One value of a field, and the event that set it."""

    point: Point
    value: Any


class Choice(NamedTuple):
    """A field where branches met without an event that joins them; *field* None: the task itself."""

    uid: str
    task_id: str
    field: str | None
    values: list[Any]


class _History:
    """All writes of one task that no later event has replaced."""

    __slots__ = ("base", "fields", "moves", "present")

    def __init__(self, base: list[Write]) -> None:
        self.base = base  # whole tasks, from creations
        self.present: list[Write] = [Write(w.point, True) for w in base]
        self.fields: dict[str, list[Write]] = {}
        self.moves: list[Write] = []  # True into the archive, False out of it


def _superseded(writes: list[Write], point: Point) -> list[Write]:
    return [write for write in writes if not point.follows(write.point)]


class Replay:
    """The state that *events* lead to; *missing* are predecessors that are not in the log.

    Fields that several unjoined branches set have several values; ``choices`` lists them.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self.missing: list[tuple[Event, str]] = []
        self._tasks: dict[str, _History] = {}
        self._points: dict[str, Point] = {}
        self._tips: list[int] = []
        for event in events:
            self._fold(event)

    def _place(self, event: Event) -> Point:
        known = []
        for prev in event["prev"]:
            if prev in self._points:
                known.append(self._points[prev])
            else:
                self.missing.append((event, prev))
        orphan = len(known) < len(event["prev"])
        now = event["timestamp"]
        if known and self._tips[known[0].chain] == known[0].number:
            first = known[0]
            chain, number, seen = first.chain, first.number + 1, first.seen
            self._tips[chain] = number
        else:
            chain, number, seen = len(self._tips), 0, {}
            self._tips.append(0)
        if len(known) > 1 or (known and number == 0):
            seen = dict(seen)
            for point in known:
                for other, upto in (*point.seen.items(), (point.chain, point.number)):
                    seen[other] = max(seen.get(other, -1), upto)
            seen.pop(chain, None)
        point = Point(chain, number, seen, now, orphan)
        self._points[event["hash"]] = point
        return point

    def _fold(self, event: Event) -> None:
        point = self._place(event)
        kind, uid, details = event["event_type"], event["uid"], event["details"]
        if kind == "task_created":
            self._create(uid, details["task"], point)
            self._tasks[uid].moves = [Write(point, True)] if "archived" in details else []
        elif kind == "task_deleted":
            self._delete(uid, point)
        elif "changes" in details and uid is not None:
            if "archived" in details:
                self._move(uid, details["archived"], point)
            if details["changes"] or "archived" not in details:
                self._change(uid, details["changes"], point)
        for choice in details.get("choices", ()):
            self._settle(choice, point)

    def _create(self, uid: str, task: Task, point: Point) -> None:
        history = self._tasks.get(uid)
        if history is None:
            self._tasks[uid] = _History([Write(point, task)])
            return
        history.base = [*_superseded(history.base, point), Write(point, task)]
        history.present = [*_superseded(history.present, point), Write(point, True)]
        for field, writes in list(history.fields.items()):
            if rest := _superseded(writes, point):
                history.fields[field] = rest
            else:
                del history.fields[field]

    def _delete(self, uid: str, point: Point) -> None:
        history = self._tasks.setdefault(uid, _History([]))
        history.present = [*_superseded(history.present, point), Write(point, False)]

    def _move(self, uid: str, archived: bool, point: Point) -> None:
        history = self._tasks.setdefault(uid, _History([]))
        history.moves = [*_superseded(history.moves, point), Write(point, archived)]

    def _change(self, uid: str, changes: Mapping[str, Any], point: Point) -> None:
        history = self._tasks.get(uid)
        if history is None or not history.base:
            return  # its creation is missing, which `missing` tells
        for field, change in changes.items():
            self._write(history, field, change, point)
        if "updated_at" not in changes:
            self._write(history, "updated_at", {"to": point.timestamp}, point)
        # An edit made beside a deletion speaks for keeping the task.
        if len(history.present) > 1 or not history.present[0].value:
            history.present = [*_superseded(history.present, point), Write(point, True)]

    def _write(self, history: _History, field: str, change: Mapping[str, Any], point: Point) -> None:
        writes = self._writes(history, field)
        if field in SET_FIELDS or field in SEQUENCE_FIELDS or field == "metadata":
            value = apply_field(field, self._fold_list(history, field), dict(change))
        else:
            value = change["to"]
        rest = _superseded(writes, point)
        if point.orphan:
            rest = [write for write in rest if write.value != change.get("from")]
        if field in SET_FIELDS:
            rest = []  # union less removals: additions and removals of both sides stand
        history.fields[field] = [*rest, Write(point, value)]

    def _settle(self, choice: Mapping[str, Any], point: Point) -> None:
        uid, field = choice["uid"], choice["field"]
        history = self._tasks.setdefault(uid, _History([]))
        if field == "archived":
            history.moves = [Write(point, choice["to"])]
        elif field is not None:
            history.fields[field] = [Write(point, choice["to"])]
        elif choice["to"] is None:
            history.present = [Write(point, False)]
        else:
            self._create(uid, choice["to"], point)
            history.present = [Write(point, True)]

    @staticmethod
    def _writes(history: _History, field: str) -> list[Write]:
        if field in history.fields:
            return history.fields[field]
        return [Write(write.point, write.value.get(field)) for write in history.base]

    def _fold_list(self, history: _History, field: str) -> Any:
        writes = self._writes(history, field)
        return writes[-1].value if writes else None

    def _value(self, history: _History, field: str) -> Any:
        writes = self._writes(history, field)
        if field == "updated_at":
            return max(write.value for write in writes)
        return writes[-1].value

    def _task(self, history: _History) -> Task:
        base: Task = history.base[-1].value
        if not history.fields:
            return base  # as it was written, which is canonical
        task = dict(base)
        for field in history.fields:
            task[field] = self._value(history, field)
        return canonical(task)

    def update_times(self, uid: str) -> list[Any]:
        """Return the times that unjoined branches last changed a task: one side taken whole brings its own."""
        return [write.value for write in self._writes(self._tasks[uid], "updated_at")]

    def tasks(self) -> dict[str, Task]:
        """Return the tasks by uid; where branches disagree, as the last one in causal order has it."""
        return {
            uid: self._task(history)
            for uid, history in self._tasks.items()
            if history.base and history.present[-1].value
        }

    def archived(self) -> set[str]:
        """Return the uids of the tasks that lie in the archive.

        An edit that an archiving has not seen, and every later one, brings the task back.
        """
        return {uid for uid, history in self._tasks.items() if history.moves and self._is_archived(history)}

    def _is_archived(self, history: _History) -> bool:
        return all(move.value for move in history.moves) and all(
            any(move.point.follows(write.point) for move in history.moves)
            for write in self._writes(history, "updated_at")
        )

    def choices(self) -> list[Choice]:
        """Return what the log leaves open: fields with several values, deletion against edit."""
        found: list[Choice] = []
        for uid, history in self._tasks.items():
            if not history.base:
                continue
            task_id = self._value(history, "id")
            if len({write.value for write in history.present}) > 1:
                found.append(Choice(uid, task_id, None, [self._task(history), None]))
            fields = history.fields if len(history.base) == 1 else {*history.fields, *history.base[0].value}
            for field in fields:
                values = [write.value for write in self._writes(history, field)]
                if len(values) > 1 and field != "updated_at" and any(v != values[0] for v in values):
                    found.append(Choice(uid, task_id, field, values))
        return found


def reconcile(
    replay: Replay, tasks: Mapping[str, Task], archived: Mapping[str, Task]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Hold the files' tasks (by id, a task in both counts as in the backlog) against a log whose
    branches met without an event.

    Returns the choices the file made, as the `merged` event records them (``uid task_id field to``),
    and what no choice explains, in words.
    """
    expected = replay.tasks()
    open_choices: dict[tuple[str, str | None], list[Any]] = {
        (choice.uid, choice.field): choice.values for choice in replay.choices()
    }
    found = {task["uid"]: task for task in (*archived.values(), *tasks.values())}
    lies = {task["uid"] for task in archived.values()} - {task["uid"] for task in tasks.values()}
    belongs = replay.archived()
    settled: list[dict[str, Any]] = []
    wrong: list[str] = []
    for uid in sorted({*expected, *found}):
        task, wanted = found.get(uid), expected.get(uid)
        shown = (task or wanted or {}).get("id", uid)
        presence = open_choices.get((uid, None))
        if presence is not None:
            settled.append({"uid": uid, "task_id": shown, "field": None, "to": task})
        if task is None or wanted is None:
            if presence is None:
                wrong.append(f"{shown} {'is missing' if task is None else 'is not in the log'}")
            continue
        for field in sorted({*task, *wanted}):
            values = open_choices.get((uid, field))
            value = task.get(field)
            if values is not None:
                if field in SEQUENCE_FIELDS or value in values:
                    settled.append({"uid": uid, "task_id": shown, "field": field, "to": value})
                else:
                    wrong.append(f"{shown}: {field}")
            elif field == "updated_at" and value in replay.update_times(uid):
                if value != wanted[field]:
                    settled.append({"uid": uid, "task_id": shown, "field": field, "to": value})
            elif value != wanted.get(field):
                wrong.append(f"{shown}: {field}")
        if (uid in lies) != (uid in belongs):
            wrong.append(f"{shown}: {'archived' if uid in lies else 'brought back from the archive'}")
    # A choice counts as an edit, which would bring an archived task back.
    chosen = {choice["uid"]: choice["task_id"] for choice in settled if choice["uid"] in lies}
    settled += [{"uid": uid, "task_id": chosen[uid], "field": "archived", "to": True} for uid in sorted(chosen)]
    return settled, wrong

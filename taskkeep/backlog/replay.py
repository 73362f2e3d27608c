"""The backlog that an audit log tells of, whatever shape its branches have."""

from __future__ import annotations

from collections import Counter
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog.events import SEQUENCE_FIELDS, apply_field, json_text
from taskkeep.backlog.task import CLAIM, FINISHED, SET_FIELDS, STATE_FIELDS, canonical, numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence, Set

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task

# What a merge decides by a rule is no choice that anybody has to look at.
_BY_RULE = ("id", "aliases", "updated_at", "started_at", "completed_at", "claimed_until", "archived")

# What a merge takes of two times that both sides set.
TIME_RULES: dict[str, Callable[[list[Any]], Any]] = {"updated_at": max, "started_at": min, "completed_at": min}


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


def with_past(by_hash: Mapping[str, Event], head: str) -> list[Event]:
    """Return the event *head* and all that it follows, as far as they are there, in the order of *by_hash*."""
    seen, waiting = {head}, [head]
    while waiting:
        found = [prev for prev in by_hash[waiting.pop()]["prev"] if prev in by_hash and prev not in seen]
        seen.update(found)
        waiting += found
    return [event for name, event in by_hash.items() if name in seen]


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
    """A field where branches met without an event that joins them; *field* None: the task itself.

    *by_rule*: either is right, and nobody has to look.
    """

    uid: str
    field: str | None
    values: list[Any]
    by_rule: bool = False


class _Changes:
    """Every change of the criteria or the notes of a task, in causal order: branches that met are joined from them.

    Sets of changes are the bits of a number, so that the highest one follows none of the others.
    """

    __slots__ = ("_changes", "_field", "_known", "_past")

    def __init__(self, field: str, base: Iterable[Write]) -> None:
        self._field = field
        self._changes: list[tuple[Point, Mapping[str, Any]]] = []
        self._past: list[int] = []  # of each, as far as it was asked for
        self._known: dict[int, list[Any]] = {}  # the list after some sets of changes
        for write in base:
            self.add(write.point, {"to": write.value.get(field) or []})

    def add(self, point: Point, change: Mapping[str, Any]) -> None:
        self._changes.append((point, change))

    def fold(self, point: Point, change: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
        """Add a change that others stand beside; the list as *point* had it, and as it then has it."""
        self._look()
        past = self._past_of(point, len(self._changes))
        before = self._after(past)
        value: list[Any] = apply_field(self._field, before, dict(change))
        del self._known[past]  # only the ends of branches are kept: many changes of a long list would be as many lists
        self._known[past | 1 << len(self._changes)] = value
        self.add(point, change)
        return before, value

    def joined(self) -> list[Any]:
        """The list that all changes lead to."""
        self._look()
        return self._after((1 << len(self._changes)) - 1)

    def _look(self) -> None:
        for place in range(len(self._past), len(self._changes)):
            self._past.append(self._past_of(self._changes[place][0], place))

    def _past_of(self, point: Point, count: int) -> int:
        """What *point* stands upon of the first *count* changes; one that was picked out of its order upon all."""
        everything = (1 << count) - 1
        if point.orphan:
            return everything
        found, rest = 0, everything
        while rest:
            place = rest.bit_length() - 1
            if point.follows(self._changes[place][0]):
                found |= self._with_past(place)
            rest &= ~(found | 1 << place)
        return found

    def _after(self, made: int) -> list[Any]:
        """The list after the changes *made*: that of their last one, or what a merge makes of the last ones."""
        from taskkeep.backlog.merge import merged_sequence

        if made in self._known:
            return self._known[made]
        rest, ends = made, []
        while rest:
            ends.append(rest.bit_length() - 1)
            rest &= ~self._with_past(ends[-1])
        value: list[Any] = []
        seen = 0
        for end in reversed(ends):
            own, whole = self._of_branch(end), self._with_past(end)
            value = merged_sequence(self._field, self._after(seen & whole), value, own) if seen else own
            seen |= whole
        self._known[made] = value
        return value

    def _with_past(self, place: int) -> int:
        return self._past[place] | 1 << place

    def _of_branch(self, end: int) -> list[Any]:
        """The list after one change: what is on the line to it, back to where branches met or all was said anew."""
        line: list[int] = []
        value: list[Any] = []
        while True:
            line.append(end)
            past = self._past[end]
            if not past or "to" in self._changes[end][1]:
                break
            end = past.bit_length() - 1
            if past != self._with_past(end):
                value = self._after(past)
                break
        for place in reversed(line):
            value = apply_field(self._field, value, dict(self._changes[place][1]))
        return value


class _History:
    """All writes of one task that no later event has replaced."""

    __slots__ = ("base", "fields", "lists", "moves", "parts", "present")

    def __init__(self, base: list[Write]) -> None:
        self.base = base  # whole tasks, from creations
        self.lists: dict[str, _Changes] = {}  # of criteria and notes: a branch changes what it alone had
        self.present: list[Write] = [Write(w.point, True) for w in base]
        self.fields: dict[str, list[Write]] = {}
        # Of lists and metadata, by field and name in `_parts_of`. Items: is it there? Keys: [value], or [] for gone.
        self.parts: dict[str, dict[Any, list[Write]]] = {}
        self.moves: list[Write] = []  # True into the archive, False out of it


def _superseded(writes: Iterable[Write], point: Point) -> list[Write]:
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
        self._events: list[Event] = []
        self._sides: list[dict[str, Task]] | None = None
        for event in events:
            self._events.append(event)
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
        for field in SEQUENCE_FIELDS:
            self._list_changes(history, field).add(point, {"to": task.get(field) or []})
        history.base = [*_superseded(history.base, point), Write(point, task)]
        history.present = [*_superseded(history.present, point), Write(point, True)]
        # What the creation has not seen stands beside its own values.
        for field, writes in list(history.fields.items()):
            if rest := _superseded(writes, point):
                history.fields[field] = [*rest, Write(point, task.get(field))]
            else:
                del history.fields[field]
        for field, parts in history.parts.items():
            nothing: Any = [] if field == "metadata" else False
            own = _parts_of(field, task.get(field))
            for name, writes in list(parts.items()):
                if rest := _superseded(writes, point):
                    parts[name] = [*rest, Write(point, own.get(name, nothing))]
                else:
                    del parts[name]

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
        # An edit made beside a deletion speaks for keeping the task, whichever was earlier.
        history.present = [*_superseded(history.present, point), Write(point, True)]

    def _write(self, history: _History, field: str, change: Mapping[str, Any], point: Point) -> None:
        if field == "metadata":
            for key, one in change.items():
                old, new = (
                    [] if one[side] is None and side not in one.get("null", ()) else [one[side]]
                    for side in ("from", "to")
                )
                self._write_part(history, field, key, new, point, old)
            return
        if field in SET_FIELDS:
            for there, items in ((False, change["removed"]), (True, change["added"])):
                for item in items:
                    self._write_part(history, field, item, there, point, not there)
            return
        value = change.get("to")
        writes = self._writes(history, field)
        if field in SEQUENCE_FIELDS:
            changes = self._list_changes(history, field)
            if len(writes) == 1 and (point.orphan or point.follows(writes[0].point)):
                before = writes[0].value or []
                value = apply_field(field, before, dict(change))
                changes.add(point, change)
            else:
                before, value = changes.fold(point, change)
            old_names, names = _changed_names(before, value, change)
            for name in old_names ^ names:
                self._write_part(history, field, name, name in names, point, name in old_names)
        rest = _superseded(writes, point)
        if point.orphan:
            rest = [write for write in rest if write.value != change.get("from")]
        history.fields[field] = [*rest, Write(point, value)]

    @staticmethod
    def _write_part(history: _History, field: str, name: Any, value: Any, point: Point, old: Any) -> None:
        parts = history.parts.setdefault(field, {})
        rest = _superseded(parts.get(name, ()), point)
        if point.orphan:
            rest = [write for write in rest if write.value != old]
        parts[name] = [*rest, Write(point, value)]

    def _settle(self, choice: Mapping[str, Any], point: Point) -> None:
        """Take a choice for all that its event has seen; what it has not seen stays open."""
        uid, field, to = choice["uid"], choice["field"], choice["to"]
        history = self._tasks.setdefault(uid, _History([]))
        if field == "archived":
            history.moves = [*_superseded(history.moves, point), Write(point, to)]
        elif field is None and to is None:
            history.present = [*_superseded(history.present, point), Write(point, False)]
        elif field is None:
            self._create(uid, to, point)
        else:
            if field == "metadata" or field in SET_FIELDS or field in SEQUENCE_FIELDS:
                chosen = _parts_of(field, to)
                for name in {*history.parts.get(field, ()), *chosen, *self._base_parts(history, field)}:
                    value = chosen.get(name, [] if field == "metadata" else False)
                    self._write_part(history, field, name, value, point, None)
            if field != "metadata" and field not in SET_FIELDS:
                history.fields[field] = [*_superseded(self._writes(history, field), point), Write(point, to)]
            if field in SEQUENCE_FIELDS:
                self._list_changes(history, field).add(point, {"to": to or []})

    @staticmethod
    def _writes(history: _History, field: str) -> list[Write]:
        if field in history.fields:
            return history.fields[field]
        return [Write(write.point, write.value.get(field)) for write in history.base]

    @staticmethod
    def _list_changes(history: _History, field: str) -> _Changes:
        if field not in history.lists:
            history.lists[field] = _Changes(field, history.base)
        return history.lists[field]

    @staticmethod
    def _base_parts(history: _History, field: str) -> dict[Any, list[Any]]:
        """The items or keys of the creations, each with its values there; a creation without it counts."""
        found = [_parts_of(field, write.value.get(field)) for write in history.base]
        nothing: Any = [] if field == "metadata" else False
        return {
            name: [parts.get(name, nothing) for parts in found] for name in dict.fromkeys(n for p in found for n in p)
        }

    def _parts(self, history: _History, field: str) -> dict[Any, list[Any]]:
        """The items or keys of a field, each with the values that unjoined branches gave it, the last one last."""
        parts = {name: [write.value for write in writes] for name, writes in history.parts.get(field, {}).items()}
        return {**self._base_parts(history, field), **parts}

    def _value(self, history: _History, field: str) -> Any:
        if field == "metadata" or field in SET_FIELDS:
            parts = self._parts(history, field)
            if field == "metadata":
                return {name: next(v[0] for v in values[::-1] if v) for name, values in parts.items() if any(values)}
            return sorted(name for name, values in parts.items() if any(values))
        writes = self._writes(history, field)
        if len(writes) == 1:
            return writes[0].value
        if field in SEQUENCE_FIELDS:
            return self._list_changes(history, field).joined()
        values = [write.value for write in writes]
        return TIME_RULES[field](values) if field in TIME_RULES and None not in values else values[-1]

    def _task(self, history: _History) -> Task:
        base: Task = history.base[-1].value
        fields: Iterable[str] = {**history.fields, **history.parts}
        if len(history.base) > 1:  # made again on several sides
            fields = {*fields, *(field for write in history.base for field in write.value)}
        if not fields:
            return base  # as it was written, which is canonical
        task = dict(base)
        for field in fields:
            task[field] = self._value(history, field)
        return canonical(task)

    def update_times(self, uid: str) -> list[Any]:
        """Return the times that unjoined branches last changed a task: one side taken whole brings its own."""
        return [write.value for write in self._writes(self._tasks[uid], "updated_at")]

    def tasks(self) -> dict[str, Task]:
        """Return the tasks by uid; where branches disagree and no rule decides, as the last one has it."""
        return {
            uid: self._task(history) for uid, history in self._tasks.items() if history.base and self._is_there(history)
        }

    def archived(self) -> set[str]:
        """Return the uids of the tasks that lie in the archive.

        An edit that an archiving has not seen, and every later one, brings the task back.
        """
        return {
            uid
            for uid, history in self._tasks.items()
            if history.moves and history.present and self._is_there(history) and self._is_archived(history)
        }

    def _is_there(self, history: _History) -> bool:
        return bool(history.present[-1].value) or self._was_archived_beside(history)

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
            if len({write.value for write in history.present}) > 1:
                found.append(Choice(uid, None, [self._task(history), None]))
            elif self._was_archived_beside(history):
                found.append(Choice(uid, None, [self._task(history), None], by_rule=True))
            fields: Iterable[str] = history.fields
            if len(history.base) > 1:  # made again on several sides
                fields = dict.fromkeys((*fields, *(field for write in history.base for field in write.value)))
            for field in fields:
                if field == "metadata" or field in SET_FIELDS or field in SEQUENCE_FIELDS:
                    continue  # these join by item and by key
                values = [write.value for write in self._writes(history, field)]
                if len(values) > 1 and field != "updated_at" and any(v != values[0] for v in values):
                    found.append(Choice(uid, field, values))
        return found

    @staticmethod
    def _was_archived_beside(history: _History) -> bool:
        """Deleted, and archived where that was not known: the archive is another file, and git keeps it there."""
        if not history.moves or any(write.value for write in history.present):
            return False
        return any(
            move.value and not any(write.point.follows(move.point) for write in history.present)
            for move in history.moves
        )

    def sides(self) -> list[dict[str, Task]]:
        """The tasks by uid as each head alone has them."""
        if self._sides is None:
            by_hash = {event["hash"]: event for event in self._events}
            self._sides = [Replay(with_past(by_hash, head)).tasks() for head in heads(self._events)]
        return self._sides

    def bounds(self, uid: str, field: str) -> tuple[set[Any], set[Any]] | None:
        """What a list must hold and what it may hold, as `_parts_of` names items; None where that is one list alone."""
        history = self._tasks[uid]
        if field in SEQUENCE_FIELDS and len(self._writes(history, field)) == 1:
            return None
        parts = self._parts(history, field)
        return {n for n, values in parts.items() if all(values)}, {n for n, values in parts.items() if any(values)}

    def keys(self, uid: str) -> dict[str, list[Any]]:
        """The metadata's keys, each with the values that it may have: [value], or [] for gone."""
        return self._parts(self._tasks[uid], "metadata")


def _parts_of(field: str, value: Any) -> dict[Any, Any]:
    """What branches join one by one: keys, each with [value]; items, a criterion or note as (said, number, ticked)."""
    if field == "metadata":
        return {key: [one] for key, one in (value or {}).items()}
    return _sequence_parts(value or ()) if field in SEQUENCE_FIELDS else dict.fromkeys(value or (), True)


def _sequence_parts(items: Iterable[Any]) -> dict[Any, Any]:
    return {(*name, item.get("done", False)): True for name, item in numbered(items).items()}


def _changed_names(before: list[Any], after: list[Any], change: Mapping[str, Any]) -> tuple[set[Any], set[Any]]:
    """The names of criteria or notes before and after a change, as far as it concerns them."""
    if "to" not in change:
        texts = {item["text"] for item in (*change["removed"], *change["added"])}
        before, after = ([item for item in items if item["text"] in texts] for items in (before, after))
    return set(_sequence_parts(before)), set(_sequence_parts(after))


def _holds(names: Set[Any], must: Set[Any], may: Set[Any]) -> bool:
    """Are these criteria or notes all that they must be, and no more than they may?

    Of one that several sides added, ticked by one, the ticked one stands for all. The numbers are those of each
    side's own list, so that here only how many say the same is held.
    """
    found, allowed = (Counter((said, ticked) for said, _, ticked in some) for some in (names, may))
    ticked = Counter((said, True) for said, _, ticked in must if ticked)
    said = Counter(said for said, _ in {(said, number) for said, number, _ in must})
    return found <= allowed and ticked <= found and said <= Counter(said for said, _, _ in names)


def reconcile(
    replay: Replay, tasks: Mapping[str, Task], archived: Mapping[str, Task]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Hold the files' tasks (by id, a task in both counts as in the backlog) against a log whose
    branches met without an event.

    Returns the choices the file made, as the `merged` event records them (``uid task_id field to``;
    with ``joined`` where a rule of merging made it and nobody has to look), and what no choice
    explains, in words.
    """
    return _Reconciliation(replay, tasks, archived).run()


def is_told(choice: Mapping[str, Any]) -> bool:
    """Is this choice of `reconcile` one that somebody has to look at?"""
    return not choice.get("joined") and choice["field"] not in ("updated_at", "archived")


class _Reconciliation:
    def __init__(self, replay: Replay, tasks: Mapping[str, Task], archived: Mapping[str, Task]) -> None:
        self.replay = replay
        self.expected = replay.tasks()
        choices = replay.choices()
        self.open: dict[tuple[str, str | None], list[Any]] = {(one.uid, one.field): one.values for one in choices}
        self.by_rule = {one.uid for one in choices if one.by_rule}
        self.found = {task["uid"]: task for task in (*archived.values(), *tasks.values())}
        self.lies = {task["uid"] for task in archived.values()} - {task["uid"] for task in tasks.values()}
        self.by_id = {**archived, **tasks}
        owners: dict[str, str] = {}
        self.shared = {  # ids that several tasks of the log have
            task["id"] for uid, task in self.expected.items() if owners.setdefault(task["id"], uid) != uid
        }
        self.settled: list[dict[str, Any]] = []
        self.wrong: list[str] = []

    def run(self) -> tuple[list[dict[str, Any]], list[str]]:
        belongs = self.replay.archived()
        # A task that one side deleted last is in neither, and is a choice all the same.
        for uid in sorted({*self.expected, *self.found, *(uid for uid, field in self.open if field is None)}):
            task, wanted = self.found.get(uid), self.expected.get(uid)
            if (uid, None) in self.open:
                wanted = self.open[uid, None][0]
            shown = str((task or wanted or {}).get("id", uid))
            if (uid, None) in self.open:
                choice = {"uid": uid, "task_id": shown, "field": None, "to": task}
                self.settled.append({**choice, "joined": True} if uid in self.by_rule else choice)
            elif task is None or wanted is None:
                self.wrong.append(f"{shown} {'is missing' if task is None else 'is not in the log'}")
            if task is None or wanted is None:
                continue
            for field in sorted({*task, *wanted}):
                self._judge(task, wanted, field)
            if (uid in self.lies) != (uid in belongs) and (uid, None) not in self.open:
                self.wrong.append(f"{shown}: {'archived' if uid in self.lies else 'brought back from the archive'}")
        # A choice counts as an edit, which would bring an archived task back.
        chosen = {choice["uid"]: choice["task_id"] for choice in self.settled if choice["uid"] in self.lies}
        for uid in sorted(chosen):
            self.settled.append({"uid": uid, "task_id": chosen[uid], "field": "archived", "to": True, "joined": True})
        return self.settled, self.wrong

    def _judge(self, task: Task, wanted: Task, field: str) -> None:
        uid, value = task["uid"], task.get(field)
        if field in SET_FIELDS or field in SEQUENCE_FIELDS:
            verdict = self._judge_list(task, wanted, field)
        elif field == "metadata":
            verdict = self._judge_metadata(uid, value or {})
        elif (uid, field) in self.open and value in self.open[uid, field]:
            by_rule = field in _BY_RULE and not (field == "claimed_until" and self._is_held_twice(uid))
            verdict = "joined" if by_rule else "chosen"
        elif (uid, field) not in self.open and value == wanted.get(field):
            verdict = "same"
        elif field == "updated_at":
            verdict = "joined" if value in self.replay.update_times(uid) else ""
        elif field == "id":
            verdict = "joined" if wanted["id"] in self.shared and wanted["id"] in task.get("aliases", ()) else ""
        elif field == "parent":
            verdict = self._judge_parent(task, self.open.get((uid, field), [wanted.get(field)]))
        elif field in STATE_FIELDS and self._goes_along(uid, field):
            verdict = (
                "joined" if any(value == side[uid].get(field) for side in self.replay.sides() if uid in side) else ""
            )
        elif field in CLAIM and value is None and task["status"] in FINISHED:
            verdict = "joined"
        else:
            verdict = ""
        if not verdict and (uid, None) in self.open:  # kept against a deletion: as the side has it that kept it
            kept = any(value == side[uid].get(field) for side in self.replay.sides() if uid in side)
            verdict = "joined" if kept else ""
        if not verdict:
            self.wrong.append(f"{task['id']}: {field}")
        elif verdict != "same":
            choice = {"uid": uid, "task_id": task["id"], "field": field, "to": value}
            self.settled.append({**choice, "joined": True} if verdict == "joined" else choice)

    def _is_held_twice(self, uid: str) -> bool:
        """Did one side renew a claim, and another give the task to somebody else?"""
        if (uid, "claimed_by") in self.open:
            return False  # which says it
        holders = {side[uid].get("claimed_by") for side in self.replay.sides() if uid in side}
        return len(holders - {None}) > 1

    def _goes_along(self, uid: str, field: str) -> bool:
        """Is this field of the state one that an open one takes with it: a status all, half of a claim the other?"""
        return (uid, "status") in self.open or (field in CLAIM and any((uid, half) in self.open for half in CLAIM))

    def _judge_metadata(self, uid: str, value: Mapping[str, Any]) -> str:
        verdict = "same"
        keys = self.replay.keys(uid)
        for key in {*keys, *value}:
            allowed = [json_text(one) for one in keys.get(key, [[]])]
            if json_text([value[key]] if key in value else []) not in allowed:
                return ""
            if len(set(allowed)) > 1:
                verdict = "chosen"
        return verdict

    def _judge_list(self, task: Task, wanted: Task, field: str) -> str:
        value = task.get(field) or []
        bounds = self.replay.bounds(task["uid"], field)
        if bounds is None:
            return "same" if value == (wanted.get(field) or []) else ""
        must, may = bounds
        names = set(_parts_of(field, value))
        if field in SEQUENCE_FIELDS:
            return "joined" if _holds(names, must, may) else ""
        if must <= names <= may:
            return "joined" if must != may else "same"
        if field == "aliases":
            ids = {side[task["uid"]]["id"] for side in self.replay.sides() if task["uid"] in side}
            return "joined" if must <= names <= may | ids | {wanted["id"]} else ""
        if field != "depends_on":
            return ""
        # Links follow a task that got a new id; those that would lead nowhere or round are left out.
        meant = {name: {name, *self._aliases(name)} & may for name in names}
        there = set().union(*meant.values())
        left_out = [name for name in must - there if not self._may_be_left_out(task, field, name)]
        if not all(meant.values()) or left_out:
            return ""
        return "joined" if must <= there else "chosen"

    def _judge_parent(self, task: Task, values: list[Any]) -> str:
        value = task.get("parent")
        if value is not None and not {value, *self._aliases(value)}.isdisjoint(values):
            return "joined" if len(values) == 1 else "chosen"
        sides = [side[task["uid"]].get("parent") for side in self.replay.sides() if task["uid"] in side]
        if value is not None and value not in sides:
            return ""
        return "chosen" if any(one is not None and self._may_be_left_out(task, "parent", one) for one in values) else ""

    def _aliases(self, task_id: str) -> list[str]:
        return list(self.by_id.get(task_id, {}).get("aliases", ()))

    def _may_be_left_out(self, task: Task, field: str, target: str) -> bool:
        """Would this link lead to nothing, or back to where it begins?"""
        if target not in self.by_id:
            return True
        own: str = task["id"]
        seen, waiting = {target}, [target]
        while waiting:
            value = self.by_id.get(waiting.pop(), {}).get(field) or ()
            for name in (value,) if isinstance(value, str) else value:
                if name == own:
                    return True
                if name not in seen:
                    seen.add(name)
                    waiting.append(name)
        return target == own

"""Any moment of a backlog's past, from the witness that has it: the log, git, a snapshot."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import line
from taskkeep.backlog.history import CHUNK, Outline
from taskkeep.backlog.replay import heads
from taskkeep.backlog.task import shortened
from taskkeep.errors import (
    BacklogUnreadable,
    BeforeFirst,
    InvalidField,
    LogDamaged,
    TaskkeepError,
    TaskNotThen,
)
from taskkeep.store import log
from taskkeep.store.files import read
from taskkeep.store.past.mending import whole_log
from taskkeep.store.progress import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.layout import Root


class Point(NamedTuple):
    """What a WHEN was taken for: *kind* is time, event, revision or backup, *time* that of the state."""

    kind: str
    name: str
    time: str | None
    event: str | None = None
    commit: str | None = None

    def as_json(self) -> dict[str, Any]:
        return self._asdict()


class Moment:
    """A point in time, the backlog as it was then, and what is to be said of where that comes from."""

    def __init__(
        self,
        point: Point,
        whole: Callable[[], Backlog],
        named: Callable[[str], Backlog] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.point, self.notes = point, list(notes)
        self._whole, self._named = whole, named
        self._backlog: Backlog | None = None

    def backlog(self) -> Backlog:
        """The whole state, archive included. Raises BacklogUnreadable, LogDamaged."""
        if self._backlog is None:
            self._backlog = self._whole()
        return self._backlog

    def find(self, name: str) -> Task:
        """One task as it was then, by an id or alias of then. Raises TaskNotThen, AmbiguousId."""
        return self.place(name)[0]

    def place(self, name: str) -> tuple[Task, bool]:
        """One task as it was then, and whether it lay in the archive. Raises TaskNotThen, AmbiguousId."""
        from taskkeep.errors import TaskNotFound

        task_id = name.strip().upper()
        if self._named is not None and self._backlog is None and task_id.isascii() and task_id.isalnum():
            some = self._named(task_id)
            if task_id in some:
                return some.tasks.get(task_id) or some.archived[task_id], task_id not in some.tasks
        try:
            task = self.backlog().find(name)
        except TaskNotFound as error:
            raise TaskNotThen(
                f"there was no task {shortened(name.strip())} at that time",
                hint=error.hint if "Did you mean" in error.hint else "See 'taskkeep log' for when it was there.",
                task_id=shortened(name.strip()),
                at=self.point.as_json(),
            ) from None
        return task, task["id"] not in self.backlog().tasks


class History:
    """The log as this checkout has it, in causal order; *heads* its own first."""

    def __init__(self, root: Root, base: Backlog | None = None) -> None:
        """*base*: the state that the log ends with, where it is known. Raises LogDamaged, OSError."""
        self.root = root
        self.notes: list[str] = []
        self._base = base
        self._state = state = log.vouched(root)
        if state is not None:
            count = state.count if state.straight else None
            self.outline = Outline(read(root.joined)[0], _walk, straight=count)
            self.heads = state.heads
            return
        events, parts = whole_log(root)
        self.notes += [f"{part.problem}: read from {part.witness} instead" for part in parts]
        self._take(events)

    def _take(self, events: list[Event]) -> None:
        self.outline = Outline(b"".join(line(event) for event in events), _walk)
        by_hash = {event["hash"]: event for event in events}
        found = heads(events)
        own = log.own_head(self.root, [by_hash[name] for name in found])
        self.heads = sorted(found, key=lambda name: (name != own, by_hash[name]["timestamp"], name))

    # -- moments -------------------------------------------------------------------------

    def number(self, head: str) -> int:
        found = self.outline.number(head)
        assert found is not None
        return found

    def moment(self, number: int, kind: str, name: str) -> Moment:
        """The state at an event; a batch's last event names its result."""
        outline = self.outline
        said = outline.said(number)
        point = Point(kind, name, said.time, said.event_id)
        if outline.past([number])[1]:
            return Moment(point, lambda: self._checked(number), None, self.notes)
        return Moment(
            point, lambda: self.state(number), lambda task_id: outline.tasks_named(task_id, number), self.notes
        )

    def state(self, number: int) -> Backlog:
        """The state at an event: what is saved now with the tasks that changed since as they were, where that
        spares most of the log, else by replay of all. A law of the tests holds the one to the other."""
        outline = self.outline
        changed = outline.later(number, self.number(self.heads[0])) if len(self.heads) == 1 else None
        if changed is not None and len(changed) * 3 < len(outline) and (now := self._saved_now()) is not None:
            return outline.state_before(now, changed, number)
        return outline.state(number)

    def _saved_now(self) -> Backlog | None:
        """The files as they lie, where they are what the log ends with, byte for byte."""
        if self._base is None and self._state is not None and self._state.after is not None:
            try:
                live = read(self.root.backlog, limit=text.MAX_BYTES)[0]
                old = read(self.root.archive, limit=text.MAX_BYTES)[0] if self._state.archive is not None else None
            except (FileNotFoundError, TaskkeepError):
                return None  # the log alone answers
            if sha256(live).hexdigest() != self._state.after:
                return None
            if old is not None and sha256(old).hexdigest() != self._state.archive:
                return None
            archived = text.parse_trusted(old) if old is not None else []
            self._base = Backlog.of(text.parse_trusted(live), archived)
        return self._base

    def _checked(self, number: int) -> Backlog:
        """The state at an event whose past has gaps, which must give the bytes that the event names."""
        outline, event = self.outline, self.outline.event(number)
        backlog = outline.state(number)
        last = number + 1 == len(outline) or outline.event(number + 1)["txn"] != event["txn"]
        if last and sha256(text.dump(backlog.tasks.values())).hexdigest() != event["after"]:
            raise LogDamaged(
                f"the log lacks what came before event {event['event_id']}",
                hint="'taskkeep verify' says what is missing; bring it back from git, or name a commit or a backup.",
            )
        return backlog

    def last(self) -> Moment:
        """The state that the log ends with: what was saved last, branches that met folded together."""
        numbers = [self.number(head) for head in self.heads]
        if not numbers:
            raise LogDamaged("the log is empty or gone", hint="Bring it back from git.")
        said = self.outline.said(numbers[0])
        if len(numbers) == 1:
            return self.moment(numbers[0], "event", said.event_id)
        point = Point("event", said.event_id, said.time)
        return Moment(point, lambda: self.outline.state(*numbers), None, self.notes)

    def at_time(self, moment: str, name: str) -> Moment:
        """The state at a time, on the line of first predecessors from this checkout's own head."""
        number = self.outline.at_time(self.heads[0], moment) if self.heads else None
        if number is None:
            raise BeforeFirst(
                f"{moment} is before the first change",
                hint=f"The first was at {self._first()}." if self.heads else "There is no change yet.",
                time=moment,
            )
        point = Point("time", name, moment, self.outline.said(number).event_id)
        return Moment(point, *self._states(number), self.notes)

    def _states(self, number: int) -> tuple[Callable[[], Backlog], Callable[[str], Backlog] | None]:
        moment = self.moment(number, "", "")
        return moment._whole, moment._named

    def _first(self) -> str:
        return self.outline.times[list(self.outline.line(self.heads[0]))[-1]]

    def events_like(self, prefix: str) -> list[int]:
        return [number for number, name in enumerate(self.outline.ids) if name.startswith(prefix)]


def _walk(things: Sequence[Any]) -> Iterable[Any]:
    return steps(things, "thousand events")


def log_bytes(root: Root) -> tuple[bytes, list[str]]:
    """The lines of the log, oldest first, and what is to be said of where they come from. Raises LogDamaged."""
    if log.vouched(root) is not None:
        return read(root.joined)[0], []
    history = History(root)
    return b"".join(row + b"\n" for row in history.outline.rows), history.notes


def decoded(rows: Sequence[bytes]) -> list[Event]:
    """Events of many lines, by the thousand, which takes half the time of one by one."""
    import json

    found: list[Event] = []
    for start in _walk(range(0, len(rows), CHUNK)):
        found += json.loads(b"[%s]" % b",".join(rows[start : start + CHUNK]))
    return found


def tasks_of(data: bytes, name: str) -> dict[str, Task]:
    """The tasks in old bytes, by id. Raises BacklogUnreadable, InvalidField."""
    from taskkeep.store.validate import check_tasks, refuse_double_ids

    tasks = text.parse(data, name)
    try:
        check_tasks(tasks, unknown_fields=True)
    except InvalidField as error:
        raise BacklogUnreadable("schema", f"{name}: {error.message}", hint=error.hint) from None
    refuse_double_ids(tasks, name)
    return {task["id"]: task for task in sorted(tasks, key=lambda task: str(task["id"]))}

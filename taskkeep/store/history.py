"""Any moment of a backlog's past, from the witness that has it: the log, git, a snapshot."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import line
from taskkeep.backlog.history import CHUNK, Outline
from taskkeep.backlog.replay import heads
from taskkeep.backlog.task import shortened
from taskkeep.backlog.times import SECOND, to_text
from taskkeep.backlog.when import Local, moment_of
from taskkeep.errors import (
    AmbiguousPoint,
    BacklogUnreadable,
    BadPoint,
    BeforeFirst,
    GitUnavailable,
    InvalidField,
    LogDamaged,
    TaskkeepError,
    TaskNotThen,
    UnknownPoint,
)
from taskkeep.store import log
from taskkeep.store.files import read
from taskkeep.store.layout import ARCHIVE, BACKLOG
from taskkeep.store.mending import whole_log
from taskkeep.store.progress import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.backlog.when import Clock
    from taskkeep.store.git import Repository
    from taskkeep.store.layout import Root

LEAST = 4  # characters of an event's id, as of a commit's hash
MOST = 250
_HEX = frozenset("0123456789abcdef")


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


# -- what a WHEN names -------------------------------------------------------------------


def refuse_no_name(when: str) -> None:
    """Refuse what can name no point in time, before anything is asked. Raises BadPoint."""
    if not when.strip():
        raise BadPoint("WHEN is empty", hint=_HINT)
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in when):
        raise BadPoint("WHEN holds control characters", hint=_HINT)
    if when.strip().startswith("-"):
        raise BadPoint(f"WHEN cannot begin with '-': {shortened(when)}", hint=_HINT)
    if len(when) > MOST:
        raise BadPoint(f"WHEN has more than {MOST} characters", hint=_HINT)
    parts = when.replace("\\", "/").split("/")
    if "\\" in when or when.startswith(("/", "~/")) or "." in parts or ".." in parts:
        raise BadPoint(f"{shortened(when)} is a path, not a point in time", hint=_HINT)
    if ".." in when:
        raise BadPoint(f"{shortened(when)} names two points in time", hint="One is needed here.")


_HINT = "A time (2026-11-20, '2 hours ago'), a git revision, an event's id or the name of a backup."


def resolve_when(root: Root, when: str, *, now: str | None = None, base: Backlog | None = None) -> Moment:
    """Return the point in time that *when* names. *base*: the state that the log ends with, where it is known.

    Raises BadPoint, AmbiguousPoint, UnknownPoint, BeforeFirst, LogDamaged, BacklogUnreadable, GitUnavailable.
    """
    refuse_no_name(when)
    return _Asked(root, when.strip(), now or to_text(time.time_ns() // 1000), base).moment()


class _Asked:
    """One WHEN, held against everything that can bear a name."""

    def __init__(self, root: Root, when: str, now: str, base: Backlog | None) -> None:
        self.root, self.when, self.now, self._base = root, when, now, base
        self._history: History | None = None

    @property
    def history(self) -> History:
        if self._history is None:
            self._history = History(self.root, self._base)
        return self._history

    def moment(self) -> Moment:
        when = self.when
        said = self._time()
        if said is not None:
            return self._at(said)
        from taskkeep.store import backups

        if (name := backups.file_of(self.root, when)) is not None:
            return backups.moment(self.root, name, lambda: self.history)
        events = self._events()
        commit = None if "-" in when and events else self._commit()
        if len(events) > 1 or (events and commit is not None):
            raise self._ambiguous(events, commit)
        if events:
            return self.history.moment(events[0], "event", when)
        if commit is not None:
            return commit
        found = self._lost_event()
        if found is not None:
            return found
        if os.path.exists(self.root.in_root(when)) or os.path.exists(when):
            raise BadPoint(f"{shortened(when)} is a path, not a point in time", hint=_HINT)
        near = self._nearest()
        raise UnknownPoint(
            f"nothing is called {shortened(when)}: no time, event, backup or git revision",
            hint=f"Nearest: {', '.join(near)}." if near else _HINT,
            nearest=near,
        )

    # -- times ---------------------------------------------------------------------------

    def _time(self) -> str | None:
        try:
            return moment_of(self.when, now=self.now, local=LOCAL)
        except InvalidField as error:
            if is_ref(self.root, self.when):
                return None
            raise BadPoint(f"{shortened(self.when)} is no time", hint=error.hint) from None

    def _at(self, said: str) -> Moment:
        named = is_ref(self.root, self.when)
        events = self._events() if len(self.when) >= LEAST and _HEX.issuperset(self.when) else []
        if named or events:
            names = [said, *(f"refs/{kind}/{self.when}" for kind in ("heads", "tags") if named)]
            names += [f"event {self.history.outline.ids[number]}" for number in events[:5]]
            what = "a name in git" if named else "the beginning of an event's id"
            raise AmbiguousPoint(
                f"{shortened(self.when)} is a time and {what}", hint=f"Write one of {', '.join(names)}.", nearest=names
            )
        if said > self.now:
            raise BadPoint(f"{said} is in the future", hint="The latest point is now.", time=said)
        return self.history.at_time(said, self.when)

    # -- events --------------------------------------------------------------------------

    def _events(self) -> list[int]:
        """The events whose id begins so; a whole id is one."""
        prefix = self.when.lower()
        if len(prefix) < LEAST or not _HEX.issuperset(prefix.replace("-", "")):
            return []
        return self.history.events_like(prefix)

    def _ambiguous(self, events: list[int], commit: Moment | None) -> AmbiguousPoint:
        outline = self.history.outline
        names = [f"event {outline.ids[number]}" for number in events[:5]]
        if commit is not None:
            names.append(f"commit {commit.point.commit}")
        return AmbiguousPoint(
            f"{shortened(self.when)} may be {' or '.join(names)}", hint="Write more of it.", nearest=names
        )

    def _lost_event(self) -> Moment | None:
        """An event that the log here no longer holds, as after `git reset --hard`: the joined log, then git."""
        prefix = self.when.lower()
        if len(prefix) < 8 or not _HEX.issuperset(prefix.replace("-", "")):
            return None
        events = log.joined_events(self.root)
        if len({event["event_id"] for event in events if event["event_id"].startswith(prefix)}) == 1:
            old = History.__new__(History)
            old._base = old._state = None
            old.root, old.notes = self.root, ["the log here no longer holds this event: from the joined log"]
            old.outline, old.heads = Outline(b"".join(line(event) for event in events)), []
            return old.moment(old.events_like(prefix)[0], "event", self.when)
        repository = self._repository()
        if repository is None:
            return None
        answer = repository.run(
            "log", "--all", "--reflog", "-1", "--format=%H", f"--grep=^Taskkeep-Event: {prefix}", "--end-of-options"
        )
        if answer.status or not answer.text:
            return None
        found = commit_moment(self.root, repository, answer.text, self.when)
        found.notes.append(f"the log here no longer holds this event: from commit {answer.text[:12]}")
        return found

    # -- git -----------------------------------------------------------------------------

    def _repository(self) -> Repository | None:
        from taskkeep.store.git import repository_of

        return repository_of(self.root.path)

    def _commit(self) -> Moment | None:
        try:
            repository = self._repository()
            if repository is None:
                return None
            full = revision(repository, self.when)
        except GitUnavailable:
            if _HEX.issuperset(self.when.lower().replace("-", "")) and self._events():
                return None  # the log alone answers
            raise
        return None if full is None else commit_moment(self.root, repository, full, self.when)

    def _nearest(self) -> list[str]:
        from difflib import get_close_matches

        from taskkeep.store import backups

        names = [name.partition(".")[0] for name in backups.names(self.root)]
        repository = self._repository()
        if repository is not None:
            answer = repository.run("for-each-ref", "--format=%(refname:short)", "--count=2000")
            names += answer.text.split("\n") if answer.status == 0 else []
        found = get_close_matches(self.when[:80], [name for name in names if name], n=3, cutoff=0.5)
        prefix = self.when.lower()
        if not found and _HEX.issuperset(prefix.replace("-", "")):
            ids = self.history.outline.ids
            for size in range(min(len(prefix), 8), 1, -1):
                if found := [name for name in ids if name.startswith(prefix[:size])][-3:]:
                    break
        return found


def _fields(microseconds: int) -> Clock:
    found = time.localtime(microseconds // SECOND)
    return found.tm_year, found.tm_mon, found.tm_mday, found.tm_hour, found.tm_min, found.tm_sec


def _instant(clock: Clock) -> int:
    return int(time.mktime((*clock, 0, 0, -1))) * SECOND


LOCAL = Local(_fields, _instant)


def is_ref(root: Root, name: str) -> bool:
    """Is there a branch or a tag of this name? Looks at git's files alone; a time has no colon in common with one."""
    if ":" in name or " " in name:
        return False
    folder = root.path
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    common = os.path.join(folder, ".git")
    try:
        if os.path.isfile(common):
            common = os.path.join(folder, read(common)[0].decode().partition("gitdir: ")[2].strip())
            shared = os.path.join(common, "commondir")
            if os.path.exists(shared):
                common = os.path.join(common, read(shared)[0].decode().strip())
        if any(os.path.isfile(os.path.join(common, "refs", kind, name)) for kind in ("heads", "tags")):
            return True
        packed = read(os.path.join(common, "packed-refs"))[0]
    except (OSError, UnicodeDecodeError, TaskkeepError):
        return False  # no such file, or none that git could read either
    return any(packed.find(b" refs/%s/%s\n" % (kind, name.encode())) >= 0 for kind in (b"heads", b"tags"))


def revision(repository: Repository, name: str) -> str | None:
    """Return the full hash of what *name* means to git, None where it means nothing.

    Raises AmbiguousPoint, BadPoint.
    """
    if len(name) >= LEAST and _HEX.issuperset(name.lower()):
        name = name.lower()
    answer = repository.run("rev-parse", "--verify", "--end-of-options", name)
    if answer.status:
        if b"is ambiguous" in answer.err:
            found = [
                row.split()[1]
                for row in answer.err.decode("utf-8", "replace").split("\n")
                if row.startswith("hint:   ")
            ]
            raise AmbiguousPoint(
                f"{shortened(name)} is the beginning of several hashes", hint="Write more of it.", nearest=found
            )
        return None
    full = answer.text
    if len(full) not in (40, 64) or not _HEX.issuperset(full):
        raise BadPoint(f"{shortened(name)} is no single commit", hint=_HINT)
    return full


def commit_moment(root: Root, repository: Repository, full: str, name: str) -> Moment:
    """The state in a commit, read by one process. Raises UnknownPoint, BadPoint, BeforeFirst, GitUnavailable."""
    peeled = f"{full}^{{commit}}"
    there, commit, backlog, archive = repository.reads(
        [full, peeled, *(f"{peeled}:{repository.prefix}{path}" for path in (BACKLOG, ARCHIVE))]
    )
    if there is None:
        raise UnknownPoint(f"git has no object {shortened(name)} here", hint="A shallow clone may lack it.")
    if commit is None:
        raise BadPoint(f"{shortened(name)} is a {there[1]}, no commit", hint=_HINT)
    committed = commit[2].split(b"\ncommitter ", 1)[1].split(b"\n", 1)[0].split(b" ")[-2]
    said = to_text(int(committed) * SECOND)
    if backlog is None or backlog[1] != "blob":
        raise BeforeFirst(f"there was no backlog.json at {shortened(name)}", hint="Name a later commit.", time=said)

    def state() -> Backlog:
        try:
            live = tasks_of(backlog[2], f"{BACKLOG} at {commit[0][:12]}")
            old = tasks_of(archive[2], f"{ARCHIVE} at {commit[0][:12]}") if archive is not None else {}
        except BacklogUnreadable as error:
            error.hint = "Name another commit, or a time or an event: the log may have what the file then had not."
            raise
        return Backlog(live, {task_id: task for task_id, task in old.items() if task_id not in live})

    return Moment(Point("revision", name, said, None, commit[0]), state)


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

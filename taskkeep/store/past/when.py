"""The point in time that a WHEN names: a time, an event, a git revision, a snapshot."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import line
from taskkeep.backlog.history import Outline
from taskkeep.backlog.task import shortened
from taskkeep.backlog.times import SECOND, to_text
from taskkeep.backlog.when import Local, moment_of
from taskkeep.errors import (
    AmbiguousPoint,
    BacklogUnreadable,
    BackupDamaged,
    BadPoint,
    BeforeFirst,
    GitUnavailable,
    InvalidField,
    TaskkeepError,
    UnknownPoint,
)
from taskkeep.store import backups, log
from taskkeep.store.files import read
from taskkeep.store.git.revision import full_hash
from taskkeep.store.layout import ARCHIVE, BACKLOG
from taskkeep.store.past.history import History, Moment, Point, tasks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskkeep.backlog.when import Clock
    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root

LEAST = 4  # characters of an event's id, as of a commit's hash
MOST = 250
_HEX = frozenset("0123456789abcdef")


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

        if (name := backups.file_of(self.root, when)) is not None:
            return snapshot_moment(self.root, name, lambda: self.history)
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
        from taskkeep.store.git.repository import repository_of

        return repository_of(self.root.path)

    def _commit(self) -> Moment | None:
        try:
            repository = self._repository()
            if repository is None:
                return None
            full = full_hash(repository, self.when)
        except GitUnavailable:
            if _HEX.issuperset(self.when.lower().replace("-", "")) and self._events():
                return None  # the log alone answers
            raise
        return None if full is None else commit_moment(self.root, repository, full, self.when)

    def _nearest(self) -> list[str]:
        from difflib import get_close_matches

        try:
            names = [name.partition(".")[0] for name in backups.names(self.root)]
        except PermissionError:
            names = []  # another user's: they are not what was meant
        repository = self._repository()
        if repository is not None:
            answer = repository.run("for-each-ref", "--format=%(refname:short)", "--count=2000")
            names += answer.text.split("\n") if answer.status == 0 else []
        found = get_close_matches(self.when[:80], [name for name in names if name], n=3, cutoff=0.5)
        prefix = self.when.lower()
        if not found and _HEX.issuperset(prefix.replace("-", "")):
            ids = self.history.outline.ids
            for size in range(min(len(prefix), 8), LEAST - 1, -1):  # fewer digits are the same by chance
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


def commit_moment(root: Root, repository: Repository, full: str, name: str) -> Moment:
    """The state in a commit. Raises UnknownPoint, BadPoint, BeforeFirst, GitUnavailable."""
    from taskkeep.store.git.contents import refuse_unread

    peeled = f"{full}^{{commit}}"
    there, commit, backlog, archive = repository.reads(
        [full, peeled, *(f"{peeled}:{repository.prefix}{path}" for path in (BACKLOG, ARCHIVE))]
    )
    if there is None:
        raise UnknownPoint(f"git has no object {shortened(name)} here", hint="A shallow clone may lack it.")
    if commit is None:
        raise BadPoint(f"{shortened(name)} is a {there[1]}, no commit", hint=_HINT)
    asked = ((BACKLOG, backlog), (ARCHIVE, archive))
    refuse_unread(repository, commit[0], [path for path, found in asked if found is None])
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


# -- snapshots ---------------------------------------------------------------------------


def snapshot_moment(root: Root, name: str, history: Callable[[], History]) -> Moment:
    """The state that a snapshot holds, from git or the log where it is damaged and they have the same.

    The log adds the archive of then, and tells whether the snapshot still is whole. Raises BackupDamaged.
    """
    from taskkeep.store.past.mending import same_state

    said, notes = backups.time_of(name), []
    outline: Outline | None = None
    try:
        outline = history().outline
    except (OSError, TaskkeepError) as error:
        notes.append(f"the log cannot be read ({error}): the backup alone answers")
    promised = backups.Ledger(root, outline).promised(name)
    data = b""
    if (wrong := backups.trouble(root, name, promised)) is None:
        data = backups.content(root, name)
    elif (same := same_state(root, outline, promised)) is not None:
        data, witness = same
        notes.append(f"the backup {name} is damaged ({wrong}): took the same state from {witness}")
    else:
        raise BackupDamaged(
            f"the backup {name} is damaged: {wrong}",
            hint="See 'taskkeep backups list' for another, or name a time or a git revision.",
            backup=name,
            time=said,
        )
    number = backups.leading_to(outline, sha256(data).hexdigest())
    if number is None:
        notes.append("the log does not know this state: the archive is that of today")

    def state() -> Backlog:
        try:
            live = tasks_of(data, name)
        except BacklogUnreadable as error:
            raise BackupDamaged(f"the backup {name} is damaged: {error.message}", backup=name) from None
        archived = _archive_now(root) if outline is None or number is None else outline.state(number).archived
        return Backlog(live, {task_id: task for task_id, task in archived.items() if task_id not in live})

    event = None if number is None or outline is None else outline.ids[number]
    return Moment(Point("backup", name, said, event), state, None, notes)


def _archive_now(root: Root) -> dict[str, Any]:
    try:
        return tasks_of(read(root.archive)[0], ARCHIVE)
    except FileNotFoundError:
        return {}

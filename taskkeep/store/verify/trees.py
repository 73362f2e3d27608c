"""A state of the backlog, wherever it lies: the working tree, the index, any commit."""

from __future__ import annotations

import json
from functools import cached_property
from hashlib import new as new_hash
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.events import event_hash, line
from taskkeep.backlog.places import Places
from taskkeep.backlog.replay import causal_order
from taskkeep.errors import BacklogUnreadable, GitUnavailable, Outside
from taskkeep.store import log
from taskkeep.store.files import read
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG, CONFIG
from taskkeep.store.verify.forks import Forks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root

# git 2.45 and later fetch nothing by themselves from a partial clone's remote then.
NO_FETCH = {"GIT_NO_LAZY_FETCH": "1"}
WORTH_FORKS = 1 << 20  # bytes of one file from which on forks are worth their start
CHUNK = 1000
_LINK, _MODULE, _FOLDER = "120000", "160000", "040000"


class EventFile(NamedTuple):
    """One file of the log, read: its events as far as they hold, and what is wrong by line."""

    events: list[Event]
    lines: list[int]
    troubles: list[tuple[int, str]]


def read_events(data: bytes) -> EventFile:
    """Read the bytes of one file of the log, each line by itself."""
    lines: list[int] = []
    troubles: list[tuple[int, str]] = []
    rows = data.split(b"\n")
    last = rows.pop()
    if last:
        troubles.append((len(rows) + 1, "is cut off"))
    elif not rows:
        troubles.append((1, "is empty"))
    found = _at_once(rows) if len(data) >= WORTH_FORKS else [_written(row) for row in rows]
    lines = [number for number, event in enumerate(found, 1) if event is not None]
    events = [event for event in found if event is not None]
    troubles += [
        (number, "is not the event that was written") for number, event in enumerate(found, 1) if event is None
    ]
    names = [event["hash"] for event in events]
    if len(set(names)) != len(names):
        twice = next(at for at, name in enumerate(names) if name in names[:at])
        troubles.append((lines[twice], "gives an event for the second time"))
    place = {name: at for at, name in enumerate(names)}
    for at, event in enumerate(events):
        # A pack has its requests in the order of their files' names, which clocks may disorder.
        if any((later := place.get(prev, -1)) > at and events[later]["txn"] == event["txn"] for prev in event["prev"]):
            troubles.append((lines[at], "stands before an event that it follows"))
            break
    return EventFile(events, lines, troubles)


def _written(row: bytes) -> Event | None:
    """The event of a line, which is byte for byte what a save writes; None for any other."""
    try:
        event: Event = json.loads(row)
        if is_event(event) and event["hash"] == event_hash(event) and line(event)[:-1] == row:
            return event
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # said by the None
    return None


def _at_once(rows: Sequence[bytes]) -> list[Event | None]:
    """What `_written` says of each of many rows: held against their hashes in forks, decoded here meanwhile."""

    def wrong(start: int, stop: int) -> list[int]:
        return [number for number in range(start, stop) if _written(rows[number]) is None]

    forks = Forks(wrong, len(rows))
    found: list[Event | None] = []
    starts = range(0, len(rows), CHUNK)
    unread: set[int] = set()
    for start in starts:
        some = rows[start : start + CHUNK]
        try:
            found += json.loads(b"[%s]" % b",".join(some))
        except (ValueError, RecursionError):
            unread.add(start)
        # Two wrong lines may make up for one another: where one is wrong, its neighbours are read one by one.
        del found[start + len(some) :]
        found += [None] * (start + len(some) - len(found))
    unread |= {number - number % CHUNK for number in forks.found()}
    for start in unread:
        found[start : start + CHUNK] = map(_written, rows[start : start + CHUNK])
    return found


def is_event(event: Any) -> bool:
    """Is this shaped as an event that replay can take? Its hash is another question."""
    details = event["details"]
    if not (
        type(event["prev"]) is list
        and all(type(name) is str for name in event["prev"])
        and type(details) is dict
        and type(event["timestamp"])
        is type(event["event_type"])
        is type(event["txn"])
        is type(event["event_id"])
        is str
        and type(event["hash"]) is type(event["source"]) is type(event["after"]) is type(event["actor"]) is str
        and type(event["before"]) in _TEXT_OR_NONE
        and type(event["why"]) in _TEXT_OR_NONE
        and type(event["task_id"]) in _TEXT_OR_NONE
        and type(event["uid"]) in _TEXT_OR_NONE
        and event["txn"]
    ):
        return False
    if event["event_type"] in ("task_created", "task_deleted"):
        task = details["task"]
        return type(task["id"]) is type(task["uid"]) is str and task["uid"] == event["uid"]
    return (
        type(details.get("changes", {})) is dict
        and all(type(one) is dict for one in details.get("choices", ()))
        and all(type(one["task_id"]) is str and type(one["field"]) in _TEXT_OR_NONE for one in details.get("open", ()))
    )


_TEXT_OR_NONE = (str, type(None))


class Log:
    """The events of a tree, each once, and where they stand."""

    def __init__(self, files: Mapping[str, EventFile], *, sound: bool) -> None:
        self.files = files
        self.sound = sound and not any(file.troubles for file in files.values())
        self.where: dict[str, tuple[str, int]] = {}
        self.loose: list[Event] = []  # each event once, in no order that would tell anything
        for name, file in files.items():
            for event, number in zip(file.events, file.lines, strict=True):
                place = name, number
                if self.where.setdefault(event["hash"], place) is place:
                    self.loose.append(event)

    @cached_property
    def events(self) -> list[Event]:
        """In causal order."""
        return causal_order(event for file in self.files.values() for event in file.events)

    @cached_property
    def _by_task(self) -> dict[str | None, list[Event]]:
        found: dict[str | None, list[Event]] = {}
        for event in self.events:
            found.setdefault(event["uid"], []).append(event)
        return found

    def of_task(self, uid: str) -> list[Event]:
        """The events of one task in causal order."""
        return self._by_task.get(uid, [])

    @cached_property
    def hashes(self) -> frozenset[str]:
        return frozenset(self.where)

    @cached_property
    def heads(self) -> list[str]:
        """The hashes that no event follows, the oldest first."""
        followed = {prev for event in self.loose for prev in event["prev"]}
        by_hash = self.by_hash
        return sorted(self.hashes - followed, key=lambda name: (by_hash[name]["timestamp"], name))

    @cached_property
    def by_hash(self) -> dict[str, Event]:
        return {event["hash"]: event for event in self.loose}

    def place(self, event: Event) -> tuple[str, int]:
        """The file, from the backlog's root, and the line of an event."""
        name, number = self.where[event["hash"]]
        return f"{AUDIT}/{name}", number


class Shared:
    """What the trees of one judgement have in common: blobs and events, read once."""

    def __init__(self, repository: Repository | None) -> None:
        self.repository = repository
        self.blobs: dict[str, bytes] = {}
        self.events: dict[str, EventFile] = {}
        self._kind = repository.format if repository is not None else "sha1"

    def name_of(self, data: bytes) -> str:
        """The id that git gives to these bytes; also where there is no git."""
        hashed = new_hash(self._kind, b"blob %d\0" % len(data), usedforsecurity=False)
        hashed.update(data)
        return hashed.hexdigest()

    def fetch(self, names: Iterable[str]) -> None:
        """Read the blobs of these ids, in one process. Raises Outside where one is not in the repository."""
        wanted = sorted({name for name in names if name not in self.blobs})
        if not wanted or self.repository is None:
            return
        for name, found in zip(wanted, self.repository.reads(wanted, env=NO_FETCH), strict=True):
            if found is None:
                raise Outside(
                    f"git lacks the object {name[:12]}, which the comparison needs",
                    hint="Fetch it: a shallow clone with 'git fetch --unshallow', a partial one with 'git fetch "
                    "--refetch --no-filter'.",
                )
            self.blobs[name] = found[2]

    def load(self, trees: Iterable[Tree]) -> None:
        """Read all that these trees need, in one process instead of several."""
        self.fetch(key for tree in trees for key in tree.files.values() if key not in self.events)

    def events_of(self, key: str) -> EventFile:
        """The events of a file of this id, which has been fetched."""
        if key not in self.events:
            self.events[key] = read_events(self.blobs[key])
        return self.events[key]


class Tree:
    """One state. *files*: the id that git has or would have for each of our files, by name from the root.

    *odd*: names that are there and no plain file, with what they are.
    """

    def __init__(self, label: str, shared: Shared, files: Mapping[str, str], odd: Mapping[str, str]) -> None:
        self.label, self.shared, self.files, self.odd = label, shared, dict(files), dict(odd)
        self.unread: list[str] = []  # see loose_tasks
        self._places: dict[str, Places] = {}

    @property
    def exists(self) -> bool:
        """Is there a backlog, or what is left of one?"""
        return BACKLOG in self.files or BACKLOG in self.odd or bool(self.audit)

    @cached_property
    def audit(self) -> dict[str, str]:
        """The files of the log by name below its folder, with their ids."""
        start = len(AUDIT) + 1
        return {name[start:]: key for name, key in self.files.items() if name.startswith(AUDIT)}

    def data(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError, BacklogUnreadable, Outside."""
        if name in self.odd:
            raise BacklogUnreadable("unreadable", f"{name} is {self.odd[name]}")
        if name not in self.files:
            raise FileNotFoundError(name)
        key = self.files[name]
        self.shared.fetch([key])
        return self.shared.blobs[key]

    def sha(self, name: str) -> str | None:
        """The sha256 of a file, as events have it; None where it is not there."""
        try:
            return sha256(self.data(name)).hexdigest()
        except (FileNotFoundError, BacklogUnreadable):
            return None

    @cached_property
    def log(self) -> Log:
        shared = self.shared
        shared.fetch(key for key in self.audit.values() if key not in shared.events)
        files = {name: shared.events_of(key) for name, key in self.audit.items()}
        return Log(files, sound=not any(name.startswith(AUDIT) for name in self.odd))

    def places(self, name: str) -> Places:
        if name not in self._places:
            try:
                data = self.data(name)
            except (FileNotFoundError, BacklogUnreadable):
                data = b""
            self._places[name] = Places(data)
        return self._places[name]

    def line_of(self, task_id: str, field: str | None = None) -> tuple[str, int]:
        """File and line of a task, or of where it would stand."""
        for name in (BACKLOG, ARCHIVE):
            if (found := self.places(name).field(task_id, field)) is not None:
                return name, found
        return BACKLOG, self.places(BACKLOG).gap(task_id)

    @cached_property
    def loose_tasks(self) -> dict[str, Task] | None:
        """The tasks by uid, archive included, as far as they can be read at all: what a comparison asks for.

        None where backlog.json cannot be read; *unread* names what else was passed over.
        """
        found: dict[str, Task] = {}
        for name in (ARCHIVE, BACKLOG):
            try:
                tasks = json.loads(self.data(name))["tasks"]
                named = [task for task in tasks if is_named(task)]
            except FileNotFoundError:
                continue
            except (BacklogUnreadable, ValueError, KeyError, TypeError, RecursionError):
                if name == BACKLOG:
                    return None
                self.unread.append(name)
                continue
            found |= {task["uid"]: task for task in named}
            self.unread += [f"a task of {name}"] * (len(tasks) - len(named))
        return found


def is_named(task: Any) -> bool:
    """Can it be said which task this is, whatever else is wrong with it?"""
    return isinstance(task, dict) and isinstance(task.get("id"), str) and isinstance(task.get("uid"), str)


def working_tree(root: Root, shared: Shared) -> Tree:
    """What lies in the folder. Raises DiskFault."""
    files: dict[str, str] = {}
    odd: dict[str, str] = {}
    names = [BACKLOG, ARCHIVE, CONFIG, *(f"{AUDIT}/{name}" for name in log.list_files(root))]
    for name in names:
        try:
            data, _ = read(root.in_root(name), limit=text.MAX_BYTES)
        except FileNotFoundError:
            continue
        except BacklogUnreadable as error:
            odd[name] = error.message.partition(" is ")[2] or "unreadable"
            continue
        key = files[name] = shared.name_of(data)
        shared.blobs[key] = data
    return Tree("the working tree", shared, files, odd)


def commit_tree(shared: Shared, commit: str, prefix: str, label: str) -> Tree:
    """What a commit holds of the backlog below *prefix*. Raises GitUnavailable."""
    repository = shared.repository
    assert repository is not None
    paths = [prefix + name for name in (BACKLOG, ARCHIVE, CONFIG, AUDIT)]
    answer = repository.run("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths, env=NO_FETCH)
    if answer.status:
        raise GitUnavailable(f"git cannot read {label}: {answer.trouble}", hint="Run 'git fsck'.")
    rows = []
    for row in answer.rows:
        head, _, path = row.partition("\t")
        mode, _, name = head.split(" ")
        rows.append((mode, name, path))
    return _tree_of(rows, shared, prefix, label)


def index_tree(shared: Shared, prefix: str, index: str | None) -> tuple[Tree, bool]:
    """What is staged, and whether any of it is unmerged. *index*: a hook's own index file. Raises GitUnavailable."""
    repository = shared.repository
    assert repository is not None
    paths = [prefix + name for name in (BACKLOG, ARCHIVE, CONFIG, AUDIT)]
    env = {"GIT_INDEX_FILE": index} if index else None
    answer = repository.run("-C", repository.top, "ls-files", "-s", "-z", "--", *paths, env=env)
    if answer.status:
        raise GitUnavailable(f"git cannot read the index: {answer.trouble}", hint="Run 'git status'.")
    rows = []
    unmerged = False
    for row in answer.rows:
        head, _, path = row.partition("\t")
        mode, name, stage = head.split(" ")
        unmerged = unmerged or stage != "0"
        if stage in "02":
            rows.append((mode, name, path))
    return _tree_of(rows, shared, prefix, "what is staged"), unmerged


def _tree_of(rows: Sequence[tuple[str, str, str]], shared: Shared, prefix: str, label: str) -> Tree:
    files: dict[str, str] = {}
    odd: dict[str, str] = {}
    for mode, key, path in rows:
        name = path[len(prefix) :]
        if mode in (_LINK, _MODULE):
            odd[name] = "a symbolic link" if mode == _LINK else "a submodule"
        elif name in (BACKLOG, ARCHIVE, CONFIG) or is_log_file(name):
            files[name] = key
        elif name.startswith((f"{BACKLOG}/", f"{ARCHIVE}/")):
            odd[name.partition("/")[0]] = "a folder"
    return Tree(label, shared, files, odd)


def is_log_file(name: str) -> bool:
    """Is this path, from the root, that of a file of the log?"""
    if not name.startswith(f"{AUDIT}/") or not name.endswith(".jsonl"):
        return False
    day, slash, rest = name[len(AUDIT) + 1 :].rpartition("/")
    return not slash or (len(day) == 10 and day[4] == "-" and bool(rest))

"""The audit log on disk: immutable files, read whole once, then known by a small record."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from zlib import crc32

from taskkeep.backlog.events import apply, event_hash
from taskkeep.backlog.ids import sequence_number
from taskkeep.backlog.replay import causal_order, heads
from taskkeep.backlog.task import etag
from taskkeep.errors import BacklogUnreadable, LogDamaged, TaskkeepError
from taskkeep.store.files import FileId, append, read, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.layout import Root

RECORD = "log.json"
RECORD_VERSION = 6
IDS = "ids"
MEND = "'taskkeep doctor --fix' brings it back from git or the joined log."
_CREATED_ID = re.compile(rb'"id": ?"(T[0-9A-HJKMNP-TV-Z]{4,})"')


def file_name(event: Event) -> str:
    """Return where a request's file lies below the log: by its first event's time and its request."""
    stamp = event["timestamp"]
    clock = stamp[11:-1].replace(":", "")
    return f"{stamp[:10]}/{clock}Z-{event['txn'].replace('-', '')[:12]}.jsonl"


def list_files(root: Root) -> list[str]:
    """Return the names of the log's files below its folder, sorted. Raises OSError."""
    names: list[str] = []
    try:
        entries = os.listdir(root.audit)
    except FileNotFoundError:
        return names
    for entry in entries:
        if entry.endswith(".jsonl"):
            names.append(entry)
        elif len(entry) == 10 and entry[4] == "-":
            try:
                found = os.listdir(os.path.join(root.audit, entry))
            except NotADirectoryError:
                continue
            names += [f"{entry}/{name}" for name in found if name.endswith(".jsonl")]
    return sorted(names)


def read_file(root: Root, name: str) -> list[Event]:
    """Return the events of one file. Raises LogDamaged with file and line."""
    path = f".taskkeep/audit/{name}"
    try:
        data, _ = read(os.path.join(root.audit, name))
    except BacklogUnreadable as error:
        raise LogDamaged(f"{path}: {error.message}", hint=MEND, file=path, line=1) from None
    events: list[Event] = []
    if not data.endswith(b"\n"):
        raise LogDamaged(f"{path} is cut off", hint=MEND, file=path, line=data.count(b"\n") + 1)
    for number, row in enumerate(data.split(b"\n")[:-1], 1):
        try:
            event = json.loads(row)
            if event["hash"] != event_hash(event) or not event["txn"] or not isinstance(event["prev"], list):
                raise ValueError("its hash does not fit")
        except (ValueError, KeyError, TypeError, RecursionError):
            raise LogDamaged(
                f"{path} line {number} is not the event that was written",
                hint=MEND,
                file=path,
                line=number,
            ) from None
        events.append(event)
    return events


def read_all(root: Root) -> list[Event]:
    """Return all events in causal order, each once. Raises LogDamaged, OSError."""
    events: list[Event] = []
    for name in list_files(root):
        events += read_file(root, name)
    return causal_order(events)


def joined_events(root: Root) -> list[Event]:
    """The events that the joined log holds or once held, whatever it is worth, each with its hash checked."""
    return causal_order(_sound_events([*_rows(root.vanished), *_rows(root.joined)]))


def _rows(path: str) -> list[bytes]:
    try:
        return read(path)[0].split(b"\n")[:-1]
    except (OSError, TaskkeepError):
        return []  # derived: it is a witness only as far as it can be read


def _sound_events(rows: Iterable[bytes]) -> Iterable[Event]:
    for row in rows:
        try:
            event = json.loads(row)
            sound = event["hash"] == event_hash(event)
        except (ValueError, KeyError, TypeError, RecursionError):
            sound = False
        if sound:
            yield event


def version_with_etag(root: Root, uid: str, wanted: str) -> Task | None:
    """The version of a task that had this etag, as far as the log tells them one after another. Raises LogDamaged."""
    version: Task | None = None
    for event in read_all(root):
        if event["uid"] != uid:
            continue
        details = event["details"]
        if "task" in details:
            version = details["task"]
        elif version is not None and details.get("changes"):
            version = apply(version, details["changes"], event["timestamp"])
        if version is not None and etag(version) == wanted:
            return version
    return None


class LogState:
    """What a writer must know of the log: its heads, what they lead to, the ids and keys it holds."""

    __slots__ = (
        "after",
        "archive",
        "checked_by",
        "claims",
        "commit",
        "count",
        "heads",
        "highest",
        "ids",
        "joined",
        "keys",
        "names",
        "straight",
    )

    def __init__(self) -> None:
        self.names = ""  # fingerprint of the file names; "": more may lie there than this knows of
        self.heads: list[str] = []  # own first
        self.after: str | None = None  # sha256 of the backlog that the one head leads to
        self.archive: str | None = None  # sha256 of the archive that it leads to
        self.checked_by = ""  # the version of taskkeep that wrote what `after` names, so that it knows all fields
        self.count = 0
        self.highest = 0
        self.ids = b"\n"  # every id ever known here, one a line, with a line break before the first
        self.keys: dict[str, str] = {}  # digest of key -> hash of its request's first event
        self.claims: dict[str, int] = {}  # uid -> number of the task's last claim
        self.joined: list[int] = []
        self.commit: str | None = None  # the commit of the last save, which holds the whole log; None where it waits
        self.straight = True  # does each event of the log follow just the one before?

    def follow(self, names: Sequence[str], new: str) -> None:
        """Vouch for the log's files *names*, if *new* alone came to those that were known; else git brought some."""
        known = [name for name in names if name != new]
        self.names = fingerprint(names) if fingerprint(known) == self.names else ""

    def learn_claims(self, events: Iterable[Event]) -> None:
        """Numbers only grow: where two branches gave the same one, the next is above both."""
        for event in events:
            number = event["details"].get("claim")
            if isinstance(number, int) and event["uid"]:
                self.claims[event["uid"]] = max(number, self.claims.get(event["uid"], 0))

    def known(self, task_id: str) -> bool:
        return b"\n%s\n" % task_id.encode() in self.ids

    @property
    def id_count(self) -> int:
        return self.ids.count(b"\n") - 1

    def learn_ids(self, ids: Iterable[str]) -> list[str]:
        new = [task_id for task_id in ids if not self.known(task_id)]
        if new:
            self.ids += "".join(f"{task_id}\n" for task_id in new).encode()
            self.highest = max([self.highest, *(sequence_number(task_id) or 0 for task_id in new)])
        return new


def fingerprint(names: Sequence[str]) -> str:
    text = "\n".join(names).encode()
    return f"{len(names)}:{len(text)}:{crc32(text):08x}"


def archive_after(event: Event) -> str | None:
    """The sha256 of the archive after *event*, None where there was none."""
    after: str | None = event.get("archive", {}).get("after")
    return after


def load(root: Root) -> LogState:
    """Return the log's state, from the record where it still fits, else by reading the log.

    Raises LogDamaged, OSError.
    """
    names = list_files(root)
    mark = fingerprint(names)
    state = _load_record(root, mark)
    if state is not None:
        return state
    events = read_all(root)
    state = state_of(root, events)
    state.names = mark
    write_joined(root, state, events)
    return state


def state_of(root: Root, events: Sequence[Event]) -> LogState:
    """What a log of just these *events*, in causal order, tells a writer; nothing is written of it."""
    state = LogState()
    state.count = len(events)
    state.straight = all(
        event["prev"] == ([events[place - 1]["hash"]] if place else []) for place, event in enumerate(events)
    )
    by_hash = {event["hash"]: event for event in events}
    found = heads(events)
    own = own_head(root, [by_hash[name] for name in found])
    found.sort(key=lambda name: (name != own, by_hash[name]["timestamp"], name))
    state.heads = found
    if len(found) == 1:
        state.after, state.archive = by_hash[found[0]]["after"], archive_after(by_hash[found[0]])
    state.learn_ids(_all_ids(root, events))
    for event in events:
        if "key" in event:
            state.keys.setdefault(event["key"], event["hash"])
    state.learn_claims(events)
    return state


def vouched(root: Root) -> LogState | None:
    """Return the log's state where the record still fits, so that the joined log holds just the log's events."""
    return _load_record(root, fingerprint(list_files(root)))


def own_head(root: Root, found: list[Event]) -> str | None:
    """Return the one of several heads that this checkout itself made last.

    The record tells; in a fresh clone git does: what came by a merge is not in its first parent.
    """
    names = {event["hash"] for event in found}
    old = _old_head(root)
    if old in names or len(found) < 2:
        return old
    from taskkeep.store.git.repository import repository_of
    from taskkeep.store.layout import AUDIT

    repository = repository_of(root.path)
    if repository is None:
        return old
    files: dict[str, str] = {f"{repository.prefix}{AUDIT}/{file_name(event)}": event["hash"] for event in found}
    answer = repository.run(
        "log", "--first-parent", "-m", "--no-renames", "--diff-filter=A", "--format=%x00%P", "--name-only",
        "--end-of-options", "HEAD", "--", AUDIT,
    )  # fmt: skip
    for entry in answer.text.split("\0")[1:]:
        parents, *paths = entry.split("\n")
        if " " not in parents:
            for path in paths:
                if path in files:
                    return files[path]
    return old


def claims(root: Root) -> dict[str, int]:
    """The number of each task's last claim, by uid; for readers, who write no record. Raises LogDamaged."""
    state = vouched(root)
    if state is None:
        state = LogState()
        state.learn_claims(read_all(root))
    return state.claims


def _all_ids(root: Root, events: Iterable[Event]) -> list[str]:
    """Every id that this checkout's log, files, snapshots or old record know."""
    known = {event["task_id"] for event in events if event["task_id"]}
    for event in events:
        known |= {choice["task_id"] for choice in event["details"].get("choices", ())}
    paths = [root.backlog, root.archive, root.joined, root.vanished, os.path.join(root.cache, IDS)]
    if os.path.isdir(root.backups):
        paths += [os.path.join(root.backups, name) for name in os.listdir(root.backups)]
    for path in paths:
        try:
            data, _ = read(path)
        except (FileNotFoundError, BacklogUnreadable):
            continue
        if path.endswith(".gz"):
            import gzip

            try:
                data = gzip.decompress(data)
            except (OSError, EOFError):
                continue  # a damaged snapshot is verify's to name
        if path.endswith(IDS):
            found = [row for row in data.split(b"\n") if re.fullmatch(rb"T[0-9A-HJKMNP-TV-Z]{4,}", row)]
        else:
            found = _CREATED_ID.findall(data)
        known |= {row.decode() for row in found}
    return sorted(known)


def _record(root: Root) -> Any:
    try:
        with open(os.path.join(root.cache, RECORD), "rb") as file:
            return json.loads(file.read())
    except (OSError, ValueError):
        return None  # derived: whatever is wrong with it, it is made again


def _old_head(root: Root) -> str | None:
    record = _record(root)
    return str(record["heads"][0]) if isinstance(record, dict) and record.get("heads") else None


def _load_record(root: Root, mark: str) -> LogState | None:
    record = _record(root)
    if not isinstance(record, dict) or record.get("names") != mark or record.get("v") != RECORD_VERSION:
        return None
    state = LogState()
    try:
        with open(os.path.join(root.cache, IDS), "rb") as file:
            state.ids = b"\n" + file.read()
        if [len(state.ids), crc32(state.ids)] != record["ids"]:
            return None
        if list(FileId.of(os.stat(root.joined))) != record["joined"]:
            return None
        state.names, state.heads, state.after = mark, record["heads"], record["after"]
        state.archive, state.checked_by = record["archive"], record["checked_by"]
        state.count, state.highest, state.keys = record["count"], record["highest"], record["keys"]
        state.claims, state.joined = record["claims"], record["joined"]
        state.straight, state.commit = record["straight"], record["commit"]
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return state


def write_joined(root: Root, state: LogState, events: Iterable[Event]) -> None:
    """Make the joined log and the record anew. Raises OSError."""
    from taskkeep.backlog.events import line

    lines = [line(event) for event in events]
    _keep_vanished(root, lines)
    replace(root.joined, lines, tmp=os.path.join(root.tmp, "joined"), mode=0o600)
    save_record(root, state)


def _keep_vanished(root: Root, lines: Iterable[bytes]) -> None:
    """Keep what the joined log holds beyond *lines*: git took it away with its branch, or it is lost and the only copy.

    Raises OSError.
    """
    from taskkeep.backlog.events import line

    kept = _rows(root.vanished)
    gone = {row + b"\n" for row in _rows(root.joined)}.difference(lines, (row + b"\n" for row in kept))
    if found := [line(event) for event in causal_order(_sound_events(gone))]:
        replace(
            root.vanished, [*(row + b"\n" for row in kept), *found], tmp=os.path.join(root.tmp, "vanished"), mode=0o600
        )


def append_joined(root: Root, state: LogState, lines: list[bytes]) -> None:
    """Append a request's lines to the joined log, synced: the record vouches for its size alone. Raises OSError."""
    append(root.joined, b"".join(lines), sync=True)
    save_record(root, state)


def save_record(root: Root, state: LogState) -> None:
    """Write the record and the ids; unsynced, since a record that does not fit is made again. Raises OSError."""
    replace(
        os.path.join(root.cache, IDS),
        [state.ids[1:]],
        tmp=os.path.join(root.tmp, IDS),
        mode=0o600,
        sync=False,
    )
    record = {
        "v": RECORD_VERSION,
        "names": state.names,
        "heads": state.heads,
        "after": state.after,
        "archive": state.archive,
        "checked_by": state.checked_by,
        "count": state.count,
        "straight": state.straight,
        "highest": state.highest,
        "keys": state.keys,
        "claims": state.claims,
        "commit": state.commit,
        "ids": [len(state.ids), crc32(state.ids)],
        "joined": list(FileId.of(os.stat(root.joined))),
    }
    replace(
        os.path.join(root.cache, RECORD),
        [json.dumps(record).encode()],
        tmp=os.path.join(root.tmp, RECORD),
        mode=0o600,
        sync=False,
    )

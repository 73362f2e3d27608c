"""The snapshots of backlog.json: made, found, read and judged."""

from __future__ import annotations

import contextlib
import json
import os
import re
import zlib
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import text
from taskkeep.errors import BackupDamaged, DiskFault, TaskkeepError, UnknownPoint
from taskkeep.store.files import append, make_folder, overwrite, read, sync_folder, write_new

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskkeep.backlog.history import Outline
    from taskkeep.store.layout import Root

MADE = "backups.jsonl"  # what is known of snapshots made by hand, beside their folder
INDEX = "snapshots"  # below cache: the hash of what each snapshot holds, and its name
CHANGED = "it no longer holds what was put into it"


class Snapshot(NamedTuple):
    """A file of the folder: *time* as its name says, *size* in bytes on disk."""

    name: str
    time: str
    size: int


@cache
def _snapshot_name() -> re.Pattern[str]:
    # Not at the import, which every save pays for.
    return re.compile(r"backlog_(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)_(\d{6})\.json(\.gz)?", re.ASCII)


# -- finding and reading -----------------------------------------------------------------


def names(root: Root) -> list[str]:
    """The files of the folder that are snapshots by their names, oldest first. Raises OSError: it is its owner's."""
    try:
        found = os.listdir(root.backups)
    except FileNotFoundError:
        return []
    return sorted(name for name in found if _snapshot_name().fullmatch(name))


def found(root: Root) -> list[Snapshot]:
    """The snapshots, oldest first. Raises OSError."""
    result = []
    for name in names(root):
        with contextlib.suppress(FileNotFoundError):  # pruned meanwhile
            result.append(Snapshot(name, time_of(name), os.lstat(os.path.join(root.backups, name)).st_size))
    return result


def time_of(name: str) -> str:
    """The time in a snapshot's name, in taskkeep's own form."""
    match = _snapshot_name().fullmatch(name)
    assert match is not None
    year, month, day, hour, minute, second, fraction, _ = match.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction}Z"


def file_of(root: Root, name: str) -> str | None:
    """The file that a snapshot's name means, with or without its ending; None for any other text."""
    if not name.startswith("backlog_"):
        return None
    there = names(root)
    stem = name.removesuffix(".gz").removesuffix(".json")
    return next((one for one in (name, f"{stem}.json", f"{stem}.json.gz") if one in there), None)


def content(root: Root, name: str) -> bytes:
    """What a snapshot holds, unpacked. Raises BackupDamaged, DiskFault."""
    try:
        data, _ = read(os.path.join(root.backups, name), limit=text.MAX_BYTES)
    except FileNotFoundError:
        raise UnknownPoint(f"there is no backup {name}", hint="See 'taskkeep backups list'.") from None
    return _unpacked(data, name) if name.endswith(".gz") else data


def _unpacked(data: bytes, name: str) -> bytes:
    pieces, size = [], 0
    try:
        while data:
            one = zlib.decompressobj(31)
            pieces.append(one.decompress(data, text.MAX_BYTES + 1 - size))
            size += len(pieces[-1])
            if not one.eof or size > text.MAX_BYTES:
                raise BackupDamaged(f"{name} is cut off or too large", backup=name)
            data = one.unused_data
    except zlib.error as error:
        raise BackupDamaged(f"{name} cannot be unpacked: {error}", backup=name) from None
    return b"".join(pieces)


def packed(data: bytes) -> bytes:
    """*data* as a snapshot is compressed."""
    packer = zlib.compressobj(6, wbits=31)
    return packer.compress(data) + packer.flush()


def problem(data: bytes, promised: str | None) -> str | None:
    """What is wrong with a snapshot's bytes, None where nothing is known to be. *promised*: the hash that they must
    have, which says it all."""
    if promised is not None:
        return None if sha256(data).hexdigest() == promised else CHANGED
    try:
        text.parse(data, "the snapshot")
    except TaskkeepError as error:
        return error.message
    return None


def trouble(root: Root, name: str, promised: str | None) -> str | None:
    """What is wrong with a snapshot, None where nothing is known to be. Raises DiskFault."""
    try:
        return problem(content(root, name), promised)
    except UnknownPoint:
        return None  # pruned meanwhile
    except DiskFault:
        raise  # what cannot be read may be whole
    except TaskkeepError as error:
        return error.message


class Ledger:
    """What log and notes tell of the snapshots: which hash each must have, and why it was made."""

    def __init__(self, root: Root, outline: Outline | None) -> None:
        self.outline = outline
        self.by_hand = {row["name"].partition(".")[0]: row for row in made(root)}
        times = outline.times if outline is not None else []
        # The first event of a request bears the time that its snapshot is named for.
        self._numbers = {said: number for number, said in reversed([*enumerate(times)])}

    def number(self, name: str) -> int | None:
        """The event before which a snapshot was taken."""
        return self._numbers.get(time_of(name))

    def promised(self, name: str) -> str | None:
        """The sha256 that a snapshot must have, None where nothing tells."""
        if (row := self.by_hand.get(name.partition(".")[0])) is not None:
            return str(row["sha256"])
        if self.outline is not None and (number := self.number(name)) is not None:
            promised: str | None = self.outline.event(number)["before"]
            return promised
        return None


def leading_to(outline: Outline | None, sha: str) -> int | None:
    """The last event that led to these bytes."""
    needle = b'"after":"%s",' % sha.encode()  # the archive's hashes end their object
    rows = outline.rows if outline is not None else []
    return next((number for number in range(len(rows) - 1, -1, -1) if needle in rows[number]), None)


def made(root: Root) -> list[dict[str, Any]]:
    """What was noted of snapshots made by hand; a line that is damaged says nothing."""
    try:
        rows = read(os.path.join(root.local, MADE))[0].split(b"\n")
    except FileNotFoundError:
        return []
    result = []
    for row in rows:
        try:
            value = json.loads(row)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("name"), str) and "sha256" in value:
            result.append(value)
    return result


def held(root: Root, sha: str | None) -> str | None:
    """The file of the folder that holds just these bytes, as far as is noted: equal content is kept once."""
    if sha is None:
        return None
    data = b"\n" + index_bytes(root)
    at = data.rfind(b"\n%s " % sha.encode())
    if at < 0:
        return None
    stem = data[at + 66 :].partition(b"\n")[0].decode("ascii", "replace")
    if not _snapshot_name().fullmatch(f"{stem}.json"):
        return None
    names = (f"{stem}.json", f"{stem}.json.gz")
    return next((name for name in names if os.path.lexists(os.path.join(root.backups, name))), None)


def index_bytes(root: Root) -> bytes:
    try:
        return read(os.path.join(root.cache, INDEX))[0]
    except (OSError, TaskkeepError):
        return b""  # derived: without it one more copy is kept, until the next pruning


def note(root: Root, rows: Iterable[tuple[str, str]], *, anew: bool = False) -> None:
    """Note which snapshot holds what, as (hash, name). Raises OSError."""
    data = b"".join(b"%s %s\n" % (sha.encode(), name.partition(".")[0].encode()) for sha, name in rows)
    (overwrite if anew else append)(os.path.join(root.cache, INDEX), data)


# -- telling -----------------------------------------------------------------------------


def described(root: Root, snapshot: Snapshot, ledger: Ledger) -> dict[str, Any]:
    """All that is known of one snapshot: time, reason, number of tasks, size, whether it still is whole."""
    answer: dict[str, Any] = {"name": snapshot.name, "time": snapshot.time, "reason": "", "size": snapshot.size}
    answer |= {"tasks": None, "bytes": None, "sha256": None, "damaged": False, "problem": None, "event": None}
    number = ledger.number(snapshot.name)
    if (row := ledger.by_hand.get(snapshot.name.partition(".")[0])) is not None:
        answer["reason"] = f"by {row.get('actor', '?')}" + (f": {row['why']}" if row.get("why") else "")
    elif ledger.outline is not None and number is not None:
        answer["event"], answer["reason"] = _reason(ledger.outline, number)
    try:
        data = content(root, snapshot.name)
    except UnknownPoint:
        answer["problem"] = "it was removed meanwhile"
    except TaskkeepError as error:
        answer["problem"] = error.message
    else:
        answer["bytes"], answer["sha256"] = len(data), sha256(data).hexdigest()
        promised = ledger.promised(snapshot.name)
        if promised is None:
            answer["problem"] = problem(data, None)
        elif promised != answer["sha256"]:
            answer["problem"] = CHANGED
        answer["tasks"] = data.count(b'\n      "uid": "') if answer["problem"] is None else None
    answer["damaged"] = answer["problem"] is not None
    return answer


def _reason(outline: Outline, number: int) -> tuple[str, str]:
    from taskkeep.store.git.message import message

    first = outline.event(number)
    events = [first]
    while number + 1 < len(outline) and len(events) < 3 and outline.event(number + 1)["txn"] == first["txn"]:
        number += 1
        events.append(outline.event(number))
    words = message(events, "").partition("\n")[0].removeprefix("taskkeep: ")
    if len(events) > 2:
        words = f"{first['source']} of several tasks"
    return first["event_id"], f"before {words} by {first['actor']}"


# -- making one --------------------------------------------------------------------------


def create(root: Root, data: bytes, *, now: str, actor: str, why: str | None) -> tuple[str, bool]:
    """Keep *data*, the backlog's bytes, as a snapshot; returns its name, and False where one held the same already.

    Only under the writers' lock. Raises OSError, BacklogUnreadable.
    """
    from taskkeep.store.placement import snapshot_name

    text.parse(data)
    make_folder(root.backups, 0o700)
    sha = sha256(data).hexdigest()
    if (same := held(root, sha)) is not None and trouble(root, same, sha) is None:
        return same, False
    name = snapshot_name(now)
    write_new(os.path.join(root.backups, name), [data], mode=0o600)
    sync_folder(root.backups)
    note(root, [(sha, name)])
    row = {"name": name, "sha256": sha, "actor": actor, "why": why}
    append(os.path.join(root.local, MADE), json.dumps(row, ensure_ascii=False).encode() + b"\n", sync=True)
    return name, True

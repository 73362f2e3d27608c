"""The snapshots of backlog.json: found, read, judged, thinned out and compressed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import zlib
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.times import later, to_text
from taskkeep.errors import BacklogUnreadable, BackupDamaged, DiskFault, TaskkeepError, UnknownPoint
from taskkeep.store.files import BINARY, NO_FOLLOW, make_folder, read, remove, sync_folder, write_all, write_new
from taskkeep.store.progress import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from taskkeep.backlog.history import Outline
    from taskkeep.store.history import History, Moment
    from taskkeep.store.layout import Root

MADE = "backups.jsonl"  # what is known of snapshots made by hand, beside their folder
INDEX = "snapshots"  # below cache: the hash of what each snapshot holds, and its name
STAMP = "backups"  # below cache: when the folder was last looked through, and what was saved since
PART = "compressing"  # a snapshot on its way to .gz
CHANGED = "it no longer holds what was put into it"
PIECE = 1 << 15
BUDGET = 0.0025  # seconds that a save may spend on old snapshots
OFTEN_BYTES, OFTEN_SAVES, OFTEN_SECONDS = 1 << 20, 16, 3600


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
    """The files of the folder that are snapshots by their names, oldest first."""
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


def moment(root: Root, name: str, history: Callable[[], History]) -> Moment:
    """The state that a snapshot holds, from git or the log where it is damaged and they have the same.

    The log adds the archive of then, and tells whether the snapshot still is whole. Raises BackupDamaged.
    """
    from taskkeep.store.history import Moment, Point, tasks_of
    from taskkeep.store.mending import same_state

    said, notes = time_of(name), []
    outline: Outline | None = None
    try:
        outline = history().outline
    except (OSError, TaskkeepError) as error:
        notes.append(f"the log cannot be read ({error}): the backup alone answers")
    promised = Ledger(root, outline).promised(name)
    data = b""
    if (wrong := trouble(root, name, promised)) is None:
        data = content(root, name)
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
    number = leading_to(outline, sha256(data).hexdigest())
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
    from taskkeep.store.history import tasks_of
    from taskkeep.store.layout import ARCHIVE

    try:
        return tasks_of(read(root.archive)[0], ARCHIVE)
    except FileNotFoundError:
        return {}


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
    data = b"\n" + _index(root)
    at = data.rfind(b"\n%s " % sha.encode())
    if at < 0:
        return None
    stem = data[at + 66 :].partition(b"\n")[0].decode("ascii", "replace")
    if not _snapshot_name().fullmatch(f"{stem}.json"):
        return None
    names = (f"{stem}.json", f"{stem}.json.gz")
    return next((name for name in names if os.path.lexists(os.path.join(root.backups, name))), None)


def _index(root: Root) -> bytes:
    try:
        return read(os.path.join(root.cache, INDEX))[0]
    except (OSError, TaskkeepError):
        return b""  # derived: without it one more copy is kept, until the next pruning


def _note(root: Root, rows: Iterable[tuple[str, str]], *, anew: bool = False) -> None:
    """Note which snapshot holds what, as (hash, name). Raises OSError."""
    data = b"".join(b"%s %s\n" % (sha.encode(), name.partition(".")[0].encode()) for sha, name in rows)
    how = os.O_TRUNC if anew else os.O_APPEND
    fd = os.open(os.path.join(root.cache, INDEX), os.O_WRONLY | os.O_CREAT | how, 0o600)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


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
    from taskkeep.store.message import message

    first = outline.event(number)
    events = [first]
    while number + 1 < len(outline) and len(events) < 3 and outline.event(number + 1)["txn"] == first["txn"]:
        number += 1
        events.append(outline.event(number))
    words = message(events, "").partition("\n")[0].removeprefix("taskkeep: ")
    if len(events) > 2:
        words = f"{first['source']} of several tasks"
    return first["event_id"], f"before {words} by {first['actor']}"


# -- retention ---------------------------------------------------------------------------


def surplus(
    snapshots: Sequence[Snapshot], by_hand: Iterable[str], config: Mapping[str, Any], now: str
) -> list[Snapshot]:
    """Which snapshots the rule lets go, oldest first: pure.

    All of the last hours stay, then the newest of each day and those made by hand, for so many
    days; of all these the newest, as count and bytes allow. The newest of all always stays.
    """
    recent = later(now, -config["backups.hours"] * 3600)
    oldest = later(now, -config["backups.days"] * 86_400)
    chosen = {name.partition(".")[0] for name in by_hand}
    days: set[str] = set()
    gone: list[Snapshot] = []
    kept = total = 0
    full = False
    for one in sorted(snapshots, key=lambda one: one.name, reverse=True):
        day = one.time[:10]
        wanted = one.time >= recent or (
            one.time >= oldest and (day not in days or one.name.partition(".")[0] in chosen)
        )
        if one.time < recent:
            days.add(day)
        full = full or (0 < config["backups.count"] <= kept) or total + one.size > config["backups.bytes"]
        if kept and (full or not wanted):
            gone.append(one)
        else:
            kept, total = kept + 1, total + one.size
    return gone[::-1]


def prune(root: Root, config: Mapping[str, Any], *, now: str, dry_run: bool = False) -> tuple[list[str], list[str]]:
    """Remove what the rule lets go and what another holds too, compress what is older than a day; the names of both.

    Only under the writers' lock. Raises OSError.
    """
    by_hand = [row["name"] for row in made(root)]
    rows, twice = _doubles(root, by_hand)
    there = [one for one in found(root) if one.name not in twice]
    gone = surplus(there, by_hand, config, now)
    gone = sorted([*gone, *(one for one in found(root) if one.name in twice)])
    names_gone = {one.name for one in gone}
    old = [name for name in _old(there, now) if name not in names_gone]
    if not dry_run:
        for one in gone:
            os.unlink(os.path.join(root.backups, one.name))
        for name in steps(old, "backups compressed"):
            while not _compress(root, name, time.monotonic() + 60):
                pass
        if gone or old:
            sync_folder(root.backups)
        _note(root, [row for row in rows if row[1] not in names_gone], anew=True)
    return [one.name for one in gone], old


def _doubles(root: Root, by_hand: Iterable[str]) -> tuple[list[tuple[str, str]], set[str]]:
    """Hash and name of what each snapshot holds, and those whose content one made by hand, or a newer one, has too."""
    chosen = {name.partition(".")[0] for name in by_hand}
    keepers: dict[str, str] = {}
    twice: set[str] = set()
    there = sorted(names(root), key=lambda name: (name.partition(".")[0] in chosen, name), reverse=True)
    for name in steps(there, "backups compared"):
        try:
            sha = sha256(content(root, name)).hexdigest()
        except TaskkeepError:
            continue  # damaged: no copy of anything
        if keepers.setdefault(sha, name) != name:
            twice.add(name)
    return [*keepers.items()], twice


def _old(there: Iterable[Snapshot], now: str) -> list[str]:
    """The names of those that are older than a day and not compressed yet."""
    limit = later(now, -86_400)
    return [one.name for one in there if one.time < limit and not one.name.endswith(".gz")]


def tidy(root: Root, config: Mapping[str, Any], size: int, taken: tuple[str, str] | None) -> None:
    """Do a few milliseconds of what `prune` does, now and then, after a save; *taken*: the hash of the backlog's
    bytes before, and the name of their snapshot. Raises OSError."""
    started = time.monotonic()
    if taken is not None:
        _note(root, [taken])
    stamp, clock = os.path.join(root.cache, STAMP), time.time()
    last, grown, saves = _stamp(stamp)
    grown, saves = grown + size, saves + 1
    if 0 <= clock - last < OFTEN_SECONDS and grown < OFTEN_BYTES and saves < OFTEN_SAVES:
        _write_stamp(stamp, last, grown, saves)
        return
    now, until = to_text(int(clock * 1_000_000)), started + BUDGET
    there = found(root)
    gone = surplus(there, [row["name"] for row in made(root)], config, now)
    for one in gone:
        os.unlink(os.path.join(root.backups, one.name))
        if time.monotonic() >= until:
            break
    left = {one.name for one in gone}
    old = next((name for name in _old(there, now) if name not in left), None)
    more = bool(gone) and time.monotonic() >= until
    if old is not None and not more:
        _compress(root, old, until)
        more = True
    rows = _index(root).split(b"\n")[:-1]
    if len(rows) > 2 * len(there) + OFTEN_SAVES:
        stems = {one.name.partition(".")[0] for one in there if one.name not in left}
        kept = [row.decode("ascii", "replace").split(" ") for row in rows]
        _note(root, [(row[0], row[1]) for row in kept if row[-1] in stems and len(row) == 2], anew=True)
    _write_stamp(stamp, 0 if more else clock, 0, 0)


def _stamp(path: str) -> tuple[float, int, int]:
    try:
        with open(path, "rb") as file:
            last, grown, saves = file.read().split()
        return float(last), int(grown), int(saves)
    except (OSError, ValueError):
        return 0.0, 0, 0  # derived: without it the folder is looked through once more


def _write_stamp(path: str, last: float, grown: int, saves: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(fd, b"%f %d %d" % (last, grown, saves))
    finally:
        os.close(fd)


def _compress(root: Root, name: str, until: float) -> bool:
    """Go on compressing one snapshot up to a time, by one piece at least; True once it is done.

    Each piece is a gzip member of its own, so that the next save can go on where this one stopped: the
    note tells of which file, how much of it is done, and what the part must hold.
    """
    source, part, note = (
        os.path.join(*where) for where in ((root.backups, name), (root.local, PART), (root.cache, PART))
    )
    size = os.lstat(source).st_size
    at, length, mark = _noted(note, name, size)
    fd = os.open(part, os.O_RDWR | os.O_CREAT | NO_FOLLOW | BINARY, 0o600)
    try:
        os.ftruncate(fd, length)
        os.lseek(fd, length, os.SEEK_SET)
        with open(source, "rb") as file:
            file.seek(at)
            while at < size:
                piece = file.read(PIECE)
                member = packed(piece)
                if not piece or zlib.decompress(member, 31) != piece:
                    raise OSError(f"{name} could not be compressed")
                write_all(fd, member)
                at, length, mark = at + len(piece), length + len(member), zlib.crc32(member, mark)
                if time.monotonic() >= until:
                    break
        if at < size:
            _note_part(note, b"%s %d %d %d %d\n" % (name.encode(), size, at, length, mark))
            return False
        remove(note)
        # What a crash made of the pieces before shows here; then it is begun anew.
        if zlib.crc32(read(part)[0]) != mark:
            remove(part)
            return False
        os.fchmod(fd, 0o600)
        os.fsync(fd)
    finally:
        os.close(fd)
    target = f"{source}.gz"
    if os.path.exists(target):
        remove(part)
    else:
        os.replace(part, target)
        sync_folder(root.backups)
    os.unlink(source)
    return True


def _noted(note: str, name: str, size: int) -> tuple[int, int, int]:
    """How much of a snapshot is compressed, how long that is, and its mark; all 0 where nothing is."""
    try:
        whose, whole, at, length, mark = read(note)[0].decode().split()
        fits = (whose, int(whole)) == (name, size)
        return (int(at), int(length), int(mark)) if fits else (0, 0, 0)
    except (FileNotFoundError, ValueError):
        return 0, 0, 0


def _note_part(note: str, row: bytes) -> None:
    fd = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(fd, row)
    finally:
        os.close(fd)


def packed(data: bytes) -> bytes:
    """*data* as a snapshot is compressed."""
    packer = zlib.compressobj(6, wbits=31)
    return packer.compress(data) + packer.flush()


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
    _note(root, [(sha, name)])
    row = {"name": name, "sha256": sha, "actor": actor, "why": why}
    fd = os.open(os.path.join(root.local, MADE), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        write_all(fd, json.dumps(row, ensure_ascii=False).encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    return name, True

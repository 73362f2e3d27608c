"""Which snapshots are kept, and how: thinned out by the configured rule, the old ones compressed."""

from __future__ import annotations

import os
import time
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taskkeep.backlog.times import later, to_text
from taskkeep.errors import TaskkeepError
from taskkeep.store import backups
from taskkeep.store.files import BINARY, NO_FOLLOW, overwrite, read, remove, sync_folder, write_all
from taskkeep.store.progress import steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskkeep.store.backups import Snapshot
    from taskkeep.store.layout import Root

STAMP = "backups"  # below cache: when the folder was last looked through, and what was saved since
PART = "compressing"  # a snapshot on its way to .gz
PIECE = 1 << 15
BUDGET = 0.0025  # seconds that a save may spend on old snapshots
OFTEN_BYTES, OFTEN_SAVES, OFTEN_SECONDS = 1 << 20, 16, 3600
SHARE = 32  # a look waits for this part of what lies there to come anew, so that many cost a save no more than few


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
    by_hand = [row["name"] for row in backups.made(root)]
    rows, twice = _doubles(root, by_hand)
    there = [one for one in backups.found(root) if one.name not in twice]
    gone = surplus(there, by_hand, config, now)
    gone = sorted([*gone, *(one for one in backups.found(root) if one.name in twice)])
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
        backups.note(root, [row for row in rows if row[1] not in names_gone], anew=True)
    return [one.name for one in gone], old


def _doubles(root: Root, by_hand: Iterable[str]) -> tuple[list[tuple[str, str]], set[str]]:
    """Hash and name of what each snapshot holds, and those whose content one made by hand, or a newer one, has too."""
    chosen = {name.partition(".")[0] for name in by_hand}
    keepers: dict[str, str] = {}
    twice: set[str] = set()
    there = sorted(backups.names(root), key=lambda name: (name.partition(".")[0] in chosen, name), reverse=True)
    for name in steps(there, "backups compared"):
        try:
            sha = sha256(backups.content(root, name)).hexdigest()
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
    if taken is not None:
        backups.note(root, [taken])
    stamp, clock = os.path.join(root.cache, STAMP), time.time()
    last, grown, saves = _stamp(stamp)
    grown, saves = grown + size, saves + 1
    if 0 <= clock - last < OFTEN_SECONDS and grown < OFTEN_BYTES and saves < OFTEN_SAVES:
        _write_stamp(stamp, last, grown, saves)
        return
    now, there = to_text(int(clock * 1_000_000)), backups.found(root)
    until = time.monotonic() + BUDGET
    gone = surplus(there, [row["name"] for row in backups.made(root)], config, now)
    more = False
    for number, one in enumerate(gone, 1):
        os.unlink(os.path.join(root.backups, one.name))
        if more := number < len(gone) and time.monotonic() >= until:
            break
    left = {one.name for one in gone}
    old = next((name for name in _old(there, now) if name not in left), None)
    if old is not None and not more:
        _compress(root, old, until)
        more = True
    rows = backups.index_bytes(root).split(b"\n")[:-1]
    if len(rows) > 2 * len(there) + OFTEN_SAVES:
        stems = {one.name.partition(".")[0] for one in there if one.name not in left}
        kept = [row.decode("ascii", "replace").split(" ") for row in rows]
        backups.note(root, [(row[0], row[1]) for row in kept if row[-1] in stems and len(row) == 2], anew=True)
    _write_stamp(stamp, 0 if more else clock, -sum(one.size for one in there) // SHARE, -len(there) // SHARE)


def _stamp(path: str) -> tuple[float, int, int]:
    try:
        with open(path, "rb") as file:
            last, grown, saves = file.read().split()
        return float(last), int(grown), int(saves)
    except (OSError, ValueError):
        return 0.0, 0, 0  # derived: without it the folder is looked through once more


def _write_stamp(path: str, last: float, grown: int, saves: int) -> None:
    overwrite(path, b"%f %d %d" % (last, grown, saves))


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
                member = backups.packed(piece)
                if not piece or zlib.decompress(member, 31) != piece:
                    raise OSError(f"{name} could not be compressed")
                write_all(fd, member)
                at, length, mark = at + len(piece), length + len(member), zlib.crc32(member, mark)
                if time.monotonic() >= until:
                    break
        if at < size:
            overwrite(note, b"%s %d %d %d %d\n" % (name.encode(), size, at, length, mark))
            return False
        remove(note)
        # What a crash made of the pieces before shows here; then it is begun anew.
        if zlib.crc32(read(part)[0]) != mark:
            remove(part)
            return False
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

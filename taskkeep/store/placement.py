"""The files of one save: laid ready under other names, put in place by renames, taken back where a step fails."""

from __future__ import annotations

import contextlib
import os
from hashlib import sha256
from typing import TYPE_CHECKING, NoReturn

from taskkeep.backlog import text
from taskkeep.backlog.events import line
from taskkeep.errors import BacklogUnreadable, ChangedMeanwhile, DiskFault, TaskkeepError
from taskkeep.store import log
from taskkeep.store.files import FileId, disk_fault, link_or_copy, make_folder, read, remove, sync_folder, write_new
from taskkeep.store.signals import check_interrupt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.layout import Root

# What lies ready below local/tmp.
PARTS = ("backlog", "journal", "old", "archive-old", "archive-new", "archive-between", "archive-last")


class Placement:
    """One save's way onto the disk. *pieces* are the new backlog.json; *archive* the new archive, None
    where it stays; *old_archive* what stands there, None where there is none; *fresh*: no backlog yet."""

    def __init__(
        self,
        root: Root,
        events: Sequence[Event],
        pieces: Sequence[bytes],
        archive: bytes | None,
        *,
        old_archive: bytes | None,
        fresh: bool,
        mode: int,
        snapshot: bool,
        found: Mapping[str, FileId | None],
        old_archived: Mapping[str, Task] | None = None,
    ) -> None:
        """*found*: the files that the change was made on, by path; None for one that was not there.

        *old_archived*: the tasks that the old archive stands for, where its bytes are edited by hand.
        """
        self.root, self.events, self.pieces, self.archive = root, events, pieces, archive
        self.fresh, self.mode, self._found = fresh, mode, dict(found)
        self.name = log.file_name(events[0])
        self.lines = [line(event) for event in events]
        self._old_archive = old_archive
        self._between = b"" if archive is None else _union(old_archive, archive, old_archived)
        self._made: list[os.stat_result] = []
        self._parts = {part: os.path.join(root.tmp, part) for part in PARTS}
        self._takes_snapshot = snapshot and not fresh
        self._snapshot = os.path.join(root.backups, snapshot_name(events[0]["timestamp"]))

    @property
    def snapshot(self) -> str | None:
        """The name of the snapshot that it takes."""
        return os.path.basename(self._snapshot) if self._takes_snapshot else None

    def put(self) -> None:
        """Prepare all that needs space, write the intent, put files and event in place, read back.

        Raises DiskFault, Interrupted; then the old state stands, unless the error says ``uncertain``.
        Raises ChangedMeanwhile where another program put a file of its own there; then that one stands.
        """
        try:
            self._prepare()
        except OSError as error:
            self._clear()
            self._refuse_theirs()
            raise disk_fault("the change could not be written", error) from error
        try:
            self._rename()
            self._read_back()
        except (OSError, TaskkeepError) as error:
            self.take_back(error)

    def _prepare(self) -> None:
        root, parts = self.root, self._parts
        self._clear()
        write_new(parts["backlog"], self.pieces, mode=self.mode)
        self._made.append(os.stat(parts["backlog"]))
        write_new(parts["journal"], self.lines)
        if self.archive is not None:
            if self._old_archive is not None:
                link_or_copy(root.archive, parts["archive-old"])
            write_new(parts["archive-new"], [self.archive], mode=self.mode)
            write_new(parts["archive-between"], [self._between], mode=self.mode)
            self._made += [os.stat(parts["archive-new"]), os.stat(parts["archive-between"])]
            sync_folder(root.tmp)
        make_folder(root.audit)
        make_folder(os.path.join(root.audit, os.path.dirname(self.name)))
        make_folder(root.backups, 0o700)
        if not self.fresh:
            link_or_copy(root.backlog, parts["old"])
        check_interrupt()
        os.replace(parts["journal"], root.journal)

    def _rename(self) -> None:
        root, parts = self.root, self._parts
        sync_folder(root.local)
        if self._takes_snapshot:
            with contextlib.suppress(FileExistsError):
                link_or_copy(root.backlog, self._snapshot)
        if self.archive is not None and self._between != self._old_archive:
            self._refuse_theirs()
            os.replace(parts["archive-between"], root.archive)
            self._found.pop(root.archive, None)
            sync_folder(root.path)
        self._refuse_theirs()
        os.replace(parts["backlog"], root.backlog)
        if self.archive is not None and self._between != self.archive:
            sync_folder(root.path)
            link_or_copy(parts["archive-new"], parts["archive-last"])
            os.replace(parts["archive-last"], root.archive)
        sync_folder(root.path)
        enter_log(root, root.journal, self.name)

    def _refuse_theirs(self) -> None:
        """Git and editors know nothing of our lock: what they put there since we read it is not replaced."""
        for path, was in self._found.items():
            try:
                now = FileId.of(os.stat(path))
            except FileNotFoundError:
                now = None
            # Not the time of change, which moves with our own links.
            if (now and now[1:3]) != (was and was[1:3]):
                raise ChangedMeanwhile(os.path.basename(path))

    def _is_ours(self, path: str) -> bool:
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return False
        return any(os.path.samestat(found, made) for made in self._made)

    def refuse_replaced(self) -> None:
        """Raise ChangedMeanwhile where what this put there is there no longer."""
        if not self._is_ours(self.root.backlog):
            raise ChangedMeanwhile(os.path.basename(self.root.backlog))

    def _read_back(self) -> None:
        self.refuse_replaced()
        found, at = read(self.root.backlog)[0], 0
        for piece in self.pieces:
            if not found.startswith(piece, at):
                break
            at += len(piece)
        if at != len(found) or at != sum(map(len, self.pieces)):
            raise DiskFault("backlog.json does not hold what was written; nothing was changed")
        if self.archive is not None and read(self.root.archive)[0] != self.archive:
            raise DiskFault("backlog.archive.json does not hold what was written; nothing was changed")
        if read(os.path.join(self.root.audit, self.name))[0] != b"".join(self.lines):
            raise DiskFault("the log does not hold what was written; nothing was changed")

    def take_back(self, error: Exception) -> NoReturn:
        """Put the old state back and raise *error* in the user's words.

        Where *error* leaves what it has come to uncertain all stays as it is, for the next writer to settle.
        """
        if isinstance(error, DiskFault) and error.details.get("uncertain"):
            raise error
        root = self.root
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(root.audit, self.name))
            if self._is_ours(root.backlog):
                if self.fresh:
                    os.unlink(root.backlog)
                else:
                    os.replace(self._parts["old"], root.backlog)
            if self._is_ours(root.archive):
                if self._old_archive is None:
                    remove(root.archive)
                else:
                    os.replace(self._parts["archive-old"], root.archive)
            sync_folder(root.path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._snapshot)
            os.unlink(root.journal)
            sync_folder(root.local)
            self._clear()
        except OSError as second:
            cause = error if isinstance(error, OSError) else second
            raise disk_fault("the change could not be written", cause, uncertain=True) from error
        if isinstance(error, OSError):
            raise disk_fault("the change could not be written", error) from error
        raise error

    def finish(self, *, keep_journal: bool) -> None:
        """Drop the journal and what lay ready, after the change is durable. Raises OSError."""
        if not keep_journal:
            os.unlink(self.root.journal)
        # The others were renamed or, without an archive, never made.
        for part in PARTS if self.archive is not None else ("old",):
            remove(self._parts[part])
        if os.name != "nt":
            with contextlib.suppress(FileNotFoundError):
                os.chmod(self._snapshot, 0o600)

    def _clear(self) -> None:
        for path in self._parts.values():
            remove(path)


def _union(old: bytes | None, new: bytes, tasks: Mapping[str, Task] | None) -> bytes:
    """The archive while backlog.json is replaced: what leaves either file is then in one of them at least."""
    try:
        kept = {} if old is None or tasks is not None else {task["id"]: task for task in text.parse_trusted(old)}
    except ValueError:
        kept = {}  # a merge left its markers, and git's index has all versions
    kept |= tasks or {}
    both = {**{task["id"]: task for task in text.parse_trusted(new)}, **kept}
    return text.dump(task for _, task in sorted(both.items()))


def enter_log(root: Root, path: str, name: str) -> None:
    """Give the file *path* its *name* in the log, durably. Raises OSError."""
    target = os.path.join(root.audit, name)
    make_folder(root.audit)
    make_folder(os.path.dirname(target))
    with contextlib.suppress(FileExistsError):
        link_or_copy(path, target)
    sync_folder(os.path.dirname(target))


def moves_archive(event: Event) -> bool:
    """Does the request of *event* change the archive?"""
    archive = event.get("archive")
    return archive is not None and archive["before"] != archive["after"]


def sha_of(path: str) -> str | None:
    """The sha256 of a file, None where it is not there or no plain file."""
    try:
        return sha256(read(path)[0]).hexdigest()
    except (FileNotFoundError, BacklogUnreadable):
        return None


def snapshot_name(timestamp: str) -> str:
    """The name of the snapshot taken before the change of *timestamp*."""
    digits = timestamp.replace("-", "").replace(":", "")
    return f"backlog_{digits[:8]}_{digits[9:15]}_{digits[16:22]}.json"

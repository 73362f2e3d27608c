"""The writer that brings the past back, over a file that is damaged, gone or edited by hand if need be."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.difference import difference
from taskkeep.backlog.replay import Replay, reconcile
from taskkeep.errors import (
    BacklogUnreadable,
    HandEdit,
    InvalidField,
    LogDamaged,
    UnknownField,
)
from taskkeep.store import log, pending
from taskkeep.store.files import read, remove, replace, sync_folder
from taskkeep.store.layout import ARCHIVE, BACKLOG
from taskkeep.store.past.history import History
from taskkeep.store.past.mending import aside_of, is_in_head, keep_aside, put_back, whole_log
from taskkeep.store.placement import sha_of
from taskkeep.store.record import note_checked
from taskkeep.store.save import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.layout import Root
    from taskkeep.store.placement import Placement
    from taskkeep.store.save import Context, Options, Outcome


class Restorer(Writer):
    """A writer whose ground is what the log says, where the files are something else.

    *details* stand in every event of a task, *reason* is the why where nobody gave one. *over*: it goes
    over a file that no reader takes; *whole*: it may replace a hand edit too; *ids*: one of these tasks alone.
    """

    def __init__(
        self, root: Root, options: Options, *, whole: bool, over: bool = True, ids: Iterable[str] = ()
    ) -> None:
        super().__init__(root, options)
        self.whole, self.over, self.ids = whole, over, {task_id.strip().upper() for task_id in ids}
        self.details: dict[str, Any] = {}
        self.reason = ""
        self._aside: list[tuple[str, bytes]] = []
        self._mends = False
        self._wanted_archive: bytes | None = None

    def load_log(self) -> log.LogState:
        """Return the log's state, files of it that are damaged or gone put back from git or the joined log, aloud."""
        state = log.vouched(self.root)
        if state is None or state.after != sha_of(self.root.backlog):
            parts = whole_log(self.root, ask_git=True)[1]
            if self.options.dry_run and parts:
                raise LogDamaged(f"{parts[0].problem}; {parts[0].witness} has it", hint=log.MEND)
            self.warnings += put_back(self, parts)
            state = super().load_log()
        return state

    # -- the ground ----------------------------------------------------------------------

    def read(self) -> Backlog:
        """The backlog on disk, or where that is damaged what the log says. Raises HandEdit, LogDamaged, …"""
        try:
            return super().read()
        except UnknownField:
            # What a newer version saved is not for this one to take back; what nobody saved is a hand edit.
            if not self.whole or self.sha in (None, self.log.after):
                raise
            cause = "holds a field that no save wrote"
        except HandEdit:
            if not (self.whole or self._is_edit_of_these()):
                raise
            cause = "was edited by hand"
        except (BacklogUnreadable, InvalidField) as error:
            if not self.over or (isinstance(error, InvalidField) and not self.whole):
                raise
            if error.details.get("newer") and self.sha == self.log.after:
                raise  # as of a field that a newer version saved
            cause = error.message.removeprefix(f"{BACKLOG} ")
        return self._from_log(cause)

    def _is_edit_of_these(self) -> bool:
        """Does the hand edit touch no task but those that are to be restored, as where a merge dropped them?"""
        if not self.ids:
            return False
        live = {task["id"]: task for task in text.parse(self.bytes)}
        archived = {task["id"]: task for task in text.parse(self.archive_bytes)} if self.archive_bytes else {}
        found = difference(self._logged()[1], Backlog(live, archived))
        touched = {task["id"] for task in (*found.added, *found.removed)} | {one.task_id for one in found.changed}
        return bool(touched) and touched <= self.ids

    def _logged(self) -> tuple[Replay, Backlog]:
        """What the log leads to. Raises LogDamaged."""
        history = History(self.root)
        numbers = [history.number(head) for head in self.log.heads if head in history.outline.place]
        if not numbers:
            raise LogDamaged("the log is empty or gone", hint="Bring it back from git.")
        return history.outline.replay(numbers), history.outline.state(*numbers)

    def _from_log(self, cause: str) -> Backlog:
        replay, backlog = self._logged()
        data = text.dump(backlog.tasks.values())
        if len(self.log.heads) == 1 and sha256(data).hexdigest() != self.log.after:
            raise LogDamaged(
                "the log does not lead to the state that it names",
                hint="'taskkeep verify' says what is missing; bring the log back from git first.",
            )
        self.choices = reconcile(replay, backlog.tasks, backlog.archived)[0] if len(self.log.heads) > 1 else []
        self._compare(BACKLOG, self.root.backlog, data, cause)
        archived = text.dump(backlog.archived.values()) if backlog.archived or self.log.archive else None
        self._compare(ARCHIVE, self.root.archive, archived, cause)
        self.bytes, self.sha = data, sha256(data).hexdigest()
        self.archive_bytes = self._wanted_archive = archived
        self.saved = {BACKLOG: data} if archived is None else {BACKLOG: data, ARCHIVE: archived}
        self._mends = True
        self.file = None  # what lies there is replaced, whatever it is
        return backlog

    def _compare(self, name: str, path: str, wanted: bytes | None, cause: str) -> None:
        """Note what is to be kept aside. Raises BacklogUnreadable for what is no plain file."""
        try:
            found, status = read(path)
        except FileNotFoundError:
            if name == BACKLOG:
                self.absent = True
                self.warnings.append(f"{name} was gone: what the log says stands in for it")
            return
        if found == wanted:
            return
        if name == BACKLOG:
            self.mode, self.snapshots = stat.S_IMODE(status.st_mode), False
        self._aside.append((name, found))
        # What the first is, the other need not be.
        cause = cause if name == BACKLOG else "was not what the last save wrote"
        kept = "would be kept" if self.options.dry_run else "kept"
        self.warnings.append(f"{name} {cause}: {kept} as {aside_of(self.root, name, found)}")

    # -- writing -------------------------------------------------------------------------

    def keep_aside(self) -> None:
        """Keep what will be replaced, and put the log's archive in its place. Raises OSError."""
        root = self.root
        for name, data in self._aside:
            keep_aside(root, name, data)
        if self._mends:
            if self._wanted_archive is None:
                if remove(root.archive):
                    sync_folder(root.path)
            elif not os.path.exists(root.archive) or read(root.archive)[0] != self._wanted_archive:
                tmp = os.path.join(root.tmp, "archive-mended")
                replace(root.archive, [self._wanted_archive], tmp=tmp, mode=self.mode)

    def _write(
        self,
        placement: Placement,
        outcome: Outcome,
        extra: Mapping[str, Sequence[bytes]],
        staged: Mapping[str, Sequence[bytes] | None],
    ) -> None:
        self.keep_aside()
        super()._write(placement, outcome, extra, staged)

    def _events(
        self,
        context: Context,
        pieces: Sequence[bytes],
        archive: bytes | None,
        changed: Sequence[tuple[str, Task, Any]],
        head_event: tuple[str, dict[str, Any]] | None,
        source: str,
    ) -> list[Event]:
        self.options.why = self.options.why or self.reason
        told = [(kind, task, {**details, **self.details}) for kind, task, details in changed]
        return super()._events(context, pieces, archive, told, head_event, source)

    def mend(self, outcome: Outcome) -> None:
        """Where the state is what it was to be and only the file is not: put that in place. Raises OSError."""
        if outcome.changed or not self._mends or outcome.replayed:
            return
        outcome.changed = True
        if self.options.dry_run:
            return
        self.keep_aside()
        replace(self.root.backlog, [self.bytes], tmp=os.path.join(self.root.tmp, "mended"), mode=self.mode)
        self.warnings.append("backlog.json is again what was saved last")
        note_checked(self.root)
        paths = [BACKLOG] if self._wanted_archive is None else [BACKLOG, ARCHIVE]
        if self.repository is not None and not all(is_in_head(self, path) for path in paths):
            pending.note(self, paths)
            outcome.pending = True

"""The writer that brings the past back, over a file that is damaged, gone or edited by hand if need be."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog, alias_words
from taskkeep.backlog.replay import reconcile
from taskkeep.errors import (
    BacklogUnreadable,
    HandEdit,
    InvalidField,
    LogDamaged,
    NothingToUndo,
    TaskNotFound,
    TaskNotThen,
    UnknownField,
    UnknownPoint,
)
from taskkeep.store import log, pending
from taskkeep.store.files import read, remove, replace, sync_folder
from taskkeep.store.history import History, refuse_no_name, resolve_when
from taskkeep.store.layout import ARCHIVE, BACKLOG
from taskkeep.store.mending import aside_of, is_in_head, keep_aside, put_back, whole_log
from taskkeep.store.record import note_checked
from taskkeep.store.save import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.history import Moment
    from taskkeep.store.layout import Root
    from taskkeep.store.placement import Placement
    from taskkeep.store.save import Context, Options, Outcome


class Restorer(Writer):
    """A writer whose ground is what the log says, where the files are something else.

    *details* stand in every event of a task, *reason* is the why where nobody gave one. *over*: it goes
    over a file that no reader takes; *whole*: it may replace a hand edit too.
    """

    def __init__(self, root: Root, options: Options, *, whole: bool, over: bool = True) -> None:
        super().__init__(root, options)
        self.whole, self.over = whole, over
        self.details: dict[str, Any] = {}
        self.reason = ""
        self._aside: list[tuple[str, bytes]] = []
        self._mends = False
        self._wanted_archive: bytes | None = None

    def load_log(self) -> log.LogState:
        """Return the log's state, files of it that are damaged or gone put back from git or the joined log, aloud."""
        state = log.vouched(self.root)
        if state is None:
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
            if not self.whole:
                raise
            cause = "was edited by hand"
        except (BacklogUnreadable, InvalidField) as error:
            if not self.over or (isinstance(error, InvalidField) and not self.whole):
                raise
            cause = error.message.removeprefix(f"{BACKLOG} ")
        return self._from_log(cause)

    def _from_log(self, cause: str) -> Backlog:
        history = History(self.root)
        numbers = [history.number(head) for head in self.log.heads if head in history.outline.place]
        if not numbers:
            raise LogDamaged("the log is empty or gone", hint="Bring it back from git.")
        replay = history.outline.replay(numbers)
        backlog = history.outline.state(*numbers)
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
        self._mends = True
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
        self.warnings.append(f"{name} {cause}: kept as {aside_of(self.root, name, found)}")

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


# -- what to bring back ------------------------------------------------------------------


class Restoring:
    """One restore: what was asked for, and the change that it is."""

    def __init__(self, root: Root, ids: Sequence[str], when: str, *, fields: Sequence[str], unlink: bool) -> None:
        from taskkeep.backlog.travel import restore_fields

        self.root, self.ids, self.when = root, list(ids), when
        self.fields, self.unlink = restore_fields(fields), unlink
        self.moment: Moment | None = None
        self.before: Backlog | None = None
        self.writer: Restorer | None = None
        refuse_no_name(when)

    def kind(self, root: Root, options: Options) -> Restorer:
        self.writer = Restorer(root, options, whole=not self.ids and not self.fields)
        return self.writer

    def change(self, backlog: Backlog, context: Context) -> Backlog:
        """The backlog with what was asked for as it was. Raises InvalidField with all fields of today's schema."""
        from taskkeep.backlog.travel import restore

        assert self.writer is not None
        self.before = backlog
        base = backlog if len(self.writer.log.heads) == 1 else None
        self.moment = resolve_when(self.root, self.when, now=context.now, base=base)
        point = self.moment.point
        self.writer.details = {"restored": {"kind": point.kind, "name": point.name, "event": point.event}}
        said = point.name if point.kind != "time" or point.time is None else point.time
        self.writer.reason = f"restore to {point.kind} {said}"
        then, uids = self._then(backlog)
        after, warnings = restore(backlog, then, uids, fields=self.fields, unlink=self.unlink, now=context.now)
        _refuse_invalid(backlog, after)
        self.writer.warnings += [*self.moment.notes, *warnings]
        return after

    def _then(self, backlog: Backlog) -> tuple[Backlog, list[str] | None]:
        """The state of then, or only the tasks asked for with their uids. Raises TaskNotThen."""
        assert self.moment is not None
        assert self.writer is not None
        if not self.ids:
            return self.moment.backlog(), None
        uids = []
        live: dict[str, Task] = {}
        archived: dict[str, Task] = {}
        for name in self.ids:
            try:
                task, lies = self.moment.place(name)
            except TaskNotThen:
                task, lies = self._called_otherwise(name, backlog)
            else:
                self.writer.warnings += alias_words([name], [task])
            (archived if lies else live)[task["id"]] = task
            uids.append(task["uid"])
        return Backlog.of(live.values(), archived.values()), uids

    def _called_otherwise(self, name: str, backlog: Backlog) -> tuple[Task, bool]:
        """The task of then that bears this id today. Raises TaskNotThen."""
        assert self.moment is not None
        try:
            uid = backlog.find(name)["uid"]
        except TaskNotFound:
            uid = None
        then = self.moment.backlog()
        for tasks, lies in ((then.tasks, False), (then.archived, True)):
            for task in tasks.values():
                if task["uid"] == uid:
                    return task, lies
        return self.moment.place(name)


def _refuse_invalid(before: Backlog, after: Backlog) -> None:
    """Refuse old versions that today's schema does not allow, all fields named. Raises InvalidField."""
    from taskkeep.backlog.shape import quick_ok
    from taskkeep.store.validate import task_problem

    known = {id(task) for task in (*before.tasks.values(), *before.archived.values())}
    wrong = [
        problem
        for task in (*after.tasks.values(), *after.archived.values())
        if id(task) not in known and not quick_ok(task) and (problem := task_problem(task))
    ]
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        fields = ", ".join(problem.message.partition(" ")[0] + " " + str(problem.details["field"]) for problem in wrong)
        raise InvalidField("tasks", f"of then break today's schema: {fields[:300]}", hint=wrong[0].message)


class Undoing:
    """One undo: the request that is taken back, and the change that it is."""

    def __init__(self, root: Root, event: str | None, *, force: bool) -> None:
        self.root, self.event, self.force = root, event, force
        self.moment: Moment | None = None
        self.before: Backlog | None = None
        self.writer: Restorer | None = None
        if event is not None:
            refuse_no_name(event)

    def kind(self, root: Root, options: Options) -> Restorer:
        self.writer = Restorer(root, options, whole=False, over=False)
        return self.writer

    def change(self, backlog: Backlog, context: Context) -> Backlog:
        """The backlog without what the event's request did. Raises UnknownPoint, NothingToUndo, ChangedSince, …"""
        from taskkeep.backlog.history import state_of
        from taskkeep.backlog.travel import undo

        assert self.writer is not None
        self.before = backlog
        history = History(self.root)
        outline = history.outline
        named = self._own_last(history, context.actor) if self.event is None else self._named(history)
        txn = outline.event(named)["txn"]
        needle = b'"txn":"%s"' % txn.encode()
        numbers = [n for n, row in enumerate(outline.rows) if needle in row and outline.event(n)["txn"] == txn]
        events = [outline.event(number) for number in numbers]
        uids = {event["uid"] for event in events if event["uid"]}
        if not uids:
            what = events[0]["event_type"].replace("_", " ")
            raise NothingToUndo(f"'{what}' is no change of tasks that could be taken back", hint=_SEE)
        start = next(place for place, event in enumerate(events) if event["uid"])
        first = [outline.place[prev] for prev in outline.prevs[numbers[start]] if prev in outline.place]
        seen = {*outline.past([numbers[-1]])[0]}
        later = [
            outline.event(number)
            for number in range(len(outline))
            if number not in seen and outline.concerns(number, uids)
        ]
        told = (self.event and outline.ids[named]) or events[-1]["event_id"]
        self.writer.details = {"undone": told}
        self.writer.reason = f"undo of event {told}"
        after, warnings = undo(
            backlog,
            state_of(outline.replay(first, uids)),
            state_of(outline.replay([numbers[-1]], uids)),
            events,
            later,
            now=context.now,
            actor=context.actor,
            force=self.force,
        )
        self.writer.warnings += [*history.notes, *warnings]
        return after

    @staticmethod
    def _own_last(history: History, actor: str) -> int:
        outline = history.outline
        for number in outline.line(history.heads[0]) if history.heads else ():
            event = outline.event(number)
            if (
                event["actor"] == actor
                and event["uid"]
                and ("task" in event["details"] or "changes" in event["details"])
            ):
                return number
        raise NothingToUndo(f"{actor} has changed nothing here yet", hint=_SEE)

    def _named(self, history: History) -> int:
        from taskkeep.backlog.task import shortened
        from taskkeep.errors import AmbiguousPoint

        prefix = (self.event or "").strip().lower()
        found = history.events_like(prefix) if len(prefix) >= 4 else []
        if len(found) > 1:
            names = [history.outline.ids[number] for number in found[:5]]
            raise AmbiguousPoint(
                f"{shortened(prefix)} may be {' or '.join(names)}", hint="Write more of it.", nearest=names
            )
        if not found:
            raise UnknownPoint(f"there is no event {shortened(prefix)}", hint=_SEE)
        return found[0]


_SEE = "'taskkeep log' shows the events with their ids."

"""A restore and an undo, each a change like any other: what was asked for, and the backlog that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.backlog.backlog import Backlog, alias_words
from taskkeep.errors import (
    InvalidField,
    NothingToUndo,
    TaskNotFound,
    TaskNotThen,
    UnknownPoint,
)
from taskkeep.store.past.history import History
from taskkeep.store.past.restorer import Restorer
from taskkeep.store.past.when import refuse_no_name, resolve_when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.backlog.task import Task
    from taskkeep.store.layout import Root
    from taskkeep.store.past.history import Moment
    from taskkeep.store.save import Context, Options


# -- what to bring back ------------------------------------------------------------------


class Restoring:
    """One restore: what was asked for, and the change that it is."""

    def __init__(self, root: Root, ids: Sequence[str], when: str, *, fields: Sequence[str], unlink: bool) -> None:
        from taskkeep.backlog.travel import restore_fields

        self.root, self.ids, self.when = root, list(ids), when
        self.fields, self.unlink = restore_fields(fields), unlink
        self.named: Sequence[str] = ()  # the ids that the tasks asked for have now
        self.moment: Moment | None = None
        self.before: Backlog | None = None
        self.writer: Restorer | None = None
        refuse_no_name(when)

    def kind(self, root: Root, options: Options) -> Restorer:
        single = () if self.fields else self.ids
        self.writer = Restorer(root, options, whole=not self.ids and not self.fields, ids=single)
        return self.writer

    def change(self, backlog: Backlog, context: Context) -> Backlog:
        """The backlog with what was asked for as it was. Raises InvalidField with all fields of today's schema."""
        from taskkeep.backlog.claims import claimed_by_others
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
        now = {task["uid"]: task_id for tasks in (after.archived, after.tasks) for task_id, task in tasks.items()}
        self.named = [now[uid] for uid in uids or ()]
        taken = claimed_by_others(backlog, after, now=context.now, actor=context.actor)
        held = [f"{one['id']} is claimed by {one['claimed_by']} until {one['claimed_until']}" for one in taken]
        self.writer.warnings += [*self.moment.notes, *warnings, *held]
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

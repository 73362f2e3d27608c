"""The events of the log that a reader asks for, newest first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from taskkeep.backlog.history import last_lines, lines_with, named_uids, touches
from taskkeep.backlog.task import shortened
from taskkeep.errors import BacklogUnreadable, Usage
from taskkeep.store.past.history import History, decoded, log_bytes
from taskkeep.store.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.events import Event
    from taskkeep.store.layout import Root


class LogPage(NamedTuple):
    """Events, newest first, how many there are in all, and the offset of the next page or None."""

    events: list[Event]
    total: int
    notes: Sequence[str] = ()
    next: int | None = None


class Wanted(NamedTuple):
    """What an event must be like; what is empty lets all through."""

    since: str | None = None
    until: str | None = None
    actors: Sequence[str] = ()
    types: Sequence[str] = ()
    sources: Sequence[str] = ()

    def has(self, event: Event) -> bool:
        return (
            (not self.since or event["timestamp"] >= self.since)
            and (not self.until or event["timestamp"] <= self.until)
            and (not self.actors or event["actor"] in self.actors)
            and (not self.types or event["event_type"] in self.types)
            and (not self.sources or event["source"] in self.sources)
        )


def type_named(words: str) -> str:
    """The event type that *words* mean, as the log has it: "created", as `log` shows it, is `task_created`."""
    name = words.strip().lower().replace(" ", "_").replace("-", "_")
    return f"task_{name}" if name in ("created", "updated", "deleted") else name


def page(root: Root, ids: Sequence[str], wanted: Wanted, *, limit: int, offset: int) -> LogPage:
    """Return a page of the events of all tasks, or of those named by id or alias; *limit* 0 for all.

    Raises LogDamaged, TaskNotFound, Usage.
    """
    if limit < 0 or offset < 0:
        raise Usage("a limit or an offset cannot be negative", hint="A limit of 0 means all.")
    data, notes = log_bytes(root)
    end = offset + limit if limit else 0
    if not ids and not any(wanted):
        total = data.count(b"\n")
        newest = last_lines(data, end)
        found = decoded(newest[: max(len(newest) - offset, 0)])[::-1]
    else:
        events, warnings = _of_tasks(root, data, ids) if ids else (decoded(data.split(b"\n")[:-1]), [])
        notes += [*warnings, *_unheard(data, "event_type", wanted.types), *_unheard(data, "source", wanted.sources)]
        chosen = [event for event in reversed(events) if wanted.has(event)]
        total, found = len(chosen), chosen[offset : end or None]
    return LogPage(found, total, notes, end if 0 < end < total else None)


def _unheard(data: bytes, field: str, names: Sequence[str]) -> list[str]:
    """What no event of the log has, in words: misspelt, it may be; not refused, since later versions may have it."""
    rows = {name: f'"{field}":{json.dumps(name, ensure_ascii=False)}'.encode("utf-8", "replace") for name in names}
    what = field.removeprefix("event_")
    return [f"no event of the log has the {what} {shortened(name)}" for name, row in rows.items() if row not in data]


def events_of(root: Root, ids: Sequence[str]) -> Sequence[Event]:
    """Return the events of tasks by id or alias, deleted ones too, oldest first. Raises LogDamaged, TaskNotFound."""
    return _of_tasks(root, log_bytes(root)[0], ids)[0]


def heads_joined(root: Root, events: Sequence[Event]) -> Mapping[str, Event]:
    """Return by hash the last events of the branches that the `merged` ones of *events* joined, as far as the log
    has them. Raises LogDamaged."""
    ends = {b'"hash":"%s"}' % head.encode() for event in events for head in event["details"].get("heads", ())}
    found = [json.loads(row) for row in lines_with(log_bytes(root)[0], ends)] if ends else []
    return {event["hash"]: event for event in found}


def _of_tasks(root: Root, data: bytes, ids: Sequence[str]) -> tuple[Sequence[Event], Sequence[str]]:
    """The events of tasks, and which of *ids* are aliases. Only lines that name one of the tasks are decoded."""
    uids: set[str] = set()
    warnings: list[str] = []
    for name in ids:
        task_id = name.strip().upper()
        needle = b'"%s"' % task_id.encode("utf-8", "replace")
        found = {uid for row in lines_with(data, [needle]) for uid in named_uids(json.loads(row), task_id)}
        if len(found) != 1:
            backlog = _last_known(root)
            if not found:
                found = {backlog.find(name)["uid"]}
            elif (task := backlog.get(task_id)) is not None:
                found = {task["uid"]}  # drawn on two branches: the others have it as an alias now
            warnings += backlog.warnings_for([name])
        uids |= found
    some = [json.loads(row) for row in lines_with(data, [b'"%s"' % uid.encode() for uid in uids])]
    return [event for event in some if touches(event, uids)], warnings


def _last_known(root: Root) -> Backlog:
    """The backlog as it is, or where backlog.json cannot be read as the log has it."""
    try:
        return Reading(root).backlog()
    except BacklogUnreadable:
        return History(root).last().backlog()

"""What an event of the audit log says: made from two states, applied to one."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taskkeep.backlog.task import FIELDS, SET_FIELDS, canonical, same_task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.task import Task

Event = dict[str, Any]
Changes = dict[str, Any]

VERSION = 1
SEQUENCE_FIELDS = ("acceptance_criteria", "notes")
# What is decoded JSON or made by us goes in no circle.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_encode_sorted = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False
).encode


class Request:
    """Who asks for a change, when, why and by which way; one for all events of a request."""

    __slots__ = ("actor", "digest", "key", "now", "source", "txn", "why")

    def __init__(
        self,
        *,
        txn: str,
        actor: str,
        now: str,
        source: str,
        why: str | None,
        key: str | None,
        digest: str | None,
    ) -> None:
        self.txn, self.actor, self.now, self.source = txn, actor, now, source
        self.why, self.key, self.digest = why, key, digest


# -- what changed ------------------------------------------------------------------------


def diff(old: Task, new: Task, now: str | None = None) -> Changes:
    """Return what turns *old* into *new*, by field.

    Plain fields and metadata keys as ``{"from", "to"}`` (None: not there), lists as ``{"added",
    "removed"}``, and ``"to"`` beside them where the order of a list says more. `updated_at` is
    left out where it is *now*, the time of the event.
    """
    changes: Changes = {}
    for field in FIELDS:
        before, after = old.get(field), new.get(field)
        # Equal to Python is not equal as JSON: metadata of 1, 1.0 and true are three values.
        if before is after or (field != "metadata" and before == after):
            continue
        if field == "updated_at" and after == now:
            continue
        if field in SET_FIELDS:
            changes[field] = _set_diff(before or [], after or [])
        elif field in SEQUENCE_FIELDS:
            changes[field] = _sequence_diff(before or [], after or [])
        elif field == "metadata":
            if keys := _metadata_diff(before or {}, after or {}):
                changes[field] = keys
        else:
            changes[field] = {"from": before, "to": after}
    return changes


def _set_diff(before: list[str], after: list[str]) -> Changes:
    return {
        "added": [item for item in after if item not in before],
        "removed": [item for item in before if item not in after],
    }


def _sequence_diff(before: list[Any], after: list[Any]) -> Changes:
    if after[: len(before)] == before:
        return {"added": after[len(before) :], "removed": []}
    removed, rest = [], list(after)
    for item in before:
        if item in rest:
            rest.remove(item)
        else:
            removed.append(item)
    change: Changes = {"added": rest, "removed": removed}
    if _sequence_apply(before, change) != after:
        change["to"] = after
    return change


def _sequence_apply(items: list[Any], change: Changes) -> list[Any]:
    """A criterion that was changed keeps its place: one is removed and one of the same text added."""
    if "to" in change:
        return list(change["to"])
    result, added = list(items), list(change["added"])
    for gone in change["removed"]:
        if gone not in result:
            continue
        place = result.index(gone)
        heir = next((item for item in added if item.get("text") == gone.get("text")), None)
        if heir is None:
            del result[place]
        else:
            added.remove(heir)
            result[place] = heir
    return result + added


def json_text(value: Any) -> str:
    """Return *value* as JSON, the same text for what is equal as JSON."""
    return _encode_sorted(value)


def _same_json(one: Any, other: Any) -> bool:
    """Equal as JSON: 1, 1.0 and true are three values."""
    return one is other or _encode_sorted(one) == _encode_sorted(other)


def _metadata_diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    changes: Changes = {}
    for key in sorted({*before, *after}):
        if key in before and key in after and _same_json(before[key], after[key]):
            continue
        change: Changes = {"from": before.get(key), "to": after.get(key)}
        # null is a value of its own in metadata, so what is meant by it is said.
        if nulls := [side for side, of in (("from", before), ("to", after)) if key in of and of[key] is None]:
            change["null"] = nulls
        changes[key] = change
    return changes


def apply(task: Task, changes: Changes, now: str) -> Task:
    """Return *task* after *changes* made at *now*; the reverse of diff()."""
    new = dict(task)
    new["updated_at"] = now
    for field, change in changes.items():
        new[field] = apply_field(field, task.get(field), change)
    return canonical(new)


def apply_field(field: str, value: Any, change: Changes) -> Any:
    """Return one field's value after *change*; None or empty where it is gone."""
    if field in SET_FIELDS:
        kept = [item for item in value or [] if item not in change["removed"]]
        return sorted({*kept, *change["added"]})
    if field in SEQUENCE_FIELDS:
        return _sequence_apply(value or [], change)
    if field == "metadata":
        merged = dict(value or {})
        for key, one in change.items():
            if one["to"] is None and "to" not in one.get("null", ()):
                merged.pop(key, None)
            else:
                merged[key] = one["to"]
        return merged
    return change["to"]


# -- the events of a request -------------------------------------------------------------


def event_hash(event: Event) -> str:
    """Return the sha256 of an event's canonical JSON (sorted keys, no blanks) without its `hash`."""
    return sha256(_encode_sorted({k: v for k, v in event.items() if k != "hash"}).encode()).hexdigest()


def line(event: Event) -> bytes:
    """Return the event as one line of the log."""
    return _encode(event).encode() + b"\n"


def task_changes(before: Backlog, after: Backlog, now: str) -> list[tuple[str, Task, Any]]:
    """Return (event type, task, details) for each task that differs, sorted by id.

    *details* hold ``archived`` where the task was moved: true into the archive, false out of it; and
    true beside the whole task where it is made or deleted there. Compares by identity first, so
    unchanged tasks cost nothing.
    """
    old = {**before.archived, **before.tasks}
    new = {**after.archived, **after.tasks}
    # A task in both files counts as in the backlog.
    was_archived = {task_id for task_id in before.archived if task_id not in before.tasks}
    is_archived = {task_id for task_id in after.archived if task_id not in after.tasks}
    moved = was_archived ^ is_archived
    found: list[tuple[str, Task, Any]] = []
    for task_id, task in new.items():
        previous = old.get(task_id)
        if previous is not None and task_id not in moved and same_task(previous, task):
            continue
        if previous is not None and previous["uid"] == task["uid"]:
            changes = diff(previous, task, now)
            details: dict[str, Any] = {"changes": changes}
            # An edit of a task that stays in the archive says so, since an edit elsewhere brings it back.
            if task_id in moved or task_id in is_archived:
                details["archived"] = task_id in is_archived
            implied = previous["updated_at"] if "archived" in details and not changes else now
            if task["updated_at"] != implied:
                changes["updated_at"] = {"from": previous["updated_at"], "to": task["updated_at"]}
            found.append(("task_updated", task, details))
        else:
            if previous is not None:
                found.append(("task_deleted", previous, _whole(previous, task_id in was_archived)))
            found.append(("task_created", task, _whole(task, task_id in is_archived)))
    for task_id, task in old.items():
        if task_id not in new:
            found.append(("task_deleted", task, _whole(task, task_id in was_archived)))
    return sorted(found, key=lambda item: item[1]["id"])


def _whole(task: Task, archived: bool) -> dict[str, Any]:
    return {"task": task, "archived": True} if archived else {"task": task}


class Chain:
    """Builds the events of one request, each following the one before it."""

    def __init__(
        self,
        request: Request,
        *,
        before: str | None,
        after: str,
        archive: tuple[str | None, str | None] = (None, None),
        heads: Sequence[str],
        new_id: Any,
        first: Mapping[str, Any] | None = None,
    ) -> None:
        """*before*, *after*: sha256 of backlog.json; *archive*: the same two of the archive, None without one.

        *first*: further details of the first event, which speak of the request as a whole.
        """
        self.first = first or {}
        self.request, self.before, self.after, self.archive = request, before, after, archive
        self.prev = list(heads)
        self.new_id = new_id
        self.events: list[Event] = []

    def add(self, event_type: str, task_id: str | None, uid: str | None, details: Any, *, why: str = "") -> Event:
        """Add an event; *why* where it has a reason of its own."""
        request = self.request
        event: Event = {
            "v": VERSION,
            "event_id": self.new_id(),
            "timestamp": request.now,
            "event_type": event_type,
            "task_id": task_id,
            "uid": uid,
            "actor": request.actor,
            "source": request.source,
            "why": why or request.why,
        }
        if request.key is not None:
            event["key"] = request.key
            event["request"] = request.digest
        event |= {
            "txn": request.txn,
            "details": details if self.events else {**details, **self.first},
            "before": self.before,
            "after": self.after,
        }
        if any(self.archive):
            event["archive"] = {"before": self.archive[0], "after": self.archive[1]}
        event["prev"] = self.prev
        event["hash"] = event_hash(event)
        self.prev = [event["hash"]]
        self.events.append(event)
        return event

"""Bringing the past back by new changes: restore to a state that was, undo one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import SEQUENCE_FIELDS
from taskkeep.backlog.rules import LINK_FIELDS, links
from taskkeep.backlog.task import CLAIM, FIELDS, SET_FIELDS, canonical, same, same_task
from taskkeep.errors import ChangedSince, ClaimHeld, IdTaken, LinksMissing, TaskNeeded, TaskNotFound, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task

FIXED = ("id", "uid", "created_at", "created_by", "updated_at", "aliases")
# What follows the status and is nothing without it.
_WITH_STATUS = ("status", "started_at", "completed_at")

Place = tuple["Task", bool]  # a task, and whether it lies in the archive


class _Draft:
    """A backlog under change, by uid."""

    def __init__(self, backlog: Backlog) -> None:
        self.places = _places(backlog)
        self._before = dict(self.places)
        self.before = {uid: task for uid, (task, _) in self._before.items()}

    def put(self, task: Task, archived: bool) -> None:
        self.places[task["uid"]] = (task, archived)

    def drop(self, uid: str) -> None:
        self.places.pop(uid, None)

    def changed(self) -> list[Task]:
        return [place[0] for uid, place in self.places.items() if self._before.get(uid) != place]

    def backlog(self, start: Backlog) -> Backlog:
        """The result; *start* itself where nothing differs. Raises IdTaken."""
        if self.places.keys() == self._before.keys() and all(
            task is self._before[uid][0] and archived == self._before[uid][1]
            for uid, (task, archived) in self.places.items()
        ):
            return start
        bearers: dict[str, str] = {}
        for uid, (task, _) in self.places.items():
            if bearers.setdefault(task["id"], uid) != uid:
                raise IdTaken(f"another task is called {task['id']} now", hint="Restore the other fields by hand.")
        result = Backlog.of(
            [task for task, archived in self.places.values() if not archived],
            [task for task, archived in self.places.values() if archived],
        )
        if result.archived.keys() == start.archived.keys() and all(
            task is start.archived[task_id] for task_id, task in result.archived.items()
        ):
            return Backlog(result.tasks, start.archived)
        return result


def _places(backlog: Backlog) -> dict[str, Place]:
    found = {task["uid"]: (task, True) for task in backlog.archived.values()}
    return found | {task["uid"]: (task, False) for task in backlog.tasks.values()}


# -- restore -----------------------------------------------------------------------------


def restore_fields(names: Iterable[str]) -> tuple[str, ...]:
    """The fields that --field may name, with those that follow them. Raises Usage."""
    found: list[str] = []
    for name in names:
        if name not in FIELDS or name in FIXED or name in CLAIM or name in _WITH_STATUS[1:]:
            allowed = [field for field in FIELDS if field not in (*FIXED, *CLAIM, *_WITH_STATUS[1:])]
            raise Usage(f"the field {name[:40]!r} cannot be restored by itself", hint=f"One of: {', '.join(allowed)}.")
        found += _WITH_STATUS if name == "status" else (name,)
    return tuple(dict.fromkeys(found))


def restore(
    backlog: Backlog,
    then: Backlog,
    uids: Sequence[str] | None,
    *,
    fields: Sequence[str] = (),
    unlink: bool = False,
    now: str,
) -> tuple[Backlog, list[str]]:
    """*backlog* with the tasks of these uids, or of all, as they were *then*; and warnings.

    Without *uids* tasks that were not there then go. A restored task is its old version but for
    `updated_at` and the claim: that of now stays. Ids stay those of today. Links to tasks that are not
    there are refused, or with *unlink* left out. Raises LinksMissing, IdTaken, TaskNotFound.
    """
    old, draft = _places(then), _Draft(backlog)
    renamed = {
        task["id"]: draft.places[uid][0]["id"]
        for uid, (task, _) in old.items()
        if uid in draft.places and draft.places[uid][0]["id"] != task["id"]
    }
    if uids is None and not fields:
        for uid in [uid for uid in draft.places if uid not in old]:
            draft.drop(uid)
    for uid in old if uids is None else uids:
        task, archived = old[uid]
        current, lies = draft.places.get(uid, (None, archived))
        if fields and current is None:
            if uids is None:
                continue
            raise TaskNotFound(task["id"])
        past = _relinked(task, renamed)
        version = _with_fields(current, past, fields, now) if current and fields else _version(past, current, now)
        draft.put(version, lies if fields else archived)
    warnings = _check_links(draft, set(old if uids is None else uids), unlink, now)
    return draft.backlog(backlog), warnings


def _version(old: Task, current: Task | None, now: str) -> Task:
    """The old version with the claim, id and aliases of now; *current* itself where they differ in nothing else."""
    if current is not None and same_task(old, current):
        return current
    task = {field: value for field, value in old.items() if field not in CLAIM}
    if current is not None:
        task |= {field: current[field] for field in CLAIM if field in current}
        if current["id"] != old["id"]:
            task["id"] = current["id"]
            task["aliases"] = current.get("aliases", [])
    return _unless_same(task, current, now)


def _with_fields(current: Task, old: Task, fields: Sequence[str], now: str) -> Task:
    task = dict(current)
    for field in fields:
        if field in old:
            task[field] = old[field]
        else:
            task.pop(field, None)
    return _unless_same(task, current, now)


def _unless_same(task: Mapping[str, Any], current: Task | None, now: str) -> Task:
    result = canonical(task)
    if current is not None and same({**result, "updated_at": ""}, {**canonical(current), "updated_at": ""}):
        return current
    result["updated_at"] = now
    return result


def _relinked(task: Task, renamed: Mapping[str, str]) -> Task:
    """The task with links to tasks that bear another id today led there."""
    if not renamed:
        return task
    result = dict(task)
    if "depends_on" in task:
        result["depends_on"] = [renamed.get(target, target) for target in task["depends_on"]]
    if "parent" in task:
        result["parent"] = renamed.get(task["parent"], task["parent"])
    return result


def _check_links(draft: _Draft, uids: Iterable[str], unlink: bool, now: str) -> list[str]:
    """Leave links to tasks that are not there out with *unlink*, and say so. Raises LinksMissing."""
    there = {task["id"] for task, _ in draft.places.values()}
    changed = {task["uid"] for task in draft.changed()}
    missing: list[tuple[str, str, str]] = []
    for uid in sorted(changed & set(uids)):
        task, archived = draft.places[uid]
        lost = [(field, target) for field in LINK_FIELDS for target in links(task, field) if target not in there]
        if archived or not lost:
            continue
        missing += [(task["id"], field, target) for field, target in lost]
        fewer = {**task, "depends_on": [target for target in task.get("depends_on", ()) if target in there]}
        if ("parent", task.get("parent")) in lost:
            del fewer["parent"]
        draft.put(_unless_same(fewer, draft.before.get(uid), now), archived)
    if missing and not unlink:
        raise LinksMissing(missing)
    return [f"left out: {task_id} {field} {target}, which is not there" for task_id, field, target in missing]


# -- undo --------------------------------------------------------------------------------


def undo(
    backlog: Backlog,
    before: Backlog,
    after: Backlog,
    events: Sequence[Event],
    later: Sequence[Event],
    *,
    now: str,
    actor: str,
    force: bool = False,
) -> tuple[Backlog, list[str]]:
    """*backlog* without what one request did, and warnings.

    *before* and *after* hold the request's tasks as it found and left them, *events* are its events,
    *later* all that it had not seen. Entries of lists and keys of metadata are taken back one by one, so
    that later ones stay. Raises ChangedSince, ClaimHeld, TaskNeeded, IdTaken, but with *force* the first
    three not.
    """
    if not force and (clashes := _clashes(events, later)):
        raise ChangedSince(
            f"{len(clashes)} later change{'' if len(clashes) == 1 else 's'} of the same: {clashes[0]['text']}"
            + (" …" if len(clashes) > 1 else ""),
            hint="Undo those first, or pass --force to take this back all the same.",
            later=clashes,
        )
    old, new, draft = _places(before), _places(after), _Draft(backlog)
    warnings: list[str] = []
    gone: list[Task] = []
    for uid in dict.fromkeys(event["uid"] for event in events if event["uid"]):
        was, left = old.get(uid), new.get(uid)
        current = draft.places.get(uid)
        if current is not None and not force:
            _refuse_claimed(current[0], now, actor)
        if was is None and left is not None:
            if current is not None:
                gone.append(current[0])
                draft.drop(uid)
        elif was is not None and left is None:
            draft.put(_version(was[0], current[0] if current else None, now), was[1])
        elif was is not None and left is not None:
            if current is None:
                warnings.append(f"{was[0]['id']} was deleted since: it stays so")
                continue
            archived = was[1] if was[1] != left[1] else current[1]
            draft.put(_taken_back(current[0], was[0], left[0], now), archived)
    warnings += _unlink_gone(draft, gone, now, force)
    return draft.backlog(backlog), warnings


def _refuse_claimed(task: Task, now: str, actor: str) -> None:
    holder, until = task.get("claimed_by"), task.get("claimed_until", "")
    if holder is not None and holder != actor and until > now:
        raise ClaimHeld(task["id"], holder, until)


def _unlink_gone(draft: _Draft, gone: Sequence[Task], now: str, force: bool) -> list[str]:
    """Links to tasks whose making was undone: refused, or with *force* taken out. Raises TaskNeeded."""
    warnings = []
    names = {task["id"] for task in gone}
    for uid, (task, archived) in list(draft.places.items()):
        lost = [(field, target) for field in LINK_FIELDS for target in links(task, field) if target in names]
        if archived or not lost:
            continue
        if not force:
            raise TaskNeeded(lost[0][1], [task["id"]], hint="Take the link out first, or pass --force.")
        fewer = {**task, "depends_on": [target for target in task.get("depends_on", ()) if target not in names]}
        if task.get("parent") in names:
            del fewer["parent"]
        draft.put({**canonical(fewer), "updated_at": now}, archived)
        warnings += [f"taken out: {task['id']} {field} {target}" for field, target in lost]
        assert uid == task["uid"]
    return warnings


def _taken_back(current: Task, was: Task, left: Task, now: str) -> Task:
    task = dict(current)
    for field in FIELDS:
        if field in FIXED or same(was.get(field), left.get(field)):
            continue
        if field in CLAIM and field in was:
            continue  # a claim is never brought back
        value = _field_back(field, current.get(field), was.get(field), left.get(field))
        if value is None:
            task.pop(field, None)
        else:
            task[field] = value
    if ("claimed_by" in task) != ("claimed_until" in task):
        for field in CLAIM:
            task.pop(field, None)
    return _unless_same(task, current, now)


def _field_back(field: str, value: Any, was: Any, left: Any) -> Any:
    """The field as it was before the request, without what came later where that can be told apart."""
    if same(value, left):
        return was
    if field in SET_FIELDS:
        added = set(left or ()) - set(was or ())
        return sorted((set(value or ()) - added) | (set(was or ()) - set(left or ())))
    if field in SEQUENCE_FIELDS:
        kept = [item for item in value or () if item in (was or ()) or item not in (left or ())]
        return [*(item for item in was or () if item not in kept and item not in (left or ())), *kept]
    if field == "metadata":
        result = dict(value or {})
        for key in {*(was or {}), *(left or {})}:
            if same((was or {}).get(key), (left or {}).get(key)):
                continue
            if key in (was or {}):
                result[key] = was[key]
            else:
                result.pop(key, None)
        return result
    return was


def _clashes(events: Sequence[Event], later: Sequence[Event]) -> list[dict[str, Any]]:
    """The later events that set what *events* had set, each with what it set."""
    own: dict[str, set[tuple[str, ...]]] = {}
    for event in events:
        for uid, marks in _marks(event).items():
            own.setdefault(uid, set()).update(marks)
    found = []
    for event in later:
        for uid, marks in _marks(event).items():
            mine = own.get(uid, set())
            whole = {("task",)} & (mine | marks)
            both = (mine | marks if whole else mine & marks) if mine and marks else set()
            if both:
                fields = sorted({mark[0] for mark in (marks if whole else both)})
                words = f"{', '.join(fields)} by {event['actor']} at {event['timestamp']}"
                entry = {name: event[name] for name in ("event_id", "task_id", "actor", "timestamp", "why")}
                found.append({**entry, "fields": fields, "text": f"{event['task_id'] or uid}: {words}"})
    return found


def _marks(event: Event) -> dict[str, set[tuple[str, ...]]]:
    """What an event set, by uid: fields, entries of lists, keys of metadata, or the task itself."""
    details = event["details"]
    found: dict[str, set[tuple[str, ...]]] = {}
    for choice in details.get("choices", ()):
        found.setdefault(choice["uid"], set()).add((choice["field"] or "task",))
    uid = event["uid"]
    if uid is None:
        return found
    marks = found.setdefault(uid, set())
    if "task" in details:
        marks.add(("task",))
    if "archived" in details:
        marks.add(("archived",))
    for field, change in details.get("changes", {}).items():
        if field in SET_FIELDS:
            marks |= {(field, item) for item in (*change["added"], *change["removed"])}
        elif field in SEQUENCE_FIELDS:
            marks |= {(field, item["text"]) for item in (*change["added"], *change["removed"])}
        elif field == "metadata":
            marks |= {(field, key) for key in change}
        elif field != "updated_at":
            marks.add((field,))
    return found

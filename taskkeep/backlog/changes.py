"""The changes of a backlog, each a pure function from backlog to backlog.

Time (*now*, as `times.to_text` gives it), actor and ids come in as arguments. A change sets
``updated_at`` of the tasks that it changes; one that changes nothing returns the same object. While
somebody else's claim runs, every change but a note raises ClaimHeld unless *force*.

Links are resolved here (any case, aliases); what a change does to the graph as a whole is for
`rules.refuse_worse` to judge, once for all changes of a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.backlog.shape import normal_list, normal_metadata, normalise, unknown_field
from taskkeep.backlog.task import (
    FIELDS,
    FINISHED,
    LIST_FIELDS,
    PROGRAM_FIELDS,
    Task,
    canonical,
    check_text,
    kind_of,
    read_choice,
    same,
    shortened,
)
from taskkeep.backlog.times import is_time, later
from taskkeep.errors import (
    ClaimHeld,
    CriterionNotFound,
    DanglingLink,
    InvalidField,
    LinkCycle,
    TaskBlocked,
    TaskNeeded,
    TaskNotFound,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskkeep.backlog.backlog import Backlog


class Edit:
    """What an update asks for; applied in the order of the arguments.

    *set* gives fields a new value (None takes one out; a list replaces the list), *check* and
    *uncheck* name criteria from 1, *remove* and *add* work on the entries of lists, *metadata* sets
    single keys (None takes one out).
    """

    __slots__ = ("add", "check", "metadata", "remove", "set", "uncheck")

    def __init__(
        self,
        *,
        set: Mapping[str, Any] | None = None,
        check: Sequence[int] = (),
        uncheck: Sequence[int] = (),
        remove: Mapping[str, Sequence[Any]] | None = None,
        add: Mapping[str, Sequence[Any]] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.set: dict[str, Any] = dict(set or {})
        self.check = tuple(check)
        self.uncheck = tuple(uncheck)
        self.remove: dict[str, Sequence[Any]] = dict(remove or {})
        self.add: dict[str, Sequence[Any]] = dict(add or {})
        self.metadata: dict[str, Any] = dict(metadata or {})

    def __bool__(self) -> bool:
        return any((self.set, self.check, self.uncheck, self.remove, self.add, self.metadata))


# -- adding --------------------------------------------------------------------------------


def add_task(backlog: Backlog, fields: Mapping[str, Any], *, task_id: str, uid: str, now: str, actor: str) -> Backlog:
    """The backlog with one new task. Raises as `new_task` does."""
    return backlog.replacing(new_task(backlog, fields, task_id=task_id, uid=uid, now=now, actor=actor))


def new_task(
    backlog: Backlog,
    fields: Mapping[str, Any],
    *,
    task_id: str,
    uid: str,
    now: str,
    actor: str,
    program: Mapping[str, Any] | None = None,
    resolve: bool = True,
) -> Task:
    """A new task from the fields that a user sets; None and empty values count as not given.

    An importer gives as *program* what its source knows of the fields that taskkeep sets
    (``created_at``, ``completed_at`` …, possibly nothing); notes may then bear their own time and
    author. Without *resolve* links must be ids already, of tasks that may yet have to come.

    Raises InvalidField, UnknownField, DanglingLink, LinkCycle, AmbiguousId.
    """
    values = normalise({field: value for field, value in fields.items() if value is not None})
    if "title" not in values:
        raise InvalidField("title", "is missing", hint="Every task has a title.")
    draft = {field: value for field, value in values.items() if value is not None}
    if resolve:
        _resolve_links(backlog, {"id": task_id}, draft)
    if "notes" in draft:
        draft["notes"] = _dated(draft["notes"], None if program is not None else (), task_id, now, actor)
    given = _program_values(task_id, program or {})
    draft = {"status": "todo", "priority": "medium", "type": "task", "created_at": now, **draft, **given}
    draft.setdefault("created_by", actor)
    draft.setdefault("updated_at", now)
    draft["id"], draft["uid"] = task_id, uid
    put_status(draft, draft["status"], now)
    return canonical(draft)


def _program_values(task_id: str, program: Mapping[str, Any]) -> dict[str, Any]:
    given = {field: value for field, value in program.items() if value is not None}
    for field, value in given.items():
        if field not in PROGRAM_FIELDS or field in ("id", "uid"):
            raise InvalidField(field, "is not for an import to give", task_id=task_id)
        if field == "aliases":
            given[field] = normal_list(field, value, task_id=task_id)
        elif field in ("created_by", "claimed_by"):
            check_text(field, value, task_id=task_id)
        elif not (isinstance(value, str) and is_time(value)):
            raise InvalidField(field, "is no time", hint="2026-11-20T12:00:00.000000Z", task_id=task_id)
    return given


# -- updating ------------------------------------------------------------------------------


def update_task(backlog: Backlog, task_id: str, edit: Edit, *, now: str, actor: str, force: bool = False) -> Backlog:
    """The backlog with one task edited.

    Adding to a set what it holds, or a criterion whose text is there, changes nothing; so does
    taking out what is not there. A new status follows the rules of `set_status`.

    Raises TaskNotFound, InvalidField, UnknownField, DanglingLink, LinkCycle, AmbiguousId,
    CriterionNotFound, ClaimHeld.
    """
    task = free_task(backlog, task_id, now=now, actor=actor, force=force)
    draft = dict(task)
    _apply_fields(backlog, task, draft, edit.set, now, actor)
    if edit.check or edit.uncheck:
        draft["acceptance_criteria"] = _ticked(task["id"], draft, edit)
    for field, entries in edit.remove.items():
        draft[field] = _less(backlog, task, field, draft.get(field), entries)
    for field, entries in edit.add.items():
        draft[field] = _more(backlog, task, field, draft.get(field), entries, now, actor)
    if edit.metadata:
        draft["metadata"] = _patched(task["id"], draft.get("metadata"), edit.metadata)
    return with_draft(backlog, task, draft, now)


def merge_object(
    backlog: Backlog, task_id: str, obj: Mapping[str, Any], *, now: str, actor: str, force: bool = False
) -> Backlog:
    """The backlog with one task changed to what *obj* says, an object as ``show --json`` gives it.

    What is absent stays, None takes a field out, a list replaces the list; metadata is taken key by
    key in the same way (a null that stands there already stays). Fields that the program sets
    must be equal or absent; ``etag`` is left to the caller (`object_etag`).

    Raises as `update_task` does.
    """
    task = free_task(backlog, task_id, now=now, actor=actor, force=force)
    wanted: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for field, value in obj.items():
        if field == "etag":
            continue
        if field in PROGRAM_FIELDS:
            _refuse_other(backlog, task, field, value)
        elif field == "metadata" and isinstance(value, dict):
            there = task.get("metadata", {})
            metadata = {
                key: item
                for key, item in value.items()
                if item is not None or (key in there and there[key] is not None)
            }
        else:
            wanted[field] = value
    draft = dict(task)
    _apply_fields(backlog, task, draft, wanted, now, actor)
    if metadata:
        draft["metadata"] = _patched(task["id"], draft.get("metadata"), metadata)
    return with_draft(backlog, task, draft, now)


def object_etag(obj: Mapping[str, Any]) -> str | None:
    """The etag that an object brings along, to be held against the task like ``--if-match``."""
    value = obj.get("etag")
    if value is not None and not isinstance(value, str):
        raise InvalidField("etag", f"must be text, not {kind_of(value)}")
    return value


def _refuse_other(backlog: Backlog, task: Task, field: str, value: Any) -> None:
    if field == "id" and isinstance(value, str):
        try:
            value = backlog.resolve(value)
        except TaskNotFound:
            value = None  # whatever it names, it is not this task
    if field == "aliases" and isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = sorted(set(value)) or None
    if not same(value, task.get(field)):
        raise InvalidField(
            field,
            "is set by taskkeep alone and differs from the task's",
            hint="Leave it out, or read the task again with 'taskkeep show --json'.",
            task_id=task["id"],
        )


def _apply_fields(backlog: Backlog, task: Task, draft: Task, fields: Mapping[str, Any], now: str, actor: str) -> None:
    values = normalise(fields, task_id=task["id"])
    _resolve_links(backlog, task, values)
    if values.get("notes"):
        values["notes"] = _dated(values["notes"], task.get("notes", ()), task["id"], now, actor)
    status = values.pop("status", None)
    draft.update(values)
    if status is not None:
        put_status(draft, status, now)


def _ticked(task_id: str, draft: Task, edit: Edit) -> list[dict[str, Any]]:
    criteria = [dict(item) for item in draft.get("acceptance_criteria") or ()]
    for numbers, done in ((edit.check, True), (edit.uncheck, False)):
        for number in numbers:
            if not 1 <= number <= len(criteria):
                raise CriterionNotFound(task_id, number, len(criteria))
            criteria[number - 1]["done"] = done
    return criteria


def _less(backlog: Backlog, task: Task, field: str, there: Any, entries: Any) -> list[Any]:
    _refuse_no_list(task["id"], field)
    if field == "notes":
        raise InvalidField(field, "only grow", hint="Add a note that corrects it.", task_id=task["id"])
    gone = normal_list(field, entries, task_id=task["id"])
    if field == "acceptance_criteria":
        texts = {item["text"] for item in gone}
        return [item for item in there or () if item["text"] not in texts]
    if field == "depends_on":
        # A link that leads nowhere any more can be taken out by what it says.
        gone = [text.upper() if text.upper() in (there or ()) else backlog.resolve(text) for text in gone]
    return [item for item in there or () if item not in gone]


def _more(backlog: Backlog, task: Task, field: str, there: Any, entries: Any, now: str, actor: str) -> list[Any]:
    _refuse_no_list(task["id"], field)
    new = normal_list(field, entries, task_id=task["id"])
    result = list(there or ())
    if field == "notes":
        return result + _dated(new, (), task["id"], now, actor)
    if field == "acceptance_criteria":
        texts = {item["text"] for item in result}
        for item in new:
            if item["text"] not in texts:
                texts.add(item["text"])
                result.append(item)
        return result
    if field == "depends_on":
        new = [_link(backlog, task, field, text) for text in new]
    return result + new


def _refuse_no_list(task_id: str, field: str) -> None:
    if field not in FIELDS:
        raise unknown_field(field, task_id=task_id)
    if field in PROGRAM_FIELDS or field not in LIST_FIELDS:
        problem = "is set by taskkeep alone" if field in PROGRAM_FIELDS else "is no list"
        raise InvalidField(field, problem, task_id=task_id)


def _patched(task_id: str, there: Mapping[str, Any] | None, patch: Mapping[str, Any]) -> dict[str, Any]:
    result = {**(there or {}), **patch}
    kept = {key: value for key, value in result.items() if key not in patch or patch[key] is not None}
    return normal_metadata(kept, task_id=task_id)


def _dated(
    notes: Iterable[Mapping[str, Any]],
    there: Iterable[Mapping[str, Any]] | None,
    task_id: str,
    now: str,
    actor: str,
) -> list[dict[str, Any]]:
    """Notes with time and author, by default now and the actor.

    Another time or author passes only from a note that is *there* already, or where that is None.
    """
    known = None if there is None else {(note["at"], note["by"]) for note in there}
    result = []
    for note in notes:
        at, by = note["at"] or now, note["by"] or actor
        if known is not None and (at, by) not in known and (at, by) != (now, actor):
            raise InvalidField(
                "notes",
                f"has a note of {shortened(by)} that was not there",
                hint="Leave out 'at' and 'by' of a new note; taskkeep sets them.",
                task_id=task_id,
            )
        result.append({"at": at, "by": by, "text": note["text"]})
    return result


# -- links ---------------------------------------------------------------------------------


def _resolve_links(backlog: Backlog, task: Mapping[str, Any], values: dict[str, Any]) -> None:
    if values.get("parent"):
        values["parent"] = _link(backlog, task, "parent", values["parent"])
    if values.get("depends_on"):
        values["depends_on"] = [_link(backlog, task, "depends_on", text) for text in values["depends_on"]]


def _link(backlog: Backlog, task: Mapping[str, Any], field: str, text: str) -> str:
    """The id that a link means; one that the task holds already stays, even where it leads nowhere."""
    there = task.get(field, ())
    if text == there or (field == "depends_on" and text in there):
        return text
    if text.upper() == task["id"]:
        raise LinkCycle(field, [task["id"], task["id"]])
    try:
        target = backlog.resolve(text)
    except TaskNotFound:
        raise DanglingLink(task["id"], field, shortened(text)) from None
    if target == task["id"]:
        raise LinkCycle(field, [target, target])
    return target


# -- status --------------------------------------------------------------------------------


def set_status(backlog: Backlog, task_id: str, status: str, *, now: str, actor: str, force: bool = False) -> Backlog:
    """The backlog with one task in another status: start, cancel, block, reopen.

    The first start stands as ``started_at``. ``completed_at`` is there exactly while the task is
    finished, from the first time on (done after cancelled keeps it). Finishing ends a claim.

    Raises TaskNotFound, InvalidField, ClaimHeld.
    """
    task = free_task(backlog, task_id, now=now, actor=actor, force=force)
    draft = dict(task)
    put_status(draft, read_choice("status", status, task_id=task["id"]), now)
    return with_draft(backlog, task, draft, now)


def finish_task(backlog: Backlog, task_id: str, *, now: str, actor: str, force: bool = False) -> Backlog:
    """The backlog with one task done.

    Finishing what is done changes nothing, so the first time stands. *force* lifts another's claim
    and the rule on dependencies.

    Raises TaskNotFound, ClaimHeld, or TaskBlocked while a task it depends on is open.
    """
    task = free_task(backlog, task_id, now=now, actor=actor, force=force)
    if task["status"] != "done" and not force and (blockers := backlog.blockers(task)):
        raise TaskBlocked(task["id"], blockers)
    return set_status(backlog, task["id"], "done", now=now, actor=actor, force=force)


def blockers_first(backlog: Backlog, ids: Sequence[str]) -> list[str]:
    """*ids* in an order in which each comes after those of them that it depends on; else as they are."""
    left, ordered = dict.fromkeys(ids), list[str]()
    while left:
        free = [task_id for task_id in left if left.keys().isdisjoint(_depends_on(backlog, task_id))]
        for task_id in free or list(left):  # a file of long ago may hold a cycle
            ordered.append(task_id)
            del left[task_id]
    return ordered


def _depends_on(backlog: Backlog, task_id: str) -> Sequence[str]:
    task = backlog.get(task_id)
    return task.get("depends_on", ()) if task is not None else ()


def put_status(draft: Task, status: str, now: str) -> None:
    draft["status"] = status
    if status == "in_progress":
        draft.setdefault("started_at", now)
    if status in FINISHED:
        draft.setdefault("completed_at", now)
        draft.pop("claimed_by", None)
        draft.pop("claimed_until", None)
    else:
        draft.pop("completed_at", None)


# -- notes, deletion -----------------------------------------------------------------------


def add_note(backlog: Backlog, task_id: str, text: str, *, now: str, actor: str) -> Backlog:
    """The backlog with a note more at the end of a task's notes; free whoever holds the task."""
    task = backlog.task(task_id)
    notes = _dated(normal_list("notes", [text], task_id=task["id"]), (), task["id"], now, actor)
    return with_draft(backlog, task, {**task, "notes": [*task.get("notes", ()), *notes]}, now)


def delete_tasks(
    backlog: Backlog,
    ids: Iterable[str],
    *,
    unlink: bool = False,
    now: str,
    actor: str,
    force: bool = False,
) -> Backlog:
    """The backlog without these tasks; with *unlink* without the links to them as well.

    Links of archived tasks are history: they neither hinder a deletion nor change by one.

    Raises TaskNotFound, ClaimHeld (also for a task to be unlinked), or TaskNeeded while live
    tasks that stay name one of them.
    """
    gone = dict.fromkeys(free_task(backlog, task_id, now=now, actor=actor, force=force)["id"] for task_id in ids)
    dependents = [task_id for task_id in backlog.naming(gone) if task_id not in gone]
    if dependents and not unlink:
        needed = [task_id for task_id in gone if any(_names(backlog.tasks[other], task_id) for other in dependents)]
        naming = [other for other in dependents if _names(backlog.tasks[other], needed[0])]
        raise TaskNeeded(needed[0], naming)
    unlinked = []
    for dependent in dependents:
        draft = dict(free_task(backlog, dependent, now=now, actor=actor, force=force))
        if draft.get("parent") in gone:
            del draft["parent"]
        draft["depends_on"] = [target for target in draft.get("depends_on", ()) if target not in gone]
        unlinked.append({**canonical(draft), "updated_at": now})
    return backlog.replacing(*unlinked).without(*gone)


def _names(task: Task, target: str) -> bool:
    return task.get("parent") == target or target in task.get("depends_on", ())


# -- common to all -------------------------------------------------------------------------


def free_task(backlog: Backlog, task_id: str, *, now: str, actor: str, force: bool) -> Task:
    """The task, unless another's claim on it runs."""
    task = backlog.task(task_id)
    holder, until = task.get("claimed_by"), task.get("claimed_until")
    if not force and holder is not None and holder != actor and until is not None and until > now:
        raise ClaimHeld(task["id"], holder, until)
    return task


def with_draft(backlog: Backlog, task: Task, draft: Task, now: str) -> Backlog:
    """The backlog with *draft* in place of *task*, or the same one where they are equal."""
    changed = canonical(draft)
    if same(changed, canonical(task)):
        return backlog
    changed["updated_at"] = now
    return backlog.replacing(changed)


def archive_tasks(backlog: Backlog, *, older_than: int, now: str) -> Backlog:
    """Move the tasks that were finished *older_than* seconds ago to the archive, as they are.

    What an open task names stays where it is seen, but with 0, which takes every finished task.
    """
    finished = [task for task in backlog.tasks.values() if task["status"] in FINISHED]
    if not older_than:
        return backlog.archiving(*(task["id"] for task in finished))
    limit = later(now, -older_than)
    needed: set[str] = set()
    for task in backlog.tasks.values():
        if task["status"] not in FINISHED:
            needed.update(task.get("depends_on", ()), [task["parent"]] if "parent" in task else [])
    return backlog.archiving(
        *(task["id"] for task in finished if task["completed_at"] <= limit and task["id"] not in needed)
    )

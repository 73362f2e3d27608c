"""A plan becomes tasks of a backlog: a pure function, and the same plan a second time changes nothing."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from taskkeep.backlog.changes import new_task
from taskkeep.errors import InputInvalid, TaskkeepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.task import Task
    from taskkeep.importers.draft import Draft, Plan, Report

COMPARED = ("title", "description", "status", "priority")


def apply_plan(
    backlog: Backlog,
    plan: Plan,
    *,
    new_id: Callable[[], str],
    new_uid: Callable[[], str],
    now: str,
    actor: str,
) -> tuple[Backlog, Report]:
    """The backlog with the plan's tasks that it has not yet, and the report with what became of each.

    A task is known by its external reference, or its uid, in the archive too; it is left alone, and
    reported where it differs by now. *new_id* must never give an id twice. Links may lead to tasks of
    earlier imports; a link that leads nowhere goes into the metadata, as ``missing_depends_on`` or
    ``missing_parent``.

    Raises InputInvalid, which names the place in the file.
    """
    report = copy(plan.report)
    report.differing, report.links_missing = [], []
    here = _known(backlog, plan)
    ids: dict[str, str] = {}
    fresh: list[Draft] = []
    for draft in plan.drafts:
        found = here.get(draft.ref) or here.get(f"uid {draft.uid}")
        if found is None:
            ids[draft.key] = new_id()
            fresh.append(draft)
        else:
            ids[draft.key] = found["id"]
            _compare(draft, found, report)
    for ref, task in here.items():
        if ref.startswith(f"{plan.prefix}:"):
            ids.setdefault(ref.removeprefix(f"{plan.prefix}:"), task["id"])
    made = [_task(backlog, draft, ids, new_uid(), report, now, actor) for draft in fresh]
    report.new, report.known = len(fresh), len(plan.drafts) - len(fresh)
    return backlog.replacing(*made), report


def _known(backlog: Backlog, plan: Plan) -> dict[str, Task]:
    """The tasks that may be those of the plan, by their references and as ``uid UID``."""
    start = f"{plan.prefix}:"
    wanted = {draft.uid for draft in plan.drafts if draft.uid}
    found: dict[str, Task] = {}
    for tasks in (backlog.tasks, backlog.archived):
        for task in tasks.values():
            for ref in task.get("external_refs", ()):
                if ref.startswith(start):
                    found.setdefault(ref, task)
            if task["uid"] in wanted:
                found.setdefault(f"uid {task['uid']}", task)
    return found


def _compare(draft: Draft, task: Task, report: Report) -> None:
    differing = [field for field in COMPARED if field in draft.fields and draft.fields[field] != task.get(field)]
    if differing:
        report.differing.append({"task_id": task["id"], "place": draft.place, "fields": ", ".join(differing)})


def _task(backlog: Backlog, draft: Draft, ids: dict[str, str], uid: str, report: Report, now: str, actor: str) -> Task:
    fields: dict[str, Any] = dict(draft.fields)
    lost: dict[str, Any] = {}
    if draft.depends_on:
        fields["depends_on"] = [ids[target] for target in draft.depends_on if target in ids]
        if missing := [target for target in draft.depends_on if target not in ids]:
            lost["missing_depends_on"] = missing
            for target in missing:
                report.missing(draft.place, "depends_on", target)
    if draft.parent is not None:
        if draft.parent in ids:
            fields["parent"] = ids[draft.parent]
        else:
            lost["missing_parent"] = draft.parent
            report.missing(draft.place, "parent", draft.parent)
    if lost:
        metadata = fields["metadata"] = dict(fields.get("metadata", {}))
        for key, value in lost.items():
            while key in metadata:  # from an earlier import into another backlog
                key = f"import_{key}"
            metadata[key] = value
    try:
        return new_task(
            backlog,
            fields,
            task_id=ids[draft.key],
            uid=uid,
            now=now,
            actor=actor,
            program=draft.program,
            resolve=False,
        )
    except TaskkeepError as error:
        raise InputInvalid(f"{draft.place}: {error.message}", hint=error.hint, place=draft.place) from error

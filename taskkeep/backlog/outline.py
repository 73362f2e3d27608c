"""The few fields that choose a page of `list` and `ready`, one line a task: read in a tenth of the time."""

from __future__ import annotations

import json
from bisect import bisect_left
from typing import TYPE_CHECKING

from taskkeep.backlog.task import NO_DUE, PRIORITIES, STATUSES, TYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from taskkeep.backlog.task import Task


def row(task: Task) -> str:
    """One task's line; what a claim's holder may be called is quoted, the other values have no tabs.

    It ends in marks of one character each, but for the day: priority, day, type, status, so that most rows need not
    be taken apart.
    """
    holder = json.dumps(task["claimed_by"]) if "claimed_by" in task else ""
    marks = (
        f"{PRIORITIES.index(task['priority'])}{task.get('due', NO_DUE)}"
        f"{TYPES.index(task['type'])}{STATUSES.index(task['status'])}"
    )
    fields = (
        task["id"], task["status"], task["priority"], task["type"], task.get("due", ""), task["created_at"],
        ",".join(task.get("depends_on", ())), task.get("claimed_until", ""), holder, marks,
    )  # fmt: skip
    return "\t".join(fields)


def changed_rows(rows: list[str], changed: Mapping[str, Task | None]) -> list[str]:
    """The rows, sorted by id as they were, after these tasks were put in, or with None taken out."""
    rows = list(rows)
    for task_id, task in changed.items():
        start = f"{task_id}\t"
        at = bisect_left(rows, start)
        there = at < len(rows) and rows[at].startswith(start)
        rows[at : at + there] = [] if task is None else [row(task)]
    return rows


def having(
    rows: list[str], statuses: Collection[str], priorities: Collection[str], types: Collection[str]
) -> list[str]:
    """The rows of tasks that have one of each; where none is named, any will do."""
    for place, names, all_ in ((-1, statuses, STATUSES), (-2, types, TYPES), (-13, priorities, PRIORITIES)):
        if names:
            marks = frozenset(str(all_.index(name)) for name in names)
            rows = [line for line in rows if line[place] in marks]
    return rows


def urgency(line: str) -> str:
    """What orders rows by priority, then day."""
    return line[-13:-2]


def ready_stubs(rows: Iterable[str]) -> dict[str, Task]:
    """The tasks by id, with nothing but id, status, priority, type, due, depends_on, created_at and the claim."""
    tasks: dict[str, Task] = {}
    for line in rows:
        task_id, status, priority, kind, due, created, links, until, holder, _ = line.split("\t")
        tasks[task_id] = task = {
            "id": task_id, "status": status, "priority": priority, "type": kind, "created_at": created
        }  # fmt: skip
        if due:
            task["due"] = due
        if links:
            task["depends_on"] = links.split(",")  # type: ignore[assignment]
        if holder:
            task["claimed_by"], task["claimed_until"] = json.loads(holder), until
    return tasks

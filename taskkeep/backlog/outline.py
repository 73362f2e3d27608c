"""The few fields that choose a page of `list` and `ready`, one line a task: read in a tenth of the time."""

from __future__ import annotations

import json
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskkeep.backlog.task import Task


def row(task: Task) -> str:
    """One task's line; what a claim's holder may be called is quoted, the other values have no tabs."""
    holder = json.dumps(task["claimed_by"]) if "claimed_by" in task else ""
    fields = (
        task["id"], task["status"], task["priority"], task["type"], task.get("due", ""), task["created_at"],
        ",".join(task.get("depends_on", ())), task.get("claimed_until", ""), holder,
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


def stubs(rows: Iterable[str]) -> dict[str, Task]:
    """The tasks by id, with nothing but id, status, priority, type and due."""
    tasks: dict[str, Task] = {}
    for line in rows:
        task_id, status, priority, kind, due, _ = line.split("\t", 5)
        tasks[task_id] = task = {"id": task_id, "status": status, "priority": priority, "type": kind}
        if due:
            task["due"] = due
    return tasks


def ready_stubs(rows: Iterable[str]) -> dict[str, Task]:
    """As `stubs`, with depends_on, created_at and the claim."""
    tasks: dict[str, Task] = {}
    for line in rows:
        task_id, status, priority, kind, due, created, links, until, holder = line.split("\t")
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

"""Tasks made by hand, for what needs no changes to come about."""

from __future__ import annotations

from typing import Any

from taskkeep.backlog.task import Task, canonical

MADE = "2026-11-20T12:00:00.000000Z"


def task(number: int = 1, *, made: str = MADE, **fields: Any) -> Task:
    """A plain task, whole and in canonical order, with *fields* in place of the usual."""
    return canonical(
        {
            "id": f"T{number:04d}",
            "uid": f"{number:032x}",
            "title": "One",
            "status": "todo",
            "priority": "medium",
            "type": "task",
            "created_at": made,
            "created_by": "ada",
            "updated_at": made,
            **fields,
        }
    )

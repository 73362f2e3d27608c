"""Imports into a backlog in memory, for the tests."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from taskkeep.backlog.backlog import Backlog
from taskkeep.importers import read
from taskkeep.importers.plan import apply_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskkeep.importers.draft import Report

NOW = "2026-11-20T12:00:00.000000Z"


def import_into(
    backlog: Backlog | None, source: str, data: bytes, *, mapping: Mapping[str, str] | None = None
) -> tuple[Backlog, Report]:
    start = Backlog({}) if backlog is None else backlog
    ids = count(1 + len(start.tasks) + len(start.archived))
    uids = count(1 + len(start.tasks) + len(start.archived))
    return apply_plan(
        start,
        read(source, data, mapping),
        new_id=lambda: f"T{next(ids):06d}",
        new_uid=lambda: f"00000000-0000-4000-8000-{next(uids):012x}",
        now=NOW,
        actor="ada",
    )


def imported(source: str, data: bytes) -> Backlog:
    return import_into(None, source, data)[0]


def one(source: str, data: bytes) -> dict[str, Any]:
    """The only task of a file."""
    (task,) = imported(source, data).tasks.values()
    return task

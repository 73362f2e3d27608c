"""Old finished tasks move to the archive as they are; what an open task names stays in sight."""

from __future__ import annotations

from typing import Any

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import archive_tasks, new_task
from taskkeep.backlog.task import Task

NOW, DAY = "2026-11-20T12:00:00.000000Z", 86_400


def task(number: int, finished: str | None = None, **fields: Any) -> Task:
    status = "done" if finished else "todo"
    return new_task(
        Backlog({}),
        {"title": "One", "status": status, **fields},
        task_id=f"T{number:04d}",
        uid=f"{number:032x}",
        now=NOW,
        actor="ada",
        program={"completed_at": finished} if finished else None,
        resolve=False,
    )


def archived(*tasks: Task, days: int) -> list[str]:
    return list(archive_tasks(Backlog.of(tasks), older_than=days * DAY, now=NOW).archived)


def test_what_was_finished_long_enough_ago_moves() -> None:
    """To the microsecond; cancelled tasks too, open ones never."""
    old, young, limit = "2026-11-01T00:00:00.000000Z", "2026-11-13T12:00:00.000001Z", "2026-11-13T12:00:00.000000Z"
    tasks = [task(1, old), task(2, young), task(3, limit), task(4, old, status="cancelled"), task(5)]

    assert archived(*tasks, days=7) == ["T0001", "T0003", "T0004"]
    after = archive_tasks(Backlog.of(tasks), older_than=7 * DAY, now=NOW)
    assert after.archived["T0001"] is tasks[0]
    assert list(after.tasks) == ["T0002", "T0005"]


def test_what_an_open_task_names_stays() -> None:
    """As parent or dependency; what only finished ones name goes."""
    old = "2026-01-01T00:00:00.000000Z"
    tasks = [task(1, old), task(2, old), task(3, old, depends_on=["T0004"]), task(4, old)]

    assert archived(*tasks, task(5, depends_on=["T0001"], parent="T0002"), task(6), days=7) == ["T0003", "T0004"]


def test_nothing_days_take_every_finished_task() -> None:
    """Named or not; where there is none the backlog is the same."""
    assert archived(task(1, NOW), task(2, NOW), task(3, depends_on=["T0001"]), days=0) == ["T0001", "T0002"]
    open_ones = Backlog.of([task(1)])
    assert archive_tasks(open_ones, older_than=0, now=NOW) is open_ones
    assert archive_tasks(open_ones, older_than=DAY, now=NOW) is open_ones

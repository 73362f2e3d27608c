"""The answers of commands and tools as JSON objects; the shapes are in schemas/answers/."""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import --version does without
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskkeep.backlog.task import Task
    from taskkeep.project import Saved
    from taskkeep.store.past.history import Moment


def with_etag(task: Mapping[str, Any]) -> dict[str, Any]:
    from taskkeep.backlog.task import etag

    return {**task, "etag": etag(task)}


def saved_as_json(saved: Saved) -> dict[str, Any]:
    """The answer of a writer."""
    answer: dict[str, Any] = {
        "changed": saved.changed,
        "tasks": [with_etag(task) for task in saved.tasks],
        "events": list(saved.events),
        "commit": saved.commit,
        "pending": saved.pending,
        "warnings": list(saved.warnings),
    }
    if saved.task is not None:
        answer["task"] = with_etag(saved.task)
    if saved.claim is not None:
        answer["claim"] = saved.claim
    if saved.results is not None:
        answer["results"] = saved.results
    if saved.deleted is not None:
        answer["deleted"] = [task["id"] for task in saved.deleted]
    if saved.dry_run:
        answer["dry_run"] = True
    if saved.replayed:
        answer["replayed"] = True
    if saved.difference is not None:
        answer["difference"] = saved.difference.as_json()
    return answer


def picked(tasks: Sequence[Task], fields: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """The tasks with only the fields that were asked for; what a task lacks stays out."""
    if not fields:
        return tasks
    wide = [with_etag(task) for task in tasks] if "etag" in fields else tasks
    return [{field: task[field] for field in fields if field in task} for task in wide]


def beside(moment: Moment | None, warnings: Sequence[str] = ()) -> dict[str, Any]:
    """What the JSON answer of a reader holds beside what was asked for: the point in time that it is about, and
    what is to be said of it, where there is any."""
    answer: dict[str, Any] = {}
    if moment is not None:
        answer["at"] = moment.point.as_json()
        warnings = [*moment.notes, *warnings]
    if warnings:
        answer["warnings"] = list(warnings)
    return answer

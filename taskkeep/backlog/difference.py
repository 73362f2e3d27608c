"""How two states of a backlog differ, task by task and field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog.events import diff
from taskkeep.backlog.task import FIELDS, same, same_task

if TYPE_CHECKING:
    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.events import Changes
    from taskkeep.backlog.task import Task


class Changed(NamedTuple):
    """One task that both states have; *changes* by field as events tell them, `archived` where it was moved."""

    task_id: str
    uid: str
    title: str
    changes: Changes


class Difference(NamedTuple):
    """Tasks are told apart by uid, so one that got another id has changed."""

    added: list[Task]
    removed: list[Task]
    changed: list[Changed]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def as_json(self) -> dict[str, Any]:
        return {
            "added": self.added,
            "removed": self.removed,
            "changed": [one._asdict() for one in self.changed],
        }

    def fields(self) -> dict[str, int]:
        """How many tasks changed in each field."""
        counts: dict[str, int] = {}
        for one in self.changed:
            for field in one.changes:
                counts[field] = counts.get(field, 0) + 1
        return counts


def difference(before: Backlog, after: Backlog) -> Difference:
    """What turns *before* into *after*; `updated_at` only where nothing else of a task differs."""
    old, new = _by_uid(before, after), _by_uid(after, before)
    changed = []
    for uid, (task, archived) in new.items():
        if uid not in old:
            continue
        previous, was_archived = old[uid]
        changes: Changes = {} if same_task(previous, task) else _changes(previous, task)
        if archived != was_archived:
            changes["archived"] = {"from": was_archived, "to": archived}
        if len(changes) > 1:
            changes.pop("updated_at", None)
        if changes:
            changed.append(Changed(task["id"], uid, task["title"], changes))
    return Difference(
        [task for uid, (task, _) in new.items() if uid not in old],
        [task for uid, (task, _) in old.items() if uid not in new],
        changed,
    )


def _changes(previous: Task, task: Task) -> Changes:
    changes = diff(previous, task)
    for field in sorted({*previous, *task}.difference(FIELDS)):  # of a newer version, or put there by hand
        if not same(previous.get(field), task.get(field)):
            changes[field] = {"from": previous.get(field), "to": task.get(field)}
    return changes


def _by_uid(backlog: Backlog, other: Backlog) -> dict[str, tuple[Task, bool]]:
    """The tasks but those that are the very same in *other*, in the order of their ids."""
    away, there = _only_archived(backlog), _only_archived(other)
    found = {task["uid"]: (task, True) for i, task in away.items() if there.get(i) is not task}
    found |= {task["uid"]: (task, False) for i, task in backlog.tasks.items() if other.tasks.get(i) is not task}
    return dict(sorted(found.items(), key=lambda item: str(item[1][0]["id"])))


def _only_archived(backlog: Backlog) -> dict[str, Task]:
    """The archive without tasks that lie in both files, which count as in the backlog."""
    live = {task["uid"] for task in backlog.tasks.values()} if backlog.archived else ()
    return {task_id: task for task_id, task in backlog.archived.items() if task["uid"] not in live}

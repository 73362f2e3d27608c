"""Why a task is not there: what the log knows of an id that no task bears any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.errors import TaskkeepError, TaskNotFound
from taskkeep.store import log

if TYPE_CHECKING:
    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.layout import Root


def explain(root: Root, error: TaskNotFound) -> None:
    """Say in *error* when and by whom the task was deleted, where the log knows it and nobody has said so yet."""
    if "deleted" in error.details:
        return
    wanted = str(error.details["task_id"]).strip().upper()
    if (last := deletion_of(root, wanted)) is not None:
        _tell(error, wanted, last)


def _tell(error: TaskNotFound, wanted: str, last: Event) -> None:
    line = error.details.get("line")  # of a batch
    error.message = (f"line {line}: " if line else "") + f"{wanted} was deleted at {last['timestamp']}"
    error.hint = f"'taskkeep log {wanted}' says by whom and why; 'taskkeep restore {wanted} --at WHEN' brings it back."
    error.details["deleted"] = {name: last[name] for name in ("event_id", "timestamp", "actor", "why")}


def deletion_of(root: Root, wanted: str, *, but: str | None = None) -> Event | None:
    """The event that deleted the task *wanted*, where that is the last of its id; *but*: the uid of another task,
    that only was called so."""
    last = None
    try:
        state = log.vouched(root)
        if not wanted.isascii() or (state is not None and not state.known(wanted)):
            return None
        for event in log.read_all(root):
            if event["task_id"] == wanted and event["uid"] != but:
                last = event
    except (TaskkeepError, OSError):
        return None  # that the task is not there is the matter; the state of the log is verify's
    return last if last is not None and last["event_type"] == "task_deleted" else None


def refuse_namesake(root: Root, name: str, task: Task) -> None:
    """Refuse to take *task* for the deleted one whose id it has as an alias: a deletion sent twice is of one task.

    Raises TaskNotFound.
    """
    wanted = name.strip().upper()
    if wanted == task["id"] or (last := deletion_of(root, wanted, but=task["uid"])) is None:
        return
    error = TaskNotFound(wanted)
    _tell(error, wanted, last)
    error.hint = f"{task['id']} has {wanted} as an alias and is another task: to delete that, name its own id."
    raise error

"""Why a task is not there: what the log knows of an id that no task bears any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.errors import TaskkeepError
from taskkeep.store import log

if TYPE_CHECKING:
    from taskkeep.errors import TaskNotFound
    from taskkeep.store.layout import Root


def explain(root: Root, error: TaskNotFound) -> None:
    """Say in *error* when and by whom the task was deleted, where the log knows it."""
    wanted = str(error.details["task_id"]).strip().upper()
    last = None
    try:
        state = log.vouched(root)
        if not wanted.isascii() or (state is not None and not state.known(wanted)):
            return
        for event in log.read_all(root):
            if event["task_id"] == wanted:
                last = event
    except (TaskkeepError, OSError):
        return  # that the task is not there is the matter; the state of the log is verify's
    if last is None or last["event_type"] != "task_deleted":
        return
    line = error.details.get("line")  # of a batch
    error.message = (f"line {line}: " if line else "") + f"{wanted} was deleted at {last['timestamp']}"
    error.hint = f"'taskkeep log {wanted}' says by whom and why; 'taskkeep restore {wanted} --at WHEN' brings it back."
    error.details["deleted"] = {name: last[name] for name in ("event_id", "timestamp", "actor", "why")}

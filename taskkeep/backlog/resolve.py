"""Conflicts of a merge settled one by one: each a pure change of the merged backlog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.backlog.changes import Edit, delete_tasks, update_task
from taskkeep.backlog.merge import METADATA, Conflict, merged_text
from taskkeep.backlog.rules import circles, links
from taskkeep.backlog.task import CLAIM, STATE_FIELDS, canonical
from taskkeep.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.merge import Merged
    from taskkeep.backlog.task import Task

CHOICES = ("ours", "theirs", "both", "value")
_SIDES = "Pass --ours or --theirs."


def resolved(
    backlog: Backlog, merged: Merged, conflict: Conflict, choice: str, value: Any = None, *, now: str, actor: str
) -> Backlog:
    """Return *backlog* with one conflict of *merged* settled: ours, theirs, both, or the value given.

    The task is updated *now* even where it stays as it is: the choice is a change. Raises Usage for a
    choice that this conflict does not have, and what an update raises.
    """
    task = backlog.get(_id_of(merged, conflict))
    if conflict.kind == "delete_edit":
        return _present(backlog, merged, conflict, choice, now=now, actor=actor)
    if task is None:
        return backlog  # deleted meanwhile, by the choice for the task as a whole
    if choice == "value":
        return _touched(
            update_task(_live(backlog, task), task["id"], _edit(conflict, value), **_by(now, actor)), task, now
        )
    if conflict.kind in ("cycle", "dangling"):
        return _linked(backlog, merged, conflict, task, choice, now=now)
    if choice == "both":
        changes = {str(conflict.field): _both(conflict)}
    else:
        side = (merged.ours if choice == "ours" else merged.theirs)[conflict.uid]
        changes = _of_side(conflict, task, side)
    return backlog.replacing(canonical({**task, **changes, "updated_at": now}))


def _id_of(merged: Merged, conflict: Conflict) -> str:
    side = merged.ours.get(conflict.uid) or merged.theirs[conflict.uid]
    return str(side["id"])


def _by(now: str, actor: str) -> dict[str, Any]:
    return {"now": now, "actor": actor, "force": True}


def _live(backlog: Backlog, task: Task) -> Backlog:
    return backlog if task["id"] in backlog.tasks else backlog.replacing(dict(task))


def _touched(backlog: Backlog, task: Task, now: str) -> Backlog:
    changed = backlog.tasks[task["id"]]
    return backlog if changed["updated_at"] == now else backlog.replacing(canonical({**changed, "updated_at": now}))


def _edit(conflict: Conflict, value: Any) -> Edit:
    field = str(conflict.field)
    if conflict.kind == "claim":
        raise Usage("a claim is ours or theirs", hint=_SIDES)
    if field.startswith(METADATA):
        return Edit(metadata={field[len(METADATA) :]: value})
    if field == "depends_on" and isinstance(value, str):
        value = [name.strip() for name in value.split(",") if name.strip()]
    return Edit(set={field: value})


def _both(conflict: Conflict) -> Any:
    if conflict.field == "description":
        if not conflict.ours or not conflict.theirs:
            return conflict.ours or conflict.theirs
        return merged_text(conflict.base or "", conflict.ours, conflict.theirs)
    raise Usage(f"{conflict.field} cannot be both", hint="Pass --ours, --theirs or --value.")


def _of_side(conflict: Conflict, task: Task, side: Task) -> dict[str, Any]:
    """What one side's value brings with it: a status its times and its claim, a claim its end."""
    field = str(conflict.field)
    if field.startswith(METADATA):
        key = field[len(METADATA) :]
        rest = {name: value for name, value in task.get("metadata", {}).items() if name != key}
        return {"metadata": {**rest, **({key: side["metadata"][key]} if key in side.get("metadata", {}) else {})}}
    if field == "status":
        return {name: side.get(name) for name in STATE_FIELDS if name != "started_at" or name in side}
    if conflict.kind == "claim":
        return {name: side.get(name) for name in CLAIM}
    return {field: side.get(field)}


def _present(backlog: Backlog, merged: Merged, conflict: Conflict, choice: str, *, now: str, actor: str) -> Backlog:
    """Keep the task or let it go. What the other side's links need is the choice of those conflicts."""
    if choice not in ("ours", "theirs"):
        raise Usage(f"{conflict.task_id} was deleted on one side", hint=_SIDES)
    wanted = conflict.ours if choice == "ours" else conflict.theirs
    task = backlog.get(_id_of(merged, conflict))
    if wanted is None:
        if task is None:
            return backlog
        return delete_tasks(_live(backlog, task), [task["id"]], unlink=True, **_by(now, actor))
    if task is not None:
        return backlog.replacing(canonical({**task, "updated_at": now}))
    return backlog.replacing(_with_sound_links(backlog, {**wanted, "updated_at": now}))


def _with_sound_links(backlog: Backlog, task: Mapping[str, Any]) -> Task:
    """The task without links to what is not there."""
    new = dict(task)
    if "depends_on" in new:
        new["depends_on"] = [target for target in new["depends_on"] if target in backlog]
    if new.get("parent") is not None and new["parent"] not in backlog:
        del new["parent"]
    return canonical(new)


def _linked(backlog: Backlog, merged: Merged, conflict: Conflict, task: Task, choice: str, *, now: str) -> Backlog:
    """Take one side's links: what they lead to comes back, what would make a circle of them goes."""
    field = str(conflict.field)
    if choice not in ("ours", "theirs"):
        raise Usage(f"the links of {conflict.task_id} cannot be both", hint=_SIDES)
    chosen = merged.ours if choice == "ours" else merged.theirs
    wanted = links(chosen.get(conflict.uid, {}), field)
    if field == "parent":
        value: Any = wanted[0] if wanted else None
    else:
        value = sorted({*links(task, field), *wanted})

    def own_links(uid: str) -> Sequence[str]:
        """What that side had judged itself: the links of its live tasks."""
        return () if uid in merged.archived[choice == "theirs"] else links(chosen.get(uid, {}), field)

    by_id = {one["id"]: one for one in chosen.values()}
    for target in wanted:
        if target not in backlog and target in by_id:
            backlog = backlog.replacing(_with_sound_links(backlog, {**by_id[target], "updated_at": now}))
    backlog = backlog.replacing(canonical({**task, field: value, "updated_at": now}))
    while groups := circles(backlog, [task["id"]], field):
        inside = set(groups[0])
        edges = [
            (task_id, target)
            for task_id in groups[0]
            for target in links(backlog.tasks[task_id], field)
            if target in inside and target not in own_links(backlog.tasks[task_id]["uid"])
        ]
        if not edges:
            break  # that side had the circle before
        task_id, target = edges[0]
        other = backlog.tasks[task_id]
        rest = [name for name in links(other, field) if name != target]
        backlog = backlog.replacing(canonical({**other, field: rest, "updated_at": now}))
    return backlog

"""The rules that bind tasks to one another, for the whole backlog and for one change of it.

Links are ``depends_on`` and ``parent`` of live tasks; they may lead into the archive. The links of
archived tasks are history and are not judged. Every walk is iterative and linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog.task import is_finished
from taskkeep.errors import DanglingLink, InvalidField, LinkCycle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.task import Task

LINK_FIELDS = ("depends_on", "parent")


class Problem(NamedTuple):
    """Something wrong; *key* tells the same problem in two backlogs whatever the message says."""

    code: str
    task_id: str
    field: str
    message: str
    key: tuple[str, ...]


def links(task: Mapping[str, Any], field: str) -> Sequence[str]:
    """What a task names in ``depends_on`` or ``parent``."""
    value = task.get(field, ())
    return (value,) if isinstance(value, str) else value


def problems(backlog: Backlog) -> list[Problem]:
    """Everything that breaks a rule, in the order of tasks; a circle stands once for each field."""
    found = []
    for task in backlog.tasks.values():
        found += time_problems(task)
        found += _dangling(backlog, task)
    found += _double_uids(backlog)
    for field in LINK_FIELDS:
        for group in circles(backlog, backlog.tasks, field):
            path = _way(backlog, field, group[0], group[0], frozenset(group))
            found.append(_cycle_problem(field, path, group))
    return sorted(found, key=lambda problem: (problem.task_id, problem.code, problem.field))


def time_problems(task: Mapping[str, Any]) -> list[Problem]:
    """Where status and times, or the two halves of a claim, do not go together."""
    task_id = task["id"]
    found = []
    if is_finished(task) != ("completed_at" in task):
        lacks = "no completed_at" if is_finished(task) else "a completed_at"
        message = f"{task_id} is {task['status']} and has {lacks}"
        found.append(Problem("status_times", task_id, "completed_at", message, (task_id, "completed_at")))
    if ("claimed_by" in task) != ("claimed_until" in task):
        there, lacks = ("claimed_by", "claimed_until")[:: 1 if "claimed_by" in task else -1]
        message = f"{task_id} has {there} and no {lacks}"
        found.append(Problem("status_times", task_id, "claimed_until", message, (task_id, "claim")))
    return found


def refuse_worse(before: Backlog, after: Backlog) -> list[str]:
    """Refuse what *after* has worse than *before*; the warnings name what was broken already.

    Only the changed tasks and what their links touch are looked at.

    Raises DanglingLink, LinkCycle, or InvalidField for uids and times.
    """
    changed = [task for task_id, task in after.tasks.items() if before.tasks.get(task_id) is not task]
    gone = [task_id for task_id in before.tasks if task_id not in after.tasks]
    warnings = []
    for task in changed:
        old = before.tasks.get(task["id"])
        known = {problem.key for problem in time_problems(old)} if old is not None else set()
        for problem in time_problems(task):
            if problem.key not in known:
                raise InvalidField(problem.field, "does not fit the rest of the task", task_id=task["id"])
            warnings.append(problem.message)
    warnings += _judge_links(before, after, changed, gone)
    _judge_uids(before, after, changed)
    for field in LINK_FIELDS:
        warnings += _judge_circles(before, after, changed, field)
    return warnings


# -- links that lead nowhere ---------------------------------------------------------------


def _dangling(backlog: Backlog, task: Task) -> list[Problem]:
    task_id = task["id"]
    return [
        Problem(
            "dangling_link",
            task_id,
            field,
            f"{task_id}: {field} names {target}, which is not there",
            (task_id, field, target),
        )
        for field in LINK_FIELDS
        if field in task
        for target in links(task, field)
        if target not in backlog
    ]


def _judge_links(before: Backlog, after: Backlog, changed: Iterable[Task], gone: Sequence[str]) -> list[str]:
    suspects = {task["id"]: task for task in changed}
    lost = [task_id for task_id in gone if task_id not in after]
    if lost:
        suspects.update((task_id, after.tasks[task_id]) for task_id in after.naming(lost))
    warnings = []
    for task_id, task in suspects.items():
        old = before.tasks.get(task_id)
        known = {problem.key for problem in _dangling(before, old)} if old is not None else set()
        for problem in _dangling(after, task):
            if problem.key not in known:
                raise DanglingLink(*problem.key, new=old is None)
            warnings.append(problem.message)
    return warnings


# -- identity ------------------------------------------------------------------------------


def _double_uids(backlog: Backlog) -> list[Problem]:
    first: dict[str, str] = {}
    found = []
    for task_id, task in (*backlog.tasks.items(), *backlog.archived.items()):
        other = first.setdefault(task["uid"], task_id)
        if other != task_id:  # a task that lies in both files is one task
            message = f"{task_id} has the uid of {other}"
            found.append(Problem("duplicate_uid", task_id, "uid", message, (task_id, other)))
    return found


def _judge_uids(before: Backlog, after: Backlog, changed: Iterable[Task]) -> None:
    fresh = {
        task["uid"]: task["id"]
        for task in changed
        if task["id"] not in before.tasks or before.tasks[task["id"]]["uid"] != task["uid"]
    }
    if not fresh:
        return
    for tasks in (after.tasks, after.archived):
        for task_id, task in tasks.items():
            owner = fresh.get(task["uid"])
            if owner is not None and owner != task_id:
                raise InvalidField("uid", f"is that of {task_id}", task_id=owner)


# -- circles -------------------------------------------------------------------------------


def _judge_circles(before: Backlog, after: Backlog, changed: Iterable[Task], field: str) -> list[str]:
    linked = [task for task in changed if field in task]
    if not linked:
        return []
    groups = circles(after, [task["id"] for task in linked], field)
    group_of = {task_id: group for group in groups for task_id in group}
    warned: dict[str, str] = {}
    for task in linked:
        source = task["id"]
        group = group_of.get(source)
        if group is None:
            continue
        old = before.tasks.get(source)
        known = links(old, field) if old is not None else ()
        for target in links(task, field):
            if group_of.get(target) is group and target not in known:
                way = [] if target == source else _way(after, field, target, source, frozenset(group))[:-1]
                raise LinkCycle(field, [source, *way, source])
        if group[0] not in warned:
            path = _way(after, field, source, source, frozenset(group))
            warned[group[0]] = _cycle_problem(field, path, group).message
    return list(warned.values())


def _cycle_problem(field: str, path: Sequence[str], group: Sequence[str]) -> Problem:
    message = f"{field} goes in a circle: {' -> '.join(path)}"
    return Problem("cycle", path[0], field, message, (field, *group))


def circles(backlog: Backlog, sources: Iterable[str], field: str) -> list[list[str]]:
    """The groups of tasks that reach each other by *field*, each sorted, as far as *sources* reach.

    Tarjan's algorithm with a stack of its own.
    """
    tasks = backlog.tasks
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    waiting: list[str] = []
    is_waiting: set[str] = set()
    groups = []
    for source in sources:
        if source in index or field not in tasks[source]:
            continue
        index[source] = low[source] = len(index)
        waiting.append(source)
        is_waiting.add(source)
        walk = [(source, iter(links(tasks[source], field)))]
        while walk:
            node, targets = walk[-1]
            for target in targets:
                task = tasks.get(target)
                if task is None or (field not in task and target not in index):
                    continue
                if target not in index:
                    index[target] = low[target] = len(index)
                    waiting.append(target)
                    is_waiting.add(target)
                    walk.append((target, iter(links(task, field))))
                    break
                if target in is_waiting:
                    low[node] = min(low[node], index[target])
            else:
                walk.pop()
                if walk:
                    above = walk[-1][0]
                    low[above] = min(low[above], low[node])
                if low[node] == index[node]:
                    group: list[str] = []
                    while not group or group[-1] != node:
                        group.append(waiting.pop())
                    is_waiting.difference_update(group)
                    if len(group) > 1 or node in links(tasks[node], field):
                        groups.append(sorted(group))
    return groups


def _way(backlog: Backlog, field: str, start: str, goal: str, within: frozenset[str]) -> list[str]:
    """A shortest way by *field* from *start* to *goal*, both named, at least one link long.

    There must be one among the tasks *within*.
    """
    came_from: dict[str, str] = {}
    level = [start]
    while goal not in came_from:
        following = []
        for node in level:
            for target in links(backlog.tasks[node], field):
                if target in within and target not in came_from:
                    came_from[target] = node
                    following.append(target)
        level = following
    way = [goal, came_from[goal]]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]

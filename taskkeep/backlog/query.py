"""Which tasks a reader sees, and in what order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog.task import FINISHED, NO_DUE, OPEN, PRIORITIES, STATUSES, kind_of, read_choice
from taskkeep.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.task import Task

SORTS = ("priority", "created", "updated", "due", "title")
LIST_LIMIT = 50
READY_LIMIT = 10
PLAIN_LIMIT = 500
UNBLOCKS_LIMIT = 1000  # tasks behind one are counted up to here
_RANK = {priority: str(rank) for rank, priority in enumerate(PRIORITIES)}


class Query(NamedTuple):
    """What a reader asks for.

    Within statuses, priorities, types, assignees, roles and parents any value will do; a task
    must have every one of *labels*, and every word of *text* somewhere. Labels and names are
    compared without regard to case. Different filters must all hold.

    Open tasks only, unless *statuses* are given or *all* is set; with *archived* those of the archive as
    well, where all are finished.
    *since* and *until* are times in taskkeep's form, both inclusive, compared with ``updated_at``.

    *sort* is one of SORTS, with ``-`` before it the other way round: priority (then due day),
    created and updated from the newest, due from the soonest, title by the alphabet; ties by id.
    *limit* 0 means all, None the usual number: 50, for `ready` 10.
    """

    statuses: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    text: str = ""
    mine: bool = False
    overdue: bool = False
    ready: bool = False
    all: bool = False
    archived: bool = False
    since: str | None = None
    until: str | None = None
    sort: str | None = None
    limit: int | None = None
    offset: int = 0


_ANY = Query()


class Page(NamedTuple):
    """Tasks of one page, how many there are in all, the offset of the next page or None.

    *why* has a reason for each task of `ready`, and is empty otherwise; *warnings* say which parents are aliases.
    """

    tasks: list[Task]
    total: int
    next: int | None
    why: list[str]
    warnings: list[str]


def is_plain(query: Query) -> bool:
    """True for a page of at most some hundred tasks, chosen by nothing but status, priority, type and `ready`.

    Then id, status, priority, type and due, or for `ready` depends_on, created_at and the claim, decide.
    """
    by_priority = query.sort in (None, "priority", "-priority")
    others = query._replace(statuses=(), priorities=(), types=(), ready=False, all=False, limit=None, offset=0)
    return by_priority and query.limit != 0 and (query.limit or 0) <= PLAIN_LIMIT and others._replace(sort=None) == _ANY


def select(backlog: Backlog, query: Query, *, now: str, actor: str = "", today: str = "") -> Page:
    """The page of tasks that *query* asks for.

    *today* is the day that tells what is overdue, by default that of *now* in UTC. With
    ``query.ready`` and no sort the order is that of `ready`.

    Raises Usage for a sort or a range that makes no sense, InvalidField for a value that no task
    can have, TaskNotFound for a parent that is not there.
    """
    if query.ready and query.sort is None:
        limit = LIST_LIMIT if query.limit is None else query.limit
        return ready(backlog, query._replace(limit=limit), now=now, actor=actor, today=today)
    found = _matching(backlog, query, now, actor, today)
    start, end = _range(query, LIST_LIMIT)
    found = sort_tasks(found, query.sort or "priority")
    return Page(found[start:end], len(found), _next(len(found), end), [], backlog.warnings_for(query.parents))


def select_rows(rows: list[str], query: Query) -> Page:
    """The page that `select` gives, for a plain query without `ready`, from the rows of an outline.

    Of its tasks only the ids are there.
    """
    from heapq import nlargest, nsmallest

    from taskkeep.backlog.outline import having, urgency

    statuses = _choices("status", query.statuses) or (frozenset() if query.all else OPEN)
    found = having(rows, statuses, _choices("priority", query.priorities), _choices("type", query.types))
    start, end = _range(query, LIST_LIMIT)
    assert end is not None
    first = (nlargest if query.sort == "-priority" else nsmallest)(end, found, key=urgency)
    tasks: list[Task] = [{"id": line.partition("\t")[0]} for line in first[start:]]
    return Page(tasks, len(found), _next(len(found), end), [], [])


def ready(backlog: Backlog, query: Query, *, now: str, actor: str = "", today: str = "") -> Page:
    """What can be started now, best first, each with the reason why it stands where it does.

    Ready is a task that is todo, or in progress under a claim that has ended, with all its
    dependencies finished (archived ones are, missing ones are not) and no claim running. Best is the
    higher priority, then what more open tasks wait for, directly or through others (counted up
    to 1,000), then the older. ``query.sort`` is not looked at.
    """
    found = _matching(backlog, query._replace(ready=True), now, actor, today)
    start, end = _range(query, READY_LIMIT)
    waiting = _open_dependents(backlog)
    groups: dict[str, list[Task]] = {priority: [] for priority in PRIORITIES}
    for task in found:
        groups[task["priority"]].append(task)
    ordered: list[tuple[Task, int]] = []
    for group in groups.values():
        if end is not None and len(ordered) >= end:
            break  # counting what waits for a task that is on no page would be for nothing
        counted = [(task, _unblocks(waiting, task["id"])) for task in group]
        ordered += sorted(counted, key=lambda pair: (-pair[1], pair[0]["created_at"], pair[0]["id"]))
    page = ordered[start:end]
    why, warnings = [_why(*pair) for pair in page], backlog.warnings_for(query.parents)
    return Page([task for task, _ in page], len(found), _next(len(found), end), why, warnings)


def is_ready(backlog: Backlog, task: Mapping[str, Any], *, now: str) -> bool:
    """True when *task* can be started at *now*; see `ready`."""
    status = task["status"]
    if status == "todo":
        free = "claimed_by" not in task or task.get("claimed_until", "") <= now
    else:
        free = status == "in_progress" and "claimed_by" in task and task.get("claimed_until", "") <= now
    return free and not ("depends_on" in task and backlog.blockers(task))


def sort_tasks(tasks: Iterable[Task], sort: str) -> list[Task]:
    """The tasks, which come by id, in the order *sort*; ties stay as they come."""
    name = sort.removeprefix("-")
    backwards = name != sort
    if name == "priority":
        return sorted(tasks, key=lambda task: _RANK[task["priority"]] + task.get("due", NO_DUE), reverse=backwards)
    if name in ("created", "updated"):
        field = f"{name}_at"
        return sorted(tasks, key=lambda task: task[field], reverse=not backwards)
    if name == "due":  # what has no day comes last, whichever way round
        tasks = list(tasks)
        dated = [task for task in tasks if "due" in task]
        return sorted(dated, key=lambda task: task["due"], reverse=backwards) + [
            task for task in tasks if "due" not in task
        ]
    if name == "title":
        return sorted(tasks, key=lambda task: task["title"].casefold(), reverse=backwards)
    raise Usage(f"cannot sort by {sort[:40]!r}", hint=f"One of: {', '.join(SORTS)}; '-' before it turns it round.")


def text_of(task: Mapping[str, Any]) -> str:
    """All of a task that a search looks at, case folded."""
    parts = [task["id"], task["title"], task.get("description", "")]
    for field in ("labels", "external_refs", "aliases"):
        parts += task.get(field, ())
    for field in ("acceptance_criteria", "notes"):
        parts += [item["text"] for item in task.get(field, ())]
    level = [task["metadata"]] if "metadata" in task else []
    while level:
        value = level.pop()
        if isinstance(value, (dict, list)):
            level += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str):
            parts.append(value)
        elif value is not None:
            parts.append(kind_of(value) if isinstance(value, bool) else str(value))
    return "\n".join(parts).casefold()


# -- filters -------------------------------------------------------------------------------


def _matching(backlog: Backlog, query: Query, now: str, actor: str, today: str) -> list[Task]:
    tasks: Iterable[Task] = backlog.tasks.values()
    if query.archived:
        both = {**backlog.archived, **backlog.tasks}
        tasks = [both[task_id] for task_id in sorted(both)]
    tests = _tests(backlog, query, now, actor, today or now[:10])
    statuses = _choices("status", query.statuses) or (frozenset(STATUSES) if query.all else OPEN)
    if len(statuses) < len(STATUSES):
        away = backlog.archived.keys() - backlog.tasks.keys() if query.archived and not query.statuses else ()
        tasks = [task for task in tasks if task["status"] in statuses or task["id"] in away]
    for test in tests:
        tasks = [task for task in tasks if test(task)]
    return list(tasks)


def _tests(backlog: Backlog, query: Query, now: str, actor: str, today: str) -> list[Callable[[Task], bool]]:
    """One test for each filter that is set, the cheap ones first."""
    tests: list[Callable[[Task], bool]] = []
    if priorities := _choices("priority", query.priorities):
        tests.append(lambda task: task["priority"] in priorities)
    if types := _choices("type", query.types):
        tests.append(lambda task: task["type"] in types)
    if assignees := _folded(query.assignees):
        tests.append(lambda task: task.get("assignee", "").casefold() in assignees)
    if roles := _folded(query.roles):
        tests.append(lambda task: task.get("role", "").casefold() in roles)
    if query.parents:
        parents = frozenset(backlog.resolve(parent) for parent in query.parents)
        tests.append(lambda task: task.get("parent") in parents)
    if query.mine:
        tests.append(lambda task: actor in (task.get("assignee"), task.get("claimed_by")))
    if query.overdue:
        tests.append(lambda task: task.get("due", NO_DUE) < today and task["status"] not in FINISHED)
    if (since := query.since) is not None:
        tests.append(lambda task: task["updated_at"] >= since)
    if (until := query.until) is not None:
        tests.append(lambda task: task["updated_at"] <= until)
    if labels := _folded(query.labels):
        tests.append(lambda task: "labels" in task and labels <= _folded(task["labels"]))
    if query.ready:
        tests.append(lambda task: is_ready(backlog, task, now=now))
    if words := query.text.casefold().split():
        tests.append(lambda task: _holds(text_of(task), words))
    return tests


def _holds(text: str, words: Iterable[str]) -> bool:
    return all(word in text for word in words)


def _choices(field: str, values: Iterable[str]) -> frozenset[str]:
    return frozenset(read_choice(field, value) for value in values)


def _folded(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value.strip().casefold() for value in values)


def _range(query: Query, usual: int) -> tuple[int, int | None]:
    limit = usual if query.limit is None else query.limit
    if limit < 0 or query.offset < 0:
        raise Usage("a limit or an offset cannot be negative", hint="A limit of 0 means all.")
    return query.offset, query.offset + limit if limit else None


def _next(total: int, end: int | None) -> int | None:
    return end if end is not None and end < total else None


# -- what a task holds up ------------------------------------------------------------------


def _open_dependents(backlog: Backlog) -> dict[str, list[str]]:
    waiting: dict[str, list[str]] = {}
    for task_id, task in backlog.tasks.items():
        if "depends_on" in task and task["status"] in OPEN:
            for target in task["depends_on"]:
                waiting.setdefault(target, []).append(task_id)
    return waiting


def _unblocks(waiting: Mapping[str, list[str]], task_id: str) -> int:
    if task_id not in waiting:
        return 0
    seen = {task_id}
    level = [task_id]
    while level and len(seen) <= UNBLOCKS_LIMIT:
        for dependent in waiting.get(level.pop(), ()):
            if dependent not in seen:
                seen.add(dependent)
                level.append(dependent)
    return min(len(seen) - 1, UNBLOCKS_LIMIT)


def _why(task: Mapping[str, Any], unblocks: int) -> str:
    reasons = [task["priority"]]
    if unblocks:
        reasons.append(f"unblocks {unblocks}" + ("+" if unblocks == UNBLOCKS_LIMIT else ""))
    if task["status"] == "in_progress":
        reasons.append(f"the claim of {task['claimed_by']} has ended")
    reasons.append(f"waiting since {task['created_at'][:10]}")
    return "; ".join(reasons)

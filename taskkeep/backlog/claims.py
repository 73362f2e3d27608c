"""Who works on a task: claims that end by themselves, and the numbers that fence off an older one.

The lease is a matter of clocks, the number is not: it grows with each grant of a task, and a worker
that hands an older one back is refused whatever its clock or its name say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.backlog.changes import free_task, put_status, with_draft
from taskkeep.backlog.events import diff
from taskkeep.backlog.task import OPEN
from taskkeep.backlog.times import later, seconds_of
from taskkeep.errors import ClaimHeld, InvalidField, NothingReady, StaleClaim, TaskFinished

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.query import Query
    from taskkeep.backlog.task import Task

LEASE = "30m"


class Ledger:
    """The numbers of claims: the last one that each task had, and those that this request gives.

    *expired*: the claims that it took over, as what the log says of them.
    """

    __slots__ = ("_last", "expired", "given")

    def __init__(self, last: Mapping[str, int]) -> None:
        self._last = last
        self.given: dict[str, int] = {}
        self.expired: list[tuple[Task, dict[str, Any]]] = []

    def last(self, uid: str) -> int:
        """The number of the task's last grant, 0 where it never had one."""
        return self.given.get(uid) or self._last.get(uid, 0)

    def grant(self, uid: str) -> int:
        self.given[uid] = self.last(uid) + 1
        return self.given[uid]

    def renew(self, uid: str) -> int:
        """The number that stands; a first one where the claim came without (from another tool)."""
        self.given[uid] = self.last(uid) or 1
        return self.given[uid]

    def take_over(self, task: Task) -> None:
        details = {"claimed_by": task.get("claimed_by"), "claimed_until": task.get("claimed_until")}
        number = self.last(task["uid"])
        self.expired.append((task, {**details, "claim": number} if number else details))


def read_lease(text: str) -> int:
    """The seconds of a lease. Raises InvalidField."""
    seconds = seconds_of(text, field="lease")
    if not seconds:
        raise InvalidField("lease", "must be longer than nothing", hint="Write it like 90s, 30m, 8h or 7d.")
    return seconds


def is_held(task: Mapping[str, Any], now: str) -> bool:
    """True while a lease runs."""
    return "claimed_by" in task and str(task.get("claimed_until", "")) > now


def claimed_by_others(before: Backlog, after: Backlog, *, now: str, actor: str) -> list[Task]:
    """The tasks another holds that *after* changes by more than new notes, or no longer has."""
    kept = {task["uid"]: task for task in after.tasks.values()}
    held = [task for task in before.tasks.values() if is_held(task, now) and task["claimed_by"] != actor]
    return [task for task in held if task["uid"] not in kept or not _only_noted(task, kept[task["uid"]])]


def refuse_claimed(before: Backlog, after: Backlog, *, now: str, actor: str) -> None:
    """Raise ClaimHeld for the first of what `claimed_by_others` gives."""
    for task in claimed_by_others(before, after, now=now, actor=actor):
        raise ClaimHeld(task["id"], task["claimed_by"], task["claimed_until"])


def _only_noted(old: Task, new: Task) -> bool:
    changes = diff(old, new)
    return changes.keys() <= {"notes", "updated_at"} and not changes.get("notes", {}).get("removed")


def claim_task(backlog: Backlog, task_id: str, *, ledger: Ledger, lease: int, now: str, actor: str) -> Backlog:
    """The backlog with one task claimed by *actor* for *lease* seconds from *now*.

    While the actor's own lease runs it is made longer, never shorter, and the number stays. After
    that the claim is a new one, whoever had the old.

    Raises TaskNotFound, TaskFinished, ClaimHeld.
    """
    task = free_task(backlog, task_id, now=now, actor=actor, force=False)
    if task["status"] not in OPEN:
        raise TaskFinished(task["id"], task["status"])
    until = later(now, lease)
    if is_held(task, now):
        until = max(until, task["claimed_until"])
        ledger.renew(task["uid"])
    else:
        if "claimed_by" in task:
            ledger.take_over(task)
        ledger.grant(task["uid"])
    draft = {**task, "claimed_by": actor, "claimed_until": until}
    put_status(draft, "in_progress", now)
    return with_draft(backlog, task, draft, now)


def release_task(backlog: Backlog, task_id: str, *, now: str, actor: str, force: bool = False) -> Backlog:
    """The backlog with one task's claim taken back, and the task to do again; without a claim nothing changes.

    Raises TaskNotFound, ClaimHeld while another's lease runs, but with *force*.
    """
    task = free_task(backlog, task_id, now=now, actor=actor, force=force)
    if "claimed_by" not in task and "claimed_until" not in task:
        return backlog
    draft = {field: value for field, value in task.items() if field not in ("claimed_by", "claimed_until")}
    put_status(draft, "todo", now)
    return with_draft(backlog, task, draft, now)


def best_ready(backlog: Backlog, query: Query, *, now: str, actor: str, today: str) -> str:
    """The id of the first task of `ready`. Raises NothingReady, which says what there is instead."""
    from taskkeep.backlog.query import ready

    page = ready(backlog, query._replace(limit=1, offset=0), now=now, actor=actor, today=today)
    if page.tasks:
        task_id: str = page.tasks[0]["id"]
        return task_id
    raise nothing_ready(backlog, now=now)


def nothing_ready(backlog: Backlog, *, now: str) -> NothingReady:
    """Why there is nothing to claim: what is open, what is claimed and until when, what waits."""
    from taskkeep.backlog.query import is_ready

    live = [task for task in backlog.tasks.values() if task["status"] in OPEN]
    ends = [task["claimed_until"] for task in live if is_held(task, now)]
    waits = sum(not is_held(task, now) and bool(backlog.blockers(task)) for task in live)
    free = sum(is_ready(backlog, task, now=now) for task in live)
    return NothingReady(
        open=len(live), claimed=len(ends), waiting=waits, filtered=free, next_end=min(ends) if ends else None
    )


def check_claim(backlog: Backlog, task_id: str, number: int, ledger: Ledger) -> None:
    """Raise StaleClaim where *number* is not that of the task's last grant."""
    task = backlog.find(task_id)
    last = ledger.last(task["uid"])
    if number != last:
        raise StaleClaim(task["id"], number, last, task.get("claimed_by"), task.get("claimed_until"))

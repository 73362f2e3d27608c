"""Do the snapshots still hold what a save put there?"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from taskkeep.backlog import text
from taskkeep.backlog.shape import quick_ok
from taskkeep.errors import BacklogUnreadable, BackupDamaged, DiskFault, UnknownPoint
from taskkeep.store.backups import content
from taskkeep.store.placement import snapshot_name
from taskkeep.store.validate import task_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskkeep.backlog.events import Event
    from taskkeep.store.layout import Root
    from taskkeep.store.verify.findings import Findings


def check_backups(root: Root, events: Iterable[Event], findings: Findings) -> int:
    """Find snapshots that are damaged; returns how many there are.

    One that is named for a change holds the very state before it, as the event tells; any other (of
    another branch, or made by hand) at least a backlog as a save writes it.
    """
    try:
        names = sorted(name for name in os.listdir(root.backups) if name.startswith("backlog_"))
    except FileNotFoundError:
        return 0
    except PermissionError as error:
        findings.add(
            "damaged_backup",
            f"the snapshots cannot be read: {error.strerror}",
            file=None,
            hint="They are their owner's: whoever made them can check them.",
        )
        return 0
    promised: dict[str, set[str | None]] = {}
    states: set[str | None] = set()
    for event in events if names else ():
        promised.setdefault(snapshot_name(event["timestamp"]), set()).add(event["before"])
        states |= {event["before"], event["after"]}
    for name in names:
        if trouble := _trouble(root, name, promised.get(name.removesuffix(".gz")), states):
            findings.add(
                "damaged_backup",
                f"the snapshot {name} {trouble}",
                file=None,
                hint="'taskkeep restore --at NAME' takes the same state from git where that has it.",
            )
    return len(names)


def _trouble(root: Root, name: str, promised: set[str | None] | None, states: set[str | None]) -> str | None:
    try:
        data = content(root, name)
        digest = sha256(data).hexdigest()
        if promised is not None:
            return None if digest in promised else "is not the state before the change that it is named for"
        if digest in states:
            return None
        tasks = text.parse(data, "it")
    except UnknownPoint:
        return None  # pruned meanwhile
    except BackupDamaged as error:
        return error.message.removeprefix(f"{name} ")
    except (BacklogUnreadable, DiskFault) as error:
        return f"does not hold: {error.message}"
    if not all(quick_ok(task) or not task_problem(task) for task in tasks):
        return "holds a task that no save writes"
    return None if text.dump(tasks) == data else "is not in the form that a save writes"

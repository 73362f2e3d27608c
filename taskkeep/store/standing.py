"""Whether the files are what the log says, and what they were when they last were."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from taskkeep.backlog import text
from taskkeep.backlog.replay import Replay, heads, reconcile
from taskkeep.store import log
from taskkeep.store.layout import ARCHIVE, BACKLOG
from taskkeep.store.placement import sha_of

if TYPE_CHECKING:
    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.events import Event
    from taskkeep.store.layout import Root
    from taskkeep.store.log import LogState


def is_hand_edited(root: Root, backlog: Backlog) -> bool:
    """Is *backlog*, as the files hold it, other than the log allows? Raises LogDamaged."""
    state = log.vouched(root)
    if state is not None and len(state.heads) == 1:
        after, archive = state.after, state.archive
    else:
        events = log.read_all(root)
        found = heads(events)
        if len(found) > 1:
            return _is_no_merge(root, backlog, events)
        last = next((event for event in events if event["hash"] in found), None)
        after, archive = (last["after"], log.archive_after(last)) if last else (None, None)
    return sha_of(root.backlog) != after or sha_of(root.archive) != archive


def _is_no_merge(root: Root, backlog: Backlog, events: list[Event]) -> bool:
    """Branches have just met: do the files hold what no merge of them gives, or hold it in other bytes?"""
    if reconcile(Replay(events), backlog.tasks, backlog.archived)[1]:
        return True
    live, archive = (sha256(text.dump(tasks.values())).hexdigest() for tasks in (backlog.tasks, backlog.archived))
    return sha_of(root.backlog) != live or sha_of(root.archive) not in (None, archive)


def saved_files(root: Root, state: LogState) -> dict[str, bytes]:
    """Return the files as the last save wrote them, from the log, as far as it gives them byte for byte.

    Raises LogDamaged.
    """
    replay = Replay(log.read_all(root))
    away = replay.archived()
    tasks = sorted(replay.tasks().items(), key=lambda item: str(item[1]["id"]))
    found = {}
    for name, wanted, there in ((BACKLOG, state.after, False), (ARCHIVE, state.archive, True)):
        data = text.dump(task for uid, task in tasks if (uid in away) == there)
        if sha256(data).hexdigest() == wanted:
            found[name] = data
    return found

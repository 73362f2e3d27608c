"""Whether a log tells of changes that were picked (or rebased) out of their order, the rest of it coming later."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from taskkeep.backlog import text
from taskkeep.backlog.history import state_of
from taskkeep.backlog.replay import Replay, with_past

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.backlog.events import Event

# Their `before` is a file that no event named.
_OTHER_GROUND = ("adopt", "restore", "recovery")


def was_picked_early(events: Sequence[Event]) -> bool:
    """Did the writer of some event lack what, by this log, came before it?

    Then the file that the last event names need not be the one that replay gives. *events* are in causal order.
    """
    last: dict[str, Event] = {event["txn"]: event for event in events}  # of each request
    by_hash = {event["hash"]: event for event in events}
    joining = []
    for event in events:
        known = [by_hash[prev] for prev in event["prev"] if prev in by_hash]
        if known and len(known) < len(event["prev"]):
            return True
        if len(known) > 1:
            joining.append(last[event["txn"]])
            continue
        begins = bool(known) and event["txn"] != known[0]["txn"] and event["source"] not in _OTHER_GROUND
        if begins and event["before"] != known[0]["after"]:
            return True
    return any(_sha_at(by_hash, event) != event["after"] for event in joining)


def _sha_at(by_hash: dict[str, Event], event: Event) -> str:
    return sha256(text.dump(state_of(Replay(with_past(by_hash, event["hash"]))).tasks.values())).hexdigest()

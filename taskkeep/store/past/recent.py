"""The last requests of the log, found without reading all of it."""

from __future__ import annotations

import json
import os
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from taskkeep.errors import LogDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskkeep.backlog.events import Event
    from taskkeep.store.layout import Root

LOOKED_AT = 40  # files of the log, from the newest
EVENTS = 3  # of a request
HEAD = 1 << 18  # bytes of a file, of which the first events are among


class Request(NamedTuple):
    """The first events of a request, and how many it has in all, or at least."""

    events: list[Event]
    total: int


def recent_requests(root: Root, limit: int, *, but: str) -> list[Request]:
    """The last *limit* requests that were not made by the actor *but*, the newest first.

    Looks at the newest files alone, those not packed yet, in the order of the clocks that wrote them.

    Raises LogDamaged, OSError.
    """
    found: list[Request] = []
    for name in islice(_newest(root), LOOKED_AT):
        with open(os.path.join(root.audit, name), "rb") as file:
            data = file.read(HEAD)
        rows = data.split(b"\n")[:-1]
        try:
            events = [json.loads(row) for row in rows[:EVENTS]]
            if events and events[0]["actor"] != but:
                found.append(Request(events, len(rows)))
        except (ValueError, KeyError, TypeError):
            path = f".taskkeep/audit/{name}"
            raise LogDamaged(f"{path} holds no events", hint="See 'taskkeep verify'.", file=path, line=1) from None
        if len(found) == limit:
            break
    return found


def _newest(root: Root) -> Iterator[str]:
    try:
        days = [name for name in os.listdir(root.audit) if len(name) == 10 and name[4] == "-"]
    except FileNotFoundError:
        return
    for day in sorted(days, reverse=True):
        names = [name for name in os.listdir(os.path.join(root.audit, day)) if name.endswith(".jsonl")]
        yield from (f"{day}/{name}" for name in sorted(names, reverse=True))

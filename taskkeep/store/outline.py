"""The outline that a writer leaves of a large backlog.json, so that readers need not decode all of it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from taskkeep.backlog.outline import changed_rows, row
from taskkeep.store.files import FileId, replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskkeep.backlog.backlog import Backlog
    from taskkeep.store.layout import Root

WORTH_IT = 1 << 18  # bytes of backlog.json from which on there is an outline
NAME = "outline"
VERSION = 2


def rows_of(root: Root, file: FileId) -> list[str] | None:
    """The rows of the backlog.json of this identity; None where no writer has left them."""
    try:
        with open(os.path.join(root.cache, NAME), "rb") as found:
            head, _, body = found.read().partition(b"\n")
    except OSError:
        return None  # derived: without it all is decoded
    return body.decode().split("\n")[:-1] if head == _head(file) else None


def leave(root: Root, before: FileId | None, backlog: Backlog, changed: Iterable[str]) -> None:
    """Write the outline of *backlog*, which lies on disk now; *changed* ids differ from *before*. Raises OSError."""
    file = FileId.of(os.stat(root.backlog))
    if file[1] < WORTH_IT:
        return
    rows = None if before is None else rows_of(root, before)
    if rows is None:
        rows = [row(task) for task in backlog.tasks.values()]
    else:
        rows = changed_rows(rows, {task_id: backlog.tasks.get(task_id) for task_id in changed})
    data = "".join([f"{line}\n" for line in rows]).encode()
    path, tmp = os.path.join(root.cache, NAME), os.path.join(root.tmp, NAME)
    replace(path, [_head(file) + b"\n", data], tmp=tmp, mode=0o600, sync=False)


def _head(file: FileId) -> bytes:
    return json.dumps([VERSION, *file]).encode()

"""The verdict that a writer leaves for readers: these bytes were checked."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from taskkeep.store.files import FileId, replace

if TYPE_CHECKING:
    from taskkeep.store.layout import Root


def checked(root: Root) -> list[int] | None:
    """Return the identity of the backlog.json that a writer has checked; None where none is noted."""
    try:
        with open(os.path.join(root.cache, "checked"), "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError):
        return None  # derived: without it the bytes are checked again
    return found if isinstance(found, list) else None


def note_checked(root: Root) -> None:
    """Note that backlog.json as it lies here was checked. Raises OSError."""
    found = list(FileId.of(os.stat(root.backlog)))
    replace(
        os.path.join(root.cache, "checked"),
        [json.dumps(found).encode()],
        tmp=os.path.join(root.tmp, "checked"),
        mode=0o600,
        sync=False,
    )

"""The verdict that a writer leaves for readers: these bytes were checked."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from taskkeep.store.files import FileId, replace

if TYPE_CHECKING:
    from taskkeep.store.layout import Root


def checked(root: Root) -> list[list[int] | None]:
    """Return the identities of the backlog.json and the archive that a writer has checked, None where there is none."""
    try:
        with open(os.path.join(root.cache, "checked"), "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError):
        return [None, None]  # derived: without it the bytes are checked again
    return found if isinstance(found, list) and len(found) == 2 else [None, None]


def note_checked(root: Root) -> None:
    """Note that backlog.json and the archive as they lie here were checked. Raises OSError."""
    found = [list(FileId.of(os.stat(path))) if os.path.exists(path) else None for path in (root.backlog, root.archive)]
    replace(
        os.path.join(root.cache, "checked"),
        [json.dumps(found).encode()],
        tmp=os.path.join(root.tmp, "checked"),
        mode=0o600,
        sync=False,
    )

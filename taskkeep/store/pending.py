"""Commits that wait: the paths of saves whose commit could not be made yet, noted in local/pending."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from taskkeep.store import log
from taskkeep.store.files import read, remove, replace
from taskkeep.store.layout import AUDIT
from taskkeep.store.message import message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskkeep.backlog.events import Event
    from taskkeep.store.layout import Root
    from taskkeep.store.save import Writer


def waiting(root: Root) -> list[str]:
    """The paths of ours whose commit waits, those that are still there."""
    try:
        data, _ = read(root.pending)
    except FileNotFoundError:
        return []
    return sorted({row for row in data.decode().split("\n") if row and os.path.exists(root.in_root(row))})


def note(writer: Writer, paths: Iterable[str]) -> None:
    """Note that the commit of these paths waits, where there is a repository. Raises OSError."""
    if writer.repository is None:
        return
    root = writer.root
    rows = sorted({*waiting(root), *paths})
    replace(
        root.pending,
        ["".join(f"{row}\n" for row in rows).encode()],
        tmp=os.path.join(root.tmp, "pending"),
        mode=0o600,
    )


def commit(writer: Writer) -> str | None:
    """Commit what waits, as one commit of its own, and return its hash. Raises like a commit does."""
    root = writer.root
    paths = waiting(root)
    made = None
    if paths:
        files = {path: [read(root.in_root(path))[0]] for path in paths}
        events: list[Event] = []
        for path in paths:
            if path.startswith(AUDIT):
                events += log.read_file(root, path[len(AUDIT) + 1 :])
        made = writer.commit(files, message(events, writer.config["subject_prefix"], waited=True))
    remove(root.pending)
    return made

"""Git at work on the files that we read: it writes those of a branch one after the other, in place.

What lies half there is no damage and no hand edit; it is read again once git has ended.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeVar

from taskkeep.errors import BacklogUnreadable, HandEdit, LogDamaged, TaskkeepError
from taskkeep.store.files import FileId
from taskkeep.store.git.repository import repository_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskkeep.store.layout import Root

T = TypeVar("T")

PATIENCE = 5.0  # seconds
PAUSE = 0.01


def mark(root: Root) -> object:
    """What a save changes, and git when it puts another version there."""
    found: list[object] = [os.path.exists(root.journal)]
    for path in (root.backlog, root.archive, root.audit):
        try:
            found.append(FileId.of(os.stat(path)))
        except OSError:
            found.append(None)
    return found


def patiently(root: Root, read: Callable[[], T]) -> T:
    """Return what *read* does, once more where it fails while git is at work, or just was.

    Raises what *read* raises, at the latest after PATIENCE.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        before = mark(root)
        try:
            return read()
        except (BacklogUnreadable, HandEdit, LogDamaged):
            waited = _wait_for_git(root, deadline)
            if time.monotonic() >= deadline or not (waited or mark(root) != before):
                raise


def _wait_for_git(root: Root, deadline: float) -> bool:
    """Wait while a git holds the index of this tree, as it does for as long as it writes files; was there one?"""
    try:
        repository = repository_of(root.path)
    except TaskkeepError:
        return False  # no git that could be waited for; whoever needs it says what is wrong
    if repository is None:
        return False
    lock = os.path.join(repository.git_dir, "index.lock")
    waited = False
    while os.path.lexists(lock) and time.monotonic() < deadline:
        waited = True
        time.sleep(PAUSE)
    return waited

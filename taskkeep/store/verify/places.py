"""Where the backlogs of a repository lie, in the folder and in any commit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from taskkeep.store.git.contents import unreadable
from taskkeep.store.layout import AUDIT
from taskkeep.store.verify.trees import NO_FETCH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskkeep.store.git.repository import Repository


def roots_in(repository: Repository, commit: str) -> list[str]:
    """The paths (empty, or ending in a slash) of all backlogs that a commit holds. Raises GitUnavailable."""
    answer = repository.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, env=NO_FETCH)
    if answer.status:
        raise unreadable(answer)
    return _roots(answer.rows)


def roots_here(repository: Repository) -> list[str]:
    """The same of what git knows of in the working tree, tracked or new."""
    answer = repository.run("-C", repository.top, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return _roots(answer.rows)


def _roots(names: Iterable[str]) -> list[str]:
    mark = f"{AUDIT}/"
    found = set()
    for name in names:
        at = name.find(mark)
        if at == 0 or (at > 0 and name[at - 1] == "/"):
            found.add(name[:at])
    return sorted(found)


def root_above(repository: Repository, folder: str, commits: Iterable[str], *, past: bool = False) -> str | None:
    """The path of the nearest backlog at or above *folder* that one of the commits holds, None where none does.

    *past*: or that an ancestor of theirs held. Raises GitUnavailable.
    """
    inside = os.path.relpath(folder, repository.top) if not repository.bare else "."
    parts = [] if inside in (".", "") or inside.startswith("..") else inside.split(os.sep)
    wanted = list(commits)
    while True:
        prefix = "".join(f"{part}/" for part in parts)
        for commit in wanted:
            if past:
                answer = repository.run("-C", repository.top, "rev-list", "-1", commit, "--", prefix + AUDIT)
            else:
                answer = repository.run("ls-tree", "-z", "--name-only", "--full-tree", commit, "--", prefix + AUDIT)
            if answer.status:
                raise unreadable(answer)
            if answer.out:
                return prefix
        if not parts:
            return None
        parts.pop()

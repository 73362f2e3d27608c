"""What a commit holds, as git lists it: what git cannot read is an error, never nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.errors import GitUnavailable
from taskkeep.store.git.repository import run

if TYPE_CHECKING:
    from taskkeep.store.git.repository import Answer


def names_in(folder: str, commit: str, path: str) -> set[str]:
    """Return the files of a commit at or below *path*, from the top of *folder*'s repository. Raises GitUnavailable."""
    return set(_listed(folder, commit, path, "-r", "--name-only"))


def blob_in(folder: str, commit: str, path: str) -> str | None:
    """Return the blob of the file *path* in a commit, None where it has none. Raises GitUnavailable."""
    rows = _listed(folder, commit, path)
    return rows[0].split()[2] if rows else None


def _listed(folder: str, commit: str, path: str, *options: str) -> list[str]:
    answer = run(folder, "ls-tree", *options, "-z", "--full-tree", commit, "--", path)
    if answer.status:
        raise unreadable(answer)
    return answer.rows


def unreadable(answer: Answer) -> GitUnavailable:
    """Return the error that stands for objects that git could not read."""
    return GitUnavailable(f"git cannot read its objects: {answer.trouble}", hint="Run 'git fsck'.")

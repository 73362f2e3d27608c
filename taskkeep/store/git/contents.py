"""What a commit holds, as git lists it: what git cannot read is an error, never nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.errors import GitUnavailable
from taskkeep.store.git.repository import lacking, run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskkeep.store.git.repository import Answer, Repository


def names_in(folder: str, commit: str, path: str) -> set[str]:
    """Return the files of a commit at or below *path*, from the top of *folder*'s repository. Raises GitUnavailable."""
    return set(_listed(folder, commit, path, "-r", "--name-only"))


def blob_in(folder: str, commit: str, path: str) -> str | None:
    """Return the blob of the file *path* in a commit, None where it has none. Raises GitUnavailable."""
    rows = _listed(folder, commit, path)
    return rows[0].split()[2] if rows else None


def paths_of(folder: str, commit: str, blob: str) -> list[str]:
    """Return the files of a commit that hold just this blob. Raises GitUnavailable."""
    rows = (row.partition("\t") for row in _listed(folder, commit, "", "-r"))
    return [name for head, _, name in rows if head.split()[2] == blob]


def refuse_unread(repository: Repository, commit: str, names: Iterable[str]) -> None:
    """Raise GitUnavailable where a commit has one of the files *names* of ours, which was asked for and did not come.

    To `git cat-file --batch` what it cannot open is as missing as what there never was.
    """
    for name in names:
        if blob_in(repository.folder, commit, repository.prefix + name) is not None:
            raise GitUnavailable(f"git cannot read {name} of {commit[:10]}", hint="Run 'git fsck'.")


def _listed(folder: str, commit: str, path: str, *options: str) -> list[str]:
    answer = run(folder, "ls-tree", *options, "-z", "--full-tree", commit, "--", *([path] if path else []))
    if answer.status:
        raise unreadable(answer)
    return answer.rows


def unreadable(answer: Answer) -> GitUnavailable:
    """Return the error that stands for objects that git could not read."""
    return GitUnavailable(f"git cannot read its objects: {answer.trouble}", hint=lacking(answer))

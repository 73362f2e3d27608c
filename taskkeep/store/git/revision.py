"""What a user's word for a commit means: checked as data, then asked of git once, then a full hash."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from taskkeep.backlog.task import shortened
from taskkeep.errors import AmbiguousPoint, BadPoint, GitUnavailable, UnknownPoint

if TYPE_CHECKING:
    from taskkeep.store.git.repository import Repository

MOST = 250
_HEX = frozenset("0123456789abcdef")
_HINT = "A branch, a tag, or a commit's hash."


def commit_of(repository: Repository, name: str, option: str) -> str:
    """Return the full hash of the commit that *name* means.

    Raises BadPoint for what is no name of one commit (empty, a path, another object), AmbiguousPoint, UnknownPoint.
    """
    shown = shortened(name)
    if not name.strip() or not name.isprintable() or name != name.strip():
        raise BadPoint(f"{option}: {shown!r} is no name of a commit", hint=_HINT)
    if len(name) > MOST or name.startswith(("-", "^", "/", ".", "~")) or ":" in name or ".." in name:
        raise BadPoint(f"{option}: {shown} is no name of a commit", hint=_HINT)
    full = full_hash(repository, name)
    if full is not None:
        peeled = repository.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{full}^{{commit}}")
        if not peeled.status:
            return peeled.text
        # git takes a whole hash for a name, also of what it has not.
        if not repository.run("cat-file", "-e", full).status:
            raise BadPoint(f"{option}: {shown} is no commit", hint=_HINT)
    elif os.path.lexists(os.path.join(repository.folder, name)) or os.path.lexists(name):
        raise BadPoint(f"{option}: {shown} is a path, not a commit", hint=_HINT)
    hint = "See 'git branch --all'."
    if is_shallow(repository):
        hint = "This clone is shallow: 'git fetch --unshallow' brings the rest."
    raise UnknownPoint(f"{option}: git knows no commit {shown} here", hint=hint)


def full_hash(repository: Repository, name: str) -> str | None:
    """Return the full hash of the object that *name* means to git, None where it means nothing.

    Raises AmbiguousPoint, BadPoint for what names more than one object.
    """
    answer = repository.run("rev-parse", "--verify", "--end-of-options", name)
    if b"is ambiguous" in answer.err:
        rows = answer.err.decode("utf-8", "replace").split("\n")
        near = [row.split()[1] for row in rows if row.startswith("hint:   ")]
        hint = "Write more of it." if near else "Write refs/heads/… or refs/tags/…, or the whole hash."
        raise AmbiguousPoint(f"{shortened(name)} means several things to git", hint=hint, nearest=near)
    if answer.status:
        return None
    if len(answer.text) not in (40, 64) or not _HEX.issuperset(answer.text):
        raise BadPoint(f"{shortened(name)} is no single commit", hint=_HINT)
    return answer.text


def commit_of_or_none(repository: Repository, name: str = "HEAD") -> str | None:
    """The commit of a name of our own making, None where there is none yet. Raises GitUnavailable."""
    answer = repository.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if answer.status == 0:
        return answer.text
    if repository.run("rev-parse", "--verify", "--quiet", "--end-of-options", name).status == 0:
        raise GitUnavailable(f"git cannot read the commit of {name}", hint="Run 'git fsck'.")
    return None


def is_shallow(repository: Repository) -> bool:
    return os.path.exists(os.path.join(repository.common, "shallow"))

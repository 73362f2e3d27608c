"""Which backlogs a call of verify is about, and when to look again."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from taskkeep.errors import BacklogNotFound, Outside
from taskkeep.store.git.repository import Repository, repository_of
from taskkeep.store.git.revision import commit_of_or_none
from taskkeep.store.layout import Root
from taskkeep.store.lock import is_locked
from taskkeep.store.patience import PATIENCE, PAUSE, mark
from taskkeep.store.verify.findings import Verdict, chosen_codes
from taskkeep.store.verify.judge import Asked, Where, verify
from taskkeep.store.verify.places import root_above, roots_here, roots_in

if TYPE_CHECKING:
    from collections.abc import Sequence


def verify_at(
    root: Root | None,
    start: str,
    *,
    every: bool = False,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    **rest: Any,
) -> Verdict:
    """Judge the backlog of *root*; where there is none, the one at or above *start* that a commit has.

    *every*: all backlogs of the repository. Raises BacklogNotFound, and what verify raises.
    """
    asked = Asked(only=chosen_codes(only, "--only"), skip=chosen_codes(skip, "--skip"), **rest)
    folder = root.path if root is not None else start
    if every:
        return _every(folder, asked)
    if root is not None:
        return _patient(root, asked)
    repository = repository_of(folder)
    if repository is None:
        raise BacklogNotFound(start)
    commits = _commits(repository, asked)
    prefix = root_above(repository, folder, commits, past=asked.history)
    # A hook must not stop commits on a branch that has no backlog.
    if prefix is None and asked.base is None and asked.head is None and not asked.staged:
        raise BacklogNotFound(start)
    return verify(Where(None, prefix or ""), lambda: repository, asked)


def _commits(repository: Repository, asked: Asked) -> list[str]:
    """The commits that a backlog is looked for in, where the folder has none."""
    from taskkeep.store.git.revision import commit_of

    names = [(name, option) for name, option in ((asked.base, "--base"), (asked.head, "--head")) if name is not None]
    found = [commit_of(repository, name, option) for name, option in names]
    head = commit_of_or_none(repository)
    return [*found, head] if head is not None else found


def _patient(root: Root, asked: Asked) -> Verdict:
    """Judge what lies in a folder once no writer is at work, as long as PATIENCE lasts."""
    where = Where(root, "")
    if asked.staged or asked.head is not None:
        return verify(where, lambda: repository_of(root.path), asked)  # of git's objects alone
    deadline = time.monotonic() + PATIENCE
    while True:
        while is_locked(root.lock) and time.monotonic() < deadline:
            time.sleep(PAUSE)
        before = mark(root)
        verdict = verify(where, lambda: repository_of(root.path), asked)
        # A writer who came in between shows by files that moved while we read, or by a journal.
        locked = is_locked(root.lock)
        if before == mark(root) and not (locked and (os.path.exists(root.journal) or time.monotonic() >= deadline)):
            return verdict
        if time.monotonic() >= deadline:
            verdict.checked.setdefault("notes", []).append("a writer is at work: this is what lay there meanwhile")
            return verdict


def _every(folder: str, asked: Asked) -> Verdict:
    """All backlogs that the folder, the index or one of the commits has; the findings' files are from the top."""
    repository = repository_of(folder)
    if repository is None:
        raise Outside("--all looks for backlogs in a git repository, and there is none here", hint="Leave --all out.")
    prefixes = set() if repository.bare else set(roots_here(repository))
    for commit in _commits(repository, asked):
        prefixes |= set(roots_in(repository, commit))
    ok = True
    findings: list[dict[str, Any]] = []
    checked: list[dict[str, Any]] = []
    changes = []
    for prefix in sorted(prefixes):
        path = os.path.join(repository.top, prefix) if prefix else repository.top
        root = Root(os.path.normpath(path)) if os.path.isdir(path) and not repository.bare else None
        verdict = verify(Where(root, prefix), lambda: repository, asked)
        ok = ok and verdict.ok
        findings += [{**one, "file": prefix + one["file"] if one["file"] else None} for one in verdict.findings]
        checked.append(verdict.checked)
        changes.append((prefix, verdict.changes))
    return Verdict(ok, findings, {"backlogs": checked, "prefix": ""}, changes)

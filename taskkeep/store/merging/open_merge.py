"""An open merge of the backlog as git's index holds it: its conflicts, and who made both sides."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.merge import Conflict, Merged, merge_versions
from taskkeep.errors import BacklogUnreadable, GitUnavailable, RepositoryBusy
from taskkeep.store import log
from taskkeep.store.git.contents import blob_in, names_in
from taskkeep.store.git.revision import commit_of_or_none
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG
from taskkeep.store.merging.driver import common_past
from taskkeep.store.validate import tasks_by_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.merge import Open
    from taskkeep.backlog.task import Task
    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root


EVENT = "conflict_resolved"
LEFT_BY_GIT = ("conflict_marker", "duplicate_key", "duplicate_id", "unreadable")
_THEIRS = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")


class ChangedBy(NamedTuple):
    """Who last changed the field on one side, on which branch and when; None where nothing tells."""

    branch: str | None
    actor: str | None
    time: str | None


class OpenConflict(NamedTuple):
    """A conflict that nobody has settled yet."""

    conflict: Conflict
    ours: ChangedBy
    theirs: ChangedBy


class OpenMerge(NamedTuple):
    """What the index holds of a merge: the merged backlog, and which of its conflicts are still open."""

    merged: Merged
    stages: list[str]
    open: list[Conflict]


def open_merge(root: Root, repository: Repository) -> OpenMerge | None:
    """Return the merge that the index holds unmerged, None where there is none.

    Raises OSError, GitUnavailable, BacklogUnreadable, InvalidField, RepositoryBusy where one side has no such file.
    """
    found = _stages(repository)
    if not found:
        return None
    theirs = _theirs_head(repository, "MERGE_HEAD")
    left_open: Open = {}
    try:
        base, spoilt = _version(repository, found, 1), False
    except BacklogUnreadable:
        if not theirs:
            raise
        base, spoilt = Backlog({}), True  # of branches that met twice git merges the bases by lines
    if theirs:
        shared = common_past(root.path, repository.prefix + BACKLOG, "HEAD", theirs, always=spoilt)
        base, left_open = shared or (base, left_open)
    merged = merge_versions(base, _version(repository, found, 2), _version(repository, found, 3), left_open)
    stages = [f"{name}:{number}:{blob}" for (name, number), blob in sorted(found.items())]
    settled: set[tuple[str, str | None]] = set()
    for event in log.read_all(root):
        if event["event_type"] == EVENT and event["details"].get("stages") == stages:
            settled |= {(event["uid"], field) for field in event["details"]["resolved"]}
    left = [one for one in merged.conflicts if (one.uid, one.field) not in settled]
    return OpenMerge(merged, stages, left)


def _stages(repository: Repository) -> dict[tuple[str, int], str]:
    """The blobs of our unmerged files, by name and stage."""
    answer = repository.run("ls-files", "-u", "-z", "--", BACKLOG, ARCHIVE)
    if answer.status:
        raise GitUnavailable(f"git cannot read its index: {answer.trouble}", hint="Run 'git status'.")
    found = {}
    for row in answer.rows:
        head, _, path = row.partition("\t")
        _, blob, number = head.split(" ")
        found[os.path.basename(path), int(number)] = blob
    return found


def _version(repository: Repository, stages: Mapping[tuple[str, int], str], number: int) -> Backlog:
    sides = {1: None, 2: "HEAD", 3: _theirs_head(repository)}
    parts: dict[str, dict[str, Task]] = {}
    for name in (BACKLOG, ARCHIVE):
        if any(one == name for one, _ in stages):
            blob = stages.get((name, number))
        else:
            side = sides[number]
            blob = blob_in(repository.folder, side, repository.prefix + name) if side is not None else None
        if blob is None and name == BACKLOG and number != 1:
            raise RepositoryBusy(
                f"{'their' if number == 3 else 'our'} side has no {BACKLOG}", hint="Settle this with git itself."
            )
        parts[name] = tasks_by_id(_content(repository, blob), name) if blob is not None else {}
    return Backlog(parts[BACKLOG], parts[ARCHIVE])


def _content(repository: Repository, blob: str) -> bytes:
    found = repository.reads([blob])[0]
    if found is None:
        raise GitUnavailable(f"git cannot read its object {blob[:10]}", hint="Run 'git fsck'.")
    return found[2]


def _theirs_head(repository: Repository, *names: str) -> str | None:
    """The commit that is being merged, squashed, picked or rebased, or of *names* alone; None for a stash.

    SQUASH_MSG is asked last: git leaves it behind where another program commits the squash.
    """
    for name in names or _THEIRS:
        if os.path.lexists(os.path.join(repository.git_dir, name)):
            found = commit_of_or_none(repository, name)
            if found is None:
                raise GitUnavailable(f"git cannot read {name}", hint="Run 'git fsck'.")
            return found
    if any(os.path.lexists(os.path.join(repository.git_dir, name)) for name in _THEIRS):
        return None
    return _first_line(os.path.join(repository.git_dir, "SQUASH_MSG"), skip="commit ")


# -- who changed what ----------------------------------------------------------------------------


def open_conflicts(root: Root, repository: Repository) -> list[OpenConflict]:
    """Return the conflicts that are still open, with who made both sides. Raises as open_merge does."""
    state = open_merge(root, repository)
    if state is None or not state.open:
        return []
    return with_authors(root, repository, state.open)


def with_authors(root: Root, repository: Repository, conflicts: Sequence[Conflict]) -> list[OpenConflict]:
    start = f"{repository.prefix}{AUDIT}/"
    ours = {name.removeprefix(start) for name in names_in(repository.folder, "HEAD", start)}
    sides: tuple[list[Event], list[Event]] = ([], [])
    for name in log.list_files(root):
        sides[name not in ours].extend(event for event in log.read_file(root, name) if event["event_type"] != EVENT)
    names = _branches(repository)
    found = []
    for conflict in conflicts:
        who = [_last_change(events, conflict, branch) for events, branch in zip(sides, names, strict=True)]
        found.append(OpenConflict(conflict, *who))
    return found


def _last_change(events: Sequence[Event], conflict: Conflict, branch: str | None) -> ChangedBy:
    field = (conflict.field or "").partition(".")[0]
    last: Event | None = None
    for event in events:
        changes = event["details"].get("changes")
        touches = event["uid"] == conflict.uid and (not field or changes is None or field in changes)
        if touches and (last is None or event["timestamp"] > last["timestamp"]):
            last = event
    return ChangedBy(branch, last["actor"] if last else None, last["timestamp"] if last else None)


def _branches(repository: Repository) -> tuple[str | None, str | None]:
    """What both sides are called. While rebasing ours is what is rebased onto."""
    folder = repository.git_dir
    for name in ("rebase-merge", "rebase-apply"):
        rebased = _first_line(os.path.join(folder, name, "head-name"))
        if rebased is not None:
            onto = _first_line(os.path.join(folder, name, "onto"))
            return _name_of(repository, onto or "HEAD"), rebased.removeprefix("refs/heads/")
    ours = repository.run("symbolic-ref", "-q", "--short", "HEAD").text or "HEAD"
    told = re.match(r"Merge (?:remote-tracking )?(?:branch|commit) '([^']+)'", _first_line(f"{folder}/MERGE_MSG") or "")
    theirs = _theirs_head(repository)
    if told:
        return ours, told[1]
    return ours, _name_of(repository, theirs) if theirs else "stash"


def _name_of(repository: Repository, commit: str) -> str:
    answer = repository.run("name-rev", "--name-only", "--no-undefined", "--refs=refs/heads/*",
                            "--refs=refs/remotes/*", commit)  # fmt: skip
    return answer.text if answer.status == 0 and answer.text else commit[:10]


def _first_line(path: str, skip: str = "") -> str | None:
    """The first line of a file of git's that begins with *skip*, without that; None where there is none.

    Raises OSError: what cannot be read may name what is merged.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return next((row[len(skip) :].rstrip("\n") for row in file if row.startswith(skip)), None)
    except (FileNotFoundError, NotADirectoryError):
        return None

"""Commits that wait: the paths of saves whose commit could not be made yet, or was taken back by git."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from taskkeep.store import log
from taskkeep.store.files import disk_fault, read, remove, replace
from taskkeep.store.git.commit import failure, read_head, under_way
from taskkeep.store.git.message import message
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskkeep.backlog.events import Event
    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root
    from taskkeep.store.save import Writer

BRANCH = "branch "  # begins a line that names a branch; the others are paths


def waiting(root: Root) -> list[str]:
    """The paths of ours whose commit waits, those that are still there."""
    return [row for row in _rows(root) if not row.startswith(BRANCH) and os.path.exists(root.in_root(row))]


def paths(writer: Writer) -> list[str]:
    """What waits for a commit before that of the writer's own save: what is noted, and what git took back."""
    found = _taken_back(writer.root, writer.repository, writer.log.commit)
    return sorted({*waiting(writer.root), *found} - writer.carried)


def is_waiting(root: Root, repository: Repository | None) -> bool:
    """Does a commit of ours wait here? For readers. Raises what git's refusal stands for."""
    if os.path.exists(root.pending):
        return True
    state = log.vouched(root)
    return bool(_taken_back(root, repository, state.commit if state is not None else None))


def _taken_back(root: Root, repository: Repository | None, last: str | None) -> list[str]:
    """What was committed, lies here and is not in HEAD, as after `git reset HEAD~1`.

    The next commit would hold these changes in backlog.json without their events. Log and git are asked only where
    HEAD is not *last*, the commit of the last save.
    """
    if repository is None or under_way(repository):
        return []  # what is being merged is committed by the user
    head = read_head(repository).commit
    if head is not None and head == last:
        return []
    try:
        names = log.list_files(root)
    except OSError as error:  # which is none of git's, for which a commit might wait
        raise disk_fault("the log cannot be listed", error) from error
    # A pack holds what loose files held before; its commit is its own.
    loose = [f"{AUDIT}/{name}" for name in names if "/" in name]
    held: set[str] = set()
    if head is not None:
        folder = f"{repository.prefix}{AUDIT}"
        answer = repository.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", head, "--", folder)
        if answer.status:
            raise failure(answer, "git cannot read HEAD's tree")
        held = set(answer.out.decode("utf-8", "surrogateescape").split("\0"))
    found = [path for path in loose if repository.prefix + path not in held]
    if found:
        found += [path for path in (BACKLOG, ARCHIVE) if os.path.exists(root.in_root(path))]
    return found


def _rows(root: Root) -> list[str]:
    try:
        data, _ = read(root.pending)
    except FileNotFoundError:
        return []
    return sorted({row for row in data.decode("utf-8", "surrogateescape").split("\n") if row})


def _branches(root: Root) -> list[str]:
    """The branches on which the waiting changes were made."""
    return [row[len(BRANCH) :] for row in _rows(root) if row.startswith(BRANCH)]


def note(writer: Writer, waits: Iterable[str]) -> None:
    """Note that the commit of these paths waits, where there is a repository. Raises OSError."""
    if writer.repository is None:
        return
    _write(writer, {*waiting(writer.root), *waits})


def _write(writer: Writer, waits: Iterable[str]) -> None:
    root = writer.root
    branches = _branches(root) or [_branch_now(writer.repository)]
    rows = sorted({*waits, *(f"{BRANCH}{branch}" for branch in branches)})
    replace(
        root.pending,
        ["".join(f"{row}\n" for row in rows).encode("utf-8", "surrogateescape")],
        tmp=os.path.join(root.tmp, "pending"),
        mode=0o600,
    )


def _branch_now(repository: Repository | None) -> str:
    ref = read_head(repository).ref if repository is not None else None
    return ref.removeprefix("refs/heads/") if ref else "a detached HEAD"


def commit(writer: Writer) -> str | None:
    """Commit what waits, as one commit of its own, and return its hash; what the writer carries into the
    commit of its own save waits on. A file edited by hand is committed as it was saved. Raises like a commit does.
    """
    root = writer.root
    found = paths(writer)
    made = None
    if found:
        files = {path: [data] for path in found if (data := _content(writer, path)) is not None}
        events: list[Event] = []
        for path in found:
            if path.startswith(AUDIT):
                events += log.read_file(root, path[len(AUDIT) + 1 :])
        made = writer.commit(files, message(events, writer.config["subject_prefix"], waited=True))
        elsewhere = [branch for branch in _branches(root) if branch != _branch_now(writer.repository)]
        if made and elsewhere:
            writer.warnings.append(f"what had waited was made on {', '.join(elsewhere)} and is committed here")
    if writer.carried:
        _write(writer, writer.carried)
    else:
        remove(root.pending)
    return made


def _content(writer: Writer, path: str) -> bytes | None:
    if writer.saved is not None and path in (BACKLOG, ARCHIVE):
        return writer.saved.get(path)
    return read(writer.root.in_root(path))[0]

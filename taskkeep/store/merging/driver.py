"""Git's merge driver for the two files: three versions of one become one."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.merge import Conflict, common_state, merge
from taskkeep.backlog.replay import Replay, causal_order
from taskkeep.backlog.rules import LINK_FIELDS, links
from taskkeep.errors import BacklogUnreadable
from taskkeep.store.files import read, remove, write_new
from taskkeep.store.git.contents import blob_in, names_in, paths_of, unreadable
from taskkeep.store.git.repository import run
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.merge import Open
    from taskkeep.backlog.task import Task


def merge_files(base: str, ours: str, theirs: str, path: str) -> list[Conflict]:
    """Merge three versions of *path* into the file *ours*; it is written only where all three can be read.

    Raises BacklogUnreadable, InvalidField, GitUnavailable, OSError.
    """
    versions = [read(name)[0] for name in (base, ours, theirs)]
    if not versions[0].strip():
        versions[0] = text.dump([])  # both sides made the file
    commits = _likely_commits(path, versions[2])
    left_open: Open = {}
    # Of branches that met twice git merges the bases first, by lines where it does not know the driver.
    spoilt = bool(commits) and not _is_readable(versions[0])
    if commits and (shared := common_past(os.getcwd(), path, "HEAD", commits[0], always=spoilt)) is not None:
        past, left_open = shared
        versions[0] = text.dump((past.tasks if os.path.basename(path) == BACKLOG else past.archived).values())
    sides, ids = _changed_parts(versions) or ([], None)
    if ids is None or _both_add_links(sides):
        sides = [_by_id(text.parse(data, path), path) for data in versions]
    base_now, mine, yours = (Backlog(side) for side in sides)
    merged, conflicts = merge(base_now, mine, yours, left_open)
    if os.path.basename(path) == BACKLOG and any(found.kind in ("delete_edit", "dangling") for found in conflicts):
        # What looks deleted here may have been archived, which is another file.
        archives = _archives(path, versions)
        if any(archives):
            mine, yours = (Backlog(side, archive) for side, archive in zip(sides[1:], archives, strict=True))
            merged, conflicts = merge(base_now, mine, yours, left_open)
    changed: dict[str, Task | None] = {task_id: None for task_id in sides[1] if task_id not in merged.tasks}
    changed.update({i: task for i, task in merged.tasks.items() if sides[1].get(i) is not task})
    if ids is None:
        pieces = [text.dump(merged.tasks.values())]
    else:
        pieces = text.splice(versions[1], ids, changed) if changed else [versions[1]]
    new = f"{ours}.taskkeep"
    remove(new)
    write_new(new, pieces, mode=os.stat(ours).st_mode & 0o777, sync=False)
    os.replace(new, ours)
    return conflicts


def _is_readable(data: bytes) -> bool:
    if b"<<<<<<<" not in data:
        return True  # else whoever reads it says so
    try:
        text.parse(data)
    except BacklogUnreadable:
        return False
    return True


def _by_id(tasks: list[Task], path: str) -> dict[str, Task]:
    from taskkeep.store.validate import check_tasks

    check_tasks(tasks, unknown_fields=True)
    found: dict[str, Task] = {}
    uids = set()
    for task in tasks:
        if task["id"] in found or task["uid"] in uids:
            raise BacklogUnreadable("duplicate_id", f"{path} holds {task['id']} twice", task_id=task["id"])
        found[task["id"]] = task
        uids.add(task["uid"])
    return dict(sorted(found.items()))


def _changed_parts(versions: list[bytes]) -> tuple[list[dict[str, Task]], list[str]] | None:
    """Of each version the tasks that are not the same in all three, and the ids of all of ours.

    None where one is not in canonical form. Most of a file has not changed, and need not be decoded.
    """
    from taskkeep.store.validate import check_tasks

    known: dict[bytes, text.Block] = {}
    tables = []
    for data in versions:
        blocks = text.blocks(data, known)
        if blocks is None or [block[0] for block in blocks] != sorted({block[0] for block in blocks}):
            return None
        table = {block[1]: block for block in blocks}
        if len(table) < len(blocks):
            return None
        tables.append(table)
    same = {uid for uid, block in tables[0].items() if tables[1].get(uid) == block == tables[2].get(uid)}
    rest = [[block for uid, block in table.items() if uid not in same] for table in tables]
    # A task that one side changed stands in both others alike, and is decoded once.
    distinct = dict.fromkeys(block for blocks in rest for block in blocks)
    part = text.dump([])[: -len(b"]\n}\n")] + b",".join(block[2] for block in distinct) + b"\n  ]\n}\n"
    tasks = text.parse(part)
    check_tasks(tasks, unknown_fields=True)
    decoded = dict(zip(distinct, tasks, strict=True))
    return [{block[0]: decoded[block] for block in blocks} for blocks in rest], [row[0] for row in tables[1].values()]


def _both_add_links(sides: list[dict[str, Task]]) -> bool:
    """Could links of both sides close a circle? Only then all other tasks matter."""
    old = _edges(sides[0].values())
    return bool(_edges(sides[1].values()) - old) and bool(_edges(sides[2].values()) - old)


def _edges(tasks: Iterable[Task]) -> set[tuple[str, str, str]]:
    return {(task["id"], field, target) for task in tasks for field in LINK_FIELDS for target in links(task, field)}


def _archives(path: str, versions: list[bytes]) -> list[dict[str, Task]]:
    """Our archive and theirs, as far as it can be found out from which commits the versions come.

    Raises GitUnavailable, BacklogUnreadable.
    """
    folder = os.getcwd()
    # Without a HEAD, as outside of any repository, nothing tells.
    ours = [] if run(folder, "rev-parse", "-q", "--verify", "HEAD").status else ["HEAD"]
    theirs = [(one, _path_in(folder, one, path, versions[2])) for one in _commits_of(path, versions[2])[:1]]
    found = [_archive_in(folder, commit, name) for commit, name in (*((one, path) for one in ours), *theirs)]
    return [*([] if ours else [{}]), *found, {}][:2]


def _path_in(folder: str, commit: str, path: str, data: bytes) -> str:
    """Where their *commit* has this version: *path*, unless our side has renamed the folder."""
    if blob_in(folder, commit, path) is not None:
        return path
    blob = run(folder, "hash-object", "--no-filters", "--stdin", given=data).text
    return next(iter(paths_of(folder, commit, blob)), path)


def _archive_in(folder: str, commit: str, path: str) -> dict[str, Task]:
    blob = blob_in(folder, commit, os.path.join(os.path.dirname(path), ARCHIVE))
    if blob is None:
        return {}
    answer = run(folder, "cat-file", "blob", blob)
    if answer.status:
        raise unreadable(answer)
    return _by_id(text.parse(answer.out, ARCHIVE), ARCHIVE)


def _likely_commits(path: str, data: bytes) -> list[str]:
    """The commit being merged, as git says in the environment; none where it does not."""
    found = [name[len("GITHEAD_") :] for name in os.environ if name.startswith("GITHEAD_")]
    if len(found) < 2:
        return found
    blob = run(os.getcwd(), "hash-object", "--no-filters", "--stdin", given=data).text
    return [
        commit for commit in found if run(os.getcwd(), "rev-parse", "-q", "--verify", f"{commit}:{path}").text == blob
    ]


def _commits_of(path: str, data: bytes) -> list[str]:
    """Commits that have exactly this version of the file, those being merged first."""
    if found := _likely_commits(path, data):
        return found
    folder = os.getcwd()
    blob = run(folder, "hash-object", "--no-filters", "--stdin", given=data).text
    history = run(folder, "log", "--all", "-n", "20", "--format=%H", f"--find-object={blob}", "--", path)
    return [
        commit
        for commit in ("CHERRY_PICK_HEAD", "REBASE_HEAD", "refs/stash", *history.text.split())
        if run(folder, "rev-parse", "-q", "--verify", f"{commit}:{path}").text == blob
    ]


def common_past(folder: str, path: str, ours: str, theirs: str, *, always: bool = False) -> tuple[Backlog, Open] | None:
    """The state that both logs know, where that is more than git's merge base: after a squash or a cherry-pick;
    and what it leaves open.

    None where the merge base has all of it, which costs a look at three lists of names, unless branches met
    twice or *always* asks for it. *path* is the backlog's, below the top of *folder*'s repository.
    """
    audit = "/".join(filter(None, (os.path.dirname(path), AUDIT)))
    met = run(folder, "merge-base", "--all", ours, theirs)
    if met.status > 1:  # 1: none
        raise unreadable(met)
    base, *more = met.text.split("\n")
    always = always or bool(more)
    names = [names_in(folder, commit, audit) if commit else set() for commit in (ours, theirs, base)]
    packed = any("/pack-" in name for name in (names[0] | names[1]) - names[2])
    if names[0] & names[1] <= names[2] and not packed and not always:
        return None
    one, other = (_events_at(folder, commit, found) for commit, found in ((ours, names[0]), (theirs, names[1])))
    common = one.keys() & other.keys()
    if packed and not always and common <= _events_at(folder, base, names[2]).keys():
        return None
    return common_state(Replay(causal_order(event for name, event in one.items() if name in common)))


def _events_at(folder: str, commit: str, names: Iterable[str]) -> dict[str, Event]:
    """The events of a commit's log, by hash. Raises BacklogUnreadable where they cannot be read."""
    found: dict[str, Event] = {}
    given = "".join(f"{commit}:{name}\n" for name in sorted(names))
    out, at = run(folder, "cat-file", "--batch", given=given.encode("utf-8", "surrogateescape")).out, 0
    while at < len(out):
        end = out.index(b"\n", at)
        words = out[at:end].split(b" ")
        if len(words) != 3:
            raise BacklogUnreadable("unreadable", f"git cannot read the log of {commit[:10]}")
        size = int(words[2])
        for row in out[end + 1 : end + 1 + size].splitlines():
            event = json.loads(row)
            found[event["hash"]] = event
        at = end + 1 + size + 1
    return found

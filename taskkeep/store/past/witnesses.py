"""Who still has the last saved state when backlog.json is damaged or gone: the log, git, the snapshots."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taskkeep.backlog import text
from taskkeep.errors import BacklogUnreadable, TaskkeepError
from taskkeep.store import backups
from taskkeep.store.git.commit import unmerged
from taskkeep.store.git.repository import repository_of
from taskkeep.store.layout import ARCHIVE, BACKLOG
from taskkeep.store.past.history import History
from taskkeep.store.save import OPEN_MERGE_HINT, missing_backlog

if TYPE_CHECKING:
    from taskkeep.store.layout import Root


def witnesses(root: Root) -> list[dict[str, Any]]:
    """What each witness has: ``kind name sha256 tasks whole``, and ``agrees`` where it has what the log leads to."""
    found = [one for one in (_log(root), _commit(root), _backup(root)) if one is not None]
    last = next((one["sha256"] for one in found if one["kind"] == "log" and one["whole"]), None)
    return [{**one, "agrees": one["whole"] and one["sha256"] == last} for one in found]


def _log(root: Root) -> dict[str, Any] | None:
    try:
        history = History(root)
        moment = history.last()
        backlog = moment.backlog()
        after = {history.outline.event(history.number(head))["after"] for head in history.heads}
    except (OSError, TaskkeepError) as error:
        return {"kind": "log", "name": None, "sha256": None, "tasks": None, "whole": False, "problem": str(error)}
    sha = sha256(text.dump(backlog.tasks.values())).hexdigest()
    whole = len(after) > 1 or after == {sha}
    return _told("log", moment.point.event, sha, len(backlog.tasks), whole=whole)


def _commit(root: Root) -> dict[str, Any] | None:
    try:
        repository = repository_of(root.path)
        if repository is None:
            return None
        head, blob = repository.reads(["HEAD", f"HEAD:{repository.prefix}{BACKLOG}"])
    except TaskkeepError as error:
        return {"kind": "commit", "name": None, "sha256": None, "tasks": None, "whole": False, "problem": error.message}
    if head is None or blob is None:
        return None
    wrong = backups.problem(blob[2], None)
    count = blob[2].count(b'\n      "uid": "')
    return _told("commit", head[0], sha256(blob[2]).hexdigest(), count, whole=wrong is None)


def _backup(root: Root) -> dict[str, Any] | None:
    """The newest snapshot that no one says is damaged."""
    try:
        names = backups.names(root)
    except PermissionError:
        return None  # another user's: they cannot answer
    for name in reversed(names):
        try:
            data = backups.content(root, name)
        except (OSError, TaskkeepError):
            continue  # damaged: an older one may answer
        if backups.problem(data, None) is None:
            stem = name.partition(".")[0]
            return _told("backup", stem, sha256(data).hexdigest(), data.count(b'\n      "uid": "'), whole=True)
    return None


def _told(kind: str, name: str | None, sha: str, tasks: int, *, whole: bool) -> dict[str, Any]:
    return {"kind": kind, "name": name, "sha256": sha, "tasks": tasks, "whole": whole}


def with_witnesses(root: Root, error: BacklogUnreadable) -> BacklogUnreadable:
    """The same error, its hint saying who has the last saved state and what brings it back."""
    found = witnesses(root)
    error.details["witnesses"] = found
    if error.details.get("plain") is False:
        return error  # what stands there is in the way of whatever would bring a state back
    if error.details.get("newer"):
        return error  # nothing is damaged, and an old state in its place would be a loss
    error.hint = _hint(found)
    if _is_merging(root):
        error.hint = OPEN_MERGE_HINT
    if error.code == "duplicate_id":
        error.hint = f"Give one of them another id, and 'taskkeep adopt' records it. {error.hint}"
    return error


def refuse_gone(root: Root) -> None:
    """Raise BacklogUnreadable where backlog.json is gone, for who looked for something else and would say "none"."""
    if not os.path.lexists(root.backlog):
        raise with_witnesses(root, missing_backlog())


def _is_merging(root: Root) -> bool:
    try:
        repository = repository_of(root.path)
        return repository is not None and unmerged(repository, [BACKLOG, ARCHIVE])
    except (OSError, TaskkeepError):
        return False  # git cannot be asked; the other witnesses are named


def _tasks(one: dict[str, Any]) -> str:
    return f"{one['tasks']} task{'' if one['tasks'] == 1 else 's'}"


def _hint(found: list[dict[str, Any]]) -> str:
    # A log whose branches have just met names no one event.
    agree = [one for one in found if one["agrees"] and one["name"]]
    if agree:
        said = " and ".join(f"{one['kind']} {_short(one)}" for one in agree)
        have = "has" if len(agree) == 1 else "have"
        what = f"'taskkeep restore --at {_short(agree[0])}' brings it back."
        return f"{said} {have} the last saved state ({_tasks(agree[0])}): {what}"
    whole = [one for one in found if one["whole"] and one["name"]]
    if whole:
        said = " and ".join(f"{one['kind']} {_short(one)} ({_tasks(one)})" for one in whole)
        return f"The log cannot say what was saved last; {said} can be read. See 'taskkeep verify'."
    return "Neither log, commit nor backup can be read: see 'taskkeep verify' and 'taskkeep backups'."


def _short(one: dict[str, Any]) -> str:
    """The name by which `restore --at` takes it."""
    name = str(one["name"])
    return name if one["kind"] == "backup" else name[:8]

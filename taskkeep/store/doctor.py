"""Does what surrounds a backlog let it work: git, locks, identity, leftovers, sizes."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from taskkeep.errors import BacklogLocked, NoIdentity, TaskkeepError
from taskkeep.store.commit import refuse_obstacles, token_of
from taskkeep.store.files import remove
from taskkeep.store.git import OLDEST, repository_of, run
from taskkeep.store.lock import writer_lock
from taskkeep.store.setup import BEGIN
from taskkeep.store.verify import Findings, Verdict

if TYPE_CHECKING:
    from taskkeep.store.layout import Root


def doctor(root: Root, *, fix: bool = False) -> Verdict:
    """Check the surroundings; with *fix* remove stale temporary files, under the lock."""
    findings = Findings()
    checked: dict[str, object] = {}
    _check_git(root, findings, checked)
    _check_lock(root, findings, fix=fix)
    if os.path.exists(root.journal):
        findings.add(
            "interrupted",
            "a save was cut short",
            severity="warning",
            file=None,
            hint="'taskkeep recover' settles it.",
        )
    if os.path.exists(root.pending):
        findings.add(
            "pending_commit",
            "a commit waits",
            severity="warning",
            file=None,
            hint="'taskkeep recover' makes it.",
        )
    checked["sizes"] = {
        "backlog": _size(root.backlog),
        "log": _size(root.audit),
        "backups": _size(root.backups),
        "cache": _size(root.cache) + _size(root.joined),
    }
    return Verdict(not findings.list, findings.list, checked)


def _check_git(root: Root, findings: Findings, checked: dict[str, object]) -> None:
    try:
        version = run(root.path, "version").text
        checked["git"] = version
        numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        if numbers < OLDEST:
            findings.add("git", f"{version} is too old", file=None, hint=f"Install {OLDEST[0]}.{OLDEST[1]} or later.")
            return
        repository = repository_of(root.path)
        if repository is None:
            findings.add(
                "git",
                "this backlog is in no git repository: nothing is committed",
                severity="warning",
                file=None,
                hint="Run 'git init' here.",
            )
            return
        checked["loose_objects"] = _loose(repository.common)
        try:
            refuse_obstacles(repository)
        except NoIdentity as error:
            findings.add(error.code, "git does not know who you are", file=None, hint=error.hint)
        except TaskkeepError as error:
            findings.add(error.code, error.message, severity="warning", file=None, hint=error.hint)
        if not os.access(repository.git_dir, os.W_OK):
            findings.add(
                "pending_commit",
                ".git cannot be written here: commits will wait",
                severity="warning",
                file=None,
                hint="They are made by the next change where it can be.",
            )
        token = token_of(root) or "taskkeep-"
        for name in os.listdir(repository.git_dir):
            if name.startswith(token):
                findings.add(
                    "leftover",
                    f".git/{name} was left by a taskkeep that died",
                    severity="warning",
                    file=None,
                    hint="The next command that writes removes it.",
                )
    except TaskkeepError as error:
        findings.add(error.code, error.message, file=None, hint=error.hint)
    try:
        with open(root.in_root(".gitattributes"), encoding="utf-8", errors="replace") as file:
            there = BEGIN in file.read()
    except OSError:
        there = False
    if not there:
        findings.add(
            "attributes",
            ".gitattributes does not hold the lines of taskkeep",
            severity="warning",
            file=".gitattributes",
            hint="They keep line ends as they must be; see docs/file-format.md.",
        )


def _check_lock(root: Root, findings: Findings, *, fix: bool) -> None:
    if not os.path.isdir(root.local) or not os.access(root.local, os.W_OK):
        return
    try:
        with writer_lock(root.lock, wait=0):
            if not os.path.exists(root.journal) and os.path.isdir(root.tmp):
                for name in sorted(os.listdir(root.tmp)):
                    if fix:
                        remove(os.path.join(root.tmp, name))
                    else:
                        findings.add(
                            "leftover",
                            f".taskkeep/local/tmp/{name} is stale",
                            severity="warning",
                            file=None,
                            hint="The next command that writes removes it.",
                        )
    except BacklogLocked as error:
        findings.add(error.code, error.message, severity="warning", file=None, hint=error.hint)
    except TaskkeepError as error:
        findings.add(error.code, error.message, file=None, hint=error.hint)


def _size(path: str) -> int:
    """Bytes of a file, or of all files below a folder; 0 where there is none."""
    if os.path.isdir(path):
        return sum(_size(os.path.join(path, name)) for name in os.listdir(path))
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _loose(common: str) -> int:
    objects = os.path.join(common, "objects")
    return sum(len(os.listdir(os.path.join(objects, name))) for name in os.listdir(objects) if len(name) == 2)

"""Where people wrote the id of a task that a merge gave another one, since another task bears it too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from taskkeep.backlog.ids import looks_like_id
from taskkeep.backlog.task import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.task import Task
    from taskkeep.store.git.repository import Repository

TOLD = 20  # of texts, and of commits


def citations(backlog: Backlog, repository: Repository | None) -> list[str]:
    """Return in words each text and commit message that names an old id of a renumbered task."""
    moved: dict[str, list[str]] = {}
    for task in (*backlog.tasks.values(), *backlog.archived.values()):
        for alias in task.get("aliases", ()):
            if looks_like_id(alias) and alias in backlog:
                moved.setdefault(alias, []).append(task["id"])
    if not moved:
        return []
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, sorted(moved)))})\b")
    found = [*_in_texts(backlog, pattern), *(_in_commits(repository, pattern) if repository is not None else ())]
    return [
        f"{where} names {old}: that task, or {' or '.join(moved[old])}, which two branches had called so"
        for where, old in found
    ]


def _in_texts(backlog: Backlog, pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    found = []
    for task in (*backlog.tasks.values(), *backlog.archived.values()):
        for where, words in _texts(task):
            found += [(f"{task['id']}: {where}", old) for old in dict.fromkeys(pattern.findall(words))]
    return found[:TOLD]


def _texts(task: Task) -> Iterator[tuple[str, str]]:
    yield "title", task["title"]
    yield "description", task.get("description", "")
    for note in task.get("notes", ()):
        yield f"note of {note['at'][:16]}Z", note["text"]
    for item in task.get("acceptance_criteria", ()):
        yield "acceptance_criteria", item["text"]


def _in_commits(repository: Repository, pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """The user's own commits; those of saves say by their events which task they mean."""
    wanted = ["--grep=" + old for old in pattern.pattern[3:-3].split("|")]
    answer = repository.run("log", "-z", "--fixed-strings", "--format=%h%n%B", *wanted, "--end-of-options", "HEAD")
    found = []
    for message in answer.out.decode("utf-8", "replace").split("\0") if answer.status == 0 else ():
        name, _, body = message.strip().partition("\n")
        if "Taskkeep-Txn: " not in body:
            subject = shortened(body.partition("\n")[0])
            found += [(f"commit {name} ({subject})", old) for old in dict.fromkeys(pattern.findall(body))]
    return found[:TOLD]

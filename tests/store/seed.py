"""A repository as pull requests find it, for the tests of verify: built once, copied for each case."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import taskkeep
from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import Edit, add_task
from taskkeep.backlog.events import event_hash, line
from taskkeep.backlog.task import canonical
from taskkeep.store.save import Context

from .conftest import Kit, make_repository

Finding = dict[str, Any]


class Case(Kit):
    """A checkout of the branch `work` with one honest change upon the branch `base`."""

    # -- looking --------------------------------------------------------------------------

    @property
    def audit(self) -> Path:
        return self.root / ".taskkeep" / "audit"

    def tasks(self) -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = json.loads(self.file.read_bytes())["tasks"]
        return tasks

    def task(self, title: str) -> dict[str, Any]:
        return next(task for task in self.tasks() if task["title"] == title)

    def line_with(self, words: str, file: str = "backlog.json", nth: int = 1) -> int:
        rows = (self.root / file).read_text().split("\n")
        return [number for number, row in enumerate(rows, 1) if words in row][nth - 1]

    def line_of(self, task_id: str) -> int:
        return self.line_with(f'"id": "{task_id}"')

    def event_file(self, kind: str, title: str | None = None) -> Path:
        """The file of the first event of a kind, of one task if a title is given."""
        for path in sorted(self.audit.rglob("*.jsonl")):
            for event in map(json.loads, path.read_text().splitlines()):
                task = event["details"].get("task") or {}
                if event["event_type"] == kind and (title is None or title in (task.get("title"), event["why"])):
                    return path
        raise LookupError(kind)

    # -- tampering ------------------------------------------------------------------------

    def write(self, tasks: list[dict[str, Any]]) -> None:
        """Put tasks into the file, in canonical form."""
        self.file.write_bytes(text.dump(sorted((canonical(task) for task in tasks), key=lambda task: task["id"])))

    def change(self, title: str, /, **fields: Any) -> None:
        """Set fields of a task by hand; None takes one out."""
        tasks = self.tasks()
        for task in tasks:
            if task["title"] == title:
                task.update(fields)
                for name in [name for name, value in fields.items() if value is None]:
                    del task[name]
        self.write(tasks)

    def drop(self, title: str) -> None:
        self.write([task for task in self.tasks() if task["title"] != title])

    def edit_events(self, path: Path, change: Callable[[dict[str, Any]], None]) -> None:
        """Change events of a file and compute their hashes again, as a forger would."""
        events = [json.loads(row) for row in path.read_text().splitlines()]
        for event in events:
            change(event)
            event["hash"] = event_hash(event)
        path.write_bytes(b"".join(map(line, events)))

    def replace(self, old: str, new: str, count: int = 1) -> None:
        data = self.file.read_text()
        assert old in data
        self.file.write_text(data.replace(old, new, count))

    def sha(self) -> str:
        return sha256(self.file.read_bytes()).hexdigest()

    def forge(self, **fields: Any) -> Path:
        """Put an event into the log that nobody saved, by default a task_updated that changes nothing."""
        events = [
            json.loads(row) for path in sorted(self.audit.rglob("*.jsonl")) for row in path.read_text().splitlines()
        ]
        followed = {name for event in events for name in event["prev"]}
        heads = [event["hash"] for event in events if event["hash"] not in followed]
        event = {
            "v": 1, "event_id": "00000000-0000-4000-8000-000000000001", "timestamp": "2027-01-01T00:00:00.000000Z",
            "event_type": "task_updated", "task_id": None, "uid": None, "actor": "other", "source": "cli",
            "why": None, "txn": "00000000-0000-4000-8000-000000000002", "details": {"changes": {}},
            "before": self.sha(), "after": self.sha(), "prev": heads, **fields,
        }  # fmt: skip
        event["hash"] = event_hash(event)
        path = self.audit / "2027-01-01" / "000000.000000Z-000000000000.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(line(event))
        return path

    def commit(self, words: str = "by hand") -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", words)

    # -- judging --------------------------------------------------------------------------

    def found(self, **asked: Any) -> list[Finding]:
        return self.project.verify(**asked).findings

    def codes(self, **asked: Any) -> set[str]:
        return {finding["code"] for finding in self.found(**asked)}


def spread() -> Iterator[int]:
    """Ids in place of chance: first 63 at even distances, then one between each two of them, in mixed order.

    So two tasks that branches add never stand side by side, where git would see a conflict.
    """
    step = 1 << 14
    yield from range(step, 1 << 20, step)
    yield from (number * 37 % 64 * step + step // 2 for number in range(64))


def make_seed(folder: Path) -> None:
    """Tasks alpha to epsilon, two of them linked, one finished, one deleted; a branch with a change of its own.

    Between any two of them stands one that nobody touches.
    """
    kit = make_repository(folder)
    taskkeep.init(str(folder))
    project = kit.project

    def still(backlog: Backlog, context: Context) -> Backlog:
        for number in range(63):
            given = {"task_id": context.new_id(), "uid": context.new_uid(), "now": context.now, "actor": context.actor}
            backlog = add_task(backlog, {"title": f"still {number}"}, **given)
        return backlog

    project._save("still", None, still, {})
    for title in ("alpha", "beta", "gamma", "delta", "epsilon", "doomed"):
        project.add(title, description=f"What {title} is about.", labels=["one"], priority="low")
    ids = {task["title"]: task["id"] for task in project.backlog().tasks.values()}
    project.update([ids["alpha"]], Edit(set={"priority": "high"}, add={"depends_on": [ids["beta"]]}))
    project.update([ids["alpha"]], Edit(set={"priority": "critical", "description": "Better said."}))
    project.finish([ids["gamma"]])
    project.delete([ids["doomed"]], why="nobody needs it")
    kit.git("branch", "base")
    kit.git("checkout", "-q", "-b", "work")
    project.update([ids["delta"]], Edit(set={"assignee": "ada"}))


def copied(seed: Path, folder: Path) -> Case:
    shutil.copytree(seed, folder, symlinks=True)
    return Case(folder)

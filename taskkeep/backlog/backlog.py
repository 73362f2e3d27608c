"""All tasks of a project, found by id and alias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.backlog.task import FINISHED, STATUSES, Task, shortened
from taskkeep.errors import AmbiguousId, BacklogUnreadable, TaskArchived, TaskNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NEAREST_LIMIT = 3


class Backlog:
    """The live and the archived tasks, each by id and sorted by id; never changed, only replaced.

    Identity means "unchanged": a task that a change left alone is the same dict, and a change
    that changed nothing gives the same Backlog.
    """

    __slots__ = ("_aliases", "archived", "tasks")

    def __init__(self, tasks: dict[str, Task], archived: dict[str, Task] | None = None) -> None:
        self.tasks = tasks
        self.archived: dict[str, Task] = {} if archived is None else archived
        self._aliases: dict[str, list[str]] | None = None

    @classmethod
    def of(cls, tasks: Iterable[Task], archived: Iterable[Task] = ()) -> Backlog:
        """A backlog of tasks in any order. Raises BacklogUnreadable where two have one id."""
        return cls(_by_id(tasks), _by_id(archived))

    def __contains__(self, task_id: object) -> bool:
        """True for the exact id of a task, archived ones included: what a link may name."""
        return task_id in self.tasks or task_id in self.archived

    def get(self, task_id: str) -> Task | None:
        """The task of exactly this id, archived ones included."""
        return self.tasks.get(task_id) or self.archived.get(task_id)

    def resolve(self, text: str, *, archived: bool = True) -> str:
        """The id that *text* means: an id in any case, else an alias.

        Raises TaskNotFound, AmbiguousId where several tasks bear the alias, and without
        *archived* TaskArchived for a task that lies in the archive.
        """
        task_id = text.strip().upper()
        if task_id not in self.tasks and task_id not in self.archived:
            ids = self._bearers(text)
            if not ids:
                raise TaskNotFound(shortened(text.strip()), self._nearest(task_id))
            if len(ids) > 1:
                raise AmbiguousId(shortened(text.strip()), ids)
            task_id = ids[0]
        if not archived and task_id not in self.tasks:
            raise TaskArchived(task_id)
        return task_id

    def task(self, text: str) -> Task:
        """The live task that *text* names, as a change needs it. Raises as `resolve` does."""
        return self.tasks.get(text) or self.tasks[self.resolve(text, archived=False)]

    def find(self, text: str) -> Task:
        """The task that *text* names, live or archived, as a reader needs it."""
        task_id = self.resolve(text)
        return self.tasks.get(task_id) or self.archived[task_id]

    def warnings_for(self, texts: Iterable[str]) -> list[str]:
        """What `warning_for` says of each."""
        return [words for words in map(self.warning_for, texts) if words]

    def warning_for(self, text: str) -> str | None:
        """What to say of *text* that is an alias of a task, or the id of one and an alias of another: the id won."""
        task_id = text.strip().upper()
        others = [bearer for bearer in self._bearers(text) if bearer != task_id]
        if not others:
            return None
        words = "is also an alias of" if task_id in self else "is an alias of"
        return f"{shortened(task_id)} {words} {', '.join(others)}"

    def counts(self) -> dict[str, int]:
        """How many tasks have each status that there is, in the order of STATUSES; the archive is not counted."""
        found = [task["status"] for task in self.tasks.values()]
        counts = {status: found.count(status) for status in STATUSES}
        return {status: count for status, count in counts.items() if count}

    def blockers(self, task: Mapping[str, Any]) -> list[str]:
        """The ids that *task* still waits for: open tasks, and such as are not there."""
        waiting = []
        for target in task.get("depends_on", ()):
            found = self.tasks.get(target)
            if found is not None:
                if found["status"] not in FINISHED:
                    waiting.append(target)
            elif target not in self.archived:
                waiting.append(target)
        return waiting

    def naming(self, targets: Iterable[str]) -> list[str]:
        """The ids of the live tasks whose depends_on or parent names one of *targets*."""
        wanted = frozenset(targets)
        return [
            task_id
            for task_id, task in self.tasks.items()
            if ("parent" in task and task["parent"] in wanted)
            or ("depends_on" in task and not wanted.isdisjoint(task["depends_on"]))
        ]

    def replacing(self, *tasks: Task) -> Backlog:
        """A backlog with these tasks put in, over those of the same id or as new ones.

        A task that was in the archive comes back from it.
        """
        changed = [task for task in tasks if self.tasks.get(task["id"]) is not task]
        if not changed:
            return self
        result = dict(self.tasks)
        result.update((task["id"], task) for task in changed)
        if len(result) > len(self.tasks):
            result = dict(sorted(result.items()))
        archived = self.archived
        if any(task["id"] in archived for task in changed):
            archived = {task_id: task for task_id, task in archived.items() if task_id not in result}
        return Backlog(result, archived)

    def archiving(self, *ids: str) -> Backlog:
        """A backlog with these live tasks moved to the archive, as they are."""
        moved = {task_id: self.tasks[task_id] for task_id in ids if task_id in self.tasks}
        if not moved:
            return self
        kept = {task_id: task for task_id, task in self.tasks.items() if task_id not in moved}
        return Backlog(kept, dict(sorted({**self.archived, **moved}.items())))

    def without(self, *ids: str) -> Backlog:
        """A backlog without these live tasks."""
        if not any(task_id in self.tasks for task_id in ids):
            return self
        gone = frozenset(ids)
        kept = {task_id: task for task_id, task in self.tasks.items() if task_id not in gone}
        return Backlog(kept, self.archived)

    def _bearers(self, alias: str) -> list[str]:
        if self._aliases is None:
            index: dict[str, list[str]] = {}
            for tasks in (self.tasks, self.archived):
                for task_id, task in tasks.items():
                    for name in task.get("aliases", ()):
                        bearers = index.setdefault(name.casefold(), [])
                        if task_id not in bearers:
                            bearers.append(task_id)
            self._aliases = index
        return self._aliases.get(alias.strip().casefold(), [])

    def _nearest(self, text: str) -> list[str]:
        """Ids that the writer may have meant: one it begins, or one character away."""
        if not 1 <= len(text) <= 40:
            return []
        alike = text.replace("O", "0").replace("I", "1").replace("L", "1").replace("U", "V")
        likely = (alike, f"T{text.lstrip('#T-').zfill(4)}", f"T{text}")
        found = [task_id for task_id in dict.fromkeys(likely) if task_id in self.tasks]
        for task_id in self.tasks:
            if len(found) >= NEAREST_LIMIT:
                break
            begun = len(text) > 2 and task_id.startswith(text)
            close = len(task_id) == len(text) and sum(map(str.__ne__, task_id, text)) == 1
            if (begun or close) and task_id not in found:
                found.append(task_id)
        return found


def alias_words(texts: Iterable[str], tasks: Iterable[Task]) -> list[str]:
    """What to say where *texts* led to *tasks* by an alias; for whoever does not hold all tasks."""
    pairs = [(text.strip().upper(), task["id"]) for text, task in zip(texts, tasks, strict=True)]
    return [f"{shortened(name)} is an alias of {task_id}" for name, task_id in pairs if name != task_id]


def _by_id(tasks: Iterable[Task]) -> dict[str, Task]:
    found: dict[str, Task] = {}
    for task in sorted(tasks, key=lambda task: str(task["id"])):
        if task["id"] in found:
            raise BacklogUnreadable("duplicate_id", f"two tasks have the id {task['id']}", task_id=task["id"])
        found[task["id"]] = task
    return found

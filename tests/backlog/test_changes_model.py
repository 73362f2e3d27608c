"""Long random sequences of changes give what a simple model gives.

The model keeps a task as a plain record, knows nothing of canonical form, of identity or of
links by alias, and is written from CONTRACT rather than from the code.
"""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from taskkeep.backlog import changes, rules
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import Edit
from taskkeep.backlog.shape import quick_ok
from taskkeep.backlog.task import Task, canonical, same
from taskkeep.backlog.times import to_text
from taskkeep.errors import TaskkeepError

OPEN = ("todo", "in_progress", "blocked", "review")
LISTS = ("labels", "depends_on", "external_refs", "acceptance_criteria", "notes")
OPTIONAL = ("description", "assignee", "role", "parent", "due", "started_at", "completed_at", "claimed_by")
OPTIONAL += ("claimed_until",)
IDS = st.sampled_from([f"T{number:04d}" for number in range(1, 6)])
ACTORS = st.sampled_from(["ada", "bot"])
LABELS = st.lists(st.sampled_from(["ci", "ui", "api"]), max_size=3)
STATUSES = st.sampled_from([*OPEN, "done", "cancelled"])
WORDS = st.sampled_from(["one", "two", "three"])
JSON = st.sampled_from([0, 1, True, False, 1.0, "a", None, [], {"b": 1, "a": 2}])
EDITS = st.fixed_dictionaries(
    {},
    optional={
        "title": WORDS,
        "description": WORDS | st.none(),
        "status": STATUSES,
        "priority": st.sampled_from(["low", "high"]),
        "labels": LABELS,
        "assignee": WORDS | st.none(),
        "parent": IDS | st.none(),
        "depends_on": st.lists(IDS, max_size=2),
        "acceptance_criteria": st.lists(WORDS, max_size=2),
        "due": st.sampled_from(["2027-01-31", None]),
        "metadata": st.dictionaries(st.sampled_from(["x", "y"]), JSON.filter(lambda value: value is not None)),
    },
)


class RefusalError(Exception):
    """The model refuses a change."""


class Model:
    """What a backlog is, in the plainest way."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}

    def free(self, task_id: str, now: str, actor: str, force: bool = False) -> dict[str, Any]:
        if task_id not in self.tasks:
            raise RefusalError
        task = self.tasks[task_id]
        if task["claimed_by"] not in (None, actor) and task["claimed_until"] > now and not force:
            raise RefusalError
        return task

    def set_status(self, task: dict[str, Any], status: str, now: str) -> None:
        task["status"] = status
        if status == "in_progress" and task["started_at"] is None:
            task["started_at"] = now
        if status in OPEN:
            task["completed_at"] = None
        else:
            task["completed_at"] = task["completed_at"] or now
            task["claimed_by"] = task["claimed_until"] = None

    def set_field(self, task: dict[str, Any], field: str, value: Any, now: str) -> None:
        if field == "status":
            self.set_status(task, value, now)
        elif field == "parent" or field == "depends_on":
            for target in [value] if isinstance(value, str) else value or []:
                # A link that stands already may stay, wherever it leads.
                standing = task[field] if field == "depends_on" else [task[field]]
                if target not in standing and (target == task["id"] or target not in self.tasks):
                    raise RefusalError
            task[field] = value
        elif field == "acceptance_criteria":
            task[field] = [{"text": text, "done": False} for text in value]
        else:
            task[field] = value

    def open_dependencies(self, task: dict[str, Any]) -> bool:
        return any(self.tasks[target]["status"] in OPEN for target in task["depends_on"])

    def has_circle(self) -> bool:
        def reaches_itself(start: str, field: str) -> bool:
            seen: set[str] = set()
            level = [start]
            while level:
                value = self.tasks[level.pop()][field]
                for target in [value] if isinstance(value, str) else value or []:
                    if target == start:
                        return True
                    if target not in seen:
                        seen.add(target)
                        level.append(target)
            return False

        return any(reaches_itself(task_id, field) for task_id in self.tasks for field in ("parent", "depends_on"))

    def shown(self) -> dict[str, Task]:
        result = {}
        for task_id in sorted(self.tasks):
            task = self.tasks[task_id]
            kept = {field: value for field, value in task.items() if value not in (None, "", [], {})}
            for field in ("labels", "depends_on", "external_refs"):
                if field in kept:
                    kept[field] = sorted(set(kept[field]))
            result[task_id] = kept
        return result


class Changes(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.backlog = Backlog({})
        self.model = Model()
        self.clock = 0
        for task_id in ("T0001", "T0002", "T0003"):
            self.put(task_id, "ada", {})

    def tick(self) -> str:
        self.clock += 1_000_000
        return to_text(1_795_000_000_000_000 + self.clock)

    def both(self, now: str, real: Any, model: Any) -> None:
        """Do the same to both; a refusal leaves both as they were, and no change is no new object."""
        before_model, before = copy.deepcopy(self.model.tasks), self.backlog
        before_text = repr(before.tasks)
        refused = False
        try:
            model()
            if self.model.has_circle():
                raise RefusalError
        except RefusalError:
            self.model.tasks = before_model
            refused = True
        try:
            after = real(before)
            assert rules.refuse_worse(before, after) == []
        except TaskkeepError:
            assert refused
            after = before
        else:
            assert not refused
        assert repr(before.tasks) == before_text
        for task_id, task in self.model.tasks.items():
            old = before_model.get(task_id)
            if old is not None and repr(canonical(task)) != repr(canonical(old)):
                task["updated_at"] = now
        for task_id, task in after.tasks.items():
            old_task = before.tasks.get(task_id)
            if old_task is not None and same(task, old_task):
                assert task is old_task
        if repr(after.tasks) == before_text:
            assert after is before
        self.backlog = after

    @rule(task_id=IDS, actor=ACTORS, fields=EDITS)
    def add(self, task_id: str, actor: str, fields: dict[str, Any]) -> None:
        if task_id not in self.model.tasks:
            self.put(task_id, actor, fields)

    def put(self, task_id: str, actor: str, fields: dict[str, Any]) -> None:
        now = self.tick()
        fields = {"title": "new", **fields}

        def model() -> None:
            task: dict[str, Any] = dict.fromkeys(OPTIONAL)
            task.update({field: [] for field in LISTS})
            task.update(id=task_id, uid=task_id[1:].rjust(32, "0"), status="todo", priority="medium", type="task")
            task.update(metadata={}, created_at=now, created_by=actor, updated_at=now)
            for field, value in fields.items():
                self.model.set_field(task, field, value, now)
            self.model.tasks[task_id] = task

        uid = task_id[1:].rjust(32, "0")
        self.both(now, lambda b: changes.add_task(b, fields, task_id=task_id, uid=uid, now=now, actor=actor), model)

    @rule(task_id=IDS, actor=ACTORS, fields=EDITS, force=st.booleans(), as_object=st.booleans())
    def update(self, task_id: str, actor: str, fields: dict[str, Any], force: bool, as_object: bool) -> None:
        now = self.tick()
        if as_object:
            fields = {field: value for field, value in fields.items() if field != "metadata"}

        def model() -> None:
            task = self.model.free(task_id, now, actor, force)
            for field, value in fields.items():
                self.model.set_field(task, field, value, now)

        def real(backlog: Backlog) -> Backlog:
            if as_object:
                return changes.merge_object(backlog, task_id, fields, now=now, actor=actor, force=force)
            return changes.update_task(backlog, task_id, Edit(set=fields), now=now, actor=actor, force=force)

        self.both(now, real, model)

    @rule(task_id=IDS, actor=ACTORS, add=LABELS, remove=LABELS, words=st.lists(WORDS, max_size=2))
    def lists(self, task_id: str, actor: str, add: list[str], remove: list[str], words: list[str]) -> None:
        now = self.tick()

        def model() -> None:
            task = self.model.free(task_id, now, actor)
            task["labels"] = sorted({label for label in task["labels"] if label not in remove} | set(add))
            for word in words:
                if word not in [item["text"] for item in task["acceptance_criteria"]]:
                    task["acceptance_criteria"] = [*task["acceptance_criteria"], {"text": word, "done": False}]

        edit = Edit(add={"labels": add, "acceptance_criteria": words}, remove={"labels": remove})
        self.both(now, lambda b: changes.update_task(b, task_id, edit, now=now, actor=actor), model)

    @rule(task_id=IDS, actor=ACTORS, goal=IDS, adding=st.booleans())
    def link(self, task_id: str, actor: str, goal: str, adding: bool) -> None:
        now = self.tick()

        def model() -> None:
            task = self.model.free(task_id, now, actor)
            if goal not in self.model.tasks or (adding and goal == task_id):
                raise RefusalError
            there = [other for other in task["depends_on"] if other != goal]
            task["depends_on"] = [*there, goal] if adding else there

        edit = Edit(**{"add" if adding else "remove": {"depends_on": [goal.lower()]}})  # type: ignore[arg-type]
        self.both(now, lambda b: changes.update_task(b, task_id, edit, now=now, actor=actor), model)

    @rule(task_id=IDS, actor=ACTORS, key=st.sampled_from(["x", "y"]), value=JSON)
    def set_key(self, task_id: str, actor: str, key: str, value: Any) -> None:
        now = self.tick()

        def model() -> None:
            metadata = dict(self.model.free(task_id, now, actor)["metadata"])
            metadata.pop(key, None)
            if value is not None:
                metadata[key] = value
            self.model.tasks[task_id]["metadata"] = metadata

        edit = Edit(metadata={key: value})
        self.both(now, lambda b: changes.update_task(b, task_id, edit, now=now, actor=actor), model)

    @rule(task_id=IDS, actor=ACTORS, number=st.integers(0, 3), done=st.booleans())
    def tick_criterion(self, task_id: str, actor: str, number: int, done: bool) -> None:
        now = self.tick()

        def model() -> None:
            criteria = self.model.free(task_id, now, actor)["acceptance_criteria"]
            if not 1 <= number <= len(criteria):
                raise RefusalError
            criteria[number - 1]["done"] = done

        edit = Edit(check=[number] if done else [], uncheck=[] if done else [number])
        self.both(now, lambda b: changes.update_task(b, task_id, edit, now=now, actor=actor), model)

    @rule(task_id=IDS, actor=ACTORS, status=STATUSES, force=st.booleans())
    def set_status(self, task_id: str, actor: str, status: str, force: bool) -> None:
        now = self.tick()

        def model() -> None:
            self.model.set_status(self.model.free(task_id, now, actor, force), status, now)

        self.both(now, lambda b: changes.set_status(b, task_id, status, now=now, actor=actor, force=force), model)

    @rule(task_id=IDS, actor=ACTORS, force=st.booleans())
    def finish(self, task_id: str, actor: str, force: bool) -> None:
        now = self.tick()

        def model() -> None:
            task = self.model.free(task_id, now, actor, force)
            if task["status"] != "done" and self.model.open_dependencies(task) and not force:
                raise RefusalError
            self.model.set_status(task, "done", now)

        self.both(now, lambda b: changes.finish_task(b, task_id, now=now, actor=actor, force=force), model)

    @rule(task_id=IDS, actor=ACTORS, text=WORDS)
    def note(self, task_id: str, actor: str, text: str) -> None:
        now = self.tick()

        def model() -> None:
            if task_id not in self.model.tasks:
                raise RefusalError
            task = self.model.tasks[task_id]
            task["notes"] = [*task["notes"], {"at": now, "by": actor, "text": text}]

        self.both(now, lambda b: changes.add_note(b, task_id, text, now=now, actor=actor), model)

    @rule(ids=st.lists(IDS, min_size=1, max_size=2), actor=ACTORS, unlink=st.booleans(), force=st.booleans())
    def delete(self, ids: list[str], actor: str, unlink: bool, force: bool) -> None:
        now = self.tick()

        def model() -> None:
            for task_id in ids:
                self.model.free(task_id, now, actor, force)
            for task_id, task in self.model.tasks.items():
                if task_id not in ids and (task["parent"] in ids or set(task["depends_on"]) & set(ids)):
                    if not unlink:
                        raise RefusalError
                    self.model.free(task_id, now, actor, force)
                    task["parent"] = None if task["parent"] in ids else task["parent"]
                    task["depends_on"] = [other for other in task["depends_on"] if other not in ids]
            for task_id in set(ids):
                del self.model.tasks[task_id]

        self.both(
            now,
            lambda b: changes.delete_tasks(b, ids, unlink=unlink, now=now, actor=actor, force=force),
            model,
        )

    @rule(task_id=IDS, actor=ACTORS, seconds=st.sampled_from([0, 2, 5]))
    def claim(self, task_id: str, actor: str, seconds: int) -> None:
        """Somebody takes the task, as `claim` does, so that the other changes meet claims."""
        if task_id not in self.model.tasks or self.model.tasks[task_id]["status"] not in OPEN:
            return
        now = self.tick()
        until = to_text(1_795_000_000_000_000 + self.clock + seconds * 1_000_000)
        claimed = {"status": "in_progress", "claimed_by": actor, "claimed_until": until, "updated_at": now}
        claimed["started_at"] = self.model.tasks[task_id]["started_at"] or now
        self.model.tasks[task_id].update(claimed)
        self.backlog = self.backlog.replacing(canonical({**self.backlog.tasks[task_id], **claimed}))

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "model"):
            return
        expected = self.model.shown()
        assert list(self.backlog.tasks) == list(expected)
        for task_id, task in self.backlog.tasks.items():
            assert task == expected[task_id]
            assert same(task.get("metadata"), canonical(expected[task_id]).get("metadata"))
            assert same(task, canonical(task))
            assert quick_ok(task)
        assert rules.problems(self.backlog) == []


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)

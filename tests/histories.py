"""Random histories of one backlog, each with its log, made by the functions that a save uses; no disk."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import strategies as st

from taskkeep.backlog import changes, text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import Edit
from taskkeep.backlog.events import Chain, Event, Request, task_changes
from taskkeep.backlog.replay import Replay, causal_order, heads
from taskkeep.backlog.times import to_text
from taskkeep.errors import TaskkeepError

IDS = [f"T{number:04d}" for number in range(1, 7)]
STOCK = [
    (
        "add",
        task_id,
        "one",
    )
    for task_id in IDS[:3]
]  # what a law begins with, so that most steps find their task
ids = st.sampled_from(IDS)
words = st.sampled_from(["one", "two", "öäü", 'a "quote"', "{brace}", "line\\n", "✓"])
labels = st.lists(st.sampled_from(["ci", "ui", "api"]), max_size=3, unique=True)
scalars = st.sampled_from([0, 1, 1.0, True, False, 2, 1.5, "a", [], [1, None], {"b": 1, "a": {}}, "null", -7])
edits = st.fixed_dictionaries(
    {},
    optional={
        "title": words,
        "description": words | st.none(),
        "status": st.sampled_from(["todo", "in_progress", "blocked", "review", "done", "cancelled"]),
        "priority": st.sampled_from(["low", "high"]),
        "assignee": words | st.none(),
        "labels": labels,
        "acceptance_criteria": st.lists(words, max_size=3),
        "due": st.sampled_from(["2027-01-31", None]),
    },
)
steps = st.one_of(
    st.tuples(st.just("add"), ids, words),
    st.tuples(st.just("delete"), ids, st.none()),
    st.tuples(st.just("note"), ids, words),
    st.tuples(st.just("check"), ids, st.integers(1, 3)),
    st.tuples(st.just("uncheck"), ids, st.integers(1, 3)),
    st.tuples(st.just("status"), ids, st.sampled_from(["in_progress", "done", "todo"])),
    st.tuples(st.just("update"), ids, edits),
    st.tuples(st.just("metadata"), ids, st.dictionaries(st.sampled_from("xyz"), scalars | st.none(), max_size=3)),
    st.tuples(st.just("link"), ids, ids),
    st.tuples(st.sampled_from(["archive", "bring back"]), ids, st.none()),
)


def take(backlog: Backlog, step: tuple[str, str, Any], now: str, uid: str) -> Backlog:
    """The backlog after one step; as it was where the step is refused."""
    kind, task_id, value = step
    more = {"now": now, "actor": "ada"}
    try:
        if kind == "add":
            if task_id in backlog:
                return backlog
            return changes.add_task(backlog, {"title": value}, task_id=task_id, uid=uid, **more)
        if kind == "delete":
            return changes.delete_tasks(backlog, [task_id], unlink=True, **more)
        if kind == "archive":
            return backlog.archiving(task_id)
        if kind == "bring back":
            return backlog.replacing(backlog.archived[task_id]) if task_id in backlog.archived else backlog
        if kind == "note":
            return changes.add_note(backlog, task_id, value, **more)
        if kind == "status":
            return changes.set_status(backlog, task_id, value, **more)
        edit = {
            "check": lambda: Edit(check=[value]),
            "uncheck": lambda: Edit(uncheck=[value]),
            "update": lambda: Edit(set=value),
            "metadata": lambda: Edit(metadata=value),
            "link": lambda: Edit(add={"depends_on": [value]}),
        }[kind]()
        return changes.update_task(backlog, task_id, edit, **more)
    except TaskkeepError:
        return backlog


class History:
    """A backlog and its log, both grown by the functions that a save uses; no disk."""

    numbers = count(1)

    def __init__(self) -> None:
        self.backlog = Backlog({})
        self.events: list[Event] = []

    def branch(self) -> History:
        other = History()
        other.backlog, other.events = self.backlog, list(self.events)
        return other

    def do(self, *steps: tuple[str, str, Any]) -> None:
        """Carry *steps* out as one request."""
        number = next(self.numbers)
        now = to_text(1_795_000_000_000_000 + number)
        after = self.backlog
        for place, step in enumerate(steps):
            after = take(after, step, now, f"{number:016x}{place:016x}")
        changed = task_changes(self.backlog, after, now)
        if not changed:
            return
        request = Request(txn=f"{number:036d}", actor="ada", now=now, source="api", why=None, key=None, digest=None)
        chain = Chain(
            request,
            before="",
            after="",
            heads=heads(self.events),
            new_id=lambda: f"{next(self.numbers):036d}",
        )
        for kind, task, details in changed:
            chain.add(kind, task["id"], task["uid"], details)
        self.events += chain.events
        self.backlog = after

    @property
    def text(self) -> bytes:
        return text.dump(self.backlog.tasks.values())

    @property
    def archive(self) -> bytes:
        return text.dump(self.backlog.archived.values())


def replayed(events: list[Event]) -> tuple[bytes, bytes]:
    """The backlog and the archive that *events* tell of."""
    replay = Replay(causal_order(events))
    tasks, away = sorted(replay.tasks().values(), key=lambda task: str(task["id"])), replay.archived()
    return (
        text.dump(task for task in tasks if task["uid"] not in away),
        text.dump(task for task in tasks if task["uid"] in away),
    )

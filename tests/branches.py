"""Random branches of one backlog, each with its log, made by the functions that a save uses; no disk."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import strategies as st

from taskkeep.backlog import changes
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import Edit
from taskkeep.backlog.events import Chain, Event, Request, task_changes
from taskkeep.backlog.replay import Replay, causal_order, heads, reconcile
from taskkeep.backlog.task import Task, canonical
from taskkeep.backlog.times import to_text
from taskkeep.errors import TaskkeepError

IDS = [f"T{number:04d}" for number in range(1, 7)]
STOCK = [("add", task_id, "one") for task_id in IDS[:3]]  # what a law begins with, so that most steps find their task
ids = st.sampled_from(IDS)
words = st.sampled_from(["one", "two", "three"])
edits = st.fixed_dictionaries(
    {},
    optional={
        "title": words,
        "description": st.sampled_from(["a\nb\nc", "a\nx\nc", "y\nb\nc", None]),
        "status": st.sampled_from(["todo", "in_progress", "review", "done", "cancelled"]),
        "priority": st.sampled_from(["low", "high"]),
        "assignee": words | st.none(),
        "labels": st.lists(st.sampled_from(["ci", "ui", "api"]), max_size=3, unique=True),
        "parent": ids | st.none(),
        "acceptance_criteria": st.lists(words, max_size=3),
    },
)
steps = st.one_of(
    st.tuples(st.just("add"), ids, words),
    st.tuples(st.just("delete"), ids, st.none()),
    st.tuples(st.just("note"), ids, words),
    st.tuples(st.just("check"), ids, st.integers(1, 2)),
    st.tuples(st.just("uncheck"), ids, st.integers(1, 2)),
    st.tuples(st.just("accept"), ids, words),
    st.tuples(st.just("update"), ids, edits),
    st.tuples(st.just("update"), ids, edits),
    st.tuples(st.just("metadata"), ids, st.dictionaries(st.sampled_from("xy"), st.sampled_from([1, True, "a", None]))),
    st.tuples(st.just("link"), ids, ids),
    st.tuples(st.just("unlink"), ids, ids),
    st.tuples(st.just("claim"), ids, st.sampled_from(["ada", "bot"])),
    st.tuples(st.just("archive"), ids, st.none()),
)
requests = st.lists(st.lists(steps, min_size=1, max_size=3), max_size=6)
ticks = st.one_of(  # what is done to the criteria of one task, of which several say the same
    st.tuples(st.sampled_from(["check", "uncheck"]), st.just(IDS[0]), st.integers(1, 3)),
    st.tuples(st.just("accept"), st.just(IDS[0]), st.sampled_from(["one", "two"])),
    st.tuples(
        st.just("update"),
        st.just(IDS[0]),
        st.fixed_dictionaries({"acceptance_criteria": st.lists(st.sampled_from(["one", "two"]), max_size=4)}),
    ),
)


class Branch:
    """A backlog and its log. Ids are drawn from a small pool, so two branches often draw the same."""

    numbers = count(1)

    def __init__(self) -> None:
        self.backlog = Backlog({})
        self.events: list[Event] = []
        self.known: set[str] = set()

    def fork(self) -> Branch:
        other = Branch()
        other.backlog, other.events, other.known = self.backlog, list(self.events), set(self.known)
        return other

    def do(self, *requests: list[tuple[str, str, Any]]) -> Branch:
        for request in requests:
            number = next(self.numbers)
            now = to_text(1_795_000_000_000_000 + number)
            after = self.backlog
            for place, step in enumerate(request):
                after = self._take(after, step, now, f"{number:016x}{place:016x}")
            self.save(after, now, number)
        return self

    def save(self, after: Backlog, now: str, number: int, choices: list[Any] | None = None) -> None:
        changed = task_changes(self.backlog, after, now)
        if not changed and choices is None:
            return
        request = Request(txn=f"{number:036d}", actor="ada", now=now, source="api", why=None, key=None, digest=None)
        chain = Chain(
            request, before="", after="", heads=heads(self.events), new_id=lambda: f"{next(self.numbers):036d}"
        )
        if choices is not None:
            chain.add("merged", None, None, {"heads": heads(self.events), "choices": choices})
        for kind, task, details in changed:
            chain.add(kind, task["id"], task["uid"], details)
        self.events += chain.events
        self.backlog = after

    def join(self, other: Branch, merged: Backlog) -> list[str]:
        """Take *merged* for the meeting with *other*, as the next save does; what the log does not allow."""
        self.events = causal_order([*self.events, *other.events])
        self.known |= other.known | {task["id"] for task in (*merged.tasks.values(), *merged.archived.values())}
        self.backlog = merged
        wrong: list[str] = []
        if len(heads(self.events)) > 1:
            choices, wrong = reconcile(Replay(self.events), merged.tasks, merged.archived)
            number = next(self.numbers)
            self.save(merged, to_text(1_795_000_000_000_000 + number), number, choices)
        return wrong

    def replayed(self) -> tuple[dict[str, Task], set[str]]:
        replay = Replay(causal_order(self.events))
        return replay.tasks(), replay.archived()

    def _take(self, backlog: Backlog, step: tuple[str, str, Any], now: str, uid: str) -> Backlog:
        kind, task_id, value = step
        more = {"now": now, "actor": "ada"}
        try:
            if kind == "add":
                if task_id in self.known:
                    return backlog
                self.known.add(task_id)
                return changes.add_task(backlog, {"title": value}, task_id=task_id, uid=uid, **more)
            if kind == "delete":
                return changes.delete_tasks(backlog, [task_id], unlink=True, force=True, **more)
            if kind == "note":
                return changes.add_note(backlog, task_id, f"{value} {uid}", **more)
            if kind == "archive":
                if task_id in backlog.archived:
                    return backlog.replacing(canonical({**backlog.archived[task_id], "updated_at": now}))
                return backlog.archiving(task_id)
            if kind == "claim":
                task = backlog.task(task_id)
                claim = {"claimed_by": value, "claimed_until": now, "updated_at": now}
                return backlog.replacing(canonical({**task, **claim})) if task["status"] != "done" else backlog
            edit = {
                "check": lambda: Edit(check=[value]),
                "uncheck": lambda: Edit(uncheck=[value]),
                "accept": lambda: Edit(add={"acceptance_criteria": [value]}),
                "update": lambda: Edit(set=value),
                "metadata": lambda: Edit(metadata=value),
                "link": lambda: Edit(add={"depends_on": [value]}),
                "unlink": lambda: Edit(remove={"depends_on": [value]}),
            }[kind]()
            return changes.update_task(backlog, task_id, edit, force=True, **more)
        except TaskkeepError:
            return backlog


def by_uid(backlog: Backlog) -> dict[str, Task]:
    return {task["uid"]: task for task in (*backlog.archived.values(), *backlog.tasks.values())}

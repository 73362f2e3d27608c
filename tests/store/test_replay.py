"""The audit log and the text form, as laws: what the log says is what the file holds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import taskkeep
from taskkeep.backlog import changes, text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import Edit
from taskkeep.backlog.events import Chain, Event, Request, apply, diff, event_hash, task_changes
from taskkeep.backlog.replay import Replay, causal_order, heads, reconcile
from taskkeep.backlog.task import canonical
from taskkeep.backlog.times import to_text
from taskkeep.errors import TaskkeepError

IDS = [f"T{number:04d}" for number in range(1, 13)]
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


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(steps, min_size=1, max_size=4), max_size=40), st.randoms())
def test_replaying_the_log_gives_the_backlog_byte_for_byte(requests: list[Any], random: Any) -> None:
    """After any sequence of changes, in whatever order the files of the log are read."""
    history = History()
    for request in requests:
        history.do(*request)

    shuffled = list(history.events)
    random.shuffle(shuffled)

    assert replayed(shuffled) == (history.text, history.archive)
    assert causal_order(shuffled) == history.events
    assert all(event["hash"] == event_hash(event) for event in history.events)
    assert len(heads(history.events)) == bool(history.events)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(steps, min_size=1, max_size=4), max_size=25))
def test_a_change_says_all_that_it_did(requests: list[Any]) -> None:
    """What diff() tells of two states of a task, apply() makes of the first: the second."""
    history, now = History(), to_text(1_796_000_000_000_000)
    states: dict[str, list[dict[str, Any]]] = {}
    for request in requests:
        history.do(*request)
        for task in history.backlog.tasks.values():
            states.setdefault(task["uid"], []).append(task)

    for seen in states.values():
        for old, new in pairwise(seen):
            changed = canonical({**new, "updated_at": now})
            assert text.dump([apply(old, diff(old, changed, now), now)]) == text.dump([changed])
            assert diff(changed, changed, now) == {}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(steps, min_size=1, max_size=6), min_size=1, max_size=10),
    st.lists(steps, max_size=6),
)
def test_a_spliced_text_is_the_text_written_anew(before: list[Any], request: list[Any]) -> None:
    """Whatever was added, changed and taken out, and wherever in the file."""
    history = History()
    for one in before:
        history.do(*one)
    old = history.backlog
    data = history.text
    history.do(*request)
    new = history.backlog
    touched = {i for i in {*old.tasks, *new.tasks} if old.tasks.get(i) is not new.tasks.get(i)}

    pieces = text.splice(data, list(old.tasks), {i: new.tasks.get(i) for i in touched})

    assert b"".join(pieces) == history.text
    assert {task["id"]: task for task in text.parse(history.text)} == new.tasks


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(steps, min_size=8, max_size=25),
    st.lists(steps, min_size=1, max_size=4),
    st.lists(steps, min_size=1, max_size=4),
)
def test_what_git_merges_as_text_the_two_logs_allow(
    tmp_path: Path, base: list[Any], ours: list[Any], theirs: list[Any]
) -> None:
    """Where git finds no conflict, replay of both branches' events explains every byte of the result."""
    history = History()
    history.do(*[("add", task_id, "base") for task_id in IDS[::2]])
    history.do(*base)
    left, right = history.branch(), history.branch()
    left.do(*ours)
    right.do(*theirs)
    merged = [git_merged(tmp_path, *(side.text for side in (history, left, right)))]
    merged += [git_merged(tmp_path, *(side.archive for side in (history, left, right)))]
    if None in merged:
        return
    lists = [text.parse(data) for data in merged if data is not None]
    live, archived = ({task["id"]: task for task in tasks} for tasks in lists)
    if [len(live), len(archived)] != list(map(len, lists)):
        return  # one id drawn twice
    events = causal_order([*left.events, *right.events])

    _, wrong = reconcile(Replay(events), live, archived)

    assert wrong == []
    assert [text.dump(live.values()), text.dump(archived.values())] == merged


def git_merged(folder: Path, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """What git makes of three versions of a file; None where it finds a conflict."""
    for name, data in (("base", base), ("ours", ours), ("theirs", theirs)):
        (folder / name).write_bytes(data)
    command = ["git", "merge-file", "-p", "ours", "base", "theirs"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return None if answer.returncode else answer.stdout


@settings(max_examples=100, deadline=None)
@given(
    st.lists(steps, min_size=8, max_size=25),
    st.lists(steps, max_size=6),
    st.lists(steps, max_size=6),
    st.randoms(),
)
def test_a_merged_log_is_read_the_same_in_every_clone(
    base: list[Any], ours: list[Any], theirs: list[Any], random: Any
) -> None:
    """Neither the order of the files nor which side is ours changes what two branches add up to."""
    history = History()
    history.do(*base)
    left, right = history.branch(), history.branch()
    left.do(*ours)
    right.do(*theirs)
    events = [*left.events, *right.events]
    expected = replayed(events)

    random.shuffle(events)

    assert replayed(events) == expected
    assert replayed([*right.events, *left.events]) == expected


@pytest.mark.parametrize("sides", [("ours", "theirs"), ("theirs", "ours")])
def test_branches_that_git_merged_become_one_log(kit: Any, sides: tuple[str, str]) -> None:
    """The next save accepts the text merge as ours, and its first event joins the two."""
    for number in range(30):
        kit.project.add(f"task {number}", commit=False)
    kit.project.recover()
    first, *_, last = sorted(kit.project.backlog().tasks)
    kit.git("checkout", "-q", "-b", "other")
    kit.project.update([last], Edit(set={"title": sides[1]}))
    kit.git("checkout", "-q", "main")
    kit.project.update([first], Edit(set={"title": sides[0]}))
    kit.git("merge", "-q", "-m", "merge", "other")
    assert {"ours", "theirs"} <= kit.titles()
    assert kit.project.verify().findings == []

    saved = kit.project.add("after")

    [merged] = kit.project.log(types=["merged"]).events
    assert saved.events[0] == merged["event_id"]
    assert len(merged["prev"]) == 2
    assert kit.project.verify().findings == []
    kit.assert_sound()


def test_a_side_that_was_chosen_by_hand_is_recorded(kit: Any) -> None:
    """One task edited on both branches: the value that the user kept stands, and the event names it."""
    task_id = kit.id_of("first")
    kit.git("branch", "other")
    kit.project.update([task_id], Edit(set={"title": "ours"}))
    kit.git("checkout", "-q", "other")
    kit.project.update([task_id], Edit(set={"title": "theirs"}))
    kit.git("checkout", "-q", "main")
    kit.git("merge", "-q", "-m", "merge", "other", check=False)
    kit.git("checkout", "--theirs", "backlog.json")
    kit.git("add", "-A")
    kit.git("commit", "-q", "-m", "merge")
    assert [finding["code"] for finding in kit.project.verify().findings] == ["merge_choice"]

    kit.project.add("after")

    [merged] = kit.project.log(types=["merged"]).events
    assert {"theirs"} == {one["to"] for one in merged["details"]["choices"] if one["field"] == "title"}
    assert "theirs" in kit.titles()
    kit.assert_sound()


def test_a_merge_that_kept_neither_side_is_a_hand_edit(kit: Any) -> None:
    """A third value is nobody's change."""
    task_id = kit.id_of("first")
    kit.git("checkout", "-q", "-b", "other")
    kit.project.update([task_id], Edit(set={"title": "theirs"}))
    kit.git("checkout", "-q", "main")
    kit.project.update([task_id], Edit(set={"title": "ours"}))
    kit.git("merge", "-q", "-m", "merge", "other", check=False)
    kit.git("checkout", "--theirs", "backlog.json")
    kit.file.write_bytes(kit.file.read_bytes().replace(b'"theirs"', b'"neither"'))
    kit.git("add", "-A")
    kit.git("commit", "-q", "-m", "merge")
    before = kit.files()

    with pytest.raises(taskkeep.Refused) as refused:
        kit.project.add("after")

    assert refused.value.code == "hand_edit"
    assert kit.files() == before


def test_a_cherry_picked_change_is_taken_as_it_was_made(kit: Any, new_repository: Callable[..., Any]) -> None:
    """Its event comes without those before it; replay still agrees, and verify only warns."""
    for number in range(20):
        kit.project.add(f"task {number}", commit=False)
    kit.project.recover()
    first, *_, last = sorted(kit.project.backlog().tasks)
    kit.git("checkout", "-q", "-b", "other")
    kit.project.update([first], Edit(set={"title": "left behind"}))
    kit.project.update([last], Edit(set={"title": "picked"}))
    kit.git("checkout", "-q", "main")
    kit.git("cherry-pick", "other")

    verdict = kit.project.verify()

    assert verdict.ok, verdict.findings
    assert {finding["code"] for finding in verdict.findings} <= {"audit_broken"}
    assert "picked" in kit.titles()
    assert "left behind" not in kit.titles()

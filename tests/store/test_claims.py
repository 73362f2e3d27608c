"""Claims on disk: numbers come from the log, and nothing is given twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

import taskkeep
from taskkeep.errors import ClaimHeld, KeyReused, NothingReady, OneTaskOnly, StaleClaim, StaleEtag, Usage

YEARS = 10 * 366 * 86_400 * 10**9


# Every kind of writer that names a task.
NAMING: list[Callable[..., Any]] = [
    lambda project, task_id, **more: project.note(task_id, "x", **more),
    lambda project, task_id, **more: project.claim(task_id, **more),
    lambda project, task_id, **more: project.release([task_id], **more),
    lambda project, task_id, **more: project.start([task_id], **more),
    lambda project, task_id, **more: project.finish([task_id], **more),
    lambda project, task_id, **more: project.update_object(None, {"id": task_id, "title": "y"}, **more),
    lambda project, task_id, **more: project.delete([task_id], why="x", **more),
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the clock forward or back by nanoseconds."""
    real = time.time_ns

    def jump(off: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: real() + off)

    return jump


def events_of(kit: Any, task_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = kit.project.log([task_id]).events
    return events


def test_numbers_grow_with_each_grant_and_are_read_from_the_log(kit: Any, clock: Any) -> None:
    """So they hold where nothing but the tracked files is left."""
    task_id = kit.id_of("first")
    assert kit.project.claim(task_id, actor="a").claim == 1
    assert kit.project.claim(task_id, actor="a").claim == 1
    kit.project.release([task_id], actor="a")
    assert kit.project.claim(task_id, actor="b").claim == 2
    shutil.rmtree(kit.local)
    clock(YEARS)
    assert kit.project.claim(task_id, actor="c").claim == 3
    kinds = [event["event_type"] for event in events_of(kit, task_id)]
    assert kinds[:2] == ["task_updated", "claim_expired"]
    expired = events_of(kit, task_id)[1]["details"]
    assert (expired["claimed_by"], expired["claim"]) == ("b", 2)
    clock(0)
    kit.assert_sound()


@pytest.mark.parametrize("jump", [YEARS, -YEARS])
def test_an_older_number_is_refused_whatever_the_clock_says(kit: Any, clock: Any, jump: int) -> None:
    """By every writer that names the task, under the same name, while the lease runs and after it."""
    task_id = kit.id_of("first")
    kit.project.claim(task_id, actor="a", lease="1s")
    clock(2 * 10**9)
    assert kit.project.claim(task_id, actor="a", lease="1h").claim == 2
    before = kit.file.read_bytes()
    for off in (2 * 10**9, jump):
        clock(off)
        for write in NAMING:
            with pytest.raises(StaleClaim):
                write(kit.project, task_id, actor="a", claim=1)
    assert kit.file.read_bytes() == before
    assert kit.project.note(task_id, "x", actor="a", claim=2).changed


def test_a_number_that_was_released_is_refused_once_there_is_a_later_one(kit: Any) -> None:
    task_id = kit.id_of("first")
    kit.project.claim(task_id, actor="a")
    kit.project.release([task_id], actor="a")
    assert kit.project.claim(task_id, actor="a").claim == 2
    kit.project.finish([task_id], actor="a", claim=2)
    with pytest.raises(StaleClaim):
        kit.project.reopen([task_id], actor="a", claim=1)


def test_another_actors_claim_hinders_all_but_notes(kit: Any) -> None:
    """--force lifts it, but for a claim."""
    task_id = kit.id_of("first")
    kit.project.claim(task_id, actor="a")
    for write in NAMING[1:]:
        with pytest.raises(ClaimHeld):
            write(kit.project, task_id, actor="b")
    for write in NAMING[2:]:
        assert write(kit.project, task_id, actor="b", force=True, dry_run=True).dry_run
    assert kit.project.note(task_id, "x", actor="b").changed


def applied(kit: Any, change: Any, **asked: Any) -> taskkeep.Saved:
    """bob gives back the whole file, changed."""
    value = json.loads(kit.file.read_bytes())
    change(value["tasks"], next(task for task in value["tasks"] if task["title"] == "first"))
    return kit.project.apply(json.dumps(value).encode(), actor="bob", **asked)


def test_a_file_that_another_rewrote_whole_goes_not_over_a_claim(kit: Any) -> None:
    """Neither to change the task nor to delete it, but with force; notes are free, and so are other tasks."""
    task_id = kit.id_of("first")
    kit.project.claim(task_id, actor="al")
    for change in (lambda _, task: task.update(title="bob's"), lambda tasks, task: tasks.remove(task)):
        before = kit.files()
        with pytest.raises(ClaimHeld):
            applied(kit, change, allow_delete=[task_id])
        assert kit.files() == before
        assert applied(kit, change, allow_delete=[task_id], force=True, dry_run=True).changed

    assert applied(kit, lambda tasks, task: (task.update(notes=["seen"]), tasks.append({"title": "third"}))).changed
    [task] = kit.project.show([task_id])
    assert (task["title"], task["claimed_by"], [note["by"] for note in task["notes"]]) == ("first", "al", ["bob"])
    with pytest.raises(ClaimHeld):
        applied(kit, lambda _, task: task.pop("notes"), allow_revert=[task_id])
    kit.assert_sound()


def test_a_restore_goes_over_a_claim_and_says_whose_it_is(kit: Any) -> None:
    """Of a task and of everything; the claim stands."""
    task_id = kit.id_of("first")
    kit.project.update([task_id], taskkeep.Edit(set={"priority": "high"}))
    until = kit.project.claim(task_id, actor="al").task["claimed_until"]

    for ids in ([task_id], []):
        saved = kit.project.restore(ids, at="HEAD~2", actor="bob", dry_run=bool(ids))
        assert f"{task_id} is claimed by al until {until}" in saved.warnings
    [task] = kit.project.show([task_id])
    assert (task["priority"], task["claimed_by"]) == ("medium", "al")
    assert kit.project.restore([task_id], at="HEAD~1", actor="al").warnings == []


def test_expectations_go_with_one_task(kit: Any) -> None:
    ids = [kit.id_of("first"), kit.id_of("second")]
    for options in ({"claim": 1}, {"if_match": "0" * 16}):
        with pytest.raises(OneTaskOnly):
            kit.project.finish(ids, **options)
        with pytest.raises(Usage):
            kit.project.add("x", **options)
        with pytest.raises(Usage):
            kit.project.claim(**options)


def test_a_writer_that_names_no_task_holds_what_it_changes_against_them(kit: Any) -> None:
    """Rather than to pass over them in silence."""
    task_id = kit.id_of("first")
    kit.project.finish([task_id])
    with pytest.raises(StaleEtag):
        kit.project.archive(older_than="0d", if_match="0" * 16)
    with pytest.raises(StaleClaim):
        kit.project.archive(older_than="0d", claim=7)


def test_a_stale_etag_says_what_differs_since(kit: Any) -> None:
    from taskkeep.backlog.task import etag

    task_id = kit.id_of("first")
    [old] = kit.project.show([task_id])
    kit.project.note(task_id, "something else")
    kit.project.start([task_id])
    with pytest.raises(StaleEtag) as refused:
        kit.project.finish([task_id], if_match=etag(old))
    differs = refused.value.details["differs"]
    assert differs["status"] == {"from": "todo", "to": "in_progress"}
    assert differs["notes"]["added"][0]["text"] == "something else"
    assert refused.value.details["task"]["etag"] == etag(kit.project.show([task_id])[0])
    with pytest.raises(StaleEtag) as refused:
        kit.project.finish([task_id], if_match="never seen")
    assert refused.value.details["differs"] is None


# -- the same request again


def test_a_request_repeated_with_its_key_gets_its_first_answer(kit: Any) -> None:
    """Over a fresh clone too, where only the log can know."""
    first = kit.project.claim(actor="a", key="k1")
    kit.project.note(first.task["id"], "x", actor="a")
    shutil.rmtree(kit.local)
    again = kit.project.claim(actor="a", key="k1")
    assert (again.replayed, again.changed, again.claim) == (True, True, first.claim)
    assert (again.events, again.commit, again.pending) == (first.events, first.commit, False)
    assert again.tasks[0]["notes"]
    assert len(kit.project.list().tasks) == 2


@pytest.mark.parametrize("change", [{"actor": "b"}, {"why": "other"}, {"lease": "1h"}, {"claim": 1}])
def test_a_key_stands_for_one_request(kit: Any, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Command, arguments, input and actor; how long to wait and what to print are no part of it."""
    task_id = kit.id_of("first")
    kit.project.claim(task_id, actor="a", key="k")
    assert kit.project.claim(task_id, actor="a", key="k", wait=99).replayed
    monkeypatch.setenv("TASKKEEP_ACTOR", "a")
    assert kit.project.claim(task_id, key="k").replayed
    with pytest.raises(KeyReused):
        kit.project.claim(task_id, **{"actor": "a", "key": "k", **change})
    monkeypatch.setenv("TASKKEEP_ACTOR", "b")
    with pytest.raises(KeyReused):
        kit.project.claim(task_id, key="k")


def test_what_failed_or_changed_nothing_keeps_no_key(kit: Any) -> None:
    task_id = kit.id_of("first")
    with pytest.raises(StaleEtag):
        kit.project.start([task_id], key="k", if_match="old")
    assert not kit.project.reopen([task_id], key="k").changed
    assert kit.project.start([task_id], key="k").changed


def test_a_retried_add_whose_task_is_gone_says_so(kit: Any) -> None:
    first = kit.project.add("third", key="k")
    kit.project.delete([first.task["id"]], why="test")
    again = kit.project.add("third", key="k")
    assert (again.replayed, again.events, again.tasks, again.task) == (True, first.events, [], None)


def test_of_two_branches_with_one_key_the_causally_first_answers(kit: Any) -> None:
    task_id = kit.id_of("first")
    kit.git("checkout", "-q", "-b", "other")
    theirs = kit.project.start([task_id], key="k", actor="a")
    kit.git("checkout", "-q", "main")
    assert not kit.project.start([task_id], key="k", actor="a").replayed
    kit.git("merge", "-q", "-X", "ours", "other")
    again = kit.project.start([task_id], key="k", actor="a")
    assert (again.replayed, again.events) == (True, theirs.events)


# -- many workers

WORKER = """
import sys, taskkeep
from taskkeep.errors import NothingReady
project, name = taskkeep.open(sys.argv[1]), sys.argv[2]
try:
    while True:
        saved = project.claim(actor=name, wait=120, commit=False)
        print(saved.task["id"], saved.claim, flush=True)
except NothingReady:
    pass
"""


def start(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_hundred_claims_by_eight_processes_give_nothing_twice(kit: Any) -> None:
    lines = "".join(json.dumps({"op": "add", "title": f"task {n}"}) + "\n" for n in range(198))
    kit.project.batch(lines.encode())
    workers = [start(WORKER, str(kit.root), f"agent-{n}") for n in range(8)]
    given = []
    for worker in workers:
        out, err = worker.communicate(timeout=300)
        assert worker.returncode == 0, err
        given += [tuple(line.split()) for line in out.splitlines()]
    assert len(given) == len({task_id for task_id, _ in given}) == 200
    assert {number for _, number in given} == {"1"}
    assert {task["status"] for task in kit.project.backlog().tasks.values()} == {"in_progress"}
    kit.project.recover()
    kit.assert_sound()


LABOURER = """
import sys, taskkeep
from taskkeep.errors import NothingReady, StaleClaim, ClaimHeld
project, name = taskkeep.open(sys.argv[1]), sys.argv[2]
while True:
    try:
        saved = project.claim(actor=name, wait=120, lease="2s", commit=False)
    except NothingReady:
        break
    task_id, number = saved.task["id"], saved.claim
    try:
        project.note(task_id, f"worked by {name}", actor=name, claim=number, wait=120, commit=False)
        project.finish([task_id], actor=name, claim=number, wait=120, commit=False)
        print(task_id, flush=True)
    except (StaleClaim, ClaimHeld):
        continue  # too slow: somebody else has it now
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_workers_that_are_killed_lose_nothing(kit: Any) -> None:
    """Each task is done once, or claimable again after its lease; log and backlog agree."""
    tasks = 200
    lines = "".join(json.dumps({"op": "add", "title": f"task {n}"}) + "\n" for n in range(tasks - 2))
    kit.project.batch(lines.encode())
    deadline = time.monotonic() + 400
    kills, finished, number = 12, [], 0
    workers: list[subprocess.Popen[str]] = []

    def collect(worker: subprocess.Popen[str]) -> None:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode in (0, -signal.SIGKILL), err
        finished.extend(out.split())

    while time.monotonic() < deadline:
        open_ = [t for t in kit.project.backlog().tasks.values() if t["status"] != "done"]
        if not open_:
            break
        for worker in [worker for worker in workers if worker.poll() is not None]:
            workers.remove(worker)
            collect(worker)
        while len(workers) < 8:
            number += 1
            workers.append(start(LABOURER, str(kit.root), f"agent-{number}"))
        time.sleep(0.4)
        if kills:
            kills -= 1
            os.kill(workers[(kills * 3) % len(workers)].pid, signal.SIGKILL)
    for worker in workers:
        collect(worker)
    found = kit.project.backlog().tasks
    assert {task["status"] for task in found.values()} == {"done"}
    assert len(found) == tasks
    assert len(finished) == len(set(finished)) >= tasks - 12
    done = [
        event["task_id"]
        for event in kit.project.log().events
        if event["details"].get("changes", {}).get("status", {}).get("to") == "done"
    ]
    assert sorted(done) == sorted(found)
    kit.project.recover()
    assert kit.project.verify().findings == []
    with pytest.raises(NothingReady):
        taskkeep.open(str(kit.root)).claim()

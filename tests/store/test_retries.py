"""The same request again, after whatever happened in between: done once, answered twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import taskkeep

from .test_recovery import Die, copy_of, every_step

ADD = "project.add('killed', actor='ada', key='k')"
BATCH = b'{"op": "add", "title": "killed"}\n{"op": "claim", "id": "$1"}\n'


def named(kit: Any, title: str) -> list[Any]:
    return [task for task in kit.project.backlog().tasks.values() if task["title"] == title]


def test_a_request_killed_at_any_step_is_done_once_by_the_retry(kit: Any, run_and_die: Die) -> None:
    """Killed between the save and the answer, the retry gives the answer that was lost."""
    seen = set()
    for step, copy in every_step(kit, run_and_die, ADD, stride=2):
        stood = "killed" in copy.titles_in_head()
        again = copy.project.add("killed", actor="ada", key="k")
        [task] = named(copy, "killed")
        assert (again.changed, again.task["id"], len(again.events)) == (True, task["id"], 1), step
        assert again.replayed or not stood, step
        assert again.commit or again.pending, step
        created = [event for event in copy.project.log().events if event["event_type"] == "task_created"]
        assert [event["event_id"] for event in created if event["task_id"] == task["id"]] == list(again.events)
        copy.project.recover()
        copy.assert_sound()
        seen.add(again.replayed)
    assert seen == {True, False}


def test_a_batch_killed_after_its_save_is_answered_line_by_line(kit: Any, run_and_die: Die) -> None:
    code = f"project.batch({BATCH!r}, actor='ada', key='k')"
    for after in ("local/journal", "/backlog.json"):
        copy = copy_of(kit, kit.folder.parent / after.replace("/", "-"))
        assert run_and_die(copy, after, code)
        again = copy.project.batch(BATCH, actor="ada", key="k")
        [task] = named(copy, "killed")
        assert again.results == [
            {"line": 1, "op": "add", "id": task["id"]},
            {"line": 2, "op": "claim", "id": task["id"], "claim": 1},
        ]
        copy.project.recover()
        copy.assert_sound()


@pytest.mark.parametrize(
    "ask",
    [
        lambda project, **more: project.add("third", key="k", **more),
        lambda project, **more: project.archive(older_than="0d", key="k", **more),
    ],
    ids=["add", "archive"],
)
def test_a_dry_run_of_a_request_done_before_says_so(kit: Any, ask: Any) -> None:
    """What the retry would answer, but no event or commit as if it were its own."""
    kit.project.finish([kit.id_of("first")])
    done = ask(kit.project)
    before = kit.files()

    again = ask(kit.project, dry_run=True)

    assert (again.replayed, again.dry_run, again.changed) == (True, True, True)
    assert (again.events, again.commit, again.pending) == ([], None, False)
    assert again.tasks == done.tasks
    assert kit.files() == before


@pytest.mark.skipif(os.name == "nt", reason="slow to start there")
def test_eight_processes_with_one_key_do_it_once(kit: Any) -> None:
    """One does it; to the others its answer is replayed."""
    code = (
        "import sys, taskkeep\n"
        "saved = taskkeep.open(sys.argv[1]).add('once', actor='ada', key='k', wait=120)\n"
        "print(saved.replayed, saved.task['id'], *saved.events)"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(kit.root)], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    answers = [worker.communicate(timeout=200)[0].split() for worker in workers]
    assert sorted(answer[0] for answer in answers) == ["False", *["True"] * 7]
    assert len({tuple(answer[1:]) for answer in answers}) == 1
    assert len(named(kit, "once")) == 1
    kit.assert_sound()


def test_a_key_holds_in_another_clone(kit: Any, tmp_path: Path) -> None:
    """With the commit that holds the change there; and where the clone was made before, once it is pulled."""
    clone = type(kit)(tmp_path / "clone")
    early = type(kit)(tmp_path / "early")
    kit.git("clone", "-q", str(kit.folder), str(early.folder))
    first = kit.project.claim(actor="ada", key="k")
    kit.git("clone", "-q", str(kit.folder), str(clone.folder))
    early.git("pull", "-q", "--ff-only")
    for other in (clone, early):
        other.git("config", "user.name", "Bot")
        other.git("config", "user.email", "bot@example.invalid")
        again = other.project.claim(actor="ada", key="k")
        assert (again.replayed, again.claim, again.events) == (True, first.claim, first.events)
        assert again.commit == first.commit
        other.assert_sound()


def test_a_key_of_two_branches_stands_twice_and_the_first_answers_always_the_same(kit: Any) -> None:
    """Whichever side merges, and in any clone."""
    kit.git("branch", "other")
    kit.project.add("third", key="k", actor="a")
    kit.git("checkout", "-q", "other")
    kit.project.add("third", key="k", actor="a")
    kit.git("merge", "-q", "main")
    there = kit.project.add("third", key="k", actor="a")
    assert there.replayed
    assert len(named(kit, "third")) == 2
    kit.git("checkout", "-q", "main")
    kit.git("merge", "-q", "other")
    assert taskkeep.open(str(kit.root)).add("third", key="k", actor="a").events == there.events
    assert kit.project.verify().ok

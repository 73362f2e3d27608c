"""The archive: a second file of the same state, moved to and from as safely as everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from tests.store.test_recovery import copy_of

Die = Callable[[Any, Any, str], bool]

# Moves one task into the archive, one out of it, and deletes a third that lies there: both files twice replaced.
BOTH_WAYS = """
from taskkeep.backlog.backlog import Backlog
def change(backlog, context):
    live = {t["title"]: t for t in backlog.tasks.values()}
    old = {t["title"]: t for t in backlog.archived.values()}
    after = backlog.archiving(live["first"]["id"]).replacing(old["back"])
    return Backlog(after.tasks, {i: t for i, t in after.archived.items() if t["title"] != "gone"})
project._save("both ways", None, change, {"why": "to see"})
"""


def archived_titles(kit: Any) -> set[str]:
    return {task["title"] for task in kit.project.backlog().archived.values()}


@pytest.fixture
def done(kit: Any) -> str:
    """The id of a task that is finished."""
    task_id: str = kit.id_of("first")
    kit.project.finish([task_id])
    return task_id


def test_archived_tasks_are_out_of_the_way_and_still_there(kit: Any, done: str) -> None:
    """They leave the list, and show and search still reach them; their ids stay taken."""
    before = kit.project.show([done])[0]

    saved = kit.project.archive(older_than="0d", why="tidy")

    assert [task["id"] for task in saved.tasks] == [done]
    assert kit.titles() == {"second"}
    assert kit.project.show([done]) == [before]
    assert kit.project.search("first", taskkeep.Query(archived=True, all=True)).total == 1
    kit.assert_sound()
    assert kit.git("show", "--format=", "--name-only", "HEAD").split()[-2:] == ["backlog.archive.json", "backlog.json"]
    [event] = kit.project.log(limit=1).events
    assert (event["event_type"], event["source"]) == ("task_updated", "archive")
    assert event["details"] == {"changes": {}, "archived": True}
    assert kit.project.archive(older_than="0d").changed is False


def test_what_is_open_or_lately_finished_stays(kit: Any, done: str) -> None:
    """And of the old ones those that an open task waits for, unless every finished one is asked for."""
    kit.project.update([kit.id_of("second")], taskkeep.Edit(add={"depends_on": [done]}))

    assert kit.project.archive(older_than="1d").changed is False
    assert kit.project.archive(older_than="1s", dry_run=True).changed is False
    assert kit.project.archive(older_than="0d").changed is True
    assert kit.project.ready().total == 1
    kit.assert_sound()


def test_an_archive_edited_by_hand_is_refused_like_the_backlog(kit: Any, done: str) -> None:
    kit.project.archive(older_than="0d")
    path = kit.root / "backlog.archive.json"
    path.write_bytes(path.read_bytes().replace(b"first", b"forged"))
    before = kit.files()

    with pytest.raises(taskkeep.Refused) as refused:
        kit.project.add("after")

    assert refused.value.code == "hand_edit"
    assert kit.files() == before
    assert "replay_mismatch" in {finding["code"] for finding in kit.project.verify().findings}


def test_a_new_checkout_reads_the_archive_from_the_log(kit: Any, done: str, tmp_path: Path) -> None:
    kit.project.archive(older_than="0d")
    clone = type(kit)(tmp_path / "clone")
    kit.git("clone", "-q", str(kit.folder), str(clone.folder))
    clone.git("config", "user.name", "Ada")
    clone.git("config", "user.email", "ada@example.invalid")

    clone.project.add("after")

    assert clone.project.verify().findings == []
    assert archived_titles(clone) == {"first"}


@pytest.mark.parametrize("code", ["project.archive(older_than='0d')", BOTH_WAYS], ids=["archive", "both ways"])
def test_a_kill_at_any_step_loses_no_task_between_the_two_files(kit: Any, run_and_die: Die, code: str) -> None:
    """A reader sees the old state or the new one, at once and after the next command, which settles it."""
    for title in ("back", "gone"):
        kit.project.finish([kit.project.add(title).task["id"]])
    kit.project.archive(older_than="0d")
    kit.project.finish([kit.id_of("first")])
    old = (kit.titles(), archived_titles(kit))
    both = code == BOTH_WAYS
    new = ({"second", "back"}, {"first"}) if both else ({"second"}, {"first", "back", "gone"})
    seen = []
    for step in range(1, 200):
        copy = copy_of(kit, kit.folder.parent / f"step-{step}")
        killed = run_and_die(copy, step, code)
        live, away = copy.titles(), archived_titles(copy) - copy.titles()
        assert live in (old[0], new[0]), step
        assert live | away >= {"first", "second", "back"}, step

        copy.project.add("after")

        state = (copy.titles() - {"after"}, archived_titles(copy))
        assert state == (old if live == old[0] else new), step
        copy.assert_sound()
        seen.append(live)
        if not killed:
            break
    assert old[0] in seen
    assert new[0] in seen
    assert json.loads((copy.root / "backlog.archive.json").read_bytes())["version"] == 1

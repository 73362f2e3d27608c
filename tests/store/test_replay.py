"""Logs whose branches git merged, as text or by hand: what they add up to, and what the next save makes of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from histories import IDS, History, steps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import taskkeep
from taskkeep.backlog import text
from taskkeep.backlog.changes import Edit
from taskkeep.backlog.replay import Replay, causal_order, reconcile


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

"""Branches meet in real repositories, by every way that git has, and nothing is lost."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import Edit
from taskkeep.cli.main import run
from taskkeep.errors import FieldsReverted, Refused, RepositoryBusy, SecretFound, TasksLost, Usage
from taskkeep.store.git.repository import repository_of
from taskkeep.store.merging.citations import citations
from taskkeep.store.placement import Placement
from taskkeep.store.setup import merge_driver


def edit(kit: Any, name: str, **fields: Any) -> None:
    kit.project.update([kit.id_of(name) if not name.startswith("T") else name], Edit(set=fields))


def on(kit: Any, branch: str, *, new: bool = False) -> Any:
    kit.git("checkout", "-q", *(["-b"] if new else []), branch)
    return kit


def codes(kit: Any) -> set[str]:
    return {finding["code"] for finding in kit.project.verify().findings}


def joined(kit: Any) -> None:
    """Sound now, and after the next save, which joins the branches in the log."""
    assert kit.project.verify().ok, kit.project.verify().findings
    kit.project.add("after")
    assert kit.project.verify().findings == []
    assert kit.git("status", "--porcelain") == ""


@pytest.fixture
def both(kit: Any) -> Any:
    """One task edited in different fields on two branches, and a new one on each; main is checked out."""
    on(kit, "other", new=True)
    edit(kit, "first", priority="high", labels=["theirs"])
    kit.project.add("of theirs")
    on(kit, "main")
    edit(kit, "first", assignee="ada", labels=["ours"])
    kit.project.add("of ours")
    return kit


@pytest.fixture
def below(bare_kit: Any) -> Any:
    """A backlog of one task in a folder below the top of its repository."""
    root = bare_kit.folder / "packages" / "one"
    root.mkdir(parents=True)
    taskkeep.init(str(root))
    kit = type(bare_kit)(bare_kit.folder, root)
    kit.project.add("first")
    return kit


def assert_both(kit: Any) -> None:
    task = kit.project.show([kit.id_of("first")])[0]
    assert (task["priority"], task["assignee"], task["labels"]) == ("high", "ada", ["ours", "theirs"])
    assert {"first", "second", "of ours", "of theirs"} <= kit.titles()


@pytest.mark.parametrize("renamed", ["main", "other"])
def test_a_task_archived_where_the_other_side_renamed_the_folder_is_no_deletion(below: Any, renamed: str) -> None:
    """An edit beside brings it back, finished, and nobody has to choose.

    Of a folder that theirs has renamed git knows no attributes before, and merges by lines: then resolve does it."""
    first = below.id_of("first")
    for branch in ("other", "main"):
        on(below, branch, new=branch == "other")
        if branch == renamed:
            below.project.note(first, "beside")
            below.git("mv", "packages/one", "packages/two")
            below.git("commit", "-q", "-m", "renamed")
        else:
            below.project.add(f"of {branch}")
            below.project.finish([first])
            below.project.archive(older_than="0d")
    on(below, "main")

    below.git("merge", "-q", "-m", "merge", "other", check=False)

    moved = type(below)(below.folder, below.folder / "packages" / "two")
    assert (moved.git("ls-files", "-u", "--", "packages/two/backlog.json") != "") == (renamed == "other")
    if renamed == "other":
        moved.project.resolve(choice="ours")
    moved.git("add", "-A")
    moved.git("commit", "-q", "-m", "merge")
    task = moved.project.show([first])[0]
    assert (task["status"], [note["text"] for note in task["notes"]]) == ("done", ["beside"])
    joined(moved)


# -- by every way ------------------------------------------------------------------------------------


WAYS: dict[str, list[list[str]]] = {
    "merge": [["merge", "-q", "-m", "merge", "other"]],
    "rebase": [["checkout", "-q", "other"], ["rebase", "-q", "main"]],
    "cherry-pick": [["cherry-pick", "main..other"]],
    "squash": [["merge", "-q", "--squash", "other"], ["commit", "-q", "-m", "squashed"]],
}


@pytest.mark.parametrize("way", WAYS)
def test_both_sides_are_there_whichever_way_they_met(both: Any, way: str) -> None:
    """Different fields of one task, and what each side added."""
    for command in WAYS[way]:
        both.git(*command)

    assert_both(both)
    joined(both)


def test_a_stash_comes_back_beside_what_was_done_meanwhile(kit: Any) -> None:
    """A change whose commit waits, stashed and popped."""
    kit.project.update([kit.id_of("first")], Edit(set={"priority": "high"}), commit=False)
    kit.git("stash", "-q", "--include-untracked")
    edit(kit, "first", assignee="ada")

    kit.git("stash", "pop", "-q")

    task = kit.project.show([kit.id_of("first")])[0]
    assert (task["priority"], task["assignee"]) == ("high", "ada")


def test_pulling_with_rebase_takes_both_sides(both: Any, scratch: Path) -> None:
    """Of two clones of one repository; the second one's first save set its driver up."""
    both.git("clone", "-q", "--no-hardlinks", ".", str(scratch / "clone"))
    clone = type(both)(scratch / "clone")
    clone.git("config", "user.name", "Bot")
    clone.git("config", "user.email", "bot@example.invalid")
    saved = clone.project.update([clone.id_of("first")], Edit(set={"role": "backend"}))
    assert any("uninstall" in warning for warning in saved.warnings)
    assert clone.project.add("quiet").warnings == []
    edit(both, "first", due="2027-01-31")

    clone.git("pull", "-q", "--rebase")

    task = clone.project.show([clone.id_of("first")])[0]
    assert (task["role"], task["due"]) == ("backend", "2027-01-31")
    joined(clone)


def test_squashing_a_branch_twice_gives_each_change_once(both: Any) -> None:
    """The second time with what the branch has gained."""
    both.git("merge", "-q", "--squash", "other")
    both.git("commit", "-q", "-m", "one")
    joined(both)
    on(both, "other")
    edit(both, "of theirs", priority="low")
    on(both, "main")
    both.git("merge", "-q", "--squash", "other")
    both.git("commit", "-q", "-m", "two")

    assert_both(both)
    assert both.project.show([both.id_of("of theirs")])[0]["priority"] == "low"
    joined(both)


def test_below_the_top_too_what_both_logs_know_is_the_base(below: Any) -> None:
    """After a squash git's own base is older, and would take what the branch changed since for a conflict."""
    on(below, "other", new=True)
    edit(below, "first", priority="high")
    on(below, "main")
    below.git("merge", "-q", "--squash", "other")
    below.git("commit", "-q", "-m", "one")
    on(below, "other")
    edit(below, "first", priority="low")
    on(below, "main")

    below.git("merge", "-q", "-m", "two", "other")

    assert below.project.show([below.id_of("first")])[0]["priority"] == "low"
    joined(below)


def test_criss_cross_merges_agree(both: Any) -> None:
    """Each branch merges the other, both go on, and meet again."""
    both.git("branch", "old-main")
    both.git("merge", "-q", "-m", "m1", "other")
    joined(both)
    on(both, "other")
    both.git("merge", "-q", "-m", "m2", "old-main")
    joined(both)
    edit(both, "second", priority="high")
    on(both, "main")
    edit(both, "second", assignee="ada")

    both.git("merge", "-q", "-m", "m3", "other")

    assert_both(both)
    task = both.project.show([both.id_of("second")])[0]
    assert (task["priority"], task["assignee"]) == ("high", "ada")
    joined(both)


def test_an_octopus_that_would_conflict_is_refused_by_git_and_loses_nothing(both: Any) -> None:
    """Git gives such a merge up; both branches are as they were."""
    both.git("branch", "third", "main~1")
    on(both, "third")
    edit(both, "first", role="backend")
    on(both, "main")
    head = both.head()

    both.git("merge", "-q", "-m", "octopus", "other", "third", check=False)
    both.git("reset", "-q", "--hard", head)

    assert both.project.verify().ok
    assert "of ours" in both.titles()


def test_a_reverted_save_is_as_if_never_done(kit: Any) -> None:
    """On the branch that made it: the file and the event go together."""
    edit(kit, "first", priority="high")
    kit.git("revert", "--no-edit", "HEAD")

    assert "priority" not in codes(kit)
    assert kit.project.show([kit.id_of("first")])[0]["priority"] == "medium"
    assert kit.project.verify().ok


def test_a_merge_in_a_linked_worktree_uses_the_driver_too(both: Any, scratch: Path) -> None:
    both.git("worktree", "add", "-q", "-b", "third", str(scratch / "linked"), "other")
    linked = type(both)(scratch / "linked")

    linked.git("merge", "-q", "-m", "merge", "main")

    assert_both(linked)
    joined(linked)


def test_a_merge_without_the_driver_conflicts_and_resolve_settles_it(both: Any) -> None:
    """Git's markers lie in the file; the index has all that is needed."""
    both.git("config", "--remove-section", "merge.taskkeep")
    both.git("merge", "-q", "-m", "merge", "other", check=False)
    assert "conflict_marker" in codes(both)
    assert both.project.conflicts() == []

    saved, left = both.project.resolve(choice="ours")

    assert (saved.changed, left) == (True, [])
    both.git("commit", "-q", "-m", "merge")
    assert_both(both)
    joined(both)


def test_where_taskkeep_is_gone_git_merges_by_lines(both: Any) -> None:
    """Both versions stand between markers, none is dropped."""
    line = merge_driver.line().replace("-m taskkeep", "-m taskkeep_that_is_gone")
    both.git("config", merge_driver.DRIVER, line)

    both.git("merge", "-q", "-m", "merge", "other", check=False)

    text = both.file.read_text()
    assert "<<<<<<< ours" in text
    assert '"theirs"' in text
    assert '"ours"' in text


# -- archive and ids ---------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_archived_on_one_branch_and_edited_on_the_other_comes_back(kit: Any, turned: bool) -> None:
    """The archive is another file, which the driver is not shown."""
    kit.project.finish([kit.id_of("first")])
    kit.project.finish([kit.id_of("second")])
    first, second = kit.id_of("first"), kit.id_of("second")
    on(kit, "other", new=True)
    kit.project.archive(older_than="0d")
    on(kit, "main")
    kit.project.note(first, "one more thing")
    if turned:
        on(kit, "other")
    kit.git("merge", "-q", "-m", "merge", "main" if turned else "other")

    backlog = kit.project.backlog()
    assert first in backlog.tasks
    assert second in backlog.archived
    joined(kit)
    assert list(kit.project.backlog().archived) == [second]


def test_an_id_drawn_on_two_branches_is_told_apart(git_alone: None, new_repository: Any, scratch: Path) -> None:
    """The elder keeps it; the younger has it as an alias, its own side's links follow, and each command takes it."""
    kit = new_repository(scratch / "r")
    taskkeep.init(str(kit.folder), ids="sequential")
    kit.git("clone", "-q", ".", str(scratch / "clone"))
    clone = type(kit)(scratch / "clone")
    clone.git("config", "user.name", "Bot")
    clone.git("config", "user.email", "bot@example.invalid")
    kit.project.add("elder")
    assert clone.project.add("younger").tasks[0]["id"] == kit.id_of("elder")
    clone.project.add("needs it", depends_on=["T0001"])
    kit.git("pull", "-q", "--no-rebase", "--no-edit", str(scratch / "clone"), "main")

    younger = kit.id_of("younger")
    assert kit.id_of("elder") == "T0001"
    assert kit.project.show([kit.id_of("needs it")])[0]["depends_on"] == [younger]
    assert kit.project.show([younger])[0]["aliases"] == ["T0001"]
    joined(kit)
    assert "is also an alias" in kit.project.note("T0001", "of the elder").warnings[0]
    kit.project.update([younger], Edit(set={"title": "renumbered"}))
    elder = kit.project.show(["T0001"])[0]["uid"]
    assert {event["uid"] for event in kit.project.log(["T0001"]).events} == {elder}
    kit.project.delete(["T0001"], why="gone")
    [warning] = kit.project.note("t0001", "of the younger").warnings
    assert younger in warning
    assert kit.project.verify().findings == []


# -- conflicts -----------------------------------------------------------------------------------------


@pytest.fixture
def conflict(kit: Any) -> Any:
    """A title and a description changed on both sides, a task deleted here and changed there; merged."""
    kit.project.add("third", description="a\nb\nc")
    on(kit, "other", new=True)
    edit(kit, "third", description="a\nb\ntheirs", title="third of theirs")
    edit(kit, "second", priority="high")
    on(kit, "main")
    edit(kit, "third", description="ours\nb\nc", title="third of ours")
    kit.project.delete([kit.id_of("second")], why="done elsewhere")
    kit.git("merge", "-q", "-m", "merge", "other", check=False)
    return kit


def test_an_open_conflict_shows_our_value_and_refuses_other_writers(conflict: Any) -> None:
    """The file stays JSON, git holds it unmerged, and `conflicts` tells both values and who made them."""
    found = {one.conflict.field: one for one in conflict.project.conflicts()}

    assert set(found) == {None, "title", "description"}
    title = found["title"]
    assert (title.conflict.ours, title.conflict.theirs) == ("third of ours", "third of theirs")
    assert (title.ours.branch, title.theirs.branch, title.theirs.actor) == ("main", "other", "Ada")
    assert found[None].conflict.ours is None
    assert conflict.git("ls-files", "-u") != ""
    assert "third of ours" in conflict.titles()
    with pytest.raises(taskkeep.Refused):
        conflict.project.add("no")


def test_conflicts_are_settled_one_by_one_and_the_commit_is_the_users(conflict: Any) -> None:
    """With the last one the file is staged."""
    third = conflict.id_of("third of ours")
    _, left = conflict.project.resolve(third, "title", choice="theirs")
    assert len(left) == 2
    assert conflict.git("ls-files", "-u") != ""
    _, left = conflict.project.resolve(third, "description", choice="both")
    [gone] = left
    assert conflict.project.conflicts()[0].conflict == gone
    saved, left = conflict.project.resolve(gone.task_id, choice="theirs")
    assert left == []
    assert saved.commit is None
    assert conflict.git("ls-files", "-u") == ""

    conflict.git("commit", "-q", "-m", "merge")

    task = conflict.project.show([third])[0]
    assert (task["title"], task["description"]) == ("third of theirs", "ours\nb\ntheirs")
    assert conflict.project.show([gone.task_id])[0]["priority"] == "high"
    assert conflict.project.verify().findings == []
    assert {event["event_type"] for event in conflict.project.log(limit=4).events} >= {"conflict_resolved"}
    joined(conflict)


@pytest.mark.parametrize("choice", ["ours", "theirs", "newest"])
def test_all_conflicts_are_settled_at_once(conflict: Any, choice: str) -> None:
    """Newest is what was changed last: here always ours."""
    _, left = conflict.project.resolve(choice=choice)

    assert left == []
    conflict.git("commit", "-q", "-m", "merge")
    assert ("third of theirs" in conflict.titles()) == (choice == "theirs")
    assert ("second" in conflict.titles()) == (choice == "theirs")
    joined(conflict)


def test_a_merge_given_up_leaves_nothing_behind(conflict: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even what was resolved already. Git refuses where its index knows a file by another time of
    change, which it counts in seconds: so the save ends in a later one than that of its staging."""
    finish = Placement.finish

    def later(*args: Any, **more: Any) -> None:
        began = time.time()
        while int(time.time()) == int(began):
            time.sleep(0.01)
        finish(*args, **more)

    monkeypatch.setattr(Placement, "finish", later)
    conflict.project.resolve(conflict.id_of("third of ours"), "title", choice="theirs")

    assert conflict.git("diff-files") == conflict.git("diff-files", "backlog.json")  # which is in conflict still
    conflict.git("merge", "--abort")

    conflict.assert_sound()
    assert "third of ours" in conflict.titles()


def test_a_conflict_committed_as_it_lay_is_our_value_chosen(conflict: Any) -> None:
    """A warning until the next save records it."""
    conflict.git("add", "-A")
    conflict.git("commit", "-q", "-m", "merge")

    assert codes(conflict) == {"merge_choice"}
    joined(conflict)
    assert "second" not in conflict.titles()


PARTS = {
    "merge": [["merge", "-q", "other"], ["add", "-A"], ["commit", "-q", "-m", "merge"]],
    "squash": [["merge", "-q", "--squash", "other"], ["add", "-A"], ["commit", "-q", "-m", "merge"]],
    "cherry-pick": [["cherry-pick", "other"], ["add", "-A"], ["commit", "-q", "-m", "merge"]],
    "rebase": [["rebase", "-q", "other"], ["add", "-A"], ["-c", "core.editor=true", "rebase", "--continue"]],
}


@pytest.fixture
def parts(kit: Any) -> Any:
    """Two tasks edited in one commit on each of two branches; main is checked out."""
    for branch in ("other", "main"):
        on(kit, branch, new=branch == "other")
        tasks = [kit.id_of(title) for title in ("first", "second")]
        rows = [
            {"op": "update", "id": one, "title": f"{name} of {branch}"} for one, name in zip(tasks, "12", strict=True)
        ]
        kit.project.batch(rows)
    return kit


def taken(kit: Any, **asked: Any) -> list[str]:
    """Whose fields hold one side's value that nobody chose; there is no other finding."""
    found = kit.project.verify(**asked).findings
    assert {one["code"] for one in found} <= {"merge_choice"}
    assert kit.project.verify(**asked).ok == (not found or "base" not in asked)
    titles = {task_id: task["title"] for task_id, task in kit.project.backlog().tasks.items()}
    return sorted(titles.get(one["task_id"], "gone") for one in found)


@pytest.mark.parametrize("way", PARTS)
def test_a_conflict_committed_as_it_lay_is_a_choice_though_another_was_resolved(parts: Any, way: str) -> None:
    """That one is decided; the other is named until the next save records it."""
    first, *rest = PARTS[way]
    parts.git(*first, check=False)
    own = "main" if way != "rebase" else "other"
    parts.project.resolve(parts.id_of(f"1 of {own}"), choice="theirs")
    for command in rest:
        parts.git(*command)

    assert taken(parts) == taken(parts, history=True) == taken(parts, base="other") == [f"2 of {own}"]
    assert not parts.project.verify(strict=True, history=True).ok
    assert f"1 of {own}" not in parts.titles()
    joined(parts)
    assert parts.project.verify(base="other").ok


def test_a_task_edited_there_and_deleted_here_is_not_gone_in_silence(conflict: Any) -> None:
    """With other conflicts resolved, and this one committed as it lay."""
    conflict.project.resolve(conflict.id_of("third of ours"), choice="theirs")
    conflict.git("commit", "-q", "-a", "-m", "merge")

    assert taken(conflict, base="other") == ["gone"]


def test_a_conflict_that_was_resolved_is_not_taken_back_where_git_makes_the_file_anew(parts: Any) -> None:
    """By `git checkout -m`: what the log has decided is no choice of the next resolve."""
    parts.git("merge", "-q", "other", check=False)
    parts.project.resolve(parts.id_of("1 of main"), choice="theirs")
    saved = parts.file.read_bytes()
    parts.git("checkout", "-q", "-m", "--", "backlog.json")
    with pytest.raises(Refused, match="does not explain"):
        parts.project.resolve(parts.id_of("2 of main"), choice="theirs")

    parts.file.write_bytes(saved)
    parts.project.resolve(parts.id_of("2 of main"), choice="theirs")
    parts.git("commit", "-q", "-m", "merge")
    assert {"1 of other", "2 of other"} <= parts.titles()
    parts.assert_sound()


def test_adopting_records_a_conflict_that_was_left_open(parts: Any) -> None:
    parts.git("merge", "-q", "other", check=False)
    parts.project.resolve(parts.id_of("1 of main"), choice="ours")
    parts.git("commit", "-q", "-a", "-m", "merge")

    assert parts.project.adopt(why="ours is right").changed

    parts.assert_sound()
    assert not parts.project.adopt(why="again").changed


@pytest.mark.parametrize("partly", [True, False])
def test_a_conflict_committed_as_it_lay_outlives_those_that_a_rebase_meets_later(parts: Any, partly: bool) -> None:
    """One conflict is resolved before, or only one afterwards: neither is a word on the other."""
    edit(parts, "1 of main", title="once more")
    parts.git("rebase", "-q", "other", check=False)
    if partly:
        parts.project.resolve(parts.id_of("1 of other"), choice="ours")
    parts.git("add", "-A")
    parts.git("-c", "core.editor=true", "rebase", "--continue", check=False)
    parts.project.resolve(parts.id_of("1 of other"), choice="theirs")
    parts.git("-c", "core.editor=true", "rebase", "--continue")

    assert "once more" in parts.titles()
    assert taken(parts, base="other") == ["2 of other"]
    joined(parts)


def test_a_conflict_while_rebasing_is_settled_and_goes_on(kit: Any) -> None:
    """Ours is what is rebased onto."""
    on(kit, "other", new=True)
    edit(kit, "first", title="theirs")
    edit(kit, "theirs", priority="high")
    on(kit, "main")
    edit(kit, "first", title="ours")
    on(kit, "other")
    kit.git("rebase", "-q", "main", check=False)
    [found] = kit.project.conflicts()
    assert (found.ours.branch, found.theirs.branch) == ("main", "other")
    assert (found.conflict.ours, found.conflict.theirs) == ("ours", "theirs")

    kit.project.resolve(choice="theirs")
    kit.git("-c", "core.editor=true", "rebase", "--continue")

    task = kit.project.show([kit.id_of("theirs")])[0]
    assert task["priority"] == "high"
    joined(kit)


@pytest.mark.parametrize("choice", ["ours", "theirs"])
def test_a_circle_of_two_branches_is_settled_either_way(kit: Any, choice: str) -> None:
    first, second = kit.id_of("first"), kit.id_of("second")
    on(kit, "other", new=True)
    kit.project.update([second], Edit(add={"depends_on": [first]}))
    on(kit, "main")
    kit.project.update([first], Edit(add={"depends_on": [second]}))
    kit.git("merge", "-q", "-m", "merge", "other", check=False)
    [found] = kit.project.conflicts()
    assert found.conflict.kind == "cycle"

    kit.project.resolve(second, choice=choice)

    kit.git("commit", "-q", "-m", "merge")
    tasks = kit.project.backlog().tasks
    assert ("depends_on" in tasks[first], "depends_on" in tasks[second]) == (choice == "ours", choice == "theirs")
    joined(kit)


@pytest.mark.parametrize("choice", ["ours", "theirs"])
def test_a_link_to_a_deleted_task_is_settled_either_way(kit: Any, choice: str) -> None:
    """Who takes the side that links gets the deleted task back."""
    first, second = kit.id_of("first"), kit.id_of("second")
    on(kit, "other", new=True)
    kit.project.update([first], Edit(add={"depends_on": [second]}))
    on(kit, "main")
    kit.project.delete([second], why="gone")
    kit.git("merge", "-q", "-m", "merge", "other", check=False)
    [found] = kit.project.conflicts()
    assert found.conflict.kind == "dangling"

    kit.project.resolve(first, choice=choice)

    kit.git("commit", "-q", "-m", "merge")
    assert (second in kit.project.backlog().tasks) == (choice == "theirs")
    joined(kit)


def test_the_commands_of_a_conflict(conflict: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """What they print for programs and for people, and their exit statuses."""
    folder = ["-C", str(conflict.folder)]
    third = conflict.id_of("third of ours")

    assert run([*folder, "conflicts", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)["conflicts"]
    assert [one["field"] for one in found if one["task_id"] == third] == ["description", "title"]
    assert found[0].keys() >= {"task_id", "field", "kind", "base", "ours", "theirs", "branch", "actor", "time"}
    assert run([*folder, "conflicts"]) == 0
    assert "third of theirs" in capfd.readouterr().out
    assert run([*folder, "resolve", third]) == 2
    assert run([*folder, "resolve", "--all", "--ours", "--theirs"]) == 2
    assert run([*folder, "resolve", third, "priority", "--ours"]) == 3
    assert run([*folder, "resolve", third, "title", "--both"]) == 2
    assert run([*folder, "resolve", third, "title", "--value", ""]) == 4
    assert run([*folder, "resolve", third, "title", "--value", "agreed", "--json"]) == 0
    answer = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert answer["open"] == 2
    assert answer["tasks"][0]["title"] == "agreed"
    assert run([*folder, "resolve", "--all", "--ours"]) == 0
    conflict.git("commit", "-q", "-m", "merge")
    assert run([*folder, "resolve", "--all", "--ours"]) == 3
    assert run([*folder, "conflicts", "--json"]) == 0
    joined(conflict)


# -- merge and sync ------------------------------------------------------------------------------------


def test_a_whole_merge_by_command(both: Any) -> None:
    """Commit included, driver set up or not; before it, what would be."""
    both.git("config", "--remove-section", "merge.taskkeep")
    before, head = both.files(), both.head()

    saved, left = both.project.merge("other", dry_run=True)
    assert (saved.changed, left, both.files(), both.head()) == (True, [], before, head)
    saved, left = both.project.merge("other")

    assert saved.commit == both.head()
    assert len(both.git("rev-list", "--parents", "-n", "1", "HEAD").split()) == 3
    assert_both(both)
    assert not both.project.merge("other")[0].changed
    joined(both)


def test_a_merge_that_conflicts_stays_open(kit: Any) -> None:
    """Exit 5, and the words that help."""
    on(kit, "other", new=True)
    edit(kit, "first", title="theirs")
    on(kit, "main")
    edit(kit, "first", title="ours")
    _, [would] = kit.project.merge("other", dry_run=True)
    assert would.field == "title"

    with pytest.raises(taskkeep.Refused) as refused:
        kit.project.merge("other")

    assert "taskkeep conflicts" in refused.value.hint
    assert refused.value.exit_status == 5
    assert refused.value.details["files"] == ["backlog.json"]
    assert [one.partition(":")[0] for one in refused.value.details["conflicts"]] == ["(field)"]
    kit.project.resolve(choice="theirs")
    kit.git("commit", "-q", "-m", "merge")
    joined(kit)


@pytest.mark.parametrize("name", ["", "-x", "nothing", "a\nb", "--output=x"])
def test_what_is_no_branch_is_not_merged(kit: Any, name: str) -> None:
    with pytest.raises((taskkeep.Usage, taskkeep.NotFound)):
        kit.project.merge(name)


def test_a_backlog_below_the_top_merges_too(below: Any) -> None:
    """By git and by command, conflicts and all."""
    below.project.add("second")
    on(below, "other", new=True)
    edit(below, "first", title="theirs")
    edit(below, "second", priority="high")
    on(below, "main")
    edit(below, "first", title="ours")
    edit(below, "second", assignee="ada")
    with pytest.raises(taskkeep.Refused):
        below.project.merge("other")
    [found] = below.project.conflicts()
    assert found.theirs.branch == "other"

    below.project.resolve(choice="theirs")

    below.git("commit", "-q", "-m", "merge")
    task = below.project.show([below.id_of("second")])[0]
    assert (task["priority"], task["assignee"]) == ("high", "ada")
    joined(below)


@pytest.mark.parametrize("way", ["cherry-pick", "stash"])
def test_a_conflict_of_a_picked_or_stashed_change_is_settled(kit: Any, way: str) -> None:
    """Where there is no MERGE_HEAD."""
    if way == "stash":
        kit.project.update([kit.id_of("first")], Edit(set={"title": "theirs"}), commit=False)
        kit.git("stash", "-q", "--include-untracked")
        edit(kit, "first", title="ours")
        kit.git("stash", "pop", "-q", check=False)
    else:
        on(kit, "other", new=True)
        edit(kit, "first", title="theirs")
        on(kit, "main")
        edit(kit, "first", title="ours")
        kit.git("cherry-pick", "other", check=False)
    [found] = kit.project.conflicts()
    assert (found.conflict.ours, found.conflict.theirs) == ("ours", "theirs")

    _, left = kit.project.resolve(choice="theirs")

    assert left == []
    kit.git("commit", "-q", "-m", "settled")
    assert "theirs" in kit.titles()
    joined(kit)


def test_a_program_that_the_repository_names_stops_the_merge(both: Any) -> None:
    """Git would run it on checking files out."""
    both.git("config", "filter.x.smudge", "cat")

    with pytest.raises(taskkeep.Refused):
        both.project.merge("other")


@pytest.mark.parametrize("rebase", ["false", "true"])
def test_two_clones_sync_through_a_third(kit: Any, scratch: Path, rebase: str) -> None:
    """Nothing is pushed unless asked."""
    subprocess.run(["git", "clone", "-q", "--bare", str(kit.folder), str(scratch / "hub")], check=True)
    clones = []
    for name in ("one", "two"):
        subprocess.run(["git", "clone", "-q", str(scratch / "hub"), str(scratch / name)], check=True)
        clone = type(kit)(scratch / name)
        for key, value in (("user.name", name), ("user.email", "x@example.invalid"), ("pull.rebase", rebase)):
            clone.git("config", key, value)
        clones.append(clone)
    one, two = clones
    edit(one, "first", priority="high")
    edit(two, "first", assignee="ada")
    hub = one.git("ls-remote", "origin", "main")
    saved, verdict = one.project.sync()
    assert (saved.changed, verdict.ok, one.git("ls-remote", "origin", "main")) == (False, True, hub)
    one.project.sync(push=True)

    saved, verdict = two.project.sync(push=True)

    assert verdict.ok, verdict.findings
    one.project.sync()
    for clone in clones:
        task = clone.project.show([clone.id_of("first")])[0]
        assert (task["priority"], task["assignee"]) == ("high", "ada")
    assert one.head() == two.head()
    joined(one)


def test_a_rebase_under_way_is_named_to_sync(kit: Any) -> None:
    (kit.folder / ".git" / "rebase-merge").mkdir()

    with pytest.raises(RepositoryBusy, match="a rebase is in progress"):
        kit.project.sync()


def test_what_stands_in_the_way_of_a_merge_is_named(kit: Any) -> None:
    kit.git("checkout", "-q", "-b", "other")
    (kit.folder / "notes").write_text("theirs")
    kit.git("add", "notes")
    kit.git("commit", "-q", "-m", "notes")
    kit.git("checkout", "-q", "main")
    kit.project.add("ours")
    (kit.folder / "notes").write_text("mine")

    with pytest.raises(Refused, match=r"would be overwritten by merge: notes$"):
        kit.project.merge("other")


# -- the driver ------------------------------------------------------------------------------------------


def test_uninstall_takes_the_driver_out_and_the_next_save_leaves_it_out(kit: Any) -> None:
    assert "merge.taskkeep.driver" in kit.git("config", "--local", "--list")
    assert any("merge.taskkeep" in entry for entry in kit.project.uninstall())
    kit.git("checkout", "-q", ".")

    assert kit.project.add("third").warnings == []

    assert "merge.taskkeep" not in kit.git("config", "--local", "--list")
    assert "merge_driver" in {finding["code"] for finding in kit.project.doctor().findings}
    kit.project.doctor(fix=True)
    assert kit.project.doctor().findings == []
    assert not (kit.local / "uninstalled").exists()


def test_a_driver_of_another_name_is_left_alone(kit: Any) -> None:
    """Somebody's own line stays, and doctor names it."""
    kit.git("config", merge_driver.DRIVER, "mine %A")

    kit.project.add("third")
    kit.project.doctor(fix=True)

    assert kit.git("config", merge_driver.DRIVER).strip() == "mine %A"
    assert "merge_driver" in {finding["code"] for finding in kit.project.doctor().findings}


@pytest.mark.parametrize("spoilt", [b"", b"{", b'{"version": 1, "tasks": [1]}', b"\xff"])
def test_a_version_that_cannot_be_read_is_left_to_git(kit: Any, spoilt: bytes, tmp_path: Path) -> None:
    """Our version is not touched."""
    data = kit.file.read_bytes()
    for name, content in (("base", data), ("ours", data), ("theirs", spoilt)):
        (tmp_path / name).write_bytes(content)

    status = run(["merge-driver", *(str(tmp_path / name) for name in ("base", "ours", "theirs")), "backlog.json"])

    assert status == 4
    assert (tmp_path / "ours").read_bytes() == data


# -- many -------------------------------------------------------------------------------------------------


def test_twenty_clones_merged_in_any_order_are_all_there(kit: Any, scratch: Path) -> None:
    """Each worked alone for a while; every task and every edit arrives."""
    order = random.Random(5)
    first = kit.id_of("first")
    branches = []
    for number in range(20):
        branch = f"b{number}"
        kit.git("checkout", "-q", "-b", branch, "main")
        for step in range(2):
            kit.project.add(f"{branch} {step}")
        kit.project.update([first], Edit(add={"labels": [branch]}))
        branches.append(branch)
    on(kit, "main")
    order.shuffle(branches)
    for branch in branches:
        kit.git("merge", "-q", "-m", branch, branch)
        if order.random() < 0.3:
            kit.project.note(first, branch)

    assert {f"b{number} {step}" for number in range(20) for step in range(2)} <= kit.titles()
    assert kit.project.show([first])[0]["labels"] == sorted(branches)
    joined(kit)


def test_plain_git_merges_most_and_never_loses_what_verify_passes(
    kit: Any, scratch: Path, new_repository: Callable[..., Any]
) -> None:
    """Independent additions and edits, without the driver: clean, or a conflict that everybody sees."""
    kit.git("config", "--remove-section", "merge.taskkeep")
    shutil.rmtree(kit.local)
    (kit.local).mkdir()
    (kit.local / "uninstalled").touch()
    order, clean, cases = random.Random(7), 0, 12
    for number in range(30):
        kit.project.add(f"task {number}", commit=False)
    kit.project.recover()
    for case in range(cases):
        ids = order.sample(sorted(kit.project.backlog().tasks), 2)
        kit.git("checkout", "-q", "-b", f"c{case}", "main")
        kit.project.update(ids[:1], Edit(set={"assignee": f"c{case}"}))
        kit.project.add(f"theirs {case}")
        on(kit, "main")
        kit.project.update(ids[1:], Edit(set={"role": f"r{case}"}))
        before = kit.head()
        kit.git("merge", "-q", "-m", "merge", f"c{case}", check=False)
        if kit.git("ls-files", "-u"):
            kit.git("merge", "--abort")
            assert kit.head() == before
            continue
        clean += 1
        assert kit.project.verify().ok
        assert f"theirs {case}" in kit.titles()
        assert kit.project.show(ids[:1])[0]["assignee"] == f"c{case}"
    assert clean >= cases - 2


def unordered(kit: Any) -> list[dict[str, Any]]:
    """The tasks of the file, their lists sorted: of more than two changes that met, their order is not told."""
    tasks = json.loads(kit.file.read_bytes())["tasks"]
    return [
        {name: sorted(value, key=json.dumps) if isinstance(value, list) else value for name, value in task.items()}
        for task in tasks
    ]


@pytest.mark.parametrize("seed", range(6))
def test_the_log_alone_gives_back_what_any_meetings_made(kit: Any, seed: int) -> None:
    """Whatever each branch did, and whichever way they met: over a file that is gone, a restore of one other task."""
    order = random.Random(seed)
    ids, untouched = [kit.id_of("first"), kit.project.add("third").tasks[0]["id"]], kit.id_of("second")
    kit.git("branch", "other")
    for meeting in range(5):
        for branch in ("main", "other"):
            on(kit, branch)
            for number in range(order.randint(0, 3)):
                said, task_id = f"{branch} {meeting} {number}", order.choice(ids)
                match order.randrange(6):
                    case 0 | 1:
                        kit.project.note(task_id, said)
                    case 2 | 3:
                        kit.project.update([task_id], Edit(add={"acceptance_criteria": [said], "labels": [branch]}))
                    case 4:
                        edit(kit, task_id, acceptance_criteria=None)
                    case 5:
                        kit.project.finish([task_id])
        onto, theirs = order.sample(["main", "other"], 2)
        on(kit, onto).git("merge", "-q", *order.choice([["-m", "m"], ["--squash"]]), theirs)
        kit.git("commit", "-q", "--allow-empty", "-m", "met")
        merged = unordered(kit)
        assert kit.project.verify().findings == []

        kit.file.unlink()
        kit.project.restore([untouched], at="HEAD")

        assert unordered(kit) == merged
        assert kit.project.verify().ok
        kit.git("checkout", "-q", "HEAD", "--", "backlog.json")


# -- what a search of random histories found -----------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_archived_on_one_branch_and_deleted_on_the_other_stays_in_the_archive(kit: Any, turned: bool) -> None:
    """Git keeps the archive's file as the one side has it, without asking any driver; that loses nothing."""
    kit.project.finish([kit.id_of("first")])
    first, second = kit.id_of("first"), kit.id_of("second")
    on(kit, "other", new=True)
    kit.project.archive(older_than="0d")
    on(kit, "main")
    kit.project.delete([first], why="gone")
    if turned:
        on(kit, "other")

    kit.git("merge", "-q", "-m", "merge", "main" if turned else "other")

    assert list(kit.project.backlog().archived) == [first]
    kit.file.unlink()
    kit.project.restore([second], at="HEAD")
    assert list(kit.project.backlog().archived) == [first]
    joined(kit)
    assert list(kit.project.backlog().archived) == [first]


def test_what_was_picked_before_what_it_follows_is_right_once_that_comes(kit: Any) -> None:
    """The last event names a file that lacks it; replay gives the one that is there."""
    on(kit, "other", new=True)
    edit(kit, "first", role="backend")
    on(kit, "main")
    edit(kit, "second", role="frontend")
    on(kit, "third", new=True)
    kit.git("merge", "-q", "-m", "m", "other")
    kit.project.add("picked")
    on(kit, "main")
    kit.git("cherry-pick", "third")
    assert kit.project.verify().ok
    kit.project.add("meanwhile")

    kit.git("merge", "-q", "-m", "m", "other")

    assert kit.project.show([kit.id_of("first")])[0]["role"] == "backend"
    joined(kit)


def test_a_criss_cross_without_the_driver_is_resolved_though_gits_base_holds_markers(kit: Any) -> None:
    """The bases are merged by lines first; what both logs know stands in for them."""
    kit.git("config", "--remove-section", "merge.taskkeep")
    (kit.folder / ".taskkeep" / "local" / "uninstalled").touch()
    on(kit, "other", new=True)
    edit(kit, "first", title="theirs")
    on(kit, "main")
    edit(kit, "first", title="ours")
    kit.git("branch", "old-main")
    for branch, merged in (("main", "other"), ("other", "old-main")):
        on(kit, branch)
        kit.git("merge", "-q", "-m", "m", merged, check=False)
        kit.project.resolve(choice="ours")
        kit.git("commit", "-q", "-m", "m")
    kit.project.add("of other")
    on(kit, "main")
    kit.git("merge", "-q", "-m", "m", "other", check=False)

    [found] = kit.project.conflicts()
    assert (found.conflict.field, found.conflict.ours, found.conflict.theirs) == ("title", "ours", "theirs")
    kit.project.resolve(choice="theirs")
    kit.git("commit", "-q", "-m", "m")

    assert {"theirs", "second", "of other"} == kit.titles()
    joined(kit)


def test_a_change_picked_twice_leaves_no_markers(kit: Any) -> None:
    """The log has it already, so that nothing is to be recorded; the file is put right all the same."""
    kit.git("config", "--remove-section", "merge.taskkeep")
    (kit.folder / ".taskkeep" / "local" / "uninstalled").touch()
    on(kit, "other", new=True)
    edit(kit, "first", title="changed")
    on(kit, "main")
    kit.git("cherry-pick", "other")
    edit(kit, "changed", title="changed again")
    kit.git("cherry-pick", "other", check=False)
    assert "<<<<<<<" in kit.file.read_text()

    kit.project.resolve(choice="ours")

    assert "changed again" in kit.titles()
    assert kit.project.verify().ok


def test_doctor_names_what_cites_a_renumbered_task(kit: Any) -> None:
    """In texts and in the user's own commit messages; those of saves are clear by their events."""
    first = kit.project.backlog().tasks[kit.id_of("first")]
    younger = {**kit.project.backlog().tasks[kit.id_of("second")], "aliases": [first["id"]]}
    backlog = Backlog({younger["id"]: {**younger, "description": f"after {first['id']}, not {first['id']}9"}})
    kit.git("commit", "-q", "--allow-empty", "-m", f"Mends {first['id']}")
    backlog = backlog.replacing(first)

    told = citations(backlog, repository_of(str(kit.folder)))

    assert [words.partition(" names ")[0].partition(" (")[0] for words in told] == [
        f"{younger['id']}: description",
        f"commit {kit.head()[:7]}",
    ]
    assert all(f"{first['id']}: that task, or {younger['id']}" in words for words in told)
    assert citations(backlog.without(younger["id"]), repository_of(str(kit.folder))) == []


def test_a_value_for_a_conflict_goes_through_the_same_rules(conflict: Any) -> None:
    """No secret, no other type; a request with its key is carried out once."""
    first = conflict.id_of("third of ours")
    with pytest.raises(SecretFound):
        conflict.project.resolve(first, "title", choice="value", value="AKIA" + "Q3EGRZTIEXAMPL3X")
    with pytest.raises(Usage):
        conflict.project.resolve(first, "title", choice="ours", if_match="0" * 16)
    once = conflict.project.resolve(first, "title", choice="value", value="both", key="k")[0]

    again = conflict.project.resolve(first, "title", choice="value", value="both", key="k")[0]

    assert (again.replayed, again.events) == (True, once.events)


def test_a_merge_takes_a_reason_and_no_option_that_it_would_pass_over(both: Any) -> None:
    for option in ({"key": "k"}, {"if_match": "0" * 16}, {"commit": False}):
        with pytest.raises(Usage):
            both.project.merge("other", **option)

    both.project.merge("other", why="as agreed")

    assert both.git("log", "-1", "--format=%B").strip() == "Merge branch 'other'\n\nas agreed"


# -- a side taken whole, a revert, no past in common ----------------------------------------------------------


def test_a_side_taken_whole_is_found_from_the_base_and_adopted_only_as_far_as_is_allowed(both: Any) -> None:
    """`git merge -s ours` drops their files of the log too, so that only the other branch tells of it."""
    both.git("merge", "-q", "-s", "ours", "-m", "ours", "other")
    there = both.project.at("other").backlog()
    lost = next(task_id for task_id, task in there.tasks.items() if task["title"] == "of theirs")
    assert "lost_task" in {finding["code"] for finding in both.project.verify(base="other").findings}

    with pytest.raises(TasksLost) as error:
        both.project.adopt(base="other")
    allowed = {"allow_delete": [lost], "allow_revert": [one["task_id"] for one in error.value.details["reverted"]]}
    both.project.adopt(base="other", why="theirs was an experiment", **allowed)

    assert both.project.verify(base="other").ok
    both.project.restore([lost], at="other")
    assert "of theirs" in both.titles()
    joined(both)


def test_a_reverted_merge_is_mended_by_adopting_from_the_base(both: Any) -> None:
    """A revert takes the events too; they come back, and what the file lacks must be named."""
    both.git("merge", "-q", "-m", "merge", "other")
    merged = both.head()
    both.git("revert", "--no-edit", "-m", "1", "HEAD")
    assert not both.project.verify(base=merged).ok

    with pytest.raises(TasksLost) as error:
        both.project.adopt(base=merged)
    allowed = {"allow_delete": [one["task_id"] for one in error.value.details["lost"]]}
    allowed["allow_revert"] = [one["task_id"] for one in error.value.details["reverted"]]
    both.project.adopt(base=merged, **allowed)

    assert both.project.verify(base=merged).ok
    assert "of theirs" not in both.titles()
    joined(both)


def test_two_backlogs_begun_apart_are_merged(new_repository: Any, scratch: Path) -> None:
    """Of two clones that both ran init; the ids that both drew are told apart."""
    kits = []
    for name in ("one", "two"):
        kit = new_repository(scratch / name)
        taskkeep.init(str(kit.folder), ids="sequential")
        kit.project.add(f"of {name}")
        kits.append(kit)
    one = kits[0]
    one.git("fetch", "-q", str(scratch / "two"), "main:theirs")
    for dry_run in (True, False):
        with pytest.raises(Refused, match="unrelated histories"):
            one.project.merge("theirs", dry_run=dry_run)

    one.git("pull", "-q", "--no-rebase", "--no-edit", "--allow-unrelated-histories", str(scratch / "two"), "main")

    assert one.titles() == {"of one", "of two"}
    joined(one)


def test_a_squash_that_was_committed_long_ago_hides_no_conflict_of_a_merge(kit: Any) -> None:
    """Git leaves SQUASH_MSG behind where a save commits what was squashed."""
    first, second = kit.id_of("first"), kit.id_of("second")
    kit.git("checkout", "-q", "-b", "other")
    kit.project.update([first], Edit(set={"title": "first of other"}))
    kit.project.update([second], Edit(set={"title": "second of other"}))
    kit.git("checkout", "-q", "-b", "topic", "main")
    kit.project.update([first], Edit(set={"title": "first of topic"}))
    kit.git("checkout", "-q", "main")
    (kit.folder / "code.txt").write_text("code\n")
    kit.git("add", "code.txt")
    kit.git("commit", "-qm", "code")
    kit.git("merge", "-q", "--squash", "topic")
    kit.project.update([second], Edit(set={"title": "second of main"}))
    assert (kit.folder / ".git" / "SQUASH_MSG").exists()

    kit.git("merge", "-q", "-m", "merge", "other", check=False)
    assert {one.conflict.task_id for one in kit.project.conflicts()} == {first, second}
    kit.project.resolve(choice="theirs")
    kit.git("commit", "-qm", "merge")

    assert kit.titles() == {"first of other", "second of other"}
    kit.assert_sound()


# -- branches that met where nothing was saved since ---------------------------------------------------------


STATUS = {"main": "review", "other": "blocked"}


def entries(kit: Any) -> list[str]:
    """What the criteria and the notes of the first task say."""
    task = kit.project.show([kit.id_of("first")])[0]
    return [item["text"] for field in ("acceptance_criteria", "notes") for item in task.get(field, ())]


@pytest.fixture
def told_apart(kit: Any) -> Any:
    """A criterion and a note of each side on one task; main is checked out."""
    for branch in ("other", "main"):
        on(kit, branch, new=branch == "other")
        kit.project.update([kit.id_of("first")], Edit(add={"acceptance_criteria": [f"of {branch}"]}))
        kit.project.note(kit.id_of("first"), f"{branch} says")
    return kit


@pytest.mark.parametrize("left", [None, 200])
@pytest.mark.parametrize("changes", [False, True])
def test_one_task_restored_over_a_lost_file_brings_what_both_sides_wrote(
    told_apart: Any, left: int | None, changes: bool
) -> None:
    """Of another task, whether it changes or not, where the file is gone or cut off."""
    kit, second = told_apart, told_apart.id_of("second")
    edit(kit, "second", priority="high")
    kit.git("merge", "-q", "-m", "merge", "other")
    merged, found = kit.file.read_bytes(), entries(kit)
    kit.file.unlink() if left is None else kit.file.write_bytes(merged[:left])

    kit.project.restore([second], at="HEAD^2" if changes else "HEAD")

    assert sorted(found) == ["main says", "of main", "of other", "other says"]
    assert entries(kit) == found
    assert changes or kit.file.read_bytes() == merged
    assert kit.project.verify(base="other").ok
    joined(kit)


def test_a_side_taken_whole_is_not_adopted_without_the_entries_of_the_other_unless_that_is_allowed(
    told_apart: Any,
) -> None:
    """And allowed, it is told in the log as what it is."""
    kit = told_apart
    kit.git("merge", "-q", "--no-commit", "other")
    kit.git("checkout", "-q", "HEAD", "--", "backlog.json")
    kit.git("commit", "-q", "-m", "merge")
    assert "unaudited_change" in codes(kit)

    with pytest.raises(FieldsReverted) as error:
        kit.project.adopt()
    assert {one["field"] for one in error.value.details["reverted"]} == {"acceptance_criteria", "notes"}
    kit.project.adopt(allow_revert=[kit.id_of("first")])

    assert entries(kit) == ["of main", "main says"]
    assert kit.project.verify().findings == []
    changed = [event["details"]["changes"] for event in kit.project.log([kit.id_of("first")]).events[:1]]
    assert [item["text"] for field in changed[0].values() if "removed" in field for item in field["removed"]] == [
        "of other",
        "other says",
    ]


@pytest.mark.parametrize("noted", [False, True])
def test_what_was_taken_out_after_a_squash_stays_out(told_apart: Any, noted: bool) -> None:
    """Both logs hold the meeting that no event joins: its entries are what both sides had."""
    kit = told_apart
    on(kit, "other").git("rebase", "-q", "main")
    on(kit, "main").git("merge", "-q", "--squash", "other")
    kit.git("commit", "-q", "-m", "squashed")
    edit(kit, "first", acceptance_criteria=None)
    on(kit, "other")
    if noted:
        kit.project.note(kit.id_of("second"), "work goes on")
    else:
        kit.git("commit", "-q", "--allow-empty", "-m", "code")
        on(kit, "main")

    kit.git("merge", "-q", "-m", "again", "main" if noted else "other")

    assert sorted(entries(kit)) == ["main says", "other says"]
    assert kit.project.verify(base="main").ok
    joined(kit)


def test_a_task_done_on_both_branches_merges_again_after_a_squash(kit: Any) -> None:
    """The time at which it was done is no conflict, whichever of the two a log names first."""
    for branch in ("other", "main"):
        on(kit, branch, new=branch == "other").project.finish([kit.id_of("first")])
    on(kit, "other").git("merge", "-q", "-m", "up", "main")
    done = kit.project.show([kit.id_of("first")])[0]["completed_at"]
    on(kit, "main").git("merge", "-q", "--squash", "other")
    kit.git("commit", "-q", "-m", "squashed")
    edit(kit, "second", priority="high")
    on(kit, "other")
    edit(kit, "second", labels=["x"])

    kit.git("merge", "-q", "-m", "up again", "main")

    assert kit.project.show([kit.id_of("first")])[0]["completed_at"] == done
    joined(kit)


def test_a_conflict_committed_as_it_lay_is_one_again_after_a_squash_and_no_deletion(kit: Any) -> None:
    """The base has no value for what nobody has decided; what it has is a value that a file may hold."""
    for branch in ("other", "main"):
        on(kit, branch, new=branch == "other").project.update(
            [kit.id_of("first")], Edit(set={"status": STATUS[branch]})
        )
    on(kit, "other").git("merge", "-q", "-m", "up", "main", check=False)
    kit.git("commit", "-q", "-a", "-m", "as it lay")
    on(kit, "main").git("merge", "-q", "--squash", "other")
    kit.git("commit", "-q", "-m", "squashed")
    edit(kit, "second", priority="high")
    on(kit, "other")
    edit(kit, "second", labels=["x"])

    kit.git("merge", "-q", "-m", "up again", "main")

    assert kit.project.show([kit.id_of("first")])[0]["status"] == STATUS["other"]
    joined(kit)

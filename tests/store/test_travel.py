"""Any point in time, and the way back there: --at, undo, restore, as the store answers them."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import pairwise
from typing import Any

import pytest

from taskkeep.backlog.changes import Edit
from taskkeep.errors import (
    AmbiguousPoint,
    BacklogUnreadable,
    BadPoint,
    BeforeFirst,
    ChangedSince,
    ClaimHeld,
    HandEdit,
    LinksMissing,
    NothingToUndo,
    TaskkeepError,
    TaskNeeded,
    TaskNotThen,
    UnknownPoint,
    Usage,
)
from taskkeep.store import log
from taskkeep.store.files import read
from taskkeep.store.layout import Root

from .told import assert_told, rows_of_refusals


def last_event(kit: Any, number: int = 0) -> Any:
    return kit.project.log().events[number]


def titles_at(kit: Any, when: str) -> set[str]:
    return {task["title"] for task in kit.project.at(when).backlog().tasks.values()}


def quiet(task: Any) -> Any:
    return {**task, "updated_at": ""}


# -- WHEN --------------------------------------------------------------------------------


def test_one_state_has_many_names(kit: Any) -> None:
    """A time, a commit by hash, tag, branch or reflog, an event by its id or how that begins, a backup's name."""
    event = last_event(kit)
    kit.git("tag", "one")
    kit.git("branch", "side")
    head = kit.head()
    kit.project.add("third")
    newest = kit.project.backups()[0]
    snapshot = newest["name"]

    for when in (
        event["timestamp"], event["event_id"], event["event_id"][:8].upper(), head, head[:10], head.upper(), "one",
        "side", "refs/heads/side", "HEAD~1", "HEAD@{1}", "@~", snapshot, snapshot.removesuffix(".json"),
    ):  # fmt: skip
        assert titles_at(kit, when) == {"first", "second"}, when
    assert titles_at(kit, "now") == {"first", "second", "third"}
    stamp = event["timestamp"]
    assert kit.project.at(stamp).point == ("time", stamp, stamp, event["event_id"], None)
    point = kit.project.at(snapshot).point
    assert point == ("backup", snapshot, newest["time"], event["event_id"], None)


@pytest.mark.parametrize(
    ("when", "error"),
    [
        ("", BadPoint), ("  ", BadPoint), ("-", BadPoint), ("--output=x", BadPoint), ("a\nb", BadPoint),
        ("a\x00b", BadPoint), ("\x1b[31m", BadPoint), ("x" * 300, BadPoint), ("\udcff", BadPoint),
        ("tomorrow", BadPoint), ("in 2 hours", BadPoint), ("2099-01-01", BadPoint), ("9999-12-31T23:59:59Z", BadPoint),
        ("0000-01-01", BadPoint), ("2026-02-30", BadPoint),
        ("0001-01-01", BeforeFirst), ("1970-01-01", BeforeFirst), ("5000 years ago", BeforeFirst),
        ("/etc/passwd", BadPoint), ("../../etc/passwd", BadPoint), ("./backlog.json", BadPoint),
        ("backlog.json", BadPoint), (".taskkeep/local/backups", BadPoint), ("~/x", BadPoint), ("a\\b", BadPoint),
        ("backlog_20261121_000000_000000/../../x", BadPoint), ("HEAD..HEAD", BadPoint), ("HEAD^{tree}", BadPoint),
        ("HEAD:backlog.json", BadPoint), ("^HEAD", BadPoint), (":0:backlog.json", BadPoint),
        ("nosuch", UnknownPoint), ("HEAD~99", UnknownPoint), ("HEAD@{99}", UnknownPoint), ("@{-1}", UnknownPoint),
        ("backlog_20200101_000000_000000", UnknownPoint), ("0" * 40, UnknownPoint), ("deadbeef", UnknownPoint),
        ("00000000-0000-4000-8000-000000000000", UnknownPoint), ("$(id)", UnknownPoint), ("*", UnknownPoint),
        ("\u202emain", UnknownPoint), ("٢٠٢٦-١١-٢٠", UnknownPoint),
    ],
)  # fmt: skip
def test_what_names_no_point_is_refused_by_its_kind(
    kit: Any, when: str, error: type[TaskkeepError], request: pytest.FixtureRequest
) -> None:
    """And says why; nothing is written, no file is read, and git is given no option."""
    with pytest.raises(error) as caught:
        kit.project.at(when).backlog()
    assert type(caught.value) is error
    assert_told(request.node.name, rows_of_refusals([caught.value]))
    with pytest.raises(error):
        kit.project.restore(at=when)
    kit.assert_sound()


def test_a_tree_a_blob_and_a_tag_of_either_are_no_commit(kit: Any) -> None:
    kit.git("tag", "-a", "-m", "x", "good")
    for name, target in (("of-tree", "HEAD^{tree}"), ("of-blob", "HEAD:backlog.json")):
        kit.git("tag", "-a", "-m", "x", name, target)
        with pytest.raises(BadPoint):
            kit.project.at(name)
    assert titles_at(kit, "good") == {"first", "second"}


def test_a_time_that_is_also_a_branch_is_ambiguous(kit: Any) -> None:
    """Both are named, and each can be said so that it is clear."""
    kit.git("branch", "yesterday")
    kit.git("tag", "2026-11-20")
    for name in ("yesterday", "2026-11-20"):
        with pytest.raises(AmbiguousPoint) as caught:
            kit.project.at(name)
        assert len(caught.value.details["nearest"]) > 1
    assert titles_at(kit, "refs/heads/yesterday") == {"first", "second"}


def test_an_events_beginning_that_is_also_a_commits_is_ambiguous(kit: Any) -> None:
    name = last_event(kit)["event_id"]
    while name[:4].isdigit():  # which would be a year
        name = kit.project.add("another").events[0]
    kit.git("branch", name[:4])
    with pytest.raises(AmbiguousPoint) as caught:
        kit.project.at(name[:4])
    assert any(name in one for one in caught.value.details["nearest"])
    assert {"first", "second"} <= titles_at(kit, name)


def test_the_unknown_comes_with_what_is_nearest(kit: Any) -> None:
    kit.git("branch", "feature-login")
    with pytest.raises(UnknownPoint) as caught:
        kit.project.at("feature-logn")
    assert caught.value.details["nearest"] == ["feature-login"]
    wrong = last_event(kit)["event_id"][:-4] + "zzzz"
    with pytest.raises(UnknownPoint):
        kit.project.at(wrong)


def test_a_commit_from_before_the_backlog_is_before_the_first_change(bare_kit: Any) -> None:
    import taskkeep

    bare_kit.git("commit", "-q", "--allow-empty", "-m", "first")
    taskkeep.init(str(bare_kit.folder))
    with pytest.raises(BeforeFirst):
        bare_kit.project.at("HEAD~1")


def test_the_record_knows_whether_branches_ever_met(kit: Any) -> None:
    """A log without any is read from its end; the record says so, made anew or carried from save to save."""

    def straight() -> bool:
        root = Root(str(kit.root))
        state = log.vouched(root)
        assert state is not None
        rows = read(root.joined)[0].split(b"\n")[:-1]
        events = [json.loads(row) for row in rows]
        assert state.count == len(events)
        follows = [event["prev"] == [before["hash"]] for before, event in pairwise(events)]
        assert state.straight == (all(follows) and events[0]["prev"] == [])
        return state.straight

    first = kit.id_of("first")
    kit.project.note(first, "here")
    assert straight()
    kit.git("checkout", "-qb", "side")
    kit.project.update([first], Edit(set={"role": "a"}))
    assert straight()
    kit.git("checkout", "-q", "main")
    kit.project.add("third")
    kit.git("merge", "-q", "--no-edit", "side")
    kit.project.add("after the merge")
    assert not straight()
    kit.project.add("after that")
    assert not straight()


def test_an_event_shows_its_own_past_and_not_what_came_beside_it(kit: Any) -> None:
    """On two branches, whatever the clock says; a time goes by this checkout's own line."""
    first, second = kit.id_of("first"), kit.id_of("second")
    kit.git("checkout", "-qb", "side")
    kit.project.update([first], Edit(set={"title": "on the side"}))
    beside = last_event(kit)["event_id"]
    kit.git("checkout", "-q", "main")
    kit.project.update([second], Edit(set={"title": "on main"}))
    own = last_event(kit)
    kit.git("merge", "-q", "--no-edit", "side")
    kit.project.add("after")

    assert titles_at(kit, beside) == {"on the side", "second"}
    assert titles_at(kit, own["event_id"]) == {"first", "on main"}
    assert titles_at(kit, own["timestamp"]) == {"first", "on main"}
    assert titles_at(kit, "now") == {"on the side", "on main", "after"}
    events = kit.project.log().events
    assert len(events) == len({event["event_id"] for event in events}) == 7
    [merged] = [event for event in events if event["event_type"] == "merged"]
    joined = kit.project.heads_joined([merged]).values()
    assert {event["event_id"] for event in joined} == {beside, own["event_id"]}


@pytest.mark.parametrize("way", ["reset", "rebase", "squash", "gc"])
def test_what_git_threw_away_is_still_told_by_who_has_it(kit: Any, way: str) -> None:
    """An event of a branch that is gone: from the joined log or git, and it is said from which."""
    start = kit.head()
    kit.git("checkout", "-qb", "side")
    kit.project.add("lost")
    event = last_event(kit)["event_id"]
    kit.git("checkout", "-q", "main")
    if way == "rebase":
        kit.project.add("on main")
        kit.git("checkout", "-q", "side")
        kit.git("rebase", "-q", "main", check=False)
    elif way == "squash":
        kit.git("merge", "-q", "--squash", "side")
        kit.git("commit", "-qm", "all of it")
        kit.git("branch", "-D", "side")
    else:
        kit.git("reset", "-q", "--hard", "side")
        kit.git("reset", "-q", "--hard", start)
        kit.git("branch", "-D", "side")
    if way == "gc":
        kit.git("reflog", "expire", "--expire=now", "--all")
        kit.git("gc", "-q", "--prune=now")

    moment = kit.project.at(event)

    assert "lost" in {task["title"] for task in moment.backlog().tasks.values()}
    assert bool(moment.notes) == (way in ("reset", "gc"))


def test_a_shallow_clone_answers_from_its_log(kit: Any, tmp_path: Any) -> None:
    """Which has all events; a revision that git lacks there is unknown."""
    event = kit.project.log().events[1]
    commit = kit.git("rev-parse", "HEAD~1").strip()
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{kit.folder}", str(tmp_path / "clone")], check=True)
    clone = type(kit)(tmp_path / "clone")

    assert titles_at(clone, event["event_id"]) == titles_at(clone, event["timestamp"]) == {"first"}
    with pytest.raises(UnknownPoint):
        clone.project.at(commit)


def test_a_comparison_says_which_points_it_took_the_words_for(kit: Any) -> None:
    """Of one point alone: the file as it lies is no point."""
    first, second = (last_event(kit, number)["event_id"] for number in (1, 0))

    both = kit.project.diff(first[:8], second[:8])

    assert [both.before.event, both.after.event] == [first, second]
    assert [kit.project.diff(first).before.event, kit.project.diff(first).after] == [first, None]


# -- restore -----------------------------------------------------------------------------


def test_the_whole_backlog_is_restored_as_it_was_by_one_change(kit: Any) -> None:
    """Ids, uids, all fields; what came since goes, and can come back again."""
    then = kit.project.backlog().tasks
    point = last_event(kit)["event_id"]
    first, second = kit.id_of("first"), kit.id_of("second")
    kit.project.update([first], Edit(set={"title": "other"}, add={"labels": ["x"]}))
    kit.project.delete([second], why="no")
    kit.project.add("third")
    later = last_event(kit)["event_id"]
    commits = kit.commits()

    saved = kit.project.restore(at=point)
    now = kit.project.backlog().tasks
    again = kit.project.restore(at=point)
    kit.project.restore(at=later)

    assert {task_id: quiet(task) for task_id, task in now.items()} == {i: quiet(task) for i, task in then.items()}
    assert [len(part) for part in saved.difference] == [1, 1, 1]
    assert kit.commits() == commits + 2
    assert not again.changed
    assert kit.titles() == {"other", "third"}
    events = kit.project.log().events
    assert {event["source"] for event in events[:3]} == {"restore"}
    assert all(event["why"] == f"restore to event {later}" for event in events[:3])
    kit.assert_sound()


def test_a_dry_run_says_what_a_restore_would_do_and_does_nothing(kit: Any) -> None:
    point = last_event(kit)["event_id"]
    kit.project.add("third")
    before = kit.files()

    saved = kit.project.restore(at=point, dry_run=True)

    assert saved.changed
    assert [task["title"] for task in saved.difference.removed] == ["third"]
    assert kit.files() == before


@pytest.mark.parametrize(("why", "told"), [("a mistake", "a mistake"), (None, "restore to revision HEAD~1")])
def test_a_restore_over_a_damaged_file_says_why(kit: Any, why: str | None, told: str) -> None:
    """In the words of who asked for it, else in its own."""
    kit.project.add("third")
    kit.file.write_text("rubbish")
    kit.project.restore([], at="HEAD~1", why=why)
    assert last_event(kit)["why"].startswith(told)


def test_single_tasks_and_single_fields_are_restored_alone(kit: Any) -> None:
    """Deleted ones too; the status brings its times along."""
    first, second = kit.id_of("first"), kit.id_of("second")
    point = last_event(kit)["event_id"]
    kit.project.update([first], Edit(set={"title": "other", "priority": "high"}))
    kit.project.finish([first])
    kit.project.delete([second], why="no")
    kit.project.add("third")

    kit.project.restore([first], at=point, fields=["status"])
    task = kit.project.backlog().task(first)
    assert (task["title"], task["priority"], task["status"]) == ("other", "high", "todo")
    assert "completed_at" not in task
    kit.project.restore([second], at=point)
    assert kit.titles() == {"other", "second", "third"}
    kit.project.restore([first.lower(), second], at=point)
    assert kit.titles() == {"first", "second", "third"}
    with pytest.raises(TaskNotThen):
        kit.project.restore([kit.id_of("third")], at=point)
    for field in ("uid", "updated_at", "claimed_by", "nosuch", "completed_at"):
        with pytest.raises(Usage):
            kit.project.restore([first], at=point, fields=[field])
    kit.assert_sound()


def test_links_to_what_is_no_more_are_named_and_left_out_only_when_asked(kit: Any) -> None:
    first, second = kit.id_of("first"), kit.id_of("second")
    kit.project.update([second], Edit(add={"depends_on": [first]}, set={"parent": first}))
    point = last_event(kit)["event_id"]
    kit.project.delete([first, second], why="no")

    with pytest.raises(LinksMissing) as caught:
        kit.project.restore([second], at=point)
    assert first in caught.value.message
    saved = kit.project.restore([second], at=point, unlink=True)

    [task] = saved.tasks
    assert "depends_on" not in task
    assert "parent" not in task
    assert len([warning for warning in saved.warnings if first in warning]) == 2
    kit.project.restore([first, second], at=point)
    assert kit.project.backlog().task(second)["depends_on"] == [first]
    kit.assert_sound()


def test_the_archive_is_restored_with_the_rest(kit: Any) -> None:
    """As a whole, and one task out of it."""
    first = kit.id_of("first")
    kit.project.finish([first])
    before = last_event(kit)["event_id"]
    kit.project.archive(older_than="0d")
    away = last_event(kit)["event_id"]

    kit.project.restore(at=before)
    assert kit.titles() == {"first", "second"}
    kit.project.restore(at=away)
    assert set(kit.project.backlog().archived) == {first}
    assert kit.project.show([first])[0]["title"] == "first"
    kit.project.restore([first], at=kit.project.log([first]).events[-1]["event_id"])
    assert kit.project.backlog().task(first)["status"] == "todo"
    assert not kit.project.backlog().archived
    kit.assert_sound()


def test_a_hand_edit_is_replaced_only_by_a_restore_of_the_whole_and_kept_aside(kit: Any) -> None:
    point = last_event(kit)["event_id"]
    edited = kit.file.read_bytes().replace(b'"first"', b'"edited"')
    kit.file.write_bytes(edited)

    with pytest.raises(HandEdit):
        kit.project.undo()
    would = kit.project.restore(at=point, dry_run=True)
    assert any("would be kept as .taskkeep/local/damaged" in warning for warning in would.warnings)
    assert not (kit.local / "damaged").exists()
    saved = kit.project.restore(at=point)

    assert kit.titles() == {"first", "second"}
    assert any(": kept as .taskkeep/local/damaged" in warning for warning in saved.warnings)
    assert [path.read_bytes() for path in (kit.local / "damaged").iterdir()] == [edited]
    kit.assert_sound()


def test_a_restore_of_tasks_answers_with_all_that_it_names(kit: Any) -> None:
    """As other writers do, whether they were changed or were so already."""
    first, second = kit.id_of("first"), kit.id_of("second")
    point, before = last_event(kit)["event_id"], kit.project.show([second, first])

    same = kit.project.restore([second, first], at=point)
    kit.project.start([second])
    both = kit.project.restore([first, second], at=point)

    assert (same.changed, same.tasks) == (False, before)
    assert (both.changed, {task["id"] for task in both.tasks}) == (True, {first, second})


# -- undo --------------------------------------------------------------------------------


def test_undo_takes_back_the_actors_own_last_change(kit: Any) -> None:
    """Not another's; and an undo can be undone."""
    first = kit.id_of("first")
    kit.project.update([first], Edit(set={"priority": "high"}), actor="ada", why="soon")
    before = quiet(kit.project.backlog().task(first))
    kit.project.add("by another", actor="bot")

    kit.project.undo(actor="ada")
    undone = kit.project.backlog().task(first)
    kit.project.undo(actor="ada")

    assert undone["priority"] == "medium"
    assert quiet(kit.project.backlog().task(first)) == before
    assert "by another" in kit.titles()
    assert {event["source"] for event in kit.project.log().events[:2]} == {"undo"}
    with pytest.raises(NothingToUndo):
        kit.project.undo(actor="ci")
    kit.assert_sound()


def test_any_change_is_undone_by_its_event_unless_later_ones_touched_the_same(kit: Any) -> None:
    """The later ones are listed; with force it is taken back all the same."""
    first = kit.id_of("first")
    kit.project.update([first], Edit(set={"priority": "high", "assignee": "ada"}, add={"labels": ["a", "b"]}))
    event = last_event(kit)["event_id"]
    kit.project.update([first], Edit(add={"labels": ["c"]}))
    kit.project.undo(event)
    task = kit.project.backlog().task(first)
    assert (task["priority"], task.get("assignee"), task["labels"]) == ("medium", None, ["c"])

    kit.project.update([first], Edit(set={"priority": "low"}))
    low = last_event(kit)["event_id"]
    kit.project.update([first], Edit(set={"priority": "critical", "title": "kept"}))
    with pytest.raises(ChangedSince) as caught:
        kit.project.undo(low)
    assert caught.value.details["later"][0]["event_id"] == last_event(kit)["event_id"]
    kit.project.undo(low, force=True)
    task = kit.project.backlog().task(first)
    assert (task["priority"], task["title"]) == ("medium", "kept")
    kit.assert_sound()


def test_a_request_of_many_tasks_is_undone_as_one(kit: Any) -> None:
    """Named by any of its events, an import too."""
    from taskkeep import importers

    ids = [kit.id_of("first"), kit.id_of("second")]
    kit.project.finish(ids)
    some = last_event(kit, 1)["event_id"]
    commits = kit.commits()
    kit.project.undo(some)
    assert {task["status"] for task in kit.project.backlog().tasks.values()} == {"todo"}
    assert kit.commits() == commits + 1

    before = kit.file.read_bytes()
    kit.project.import_tasks(importers.read("json", b'[{"title": "one"}, {"title": "two"}]'))
    assert len(kit.titles()) == 4
    kit.project.undo(last_event(kit)["event_id"])
    assert kit.file.read_bytes() == before
    kit.assert_sound()


def test_an_archiving_is_undone_as_one(kit: Any) -> None:
    kit.project.finish([kit.id_of("first"), kit.id_of("second")])
    before = kit.file.read_bytes()
    kit.project.archive(older_than="0d")
    assert kit.titles() == set()

    kit.project.undo()

    assert kit.file.read_bytes() == before
    assert kit.project.backlog().archived == {}
    kit.assert_sound()


def test_a_deletion_undone_brings_the_task_back_with_its_identity(kit: Any) -> None:
    first = kit.id_of("first")
    before = kit.project.backlog().task(first)
    kit.project.delete([first], why="no")

    kit.project.undo()

    assert quiet(kit.project.backlog().task(first)) == quiet(before)
    kit.assert_sound()


def test_a_task_that_others_need_is_not_undone_away(kit: Any) -> None:
    new = kit.project.add("third").task["id"]
    event = last_event(kit)["event_id"]
    kit.project.update([kit.id_of("first")], Edit(add={"depends_on": [new]}))

    with pytest.raises(TaskNeeded):
        kit.project.undo(event)
    saved = kit.project.undo(event, force=True)

    assert kit.titles() == {"first", "second"}
    assert any("taken out" in warning for warning in saved.warnings)
    kit.assert_sound()


def test_a_change_under_anothers_claim_is_left_to_them(kit: Any) -> None:
    """As any change of the task is; forced, the claim stands."""
    first = kit.id_of("first")
    kit.project.update([first], Edit(set={"priority": "high"}))
    event = last_event(kit)["event_id"]
    claim = getattr(kit.project, "claim", None)
    if claim is None:
        pytest.skip("no claims yet")
    claim(first, actor="bot")

    with pytest.raises(ClaimHeld):
        kit.project.undo(event)
    kit.project.undo(event, force=True)

    task = kit.project.backlog().task(first)
    assert (task["priority"], task["claimed_by"]) == ("medium", "bot")


def test_what_changed_no_task_cannot_be_undone(kit: Any) -> None:
    first = kit.project.log().events[-1]
    with pytest.raises(NothingToUndo):
        kit.project.undo(first["event_id"])
    for name, error in (("-x", BadPoint), ("zz", UnknownPoint), ("", BadPoint), ("0" * 36, UnknownPoint)):
        with pytest.raises(error):
            kit.project.undo(name)


def test_undo_works_without_git_but_leaves_a_damaged_file_to_restore(kit: Any) -> None:
    kit.project.delete([kit.id_of("first")], why="no")
    event = last_event(kit)["event_id"]
    os.rename(kit.folder / ".git", kit.folder / "elsewhere")
    for damage in (lambda: kit.file.write_bytes(b"{"), kit.file.unlink):
        damage()
        for act in (lambda: kit.project.undo(event), lambda: kit.project.blame(kit.project.log().events[0]["task_id"])):
            with pytest.raises(BacklogUnreadable) as caught:
                act()
            assert "taskkeep restore --at" in caught.value.hint
        kit.project.restore(at=event)

    kit.project.undo(event)

    assert kit.titles() == {"first", "second"}


@pytest.mark.parametrize("what", ["restore", "undo"])
def test_the_past_is_brought_back_whole_or_not_at_all(kit: Any, run_and_die: Any, scratch: Any, what: str) -> None:
    """Killed before any step, it is done or not done after the next command, and nothing is lost."""
    import shutil

    from tests.store.conftest import Kit

    kit.project.finish([kit.id_of("first")])
    kit.project.archive(older_than="0d")
    point = kit.project.log().events[2]["event_id"]
    code = f"project.restore(at={point!r})" if what == "restore" else "project.undo()"
    step, died = 1, True
    while died:
        copy = Kit(scratch / f"copy{step}")
        shutil.copytree(kit.folder, copy.folder, symlinks=True)
        died = run_and_die(copy, step, code)
        copy.project.recover()
        backlog = copy.project.backlog()
        state = (copy.titles(), {task["title"] for task in backlog.archived.values()})
        assert state in (({"second"}, {"first"}), ({"first", "second"}, set())), step
        copy.project.add("after")
        copy.assert_sound()
        shutil.rmtree(copy.folder)
        step += 1
    assert step > 20

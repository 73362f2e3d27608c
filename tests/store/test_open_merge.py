"""Merges that git left open in odd states, and versions that the driver cannot simply take."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog import text
from taskkeep.backlog.changes import Edit
from taskkeep.errors import (
    BacklogUnreadable,
    CommitFailed,
    DiskFault,
    GitLocked,
    GitUnavailable,
    HandEdit,
    NotFound,
    RepositoryBusy,
    TaskkeepError,
)
from taskkeep.store import outline
from taskkeep.store.layout import Root
from taskkeep.store.merging import driver
from taskkeep.store.pack import pack_old
from taskkeep.store.save import Options, writing
from taskkeep.store.validate import task_problem

from .conftest import FakeGit
from .test_hooks import asked, hook

__all__ = ["asked"]
MARKS = b"<<<<<<< ours\n=======\n>>>>>>> theirs\n"


def edit(kit: Any, title: str, /, **fields: Any) -> None:
    kit.project.update([kit.id_of(title)], Edit(set=fields))


def at(kit: Any, revision: str) -> bytes:
    return subprocess.run(
        ["git", "show", f"{revision}:backlog.json"], cwd=kit.folder, capture_output=True, check=True
    ).stdout


def unmerged(kit: Any, *versions: bytes | None) -> None:
    """Put up to three versions of backlog.json into the index, as git leaves them of a merge."""
    rows = [f"0 {'0' * 40}\tbacklog.json"]
    for stage, data in enumerate(versions, 1):
        if data is not None:
            blob = subprocess.run(
                ["git", "hash-object", "-w", "--no-filters", "--stdin"],
                cwd=kit.folder, input=data, capture_output=True, check=True,
            ).stdout.decode().strip()  # fmt: skip
            rows.append(f"100644 {blob} {stage}\tbacklog.json")
    subprocess.run(
        ["git", "update-index", "--index-info"], cwd=kit.folder, input="\n".join(rows).encode() + b"\n", check=True
    )


@pytest.fixture
def sides(kit: Any) -> tuple[Any, bytes, bytes, bytes]:
    """One title edited on two branches; base, ours and theirs, with `main` checked out."""
    base = kit.file.read_bytes()
    kit.git("checkout", "-q", "-b", "other")
    edit(kit, "first", title="theirs")
    theirs = kit.file.read_bytes()
    kit.git("checkout", "-q", "main")
    edit(kit, "first", title="ours")
    return kit, base, kit.file.read_bytes(), theirs


# -- what the index may hold -----------------------------------------------------------------------------


def test_a_base_that_nobody_can_read_needs_a_merge_that_says_what_is_merged(sides: Any) -> None:
    kit, _, ours, theirs = sides
    unmerged(kit, MARKS, ours, theirs)
    with pytest.raises(BacklogUnreadable):
        kit.project.conflicts()
    (kit.folder / ".git" / "MERGE_HEAD").write_text(kit.git("rev-parse", "other"))
    [found] = kit.project.conflicts()
    assert (found.conflict.base, found.conflict.ours, found.conflict.theirs) == ("first", "ours", "theirs")


@pytest.mark.parametrize("side", ["our", "their"])
def test_a_side_without_a_backlog_is_gits_to_settle(sides: Any, side: str) -> None:
    kit, base, ours, theirs = sides
    unmerged(kit, base, *((None, theirs) if side == "our" else (ours, None)))
    with pytest.raises(RepositoryBusy, match=f"{side} side has no"):
        kit.project.conflicts()


def test_an_index_that_cannot_be_read_is_told(sides: Any, git_that: FakeGit) -> None:
    git_that('case "$*" in *"ls-files -u"*) echo "fatal: bad index" >&2; exit 128;; esac')
    with pytest.raises(GitUnavailable, match="bad index"):
        sides[0].project.conflicts()


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_version_that_git_cannot_read_is_not_one_without_tasks(sides: Any, stage: int) -> None:
    kit = sides[0]
    unmerged(kit, *(text_.replace(b"second", f"second {number}".encode()) for number, text_ in enumerate(sides[1:])))
    blob = kit.git("rev-parse", f":{stage}:backlog.json").strip()
    (kit.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(GitUnavailable, match="cannot read"):
        kit.project.conflicts()


@pytest.mark.parametrize("broken", ["merge-base", "ls-tree", "rev-parse --verify --quiet --end-of-options MERGE_HEAD"])
def test_what_git_does_not_answer_of_a_merge_is_not_taken_for_nothing(
    sides: Any, git_that: FakeGit, broken: str
) -> None:
    kit, *versions = sides
    unmerged(kit, *versions)
    (kit.folder / ".git" / "MERGE_HEAD").write_text(kit.git("rev-parse", "other"))
    assert kit.project.conflicts()
    git_that(f'case "$*" in *"{broken}"*) echo "fatal: it broke" >&2; exit 128;; esac')
    with pytest.raises(GitUnavailable, match="cannot read"):
        kit.project.conflicts()


@pytest.mark.parametrize(
    ("way", "ours", "theirs"),
    [
        ("merge -q other", "main", "other"),
        ("merge -q HASH", "main", "HASH"),
        ("merge -q origin/other", "main", "origin/other"),
        ("merge -q --squash other", "main", "other"),
        ("cherry-pick other", "main", "other"),
        ("rebase -q other", "other", "main"),
        ("rebase -q --apply other", "other", "main"),
        ("checkout -q --detach\nmerge -q other", "HEAD", "other"),
    ],
)
def test_both_sides_of_a_conflict_are_named_whichever_way_they_met(
    sides: Any, way: str, ours: str, theirs: str
) -> None:
    """By branch, and with who made each value."""
    kit, name = sides[0], sides[0].git("rev-parse", "other").strip()
    made = kit.project.log(limit=1).events[0]["timestamp"]
    edit(kit, "ours", priority="high")  # which nobody disputes
    kit.git("update-ref", "refs/remotes/origin/other", "other")
    for words in way.replace("HASH", name).split("\n"):
        kit.git(*words.split(), check=words.startswith("checkout"))

    [found] = kit.project.conflicts()

    assert (found.ours.branch, found.theirs.branch) == (ours, theirs.replace("HASH", name))
    assert (found.ours.actor, found.theirs.actor) == ("Ada", "Ada")
    assert None not in (found.ours.time, found.theirs.time)
    assert (found.ours.time < found.theirs.time) == way.startswith("rebase")
    values = {found.conflict.ours: found.ours.time, found.conflict.theirs: found.theirs.time}
    assert values["theirs"] < values["ours"] == made


def test_a_squash_that_conflicts_is_told_as_one(sides: Any) -> None:
    kit = sides[0]
    kit.git("merge", "-q", "--squash", "other", check=False)
    [found] = kit.project.conflicts()
    assert found.theirs.branch == "other"
    kit.project.resolve(choice="theirs")
    assert "theirs" in kit.titles()


def test_with_nothing_of_the_backlog_open_there_is_nothing_to_resolve(kit: Any) -> None:
    with pytest.raises(NotFound, match="no merge"):
        kit.project.resolve(choice="ours")
    assert kit.project.conflicts() == []


# -- what lies in the working tree meanwhile ---------------------------------------------------------------


def test_markers_around_what_the_log_has_already_just_go(kit: Any) -> None:
    """As of a change that was picked twice: no event, and both files as they should be."""
    kit.project.finish([kit.id_of("second")])
    kit.project.archive(older_than="0d")
    old, now = at(kit, "HEAD~1"), kit.file.read_bytes()
    archive = (kit.root / "backlog.archive.json").read_bytes()
    for spoil_archive in (False, True):
        unmerged(kit, old, now, old)
        kit.file.write_bytes(MARKS + now)
        if spoil_archive:
            (kit.root / "backlog.archive.json").write_bytes(archive.replace(b"\n  ", b"\n   "))
        events = len(kit.project.log(limit=0).events)
        try:
            kit.project.resolve(choice="ours")
        except HandEdit:
            assert spoil_archive
            return
        assert kit.file.read_bytes() == now
        assert len(kit.project.log(limit=0).events) == events
        assert kit.git("ls-files", "-u") == ""


def test_a_file_that_somebody_merged_by_hand_is_taken_as_it_lies(sides: Any) -> None:
    """Where it holds one of the two values it is that one's choice; anything else is a hand edit."""
    kit, base, ours, theirs = sides
    kit.git("-c", "merge.taskkeep.driver=false", "merge", "-q", "other", check=False)
    unmerged(kit, base, ours, theirs)
    kit.file.write_bytes(theirs)
    kit.project.resolve(choice="theirs")
    kit.git("commit", "-q", "-m", "merged")
    assert "theirs" in kit.titles()
    kit.project.add("after")
    assert kit.project.verify().findings == []


def test_a_file_edited_by_hand_while_a_merge_is_open_is_refused(sides: Any) -> None:
    kit, base, ours, theirs = sides
    kit.git("-c", "merge.taskkeep.driver=false", "merge", "-q", "other", check=False)
    unmerged(kit, base, ours, theirs)
    kit.file.write_bytes(ours.replace(b'"second"', b'"edited"'))
    with pytest.raises(HandEdit, match="does not explain"):
        kit.project.resolve(choice="ours")


def test_a_file_of_another_kind_is_no_leftover_of_git(sides: Any) -> None:
    kit, base, ours, theirs = sides
    unmerged(kit, base, ours, theirs)
    kit.file.write_text('{"version": 2, "tasks": []}')
    with pytest.raises(BacklogUnreadable, match="version"):
        kit.project.resolve(choice="ours")


def test_a_choice_where_the_log_has_one_head_is_an_event_all_the_same(sides: Any) -> None:
    """As of a change picked without its log: what the file chose is told by `merged`, then by the conflict's event."""
    kit, base, ours, theirs = sides
    unmerged(kit, base, ours, theirs)
    kit.file.write_bytes(MARKS)
    kit.project.resolve(choice="theirs", why="theirs is right")
    kit.git("commit", "-q", "-a", "-m", "resolved")
    assert "theirs" in kit.titles()
    kit.project.add("after")
    assert kit.project.verify().findings == []


def test_a_side_that_is_older_than_the_log_is_a_choice_told_by_the_log(sides: Any) -> None:
    """Git's index holds a value that the log has gone on from: that this one stays is an event."""
    kit, base, ours, theirs = sides
    unmerged(kit, theirs, base, ours)
    kit.file.write_bytes(MARKS)
    kit.project.resolve(choice="ours", why="the old one was right")
    assert "merged" in {event["event_type"] for event in kit.project.log(limit=3).events}
    kit.git("commit", "-q", "-a", "-m", "resolved")
    assert "first" in kit.titles()
    kit.project.add("after")
    assert kit.project.verify().findings == []


def test_a_dry_run_of_resolve_names_the_tasks_that_the_run_names(sides: Any) -> None:
    kit = sides[0]
    kit.git("merge", "-q", "other", check=False)
    task_id = kit.id_of("ours")

    would, did = (kit.project.resolve(task_id, choice="theirs", dry_run=dry)[0] for dry in (True, False))

    assert [(task["id"], task["title"]) for task in would.tasks] == [(task_id, "theirs")]
    assert [(task["id"], task["title"]) for task in did.tasks] == [(task_id, "theirs")]


def test_resolving_what_is_resolved_already_stages_nothing(sides: Any) -> None:
    """While others are open still."""
    kit = sides[0]
    kit.git("checkout", "-q", "other")
    edit(kit, "second", title="second of theirs")
    kit.git("checkout", "-q", "main")
    edit(kit, "second", title="second of ours")
    kit.git("merge", "-q", "other", check=False)
    task_id = kit.id_of("ours")
    kit.project.resolve(task_id, choice="ours")
    before = kit.git("ls-files", "-s")
    again, left = kit.project.resolve(task_id, choice="ours")
    assert (again.changed, len(left)) == (False, 1)
    assert kit.git("ls-files", "-s") == before
    assert len(kit.project.conflicts()) == 1


def test_an_index_that_another_git_holds_is_said_and_the_choice_stands(sides: Any) -> None:
    kit = sides[0]
    kit.git("merge", "-q", "other", check=False)
    lock = kit.folder / ".git" / "index.lock"
    lock.write_text("another git's")
    with pytest.raises((GitLocked, TaskkeepError)):
        kit.project.resolve(choice="ours")
    lock.unlink()
    kit.project.resolve(choice="ours")
    kit.git("commit", "-q", "-m", "merged")
    assert "ours" in kit.titles()
    kit.project.add("after")
    assert kit.project.verify().findings == []


@pytest.mark.parametrize("name", ["odd", "odd.named"])
def test_a_filter_that_the_repository_demands_is_not_run_to_stage_a_choice(sides: Any, name: str) -> None:
    kit = sides[0]
    kit.git("merge", "-q", "other", check=False)
    for key, value in (("clean", "false"), ("process", "false"), ("required", "true")):
        kit.git("config", f"filter.{name}.{key}", value)
    (kit.folder / ".git" / "info").mkdir(exist_ok=True)
    (kit.folder / ".git" / "info" / "attributes").write_text(f"backlog.json filter={name}\n")

    kit.project.resolve(choice="theirs")

    assert kit.git("ls-files", "-u") == ""
    assert kit.git("show", ":backlog.json").encode() == kit.file.read_bytes()


@pytest.mark.parametrize("command", ["get-regexp", "update-index", "'ls-files -z --'"])
def test_a_git_that_does_not_stage_leaves_the_merge_as_it_was(sides: Any, git_that: FakeGit, command: str) -> None:
    """The choice is taken back with it: files that are saved and not staged would be no merge."""
    kit = sides[0]
    kit.git("merge", "-q", "other", check=False)
    files, index = kit.files(), kit.git("ls-files", "-s")
    git_that(f'case "$*" in *{command}*) echo "fatal: it broke" >&2; exit 128;; esac')
    with pytest.raises(CommitFailed, match="it broke"):
        kit.project.resolve(choice="ours")
    assert (kit.files(), kit.git("ls-files", "-s")) == (files, index)
    assert len(kit.project.conflicts()) == 1


def test_archives_that_git_merged_by_lines_are_merged_by_resolve(kit: Any) -> None:
    """Both branches have archived, so that both files hold git's markers."""
    for branch, title in (("other", "first"), ("main", "second")):
        kit.git("checkout", "-q", *(["-b"] if branch == "other" else []), branch)
        kit.project.finish([kit.id_of(title)])
        kit.project.archive(older_than="0d")
    kit.git("-c", "merge.taskkeep.driver=false", "merge", "-q", "other", check=False)
    for name in ("backlog.json", "backlog.archive.json"):
        versions = [f":{stage}:{name}" for stage in (2, 3)]
        found = [subprocess.run(["git", "show", one], cwd=kit.folder, capture_output=True).stdout for one in versions]
        if all(found):
            (kit.root / name).write_bytes(b"<<<<<<< ours\n" + found[0] + b"=======\n" + found[1] + b">>>>>>> theirs\n")
    kit.project.resolve(choice="ours")
    kit.git("commit", "-q", "-a", "-m", "merged")
    backlog = kit.project.backlog()
    assert (len(backlog.tasks), len(backlog.archived)) == (0, 2)
    kit.project.add("after")
    assert kit.project.verify().findings == []


def test_what_the_schema_forbids_in_other_ways_is_said_too(kit: Any) -> None:
    note = {"at": "2026-11-20T12:00:00.000000Z", "by": "ada", "text": "a note", "colour": "red"}
    problem = task_problem({**kit.project.show([kit.id_of("first")])[0], "notes": [note]})
    assert problem is not None
    assert "notes" in problem.message


# -- the driver ----------------------------------------------------------------------------------------------


def task(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"T000{number}", "uid": f"{number}" * 32, "title": f"task {number}", "status": "todo",
        "priority": "medium", "type": "task", "created_at": "2026-11-20T12:00:00.000000Z", "created_by": "ada",
        "updated_at": "2026-11-20T12:00:00.000000Z", **fields,
    }  # fmt: skip


def merged(folder: Path, *versions: bytes) -> Any:
    names = [str(folder / name) for name in ("base", "ours", "theirs")]
    for name, data in zip(names, versions, strict=True):
        Path(name).write_bytes(data)
    conflicts = driver.merge_files(names[0], names[1], names[2], "backlog.json")
    return json.loads(Path(names[1]).read_bytes())["tasks"], conflicts


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git_alone: None) -> Path:
    """A folder in no repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def test_a_version_with_a_task_twice_is_left_to_git(nowhere: Path) -> None:
    good = text.dump([task(1)])
    for wrong in ([task(1), task(1)], [task(1), task(2, uid="1" * 32)], [task(1, status="never")]):
        with pytest.raises(TaskkeepError):
            merged(nowhere, good, good, text.dump(wrong))
        assert (nowhere / "ours").read_bytes() == good


def test_a_field_of_a_newer_version_is_merged_like_any_other(nowhere: Path) -> None:
    base, ours = text.dump([task(1)]), text.dump([task(1), task(2)])
    theirs = text.dump([task(1, colour="red")])
    tasks, conflicts = merged(nowhere, base, ours, theirs)
    assert (tasks[0].get("colour"), len(tasks), conflicts) == ("red", 2, [])


def test_an_id_that_changed_its_owner_is_looked_at_whole(nowhere: Path) -> None:
    """A task that is the same everywhere, and one of theirs that was given its id."""
    base = ours = text.dump([task(1), task(2)])
    theirs = text.dump([task(1), task(2)]).replace(b'"T0002"', b'"T0001"')
    with pytest.raises(BacklogUnreadable, match="twice"):
        merged(nowhere, base, ours, theirs)
    tasks, conflicts = merged(nowhere, base, text.dump([task(2)]), text.dump([task(2), task(3, id="T0001")]))
    assert {one["uid"][0] for one in tasks} == {"2", "3"}
    assert conflicts == []


@pytest.mark.parametrize("spoilt", [True, False])
def test_a_base_that_git_merged_by_lines_is_replaced_by_what_both_logs_know(
    sides: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spoilt: bool
) -> None:
    """A description that shows git's markers does not make it one."""
    kit, base, ours, theirs = sides
    monkeypatch.chdir(kit.folder)
    monkeypatch.setenv(f"GITHEAD_{kit.git('rev-parse', 'other').strip()}", "other")
    words = b'"description": "<<<<<<< as git writes",\n      "status"'
    given = MARKS + base if spoilt else base.replace(b'"status"', words, 1)
    _, conflicts = merged(tmp_path, given, ours, theirs)
    assert [(one.field, one.base) for one in conflicts if one.field == "title"] == [("title", "first")]


def test_of_several_heads_the_one_with_this_version_is_theirs(sides: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kit, _, ours, theirs = sides
    monkeypatch.chdir(kit.folder)
    names = {name: kit.git("rev-parse", name).strip() for name in ("main", "other")}
    for name in names.values():
        monkeypatch.setenv(f"GITHEAD_{name}", "x")
    assert driver._likely_commits("backlog.json", theirs) == [names["other"]]
    assert driver._likely_commits("backlog.json", ours) == [names["main"]]


@pytest.mark.parametrize("way", ["merge", "cherry-pick", "stash"])
def test_archived_there_and_edited_here_is_no_deletion_whichever_way_it_comes(kit: Any, way: str) -> None:
    """Their archive is found by the commit that has their version of the file."""
    kit.project.finish([kit.id_of("first")])
    kit.git("checkout", "-q", "-b", "other")
    kit.project.archive(older_than="0d", **({"commit": False} if way == "stash" else {}))
    if way == "stash":
        kit.git("add", "-A")
        kit.git("stash", "-q")
    kit.git("checkout", "-q", "main")
    edit(kit, "first", priority="high")
    commands = {"merge": ["merge", "-q", "-m", "m", "other"], "cherry-pick": ["cherry-pick", "other"]}
    kit.git(*commands.get(way, ["stash", "pop", "-q"]), check=False)
    left = [one.conflict.kind for one in kit.project.conflicts()] if kit.git("ls-files", "-u") else []
    assert "delete_edit" not in left


def test_a_log_that_git_lacks_is_told_to_the_driver(kit: Any) -> None:
    blob = kit.git("rev-parse", "HEAD:.taskkeep/audit/" + sorted(kit.log_files())[0]).strip()
    (kit.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    names = [f".taskkeep/audit/{name}" for name in sorted(kit.log_files())]
    with pytest.raises(BacklogUnreadable, match="git cannot read the log"):
        driver._events_at(str(kit.folder), "HEAD", names)


def test_branches_that_packed_the_same_events_have_no_more_in_common(kit: Any) -> None:
    for number in range(3):
        kit.project.add(f"task {number}")
    kit.git("branch", "other")
    for branch in ("main", "other"):
        kit.git("checkout", "-q", branch)
        kit.git("commit", "-q", "--allow-empty", "-m", branch)  # else both packings may be one commit
        with writing(Root(str(kit.root)), Options()) as writer:
            assert pack_old(writer, limit=1, kept=1)
        kit.project.add(f"on {branch}")
    assert driver.common_past(str(kit.folder), "backlog.json", "main", "other") is None
    assert driver.common_past(str(kit.folder), "backlog.json", "main", "other", always=True) is not None
    kit.git("checkout", "-q", "main")
    kit.git("merge", "-q", "-m", "m", "other")
    kit.project.add("after")
    assert kit.project.verify().findings == []


# -- commits ------------------------------------------------------------------------------------------------------


def test_a_chain_of_names_without_an_end_is_refused(kit: Any) -> None:
    """As git does after five of them."""
    before = kit.files()
    for number in range(8):
        kit.git("symbolic-ref", f"refs/heads/a{number}", f"refs/heads/a{number + 1}")
    kit.git("symbolic-ref", "HEAD", "refs/heads/a0")
    with pytest.raises((CommitFailed, GitUnavailable, RepositoryBusy)):
        kit.project.add("refused")
    assert kit.files() == before


@pytest.mark.usefixtures("asked")
def test_hooks_that_get_no_index_stop_the_commit(kit: Any) -> None:
    hook(kit, "pre-commit", "exit 0")
    token = (kit.local / "token").read_text().strip()
    (kit.folder / ".git" / f"{token}.hook-index").mkdir()
    before = kit.files()
    with pytest.raises((CommitFailed, DiskFault), match="index for the hooks"):
        kit.project.add("refused")
    assert kit.files() == before


def test_a_day_of_the_log_that_is_packed_whole_is_gone_from_the_tree(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskkeep.store.save.now_text", lambda: "2030-01-01T00:00:00.000000Z")
    kit.project.add("early")
    monkeypatch.setattr("taskkeep.store.save.now_text", lambda: "2030-01-02T00:00:00.000000Z")
    kit.project.add("late")
    with writing(Root(str(kit.root)), Options()) as writer:
        assert pack_old(writer, limit=1, kept=1)
    days = kit.git("ls-tree", "--name-only", "HEAD", ".taskkeep/audit/").split()
    assert [day for day in days if "pack-" not in day] == [".taskkeep/audit/2030-01-02"]
    kit.assert_sound()


# -- the outline of a large backlog ----------------------------------------------------------------------------------


def test_lists_are_the_same_with_and_without_the_outline(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made anew, carried on with each change, and thrown away where it is of another file."""

    def pages() -> Any:
        queries = (taskkeep.Query(), taskkeep.Query(priorities=["high"]), taskkeep.Query(ready=True))
        return [kit.project.list(query).tasks for query in queries], kit.project.ready().tasks

    path = kit.local / "cache" / outline.NAME
    monkeypatch.setattr(outline, "WORTH_IT", 1)
    kit.project.add("third", priority="high")
    assert path.exists()
    kit.project.finish([kit.id_of("first")])
    kit.project.delete([kit.id_of("second")], why="gone")
    with_it = pages()
    path.write_bytes(b"[1]\n" + path.read_bytes())
    of_another = pages()
    path.unlink()
    assert with_it == of_another == pages()

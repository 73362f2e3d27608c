"""What the door to a backlog says by itself, before and beside what lies behind it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep import project
from taskkeep.backlog.changes import Edit
from taskkeep.errors import BacklogUnreadable, DiskFault, ForeignFile, GitUnavailable, Outside, TaskBlocked, Usage
from taskkeep.store import outline

from .conftest import FakeGit
from .test_mending import flip, forget, log_file


@pytest.fixture
def folder(git_alone: None, scratch: Path) -> Path:
    """A folder in no repository."""
    (scratch / "folder").mkdir()
    return scratch / "folder"


@pytest.fixture
def alone(folder: Path) -> taskkeep.Project:
    """A backlog in no repository, of one task."""
    taskkeep.init(str(folder), git=False)
    found = taskkeep.open(str(folder))
    found.add("first")
    return found


# -- a new backlog ----------------------------------------------------------------------------------------


def test_ids_are_of_a_kind_that_there_is(folder: Path) -> None:
    with pytest.raises(Usage, match="ids cannot be 'odd'"):
        taskkeep.init(str(folder), ids="odd", git=False)
    assert list(folder.iterdir()) == []


def test_outside_of_git_it_is_asked_whether_git_is_wanted(folder: Path) -> None:
    """Nobody is given a repository unasked, nor one that a dry run only speaks of."""
    with pytest.raises(Outside, match="no git repository"):
        taskkeep.init(str(folder))
    assert taskkeep.init(str(folder), git=True, dry_run=True).dry_run
    assert list(folder.iterdir()) == []


def test_a_repository_that_is_wanted_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.invalid")
    assert taskkeep.init(str(folder), git=True).commit
    assert taskkeep.open(str(folder)).verify().findings == []


def test_a_repository_that_git_does_not_make_is_told(folder: Path, git_that: FakeGit) -> None:
    git_that('case "$*" in *"init -q"*) echo "fatal: it broke" >&2; exit 128;; esac')
    with pytest.raises(Outside, match=r"git init failed.*it broke"):
        taskkeep.init(str(folder), git=True)
    assert list(folder.iterdir()) == []


def test_a_file_of_another_program_is_not_written_over(folder: Path) -> None:
    (folder / "backlog.json").write_text('{"items": []}')
    with pytest.raises(ForeignFile, match="not taskkeep's"):
        taskkeep.init(str(folder), git=False)
    assert (folder / "backlog.json").read_text() == '{"items": []}'


def test_no_new_backlog_is_made_in_the_place_of_one_that_is_gone(kit: Any) -> None:
    """It would have none of the old tasks: what brings them back is said, and with git a removal is committed first."""
    kit.file.unlink()
    for dry_run in (True, False):
        with pytest.raises(BacklogUnreadable, match=r"backlog\.json is gone") as refused:
            taskkeep.init(str(kit.root), dry_run=dry_run)
        assert "restore --at" in refused.value.hint
    shutil.rmtree(kit.root / ".taskkeep")
    with pytest.raises(BacklogUnreadable) as refused:
        taskkeep.init(str(kit.root))
    assert "HEAD has it" in refused.value.hint

    kit.git("commit", "-q", "-am", "no backlog any more")
    taskkeep.init(str(kit.root))
    kit.assert_sound()


@pytest.mark.parametrize(
    "ask",
    [
        lambda project: project.conflicts(),
        lambda project: project.resolve(choice="ours"),
        lambda project: project.sync(),
        lambda project: project.make_backup(),
    ],
)
def test_nobody_says_none_where_the_backlog_is_gone(kit: Any, ask: Callable[[taskkeep.Project], object]) -> None:
    kit.file.unlink()
    with pytest.raises(BacklogUnreadable, match=r"backlog\.json is gone") as refused:
        ask(kit.project)
    assert "restore --at" in refused.value.hint


def test_tasks_that_depend_on_each_other_are_done_in_one_request_in_any_order(kit: Any) -> None:
    first, second = kit.id_of("first"), kit.id_of("second")
    third = kit.project.add("third", depends_on=[first]).task["id"]
    kit.project.update([first], Edit(set={"depends_on": [second]}))
    with pytest.raises(TaskBlocked):
        kit.project.finish([third, first])

    saved = kit.project.finish([third, first, second])

    assert [task["id"] for task in saved.tasks] == [third, first, second]
    assert {task["status"] for task in saved.tasks} == {"done"}
    kit.assert_sound()


def test_events_are_asked_for_by_the_words_that_show_them(kit: Any) -> None:
    """`log` shows task_created as created."""
    assert kit.project.log(types=["created"]).total == kit.project.log(types=["task_created"]).total == 2
    for words in ("backlog initialised", "backlog-initialised", " Backlog_Initialised "):
        assert kit.project.log(types=[words]).total == 1


def test_a_kind_of_event_that_the_log_never_had_is_named(kit: Any) -> None:
    """It may be misspelt; it is not refused, since later versions may have it."""
    page = kit.project.log(types=["created", "bogus"], sources=["api", "clí"], actors=["nobody"])
    assert page.notes == ["no event of the log has the type bogus", "no event of the log has the source clí"]
    assert kit.project.log(types=["created"], sources=["api"]).notes == []
    assert kit.project.log([kit.id_of("first")], sources=["mcp"]).notes == ["no event of the log has the source mcp"]


# -- outside of git ---------------------------------------------------------------------------------------


def test_where_there_is_no_git_either_the_login_name_acts(
    alone: taskkeep.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TASKKEEP_ACTOR", "GIT_AUTHOR_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(alone.root.path))
    monkeypatch.setenv("USER", "ada")
    alone.add("by the login name")
    assert alone.log().events[0]["actor"] == "ada"


def test_outside_of_git_gits_user_acts_all_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[user]\nname = Ada\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    taskkeep.init(str(folder), git=False)
    added = taskkeep.open(str(folder)).add("first").task
    assert added is not None
    assert added["created_by"] == "Ada"


def test_outside_of_git_there_are_no_branches(alone: taskkeep.Project) -> None:
    assert alone.refs() == []
    status = alone.status()
    assert (status["git"], status["branch"], status["total"], status["conflicts"]) == (False, None, 1, 0)


# -- what is asked ----------------------------------------------------------------------------------------


def test_who_acts_is_said_by_the_environment_before_git(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kit.project.actor() == "Ada"
    monkeypatch.setenv("TASKKEEP_ACTOR", "bot")
    assert kit.project.actor() == "bot"


def test_a_primer_of_a_large_backlog_is_that_of_a_small_one(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole tasks, though few fields of each are read."""
    kit.project.claim(kit.id_of("first"))
    whole = kit.project.prime()
    monkeypatch.setattr(outline, "WORTH_IT", 0)
    kit.project.update([kit.id_of("second")], Edit(set={"description": "for the page"}), actor=kit.project.actor())
    of_rows = kit.project.prime()
    assert (kit.local / "cache" / "outline").exists()
    assert (of_rows.counts, of_rows.claims) == (whole.counts, whole.claims)
    assert of_rows.ready.tasks == [kit.project.show([kit.id_of("second")])[0]]


def test_how_far_a_long_walk_is_can_be_watched(kit: Any) -> None:
    told: list[tuple[int, int, str]] = []
    flip(log_file(kit, -1))
    forget(kit)
    project.watch(lambda *step: told.append(step))
    try:
        kit.project.log()
    finally:
        project.watch(None)
    assert ("files of the log", 3) in {(what, total) for _, total, what in told}
    count = len(told)
    kit.project.log()
    assert len(told) == count


def test_an_object_changes_the_one_task_that_it_names(kit: Any) -> None:
    for ids in (None, [], [kit.id_of("first"), kit.id_of("second")]):
        with pytest.raises(Usage, match="one task is changed by one object"):
            kit.project.update_object(ids, {"title": "other"})
    assert kit.titles() == {"first", "second"}


@pytest.mark.parametrize("why", [None, "", "  "])
def test_a_deletion_says_why(kit: Any, why: str | None) -> None:
    with pytest.raises(Usage, match="needs a reason"):
        kit.project.delete([kit.id_of("first")], why=why)
    assert kit.titles() == {"first", "second"}


# -- what cannot be read or written -----------------------------------------------------------------------


def test_a_version_that_the_driver_is_not_given_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("base", "ours", "theirs")]
    with pytest.raises(DiskFault, match=r"backlog\.json could not be merged"):
        project.merge_files(*names, "backlog.json")
    assert list(tmp_path.iterdir()) == []


def test_a_set_up_that_cannot_be_taken_out_is_told(alone: taskkeep.Project, new_repository: Any) -> None:
    """As where a file stands in the place of the folder."""
    new_repository(Path(alone.folder))
    local = Path(alone.folder) / ".taskkeep" / "local"
    local.rename(local.with_name("moved"))
    local.write_text("")
    with pytest.raises(DiskFault, match="could not be taken out"):
        alone.uninstall()


def test_a_section_of_gits_configuration_that_stays_is_not_said_to_be_gone(kit: Any) -> None:
    before = (kit.folder / ".git" / "config").read_text()
    assert "taskkeep" in before
    (kit.local / "token").unlink()
    (kit.local / "tmp").rmdir()
    (kit.local / "tmp").write_text("in the way")

    with pytest.raises(GitUnavailable, match=r"could not be taken out; nothing was changed"):
        kit.project.uninstall()

    assert (kit.folder / ".git" / "config").read_text() == before
    assert (kit.folder / ".gitattributes").exists()
    assert not (kit.local / "uninstalled").exists()

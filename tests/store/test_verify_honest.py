"""What must pass: honest histories, however git tells them, are judged without a single finding."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

import taskkeep
from taskkeep.backlog.changes import Edit
from taskkeep.project import verify

from .conftest import make_repository
from .seed import Case


class Asked(NamedTuple):
    """Where verify is called, and what it is asked; codes of warnings that are right to be given."""

    folder: Path | None = None
    base: str | None = "base"
    head: str | None = None
    warns: frozenset[str] = frozenset()
    history: bool = True


Story = Callable[[Case], Asked | None]
STORIES: dict[str, Story] = {}


def honest(story: Story) -> Story:
    STORIES[story.__name__] = story
    return story


def more_on_base(case: Case) -> None:
    """Others go on upon the base: a new task, a change of another one, a deletion."""
    case.git("checkout", "-q", "base")
    case.project.add("of the base")
    case.project.update([case.id_of("beta")], Edit(set={"priority": "high"}))
    case.project.delete([case.id_of("epsilon")], why="not wanted any more")
    case.git("checkout", "-q", "work")


def more_on_work(case: Case) -> None:
    case.project.add("of the branch", labels=["new"])
    case.project.finish([case.id_of("delta")])


# -- how a branch comes into its base ---------------------------------------------------------------


@honest
def a_branch_on_its_base(case: Case) -> None:
    more_on_work(case)


@honest
def a_branch_whose_base_has_gone_on(case: Case) -> None:
    more_on_base(case)
    more_on_work(case)


@honest
def a_merge_commit_as_ci_checks_it_out(case: Case) -> Asked:
    """The merge of base and branch, on a detached HEAD, held against HEAD^1."""
    more_on_base(case)
    more_on_work(case)
    case.git("checkout", "-q", "--detach", "base")
    case.git("merge", "-q", "--no-ff", "-m", "Merge work", "work")
    return Asked(base="HEAD^1")


@honest
def a_merge_queue_of_two_branches(case: Case) -> Asked:
    more_on_work(case)
    case.git("checkout", "-q", "-b", "second", "base")
    case.project.add("of the second")
    case.git("checkout", "-q", "--detach", "base")
    case.git("merge", "-q", "--no-ff", "-m", "one", "second")
    case.git("merge", "-q", "--no-ff", "-m", "two", "work")
    return Asked()


@honest
def a_squash_merge(case: Case) -> Asked:
    more_on_base(case)
    more_on_work(case)
    before = case.git("rev-parse", "base").strip()
    case.git("checkout", "-q", "base")
    case.git("merge", "-q", "--squash", "work")
    case.git("commit", "-q", "-m", "All of it (#7)")
    return Asked(base=before)


@honest
def a_second_squash_of_the_same_branch(case: Case) -> Asked:
    more_on_work(case)
    case.git("checkout", "-q", "base")
    case.git("merge", "-q", "--squash", "work")
    case.git("commit", "-q", "-m", "First half")
    case.git("checkout", "-q", "work")
    case.project.add("later on")
    before = case.git("rev-parse", "base").strip()
    case.git("checkout", "-q", "base")
    case.git("merge", "-q", "--squash", "work")
    case.git("commit", "-q", "-m", "Second half")
    return Asked(base=before)


@honest
def a_branch_that_goes_on_after_its_squash(case: Case) -> Asked:
    """The base has the squash, the branch its own commits of the same events."""
    more_on_work(case)
    case.git("checkout", "-q", "base")
    case.git("merge", "-q", "--squash", "work")
    case.git("commit", "-q", "-m", "Squashed")
    case.git("checkout", "-q", "work")
    case.project.add("later on")
    return Asked()


@honest
def a_rebase_merge(case: Case) -> Asked:
    more_on_base(case)
    more_on_work(case)
    case.git("rebase", "-q", "base")
    return Asked()


@honest
def commits_put_into_another_order(case: Case) -> Asked:
    case.project.add("one")
    case.project.add("two")
    case.git("checkout", "-q", "-b", "other", "base")
    case.git("cherry-pick", "work~2", "work", "work~1")
    return Asked()


@honest
def all_commits_melted_into_one(case: Case) -> Asked:
    more_on_work(case)
    case.git("reset", "-q", "--soft", "base")
    case.git("commit", "-q", "-m", "All of it")
    return Asked()


@honest
def an_amended_commit(case: Case) -> Asked:
    more_on_work(case)
    (case.folder / "code.py").write_text("pass\n")
    case.git("add", "code.py")
    case.git("commit", "-q", "--amend", "-m", "Code and backlog in one")
    return Asked()


@honest
def a_branch_that_was_thrown_away_and_made_again(case: Case) -> Asked:
    """A force push: the events of the first try were never in the base."""
    more_on_work(case)
    case.git("reset", "-q", "--hard", "base")
    case.project.add("another try")
    return Asked()


@honest
def a_cherry_pick_without_what_came_before(case: Case) -> Asked:
    """It is named, as a warning: all that it says is there."""
    case.project.add("left behind")
    case.project.update([case.id_of("beta")], Edit(set={"assignee": "editor"}))
    case.git("checkout", "-q", "-b", "release", "base")
    case.git("cherry-pick", "work")
    return Asked(warns=frozenset({"audit_broken"}), history=False)


@honest
def a_commit_reverted_on_the_branch_that_made_it(case: Case) -> Asked:
    case.project.add("too much")
    case.git("revert", "--no-edit", "HEAD")
    return Asked(history=False)


@honest
def the_base_merged_back_into_the_branch(case: Case) -> Asked:
    more_on_base(case)
    more_on_work(case)
    case.git("merge", "-q", "-m", "Merge base", "base")
    case.project.add("after it")
    return Asked()


@honest
def branches_merged_both_ways(case: Case) -> Asked:
    """Criss-cross: two best common ancestors."""
    more_on_base(case)
    more_on_work(case)
    work = case.git("rev-parse", "work").strip()
    case.git("merge", "-q", "-m", "one way", "base")
    case.git("checkout", "-q", "base")
    case.git("merge", "-q", "--no-ff", "-m", "other way", work)
    case.project.add("upon the base again")
    case.git("checkout", "-q", "work")
    case.project.add("upon the branch again")
    assert len(case.git("merge-base", "--all", "base", "work").split()) == 2
    return Asked()


@honest
def three_branches_merged_at_once(case: Case) -> Asked:
    for name in ("one", "two", "three"):
        case.git("checkout", "-q", "-b", name, "base")
        case.project.add(name)
    case.git("checkout", "-q", "-b", "all", "base")
    case.git("merge", "-q", "-m", "Octopus", "one", "two", "three")
    return Asked()


@honest
def two_clones_on_one_branch(case: Case) -> Asked:
    other = case.folder.parent / "clone"
    case.git("clone", "-q", str(case.folder), str(other))
    clone = Case(other)
    clone.git("config", "user.name", "Bot")
    clone.git("config", "user.email", "bot@example.invalid")
    clone.project.add("of the clone")
    case.project.add("of the first")
    case.git("fetch", "-q", str(other), "work")
    case.git("merge", "-q", "-m", "Meet", "FETCH_HEAD")
    return Asked()


# -- branches that touched one task: the merge driver joins them ----------------------------------------


def one_task_on_both(case: Case) -> None:
    case.project.update([case.id_of("beta")], Edit(set={"assignee": "ada"}, add={"labels": ["ours"]}))
    case.git("checkout", "-q", "base")
    case.project.update([case.id_of("beta")], Edit(set={"priority": "high"}, add={"labels": ["theirs"]}))
    case.git("checkout", "-q", "work")


@honest
def two_edits_of_one_task_merged(case: Case) -> Asked:
    """As a pull request's merge commit: git's driver joined the fields, and no event was needed."""
    one_task_on_both(case)
    case.git("checkout", "-q", "--detach", "base")
    case.git("merge", "-q", "--no-ff", "-m", "Merge work", "work")
    return Asked(base="HEAD^1")


@honest
def two_edits_of_one_task_rebased(case: Case) -> None:
    one_task_on_both(case)
    case.git("rebase", "-q", "base")


@honest
def two_edits_of_one_task_squashed(case: Case) -> Asked:
    one_task_on_both(case)
    before = case.git("rev-parse", "base").strip()
    case.git("checkout", "-q", "base")
    case.git("merge", "-q", "--squash", "work")
    case.git("commit", "-q", "-m", "Squashed")
    return Asked(base=before)


@honest
def a_save_after_a_merge_joins_the_log(case: Case) -> None:
    one_task_on_both(case)
    case.git("merge", "-q", "-m", "Meet", "base")
    case.project.add("after it")


@honest
def archived_here_and_edited_there(case: Case) -> None:
    """The edit brings the task back."""
    case.project.archive(older_than="0d", why="tidy")
    case.git("checkout", "-q", "base")
    case.project.note(case.id_of("gamma"), "looked at again")
    case.git("checkout", "-q", "work")
    case.project.merge("base")
    assert "gamma" in case.titles()


@honest
def a_conflict_resolved(case: Case) -> None:
    case.project.update([case.id_of("beta")], Edit(set={"priority": "critical"}))
    case.git("checkout", "-q", "base")
    case.project.update([case.id_of("beta")], Edit(set={"priority": "high"}))
    case.git("checkout", "-q", "work")
    case.git("merge", "-q", "base", check=False)
    case.project.resolve(case.id_of("beta"), choice="theirs", why="they know better")
    case.git("commit", "-q", "--no-edit")
    assert case.task("beta")["priority"] == "high"


# -- what taskkeep itself does to a backlog ---------------------------------------------------------


@honest
def a_change_undone(case: Case) -> None:
    case.project.update([case.id_of("beta")], Edit(set={"priority": "critical"}))
    case.project.undo()


@honest
def a_deleted_task_restored(case: Case) -> None:
    doomed = next(e["task_id"] for e in case.project.log(limit=0).events if e["event_type"] == "task_deleted")
    case.project.restore([doomed], at="base~1", why="needed after all")


@honest
def the_whole_backlog_restored(case: Case) -> None:
    case.project.restore([], at="base~3", why="start over")


@honest
def finished_tasks_archived_and_one_brought_back(case: Case) -> None:
    case.project.finish([case.id_of("beta"), case.id_of("epsilon")])
    gamma = case.id_of("gamma")
    case.project.archive(older_than="0d", why="tidy")
    case.project.restore([gamma], at="base", why="not done at all")


@honest
def archived_here_while_others_go_on(case: Case) -> None:
    case.project.archive(older_than="0d", why="tidy")
    more_on_base(case)
    case.git("merge", "-q", "-m", "Meet", "base")
    assert "gamma" in {task["title"] for task in case.project.backlog().archived.values()}


@honest
def a_hand_edit_adopted(case: Case) -> None:
    case.change("beta", description="Said by hand.")
    case.project.adopt(why="edited on the web page")


@honest
def a_committed_hand_edit_adopted(case: Case) -> Asked:
    case.change("beta", description="Said by hand.")
    case.commit("Edit on the web page")
    case.project.adopt(why="it is right")
    return Asked(history=False)  # one commit of it was bad indeed


@honest
def a_rewritten_file_applied(case: Case) -> None:
    tasks = [{**task, "labels": ["rewritten"]} for task in case.tasks()]
    path = case.folder / "rewritten.json"
    kept = case.file.read_bytes()
    case.write(tasks)
    path.write_bytes(case.file.read_bytes())
    case.file.write_bytes(kept)
    case.project.apply(path.read_bytes(), why="tidied up")
    path.unlink()


@honest
def everything_a_user_does_in_a_day(case: Case) -> None:
    project = case.project
    added = project.add("a new one", depends_on=[case.id_of("beta")], due="2027-01-31")
    task_id = added.task["id"] if added.task else ""
    project.start([case.id_of("beta")])
    project.note(case.id_of("beta"), "a note\nof two lines")
    project.finish([case.id_of("beta")])
    project.block([task_id])
    project.reopen([case.id_of("gamma")])
    project.cancel([case.id_of("epsilon")])
    project.update([task_id], Edit(set={"title": "a better name", "role": "backend"}, metadata={"k": 1}))
    project.update([task_id], Edit(metadata={"k": True}))
    project.delete([task_id], why="done elsewhere")


@honest
def a_packed_log(case: Case) -> None:
    paths = sorted(case.audit.rglob("*.jsonl"))
    data = b"".join(path.read_bytes() for path in paths)
    (case.audit / f"pack-{sha256(data).hexdigest()}.jsonl").write_bytes(data)
    for path in paths:
        path.unlink()
    case.commit("Pack the log")
    case.project.add("after it")


@honest
def files_of_the_log_moved_to_another_day(case: Case) -> None:
    path = max(case.audit.rglob("*.jsonl"))
    folder = case.audit / "2020-01-01"
    folder.mkdir()
    path.rename(folder / path.name)
    case.commit("Moved")


@honest
def a_commit_that_the_user_made(case: Case) -> None:
    case.project.add("waits", commit=False)
    case.commit("By hand, with --no-commit before")


@honest
def a_git_revert_mended(case: Case) -> Asked:
    """What the base has and the revert took out comes back, and a change of its own takes it back."""
    more_on_base(case)
    case.git("merge", "-q", "-m", "Meet", "base")
    case.git("revert", "--no-edit", "base")
    case.project.adopt(base="base", why="the revert is right", allow_revert=[case.id_of("epsilon")])
    return Asked(history=False)  # the commit of the revert was bad indeed


# -- where the backlog lies -------------------------------------------------------------------------


@honest
def the_first_backlog_of_a_project(case: Case) -> Asked:
    kit = make_repository(case.folder.parent / "young")
    (kit.folder / "code.py").write_text("pass\n")
    kit.git("add", "-A")
    kit.git("commit", "-q", "-m", "Code")
    kit.git("branch", "base")
    taskkeep.init(str(kit.folder))
    kit.project.add("the first")
    return Asked(kit.folder)


@honest
def no_backlog_on_either_side(case: Case) -> Asked:
    kit = make_repository(case.folder.parent / "none")
    kit.git("commit", "-q", "--allow-empty", "-m", "one")
    kit.git("branch", "base")
    kit.git("commit", "-q", "--allow-empty", "-m", "two")
    return Asked(kit.folder, history=False)


@honest
def a_backlog_moved_to_another_folder(case: Case) -> Asked:
    inner = case.folder / "packages" / "core"
    inner.mkdir(parents=True)
    case.git("mv", "backlog.json", ".taskkeep", ".gitattributes", "packages/core/")
    case.git("commit", "-q", "-m", "Move the backlog")
    shutil.rmtree(case.folder / ".taskkeep", ignore_errors=True)
    taskkeep.open(str(inner)).add("after the move")
    return Asked(inner, history=False)


@honest
def a_backlog_in_a_folder_of_its_own(case: Case) -> Asked:
    kit = make_repository(case.folder.parent / "monorepo")
    for name in ("a", "b"):
        (kit.folder / name).mkdir()
        taskkeep.init(str(kit.folder / name))
        taskkeep.open(str(kit.folder / name)).add(f"of {name}")
    kit.git("branch", "base")
    taskkeep.open(str(kit.folder / "b")).add("another")
    return Asked(kit.folder / "b")


@honest
def a_repository_of_sha256(case: Case) -> Asked:
    kit = make_repository(case.folder.parent / "sha256", "--object-format=sha256")
    taskkeep.init(str(kit.folder))
    kit.project.add("one")
    kit.git("branch", "base")
    kit.project.add("two")
    return Asked(kit.folder)


@honest
def a_linked_worktree(case: Case) -> Asked:
    folder = case.folder.parent / "worktree"
    case.git("worktree", "add", "-q", "-b", "linked", str(folder), "work")
    taskkeep.open(str(folder)).add("of the worktree")
    return Asked(folder)


@honest
def a_submodule(case: Case) -> Asked:
    outer = make_repository(case.folder.parent / "outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", "-b", "work", str(case.folder), "sub")
    outer.git("commit", "-q", "-m", "A submodule")
    inner = outer.folder / "sub"
    make = Case(inner)
    make.git("config", "user.name", "Ada")
    make.git("config", "user.email", "ada@example.invalid")
    make.project.add("of the submodule")
    return Asked(inner, base="origin/base")


@honest
def a_fork(case: Case) -> Asked:
    """The base is a branch of another remote."""
    fork = case.folder.parent / "fork"
    case.git("clone", "-q", "-b", "work", str(case.folder), str(fork))
    clone = Case(fork)
    clone.git("config", "user.name", "Bot")
    clone.git("config", "user.email", "bot@example.invalid")
    clone.project.add("of the fork")
    more_on_base(case)
    clone.git("remote", "rename", "origin", "upstream")
    clone.git("fetch", "-q", "upstream")
    return Asked(fork, base="upstream/base")


@honest
def a_shallow_clone_that_has_what_is_needed(case: Case) -> Asked:
    """Depth 2 holds the merge commit and both its parents: what actions/checkout fetches, and one more."""
    case.git("checkout", "-q", "--detach", "base")
    case.git("merge", "-q", "--no-ff", "-m", "Merge work", "work")
    case.git("branch", "merge-ref")
    clone = case.folder.parent / "shallow"
    case.git("clone", "-q", "--depth", "2", "-b", "merge-ref", f"file://{case.folder}", str(clone))
    return Asked(clone, base="HEAD^1", history=False)


@honest
def two_commits_without_a_checkout(case: Case) -> Asked:
    more_on_work(case)
    case.git("checkout", "-q", "--orphan", "empty")
    case.git("rm", "-r", "-q", "--cached", ".")
    case.git("clean", "-f", "-d", "-x", "-q")
    return Asked(base="base", head="work", history=False)


@honest
def a_bare_repository(case: Case) -> Asked:
    more_on_work(case)
    bare = case.folder.parent / "bare.git"
    case.git("clone", "-q", "--bare", str(case.folder), str(bare))
    return Asked(bare, base="base", head="work", history=False)


# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STORIES)
def test_what_is_honest_passes(case: Case, name: str) -> None:
    """Against the base, by itself, and commit by commit: not one false alarm, and nothing is written."""
    asked = STORIES[name](case) or Asked()
    folder = str(asked.folder or case.folder)
    before = everything(Path(folder))

    verdict = verify(folder, base=asked.base, head=asked.head)
    assert (verdict.ok, {one["code"] for one in verdict.findings}) == (True, asked.warns), verdict.findings
    if asked.history:
        walked = verify(folder, history=True)
        assert (walked.ok, walked.findings) == (True, [])
        assert walked.checked["commits"] > 0
        alone = verify(folder)
        assert (alone.ok, alone.findings) == (True, [])

    assert everything(Path(folder)) == before


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_side_that_was_taken_is_an_error_in_a_pull_request_until_it_is_recorded(case: Case) -> None:
    """A warning without a base; the next save, or adopt with a reason, records it."""
    case.project.update([case.id_of("beta")], Edit(set={"priority": "critical"}))
    case.git("checkout", "-q", "base")
    case.project.update([case.id_of("beta")], Edit(set={"priority": "high"}))
    case.git("checkout", "-q", "work")
    case.git("merge", "-q", "base", check=False)
    case.git("add", "-A")
    case.git("commit", "-q", "--no-edit")

    alone, asked = verify(str(case.folder)), verify(str(case.folder), base="base")

    line = case.line_with('"priority": "critical"', nth=1 + (case.id_of("alpha") < case.id_of("beta")))
    for verdict, severity in ((alone, "warning"), (asked, "error")):
        [one] = verdict.findings
        assert (one["code"], one["severity"], one["line"]) == ("merge_choice", severity, line)
    assert (alone.ok, asked.ok) == (True, False)
    case.git("branch", "unrecorded")

    case.project.adopt(why="ours it is")
    assert verify(str(case.folder), base="base").findings == []

    case.git("checkout", "-q", "unrecorded")
    case.project.add("the next save")
    assert verify(str(case.folder), base="base").findings == []


def test_there_are_as_many_as_were_promised() -> None:
    assert len(STORIES) >= 25

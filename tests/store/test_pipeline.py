"""The save pipeline, on real files in a real git repository."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.ids import sequence_number
from taskkeep.errors import GitLocked, HandEdit, RepositoryBusy
from taskkeep.store.layout import Root
from taskkeep.store.pack import pack_old
from taskkeep.store.save import Options, writing

STEPS = ("replace", "link", "unlink", "fsync", "rename", "mkdir")
KILL = """
import os, signal, sys
import taskkeep
step = [int(sys.argv[2])]
def counted(real):
    def call(*args, **more):
        step[0] -= 1
        if step[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)
    return call
for name in {steps!r}:
    setattr(os, name, counted(getattr(os, name)))
taskkeep.open(sys.argv[1]).add("killed", labels=["x"], actor="ada", why="to see")
"""


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, check=True, text=True)
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a backlog of two tasks."""
    for name, value in (("NAME", "Ada"), ("EMAIL", "ada@example.invalid")):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    git(tmp_path, "init", "-q", "-b", "main")
    taskkeep.init(str(tmp_path))
    project = taskkeep.open(str(tmp_path))
    project.add("first")
    project.add("second")
    return tmp_path


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts and "local" not in path.parts
    }


def test_a_save_is_one_event_in_one_file_and_one_commit_of_our_paths(repository: Path) -> None:
    """What the user has staged, changed and not told git of stays as it was."""
    (repository / "staged.txt").write_text("staged\n")
    git(repository, "add", "staged.txt")
    (repository / "staged.txt").write_text("and changed again\n")
    (repository / "new.txt").write_text("untracked\n")
    before = git(repository, "status", "--porcelain")

    saved = taskkeep.open(str(repository)).add("third", why="because")

    assert git(repository, "status", "--porcelain") == before
    assert git(repository, "rev-parse", "HEAD").strip() == saved.commit
    paths = git(repository, "show", "--format=", "--name-only", "HEAD").split()
    assert len(saved.events) == 1
    assert paths[-1] == "backlog.json"
    assert [path for path in paths if path.startswith(".taskkeep/audit/")] == paths[:-1]
    message = git(repository, "log", "-1", "--format=%B")
    assert "because" in message
    assert f"Taskkeep-Event: {saved.events[0]}" in message


def test_a_reason_that_looks_like_a_trailer_is_none(repository: Path) -> None:
    """Only what taskkeep writes itself can be read as its trailer."""
    taskkeep.open(str(repository)).add("third", why="x\nTaskkeep-Txn: forged")

    assert "Taskkeep-Txn: forged" not in git(repository, "log", "-1", "--format=%B").splitlines()


def test_a_change_that_changes_nothing_writes_nothing(repository: Path) -> None:
    """No file, no commit, and the answer says so."""
    project = taskkeep.open(str(repository))
    [task, _] = project.list().tasks
    before, head = files_of(repository), git(repository, "rev-parse", "HEAD")

    saved = project.reopen([task["id"]])

    assert not saved.changed
    assert files_of(repository) == before
    assert git(repository, "rev-parse", "HEAD") == head


def test_a_commit_that_waits_is_made_before_the_next_one(repository: Path) -> None:
    """As a commit of its own, and verify says so until then."""
    project = taskkeep.open(str(repository))
    saved = project.add("waits", commit=False)
    assert saved.pending
    assert saved.commit is None
    assert [finding["code"] for finding in project.verify().findings] == ["pending_commit"]

    project.add("next")

    assert git(repository, "log", "--format=%s", "-2").splitlines()[1].endswith("(had waited)")
    assert project.verify().findings == []
    assert git(repository, "status", "--porcelain") == ""


def test_a_key_is_answered_again_and_not_saved_again(repository: Path) -> None:
    """The same request with the same key writes nothing; another one is refused."""
    project = taskkeep.open(str(repository))
    first = project.add("once", key="K")
    again = project.add("once", key="K")

    assert again.replayed
    assert (again.events, again.commit, again.task) == (first.events, first.commit, first.task)
    with pytest.raises(taskkeep.Refused) as refused:
        project.add("twice", key="K")
    assert refused.value.code == "key_reused"


def test_an_id_is_never_given_out_again(repository: Path) -> None:
    """Not even one that only this checkout's memory still knows, after a reset."""
    project = taskkeep.open(str(repository))
    (repository / ".taskkeep" / "config.toml").write_text('ids = "sequential"\n')
    one = sequence_number(project.add("one").task["id"])  # past a random id that is all digits
    assert one is not None
    git(repository, "reset", "-q", "--hard", "HEAD~1")

    (repository / ".taskkeep" / "config.toml").write_text('ids = "sequential"\n')
    assert sequence_number(project.add("two").task["id"]) == one + 1


@pytest.mark.parametrize("step", range(1, 60, 2))
def test_a_save_that_is_killed_leaves_the_old_state_or_the_new_one(repository: Path, step: int) -> None:
    """And the next command finishes it or takes it back, aloud."""
    program = KILL.format(steps=STEPS)
    done = subprocess.run([sys.executable, "-c", program, str(repository), str(step)], capture_output=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    project = taskkeep.open(str(repository))
    seen = {task["title"] for task in project.list().tasks}
    assert seen in ({"first", "second"}, {"first", "second", "killed"})
    interrupted = (repository / ".taskkeep/local/journal").exists()

    saved = project.add("after")

    assert {task["title"] for task in project.list().tasks} == seen | {"after"}
    assert project.verify().findings == []
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "fsck", "--strict", "--no-dangling") == ""
    assert list((repository / ".taskkeep/local/tmp").iterdir()) == []
    assert [path.name for path in (repository / ".git").glob("*taskkeep*")] == []
    if interrupted and "killed" not in seen:
        assert any("took back" in warning for warning in saved.warnings)


def stash(folder: Path) -> None:
    git(folder, "stash", "-q")


def old_file(folder: Path) -> None:
    git(folder, "checkout", "-q", "HEAD~1", "--", "backlog.json")


def editor(folder: Path) -> None:
    path = folder / "backlog.json"
    path.write_bytes(path.read_bytes().replace(b'"second"', b'"changed by hand"'))


def reformatted(folder: Path) -> None:
    path = folder / "backlog.json"
    path.write_text(json.dumps(json.loads(path.read_bytes())))


@pytest.mark.parametrize("edit", [old_file, editor, reformatted])
def test_an_edit_by_hand_is_refused_and_left_alone(repository: Path, edit: Any) -> None:
    """However much it looks like a crash: without a journal nothing is ever repaired."""
    project = taskkeep.open(str(repository))
    edit(repository)
    before = files_of(repository)

    with pytest.raises(HandEdit):
        project.add("third")
    assert not project.recover().changed

    assert files_of(repository) == before
    assert not project.verify().ok


def test_a_waiting_change_that_was_stashed_is_an_edit_by_hand(repository: Path) -> None:
    """The file is back at HEAD and the event is there: exactly the picture of a crash, and none."""
    project = taskkeep.open(str(repository))
    project.add("waits", commit=False)
    stash(repository)

    with pytest.raises(HandEdit):
        project.add("third")


@pytest.mark.parametrize("to", ["HEAD~1", "HEAD~2"])
def test_an_earlier_commit_is_a_state_of_its_own(repository: Path, to: str) -> None:
    """File and log went back together, so nothing was edited."""
    git(repository, "reset", "-q", "--hard", to)
    project = taskkeep.open(str(repository))

    assert project.verify().ok
    assert project.add("third").changed
    assert project.verify().findings == []


def test_branches_that_git_merged_go_on_from_both(repository: Path) -> None:
    """The next save joins their logs."""
    project = taskkeep.open(str(repository))
    for number in range(40):
        project.add(f"task {number}", commit=False)
    project.recover()
    git(repository, "checkout", "-q", "-b", "other")
    project.add("theirs")
    git(repository, "checkout", "-q", "main")
    project.add("ours")
    merged = subprocess.run(["git", "merge", "-q", "-m", "merge", "other"], cwd=repository, check=False)
    if merged.returncode:
        pytest.skip("the two ids fell side by side, where git's text merge needs a person")
    assert project.verify().ok

    project.add("after")

    assert project.log(types=["merged"]).total == 1
    assert project.verify().findings == []


def test_a_merge_under_way_is_refused(repository: Path) -> None:
    (repository / ".git" / "MERGE_HEAD").write_text(git(repository, "rev-parse", "HEAD"))
    before = files_of(repository)

    with pytest.raises(RepositoryBusy):
        taskkeep.open(str(repository)).add("third")
    assert files_of(repository) == before


def test_a_lock_of_another_git_is_waited_for_then_refused_and_stands(repository: Path) -> None:
    lock = repository / ".git" / "index.lock"
    lock.write_bytes(b"")
    before, head = files_of(repository), git(repository, "rev-parse", "HEAD")

    with pytest.raises(GitLocked):
        taskkeep.open(str(repository)).add("third", wait=0.1)

    assert lock.exists()
    assert files_of(repository) == before
    assert git(repository, "rev-parse", "HEAD") == head
    lock.unlink()
    assert taskkeep.open(str(repository)).verify().findings == []


def test_a_lock_that_a_dead_writer_left_is_removed_aloud(repository: Path) -> None:
    token = (repository / ".taskkeep/local/token").read_text()
    (repository / ".git" / "index.lock").write_text(f"taskkeep {token}{repository}\n")

    saved = taskkeep.open(str(repository)).add("third")

    assert any("index.lock" in warning for warning in saved.warnings)


def test_old_files_of_the_log_become_one(repository: Path) -> None:
    """Event for event, in a commit of its own; the files that stay are as they were."""
    project = taskkeep.open(str(repository))
    for number in range(5):
        project.add(f"task {number}")
    before = {event["event_id"]: event for event in project.log().events}
    with writing(Root(str(repository)), Options()) as writer:
        assert pack_old(writer, limit=4, kept=2)

    assert {event["event_id"]: event for event in project.log().events} == before
    assert project.verify().findings == []
    assert git(repository, "status", "--porcelain") == ""
    project.add("after")
    assert project.verify().findings == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_snapshots_are_for_their_owner_alone(repository: Path) -> None:
    folder = repository / ".taskkeep/local/backups"

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    newest = max(folder.iterdir())
    assert [task["title"] for task in json.loads(newest.read_bytes())["tasks"]] == ["first"]


def test_nothing_that_the_repository_names_is_run(repository: Path) -> None:
    """Hooks, filters, fsmonitor and signing programs of the repository's own configuration."""
    canary = repository.parent / "canary"
    program = repository.parent / "program.sh"
    program.write_text(f"#!/bin/sh\necho run >> {canary}\nexit 1\n")
    program.chmod(0o755)
    for name in ("post-commit", "post-index-change", "reference-transaction", "pre-commit"):
        hook = repository / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(program.read_text())
        hook.chmod(0o755)
    for key in ("core.fsmonitor", "filter.x.clean", "filter.x.smudge", "diff.external", "core.pager", "core.editor"):
        git(repository, "config", key, str(program))
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("* filter=x\n")

    project = taskkeep.open(str(repository))
    project.add("third")
    project.verify()
    project.doctor()
    project.status()
    project.recover()

    assert not canary.exists()
    subprocess.run(["git", "status"], cwd=repository, capture_output=True, check=False)
    assert canary.exists(), "plain git runs it, so the canary can sing"


def test_many_writers_lose_nothing(repository: Path) -> None:
    """Every acknowledged change is there, with one event and one commit each."""
    program = "import sys, taskkeep\np = taskkeep.open(sys.argv[1])\nfor n in range(6): print(p.add(f'{n}').task['id'])"
    count = int(git(repository, "rev-list", "--count", "HEAD"))
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(repository)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [line for writer in writers for line in writer.communicate()[0].split()]

    project = taskkeep.open(str(repository))
    assert len(said) == len(set(said)) == 24
    assert set(said) <= set(project.backlog().tasks)
    assert int(git(repository, "rev-list", "--count", "HEAD")) == count + 24
    assert project.verify().findings == []

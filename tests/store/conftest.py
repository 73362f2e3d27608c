"""A backlog in a real repository, a look at both, and a process that dies at a chosen step."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import taskkeep

if TYPE_CHECKING:
    from .seed import Case

KILLER = """
import json, os, signal, sys, traceback
import filelock, taskkeep, taskkeep.project, taskkeep.backlog.changes
import taskkeep.store.save, taskkeep.store.git.commit, taskkeep.store.validate

CALLS = "replace link unlink fsync mkdir chmod posix_spawn".split()

def child(folder, step, code):
    left, after = ([0], step) if isinstance(step, str) else ([step], "")
    def counted(real):
        def call(*args, **more):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **more)
            if after and len(args) > 1 and str(args[1]).endswith(after):
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call
    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    try:
        exec(code, {"project": taskkeep.open(folder), "taskkeep": taskkeep})
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

for row in sys.stdin:
    folder, step, code = json.loads(row)
    pid = os.fork()
    if not pid:
        child(folder, step, code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


FakeGit = Callable[[str], None]


class Kit:
    """A repository with a backlog in it; *root* is the backlog's folder, below *folder* or the same."""

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self.folder, self.root = folder, root or folder

    @property
    def project(self) -> taskkeep.Project:
        return taskkeep.open(str(self.root))

    @property
    def file(self) -> Path:
        return self.root / "backlog.json"

    @property
    def local(self) -> Path:
        return self.root / ".taskkeep" / "local"

    def git(self, *args: str, check: bool = True) -> str:
        return subprocess.run(["git", *args], cwd=self.folder, capture_output=True, check=check, text=True).stdout

    def clone(self, folder: Path) -> Kit:
        """A clone in *folder*, which somebody else works in."""
        self.git("clone", "-q", str(self.folder), str(folder))
        there = type(self)(folder)
        there.git("config", "user.name", "Bot")
        there.git("config", "user.email", "bot@example.invalid")
        return there

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").strip()

    def commits(self) -> int:
        return int(self.git("rev-list", "--count", "HEAD"))

    def titles(self) -> set[str]:
        return {task["title"] for task in self.project.backlog().tasks.values()}

    def titles_in_head(self) -> set[str]:
        path = self.file.relative_to(self.folder).as_posix()
        return {task["title"] for task in json.loads(self.git("show", f"HEAD:{path}"))["tasks"]}

    def id_of(self, title: str) -> str:
        return next(i for i, task in self.project.backlog().tasks.items() if task["title"] == title)

    def files(self) -> dict[str, bytes]:
        """Everything in the working tree that is not this checkout's own."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and not {".git", "local"} & set(path.parts):
                found[str(path.relative_to(self.folder))] = path.read_bytes()
        return found

    def log_files(self) -> dict[str, bytes]:
        audit = self.root / ".taskkeep" / "audit"
        return {str(path.relative_to(audit)): path.read_bytes() for path in sorted(audit.rglob("*.jsonl"))}

    def users_state(self) -> list[str]:
        """What git says of the user's own work: the index, and both differences."""
        ours = [":(exclude,glob)**/.taskkeep/**", ":(exclude,glob)**/backlog.json", ":(exclude,glob)**/.gitattributes"]
        return [
            self.git("status", "--porcelain=v2", "--", ".", *ours),
            self.git("ls-files", "-s", "-v", "--", ".", *ours),
            self.git("diff", "--cached", "--", ".", *ours),
            self.git("diff", "--", ".", *ours),
        ]

    def assert_sound(self) -> None:
        """Nothing to find for verify, for git, nor in the folders that a save works in."""
        assert self.project.verify().findings == []
        assert self.git("status", "--porcelain") == ""
        assert self.git("fsck", "--strict", "--no-dangling") == ""
        assert list((self.local / "tmp").iterdir()) == []
        assert [path.name for path in (self.folder / ".git").glob("*taskkeep*")] == []
        assert not (self.local / "journal").exists()


def make_repository(folder: Path, *options: str) -> Kit:
    folder.mkdir(parents=True, exist_ok=True)
    kit = Kit(folder)
    kit.git("init", "-q", "-b", "main", "--template=", *options)
    kit.git("config", "user.name", "Ada")
    kit.git("config", "user.email", "ada@example.invalid")
    return kit


@pytest.fixture
def git_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git without the configuration of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "TASKKEEP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def new_repository(git_alone: None) -> Callable[..., Kit]:
    """Makes repositories without a backlog."""
    return make_repository


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder in memory where there is such a file system: a kill loses nothing there either, and syncs are cheap."""
    memory = "/dev/shm"
    folder = tempfile.mkdtemp(dir=memory if os.path.isdir(memory) and os.access(memory, os.W_OK) else None)
    yield Path(folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def bare_kit(git_alone: None, scratch: Path) -> Kit:
    """A repository without a backlog and without a commit."""
    return make_repository(scratch / "repository")


@pytest.fixture
def kit(bare_kit: Kit) -> Kit:
    """A repository with a backlog of two tasks, each in a commit of its own."""
    taskkeep.init(str(bare_kit.folder))
    bare_kit.project.add("first")
    bare_kit.project.add("second")
    return bare_kit


@pytest.fixture
def git_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGit:
    """Puts a git before the real one in PATH: the lines of shell given, and then the real one."""

    def put(lines: str) -> None:
        real = shutil.which("git")
        path = tmp_path / "bin" / "git"
        path.parent.mkdir()
        path.write_text(f'#!/bin/sh\n{lines}\nexec {real} "$@"\n')
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository as pull requests find it, for the tests of verify: built once, copied for each case."""
    from .seed import make_seed, spread

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("GIT_", "TASKKEEP_"))]:
            patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        drawn = spread()
        patch.setattr("taskkeep.store.save.random_bits", lambda count: next(drawn))
        folder = tmp_path_factory.mktemp("seed") / "repository"
        make_seed(folder)
    return folder


@pytest.fixture
def case(seed: Path, git_alone: None, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A copy of the seed; new ids lie apart from one another."""
    from .seed import copied, spread

    drawn = spread()
    monkeypatch.setattr("taskkeep.store.save.random_bits", lambda count: next(drawn))
    return copied(seed, scratch / "case")


@pytest.fixture
def run_and_die(git_alone: None) -> Iterator[Callable[[Kit, int | str, str], bool]]:
    """Runs code on a project in a process of its own that SIGKILLs itself; True where it got that far.

    Before its n-th call that changes something on the disk, or just after a file got a name that ends so.
    """
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", KILLER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert process.stdin is not None
        assert process.stdout is not None
        stack.callback(process.stdin.close)
        stdin, stdout = process.stdin, process.stdout

        def run(kit: Kit, step: int | str, code: str) -> bool:
            stdin.write(json.dumps([str(kit.root), step, code]) + "\n")
            stdin.flush()
            status = int(stdout.readline())
            assert status in (0, -9), f"the process ended with {status} at step {step}"
            return status == -9

        yield run

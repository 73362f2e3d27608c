"""A backlog in a fresh repository, and the program run in this process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from taskkeep.cli.main import run


class Result(NamedTuple):
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value

    @property
    def error(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.err)["error"]
        return value


class Cli:
    """Runs commands in one folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *args: str, stdin: bytes = b"") -> Result:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capsys.readouterr()
        status = run(args)
        captured = self._capsys.readouterr()
        return Result(status, captured.out, captured.err)

    def git(self, *args: str) -> None:
        subprocess.run(["git", *args], cwd=self.folder, check=True)

    def add(self, *args: str) -> str:
        """Add a task and return its id."""
        result = self("add", *args)
        assert result.status == 0, result.err
        return result.out.strip()

    def task(self, task_id: str) -> dict[str, Any]:
        task: dict[str, Any] = self("show", task_id, "--json").json["task"]
        return task

    @property
    def bytes(self) -> bytes:
        return (self.folder / "backlog.json").read_bytes()


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """A folder without a backlog."""
    for name in ("TASKKEEP_FORMAT", "TASKKEEP_DIR", "TASKKEEP_ACTOR", "NO_COLOR", "VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path, monkeypatch, capsys)


@pytest.fixture
def cli(empty: Cli) -> Cli:
    """A fresh repository with an empty backlog."""
    for args in (
        ["init", "-q", "-b", "main", "."],
        ["config", "user.name", "Ada"],
        ["config", "user.email", "ada@example.invalid"],
    ):
        subprocess.run(["git", *args], cwd=empty.folder, check=True)
    assert empty("init").status == 0
    return empty

"""The demo tells its story with the real program and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def demo(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with *folder* for its temporary files."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKKEEP_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "taskkeep", "demo", *args],
        cwd=folder,
        env=environment | {"TMPDIR": str(folder), "TEMP": str(folder)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_the_story_goes_as_it_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = demo(tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "the story expected" not in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_it_shows_what_is_dropped_who_did_what_and_that_all_is_there_in_the_end(tmp_path: Path) -> None:
    shown = demo(tmp_path).stdout

    for task in ("T0005", "T0006", "T0009"):
        assert any("lost_task" in line and task in line for line in shown.splitlines()), task
    assert "(exit 5)" in shown
    assert "the forum answers them" in shown


def test_it_is_the_same_each_time_but_for_times_and_hashes(tmp_path: Path) -> None:
    """So that a picture of it changes only where the program does."""
    first, second = (demo(tmp_path).stdout.splitlines() for _ in range(2))

    assert len(first) == len(second)
    assert [line for line in first if line.startswith("$")] == [line for line in second if line.startswith("$")]


def test_for_programs_it_is_one_object(tmp_path: Path) -> None:
    result = demo(tmp_path, "--json")
    answer = json.loads(result.stdout)

    assert result.stderr == ""
    assert answer["as_told"] is True
    assert all(step["exit"] == step["expected"] for step in answer["steps"])


def test_what_is_kept_is_a_sound_repository(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("the folder is found by TMPDIR")
    result = demo(tmp_path, "--keep")
    (kept,) = tmp_path.glob("taskkeep-demo-*/shop")
    clean = subprocess.run(["git", "-C", kept, "status", "--porcelain"], capture_output=True, text=True, check=True)

    assert result.returncode == 0
    assert str(kept) in result.stdout
    assert clean.stdout == "?? plan.json\n"

"""The Tab key: commands, options, ids with titles, statuses; quick, quiet, and nothing of it is ever run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from taskkeep.cli.completing import FILES, SCRIPTS, answer

from .conftest import Cli


def proposed(*words: str) -> list[str]:
    """The values alone."""
    return [line.partition("\t")[0] for line in answer(words).splitlines()]


def test_a_command_is_proposed_with_its_line_of_help() -> None:
    assert answer(["sh"]) == "show\tShow tasks with all their fields.\n"
    assert "merge-driver" in proposed("")


def test_options_are_proposed_by_their_longest_spelling() -> None:
    assert proposed("update", "--unset", "due", "--sta") == ["--status"]
    assert "--json" in proposed("-")
    assert "--actor" not in proposed("list", "-")


def test_ids_are_proposed_with_titles_the_open_ones_first(cli: Cli) -> None:
    done, todo = cli.add("Shut the door"), cli.add("Open the door")
    cli("done", done)

    assert answer(["show", "t"]) == f"{todo}\tOpen the door\n{done}\t(done) Shut the door\n"
    assert proposed("reopen", "") == [done]
    assert proposed("add", "x", "--depends-on", "") == [todo, done]
    assert proposed("show", f"{todo},") == [f"{todo},{done}"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["list", "--status", "to"], ["todo"]),
        (["list", "--status", "todo,d"], ["todo,done"]),
        (["list", "--status=to"], ["--status=todo"]),
        (["list", "--status", "=", "to"], ["todo"]),
        (["list", "--status", "="], ["todo", "in_progress", "blocked", "review", "done", "cancelled"]),
        (["add", "x", "-p", "h"], ["high"]),
        (["import", "x", "--from", ""], ["beads", "json"]),
        (["agents", "install", "c"], ["claude"]),
        (["init", "--ids", "s"], ["sequential"]),
        (["update", "x", "--unset", "du"], ["due"]),
        (["verify", "--base", ""], ["main"]),
        (["import", "theirs"], [FILES]),
        (["list", "--label", ""], ["ci"]),
        (["nosuch", ""], []),
        (["list", "nosuch"], []),
        (["add", "x", "--nosuch", ""], []),
        (["-C", "/nowhere", "show", ""], []),
    ],
)
def test_what_may_stand_there_is_proposed(cli: Cli, words: list[str], expected: list[str]) -> None:
    cli.add("x", "-l", "ci")

    assert proposed(*words) == expected


def test_without_a_sound_backlog_there_are_no_ids_and_no_words(cli: Cli) -> None:
    (cli.folder / "backlog.json").write_text("{")

    assert answer(["show", ""]) == ""


def test_asking_writes_nothing(cli: Cli) -> None:
    cli.add("x")
    before = sorted((str(path), path.stat().st_mtime_ns) for path in cli.folder.rglob("*"))

    proposed("show", "")
    proposed("merge", "")

    assert sorted((str(path), path.stat().st_mtime_ns) for path in cli.folder.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt", reason="shells of Unix")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_shows_what_is_proposed_and_runs_none_of_it(cli: Cli, shell: str) -> None:
    """A title is anybody's text."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    task_id = cli.add('\\$(touch one) `touch two` * [/x] "q" it\'s; a:b')
    program = cli.folder / "bin" / "taskkeep"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -P -m taskkeep \"$@\"\n")
    program.chmod(0o755)
    asks = {
        "bash": 'COMP_WORDS=(taskkeep show "") COMP_CWORD=2; _taskkeep_completion taskkeep; echo "${COMPREPLY[@]}"',
        # Outside of its line editor zsh has no completion system: what it would be given is printed.
        "zsh": "_describe() { print -rl -- $proposals }; words=(taskkeep show ''); CURRENT=3; _taskkeep_completion",
        "fish": "complete -C 'taskkeep show '",
    }
    first = "compdef() { : }\n" if shell == "zsh" else ""
    done = subprocess.run(
        [shell, "-c", f"{first}{SCRIPTS[shell]}\n{asks[shell]}"],
        cwd=cli.folder,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(cli.folder)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == ""
    assert done.stdout.startswith(task_id)
    assert not {"one", "two"} & set(os.listdir(cli.folder))

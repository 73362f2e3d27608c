"""What a command loads before it works: the start is most of its time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taskkeep.cli.app import COMMANDS, command, group

from .conftest import Cli

SLOW = {
    "git", "jsonschema", "filelock", "rich", "subprocess", "asyncio", "sqlite3", "tempfile", "logging",
    "dataclasses", "ast", "platform", "shellingham", "difflib", "traceback", "urllib.parse", "uuid",
    "decimal", "tomllib", "unicodedata", "locale",
}  # fmt: skip


def loaded(args: list[str], folder: Path, **env: str) -> set[str]:
    """The modules in memory after a command, run in a process of its own."""
    code = (
        "import sys\n"
        "from taskkeep.cli.main import run\n"
        "status = run(sys.argv[1:])\n"
        "print('\\n'.join(['status', str(status), *sys.modules]), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=folder,
        # Without the measuring of coverage, which would load modules of its own.
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COVERAGE_PROCESS_CONFIG": "", **env},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stderr.splitlines()
    start = len(lines) - lines[::-1].index("status")
    assert lines[start] == "0", done.stderr
    return set(lines[start + 1 :])


def test_list_loads_nothing_slow(cli: Cli) -> None:
    cli.add("x")
    modules = loaded(["list", "--json", "--limit", "20"], cli.folder)
    assert not modules & {*SLOW, "typer", "inspect"}
    assert "taskkeep.cli.screen" not in modules


def test_the_version_needs_no_parser(tmp_path: Path) -> None:
    modules = loaded(["--version"], tmp_path)
    assert not modules & {*SLOW, "typer", "json", "re", "typing", "taskkeep.errors"}


def test_completion_of_commands_imports_none_of_them(tmp_path: Path) -> None:
    modules = loaded([""], tmp_path, _TASKKEEP_COMPLETE="bash")
    assert "taskkeep.project" not in modules
    assert not {name for name in modules if name.startswith("taskkeep.cli.commands")}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_help_is_that_of_the_command(name: str) -> None:
    """It stands twice, so that help and completion need not import the command."""
    built = command(name)
    assert built.name == name
    assert (built.help or "").splitlines()[0] == COMMANDS[name][2]
    assert built.epilog, "every command has an example"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(empty: Cli, shell: str) -> None:
    result = empty("completion", shell)
    assert result.status == 0
    assert "_TASKKEEP_COMPLETE" in result.out


def test_one_group_has_all_commands() -> None:
    assert list(COMMANDS) == group().list_commands(None)  # type: ignore[arg-type]

"""The command that serves MCP, as far as it goes without the protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import Cli
from .test_start import loaded


def test_without_its_extra_it_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskkeep.cli.commands.mcp.find_spec", lambda name: None)
    result = cli("mcp", "--json")
    assert (result.status, result.error["code"]) == (7, "extra_missing")
    assert result.error["hint"] == "pip install 'taskkeep[mcp]'"


@pytest.mark.parametrize("args", [["list"], ["mcp", "--help"], ["schema", "commands"]])
def test_no_other_command_imports_the_sdk(cli: Cli, args: list[str]) -> None:
    assert not loaded(args, cli.folder) & {"mcp", "mcp_types", "pydantic", "anyio"}


@pytest.mark.skipif(find_spec("mcp") is None, reason="the extra 'mcp' is not installed")
def test_it_ends_when_nobody_is_there_any_more(cli: Cli) -> None:
    """With stdin at its end at once: nothing on stdout, exit 0."""
    done = subprocess.run(
        [sys.executable, "-c", "from taskkeep.cli.main import main; main()", "mcp"],
        cwd=cli.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.skipif(find_spec("mcp") is None, reason="the extra 'mcp' is not installed")
def test_a_client_that_reads_no_more_is_no_bug(cli: Cli) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from taskkeep.cli.main import main; main()", "mcp"],
        cwd=cli.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdout.close()
        server.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        server.stdin.close()
        assert (server.wait(60), server.stderr.read()) == (0, b"")

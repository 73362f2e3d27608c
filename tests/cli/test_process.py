"""The program as a process: streams that are closed, full or gone, and a hostile current folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

ROOT = str(Path(__file__).parents[2])


def start(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell line in which ``taskkeep`` is the program."""
    env = {**os.environ, "PYTHONPATH": ROOT, "PY": sys.executable}
    return subprocess.run(
        ["bash", "-c", 'taskkeep() { "$PY" -m taskkeep "$@"; }; set -o pipefail; ' + script],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_reader_that_went_away_is_no_failure(tmp_path: Path) -> None:
    result = start("taskkeep completion bash | true", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_an_answer_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    """Otherwise a full disk would leave an empty file and exit 0."""
    result = start("taskkeep completion bash > /dev/full", tmp_path)
    assert result.returncode == 7
    assert result.stderr.startswith("error: cannot write the answer")
    assert start("taskkeep frobnicate 2> /dev/full", tmp_path).returncode == 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(tmp_path: Path, closed: str) -> None:
    """A file that is opened next must not become the standard output."""
    result = start(f"taskkeep completion bash {closed}", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert start(f"taskkeep frobnicate {closed}", tmp_path).returncode == 2


def test_nothing_of_the_current_folder_is_imported(tmp_path: Path) -> None:
    """With ``python -m`` that folder would come first."""
    for name in ("json", "typer", "rich", "git", "inspect"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the current folder')\n")
    result = start("taskkeep frobnicate --json", tmp_path)
    assert result.returncode == 2
    assert json.loads(result.stderr)["error"]["code"] == "usage"


def test_an_unprintable_locale_is_no_obstacle(tmp_path: Path) -> None:
    result = start("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 taskkeep --help", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


def at_a_question(folder: Path, key: bytes, *args: str) -> tuple[int, str]:
    """Run a command on a terminal and press *key* at its question; its exit status and what was seen.

    Again each second, as a person would: Python hears no Ctrl-C that comes just before it waits for the line.
    """
    import pty
    from select import select

    child, terminal = pty.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # else a suite in the background would ignore it
        signal.alarm(60)
        os.chdir(folder)
        env = {**os.environ, "PYTHONPATH": ROOT, "TERM": "dumb"}
        os.execve(sys.executable, [sys.executable, "-m", "taskkeep", *args], env)
    seen = b""
    try:
        while True:
            if select([terminal], [], [], 1)[0]:
                seen += os.read(terminal, 4096)
            if seen.endswith(b"[y/N]: "):
                os.write(terminal, key)
    except OSError:  # the terminal of a process that has ended
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen.decode()


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["Ctrl-C", "Ctrl-D"])
@pytest.mark.parametrize("command", [["restore", "--at", "HEAD~1"], ["agents", "install"], ["setup", "git-hook"]])
def test_an_interrupt_at_a_question_leaves_all_as_it_was(cli: Cli, key: bytes, command: list[str]) -> None:
    cli.add("one")
    before = cli.bytes

    status, seen = at_a_question(cli.folder, key, *command)

    assert (status, seen.splitlines()[-2]) == (130, "error: interrupted; nothing was changed")
    assert cli.bytes == before
    assert not (cli.folder / "AGENTS.md").exists()
    assert not (cli.folder / ".git/hooks/pre-commit").exists()


def waiting_for_stdin(folder: Path, number: int, handler: Any) -> subprocess.Popen[bytes]:
    """`add -`, which has begun to read what never ends, with *handler* inherited."""
    process = subprocess.Popen(
        [sys.executable, "-m", "taskkeep", "add", "-", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ROOT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(number, handler),
    )
    assert process.stdin is not None
    process.stdin.write(b" " * (1 << 20))  # more than a pipe holds
    process.stdin.flush()
    return process


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_termination_signal_while_it_waits_is_told(cli: Cli, name: str) -> None:
    """As Ctrl-C is: with a status, and with words that a program can read."""
    number, before = getattr(signal, name), cli.bytes
    process = waiting_for_stdin(cli.folder, number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)

    process.send_signal(number)
    _, err = process.communicate()

    assert (process.returncode, json.loads(err)["error"]["code"]) == (130, "interrupted")
    assert cli.bytes == before


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_signal_that_is_ignored_stays_so(cli: Cli) -> None:
    """As under nohup."""
    process = waiting_for_stdin(cli.folder, signal.SIGHUP, signal.SIG_IGN)

    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(b'{"title": "x"}')

    assert (process.returncode, json.loads(out)["task"]["title"]) == (0, "x")

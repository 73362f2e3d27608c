"""Names are data: whatever stands where a revision, time, branch, event or file is named, nothing is run or written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

# Options of git and of shells, protocols, paths, odd characters, and what looks like a name and is none.
NAMES = [
    "", " ", "-", "--", "---", "-h", "--help", "--output=pwned", "-opwned", "--upload-pack=touch pwned",
    "--exec=touch pwned", "--all", "--stdin", "--git-dir=.", "-C", "--end-of-options", "--no-walk=x", "--batch",
    "ext::touch pwned", "ext::sh -c touch% pwned", "file:///etc/passwd", "fd::17", "http://127.0.0.1:1/x", "::", ":",
    "$(touch pwned)", "`touch pwned`", ";touch pwned", "|touch pwned", "&touch pwned", ">pwned", "< backlog.json",
    "../..", "../../etc/passwd", "/etc/passwd", "/dev/full", "./backlog.json", "~", "~/x", ".", "..", "a..b", "a...b",
    "HEAD:backlog.json", ":0:backlog.json", ":/touch", "^HEAD", "HEAD^{tree}", "HEAD^{blob}", "HEAD^@", "HEAD^!",
    "refs/heads/main..HEAD", "@{-1}..", "*", "[", "HEAD\nHEAD", "HEAD\0HEAD", "\x1b]0;pwned\x07", "\x7f", "a\tb",
    "\u202emain", "\ud800", "\ufeffmain", "x" * 100_000, "%s%n", "{}", "%PATH%", "C:\\x", "no-such-name", "0" * 40,
    "f" * 64, "deadbeef", "9999-99-99", "yesterdayish", "T0001",
]  # fmt: skip

COMMANDS = {
    "verify --base": ["verify", "--base"],
    "verify --head": ["verify", "--head"],
    "verify --anchor": ["verify", "--anchor"],
    "list --at": ["list", "--at"],
    "show --at": ["show", "T0001", "--at"],
    "diff": ["diff", "--"],
    "restore --at": ["restore", "--yes", "--at"],
    "undo": ["undo", "--"],
    "adopt --base": ["adopt", "--base"],
    "apply --base": ["apply", "backlog.json", "--base"],
    "backups show": ["backups", "show", "--"],
    "merge": ["merge", "--"],
    "sync": ["sync", "--"],
    "log --since": ["log", "--since"],
    "list --until": ["list", "--until"],
    "archive --older-than": ["archive", "--older-than"],
    "claim --lease": ["claim", "--lease"],
    "import": ["import", "--from", "json", "--"],
    "batch": ["batch", "--"],
    "apply": ["apply", "--"],
    "blame": ["blame", "--"],
}
# Names that mean something there all the same: no event has this hash; git's own words for two points; stdin; a file.
MEANT = {
    ("verify --anchor", "0" * 40): 1,
    ("verify --anchor", "f" * 64): 1,
    ("diff", ".."): 0,
    ("diff", "refs/heads/main..HEAD"): 0,
    ("batch", "-"): 0,
    ("import", "./backlog.json"): 0,
    ("apply", "./backlog.json"): 0,
}


def test_there_are_as_many_as_were_promised() -> None:
    assert len(set(NAMES)) >= 60


@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_is_more_than_a_name(cli: Cli, command: str) -> None:
    """A clear error on one line, and everything is as it was."""
    cli.add("first")
    before = _everything(cli.folder)
    for name in NAMES:
        result = cli(*COMMANDS[command], name)

        if (command, name) in MEANT:
            assert result.status == MEANT[command, name]
            continue
        assert result.status in (2, 3, 4, 5, 7), (name[:80], result)
        assert result.err.startswith("error: "), (name[:80], result)
        assert len(result.err.splitlines()) <= 2, (name[:80], result)
        assert len(result.err) < 1000, (name[:80], result)
        assert result.err.isascii() or "\x1b" not in result.err, name[:80]
        assert _everything(cli.folder) == before, name[:80]


@pytest.mark.parametrize("name", ["", " ", "-", "--output=x", "a\nb", "a\0b", "x" * 5000, ".git/config", "backlog.json",
                                  ".taskkeep/x", "sub/../.git/x", "/dev/full", "no/such/folder/x", "."])  # fmt: skip
def test_a_summary_goes_nowhere_else(cli: Cli, name: str) -> None:
    """Nor does a judgement that could not be written down count as one."""
    cli.add("first")
    before = _everything(cli.folder)

    result = cli("verify", f"--summary={name}")

    assert result.status in (2, 7), result
    assert _everything(cli.folder) == before
    assert "Traceback" not in result.err


def _everything(folder: Path) -> dict[str, bytes]:
    """All files but what is derived and this checkout's own."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and "local" not in relative.parts and relative.parts[:2] != (".git", "objects"):
            found[os.fspath(relative)] = path.read_bytes()
    return found

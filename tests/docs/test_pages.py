"""What a page shows is what happens: its sessions are played in a terminal, and what they print is compared.

A session is all ``console`` fences of a page, from top to bottom, in one shell and a repository of its own: ``$ ``
stands before a command, what follows is what a terminal of 100 columns shows, and ``…`` alone on a line stands for
lines that the page leaves out; a line that ends in a backslash goes on in the next. Ids, hashes, times, sizes and lines of files of the page stand for those of the run, one for one.
What a session needs beforehand is in comments of the page (``<!-- before``), where ``T3M9X=$(taskkeep add …)`` says
which task the page calls so.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pty = pytest.importorskip("pty")

TOP = Path(__file__).resolve().parent.parent.parent
PART = re.compile(r"^```console\n(?P<shown>.*?)^```$|^<!-- before\n(?P<before>.*?)^-->$", re.MULTILINE | re.DOTALL)
PAGES = [path for path in sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")]) if PART.search(path.read_text())]
WIDTH = 100
ERASED = "\r\x1b[K"
MARK = "\x1e"
REST = "…"

ID = r"\bT[0-9A-HJKMNP-TV-Z]{4}\b"
HASH = r"\b(?=[a-f]*[0-9])[0-9a-f]{8,64}\b"
TIME = r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{6})?Z)?|\b\d{4}-\d\d-\d\d\b|\b\d\d:\d\d\b"
BACKUP = r"\bbacklog_\d{8}_\d{6}_\d{6}"
SIZE = r"\b\d[\d,]* (?:bytes|kB|B)\b"
LINE = r"(?<=\.json:)\d+|(?<=\.jsonl:)\d+"
TOKEN = re.compile(
    f"(?P<time>{TIME})|(?P<line>{LINE})|(?P<backup>{BACKUP})|(?P<size>{SIZE})|(?P<id>{ID})|(?P<hash>{HASH})"
)
LIKE = {"id": "T[0-9A-HJKMNP-TV-Z]{4}", "size": r"[\d,]+ \w+", "line": r"\d+", "backup": r"backlog_\d{8}_\d{6}_\d{6}"}


class Step(NamedTuple):
    """A command, and the lines that the page shows of it; None where it is only to succeed."""

    command: str
    shown: list[str] | None


def steps(page: str) -> Iterator[Step]:
    for part in PART.finditer(page):
        if part["before"] is not None:
            yield from (Step(line, None) for line in part["before"].splitlines() if line)
            continue
        command, shown = "", list[str]()
        for line in part["shown"].splitlines():
            if line.startswith("$ "):
                if command:
                    yield Step(command, shown)
                command, shown = line[2:], []
            elif command.endswith("\\") and not shown:
                command = f"{command[:-1]}{line.strip()}"
            elif shown and shown[-1].endswith("\\"):
                shown[-1] = f"{shown[-1][:-1]}{line}"
            else:
                shown.append(line)
        yield Step(command, shown)


class Names:
    """What the page calls by which name."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def put_in(self, command: str) -> str:
        """The command with the names of the run."""
        return TOKEN.sub(lambda found: self.known.get(found[0], found[0]), command)

    def learn(self, shown: str, printed: str) -> bool:
        """Is *printed* what the page shows as *shown*? If so, the names that it brings are known from now on."""
        pattern, last, new = "", 0, list[str]()
        for found in TOKEN.finditer(shown):
            kind, text = str(found.lastgroup), found[0]
            pattern += re.escape(shown[last : found.start()])
            last = found.end()
            if kind == "time":
                pattern += re.sub(r"\d", r"\\d", re.escape(text))
            elif kind in ("size", "line"):
                pattern += LIKE[kind]
            elif text in self.known:
                pattern += re.escape(self.known[text])
            else:
                pattern += f"({LIKE.get(kind, f'[0-9a-f]{{{len(text)}}}')})"
                new.append(text)
        found_in = re.fullmatch(pattern + re.escape(shown[last:]), printed)
        if found_in is None:
            return False
        for name, meant in zip(new, found_in.groups(), strict=True):
            if self.known.setdefault(name, meant) != meant:
                return False
        return True

    def match(self, shown: list[str], printed: list[str]) -> bool:
        if not shown:
            return not printed
        if shown[0] == REST:
            return any(self.match(shown[1:], printed[number:]) for number in range(len(printed) + 1))
        return bool(printed) and self.learn(shown[0], printed[0]) and self.match(shown[1:], printed[1:])


class Terminal:
    """A shell whose output is a terminal, and whose commands have no input."""

    def __init__(self, home: Path, folder: Path) -> None:
        import fcntl
        import struct
        import termios

        self.home = home
        bin_folder = home / ".bin"
        bin_folder.mkdir()
        program = bin_folder / "taskkeep"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m taskkeep "$@"\n')
        program.chmod(0o755)
        (home / ".gitconfig").write_text(
            "[user]\nname = ada\nemail = ada@example.invalid\n[init]\ndefaultBranch = main\n"
        )
        environment = {
            "HOME": str(home),
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TERM": "xterm",
            "NO_COLOR": "1",
            "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PAGER": "cat",
        }
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)

    def run(self, command: str) -> tuple[list[str], int]:
        """The lines that *command* printed, and its exit status."""
        assert self._shell.stdin is not None
        # What "$(…)" holds is no terminal's; all else has the terminal, but nothing to read.
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null; printf '{MARK}%d{MARK}' $?\n".encode())
        self._shell.stdin.flush()
        data = b""
        while data.count(MARK.encode()) < 2:
            data += os.read(self._leader, 65536)
        text, status, _ = data.decode().replace("\r\n", "\n").replace(str(self.home), "/home/ada").split(MARK)
        # Of a line that was written over, as the bar of a slow machine is, what a terminal shows in the end.
        return [line.rpartition(ERASED)[2].rstrip() for line in text.removesuffix("\n").split("\n") if text], int(
            status
        )

    def close(self) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait()
        os.close(self._leader)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    folder = tmp_path / "shop"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", "."], cwd=folder, check=True)
    terminal = Terminal(tmp_path, folder)
    yield terminal
    terminal.close()


@pytest.mark.parametrize("page", PAGES, ids=[str(path.relative_to(TOP)) for path in PAGES])
def test_a_page_shows_what_happens(page: Path, terminal: Terminal) -> None:
    names = Names()
    for step in steps(page.read_text(encoding="utf-8")):
        command = names.put_in(step.command)
        printed, status = terminal.run(command)
        if step.shown is None:
            assert status == 0, f"{command}\n" + "\n".join(printed)
            if found := re.match(r"(\w+)=\$\(", command):
                [names.known[found[1]]], _ = terminal.run(f'echo "${found[1]}"')
        elif not names.match(step.shown, printed):
            known = "\n".join(f"{name} = {meant}" for name, meant in names.known.items())
            pytest.fail(f"$ {command}\n" + "\n".join(printed) + f"\n(exit {status}; {page.name} calls:\n{known})")


def test_the_pages_that_show_how_to_work_are_played() -> None:
    played = {str(path.relative_to(TOP)) for path in PAGES}

    assert played >= {
        "docs/getting-started.md",
        "docs/how-to/agents.md",
        "docs/how-to/merging.md",
        "docs/how-to/time-travel.md",
        "docs/import.md",
        "docs/verify.md",
    }


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("T3M9X at 2026-11-20 17:00", "T7B1D at 2031-01-02 03:04", True),
        ("commit 4f2a91c0de", "commit 0000000000", True),
        ("T3M9X and T3M9X", "T7B1D and T0KQ2", False),
        ("backlog: 1,243 bytes", "backlog: 9 bytes", True),
        ("1 finding", "2 findings", False),
        ("two  columns", "two columns", False),
    ],
)
def test_a_name_of_the_page_stands_for_one_of_the_run(shown: str, printed: str, same: bool) -> None:
    assert Names().learn(shown, printed) is same

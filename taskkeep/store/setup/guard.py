"""Whether what an agent is about to do would write into the backlog's files past taskkeep."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, Any

from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG, LOCAL, SCHEMA, is_ours

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PATHS = ("file_path", "notebook_path", "path")
INSTEAD = (
    "Use 'taskkeep update ID' or 'taskkeep note ID -' for a task, 'taskkeep add' for a new one, 'taskkeep batch -' "
    "for many; a backlog rewritten as a whole goes into another file and then through 'taskkeep apply FILE'. "
    "What was lost or broken comes back with 'taskkeep undo' or 'taskkeep restore --at WHEN'."
)
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_IN_PLACE = re.compile(r"-[a-zA-Z]*i|--in-place")
_PREFIXES = ("sudo", "env", "command", "exec", "nohup", "time")
_WRITE_ANY = ("tee", "truncate", "rm", "unlink", "shred", "sponge", "mv", "patch")
_WRITE_LAST = ("cp", "ln", "install", "rsync")
_EDIT_IN_PLACE = ("sed", "perl", "ruby")


def refusal(tool_input: Mapping[str, Any], folder: str) -> str | None:
    """Return why a call of a tool is refused and what to do instead, None where it may go on.

    *tool_input*: what the tool was asked to do; a path, or a shell command, of which only the plain ways to
    write a file are known: what is missed here, the next save and `verify` find.
    """
    for name in PATHS:
        if isinstance(path := tool_input.get(name), str) and (kept := _kept(path, folder)):
            return _words(kept)
    if isinstance(command := tool_input.get("command"), str):
        for path, where in _written(command, folder):
            if kept := _kept(path, where):
                return _words(kept)
    return None


def _words(kept: str) -> str:
    return f"{kept} is written by taskkeep alone, so that no task is lost. {INSTEAD}"


def _kept(path: str, folder: str) -> str | None:
    """The name of a file of a backlog that *path* leads to, None where it leads elsewhere."""
    try:
        real = os.path.realpath(os.path.join(folder, os.path.expanduser(path)))
    except ValueError:
        return None
    parent, name = os.path.split(real)
    if name in (BACKLOG, ARCHIVE) and (
        os.path.isdir(os.path.join(parent, AUDIT)) or is_ours(os.path.join(parent, BACKLOG))
    ):
        return name
    top, inside, rest = real.partition(f"{os.sep}.taskkeep{os.sep}")
    below = f".taskkeep/{rest}/".replace(os.sep, "/")
    if inside and os.path.isdir(os.path.join(top, AUDIT)):
        return next((one for one in (AUDIT, LOCAL, SCHEMA) if below.startswith(f"{one}/")), None)
    return None


# -- shell commands ----------------------------------------------------------------------


def _written(command: str, folder: str) -> Iterator[tuple[str, str]]:
    """The paths that a shell command writes to, as far as its words tell, each with the folder it is from."""
    for words in _commands(command):
        plain = []
        at = 0
        while at < len(words):
            if words[at].lstrip("&") in (">", ">>", ">|", "<>") and at + 1 < len(words):
                yield words[at + 1], folder
                at += 1
            elif not words[at].startswith(("<", ">", "&>")):
                plain.append(words[at])
            at += 1
        while plain and (plain[0] in _PREFIXES or _ASSIGNMENT.match(plain[0])):
            plain.pop(0)
        if not plain:
            continue
        name, args = os.path.basename(plain[0]), plain[1:]
        if name == "cd" and args:
            folder = os.path.join(folder, os.path.expanduser(args[-1]))
        yield from ((path, folder) for path in _targets(name, args))


def _targets(name: str, args: list[str]) -> Iterable[str]:
    files = [arg for arg in args if not arg.startswith("-")]
    if name in _WRITE_ANY:
        return files
    if name in _WRITE_LAST:
        return files[-1:]
    if name in _EDIT_IN_PLACE and any(_IN_PLACE.match(arg) for arg in args):
        return files
    if name == "dd":
        return [arg.removeprefix("of=") for arg in args if arg.startswith("of=")]
    return ()


def _commands(command: str) -> Iterator[list[str]]:
    """The words of each simple command; what stands in quotes or in a here-document is no command."""
    lexer = shlex.shlex(_without_heredocs(command), posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for token in lexer:
            if token and not set(token) - set("();|&\n"):
                yield words
                words = []
            else:
                words.append(token)
    except ValueError:
        return  # an open quote: no shell would run it either
    yield words


def _without_heredocs(command: str) -> str:
    lines = []
    until: list[str] = []
    for line in command.split("\n"):
        if until:
            if line.strip() == until[0]:
                until.pop(0)
            continue
        lines.append(line)
        until = [match[2] for match in _HEREDOC.finditer(line)]
    return "\n".join(lines)

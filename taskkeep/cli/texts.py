"""What a user hands over as text: arguments, stdin and files."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from taskkeep.errors import InputInvalid, NotFound, TaskkeepError, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A text may have 1 MiB; what is far beyond it is not even read. An object may hold several texts.
TEXT_BYTES = 8 << 20
OBJECT_BYTES = 64 << 20
FILE_BYTES = 256 << 20
_PLAIN_AT = "'@@' at the beginning stands for a plain '@'."


def check_arguments(args: Sequence[str]) -> None:
    """Refuse arguments that are no text. Raises InputInvalid."""
    for number, arg in enumerate(args, 1):
        if not arg.isascii():
            try:
                arg.encode()
            except UnicodeEncodeError:
                raise InputInvalid(
                    f"argument {number} is not UTF-8: {ascii(arg)[:60]}", hint="Give text as UTF-8."
                ) from None


def given(args: Sequence[str], option: str, value: str | None = None) -> bool:
    """True when *option* (with *value*) is on a command line that need not make sense."""
    for place, arg in enumerate(args):
        if arg == "--":
            return False
        if arg == option and (value is None or list(args[place + 1 : place + 2]) == [value]):
            return True
        if arg.startswith(option + "=") and (value is None or arg == f"{option}={value}"):
            return True
    return False


class Texts:
    """The texts of one command line; stdin can be given for one of them only."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader = ""

    def text(self, value: str, option: str) -> str:
        """The text that *value* stands for: ``-`` is stdin, ``@FILE`` a file, ``@@`` a plain ``@``.

        Line ends are made LF, and those at the end taken off. Raises Usage, NotFound, InputInvalid.
        """
        if value == "-":
            return _decoded(self.stdin(option, TEXT_BYTES), "stdin")
        if value.startswith("@@"):
            return value[1:]
        if value.startswith("@"):
            return _decoded(read_file(value[1:], TEXT_BYTES, hint=_PLAIN_AT), value[1:])
        return value

    def texts(self, values: Iterable[str], option: str) -> list[str]:
        return [self.text(value, option) for value in values]

    def object(self, command: str) -> dict[str, Any]:
        """The one JSON object on stdin. Raises InputInvalid, Usage."""
        value = parse_json(self.stdin(f"{command} -", OBJECT_BYTES), "stdin")
        if not isinstance(value, dict):
            hint = "One object, with the fields of a task; 'taskkeep batch' takes many, one a line."
            raise InputInvalid("stdin holds no JSON object", hint=hint)
        # What 'show --json' prints is such an object with one around it.
        whole = value.get("task") if value.keys() <= {"schema_version", "task"} else None
        return whole if isinstance(whole, dict) else value

    def whole(self, path: str, name: str) -> bytes:
        """The bytes of a file, or of stdin for ``-``. Raises NotFound, InputInvalid, Usage."""
        return self.stdin(name, FILE_BYTES) if path == "-" else read_file(path, FILE_BYTES)

    def stdin(self, option: str, limit: int) -> bytes:
        if self._reader:
            raise Usage(
                f"stdin can be read once, but {self._reader} and {option} both ask for it",
                hint="Give one of them as @FILE.",
            )
        self._reader = option
        if sys.stdin.isatty():
            print("reading stdin, up to Ctrl-D …", file=sys.stderr)
        return _limited(sys.stdin.buffer.read(limit + 1), limit, "stdin")


def read_file(path: str, limit: int, *, hint: str = "") -> bytes:
    """The bytes of a file that the user named. Raises NotFound, InputInvalid, Usage."""
    from taskkeep.backlog.task import shortened

    try:
        with open(os.path.expanduser(path), "rb") as file:
            return _limited(file.read(limit + 1), limit, path)
    except FileNotFoundError:
        raise NotFound(f"no file {shortened(path)}", hint=hint or "Give its path, or - for stdin.") from None
    except OSError as error:
        raise InputInvalid(f"cannot read {shortened(path)}: {error.strerror}") from None
    except ValueError:  # a NUL in it
        raise Usage(f"{shortened(path)} is no path") from None


def _limited(data: bytes, limit: int, name: str) -> bytes:
    if len(data) > limit:
        raise InputInvalid(f"{name} is larger than {limit >> 20} MiB")
    return data


def _decoded(data: bytes, name: str) -> str:
    from taskkeep.backlog.text import BOM

    try:
        text = data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputInvalid(f"{name} is not UTF-8 (line {line})", hint="Save it as UTF-8.") from None
    return text.replace("\r\n", "\n").rstrip("\n")


def parse_json(data: bytes, name: str) -> Any:
    """The JSON value in *data*, as strictly as a backlog is read. Raises InputInvalid."""
    from taskkeep.backlog.text import BOM, loads

    try:
        return loads(data.removeprefix(BOM), name)
    except TaskkeepError as error:
        hint = ""
        if " is not JSON" in error.message:
            fenced = data.lstrip().startswith(b"```")
            hint = "Leave out the fences of Markdown." if fenced else "JSON has double quotes, and no comma at an end."
        raise InputInvalid(error.message, hint=hint, **error.details) from None


def split(values: Iterable[str]) -> list[str]:
    """The entries of comma lists, each once, in order."""
    return list(dict.fromkeys(parts(values)))


def parts(values: Iterable[str]) -> list[str]:
    """The entries of comma lists, in order, as often as they stand there."""
    return [part for value in values for text in value.split(",") if (part := text.strip())]


def numbers(values: Iterable[str], option: str) -> tuple[int, ...]:
    """The whole numbers in comma lists. Raises Usage."""
    found = []
    for part in split(values):
        if not (part.isascii() and part.isdigit() and len(part) < 10):
            raise Usage(f"{option} takes numbers, not {part[:40]!r}", hint="They are counted from 1.")
        found.append(int(part))
    return tuple(found)


def metadata(values: Iterable[str]) -> dict[str, Any]:
    """``KEY=VALUE`` pairs, VALUE as JSON where it is JSON. Raises Usage, InputInvalid."""
    found: dict[str, Any] = {}
    for pair in values:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise Usage(f"--set takes KEY=VALUE, not {pair[:40]!r}")
        found[key.strip()] = parse_json(value.encode(), f"--set {key}") if _is_json(value) else value
    return found


def _is_json(text: str) -> bool:
    """True for JSON by its grammar; whether its numbers can be kept is another question."""
    import json

    def no(constant: str) -> Any:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=no, parse_int=str, parse_float=str)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True

"""The text form of a backlog: canonical JSON, read strictly."""

from __future__ import annotations

import json
import marshal
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from taskkeep.errors import BacklogUnreadable, InputInvalid, UnknownField

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from taskkeep.backlog.task import Task

VERSION = 1
BOM = b"\xef\xbb\xbf"
SCHEMA_REFERENCE = ".taskkeep/backlog.schema.json"
MAX_BYTES = 256 * 1024 * 1024
MAX_TASKS = 1_000_000
MAX_DEPTH = 64
MAX_DIGITS = 300

_HEAD = f'{{\n  "$schema": "{SCHEMA_REFERENCE}",\n  "version": {VERSION},\n  "tasks": ['.encode()
_EMPTY = _HEAD + b"]\n}\n"
_TAIL = b"\n  ]\n}\n"
_ALIASES, _ALIASES_END = b'\n      "aliases": [', b"\n      ]"
_DIGITS_ALIKE = bytes(ord("0") if chr(byte).isascii() and chr(byte).isdigit() else byte for byte in range(256))
_LONG_NUMBER = b"0" * (MAX_DIGITS + 1)
_encode = json.JSONEncoder(ensure_ascii=False).encode
_quoted = json.encoder.encode_basestring


# -- writing -----------------------------------------------------------------------------


def dump(tasks: Iterable[Task]) -> bytes:
    """Return the canonical bytes of canonical *tasks*, which are sorted by id already."""
    blocks = [_block(task) for task in tasks]
    if not blocks:
        return _EMPTY
    return _HEAD + b",".join(blocks) + _TAIL


def _block(task: Task) -> bytes:
    """One task as it stands between the commas of the list, with the line break before it."""
    return ("\n    " + _written(task, "\n    ")).encode()


def _written(value: Any, before: str) -> str:
    """A JSON value as json.dumps(indent=2) writes it, which then encodes in Python, several times slower.

    *before*: the line break and blanks before the bracket that ends it.
    """
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is dict and value:
        inner = before + "  "
        rows = [
            f"{_quoted(key)}: {_quoted(one) if type(one) is str else _written(one, inner)}"
            for key, one in value.items()
        ]
        return "{" + inner + ("," + inner).join(rows) + before + "}"
    if kind is list and value:
        inner = before + "  "
        return "[" + inner + ("," + inner).join([_written(one, inner) for one in value]) + before + "]"
    return _encode(value)


def is_same_text(one: Any, other: Any) -> bool:
    """Would `dump` write the same for both? Unlike ==, 1 and true differ, and so does another order of keys."""
    return one is other or marshal.dumps(one, 2) == marshal.dumps(other, 2)


def splice(text: bytes, ids: list[str], changed: Mapping[str, Task | None]) -> list[bytes]:
    """Return the canonical text with *changed* tasks put in, as pieces to be joined.

    *text* is canonical and holds exactly the tasks *ids*, sorted. A task of None is taken out.
    Line breaks inside strings are escaped in JSON, so a line break, four spaces and a brace can
    only begin a task. Equal to dump() of the changed tasks, which a law of the tests holds.
    """
    count = len(ids) + sum((task is not None) - _contains(ids, task_id) for task_id, task in changed.items())
    if not ids or not count:
        return [dump(task for _, task in sorted(changed.items()) if task is not None)]
    pieces: list[bytes] = []
    at = len(_HEAD)
    first = True

    def emit(piece: bytes) -> None:
        nonlocal first
        if not piece:
            return
        if not first:
            pieces.append(b",")
        pieces.append(piece)
        first = False

    for task_id in sorted(changed):
        task = changed[task_id]
        place = bisect_left(ids, task_id)
        there = place < len(ids) and ids[place] == task_id
        if place < len(ids):
            start = text.index(b'\n    {\n      "id": "%s",' % ids[place].encode(), at)
        else:
            start = len(text) - len(_TAIL)
        # What lies before the block, without the comma that parts the two.
        emit(text[at : start - 1 if start > at and place < len(ids) else start])
        if task is not None:
            emit(_block(task))
        at = start
        if there:
            end = text.index(b"\n    }", start) + len(b"\n    }")
            at = end + 1 if text[end : end + 1] == b"," else end
    emit(text[at : len(text) - len(_TAIL)])
    return [_HEAD, *pieces, _TAIL]


def _contains(ids: list[str], task_id: str) -> bool:
    place = bisect_left(ids, task_id)
    return place < len(ids) and ids[place] == task_id


# -- reading -----------------------------------------------------------------------------


class _DuplicateKeyError(ValueError):
    pass


def read_lines(data: bytes, name: str = "the batch") -> list[tuple[int, Any]]:
    """The JSON values in *data*, one a line, each with the line's number; blank lines say nothing.

    Raises InputInvalid for the first line that is none.
    """
    found = []
    for number, row in enumerate(data.split(b"\n"), 1):
        if row.strip():
            try:
                found.append((number, loads(row, f"line {number}")))
            except BacklogUnreadable as error:
                raise InputInvalid(f"{name}: {error.message}", hint=_line_hint(row), line=number) from None
    return found


def _line_hint(row: bytes) -> str:
    if row.lstrip().startswith(b"```"):
        return "Leave out the fences of Markdown."
    if row.lstrip()[:1] == b"[" or row.strip() == b"{":
        return "One whole object a line: no list around them, no line breaks within."
    return 'Each line is one JSON object, like {"op": "add", "title": "…"}.'


def loads(data: bytes, name: str) -> Any:
    """Return the JSON value in *data*: strict UTF-8, no key twice, no number that would change.

    Raises BacklogUnreadable (code ``unreadable``, ``duplicate_key`` or ``conflict_marker``)
    with the line where that is known. *name* is what the message calls the input.
    """
    if len(data) > MAX_BYTES:
        raise BacklogUnreadable("unreadable", f"{name} is larger than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BacklogUnreadable("unreadable", f"{name} is not UTF-8 (line {line})", line=line) from None
    if text.startswith("\ufeff"):
        raise BacklogUnreadable(
            "unreadable",
            f"{name} begins with a byte order mark",
            hint="Save it as UTF-8 without BOM; for backlog.json 'taskkeep adopt' does.",
            line=1,
        )
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=parse_float,
            parse_int=_int_reader(data),
        )
    except _DuplicateKeyError as error:
        key = str(error)
        raise BacklogUnreadable("duplicate_key", f"{name} gives the key {key!r} twice", key=key) from None
    except json.JSONDecodeError as error:
        if (marker := conflict_marker(text)) is not None:
            raise BacklogUnreadable(
                "conflict_marker",
                f"{name} holds conflict markers (line {marker})",
                hint="A merge left both versions in the file; 'git checkout --conflict=merge' shows it again.",
                line=marker,
            ) from None
        what = "is empty" if not text.strip() else f"is not JSON: {error.msg} (line {error.lineno})"
        raise BacklogUnreadable("unreadable", f"{name} {what}", line=error.lineno) from None
    except RecursionError:
        raise BacklogUnreadable("unreadable", f"{name} is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise BacklogUnreadable("unreadable", f"{name} holds {error}") from None


def conflict_marker(text: str) -> int | None:
    """Return the number of the first line that is a conflict marker of git."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ", "||||||| ")):
            return number
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        keys = (key for key, _ in pairs)
        while (key := next(keys)) not in seen:
            seen.add(key)
        raise _DuplicateKeyError(key)
    return value


def _constant(text: str) -> Any:
    raise ValueError(f"{text}, which is no JSON")


def parse_int(text: str) -> int:
    """An integer of at most MAX_DIGITS digits. Raises ValueError."""
    if len(text) - text.startswith("-") > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


def _int_reader(data: bytes) -> Callable[[str], int] | None:
    """Asked for each number `parse_int` takes a third of the time where there are a million."""
    return parse_int if _LONG_NUMBER in data.translate(_DIGITS_ALIKE) else None


def parse_float(text: str) -> float:
    """A number that is written back with the same value. Raises ValueError where it would change."""
    if len(text) > MAX_DIGITS + 1:
        raise ValueError(f"a number of more than {MAX_DIGITS} digits")
    value = float(text)
    if value - value != 0:
        raise ValueError(f"the number {text[:40]}, which is beyond what a program can hold")
    if repr(value) != text:
        from decimal import Decimal

        if Decimal(text) != Decimal(repr(value)):
            raise ValueError(f"the number {text[:40]}, which would be rounded to {value!r}")
    return value


def parse(data: bytes, name: str = "backlog.json", *, only_known: bool = False) -> list[Task]:
    """Return the tasks in *data* in file order, the envelope checked, the tasks not.

    *only_known*: refuse keys of the envelope that a newer version may have written.
    Raises BacklogUnreadable, UnknownField.
    """
    value = loads(data, name)
    tasks = tasks_of(value, name)
    if only_known and (unknown := value.keys() - {"$schema", "version", "tasks"}):
        from taskkeep import __version__

        raise UnknownField(min(unknown)[:60], __version__)
    return tasks


def is_dump(data: bytes, tasks: list[Task]) -> bool:
    """Is *data*, byte for byte, what `dump` gives for these tasks?"""
    return dump(tasks) == data


def span_of(data: bytes, tasks: Sequence[Task]) -> list[int]:
    """Where the text of these tasks, which follow one another, begins and ends in *data*; empty where it is not."""
    if not tasks:
        return []
    blocks = list(map(_block, tasks))
    at, text = data.find(blocks[0]), b",".join(blocks)
    return [at, at + len(text)] if at >= 0 and data.startswith(text, at) else []


def are_spans(data: bytes, spans: Sequence[int], count: int) -> bool:
    """Do *count* spans, each a beginning and an end, make up all of *data*, as `dump` puts tasks together?"""
    if not data.startswith(_HEAD) or not data.endswith(_TAIL) or len(spans) != 2 * count:
        return False
    begins, ends = [*spans[::2], len(data) - len(_TAIL) + 1], [len(_HEAD) - 1, *spans[1::2]]
    joins = list(zip(ends, begins, strict=True))
    return all(begin == end + 1 for end, begin in joins) and all(data[end : end + 1] == b"," for end, _ in joins[1:-1])


def parse_written(data: bytes, is_text: Callable[[bytes, list[Task]], bool] = is_dump) -> list[Task] | None:
    """The tasks in *data* where it is, byte for byte, what `dump` gives for them; else None: `parse` says more.

    Quick, since nobody has to look for keys given twice: dump would have written them once. *is_text* is asked
    in the place of `is_dump`.
    """
    try:
        value = json.loads(data.decode(), parse_constant=_constant, parse_int=_int_reader(data))
        tasks = tasks_of(value, "it")
        return tasks if is_text(data, tasks) else None
    except (BacklogUnreadable, ValueError, KeyError, TypeError, RecursionError):
        return None


def is_of_this_version(data: bytes) -> bool:
    """Does canonical *data* begin as this version writes it?"""
    return data.startswith(_HEAD)


def parse_trusted(data: bytes) -> list[Task]:
    """Return the tasks of bytes that a writer has checked and nobody has touched since."""
    tasks: list[Task] = json.loads(data.decode())["tasks"]  # given bytes it takes half as long again
    return tasks


Block = tuple[str, str, bytes]  # a task's id, its uid, and its bytes from the line break before it


def blocks(data: bytes, known: dict[bytes, Block]) -> list[Block] | None:
    """The tasks of canonical *data*, None where it has another form.

    *known* learns them, so that what another version of the file has too need not be looked at again.
    """
    import re

    if data == _EMPTY:
        return []
    if not (data.startswith(_HEAD) and data.endswith(_TAIL)):
        return None
    begins = re.compile(rb'\n    {\n      "id": "(T[0-9A-Z]+)",\n      "uid": "([^"\\]+)",\n').match
    found = []
    for piece in data[len(_HEAD) : -len(_TAIL)].split(b"\n    },"):
        block = known.get(piece)
        if block is None:
            head = begins(piece)
            if head is None or b"\n    }" in piece[:-6]:
                return None
            whole = piece if piece.endswith(b"\n    }") else piece + b"\n    }"
            block = known[piece] = head[1].decode(), head[2].decode("utf-8", "replace"), whole
        found.append(block)
    return found


# -- reading a part ------------------------------------------------------------------------
#
# For canonical bytes that a writer has checked. Line breaks inside strings are escaped in JSON, so
# what follows a line break tells by its indent how deep it lies: four spaces begin or end a task,
# six a field of it.


def find_tasks(data: bytes, ids: Iterable[str]) -> dict[str, Task]:
    """The tasks of exactly these ids in checked *data*, as far as there are any."""
    found: dict[str, Task] = {}
    at = 0
    for task_id in sorted(ids):
        if not (task_id.isascii() and task_id.isalnum()):
            continue
        start = data.find(b'\n    {\n      "id": "%s",\n' % task_id.encode(), at)
        if start >= 0:
            at = data.index(b"\n    }", start)
            found[task_id] = json.loads(data[start : at + len(b"\n    }")].decode())
    return found


def has_alias(data: bytes, names: Iterable[str]) -> bool:
    """Does a task in checked *data* bear one of *names*, which are upper case, as an alias?"""
    quoted = [b'"%s"' % name.encode("utf-8", "replace") for name in names]
    start = data.find(_ALIASES)
    while start >= 0:
        end = data.index(_ALIASES_END, start)
        if any(name in data[start:end].upper() for name in quoted):
            return True
        start = data.find(_ALIASES, end)
    return False


def tasks_of(value: Any, name: str) -> list[Task]:
    """Return the list of tasks in the decoded envelope *value*. Raises BacklogUnreadable."""
    if not isinstance(value, dict) or "tasks" not in value or "version" not in value:
        raise BacklogUnreadable("schema", f"{name} is no backlog: it has no 'version' and 'tasks'")
    version = value["version"]
    if type(version) is int and version > VERSION:
        from taskkeep import __version__

        raise BacklogUnreadable(
            "schema",
            f"{name} has version {version}; taskkeep {__version__} knows version {VERSION}",
            hint="A newer taskkeep is needed.",
            newer=True,
        )
    if version != VERSION or isinstance(version, bool):
        raise BacklogUnreadable("schema", f"{name} has version {version!r}; this taskkeep knows version {VERSION}")
    tasks = value["tasks"]
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise BacklogUnreadable("schema", f"{name}: 'tasks' is not a list of objects")
    if len(tasks) > MAX_TASKS:
        raise BacklogUnreadable("schema", f"{name} holds more than {MAX_TASKS} tasks")
    return tasks

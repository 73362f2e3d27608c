"""Foreign values as values of ours; what had to be changed for it is told to the caller."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from taskkeep.backlog.task import BANNED, LINE_BREAKS, banned_character, shortened
from taskkeep.backlog.text import conflict_marker, loads
from taskkeep.backlog.times import SECOND, is_date, is_time, read_moment, to_text
from taskkeep.errors import BacklogUnreadable, InputInvalid, InvalidField

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[str], None]

_BANNED = re.compile(f"[{BANNED}]")
_BLANKS = re.compile(rf"[\t{LINE_BREAKS}\r]+ *")
_BULLET = re.compile(r"^\s*(?:[-*+•‣–]|\d{1,3}[.)])\s+(?:\[(?P<mark>[ xX])\]\s*)?(?P<text>.*)$")
_CHECKBOX = re.compile(r"^\s*\[(?P<mark>[ xX])\]\s*(?P<text>.*)$")
_COMPACT = re.compile(r"^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$", re.ASCII)
# Microseconds a unit, for the number of digits before the point of a time counted from 1970.
_EPOCHS = {9: SECOND, 10: SECOND, 12: 1000, 13: 1000, 15: 1, 16: 1}


# -- JSON ----------------------------------------------------------------------------------


def read_json(data: bytes, name: str) -> Any:
    """The JSON value in *data*, a byte order mark or not. Raises InputInvalid, in one line."""
    try:
        return loads(data.removeprefix(b"\xef\xbb\xbf"), name)
    except BacklogUnreadable as error:
        raise _unreadable(error) from None


def read_json_line(data: bytes, name: str, number: int) -> Any:
    """The JSON value of one line of a file. Raises InputInvalid, which names the line."""
    try:
        return loads(data, name)
    except BacklogUnreadable as error:
        message = error.message.removesuffix(" (line 1)") + f" (line {number})"
        if conflict_marker(data.decode("utf-8", "replace")):
            message = f"{name} holds conflict markers (line {number})"
        raise InputInvalid(message, line=number) from None


def _unreadable(error: BacklogUnreadable) -> InputInvalid:
    return InputInvalid(error.message, hint="Nothing was imported.", line=error.line)


# -- text ----------------------------------------------------------------------------------


def long_text(text: str, tell: Tell) -> str:
    """*text* without characters that no text of a backlog may hold; line ends as ``\\n``."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if banned_character(text) is None:
        return text
    found = sorted({f"U+{ord(character):04X}" for character in _BANNED.findall(text)})
    tell(f"lost characters that are not allowed ({', '.join(found[:5])})")
    return _BANNED.sub("", text)


def one_line(text: str, tell: Tell) -> str:
    """*text* as one line without blanks around it; may be empty."""
    return _BLANKS.sub(" ", long_text(text.strip(), tell)).strip()


def criteria(text: str) -> list[dict[str, Any]]:
    """Acceptance criteria out of Markdown: a bullet with the lines below it is one, else a line is."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not any(_BULLET.match(line) for line in lines):
        return [criterion(line.strip()) for line in lines]
    found: list[dict[str, Any]] = []
    for line in lines:
        bullet = _BULLET.match(line)
        if bullet or not found or not line[0].isspace():
            found.append(_marked(bullet["text"], bullet["mark"]) if bullet else criterion(line.strip()))
        else:
            found[-1]["text"] += f"\n{line.strip()}"
    return [item for item in found if item["text"].strip()]


def criterion(text: str) -> dict[str, Any]:
    """One criterion, whose text may begin with a check box."""
    box = _CHECKBOX.match(text)
    return _marked(box["text"], box["mark"]) if box else _marked(text, None)


def _marked(text: str, mark: str | None) -> dict[str, Any]:
    return {"text": text.strip(), "done": mark in ("x", "X")}


# -- times ---------------------------------------------------------------------------------


def moment(value: Any) -> str | None:
    """A time of theirs as one of ours; None for what is none.

    Takes RFC 3339 with any offset (none: UTC), a day, ``20260401T120000Z``, and seconds, milliseconds
    or microseconds since 1970.
    """
    if isinstance(value, str):
        if len(value) == 20 and is_time(text := f"{value[:19]}.000000Z") and value[19] == "Z":
            return text
        if (compact := _COMPACT.match(value)) is not None:
            year, month, day, hour, minute, second = compact.groups()
            text = f"{year}-{month}-{day}T{hour}:{minute}:{second}.000000Z"
            return text if is_time(text) else None
        if not (value[:4].isdigit() and value[4:5] == "-"):
            return None
        try:
            return read_moment(value, now="")
        except InvalidField:
            return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 10**17:
        unit = _EPOCHS.get(len(str(int(value))))
        return to_text(int(value * unit)) if unit else None
    return None


def day(value: Any) -> str | None:
    """A day, or the day of a time, as ``YYYY-MM-DD``; None for what is none."""
    if isinstance(value, str) and is_date(value):
        return value
    time = moment(value)
    return time[:10] if time else None


# -- names ---------------------------------------------------------------------------------


def name_of(value: Any) -> str | None:
    """The text by which the file names a task; None for what is no name."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        text = value.strip()
        # What cannot stand in an external reference is told apart by a digest instead.
        return text if text and len(text) <= 500 and text.isprintable() else None
    return None


def display(value: Any) -> str:
    return shortened(value if isinstance(value, str) else repr(value))

"""Entries of a JSON file put in and taken out as text, so that all else in it keeps its bytes."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_decode = json.JSONDecoder().raw_decode
_BLANK = re.compile(r"[ \t\r\n]*")


class Part(NamedTuple):
    """One entry of an object (then it has a key) or of an array: from its key or value to the value's end."""

    key: str | None
    start: int
    value: int
    end: int


def parts(text: str, start: int) -> tuple[list[Part], int]:
    """Return the entries of the object or array that begins at *start*, and where its bracket closes."""
    found: list[Part] = []
    closing = "}" if text[start] == "{" else "]"
    at = _skip(text, start + 1)
    while text[at] != closing:
        if text[at] == ",":
            at = _skip(text, at + 1)
        begin, key = at, None
        if closing == "}":
            key, at = _decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        end = _decode(text, at)[1]
        found.append(Part(key, begin, at, end))
        at = _skip(text, end)
    return found, at


def place(text: str, path: tuple[str | int, ...]) -> int | None:
    """Where the value at *path* begins; None where there is none. Of a key given twice the last counts."""
    at = _skip(text, 0)
    for step in path:
        found = parts(text, at)[0]
        if isinstance(step, int):
            at = found[step].value
            continue
        named = [part for part in found if part.key == step]
        if not named:
            return None
        at = named[-1].value
    return at


def inserted(text: str, path: tuple[str | int, ...], value: Any, key: str | None = None) -> str:
    """Return *text* with one more entry at the end of the object (with *key*) or array at *path*."""
    at = place(text, path)
    assert at is not None
    found, close = parts(text, at)
    newline = "\r\n" if "\r\n" in text else "\n"
    step = _indent(text)
    inner, outer = newline + step * (len(path) + 1), newline + step * len(path)
    if found:
        blank = text[_before(text, found[-1].start) : found[-1].start]
        inner = blank if newline in blank else " "
        outer = newline + blank.rpartition("\n")[2].removesuffix(step) if newline in blank else ""
    one_line = "\n" not in inner
    item = json.dumps(value, ensure_ascii=False, indent=None if one_line else step)
    if not one_line:
        item = item.replace("\n", inner)
    if key is not None:
        item = f"{json.dumps(key, ensure_ascii=False)}: {item}"
    if found:
        return text[: found[-1].end] + "," + inner + item + text[found[-1].end :]
    return text[: at + 1] + inner + item + outer + text[close:]


def removed(text: str, path: tuple[str | int, ...]) -> str:
    """Return *text* without the entry at *path*, and without what then is left empty around it, but the whole."""
    container = place(text, path[:-1])
    assert container is not None
    found, close = parts(text, container)
    step = path[-1]
    number = step if isinstance(step, int) else max(n for n, part in enumerate(found) if part.key == step)
    if len(found) == 1:
        if len(path) > 1:
            return removed(text, path[:-1])
        return text[: container + 1] + text[close:]
    if number:
        return text[: found[number - 1].end] + text[found[number].end :]
    return text[: found[0].start] + text[found[1].start :]


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    assert match
    return match.end()


def _before(text: str, at: int) -> int:
    """Where the blanks before *at* begin."""
    while at and text[at - 1] in " \t\r\n":
        at -= 1
    return at


def _indent(text: str) -> str:
    found = re.match(r"\s*\{[ \t]*\r?\n([ \t]+)", text)
    return found[1] if found else "  "

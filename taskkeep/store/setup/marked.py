"""Our lines in a file of the user's, between two markers; not a byte outside them is touched."""

from __future__ import annotations

from typing import NamedTuple

from taskkeep.errors import ForeignFile


class Block(NamedTuple):
    """Lines between markers, each of which is a line of its own."""

    begin: str
    body: str
    end: str

    @property
    def text(self) -> str:
        return f"{self.begin}\n{self.body.rstrip()}\n{self.end}\n"


def with_block(text: str, block: Block, *, name: str, first: bool = False) -> str:
    """Return *text* with the block where it stood, else at the end, or with *first* before all but a ``#!`` line.

    Raises ForeignFile where one of its markers stands alone.
    """
    ours = block.text.replace("\n", "\r\n") if "\r\n" in text else block.text
    place = _place(text, block, name)
    if place is not None:
        start, end = place
        return text[:start] + (ours if text[start:end].endswith("\n") else ours.rstrip()) + text[end:]
    if first:
        head = text.find("\n") + 1 if text.startswith("#!") else 0
        if text.startswith("#!") and not head:
            return f"{text}\n{ours}"
        return text[:head] + ours + text[head:]
    if not text or text.endswith("\n"):
        return text + ours
    # Without a line break at the end the file stays so, and the block's own tells that the one before it is ours.
    newline = "\r\n" if ours.endswith("\r\n") else "\n"
    return text + newline + ours.removesuffix(newline)


def without_block(text: str, block: Block, *, name: str) -> str:
    """Return *text* as it was before the block came in. Raises ForeignFile where one marker stands alone."""
    place = _place(text, block, name)
    if place is None:
        return text
    start, end = place
    before, after = text[:start], text[end:]
    if not after and not text.endswith("\n"):
        before = before.removesuffix("\n").removesuffix("\r")
    return before + after


def _place(text: str, block: Block, name: str) -> tuple[int, int] | None:
    """Where the block stands, its last line break included."""
    starts, ends = _lines(text, block.begin), _lines(text, block.end)
    if not starts and not ends:
        return None
    if len(starts) != 1 or len(ends) != 1 or starts[0][0] > ends[0][0]:
        raise ForeignFile(
            f"{name} has not just one '{block.begin}' and one '{block.end}' after it",
            hint="Take these lines, and what is left between them, out by hand.",
        )
    return starts[0][0], ends[0][1]


def _lines(text: str, line: str) -> list[tuple[int, int]]:
    found, at = [], 0
    for one in text.split("\n") if line in text else ():
        if one.strip() == line:
            found.append((at, min(at + len(one) + 1, len(text))))
        at += len(one) + 1
    return found

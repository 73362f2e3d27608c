"""Ids of new tasks: drawn at random, or one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_PATTERN = "^T[0-9A-HJKMNP-TV-Z]{4,}$(?!\\n)"
SHORTEST = 4
ROOM = 1000  # places for each id in use: two branches that draw ten ids each clash once in 10 / ROOM
_LETTERS = frozenset(ALPHABET)


def looks_like_id(text: str) -> bool:
    """True for text in the exact form of an id, which is upper case."""
    return len(text) > SHORTEST and text[0] == "T" and _LETTERS.issuperset(text[1:])


def random_id(used_count: int, randbits: Callable[[int], int]) -> str:
    """An id drawn by *randbits* (``secrets.randbits``), long enough for *used_count* ids in use.

    The caller draws again where the id is in use, or ever was.
    """
    length = SHORTEST
    while used_count * ROOM > 32**length:
        length += 1
    number = randbits(5 * length)
    return "T" + "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))


def sequential_id(highest: int) -> str:
    """The id after number *highest* (0 where there is none yet)."""
    return f"T{highest + 1:04d}"


def sequence_number(task_id: str) -> int | None:
    """The number of an id such as `sequential_id` gives, None for any other."""
    digits = task_id[1:]
    if not looks_like_id(task_id) or not digits.isdigit() or len(digits) > 18:
        return None
    number = int(digits)
    return number if sequential_id(number - 1) == task_id else None

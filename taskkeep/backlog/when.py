"""Moments as people say them: ``2 hours ago``, ``yesterday 17:00``, beside dates and times of RFC 3339.

A small grammar of its own, since libraries for such words guess at what they do not know and take
longer to import than a whole command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.backlog.times import SECOND, days_in_month, read_moment, to_number, to_text
from taskkeep.errors import InvalidField

if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = tuple[int, int, int, int, int, int]  # year, month, day, hour, minute, second

_EXACT = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600, "day": 86_400, "week": 604_800}
_CALENDAR = {"month": 1, "year": 12}
_SHORT = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NEAR = {"today": 0, "yesterday": 1, "tomorrow": -1}
_ONE = ("a", "an", "one")
_MOST = 999_999
_FIRST, _LAST = to_number("0001-01-01T00:00:00.000000Z"), to_number("9999-12-31T23:59:59.999999Z")


class Local:
    """How the machine's zone turns microseconds into a calendar's fields and back."""

    __slots__ = ("fields", "instant")

    def __init__(self, fields: Callable[[int], Clock], instant: Callable[[Clock], int]) -> None:
        self.fields, self.instant = fields, instant


def moment_of(text: str, *, now: str, local: Local, end: bool = False) -> str | None:
    """The time that *text* says, in taskkeep's own form; None where it says none.

    Digits without a zone are UTC, as everywhere; words are by the *local* calendar. A day is its first
    moment, or with *end* its last. Raises InvalidField for what has the shape of a date and is none.
    """
    text = " ".join(text.split())
    try:
        return read_moment(text, now=now, field="WHEN", end=end)
    except InvalidField:
        if _looks_like_a_date(text):
            raise
    words = text.lower().replace(",", " ").split()
    try:
        number = _said(words, to_number(now), local, end)
    except (ValueError, OverflowError, OSError):
        return None
    return None if number is None else to_text(min(max(number, _FIRST), _LAST))


def _looks_like_a_date(text: str) -> bool:
    shape = "".join("0" if c.isascii() and c.isdigit() else c for c in text[:10])
    return shape == "0000-00-00" and text[10:11] in ("", "T", "t", " ")


def _said(words: list[str], now: int, local: Local, end: bool) -> int | None:
    if words == ["now"]:
        return now
    if len(words) > 1 and words[-1] == "ago":
        return _ago(words[:-1], now, local)
    if len(words) == 2 and words[0] in ("last", "next") and words[1] in (*_EXACT, *_CALENDAR):
        return _ago(["1", words[1]], now, local, back=1 if words[0] == "last" else -1)
    if len(words) > 1 and words[0] == "in":
        return _ago(words[1:], now, local, back=-1)
    day, rest = _day(words, now, local)
    if day is None:
        return None
    if rest and rest[0] == "at":
        rest = rest[1:]
        if not rest:
            return None
    if not rest:
        # A day without a time is its beginning, as a date is.
        day = _before(local.instant((*day, 12, 0, 0)), -1, local) if end else day
        return local.instant((*day, 0, 0, 0)) - int(end)
    clock = _clock(rest)
    return None if clock is None else local.instant((*day, *clock))


def _day(words: list[str], now: int, local: Local) -> tuple[tuple[int, int, int] | None, list[str]]:
    """The day that *words* begin with, today where they begin with a time, and the words after it."""
    first = words[0] if words else ""
    if first in _NEAR:
        return _before(now, _NEAR[first], local), words[1:]
    if first == "last" and len(words) > 1 and words[1] in _DAYS:
        words = words[1:]
        first = words[0]
    if first in _DAYS:
        back = (_weekday(now, local) - _DAYS.index(first)) % 7 or 7
        return _before(now, back, local), words[1:]
    return (_before(now, 0, local), words) if _clock(words) else (None, words)


def _before(now: int, days: int, local: Local) -> tuple[int, int, int]:
    """The date *days* before today's; counted from noon, which no change of the clocks moves to another day."""
    year, month, day = local.fields(now)[:3]
    return local.fields(local.instant((year, month, day, 12, 0, 0)) - days * 86_400 * SECOND)[:3]


def _weekday(now: int, local: Local) -> int:
    year, month, day = local.fields(now)[:3]
    days = to_number(f"{year:04d}-{month:02d}-{day:02d}T00:00:00.000000Z") // (86_400 * SECOND)
    return (days + 3) % 7  # 1970-01-01 was a Thursday


def _clock(words: list[str]) -> tuple[int, int, int] | None:
    if words == ["noon"]:
        return 12, 0, 0
    if words == ["midnight"]:
        return 0, 0, 0
    if len(words) != 1:
        return None
    text, half = words[0], None
    if text.endswith(("am", "pm")):
        text, half = text[:-2], text[-2:]
    parts = text.split(":")
    if not all(part.isascii() and part.isdigit() and len(part) <= 2 for part in parts) or len(parts) > 3:
        return None
    if len(parts) == 1 and half is None:
        return None
    hour, minute, second = (*map(int, parts), 0, 0)[:3]
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    return (hour, minute, second) if hour < 24 and minute < 60 and second < 60 else None


def _ago(words: list[str], now: int, local: Local, *, back: int = 1) -> int | None:
    """``2 days``, ``an hour 5 minutes``, ``3h``: so long before *now*, months and years by the calendar;
    with *back* -1 after it."""
    seconds = months = 0
    at = 0
    words = [word for word in words if word != "and"]
    if not words:
        return None
    while at < len(words):
        word = words[at]
        if word[-1:] in _SHORT and word[:-1].isascii() and word[:-1].isdigit() and len(word) <= 7:
            seconds += int(word[:-1]) * _SHORT[word[-1]]
            at += 1
            continue
        unit = words[at + 1].removesuffix("s") if at + 1 < len(words) else ""
        if word in _ONE:
            count = 1
        elif word.isascii() and word.isdigit() and int(word[:9]) <= _MOST:
            count = int(word)
        else:
            return None
        if unit in _EXACT:
            seconds += count * _EXACT[unit]
        elif unit in _CALENDAR:
            months += count * _CALENDAR[unit]
        else:
            return None
        at += 2
    if months:
        year, month, day, *clock = local.fields(now)
        year, month = divmod(year * 12 + month - 1 - back * months, 12)
        day = min(day, days_in_month(max(year, 1), month + 1))
        now = local.instant((year, month + 1, day, clock[0], clock[1], clock[2])) + now % SECOND
    return now - back * seconds * SECOND

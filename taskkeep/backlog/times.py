"""Times as text and as numbers, without a clock.

A time is text like ``2026-11-20T12:00:00.000000Z``, whose order as text is its order in time, or
a number of microseconds since 1970 in UTC. `datetime` is not used: importing it would cost every
command more than this page of arithmetic.
"""

from __future__ import annotations

from taskkeep.errors import InvalidField

SECOND = 1_000_000
DAY = 86_400 * SECOND
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# Every ASCII digit as 0: a text's pattern by one comparison. The other characters of a time are named
# too, since each that a table lacks costs an exception inside.
_ZEROS = str.maketrans("0123456789-:.TZ", "0000000000-:.TZ")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_HEX, _SHOWN = frozenset("0123456789abcdef"), 8  # an event is named by so many digits of its id
_LAST = 253_402_300_800 * SECOND  # the first microsecond of the year 10000
_FIRST = -62_135_596_800 * SECOND  # the first of the year 1


def to_text(microseconds: int) -> str:
    """The time as taskkeep writes it."""
    days, rest = divmod(microseconds, DAY)
    year, month, day = _date_of(days)
    seconds, fraction = divmod(rest, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{fraction:06d}Z"


def to_number(text: str) -> int:
    """The microseconds of a time in taskkeep's own form; ValueError for any other text."""
    if not is_time(text):
        raise ValueError(f"not a time: {text!r}")
    days = _days_to(int(text[:4]), int(text[5:7]), int(text[8:10]))
    seconds = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
    return days * DAY + seconds * SECOND + int(text[20:26])


def later(text: str, seconds: int) -> str:
    """The time *seconds* after *text*, kept within the years 1 to 9999."""
    return to_text(min(max(to_number(text) + seconds * SECOND, _FIRST), _LAST - 1))


def is_date(text: str) -> bool:
    """True for a day that exists, written ``YYYY-MM-DD``."""
    if text.translate(_ZEROS) != "0000-00-00":
        return False
    year, month, day = text[:4], text[5:7], text[8:]
    if year == "0000" or month == "00" or month > "12" or day == "00":
        return False
    return day <= "28" or int(day) <= days_in_month(int(year), int(month))


def is_time(text: str) -> bool:
    """True for a time in exactly taskkeep's own form, on a day that exists."""
    return (
        text.translate(_ZEROS) == "0000-00-00T00:00:00.000000Z"
        and text[11:13] < "24"
        and text[14:16] < "60"
        and text[17:19] < "60"
        and is_date(text[:10])
    )


def days_in_month(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_DAYS[month - 1] + leap


def seconds_of(text: str, *, field: str = "duration") -> int:
    """The seconds of a duration like ``90s 30m 8h 7d 2w``; parts may follow one another (``1h30m``).

    Raises InvalidField.
    """
    total, number = 0, ""
    for character in text.strip().lower():
        if character in "0123456789" and len(number) < 9:
            number += character
        elif character in _UNITS and number:
            total, number = total + int(number) * _UNITS[character], ""
        else:
            total, number = 0, "wrong"
            break
    if number or not text.strip():
        raise InvalidField(field, "is no duration", hint="Write it like 90s, 30m, 8h or 7d.")
    return total


def read_moment(text: str, *, now: str, field: str = "time", end: bool = False) -> str:
    """The time that somebody wrote, in taskkeep's own form.

    Takes a date (its first moment in UTC, with *end* its last), a time of RFC 3339 with any
    offset (none: UTC; a blank for the ``T``; seconds and fraction may be missing), and a
    duration before *now* like ``7d``. Eight characters that could begin an event's id, as they are shown
    everywhere, are no duration. Raises InvalidField.
    """
    text = text.strip()
    if is_date(text):
        return f"{text}T23:59:59.999999Z" if end else f"{text}T00:00:00.000000Z"
    try:
        if text[:4].isdigit() and text[4:5] == "-":
            return to_text(_read_rfc3339(text, end=end))
        if len(text) >= _SHOWN and _HEX.issuperset(text.lower()):
            raise ValueError
        return later(now, -seconds_of(text))
    except (ValueError, InvalidField):
        raise InvalidField(
            field,
            "is no time",
            hint="Write it like 2026-11-20, 2026-11-20T12:00:00Z, or 7d for seven days ago.",
        ) from None


def _read_rfc3339(text: str, *, end: bool) -> int:
    date, mark, rest = text[:10], text[10:11], text[11:].upper()
    if not is_date(date) or mark not in ("T", "t", " "):
        raise ValueError
    offset = 0
    if rest.endswith("Z"):
        rest = rest[:-1]
    elif rest[-6:-5] in ("+", "-"):
        hours, minutes = _clock(rest[-5:])
        offset = (hours * 3600 + minutes * 60) * (1 if rest[-6] == "+" else -1)
        rest = rest[:-6]
    clock, _, fraction = rest.partition(".")
    if "." in rest and not (fraction.isascii() and fraction.isdigit()):
        raise ValueError
    hour, minute = _clock(clock[:5])
    second = 0
    if len(clock) > 5:
        second = _two_digits(clock[6:], 60)
        if clock[5] != ":":
            raise ValueError
    elif fraction:
        raise ValueError
    filler = "9" if end and not fraction else "0"
    if end and len(clock) == 5:
        second = 59
    days = _days_to(int(date[:4]), int(date[5:7]), int(date[8:]))
    number = days * DAY + (hour * 3600 + minute * 60 + second - offset) * SECOND
    number += int(fraction[:6].ljust(6, filler))
    if not _FIRST <= number < _LAST:
        raise ValueError
    return number


def _clock(text: str) -> tuple[int, int]:
    if len(text) != 5 or text[2] != ":":
        raise ValueError
    return _two_digits(text[:2], 24), _two_digits(text[3:], 60)


def _two_digits(text: str, limit: int) -> int:
    if len(text) != 2 or not (text.isascii() and text.isdigit()) or int(text) >= limit:
        raise ValueError
    return int(text)


def _days_to(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01, by counting years from March on, so that a leap day ends its year."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _date_of(days: int) -> tuple[int, int, int]:
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year_of_era + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1

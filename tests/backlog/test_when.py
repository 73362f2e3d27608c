"""Moments as people say them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskkeep.backlog.times import to_number
from taskkeep.backlog.when import Local, moment_of
from taskkeep.errors import InvalidField
from taskkeep.store.past.when import LOCAL

NOW = "2026-11-21T15:04:05.678901Z"  # a Saturday


@pytest.fixture
def in_berlin() -> Iterator[None]:
    """The machine's zone is one with summer time."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "CET-1CEST,M3.5.0,M10.5.0/3"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def said(text: str, now: str = NOW, *, end: bool = False) -> str | None:
    return moment_of(text, now=now, local=LOCAL, end=end)


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("2 hours ago", "2026-11-21T13:04:05.678901Z"),
        ("an hour and 5 minutes ago", "2026-11-21T13:59:05.678901Z"),
        ("3h", "2026-11-21T12:04:05.678901Z"),
        ("1d 2h ago", "2026-11-20T13:04:05.678901Z"),
        ("a week ago", "2026-11-14T15:04:05.678901Z"),
        ("last week", "2026-11-14T15:04:05.678901Z"),
        ("1 month ago", "2026-10-21T14:04:05.678901Z"),
        ("9 months ago", "2026-02-21T15:04:05.678901Z"),
        ("last year", "2025-11-21T15:04:05.678901Z"),
        ("today", "2026-11-20T23:00:00.000000Z"),
        ("yesterday", "2026-11-19T23:00:00.000000Z"),
        ("yesterday 17:00", "2026-11-20T16:00:00.000000Z"),
        ("Yesterday at 5pm", "2026-11-20T16:00:00.000000Z"),
        ("yesterday noon", "2026-11-20T11:00:00.000000Z"),
        ("yesterday, 00:30", "2026-11-19T23:30:00.000000Z"),
        ("12am", "2026-11-20T23:00:00.000000Z"),
        ("midnight", "2026-11-20T23:00:00.000000Z"),
        ("9:15:30", "2026-11-21T08:15:30.000000Z"),
        ("friday", "2026-11-19T23:00:00.000000Z"),
        ("saturday", "2026-11-13T23:00:00.000000Z"),
        ("last monday 8am", "2026-11-16T07:00:00.000000Z"),
        ("tomorrow", "2026-11-21T23:00:00.000000Z"),
        ("4000 years ago", "0001-01-01T00:00:00.000000Z"),
        ("in 2 days", "2026-11-23T15:04:05.678901Z"),
        ("next month", "2026-12-21T15:04:05.678901Z"),
        ("2026-11-20", "2026-11-20T00:00:00.000000Z"),
        ("2026-11-20 09:00", "2026-11-20T09:00:00.000000Z"),
        ("2026-11-20T09:00:00+02:00", "2026-11-20T07:00:00.000000Z"),
    ],
)
def test_a_moment_said_in_words_or_digits_is_one_time(text: str, moment: str) -> None:
    """Words by the local calendar, digits without a zone by UTC."""
    assert said(text) == moment


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [
        ("second", 1), ("sec", 1), ("minute", 60), ("min", 60), ("hour", 3600), ("hr", 3600), ("day", 86_400),
        ("week", 604_800),
    ],
)  # fmt: skip
def test_a_unit_is_as_long_as_it_is_in_any_number(unit: str, seconds: int) -> None:
    """Back and forward, and short by its first letter."""
    now = to_number(NOW)

    def at(*moments: str) -> list[int]:
        return [(to_number(said(text) or "") - now) // 1_000_000 for text in moments]

    assert at(f"one {unit} ago", f"1 {unit} ago", f"last {unit}", f"2 {unit}s ago") == [-seconds] * 3 + [-2 * seconds]
    assert at(f"in a {unit}", f"in an {unit}", f"next {unit}", f"in 3 {unit}s") == [seconds] * 3 + [3 * seconds]
    assert at(f"5{unit[0]}", f"5{unit[0]} ago", f"in 5{unit[0]}") == [-5 * seconds, -5 * seconds, 5 * seconds]
    assert at(f"1 {unit} and 2 {unit}s ago") == [-3 * seconds]


@pytest.mark.usefixtures("in_berlin")
def test_months_and_years_go_by_the_calendar() -> None:
    """To the last day of a shorter month."""
    for text, moment in {
        "in a month": "2027-02-28T11:00:00.000000Z",
        "in 13 months": "2028-02-29T11:00:00.000000Z",
        "2 years ago": "2025-01-31T11:00:00.000000Z",
        "1 year and 2 months ago": "2025-11-30T11:00:00.000000Z",
        "in 3 months and 2 hours": "2027-04-30T12:00:00.000000Z",
        "1 month and 1 day ago": "2026-12-30T11:00:00.000000Z",
    }.items():
        assert said(text, "2027-01-31T11:00:00.000000Z") == moment, text


@pytest.mark.usefixtures("in_berlin")
def test_a_day_of_the_week_is_the_last_one_before_today() -> None:
    days = ("friday", "thursday", "wednesday", "tuesday", "monday", "sunday", "saturday")
    for date, day in zip(range(20, 13, -1), days, strict=True):
        for text in (day, f"last {day}", day.upper()):
            assert said(f"{text} 12:00") == f"2026-11-{date:02d}T11:00:00.000000Z", text


@pytest.mark.usefixtures("in_berlin")
def test_a_time_of_day_is_read_on_either_clock() -> None:
    for text, clock in {
        "12pm": "11:00:00", "noon": "11:00:00", "1am": "00:00:00", "11pm": "22:00:00", "1:05pm": "12:05:00",
        "12:30pm": "11:30:00", "23:59:59": "22:59:59", "9:05": "08:05:00", "today at 12:00:07": "11:00:07",
    }.items():  # fmt: skip
        assert said(text) == f"2026-11-21T{clock}.000000Z", text


def test_a_number_may_have_six_digits_and_what_is_beyond_the_calendar_stops_at_its_end() -> None:
    assert said("999999 hours ago") == "1912-10-24T00:04:05.678901Z"
    assert said("999999 weeks ago") == "0001-01-01T00:00:00.000000Z"
    assert said("in 999999 weeks") == "9999-12-31T23:59:59.999999Z"
    assert said("1000000 hours ago") is None
    assert said("999999h ago") == "1912-10-24T00:04:05.678901Z"
    assert said("9999999h ago") is None


@pytest.mark.parametrize(
    "text",
    ["", "ago", "2 ago", "hours ago", "at", "yesterday at", "a while ago", "25:00", "13pm", "0am", "12:60", "1:2:3:4",
     "feature", "main", "HEAD~2", "last", "2 fortnights ago", "99999999999 days ago", "٢ hours ago", "1٢h ago",
     "-2 hours ago", "1.5 hours ago", "yesterday yesterday", "in", "in a", "noon noon", "20261121"],
)  # fmt: skip
def test_what_says_no_time_is_left_to_be_a_name(text: str) -> None:
    assert said(text) is None


@pytest.mark.parametrize("text", ["2026-02-30", "2026-13-01", "0000-01-01", "2026-11-20T25:00", "2026-11-20 noon"])
def test_what_looks_like_a_date_and_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        said(text)


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("text", "now", "moments"),
    [
        ("yesterday 02:30", "2026-03-30T10:00:00.000000Z", {"2026-03-29T00:30:00.000000Z", "2026-03-29T01:30:00.000000Z"}),
        ("yesterday 02:30", "2026-10-26T10:00:00.000000Z", {"2026-10-25T00:30:00.000000Z", "2026-10-25T01:30:00.000000Z"}),
        ("yesterday", "2026-03-30T10:00:00.000000Z", {"2026-03-28T23:00:00.000000Z"}),
        ("today", "2026-10-25T22:30:00.000000Z", {"2026-10-24T22:00:00.000000Z"}),
        ("24 hours ago", "2026-10-25T12:00:00.000000Z", {"2026-10-24T12:00:00.000000Z"}),
        ("1 month ago", "2026-03-31T10:00:00.000000Z", {"2026-02-28T11:00:00.000000Z"}),
    ],
)  # fmt: skip
def test_when_the_clocks_change_a_day_is_still_that_day(text: str, now: str, moments: set[str]) -> None:
    """An hour that was skipped or came twice is one of the two times it may be."""
    assert said(text, now) in moments


@pytest.mark.usefixtures("in_berlin")
def test_a_day_as_an_end_is_its_last_moment() -> None:
    assert said("yesterday", end=True) == "2026-11-20T22:59:59.999999Z"
    assert said("yesterday", "2026-10-26T10:00:00.000000Z", end=True) == "2026-10-25T22:59:59.999999Z"
    assert said("2026-11-20", end=True) == "2026-11-20T23:59:59.999999Z"
    assert said("yesterday 17:00", end=True) == "2026-11-20T16:00:00.000000Z"


@given(st.text(max_size=40) | st.from_regex(r"(in |last )?[0-9a]{1,7} ?[a-z]{1,7}( ago)?", fullmatch=True))
def test_any_text_is_a_time_or_none_and_never_a_surprise(text: str) -> None:
    try:
        found = said(text)
    except InvalidField:
        return
    assert found is None or len(found) == 27


@pytest.mark.parametrize("text", ["and ago", "7", "yesterday 12", "yesterday at 7"])
def test_a_bare_number_or_nothing_at_all_is_no_time(text: str) -> None:
    assert said(text) is None


@pytest.mark.parametrize("error", [ValueError, OverflowError, OSError])
def test_what_the_calendar_of_the_machine_cannot_say_is_no_time(error: type[Exception]) -> None:
    def refuse(_: object) -> int:
        raise error

    local = Local(LOCAL.fields, refuse)

    assert moment_of("2 months ago", now=NOW, local=local) is None
    assert moment_of("2 hours ago", now=NOW, local=local) == "2026-11-21T13:04:05.678901Z"

"""Times as text and numbers agree with the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskkeep.backlog import times
from taskkeep.errors import InvalidField

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = "2026-11-20T12:00:00.000000Z"
MOMENTS = st.datetimes(timezones=st.just(UTC))


def written(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds").rjust(26, "0") + "Z"


@given(MOMENTS)
def test_text_and_number_are_those_of_the_calendar(moment: datetime) -> None:
    number = (moment - EPOCH) // timedelta(microseconds=1)
    assert times.to_text(number) == written(moment)
    assert times.to_number(written(moment)) == number


def test_the_first_and_last_days_of_the_months_of_four_centuries_are_those_of_the_calendar() -> None:
    """After which all begins again: every leap year, and every one that is none."""
    for year in range(1999, 2402):
        for month in range(1, 13):
            first = datetime(year, month, 1, tzinfo=UTC)
            for moment in (first, first - timedelta(days=1)):
                assert times.to_text((moment - EPOCH) // timedelta(microseconds=1)) == written(moment)


@given(st.text("0123456789-", min_size=10, max_size=10) | st.dates().map(str))
def test_a_date_is_one_that_the_calendar_has(text: str) -> None:
    try:
        real = str(datetime.strptime(text, "%Y-%m-%d").date()) == text
    except ValueError:
        real = False
    assert times.is_date(text) == real


@pytest.mark.parametrize("year", [0, 1, 4, 5, 100, 400, 404, 1900, 1999, 2000, 2023, 2024, 2026, 2100, 9999])
def test_the_days_of_a_year_are_those_of_the_calendar(year: int) -> None:
    """Leap years too, and no day more."""

    def exists(month: int, day: int) -> bool:
        try:
            return bool(datetime(year, month, day))
        except ValueError:
            return False

    days = [(month, day) for month in range(14) for day in range(33)]

    assert [pair for pair in days if times.is_date(f"{year:04d}-{pair[0]:02d}-{pair[1]:02d}")] == [
        pair for pair in days if exists(*pair)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T12:00:00.000000Z\n",
        "2026-11-20T12:00:00.00000٣Z",
        "2026-11-20T24:00:00.000000Z",
        "2026-11-20T12:60:00.000000Z",
        "2026-11-20T12:00:60.000000Z",
        "2026-02-29T12:00:00.000000Z",
        "2026-11-20 12:00:00.000000Z",
        "2026-11-20T12:00:00Z",
        "0000-01-01T00:00:00.000000Z",
        "",
    ],
)
def test_a_time_has_one_form(text: str) -> None:
    assert not times.is_time(text)
    with pytest.raises(ValueError, match="not a time"):
        times.to_number(text)


@given(MOMENTS, st.integers(-1439, 1439))
def test_a_time_with_any_offset_is_read(moment: datetime, minutes: int) -> None:
    try:
        local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:
        return
    text = local.isoformat(timespec="microseconds").rjust(32, "0")
    assert times.read_moment(text, now=NOW) == written(moment)


@pytest.mark.parametrize(
    ("text", "moment", "last"),
    [
        ("2026-11-20", "2026-11-20T00:00:00.000000Z", "2026-11-20T23:59:59.999999Z"),
        ("2026-11-20T10:30", "2026-11-20T10:30:00.000000Z", "2026-11-20T10:30:59.999999Z"),
        ("2026-11-20 10:30:05", "2026-11-20T10:30:05.000000Z", "2026-11-20T10:30:05.999999Z"),
        ("2026-11-20t10:30:05.5z", "2026-11-20T10:30:05.500000Z", "2026-11-20T10:30:05.500000Z"),
        ("7d", "2026-11-13T12:00:00.000000Z", "2026-11-13T12:00:00.000000Z"),
        ("1h30m", "2026-11-20T10:30:00.000000Z", "2026-11-20T10:30:00.000000Z"),
        ("1000d", "2024-02-24T12:00:00.000000Z", "2024-02-24T12:00:00.000000Z"),
        ("0001-01-01T00:00Z", "0001-01-01T00:00:00.000000Z", "0001-01-01T00:00:59.999999Z"),
    ],
)
def test_a_moment_is_written_in_many_ways(text: str, moment: str, last: str) -> None:
    assert times.read_moment(text, now=NOW) == moment
    assert times.read_moment(text, now=NOW, end=True) == last


@pytest.mark.parametrize("text", ["7102657d", "1d23456D", "000000007d"])
def test_what_may_be_the_beginning_of_an_events_id_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidField, match="is no time"):
        times.read_moment(text, now=NOW)
    assert times.read_moment("102657d", now=NOW).startswith("1745")


@given(st.text(max_size=40) | st.text("0123456789-:TZ+. ", max_size=30))
def test_other_text_is_refused_by_name(text: str) -> None:
    try:
        assert times.is_time(times.read_moment(text, now=NOW, field="since"))
    except InvalidField as error:
        assert error.details["field"] == "since"  # noqa: PT017


@pytest.mark.parametrize("text", ["", "7", "d", "7y", "-7d", "7 d", "٣d", "9999999999d", "1.5h"])
def test_a_duration_is_a_number_and_a_unit(text: str) -> None:
    with pytest.raises(InvalidField, match=r"^lease is no duration") as refused:
        times.seconds_of(text, field="lease")
    assert "30m" in refused.value.hint


def test_durations() -> None:
    assert [times.seconds_of(text) for text in ("90s", "30m", "8h", "7d", "2w", "1h30m")] == [
        90,
        1800,
        28_800,
        604_800,
        1_209_600,
        5400,
    ]


def test_later_stays_within_the_calendar() -> None:
    assert times.later(NOW, 60) == "2026-11-20T12:01:00.000000Z"
    assert times.later(NOW, 10**15) == "9999-12-31T23:59:59.999999Z"
    assert times.later(NOW, -(10**15)) == "0001-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T10:30:05.",
        "2026-11-20T10:30:05.٣",
        "2026-11-20T10:30:05.5x",
        "2026-11-20T10:30-05",
        "2026-11-20T10:30.5",
        "2026-11-20T10:30x05",
        "2026-11-20T10:30:",
        "2026-11-20T10:30:055",
        "2026-11-20T10:30:٣٣",
        "2026-11-20T10x30",
        "2026-11-20x10:30",
        "2026-02-30T10:30",
        "2026-11-20T10:30:60",
        "2026-11-20T10:30+24:00",
        "2026-11-20T10:30+01:60",
        "2026-11-20T1:30",
        "0001-01-01T00:00+01:00",
        "9999-12-31T23:59-01:00",
        "9999-12-31T23:59-00:01",
    ],
)
def test_a_time_that_is_nearly_one_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match="is no time") as refused:
        times.read_moment(text, now=NOW)
    assert "2026-11-20T12:00:00Z" in refused.value.hint


def test_a_finer_fraction_is_cut_to_the_microsecond() -> None:
    assert times.read_moment("2026-11-20T10:30:05.1234567Z", now=NOW) == "2026-11-20T10:30:05.123456Z"
    assert times.read_moment("2026-11-20T10:30:05.12Z", now=NOW, end=True) == "2026-11-20T10:30:05.120000Z"

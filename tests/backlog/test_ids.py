"""Ids: their form, their length, their order."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskkeep.backlog.ids import ID_PATTERN, looks_like_id, random_id, sequence_number, sequential_id


@given(st.integers(0, 10**7), st.integers())
def test_a_drawn_id_is_an_id(used: int, seed: int) -> None:
    assert looks_like_id(random_id(used, random.Random(seed).getrandbits))


@pytest.mark.parametrize(("used", "length"), [(0, 5), (1048, 5), (1049, 6), (33_554, 6), (33_555, 7), (1_000_000, 7)])
def test_ids_grow_with_the_backlog(used: int, length: int) -> None:
    """There are a thousand places for each id in use, so that branches seldom draw the same."""
    assert len(random_id(used, random.getrandbits)) == length


def test_every_id_can_be_drawn() -> None:
    assert random_id(0, lambda bits: 0) == "T0000"
    assert random_id(0, lambda bits: 2**bits - 1) == "TZZZZ"


def test_sequential_ids_follow_the_highest() -> None:
    """Their numbers have 18 digits at most; what has more is another's id and is not counted on from."""
    assert [sequential_id(highest) for highest in (0, 41, 9999)] == ["T0001", "T0042", "T10000"]


@given(st.integers(1, 10**18 - 1))
@example(10**18 - 1)
def test_the_number_of_a_sequential_id(number: int) -> None:
    assert sequence_number(sequential_id(number - 1)) == number


@pytest.mark.parametrize("text", ["T3M9X", "T00042", "X0001", "T12", "T" + "1" * 19])
def test_other_ids_have_no_number(text: str) -> None:
    assert sequence_number(text) is None


@given(st.from_regex(ID_PATTERN.removesuffix("$(?!\\n)"), fullmatch=True) | st.text("T01AZILOUt\n", max_size=8))
@example("T000")
@example("TI000")
@example("T000O")
def test_the_check_is_that_of_the_pattern(text: str) -> None:
    import re

    assert looks_like_id(text) == bool(re.search(ID_PATTERN, text))

"""The canonical bytes are what json.dumps gives, whatever a task holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskkeep.backlog.text import SCHEMA_REFERENCE, VERSION, dump, is_same_text, parse, parse_written

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=6), max_size=4))
def test_it_is_the_text_of_json(tasks: list[dict[str, Any]]) -> None:
    """Indent 2, no escapes but those that JSON demands, and a line break at the end."""
    whole = {"$schema": SCHEMA_REFERENCE, "version": VERSION, "tasks": tasks}

    assert dump(tasks) == (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=3))
def test_what_was_written_is_read_quickly_and_the_same(tasks: list[dict[str, Any]]) -> None:
    data = dump(tasks)

    assert parse_written(data) == parse(data) == tasks
    assert parse_written(data.replace(b'"tasks": [', b'"tasks":  [', 1)) is None


@given(VALUES, VALUES)
def test_same_text_is_what_json_would_write_alike(one: Any, other: Any) -> None:
    assert is_same_text(one, other) == (json.dumps(one) == json.dumps(other))


@pytest.mark.parametrize(
    "inner", [b'"a": 1, "a": 2', b'"a": NaN', b'"a": 1e400', b'"a": ' + b"9" * 400, b'"a": "\\ud800"', b'"a": 1.10']
)
def test_what_no_save_writes_is_left_to_the_strict_way(inner: bytes) -> None:
    assert parse_written(dump([{}]).replace(b"{}", b"{\n      " + inner + b"\n    }")) is None

"""A finding names the line in the file, whatever the layout."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskkeep.backlog.places import Place, Places
from taskkeep.backlog.text import dump

TEXTS = st.text(st.sampled_from('ab"\\{}[]:,\n T01'), max_size=6)
TASKS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from(["T0001", "T0002", "T0003"]), "title": TEXTS},
        optional={"labels": st.lists(TEXTS, max_size=2), "metadata": st.dictionaries(TEXTS, TEXTS, max_size=2)},
    ),
    max_size=5,
)


def lines_of(text: str, begins: str) -> list[int]:
    return [number for number, row in enumerate(text.split("\n"), 1) if row.startswith(begins)]


@given(TASKS)
def test_each_task_and_field_is_found_on_its_line(tasks: list[dict[str, Any]]) -> None:
    """Whatever the texts hold: brackets, quotes, words that look like fields. A task's line is that of its id."""
    data = dump(tasks)
    text = data.decode()

    found = Places(data).all

    assert [place.task_id for place in found] == [task["id"] for task in tasks]
    assert [place.line for place in found] == lines_of(text, '      "id": ')
    for field in ("title", "labels", "metadata"):
        assert [place.fields[field] for place in found if field in place.fields] == lines_of(text, f'      "{field}": ')


@given(TASKS)
def test_another_layout_is_read_as_well(tasks: list[dict[str, Any]]) -> None:
    """All on one line, and every bracket and comma on its own."""
    found = [Places(json.dumps({"tasks": tasks}, indent=indent).encode()).all for indent in (None, 0)]

    for places in found:
        assert [place.task_id for place in places] == [task["id"] for task in tasks]
    assert {place.line for place in found[0]} <= {1}


TWICE = b"""{
  "other": [{"id": "T0009"}],
  "tasks": [
    {
      "title": "first",
      "id": "T0002"
    },
    {
      "id": "T0002",
      "title": "second",
      "title": "again"
    },
    {"id": "T0005", "metadata": {"id": "T0007"}},
    {"id": "T0002"}
  ],
  "more": [[{"id": "T0008"}]]
}
"""


def test_of_an_id_that_stands_there_again_the_first_and_the_last_can_be_asked_for() -> None:
    places = Places(TWICE)

    assert (places.task("T0002"), places.task("T0002", last=True)) == (6, 14)
    assert places.task("T0005") == 13


def test_only_the_tasks_of_the_list_of_tasks_count() -> None:
    """Not objects beside it or within them."""
    places = Places(TWICE)

    assert [place.task_id for place in places.all] == ["T0002", "T0002", "T0005", "T0002"]
    assert places.task("T0007") is places.task("T0008") is places.task("T0009") is None


def test_a_field_that_is_not_there_is_pointed_to_by_its_task() -> None:
    places = Places(TWICE)

    assert places.field("T0002", "title") == 5
    assert places.field("T0002", "labels") == places.field("T0002", None) == 6
    assert places.field("T0001", "title") is None


def test_a_task_that_is_gone_is_missed_where_it_would_stand() -> None:
    """Before the next one; at the end by the last one; without any task at the top."""
    places = Places(TWICE)

    assert [places.gap(task_id) for task_id in ("T0001", "T0003", "T0009")] == [6, 13, 14]
    assert Places(b"{\n}").gap("T0001") == 1


def test_a_key_that_is_given_twice_is_found_where_it_comes_again() -> None:
    """Within one object: the same key of another object is no second one."""
    places = Places(TWICE)

    assert places.second_key("title") == 11
    assert places.second_key("id") is None
    assert places.second_key("nothing") is None
    assert Places(b'{"a": {"b": 1}, "a": 2}').second_key("a") == 1
    assert Places(b'{"a": {"a": 1},\n "b": {"a": 2}}').second_key("a") is None


def test_a_task_without_an_id_stands_where_it_begins_and_empty_lines_count() -> None:
    places = Places(b'\n{"tasks": [{"title":\n"x"},\n{\n"labels": [], "id": "T0001"}]}')

    assert places.all == [Place("", 2, {"title": 2}), Place("T0001", 5, {"labels": 5, "id": 5})]
    assert Places(b'\n{"a": 1, "a": 2}').second_key("a") == 2


@given(st.binary(max_size=60) | st.text('{}[]":\n tasksid', max_size=60).map(str.encode))
def test_what_is_no_json_gives_a_guess_and_never_a_fault(data: bytes) -> None:
    """Every line that is named is one of the text."""
    places = Places(data)
    last = data.decode("utf-8", "replace").count("\n") + 1

    lines = [line for place in places.all for line in (place.line, *place.fields.values())]
    lines += [places.gap("T0001"), places.second_key("tasks") or 1]

    assert all(1 <= line <= last for line in lines)


def test_brackets_that_close_nothing_are_passed_over() -> None:
    assert Places(b'} ] {"a": 1}\n{"a": 1, "a": 2}').second_key("a") == 2
    assert Places(b'"a": 1, "a": 2').second_key("a") is None

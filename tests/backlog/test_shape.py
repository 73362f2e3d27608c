"""The schema, the quick check before it, and the limits behind it agree."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from taskkeep.backlog.shape import beyond_schema, normalise, quick_ok
from taskkeep.backlog.task import CHOICES, FIELDS, REQUIRED, Task, canonical
from taskkeep.errors import InvalidField, UnknownField

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "backlog.schema.json").read_text("utf-8"))
REFERENCE = Draft202012Validator({"$ref": "#/$defs/task", "$defs": SCHEMA["$defs"]})
FILE = Draft202012Validator(SCHEMA)
NOW = "2026-11-20T12:00:00.000000Z"
FULL: Task = {
    "id": "T3M9X",
    "uid": "0" * 32,
    "title": "Fail the build",
    "description": "Markdown.\n\n- with\ttab",
    "status": "in_progress",
    "priority": "high",
    "type": "feature",
    "labels": ["ci"],
    "assignee": "ada",
    "role": "backend",
    "parent": "T0KQ2",
    "depends_on": ["T7B1D"],
    "acceptance_criteria": [{"text": "exit 1 names the task", "done": False}],
    "due": "2027-01-31",
    "external_refs": ["github:17"],
    "notes": [{"at": NOW, "by": "ada", "text": "…"}],
    "created_at": NOW,
    "created_by": "ada",
    "updated_at": NOW,
    "started_at": NOW,
    "completed_at": NOW,
    "claimed_by": "agent-1",
    "claimed_until": NOW,
    "aliases": ["T0007"],
    "metadata": {"any": ["JSON", 1, 1.5, True, None, {"deep": {}}]},
}

HOSTILE = ["", " ", "a ", " a", "a\n", "\na", "a\nb", "a\tb", "\t", "\r", "\0", "\x1b[31m", "\x85", "a\u200bb"]
HOSTILE += ["\u202e", "\u2028", "\ufeff", "\ud800", "\U000e0041", "\u00a0", "a\u00a0", "\u3000", "👨‍👩‍👧", "x" * 201]
HOSTILE += ["x" * 501, "x" * 2001, "T0001", "t0001", "T0001\n", "TILOU", "T٠٠٠٠", "T012", "done", "Done", NOW + "\n"]
HOSTILE += ["2026-02-30", "2026-11-31", "2024-02-29", "2026-11-20", "٢٠٢٦-11-20", "0000-01-01", NOW, NOW.lower()]
HOSTILE += ["2026-02-29T12:00:00.000000Z", "2026-11-20T24:00:00.000000Z", "f" * 32, "f" * 36, "f" * 37, "F" * 32]
ODD = [None, True, False, 0, 1, -1, 1.5, [], {}, [[]], [None], [1], [{}], 10**31, int("1" * 32)]
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=5) | st.text("ab \n\t\u200d\u202a", max_size=5)
SCALARS = st.sampled_from(ODD) | TEXTS
JSON = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ENTRY_KEYS = st.sampled_from(["text", "done", "at", "by", "other"])
ENTRIES = st.dictionaries(ENTRY_KEYS, JSON | st.just(NOW) | st.just("ada"), max_size=4)
VALUES = JSON | st.lists(TEXTS, max_size=3) | st.lists(ENTRIES, max_size=2)


def is_valid(task: Any) -> bool:
    return REFERENCE.is_valid(task) and beyond_schema(task) is None


def test_the_schema_is_a_schema_and_knows_every_field_in_order() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    definition = SCHEMA["$defs"]["task"]
    assert tuple(definition["properties"]) == FIELDS
    assert tuple(definition["required"]) == REQUIRED
    for field, allowed in CHOICES.items():
        assert tuple(definition["properties"][field]["enum"]) == allowed


def test_a_whole_file_is_valid() -> None:
    FILE.validate({"$schema": ".taskkeep/backlog.schema.json", "version": 1, "tasks": [FULL]})
    for wrong in ({"version": 2, "tasks": []}, {"version": 1}, {"version": 1, "tasks": [], "more": 1}, []):
        assert not FILE.is_valid(wrong)


@pytest.mark.parametrize("field", FIELDS)
def test_ordinary_tasks_pass_quickly(field: str) -> None:
    """With every field, and without any that is not required."""
    assert quick_ok(FULL)
    assert is_valid(FULL)
    without = {name: value for name, value in FULL.items() if name != field}
    assert quick_ok(without) == is_valid(without) == (field not in REQUIRED)


TITLES = st.text(st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=40)


@given(TITLES)
def test_printable_titles_of_all_scripts_pass_quickly(title: str) -> None:
    if title.isprintable():  # not so what only a newer Unicode knows
        assert quick_ok({**FULL, "title": title})


@settings(max_examples=3000)
@given(st.dictionaries(st.sampled_from((*FIELDS, "unknown")), VALUES, min_size=1, max_size=2))
def test_the_quick_check_never_passes_what_the_schema_refuses(changed: dict[str, Any]) -> None:
    task = {**FULL, **changed}
    if quick_ok(task):
        assert is_valid(task), list(REFERENCE.iter_errors(task))


@pytest.mark.parametrize("field", FIELDS)
def test_hostile_values_in_every_place(field: str) -> None:
    """The same law, over each hostile value in each field and each entry."""
    shapes: list[Callable[[Any], Any]] = [lambda value: value, lambda value: [value], lambda value: {"a": value}]
    shapes += [lambda value: {value: 1} if isinstance(value, str) else {"a": [value]}]
    shapes += [lambda value: [{"text": value, "done": False}], lambda value: [{"text": "a", "done": value}]]
    shapes += [lambda value: [{"text": "a", "done": False, "other": value}]]
    shapes += [
        lambda value, key=key: [{"at": NOW, "by": "a", "text": "a", key: value}]
        for key in ("at", "by", "text", "other")
    ]
    for shape in shapes:
        for value in (*HOSTILE, *ODD):
            task = {**FULL, field: shape(value)}
            if quick_ok(task):
                assert is_valid(task), (field, task[field])
            assert not (field in ("id", "title") and str(value).endswith("\n") and is_valid(task))


@pytest.mark.parametrize("value", [*ODD, "task", ["id"], {"id": 1}])
def test_what_is_no_task_is_none(value: Any) -> None:
    assert not quick_ok(value)
    assert not REFERENCE.is_valid(value)


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("due", "2026-02-29", "is no day that exists"),
        ("updated_at", "2026-02-29T12:00:00.000000Z", "is no time that exists"),
        (
            "notes",
            [{"at": "2026-02-29T12:00:00.000000Z", "by": "a", "text": "a"}],
            "has an entry with a time that does not exist",
        ),
        ("description", "ä" * (1 << 20), "is longer than 1 MiB"),
        ("acceptance_criteria", [{"text": "ä" * (1 << 20), "done": False}], "has an entry longer than 1 MiB"),
        ("metadata", {"a": 10**300}, "has a number of more than 300 digits"),
        ("metadata", {"a": float("inf")}, "has a number that JSON cannot hold"),
        ("metadata", {"a": float("nan")}, "has a number that JSON cannot hold"),
        ("metadata", nested(61), "is nested deeper than 60 levels"),
        ("metadata", nested(50_000), "is nested deeper than 60 levels"),
        ("metadata", {"a": "ä" * (1 << 20)}, "has a text longer than 1 MiB"),
    ],
)
def test_the_limits_that_a_schema_cannot_say(field: str, value: Any, problem: str) -> None:
    task = {**FULL, field: value}
    assert beyond_schema(task) == (field, problem)
    assert not quick_ok(task)


@pytest.mark.parametrize("value", [{"a": 10**300 - 1}, {"a": -(10**300) + 1}, nested(60), {"": ""}])
def test_what_is_within_the_limits_passes(value: Any) -> None:
    task = {**FULL, "metadata": value}
    assert quick_ok(task)
    assert is_valid(task)


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=2))
def test_the_canonical_form_of_a_valid_task_is_valid(changed: dict[str, Any]) -> None:
    task = {**FULL, **changed}
    if is_valid(task):
        assert is_valid(canonical(task))
        assert canonical(canonical(task)) == canonical(task)


@pytest.mark.parametrize("field", ["assignee", "role", "due", "parent"])
def test_blanks_alone_take_a_field_out_and_another_kind_is_refused(field: str) -> None:
    assert normalise({field: "  "}) == {field: None}
    with pytest.raises(InvalidField, match="must be text, not a number"):
        normalise({field: 5})


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("label", "Did you mean labels? A key of metadata is metadata.label here."),
        (
            "colour",
            "One of: description, labels, assignee, role, parent, depends_on, acceptance_criteria, due, external_refs, "
            "notes, metadata. A key of metadata is metadata.colour here.",
        ),
    ],
)
def test_a_field_to_be_taken_out_that_no_task_has_is_not_said_to_be_there(field: str, hint: str) -> None:
    """Nor is a newer taskkeep asked for."""
    with pytest.raises(UnknownField) as refused:
        normalise({field: None}, task_id="T0001")
    assert (refused.value.message, refused.value.hint) == (f"there is no field '{field}' to take out", hint)


@pytest.mark.parametrize("at", ["2026-11-20", 5, "2026-02-30T12:00:00.000000Z"])
def test_a_note_whose_time_is_none_is_refused(at: object) -> None:
    with pytest.raises(InvalidField, match="has a note whose time cannot be read"):
        normalise({"notes": [{"text": "n", "at": at}]})


@pytest.mark.parametrize(
    ("field", "value", "words", "hint"),
    [
        ("uid", "x", "uid is set by taskkeep alone", "Leave it out; commands like 'start' set it."),
        ("title", None, "title cannot be taken out", "Every task has one."),
        ("title", 5, "title must be text, not a number", ""),
        ("status", None, "status cannot be taken out", "Every task has one."),
        ("status", 7, "status must be text, not a number", ""),
        ("labels", "ci", "labels must be a list, not text", 'Write it like ["one", "two"].'),
        ("labels", [5], "labels must be text, not a number", ""),
        ("description", 5, "description must be text, not a number", ""),
        ("assignee", "a\nb", "assignee must be one line", "Put the rest into the description or a note."),
        ("due", "2027-02-30", "due is no day", "Write it like 2027-01-31."),
        ("parent", ["T0001"], "parent must be text, not a list", ""),
        ("acceptance_criteria", [5], "acceptance_criteria must hold objects or texts, not a number", ""),
        (
            "acceptance_criteria",
            [{"text": "a", "ticked": True, "by": 1}],
            "acceptance_criteria has an entry with an unknown key 'by'",
            "Known: done, text.",
        ),
        ("acceptance_criteria", [{"done": True}], "acceptance_criteria has an entry without text", ""),
        (
            "acceptance_criteria",
            [{"text": "a", "done": 1}],
            "acceptance_criteria has done as a number, not true or false",
            "",
        ),
        ("acceptance_criteria", [" "], "acceptance_criteria must not be blank", ""),
        (
            "notes",
            [{"at": "x", "text": "a"}],
            "notes has a note whose time cannot be read",
            "2026-11-20T12:00:00.000000Z",
        ),
        ("notes", [{"by": " ", "text": "a"}], "notes.by must not be blank", ""),
        ("notes", [{"text": 5}], "notes must be text, not a number", ""),
        ("notes", [{"text": "a", "who": 1}], "notes has an entry with an unknown key 'who'", "Known: at, by, text."),
        ("metadata", [1], "metadata must be an object, not a list", ""),
        ("metadata", {"a": float("inf")}, "metadata has a number that JSON cannot hold", ""),
        ("metadata", {1: "a"}, "metadata has a key that is no text", ""),
        ("metadata", {"a\0": 1}, "metadata holds the character U+0000, which is not allowed", ""),
        ("metadata", {"a": "x" * ((1 << 20) + 1)}, "metadata has a text longer than 1 MiB", ""),
        ("metadata", {"a": (1,)}, "metadata holds a value that is no JSON: tuple", ""),
        ("metadata", {"a": 10**300}, "metadata has a number of more than 300 digits", ""),
        ("metadata", nested(61), "metadata is nested deeper than 60 levels", ""),
    ],
)
def test_what_is_handed_in_wrong_is_told_with_field_and_task(field: str, value: Any, words: str, hint: str) -> None:
    """And what to write instead, where that helps."""
    with pytest.raises(InvalidField) as refused:
        normalise({field: value}, task_id="T0001")
    assert (refused.value.message, refused.value.hint) == (f"T0001: {words}", hint)
    assert refused.value.details == {"field": words.split(" ", 1)[0], "task_id": "T0001"}


@pytest.mark.parametrize(
    ("field", "named", "meant"),
    [("tags", "tags", "labels? "), ("titel", "titel", "title? "), ("x" * 61, "x" * 60, ""), ("a\nb", r"a\nb", "")],
)
def test_a_field_that_nobody_knows_is_named_with_the_one_that_may_be_meant(field: str, named: str, meant: str) -> None:
    with pytest.raises(UnknownField, match=f"^T0001 has a field '{re.escape(named)}' that taskkeep") as refused:
        normalise({field: 1}, task_id="T0001")
    assert refused.value.hint.startswith(f"Did you mean {meant}" if meant else "A newer taskkeep is needed")
    assert refused.value.details == {"field": named, "task_id": "T0001"}


@pytest.mark.parametrize(
    ("field", "value", "taken"),
    [
        ("title", " One ", " One "),
        ("description", "a\r\nb", "a\nb"),
        ("labels", [" Xx ", "b"], ["Xx", "b"]),
        ("labels", [], None),
        ("assignee", " Xx ", "Xx"),
        ("due", " 2027-01-31 ", "2027-01-31"),
        ("acceptance_criteria", ["a\r\nb"], [{"text": "a\nb", "done": False}]),
        ("acceptance_criteria", [{"text": "a", "done": True}], [{"text": "a", "done": True}]),
        ("notes", ["a"], [{"at": None, "by": None, "text": "a"}]),
        ("notes", [{"text": "a", "at": NOW, "by": "ada"}], [{"at": NOW, "by": "ada", "text": "a"}]),
        ("metadata", {"b": 1, "a": {"d": 1, "c": None}}, {"a": {"c": None, "d": 1}, "b": 1}),
        ("priority", "HIGH", "high"),
    ],
)
def test_what_is_handed_in_is_put_into_our_form(field: str, value: Any, taken: Any) -> None:
    assert normalise({field: value}) == {field: taken}

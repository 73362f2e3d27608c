"""What one task is: canonical form, etag, text."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskkeep.backlog.task import (
    BANNED,
    FIELDS,
    PROGRAM_FIELDS,
    REQUIRED,
    SET_FIELDS,
    STATUSES,
    canonical,
    check_text,
    etag,
    is_finished,
    kind_of,
    nearest,
    numbered,
    read_choice,
    same,
    same_task,
    shortened,
)
from taskkeep.backlog.text import dump
from taskkeep.errors import InvalidField

NOW = "2026-11-20T12:00:00.000000Z"
TASK = {
    "id": "T0001",
    "uid": "0" * 32,
    "title": "One",
    "status": "todo",
    "priority": "high",
    "type": "bug",
    "created_at": NOW,
    "created_by": "ada",
    "updated_at": NOW,
}


def test_the_canonical_form_has_fields_in_order_sets_sorted_and_nothing_empty() -> None:
    given_task = {
        "metadata": {"b": {"z": 1, "a": 2}, "a": [{"d": [], "c": 3}, None, "e"]},
        "labels": ["ui", "ci", "ui"],
        "notes": [],
        "description": "",
        "parent": None,
        "acceptance_criteria": [{"done": True, "text": "b"}, {"text": "a", "done": False}],
        **TASK,
    }

    result = canonical(given_task)

    assert [field for field in FIELDS if field in result] == list(result)
    assert result["labels"] == ["ci", "ui"]
    assert json.dumps(result["metadata"]) == '{"a": [{"c": 3, "d": []}, null, "e"], "b": {"a": 2, "z": 1}}'
    assert [list(item) for item in result["acceptance_criteria"]] == [["text", "done"], ["text", "done"]]
    assert not {"notes", "description", "parent"} & result.keys()
    assert same(canonical(result), result)


RICH: dict[str, Any] = {
    **TASK,
    "description": "text",
    "labels": ["b", "a"],
    "depends_on": ["T0003", "T0002"],
    "external_refs": ["y", "x"],
    "aliases": ["T0009", "T0008"],
    "acceptance_criteria": [{"text": "b", "done": True}, {"text": "a", "done": False}],
    "notes": [{"at": NOW, "by": "b", "text": "2"}, {"at": NOW, "by": "a", "text": "1"}],
    "metadata": {"b": [{"z": 1, "y": None}], "a": {"d": 1.0, "c": True}},
    "future": {"b": 1, "a": [{"d": 1, "c": 2}]},
}


def stirred(value: Any, random: Random, *, fields: bool = False) -> Any:
    """The same content with its keys, and the entries of its sets, in another order."""
    if isinstance(value, dict):
        keys = random.sample(list(value), len(value))
        return {
            key: stirred(value[key], random)
            if not (fields and key in SET_FIELDS)
            else random.sample(value[key], len(value[key]))
            for key in keys
        }
    return [stirred(item, random) for item in value] if isinstance(value, list) else value


@given(st.randoms(use_true_random=False))
def test_equal_content_means_equal_bytes(random: Random) -> None:
    """In whatever order keys and sets came; the order of criteria and notes is content."""
    given_task = stirred(RICH, random, fields=True)
    turned = {**RICH, "notes": RICH["notes"][::-1]}

    assert dump([canonical(given_task)]) == dump([canonical(RICH)])
    assert list(canonical(given_task)) == [field for field in (*FIELDS, "future") if field in RICH]
    assert canonical(given_task)["notes"] == RICH["notes"]
    assert dump([canonical(turned)]) != dump([canonical(RICH)])


def test_two_tasks_are_the_same_where_their_texts_are() -> None:
    """1 and true are two values of metadata, though Python holds them equal."""
    one, true = {**TASK, "metadata": {"k": 1}}, {**TASK, "metadata": {"k": True}}

    assert same_task(one, one)
    assert same_task(one, {**TASK, "metadata": {"k": 1}})
    assert same_task(TASK, dict(TASK))
    assert not same_task(one, true)
    assert not same_task(one, TASK)
    assert not same_task(TASK, {**TASK, "title": "Two"})


def test_a_field_of_a_newer_version_is_kept() -> None:
    assert canonical({"zeta": 1, "alpha": {"b": 1, "a": 2}, **TASK}) == {
        **TASK,
        "alpha": {"a": 2, "b": 1},
        "zeta": 1,
    }


def test_every_required_field_and_every_field_of_the_program_is_a_field() -> None:
    assert set(REQUIRED) <= set(FIELDS)
    assert set(PROGRAM_FIELDS) <= set(FIELDS)


@given(st.permutations(list(TASK)))
def test_the_etag_stands_for_the_content_not_for_the_order_of_keys(order: list[str]) -> None:
    assert etag({field: TASK[field] for field in order}) == etag(TASK)
    assert len(etag(TASK)) == 16
    assert etag({**TASK, "title": "Two"}) != etag(TASK)


def test_an_etag_once_handed_out_stays_that_of_its_task() -> None:
    """An upgrade of taskkeep makes none stale."""
    assert etag(TASK) == "f24366fc5fe76903"
    assert etag({**TASK, "title": "Wörter, ✓"}) == "4205bf4c1b787534"
    assert etag({**TASK, "title": "half a \ud800"}) == "9e73bde3899419ab"


@pytest.mark.parametrize(("left", "right"), [(1, True), (1, 1.0), (0.0, -0.0), ([1], [True]), ("1", 1)])
def test_values_with_other_text_are_not_the_same(left: object, right: object) -> None:
    assert not same({"a": left}, {"a": right})


@pytest.mark.parametrize(
    "text",
    ["plain", "with\ttab", "wörter – 日本語", "family 👨‍👩‍👧 and ❤️", "a‌b", "عربي", "x" * 500, "`$(rm)` [/b]", "--help"],
)
def test_a_title_may_be_any_text_that_people_write(text: str) -> None:
    check_text("title", text)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "two\nlines", "two\u2028lines", "x" * 501]
    + [f"a{bad}b" for bad in "\0\x07\x0b\r\x1b\x7f\x85\x9b\u200b\u202e\u2066\u2069\ufeff\ud800\udfff"]
    + ["a\U000e0041b", "a\U000e0000b", "a\U000e007fb"],
)
def test_a_title_is_one_line_without_hidden_characters(text: str) -> None:
    with pytest.raises(InvalidField, match=r"^title "):
        check_text("title", text)


def test_a_refusal_never_prints_the_character_itself() -> None:
    with pytest.raises(InvalidField) as caught:
        check_text("title", "a\x1b[31mb")
    assert caught.value.message.isprintable()
    assert "U+001B" in caught.value.message


def test_a_description_holds_a_mebibyte_counted_in_bytes() -> None:
    check_text("description", "ä" * (1 << 19))
    check_text("description", "lines\n\tand tabs\n")
    with pytest.raises(InvalidField, match="1 MiB"):
        check_text("description", "ä" * (1 << 19) + "a")


@given(st.text(st.characters(codec=None), min_size=1, max_size=3))
def test_printable_text_never_holds_a_banned_character(text: str) -> None:
    """The quick way of check_text stands on this."""
    import re

    if text.isprintable():
        assert not re.search(f"[{BANNED}]", text)


@pytest.mark.parametrize("field", ["description", "notes", "acceptance_criteria", "metadata", "why"])
def test_a_long_text_has_as_many_lines_as_it_likes(field: str) -> None:
    """A note and a criterion say something; a description may be blank."""
    check_text(field, "two\n\n\tlines ")
    with pytest.raises(InvalidField, match="1 MiB"):
        check_text(field, "x" * ((1 << 20) + 1))
    for blank in ("", " \n"):
        if field in ("notes", "acceptance_criteria"):
            with pytest.raises(InvalidField, match="blank"):
                check_text(field, blank)
        else:
            check_text(field, blank)


@pytest.mark.parametrize(
    ("field", "limit"), [("title", 500), ("labels", 200), ("assignee", 200), ("external_refs", 2000)]
)
def test_a_line_is_as_long_as_its_field_allows(field: str, limit: int) -> None:
    check_text(field, "x" * limit)
    with pytest.raises(InvalidField, match=f"has {limit + 1} characters; {limit} are allowed"):
        check_text(field, "x" * (limit + 1))


@pytest.mark.parametrize("refused", [5, "a\0b", "two\nlines", "", "x" * 3000])
def test_a_refusal_names_field_and_task(refused: object) -> None:
    with pytest.raises(InvalidField) as caught:
        check_text("title", refused, task_id="T0001")
    assert caught.value.details == {"field": "title", "task_id": "T0001"}
    assert caught.value.message.startswith("T0001: title ")


@pytest.mark.parametrize(
    ("field", "text", "problem", "hint"),
    [
        ("title", "a\0b", "holds the character U+0000", "bidi overrides"),
        ("description", "x" * ((1 << 20) + 1), "is longer than 1 MiB", "into a file"),
        ("notes", " ", "must not be blank", ""),
        ("title", "two\nlines", "must be one line", "into the description"),
        ("labels", "two\nlines", "must be one line", "a note"),
        ("title", " ", "must not be blank", ""),
        ("title", "x" * 501, "has 501 characters", "into the description"),
        ("labels", " a", "must not begin or end with a blank", ""),
        ("labels", "x" * 201, "has 201 characters", ""),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where_the_text_could_go(
    field: str, text: str, problem: str, hint: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        check_text(field, text)
    assert caught.value.message.startswith(f"{field} {problem}")
    assert hint in caught.value.hint
    assert bool(hint) == bool(caught.value.hint)


def test_what_is_no_text_is_called_by_its_kind() -> None:
    with pytest.raises(InvalidField, match=r"^title must be text, not a number$"):
        check_text("title", 5)
    with pytest.raises(InvalidField, match=r"^T0001: status must be text, not a list$") as caught:
        read_choice("status", [], task_id="T0001")
    assert caught.value.details == {"field": "status", "task_id": "T0001"}


@pytest.mark.parametrize("text", [" label", "label ", "a\tb", "", "x" * 201, "a\nb"])
def test_a_label_is_one_line_without_blanks_around_it(text: str) -> None:
    with pytest.raises(InvalidField, match="labels"):
        check_text("labels", text)


@pytest.mark.parametrize("text", ["in_progress", "In-Progress", "IN PROGRESS", " in_progress "])
def test_choices_are_read_in_any_case(text: str) -> None:
    assert read_choice("status", text) == "in_progress"


def test_an_unknown_choice_names_the_nearest_and_all() -> None:
    with pytest.raises(InvalidField) as caught:
        read_choice("priority", "hihg\x1b", task_id="T0001")
    assert caught.value.hint == "Did you mean high? One of: critical, high, medium, low."
    assert caught.value.message == r"T0001: priority cannot be 'hihg\x1b'"
    assert caught.value.details == {"field": "priority", "task_id": "T0001"}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("WIP", "Did you mean in_progress? One of: "),
        ("Won't fix", "Did you mean cancelled? One of: "),
        ("xyz", "One of: "),
    ],
)
def test_a_choice_by_another_tools_word_is_told_ours(text: str, hint: str) -> None:
    with pytest.raises(InvalidField) as caught:
        read_choice("status", text)
    assert caught.value.hint.startswith(hint)


def test_the_nearest_words_are_three_at_most_and_best_first() -> None:
    assert nearest("label", ["lapel", "labels", "table", "cable", "none"]) == ["labels", "lapel", "table"]
    assert nearest("x" * 10_000, ["x" * 50]) == ["x" * 50]
    assert nearest("done", ["todo", "blocked"]) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 57 + "..."),
        ("a\nb ö", r"a\nb \xf6"),
        ("ö ✓", "ö ✓"),
        ("\n" * 40, r"\n" * 28 + "\\..."),
    ],
)
def test_a_text_for_a_message_is_one_short_line(text: str, shown: str) -> None:
    assert shortened(text) == shown


def test_criteria_and_notes_that_say_the_same_are_told_apart_by_a_number() -> None:
    """Ticked or not; a note says when and who as well."""
    one, ticked, two = {"text": "a", "done": False}, {"text": "a", "done": True}, {"text": "b", "done": False}
    note = {"text": "a", "at": NOW, "by": "ada"}
    others = [{**note, "by": "bot"}, {**note, "at": NOW[:-1]}]

    plain = ("a", None, None)
    assert numbered([one, two, ticked, one]) == {
        (plain, 0): one, (("b", None, None), 0): two, (plain, 1): ticked, (plain, 2): one
    }  # fmt: skip
    assert numbered([note, *others, note]) == {
        (("a", NOW, "ada"), 0): note, (("a", NOW, "bot"), 0): others[0], (("a", NOW[:-1], "ada"), 0): others[1],
        (("a", NOW, "ada"), 1): note,
    }  # fmt: skip


def test_done_and_cancelled_are_finished() -> None:
    assert [status for status in STATUSES if is_finished({**TASK, "status": status})] == ["done", "cancelled"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1, "a number"),
        (1.5, "a number"),
        ("", "text"),
        ([], "a list"),
        ((), "a list"),
        ({}, "an object"),
    ],
)
def test_a_value_of_another_kind_is_named_as_json_calls_it(value: object, kind: str) -> None:
    assert kind_of(value) == kind

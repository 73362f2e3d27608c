"""What others call our fields and values is understood, and no word means two of them."""

from __future__ import annotations

import pytest

from taskkeep.backlog.task import CHOICES
from taskkeep.backlog.task import FIELDS as OUR_FIELDS
from taskkeep.backlog.words import FIELDS, MEANT, field_for, meant_by


@pytest.mark.parametrize("field", MEANT)
def test_each_word_means_one_value_and_none_is_a_value_itself(field: str) -> None:
    meant = [(word, value) for value, words in MEANT[field].items() for word in words.split()]

    assert {value for _, value in meant} <= set(CHOICES[field])
    assert [meant_by(field, word) for word, _ in meant] == [value for _, value in meant]
    assert not {word for word, _ in meant} & set(CHOICES[field])
    assert meant_by(field, "nothing of the kind") is None


def test_each_word_means_one_field_in_any_case() -> None:
    """A field may be another's word: `type` is ours, and so is the `epic` that others call a parent."""
    meant = [(word, field) for field, words in FIELDS.items() for word in words.split()]

    assert set(FIELDS) <= set(OUR_FIELDS)
    assert [field_for(word) for word, _ in meant] == [field for _, field in meant]
    assert field_for("Blocked_By") == "depends_on"
    assert field_for("nothing of the kind") is None


def test_the_words_of_other_tools_are_among_them() -> None:
    assert [meant_by("status", word) for word in ("wip", "on_hold", "qa", "closed", "wontfix")] == [
        "in_progress", "blocked", "review", "done", "cancelled"
    ]  # fmt: skip
    assert [meant_by("priority", word) for word in ("p0", "major", "normal", "4")] == [
        "critical",
        "high",
        "medium",
        "low",
    ]
    assert [field_for(word) for word in ("summary", "body", "tags", "owner")] == [
        "title", "description", "labels", "assignee"
    ]  # fmt: skip

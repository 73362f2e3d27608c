"""A task as a page for an editor loses nothing on the way there and back."""

from __future__ import annotations

import pytest

from taskkeep.cli import page
from taskkeep.errors import InputInvalid

TASK = {
    "id": "T3M9X",
    "uid": "u",
    "title": "A title: with a colon",
    "description": "# Heading\n\n---\n\ntext",
    "status": "todo",
    "priority": "high",
    "type": "task",
    "labels": ["ci", "docs"],
    "depends_on": ["T7B1D"],
    "acceptance_criteria": [{"text": "one\n\ntwo", "done": True}, {"text": "three", "done": False}],
    "external_refs": ["https://example.org/?a=1,2"],
}


def test_a_page_that_nobody_changed_changes_nothing() -> None:
    """Not with line ends of Windows either."""
    text = page.page_of(TASK)
    assert not page.edit_of(TASK, text)
    assert not page.edit_of(TASK, text.replace("\n", "\r\n"))


def test_a_bare_task_changes_nothing_either() -> None:
    bare = {"id": "T0001", "title": "x", "status": "todo", "priority": "medium", "type": "task"}
    assert not page.edit_of(bare, page.page_of(bare))


def test_what_was_changed_is_set() -> None:
    text = page.page_of(TASK).replace("priority: high", "priority: low").replace("- [ ] three", "- [x] three")
    edit = page.edit_of(TASK, text + "more\n")
    assert edit.set["priority"] == "low"
    assert edit.set["acceptance_criteria"][1] == {"text": "three", "done": True}
    assert edit.set["description"] == "# Heading\n\n---\n\ntext\nmore"
    assert set(edit.set) == {"priority", "acceptance_criteria", "description"}


def test_a_field_without_a_value_is_taken_out() -> None:
    text = page.page_of(TASK).replace("labels: ci, docs", "labels:").replace("depends_on: T7B1D\n", "")
    assert page.edit_of(TASK, text).set == {"labels": None, "depends_on": None}


@pytest.mark.parametrize(
    ("old", "new"),
    [("---\n", ""), ("title:", "titel:"), ("status: todo", "status: todo\nstatus: done"), ("- [x]", "- x")],
)
def test_a_page_that_cannot_be_read_is_refused(old: str, new: str) -> None:
    """And not guessed at."""
    with pytest.raises(InputInvalid):
        page.edit_of(TASK, page.page_of(TASK).replace(old, new))


def test_a_refused_text_is_offered_with_what_is_so_now() -> None:
    """The remarks are ignored when it is saved, and are not piled up."""
    kept = page.page_of(TASK).replace("priority: high", "priority: low")
    now = {**TASK, "status": "review", "description": "other"}
    text = page.offered(now, kept)
    assert "# now: status: review" in text
    assert "# now: the description differs too" in text
    assert page.edit_of(now, text).set["priority"] == "low"
    assert page.offered(now, text) == text


def test_a_refused_text_is_laid_upon_the_task_as_it_is_now() -> None:
    base = {**TASK, "updated_at": "2026-11-20T10:00:00.000000Z"}
    kept = page.page_of(base).replace("priority: high", "priority: low").replace("labels: ci, docs", "labels:")
    now = {**base, "status": "review", "updated_at": "2026-11-21T10:00:00.000000Z"}
    assert page.made_of(kept) == base["updated_at"]

    text = page.rebased(now, kept, base)

    assert page.edit_of(now, text).set == {"priority": "low", "labels": None}
    assert page.made_of(text) == now["updated_at"]
    unreadable = kept.replace("title:", "titel:")
    assert page.rebased(now, unreadable, base) == unreadable
    assert page.made_of("no page") == ""

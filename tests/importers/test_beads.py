"""What an export of beads becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from importing import import_into, imported, one

from taskkeep.errors import InputInvalid
from taskkeep.importers import read


def issue(issue_id: str = "bd-1", **fields: Any) -> dict[str, Any]:
    return {
        "id": issue_id,
        "title": f"Issue {issue_id}",
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        "created_at": "2026-04-21T06:33:33Z",
        "created_by": "sam",
        "updated_at": "2026-04-22T08:00:00.5+02:00",
        **fields,
    }


def lines(*issues: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in issues)


def link(source: str, target: str, kind: str) -> dict[str, str]:
    return {"issue_id": source, "depends_on_id": target, "type": kind, "created_at": "2026-04-21T16:33:33Z"}


def test_an_issue_becomes_a_task_with_its_own_times_and_author() -> None:
    """Times are written as UTC with microseconds, and the foreign id is kept as a reference."""
    task = one("beads", lines(issue(description="Why", labels=["b", "a"], assignee="lead")))

    assert task["title"] == "Issue bd-1"
    assert task["description"] == "Why"
    assert task["labels"] == ["a", "b"]
    assert task["assignee"] == "lead"
    assert task["external_refs"] == ["beads:bd-1"]
    assert task["created_by"] == "sam"
    assert task["created_at"] == "2026-04-21T06:33:33.000000Z"
    assert task["updated_at"] == "2026-04-22T06:00:00.500000Z"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("open", "todo"), ("in_progress", "in_progress"), ("blocked", "blocked"), ("closed", "done")],
)
def test_a_status_of_beads_has_one_of_ours(theirs: str, ours: str) -> None:
    assert one("beads", lines(issue(status=theirs)))["status"] == ours


@pytest.mark.parametrize(("theirs", "ours"), [(0, "critical"), (1, "high"), (2, "medium"), (3, "low"), (4, "low")])
def test_a_priority_is_counted_from_the_most_pressing(theirs: int, ours: str) -> None:
    assert one("beads", lines(issue(priority=theirs)))["priority"] == ours


def test_a_status_that_says_more_than_ours_is_kept_beside_it() -> None:
    task = one("beads", lines(issue(status="deferred", defer_until="2026-05-01T00:00:00Z")))

    assert task["status"] == "blocked"
    assert task["metadata"] == {"defer_until": "2026-05-01T00:00:00Z", "status": "deferred"}


def test_a_closed_issue_is_done_when_it_was_closed() -> None:
    task = one("beads", lines(issue(status="closed", closed_at="2026-04-30T10:00:00Z", close_reason="shipped")))

    assert task["completed_at"] == "2026-04-30T10:00:00.000000Z"
    assert task["metadata"]["close_reason"] == "shipped"


def test_a_closed_issue_without_that_time_was_done_at_its_last_update() -> None:
    assert one("beads", lines(issue(status="closed")))["completed_at"] == "2026-04-22T06:00:00.500000Z"


def test_blocking_issues_become_dependencies_and_the_epic_the_parent() -> None:
    """Other kinds of link have no field of ours and are kept in the metadata."""
    backlog = imported(
        "beads",
        lines(
            issue(
                "bd-2.1",
                dependencies=[link("bd-2.1", "bd-2", "parent-child"), link("bd-2.1", "bd-3", "blocks")],
            ),
            issue("bd-2", issue_type="epic"),
            issue("bd-3", dependencies=[link("bd-3", "bd-2", "related")]),
        ),
    )
    child, epic, other = backlog.tasks.values()

    assert child["parent"] == epic["id"]
    assert child["depends_on"] == [other["id"]]
    assert epic["type"] == "epic"
    assert other["metadata"]["dependencies"][0]["type"] == "related"
    assert "depends_on" not in other


def test_acceptance_criteria_are_taken_apart_by_their_bullets() -> None:
    text = "Given that:\n- [x] it runs\n- it stops,\n  and says so\n\n1. it starts again"
    task = one("beads", lines(issue(acceptance_criteria=text)))

    assert task["acceptance_criteria"] == [
        {"text": "Given that:", "done": False},
        {"text": "it runs", "done": True},
        {"text": "it stops,\nand says so", "done": False},
        {"text": "it starts again", "done": False},
    ]


def test_a_sentence_with_semicolons_is_one_criterion() -> None:
    task = one("beads", lines(issue(acceptance_criteria="it runs; it stops; it says so.")))

    assert [item["text"] for item in task["acceptance_criteria"]] == ["it runs; it stops; it says so."]


def test_design_goes_below_the_description_under_a_heading() -> None:
    assert one("beads", lines(issue(description="Why", design="How")))["description"] == "Why\n\n## Design\n\nHow"


def test_comments_become_notes_of_who_wrote_them() -> None:
    comment = {"id": 7, "author": "lead", "text": "Looks good", "created_at": "2026-04-23T00:00:00Z"}
    task = one("beads", lines(issue(comments=[comment])))

    assert task["notes"] == [{"at": "2026-04-23T00:00:00.000000Z", "by": "lead", "text": "Looks good"}]


def test_records_that_are_no_issues_and_deleted_ones_are_skipped_aloud() -> None:
    data = lines(issue(), {"_type": "memory", "key": "k", "value": "v"}, issue("bd-9", status="tombstone"))
    backlog, report = import_into(None, "beads", data)

    assert len(backlog.tasks) == 1
    assert report.skipped == [
        {"place": "line 2", "reason": "a record of the type memory, no issue"},
        {"place": "line 3", "reason": "bd-9 is deleted"},
    ]
    assert "line 2" in report.warnings()[0]


def test_the_output_of_a_list_command_is_taken_too() -> None:
    data = json.dumps([issue("bd-1"), issue("bd-2")]).encode()

    assert len(imported("beads", data).tasks) == 2


def test_empty_lines_crlf_and_a_byte_order_mark_do_no_harm() -> None:
    data = b"\xef\xbb\xbf" + lines(issue()).replace(b"\n", b"\r\n") + b"\r\n\r\n"

    assert len(imported("beads", data).tasks) == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"id": "bd-2"', "is not JSON"),
        (b'{"id": "bd-2", "id": "bd-3"}', "twice"),
        (b'{"id": "bd-2", "n": NaN}', "NaN"),
        (b'{"id": "bd-2", "n": 1e400}', "1e400"),
        (b'{"id": "\xff"}', "UTF-8"),
        (b"<<<<<<< HEAD", "conflict markers"),
        (b'["bd-2"]', "no object"),
        (b'{"id": ' + b"[" * 100_000, "nested"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_its_number(line: bytes, problem: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        read("beads", lines(issue()) + line + b"\n", name="issues.jsonl")

    assert caught.value.exit_status == 4
    assert "line 2" in caught.value.message
    assert problem in caught.value.message
    assert "\n" not in caught.value.message

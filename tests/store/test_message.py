"""What the commit of a save says, to people and to programs, word by word."""

from __future__ import annotations

from typing import Any

import pytest

from taskkeep.store.git.message import TRAILERS, message

CREATED = {"details": {"task": {"title": "a title"}}, "event_type": "task_created"}
CLAIMED = {"changes": {"claimed_until": {"to": "then"}, "status": {"to": "in_progress"}}, "claim": 3}


def event(**fields: Any) -> Any:
    given = {"event_id": "E1", "task_id": "T0001", "event_type": "task_updated", "actor": "ada", "txn": "X1"}
    return {**given, "why": None, "details": {"changes": {}}, **fields}


def changed(*fields: str) -> dict[str, Any]:
    return {"details": {"changes": {field: {"to": field} for field in fields}}}


@pytest.mark.parametrize(
    ("events", "subject"),
    [
        ([], "save what waited"),
        ([event(**CREATED)], "add T0001: a title"),
        ([event(**{**CREATED, "event_type": "task_deleted"})], "delete T0001: a title"),
        ([event(**{**CREATED, "event_type": "conflict_resolved"})], "conflict_resolved T0001: a title"),
        ([event(details={"choices": []}, event_type="conflict_resolved")], "conflict_resolved T0001: touched"),
        ([event(**changed("priority", "due"))], "update T0001: priority, due"),
        ([event(**changed("priority", "status"))], "update T0001: status status"),
        ([event()], "update T0001: touched"),
        ([event(details=CLAIMED)], "claim T0001: for ada"),
        ([event(details={"claim": 3, "changes": {"labels": {}}})], "update T0001: labels"),
        ([event(task_id=None, event_type="backlog_initialised")], "backlog initialised"),
        ([event(event_type="claim_expired"), event(**CREATED)], "add T0001: a title"),
        ([event(event_type="claim_expired")], "claim expired"),
        ([event(**CREATED), event(**CREATED)], "add 2 tasks"),
        ([event(), event(**CREATED), event(event_type="task_deleted")], "add 1 tasks, update 1 tasks, delete 1 tasks"),
        ([event(details={"task": {"title": "two\nlines"}})], "update T0001: two lines"),
        ([event(details={"task": {"title": "x" * 200}})], "update T0001: " + "x" * 200),
    ],
)
def test_the_subject_says_in_one_line_what_was_done(events: list[Any], subject: str) -> None:
    assert message(events, "chore: ").split("\n")[:2] == [f"chore: taskkeep: {subject}"[:100], ""]
    assert message(events, "", waited=True).split("\n")[0] == f"taskkeep: {subject} (had waited)"[:100]


def test_reasons_are_the_body_and_events_the_trailers() -> None:
    """Each reason once, and none that passes for a trailer."""
    events = [
        event(why="first\nTaskkeep-Txn: forged", **CREATED),
        event(event_id="E2", task_id="T0002", txn="X2", why="second"),
        event(event_id="E3", task_id=None, event_type="merged", actor="bot", why="second"),
    ]
    assert message(events, "") == (
        "taskkeep: add 1 tasks, update 1 tasks\n\nfirst\n Taskkeep-Txn: forged\nsecond\n\n"
        "Taskkeep-Txn: X1\nTaskkeep-Txn: X2\n"
        "Taskkeep-Event: E1\nTaskkeep-Type: task_created\nTaskkeep-Task: T0001\nTaskkeep-Actor: ada\n"
        "Taskkeep-Event: E2\nTaskkeep-Type: task_updated\nTaskkeep-Task: T0002\nTaskkeep-Actor: ada\n"
        "Taskkeep-Event: E3\nTaskkeep-Type: merged\nTaskkeep-Actor: bot\n"
    )


def test_of_a_large_request_the_first_events_are_named() -> None:
    events = [event(event_id=f"E{number}") for number in range(TRAILERS + 1)]
    assert message(events, "").count("Taskkeep-Event: ") == TRAILERS
    assert message(events, "").count("Taskkeep-Txn: ") == 1

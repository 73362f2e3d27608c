"""The commit message of a save: a subject for people, the reason, and trailers for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.backlog.events import Event

TRAILERS = 50
_VERBS = {"task_created": "add", "task_updated": "update", "task_deleted": "delete"}


def message(events: Sequence[Event], prefix: str, *, waited: bool = False) -> str:
    """The commit message: a subject for `git log --oneline`, the reason, and trailers."""
    lines = [_subject(events, prefix, waited), ""]
    whys = list(dict.fromkeys(event["why"] for event in events if event["why"]))
    if whys:
        # A line of the reason that looks like a trailer of ours must not pass for one.
        body = "\n".join(whys).strip().split("\n")
        lines += [f" {row}" if row.startswith("Taskkeep-") else row for row in body] + [""]
    lines += [f"Taskkeep-Txn: {txn}" for txn in dict.fromkeys(event["txn"] for event in events)]
    for event in events[:TRAILERS]:
        lines += [f"Taskkeep-Event: {event['event_id']}", f"Taskkeep-Type: {event['event_type']}"]
        if event["task_id"]:
            lines.append(f"Taskkeep-Task: {event['task_id']}")
        lines.append(f"Taskkeep-Actor: {event['actor']}")
    return "\n".join(lines) + "\n"


def _subject(events: Sequence[Event], prefix: str, waited: bool) -> str:
    of_tasks = [event for event in events if event["task_id"] and event["event_type"] != "claim_expired"]
    if not events:
        text_ = "save what waited"
    elif len(of_tasks) == 1:
        event = of_tasks[0]
        details = event["details"]
        if "task" in details:
            rest = details["task"]["title"]
        else:
            changes = details.get("changes", {})  # a task that was deleted on one side is settled without any
            status = changes.get("status")
            rest = f"status {status['to']}" if status else ", ".join(changes) or "touched"
        verb = _VERBS.get(event["event_type"], event["event_type"])
        if "claim" in details and "claimed_until" in details.get("changes", ()):
            verb, rest = "claim", f"for {event['actor']}"
        text_ = f"{verb} {event['task_id']}: {rest}"
    elif of_tasks:
        counts = {verb: sum(event["event_type"] == kind for event in of_tasks) for kind, verb in _VERBS.items()}
        text_ = ", ".join(f"{verb} {count} tasks" for verb, count in counts.items() if count)
    else:
        text_ = events[0]["event_type"].replace("_", " ")
    if waited:
        text_ += " (had waited)"
    return (prefix + "taskkeep: " + text_)[:100].replace("\n", " ")

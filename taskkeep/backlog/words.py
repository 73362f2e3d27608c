"""What others call our fields, and the values of status, priority and type."""

from __future__ import annotations

# Field -> value -> the words for it, in lower case and with _ for blanks.
MEANT = {
    "status": {
        "todo": "open new pending backlog planned ready to_do not_started unstarted queued recurring someday",
        "in_progress": "inprogress doing started wip active ongoing working",
        "blocked": "on_hold hold waiting paused stuck deferred",
        "review": "in_review reviewing testing qa verify",
        "done": "closed completed complete finished resolved fixed merged shipped released",
        "cancelled": "canceled wontfix won't_fix wont_fix rejected abandoned dropped obsolete duplicate deleted",
    },
    "priority": {
        "critical": "urgent highest blocker p0 0",
        "high": "h major important p1 1",
        "medium": "m normal moderate default p2 2",
        "low": "l minor lowest trivial p3 p4 3 4",
    },
    "type": {
        "bug": "defect fix",
        "feature": "enhancement story user_story feat",
        "epic": "initiative",
        "chore": "maintenance",
    },
}


def meant_by(field: str, word: str) -> str | None:
    """The value of *field* that goes by *word* elsewhere."""
    return next((value for value, words in MEANT[field].items() if word in words.split()), None)


FIELDS = {
    "title": "name summary subject headline",
    "description": "body desc details content text",
    "labels": "tags label tag",
    "depends_on": "dependencies blocked_by deps depends requires",
    "acceptance_criteria": "criteria acceptance accept",
    "external_refs": "refs links urls",
    "due": "due_date deadline",
    "assignee": "owner assigned_to user",
    "parent": "epic parent_id",
    "type": "kind category issue_type",
    "notes": "comments note",
    "metadata": "meta custom extra",
    "status": "state",
}


def field_for(word: str) -> str | None:
    """The field that goes by *word* elsewhere."""
    return next((field for field, words in FIELDS.items() if word.lower() in words.split()), None)

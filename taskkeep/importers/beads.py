"""Issues of beads: JSON lines, one issue each, as ``bd export`` and ``.beads/issues.jsonl`` have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.errors import InputInvalid
from taskkeep.importers.convert import Converter, Format
from taskkeep.importers.values import display, read_json, read_json_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskkeep.importers.draft import Plan, Rules

FORMAT = Format(
    name="beads",
    fields={
        "id": "key",
        "title": "title",
        "description": "description",
        "design": "section",
        "status": "status",
        "priority": "priority",
        "issuetype": "type",
        "labels": "labels",
        "assignee": "assignee",
        "acceptancecriteria": "acceptance_criteria",
        "dependencies": "dependencies",
        "notes": "notes",
        "comments": "notes",
        "externalref": "external_refs",
        "dueat": "due",
        "createdat": "created_at",
        "createdby": "created_by",
        "updatedat": "updated_at",
        "startedat": "started_at",
        "closedat": "completed_at",
        "metadata": "metadata",
        # Counted out of the rest.
        "dependencycount": "ignored",
        "dependentcount": "ignored",
        "commentcount": "ignored",
        "contenthash": "ignored",
        "type": "ignored",  # "_type", which says "issue"
    },
    values={
        "status": {
            "open": "todo",
            "closed": "done",
            "deferred": "blocked",
            "hooked": "in_progress",
            "pinned": "todo",
        },
        "priority": {
            **{str(number): ours for number, ours in enumerate(("critical", "high", "medium", "low", "low"))},
            **{f"p{number}": ours for number, ours in enumerate(("critical", "high", "medium", "low", "low"))},
        },
        "type": {"enhancement": "feature", "story": "feature", "molecule": "epic"},
    },
    narrower=frozenset(("deferred", "hooked", "pinned", "4", "p4", "story", "molecule")),
)


def read(data: bytes, *, name: str, rules: Rules) -> Plan:
    """The issues in *data*; records of other kinds and deleted issues are skipped and reported."""
    converter = Converter(FORMAT, rules)
    converter.take(_issues(data, name, converter))
    return converter.plan()


def _issues(data: bytes, name: str, converter: Converter) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, record in _records(data, name):
        if not isinstance(record, dict):
            raise InputInvalid(f"{name}: {place} is no object", hint="A line of beads holds one issue.")
        kind = record.get("_type") or "issue"
        if kind != "issue":
            converter.report.skip(place, f"a record of the type {display(kind)}, no issue")
        elif record.get("status") == "tombstone":
            converter.report.skip(place, f"{display(record.get('id'))} is deleted")
        elif not record.get("id") and not record.get("title"):
            converter.report.skip(place, "neither id nor title")
        else:
            yield place, record


def _records(data: bytes, name: str) -> Iterator[tuple[str, Any]]:
    """What the lines hold; a list in one piece, as ``bd list --json`` prints it, is taken too."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.lstrip()[:1] == b"[":
        for number, item in enumerate(read_json(data, name), 1):
            yield f"[{number}]", item
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            yield f"line {number}", read_json_line(line, name, number)

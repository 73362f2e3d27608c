"""The fields of a task as options, made into what the project takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.cli.texts import metadata, numbers, split
from taskkeep.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskkeep.backlog.changes import Edit
    from taskkeep.cli.call import Call

_PLAIN = ("status", "priority", "type", "parent", "assignee", "role", "due")


def any_field(fields: Mapping[str, Any]) -> bool:
    return any(value not in (None, (), []) for value in fields.values())


def _single(call: Call) -> dict[str, Any]:
    """The fields with one value."""
    found = {name: call.fields[name] for name in _PLAIN if call.fields[name] is not None}
    if call.fields["description"] is not None:
        found["description"] = call.texts.text(call.fields["description"], "--description")
    return found


def _lists(call: Call) -> dict[str, list[Any]]:
    """The entries of the fields that are lists."""
    asked = call.fields
    found: dict[str, list[Any]] = {
        "labels": split(asked["label"]),
        "depends_on": split(asked["depends_on"]),
        "external_refs": list(asked["ref"]),
        "acceptance_criteria": [
            {"text": text, "done": False} for text in call.texts.texts(asked["accept"], "--accept")
        ],
    }
    return {name: entries for name, entries in found.items() if entries}


def new_fields(call: Call) -> dict[str, Any]:
    """The fields of a new task, as in backlog.json."""
    fields = {**_single(call), **_lists(call)}
    if call.fields["set"]:
        fields["metadata"] = metadata(call.fields["set"])
    return fields


def edit_of(
    call: Call,
    *,
    title: str | None,
    check: list[str] | None,
    uncheck: list[str] | None,
    unset: list[str] | None,
    remove: Mapping[str, list[str] | None],
) -> Edit:
    """What `update` asks for. Raises Usage where two options contradict each other."""
    from taskkeep.backlog.changes import Edit

    values = _single(call)
    if title is not None:
        values["title"] = title
    keys = metadata(call.fields["set"])
    for name in split(unset or ()):
        field, _, key = name.replace("-", "_").partition(".") if "." not in name else name.partition(".")
        target = keys if key and field == "metadata" else values
        if (key or field) in target:
            raise Usage(f"{name} is both set and unset")
        target[key or field] = None
    return Edit(
        set=values,
        add=_lists(call),
        remove={name: split(entries or ()) for name, entries in remove.items() if entries},
        metadata=keys,
        check=numbers(check or (), "--check"),
        uncheck=numbers(uncheck or (), "--uncheck"),
    )

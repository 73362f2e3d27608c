"""Audit events as lines: who, what, and each field from and to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.cli.output import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskkeep.cli.screen import Screen

VALUE_MOST = 60


def event_lines(event: Mapping[str, Any], screen: Screen | None) -> str:
    """One event: a line on what happened, one for the reason, one for each field.

    In a pipe values are whole and times in UTC; a terminal cuts long values and shows local times.
    """
    what = event["event_type"].removeprefix("task_").replace("_", " ")
    task = event.get("task_id") or ""
    if screen is None:
        head = "\t".join((event["timestamp"], shown(event["actor"]), shown(what), task, event["event_id"]))
        lines = [head, *(f"  why: {shown(event['why'])}" for _ in (1,) if event.get("why"))]
        lines += [f"  {line}" for line in _details(event, None)]
    else:
        from taskkeep.cli.screen import CYAN, local

        head = f"{screen.dim(local(event['timestamp']))}  {screen.paint(task or '-', CYAN)}  {shown(what)}"
        lines = [f"{head} {screen.dim('by ' + shown(event['actor']))}"]
        if event.get("why"):
            lines.append(f"  {screen.dim('why')} {shown(event['why'])}")
        lines += [f"  {line}" for line in _details(event, VALUE_MOST)]
    return "\n".join(lines) + "\n"


def _details(event: Mapping[str, Any], most: int | None) -> Iterator[str]:
    details = event.get("details", {})
    if isinstance(details.get("task"), dict):
        yield _value(details["task"].get("title"), most)
    for name in ("claim", "claimed_by", "claimed_until"):
        if name in details:
            yield f"{name}: {_value(details[name], most)}"
    for field, change in details.get("changes", {}).items():
        yield from _change(field, change, most)


def _change(field: str, change: Any, most: int | None) -> Iterator[str]:
    name = shown(field)
    if not isinstance(change, dict):
        yield f"{name}: {_value(change, most)}"
    elif "added" in change or "removed" in change:
        for entry in change.get("removed", ()):
            yield f"{name}: - {_value(_entry(entry), most)}"
        for entry in change.get("added", ()):
            yield f"{name}: + {_value(_entry(entry), most)}"
    elif "from" in change or "to" in change:
        yield f"{name}: {_value(change.get('from'), most)} → {_value(change.get('to'), most)}"
    else:  # metadata, by key
        for key, inner in change.items():
            yield from _change(f"{field}.{key}", inner, most)


def _entry(entry: Any) -> Any:
    return entry["text"] if isinstance(entry, dict) and isinstance(entry.get("text"), str) else entry


def _value(value: Any, most: int | None) -> str:
    if value is None:
        return "-"
    if not isinstance(value, str):
        import json

        value = json.dumps(value, ensure_ascii=False)
    text = shown(value)
    if most is None:
        return text
    from taskkeep.cli.screen import cut

    return cut(text, most)

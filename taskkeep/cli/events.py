"""Audit events as lines: who, what, and each field from and to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.cli.output import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskkeep.backlog.difference import Difference
    from taskkeep.cli.screen import Screen

VALUE_MOST = 60
SHORT = 8  # characters of an event's id, enough to name it by
IDS_MOST = 5
CONTEXT = 3  # words around a change in a long text


def event_lines(event: Mapping[str, Any], screen: Screen | None, *, full: bool = False) -> str:
    """One event: a line on what happened, one for the reason, one for each field.

    In a pipe values are whole and times in UTC; a terminal shows local times, of long texts the
    words that changed, and cuts other long values, unless all is asked for.
    """
    what = event["event_type"].removeprefix("task_").replace("_", " ")
    task = event.get("task_id") or ""
    if screen is None:
        head = "\t".join((event["timestamp"], shown(event["actor"]), shown(what), task, event["event_id"]))
        lines = [head, *(f"  why: {shown(event['why'])}" for _ in (1,) if event.get("why"))]
        lines += [f"  {line}" for line in _details(event, None, None)]
    else:
        from taskkeep.cli.screen import CYAN, YELLOW, local

        name = screen.paint(shown(event["event_id"])[:SHORT], YELLOW)
        head = f"{name}  {screen.dim(local(event['timestamp']))}  {screen.paint(task or '-', CYAN)}  {shown(what)}"
        way = "" if event["source"] in ("cli", "api") else f" ({shown(event['source'])})"
        lines = [f"{head} {screen.dim('by ' + shown(event['actor']) + way)}"]
        if event.get("why"):
            lines.append(f"  {screen.dim('why')} {shown(event['why'])}")
        lines += [f"  {line}" for line in _details(event, screen, None if full else _most(screen))]
    return "\n".join(lines) + "\n"


def merge_lines(event: Mapping[str, Any], heads: Mapping[str, Mapping[str, Any]], screen: Screen | None) -> str:
    """What a merge joined, of the events *heads* by hash, and what it kept where both sides had changed a field."""
    lines = []
    for head in (heads[name] for name in event["details"].get("heads", ()) if name in heads):
        what = head["event_type"].removeprefix("task_").replace("_", " ")
        when = head["timestamp"]
        if screen is not None:
            from taskkeep.cli.screen import local

            when = local(when)
        said = " ".join(shown(word) for word in (when, head["actor"], what, head["task_id"] or ""))
        lines.append(f"  joins {said.rstrip()} ({head['event_id'][:SHORT]})\n")
    for choice in event["details"].get("choices", ()):
        field = choice["field"] or "task"
        value = "deleted" if choice["field"] is None and choice["to"] is None else _value(choice["to"], VALUE_MOST)
        lines.append(f"  keeps {shown(choice.get('task_id') or choice['uid'])} {shown(field)}: {value}\n")
    return "".join(lines)


def difference_lines(found: Difference, screen: Screen | None, *, full: bool = False) -> str:
    """Tasks that came, went and changed, each with its fields; last those that only `updated_at` tells apart."""
    most = None if full or screen is None else _most(screen)
    lines = [_task_line("+", task["id"], task["title"], screen) for task in found.added]
    lines += [_task_line("-", task["id"], task["title"], screen) for task in found.removed]
    touched = [one for one in found.changed if one.changes.keys() == {"updated_at"}]
    for one in found.changed:
        if one in touched:
            continue
        lines.append(_task_line("~", one.task_id, one.title, screen))
        for field, change in one.changes.items():
            lines += [f"  {line}" for line in change_lines(field, change, screen, most)]
    if touched:
        lines.append(_touched_line([one.task_id for one in touched]))
    return "".join(f"{line}\n" for line in lines)


def _touched_line(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - IDS_MOST} more" if len(ids) > IDS_MOST else ""
    return f"only updated_at differs: {', '.join(ids[:IDS_MOST])}{more}"


def _most(screen: Screen) -> int:
    """How long a value may be, so that a line of it and its field is not wider than the terminal."""
    return min(VALUE_MOST, max(screen.width - 20, 20))


def stat_lines(found: Difference) -> str:
    """How many tasks came, went and changed, and in which fields."""
    head = f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed\n"
    return head + "".join(f"  {field}: {count}\n" for field, count in found.fields().items())


def _task_line(mark: str, task_id: str, title: str, screen: Screen | None) -> str:
    if screen is None:
        return f"{mark}\t{task_id}\t{shown(title)}"
    from taskkeep.cli.screen import CYAN, GREEN, RED, YELLOW

    color = {"+": GREEN, "-": RED, "~": YELLOW}[mark]
    return f"{screen.paint(mark, color)} {screen.paint(task_id, CYAN)}  {shown(title)}"


def _details(event: Mapping[str, Any], screen: Screen | None, most: int | None) -> Iterator[str]:
    details = event.get("details", {})
    if isinstance(details.get("task"), dict):
        yield _value(details["task"].get("title"), most)
    for name in ("claim", "claimed_by", "claimed_until"):
        if name in details:
            yield f"{name}: {_value(details[name], most)}"
    if "archived" in details:
        yield "moved to the archive" if details["archived"] else "brought back from the archive"
    if "undone" in details:
        yield f"undoes {shown(str(details['undone']))}"
    for field, change in details.get("changes", {}).items():
        yield from change_lines(field, change, screen, most)


def change_lines(field: str, change: Any, screen: Screen | None, most: int | None) -> Iterator[str]:
    """One field's change; with *most* long texts as the words that changed in them."""
    if most is not None and screen is not None and isinstance(change, dict) and _is_long(change):
        yield f"{shown(field)}: {word_diff(change['from'], change['to'], screen)}"
    elif screen is not None and field.endswith(("_at", "_until")) and "from" in change:
        from taskkeep.cli.screen import local

        said = ["-" if change.get(end) is None else local(change[end]) for end in ("from", "to")]
        yield f"{shown(field)}: {' → '.join(said)}"
    elif field == "archived":
        yield "moved to the archive" if change["to"] else "brought back from the archive"
    else:
        yield from _change(field, change, most)


def _is_long(change: Mapping[str, Any]) -> bool:
    values = [change.get("from"), change.get("to")]
    return all(isinstance(value, str) for value in values) and any(len(value) > VALUE_MOST for value in values if value)


def word_diff(before: str, after: str, screen: Screen) -> str:
    """What was taken out and put in, by words, with a few words around each."""
    from difflib import SequenceMatcher

    from taskkeep.cli.screen import GREEN, RED

    old, new = before.split(), after.split()
    parts: list[str] = []
    moves = SequenceMatcher(None, old, new, autojunk=len(old) > 2000).get_opcodes()
    for number, (kind, a, b, c, d) in enumerate(moves):
        if kind == "equal":
            words = old[a:b]
            first, last = number == 0, number == len(moves) - 1
            if len(words) > 2 * CONTEXT + 1 or ((first or last) and len(words) > CONTEXT):
                head = [] if first else words[:CONTEXT]
                tail = [] if last else words[-CONTEXT:]
                words = [*head, "…", *tail]
            parts.append(shown(" ".join(words)))
            continue
        if a < b:
            parts.append(screen.paint(f"[-{shown(' '.join(old[a:b]))}-]", RED))
        if c < d:
            parts.append(screen.paint(f"{{+{shown(' '.join(new[c:d]))}+}}", GREEN))
    return " ".join(parts)


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
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        return entry
    return f"[{'x' if entry['done'] else ' '}] {entry['text']}" if "done" in entry else entry["text"]


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

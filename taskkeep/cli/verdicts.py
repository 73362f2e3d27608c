"""A verdict in the forms that others read: GitHub's annotations, SARIF, and Markdown for a summary."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from taskkeep import __version__
from taskkeep.backlog.secrets import redacted
from taskkeep.cli.output import shown
from taskkeep.errors import Usage
from taskkeep.store.files import disk_fault
from taskkeep.store.verify import CODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from taskkeep.store.verify import Verdict

    Finding = Mapping[str, Any]

ANNOTATIONS = 10  # GitHub shows no more of a level for one step
SUMMARY_BYTES = 1_000_000  # GitHub refuses a summary of more than 1 MiB
ROWS = 200  # of each table of a summary
REASONS = 3  # of each task
REASON_MOST = 200  # characters of each


# -- GitHub ------------------------------------------------------------------------------------


def github_lines(verdict: Verdict) -> Iterator[str]:
    """Workflow commands for the first findings of each level, plain lines for the rest."""
    counts: dict[str, int] = {}
    prefix = verdict.checked.get("prefix", "")
    for finding in verdict.findings:
        level = finding["severity"]
        counts[level] = counts.get(level, 0) + 1
        if counts[level] <= ANNOTATIONS:
            yield _annotation(finding, prefix)
        else:
            yield _harmless(f"{level}: {finding['code']}: {shown(finding['message'])}")
    for level, count in counts.items():
        if count > ANNOTATIONS:
            yield f"{count - ANNOTATIONS} more {level}s are listed above and in the summary"


def _annotation(finding: Finding, prefix: str) -> str:
    places = [f"title={_property('taskkeep: ' + finding['code'])}"]
    if finding.get("file"):
        places = [f"file={_property(prefix + finding['file'])}", f"line={finding.get('line') or 1}", *places]
    hint = f"\n{finding['hint']}" if finding.get("hint") else ""
    message = "\n".join(map(shown, (finding["message"] + hint).split("\n")))
    return f"::{finding['severity']} {','.join(places)}::{_data(message)}"


def _data(text: str) -> str:
    return _harmless(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(shown(text)).replace(":", "%3A").replace(",", "%2C")


def _harmless(line: str) -> str:
    """The runner takes an older spelling of commands anywhere in a line."""
    return line.replace("##[", "## [")


# -- SARIF -------------------------------------------------------------------------------------


def sarif(verdict: Verdict) -> dict[str, Any]:
    """The verdict as SARIF 2.1.0; places are from the repository's top."""
    prefix = verdict.checked.get("prefix", "")
    codes = sorted({finding["code"] for finding in verdict.findings})
    rules = [
        {"id": code, "name": code, "shortDescription": {"text": CODES[code][2]}, "help": {"text": CODES[code][2]}}
        for code in codes
    ]
    results = []
    for finding in verdict.findings:
        result: dict[str, Any] = {
            "ruleId": finding["code"],
            "ruleIndex": codes.index(finding["code"]),
            "level": finding["severity"],
            "message": {"text": " ".join(filter(None, (shown(finding["message"]), shown(finding.get("hint") or ""))))},
            "partialFingerprints": {"taskkeep/v1": f"{finding['code']}:{finding['task_id'] or finding['file']}"},
        }
        result["locations"] = [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(prefix + (finding.get("file") or "backlog.json"))},
                    "region": {"startLine": finding.get("line") or 1},
                }
            }
        ]
        results.append(result)
    driver = {"name": "taskkeep", "version": __version__, "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results}],
    }


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path.encode("utf-8", "surrogateescape"))


# -- Markdown ----------------------------------------------------------------------------------


def append_summary(path: str, verdict: Verdict) -> None:
    """Append the verdict as Markdown to a file. Raises Usage for what is no file to write to, DiskFault."""
    if not path.strip() or not path.isprintable() or path.startswith("-") or len(path) > 4000:
        raise Usage("--summary is the path of a file", hint='In Actions: "$GITHUB_STEP_SUMMARY".')
    parts = os.path.realpath(path).split(os.sep)
    if {".git", ".taskkeep"} & set(parts) or parts[-1] in ("backlog.json", "backlog.archive.json"):
        raise Usage("--summary never writes into the backlog or into .git", hint="Name another file.")
    data = "".join(f"{line}\n" for line in markdown(verdict)).encode("utf-8", "replace")
    if len(data) > SUMMARY_BYTES:
        data = data[:SUMMARY_BYTES].rpartition(b"\n")[0] + b"\n\n(cut here: too long for a summary)\n"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        fd = os.open(path, flags, 0o644)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
    except OSError as error:
        raise disk_fault("the summary cannot be written", error) from error


def markdown(verdict: Verdict) -> Iterator[str]:
    """What was found, and what a pull request does to the backlog, with reasons."""
    errors = sum(one["severity"] == "error" for one in verdict.findings)
    warnings = len(verdict.findings) - errors
    mark = "✅" if verdict.ok else "❌"
    yield f"## {mark} taskkeep: {_count(errors, 'error')}, {_count(warnings, 'warning')}"
    yield ""
    if verdict.findings:
        yield "| | finding | place | what | hint |"
        yield "|---|---|---|---|---|"
        for one in verdict.findings[:ROWS]:
            place = f"{one['file']}:{one['line'] or 1}" if one.get("file") else ""
            cells = (one["severity"], one["code"], place, one["message"], one.get("hint") or "")
            yield f"| {' | '.join(map(safe, cells))} |"
        if len(verdict.findings) > ROWS:
            yield f"\n{len(verdict.findings) - ROWS} more findings are in the log of the step."
        yield ""
    parts = verdict.checked.get("backlogs")
    for checked in [verdict.checked] if parts is None else parts:
        yield from _one_backlog(checked, _changes_of(verdict, checked))


def _changes_of(verdict: Verdict, checked: Mapping[str, Any]) -> Any:
    if isinstance(verdict.changes, list):
        return dict(verdict.changes).get(checked.get("prefix", ""))
    return verdict.changes


def _one_backlog(checked: Mapping[str, Any], changes: Any) -> Iterator[str]:
    if checked.get("prefix"):
        yield f"### {safe(checked['prefix'])}"
    if changes is not None:
        whys = changes.whys
        yield from _list("Adds", [_task(task) + _reasons(task, whys) for task in changes.added])
        yield from _list("Finishes", [_task(task) + _reasons(task, whys) for task in changes.finished])
        changed = [
            f"{_task(task)}: {safe(', '.join(fields))}{_reasons(task, whys)}"
            for task, fields in changes.changed
            if fields
        ]
        yield from _list("Changes", changed)
        yield from _list("Deletes", [_deleted(task, event) for task, event in changes.deleted])
        if not any(changes[:4]):
            yield "The tasks are the same on both sides."
            yield ""
    for note in checked.get("notes", ()):
        yield f"Note: {safe(note)}."
        yield ""
    heads = " ".join(f"`{name}`" for name in checked["heads"]) or "nothing"
    yield f"{checked['tasks']} tasks, {checked['archived']} archived, {checked['events']} events; log at {heads}."
    yield ""


def _list(title: str, rows: Sequence[str]) -> Iterator[str]:
    if not rows:
        return
    yield f"**{title} {len(rows)}**"
    yield ""
    yield from (f"- {row}" for row in rows[:ROWS])
    if len(rows) > ROWS:
        yield f"- … and {len(rows) - ROWS} more"
    yield ""


def _task(task: Mapping[str, Any]) -> str:
    return f"{safe(str(task['id']))} {safe(str(task['title']))}"


def _reasons(task: Mapping[str, Any], whys: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """Why it was changed, as far as those who did it said."""
    told = whys.get(task.get("uid", ""), ())
    parts = [f"{safe(_cut(why))} ({safe(actor)})" for why, actor in told[:REASONS]]
    if len(told) > REASONS:
        parts.append(f"and {len(told) - REASONS} more")
    return f" — {'; '.join(parts)}" if parts else ""


def _cut(text: str) -> str:
    return text if len(text) <= REASON_MOST else text[: REASON_MOST - 1] + "…"


def _deleted(task: Mapping[str, Any], event: Mapping[str, Any] | None) -> str:
    if event is None:
        return f"{_task(task)}: **no event says so**"
    return f"{_task(task)}: {safe(event['why'] or 'no reason given')} ({safe(event['actor'])})"


_MARKUP = frozenset("\\`*_{}[]()#+!|~:@/$^=")


def safe(text: Any) -> str:
    """*text* as Markdown that shows it as it is, on one line: no link, no mention, no HTML, no table cell."""
    words = []
    for character in shown(redacted(str(text))):
        if character in "<>&":
            words.append({"<": "&lt;", ">": "&gt;", "&": "&amp;"}[character])
        elif character in _MARKUP:
            words.append(f"&#{ord(character)};")
        else:
            words.append(character)
    return "".join(words)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def notes_of(checked: Mapping[str, Any]) -> Iterable[str]:
    """What is to be said beside findings, of one backlog or of several."""
    for part in checked.get("backlogs", [checked]):
        yield from part.get("notes", ())

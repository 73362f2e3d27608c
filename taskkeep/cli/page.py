"""A task as a page for an editor: a header of fields, criteria, then Markdown; and back again."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from taskkeep.errors import InputInvalid, Interrupted, Outside, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskkeep.backlog.changes import Edit

LINE = "---"
FIELDS = ("title", "status", "priority", "type", "labels", "assignee", "role", "parent", "depends_on", "due")
LISTS = ("labels", "depends_on")
AS_OF = " as of "
REFS = "external_refs"
HELP = """\
# Change what you like above and below; lines with # in the header are ignored.
# Lists are parted by commas. A field without a value is taken out.
# Criteria stand as '- [ ] text' or '- [x] text'; what follows the last --- is Markdown.
"""


def page_of(task: Mapping[str, Any], remarks: str = "") -> str:
    """The page of *task*. Equal tasks give equal pages."""
    lines = [LINE, f"# {task['id']}{AS_OF}{task.get('updated_at', '')}"]
    lines += [f"{name}: {_shown(task.get(name))}".rstrip() for name in FIELDS]
    lines += [f"{REFS}:", *(f"- {ref}" for ref in task.get(REFS, ()))]
    lines.append("acceptance_criteria:")
    for item in task.get("acceptance_criteria", ()):
        lines.append(f"- [{'x' if item['done'] else ' '}] " + item["text"].replace("\n", "\n    "))
    lines += [*(f"# {line}" for line in remarks.splitlines()), HELP + LINE]
    return "\n".join(lines) + f"\n{task.get('description', '')}\n"


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "")


def parse(text: str) -> dict[str, Any]:
    """The fields on a page, those without a value as None. Raises InputInvalid with the line."""
    lines = text.replace("\r\n", "\n").split("\n")
    try:
        start = next(number for number, line in enumerate(lines) if line.strip())
        end = next(number for number in range(start + 1, len(lines)) if lines[number].rstrip() == LINE)
    except StopIteration:
        raise _wrong("the header is gone", None) from None
    if lines[start].rstrip() != LINE:
        raise _wrong(f"the page must begin with {LINE}", start)
    fields: dict[str, Any] = {"description": "\n".join(lines[end + 1 :]).rstrip("\n") or None}
    entries: list[Any] | None = None
    name = ""
    for number in range(start + 1, end):
        line = lines[number]
        if line.startswith("    ") and entries and name == "acceptance_criteria":
            entries[-1]["text"] += "\n" + line[4:].rstrip()
        elif not line.strip() or line.startswith("#"):
            continue
        elif line.startswith("- ") and entries is not None:
            entries.append(_criterion(line, number) if name != REFS else line[2:].strip())
        else:
            name, colon, value = line.partition(":")
            name, value = name.strip(), value.strip()
            if not colon or name not in (*FIELDS, REFS, "acceptance_criteria"):
                raise _wrong(f"'{line.strip()[:40]}' is no field", number)
            if name in fields:
                raise _wrong(f"{name} is given twice", number)
            entries = [] if name in (REFS, "acceptance_criteria") else None
            if entries is not None and value:
                raise _wrong(f"{name} has one entry a line, each with '- ' before it", number)
            fields[name] = entries if entries is not None else _value(name, value)
    return {field: value or None for field, value in fields.items()}


def _value(name: str, text: str) -> Any:
    if name in LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _criterion(line: str, number: int) -> dict[str, Any]:
    mark, text = line[2:5], line[5:].strip()
    if mark.lower() not in ("[ ]", "[x]") or not text:
        raise _wrong("a criterion stands as '- [ ] text' or '- [x] text'", number)
    return {"text": text, "done": mark != "[ ]"}


def _wrong(problem: str, line: int | None) -> InputInvalid:
    where = "" if line is None else f" (line {line + 1})"
    return InputInvalid(f"the page cannot be read: {problem}{where}", line=None if line is None else line + 1)


def edit_of(task: Mapping[str, Any], text: str) -> Edit:
    """What the page *text* changes in *task*: nothing where a field is as the page showed it.

    Raises InputInvalid.
    """
    from taskkeep.backlog.changes import Edit

    before, after = parse(page_of(task)), parse(text)
    names = [*FIELDS, REFS, "acceptance_criteria", "description"]
    return Edit(set={name: after.get(name) for name in names if after.get(name) != before.get(name)})


def made_of(text: str) -> str:
    """The `updated_at` of the task that the page *text* was made of; "" where it does not say so any more."""
    head = next((line for line in text.splitlines() if line.startswith("# ")), "")
    return head.partition(AS_OF)[2].strip()


def rebased(task: Mapping[str, Any], text: str, base: Mapping[str, Any]) -> str:
    """The page of *task* with what the page *text* had changed in *base*, the task that it was made of.

    A text that cannot be read stays as it is.
    """
    try:
        changed = {**task, **edit_of(base, text).set}
    except InputInvalid:
        return text
    return page_of({name: value for name, value in changed.items() if value is not None})


def offered(task: Mapping[str, Any], kept: str | None) -> str:
    """The page to begin with: that of *task*, or a text that was refused, with what is so now."""
    if kept is None:
        return page_of(task)
    lines = [line for line in kept.split("\n") if not line.startswith("# now: ")]
    remarks = ["# now: this text was refused before; saving it replaces what stands there now, emptying it drops it"]
    try:
        before, after = parse(page_of(task)), parse(kept)
        remarks += [f"# now: {name}: {_shown(before[name])}" for name in FIELDS if before.get(name) != after.get(name)]
        if before["description"] != after["description"]:
            remarks.append("# now: the description differs too")
    except InputInvalid as error:
        remarks.append(f"# now: {error.message}")
    place = 1 if lines and lines[0].rstrip() == LINE else 0
    return "\n".join([*lines[:place], *remarks, *lines[place:]])


def is_empty(text: str) -> bool:
    """Did the user empty the page, as who thinks better of it does in git's editor?"""
    return all(not line.strip() or line.startswith("# now: ") for line in text.split("\n"))


def set_aside(text: str, name: str) -> str:
    """Put *text* into a file outside the backlog's folder; returns its path."""
    descriptor, path = tempfile.mkstemp(prefix=f"taskkeep-{name}-", suffix=".md")
    with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return path


def run_editor(text: str, name: str) -> str:
    """Let the user change *text*; the process waits for the editor.

    Raises Usage without an editor, Outside when the editor fails or takes the page away, Interrupted, InputInvalid
    for bytes that are no UTF-8; what the editor left stays, and the error names it.
    """
    command = _editor()
    path = set_aside(text, name)
    try:
        status = subprocess.run([*command, path], check=False).returncode
    except OSError as error:
        os.unlink(path)
        raise Outside(f"cannot start the editor {command[0]}: {error.strerror}", hint="Set EDITOR.") from None
    except KeyboardInterrupt:
        stopped = Interrupted()
        stopped.hint, stopped.details["file"] = f"What the editor left is in {path}.", path
        raise stopped from None
    if status:
        raise Outside(
            f"the editor ended with {status}; nothing was changed",
            hint=f"What it left is in {path}.",
            file=path,
        )
    try:
        with open(path, "rb") as read:
            data = read.read()
    except FileNotFoundError:
        raise Outside("the editor left no page; nothing was changed") from None
    try:
        changed = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputInvalid("the page is not UTF-8 any more", hint=f"It is kept in {path}.", file=path) from None
    os.unlink(path)
    return changed


def _editor() -> list[str]:
    for name in ("VISUAL", "EDITOR"):
        if text := os.environ.get(name, "").strip():
            try:
                return shlex.split(text)
            except ValueError:
                raise Usage(f"{name} is no command: {text[:60]}", hint=f"Set {name}.") from None
    if not sys.stdin.isatty():
        raise Usage("no editor is named", hint="Set EDITOR, or use 'taskkeep update'.")
    return ["vi"]

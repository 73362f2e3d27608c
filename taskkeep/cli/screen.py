"""What a person sees on a terminal: aligned tables, colours, local times.

Widths are those of the terminal's cells: a CJK character takes two, a combining one none.
A rich table of 50 rows takes longer than all the rest of the command, hence plain lines.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

from taskkeep.backlog.times import to_number
from taskkeep.cli.output import paragraphs, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskkeep.backlog.task import Task

BOLD, DIM, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN = "1", "2", "31", "32", "33", "34", "35", "36"
STATUS = {
    "todo": ("○", ""),
    "in_progress": ("◐", YELLOW),
    "blocked": ("■", RED),
    "review": ("◑", MAGENTA),
    "done": ("●", GREEN),
    "cancelled": ("✕", DIM),
}
PRIORITY = {"critical": f"{BOLD};{RED}", "high": YELLOW, "medium": "", "low": DIM}
GAP = "  "
TITLE_LEAST = 24
CELL_MOST = 28
VALUE_LEAST = 12


class Screen:
    """The terminal that stdout is."""

    def __init__(self, *, color: bool, width: int | None = None) -> None:
        self.color = color
        self.width = width or max(shutil.get_terminal_size().columns, 40)

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and code and text else text

    def dim(self, text: str) -> str:
        return self.paint(text, DIM)

    # -- tables --------------------------------------------------------------------------

    def table(self, tasks: Sequence[Task], fields: Sequence[str] = (), why: Sequence[str] = ()) -> str:
        """One line a task. The title gets the room that the others leave; where that is too
        little, columns go, the least important first."""
        if not tasks:
            return ""
        columns = list(fields) if fields else self._columns(tasks, why)
        cells = {
            column: [
                text if column == "title" else cut(text, _MOST.get(column, CELL_MOST))
                for text in (_cell(task, column, why[number] if why else "") for number, task in enumerate(tasks))
            ]
            for column in columns
        }
        widths = {
            column: max([len(_HEADS.get(column, column)), *map(cell_len, texts)]) for column, texts in cells.items()
        }
        dropped = [] if fields else [name for name in _DROP if name in columns]
        while dropped and self._left(columns, widths, "title") < TITLE_LEAST:
            columns.remove(dropped.pop(0))
        if "title" in columns:
            widths["title"] = min(widths["title"], max(self._left(columns, widths, "title"), 8))
        lines = [self.dim(GAP.join(pad(_HEADS.get(name, name), widths[name]) for name in columns).rstrip())]
        for number, task in enumerate(tasks):
            parts = []
            for name in columns:
                text = pad(cut(cells[name][number], widths[name]), widths[name])
                if name == columns[-1]:
                    text = text.rstrip()
                parts.append(self.paint(text, _code(task, name)))
            lines.append(GAP.join(parts).rstrip())
        return "\n".join(lines)

    def _columns(self, tasks: Sequence[Task], why: Sequence[str]) -> list[str]:
        if why:
            return ["id", "priority", "title", "why"]
        return ["id", "status", "priority", "title"] + [
            name for name in ("type", "assignee", "labels", "due") if any(_worth(task, name) for task in tasks)
        ]

    # -- one task ------------------------------------------------------------------------

    def task(self, task: Mapping[str, Any]) -> str:
        """A task with all its fields."""
        glyph, code = STATUS.get(task["status"], ("?", ""))
        status = self.paint(f"{glyph} {_words(task['status'])}", code)
        facts = [status, self.paint(task["priority"], PRIORITY.get(task["priority"], "")), task["type"]]
        title = wrap(shown(task["title"]), self.width - cell_len(task["id"]) - 2)
        first = f"{self.paint(task['id'], CYAN)}  {self.paint(title[0], BOLD)}"
        rest = [" " * (cell_len(task["id"]) + 2) + self.paint(line, BOLD) for line in title[1:]]
        lines = [first, *rest, self.dim(" · ").join(facts), ""]
        for name in _FACTS:
            if name in task:
                lines += self._fact(name, _fact_text(task, name))
        known = (*_FACTS, *_SHOWN_ELSEWHERE)
        for name in (name for name in task if name not in known):
            lines += self._fact(name, _fact_text(task, name))
        for key, value in (task.get("metadata") or {}).items():
            lines += self._fact(shown(key), shown(value) if isinstance(value, str) else _json(value))
        if "description" in task:
            lines += ["", *self._body(task["description"])]
        if "acceptance_criteria" in task:
            lines += ["", self.paint("Acceptance criteria", BOLD)]
            for number, item in enumerate(task["acceptance_criteria"], 1):
                mark = self.paint("✓", GREEN) if item["done"] else "○"
                body = self._body(item["text"], indent=6)
                lines += [f"{number:>3} {mark} {body[0].lstrip()}", *body[1:]]
        for note in task.get("notes", ()):
            lines += ["", f"{self.paint(shown(note['by']), CYAN)} {self.dim(local(note['at']))}"]
            lines += self._body(note["text"])
        return "\n".join(lines) + "\n"

    def _fact(self, name: str, text: str) -> list[str]:
        label = pad(_words(name), 12) + "  "
        lines = wrap(text, self.width - cell_len(label))
        return [self.dim(label) + lines[0], *(" " * cell_len(label) + line for line in lines[1:])]

    def _body(self, text: str, indent: int = 2) -> list[str]:
        lines = []
        for line in paragraphs(text).expandtabs(4).split("\n"):
            lines += [" " * indent + part for part in wrap(line, self.width - indent)]
        return [line.rstrip() for line in lines]

    def blame(self, rows: Sequence[tuple[Any, ...]]) -> str:
        """Fields with who set them last, when and why; the value gets the room that is left, and where that is too
        little, columns go, the least important first."""
        parts = [dict(zip(_BLAME, ("FIELD", "VALUE", "EVENT", "WHEN", "BY", "WHY"), strict=True))]
        for field, when, actor, event, why, value in rows:
            said = local(value) if field.endswith(("_at", "_until")) and isinstance(value, str) else _said(value)
            when = local(when) if when != "-" else when
            cells = (shown(field), said, shown(event)[:8], when, shown(actor), shown(why))
            parts.append(dict(zip(_BLAME, cells, strict=True)))
        widths = {name: max(cell_len(part[name]) for part in parts) for name in _BLAME}
        widths["why"] = min(widths["why"], CELL_MOST)
        columns = [name for name in _BLAME if name != "why" or any(part["why"] for part in parts[1:])]
        room = self._left(columns, widths, "value")
        for name in ("why", "event", "when"):
            if room < min(VALUE_LEAST, widths["value"]) and name in columns:
                columns.remove(name)
                room = self._left(columns, widths, "value")
        widths["value"] = min(widths["value"], max(room, 8))
        lines = []
        for part in parts:
            texts = [pad(cut(part[name], widths[name]), widths[name]) for name in columns]
            codes = [DIM if part is parts[0] else _BLAME[name] for name in columns]
            texts[-1] = texts[-1].rstrip()
            lines.append(GAP.join(self.paint(text, code) for text, code in zip(texts, codes, strict=True)).rstrip())
        return "\n".join(lines)

    def _left(self, columns: Sequence[str], widths: Mapping[str, int], wide: str) -> int:
        """The room for the column *wide*."""
        others = [name for name in columns if name != wide]
        return self.width - sum(widths[name] for name in others) - len(GAP) * len(others)

    def backup(self, row: Mapping[str, Any]) -> str:
        """A snapshot on one line."""
        count = "damaged" if row["damaged"] else _counted(row["tasks"], "task")
        size = f"{row['size']} B" if row["size"] < 10_000 else f"{row['size'] / 1000:,.0f} kB"
        name = row["name"].partition(".")[0]
        head = f"{count:>12}{GAP}{size:>10}"
        reason = shown(row["problem"] if row["damaged"] else row["reason"])
        reason = cut(reason, max(self.width - len(name) - len(head) - 2 * len(GAP), 8))
        return GAP.join((self.paint(name, CYAN), self.paint(head, RED if row["damaged"] else ""), self.dim(reason)))

    # -- verdicts ------------------------------------------------------------------------

    def finding(self, finding: Mapping[str, Any], place: str) -> str:
        """What was found: how bad, what kind and where, then the words, then what to do."""
        code = f"{BOLD};{RED}" if finding["severity"] == "error" else YELLOW
        head = f"{self.paint(finding['severity'], code)} {self.paint(shown(finding['code']), BOLD)}"
        lines = [f"{head}  {self.dim(shown(place))}".rstrip()]
        lines += [f"  {line}" for line in wrap(shown(finding["message"]), self.width - 2)]
        if finding.get("hint"):
            lines += [self.dim(f"  {line}") for line in wrap(f"hint: {shown(finding['hint'])}", self.width - 2)]
        return "\n".join(lines) + "\n"

    def checked(self, checked: Mapping[str, Any]) -> str:
        """What was examined."""
        heads = " ".join(head[:12] for head in checked["heads"][:3]) or "nothing"
        tasks, events = _counted(checked["tasks"], "task"), _counted(checked["events"], "event")
        return self.dim(f"{checked['what']}: {tasks}, {checked['archived']:,} archived, {events}; log at {heads}")

    def saved_line(self, mark: str, task: Mapping[str, Any]) -> str:
        """What a writer says of a task."""
        glyph, code = STATUS.get(task["status"], ("?", ""))
        return self._line(mark, task, f"{glyph} {_words(task['status'])}", code)

    def deleted_line(self, mark: str, task: Mapping[str, Any]) -> str:
        """What is said of a task that is gone."""
        return self._line(mark, task, "deleted", RED)

    def _line(self, mark: str, task: Mapping[str, Any], status: str, code: str) -> str:
        room = self.width - cell_len(task["id"]) - cell_len(status) - 6
        title = cut(shown(task["title"]), max(room, TITLE_LEAST))
        head = f"{self.paint(mark, GREEN if mark == '✓' else DIM)} {self.paint(task['id'], CYAN)}"
        return f"{head}  {self.paint(status, code)}  {title}"


class Bar:
    """How far a long task is: shown after half a second, ten times a second at most, and gone at the end."""

    AFTER, EVERY, CELLS = 0.5, 0.1, 24

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._next = time.monotonic() + self.AFTER
        self._shown = False

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if done >= total:  # the next walk gets its own half second
            self.clear()
            self._next = now + self.AFTER
        if now < self._next:
            return
        self._next, self._shown = now + self.EVERY, True
        full = self.CELLS * min(done, total) // max(total, 1)
        self._write(f"\r[{'#' * full}{'.' * (self.CELLS - full)}] {done} of {total} {what}\x1b[K")

    def clear(self) -> None:
        if self._shown:
            self._shown = False
            self._write("\r\x1b[K")


_HEADS = {
    "id": "ID",
    "status": "STATUS",
    "priority": "PRIORITY",
    "title": "TITLE",
    "type": "TYPE",
    "assignee": "FOR",
    "labels": "LABELS",
    "due": "DUE",
    "why": "WHY",
}
_MOST = {"why": 48}
_BLAME = {"field": CYAN, "value": "", "event": YELLOW, "when": DIM, "actor": "", "why": DIM}  # columns, painted so
_DROP = ("type", "labels", "assignee", "why", "due", "priority")
_FACTS = (
    "assignee", "role", "parent", "depends_on", "labels", "due", "external_refs", "aliases", "claimed_by",
    "claimed_until", "created_at", "created_by", "updated_at", "started_at", "completed_at",
)  # fmt: skip
_SHOWN_ELSEWHERE = (
    "id", "uid", "title", "status", "priority", "type", "description", "acceptance_criteria", "notes",
    "metadata",
)  # fmt: skip


def _worth(task: Mapping[str, Any], name: str) -> bool:
    """True when a column says something: most tasks are plain tasks."""
    return task["type"] != "task" if name == "type" else name in task


def _cell(task: Mapping[str, Any], name: str, why: str) -> str:
    if name == "why":  # without the priority, which has a column
        return shown(why.removeprefix(task["priority"] + "; "))
    if name == "status":
        return f"{STATUS.get(task['status'], ('?', ''))[0]} {_words(task['status'])}"
    if name == "labels":
        return shown(" ".join(task.get("labels", ())))
    if name.endswith(("_at", "_until")):
        return local(task[name]) if name in task else ""
    from taskkeep.cli.output import cell

    return cell(task, name)


def _code(task: Mapping[str, Any], name: str) -> str:
    finished = task["status"] in ("done", "cancelled")
    if name == "id":
        return CYAN
    if name == "status":
        return STATUS.get(task["status"], ("", ""))[1]
    if name == "title":
        return DIM if finished else ""
    if name == "priority":
        return DIM if finished else PRIORITY.get(task["priority"], "")
    if name == "due" and not finished and task.get("due", "9") < time.strftime("%Y-%m-%d"):
        return RED
    return DIM if name in ("why", "labels", "type") else ""


def _fact_text(task: Mapping[str, Any], name: str) -> str:
    value = task[name]
    return local(value) if name.endswith(("_at", "_until")) and isinstance(value, str) else _said(value)


def _said(value: Any) -> str:
    """Any value on one line; of criteria and notes their texts."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, list):
        parts = [entry["text"] if isinstance(entry, dict) and "text" in entry else entry for entry in value]
        if all(isinstance(part, str) for part in parts):
            return shown(("; " if parts != value else ", ").join(parts))
    return _json(value)


def _json(value: Any) -> str:
    import json

    return shown(json.dumps(value, ensure_ascii=False))


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def local(text: str) -> str:
    """A time of ours in the zone of this machine, to the minute."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(to_number(text) // 1_000_000))
    except (ValueError, OverflowError, OSError):
        return shown(text)


# -- width -------------------------------------------------------------------------------


def cell_len(text: str) -> int:
    """How many cells of a terminal *text* takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len as rich_cell_len

    return rich_cell_len(text)


def pad(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def cut(text: str, width: int) -> str:
    """*text*, cut to *width* cells with an ellipsis; never within a wide character or a joined one."""
    if cell_len(text) <= width:
        return text
    from rich.cells import cell_len as rich_cell_len

    end = min(len(text), width)
    while end and (rich_cell_len(text[:end]) > width - 1 or _joined(text, end)):
        end -= 1
    return text[:end].rstrip() + "…"


def _joined(text: str, place: int) -> bool:
    """True when what stands before *place* and after it make one sign."""
    import unicodedata

    after = text[place : place + 1]
    if not after:
        return False
    return (
        text[place - 1] == "\u200d"
        or after in "\u200d\ufe0e\ufe0f"
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or unicodedata.combining(after) > 0
    )


def wrap(text: str, width: int) -> list[str]:
    """*text* on lines of at most *width* cells, broken at blanks where there are any."""
    width = max(width, 10)
    if cell_len(text) <= width:
        return [text]
    indent = text[: len(text) - len(text.lstrip())]
    lines: list[str] = []
    line = indent
    empty = True
    for word in text.split():
        if not empty and cell_len(line) + 1 + cell_len(word) > width:
            lines.append(line)
            line, empty = indent, True
        line = line + word if empty else f"{line} {word}"
        empty = False
        while cell_len(line) > width:
            head = cut(line, width + 1).removesuffix("…") if len(line) > 1 else line
            head = head or line[:1]
            lines.append(head)
            line = line[len(head) :].lstrip()
    if line.strip() or not lines:
        lines.append(line)
    return lines

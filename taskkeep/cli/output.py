"""Answers on stdout, all else on stderr: JSON for programs, plain lines for pipes, more for people.

Text that comes from files or arguments is shown with its control characters as escapes, so that
no task can speak to the terminal. What a terminal shows is in `screen`, imported only there.
"""

from __future__ import annotations

import os
import sys

from taskkeep.answers import beside
from taskkeep.answers import picked as picked
from taskkeep.answers import saved_as_json as saved_as_json
from taskkeep.answers import with_etag as with_etag

TYPE_CHECKING = False  # as in typing, whose import --version does without
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, TextIO

    from taskkeep.backlog.query import Page
    from taskkeep.backlog.task import Task
    from taskkeep.cli.screen import Bar, Screen
    from taskkeep.errors import TaskkeepError
    from taskkeep.project import Saved
    from taskkeep.store.past.history import Moment, Point
    from taskkeep.store.verify import Verdict

ROW = ("id", "status", "priority", "title")
TSV_ROW = ("id", "status", "priority", "type", "assignee", "due", "labels", "title")


# -- streams -----------------------------------------------------------------------------


def write_out(text: str) -> None:
    _write(sys.stdout, text)


def write_err(text: str) -> None:
    """Write to stderr; where that takes nothing, there is nobody left to tell."""
    from contextlib import suppress

    from taskkeep.errors import Outside

    with suppress(Outside):
        _write(sys.stderr, text)


_SIGNS = str.maketrans("○◐■◑●✕✓·…→", "o>#?*x+-~>")  # our own, for a terminal that knows no Unicode


def _write(stream: TextIO, text: str) -> None:
    """Write *text* and flush: UTF-8, on a terminal what the terminal takes.

    What else has no bytes there is written as an escape, which in JSON means the same. A reader that
    went away is no failure; raises Outside where the stream takes no more for another reason.
    """
    encoding = (stream.encoding if stream.isatty() else "utf-8") or "utf-8"
    if not encoding.lower().startswith("utf"):
        text = text.translate(_SIGNS)
    try:
        buffer = getattr(stream, "buffer", None)
        if buffer is None:
            stream.write(text)
        else:
            stream.flush()
            buffer.write(text.encode(encoding, "backslashreplace"))
        stream.flush()
    except BrokenPipeError:
        # What is still buffered goes nowhere, so that flushing at the end meets no error again.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    except OSError as error:
        from taskkeep.errors import Outside

        raise Outside(
            f"cannot write the answer: {error.strerror}",
            hint="What the command changed stands; 'taskkeep log' shows it.",
        ) from None


# -- text that is safe to show -------------------------------------------------------------


def shown(text: str) -> str:
    """*text* on one line, whatever a terminal might obey as an escape."""
    if text.isprintable():
        return text
    return "".join(map(_escaped, text))


def paragraphs(text: str) -> str:
    """*text* with its line breaks and tabs, all else as `shown`."""
    if "\n" not in text and "\t" not in text:
        return shown(text)
    return "\n".join("\t".join(shown(part) for part in line.split("\t")) for line in text.split("\n"))


def _escaped(character: str) -> str:
    """Unprintable characters as escapes; joiners and the like, which scripts and emoji need, stay."""
    code = ord(character)
    if character.isprintable() or code in (0xA0, 0x3000) or code in (0x200C, 0x200D) or 0xFE00 <= code <= 0xFE0F:
        return character
    if code in _NAMED:
        return _NAMED[code]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_NAMED = {9: "\\t", 10: "\\n", 13: "\\r"}


def error_lines(error: TaskkeepError, *, color: bool) -> str:
    """The message on one line, and the hint on another; before them what was done on the way."""
    message, hint = shown(error.message), shown(error.advice)
    warnings = "".join(f"{_said(text)}\n" for text in error.details.get("warnings", ()))
    if color and wants_color(sys.stderr):
        return f"{warnings}\x1b[1;31merror:\x1b[0m {message}\n\x1b[36mhint:\x1b[0m {hint}\n"
    return f"{warnings}error: {message}\nhint: {hint}\n"


def _said(warning: str) -> str:
    """A warning on its line; what only is to be known begins with ``note:`` as it is."""
    return shown(warning) if warning.startswith("note: ") else f"warning: {shown(warning)}"


def wants_color(stream: TextIO) -> bool:
    """True for a terminal that nobody asked to be plain."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


# -- answers -----------------------------------------------------------------------------


class Output:
    """How one command shows its answer: *format* is text, json, jsonl, tsv or ids."""

    def __init__(self, *, format: str, quiet: bool, color: bool) -> None:
        self.format = format
        self.quiet = quiet
        self._color = color
        self._screen: Screen | None = None

    @property
    def is_json(self) -> bool:
        return self.format == "json"

    @property
    def screen(self) -> Screen | None:
        """The terminal, or None where the answer goes to a pipe or a program."""
        if self._screen is None and self.format == "text" and sys.stdout.isatty():
            from taskkeep.cli.screen import Screen

            self._screen = Screen(color=self._color and wants_color(sys.stdout))
        return self._screen

    @property
    def can_ask(self) -> bool:
        """Is somebody there who sees a question and could answer it?"""
        return self.screen is not None and sys.stdin.isatty()

    def confirm(self, question: str) -> None:
        """Go on only with the user's yes. Raises Refused at a no, Interrupted at Ctrl-C or Ctrl-D."""
        import typer

        from taskkeep.errors import Interrupted, Refused

        try:
            answer = typer.confirm(question, err=True)
        except typer.Abort:
            write_err("\n")  # the question left its line open
            raise Interrupted from None
        if not answer:
            raise Refused("not confirmed; nothing was changed", hint="Answer y, or pass --yes.")

    def json(self, answer: Mapping[str, Any]) -> None:
        """Print one JSON object; indented for a person."""
        import json

        value = {"schema_version": 1, **answer}
        indent = 2 if sys.stdout.isatty() else None
        write_out(json.dumps(value, ensure_ascii=False, indent=indent) + "\n")

    def text(self, text: str) -> None:
        """Print *text* as it is."""
        write_out(text if text.endswith("\n") or not text else text + "\n")

    def notice(self, text: str) -> None:
        """Say something on stderr that neither a program nor a quiet user wants."""
        if not self.quiet and not self.is_json:
            write_err(shown(text) + "\n")

    def warnings(self, texts: Iterable[str]) -> None:
        """Say what the user should know; with JSON it stands in the answer."""
        if not self.is_json:
            write_err("".join(f"{_said(text)}\n" for text in texts))

    def moment(self, moment: Moment) -> None:
        """Say what a WHEN was taken for, and from where the answer comes where that is not the log."""
        self.notice(f"as of {point_words(moment.point, self.screen)}")
        self.warnings(moment.notes)

    # -- writers -------------------------------------------------------------------------

    def saved(self, saved: Saved, *, new: bool = False, said: str = "") -> None:
        """Show what a writer did: the tasks as they are on disk now, or *said* where none is left.

        A *new* task is its id alone in a pipe.
        """
        if self.is_json:
            # A retry of what made a task finds, where that was deleted since, none.
            gone = {"task": None} if saved.task is None and (new or saved.claim is not None) else {}
            self.json({**saved_as_json(saved), **gone})
            return
        self.warnings(saved.warnings)
        if saved.results is not None and self.screen is None:
            self.text("".join(f"{row['line']}\t{row['op']}\t{row['id']}{_claim(row)}\n" for row in saved.results))
        elif new and saved.task is not None and self.screen is None:
            self.text(saved.task["id"])
        elif new or not self.quiet:
            self._saved_lines(saved, said)
        if saved.replayed:
            self.notice("replayed: this request was done before; nothing was written")
        elif saved.dry_run:
            self.notice("dry run: nothing was written")
        elif not saved.changed:
            self.notice("nothing to change")
        elif saved.pending:
            self.notice("saved; the commit is pending")

    def _saved_lines(self, saved: Saved, said: str) -> None:
        screen = self.screen
        mark = "✓" if saved.changed and not saved.dry_run else "·"
        if screen is None:
            self.rows(saved.tasks, ROW, _claims(saved, screen))
        else:
            self.text("".join(screen.saved_line(mark, task) + "\n" for task in saved.tasks))
            self.text("".join(screen.dim(f"  {line}") + "\n" for line in _claims(saved, screen)))
        for task in saved.deleted or ():
            self.text(f"deleted {task['id']}" if screen is None else screen.deleted_line(mark, task))
        if said and saved.changed and not saved.tasks:
            self.text(shown(said))
        if screen is not None and saved.commit:
            self.text(screen.dim(f"  commit {saved.commit[:10]}"))

    def imported(self, saved: Saved) -> None:
        """Show what an import brought: the report of what was mapped to what, and what was not."""
        report = saved.report
        assert report is not None
        if self.is_json:
            self.json({**saved_as_json(saved), "report": report.as_json()})
            return
        self.text("".join(f"{shown(line)}\n" for line in report.lines()))
        self.saved(saved._replace(tasks=[]))

    # -- readers -------------------------------------------------------------------------

    def page(self, page: Page, fields: Sequence[str] = (), *, ready: bool = False, at: Moment | None = None) -> None:
        """Show a page of tasks in the format that was asked for."""
        self.warnings(page.warnings)
        if self.is_json:
            answer: dict[str, Any] = {
                "tasks": picked(page.tasks, fields),
                "total": page.total,
                "next": page.next,
                **beside(at, page.warnings),
            }
            if page.why:
                answer["why"] = {task["id"]: why for task, why in zip(page.tasks, page.why, strict=True)}
            self.json(answer)
            return
        if self.format == "jsonl":
            import json

            tasks = picked(page.tasks, fields)
            self.text("".join(json.dumps(task, ensure_ascii=False) + "\n" for task in tasks))
        elif self.format == "ids":
            self.text("".join(task["id"] + "\n" for task in page.tasks))
        elif self.format == "tsv":
            columns = fields or TSV_ROW
            self.text("\t".join(columns) + "\n")
            self.rows(page.tasks, columns)
        elif self.screen is not None:
            self.text(self.screen.table(page.tasks, fields, page.why))
        else:
            self.rows(page.tasks, fields or ROW, page.why if ready and not fields else ())
        self._left_out(page)

    def rows(self, tasks: Sequence[Task], columns: Sequence[str], more: Sequence[str] = ()) -> None:
        """One line a task, its cells parted by tabs."""
        lines = ["\t".join([cell(task, column) for column in columns]) for task in tasks]
        if more:
            lines = [f"{line}\t{shown(text)}" for line, text in zip(lines, more, strict=True)]
        self.text("".join(line + "\n" for line in lines))

    def _left_out(self, page: Page) -> None:
        if page.next is not None:
            self.notice(f"… {page.total - page.next} more: --offset {page.next}, or --limit 0 for all")
        elif not page.tasks:
            self.notice("no tasks" if not page.total else f"no tasks from there on; {page.total} in all")

    def tasks(
        self, tasks: Sequence[Task], *, one: bool, at: Moment | None = None, warnings: Sequence[str] = ()
    ) -> None:
        """Show whole tasks, with all their fields."""
        self.warnings(warnings)
        if self.is_json:
            with_etags = [with_etag(task) for task in tasks]
            self.json({**({"task": with_etags[0]} if one else {"tasks": with_etags}), **beside(at, warnings)})
        elif (screen := self.screen) is not None:
            self.text("\n".join(screen.task(task) for task in tasks))
        else:
            self.text("\n".join(task_lines(task) for task in tasks))

    # -- verdicts ------------------------------------------------------------------------

    def verdict(self, verdict: Verdict) -> int:
        """Show findings and what was looked at; the exit status, 1 where it is not well."""
        if self.is_json:
            self.json({"ok": verdict.ok, "findings": verdict.findings, "checked": verdict.checked})
        elif self.format == "sarif":
            from taskkeep.cli.verdicts import as_json, sarif

            self.text(as_json(sarif(verdict)))
        elif self.format == "github":
            from taskkeep.cli.verdicts import github_lines, notes_of

            self.text("".join(f"{line}\n" for line in (*github_lines(verdict), *map(shown, notes_of(verdict.checked)))))
        else:
            self._notes(verdict)
            self.text("".join(self._finding(finding) for finding in verdict.findings))
            if self.screen is not None and not self.quiet and "heads" in verdict.checked:
                self.text(self.screen.checked(verdict.checked))
            count = len(verdict.findings)
            write_err(f"{count} finding{'' if count == 1 else 's'}\n")
        return 0 if verdict.ok else 1

    def _notes(self, verdict: Verdict) -> None:
        from taskkeep.cli.verdicts import notes_of

        for note in notes_of(verdict.checked):
            self.notice(note)

    def progress(self) -> Bar | None:
        """A bar on the terminal for what takes long; None where nobody would see it."""
        if self.quiet or self.is_json or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            return None
        from taskkeep.cli.screen import Bar

        return Bar(write_err)

    def _finding(self, finding: Mapping[str, Any]) -> str:
        """A finding in the way compilers say it, with its hint below."""
        place = finding.get("file") or ""
        if place and finding.get("line"):
            place = f"{place}:{finding['line']}"
        severity = finding["severity"]
        if self.screen is not None:
            return self.screen.finding(finding, place)
        head = f"{shown(place)}: " if place else ""
        line = f"{head}{severity}: {shown(finding['code'])}: {shown(finding['message'])}\n"
        return line + (f"  hint: {shown(finding['hint'])}\n" if finding.get("hint") else "")


def _time(value: str, screen: Screen | None) -> str:
    """A time, local on a terminal."""
    if screen is None:
        return value
    from taskkeep.cli.screen import local

    return local(value)


def point_words(point: Point, screen: Screen | None) -> str:
    """A point in time for people: what it was taken for, and its event or commit."""
    words = [f"{point.kind} {point.name}"]
    if point.time is not None and point.name != point.time:
        words.append(_time(point.time, screen))
    if point.commit is not None and not point.commit.startswith(point.name):
        words.append(f"commit {point.commit[:10]}")
    if point.event is not None and point.event != point.name:
        words.append(f"event {point.event[:8]}")
    return ", ".join(words)


# -- values ------------------------------------------------------------------------------


def _claim(row: Mapping[str, Any]) -> str:
    return f"\tclaim {row['claim']}" if "claim" in row else ""


def _claims(saved: Saved, screen: Screen | None) -> list[str]:
    """What `claim` says beside each task: the number, and until when."""
    if saved.claim is None:
        return []
    ends = [task.get("claimed_until", "-") for task in saved.tasks]
    return [f"claim {saved.claim} until {_time(end, screen)}" for end in ends]


def field_names(values: Iterable[str]) -> tuple[str, ...]:
    """The fields that --fields names. Raises Usage."""
    from taskkeep.cli.texts import split

    names = tuple(split(values))
    if not names:
        return ()
    from taskkeep.backlog.task import FIELDS, nearest

    for name in names:
        if name not in FIELDS and name != "etag":
            from taskkeep.backlog.words import field_for
            from taskkeep.errors import Usage

            meant = field_for(name)
            near = [meant] if meant else nearest(name, FIELDS)
            hint = f"Did you mean {near[0]}?" if near else f"One of: {', '.join(FIELDS)}."
            raise Usage(f"no field {name[:40]!r}", hint=hint)
    return names


def cell(task: Mapping[str, Any], field: str) -> str:
    """One field on one line."""
    value = task.get(field)
    if value is None:
        return with_etag(task)["etag"] if field == "etag" else ""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return shown(",".join(value))
    import json

    return shown(json.dumps(value, ensure_ascii=False))


def task_lines(task: Mapping[str, Any]) -> str:
    """A task with all its fields for a pipe: a line a field, then the long texts, indented."""
    from taskkeep.backlog.task import FIELDS

    long = ("description", "acceptance_criteria", "notes")
    names = [name for name in FIELDS if name in task and name not in (*long, "uid")]
    names += [name for name in task if name not in FIELDS]
    lines = [f"{name}: {cell(task, name)}" for name in names]
    if "description" in task:
        lines += ["description:", indented(task["description"])]
    if "acceptance_criteria" in task:
        lines.append("acceptance_criteria:")
        for number, item in enumerate(task["acceptance_criteria"], 1):
            lines.append(indented(f"{number}. [{'x' if item['done'] else ' '}] {item['text']}"))
    if "notes" in task:
        lines.append("notes:")
        for note in task["notes"]:
            lines.append(indented(f"{note['at']} {note['by']}: {note['text']}"))
    return "\n".join(lines) + "\n"


def indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in paragraphs(text).split("\n"))

"""What a reader of a foreign file hands on: drafts of tasks, and a report of what became of it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog.task import CHOICES, FIELDS, nearest, shortened
from taskkeep.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHOWN = 5  # of anything that may be long, in the report's lines; as JSON it is whole


class Draft(NamedTuple):
    """One task to be, in taskkeep's fields but for its links, which name tasks of the file.

    *key* is its name within the file, *ref* the external reference by which a later import knows
    it again. Links of tasks that are not in the file stay as the file wrote them.
    """

    place: str
    key: str
    ref: str
    uid: str | None
    fields: dict[str, Any]
    program: dict[str, Any]
    depends_on: tuple[str, ...]
    parent: str | None


class Plan(NamedTuple):
    """All drafts of a file, each key once, without circles."""

    prefix: str
    drafts: list[Draft]
    report: Report


class Rules:
    """What ``--map THEIRS=OURS`` asks for, told apart by what OURS is.

    A status, priority or type of ours: their value becomes it. A field of ours: their field becomes it.
    A name with a colon at its end: references begin with it instead of ``FORMAT:``, which keeps apart
    two files of one format that give the same ids to different tasks.

    Raises Usage.
    """

    __slots__ = ("fields", "prefix", "values")

    def __init__(self, source: str, mapping: Mapping[str, str]) -> None:
        self.prefix = source
        self.fields: dict[str, str] = {}
        self.values: dict[str, dict[str, str]] = {field: {} for field in CHOICES}
        for theirs, ours in mapping.items():
            wanted = squashed(ours)
            kind = next((field for field, allowed in CHOICES.items() if wanted in allowed), None)
            if kind is not None:
                self.values[kind][squashed(theirs)] = wanted
            elif ours.endswith(":") and theirs == f"{source}:" and ours[:-1].replace("-", "_").isidentifier():
                self.prefix = ours[:-1]
            elif ours in MAPPABLE:
                self.fields[plain(theirs)] = ours
            else:
                known = [*(value for allowed in CHOICES.values() for value in allowed), *MAPPABLE]
                near = nearest(wanted, known)
                raise Usage(
                    f"--map: '{shortened(ours)}' is no status, priority, type or field of a task",
                    hint=(f"Did you mean {near[0]}? " if near else "") + f"One of: {', '.join(known)}.",
                )


MAPPABLE = tuple(field for field in FIELDS if field not in ("id", "uid", "claimed_by", "claimed_until"))


def squashed(text: object) -> str:
    """A value of theirs as the tables spell it: ``In Progress`` and ``in-progress`` are ``in_progress``."""
    return str(text).strip().lower().replace("-", "_").replace(" ", "_")


def plain(name: str) -> str:
    """A field name as the tables spell it: ``dependsOn`` and ``depends_on`` are ``dependson``."""
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


class Report:
    """What was mapped to what, what was kept without a place of its own, and what was not taken.

    *fields* and *metadata* count by the file's field names; *values* has for ``status``, ``priority``
    and ``type`` what each of the file's values became, and whether it was known.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.read = 0
        self.new = 0
        self.known = 0
        self.differing: list[dict[str, str]] = []
        self.fields: dict[str, dict[str, int]] = {}
        self.metadata: dict[str, int] = {}
        self.ignored: dict[str, int] = {}
        self.values: dict[str, dict[str, dict[str, Any]]] = {}
        self.skipped: list[dict[str, str]] = []
        self.texts: list[dict[str, str]] = []
        self.links_missing: list[dict[str, str]] = []
        self.remarks: list[str] = []

    # -- taking down ---------------------------------------------------------------------

    def mapped(self, theirs: str, ours: str) -> None:
        counts = self.fields.setdefault(theirs, {})
        counts[ours] = counts.get(ours, 0) + 1

    def kept(self, theirs: str) -> None:
        self.metadata[theirs] = self.metadata.get(theirs, 0) + 1

    def left(self, theirs: str) -> None:
        self.ignored[theirs] = self.ignored.get(theirs, 0) + 1

    def value(self, field: str, theirs: object, ours: str, *, known: bool) -> dict[str, Any]:
        """The entry of a value of theirs, whose "count" tells how often it stood there."""
        of_field = self.values.setdefault(field, {})
        return of_field.setdefault(shortened(str(theirs)), {"to": ours, "count": 0, "known": known})

    def skip(self, place: str, reason: str) -> None:
        self.skipped.append({"place": place, "reason": reason})

    def text(self, place: str, field: str, problem: str) -> None:
        self.texts.append({"place": place, "field": field, "problem": problem})

    def missing(self, place: str, field: str, target: str) -> None:
        self.links_missing.append({"place": place, "field": field, "target": target})

    # -- telling -------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        return {
            "format": self.source,
            **{name: value for name, value in vars(self).items() if name != "source"},
        }

    def lines(self) -> Iterator[str]:
        """The report for people, one line a subject; nothing about what did not occur."""
        yield f"{_count(self.read, 'task')} in the file: {self.new} new, {self.known} here already"
        renamed = [
            f"{shortened(theirs)} → {ours} ({count})"
            for theirs, targets in self.fields.items()
            for ours, count in targets.items()
            if theirs != ours
        ]
        if renamed:
            yield f"fields: {', '.join(renamed)}"
        for field, values in self.values.items():
            became = [f"{theirs} → {entry['to']} ({entry['count']})" for theirs, entry in values.items()]
            yield f"{field}: {', '.join(became)}"
        for title, counts in (("kept in metadata", self.metadata), ("not taken", self.ignored)):
            if counts:
                yield f"{title}: " + ", ".join(f"{shortened(name)} ({count})" for name, count in counts.items())

    def warnings(self) -> list[str]:
        """What the user should look at, one line each."""
        found = list(self.remarks)
        for field, values in self.values.items():
            unknown = [theirs for theirs, entry in values.items() if not entry["known"]]
            if unknown:
                became = values[unknown[0]]["to"]
                found.append(
                    f"unknown {field} {_some(unknown)}: taken as {became}, the original kept in metadata; "
                    "--map THEIRS=OURS says otherwise"
                )
        found += _grouped("skipped", self.skipped, lambda item: f"{item['place']} ({item['reason']})")
        found += _grouped(
            "text changed", self.texts, lambda item: f"{item['place']}: {item['field']} {item['problem']}"
        )
        found += _grouped(
            "links that lead nowhere, kept in metadata",
            self.links_missing,
            lambda item: f"{item['place']}: {item['field']} {shortened(item['target'])}",
        )
        found += _grouped(
            "here already, differing from the file by now, and left alone",
            self.differing,
            lambda item: f"{item['task_id']} ({item['fields']})",
        )
        return found


def _grouped(title: str, items: list[dict[str, str]], line: Any) -> list[str]:
    return [f"{title}: {_some([line(item) for item in items], separator='; ')}"] if items else []


def _some(texts: list[str], separator: str = ", ") -> str:
    rest = len(texts) - SHOWN
    return separator.join(texts[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

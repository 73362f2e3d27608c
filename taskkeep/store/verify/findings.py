"""What verify and doctor can find: codes, their severities, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog.secrets import redacted
from taskkeep.errors import ConfigInvalid, Usage
from taskkeep.store.layout import BACKLOG

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    Finding = dict[str, Any]

# Told how much of how much is done, and of what.
Progress = Callable[[int, int, str], None]

ERROR, WARNING = "error", "warning"

# Code: severity, severity with a base, and what it finds.
CODES: dict[str, tuple[str, str, str]] = {
    "schema": (ERROR, ERROR, "a file that is not shaped as version 1 says, or as the project narrows it"),
    "duplicate_key": (ERROR, ERROR, "a JSON key given twice in one object"),
    "conflict_marker": (ERROR, ERROR, "conflict markers of a merge in a file"),
    "unreadable": (ERROR, ERROR, "a file that no parser reads, or that is not there"),
    "not_canonical": (ERROR, ERROR, "the right content in other bytes than a save writes"),
    "duplicate_id": (ERROR, ERROR, "two tasks with one id"),
    "duplicate_uid": (ERROR, ERROR, "two tasks with one identity"),
    "dangling_link": (ERROR, ERROR, "a dependency or parent that is not there"),
    "cycle": (ERROR, ERROR, "tasks that wait for one another in a circle"),
    "status_times": (ERROR, ERROR, "a status that does not go with its times, half a claim"),
    "lost_task": (ERROR, ERROR, "a task that is gone without an audited deletion"),
    "reverted_field": (ERROR, ERROR, "a field set back to an older value without an event"),
    "unaudited_change": (ERROR, ERROR, "any other change without an event"),
    "audit_broken": (ERROR, ERROR, "an event altered, cut, given twice or gone"),
    "replay_mismatch": (ERROR, ERROR, "a log that does not give the backlog when it is replayed"),
    "merge_choice": (WARNING, ERROR, "branches that met where one side's value was taken without an event"),
    "missing_why": (ERROR, ERROR, "a deletion without a reason"),
    "unresolved_conflict": (ERROR, ERROR, "an index that holds a file of the backlog unmerged"),
    "pending_commit": (WARNING, ERROR, "a change that is saved and not committed"),
    "interrupted": (WARNING, ERROR, "a save that a crash cut short"),
    "config": (ERROR, ERROR, "a configuration that cannot be read"),
    "config_changed": (WARNING, WARNING, "a configuration, or an exception for a secret, that is not the base's"),
    "secret": (ERROR, ERROR, "a key or token in the text of a task"),
    "damaged_backup": (WARNING, WARNING, "a snapshot that no longer holds"),
}


UNREAD = ("unreadable", "conflict_marker")


class Verdict(NamedTuple):
    """What verify or doctor found; *ok* exactly when the exit status is 0.

    *changes*: with two states compared, what lies between them (see compare.Changes), else None. *ground*: what
    was judged, kept: a command that ends by os._exit shall not spend 60 ms at 10,000 tasks on taking it apart.
    """

    ok: bool
    findings: list[Finding]
    checked: dict[str, Any]
    changes: Any = None
    ground: Any = None


class Findings:
    """Gathers findings, in the form that CONTRACT names; what was said once is not said again."""

    def __init__(self, *, base: bool = False) -> None:
        self.list: list[Finding] = []
        self.base = base
        self._said: dict[tuple[Any, ...], int] = {}

    def add(
        self,
        code: str,
        message: str,
        *,
        severity: str | None = None,
        task_id: str | None = None,
        field: str | None = None,
        file: str | None = BACKLOG,
        line: int | None = None,
        hint: str = "",
    ) -> None:
        """*severity*: that of the code, unless given. A task's field is found once, whoever looks."""
        key: tuple[Any, ...] = (code, task_id, message, file, line)
        if task_id and code in _OF_TASKS:
            key = ("lost_task", task_id) if code == "lost_task" else ("field", task_id, field)
        if key in self._said:
            return
        self._said[key] = len(self.list)
        if severity is None:
            severity = CODES[code][self.base] if code in CODES else ERROR
        self.list.append(
            {
                "code": code,
                "severity": severity,
                "message": redacted(message),
                "task_id": task_id,
                "file": file,
                "line": line or 1 if file else None,
                "hint": hint or _HINTS.get(code, "See 'taskkeep log', and 'git log' of the file."),
            }
        )

    def take(self, other: Findings) -> None:
        """Add what *other* has found and was not said here."""
        for key, place in other._said.items():
            if key not in self._said:
                self._said[key] = len(self.list)
                self.list.append(other.list[place])

    def codes(self) -> set[str]:
        return {finding["code"] for finding in self.list}


# What to do where the error that was found says nothing itself.
_HINTS = {
    "schema": "Mend it by hand, then 'taskkeep adopt'; or 'taskkeep restore --at WHEN' brings a saved state back.",
    "config": ConfigInvalid.otherwise,
}
_OF_TASKS = {"lost_task", "reverted_field", "unaudited_change"}


# What is lost comes first, and last what only sums up the others.
_ORDER = ("lost_task", "reverted_field", "unaudited_change", "missing_why", "merge_choice", "audit_broken")
_LAST = ("not_canonical", "replay_mismatch")


def _weight(one: Finding) -> tuple[Any, ...]:
    code = one["code"]
    rank = _ORDER.index(code) if code in _ORDER else len(_ORDER) + (code in _LAST)
    return "commit" not in one, one["severity"] != ERROR, rank, one["file"] or "", one["line"] or 0


def chosen_codes(codes: Iterable[str], option: str) -> frozenset[str]:
    """The codes that an option names. Raises Usage for one that is not known."""
    found = frozenset(codes)
    for code in sorted(found - CODES.keys()):
        from taskkeep.backlog.task import nearest, shortened

        near = nearest(code, list(CODES))
        hint = f"Did you mean {near[0]}?" if near else f"One of: {' '.join(CODES)}."
        raise Usage(f"{option}: no finding has the code {shortened(code)!r}", hint=hint)
    return found


def settled(
    found: Iterable[Finding],
    checked: dict[str, Any],
    *,
    strict: bool = False,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    changes: Any = None,
) -> Verdict:
    """The verdict on what was found, as far as it counts: not ok with an error, or with *strict* a warning.

    What could not be read counts whatever is asked for: nothing else could be looked for in it.
    """
    counted = [
        one for one in found if one["code"] in UNREAD or ((not only or one["code"] in only) and one["code"] not in skip)
    ]
    counted.sort(key=_weight)
    ok = not any(one["severity"] == ERROR or strict for one in counted)
    return Verdict(ok, counted, checked, changes)

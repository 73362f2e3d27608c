"""How two points in time, or two files, differ."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.difference import difference
from taskkeep.errors import BacklogUnreadable, BadPoint, NotFound
from taskkeep.store.files import read
from taskkeep.store.past.history import History, tasks_of
from taskkeep.store.past.when import resolve_when
from taskkeep.store.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.backlog.difference import Difference
    from taskkeep.store.layout import Root
    from taskkeep.store.past.history import Point


class Compared(NamedTuple):
    """How two states differ; a point of None is the file as it lies."""

    difference: Difference
    before: Point | None
    after: Point | None
    notes: Sequence[str]


def compare(root: Root, before: str | None, after: str | None) -> Compared:
    """Compare two points in time, or what Project.diff says for one or none.

    Raises as resolve_when does, and as a reader of the file as it lies.
    """
    if before is not None and after is not None and all(map(_is_json_file, (before, after))):
        return compare_files(before, after)
    if before is not None and after is None and ".." in before and "/.." not in before and "../" not in before:
        first, _, second = before.partition("..")
        if ".." in second or second.startswith("."):
            raise BadPoint("two points are named as A..B", hint="For what both have in common ask 'git merge-base'.")
        before, after = first or "HEAD", second or "HEAD"
    start = resolve_when(root, before) if before is not None else History(root).last()
    if after is not None:
        end = resolve_when(root, after)
        found = difference(start.backlog(), end.backlog())
        return Compared(found, start.point, end.point, [*start.notes, *end.notes])
    try:
        return Compared(difference(start.backlog(), Reading(root).backlog()), start.point, None, start.notes)
    except BacklogUnreadable as error:
        if os.path.lexists(root.backlog):
            raise
        left = Backlog({}, start.backlog().archived)
        notes = [*start.notes, f"{error.message}: each of its tasks counts as removed"]
        return Compared(difference(start.backlog(), left), start.point, None, notes)


def compare_files(before: str, after: str) -> Compared:
    """Compare two files of the shape of backlog.json. Raises BacklogUnreadable, NotFound."""
    states = []
    for path in (before, after):
        try:
            data = read(path, limit=text.MAX_BYTES)[0]
        except FileNotFoundError:
            raise NotFound(f"there is no file {path[:200]!r}") from None
        states.append(Backlog(tasks_of(data, os.path.basename(path))))
    return Compared(difference(*states), None, None, [])


def _is_json_file(name: str) -> bool:
    return name.endswith(".json") and os.path.isfile(name)

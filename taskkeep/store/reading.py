"""backlog.json as a reader finds it: no lock is taken, and bytes that a writer checked are not checked again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.errors import BacklogUnreadable
from taskkeep.store import record
from taskkeep.store.files import FileId, read
from taskkeep.store.layout import ARCHIVE, BACKLOG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskkeep.backlog.query import Page, Query
    from taskkeep.backlog.task import Task
    from taskkeep.store.layout import Root

T = TypeVar("T")


class Reading:
    """The file as it lay when this was made; *data* its bytes."""

    def __init__(self, root: Root) -> None:
        """Raises BacklogUnreadable, which says who still has the last saved state."""
        self._root = root
        try:
            self._load()
        except BacklogUnreadable:
            self._again(self._load)
        # Kept, not for reading again: a command that ends by os._exit shall not spend 25 ms at 10,000 tasks
        # on taking them apart.
        self._kept: Backlog | None = None

    def _load(self) -> None:
        try:
            self.data, found = read(self._root.backlog, limit=text.MAX_BYTES)
        except FileNotFoundError:
            from taskkeep.store.save import missing_backlog

            raise missing_backlog() from None
        self._file = FileId.of(found)
        self._checked = record.checked(self._root)
        self._trusted = self._checked[0] == list(self._file) and text.is_of_this_version(self.data)

    def _again(self, reading: Callable[[], T]) -> T:
        """A second try, for git may have been at work; after that the error says who has the last saved state."""
        from taskkeep.store.past.witnesses import with_witnesses
        from taskkeep.store.patience import patiently

        try:
            return patiently(self._root, reading)
        except BacklogUnreadable as error:
            raise with_witnesses(self._root, error) from None

    def backlog(self, *, archived: bool = True) -> Backlog:
        """Raises BacklogUnreadable, InvalidField."""
        try:
            self._kept = self._decoded(archived)
        except BacklogUnreadable:
            self._kept = self._again(lambda: self._anew(archived))
        return self._kept

    def _anew(self, archived: bool) -> Backlog:
        self._load()
        return self._decoded(archived)

    def _decoded(self, archived: bool) -> Backlog:
        if self._trusted:
            live = {task["id"]: task for task in text.parse_trusted(self.data)}
        else:
            live = _shaped(text.parse(self.data), BACKLOG)
        return Backlog(live, self._archive() if archived else {})

    def _archive(self) -> dict[str, Task]:
        try:
            data, found = read(self._root.archive, limit=text.MAX_BYTES)
        except FileNotFoundError:
            return {}
        if self._checked[1] == list(FileId.of(found)):
            return {task["id"]: task for task in text.parse_trusted(data)}
        return _shaped(text.parse(data, ARCHIVE), ARCHIVE)

    def rows(self, *, archive_counts: bool = True) -> list[str] | None:
        """The outline of a large file that a writer has checked; None without one, or with an archive that counts."""
        from taskkeep.store import outline

        if not self._trusted or (archive_counts and os.path.lexists(self._root.archive)):
            return None
        return outline.rows_of(self._root, self._file)

    def tasks(self, ids: Sequence[str]) -> tuple[list[Task], list[str]]:
        """Tasks by id or alias, archived ones too, and what is to be said of aliases.

        Raises TaskNotFound, AmbiguousId.
        """
        if self._trusted:
            names = [name.strip().upper() for name in ids]
            found = text.find_tasks(self.data, set(names))
            if found.keys() >= set(names) and not text.has_alias(self.data, names):
                return [found[name] for name in names], []
        backlog = self.backlog()
        return [backlog.find(task_id) for task_id in ids], backlog.warnings_for(ids)

    def page(self, query: Query, *, best: bool, now: str, today: str, actor: str = "") -> Page:
        """The page of `list`, or with *best* of `ready`.

        A page of checked bytes, by what stands in few fields, is found without decoding all others.
        A law of the tests holds it to the plain way.
        """
        from taskkeep.backlog.query import is_plain, ready, select, select_rows

        choose = ready if best else select
        rows = self.rows(archive_counts=best or query.ready or query.archived) if is_plain(query) else None
        if rows is None:
            return choose(self.backlog(), query, now=now, actor=actor, today=today)
        if best or query.ready:
            from taskkeep.backlog.outline import ready_stubs

            self._kept = Backlog(ready_stubs(rows))
            page = choose(self._kept, query, now=now, today=today)
        else:
            page = select_rows(rows, query)
        full = text.find_tasks(self.data, [task["id"] for task in page.tasks])
        return page._replace(tasks=[full[task["id"]] for task in page.tasks])


def _shaped(tasks: list[Task], name: str) -> dict[str, Task]:
    """Return tasks by id. Raises InvalidField, BacklogUnreadable for what is not shaped as version 1."""
    from taskkeep.backlog.shape import quick_ok

    if not all(map(quick_ok, tasks)):
        from taskkeep.store.validate import check_tasks

        check_tasks(tasks, unknown_fields=True)
    found = {task["id"]: task for task in tasks}
    if len(found) < len(tasks):
        from taskkeep.store.validate import refuse_double_ids

        refuse_double_ids(tasks, name)
    return found

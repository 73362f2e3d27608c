"""A backlog that somebody or some model rewrote as a whole, against ours or against the state it was written upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.backlog.difference import difference
from taskkeep.backlog.rewrite import Past, Rewriting, allowed, refuse_losses, stubs
from taskkeep.store import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskkeep.backlog.backlog import Backlog
    from taskkeep.backlog.difference import Difference
    from taskkeep.backlog.rewrite import Row
    from taskkeep.store.layout import Root
    from taskkeep.store.save import Context


class Application:
    """The change that makes a backlog equal *rows*; *difference* tells it, once it was made."""

    def __init__(
        self,
        root: Root,
        rows: Sequence[Row],
        told: Iterable[str],
        *,
        base: str | None,
        delete: Iterable[str],
        revert: Iterable[str],
    ) -> None:
        self._root, self._rows, self._told = root, rows, list(told)
        self._base, self._delete, self._revert = base, delete, revert
        self.difference: Difference | None = None

    def change(self, before: Backlog, context: Context) -> Backlog:
        """Return the backlog that the rows ask for. Raises what Project.apply says."""
        past = Past(log.read_all(self._root))
        rewriting = Rewriting(
            before,
            past,
            new_id=context.new_id,
            new_uid=context.new_uid,
            now=context.now,
            actor=context.actor,
            by_hand=False,
        )
        after, told = rewriting.wanted(self._rows)
        refuse_losses(before, after, past, allowed(before, after, self._delete, self._revert), cuts=True)
        self.difference = difference(before, after)
        context.warn([*self._told, *told, *stubs(before, after)])
        return after

"""A backlog that somebody or some model rewrote as a whole, against ours or against the state it was written upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.backlog.claims import refuse_claimed
from taskkeep.backlog.difference import difference
from taskkeep.backlog.rewrite import Past, Rewriting, allowed, refuse_losses, stubs, untouched, upon
from taskkeep.errors import Conflicting
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
        force: bool,
    ) -> None:
        self._root, self._rows, self._told = root, rows, list(told)
        self._base, self._delete, self._revert, self._force = base, delete, revert, force
        self.difference: Difference | None = None

    def change(self, before: Backlog, context: Context) -> Backlog:
        """Return the backlog that the rows ask for. Raises what Project.apply says."""
        past = Past(log.read_all(self._root))
        ground = before if self._base is None else self._ground(self._base, before)
        rewriting = Rewriting(
            ground,
            past,
            new_id=context.new_id,
            new_uid=context.new_uid,
            now=context.now,
            actor=context.actor,
            by_hand=False,
            current=before,
        )
        after, told = rewriting.wanted(self._rows)
        if ground is not before:
            from taskkeep.backlog.merge import merge

            after, conflicts = merge(ground, before, after)
            if conflicts:
                raise Conflicting([conflict._asdict() for conflict in conflicts])
            after = untouched(before, after)
        refuse_losses(before, after, past, allowed(before, after, self._delete, self._revert), cuts=True)
        if not self._force:
            refuse_claimed(before, after, now=context.now, actor=context.actor)
        self.difference = difference(before, after)
        context.warn([*self._told, *told, *stubs(before, after)])
        return after

    def _ground(self, base: str, before: Backlog) -> Backlog:
        """What the file was written upon. Raises what resolving a point in time raises."""
        from taskkeep.store.past.when import resolve_when

        return upon(resolve_when(self._root, base).backlog(), before, self._rows)

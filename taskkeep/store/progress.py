"""How far a long walk is, told to whoever wants to show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Show = Callable[[int, int, str], None]

T = TypeVar("T")
_watcher: list[Show] = []


def watch(show: Show | None) -> None:
    """From now on tell *show* how many things of how many are behind, and what is being done; None: nobody."""
    _watcher[:] = [show] if show is not None else []


def steps(things: Sequence[T], what: str) -> Iterator[T]:
    """The things, one after another, each told before it is handed out."""
    return _told(things, what, _watcher[0]) if _watcher else iter(things)


def _told(things: Sequence[T], what: str, show: Show) -> Iterator[T]:
    total = len(things)
    try:
        for number, thing in enumerate(things):
            show(number, total, what)
            yield thing
    finally:
        show(total, total, what)

"""Ctrl-C and its like, held back while a save is under way."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

from taskkeep.errors import Interrupted
from taskkeep.store.git.repository import HELD_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """Hold Ctrl-C and its like back until the save has ended; what came meanwhile is dropped at the end.

    check_interrupt() looks, while nothing has been done yet.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    try:
        yield
    finally:
        waiting = signal.sigpending() & set(HELD_SIGNALS)
        handlers = {}
        for number in waiting:
            with contextlib.suppress(ValueError):  # not in the main thread: then the handler is not ours
                handlers[number] = signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def check_interrupt() -> None:
    """Raise Interrupted where a signal waits; called while the old state stands."""
    if hasattr(signal, "sigpending") and signal.sigpending() & set(HELD_SIGNALS):
        raise Interrupted

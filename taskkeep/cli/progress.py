"""A bar on stderr for what takes longer than half a second."""

from __future__ import annotations

import time

from taskkeep.cli.output import write_err

WAIT = 0.5  # seconds before it shows at all
PAUSE = 0.1  # seconds between two drawings
WIDTH = 24


class Bar:
    """Draws how far a walk is, over itself; at the end of the walk nothing of it is left."""

    def __init__(self) -> None:
        self._what = ""
        self._due = 0.0
        self._drawn = False

    def __call__(self, number: int, total: int, what: str = "") -> None:
        if number >= total:
            if self._drawn:
                write_err("\r\x1b[K")
            self._what, self._drawn, self._due = "", False, 0.0
            return
        now = time.monotonic()
        if not self._due or what != self._what:
            self._what, self._due = what, self._due or now + WAIT
        if now >= self._due:
            self._due, self._drawn = now + PAUSE, True
            done = WIDTH * number // total
            bar = ("=" * done + ">" + " " * WIDTH)[:WIDTH]
            write_err(f"\r{what or 'working'} [{bar}] {100 * number // total}%\x1b[K")

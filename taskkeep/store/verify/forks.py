"""Looking through many things at once, by forks of this process, where that is safe and worth it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 4


def processors() -> int:
    """How many may look at once; 1 where forks are not safe: beside other threads, and on other systems."""
    if sys.platform != "linux":
        return 1
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        return 1
    return min(len(os.sched_getaffinity(0)), MOST)


class Forks:
    """*look* is asked for the numbers from one up to another that are to be told; here for all below *count*.

    The forks begin at once. What one of them does not answer, whatever became of it, is looked for in this process.
    """

    def __init__(self, look: Callable[[int, int], list[int]], count: int) -> None:
        self._look = look
        many = processors()
        self._parts = [(count * part // many, count * (part + 1) // many) for part in range(many)]
        self._children: list[tuple[int, int] | None] = []
        if many > 1:
            self._children = [self._start(*part) for part in self._parts]

    @property
    def parts(self) -> int:
        """How many parts are looked through."""
        return len(self._parts)

    def _start(self, start: int, stop: int) -> tuple[int, int] | None:
        """Fork; the child's number and the end of the pipe that it answers through."""
        ours, theirs = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(ours)
            os.close(theirs)
            return None
        if not pid:  # pragma: no cover - in another process
            self._answer(theirs, start, stop)
        os.close(theirs)
        return pid, ours

    def _answer(self, pipe: int, start: int, stop: int) -> None:  # pragma: no cover - in another process
        """The child's whole life. It shares everything with its parent, so it must not even unwind."""
        status = 1
        with contextlib.suppress(BaseException):
            data = memoryview(" ".join(map(str, self._look(start, stop))).encode())
            while data:
                data = data[os.write(pipe, data) :]
            status = 0
        os._exit(status)

    def found(self) -> list[int]:
        """The numbers, ascending."""
        answers = [
            _read(*child) if child is not None else None for child in self._children or [None] * len(self._parts)
        ]
        found: list[int] = []
        for part, answer in zip(self._parts, answers, strict=True):
            found += self._look(*part) if answer is None else answer
        return found


def _read(pid: int, pipe: int) -> list[int] | None:
    pieces = []
    while piece := os.read(pipe, 1 << 16):
        pieces.append(piece)
    os.close(pipe)
    _, status = os.waitpid(pid, 0)
    if status:
        return None
    return [int(number) for number in b"".join(pieces).split()]

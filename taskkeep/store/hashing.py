"""A sha256 made in a thread of its own, where the data are worth one."""

from __future__ import annotations

from hashlib import sha256

THREAD_FROM = 1 << 20  # bytes from which on a thread is worth its start


class Hashing:
    """The hash of *data*, begun now; hashlib lets other threads run meanwhile."""

    def __init__(self, data: bytes) -> None:
        self._hash = sha256()
        self._thread = None
        if len(data) < THREAD_FROM:
            self._hash.update(data)
            return
        import threading

        self._thread = threading.Thread(target=self._hash.update, args=(data,))
        self._thread.start()

    def hexdigest(self) -> str:
        if self._thread is not None:
            self._thread.join()
        return self._hash.hexdigest()

"""The writers' lock: the kernel's, on a file of the working tree."""

from __future__ import annotations

import os
import stat
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from taskkeep.errors import BacklogLocked, ForeignFile, NoWorkingLock
from taskkeep.store.files import BINARY, NO_FOLLOW, disk_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

POLL = 0.005  # filelock's own 50 ms made eight writers wait 900 ms, 5 ms made it 120


@contextmanager
def writer_lock(path: str, *, wait: float) -> Iterator[int]:
    """Be the only writer of the backlog; readers need no lock. Yields the lock's descriptor.

    Waits up to *wait* seconds; 0 tries once. The lock is the kernel's and ends with the process that
    holds it, or with the last git child that inherited the descriptor: a git that outlives us after
    a kill still keeps others out.

    Raises BacklogLocked when the time is up, NoWorkingLock where the file system has none.
    """
    deadline = time.monotonic() + wait
    while True:
        fd = _open(path)
        try:
            while True:
                try:
                    held = _take(fd)
                except OSError as error:
                    raise NoWorkingLock(
                        f"this file system offers no lock ({error.strerror}); nothing was changed",
                        hint="Keep the backlog on a local file system.",
                    ) from error
                if held:
                    break
                if time.monotonic() >= deadline:
                    holder = _holder(fd)
                    raise BacklogLocked(
                        f"another taskkeep{holder} is writing; waited {wait:g} s",
                        hint="Run the command again, or wait longer with --wait.",
                    )
                time.sleep(POLL)
            if not _is_at(fd, path):
                continue  # `git clean` took the file away meanwhile: the lock of a nameless file excludes nobody
            _note_holder(fd)
            os.set_inheritable(fd, True)
            yield fd
            return
        finally:
            os.close(fd)


if sys.platform == "win32":

    def _take(fd: int) -> bool:
        from filelock import lock_descriptor

        return lock_descriptor(fd, blocking=False)

    _look = _take

else:

    def _take(fd: int) -> bool:
        """Try once. The same lock as filelock's lock_descriptor, without its import of 15 ms."""
        import fcntl

        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _look(fd: int) -> bool:
        """Could it be taken? Readers that look at once do not hinder each other."""
        import fcntl

        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _open(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOW | BINARY | getattr(os, "O_NONBLOCK", 0), 0o600)
    except OSError as error:
        raise disk_fault("cannot open the lock", error) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ForeignFile("the lock is no plain file", hint="Take .taskkeep/local/lock away.")
    return fd


def _is_at(fd: int, path: str) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(fd), there)


def _note_holder(fd: int) -> None:
    """Write our process id where those who wait can read it; only a courtesy, so a fault is no fault."""
    note = b"%-20d\n" % os.getpid()
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, note)
    except OSError:
        return


def _holder(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    text = os.read(fd, 32).strip()
    return f" (process {int(text)})" if text.isdigit() else ""


def is_locked(path: str) -> bool:
    """Is a writer at work? For readers: writes nothing, and keeps nobody out for longer than it takes to look."""
    try:
        fd = os.open(path, os.O_RDONLY | NO_FOLLOW | BINARY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False  # no writer has ever been here, or none that could hold this
    try:
        return not _look(fd)
    except OSError:
        return False  # no lock on this file system, so that nobody can hold one
    finally:
        os.close(fd)

"""The lock shuts out whoever takes it with filelock, and the other way round."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import lock_descriptor

from taskkeep.errors import BacklogLocked
from taskkeep.store.lock import is_locked, writer_lock


def test_it_is_the_lock_of_filelock(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with writer_lock(path, wait=0):
        fd = os.open(path, os.O_RDWR)
        try:
            assert not lock_descriptor(fd, blocking=False)
        finally:
            os.close(fd)
    fd = os.open(path, os.O_RDWR)
    try:
        assert lock_descriptor(fd, blocking=False)
        with pytest.raises(BacklogLocked), writer_lock(path, wait=0):
            pass
    finally:
        os.close(fd)


def test_a_reader_can_see_whether_a_writer_is_at_work(tmp_path: Path) -> None:
    """It makes no file, and the writer who comes next is not hindered."""
    path = str(tmp_path / "lock")
    assert not is_locked(path)
    assert not os.path.exists(path)
    with writer_lock(path, wait=0):
        assert is_locked(path)
        before = (tmp_path / "lock").read_bytes()
    assert not is_locked(path)
    assert (tmp_path / "lock").read_bytes() == before
    with writer_lock(path, wait=0):
        assert is_locked(path)

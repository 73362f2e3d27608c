"""The few ways in which files are read and written: what each promises of the file, its mode and what was there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from taskkeep.errors import BacklogUnreadable, DiskFault
from taskkeep.store import files

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes and links")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755])
def test_a_new_file_has_the_mode_that_was_asked_for_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    for umask in (0o000, 0o077):
        before = os.umask(umask)
        try:
            files.write_new(str(tmp_path / f"new {umask}"), [b"one ", b"two"], mode=mode)
            files.replace(str(tmp_path / f"put {umask}"), [b"one ", b"two"], tmp=str(tmp_path / "tmp"), mode=mode)
        finally:
            os.umask(before)
        for path in (tmp_path / f"new {umask}", tmp_path / f"put {umask}"):
            assert (path.read_bytes(), mode_of(path)) == (b"one two", mode)
    assert not (tmp_path / "tmp").exists()


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    """Nor that of a link to nowhere, through which it would land elsewhere."""
    (tmp_path / "there").write_bytes(b"theirs")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("there", "link"):
        with pytest.raises(FileExistsError):
            files.write_new(str(tmp_path / name), [b"ours"])
    assert (tmp_path / "there").read_bytes() == b"theirs"
    assert not (tmp_path / "nowhere").exists()


def test_a_new_file_that_could_not_be_written_whole_is_none(tmp_path: Path) -> None:
    def pieces() -> object:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.write_new(str(tmp_path / "new"), pieces())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_what_is_replaced_is_the_old_file_until_it_is_the_new_one(tmp_path: Path) -> None:
    """And what lay in the place of the new one meanwhile, as after a crash, is none of it."""
    path, tmp = tmp_path / "file", tmp_path / "tmp"
    path.write_bytes(b"old")
    tmp.write_bytes(b"left by somebody, and longer")

    files.replace(str(path), [b"new"], tmp=str(tmp))

    assert path.read_bytes() == b"new"
    assert not tmp.exists()


def test_what_is_added_stands_at_the_end_and_what_is_overwritten_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    before = os.umask(0o000)
    try:
        for piece in (b"one\n", b"two\n"):
            files.append(str(path), piece)
        assert (path.read_bytes(), mode_of(path)) == (b"one\ntwo\n", 0o600)
        files.overwrite(str(path), b"x\n")
        assert path.read_bytes() == b"x\n"
        files.overwrite(str(tmp_path / "new"), b"y\n")
        assert mode_of(tmp_path / "new") == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 200_000])
def test_a_file_is_read_whole_and_with_its_own_status(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    data, found = files.read(str(path), limit=size)
    assert data == path.read_bytes()
    assert files.FileId.of(found) == files.FileId.of(path.stat())
    if size:
        with pytest.raises(BacklogUnreadable, match="file is larger than 0 MiB"):
            files.read(str(path), limit=size - 1)


def test_what_is_no_plain_file_is_named_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    for name, kind in (("folder", "a folder"), ("link", "a symbolic link"), ("pipe", "no plain file")):
        with pytest.raises(BacklogUnreadable, match=f"^{name} is {kind}$") as refused:
            files.read(str(tmp_path / name))
        assert refused.value.details["plain"] is False
        assert "Put a plain file in its place" in refused.value.hint
    with pytest.raises(FileNotFoundError):
        files.read(str(tmp_path / "nothing"))
    with pytest.raises(DiskFault, match="cannot read file"):
        files.read(str(tmp_path / "pipe" / "file"))


def test_a_touched_file_is_another(tmp_path: Path) -> None:
    """Of the same size too, and where its time was set back."""
    path = tmp_path / "file"
    path.write_bytes(b"one")
    before = path.stat()
    seen = files.FileId.of(before)
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files.FileId.of(path.stat()) != seen

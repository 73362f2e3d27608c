"""Reading and replacing files so that a crash or a full disk leaves the old one or the new one."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from taskkeep.errors import BacklogUnreadable, DiskFault

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
BINARY = getattr(os, "O_BINARY", 0)


class FileId(tuple[int, ...]):
    """What tells whether a file was touched: inode, size, modification and change time in ns."""

    @classmethod
    def of(cls, found: os.stat_result) -> FileId:
        return cls((found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


# Nothing is put in the place of what may be somebody's way of keeping the file elsewhere.
PLAIN = "Put a plain file in its place, or take it away: 'taskkeep restore --at WHEN' brings a saved state back."


def read(path: str, *, limit: int | None = None) -> tuple[bytes, os.stat_result]:
    """Return the bytes of a plain file and its status; links, folders and pipes are refused.

    Raises FileNotFoundError, BacklogUnreadable, DiskFault.
    """
    name = os.path.basename(path)
    try:
        fd = os.open(path, os.O_RDONLY | NO_FOLLOW | CLOSE_ON_EXEC | BINARY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise BacklogUnreadable("unreadable", f"{name} is a symbolic link", hint=PLAIN, plain=False) from None
        raise disk_fault(f"cannot read {name}", error) from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no plain file"
            raise BacklogUnreadable("unreadable", f"{name} is {kind}", hint=PLAIN, plain=False)
        if limit is not None and found.st_size > limit:
            raise BacklogUnreadable("unreadable", f"{name} is larger than {limit >> 20} MiB")
        pieces = []
        while piece := os.read(fd, max(found.st_size + 1, 65536)):
            pieces.append(piece)
    except OSError as error:
        raise disk_fault(f"cannot read {name}", error) from error
    finally:
        os.close(fd)
    return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), found


def write_new(path: str, pieces: Iterable[bytes], *, mode: int = 0o644, sync: bool = True) -> None:
    """Create *path*, which must not exist, with *pieces* in it; removed again where that fails.

    *mode* is what the file has in the end, whatever the umask. Raises OSError.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | CLOSE_ON_EXEC | BINARY, mode)
    try:
        try:
            for piece in pieces:
                write_all(fd, piece)
            if os.name != "nt" and stat.S_IMODE(os.fstat(fd).st_mode) != mode:
                os.fchmod(fd, mode)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        remove(path)
        raise


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def append(path: str, data: bytes, *, mode: int = 0o600, sync: bool = False) -> None:
    """Add *data* at the end of a file, which is made where there is none. Raises OSError."""
    _write(path, data, os.O_APPEND, mode, sync)


def overwrite(path: str, data: bytes) -> None:
    """Write *data* over what a file holds: for what is derived, which a crash may leave cut off. Raises OSError."""
    _write(path, data, os.O_TRUNC, 0o600, sync=False)


def _write(path: str, data: bytes, how: int, mode: int, sync: bool) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | how | CLOSE_ON_EXEC | BINARY, mode)
    try:
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: str, pieces: Iterable[bytes], *, tmp: str, mode: int = 0o644, sync: bool = True) -> None:
    """Put a new file in the place of *path* by way of *tmp* on the same file system. Raises OSError."""
    remove(tmp)
    write_new(tmp, pieces, mode=mode, sync=sync)
    try:
        os.replace(tmp, path)
    except BaseException:
        remove(tmp)
        raise
    if sync:
        sync_folder(os.path.dirname(path))


def link_or_copy(path: str, target: str) -> None:
    """Give a file a second name, or where the file system has no hard links a synced copy. Raises OSError."""
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV):
            raise
        data, found = read(path)
        write_new(target, [data], mode=stat.S_IMODE(found.st_mode))


def remove(path: str) -> bool:
    """Remove a file; True where it was there and is gone. A refusal leaves it, for the next writer to clear."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def sync_folder(path: str) -> None:
    """Make the names in a folder durable. Windows has no such call, and NTFS logs its names."""
    if os.name != "nt":
        _sync(path, os.O_RDONLY)


def sync_file(path: str) -> None:
    """Make durable what another wrote into a file. Raises OSError."""
    _sync(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)


def _sync(path: str, how: int) -> None:
    fd = os.open(path, how | CLOSE_ON_EXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: str, mode: int = 0o777) -> bool:
    """Make a folder, its name durable; True where it was not there. Raises OSError."""
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return False
    sync_folder(os.path.dirname(path))
    return True


def disk_fault(what: str, error: OSError, *, uncertain: bool = False, left: str = "nothing was changed") -> DiskFault:
    """Return the error for a step that the disk or its permissions refused; *left*: what stands now."""
    reason = error.strerror or str(error)
    hints = {
        errno.ENOSPC: "Free some space and run the command again.",
        errno.EDQUOT: "Your quota is used up; free some space and run the command again.",
        errno.EACCES: "Look at the permissions of the backlog's folder.",
        errno.EPERM: "Look at the permissions of the backlog's folder.",
        errno.EROFS: "The file system is mounted read-only.",
        errno.EMFILE: "Too many files are open; close some and run the command again.",
    }
    hint = hints.get(error.errno or 0, "Look at the disk, then run the command again.")
    if uncertain:
        message = f"{what}: {reason}; the outcome is uncertain, the next command that writes settles it"
    else:
        message = f"{what}: {reason}; {left}"
    return DiskFault(message, hint=hint, errno=error.errno, uncertain=uncertain)

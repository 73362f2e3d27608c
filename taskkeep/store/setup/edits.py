"""Changes to files of the user's, which are shown before they are made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from taskkeep.errors import BacklogUnreadable, ForeignFile
from taskkeep.store.files import disk_fault, read, remove, sync_folder, write_new

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST = 1 << 20


class FileEdit(NamedTuple):
    """One file before and after; None where there is none. *path* is absolute, *name* what people call it."""

    name: str
    path: str
    before: bytes | None
    after: bytes | None
    mode: int = 0o644

    @property
    def action(self) -> str:
        if self.before == self.after:
            return "unchanged"
        if self.before is None:
            return "created"
        return "removed" if self.after is None else "changed"


def decoded(data: bytes) -> str:
    """Text that `encoded` makes the same bytes of, whatever they are."""
    return data.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def found(name: str, path: str, *, within: str | None = None) -> tuple[str, bytes | None, int]:
    """Return the path a file really has, links followed, its bytes (None where there is none) and its mode.

    Raises ForeignFile where it leads out of the folder *within*, or is no plain file or too large; DiskFault.
    """
    real = os.path.realpath(path)
    if within is not None and os.path.commonpath([real, os.path.realpath(within)]) != os.path.realpath(within):
        raise ForeignFile(f"{name} leads out of {within}", hint="Put a plain file there, or leave it to its owner.")
    try:
        data, status = read(real, limit=MOST)
    except FileNotFoundError:
        return real, None, 0o644
    except BacklogUnreadable as error:
        raise ForeignFile(f"{name}: {error.message}", hint="Put a plain file there.") from None
    return real, data, status.st_mode & 0o777


def difference(edits: Sequence[FileEdit]) -> str:
    """The edits as a unified difference."""
    return "".join(f"{line}\n" for edit in edits for line in _difference(edit))


def _difference(edit: FileEdit) -> Iterator[str]:
    from difflib import unified_diff

    before, after = (decoded(data or b"").splitlines() for data in (edit.before, edit.after))
    old = os.devnull if edit.before is None else edit.name
    new = os.devnull if edit.after is None else edit.name
    yield from unified_diff(before, after, old, new, lineterm="")


def carry_out(edits: Sequence[FileEdit], top: str, *, done: Sequence[str] = ()) -> None:
    """Write what the edits say, each file by a rename; folders below *top* that are empty then go too.

    Raises DiskFault; the edits before the one that failed then stand, and it names them after what was *done* before.
    """
    stand = [*done]
    for edit in edits:
        if edit.before == edit.after:
            continue
        try:
            _carry_out(edit, os.path.realpath(top))
        except OSError as error:
            left = f"done before: {', '.join(stand)}" if stand else "nothing was changed"
            raise disk_fault(f"{edit.name} cannot be written", error, left=left) from error
        stand.append(f"{edit.name} {edit.action}")


def _carry_out(edit: FileEdit, top: str) -> None:
    folder = os.path.dirname(edit.path)
    if edit.after is None:
        os.unlink(edit.path)
        sync_folder(folder)
        _drop_empty_folders(folder, top)
        return
    os.makedirs(folder, exist_ok=True)
    # Not by way of .taskkeep/local: the folder may lie on another file system.
    tmp = f"{edit.path}.taskkeep-{os.getpid()}"
    remove(tmp)
    write_new(tmp, [edit.after], mode=edit.mode)
    try:
        os.replace(tmp, edit.path)
    except BaseException:
        remove(tmp)
        raise
    sync_folder(folder)


def _drop_empty_folders(folder: str, top: str) -> None:
    while folder.startswith(top + os.sep) and os.path.basename(folder) != "hooks":
        try:
            os.rmdir(folder)
        except OSError:
            return  # somebody else's files are in it
        folder = os.path.dirname(folder)

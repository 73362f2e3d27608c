"""What init writes beside the backlog, and uninstall takes out again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from taskkeep.errors import ForeignFile
from taskkeep.store.files import read, replace
from taskkeep.store.layout import ATTRIBUTES, CONFIG, SCHEMA
from taskkeep.store.schemas import schema_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root

BEGIN = "# >>> taskkeep >>>"
END = "# <<< taskkeep <<<"
LINES = (
    "backlog.json text eol=lf merge=taskkeep",
    "backlog.archive.json text eol=lf merge=taskkeep",
    ".taskkeep/audit/** text eol=lf linguist-generated",
)
BLOCK = "\n".join((BEGIN, *LINES, END)) + "\n"


def with_block(text: str) -> str:
    """Return attributes with our lines between their markers, once. All else stays."""
    rest = without_block(text)
    return (rest if not rest or rest.endswith("\n") else rest + "\n") + BLOCK


def without_block(text: str) -> str:
    """Return attributes without our lines and their markers. All else stays."""
    start = text.find(BEGIN)
    end = text.find(END, start)
    if start < 0 or end < 0:
        return text
    after = text[end + len(END) :]
    return text[:start] + after.removeprefix("\r").removeprefix("\n")


def write_setup(root: Root, ids: str, repository: Repository | None) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Write schema, configuration and attributes; returns what to commit, and what to stage, by path.

    The user's own changes to .gitattributes, staged or not, stay theirs: each version of the file
    gets our lines and nothing of another. Raises OSError, ForeignFile.
    """
    os.makedirs(root.tmp, exist_ok=True)
    committed: dict[str, bytes] = {}
    staged: dict[str, bytes] = {}
    _write(root, SCHEMA, schema_text("backlog.schema.json"), committed)
    if ids == "sequential" and not os.path.lexists(root.config):
        _write(root, CONFIG, b'ids = "sequential"\n', committed)
    elif os.path.lexists(root.config):
        committed[CONFIG] = read(root.config)[0]
    if repository is None:
        return committed, staged
    path = root.in_root(ATTRIBUTES)
    if os.path.islink(path):
        raise ForeignFile(".gitattributes is a symbolic link", hint="Put a plain file there.")
    try:
        here = read(path)[0]
    except FileNotFoundError:
        here = b""
    versions = repository.reads([f"HEAD:{repository.prefix}{ATTRIBUTES}", f":0:{repository.prefix}{ATTRIBUTES}"])
    head, index = (found[2] if found and found[1] == "blob" else None for found in versions)
    _write(root, ATTRIBUTES, _block_in(here), {})
    committed[ATTRIBUTES] = _block_in(head or b"")
    if index is not None and index != head:
        staged[ATTRIBUTES] = _block_in(index)
    return committed, staged


def _block_in(data: bytes) -> bytes:
    return with_block(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _write(root: Root, relative: str, data: bytes, committed: dict[str, bytes]) -> None:
    path = root.in_root(relative)
    try:
        there = read(path)[0]
    except FileNotFoundError:
        there = None
    if there != data:
        mode = os.stat(path).st_mode & 0o777 if there is not None else 0o644
        replace(path, [data], tmp=os.path.join(root.tmp, "setup"), mode=mode)
    committed[relative] = data


def uninstall(root: Root) -> Sequence[str]:
    """Take our lines out of .gitattributes, uncommitted; returns what was taken out. Raises OSError."""
    path = root.in_root(ATTRIBUTES)
    try:
        data, found = read(path)
    except FileNotFoundError:
        return []
    text = data.decode("utf-8", "surrogateescape")
    rest = without_block(text)
    if rest == text:
        return []
    if rest.strip():
        os.makedirs(root.tmp, exist_ok=True)
        replace(
            path,
            [rest.encode("utf-8", "surrogateescape")],
            tmp=os.path.join(root.tmp, "setup"),
            mode=found.st_mode & 0o777,
        )
    else:
        os.unlink(path)
    return [f"the lines of taskkeep in {ATTRIBUTES}"]

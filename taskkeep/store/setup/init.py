"""What init writes beside the backlog: schema, configuration, and our lines in .gitattributes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from taskkeep.errors import ForeignFile, GitUnavailable
from taskkeep.store.files import read, replace
from taskkeep.store.git.commit import read_head
from taskkeep.store.git.contents import refuse_unread
from taskkeep.store.layout import ATTRIBUTES, CONFIG, SCHEMA
from taskkeep.store.schemas import schema_text
from taskkeep.store.setup.edits import FileEdit, decoded, encoded, found
from taskkeep.store.setup.marked import Block, with_block, without_block

if TYPE_CHECKING:
    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root

LINES = (
    "backlog.json text eol=lf merge=taskkeep",
    "backlog.archive.json text eol=lf merge=taskkeep",
    ".taskkeep/audit/** text eol=lf linguist-generated",
)
BLOCK = Block("# >>> taskkeep >>>", "\n".join(LINES), "# <<< taskkeep <<<")


def write_setup(root: Root, ids: str, repository: Repository | None) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Write schema, configuration and attributes; returns what to commit, and what to stage, by path.

    The user's own changes to .gitattributes, staged or not, stay theirs: each version of the file
    gets our lines and nothing of another. Raises OSError, ForeignFile, GitUnavailable.
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
    if head is None and (commit := read_head(repository).commit) is not None:
        refuse_unread(repository, commit, [ATTRIBUTES])
    if index is None and any(" 0\t" in row for row in repository.run("ls-files", "-s", "-z", "--", ATTRIBUTES).rows):
        raise GitUnavailable(f"git cannot read the {ATTRIBUTES} that is staged", hint="Run 'git status'.")
    _write(root, ATTRIBUTES, _block_in(here), {})
    committed[ATTRIBUTES] = _block_in(head or b"")
    if index is not None and index != head:
        staged[ATTRIBUTES] = _block_in(index)
    return committed, staged


def has_lines(root: Root) -> bool:
    """Does .gitattributes, as it lies here, hold our lines as they are today?"""
    try:
        with open(root.in_root(ATTRIBUTES), encoding="utf-8", errors="replace") as file:
            return BLOCK.text in file.read()
    except OSError:
        return False


def _block_in(data: bytes) -> bytes:
    return encoded(with_block(decoded(data), BLOCK, name=ATTRIBUTES))


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


def without_attributes(root: Root) -> FileEdit:
    """Return what takes our lines out of .gitattributes. Raises ForeignFile, DiskFault."""
    path, before, mode = found(ATTRIBUTES, root.in_root(ATTRIBUTES), within=root.path)
    text = decoded(before or b"")
    rest = without_block(text, BLOCK, name=ATTRIBUTES)
    after = before if rest == text else encoded(rest) if rest.strip() else None
    return FileEdit(ATTRIBUTES, path, before, after, mode)

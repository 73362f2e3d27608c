"""Where the files of a backlog lie, found from any folder below its root."""

from __future__ import annotations

import os
import stat

from taskkeep.errors import BacklogNotFound, BacklogUnreadable, ForeignFile, Usage

BACKLOG = "backlog.json"
ARCHIVE = "backlog.archive.json"
AUDIT = ".taskkeep/audit"
CONFIG = ".taskkeep/config.toml"
SCHEMA = ".taskkeep/backlog.schema.json"
LOCAL = ".taskkeep/local"
ATTRIBUTES = ".gitattributes"


class Root:
    """The absolute paths of one backlog's files; makes and reads nothing."""

    __slots__ = (
        "archive",
        "audit",
        "backlog",
        "backups",
        "cache",
        "config",
        "joined",
        "journal",
        "local",
        "lock",
        "path",
        "pending",
        "tmp",
        "vanished",
    )

    def __init__(self, path: str) -> None:
        self.path = path
        self.backlog = os.path.join(path, BACKLOG)
        self.archive = os.path.join(path, ARCHIVE)
        self.audit = os.path.join(path, AUDIT)
        self.config = os.path.join(path, CONFIG)
        self.local = os.path.join(path, LOCAL)
        self.joined = os.path.join(self.local, "audit.jsonl")
        self.backups = os.path.join(self.local, "backups")
        self.cache = os.path.join(self.local, "cache")
        self.journal = os.path.join(self.local, "journal")
        self.lock = os.path.join(self.local, "lock")
        self.pending = os.path.join(self.local, "pending")
        self.tmp = os.path.join(self.local, "tmp")
        self.vanished = os.path.join(self.local, "vanished.jsonl")

    def in_root(self, relative: str) -> str:
        return os.path.join(self.path, relative)

    def refuse_detours(self) -> None:
        """Refuse folders of ours that are links or no folders: a write would land elsewhere.

        Raises ForeignFile.
        """
        for folder in (".taskkeep", AUDIT, LOCAL):
            path = os.path.join(self.path, folder)
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(mode):
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a folder"
                raise ForeignFile(f"{folder} is {kind}", hint="Put a folder of this backlog there.")


def start_folder(folder: str | None) -> str:
    """Return the folder to look from: *folder*, else TASKKEEP_DIR, else the current one.

    Raises Usage where it is no folder.
    """
    start = folder or os.environ.get("TASKKEEP_DIR") or None
    try:
        path = os.path.realpath(start) if start else os.getcwd()
    except (ValueError, FileNotFoundError):
        path = ""
    if not os.path.isdir(path):
        named = "-C" if folder else "TASKKEEP_DIR"
        raise Usage(
            f"there is no folder {start!r}" if start else "the current folder is gone",
            hint=f"Let {named} name a folder that exists." if start else "Change to one that exists.",
        )
    return path


def find_root(folder: str | None = None) -> Root:
    """Return the nearest root at or above *folder*, not looking past the repository's top.

    A root has ``.taskkeep/audit/`` or a ``backlog.json`` of our shape. Raises BacklogNotFound, Usage.
    """
    start = path = start_folder(folder)
    foreign = None
    while True:
        if os.path.isdir(os.path.join(path, AUDIT)) or is_ours(os.path.join(path, BACKLOG)):
            return Root(path)
        if foreign is None and os.path.lexists(os.path.join(path, BACKLOG)):
            foreign = os.path.join(path, BACKLOG)
        above = os.path.dirname(path)
        if above == path or os.path.exists(os.path.join(path, ".git")):
            raise BacklogNotFound(start, foreign)
        path = above


def is_ours(path: str) -> bool:
    """Is this a backlog.json of our shape, as far as its first bytes and its envelope tell?"""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            head = file.read(200)
            if b'".taskkeep/backlog.schema.json"' in head:
                return True
            data = head + file.read()
    except OSError:
        return False
    from taskkeep.backlog import text

    try:
        tasks = text.parse(data)
    except BacklogUnreadable:
        return False
    return all("uid" in task and "id" in task for task in tasks)

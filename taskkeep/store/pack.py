"""Many old files of the log put into one, event for event, in a commit of its own."""

from __future__ import annotations

import contextlib
import os
from hashlib import sha256
from typing import TYPE_CHECKING

from taskkeep.errors import TaskkeepError
from taskkeep.store import log
from taskkeep.store.files import read, remove, replace, sync_folder
from taskkeep.store.layout import AUDIT
from taskkeep.store.pending import waiting

if TYPE_CHECKING:
    from taskkeep.store.save import Writer

LIMIT = 1000  # loose files from which on a writer packs
KEPT = 100  # the newest stay loose: branches that are merged soon share them as they are
NOTE = "packing"


def pack_old(writer: Writer, *, limit: int = LIMIT, kept: int = KEPT) -> bool:
    """Pack all but the newest loose files where there are more than *limit*; False where nothing was to do.

    The note in ``local/packing`` lets the next writer finish or take back what a crash cut short.
    Two branches that pack the same files make the same pack. Raises OSError, TaskkeepError.
    """
    loose = [name for name in log.list_files(writer.root) if "/" in name]
    old = loose[: max(len(loose) - kept, 0)]
    if len(loose) <= limit or not old or waiting(writer.root):
        return False
    root = writer.root
    data = b"".join(read(os.path.join(root.audit, name))[0] for name in old)
    pack = f"pack-{sha256(data).hexdigest()}.jsonl"
    rows = "".join(f"{name}\n" for name in [pack, *old]).encode()
    replace(os.path.join(root.local, NOTE), [rows], tmp=os.path.join(root.tmp, NOTE), mode=0o600)
    try:
        replace(os.path.join(root.audit, pack), [data], tmp=os.path.join(root.tmp, pack))
        if writer.commits():
            gone = {f"{AUDIT}/{name}": None for name in old}
            note = f"{writer.config['subject_prefix']}taskkeep: pack {len(old)} files of the log\n"
            writer.commit({f"{AUDIT}/{pack}": [data], **gone}, note)
    except (OSError, TaskkeepError):
        _take_back(writer, pack)
        raise
    _finish(writer, old)
    return True


def limit_for(source: str) -> int:
    """The number of loose files that a save of this *source* leaves: `archive` is the occasion for tidying."""
    return KEPT if source == "archive" else LIMIT


def settle(writer: Writer) -> None:
    """Finish a packing that was cut short after its commit, take it back before. Raises OSError."""
    try:
        rows = read(os.path.join(writer.root.local, NOTE))[0].decode().split("\n")[:-1]
    except FileNotFoundError:
        return
    pack, old = rows[0], rows[1:]
    there = os.path.exists(os.path.join(writer.root.audit, pack))
    if there and (writer.repository is None or writer.is_committed(f"{AUDIT}/{pack}")):
        _finish(writer, old)
    else:
        _take_back(writer, pack)


def _finish(writer: Writer, old: list[str]) -> None:
    audit = writer.root.audit
    for name in old:
        remove(os.path.join(audit, name))
    for day in {name.partition("/")[0] for name in old}:
        with contextlib.suppress(OSError):  # newer files lie there still
            os.rmdir(os.path.join(audit, day))
    sync_folder(audit)
    remove(os.path.join(writer.root.local, NOTE))


def _take_back(writer: Writer, pack: str) -> None:
    remove(os.path.join(writer.root.audit, pack))
    remove(os.path.join(writer.root.local, NOTE))

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
    from taskkeep.store.layout import Root
    from taskkeep.store.save import Writer

LIMIT = 1000  # loose files from which on a writer packs
KEPT = 100  # the newest stay loose: branches that are merged soon share them as they are
NOTE = "packing"


def pack_old(writer: Writer, *, limit: int = LIMIT, kept: int = KEPT) -> str | None:
    """Pack all but the newest loose files where there are more than *limit*; returns the name of the pack, if any.

    A packing that a crash cut short is gone on with first; the note in ``local/packing`` names it. Until
    then events stand in two files, which readers take for one. Two branches that pack the same files
    make the same pack. Raises OSError, TaskkeepError.
    """
    root = writer.root
    if waiting(root) or (writer.repository is not None and not writer.commits()):
        return None
    if noted := _noted(root):
        _go_on(writer, *noted)
        return noted[0]
    loose = [name for name in log.list_files(root) if "/" in name]
    old = _packable(root, loose[: max(len(loose) - kept, 0)]) if len(loose) > limit else []
    if not old:
        return None
    data = b"".join(read(os.path.join(root.audit, name))[0] for name in old)
    pack = f"pack-{sha256(data).hexdigest()}.jsonl"
    rows = "".join(f"{name}\n" for name in [pack, *old]).encode()
    replace(os.path.join(root.local, NOTE), [rows], tmp=os.path.join(root.tmp, NOTE), mode=0o600)
    try:
        replace(os.path.join(root.audit, pack), [data], tmp=os.path.join(root.tmp, pack))
        _go_on(writer, pack, old)
    except (OSError, TaskkeepError):
        _take_back(root, pack)
        raise
    return pack


def _packable(root: Root, names: list[str]) -> list[str]:
    """Those of *names* that are each less than half of their pack.

    A merge of git takes a pack for a file that it holds half of, renamed, and calls what two branches make of
    that, or of its folder, a conflict.
    """
    sizes = {name: os.stat(os.path.join(root.audit, name)).st_size for name in names}
    total = sum(sizes.values())
    for name in sorted(names, key=lambda name: (-sizes[name], name)):
        if 2 * sizes[name] < total:
            break
        total -= sizes.pop(name)
    return [name for name in names if name in sizes]


def is_under_way(root: Root) -> bool:
    return os.path.exists(os.path.join(root.local, NOTE))


def limit_for(source: str) -> int:
    """The number of loose files that a save of this *source* leaves: `archive` is the occasion for tidying."""
    return KEPT if source == "archive" else LIMIT


def settle(writer: Writer) -> None:
    """Finish a packing that was cut short after its commit, forget it before its pack was there. Raises OSError.

    In between the index may hold the packing already: the next save goes on with it.
    """
    noted = _noted(writer.root)
    if noted is None:
        return
    pack, old = noted
    if not os.path.exists(os.path.join(writer.root.audit, pack)):
        _take_back(writer.root, pack)
    elif writer.repository is None or writer.is_committed(f"{AUDIT}/{pack}"):
        _finish(writer.root, old)


def _noted(root: Root) -> tuple[str, list[str]] | None:
    """The pack that is being made, and the files that it replaces."""
    try:
        rows = read(os.path.join(root.local, NOTE))[0].decode().split("\n")[:-1]
    except FileNotFoundError:
        return None
    return rows[0], rows[1:]


def _go_on(writer: Writer, pack: str, old: list[str]) -> None:
    """Commit the pack in the place of *old*, then remove them."""
    if writer.repository is not None:
        gone = {f"{AUDIT}/{name}": None for name in old}
        note = f"{writer.config['subject_prefix']}taskkeep: pack {len(old)} files of the log\n"
        writer.commit({f"{AUDIT}/{pack}": [read(os.path.join(writer.root.audit, pack))[0]], **gone}, note)
    _finish(writer.root, old)


def _finish(root: Root, old: list[str]) -> None:
    audit = root.audit
    for name in old:
        remove(os.path.join(audit, name))
    for day in {name.partition("/")[0] for name in old}:
        with contextlib.suppress(OSError):  # newer files lie there still
            os.rmdir(os.path.join(audit, day))
    sync_folder(audit)
    remove(os.path.join(root.local, NOTE))


def _take_back(root: Root, pack: str) -> None:
    remove(os.path.join(root.audit, pack))
    remove(os.path.join(root.local, NOTE))

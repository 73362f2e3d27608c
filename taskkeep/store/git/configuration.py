"""The repository's own configuration of git, changed whole or not at all."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from taskkeep.errors import GitLocked
from taskkeep.store.files import make_folder, read, remove, sync_file, sync_folder, write_new
from taskkeep.store.git.commit import lock_mark, locked, make_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root


def configure(root: Root, repository: Repository, *changes: Sequence[str]) -> bool:
    """Carry out *changes*, each the arguments of a `git config`; False where that cannot be done.

    On a copy that is synced: git renames a file that it has not synced, and a power cut could leave
    half of what the user has set. The caller holds the root's lock.
    """
    path = os.path.realpath(os.path.join(repository.common, "config"))
    try:
        make_folder(root.tmp, 0o700)
        token = make_token(root)
    except OSError:
        return False
    copy, token_file = (os.path.join(repository.git_dir, f"{token}.{ending}") for ending in ("config", "token"))
    remove(token_file)
    try:
        write_new(token_file, [lock_mark(root, token)], mode=0o600)
        with locked(path, token_file, 0):
            data, found = read(path)
            remove(copy)
            write_new(copy, [data], mode=stat.S_IMODE(found.st_mode), sync=False)
            if any(repository.run("config", "--file", copy, *change).status for change in changes):
                return False
            sync_file(copy)
            os.replace(copy, path)
            sync_folder(os.path.dirname(path))
    except (OSError, GitLocked):
        return False
    finally:
        for left in (copy, token_file):
            remove(left)
    return True

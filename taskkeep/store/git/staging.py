"""Files of the working tree put into git's index, whole or not at all, for a commit that is the user's."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from taskkeep.store.files import link_or_copy, read, remove, sync_file, sync_folder, write_new
from taskkeep.store.git.commit import failure, locked
from taskkeep.store.git.objects import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root


def stage(root: Root, repository: Repository, paths: Sequence[str], *, token: str, mark: bytes, wait: float) -> None:
    """Put *paths*, below the root, into the index: on a copy, under a lock that is known as ours.

    Raises OSError, GitLocked, CommitFailed; then the index is as it was.
    """
    store = ObjectStore(repository)
    for path in paths:
        store.write("blob", [read(root.in_root(path))[0]])
    store.sync()
    index = os.path.join(repository.git_dir, "index")
    copy, old, token_file = (
        os.path.join(repository.git_dir, f"{token}.{ending}") for ending in ("index", "old-index", "token")
    )
    remove(token_file)
    try:
        write_new(token_file, [mark], mode=0o600)
        with locked(index, token_file, wait):
            data, found = read(index)
            remove(copy)
            write_new(copy, [data], mode=stat.S_IMODE(found.st_mode), sync=False)
            _update(repository, copy, paths)
            sync_file(copy)
            remove(old)
            link_or_copy(index, old)
            os.replace(copy, index)
            try:
                sync_folder(repository.git_dir)
            except OSError:
                os.replace(old, index)
                raise
    finally:
        for path in (copy, old, token_file):
            remove(path)


def _update(repository: Repository, index: str, paths: Sequence[str]) -> None:
    # By path, so that the entries hold what the files' status is: else `git merge --abort` takes them
    # for changed. No filter that the repository names is run for it.
    answer = repository.run("config", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process)$")
    if answer.status not in (0, 1):  # 1: there is none
        raise failure(answer, "git would not read its configuration")
    config = [f"{name}=" for name in answer.text.split("\n") if name]
    config += [f"{name.rpartition('.')[0]}.required=false" for name in answer.text.split("\n") if name]
    answer = repository.run(
        "update-index", "--add", "-z", "--stdin",
        given="".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape"),
        config=[*config, "core.autocrlf=false"],
        env={"GIT_INDEX_FILE": index},
    )  # fmt: skip
    if answer.status:
        raise failure(answer, "git would not stage the files")

"""The pre-commit hook that checks what is staged of a backlog: our lines in the user's own hook."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from taskkeep.errors import ForeignFile, Outside
from taskkeep.store.git.repository import repository_of
from taskkeep.store.layout import ARCHIVE, BACKLOG
from taskkeep.store.setup.edits import FileEdit, decoded, encoded, found
from taskkeep.store.setup.marked import Block, with_block, without_block

if TYPE_CHECKING:
    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root

HOOK = "pre-commit"
SHEBANG = "#!/bin/sh\n"
SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "ash")


def planned(root: Root, *, remove: bool = False) -> FileEdit:
    """Return what to write, so that the hook checks this backlog, or with *remove* does not.

    It lies where git looks for it: core.hooksPath is heeded, whoever set it. Raises Outside, ForeignFile.
    """
    repository = repository_of(root.path)
    if repository is None:
        raise Outside("this backlog is in no git repository, so there are no hooks", hint="Run 'git init' first.")
    place = os.path.join(hooks_folder(repository), HOOK)
    name = os.path.relpath(place, root.path) if place.startswith(root.path + os.sep) else place
    path, before, mode = found(name, place)
    text = decoded(before or b"")
    block = _block(repository.prefix)
    if remove:
        left = without_block(text, block, name=name)
        after = before if left == text else None if left in ("", SHEBANG) else encoded(left)
        return FileEdit(name, path, before, after, mode)
    _refuse_other_languages(text, name)
    if before is None:
        text, mode = SHEBANG, 0o755
    return FileEdit(name, path, before, encoded(with_block(text, block, name=name, first=True)), mode)


def is_off(edit: FileEdit) -> bool:
    """Does git pass the hook over, since its file may not be executed? It may be so on purpose."""
    return os.name != "nt" and edit.after is not None and not edit.mode & 0o111


def hooks_folder(repository: Repository) -> str:
    """Where git looks for hooks in this working tree."""
    # The last answer is that of the wrapper, which turns hooks off for its own calls of git.
    values = repository.run("config", "--null", "--type=path", "--get-all", "core.hooksPath").rows[:-1]
    if values and values[-1]:
        return os.path.join(repository.top, values[-1])
    return os.path.join(repository.common, "hooks")


def _block(prefix: str) -> Block:
    """The lines for the backlog in the folder *prefix* of the repository, which is ``""`` or ends in a slash.

    Nothing but git runs where nothing of the backlog is staged.
    """
    what = f" of {prefix}" if prefix.isprintable() and prefix else ""
    files = " ".join(shlex.quote(f":(top,literal){prefix}{name}") for name in (BACKLOG, ARCHIVE, ".taskkeep"))
    folder = f"-C {shlex.quote(f'./{prefix}')} " if prefix else ""
    return Block(
        f"# >>> taskkeep{what} >>>",
        f"""\
# Checks what is staged of the backlog. 'taskkeep setup git-hook --remove' takes these lines out.
if ! git diff --cached --quiet -- {files}; then
    if command -v taskkeep >/dev/null 2>&1; then
        taskkeep {folder}verify --staged || exit 1
    else
        echo 'taskkeep is not on the PATH: what is staged of the backlog was not checked' >&2
    fi
fi""",
        f"# <<< taskkeep{what} <<<",
    )


def _refuse_other_languages(text: str, name: str) -> None:
    first = text.partition("\n")[0].strip()
    if not first.startswith("#!"):
        return
    words = [os.path.basename(word) for word in first[2:].split()]
    if not any(word in SHELLS for word in words[:3]):
        raise ForeignFile(
            f"{name} is no shell script, so no lines can be added to it",
            hint="Let it run 'taskkeep verify --staged' and heed its exit status.",
        )

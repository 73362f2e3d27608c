"""Git's merge driver as it is set up in a repository: written, judged, taken out."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from taskkeep.errors import BacklogUnreadable, GitUnavailable
from taskkeep.store.files import read, remove, write_new
from taskkeep.store.git.configuration import configure
from taskkeep.store.git.repository import Repository
from taskkeep.store.lock import writer_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.store.layout import Root


SECTION = "merge.taskkeep"
NAME = f"{SECTION}.name"
DRIVER = f"{SECTION}.driver"
MARKED = 76  # what the program exits with on conflicts: 1 is also what Python exits with where taskkeep is gone
UNINSTALLED = "uninstalled"
ATTRIBUTE = "merge=taskkeep"
HINT = "'taskkeep doctor --fix' sets it up; without it git merges by lines, and conflicts more often."


def line() -> str:
    """The shell line that git runs: this program, whatever PYTHONPATH and the folder hold; git's own merge by lines
    where it is gone or fails.

    Not -I: where taskkeep was installed for the user alone, Python would not find it.
    """
    program = f"{shlex.quote(sys.executable)} -EP -m taskkeep" if sys.executable else "taskkeep"
    return (
        f"{program} merge-driver --conflict-exit {MARKED} %O %A %B %P; s=$?; test $s = 0 && exit 0; "
        f"test $s = {MARKED} && exit 1; exec git merge-file -L ours -L base -L theirs %A %O %B"
    )


def is_taken_out(root: Root) -> bool:
    """Has somebody taken the driver out of this checkout?"""
    return os.path.lexists(os.path.join(root.local, UNINSTALLED))


def is_wanted(root: Root) -> bool:
    """Do the attributes name the driver, and has nobody taken it out of this checkout?"""
    if is_taken_out(root):
        return False
    try:
        return ATTRIBUTE.encode() in read(root.in_root(".gitattributes"))[0]
    except (FileNotFoundError, BacklogUnreadable):
        return False


def set_up(root: Root, repository: Repository) -> bool:
    """Write the section into the repository's configuration; False where that cannot be written."""
    values = {NAME: "taskkeep: merges tasks by identity and field", DRIVER: line()}
    if not configure(root, repository, *values.items()):
        return False
    repository.config.update(values)
    return True


def take_out(root: Root, repository: Repository) -> bool:
    """Take the section out again, and remember in this checkout not to write it anew; False where there is none.

    Raises OSError, BacklogLocked, GitUnavailable.
    """
    os.makedirs(root.local, exist_ok=True)
    note = os.path.join(root.local, UNINSTALLED)
    with writer_lock(root.lock, wait=10):
        there = repository.run("config", "--local", "--get-regexp", rf"^{SECTION}\.").status == 0
        if there and not configure(root, repository, ["--remove-section", SECTION]):
            raise GitUnavailable(
                f"the section {SECTION} of git's configuration could not be taken out; nothing was changed",
                hint="Look at the permissions of .git, and whether another git holds config.lock.",
            )
        if not os.path.lexists(note):
            write_new(note, [])
    return there


def welcome(root: Root, repository: Repository, *, first: bool) -> str | None:
    """Where git knows no driver, set it up if the attributes name it; what to say of that, or at the *first* commit
    of a checkout of what they lack.
    """
    if first and not is_wanted(root) and not is_taken_out(root):
        return f"note: .gitattributes does not name git's merge driver; {HINT}"
    if not is_wanted(root) or not set_up(root, repository):
        return None
    return (
        f"note: set up git's merge driver in the section '{SECTION}' of .git/config; 'taskkeep uninstall' takes it out"
    )


def trouble(repository: Repository) -> tuple[str, str] | None:
    """What is wrong with the driver as it is set up here, and what helps; None where it would run."""
    value = repository.config.get(DRIVER)
    if value is None:
        return "git's merge driver is not set up", HINT
    try:
        words = shlex.split(value.partition(";")[0])
    except ValueError:
        words = []
    if "merge-driver" not in words:
        return f"{DRIVER} is not taskkeep's", HINT
    if os.path.isabs(words[0]) and not os.access(words[0], os.X_OK):
        return f"git's merge driver names {words[0]}, which is not there", HINT
    # Nothing else is run because a repository's configuration names it.
    for python in ([sys.executable, "-EP"], [sys.executable, "-I"]):
        if words[:3] == [*python, "-m"] and not _finds_taskkeep(python):
            how = HINT if value != line() else "Install it for that Python; PYTHONPATH does not count there."
            return f"git's merge driver does not find taskkeep: {shlex.join(python)}", how
    return None


def _finds_taskkeep(python: Sequence[str]) -> bool:
    import subprocess

    return subprocess.run([*python, "-c", "import taskkeep"], capture_output=True).returncode == 0


def mend(root: Root, repository: Repository) -> bool:
    """Set the driver up anew where it would not run, but never over one that is not taskkeep's. Raises OSError."""
    found = repository.config.get(DRIVER, "merge-driver")
    if trouble(repository) is None or "merge-driver" not in found or found == line():
        return False
    remove(os.path.join(root.local, UNINSTALLED))
    return set_up(root, repository)

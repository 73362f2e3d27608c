"""Whole merges for a person or a CI job: git's own, with our driver, and nothing that the repository names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.merge import Conflict, merge
from taskkeep.errors import GitUnavailable, NotFound, Outside, Refused, RepositoryBusy
from taskkeep.store import pending
from taskkeep.store.files import disk_fault, remove, write_new
from taskkeep.store.git.commit import read_head, refuse_obstacles, trusted_signers, unmerged
from taskkeep.store.git.contents import refuse_unread
from taskkeep.store.git.revision import commit_of_or_none
from taskkeep.store.layout import ARCHIVE, BACKLOG
from taskkeep.store.merging import driver
from taskkeep.store.setup import merge_driver
from taskkeep.store.setup.init import LINES
from taskkeep.store.validate import tasks_by_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.backlog.task import Task
    from taskkeep.store.git.repository import Answer, Repository
    from taskkeep.store.save import Writer

# What git runs while it merges or rebases, if the repository's own configuration names it.
_PROGRAMS = r"^(filter\..*\.(clean|smudge|process)|merge\..*\.driver)$"
HINT = "Run 'git status' to see more."
_PROTOCOLS = ("file", "git", "http", "https", "ssh")


class Met(NamedTuple):
    """What came of a merge: where HEAD was and is, and what it would leave open (with *dry_run*)."""

    before: str | None
    after: str | None
    conflicts: Sequence[Conflict]
    backlog: Backlog | None = None


def foresee(repository: Repository, theirs: str, *, rebases: bool = False) -> Met:
    """Return what merging *theirs* into HEAD would give, without touching anything. Raises Refused where git would."""
    head = read_head(repository).commit
    if head is None:
        raise RepositoryBusy("this branch has no commit yet", hint="Commit something first.")
    base = repository.run("merge-base", head, theirs).text.split("\n")[0]
    if not base and not rebases:
        raise Refused("git would not merge: refusing to merge unrelated histories", hint=HINT)
    past = driver.common_past(repository.folder, repository.prefix + BACKLOG, head, theirs)
    shared, left_open = past or (_at(repository, base), {})
    backlog, conflicts = merge(shared, _at(repository, head), _at(repository, theirs), left_open)
    return Met(head, None, conflicts, backlog)


def _at(repository: Repository, commit: str) -> Backlog:
    """The backlog as *commit* has it; empty for "" and where there is none."""
    parts: list[dict[str, Task]] = []
    for name in (BACKLOG, ARCHIVE):
        found = repository.reads([f"{commit}:{repository.prefix}{name}"])[0] if commit else None
        if commit and found is None:
            refuse_unread(repository, commit, [name])
        parts.append(tasks_by_id(found[2], name) if found is not None else {})
    return Backlog(*parts)


def merge_branch(writer: Writer, theirs: str, name: str) -> Met:
    """Merge the commit *theirs*, called *name*, into HEAD, commit included.

    Raises RepositoryBusy where conflicts leave the merge open, Refused where git would not begin.
    """
    repository = _ready(writer)
    before = read_head(repository).commit
    quoted = name.replace("'", "")
    message = ["-m", f"Merge branch '{quoted}'", *(["-m", writer.options.why] if writer.options.why else ())]
    answer = _run(writer, "merge", "--no-edit", "--no-stat", *message, theirs)
    _judge(repository, answer, "merge")
    return Met(before, read_head(repository).commit, [])


def rebase_onto(writer: Writer, theirs: str) -> Met:
    """Rebase HEAD onto the commit *theirs*. Raises as merge_branch does."""
    repository = _ready(writer)
    before = read_head(repository).commit
    answer = _run(writer, "rebase", "--no-stat", "--no-autosquash", "--no-update-refs", theirs)
    _judge(repository, answer, "rebase")
    return Met(before, read_head(repository).commit, [])


def _ready(writer: Writer) -> Repository:
    repository = writer.repository
    assert repository is not None
    refuse_obstacles(repository)
    if unmerged(repository, [BACKLOG, ARCHIVE]):
        raise RepositoryBusy("backlog.json is unmerged", hint="See 'taskkeep conflicts'.")
    answer = repository.run("config", "--show-scope", "--get-regexp", _PROGRAMS)
    for row in answer.text.split("\n"):
        scope, _, rest = row.partition("\t")
        key = rest.partition(" ")[0]
        if scope in ("local", "worktree") and key != merge_driver.DRIVER:
            raise Refused(
                f"the repository's own configuration names a program ({key}), which taskkeep does not run",
                hint="Run 'git merge' yourself; taskkeep's driver works there too.",
            )
    writer.read()
    try:
        pending.commit(writer)
    except OSError as error:
        raise disk_fault("what waits could not be committed", error) from error
    return repository


def _run(writer: Writer, *args: str) -> Answer:
    """Run git with our driver, set up here or not, and the attributes that name it."""
    repository = writer.repository
    assert repository is not None
    attributes = os.path.join(writer.root.tmp, "attributes")
    remove(attributes)
    write_new(attributes, ["".join(f"{line}\n" for line in LINES).encode()], sync=False)
    config = [
        f"core.attributesFile={attributes}",
        f"{merge_driver.DRIVER}={merge_driver.line()}",
        "rerere.enabled=false",
    ]
    if repository.flag("commit.gpgsign"):
        config += trusted_signers(repository)
    try:
        return repository.run(*args, config=config)
    finally:
        remove(attributes)


def _judge(repository: Repository, answer: Answer, what: str) -> None:
    if answer.status == 0:
        return
    files = repository.run("diff", "--name-only", "--diff-filter=U", "-z").rows
    ours = [name for name in files if name in (repository.prefix + BACKLOG, repository.prefix + ARCHIVE)]
    told = [row[len("CONFLICT ") :] for row in answer.err.decode("utf-8", "replace").split("\n")
            if row.startswith("CONFLICT (")]  # fmt: skip
    if files:
        hint = (
            "'taskkeep conflicts' shows both values, 'taskkeep resolve' settles them." if ours else "See 'git status'."
        )
        raise RepositoryBusy(
            f"the {what} is open: conflicts in {', '.join(files[:5])}", hint=hint, files=files, conflicts=told
        )
    raise Refused(f"git would not {what}: {answer.trouble}", hint=HINT)


# -- with another repository ---------------------------------------------------------------------------


class Upstream(NamedTuple):
    """Where a branch comes from: *name* is ours of their branch, *ref* its name there."""

    remote: str
    ref: str
    name: str
    rebases: bool


def upstream(repository: Repository, remote: str | None) -> Upstream:
    """Return what the current branch follows, at *remote* where that is given. Raises RepositoryBusy, NotFound."""
    ref = read_head(repository).ref
    if ref is None:
        raise RepositoryBusy("HEAD is detached: no branch is to be brought up to date", hint="Check a branch out.")
    branch, config = ref.removeprefix("refs/heads/"), {}
    for row in repository.run("config", "--get-regexp", r"^(branch|remote|pull)\.").text.split("\n"):
        key, _, value = row.partition(" ")
        config[key] = value
    followed = config.get(f"branch.{branch}.remote")
    remote = remote or followed or "origin"
    if remote.startswith("-") or f"remote.{remote}.url" not in config:
        raise NotFound(f"git knows no remote {remote[:40]!r} here", hint="See 'git remote'.")
    there = config.get(f"branch.{branch}.merge", ref) if remote == followed else ref
    asked = config.get(f"branch.{branch}.rebase", config.get("pull.rebase", "false")).lower()
    rebases = asked not in ("false", "no", "off", "0")
    return Upstream(remote, there, f"refs/remotes/{remote}/{there.removeprefix('refs/heads/')}", rebases)


def fetch(repository: Repository, source: Upstream) -> str | None:
    """Fetch the branch; returns its commit, None where the remote has no such branch. Raises Outside."""
    answer = repository.run(
        "fetch", "--no-recurse-submodules", "--upload-pack=git-upload-pack", source.remote,
        config=_transport(repository),
    )  # fmt: skip
    if answer.status:
        raise Outside(f"git could not fetch from {source.remote}: {answer.trouble}", hint="Try 'git fetch'.")
    return commit_of_or_none(repository, source.name)


def push(repository: Repository, source: Upstream) -> None:
    """Push HEAD to the branch it follows, never by force. Raises Outside."""
    answer = repository.run(
        "push", "--no-recurse-submodules", "--receive-pack=git-receive-pack", source.remote, f"HEAD:{source.ref}",
        config=_transport(repository),
    )  # fmt: skip
    if answer.status:
        raise Outside(
            f"git could not push to {source.remote}: {answer.trouble}", hint="Fetch again, or try 'git push'."
        )


def _transport(repository: Repository) -> list[str]:
    """Settings under which only the user's own configuration names programs for the way to a remote."""
    config = ["protocol.allow=never", *(f"protocol.{name}.allow=always" for name in _PROTOCOLS)]
    config += ["core.gitProxy=", "core.askPass=", "credential.helper="]
    answer = repository.run("config", "--show-scope", "--get-regexp", r"^(core\.sshcommand|credential\.(.*\.)?helper)$")
    if answer.status not in (0, 1):
        raise GitUnavailable(f"git cannot read its configuration: {answer.trouble}")
    ssh = "ssh"
    for row in answer.text.split("\n"):
        scope, _, rest = row.partition("\t")
        key, _, value = rest.partition(" ")
        if key == "core.sshcommand":
            ssh = value if scope in ("global", "system", "command") else ssh
        elif key and scope in ("global", "system", "command"):
            config.append(f"{key}={value}")
        elif key.count(".") > 1:
            config.append(f"{key}=")
    return [*config, f"core.sshCommand={ssh}"]

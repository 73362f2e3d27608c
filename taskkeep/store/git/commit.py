"""One commit of our paths only: prepared beside the repository, then put in place by renames."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from taskkeep.errors import (
    ChangedMeanwhile,
    CommitFailed,
    GitLocked,
    GitUnavailable,
    NoIdentity,
    RepositoryBusy,
    TaskkeepError,
)
from taskkeep.store.files import (
    FileId,
    append,
    disk_fault,
    link_or_copy,
    read,
    remove,
    replace,
    sync_file,
    sync_folder,
    write_new,
)
from taskkeep.store.git.hooks import Hooks, hooks_of
from taskkeep.store.git.objects import FILE, FOLDER, ObjectStore, Tree, read_tree
from taskkeep.store.git.repository import is_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root

# What is under way in a repository, by the file that git keeps meanwhile.
_UNDER_WAY = {
    "MERGE_HEAD": "a merge", "rebase-merge": "a rebase", "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick", "REVERT_HEAD": "a revert",
}  # fmt: skip
RETRIES = 3
LINKS = 6  # how many steps git goes from HEAD to a commit
# What a commit lays beside the repository's files, by ending.
LEFT_BESIDE = (
    "index", "index.lock", "old-index", "token", "ref", "hook-index", "hook-index.lock", "message", "config",
    "config.lock",
)  # fmt: skip


class HeadMovedError(Exception):
    """The branch is no longer where the commit was built on."""


class Head:
    """Where HEAD points: *ref* None when detached, *commit* None when the branch is not born."""

    __slots__ = ("commit", "ref")

    def __init__(self, ref: str | None, commit: str | None) -> None:
        self.ref, self.commit = ref, commit


def under_way(repository: Repository) -> str | None:
    """What the user has begun with git and not ended yet, like ``a merge``."""
    kept = (what for name, what in _UNDER_WAY.items() if os.path.lexists(os.path.join(repository.git_dir, name)))
    return next(kept, None)


def refuse_obstacles(repository: Repository) -> None:
    """Raise RepositoryBusy, NoIdentity or GitUnavailable for what would stop a commit later."""
    if repository.bare:
        raise GitUnavailable("a bare repository has no working tree", hint="Work in a clone of it.")
    if what := under_way(repository):
        raise RepositoryBusy(
            f"{what} is in progress here", hint="Finish it or give it up with git first, then run this again."
        )
    known = os.environ.get("GIT_COMMITTER_EMAIL") or os.environ.get("EMAIL")
    if not (repository.config.get("user.email") or repository.config.get("committer.email") or known):
        answer = repository.run("var", "GIT_COMMITTER_IDENT")  # `var -l` makes one up without saying so
        if answer.status:
            raise NoIdentity(
                "git does not know who you are; nothing was changed",
                hint="Set user.name and user.email with 'git config'.",
            )


def read_head(repository: Repository) -> Head:
    """Return where HEAD points now, read from its files, or by git where refs are kept otherwise."""
    if repository.config.get("extensions.refstorage", "files") != "files":
        ref = repository.run("symbolic-ref", "-q", "HEAD")
        commit = repository.run("rev-parse", "-q", "--verify", "HEAD^{commit}")
        return Head(ref.text or None, commit.text or None)
    with open(os.path.join(repository.git_dir, "HEAD"), encoding="utf-8", errors="surrogateescape") as file:
        text = file.read().strip()
    name = None
    for _ in range(LINKS):
        if not text.startswith("ref: "):
            return Head(name, text or None)
        name = text[5:].strip()
        text = _read_ref(repository, name)
    raise CommitFailed("HEAD leads from name to name; nothing was changed", hint="See 'git symbolic-ref HEAD'.")


def _read_ref(repository: Repository, name: str) -> str:
    """A commit, or ``ref: `` and the name of another ref; "" for a branch that is not born."""
    try:
        with open(os.path.join(repository.common, name), encoding="utf-8") as file:
            return file.read().strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return repository.run("rev-parse", "-q", "--verify", "--end-of-options", name).text  # packed, or not born


def trusted_signers(repository: Repository) -> list[str]:
    """Return the settings by which git signs with the user's own programs, whatever the repository names."""
    trusted: list[str] = []
    for scope in ("--global", "--system"):
        answer = repository.run("config", scope, "--get-regexp", r"^gpg\.(.*\.)?program$")
        for row in answer.text.split("\n"):
            name, _, value = row.partition(" ")
            if name and not any(item.startswith(name + "=") for item in trusted):
                trusted.append(f"{name}={value}")
    given = {item.partition("=")[0] for item in trusted}
    defaults = {"gpg.program": "gpg", "gpg.openpgp.program": "gpg", "gpg.x509.program": "gpgsm",
                "gpg.ssh.program": "ssh-keygen"}  # fmt: skip
    for name, value in defaults.items():
        if name in repository.config and name not in given:
            trusted.append(f"{name}={value}")
    if "gpg.ssh.defaultkeycommand" in repository.config:
        trusted.append("gpg.ssh.defaultKeyCommand=")
    return trusted


class Commit:
    """A commit being made. *files*: path below the top -> content, or None to take it out."""

    def __init__(
        self,
        repository: Repository,
        files: Mapping[str, Sequence[bytes] | None],
        message: str,
        token: str,
        mark: bytes,
        wait: float,
        staged: Mapping[str, Sequence[bytes] | None] | None = None,
    ) -> None:
        self.repository = repository
        self.files = files
        self.staged = staged or {}  # what the index shall hold instead, where the user has staged more
        self.message = message
        self.token = token
        self._mark = mark
        self.wait = wait
        self.hash: str | None = None
        self.head = Head(None, None)
        self.warnings: list[str] = []  # what the next writer shall mend
        self.notes: list[str] = []
        self._blobs: dict[str, str | None] = {}
        self._staged_blobs: dict[str, str | None] = {}
        self._found: dict[str, str | None] = {}  # our files as HEAD had them when this was begun
        self._store = ObjectStore(repository)
        self._index = os.path.join(repository.git_dir, "index")
        self._copy = os.path.join(repository.git_dir, f"{token}.index")
        self._old = os.path.join(repository.git_dir, f"{token}.old-index")
        self._token_file = os.path.join(repository.git_dir, f"{token}.token")
        self._ref_file = os.path.join(repository.git_dir, f"{token}.ref")
        self._hooks = hooks_of(repository)
        self._hook_index = os.path.join(repository.git_dir, f"{token}.hook-index")
        self._message_file = os.path.join(repository.git_dir, f"{token}.message")
        self._index_id: FileId | None = None

    # -- before the intent ---------------------------------------------------------------

    def prepare(self) -> bool:
        """Write and sync all objects and the index copy; False where HEAD has all of this already.

        Raises OSError, CommitFailed, NoIdentity, PermissionError for a refused write of git's.
        """
        for path, pieces in self.files.items():
            self._blobs[path] = None if pieces is None else self._store.write("blob", pieces)
        for path, pieces in self.staged.items():
            self._staged_blobs[path] = None if pieces is None else self._store.write("blob", pieces)
        if not self._build():
            return False
        remove(self._token_file)
        write_new(self._token_file, [self._mark], mode=0o600)
        self._copy_index()
        return True

    def _build(self) -> bool:
        """Write trees and commit on today's HEAD."""
        repository = self.repository
        self.head = read_head(repository)
        tree_hash = self._build_tree()
        if tree_hash is None:
            return False
        if self._hooks is not None and self.hash is None:
            self._ask_hooks(self._hooks, tree_hash)
        self.hash = self._write_commit(tree_hash)
        self._store.sync()
        remove(self._ref_file)
        write_new(self._ref_file, [f"{self.hash}\n".encode()])
        return True

    def _ask_hooks(self, hooks: Hooks, tree: str) -> None:
        """Let pre-commit see what will be committed, and commit-msg the message, which it may change."""
        self._store.sync()
        env = {"GIT_INDEX_FILE": self._hook_index, "GIT_EDITOR": ":"}
        answer = self.repository.run("read-tree", tree, env=env)
        if answer.status:
            raise failure(answer, "git would not make an index for the hooks")
        hooks.run("pre-commit", env=env)
        remove(self._message_file)
        write_new(self._message_file, [self.message.encode()])
        hooks.run("commit-msg", self._message_file, env=env)
        self.message = read(self._message_file)[0].decode("utf-8", "replace")

    def _build_tree(self) -> str | None:
        folders = {""}
        for path in self.files:
            parts = path.split("/")[:-1]
            folders |= {"/".join(parts[:end]) for end in range(1, len(parts) + 1)}
        names = sorted(folders)
        trees: dict[str, Tree] = {name: {} for name in names}
        if self.head.commit:
            questions = [f"{self.head.commit}^{{tree}}" if not name else f"{self.head.commit}:{name}" for name in names]
            size = 32 if self.repository.format == "sha256" else 20
            for name, found in zip(names, self.repository.reads(questions), strict=True):
                if found and found[1] == "tree":
                    trees[name] = read_tree(found[2], size)
                parent, _, last = name.rpartition("/")
                # A tree that is there and cannot be read looks like one that is not: its files would be lost.
                if not found and (not name or last in trees[parent]):
                    raise CommitFailed("git cannot read HEAD's tree; nothing was changed", hint="Run 'git fsck'.")
        self._refuse_theirs(trees)
        before = {name: dict(tree) for name, tree in trees.items()}
        for path, blob in self._blobs.items():
            folder, _, name = path.rpartition("/")
            mode = trees[folder].get(name, (FILE, ""))[0]
            if blob is None:
                trees[folder].pop(name, None)
            else:
                trees[folder][name] = (mode if mode.startswith("100") else FILE, blob)
        for name in sorted(folders - {""}, key=lambda item: -item.count("/")):
            parent, _, last = name.rpartition("/")
            if trees[name] == before[name] and last in trees[parent]:
                continue
            if trees[name]:
                trees[parent][last] = (FOLDER, self._store.write_tree(trees[name]))
            else:
                trees[parent].pop(last, None)
        if trees[""] == before[""] and self.head.commit:
            return None
        return self._store.write_tree(trees[""])

    def _refuse_theirs(self, trees: Mapping[str, Tree]) -> None:
        """Where the branch has moved, it may not have brought our files in other versions, which this would undo."""
        found = {}
        for path in self.files:
            folder, _, name = path.rpartition("/")
            found[path] = trees[folder].get(name, (FILE, None))[1]
        was, self._found = self._found or found, found
        if any(blob not in (was[path], self._blobs[path]) for path, blob in found.items()):
            raise ChangedMeanwhile("the branch")

    def _write_commit(self, tree: str) -> str:
        repository, config = self.repository, self.repository.config
        parents = [self.head.commit] if self.head.commit else []
        encoding = config.get("i18n.commitencoding", "utf-8").lower()
        if repository.flag("commit.gpgsign"):
            return self._sign_commit(tree, parents)
        if encoding not in ("utf-8", "utf8"):
            return self._commit_by_git(["commit-tree", tree], parents, [])
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {config['GIT_AUTHOR_IDENT']}", f"committer {config['GIT_COMMITTER_IDENT']}", ""]
        text = "\n".join(lines) + "\n" + self.message
        return self._store.write("commit", [text.encode("utf-8", "surrogateescape")])

    def _sign_commit(self, tree: str, parents: Sequence[str]) -> str:
        """Sign, with the program that the user's own configuration names, never the repository's."""
        trusted = trusted_signers(self.repository)
        return self._commit_by_git(["commit-tree", "-S", tree], parents, trusted)

    def _commit_by_git(self, args: list[str], parents: Sequence[str], config: Sequence[str]) -> str:
        for parent in parents:
            args += ["-p", parent]
        self._store.sync()
        answer = self.repository.run(*args, "-F", "-", given=self.message.encode(), config=config)
        if answer.status and "-S" in args and os.access(self._store.folder, os.W_OK):
            # A permission that signing lacks is not one of .git's: nothing waits for it.
            raise CommitFailed(
                f"git would not make the commit: {answer.trouble}; nothing was changed",
                hint="Look at git's settings for signing, like user.signingKey; --no-commit saves without a commit.",
            )
        if answer.status:
            raise failure(answer, "git would not make the commit")
        name = answer.text
        for folder in (os.path.join(self._store.folder, name[:2]), self._store.folder):
            sync_folder(folder)
        return name

    def _copy_index(self) -> None:
        """Make a copy of the index with our entries in it, synced."""
        remove(self._copy)
        try:
            with open(self._index, "rb") as file:
                self._index_id = FileId.of(os.fstat(file.fileno()))
                mode = os.fstat(file.fileno()).st_mode & 0o777
                data = file.read()
            write_new(self._copy, [data], mode=mode, sync=False)
        except FileNotFoundError:
            self._index_id = None
        entries = []
        blobs = {**self._blobs, **self._staged_blobs}
        for path, blob in blobs.items():
            zero = "0" * (64 if self.repository.format == "sha256" else 40)
            entries.append(f"0 {zero}\t{path}\0" if blob is None else f"100644 {blob}\t{path}\0")
        answer = self.repository.run(
            "update-index", "-z", "--index-info",
            given="".join(entries).encode("utf-8", "surrogateescape"),
            env={"GIT_INDEX_FILE": self._copy},
        )  # fmt: skip
        if answer.status:
            raise failure(answer, "git would not take the index entries")
        sync_file(self._copy)

    # -- after the intent ----------------------------------------------------------------

    def publish(self, check: Callable[[], None] = lambda: None) -> str | None:
        """Put index and branch in place; returns the commit's hash, None where HEAD had it all already.

        *check* is called last, when no other git can write files of the working tree. Once the branch has moved
        nothing fails any more. Raises GitLocked, CommitFailed, OSError and what *check* raises before; then index
        and branch are as they were, but where a DiskFault is uncertain of the index.
        """
        for _ in range(RETRIES):
            try:
                return self._publish(check)
            except HeadMovedError:
                if not self._build():
                    return None
        raise CommitFailed("the branch kept moving; nothing was changed", hint="Run the command again.")

    def _publish(self, check: Callable[[], None]) -> str | None:
        repository = self.repository
        files = repository.plain_refs
        ref = self.head.ref
        with contextlib.ExitStack() as held:
            held.enter_context(self._locked(self._index))
            if self._current_index() != self._index_id:
                self._copy_index()
            if files:
                held.enter_context(self._locked(os.path.join(repository.git_dir, "HEAD")))
                if ref:
                    path = os.path.join(repository.common, ref)
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    held.enter_context(self._locked(path))
            now = read_head(repository)
            if (now.ref, now.commit) != (self.head.ref, self.head.commit):
                raise HeadMovedError
            check()
            self._move(files)
        if self._hooks is not None:
            try:
                self._hooks.run("post-commit")
            except CommitFailed as error:
                self.notes.append(error.message.partition(";")[0])
        return self.hash

    def _move(self, files: bool) -> None:
        repository = self.repository
        had_index = self._index_id is not None
        if had_index:
            remove(self._old)
            link_or_copy(self._index, self._old)
        try:
            os.replace(self._copy, self._index)
            self._sync(repository.git_dir)
            if files:
                self._move_ref()
            else:
                self._move_ref_by_git()
        except BaseException as error:
            try:
                if had_index:
                    os.replace(self._old, self._index)
                else:
                    remove(self._index)
            except OSError as second:
                if is_refusal(second):
                    raise
                raise disk_fault("git's index could not be put back", second, uncertain=True) from error
            raise
        try:
            folder = os.path.join(repository.common, os.path.dirname(self.head.ref)) if self.head.ref else ""
            sync_folder(folder or repository.git_dir)
            self._write_reflogs()
        except OSError as error:
            self.warnings.append(f"the commit stands, but git's reference was not synced: {error.strerror}")
        remove(self._old)

    @staticmethod
    def _sync(folder: str) -> None:
        """Sync a folder of git's. A refusal here is no sandbox's: what was to be synced has been written."""
        try:
            sync_folder(folder)
        except OSError as error:
            raise CommitFailed(f"git's folder could not be synced: {error.strerror}; nothing was changed") from error

    def _move_ref(self) -> None:
        ref = self.head.ref
        path = os.path.join(self.repository.common, ref) if ref else os.path.join(self.repository.git_dir, "HEAD")
        os.replace(self._ref_file, path)

    def _move_ref_by_git(self) -> None:
        zero = "0" * len(self.hash or "")
        answer = self.repository.run(
            "update-ref", "-m", self._reflog_note(), "HEAD", self.hash or "", self.head.commit or zero
        )
        if answer.status:
            raise failure(answer, "git would not move the branch")

    def _reflog_note(self) -> str:
        kind = "commit" if self.head.commit else "commit (initial)"
        return f"{kind}: {self.message.partition(chr(10))[0]}"

    def _write_reflogs(self) -> None:
        repository = self.repository
        logged = repository.config.get("core.logallrefupdates", "true").lower() in ("true", "always", "1", "yes", "on")
        if not logged or not repository.plain_refs:
            return
        zero = "0" * len(self.hash or "")
        who = repository.config["GIT_COMMITTER_IDENT"]
        row = f"{self.head.commit or zero} {self.hash} {who}\t{self._reflog_note()}\n"
        paths = [os.path.join(repository.git_dir, "logs", "HEAD")]
        if self.head.ref:
            paths.append(os.path.join(repository.common, "logs", self.head.ref))
        for path in paths:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            append(path, row.encode("utf-8", "surrogateescape"), mode=0o644)

    def _current_index(self) -> FileId | None:
        try:
            return FileId.of(os.stat(self._index))
        except FileNotFoundError:
            return None

    def _locked(self, path: str) -> contextlib.AbstractContextManager[None]:
        return locked(path, self._token_file, self.wait)

    def discard(self) -> None:
        """Remove what was prepared beside the repository; objects that nothing names are git's to sweep."""
        for ending in LEFT_BESIDE:
            remove(os.path.join(self.repository.git_dir, f"{self.token}.{ending}"))


@contextlib.contextmanager
def locked(path: str, token_file: str, wait: float) -> Iterator[None]:
    """Hold git's lock on *path*, known as ours by its content. Raises GitLocked, OSError."""
    lock = f"{path}.lock"
    deadline = time.monotonic() + wait
    while True:
        try:
            link_or_copy(token_file, lock)
            break
        except FileExistsError:
            if time.monotonic() >= deadline:
                raise GitLocked(
                    f"another git holds {os.path.basename(lock)}; waited {wait:g} s, nothing was changed",
                    hint="Let that git finish, or look whether it died.",
                    file=lock,
                ) from None
            time.sleep(0.01)
    try:
        yield
    finally:
        remove(lock)


def failure(answer: Any, what: str) -> Exception:
    """Return the error that stands for what git would not do."""
    if answer.refused:
        return PermissionError(13, answer.trouble)
    if b"index.lock" in answer.err and b"File exists" in answer.err:
        return GitLocked(f"{what}: {answer.trouble}; nothing was changed", hint="Let the other git finish first.")
    return CommitFailed(f"{what}: {answer.trouble}; nothing was changed", hint="Run 'git status' to see more.")


def token_of(root: Root) -> str:
    """Return the name by which a lock or a file in .git is known to be of this root's writers.

    Random, so that it moves with the folder; drawn by the first writer, synced before it is used.
    "" where none was drawn yet and *root* has no folder for it.
    """
    path = os.path.join(root.local, "token")
    try:
        return read(path)[0].decode().strip()
    except FileNotFoundError:
        return ""


def make_token(root: Root) -> str:
    """Return the root's token, drawn now where there is none. Raises OSError."""
    token = token_of(root)
    if not token.startswith("taskkeep-"):
        token = f"taskkeep-{os.urandom(8).hex()}"
        replace(
            os.path.join(root.local, "token"),
            [f"{token}\n".encode()],
            tmp=os.path.join(root.tmp, "token"),
            mode=0o600,
        )
    return token


def lock_mark(root: Root, token: str) -> bytes:
    """Return what a lock of ours holds: the token, and the root for whoever finds it."""
    return f"taskkeep {token}\n{os.path.realpath(root.path)}\n".encode("utf-8", "surrogateescape")


def is_our_lock(content: bytes, root: Root, token: str) -> bool:
    """Was a lock of this content left by a writer of this root? By token, or by place where `local/` is gone."""
    kind, _, place = content.partition(b"\n")
    wanted, _, here = lock_mark(root, token).partition(b"\n")
    return kind.startswith(b"taskkeep ") and (kind == wanted or place == here)


def clear_leftovers(repository: Repository, root: Root, token: str) -> list[str]:
    """Remove locks and files of a dead writer of this root; the caller holds the root's lock.

    A lock is ours when its content says so. Returns the names of locks that were removed.
    """
    removed = []
    head_ref = None
    with contextlib.suppress(OSError, TaskkeepError):
        head_ref = read_head(repository).ref
    locks = [os.path.join(repository.git_dir, name) for name in ("index.lock", "HEAD.lock")]
    locks.append(os.path.join(repository.common, "config.lock"))
    if head_ref:
        locks.append(os.path.join(repository.common, f"{head_ref}.lock"))
    for lock in locks:
        try:
            with open(lock, "rb") as file:
                if is_our_lock(file.read(8192), root, token) and remove(lock):
                    removed.append(os.path.basename(lock))
        except OSError:
            continue  # not there, or not readable: then not ours
    for ending in LEFT_BESIDE:
        remove(os.path.join(repository.git_dir, f"{token}.{ending}"))
    return removed


def unmerged(repository: Repository, paths: Sequence[str]) -> bool:
    """Does the index hold one of our paths unmerged? Raises what git's refusal stands for."""
    answer = repository.run("ls-files", "-u", "--full-name", "--", *paths)
    if answer.status:
        raise failure(answer, "git cannot read its index")
    return bool(answer.out)

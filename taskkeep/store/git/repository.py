"""The one wrapper for every call of git: nothing that the repository's configuration names is run."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple

from taskkeep.errors import GitUnavailable, Outside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OLDEST = (2, 31)
# What git must not take over from the caller: inside a hook or a worktree these point elsewhere.
_KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG", "GIT_CEILING_DIRECTORIES", "GIT_TRACE")
_ALWAYS = (
    "--no-replace-objects", "--no-optional-locks", "--literal-pathspecs",
    "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", f"core.attributesFile={os.devnull}",
    "-c", "core.fsync=all", "-c", "maintenance.auto=false", "-c", "gc.auto=0", "-c", "log.showSignature=false",
    "-c", "protocol.ext.allow=never", "-c", "core.pager=cat", "-c", "core.quotePath=false",
)  # fmt: skip
HELD_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)


class Answer(NamedTuple):
    """What a git command left: its status, and both outputs."""

    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape").rstrip("\n")

    @property
    def rows(self) -> list[str]:
        """The entries of an output that was asked for with -z."""
        return self.out.decode("utf-8", "surrogateescape").split("\0")[:-1]

    @property
    def trouble(self) -> str:
        """The telling line of the error output, for a message, with the first of the names that it announces."""
        lines = [line for line in self.err.decode("utf-8", "replace").splitlines() if line.strip()]
        fatal = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
        if not fatal:
            return f"git ended with {self.status}"
        names = lines[lines.index(fatal[0]) + 1 :] if fatal[0].endswith(":") else []
        told = ", ".join(name.strip() for name in names[:3] if name.startswith("\t"))
        return f"{fatal[0].partition(': ')[2] or fatal[0]} {told}".rstrip()

    @property
    def refused(self) -> bool:
        """Was a write refused, as in a sandbox that holds .git read-only?"""
        return any(words in self.err for words in (b"Permission denied", b"Read-only file system", b"not permitted"))


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for git: ours without GIT_*, but who commits and given configuration."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith(_KEPT)}
    env |= {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "false",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
    }
    if extra:
        env |= extra
    return env


def executable() -> str:
    """Return the path of git. Raises GitUnavailable where PATH has none."""
    name = "git.exe" if os.name == "nt" else "git"
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        # A relative entry would run what lies in the current folder.
        path = os.path.join(folder, name)
        if os.path.isabs(folder) and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    raise GitUnavailable("git is not installed", hint="Install git, or run 'taskkeep init --no-git'.")


class Child:
    """A git process under way."""

    def __init__(
        self,
        folder: str,
        args: Sequence[str],
        *,
        given: bytes = b"",
        env: Mapping[str, str] | None = None,
        config: Sequence[str] = (),
    ) -> None:
        argv = [executable(), "-C", folder, *_ALWAYS]
        for setting in config:
            argv += ["-c", setting]
        argv += args
        self._given = given
        self._env = environment(env)
        self._argv = argv
        try:
            self._start()
        except OSError as error:
            raise GitUnavailable(
                f"git cannot be started: {error.strerror}; nothing was changed", hint="Run the command again."
            ) from error

    if sys.platform == "win32":

        def _start(self) -> None:
            import subprocess

            pipe = subprocess.PIPE
            self._process = subprocess.Popen(self._argv, stdin=pipe, stdout=pipe, stderr=pipe, env=self._env)

        def answer(self) -> Answer:
            out, err = self._process.communicate(self._given)
            return Answer(self._process.returncode, out, err)

    else:

        def _start(self) -> None:
            # posix_spawn and pipes spare the import of subprocess. Ctrl-C goes to the whole group: git holds
            # the signals while we do.
            stdin, self._in = os.pipe()
            self._out, stdout = os.pipe()
            self._err, stderr = os.pipe()
            try:
                self._pid = os.posix_spawn(
                    self._argv[0],
                    self._argv,
                    self._env,
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, stdin, 0),
                        (os.POSIX_SPAWN_DUP2, stdout, 1),
                        (os.POSIX_SPAWN_DUP2, stderr, 2),
                    ],
                    setsigmask=signal.pthread_sigmask(signal.SIG_BLOCK, ()),
                    setsigdef=[signal.SIGPIPE],
                )
            except BaseException:
                for fd in (self._in, self._out, self._err):
                    os.close(fd)
                raise
            finally:
                for fd in (stdin, stdout, stderr):
                    os.close(fd)

        def answer(self) -> Answer:
            """Feed the input, gather both outputs, wait for the end."""
            import select

            poll = select.poll()
            gathered: dict[int, list[bytes]] = {self._out: [], self._err: []}
            for fd in gathered:
                poll.register(fd, select.POLLIN)
            view = memoryview(self._given)
            if view:
                os.set_blocking(self._in, False)
                poll.register(self._in, select.POLLOUT)
            else:
                os.close(self._in)
            open_fds = len(gathered)
            while open_fds:
                for fd, _ in poll.poll():
                    if fd == self._in:
                        try:
                            view = view[os.write(fd, view) :]
                        except BrokenPipeError:
                            view = memoryview(b"")  # git has read enough; its status tells
                        if not view:
                            poll.unregister(fd)
                            os.close(fd)
                    else:
                        piece = os.read(fd, 1 << 20)
                        gathered[fd].append(piece)
                        if not piece:
                            poll.unregister(fd)
                            os.close(fd)
                            open_fds -= 1
            if view:
                os.close(self._in)
            _, status = os.waitpid(self._pid, 0)
            return Answer(
                os.waitstatus_to_exitcode(status),
                b"".join(gathered[self._out]),
                b"".join(gathered[self._err]),
            )


def run(
    folder: str,
    *args: str,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    config: Sequence[str] = (),
) -> Answer:
    """Run one git command in *folder* and return what it left, whatever its status. Raises GitUnavailable."""
    return Child(folder, args, given=given, env=env, config=config).answer()


class Repository:
    """Where a working tree's git data lie, and what its configuration says.

    *prefix* is the backlog's root below the top, ``""`` or ending in a slash.
    """

    __slots__ = ("bare", "common", "config", "folder", "format", "git_dir", "prefix", "top", "variables")

    def __init__(self, folder: str) -> None:
        """Ask git about *folder*. Raises GitUnavailable, Outside."""
        where = Child(
            folder,
            ["rev-parse", "--path-format=absolute", "--is-bare-repository", "--git-dir", "--git-common-dir",
             "--show-object-format", "--is-inside-work-tree", "--show-cdup", "--show-prefix"],
        )  # fmt: skip
        variables = Child(folder, ["var", "-l"])
        answer, self.variables = where.answer(), variables.answer()
        for one in (answer, self.variables):
            if one.status:
                raise self._refusal(folder, one)
        lines = answer.text.split("\n")
        if answer.out.count(b"\n") > 7:
            raise GitUnavailable(
                "the path of this repository holds a line break, which git's answers cannot be read with",
                hint="Give the folder another name.",
            )
        lines += [""] * (7 - len(lines))
        self.folder = folder
        self.bare = lines[0] == "true" or lines[4] != "true"
        self.git_dir, self.common, self.format = lines[1], lines[2], lines[3]
        self.prefix = lines[6]
        self.top = os.path.normpath(os.path.join(folder, lines[5])) if lines[5] else folder
        self.config: dict[str, str] = {}
        for line in self.variables.text.split("\n"):
            name, _, value = line.partition("=")
            self.config[name] = value
        # Every repository sets one of these; where git failed to open it, it answers from the user's own files.
        if not any(f"core.{name}" in self.config for name in ("repositoryformatversion", "bare", "filemode")):
            raise GitUnavailable("git could not read the repository's configuration; nothing was changed")

    @staticmethod
    def _refusal(folder: str, answer: Answer) -> Exception:
        text = answer.err.decode("utf-8", "replace")
        if "not a git repository" in text:
            return GitUnavailable("there is a .git here, but git finds no repository", hint="Run 'git status'.")
        if "dubious ownership" in text or "unsafe repository" in text:
            return GitUnavailable(
                f"git refuses this repository: {folder} belongs to somebody else",
                hint="If you trust it, add the folder to git's safe.directory in your own configuration.",
            )
        if "Invalid path" in text or "Permission denied" in text:
            return Outside(f"git cannot be read here: {answer.trouble}", hint="Look at the permissions of .git.")
        if "unknown option" in text or "usage:" in text:
            return GitUnavailable("git is too old", hint=f"Install git {OLDEST[0]}.{OLDEST[1]} or later.")
        return GitUnavailable(f"git refuses this repository: {answer.trouble}", hint="Run 'git status' to see more.")

    def run(self, *args: str, given: bytes = b"", env: Mapping[str, str] | None = None,
            config: Sequence[str] = ()) -> Answer:  # fmt: skip
        """Run a git command in the backlog's root."""
        return run(self.folder, *args, given=given, env=env, config=config)

    @property
    def shared(self) -> bool:
        """Do several users write into its git folder, so that git gives its files other modes than the umask says?"""
        return self.config.get("core.sharedrepository", "umask").lower() not in ("umask", "false", "no", "off", "0", "")

    @property
    def plain_refs(self) -> bool:
        """Are its refs files that we may write as they are?"""
        return self.config.get("extensions.refstorage", "files") == "files" and not self.shared

    def flag(self, name: str) -> bool:
        """A boolean of git's configuration; False where it is not set."""
        return self.config.get(name, "false").lower() in ("true", "yes", "on", "1", "")

    def reads(
        self, questions: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> list[tuple[str, str, bytes] | None]:
        """Return (hash, type, content) of each object named in *questions*, None where it is not there.

        One process for all. The names must be revisions of our own making: a line break would ask twice.
        """
        given = "".join(f"{question}\n" for question in questions).encode("utf-8", "surrogateescape")
        answer = self.run("cat-file", "--batch", given=given, env=env)
        found: list[tuple[str, str, bytes] | None] = []
        at = 0
        for _ in questions:
            end = answer.out.find(b"\n", at)
            # An object that breaks while it is read comes cut off, behind a header that promises more.
            if end < 0 or answer.status:
                raise GitUnavailable(f"git cannot read its objects: {answer.trouble}", hint=lacking(answer))
            words = answer.out[at:end].decode("utf-8", "surrogateescape").split(" ")
            at = end + 1
            if words[-1] in ("missing", "ambiguous") or len(words) != 3:
                found.append(None)
                continue
            size = int(words[2])
            found.append((words[0], words[1], answer.out[at : at + size]))
            at += size + 1
        return found


def lacking(answer: Answer) -> str:
    """What brings objects that git could not read: a partial clone lacks some, and fetches them where it can."""
    if b"promisor" in answer.err:
        return "This clone is partial: 'git fetch --refetch --no-filter' brings the rest."
    return "Run 'git fsck'."


def repository_of(folder: str) -> Repository | None:
    """Return the repository that *folder* lies in, None outside of one, without asking git there.

    Raises GitUnavailable, Outside.
    """
    return Repository(folder) if _above(folder) else None


def _above(folder: str) -> bool:
    """Is there a .git (or a bare repository) at *folder* or above? Spares a process where there is none."""
    ceiling = os.environ.get("GIT_CEILING_DIRECTORIES", "")
    while True:
        if os.path.lexists(os.path.join(folder, ".git")):
            return True
        if os.path.isfile(os.path.join(folder, "HEAD")) and os.path.isdir(os.path.join(folder, "objects")):
            return True
        above = os.path.dirname(folder)
        if above == folder or (ceiling and folder in ceiling.split(os.pathsep)):
            return False
        folder = above


def is_refusal(error: OSError) -> bool:
    """Was a write refused, rather than failed?"""
    return error.errno in (errno.EACCES, errno.EROFS, errno.EPERM)

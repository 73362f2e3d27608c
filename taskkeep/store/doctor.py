"""Does what is there let a backlog work: its files, git, locks, identity, leftovers, sizes."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from taskkeep.errors import BacklogLocked, ConfigInvalid, LogDamaged, NoIdentity, TaskkeepError
from taskkeep.store import backups, log, pending, retention
from taskkeep.store.config import load_config
from taskkeep.store.git.commit import refuse_obstacles, token_of
from taskkeep.store.git.repository import OLDEST, repository_of, run
from taskkeep.store.layout import ATTRIBUTES, AUDIT, BACKLOG, CONFIG, SCHEMA
from taskkeep.store.lock import writer_lock
from taskkeep.store.merging.citations import citations
from taskkeep.store.narrowing import narrowing_of
from taskkeep.store.pack import KEPT, pack_old
from taskkeep.store.past.history import History
from taskkeep.store.past.mending import gap, mend_snapshots, put_back, whole_log
from taskkeep.store.placement import sha_of
from taskkeep.store.reading import Reading
from taskkeep.store.save import Options, Writer, writing
from taskkeep.store.setup import merge_driver
from taskkeep.store.setup.init import has_lines, write_setup
from taskkeep.store.surroundings import now_text
from taskkeep.store.verify import Findings, Verdict

if TYPE_CHECKING:
    from taskkeep.backlog.backlog import Backlog
    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root

WORTH_PACKING = 100  # loose objects from which on --fix repacks
MANY_OBJECTS = 5000  # from which on it is a finding; git's own gc wakes at about 6,700


def doctor(root: Root, *, fix: bool = False) -> Verdict:
    """Check the surroundings, and what every command reads; with *fix* mend first: stale files, a log of many files,
    many loose objects.

    Raises what a writer raises, with *fix*.
    """
    findings = Findings()
    checked: dict[str, object] = {}
    if fix:
        checked["fixed"] = tidy(root)
    backlog, config = _check_files(root, findings)
    _check_git(root, findings, checked)
    _check_access(root, findings)
    _check_lock(root, findings)
    if os.path.exists(root.journal):
        findings.add(
            "interrupted",
            "a save was cut short",
            severity="warning",
            file=None,
            hint="'taskkeep recover' settles it.",
        )
    checked["sizes"] = {
        "backlog": _size(root.backlog),
        "log": _size(root.audit),
        "backups": _size(root.backups),
        "cache": _size(root.cache) + _size(root.joined) + _size(root.vanished),
    }
    checked["advice"] = _advice(root, checked, backlog, config)
    _check_growth(checked, findings)
    return Verdict(not findings.list, findings.list, checked)


class Mender(Writer):
    """A writer that looks at every file of the log first, and puts back what is damaged or gone."""

    def load_log(self) -> log.LogState:
        parts = whole_log(self.root, ask_git=True)[1]
        self.warnings += put_back(self, parts)
        return super().load_log()


def tidy(root: Root) -> list[str]:
    """Settle what a crash left, mend damaged files of the log and snapshots, pack old files of the log, repack git's
    loose objects; returns what was done."""
    done: list[str] = []
    with writing(root, Options(), kind=Mender) as writer:  # which clears what is stale
        done += writer.warnings
        done += mend_snapshots(root, History(root).outline)
        if pack_old(writer, limit=KEPT, kept=KEPT):
            done.append("packed old files of the log")
            writer.log = log.load(root)
        repository = writer.repository
        if repository is not None:
            done += _set_up(writer, repository)
        if repository is not None and merge_driver.mend(root, repository):
            done.append("set up git's merge driver")
        if repository is not None and _loose(repository.common)[0] > WORTH_PACKING:
            done.append(_repack(repository))
    return done


def _set_up(writer: Writer, repository: Repository) -> list[str]:
    """Write and commit what `init` puts into a repository, where the backlog was there before it."""
    root = writer.root
    schema, config = repository.reads([f"HEAD:{repository.prefix}{name}" for name in (SCHEMA, CONFIG)])
    if has_lines(root) and (schema is not None or not writer.commits()):
        return []
    try:
        refuse_obstacles(repository)
        files, staged = write_setup(root, "random", repository)
        if config is not None:
            files.pop(CONFIG, None)  # where it differs from HEAD's it is the user's to commit
        names = " and ".join(sorted(files))
        if not writer.commits():
            return [f"wrote {names}, which are yours to commit"]
        note = f"{writer.config['subject_prefix']}taskkeep: set up {names}\n"
        committed, kept = ({name: [data] for name, data in of.items()} for of in (files, staged))
        made = writer.commit(committed, note, kept)
    except (OSError, TaskkeepError) as error:
        return [f"could not set up {ATTRIBUTES}: {error}"]
    return [f"set up {names}" + (f", commit {made[:10]}" if made else "")]


def _repack(repository: Repository) -> str:
    """Put loose objects into one pack, unless another git is at work; --window=1 since versions of one file
    follow one another, and the depth saves what a wider window would."""
    busy = [name for name in ("index.lock", "HEAD.lock", "gc.pid", "packed-refs.lock", "shallow.lock")
            if os.path.exists(os.path.join(repository.common, name))]  # fmt: skip
    if busy:
        return f"did not repack: another git is at work ({busy[0]})"
    before, size = _loose(repository.common)
    answer = repository.run("repack", "-d", "-q", "--window=1", "--depth=200")
    if answer.status:
        return f"could not repack: {answer.trouble}"
    left, after = _loose(repository.common)
    return f"repacked {before - left} loose objects, {(size - after) >> 10} KiB"


def _citations(root: Root, backlog: Backlog) -> list[str]:
    try:
        return citations(backlog, repository_of(root.path))
    except TaskkeepError:
        return []  # git's troubles are named above


def _check_files(root: Root, findings: Findings) -> tuple[Backlog | None, dict[str, Any] | None]:
    """Name what every reader or writer refuses; returns the backlog and the configuration, as far as they are whole.

    The log is looked at only where nothing vouches for it or it does not lead to the file.
    """
    backlog = config = None
    try:
        config = load_config(root)
        narrowing_of(config)
    except ConfigInvalid as error:
        findings.add(error.code, error.message, file=CONFIG, hint=error.advice)
    try:
        backlog = Reading(root).backlog()
    except TaskkeepError as error:
        findings.add(error.code, error.message, file=BACKLOG, line=error.details.get("line"), hint=error.advice)
    state = log.vouched(root)
    if state is None or state.after is None or state.after != sha_of(root.backlog):
        try:
            if lacking := gap(root):
                raise LogDamaged(lacking, hint=log.MEND)
            if not log.list_files(root):
                raise LogDamaged("the log is empty or gone", hint=f"Bring {AUDIT} back from git.")
        except LogDamaged as error:
            found = error.details
            findings.add(
                error.code, error.message, file=found.get("file", AUDIT), line=found.get("line"), hint=error.advice
            )
    return backlog, config


def _advice(
    root: Root, checked: dict[str, object], backlog: Backlog | None, config: dict[str, Any] | None
) -> list[str]:
    """What would make the past smaller, or explains what lies in local/."""
    said = []
    files = len(log.list_files(root))
    if files > 2 * KEPT:
        said.append(f"the log has {files} files: 'taskkeep doctor --fix' packs the old ones into one")
    if isinstance(count := checked.get("loose_objects"), int) and count > WORTH_PACKING:
        said.append(f"git keeps {count} loose objects: 'taskkeep doctor --fix' packs them")
    there = backups.found(root) if os.access(root.backups, os.R_OK | os.X_OK) else []
    if there and config is not None:
        gone = retention.surplus(there, backups.Ledger(root, None).by_hand, config, now_text())
        rule = f"all of {config['backups.hours']} hours, one a day for {config['backups.days']} days"
        told = f"backups: {len(there)}, the oldest of {there[0].time[:16]}Z; kept are {rule}"
        more = f"; 'taskkeep backups prune' would remove {len(gone)}" if gone else ""
        said.append(told + more)
    said += _citations(root, backlog) if backlog is not None else []
    for name, what in (("damaged", "files that were replaced"), ("edits", "edits that were refused")):
        folder = os.path.join(root.local, name)
        if kept := (os.listdir(folder) if os.path.isdir(folder) else []):
            said.append(f".taskkeep/local/{name} keeps {what}: {len(kept)}, {_size(folder)} bytes, yours to delete")
    return said


def _check_growth(checked: dict[str, object], findings: Findings) -> None:
    loose = checked.get("loose_objects", 0)
    if isinstance(loose, int) and loose > MANY_OBJECTS:
        findings.add(
            "growth",
            f"git keeps {loose} loose objects here",
            severity="warning",
            file=None,
            hint="'taskkeep doctor --fix' packs them; 'taskkeep archive' keeps each save small.",
        )


def _check_git(root: Root, findings: Findings, checked: dict[str, object]) -> None:
    try:
        version = run(root.path, "version").text
        checked["git"] = version
        numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        if numbers < OLDEST:
            findings.add("git", f"{version} is too old", file=None, hint=f"Install {OLDEST[0]}.{OLDEST[1]} or later.")
            return
        repository = repository_of(root.path)
        if repository is None:
            findings.add(
                "git",
                "this backlog is in no git repository: nothing is committed",
                severity="warning",
                file=None,
                hint="Run 'git init' here, then 'taskkeep doctor --fix'.",
            )
            return
        checked["loose_objects"], checked["loose_bytes"] = _loose(repository.common)
        try:
            refuse_obstacles(repository)
        except NoIdentity as error:
            findings.add(error.code, "git does not know who you are", file=None, hint=error.hint)
        except TaskkeepError as error:
            findings.add(error.code, error.message, severity="warning", file=None, hint=error.hint)
        if not os.access(repository.git_dir, os.W_OK):
            findings.add(
                "pending_commit",
                ".git cannot be written here: commits will wait",
                severity="warning",
                file=None,
                hint="They are made by the next change where it can be.",
            )
        if pending.is_waiting(root, repository):
            findings.add(
                "pending_commit",
                "a commit waits",
                severity="warning",
                file=None,
                hint="'taskkeep recover' makes it.",
            )
        if wrong := merge_driver.trouble(repository):
            findings.add("merge_driver", wrong[0], severity="warning", file=None, hint=wrong[1])
        token = token_of(root) or "taskkeep-"
        for name in os.listdir(repository.git_dir):
            if name.startswith(token):
                findings.add(
                    "leftover",
                    f".git/{name} was left by a taskkeep that died",
                    severity="warning",
                    file=None,
                    hint="The next command that writes removes it.",
                )
    except TaskkeepError as error:
        findings.add(error.code, error.message, file=None, hint=error.hint)
    if not has_lines(root):
        findings.add(
            "attributes",
            ".gitattributes does not hold the lines of taskkeep",
            severity="warning",
            file=ATTRIBUTES,
            hint="They keep line ends as they must be and name the merge driver; 'taskkeep doctor --fix' adds them.",
        )


def _check_access(root: Root, findings: Findings) -> None:
    """Name what a save could not read or write, as where another user has run it once."""
    today = os.path.join(root.audit, now_text()[:10])
    folders = (root.path, os.path.dirname(root.local), root.audit, today, root.local, root.backups, root.cache)
    written = dict.fromkeys(folders, os.R_OK | os.W_OK | os.X_OK)
    written |= dict.fromkeys((root.lock, root.joined), os.R_OK | os.W_OK)
    needed = {**written, root.backlog: os.R_OK, root.archive: os.R_OK}  # these two are replaced
    denied = [path for path, how in needed.items() if os.path.exists(path) and not os.access(path, how)]
    if denied:
        findings.add(
            "disk",
            f"nothing can be saved here: no access to {', '.join(os.path.relpath(path, root.path) for path in denied)}",
            file=None,
            hint="Look at their permissions and owners.",
        )


def _check_lock(root: Root, findings: Findings) -> None:
    if not os.path.isdir(root.local) or not os.access(root.local, os.W_OK):
        return
    try:
        with writer_lock(root.lock, wait=0):
            if not os.path.exists(root.journal) and os.path.isdir(root.tmp):
                for name in sorted(os.listdir(root.tmp)):
                    findings.add(
                        "leftover",
                        f".taskkeep/local/tmp/{name} is stale",
                        severity="warning",
                        file=None,
                        hint="The next command that writes removes it.",
                    )
    except BacklogLocked as error:
        findings.add(error.code, error.message, severity="warning", file=None, hint=error.hint)
    except TaskkeepError as error:
        findings.add(error.code, error.message, file=None, hint=error.hint)


def _size(path: str) -> int:
    """Bytes of a file, or of all files below a folder; 0 where there is none, or none that we may see."""
    try:
        if os.path.isdir(path):
            return sum(_size(os.path.join(path, name)) for name in os.listdir(path))
        return os.stat(path).st_size
    except OSError:
        return 0


def _loose(common: str) -> tuple[int, int]:
    """How many loose objects there are, and their bytes."""
    objects = os.path.join(common, "objects")
    count = size = 0
    for name in os.listdir(objects):
        if len(name) == 2:
            with os.scandir(os.path.join(objects, name)) as entries:
                for entry in entries:
                    count, size = count + 1, size + entry.stat().st_size
    return count, size

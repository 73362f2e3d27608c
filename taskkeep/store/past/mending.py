"""Damaged files of the log and damaged snapshots: who still has what they held, and how they come back."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.events import event_hash, line
from taskkeep.backlog.replay import causal_order, heads, with_past
from taskkeep.errors import BacklogUnreadable, LogDamaged, TaskkeepError
from taskkeep.store import log, pending
from taskkeep.store.files import make_folder, read, replace, sync_folder, write_new
from taskkeep.store.git.repository import repository_of
from taskkeep.store.layout import AUDIT
from taskkeep.store.patience import patiently
from taskkeep.store.placement import sha_of
from taskkeep.store.progress import steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence, Set

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.history import Outline
    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root
    from taskkeep.store.save import Writer

DAMAGED = "damaged"  # the folder below .taskkeep/local for files that were replaced
JOINED = "the joined log"
TRIES = 5  # commits that are asked for a file


class Part(NamedTuple):
    """A file of the log that is damaged or gone, and what it held by the word of a witness."""

    name: str
    problem: str
    data: bytes
    witness: str


def aside_of(root: Root, name: str, data: bytes) -> str:
    """Where bytes that are replaced are kept, from the backlog's folder."""
    path = os.path.join(root.local, DAMAGED, f"{sha256(data).hexdigest()[:16]}.{os.path.basename(name)}")
    return os.path.relpath(path, root.path)


def keep_aside(root: Root, name: str, data: bytes) -> str:
    """Keep bytes that will be replaced; returns where, from the backlog's folder. Raises OSError."""
    folder = os.path.join(root.local, DAMAGED)
    make_folder(folder, 0o700)
    aside = aside_of(root, name, data)
    path = os.path.join(root.path, aside)
    if not os.path.exists(path):
        write_new(path, [data], mode=0o600)
        sync_folder(folder)
    return aside


# -- the log -----------------------------------------------------------------------------


def whole_log(root: Root, *, ask_git: bool = False) -> tuple[list[Event], list[Part]]:
    """All events in causal order, and the files of the log for which git or the joined log stood in.

    What is damaged shows by itself, what is gone by the gap it leaves; with *ask_git* also by the last
    commit, which alone tells where the newest file is gone. Raises LogDamaged for a file that no witness
    has.
    """
    files: dict[str, list[Event]] = {}
    damaged: dict[str, LogDamaged] = {}
    names = log.list_files(root)
    for name in steps(names, "files of the log"):
        try:
            files[name] = patiently(root, functools.partial(_read, root, name))
        except LogDamaged as error:
            damaged[name] = error
    events = [event for found in files.values() for event in found]
    known = {event["hash"] for event in events}
    gap = any(prev not in known for event in events for prev in event["prev"])
    parts: list[Part] = []
    if not (damaged or gap or ask_git):
        return causal_order(events), parts
    witness = _Witness(root)
    for name, wrong in damaged.items():
        part = witness.part(name, wrong.message)
        if part is None:
            raise wrong
        parts.append(part)
    seen = {*known, *(event["hash"] for part in parts for event in _events(part.data))}
    committed = witness.names()
    for name in sorted(committed - {*names}):
        part = witness.part(name, f".taskkeep/audit/{name} is gone")
        # What lies in a pack now is not gone.
        if part is not None and not seen.issuperset(event["hash"] for event in _events(part.data)):
            parts.append(part)
            seen |= {event["hash"] for event in _events(part.data)}
    for part in parts:
        events += _events(part.data)
    by_git = {event["hash"] for name in committed for event in files.get(name, ())}
    lost = witness.lost(events, by_git)
    return causal_order([*events, *(event for part in lost for event in _events(part.data))]), [*parts, *lost]


def gap(root: Root) -> str | None:
    """What the log lacks that a witness has, in words; None where it is whole. Raises LogDamaged."""
    parts = whole_log(root, ask_git=True)[1]
    return f"{parts[0].problem}; {parts[0].witness} has it" if parts else None


def _read(root: Root, name: str) -> list[Event]:
    """The events of one file, a pack's held to its name too. Raises LogDamaged."""
    events = log.read_file(root, name)
    if name.startswith("pack-"):
        data = read(os.path.join(root.audit, name))[0]
        if not _fits(name, data):
            path = f".taskkeep/audit/{name}"
            raise LogDamaged(f"{path} is not what its name says", hint=log.MEND, file=path, line=1)
    return events


def _fits(name: str, data: bytes) -> bool:
    return not name.startswith("pack-") or name == f"pack-{sha256(data).hexdigest()}.jsonl"


def _events(data: bytes) -> list[Event]:
    """Events that are known to be whole."""
    return [json.loads(row) for row in data.split(b"\n")[:-1]]


def _are_whole(name: str, data: bytes) -> bool:
    try:
        events = _events(data)
        sound = all(event["hash"] == event_hash(event) for event in events)
    except (ValueError, KeyError, TypeError):
        return False
    return bool(events) and sound and data.endswith(b"\n") and _fits(name, data)


class _Witness:
    """What git and the joined log still have of the log's files."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.repository: Repository | None = None
        try:
            self.repository = repository_of(root.path)
        except (OSError, TaskkeepError):
            pass  # git cannot be asked: the joined log may answer
        self._joined: list[Event] | None = None

    @property
    def joined(self) -> list[Event]:
        if self._joined is None:
            self._joined = log.joined_events(self.root)
        return self._joined

    def names(self) -> set[str]:
        """The files of the log that the last commit holds."""
        if self.repository is None:
            return set()
        answer = self.repository.run("ls-tree", "-r", "-z", "--name-only", "HEAD", f"{AUDIT}/")
        return {row[len(AUDIT) + 1 :] for row in answer.rows if row.endswith(".jsonl")}

    def part(self, name: str, problem: str) -> Part | None:
        """The file as the last commit has it, else as an older one does, else made from the joined log."""
        for commit, data in self._committed(name):
            if _are_whole(name, data):
                return Part(name, problem, data, f"commit {commit[:12]}")
        data = b"".join(line(event) for event in self.joined if log.file_name(event) == name)
        return Part(name, problem, data, JOINED) if data else None

    def _committed(self, name: str) -> Iterable[tuple[str, bytes]]:
        repository = self.repository
        if repository is None:
            return
        path = f"{repository.prefix}{AUDIT}/{name}"
        try:
            head, blob = repository.reads(["HEAD", f"HEAD:{path}"])
            if head is not None and blob is not None:
                yield head[0], blob[2]
            answer = repository.run(
                "log", "--all", "--diff-filter=A", "--no-renames", "--format=%H", f"-{TRIES}", "--", f"{AUDIT}/{name}"
            )
            commits = answer.text.split() if answer.status == 0 else []
            for commit, found in zip(commits, repository.reads([f"{one}:{path}" for one in commits]), strict=True):
                if found is not None:
                    yield commit, found[2]
        except TaskkeepError:
            return  # git cannot read its objects: the joined log may answer

    def lost(self, events: Sequence[Event], by_git: Set[str]) -> list[Part]:
        """The files with events that those here follow, or that led to backlog.json as it lies, by the joined log.

        What git has committed is its own to give and take, as by a reset, a revert or a cherry-pick: nothing is
        missed that only *by_git*, events that the last commit holds, follow, nor what another commit has.
        """
        found = {event["hash"]: event for event in self.joined}
        here = {event["hash"]: event for event in events}
        missing = {prev for name, event in here.items() if name not in by_git for prev in event["prev"]} - here.keys()
        last = self._led_to_backlog(here)
        wanted: dict[str, dict[str, Event]] = {}
        for name in {*missing, *last} & found.keys():
            for event in with_past(found, name):
                if event["hash"] not in here:
                    wanted.setdefault(log.file_name(event), {})[event["hash"]] = event
        if wanted and not wanted.keys().isdisjoint(self._ever_committed()):
            return []
        return [
            Part(name, f".taskkeep/audit/{name} is gone", b"".join(map(line, causal_order(lost.values()))), JOINED)
            for name, lost in sorted(wanted.items())
        ]

    def _led_to_backlog(self, here: Mapping[str, Event]) -> list[str]:
        """The last event that gave backlog.json as it lies, where it follows all of a log that does not lead there."""
        sha = sha_of(self.root.backlog)
        if sha is None or any(here[name]["after"] == sha for name in heads([*here.values()])):
            return []
        whole = {event["hash"]: event for event in self.joined}
        whole.update(here)
        last = [event["hash"] for event in self.joined if event["after"] == sha and event["hash"] not in here][-1:]
        return last if last and here.keys() <= {event["hash"] for event in with_past(whole, last[0])} else []

    def _ever_committed(self) -> set[str]:
        """The files of the log that any commit has added; none where git cannot read its objects."""
        if self.repository is None:
            return set()
        answer = self.repository.run(
            "log", "--all", "--reflog", "-m", "--diff-filter=A", "--no-renames", "--format=", "--name-only", "-z",
            "--relative", "--", AUDIT,
        )  # fmt: skip
        return {row[len(AUDIT) + 1 :] for row in answer.rows}


def put_back(writer: Writer, parts: Iterable[Part]) -> list[str]:
    """Put files of the log in their places again, the damaged ones kept aside; says what was done.

    What the last commit does not hold so waits for one. Raises OSError.
    """
    root, said = writer.root, []
    for part in parts:
        path = os.path.join(root.audit, part.name)
        kept = ""
        with contextlib.suppress(FileNotFoundError, BacklogUnreadable):  # what is no plain file has nothing to keep
            kept = f"; the damaged one is kept as {keep_aside(root, part.name, read(path)[0])}"
        make_folder(root.audit)
        make_folder(os.path.dirname(path))
        replace(path, [part.data], tmp=os.path.join(root.tmp, "part"))
        said.append(f"{part.problem}: brought back from {part.witness}{kept}")
        if not is_in_head(writer, f"{AUDIT}/{part.name}"):
            pending.note(writer, [f"{AUDIT}/{part.name}"])
    return said


def is_in_head(writer: Writer, path: str) -> bool:
    """Does the last commit hold a file of ours as it lies? Raises OSError, GitUnavailable."""
    if writer.repository is None:
        return False
    found = writer.repository.reads([f"HEAD:{writer.repository.prefix}{path}"])[0]
    return found is not None and found[2] == read(writer.root.in_root(path))[0]


# -- snapshots ---------------------------------------------------------------------------


def same_state(root: Root, outline: Outline | None, sha: str | None) -> tuple[bytes, str] | None:
    """The backlog's bytes that hash to *sha*, from git or by replay of the log, and who had them."""
    from taskkeep.store.backups import leading_to

    number = leading_to(outline, sha) if sha is not None else None
    if outline is None or number is None:
        return None
    event = outline.event(number)
    if (found := _in_git(root, event["txn"], sha)) is not None:
        return found
    data = text.dump(outline.state(number).tasks.values())
    return (data, f"the log, event {event['event_id']}") if sha256(data).hexdigest() == sha else None


def _in_git(root: Root, txn: str, sha: str | None) -> tuple[bytes, str] | None:
    from taskkeep.store.layout import BACKLOG

    try:
        repository = repository_of(root.path)
        if repository is None:
            return None
        answer = repository.run(
            "log", "-1", "--all", "--format=%H", f"--grep=^Taskkeep-Txn: {txn}$", "--end-of-options"
        )
        if answer.status or not answer.text:
            return None
        found = repository.reads([f"{answer.text}:{repository.prefix}{BACKLOG}"])[0]
    except TaskkeepError:
        return None  # git cannot be asked: the log may answer
    if found is None or sha256(found[2]).hexdigest() != sha:
        return None
    return found[2], f"git, commit {answer.text[:12]}"


def mend_snapshots(root: Root, outline: Outline | None) -> list[str]:
    """Give damaged snapshots their content again where a witness has it; says which, and which not. Raises OSError."""
    from taskkeep.store import backups

    said, ledger = [], backups.Ledger(root, outline)
    for one in steps(backups.found(root), "backups"):
        expected = ledger.promised(one.name)
        if (wrong := backups.trouble(root, one.name, expected)) is None:
            continue
        same = same_state(root, outline, expected)
        if same is None:
            said.append(f"the backup {one.name} is damaged, and nothing has what it held")
            continue
        path = os.path.join(root.backups, one.name)
        data = backups.packed(same[0]) if one.name.endswith(".gz") else same[0]
        replace(path, [data], tmp=os.path.join(root.tmp, "snapshot"), mode=0o600)
        said.append(f"the backup {one.name} was damaged ({wrong}): made again from {same[1]}")
    return said

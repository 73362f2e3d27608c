"""The save pipeline: every change of a backlog goes through here, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import Chain, Request, line, task_changes
from taskkeep.backlog.ids import random_id, sequential_id
from taskkeep.backlog.replay import Replay, heads, reconcile
from taskkeep.backlog.rules import refuse_worse
from taskkeep.backlog.task import check_text, etag
from taskkeep.backlog.times import to_text
from taskkeep.errors import (
    BacklogUnreadable,
    CommitFailed,
    DiskFault,
    HandEdit,
    Interrupted,
    KeyReused,
    Outside,
    RepositoryBusy,
    TaskkeepError,
    Usage,
)
from taskkeep.store import log, pack
from taskkeep.store.commit import Commit, clear_leftovers, lock_mark, make_token, refuse_obstacles, unmerged
from taskkeep.store.config import load_config
from taskkeep.store.files import disk_fault, make_folder, read, remove, replace, sync_folder, write_new
from taskkeep.store.git import HELD_SIGNALS, Repository, is_refusal, repository_of
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG
from taskkeep.store.lock import writer_lock
from taskkeep.store.record import note_checked
from taskkeep.store.validate import check_tasks, refuse_double_ids, refuse_unknown_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.layout import Root

TRAILERS = 50
SPLICE_LIMIT = 200


class Options:
    """What a caller may say of a save beside the change itself."""

    __slots__ = ("actor", "commit", "digest", "dry_run", "if_match", "key", "source", "wait", "why")

    def __init__(
        self,
        *,
        why: str | None = None,
        actor: str | None = None,
        dry_run: bool = False,
        commit: bool | None = None,
        wait: float | None = None,
        if_match: str | None = None,
        key: str | None = None,
        source: str = "api",
    ) -> None:
        self.why, self.actor, self.dry_run, self.commit = why, actor, dry_run, commit
        self.wait = 10.0 if wait is None else wait
        self.if_match, self.key, self.source = if_match, key, source
        self.digest: str | None = None
        if why is not None:
            check_text("why", why)
        for name, value in (("actor", actor), ("key", key), ("source", source)):
            if value is not None:
                if not value.strip() or "\n" in value or len(value) > 200:
                    raise Usage(f"{name} is one line of 1 to 200 characters")
                check_text(name, value)


class Context:
    """What a pure change is given: the time, the actor and fresh ids."""

    def __init__(self, writer: Writer, actor: str, now: str) -> None:
        self._writer = writer
        self.actor, self.now = actor, now
        self._drawn: set[str] = set()
        self._highest = writer.log.highest

    def new_id(self) -> str:
        """An id that this checkout has never known."""
        state = self._writer.log
        while True:
            if self._writer.config["ids"] == "sequential":
                task_id = sequential_id(self._highest)
                self._highest += 1
            else:
                task_id = random_id(state.id_count + len(self._drawn), random_bits)
            if task_id not in self._drawn and not state.known(task_id):
                self._drawn.add(task_id)
                return task_id

    @staticmethod
    def new_uid() -> str:
        return os.urandom(16).hex()


class Outcome:
    """What a save did, read back from disk."""

    def __init__(self) -> None:
        self.changed = False
        self.backlog = Backlog({})
        self.events: list[Event] = []
        self.commit: str | None = None
        self.pending = False
        self.warnings: list[str] = []
        self.replayed = False
        self.dry_run = False


def random_bits(count: int) -> int:
    """A random number of *count* bits from the system, without the import of secrets."""
    return int.from_bytes(os.urandom((count + 7) // 8)) >> (-count % 8)


def new_uuid() -> str:
    """A random UUID, version 4, without the import of uuid."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """Hold Ctrl-C and its like back until the save has ended; what came meanwhile is dropped at the end.

    check_interrupt() looks, while nothing has been done yet.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    try:
        yield
    finally:
        waiting = signal.sigpending() & set(HELD_SIGNALS)
        handlers = {}
        for number in waiting:
            with contextlib.suppress(ValueError):  # not in the main thread: then the handler is not ours
                handlers[number] = signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def check_interrupt() -> None:
    """Raise Interrupted where a signal waits; called while the old state stands."""
    if hasattr(signal, "sigpending") and signal.sigpending() & set(HELD_SIGNALS):
        raise Interrupted


class Writer:
    """The one writer of a backlog, for the time that it holds the lock."""

    def __init__(self, root: Root, options: Options, *, fresh: bool = False) -> None:
        self.root, self.options, self.fresh = root, options, fresh
        self.warnings: list[str] = []
        self.config = load_config(root)
        self.repository: Repository | None = repository_of(root.path)
        self.token = ""
        self.log = log.LogState()
        self.bytes = b""
        self.sha: str | None = None
        self.archive_bytes: bytes | None = None
        self.mode = 0o644
        self.choices: list[dict[str, Any]] = []

    # -- entering ------------------------------------------------------------------------

    def enter(self) -> None:
        """Settle what an interrupted save left, then read log and backlog anew."""
        root = self.root
        for folder in (root.local, root.cache, root.tmp):
            make_folder(folder, 0o700 if folder != root.local else 0o777)
        ignore = os.path.join(root.local, ".gitignore")
        if not os.path.exists(ignore):
            replace(ignore, [b"*\n"], tmp=os.path.join(root.tmp, "ignore"))
        if self.repository is not None:
            self.token = make_token(root)
            for name in clear_leftovers(self.repository, root, self.token):
                self.warnings.append(f"removed {name}, which a taskkeep that died had left")
        self.settle()
        pack.settle(self)
        for name in os.listdir(root.tmp):
            remove(os.path.join(root.tmp, name))
        self.log = log.load(root)

    def settle(self) -> None:
        """Finish or take back the save that the journal names; nothing else is ever repaired."""
        root = self.root
        try:
            data, _ = read(root.journal)
        except FileNotFoundError:
            return
        from taskkeep.backlog.events import event_hash

        try:
            import json

            events: list[Event] = [json.loads(row) for row in data.splitlines()]
            if not events or any(event["hash"] != event_hash(event) for event in events):
                raise ValueError("not the events that were written")
        except (ValueError, KeyError, TypeError):
            aside = os.path.join(root.local, f"journal.damaged-{time.time_ns()}")
            os.replace(root.journal, aside)
            self.warnings.append(f"the journal was damaged and is kept as {os.path.basename(aside)}")
            return
        first = events[0]
        name = log.file_name(first)
        path = os.path.join(root.audit, name)
        linked = os.path.exists(path)
        sha = _sha_of(root.backlog)
        committed = linked and self.is_committed(f"{AUDIT}/{name}")
        what = f"{first['event_type'].replace('_', ' ')} {first['task_id'] or ''} by {first['actor']}".replace(
            "  ", " "
        )
        outcome = None
        if linked and committed:
            pass
        elif sha == first["after"] or (linked and sha != first["before"]):
            if not linked:
                self._enter_log(root.journal, name)
            self.add_pending(self._paths_of(events, name))
            outcome = "finished"
            self.warnings.append(f"finished a save that was cut short: {what}")
        else:
            if linked:
                os.unlink(path)
                sync_folder(os.path.dirname(path))
            outcome = "taken_back"
            self.warnings.append(f"took back a save that was cut short: {what}; run it again if you still want it")
        if outcome:
            self._settle_archive(first, outcome)
        self._settle_snapshot(first, outcome == "taken_back")
        if outcome and sha == (first["after"] if outcome == "finished" else first["before"]):
            self._note_recovery(events, outcome, sha)
        os.unlink(root.journal)
        sync_folder(root.local)

    def _paths_of(self, events: Sequence[Event], name: str) -> list[str]:
        paths = [BACKLOG, f"{AUDIT}/{name}"]
        if _moves_archive(events[0]):
            paths.append(ARCHIVE)
        if events[0]["event_type"] == "backlog_initialised":
            paths += [p for p in events[0]["details"].get("files", ()) if os.path.exists(self.root.in_root(p))]
        return paths

    def is_committed(self, relative: str) -> bool:
        repository = self.repository
        if repository is None:
            return False
        found = repository.reads([f"HEAD:{repository.prefix}{relative}"])
        return found[0] is not None

    def _note_recovery(self, events: Sequence[Event], outcome: str, sha: str | None) -> None:
        """Log what was done with the interrupted save, so that who and why are not lost."""
        before = log.read_all(self.root)
        found = heads(before)
        now = now_text()
        first = events[0]
        request = Request(
            txn=new_uuid(),
            actor=self.actor(),
            now=now,
            source="recovery",
            why=first["why"],
            key=None,
            digest=None,
        )
        archive = _sha_of(self.root.archive)
        chain = Chain(request, before=sha, after=sha or "", archive=(archive, archive), heads=found, new_id=new_uuid)
        saves = [{"event_type": e["event_type"], "task_id": e["task_id"], "actor": e["actor"]} for e in events[:20]]
        chain.add("recovered", None, None, {"outcome": outcome, "txn": first["txn"], "events": saves})
        name = log.file_name(chain.events[0])
        tmp = os.path.join(self.root.tmp, "recovered")
        remove(tmp)
        write_new(tmp, [line(event) for event in chain.events])
        # Noted first: a crash in between leaves a note of nothing, which is dropped, and no event without a note.
        self.add_pending([f"{AUDIT}/{name}"])
        self._enter_log(tmp, name)
        remove(tmp)

    def _settle_archive(self, first: Event, outcome: str) -> None:
        """Bring the archive to where the backlog is; both of its states lie ready since before the journal."""
        if not _moves_archive(first):
            return
        wanted = first["archive"]["after" if outcome == "finished" else "before"]
        if _sha_of(self.root.archive) == wanted:
            return
        if wanted is None:
            remove(self.root.archive)
        else:
            part = os.path.join(self.root.tmp, "archive-new" if outcome == "finished" else "archive-old")
            if _sha_of(part) != wanted:
                self.warnings.append("the archive could not be brought to the same state: see 'taskkeep verify'")
                return
            os.replace(part, self.root.archive)
        sync_folder(self.root.path)

    def _settle_snapshot(self, first: Event, taken_back: bool) -> None:
        path = os.path.join(self.root.backups, snapshot_name(first["timestamp"]))
        try:
            found = os.lstat(path)
        except OSError:
            return
        if taken_back or found.st_nlink > 1:
            remove(path)
        elif os.name != "nt":
            os.chmod(path, 0o600)

    def actor(self) -> str:
        """Who acts: --actor, TASKKEEP_ACTOR, git's user, the login name."""
        if self.options.actor:
            return self.options.actor
        return default_actor(self.repository)

    # -- reading -------------------------------------------------------------------------

    def read(self) -> Backlog:
        """Return the backlog on disk, which must be what the log says. Raises HandEdit, BacklogUnreadable."""
        root = self.root
        if self.fresh:
            return Backlog({})
        try:
            self.bytes, found = read(root.backlog, limit=text.MAX_BYTES)
        except FileNotFoundError:
            raise missing_backlog() from None
        self.mode = stat.S_IMODE(found.st_mode)
        self.sha = sha256(self.bytes).hexdigest()
        self.archive_bytes = self._read_archive()
        ours = len(self.log.heads) == 1 and self.sha == self.log.after and self.archive_sha() == self.log.archive
        live = self._tasks_of(self.bytes, BACKLOG, trusted=ours)
        archived = self._tasks_of(self.archive_bytes, ARCHIVE, trusted=ours) if self.archive_bytes is not None else {}
        backlog = Backlog(live, archived)
        if not ours:
            self._join(backlog)
        return backlog

    def _read_archive(self) -> bytes | None:
        try:
            return read(self.root.archive, limit=text.MAX_BYTES)[0]
        except FileNotFoundError:
            return None

    def archive_sha(self) -> str | None:
        return None if self.archive_bytes is None else sha256(self.archive_bytes).hexdigest()

    @staticmethod
    def _tasks_of(data: bytes, name: str, *, trusted: bool) -> dict[str, Task]:
        if trusted:
            tasks = text.parse_trusted(data)
            refuse_unknown_fields(tasks)
        else:
            tasks = text.parse(data, name, only_known=True)
            refuse_unknown_fields(tasks)
            check_tasks(tasks)
            refuse_double_ids(tasks, name)
        return {task["id"]: task for task in tasks}

    def _join(self, backlog: Backlog) -> None:
        """Accept the file where branches have just met and replay allows for it; else it is a hand edit."""
        wrong: list[str] = []
        if len(self.log.heads) > 1:
            replay = Replay(log.read_all(self.root))
            self.choices, wrong = reconcile(replay, backlog.tasks, backlog.archived)
            whole = self.archive_bytes in (None, text.dump(backlog.archived.values()))
            if not wrong and whole and text.dump(backlog.tasks.values()) == self.bytes:
                return
        elif self.sha == self.log.after:
            raise HandEdit(
                "backlog.archive.json is not what the last save wrote",
                hint="Somebody edited it by hand: put the saved file back with git.",
            )
        raise HandEdit(
            "backlog.json is not what the last save wrote" + (f" ({', '.join(wrong[:3])})" if wrong else ""),
            hint="Somebody edited it by hand: 'taskkeep verify' says where; put the saved file back with git.",
            tasks=wrong[:50],
        )

    # -- saving --------------------------------------------------------------------------

    def save(
        self,
        change: Callable[[Backlog, Context], Backlog],
        *,
        head_event: tuple[str, dict[str, Any]] | None = None,
        extra: Mapping[str, Sequence[bytes]] | None = None,
        staged: Mapping[str, Sequence[bytes] | None] | None = None,
        source: str | None = None,
    ) -> Outcome:
        """Carry out one request. *head_event*: an event of the backlog itself, before those of tasks.

        *extra*: further files of ours that lie on disk already and belong into the commit.
        """
        options, outcome = self.options, Outcome()
        outcome.dry_run = options.dry_run
        if self.repository is not None:
            self._refuse_open_merge()
        before = self.read()
        if options.key is not None and (first := self._replayed(options)):
            outcome.events, outcome.replayed, outcome.backlog = first, True, before
            outcome.changed = True
            outcome.commit = self._commit_of(first[0]["txn"])
            outcome.warnings = self.warnings
            return outcome
        context = Context(self, self.actor(), now_text())
        after = change(before, context)
        outcome.backlog, outcome.warnings = after, self.warnings
        if after is before and head_event is None:
            return outcome
        changed = task_changes(before, after, context.now)
        if not changed and head_event is None:
            outcome.backlog = before
            return outcome
        check_tasks(task for kind, task, _ in changed if kind != "task_deleted")
        self.warnings += refuse_worse(before, after)
        outcome.changed = True
        if options.dry_run:
            return outcome
        pieces = self._new_text(before, after, changed)
        archive = self._new_archive(before, after)
        events = self._events(context, pieces, archive, changed, head_event, source or options.source)
        self._write(pieces, archive, events, outcome, extra or {}, staged or {})
        outcome.events = events
        return outcome

    def _replayed(self, options: Options) -> list[Event] | None:
        key = options.key or ""
        if key not in self.log.keys:
            return None
        first = self.log.keys[key]
        events = log.read_all(self.root)
        found = next(event for event in events if event["hash"] == first)
        if found["request"] != options.digest:
            raise KeyReused(key)
        return [event for event in events if event["txn"] == found["txn"]]

    def _commit_of(self, txn: str) -> str | None:
        if self.repository is None:
            return None
        answer = self.repository.run(
            "log", "-1", "--format=%H", f"--grep=^Taskkeep-Txn: {txn}$", "--end-of-options", "HEAD"
        )
        return answer.text or None if answer.status == 0 else None

    def _new_text(self, before: Backlog, after: Backlog, changed: Sequence[tuple[str, Task, Any]]) -> list[bytes]:
        if self.fresh or len(changed) > SPLICE_LIMIT or not self.bytes:
            return [text.dump(after.tasks.values())]
        touched = {task["id"] for _, task, _ in changed}
        return text.splice(
            self.bytes,
            list(before.tasks),
            {i: after.tasks.get(i) for i in touched if i in before.tasks or i in after.tasks},
        )

    def _new_archive(self, before: Backlog, after: Backlog) -> bytes | None:
        """The archive's new bytes, None where it stays as it is."""
        if after.archived is before.archived:
            return None
        data = text.dump(task for task_id, task in after.archived.items() if task_id not in after.tasks)
        return None if data == self.archive_bytes else data

    def _between(self, archive: bytes) -> bytes:
        """The archive while backlog.json is replaced: what leaves either file is then in one of them at least."""
        old = {} if self.archive_bytes is None else {t["id"]: t for t in text.parse_trusted(self.archive_bytes)}
        both = {**{task["id"]: task for task in text.parse_trusted(archive)}, **old}
        return text.dump(task for _, task in sorted(both.items()))

    def _events(
        self,
        context: Context,
        pieces: Sequence[bytes],
        archive: bytes | None,
        changed: Sequence[tuple[str, Task, Any]],
        head_event: tuple[str, dict[str, Any]] | None,
        source: str,
    ) -> list[Event]:
        options = self.options
        digest = sha256()
        for piece in pieces:
            digest.update(piece)
        request = Request(
            txn=new_uuid(),
            actor=context.actor,
            now=context.now,
            source=source,
            why=options.why,
            key=options.key,
            digest=options.digest,
        )
        archived = self.archive_sha()
        chain = Chain(
            request,
            before=self.sha,
            after=digest.hexdigest(),
            archive=(archived, archived if archive is None else sha256(archive).hexdigest()),
            heads=self.log.heads,
            new_id=new_uuid,
        )
        if len(self.log.heads) > 1:
            chain.add("merged", None, None, {"heads": list(self.log.heads), "choices": self.choices})
        if head_event:
            chain.add(head_event[0], None, None, head_event[1])
        for kind, task, details in changed:
            chain.add(kind, task["id"], task["uid"], details)
        return chain.events

    def commits(self) -> bool:
        wanted = self.options.commit if self.options.commit is not None else self.config["commit"]
        return bool(wanted) and self.repository is not None

    def _write(
        self,
        pieces: Sequence[bytes],
        archive: bytes | None,
        events: Sequence[Event],
        outcome: Outcome,
        extra: Mapping[str, Sequence[bytes]],
        staged: Mapping[str, Sequence[bytes] | None],
    ) -> None:
        name = log.file_name(events[0])
        lines = [line(event) for event in events]
        further = dict(extra) if archive is None else {ARCHIVE: [archive], **extra}
        commit: Commit | None = None
        refused = False
        try:
            try:
                if self.commits() and self.repository is not None:
                    self.commit_pending()
                    files = {BACKLOG: pieces, f"{AUDIT}/{name}": lines, **further}
                    commit = self.prepared(files, staged, message(events, self.config["subject_prefix"]))
            except OSError as error:
                if not is_refusal(error):
                    raise disk_fault("git's data could not be written", error) from error
                refused = True
                commit = None
            check_interrupt()
            self._place(pieces, archive, lines, events, name)
            try:
                if commit is not None:
                    outcome.commit = commit.publish()
                    self.warnings += commit.warnings
                    if commit.head.ref is None:
                        self.warnings.append("HEAD is detached: no branch holds this commit")
            except (OSError, TaskkeepError) as error:
                if isinstance(error, OSError) and is_refusal(error):
                    refused = True
                else:
                    self._take_back(name, events, error)
        finally:
            if commit is not None:
                commit.discard()
        waits = self.repository is not None and outcome.commit is None
        if waits:
            outcome.pending = True
            try:
                self.add_pending([BACKLOG, f"{AUDIT}/{name}", *further])
            except (OSError, TaskkeepError) as error:
                # The journal stays, so the next writer finishes this save; a lasting fault may hinder that too.
                cause = error if isinstance(error, OSError) else OSError(error.details.get("errno"), error.message)
                raise disk_fault("that the commit waits could not be noted", cause, uncertain=True) from error
            if refused:
                self.warnings.append("git could not be written: the change is saved, its commit waits")
        self._tidy(events, lines, name, keep_journal=bool(commit and commit.warnings))

    def _refuse_open_merge(self) -> None:
        """Refuse a merge and its like that are under way, with or without a commit of ours."""
        assert self.repository is not None
        try:
            refuse_obstacles(self.repository)
        except Outside:
            if self.commits():
                raise  # without a commit nobody needs to be named

    def prepared(
        self,
        files: Mapping[str, Sequence[bytes] | None],
        staged: Mapping[str, Sequence[bytes] | None],
        note: str,
    ) -> Commit | None:
        assert self.repository is not None
        prefix = self.repository.prefix
        commit = Commit(
            self.repository,
            {prefix + path: value for path, value in files.items()},
            note,
            self.token,
            lock_mark(self.root, self.token),
            self.options.wait,
            {prefix + path: value for path, value in staged.items()},
        )
        try:
            if unmerged(self.repository, [BACKLOG, ARCHIVE]):
                raise RepositoryBusy("backlog.json is unmerged", hint="Resolve the merge with git first.")
            return commit if commit.prepare() else None
        except BaseException:
            commit.discard()
            raise

    def _place(
        self,
        pieces: Sequence[bytes],
        archive: bytes | None,
        lines: list[bytes],
        events: Sequence[Event],
        name: str,
    ) -> None:
        """Prepare all that needs space, write the intent, put files and event in place, read back."""
        root = self.root
        parts = self._parts()
        new, journal, old = parts[:3]
        try:
            for path in parts:
                remove(path)
            write_new(new, pieces, mode=self.mode)
            write_new(journal, lines)
            if archive is not None:
                between = self._prepare_archive(archive)
            day = os.path.join(root.audit, os.path.dirname(name))
            make_folder(root.audit)
            make_folder(day)
            make_folder(root.backups, 0o700)
            if not self.fresh:
                link_or_copy(root.backlog, old)
            check_interrupt()
            os.replace(journal, root.journal)
        except OSError as error:
            for path in parts:
                remove(path)
            raise disk_fault("the change could not be written", error) from error
        try:
            sync_folder(root.local)
            if not self.fresh and self.config["backups.keep"]:
                self._snapshot(events[0]["timestamp"])
            if archive is not None and between != self.archive_bytes:
                os.replace(os.path.join(root.tmp, "archive-between"), root.archive)
                sync_folder(root.path)
            os.replace(new, root.backlog)
            if archive is not None and between != archive:
                sync_folder(root.path)
                link_or_copy(os.path.join(root.tmp, "archive-new"), os.path.join(root.tmp, "archive-last"))
                os.replace(os.path.join(root.tmp, "archive-last"), root.archive)
            sync_folder(root.path)
            self._enter_log(root.journal, name)
            self._read_back(pieces, archive, lines, name)
        except (OSError, TaskkeepError) as error:
            self._take_back(name, events, error)

    def _parts(self) -> list[str]:
        """The files in which a save lies ready: backlog, journal, the old backlog, then those of the archive."""
        names = ("backlog", "journal", "old", "archive-old", "archive-new", "archive-between", "archive-last")
        return [os.path.join(self.root.tmp, name) for name in names]

    def _prepare_archive(self, archive: bytes) -> bytes:
        """Lay the archive's old and new state ready; returns what stands there in between. Raises OSError."""
        tmp, between = self.root.tmp, self._between(archive)
        if self.archive_bytes is not None:
            link_or_copy(self.root.archive, os.path.join(tmp, "archive-old"))
        write_new(os.path.join(tmp, "archive-new"), [archive], mode=self.mode)
        write_new(os.path.join(tmp, "archive-between"), [between], mode=self.mode)
        sync_folder(tmp)
        return between

    def _enter_log(self, path: str, name: str) -> None:
        target = os.path.join(self.root.audit, name)
        make_folder(self.root.audit)
        make_folder(os.path.dirname(target))
        with contextlib.suppress(FileExistsError):
            link_or_copy(path, target)
        sync_folder(os.path.dirname(target))

    def _snapshot(self, timestamp: str) -> None:
        path = os.path.join(self.root.backups, snapshot_name(timestamp))
        with contextlib.suppress(FileExistsError):
            link_or_copy(self.root.backlog, path)

    def _read_back(self, pieces: Sequence[bytes], archive: bytes | None, lines: list[bytes], name: str) -> None:
        found, at = read(self.root.backlog)[0], 0
        for piece in pieces:
            if not found.startswith(piece, at):
                break
            at += len(piece)
        if at != len(found) or at != sum(map(len, pieces)):
            raise DiskFault("backlog.json does not hold what was written; nothing was changed")
        if archive is not None and read(self.root.archive)[0] != archive:
            raise DiskFault("backlog.archive.json does not hold what was written; nothing was changed")
        if read(os.path.join(self.root.audit, name))[0] != b"".join(lines):
            raise DiskFault("the log does not hold what was written; nothing was changed")

    def _take_back(self, name: str, events: Sequence[Event], error: Exception) -> None:
        """Put the old state back and raise *error* in the user's words."""
        root = self.root
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(root.audit, name))
            old = os.path.join(root.tmp, "old")
            if self.fresh:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(root.backlog)
            elif os.path.exists(old) and os.path.exists(root.journal):
                # Where old and live file are one inode rename does nothing, which is right.
                os.replace(old, root.backlog)
            if _moves_archive(events[0]) and os.path.exists(root.journal):
                if self.archive_bytes is None:
                    remove(root.archive)
                elif _sha_of(root.archive) != events[0]["archive"]["before"]:
                    os.replace(os.path.join(root.tmp, "archive-old"), root.archive)
            sync_folder(root.path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(root.backups, snapshot_name(events[0]["timestamp"])))
            os.unlink(root.journal)
            sync_folder(root.local)
            for path in self._parts():
                remove(path)
        except OSError as second:
            cause = error if isinstance(error, OSError) else second
            raise disk_fault("the change could not be written", cause, uncertain=True) from error
        if isinstance(error, OSError):
            raise disk_fault("the change could not be written", error) from error
        raise error

    def _tidy(self, events: Sequence[Event], lines: list[bytes], name: str, *, keep_journal: bool) -> None:
        """After the change is durable: drop the journal, bring what is derived up to date."""
        root, state = self.root, self.log
        try:
            if not keep_journal:
                os.unlink(root.journal)
            remove(os.path.join(root.tmp, "old"))
            if _moves_archive(events[0]):
                for path in self._parts():
                    remove(path)
            snapshot = os.path.join(root.backups, snapshot_name(events[0]["timestamp"]))
            if os.name != "nt":
                with contextlib.suppress(FileNotFoundError):
                    os.chmod(snapshot, 0o600)
            state.names = log.fingerprint(log.list_files(root))
            state.heads = [events[-1]["hash"]]
            state.after = events[-1]["after"]
            state.archive = log.archive_after(events[-1])
            state.count += len(events)
            state.learn_ids(event["task_id"] for event in events if event["task_id"])
            if self.options.key is not None:
                state.keys.setdefault(self.options.key, events[0]["hash"])
            log.append_joined(root, state, lines)
            self._pack(pack.limit_for(events[0]["source"]))
            note_checked(root)
        except OSError as error:
            # The save is done; the next writer finds the record behind and makes it again.
            self.warnings.append(f"saved, but the cache could not be brought up to date: {error.strerror}")

    def _pack(self, limit: int) -> None:
        if os.path.exists(self.root.journal) or int(self.log.names.partition(":")[0]) <= limit:
            return
        try:
            if pack.pack_old(self, limit=limit):
                self.log.names = log.fingerprint(log.list_files(self.root))
                log.save_record(self.root, self.log)
        except TaskkeepError as error:
            self.warnings.append(f"saved, but the log could not be packed: {error.message}")

    # -- commits that wait ---------------------------------------------------------------

    def pending_paths(self) -> list[str]:
        """The paths of ours whose commit waits, those that are still there."""
        try:
            data, _ = read(self.root.pending)
        except FileNotFoundError:
            return []
        return sorted({row for row in data.decode().split("\n") if row and os.path.exists(self.root.in_root(row))})

    def add_pending(self, paths: Sequence[str]) -> None:
        if self.repository is None:
            return
        rows = sorted({*self.pending_paths(), *paths})
        replace(
            self.root.pending,
            ["".join(f"{row}\n" for row in rows).encode()],
            tmp=os.path.join(self.root.tmp, "pending"),
            mode=0o600,
        )

    def commit_pending(self) -> str | None:
        """Commit what waits, as one commit of its own. Raises like a commit does."""
        paths = self.pending_paths()
        if not paths:
            remove(self.root.pending)
            return None
        files = {path: [read(self.root.in_root(path))[0]] for path in paths}
        events: list[Event] = []
        for path in paths:
            if path.startswith(AUDIT):
                events += log.read_file(self.root, path[len(AUDIT) + 1 :])
        subject = message(events, self.config["subject_prefix"], waited=True)
        commit = self.prepared(files, {}, subject)
        made = None
        if commit is not None:
            try:
                made = commit.publish()
                self.warnings += commit.warnings
            finally:
                commit.discard()
        remove(self.root.pending)
        return made


def _moves_archive(event: Event) -> bool:
    archive = event.get("archive")
    return archive is not None and archive["before"] != archive["after"]


def _sha_of(path: str) -> str | None:
    try:
        return sha256(read(path)[0]).hexdigest()
    except (FileNotFoundError, BacklogUnreadable):
        return None


def missing_backlog() -> BacklogUnreadable:
    return BacklogUnreadable(
        "unreadable",
        "backlog.json is gone",
        hint="'git checkout -- backlog.json' brings the committed one back.",
    )


def default_actor(repository: Repository | None) -> str:
    """TASKKEEP_ACTOR, else git's user, else the login name."""
    if actor := os.environ.get("TASKKEEP_ACTOR", "").strip():
        return actor
    if repository is not None:
        name = os.environ.get("GIT_AUTHOR_NAME") or repository.config.get("user.name")
        if name:
            return name
    return os.environ.get("USER") or os.environ.get("USERNAME") or "unknown"


def now_text() -> str:
    """The time now, as events and tasks carry it."""
    return to_text(time.time_ns() // 1000)


def snapshot_name(timestamp: str) -> str:
    """The name of the snapshot taken before the change of *timestamp*."""
    digits = timestamp.replace("-", "").replace(":", "")
    return f"backlog_{digits[:8]}_{digits[9:15]}_{digits[16:22]}.json"


def link_or_copy(path: str, target: str) -> None:
    """Give a file a second name, or where the file system has no hard links a synced copy. Raises OSError."""
    import errno

    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV):
            raise
        data, found = read(path)
        write_new(target, [data], mode=stat.S_IMODE(found.st_mode))


def message(events: Sequence[Event], prefix: str, *, waited: bool = False) -> str:
    """The commit message: a subject for `git log --oneline`, the reason, and trailers."""
    lines = [_subject(events, prefix, waited), ""]
    whys = list(dict.fromkeys(event["why"] for event in events if event["why"]))
    if whys:
        # A line of the reason that looks like a trailer of ours must not pass for one.
        body = "\n".join(whys).strip().split("\n")
        lines += [f" {row}" if row.startswith("Taskkeep-") else row for row in body] + [""]
    lines += [f"Taskkeep-Txn: {txn}" for txn in dict.fromkeys(event["txn"] for event in events)]
    for event in events[:TRAILERS]:
        lines += [f"Taskkeep-Event: {event['event_id']}", f"Taskkeep-Type: {event['event_type']}"]
        if event["task_id"]:
            lines.append(f"Taskkeep-Task: {event['task_id']}")
        lines.append(f"Taskkeep-Actor: {event['actor']}")
    return "\n".join(lines) + "\n"


_VERBS = {"task_created": "add", "task_updated": "update", "task_deleted": "delete"}


def _subject(events: Sequence[Event], prefix: str, waited: bool) -> str:
    of_tasks = [event for event in events if event["task_id"]]
    if not events:
        text_ = "save what waited"
    elif len(of_tasks) == 1:
        event = of_tasks[0]
        details = event["details"]
        if "task" in details:
            rest = details["task"]["title"]
        else:
            status = details["changes"].get("status")
            rest = f"status {status['to']}" if status else ", ".join(details["changes"]) or "touched"
        text_ = f"{_VERBS.get(event['event_type'], event['event_type'])} {event['task_id']}: {rest}"
    elif of_tasks:
        counts = {verb: sum(event["event_type"] == kind for event in of_tasks) for kind, verb in _VERBS.items()}
        text_ = ", ".join(f"{verb} {count} tasks" for verb, count in counts.items() if count)
    else:
        text_ = events[0]["event_type"].replace("_", " ")
    if waited:
        text_ += " (had waited)"
    return (prefix + "taskkeep: " + text_)[:100].replace("\n", " ")


@contextlib.contextmanager
def writing(root: Root, options: Options, *, fresh: bool = False) -> Iterator[Writer]:
    """Be the writer of *root*: locked, signals held, everything read anew. Raises what a save raises."""
    root.refuse_detours()
    try:
        make_folder(os.path.dirname(root.local))
        make_folder(root.local)
    except OSError as error:
        raise disk_fault("the backlog's folder cannot be written", error) from error
    with writer_lock(root.lock, wait=options.wait), held_signals():
        check_interrupt()
        warnings: list[str] = []
        try:
            writer = Writer(root, options, fresh=fresh)
            warnings = writer.warnings
            writer.enter()
            yield writer
        except OSError as error:
            raise disk_fault("the backlog could not be written", error) from error
        except TaskkeepError as error:
            # What recovery did on the way is said even where the command itself fails.
            if warnings:
                error.details["warnings"] = warnings
            raise


__all__ = ["CommitFailed", "Context", "Options", "Outcome", "Writer", "check_if_match", "writing"]


def check_if_match(backlog: Backlog, ids: Sequence[str], wanted: str | None) -> None:
    """Raise StaleEtag where the one task named has another etag than *wanted*."""
    if wanted is None:
        return
    from taskkeep.errors import OneTaskOnly, StaleEtag

    if len(ids) != 1:
        raise OneTaskOnly("--if-match goes with one task", hint="Name one task.")
    task = backlog.find(ids[0])
    if etag(task) != wanted:
        raise StaleEtag(task["id"], task, etag(task))

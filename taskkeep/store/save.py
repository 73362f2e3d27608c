"""The save pipeline: every change of a backlog goes through here, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taskkeep import __version__
from taskkeep.backlog import secrets, text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.claims import Ledger, check_claim
from taskkeep.backlog.events import Chain, Request, diff, task_changes
from taskkeep.backlog.ids import random_id, sequential_id
from taskkeep.backlog.replay import Replay, reconcile
from taskkeep.backlog.rules import refuse_worse
from taskkeep.backlog.task import check_text, etag
from taskkeep.errors import (
    BacklogUnreadable,
    CommitFailed,
    HandEdit,
    KeyReused,
    OneTaskOnly,
    Outside,
    RepositoryBusy,
    SecretFound,
    StaleEtag,
    TaskkeepError,
    TaskNotFound,
    Usage,
)
from taskkeep.store import backups, log, outline, pack, pending, recovery, retention
from taskkeep.store.config import load_config
from taskkeep.store.files import FileId, disk_fault, make_folder, read, remove, replace
from taskkeep.store.git.commit import Commit, clear_leftovers, lock_mark, make_token, refuse_obstacles, unmerged
from taskkeep.store.git.message import message
from taskkeep.store.git.repository import Repository, is_refusal, repository_of
from taskkeep.store.hashing import Hashing
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG
from taskkeep.store.lock import writer_lock
from taskkeep.store.narrowing import narrowing_of
from taskkeep.store.patience import patiently
from taskkeep.store.placement import Placement
from taskkeep.store.record import note_checked
from taskkeep.store.signals import check_interrupt, held_signals
from taskkeep.store.surroundings import check_name, default_actor, new_uuid, now_text, random_bits
from taskkeep.store.validate import check_tasks, refuse_double_ids, refuse_unknown_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.layout import Root

SPLICE_LIMIT = 200
_HAND_EDIT_HINT = (
    "Somebody edited it by hand: 'taskkeep verify' says where, 'taskkeep adopt' records it, "
    "'taskkeep restore --at WHEN' brings a saved state back."
)
OPEN_MERGE_HINT = (
    "'taskkeep conflicts' shows both values, 'taskkeep resolve' settles them; then finish it, or give it up, with git."
)


class Options:
    """What a caller may say of a save beside the change itself."""

    __slots__ = (
        "actor", "allow_secret", "claim", "commit", "digest", "dry_run", "if_match", "key", "request", "source",
        "wait", "why",
    )  # fmt: skip

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
        claim: int | None = None,
        source: str = "api",
        allow_secret: bool = False,
    ) -> None:
        self.why, self.actor, self.dry_run, self.commit = why, actor, dry_run, commit
        self.wait = 10.0 if wait is None else wait
        self.if_match, self.key, self.claim, self.source = if_match, key, claim, source
        self.request: Any = None  # command and arguments, which with a key stand for the request
        self.digest: str | None = None
        self.allow_secret = allow_secret
        if why is not None:
            check_text("why", why)
        if allow_secret and not (why or "").strip():
            raise Usage("letting a secret pass needs a reason", hint="Say it with --why; it stays in the log.")
        for name, value in (("actor", actor), ("key", key), ("source", source)):
            if value is not None:
                check_name(name, value)


class Context:
    """What a pure change is given: the time, the actor, fresh ids and the numbers of claims.

    *results*: what a batch says of its lines; kept in the log with a key, so that it can be said again.
    *whys*: the reasons of single tasks, by id, in place of that of the request.
    """

    def __init__(self, writer: Writer, actor: str, now: str) -> None:
        self._writer = writer
        self.actor, self.now = actor, now
        self.claims = Ledger(writer.log.claims)
        self.results: list[dict[str, Any]] | None = None
        self.whys: Mapping[str, Sequence[str]] = {}
        self.expected = False
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

    def resolve(self, backlog: Backlog, text_: str) -> str:
        """The id that *text_* means; an alias is said in the warnings. Raises as Backlog.resolve does."""
        task_id = backlog.resolve(text_)
        if (words := backlog.warning_for(text_)) and words not in self._writer.warnings:
            self._writer.warnings.append(words)
        return task_id

    @staticmethod
    def new_uid() -> str:
        return os.urandom(16).hex()

    def expect(self, backlog: Backlog, ids: Sequence[str]) -> None:
        """Hold the tasks that a command names against --if-match and --claim.

        A change that does not call this has the tasks that it changed held against them.

        Raises StaleEtag, StaleClaim, OneTaskOnly.
        """
        self.expected = True
        options = self._writer.options
        check_if_match(backlog, ids, options.if_match)
        if options.claim is not None:
            if len(ids) != 1:
                raise OneTaskOnly("--claim goes with one task", hint="Name one task.")
            check_claim(backlog, ids[0], options.claim, self.claims)

    def warn(self, texts: Sequence[str]) -> None:
        """Have something said with the answer."""
        self._writer.warnings += texts


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
        self.claims: dict[str, int] = {}  # uid -> number that this request gave
        self.results: list[dict[str, Any]] | None = None


class Writer:
    """The one writer of a backlog, for the time that it holds the lock."""

    is_staged = False  # is what is saved staged for a commit of the user's, which then needs no note?
    records_meeting = False  # is that branches met worth an event where no task changes?

    def __init__(self, root: Root, options: Options, *, fresh: bool = False) -> None:
        self.root, self.options, self.fresh = root, options, fresh
        self.warnings: list[str] = []
        self.config = load_config(root)
        self.repository: Repository | None = repository_of(root.path)
        self.token = ""
        self.log = log.LogState()
        self.bytes = b""
        self.file: FileId | None = None
        self.sha: str | None = None
        self.archive_bytes: bytes | None = None
        self.archive_file: FileId | None = None
        self.mode = 0o644
        self.choices: list[dict[str, Any]] = []
        self.saved: dict[str, bytes] | None = None  # where files are edited by hand: what was saved, as far as known
        self.carried: frozenset[str] = frozenset()  # paths that wait for the commit of this save, not for one before
        self.absent = False  # no backlog.json stands there to be put aside or back
        self.finished_resolve = False  # did recovery find a `resolve` that had settled what it was to?
        self.snapshots = bool(self.config["backups.keep"])
        self.old_archived: Mapping[str, Task] | None = None  # where the archive is edited by hand: what the log has

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
        recovery.settle(self)
        pack.settle(self)
        for name in os.listdir(root.tmp):
            remove(os.path.join(root.tmp, name))
        self.log = patiently(root, self.load_log)

    def load_log(self) -> log.LogState:
        """Return the log's state. Raises LogDamaged."""
        return log.load(self.root)

    def is_committed(self, relative: str, *, staged: bool = False) -> bool:
        """Does HEAD hold a file of this name; with *staged*, the index?"""
        repository = self.repository
        if repository is None:
            return False
        found = repository.reads([f"{'' if staged else 'HEAD'}:{repository.prefix}{relative}"])
        return found[0] is not None

    def actor(self) -> str:
        """Who acts: --actor, TASKKEEP_ACTOR, git's user, the login name. Raises Usage."""
        if self.options.actor:
            return self.options.actor
        actor = default_actor(self.repository)
        check_name("actor", actor)
        return actor

    # -- reading -------------------------------------------------------------------------

    def read(self) -> Backlog:
        """Return the backlog on disk, which must be what the log says. Raises HandEdit, BacklogUnreadable."""
        if self.fresh:
            return Backlog({})
        return patiently(self.root, self._read, self._read_anew)

    def _read_anew(self) -> Backlog:
        self.log = self.load_log()
        return self._read()

    def _read(self) -> Backlog:
        trusted = self.read_files()
        ours = len(self.log.heads) == 1 and self.sha == self.log.after and self.archive_sha() == self.log.archive
        live = self._tasks_of(self.bytes, BACKLOG, trusted if ours else None)
        archived = {}
        if self.archive_bytes is not None:
            archived = self._tasks_of(
                self.archive_bytes, ARCHIVE, text.parse_trusted(self.archive_bytes) if ours else None
            )
        backlog = Backlog(live, archived)
        if not ours:
            self._join(backlog)
        return backlog

    def read_files(self) -> list[Task] | None:
        """Read both files and hash them; returns the tasks, if they are what was saved. Raises BacklogUnreadable."""
        try:
            self.bytes, found = read(self.root.backlog, limit=text.MAX_BYTES)
        except FileNotFoundError:
            raise missing_backlog() from None
        self.mode = stat.S_IMODE(found.st_mode)
        self.file = FileId.of(found)
        hashing = Hashing(self.bytes)
        trusted = self._decoded_meanwhile()
        self.sha = hashing.hexdigest()
        try:
            self.archive_bytes, found = read(self.root.archive, limit=text.MAX_BYTES)
        except FileNotFoundError:
            self.archive_bytes, self.archive_file = None, None
        else:
            self.archive_file = FileId.of(found)
        return trusted

    def archive_sha(self) -> str | None:
        return None if self.archive_bytes is None else sha256(self.archive_bytes).hexdigest()

    def grounds(self) -> dict[str, FileId | None]:
        """The files that a change is made on, as they were read; none where they are replaced whatever they are."""
        return {self.root.backlog: self.file, self.root.archive: self.archive_file} if self.file is not None else {}

    def _decoded_meanwhile(self) -> list[Task] | None:
        """The tasks, decoded while the hash is made, which alone tells whether that may count."""
        if len(self.log.heads) != 1 or not text.is_of_this_version(self.bytes):
            return None
        try:
            return text.parse_trusted(self.bytes)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None  # then it is not what was saved, and the strict reading says what is wrong

    def _tasks_of(self, data: bytes, name: str, trusted: list[Task] | None) -> dict[str, Task]:
        """The tasks of *data* by id; *trusted*: the same, decoded already, of bytes that a writer checked."""
        if trusted is not None:
            if self.log.checked_by != __version__:
                refuse_unknown_fields(trusted)
            return {task["id"]: task for task in trusted}
        tasks = text.parse(data, name, only_known=True)
        refuse_unknown_fields(tasks)
        check_tasks(tasks)
        refuse_double_ids(tasks, name)
        return {task["id"]: task for task in tasks}

    def _join(self, backlog: Backlog) -> None:
        """Accept the file where branches have just met and replay allows for it; else it is a hand edit."""
        wrong: list[str] = []
        events = log.read_all(self.root)
        self.choices, wrong = reconcile(Replay(events), backlog.tasks, backlog.archived)
        whole = self.archive_bytes in (None, text.dump(backlog.archived.values()))
        if not wrong and whole and text.dump(backlog.tasks.values()) == self.bytes:
            if len(self.log.heads) > 1:
                return
            from taskkeep.backlog.picked import was_picked_early

            if was_picked_early(events):
                return
        name = ARCHIVE if len(self.log.heads) == 1 and self.sha == self.log.after else BACKLOG
        if lacking := self.lacking():
            raise HandEdit(f"{name} is not what the log says: {lacking}", hint=log.MEND, tasks=wrong[:50])
        raise HandEdit(
            f"{name} is not what the last save wrote" + (f" ({', '.join(wrong[:3])})" if wrong else ""),
            hint=_HAND_EDIT_HINT,
            tasks=wrong[:50],
        )

    def lacking(self) -> str | None:
        """What the log lacks that a witness has, in words; nothing vouches for it then, so that readers tell of all."""
        from taskkeep.store.past.mending import gap

        if found := gap(self.root):
            remove(os.path.join(self.root.cache, log.RECORD))
        return found

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
        try:
            before = self.read()
        except BacklogUnreadable as error:
            from taskkeep.store.past.witnesses import with_witnesses

            raise with_witnesses(self.root, error) from None
        if options.key is not None and (first := self._replayed(options)):
            return self._again(first, before, outcome)
        context = Context(self, self.actor(), now_text())
        try:
            after = change(before, context)
            if not context.expected:
                _expect_of_changed(context, before, after, options)
        except StaleEtag as error:
            self._explain(error)
            raise
        except TaskNotFound as error:
            from taskkeep.store.past.missing import explain

            explain(self.root, error)
            raise
        outcome.backlog, outcome.warnings = after, self.warnings
        outcome.claims, outcome.results = context.claims.given, context.results
        changed = task_changes(before, after, context.now) if after is not before else []
        head_event = head_event or self._event_of_files(after, changed)
        if not (changed or head_event or (self.records_meeting and len(self.log.heads) > 1)):
            outcome.backlog = before
            return outcome
        self._judge(before, after, changed, context)
        outcome.changed = True
        if options.dry_run:
            return outcome
        pieces = self._new_text(before, after, changed)
        archive = self._new_archive(before, after)
        events = self._events(context, pieces, archive, changed, head_event, source or options.source)
        placement = Placement(
            self.root,
            events,
            pieces,
            archive,
            old_archive=self.archive_bytes,
            fresh=self.fresh or self.absent,
            mode=self.mode,
            old_archived=self.old_archived,
            snapshot=self.snapshots and backups.held(self.root, self.sha) is None,
            found=self.grounds(),
        )
        last = self.log.commit
        self._write(placement, outcome, extra or {}, staged or {})
        outcome.events = events
        if self.repository is not None and "merge.taskkeep.driver" not in self.repository.config:
            from taskkeep.store.setup.merge_driver import welcome

            begins = last is None and outcome.commit is not None
            self.warnings += filter(None, [welcome(self.root, self.repository, first=begins)])
        return outcome

    def _event_of_files(
        self, after: Backlog, changed: Sequence[tuple[str, Task, Any]]
    ) -> tuple[str, dict[str, Any]] | None:
        """An event that tells of the files themselves; only where they are edited by hand there is one."""
        return None

    def _judge(
        self,
        before: Backlog,
        after: Backlog,
        changed: Sequence[tuple[str, Task, dict[str, Any]]],
        context: Context,
    ) -> None:
        """Refuse what the schema, the rules and the project's own configuration do, and secrets."""
        check_tasks(task for kind, task, _ in changed if kind != "task_deleted")
        self.warnings += refuse_worse(before, after)
        self._judge_secrets(before, changed, context)
        if narrowing := narrowing_of(self.config):
            pairs = [(before.get(task["id"]), task) for kind, task, _ in changed if kind != "task_deleted"]
            self.warnings += narrowing.refuse_worse(pairs)

    def _again(self, first: list[Event], backlog: Backlog, outcome: Outcome) -> Outcome:
        """The answer to a request that was carried out before."""
        outcome.events, outcome.replayed, outcome.backlog = first, True, backlog
        outcome.changed = True
        outcome.dry_run = self.options.dry_run
        if not outcome.dry_run:
            outcome.commit = self._commit_of(first[0]["txn"])
            if outcome.commit is None and self.repository is not None:
                outcome.pending = bool(pending.waiting(self.root))
        granted = [event for event in first if "claim" in event["details"] and event["event_type"] != "claim_expired"]
        outcome.claims = {event["uid"]: event["details"]["claim"] for event in granted}
        outcome.results = first[0]["details"].get("results")
        outcome.warnings = self.warnings
        return outcome

    def _explain(self, error: StaleEtag) -> None:
        """Say what differs since the version that the caller had read, where the log knows that one."""
        task = error.details["task"]
        old = log.version_with_etag(self.root, task["uid"], error.details["given"])
        if old is not None:
            differs = diff(old, {name: value for name, value in task.items() if name != "etag"})
            error.details["differs"] = differs
            fields = [name for name in differs if name != "updated_at"]
            error.message += f" ({', '.join(fields)})" if fields else ""

    def _judge_secrets(
        self,
        before: Backlog,
        changed: Sequence[tuple[str, Task, dict[str, Any]]],
        context: Context,
    ) -> None:
        """Refuse new text that holds a secret; with --allow-secret note in the events which were let pass.

        Raises SecretFound.
        """
        options = self.options
        reasons = [options.why or "", *(why for several in context.whys.values() for why in several)]
        told = [("the reason", why) for why in dict.fromkeys(reasons)]
        told += [("the key", options.key or ""), ("the actor", context.actor), ("the source", options.source)]
        of_request = [(name, one) for name, text_ in told for one in secrets.find(text_)]
        allowed: set[tuple[str | None, str]] | None = None
        for number, (kind, task, details) in enumerate(changed):
            found = secrets.new_in(before.get(task["id"]), task) if kind != "task_deleted" else []
            if not number:
                found += of_request
            if not found:
                continue
            if not options.allow_secret:
                # What was let pass in a task once may be moved within it, undone and restored.
                if allowed is None:
                    allowed = secrets.allowed_in(log.read_all(self.root))
                found = [(field, one) for field, one in found if (task["uid"], one.fingerprint) not in allowed]
                if not found:
                    continue
                field, one = found[0]
                # Nobody shall look for the id of a task that there will not be.
                of_none = any(one is other for _, other in of_request) or task["id"] not in before
                where = field if of_none else f"{task['id']}: {field}"
                raise SecretFound(where, one.kind, one.shown, task_id=task["id"], field=field)
            details["allowed_secrets"] = secrets.fingerprints(found)

    def _replayed(self, options: Options) -> list[Event] | None:
        options.digest = request_digest(options, self.actor())
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
        if self._archive_stays(before, after):
            return None
        data = text.dump(task for task_id, task in after.archived.items() if task_id not in after.tasks)
        return None if data == self.archive_bytes else data

    def _archive_stays(self, before: Backlog, after: Backlog) -> bool:
        """Need the archive not even be written anew to know that it is the same?"""
        return after.archived is before.archived and before.archived.keys().isdisjoint(after.tasks)

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
        results = {"results": context.results} if options.key is not None and context.results else {}
        chain = Chain(
            request,
            first=results,
            before=self.sha,
            after=digest.hexdigest(),
            archive=(archived, archived if archive is None else sha256(archive).hexdigest()),
            heads=self.log.heads,
            new_id=new_uuid,
        )
        if len(self.log.heads) > 1:
            chain.add("merged", None, None, self._met())
        if head_event:
            chain.add(head_event[0], None, None, head_event[1])
        for task, details in context.claims.expired:
            chain.add("claim_expired", task["id"], task["uid"], details)
        given = context.claims.given
        for kind, task, details in changed:
            number = given.get(task["uid"])
            details = details if number is None else {**details, "claim": number}
            whys = dict.fromkeys(context.whys.get(task["id"], ()))
            chain.add(kind, task["id"], task["uid"], details, why="\n".join(whys))
        return chain.events

    def _met(self) -> dict[str, Any]:
        """What a `merged` event says."""
        return {"heads": list(self.log.heads), "choices": self.choices}

    def commits(self) -> bool:
        wanted = self.options.commit if self.options.commit is not None else self.config["commit"]
        return bool(wanted) and self.repository is not None

    def _write(
        self,
        placement: Placement,
        outcome: Outcome,
        extra: Mapping[str, Sequence[bytes]],
        staged: Mapping[str, Sequence[bytes] | None],
    ) -> None:
        events = placement.events
        log_path = f"{AUDIT}/{placement.name}"
        further = dict(extra) if placement.archive is None else {ARCHIVE: [placement.archive], **extra}
        commit: Commit | None = None
        refused = False
        try:
            try:
                if self.commits():
                    pending.commit(self)
                    files = {BACKLOG: placement.pieces, log_path: placement.lines, **further}
                    commit = self.prepared(files, staged, message(events, self.config["subject_prefix"]))
            except OSError as error:
                if not is_refusal(error):
                    raise disk_fault("git's data could not be written", error) from error
                refused = True
                commit = None
            check_interrupt()
            placement.put()
            try:
                self._stage()
                if commit is not None:
                    outcome.commit = commit.publish(placement.refuse_replaced)
                    self.warnings += [*commit.warnings, *commit.notes]
                    if commit.head.ref is None:
                        self.warnings.append("HEAD is detached: no branch holds this commit")
            except (OSError, TaskkeepError) as error:
                if isinstance(error, OSError) and is_refusal(error) and not self.is_staged:
                    refused = True
                else:
                    placement.take_back(error)
        finally:
            if commit is not None:
                commit.discard()
        if self.carried and outcome.commit is not None:
            remove(self.root.pending)
        if self.repository is not None and outcome.commit is None and not self.is_staged:
            outcome.pending = True
            try:
                pending.note(self, [BACKLOG, log_path, *further])
            except (OSError, TaskkeepError) as error:
                # The journal stays, so the next writer finishes this save; a lasting fault may hinder that too.
                cause = error if isinstance(error, OSError) else OSError(error.details.get("errno"), error.message)
                raise disk_fault("that the commit waits could not be noted", cause, uncertain=True) from error
            if refused:
                self.warnings.append("git could not be written: the change is saved, its commit waits")
        self._tidy(placement, outcome, keep_journal=bool(commit and commit.warnings))

    def _stage(self) -> None:
        """Put what was saved into git's index, where its commit is the user's: see Resolver."""

    def _refuse_open_merge(self) -> None:
        """Refuse a merge and its like that are under way, with or without a commit of ours."""
        assert self.repository is not None
        try:
            refuse_obstacles(self.repository)
        except RepositoryBusy as error:
            if unmerged(self.repository, [BACKLOG, ARCHIVE]):
                raise RepositoryBusy(error.message, hint=OPEN_MERGE_HINT) from None
            raise
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
                raise RepositoryBusy("a merge left conflicts in the backlog", hint=OPEN_MERGE_HINT)
            return commit if commit.prepare() else None
        except BaseException:
            commit.discard()
            raise

    def commit(
        self,
        files: Mapping[str, Sequence[bytes] | None],
        note: str,
        staged: Mapping[str, Sequence[bytes] | None] | None = None,
    ) -> str | None:
        """Commit *files* by themselves; the hash, None where HEAD has them all. Raises OSError, CommitFailed, …"""
        commit = self.prepared(files, staged or {}, note)
        if commit is None:
            return None
        try:
            made = commit.publish()
            self.warnings += [*commit.warnings, *commit.notes]
            return made
        finally:
            commit.discard()

    def _tidy(self, placement: Placement, outcome: Outcome, *, keep_journal: bool) -> None:
        """After the change is durable: drop the journal, bring what is derived up to date."""
        root, state, events = self.root, self.log, placement.events
        try:
            placement.finish(keep_journal=keep_journal)
            names = log.list_files(root)
            state.follow(names, placement.name)
            state.heads = [events[-1]["hash"]]
            state.after = events[-1]["after"]
            state.archive, state.checked_by = log.archive_after(events[-1]), __version__
            state.count += len(events)
            state.commit = outcome.commit
            state.learn_ids(event["task_id"] for event in events if event["task_id"])
            state.learn_claims(events)
            if self.options.key is not None:
                state.keys.setdefault(self.options.key, events[0]["hash"])
            log.append_joined(root, state, placement.lines)
            self._pack(names, pack.limit_for(events[0]["source"]))
            note_checked(root)
            outline.leave(root, self.file, outcome.backlog, {event["task_id"] for event in events if event["task_id"]})
            taken = (self.sha, placement.snapshot) if self.sha and placement.snapshot else None
            retention.tidy(root, self.config, len(self.bytes), taken)
        except (OSError, TaskkeepError) as error:
            # The save is done; the next writer finds the record behind and makes it again.
            why = error.strerror if isinstance(error, OSError) else error.message
            self.warnings.append(f"saved, but the cache could not be brought up to date: {why}")

    def _pack(self, names: Sequence[str], limit: int) -> None:
        few = len(names) <= limit and not pack.is_under_way(self.root)
        if few or os.path.exists(self.root.journal):
            return
        try:
            if packed := pack.pack_old(self, limit=limit):
                now = log.list_files(self.root)
                self.log.names = log.fingerprint(now) if self.log.names and set(now) <= {*names, packed} else ""
                log.save_record(self.root, self.log)
        except TaskkeepError as error:
            self.warnings.append(f"saved, but the log could not be packed: {error.message}")


def missing_backlog(hint: str = "") -> BacklogUnreadable:
    return BacklogUnreadable("unreadable", "backlog.json is gone", hint=hint)


@contextlib.contextmanager
def writing(
    root: Root, options: Options, *, fresh: bool = False, kind: Callable[[Root, Options], Writer] | None = None
) -> Iterator[Writer]:
    """Be the writer of *root*: locked, signals held, everything read anew. Raises what a save raises.

    *kind* makes another kind of writer, as one that restores over a damaged file.
    """
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
            writer = Writer(root, options, fresh=fresh) if kind is None else kind(root, options)
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
    if len(ids) != 1:
        raise OneTaskOnly("--if-match goes with one task", hint="Name one task.")
    task = backlog.find(ids[0])
    if etag(task) != wanted:
        raise StaleEtag(task["id"], task, etag(task), wanted)


def _expect_of_changed(context: Context, before: Backlog, after: Backlog, options: Options) -> None:
    """Hold what a change without names of its own did to tasks against --if-match and --claim."""
    if options.if_match is None and options.claim is None:
        return
    touched = [task["id"] for _, task, _ in task_changes(before, after, context.now) if task["id"] in before]
    if not touched and after is not before:
        raise Usage("--if-match and --claim go with a command that names a task", hint="Leave them out.")
    if touched:
        context.expect(before, touched)


def request_digest(options: Options, actor: str) -> str:
    """What tells one request from another: command, arguments, input and actor; not how the answer is shown."""
    import json

    asked = [options.request, actor, options.why, options.if_match, options.claim]
    return sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()

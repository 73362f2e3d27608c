"""The writer that makes hand edits audited changes: the log's state is the before, the files are the wanted."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.difference import difference
from taskkeep.backlog.events import event_hash
from taskkeep.backlog.replay import Replay, causal_order, heads, reconcile
from taskkeep.backlog.rewrite import Past, Rewriting, allowed, refuse_losses, stubs
from taskkeep.backlog.task import canonical, kind_of
from taskkeep.errors import BacklogUnreadable, LogDamaged, Outside
from taskkeep.store import log, pending
from taskkeep.store.files import make_folder, remove, sync_folder, write_new
from taskkeep.store.git.revision import commit_of
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG
from taskkeep.store.save import Writer
from taskkeep.store.standing import saved_files
from taskkeep.store.validate import task_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskkeep.backlog.difference import Difference
    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.layout import Root
    from taskkeep.store.save import Context, Options, Outcome

WHY = "a hand edit, adopted"


class Adopter(Writer):
    """The writer that records a hand edit. *base*: a revision whose files of the log are brought back first, where
    this tree lacks them; *delete* and *revert* name what may be lost."""

    records_meeting = True

    def __init__(
        self, root: Root, options: Options, *, base: str | None, delete: Iterable[str], revert: Iterable[str]
    ) -> None:
        super().__init__(root, options)
        self._base, self._delete, self._revert = base, delete, revert
        self._past: list[Event] = []
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self.difference: Difference | None = None

    def adopt(self) -> tuple[Outcome, list[str]]:
        """Record what the files hold other than the log; returns the outcome, and the files that were brought back.

        Raises what a save raises.
        """
        if self.options.why is None:
            self.options.why = WHY
        self._past = log.read_all(self.root)
        brought = _missing_files(self, self._base, self._past) if self._base is not None else {}
        try:
            if brought:
                self._past = _with(self._past, brought)
                if self.options.dry_run:
                    self.log = log.state_of(self.root, self._past)
                else:
                    _place(self, brought)
                    self.log = log.load(self.root)
            if pending.paths(self):
                self.saved = saved_files(self.root, self.log)
            extra = {f"{AUDIT}/{name}": [data] for name, data in brought.items()}
            outcome = self.save(self._change, extra=extra, source="adopt")
            if brought and not outcome.changed:
                # Nothing else differs: what came back is a change all the same.
                outcome.changed = True
                if not self.options.dry_run:
                    self.carried = frozenset()
                    if self.commits():
                        outcome.commit = pending.commit(self)
                    outcome.pending = bool(pending.waiting(self.root))
        except BaseException:
            _take_out(self, brought)
            raise
        return outcome, sorted(brought)

    # -- the ground: what the log tells of ---------------------------------------------------

    def read(self) -> Backlog:
        """Return the backlog that the log tells of. Raises BacklogUnreadable, LogDamaged."""
        self.read_files()
        if self._base is None and self.sha != self.log.after and (lacking := self.lacking()):
            # What the log lacks is no hand edit, and would be made twice.
            raise LogDamaged(lacking, hint=log.MEND, file=AUDIT)
        if not self._past:
            raise LogDamaged("the log is empty or gone", hint="Bring .taskkeep/audit back from git.", file=AUDIT)
        self._rows = {BACKLOG: _rows(self.bytes, BACKLOG), ARCHIVE: []}
        if self.archive_bytes is not None:
            self._rows[ARCHIVE] = _rows(self.archive_bytes, ARCHIVE)
        events = self._past
        found = heads(events)
        if len(found) > 1:
            replay = Replay(events)
            self._keep_old_ids(replay)
            self.choices = self._choices(replay)
            joined = {"event_type": "merged", "uid": None, "details": {"choices": self.choices}}
            events = [*events, {**joined, "prev": found, "hash": "", "timestamp": events[-1]["timestamp"]}]
        backlog = self._state(Replay(events))
        self.old_archived = backlog.archived
        return backlog

    def _keep_old_ids(self, replay: Replay) -> None:
        """Where branches drew one id for two tasks, and somebody gave one of them another: the old is its alias."""
        expected = replay.tasks()
        drawn = Counter(task["id"] for task in expected.values())
        for row in (*self._rows[BACKLOG], *self._rows[ARCHIVE]):
            old = expected.get(row.get("uid", ""), {}).get("id", "")
            if drawn[old] > 1 and row.get("id") != old and task_problem(row) is None:
                row["aliases"] = sorted({*row.get("aliases", ()), old})

    def _choices(self, replay: Replay) -> list[dict[str, Any]]:
        """What the files chose where branches met; what they hold beside that is a change like any other."""
        live, archived = (
            {row["id"]: canonical(row) for row in self._rows[name] if task_problem(row) is None}
            for name in (BACKLOG, ARCHIVE)
        )
        archived = {task_id: task for task_id, task in archived.items() if task_id not in live}
        choices, wrong = reconcile(replay, live, archived)
        if wrong:
            whole = {choice.uid: choice.values[0] for choice in replay.choices() if choice.field is None}
            for choice in choices:
                if choice["field"] is None and choice["to"] is not None:
                    choice["to"] = whole.get(choice["uid"], choice["to"])
        return choices

    def _state(self, replay: Replay) -> Backlog:
        """The tasks that the log tells of. Raises BacklogUnreadable where branches have drawn one id for two."""
        away = replay.archived()
        live: dict[str, Task] = {}
        archived: dict[str, Task] = {}
        for uid, task in sorted(replay.tasks().items(), key=lambda item: str(item[1]["id"])):
            task_id = task["id"]
            if task_id in live or task_id in archived:
                raise BacklogUnreadable("duplicate_id", f"two tasks have the id {task_id}", task_id=task_id)
            (archived if uid in away else live)[task_id] = task
        return Backlog(live, archived)

    # -- the change: what the files want instead ---------------------------------------------

    def _change(self, before: Backlog, context: Context) -> Backlog:
        """Return what the files want. Raises what the rules refuse, TasksLost, FieldsReverted."""
        past = Past(self._past)
        rewriting = Rewriting(
            before,
            past,
            new_id=context.new_id,
            new_uid=context.new_uid,
            now=context.now,
            actor=context.actor,
            by_hand=True,
        )
        after, told = rewriting.wanted(self._rows[BACKLOG], self._rows[ARCHIVE])
        refuse_losses(before, after, past, allowed(before, after, self._delete, self._revert), cuts=False)
        self.difference = difference(before, after)
        context.warn([*told, *stubs(before, after)])
        return after

    def _event_of_files(
        self, after: Backlog, changed: Sequence[tuple[str, Task, Any]]
    ) -> tuple[str, dict[str, Any]] | None:
        if changed or len(self.log.heads) > 1:
            return None
        if others := self._in_other_bytes(after):
            return "reformatted", {"files": others}
        last = next(event for event in self._past if event["hash"] == self.log.heads[0])
        if (self.sha, self.archive_sha()) != (self.log.after, self.log.archive) or "open" in last["details"]:
            # The log gives these files, but its last event, picked out of its order, names others; or it left
            # conflicts open, which were committed as they lay.
            return "merged", self._met()
        return None

    def _in_other_bytes(self, after: Backlog) -> list[str]:
        """The files that hold the right content in other bytes."""
        found = [] if text.dump(after.tasks.values()) == self.bytes else [BACKLOG]
        if self.archive_bytes is not None and text.dump(after.archived.values()) != self.archive_bytes:
            found.append(ARCHIVE)
        return found

    # -- the new files, of which nothing old can be kept -------------------------------------

    def _new_text(self, before: Backlog, after: Backlog, changed: Sequence[tuple[str, Task, Any]]) -> list[bytes]:
        return [text.dump(after.tasks.values())]

    def _archive_stays(self, before: Backlog, after: Backlog) -> bool:
        return self.archive_bytes is None and super()._archive_stays(before, after)


def _rows(data: bytes, name: str) -> list[dict[str, Any]]:
    rows = text.parse(data.removeprefix(text.BOM), name, only_known=True)
    for number, row in enumerate(rows, 1):
        for field in ("id", "uid"):
            value = row.get(field)
            if value is not None and not isinstance(value, str):
                raise BacklogUnreadable(
                    "schema", f"{name}: {field} of task {number} must be text, not {kind_of(value)}"
                )
    return rows


# -- events that the base has ----------------------------------------------------------------


def _missing_files(writer: Writer, base: str, events: list[Event]) -> dict[str, bytes]:
    """The files of the log at *base* that hold an event which is not here."""
    repository = writer.repository
    if repository is None:
        raise Outside("--base needs git", hint="This backlog lies in no repository.")
    commit = commit_of(repository, base, "--base")
    known = {event["hash"] for event in events}
    here = set(log.list_files(writer.root))
    folder = f"{repository.prefix}{AUDIT}/"
    # From the top: ls-tree names paths below the current folder otherwise, with ".." in them.
    answer = repository.run("ls-tree", "-r", "-z", "--full-tree", commit, "--", folder)
    if answer.status:
        raise Outside(f"git cannot read {base[:60]}: {answer.trouble}", hint="Run 'git fsck'.")
    blobs = {}
    for row in answer.rows:
        head, _, path = row.partition("\t")
        name = path.removeprefix(folder)
        if path.startswith(folder) and name.endswith(".jsonl") and name.count("/") < 2 and name not in here:
            blobs[name] = head.split(" ")[2]
    found = {}
    for name, blob in zip(blobs, repository.reads(list(blobs.values())), strict=True):
        if blob is None:
            raise Outside(f"git lacks {AUDIT}/{name} of {base[:60]}", hint="Fetch the whole history.")
        if any(event["hash"] not in known for event in _events(blob[2], name)):
            found[name] = blob[2]
    return found


def _events(data: bytes, name: str) -> list[Event]:
    try:
        events: list[Event] = [json.loads(row) for row in data.splitlines()]
        if not events or any(event["hash"] != event_hash(event) for event in events):
            raise ValueError("its hash does not fit")
    except (ValueError, KeyError, TypeError, RecursionError):
        path = f"{AUDIT}/{name}"
        raise LogDamaged(f"{path} of the base does not hold the events that were written", file=path) from None
    return events


def _with(events: list[Event], brought: Mapping[str, bytes]) -> list[Event]:
    return causal_order([*events, *(event for name, data in brought.items() for event in _events(data, name))])


def _place(writer: Writer, brought: Mapping[str, bytes]) -> None:
    """Put files into the log, noted first as waiting for their commit, so that a crash leaves none unnoted."""
    writer.carried = frozenset(f"{AUDIT}/{name}" for name in brought)
    pending.note(writer, writer.carried)
    folders = set()
    make_folder(writer.root.audit)
    for name, data in brought.items():
        path = os.path.join(writer.root.audit, name)
        make_folder(os.path.dirname(path))
        tmp = os.path.join(writer.root.tmp, "brought")
        remove(tmp)
        write_new(tmp, [data])
        os.replace(tmp, path)
        folders.add(os.path.dirname(path))
    for folder in folders:
        sync_folder(folder)


def _take_out(writer: Writer, brought: Mapping[str, bytes]) -> None:
    """After a refusal: the files of the base go again, unless the save stands or is still to be settled."""
    if writer.options.dry_run or os.path.exists(writer.root.journal):
        return
    for name in brought:
        remove(os.path.join(writer.root.audit, name))
    if brought and not pending.waiting(writer.root):
        remove(writer.root.pending)

"""The writer that settles the conflicts of an open merge."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import task_changes
from taskkeep.backlog.merge import Conflict
from taskkeep.backlog.replay import Replay, is_told, reconcile
from taskkeep.backlog.resolve import resolved
from taskkeep.errors import BacklogUnreadable, HandEdit, NotFound, TaskkeepError
from taskkeep.store import backups, log
from taskkeep.store.files import replace
from taskkeep.store.git.commit import failure, lock_mark, under_way
from taskkeep.store.git.staging import stage
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG
from taskkeep.store.merging.open_merge import EVENT, LEFT_BY_GIT, OpenMerge, open_merge, with_authors
from taskkeep.store.past.witnesses import refuse_gone
from taskkeep.store.placement import Placement
from taskkeep.store.save import Context, Outcome, Writer
from taskkeep.store.surroundings import now_text
from taskkeep.store.validate import tasks_by_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root

_NAMED = ("uid", "task_id", "field")

# -- the writer --------------------------------------------------------------------------------------


class Resolver(Writer):
    """The writer that is allowed while a merge is open: it saves, stages, and leaves the commit to the user."""

    is_staged = True
    state: OpenMerge
    chosen: list[Conflict]
    touched: Sequence[str] = ()  # the tasks that the choice is about, in the order of its events
    left: list[Conflict]
    open: list[dict[str, Any]]  # what the event names as nobody's choice yet
    staged: Sequence[str] = ()

    def _refuse_open_merge(self) -> None:
        """A merge is what it is for."""

    def commits(self) -> bool:
        return False

    def _pack(self, names: Sequence[str], limit: int) -> None:
        """Packing makes a commit of its own, which has to wait."""

    def resolve(self, choose: Callable[[OpenMerge], list[tuple[Conflict, str, Any]]]) -> tuple[Outcome, list[Conflict]]:
        """Settle the conflicts that *choose* picks, each with its choice and value; returns those left open.

        With none left the files are staged. Raises NotFound where no merge of the backlog is open.
        """
        repository = self.repository
        state = open_merge(self.root, repository) if repository is not None else None
        if self.options.key is not None and (first := self._replayed(self.options)):
            return self._again(first, self.read(), Outcome()), state.open if state is not None else []
        if repository is not None and state is None and self.finished_resolve and under_way(repository):
            outcome = Outcome()
            outcome.backlog, outcome.warnings, outcome.dry_run = self.read(), self.warnings, self.options.dry_run
            return outcome, []
        if repository is None or state is None:
            refuse_gone(self.root)
            raise NotFound("no merge of the backlog is open here", hint="See 'taskkeep status'.")
        self.state = state
        outcome = Outcome()
        outcome.warnings, outcome.dry_run = self.warnings, self.options.dry_run
        before, is_new = self._read_open(state)
        context = Context(self, self.actor(), now_text())
        after = before
        picked = choose(state)
        # Whether a task is there comes before what its fields hold and what links to it.
        for conflict, choice, value in sorted(picked, key=lambda one: one[0].field is not None):
            after = resolved(after, state.merged, conflict, choice, value, now=context.now, actor=context.actor)
        self.chosen = [conflict for conflict, _, _ in picked]
        left = self.left = [conflict for conflict in state.open if conflict not in self.chosen]
        outcome.backlog = after
        changed = task_changes(before, after, context.now)
        self.touched = list(
            dict.fromkeys([*(task["id"] for _, task, _ in changed), *(one.task_id for one in self.chosen)])
        )
        self._judge(before, after, changed, context)
        outcome.changed = bool(picked) or is_new
        if self.options.dry_run:
            return outcome, left
        if outcome.changed:
            self.open = self._still_open()
            pieces, archive = [text.dump(after.tasks.values())], self._new_archive(before, after)
            events = self._events(context, pieces, archive, changed, None, "resolve")
            if events:
                placement = Placement(
                    self.root,
                    events,
                    pieces,
                    archive,
                    old_archive=self.archive_bytes,
                    fresh=False,
                    mode=self.mode,
                    # Git's markers are no state that anybody wants back.
                    snapshot=self.snapshots and not is_new and backups.held(self.root, self.sha) is None,
                    found=self.grounds(),
                )
                self._write(placement, outcome, {}, {})
                outcome.events = events
            else:
                # The log has all of it already, as of a change picked twice; only git's markers go.
                replace(self.root.backlog, pieces, tmp=os.path.join(self.root.tmp, "merged"), mode=self.mode)
                if archive is not None:
                    replace(self.root.archive, [archive], tmp=os.path.join(self.root.tmp, "merged"), mode=self.mode)
                self._stage()
        else:
            self._stage()  # what was settled before, and could not be staged then
        return outcome, left

    def _read_open(self, state: OpenMerge) -> tuple[Backlog, bool]:
        """The backlog as it lies there; where git left its markers the merged one, and True."""
        try:
            return self.read(), False
        except HandEdit:
            backlog, is_new = self._as_it_lies(), False
        except BacklogUnreadable as error:
            if error.code not in LEFT_BY_GIT:
                raise
            backlog, is_new = state.merged.backlog, True
        self.choices, wrong = choices_of(Replay(log.read_all(self.root)), backlog, state.open)
        if wrong:
            raise HandEdit(
                f"the log does not explain the merge ({', '.join(wrong[:3])})",
                hint="Somebody edited a branch by hand: commit the merge with git, then 'taskkeep adopt' records it.",
                tasks=wrong[:50],
            )
        return backlog, is_new

    def _as_it_lies(self) -> Backlog:
        parts = []
        for name, data in ((BACKLOG, self.bytes), (ARCHIVE, self.archive_bytes)):
            parts.append(tasks_by_id(data, name) if data is not None else {})
        return Backlog(*parts)

    def _archive_stays(self, before: Backlog, after: Backlog) -> bool:
        """Only where there is none: the merge may have left markers in it."""
        return self.archive_bytes is None and not after.archived

    def _events(
        self,
        context: Context,
        pieces: Sequence[bytes],
        archive: bytes | None,
        changed: Sequence[tuple[str, Task, Any]],
        head_event: tuple[str, dict[str, Any]] | None,
        source: str,
    ) -> list[Event]:
        settled = []
        seen = set()
        if self.choices and len(self.log.heads) == 1:
            head_event = "merged", self._met()
        for kind, task, details in changed:
            seen.add(task["uid"])
            settled.append((EVENT, task, {**self._said(kind, task, details), **self._settles(task["uid"])}))
        for conflict in self.chosen:
            if conflict.uid not in seen:  # deleted, and left so
                seen.add(conflict.uid)
                task = {"id": conflict.task_id, "uid": conflict.uid}
                settled.append((EVENT, task, {**self._said("task_deleted", task, {}), **self._settles(conflict.uid)}))
        return super()._events(context, pieces, archive, settled, head_event, source)

    def _settles(self, uid: str) -> dict[str, Any]:
        fields = [conflict.field for conflict in self.chosen if conflict.uid == uid]
        return {"resolved": fields, "stages": self.state.stages, **self._leaves()}

    def _met(self) -> dict[str, Any]:
        return {**super()._met(), **self._leaves()}

    def _leaves(self) -> dict[str, Any]:
        """The event joins the branches with the files as they lie, which does not make all of it a choice."""
        return {"open": self.open} if self.open else {}

    def _still_open(self) -> list[dict[str, Any]]:
        """The conflicts that are left, and those that were committed as they lay before, as by a rebase."""
        conflicts = self.state.merged.conflicts
        uids, known = {one.uid for one in conflicts}, {(one.uid, one.field) for one in conflicts}
        found = [{name: getattr(one, name) for name in _NAMED} for one in self.left]
        found += [
            {name: one[name] for name in _NAMED} for one in self.choices if is_told(one) and one["uid"] not in uids
        ]
        for event in log.read_all(self.root):
            if event["hash"] in self.log.heads:
                found += [one for one in event["details"].get("open", ()) if (one["uid"], one["field"]) not in known]
        return found

    @staticmethod
    def _said(kind: str, task: Task, details: Mapping[str, Any]) -> dict[str, Any]:
        """The change as replay takes it of a conflict: a task that comes or goes is a choice."""
        if kind == "task_updated":
            return dict(details)
        to = task if kind == "task_created" else None
        return {"choices": [{"uid": task["uid"], "task_id": task["id"], "field": None, "to": to}]}

    def _stage(self) -> None:
        self.staged = stage_settled(self, self.state, settles_all=not self.left)

    def _tidy(self, placement: Placement, outcome: Outcome, *, keep_journal: bool) -> None:
        """As for every save, which changes the files' status as the index has it: it takes it once more."""
        super()._tidy(placement, outcome, keep_journal=keep_journal)
        try:
            put_into_index(self, self.staged)
        except (OSError, TaskkeepError) as error:
            self.warnings.append(f"run 'git status' before you give the merge up: its index is not fresh ({error})")


def stage_settled(writer: Writer, state: OpenMerge, *, settles_all: bool) -> list[str]:
    """Put our new log files into the index, and with nothing left open the two files, which then are merged.

    Of these one that git itself has merged is put there in any case: `git merge --abort` takes back what it knows.
    Returns their paths. Raises OSError, GitLocked, CommitFailed; then the index is as it was.
    """
    assert writer.repository is not None
    # Not `ls-files -o`: for that a folder which cannot be opened is an empty one.
    answer = writer.repository.run("ls-files", "-z", "--", AUDIT)
    if answer.status:
        raise failure(answer, "git cannot read its index")
    known = set(answer.rows)
    paths = [path for name in log.list_files(writer.root) if (path := f"{AUDIT}/{name}") not in known]
    unmerged = set() if settles_all else {stage.partition(":")[0] for stage in state.stages}
    paths += [name for name in (BACKLOG, ARCHIVE) if name not in unmerged and os.path.exists(writer.root.in_root(name))]
    put_into_index(writer, paths)
    return paths


def put_into_index(writer: Writer, paths: Sequence[str]) -> None:
    """Stage *paths*, if there are any. Raises as stage_settled does."""
    assert writer.repository is not None
    if paths:
        mark = lock_mark(writer.root, writer.token)
        stage(writer.root, writer.repository, paths, token=writer.token, mark=mark, wait=writer.options.wait)


def choices_of(
    replay: Replay, backlog: Backlog, conflicts: Sequence[Conflict]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what the files chose of an open merge, as a `merged` event records it, and what nothing explains.

    Where changes were picked out of their order the log may have decided what git holds for a conflict;
    then the conflict counts, and the task as a whole is a choice.
    """
    choices, wrong = reconcile(replay, backlog.tasks, backlog.archived)
    uids = {conflict.uid for conflict in conflicts}
    if not wrong or not uids:
        return choices, wrong
    expected, away = replay.tasks(), replay.archived()
    found = {task["uid"]: task for task in (*backlog.archived.values(), *backlog.tasks.values())}
    live, archived = (
        {task_id: task for task_id, task in tasks.items() if task["uid"] not in uids}
        for tasks in (backlog.tasks, backlog.archived)
    )
    for uid in uids & expected.keys():
        (archived if uid in away else live)[expected[uid]["id"]] = expected[uid]
    choices, wrong = reconcile(replay, live, archived)
    choices = [choice for choice in choices if choice["uid"] not in uids]
    names = {conflict.uid: conflict.task_id for conflict in conflicts}
    return [
        *choices,
        *({"uid": uid, "task_id": names[uid], "field": None, "to": found.get(uid)} for uid in sorted(uids)),
    ], wrong


def pick(state: OpenMerge, task_id: str | None, field: str | None) -> list[Conflict]:
    """Return the open conflicts that are meant: all, those of one task, or one field's. Raises NotFound."""
    if task_id is None:
        return list(state.open)
    name = task_id.strip().upper()
    ids = {uid: {side[uid]["id"], *side[uid].get("aliases", ())} for side in (state.merged.ours, state.merged.theirs)
           for uid in side}  # fmt: skip
    of_task = [one for one in state.merged.conflicts if one.task_id == name or name in ids.get(one.uid, ())]
    found = [one for one in of_task if field is None or one.field == field]
    if not found:
        what = f"{name} has no conflict" + (f" in {field[:40]}" if field and of_task else "")
        raise NotFound(what, hint="See 'taskkeep conflicts'.")
    return [one for one in found if one in state.open]


def newest(root: Root, repository: Repository, conflicts: Sequence[Conflict]) -> list[tuple[Conflict, str, Any]]:
    """Return each conflict with the side that was changed last."""
    return [
        (found.conflict, "theirs" if (found.theirs.time or "") > (found.ours.time or "") else "ours", None)
        for found in with_authors(root, repository, conflicts)
    ]

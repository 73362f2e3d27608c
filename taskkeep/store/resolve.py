"""An open merge of the backlog: its conflicts from git's index, and the one writer that settles them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import task_changes
from taskkeep.backlog.merge import Conflict, Merged, merge_versions
from taskkeep.backlog.replay import Replay, reconcile
from taskkeep.backlog.resolve import resolved
from taskkeep.errors import BacklogUnreadable, GitUnavailable, HandEdit, NotFound, RepositoryBusy
from taskkeep.store import backups, log
from taskkeep.store.commit import failure, lock_mark
from taskkeep.store.driver import common_past
from taskkeep.store.files import replace
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG
from taskkeep.store.placement import Placement
from taskkeep.store.revision import commit_of_or_none
from taskkeep.store.save import Context, Outcome, Writer
from taskkeep.store.staging import stage
from taskkeep.store.surroundings import now_text
from taskkeep.store.validate import refuse_double_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.git import Repository
    from taskkeep.store.layout import Root

EVENT = "conflict_resolved"
_LEFT_BY_GIT = ("conflict_marker", "duplicate_key", "duplicate_id", "unreadable")
_THEIRS = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")


class ChangedBy(NamedTuple):
    """Who last changed the field on one side, on which branch and when; None where nothing tells."""

    branch: str | None
    actor: str | None
    time: str | None


class OpenConflict(NamedTuple):
    """A conflict that nobody has settled yet."""

    conflict: Conflict
    ours: ChangedBy
    theirs: ChangedBy


class OpenMerge(NamedTuple):
    """What the index holds of a merge: the merged backlog, and which of its conflicts are still open."""

    merged: Merged
    stages: list[str]
    open: list[Conflict]


def open_merge(root: Root, repository: Repository) -> OpenMerge | None:
    """Return the merge that the index holds unmerged, None where there is none.

    Raises BacklogUnreadable, InvalidField, RepositoryBusy where one side has no such file.
    """
    found = _stages(repository)
    if not found:
        return None
    theirs = _theirs_head(repository, "MERGE_HEAD")
    try:
        base, spoilt = _version(repository, found, 1), False
    except BacklogUnreadable:
        if not theirs:
            raise
        base, spoilt = Backlog({}), True  # of branches that met twice git merges the bases by lines
    if theirs:
        base = common_past(root.path, repository.prefix + BACKLOG, "HEAD", theirs, always=spoilt) or base
    versions = [base, _version(repository, found, 2), _version(repository, found, 3)]
    merged = merge_versions(*versions)
    stages = [f"{name}:{number}:{blob}" for (name, number), blob in sorted(found.items())]
    settled: set[tuple[str, str | None]] = set()
    for event in log.read_all(root):
        if event["event_type"] == EVENT and event["details"].get("stages") == stages:
            settled |= {(event["uid"], field) for field in event["details"]["resolved"]}
    left = [one for one in merged.conflicts if (one.uid, one.field) not in settled]
    return OpenMerge(merged, stages, left)


def _stages(repository: Repository) -> dict[tuple[str, int], str]:
    """The blobs of our unmerged files, by name and stage."""
    answer = repository.run("ls-files", "-u", "-z", "--", BACKLOG, ARCHIVE)
    if answer.status:
        raise GitUnavailable(f"git cannot read its index: {answer.trouble}", hint="Run 'git status'.")
    found = {}
    for row in answer.out.decode("utf-8", "surrogateescape").split("\0"):
        if row:
            head, _, path = row.partition("\t")
            _, blob, number = head.split(" ")
            found[os.path.basename(path), int(number)] = blob
    return found


def _version(repository: Repository, stages: Mapping[tuple[str, int], str], number: int) -> Backlog:
    sides = {1: None, 2: "HEAD", 3: _theirs_head(repository)}
    parts: dict[str, dict[str, Task]] = {}
    for name in (BACKLOG, ARCHIVE):
        if any(one == name for one, _ in stages):
            question = stages.get((name, number))
        else:
            question = f"{sides[number]}:{repository.prefix}{name}" if sides[number] else None
        if question is None and name == BACKLOG and number != 1:
            raise RepositoryBusy(
                f"{'their' if number == 3 else 'our'} side has no {BACKLOG}", hint="Settle this with git itself."
            )
        blob = repository.reads([question])[0] if question else None
        tasks = text.parse(blob[2], name) if blob is not None else []
        refuse_double_ids(tasks, name)
        parts[name] = {task["id"]: task for task in tasks}
    return Backlog(parts[BACKLOG], parts[ARCHIVE])


def _theirs_head(repository: Repository, *names: str) -> str | None:
    """The commit that is being merged, squashed, picked or rebased, or of *names* alone; None for a stash."""
    with_squash = _first_line(os.path.join(repository.git_dir, "SQUASH_MSG"), skip="commit ")
    if with_squash is not None:
        return with_squash
    for name in names or _THEIRS:
        if os.path.lexists(os.path.join(repository.git_dir, name)):
            return commit_of_or_none(repository, name)
    return None


# -- who changed what ----------------------------------------------------------------------------


def open_conflicts(root: Root, repository: Repository) -> list[OpenConflict]:
    """Return the conflicts that are still open, with who made both sides. Raises as open_merge does."""
    state = open_merge(root, repository)
    if state is None or not state.open:
        return []
    return _with_authors(root, repository, state.open)


def _with_authors(root: Root, repository: Repository, conflicts: Sequence[Conflict]) -> list[OpenConflict]:
    ours = _files_of_head(repository)
    sides: tuple[list[Event], list[Event]] = ([], [])
    for name in log.list_files(root):
        sides[name not in ours].extend(event for event in log.read_file(root, name) if event["event_type"] != EVENT)
    names = _branches(repository)
    found = []
    for conflict in conflicts:
        who = [_last_change(events, conflict, branch) for events, branch in zip(sides, names, strict=True)]
        found.append(OpenConflict(conflict, *who))
    return found


def _files_of_head(repository: Repository) -> set[str]:
    start = f"{repository.prefix}{AUDIT}/"
    answer = repository.run("ls-tree", "-r", "-z", "--name-only", "--full-name", "HEAD", "--", AUDIT)
    return {name.removeprefix(start) for name in answer.out.decode("utf-8", "surrogateescape").split("\0")}


def _last_change(events: Sequence[Event], conflict: Conflict, branch: str | None) -> ChangedBy:
    field = (conflict.field or "").partition(".")[0]
    last: Event | None = None
    for event in events:
        changes = event["details"].get("changes")
        touches = event["uid"] == conflict.uid and (not field or changes is None or field in changes)
        if touches and (last is None or event["timestamp"] > last["timestamp"]):
            last = event
    return ChangedBy(branch, last["actor"] if last else None, last["timestamp"] if last else None)


def _branches(repository: Repository) -> tuple[str | None, str | None]:
    """What both sides are called. While rebasing ours is what is rebased onto."""
    folder = repository.git_dir
    for name in ("rebase-merge", "rebase-apply"):
        rebased = _first_line(os.path.join(folder, name, "head-name"))
        if rebased is not None:
            onto = _first_line(os.path.join(folder, name, "onto"))
            return _name_of(repository, onto or "HEAD"), rebased.removeprefix("refs/heads/")
    ours = repository.run("symbolic-ref", "-q", "--short", "HEAD").text or "HEAD"
    told = re.match(r"Merge (?:remote-tracking )?(?:branch|commit) '([^']+)'", _first_line(f"{folder}/MERGE_MSG") or "")
    theirs = _theirs_head(repository)
    if told:
        return ours, told[1]
    return ours, _name_of(repository, theirs) if theirs else "stash"


def _name_of(repository: Repository, commit: str) -> str:
    answer = repository.run("name-rev", "--name-only", "--no-undefined", "--refs=refs/heads/*",
                            "--refs=refs/remotes/*", commit)  # fmt: skip
    return answer.text if answer.status == 0 and answer.text else commit[:10]


def _first_line(path: str, skip: str = "") -> str | None:
    """The first line of a file of git's that begins with *skip*, without that; None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return next((row[len(skip) :].rstrip("\n") for row in file if row.startswith(skip)), None)
    except OSError:
        return None


# -- the writer --------------------------------------------------------------------------------------


class Resolver(Writer):
    """The writer that is allowed while a merge is open: it saves, stages, and leaves the commit to the user."""

    is_staged = True
    state: OpenMerge
    chosen: list[Conflict]
    settles_all: bool

    def _refuse_open_merge(self) -> None:
        """A merge is what it is for."""

    def commits(self) -> bool:
        return False

    def _pack(self, limit: int) -> None:
        """Packing makes a commit of its own, which has to wait."""

    def resolve(self, choose: Callable[[OpenMerge], list[tuple[Conflict, str, Any]]]) -> tuple[Outcome, list[Conflict]]:
        """Settle the conflicts that *choose* picks, each with its choice and value; returns those left open.

        With none left the files are staged. Raises NotFound where no merge of the backlog is open.
        """
        repository = self.repository
        state = open_merge(self.root, repository) if repository is not None else None
        if self.options.key is not None and (first := self._replayed(self.options)):
            return self._again(first, self.read(), Outcome()), state.open if state is not None else []
        if repository is None or state is None:
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
        left = [conflict for conflict in state.open if conflict not in self.chosen]
        outcome.backlog = after
        changed = task_changes(before, after, context.now)
        self._judge(before, after, changed, context.whys)
        outcome.changed = bool(picked) or is_new
        self.settles_all = not left
        if self.options.dry_run:
            return outcome, left
        if outcome.changed:
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
            if error.code not in _LEFT_BY_GIT:
                raise
            backlog, is_new = state.merged.backlog, True
        self.choices, wrong = choices_of(Replay(log.read_all(self.root)), backlog, state.merged.conflicts)
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
            tasks = text.parse(data, name) if data is not None else []
            refuse_double_ids(tasks, name)
            parts.append({task["id"]: task for task in tasks})
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
            head_event = "merged", {"heads": list(self.log.heads), "choices": self.choices}
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
        return {"resolved": fields, "stages": self.state.stages}

    @staticmethod
    def _said(kind: str, task: Task, details: Mapping[str, Any]) -> dict[str, Any]:
        """The change as replay takes it of a conflict: a task that comes or goes is a choice."""
        if kind == "task_updated":
            return dict(details)
        to = task if kind == "task_created" else None
        return {"choices": [{"uid": task["uid"], "task_id": task["id"], "field": None, "to": to}]}

    def _stage(self) -> None:
        """Put our new log files into the index, and with nothing left open the two files, which then are merged."""
        assert self.repository is not None
        # Not `ls-files -o`: for that a folder which cannot be opened is an empty one.
        answer = self.repository.run("ls-files", "-z", "--", AUDIT)
        if answer.status:
            raise failure(answer, "git cannot read its index")
        known = set(answer.out.decode("utf-8", "surrogateescape").split("\0"))
        paths = [path for name in log.list_files(self.root) if (path := f"{AUDIT}/{name}") not in known]
        if self.settles_all:
            paths += [name for name in (BACKLOG, ARCHIVE) if os.path.exists(self.root.in_root(name))]
        if paths:
            mark = lock_mark(self.root, self.token)
            stage(self.root, self.repository, paths, token=self.token, mark=mark, wait=self.options.wait)


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
        for found in _with_authors(root, repository, conflicts)
    ]

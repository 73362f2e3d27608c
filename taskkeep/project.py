"""The door to a backlog: one short method for each thing a user can do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.errors import AlreadyInitialised, BacklogUnreadable, ForeignFile, Outside, Refused, Usage
from taskkeep.store.files import FileId, disk_fault, read
from taskkeep.store.layout import ARCHIVE, BACKLOG, Root, find_root, is_ours, start_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskkeep.backlog.changes import Edit
    from taskkeep.backlog.events import Event
    from taskkeep.backlog.merge import Conflict
    from taskkeep.backlog.query import Page, Query
    from taskkeep.backlog.task import Task
    from taskkeep.importers.draft import Plan, Report
    from taskkeep.store.branches import Met
    from taskkeep.store.resolve import OpenConflict
    from taskkeep.store.save import Context, Options, Outcome, Writer
    from taskkeep.store.verify import Verdict

    Change = Callable[[Backlog, Context], Backlog]


class Saved(NamedTuple):
    """What a writer did, as it is on disk now; *commit* None where it waits or nothing was to do."""

    changed: bool
    tasks: list[Task]
    events: list[str]
    commit: str | None
    pending: bool
    warnings: list[str]
    task: Task | None = None
    dry_run: bool = False
    replayed: bool = False
    report: Report | None = None


class LogPage(NamedTuple):
    """Events, newest first, and how many there are in all."""

    events: list[Event]
    total: int


def open(folder: str | None = None) -> Project:
    """Return the backlog at or above *folder*, else TASKKEEP_DIR, else the current folder.

    Raises BacklogNotFound, Usage.
    """
    return Project(find_root(folder))


def init(folder: str | None = None, *, ids: str = "random", git: bool | None = None, **options: Any) -> Saved:
    """Make a backlog in *folder* (default: the current one). *git*: True runs `git init` outside of
    git, False does without.

    Raises AlreadyInitialised, ForeignFile, Outside.
    """
    from taskkeep.store.git import repository_of, run
    from taskkeep.store.save import writing
    from taskkeep.store.setup import write_setup

    if ids not in ("random", "sequential"):
        raise Usage(f"ids cannot be {ids[:40]!r}", hint="random or sequential.")
    path = start_folder(folder or ".")
    root = Root(path)
    root.refuse_detours()
    _refuse_taken(root)
    asked = _options(options)
    if repository_of(path) is None:
        if git is None:
            raise Outside(
                "this folder is in no git repository",
                hint="Pass --git to run 'git init' here, or --no-git to do without history.",
            )
        if git and not asked.dry_run:
            answer = run(path, "init", "-q")
            if answer.status:
                raise Outside(f"git init failed: {answer.trouble}")
    if asked.dry_run:
        return Saved(True, [], [], None, False, [], dry_run=True)
    with writing(root, asked, fresh=True) as writer:
        _refuse_taken(root)
        writer.fresh = not os.path.exists(root.backlog)
        if writer.repository is not None:
            from taskkeep.store.commit import refuse_obstacles

            refuse_obstacles(writer.repository)
        try:
            committed, staged = write_setup(root, ids, writer.repository)
        except OSError as error:
            raise disk_fault("the backlog could not be set up", error) from error
        from taskkeep.store.config import load_config

        writer.config = load_config(root)
        outcome = writer.save(
            lambda backlog, context: backlog,
            head_event=("backlog_initialised", {"ids": ids, "files": sorted(committed)}),
            extra={name: [data] for name, data in committed.items()},
            staged={name: [data] for name, data in staged.items()},
        )
        return _saved(outcome, [])


def _refuse_taken(root: Root) -> None:
    if os.path.lexists(root.backlog):
        if not is_ours(root.backlog):
            raise ForeignFile(
                "backlog.json is there and not taskkeep's",
                hint="Take it in with 'taskkeep import' elsewhere.",
            )
        raise AlreadyInitialised("there is a backlog here already", hint="See 'taskkeep status'.")


def merge_files(base: str, ours: str, theirs: str, path: str) -> list[Conflict]:
    """Merge three versions of *path* into the file *ours*, as git's merge driver; returns the open conflicts.

    Raises BacklogUnreadable, InvalidField, and then *ours* is as it was.
    """
    from taskkeep.store.driver import merge_files

    try:
        return merge_files(base, ours, theirs, path)
    except OSError as error:
        raise disk_fault(f"{path} could not be merged", error) from error


def schema_text() -> str:
    """The JSON Schema of backlog.json."""
    from taskkeep.store.schemas import schema_text as read_schema

    return read_schema("backlog.schema.json").decode()


def _options(values: Mapping[str, Any]) -> Options:
    from taskkeep.store.save import Options

    return Options(**values)


def _saved(outcome: Outcome, ids: Sequence[str], *, new: str | None = None, report: Report | None = None) -> Saved:
    tasks = [task for task_id in ids if (task := outcome.backlog.get(task_id)) is not None]
    return Saved(
        outcome.changed,
        tasks,
        [event["event_id"] for event in outcome.events],
        outcome.commit,
        outcome.pending,
        outcome.warnings,
        outcome.backlog.get(new) if new else None,
        outcome.dry_run,
        outcome.replayed,
        report,
    )


class Project:
    """One backlog. Holds no state: every call reads what is on disk, so a failed save leaves all as it was.

    Writers take ``why actor dry_run commit wait if_match key source`` as keywords and return Saved.
    They raise HandEdit, RepositoryBusy, BacklogLocked, DiskFault, CommitFailed and what the change raises.
    """

    def __init__(self, root: Root) -> None:
        self.root = root
        self._alive: Backlog | None = None

    @property
    def folder(self) -> str:
        """The folder of backlog.json, absolute."""
        return self.root.path

    # -- reading -------------------------------------------------------------------------

    def backlog(self, *, archived: bool = True) -> Backlog:
        """Return the backlog as it is on disk. Raises BacklogUnreadable, InvalidField."""
        data, _, trusted = self._bytes()
        return self._backlog(data, trusted, archived=archived)

    def _bytes(self) -> tuple[bytes, FileId, bool]:
        """What backlog.json holds, which file that is, and whether a writer has checked just this."""
        from taskkeep.store.record import checked

        try:
            data, found = read(self.root.backlog, limit=text.MAX_BYTES)
        except FileNotFoundError:
            from taskkeep.store.save import missing_backlog

            raise missing_backlog() from None
        file = FileId.of(found)
        return data, file, checked(self.root)[0] == list(file)

    def _backlog(self, data: bytes, trusted: bool, *, archived: bool = True) -> Backlog:
        if trusted:
            live = {task["id"]: task for task in text.parse_trusted(data)}
        else:
            live = _shaped(text.parse(data), BACKLOG)
        # Not for reading again, which every call does: a command that ends by os._exit shall not spend
        # 25 ms at 10,000 tasks on taking them apart.
        self._alive = Backlog(live, self._archive() if archived else {})
        return self._alive

    def _page(self, query: Query, *, best: bool) -> Page:
        """The page of `list`, or with *best* of `ready`.

        A page of checked bytes, by what stands in few fields, is found without decoding all others.
        A law of the tests holds it to the plain way.
        """
        from taskkeep.backlog.outline import ready_stubs, stubs
        from taskkeep.backlog.query import is_plain, ready, select
        from taskkeep.store import outline

        data, file, trusted = self._bytes()
        choose = ready if best else select
        alone = not (best or query.ready or query.archived) or not os.path.lexists(self.root.archive)
        rows = outline.rows_of(self.root, file) if trusted and is_plain(query) and alone else None
        if rows is not None:
            self._alive = Backlog(ready_stubs(rows) if best or query.ready else stubs(rows))
            page = choose(self._alive, query, now=_now(), today=_today())
            full = text.find_tasks(data, [task["id"] for task in page.tasks])
            return page._replace(tasks=[full[task["id"]] for task in page.tasks])
        backlog = self._backlog(data, trusted)
        return choose(backlog, query, now=_now(), actor=self._reader(query), today=_today())

    def _archive(self) -> dict[str, Task]:
        from taskkeep.store.record import checked

        try:
            data, found = read(self.root.archive, limit=text.MAX_BYTES)
        except FileNotFoundError:
            return {}
        if checked(self.root)[1] == list(FileId.of(found)):
            return {task["id"]: task for task in text.parse_trusted(data)}
        return _shaped(text.parse(data, ARCHIVE), ARCHIVE)

    def list(self, query: Query | None = None) -> Page:
        """Return a page of tasks; see backlog.query.Query for the filters."""
        from taskkeep.backlog.query import Query

        return self._page(query or Query(), best=False)

    def search(self, text: str, query: Query | None = None) -> Page:
        """Return a page of the tasks that hold every word of *text*."""
        from taskkeep.backlog.query import Query

        return self.list((query or Query())._replace(text=text))

    def ready(self, query: Query | None = None) -> Page:
        """Return what can be begun now, best first, each with its reason."""
        from taskkeep.backlog.query import Query

        return self._page(query or Query(limit=10), best=True)

    def _reader(self, query: Query) -> str:
        return self.actor() if query.mine else ""

    def actor(self) -> str:
        """Return who acts here: TASKKEEP_ACTOR, else git's user."""
        from taskkeep.store.git import repository_of
        from taskkeep.store.surroundings import default_actor

        if os.environ.get("TASKKEEP_ACTOR", "").strip():
            return default_actor(None)
        return default_actor(repository_of(self.root.path))

    def show(self, ids: Sequence[str]) -> Sequence[Task]:
        """Return tasks by id or alias, archived ones too. Raises TaskNotFound, AmbiguousId."""
        data, _, trusted = self._bytes()
        if trusted:
            names = [name.strip().upper() for name in ids]
            found = text.find_tasks(data, set(names))
            if found.keys() >= set(names):
                return [found[name] for name in names]
        backlog = self._backlog(data, trusted)
        return [backlog.find(task_id) for task_id in ids]

    def status(self) -> dict[str, Any]:
        """Return where this checkout stands: counts, what waits, what is in the way."""
        from taskkeep.store.git import repository_of

        backlog = self.backlog()
        counts: dict[str, int] = {}
        for task in backlog.tasks.values():
            counts[task["status"]] = counts.get(task["status"], 0) + 1
        repository = repository_of(self.root.path)
        branch = None
        if repository is not None:
            branch = repository.run("symbolic-ref", "-q", "--short", "HEAD").text or None
        return {
            "folder": self.root.path,
            "tasks": counts,
            "total": len(backlog.tasks),
            "archived": len(backlog.archived),
            "git": repository is not None,
            "branch": branch,
            "pending": os.path.exists(self.root.pending),
            "interrupted": os.path.exists(self.root.journal),
            "hand_edit": self._is_hand_edited(),
        }

    def _is_hand_edited(self) -> bool:
        from hashlib import sha256

        from taskkeep.backlog.replay import heads
        from taskkeep.store import log

        events = log.read_all(self.root)
        found = {event["hash"]: event["after"] for event in events}
        last = [found[name] for name in heads(events)]
        return len(last) == 1 and sha256(read(self.root.backlog)[0]).hexdigest() != last[0]

    def log(
        self,
        ids: Sequence[str] = (),
        *,
        since: str | None = None,
        until: str | None = None,
        actors: Sequence[str] = (),
        types: Sequence[str] = (),
        limit: int = 0,
    ) -> LogPage:
        """Return events, newest first; *limit* 0 for all. Raises LogDamaged, TaskNotFound."""
        from taskkeep.errors import TaskNotFound
        from taskkeep.store import log

        events = log.read_all(self.root)[::-1]
        if ids:
            uids = set()
            for name in ids:
                found = {e["uid"] for e in events if e["task_id"] == name.strip().upper()}
                if len(found) > 1 and (task := self.backlog().get(name.strip().upper())) is not None:
                    found = {task["uid"]}  # drawn twice: the others are aliases now
                if not found:
                    try:
                        found = {self.backlog().find(name)["uid"]}
                    except BacklogUnreadable:
                        raise TaskNotFound(name) from None
                uids |= found
            events = [event for event in events if event["uid"] in uids]
        events = [
            event
            for event in events
            if (not since or event["timestamp"] >= since)
            and (not until or event["timestamp"] <= until)
            and (not actors or event["actor"] in actors)
            and (not types or event["event_type"] in types)
        ]
        return LogPage(events[:limit] if limit else events, len(events))

    def verify(self, *, strict: bool = False) -> Verdict:
        """Judge the working tree: the file, its graph, the log, and whether they agree."""
        import time

        from taskkeep.store.git import repository_of
        from taskkeep.store.verify import verify

        deadline = time.monotonic() + 5
        while True:
            before = self._mark()
            verdict = verify(self.root, lambda: repository_of(self.root.path), strict=strict)
            # A writer at work shows as a journal, or as files that moved while we read.
            busy = before != self._mark() or any(f["code"] == "interrupted" for f in verdict.findings)
            if not busy or time.monotonic() >= deadline or not self._is_locked():
                return verdict
            time.sleep(0.05)

    def _mark(self) -> object:
        try:
            return FileId.of(os.stat(self.root.backlog)), os.path.exists(self.root.journal)
        except OSError:
            return None

    def _is_locked(self) -> bool:
        from taskkeep.store.lock import is_locked

        return is_locked(self.root.lock)

    def doctor(self, *, fix: bool = False) -> Verdict:
        """Check what surrounds the backlog: git, locks, identity, leftovers, sizes."""
        from taskkeep.store.doctor import doctor

        return doctor(self.root, fix=fix)

    # -- writing -------------------------------------------------------------------------

    def _save(
        self,
        what: str,
        arguments: Any,
        change: Change,
        options: Mapping[str, Any],
        *,
        source: str | None = None,
    ) -> Outcome:
        from taskkeep.store.save import writing

        asked = _options(options)
        if asked.key is not None:
            import json
            from hashlib import sha256

            asked.digest = sha256(
                json.dumps(
                    [what, arguments, asked.actor, asked.why, asked.if_match], sort_keys=True, default=str
                ).encode()
            ).hexdigest()
        with writing(self.root, asked) as writer:
            outcome = writer.save(change, source=source)
        self._alive = outcome.backlog
        return outcome

    def _change_each(
        self,
        what: str,
        ids: Sequence[str],
        change: Callable[[Backlog, str, Context], Backlog],
        options: Mapping[str, Any],
        arguments: Any = None,
    ) -> Saved:
        """Apply *change* to each of the tasks named, as one request."""
        named: list[str] = []
        if_match = options.get("if_match")

        def all_of_them(backlog: Backlog, context: Context) -> Backlog:
            from taskkeep.store.save import check_if_match

            named[:] = list(dict.fromkeys(context.resolve(backlog, task_id) for task_id in ids))
            check_if_match(backlog, named, if_match)
            for task_id in named:
                backlog = change(backlog, task_id, context)
            return backlog

        outcome = self._save(what, [list(ids), arguments], all_of_them, options)
        if outcome.replayed:
            named[:] = _touched(outcome)
        return _saved(outcome, named)

    def add(self, title: str, **fields: Any) -> Saved:
        """Add a task; *fields* as in backlog.json, beside the writer options.

        Raises InvalidField, DanglingLink, LinkCycle.
        """
        options = _split_options(fields)
        return self._add({"title": title, **fields}, options)

    def add_object(self, task: Mapping[str, Any], **options: Any) -> Saved:
        """Add a task given as one JSON object with fields as in backlog.json."""
        return self._add(dict(task), options)

    def _add(self, fields: dict[str, Any], options: Mapping[str, Any]) -> Saved:
        from taskkeep.backlog.changes import add_task

        drawn: list[str] = []
        if options.get("if_match") is not None:
            raise Usage("a new task has no etag to match", hint="Leave --if-match out.")

        def change(backlog: Backlog, context: Context) -> Backlog:
            drawn.append(context.new_id())
            return add_task(
                backlog, fields, task_id=drawn[0], uid=context.new_uid(), now=context.now, actor=context.actor
            )

        outcome = self._save("add", fields, change, options)
        new = _touched(outcome)[:1] if outcome.replayed else drawn
        return _saved(outcome, new, new=new[0] if new else None)

    def update(self, ids: Sequence[str], edit: Edit, *, force: bool = False, **options: Any) -> Saved:
        """Change fields of tasks, the same for all. Raises InvalidField, ClaimHeld, StaleEtag and what add raises."""
        from taskkeep.backlog.changes import update_task

        return self._change_each(
            "update",
            ids,
            lambda b, i, c: update_task(b, i, edit, now=c.now, actor=c.actor, force=force),
            options,
            [{name: getattr(edit, name) for name in edit.__slots__}, force],
        )

    def update_object(
        self, ids: Sequence[str] | None, obj: Mapping[str, Any], *, force: bool = False, **options: Any
    ) -> Saved:
        """Change a task to *obj*, as `show --json` gives it: absent stays, None takes out, its etag must fit."""
        from taskkeep.backlog.changes import merge_object, object_etag

        names = list(ids) if ids else [obj["id"]] if isinstance(obj.get("id"), str) else []
        if len(names) != 1:
            raise Usage("one task is changed by one object", hint="Give its id, as an argument or in the object.")
        if options.get("if_match") is None and (given := object_etag(obj)) is not None:
            options = {**options, "if_match": given}
        return self._change_each(
            "update",
            names,
            lambda b, i, c: merge_object(b, i, obj, now=c.now, actor=c.actor, force=force),
            options,
            [dict(obj), force],
        )

    def _set_status(self, what: str, ids: Sequence[str], status: str, force: bool, options: Mapping[str, Any]) -> Saved:
        from taskkeep.backlog.changes import set_status

        return self._change_each(
            what,
            ids,
            lambda b, i, c: set_status(b, i, status, now=c.now, actor=c.actor, force=force),
            options,
            force,
        )

    def start(self, ids: Sequence[str], *, force: bool = False, **options: Any) -> Saved:
        """Set tasks to in_progress."""
        return self._set_status("start", ids, "in_progress", force, options)

    def finish(self, ids: Sequence[str], *, force: bool = False, **options: Any) -> Saved:
        """Set tasks to done. Raises TaskBlocked while a dependency is open, but with *force*."""
        from taskkeep.backlog.changes import finish_task

        return self._change_each(
            "done",
            ids,
            lambda b, i, c: finish_task(b, i, now=c.now, actor=c.actor, force=force),
            options,
            force,
        )

    def cancel(self, ids: Sequence[str], *, force: bool = False, **options: Any) -> Saved:
        """Set tasks to cancelled."""
        return self._set_status("cancel", ids, "cancelled", force, options)

    def block(self, ids: Sequence[str], *, force: bool = False, **options: Any) -> Saved:
        """Set tasks to blocked."""
        return self._set_status("block", ids, "blocked", force, options)

    def reopen(self, ids: Sequence[str], *, force: bool = False, **options: Any) -> Saved:
        """Set tasks to todo."""
        return self._set_status("reopen", ids, "todo", force, options)

    def note(self, task_id: str, text: str, **options: Any) -> Saved:
        """Append a note to a task; free even while another holds a claim."""
        from taskkeep.backlog.changes import add_note

        return self._change_each(
            "note", [task_id], lambda b, i, c: add_note(b, i, text, now=c.now, actor=c.actor), options, text
        )

    def delete(self, ids: Sequence[str], *, unlink: bool = False, force: bool = False, **options: Any) -> Saved:
        """Delete tasks; *why* is needed. Raises TaskNeeded while others name them, but with *unlink*."""
        from taskkeep.backlog.changes import delete_tasks

        if not (options.get("why") or "").strip():
            raise Usage("deleting needs a reason", hint="Say it with --why; it stays in the log.")
        if_match = options.get("if_match")

        def change(backlog: Backlog, context: Context) -> Backlog:
            from taskkeep.store.save import check_if_match

            named = [context.resolve(backlog, task_id) for task_id in ids]
            check_if_match(backlog, named, if_match)
            return delete_tasks(backlog, named, unlink=unlink, now=context.now, actor=context.actor, force=force)

        outcome = self._save("delete", [list(ids), unlink, force], change, options)
        return _saved(outcome, [])

    def import_tasks(self, plan: Plan, **options: Any) -> Saved:
        """Take the tasks of another tool in, as one request; a second time nothing changes."""
        from taskkeep.importers.plan import apply_plan

        reports: list[Report] = []
        before: list[Backlog] = []

        def change(backlog: Backlog, context: Context) -> Backlog:
            before[:] = [backlog]
            after, report = apply_plan(
                backlog,
                plan,
                new_id=context.new_id,
                new_uid=context.new_uid,
                now=context.now,
                actor=context.actor,
            )
            reports[:] = [report]
            return after if after.tasks != backlog.tasks else backlog

        outcome = self._save("import", [plan.report.source, len(plan.drafts)], change, options, source="import")
        new = [i for i, task in outcome.backlog.tasks.items() if before and before[0].tasks.get(i) is not task]
        return _saved(outcome, new, report=reports[0] if reports else plan.report)

    def archive(self, *, older_than: str | None = None, **options: Any) -> Saved:
        """Move tasks that were finished *older_than* ago (like ``90d``; else by the configuration) to the archive.

        Those that an open task names stay, but with ``0d``, which takes every finished one. The tasks of
        the answer are those moved. Raises InvalidField.
        """
        from taskkeep.backlog.changes import archive_tasks
        from taskkeep.backlog.times import seconds_of
        from taskkeep.store.config import load_config

        age = seconds_of(older_than or load_config(self.root)["archive.older_than"], field="older_than")
        outcome = self._save(
            "archive", age, lambda b, c: archive_tasks(b, older_than=age, now=c.now), options, source="archive"
        )
        moved = [task_id for task_id in _touched(outcome) if task_id in outcome.backlog.archived]
        if outcome.dry_run:
            before = self.backlog()
            moved = [task_id for task_id in outcome.backlog.archived if task_id in before.tasks]
        return _saved(outcome, moved)

    def merge(self, branch: str, **options: Any) -> tuple[Saved, Sequence[Conflict]]:
        """Merge a branch into this one as git does, with the backlog's own merge, commit included.

        The tasks are those that differ from before. With *dry_run* nothing is touched, and the conflicts
        are those that would be. Raises RepositoryBusy where conflicts leave the merge open; Refused, NotFound.
        """
        from taskkeep.store import branches
        from taskkeep.store.save import writing

        asked = _options(options)
        with writing(self.root, asked) as writer:
            repository = writer.repository
            if repository is None:
                raise Outside("this backlog is in no git repository", hint="There is nothing to merge without one.")
            theirs = branches.commit_of(repository, branch)
            before = writer.read()
            if asked.dry_run:
                met = branches.foresee(repository, theirs)
            else:
                met = branches.merge_branch(writer, theirs, branch)
            return self._met(writer, before, met)

    def _met(self, writer: Writer, before: Backlog, met: Met) -> tuple[Saved, Sequence[Conflict]]:
        after = met.backlog or self.backlog()
        tasks = [task for i, task in after.tasks.items() if before.tasks.get(i) != task]
        changed = bool(tasks or before.tasks.keys() - after.tasks.keys()) if met.backlog else met.before != met.after
        commit = met.after if met.after != met.before else None
        return Saved(changed, tasks, [], commit, False, writer.warnings, dry_run=met.after is None), met.conflicts

    def sync(self, remote: str | None = None, *, push: bool = False, **options: Any) -> tuple[Saved, Verdict]:
        """Fetch, merge or rebase as git is configured to pull, verify; push only where asked and all is well.

        Raises Outside where the remote cannot be reached, and what merge() raises.
        """
        from taskkeep.store import branches
        from taskkeep.store.commit import read_head
        from taskkeep.store.save import writing

        asked = _options(options)
        with writing(self.root, asked) as writer:
            repository = writer.repository
            if repository is None:
                raise Outside("this backlog is in no git repository", hint="There is nothing to sync without one.")
            source = branches.upstream(repository, remote)
            before = writer.read()
            theirs = branches.fetch(repository, source)
            head = read_head(repository).commit
            met = branches.Met(head, head, [])
            if asked.dry_run:
                met = branches.foresee(repository, theirs) if theirs else met._replace(backlog=before)
            elif theirs is not None and source.rebases:
                met = branches.rebase_onto(writer, theirs)
            elif theirs is not None:
                met = branches.merge_branch(writer, theirs, source.name.removeprefix("refs/remotes/"))
            saved, conflicts = self._met(writer, before, met)
            if conflicts:
                saved.warnings.append(f"{len(conflicts)} conflicts would be left open")
        verdict = self.verify()
        if push and verdict.ok and not asked.dry_run:
            branches.push(repository, source)
        return saved, verdict

    def conflicts(self) -> Sequence[OpenConflict]:
        """Return the open conflicts of a merge, from git's index, with who made both sides."""
        from taskkeep.store.git import repository_of
        from taskkeep.store.resolve import open_conflicts

        repository = repository_of(self.root.path)
        return open_conflicts(self.root, repository) if repository is not None else []

    def resolve(
        self,
        task_id: str | None = None,
        field: str | None = None,
        *,
        choice: str,
        value: Any = None,
        **options: Any,
    ) -> tuple[Saved, Sequence[Conflict]]:
        """Settle conflicts of an open merge; returns those that are left. With none left the files are staged.

        *choice* is ours, theirs, both, value or newest; without *task_id* it is for all, without *field*
        for all of that task. Raises NotFound, Usage, and what an update raises.
        """
        from taskkeep.store import resolve
        from taskkeep.store.save import writing

        with writing(self.root, _options({**options, "source": "resolve"}), kind=resolve.Resolver) as writer:
            assert isinstance(writer, resolve.Resolver)
            repository = writer.repository

            def choose(state: resolve.OpenMerge) -> list[tuple[Conflict, str, Any]]:
                picked = resolve.pick(state, task_id, field)
                if choice == "newest" and repository is not None:
                    return resolve.newest(self.root, repository, picked)
                return [(conflict, choice, value) for conflict in picked]

            outcome, left = writer.resolve(choose)
        self._alive = outcome.backlog
        return _saved(outcome, _touched(outcome)), left

    def recover(self, **options: Any) -> Saved:
        """Settle what an interrupted save left and make the commit that waits, aloud."""
        from taskkeep.errors import TaskkeepError
        from taskkeep.store import pending
        from taskkeep.store.save import writing

        asked = _options(options)
        with writing(self.root, asked) as writer:
            try:
                writer.read()
            except Refused as error:
                writer.warnings.append(f"{error.message}; it is left alone")
            except BacklogUnreadable as error:
                writer.warnings.append(f"{error.message}; it is left alone")
            made = None
            waits = bool(pending.waiting(self.root))
            if waits and writer.repository is not None and not asked.dry_run and asked.commit is not False:
                from taskkeep.store.commit import refuse_obstacles

                try:
                    refuse_obstacles(writer.repository)
                    made = pending.commit(writer)
                    waits = False
                except (OSError, TaskkeepError) as error:
                    writer.warnings.append(f"the commit still waits: {error}")
            changed = made is not None or any("cut short" in warning for warning in writer.warnings)
            return Saved(changed, [], [], made, waits, writer.warnings, dry_run=asked.dry_run)

    def uninstall(self) -> Sequence[str]:
        """Take out of git what init set up, never the backlog; returns what was taken out."""
        from taskkeep.store import driver
        from taskkeep.store.git import repository_of
        from taskkeep.store.setup import uninstall

        repository = repository_of(self.root.path)
        try:
            removed = list(uninstall(self.root))
            if repository is not None and driver.take_out(self.root, repository):
                removed.append(f"the section {driver.SECTION} of git's configuration")
            return removed
        except OSError as error:
            raise disk_fault("the set-up could not be taken out", error) from error

    # -- edits that were refused ---------------------------------------------------------

    def kept_edit(self, task_id: str) -> str | None:
        """Return the text of an edit of this task that was refused before."""
        try:
            data, _ = read(self._edit_path(task_id))
        except FileNotFoundError:
            return None
        return data.decode("utf-8", "replace")

    def keep_edit(self, task_id: str, text: str | None) -> str:
        """Keep the text of a refused edit, or forget it with None; returns where it lies."""
        from taskkeep.store.files import remove, write_new

        path = self._edit_path(task_id)
        remove(path)
        if text is not None:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            write_new(path, [text.encode("utf-8", "surrogateescape")], mode=0o600)
        return path

    def _edit_path(self, task_id: str) -> str:
        return os.path.join(self.root.local, "edits", f"{task_id}.md")


_OPTIONS = ("why", "actor", "dry_run", "commit", "wait", "if_match", "key", "source")


def _split_options(fields: dict[str, Any]) -> dict[str, Any]:
    """Take the writer options out of *fields*."""
    return {name: fields.pop(name) for name in _OPTIONS if name in fields}


def _touched(outcome: Outcome) -> list[str]:
    return list(dict.fromkeys(event["task_id"] for event in outcome.events if event["task_id"]))


def _shaped(tasks: list[Task], name: str) -> dict[str, Task]:
    """Return tasks by id. Raises InvalidField, BacklogUnreadable for what is not shaped as version 1."""
    from taskkeep.backlog.shape import quick_ok

    if not all(map(quick_ok, tasks)):
        from taskkeep.store.validate import check_tasks

        check_tasks(tasks, unknown_fields=True)
    found = {task["id"]: task for task in tasks}
    if len(found) < len(tasks):
        from taskkeep.store.validate import refuse_double_ids

        refuse_double_ids(tasks, name)
    return found


def _now() -> str:
    from taskkeep.store.surroundings import now_text

    return now_text()


def _today() -> str:
    import time

    return time.strftime("%Y-%m-%d")

"""The door to a backlog: one short method for each thing a user can do."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog, alias_words
from taskkeep.errors import (
    AlreadyInitialised,
    ChangedMeanwhile,
    ForeignFile,
    Invalid,
    Outside,
    TaskNotFound,
    Usage,
)
from taskkeep.store.files import disk_fault, read
from taskkeep.store.layout import BACKLOG, Root, find_root, is_ours, start_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskkeep.backlog.changes import Edit
    from taskkeep.backlog.difference import Difference
    from taskkeep.backlog.events import Event
    from taskkeep.backlog.merge import Conflict
    from taskkeep.backlog.query import Page, Query
    from taskkeep.backlog.task import Task
    from taskkeep.importers.draft import Plan, Report
    from taskkeep.store.merging.branches import Met
    from taskkeep.store.merging.open_merge import OpenConflict, OpenMerge
    from taskkeep.store.past.comparing import Compared
    from taskkeep.store.past.events import LogPage
    from taskkeep.store.past.history import Moment, Point
    from taskkeep.store.past.recent import Request
    from taskkeep.store.past.restoring import Restoring, Undoing
    from taskkeep.store.reading import Reading
    from taskkeep.store.save import Context, Options, Outcome, Writer
    from taskkeep.store.setup.edits import FileEdit
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
    claim: int | None = None
    results: list[dict[str, Any]] | None = None
    at: Point | None = None  # restore: what WHEN was taken for
    deleted: Sequence[Task] | None = None  # delete: as they were
    difference: Difference | None = None  # what a restore, an undo or a rewritten file changed


class Primer(NamedTuple):
    """What a worker needs to know at its start; *counts* by status, *claims* with their numbers (0: unknown)."""

    now: str
    actor: str
    counts: dict[str, int]
    claims: list[tuple[Task, int]]
    ready: Page
    recent: list[Request]


class Found(NamedTuple):
    """Tasks that were named, and what is to be said of names that are aliases."""

    tasks: Sequence[Task]
    warnings: Sequence[str] = ()


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
    from taskkeep.store.git.commit import refuse_obstacles
    from taskkeep.store.git.repository import repository_of, run
    from taskkeep.store.save import writing
    from taskkeep.store.setup.init import write_setup

    if ids not in ("random", "sequential"):
        raise Usage(f"ids cannot be {ids[:40]!r}", hint="random or sequential.")
    path = start_folder(folder or ".")
    root = Root(path)
    root.refuse_detours()
    _refuse_taken(root)
    asked = _options(options)
    if (repository := repository_of(path)) is not None:
        refuse_obstacles(repository)
    else:
        if git is None:
            raise Outside(
                "this folder is in no git repository",
                hint="Pass --git to run 'git init' here, or --no-git to do without history.",
            )
        if git and not asked.dry_run:
            answer = run(path, "init", "-q")
            if answer.status:
                raise Outside(f"git init failed: {answer.trouble}", hint="Run 'git init' yourself to see more.")
    _refuse_lost(root)
    if asked.dry_run:
        return Saved(True, [], [], None, False, [], dry_run=True)
    with writing(root, asked, fresh=True) as writer:
        _refuse_taken(root)
        _refuse_lost(root)
        writer.fresh = not os.path.exists(root.backlog)
        if writer.repository is not None:
            refuse_obstacles(writer.repository)
        writer.actor()  # who cannot be named gets no files either
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
                hint="Run 'taskkeep init' in another folder; 'taskkeep import' takes this file in there.",
            )
        raise AlreadyInitialised("there is a backlog here already", hint="See 'taskkeep status'.")


def _refuse_lost(root: Root) -> None:
    """Refuse a new backlog in the place of one whose file is gone: every task of it would be lost.

    Raises BacklogUnreadable, which says what could bring it back, GitUnavailable.
    """
    from taskkeep.store.git.commit import read_head
    from taskkeep.store.git.contents import blob_in
    from taskkeep.store.git.repository import repository_of
    from taskkeep.store.log import list_files
    from taskkeep.store.save import missing_backlog

    if not os.path.lexists(root.journal) and list_files(root):
        from taskkeep.store.past.witnesses import refuse_gone

        refuse_gone(root)
    repository = repository_of(root.path)
    head = read_head(repository).commit if repository is not None else None
    if repository is not None and head and blob_in(repository.folder, head, repository.prefix + BACKLOG) is not None:
        raise missing_backlog(
            "HEAD has it: check it out again with git, or commit its removal first if a new one is wanted."
        )


def guard(tool_input: Mapping[str, Any], folder: str | None = None) -> str | None:
    """Return why what an agent's tool is about to do in *folder* is refused, None where it may go on."""
    from taskkeep.store.setup.guard import refusal

    return refusal(tool_input, start_folder(folder))


def merge_files(base: str, ours: str, theirs: str, path: str) -> list[Conflict]:
    """Merge three versions of *path* into the file *ours*, as git's merge driver; returns the open conflicts.

    Raises BacklogUnreadable, InvalidField, and then *ours* is as it was.
    """
    from taskkeep.store.merging.driver import merge_files

    try:
        return merge_files(base, ours, theirs, path)
    except OSError as error:
        raise disk_fault(f"{path} could not be merged", error) from error


def verify(folder: str | None = None, **asked: Any) -> Verdict:
    """Judge the backlog at or above *folder*, also where only commits have it; ``every`` all of the repository.

    Raises BacklogNotFound and what Project.verify raises.
    """
    from taskkeep.errors import BacklogNotFound
    from taskkeep.store.verify.scope import verify_at

    start = start_folder(folder)
    try:
        root = find_root(folder)
    except BacklogNotFound:
        root = None
    return verify_at(root, start, **asked)


def schema_text() -> str:
    """The JSON Schema of backlog.json."""
    from taskkeep.store.schemas import schema_text as read_schema

    return read_schema("backlog.schema.json").decode()


def watch(show: Callable[[int, int, str], None] | None) -> None:
    """Have *show* told how far long walks are: how many things of how many, and what is being done."""
    from taskkeep.store.progress import watch as watch_steps

    watch_steps(show)


def said_moment(text: str, now: str, *, end: bool = False) -> str | None:
    """The time that words like ``yesterday 17:00`` say, in taskkeep's own form, None where they say none.

    *end*: a day stands for its last moment, not its first.
    """
    from taskkeep.backlog.when import moment_of
    from taskkeep.store.past.when import LOCAL

    try:
        return moment_of(text, now=now, local=LOCAL, end=end)
    except Invalid:
        return None  # the shape of a date, and none


def answer_schemas() -> Sequence[str]:
    """The names of the shapes that answers have."""
    from taskkeep.store.schemas import answer_names

    return answer_names()


def answer_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one shape, whole."""
    from taskkeep.store.schemas import answer_schema as read_schema

    return read_schema(name)


def _refuse_meaningless(asked: Options, command: str, names: Sequence[str]) -> None:
    """Refuse options that every writer takes and this one could only pass over. Raises Usage."""
    for name in names:
        value = getattr(asked, name)
        if value is False if name == "commit" else value:
            option = "no-commit" if name == "commit" else name.replace("_", "-")
            raise Usage(f"{command} has no use for --{option}", hint="Leave it out.")


def _options(values: Mapping[str, Any]) -> Options:
    from taskkeep.store.save import Options

    return Options(**values)


def _saved(outcome: Outcome, ids: Sequence[str], *, new: str | None = None, report: Report | None = None) -> Saved:
    tasks = [task for task_id in ids if (task := outcome.backlog.get(task_id)) is not None]
    return Saved(
        outcome.changed,
        tasks,
        [event["event_id"] for event in outcome.events if not outcome.dry_run],  # those of a retry are of the first
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
        self._alive: object = None  # what a call made, so that a command need not take it apart at its end

    @property
    def folder(self) -> str:
        """The folder of backlog.json, absolute."""
        return self.root.path

    # -- reading -------------------------------------------------------------------------

    def backlog(self, *, archived: bool = True) -> Backlog:
        """Return the backlog as it is on disk. Raises BacklogUnreadable, InvalidField."""
        return self._reading().backlog(archived=archived)

    def _reading(self) -> Reading:
        from taskkeep.store.reading import Reading

        self._alive = Reading(self.root)
        return self._alive

    def _page(self, query: Query, *, best: bool) -> Page:
        return self._reading().page(query, best=best, now=_now(), today=_today(), actor=self._reader(query))

    def list(self, query: Query | None = None, *, at: Moment | None = None) -> Page:
        """Return a page of tasks, or with *at* of those of then; see backlog.query.Query for the filters."""
        from taskkeep.backlog.query import Query, select

        query = query or Query()
        if at is None:
            return self._page(query, best=False)
        # What is due or claimed is judged as of then.
        now = at.point.time or _now()
        return select(at.backlog(), query, now=now, actor=self._reader(query), today=now[:10])

    def search(self, text: str, query: Query | None = None, *, at: Moment | None = None) -> Page:
        """Return a page of the tasks that hold every word of *text*."""
        from taskkeep.backlog.query import Query

        return self.list((query or Query())._replace(text=text), at=at)

    def at(self, when: str) -> Moment:
        """Return the point in time that *when* names: a time, a git revision, an event's id, a backup's name.

        Raises BadPoint, AmbiguousPoint, UnknownPoint, BeforeFirst, LogDamaged, BackupDamaged.
        """
        from taskkeep.store.past.when import resolve_when

        return resolve_when(self.root, when)

    def ready(self, query: Query | None = None, *, at: Moment | None = None) -> Page:
        """Return what can be begun now, or with *at* could be begun then, best first, each with its reason."""
        from taskkeep.backlog.query import Query, ready

        query = query or Query(limit=10)
        if at is None:
            return self._page(query, best=True)
        now = at.point.time or _now()
        return ready(at.backlog(), query, now=now, actor=self._reader(query), today=now[:10])

    def _reader(self, query: Query) -> str:
        return self.actor() if query.mine else ""

    def actor(self) -> str:
        """Return who acts here: TASKKEEP_ACTOR, else git's user."""
        from taskkeep.store.git.repository import repository_of
        from taskkeep.store.surroundings import default_actor

        if os.environ.get("TASKKEEP_ACTOR", "").strip():
            return default_actor(None)
        return default_actor(repository_of(self.root.path))

    def refs(self) -> Sequence[str]:
        """Return the branches and tags of the repository by their short names, none outside of git."""
        from taskkeep.store.git.repository import repository_of

        repository = repository_of(self.root.path)
        if repository is None:
            return []
        answer = repository.run("for-each-ref", "--format=%(refname:short)", "--count=2000")
        return answer.out.decode("utf-8", "replace").splitlines()

    def show(self, ids: Sequence[str], *, at: Moment | None = None) -> Sequence[Task]:
        """Return tasks by id or alias, archived ones too. Raises TaskNotFound, TaskNotThen, AmbiguousId."""
        return self.look_up(ids, at=at).tasks

    def look_up(self, ids: Sequence[str], *, at: Moment | None = None) -> Found:
        """Return what `show` does, and which of the names are aliases. Raises what that raises."""
        if at is not None:
            tasks = [at.find(task_id) for task_id in ids]
            return Found(tasks, alias_words(ids, tasks))
        try:
            return Found(*self._reading().tasks(ids))
        except TaskNotFound as error:
            from taskkeep.store.past.missing import explain

            explain(self.root, error)
            raise

    def status(self) -> dict[str, Any]:
        """Return where this checkout stands: counts, what waits, what is in the way."""
        from taskkeep.store import pending
        from taskkeep.store.git.commit import under_way
        from taskkeep.store.git.repository import repository_of
        from taskkeep.store.standing import is_hand_edited

        backlog = self.backlog()
        repository = repository_of(self.root.path)
        branch = None
        if repository is not None:
            branch = repository.run("symbolic-ref", "-q", "--short", "HEAD").text or None
        return {
            "folder": self.root.path,
            "tasks": backlog.counts(),
            "total": len(backlog.tasks),
            "archived": len(backlog.archived),
            "git": repository is not None,
            "branch": branch,
            "under_way": under_way(repository) if repository is not None else None,
            "pending": pending.is_waiting(self.root, repository),
            "interrupted": os.path.exists(self.root.journal),
            "hand_edit": is_hand_edited(self.root, backlog),
            "conflicts": len(self.conflicts()),
        }

    def prime(self, *, ready: int = 3, recent: int = 5) -> Primer:
        """Return what a worker needs at its start: counts, its claims, what to do next, what others did."""
        from taskkeep.backlog.outline import ready_stubs
        from taskkeep.backlog.query import Query
        from taskkeep.backlog.query import ready as best_of
        from taskkeep.store.past.recent import recent_requests

        reading = self._reading()
        rows = reading.rows()
        backlog = reading.backlog() if rows is None else Backlog(ready_stubs(rows))
        actor, now = self.actor(), _now()
        page = best_of(backlog, Query(limit=ready), now=now)
        claimed = [task["id"] for task in backlog.tasks.values() if task.get("claimed_by") == actor]
        full = backlog.tasks
        if rows is not None:
            full = text.find_tasks(reading.data, [*claimed, *(task["id"] for task in page.tasks)])
        numbers: Mapping[str, int] = {}
        if claimed:
            from taskkeep.store import log

            numbers = log.claims(self.root)
        return Primer(
            now,
            actor,
            backlog.counts(),
            [(full[task_id], numbers.get(full[task_id]["uid"], 0)) for task_id in claimed],
            page._replace(tasks=[full[task["id"]] for task in page.tasks]),
            recent_requests(self.root, recent, but=actor),
        )

    def log(
        self,
        ids: Sequence[str] = (),
        *,
        since: str | None = None,
        until: str | None = None,
        actors: Sequence[str] = (),
        types: Sequence[str] = (),
        sources: Sequence[str] = (),
        limit: int = 0,
        offset: int = 0,
    ) -> LogPage:
        """Return events, newest first; *limit* 0 for all. Raises LogDamaged, TaskNotFound, Usage."""
        from taskkeep.store.past.events import Wanted, page, type_named

        wanted = Wanted(since, until, actors, [*map(type_named, types)], sources)
        return page(self.root, ids, wanted, limit=limit, offset=offset)

    def heads_joined(self, events: Sequence[Event]) -> Mapping[str, Event]:
        """Return by hash the last events of the branches that the `merged` ones of *events* joined, as far as the
        log has them."""
        from taskkeep.store.past.events import heads_joined

        return heads_joined(self.root, events)

    def blame(self, task_id: str) -> tuple[Task, Sequence[Mapping[str, Any]], Sequence[str]]:
        """Return a task, for each of its fields who set it last, when and why, and what is to be said of an alias.

        Raises TaskNotFound, AmbiguousId.
        """
        from taskkeep.backlog.history import blame
        from taskkeep.store.past.events import events_of

        backlog = self.backlog()
        task = backlog.find(task_id)
        events = events_of(self.root, [task["id"]])
        return task, blame(events, task["uid"], task), backlog.warnings_for([task_id])

    def diff(self, before: str | None = None, after: str | None = None) -> Compared:
        """Compare two points in time; without *after* with the file as it lies, without both the last save with it.

        ``A..B`` as *before* alone names two; two files that end in .json are compared as they are. Raises what
        `at` raises.
        """
        from taskkeep.store.past.comparing import compare

        return compare(self.root, before, after)

    def diff_files(self, before: str, after: str) -> Compared:
        """Compare two files of the shape of backlog.json. Raises BacklogUnreadable, NotFound."""
        from taskkeep.store.past.comparing import compare_files

        return compare_files(before, after)

    def verify(self, **asked: Any) -> Verdict:
        """Judge the backlog; see store.verify.judge.Asked for what can be asked for.

        Without any of it the working tree: the file, its graph, the log, whether they agree, and HEAD.
        Raises Usage, BadPoint, UnknownPoint, ShallowClone, GitUnavailable.
        """
        from taskkeep.store.verify.scope import verify_at

        return verify_at(self.root, self.root.path, **asked)

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
        kind: Callable[[Root, Options], Writer] | None = None,
    ) -> Outcome:
        """Carry out one request, from its beginning where another program came between, TRIES times at most."""
        from taskkeep.store.save import writing

        tries = 0
        while True:
            tries += 1
            asked = _options(options)
            asked.request = [what, arguments]
            try:
                with writing(self.root, asked, kind=kind) as writer:
                    outcome = writer.save(change, source=source)
                    if (mend := getattr(writer, "mend", None)) is not None:
                        mend(outcome)
                break
            except ChangedMeanwhile:
                if tries == TRIES:
                    raise
                time.sleep(PAUSE)
        self._alive = outcome.backlog
        return outcome

    def _change_each(
        self,
        what: str,
        ids: Sequence[str],
        change: Callable[[Backlog, str, Context], Backlog],
        options: Mapping[str, Any],
        arguments: Any = None,
        *,
        order: Callable[[Backlog, Sequence[str]], Sequence[str]] = lambda _, ids: ids,
    ) -> Saved:
        """Apply *change* to each of the tasks named, in their *order*, as one request."""
        named: list[str] = []

        def all_of_them(backlog: Backlog, context: Context) -> Backlog:
            named[:] = list(dict.fromkeys(context.resolve(backlog, task_id) for task_id in ids))
            context.expect(backlog, named)
            for task_id in order(backlog, named):
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
        if options.get("if_match") is not None or options.get("claim") is not None:
            raise Usage("a new task has neither etag nor claim yet", hint="Leave --if-match and --claim out.")

        def change(backlog: Backlog, context: Context) -> Backlog:
            drawn[:] = [context.new_id()]
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

    def revise(
        self,
        task_id: str,
        fields: Mapping[str, Any],
        *,
        note: str | None = None,
        check: Sequence[int] = (),
        uncheck: Sequence[int] = (),
        force: bool = False,
        **options: Any,
    ) -> Saved:
        """Change a task to *fields* as `update_object` does, tick criteria off, append a note: all as one change.

        Status done is set as `finish` does it. Raises what these raise.
        """
        from taskkeep.backlog.changes import Edit, add_note, finish_task, merge_object, update_task

        finishing = fields.get("status") == "done"
        rest = {name: value for name, value in fields.items() if not (finishing and name == "status")}
        edit = Edit(check=check, uncheck=uncheck)

        def change(backlog: Backlog, name: str, context: Context) -> Backlog:
            who: dict[str, Any] = {"now": context.now, "actor": context.actor}
            if note is not None:
                backlog = add_note(backlog, name, note, **who)
            if rest:
                backlog = merge_object(backlog, name, rest, force=force, **who)
            if edit:
                backlog = update_task(backlog, name, edit, force=force, **who)
            return finish_task(backlog, name, force=force, **who) if finishing else backlog

        asked = [dict(fields), note, list(check), list(uncheck), force]
        return self._change_each("update", [task_id], change, options, asked)

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
        """Set tasks to done, in an order in which they can be. Raises TaskBlocked while a dependency is open, but
        with *force*."""
        from taskkeep.backlog.changes import blockers_first, finish_task

        return self._change_each(
            "done",
            ids,
            lambda b, i, c: finish_task(b, i, now=c.now, actor=c.actor, force=force),
            options,
            force,
            order=blockers_first,
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

    def claim(
        self, task_id: str | None = None, *, lease: str = "30m", query: Query | None = None, **options: Any
    ) -> Saved:
        """Take a task, or without *task_id* the best ready one that *query* lets through, for the actor alone.

        The answer's ``claim`` is a number that grows with each grant of the task. Claiming it again
        while the lease runs extends it and keeps the number.

        Raises NothingReady, ClaimHeld, TaskFinished, InvalidField for a lease.
        """
        from taskkeep.backlog.claims import best_ready, claim_task, read_lease
        from taskkeep.backlog.query import Query

        seconds, asked, today = read_lease(lease), query or Query(), _today()
        if task_id is None and (options.get("if_match") is not None or options.get("claim") is not None):
            raise Usage("--if-match and --claim go with a task that is named", hint="Name it, or leave them out.")
        named: list[str] = []

        def change(backlog: Backlog, context: Context) -> Backlog:
            if task_id is None:
                name = best_ready(backlog, asked, now=context.now, actor=context.actor, today=today)
            else:
                name = context.resolve(backlog, task_id)
                context.expect(backlog, [name])
            named[:] = [name]
            return claim_task(backlog, name, ledger=context.claims, lease=seconds, now=context.now, actor=context.actor)

        outcome = self._save("claim", [task_id, seconds, list(asked)], change, options)
        if outcome.replayed:
            named[:] = _touched(outcome)[-1:]
        saved = _saved(outcome, named, new=named[0])
        return saved._replace(claim=next(iter(outcome.claims.values())))

    def release(self, ids: Sequence[str], *, force: bool = False, **options: Any) -> Saved:
        """Give claims back, and the tasks with them: to do again. Raises ClaimHeld for another's, but with *force*."""
        from taskkeep.backlog.claims import release_task

        return self._change_each(
            "release", ids, lambda b, i, c: release_task(b, i, now=c.now, actor=c.actor, force=force), options, force
        )

    def batch(self, operations: bytes | Sequence[Mapping[str, Any]], **options: Any) -> Saved:
        """Carry out operations in order, all or none: JSON objects, or the bytes of a file with one a line.

        ``results`` has ``line op id`` for each. Raises what the first one that fails raises, with its
        ``line`` in the details, and InputInvalid.
        """
        from taskkeep.backlog.batch import Batch, at_line, line_of
        from taskkeep.errors import TaskkeepError

        read_all = text.read_lines(operations) if isinstance(operations, bytes) else list(enumerate(operations, 1))
        asked, today = _options(options), _today()
        batches: list[Batch] = []

        def change(backlog: Backlog, context: Context) -> Backlog:
            batch = Batch(
                backlog,
                new_id=context.new_id,
                new_uid=context.new_uid,
                now=context.now,
                actor=context.actor,
                today=today,
                why=asked.why,
                claims=context.claims,
            )
            batches[:] = [batch]
            after = batch.run(read_all)
            context.results, context.whys = batch.results, batch.whys
            return after

        try:
            outcome = self._save("batch", read_all, change, options)
        except TaskkeepError as error:
            line = line_of(error, batches[0].lines) if batches else None
            if line is not None:
                at_line(error, line)
            raise
        touched = _touched(outcome) if outcome.replayed else sorted(batches[0].lines)
        return _saved(outcome, touched)._replace(results=outcome.results)

    def note(self, task_id: str, text: str, **options: Any) -> Saved:
        """Append a note to a task; free even while another holds a claim."""
        from taskkeep.backlog.changes import add_note

        return self._change_each(
            "note", [task_id], lambda b, i, c: add_note(b, i, text, now=c.now, actor=c.actor), options, text
        )

    def delete(self, ids: Sequence[str], *, unlink: bool = False, force: bool = False, **options: Any) -> Saved:
        """Delete tasks; *why* is needed. Raises TaskNeeded while others name them, but with *unlink*."""
        from taskkeep.backlog.changes import delete_tasks
        from taskkeep.store.past.missing import refuse_namesake

        if not (options.get("why") or "").strip():
            raise Usage("deleting needs a reason", hint="Say it with --why; it stays in the log.")

        gone: list[Task] = []
        unlinked: list[str] = []

        def change(backlog: Backlog, context: Context) -> Backlog:
            for name in ids:
                refuse_namesake(self.root, name, backlog.find(name))
            named = list(dict.fromkeys(context.resolve(backlog, task_id) for task_id in ids))
            context.expect(backlog, named)
            after = delete_tasks(backlog, named, unlink=unlink, now=context.now, actor=context.actor, force=force)
            gone[:] = [backlog.tasks[task_id] for task_id in named]
            unlinked[:] = [task_id for task_id, task in after.tasks.items() if task is not backlog.tasks[task_id]]
            return after

        outcome = self._save("delete", [list(ids), unlink, force], change, options)
        if outcome.replayed:
            gone[:] = [event["details"]["task"] for event in outcome.events if event["event_type"] == "task_deleted"]
            unlinked[:] = [event["task_id"] for event in outcome.events if event["event_type"] == "task_updated"]
        return _saved(outcome, unlinked)._replace(deleted=gone)

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

        outcome = self._save("import", [plan.report.source, plan.drafts], change, options, source="import")
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

        asked = load_config(self.root)["archive.older_than"] if older_than is None else older_than
        age = seconds_of(asked, field="older-than")
        outcome = self._save(
            "archive", age, lambda b, c: archive_tasks(b, older_than=age, now=c.now), options, source="archive"
        )
        moved = [task_id for task_id in _touched(outcome) if task_id in outcome.backlog.archived]
        if outcome.dry_run and not outcome.replayed:
            before = self.backlog()
            moved = [task_id for task_id in outcome.backlog.archived if task_id in before.tasks]
        return _saved(outcome, moved)

    def merge(self, branch: str, **options: Any) -> tuple[Saved, Sequence[Conflict]]:
        """Merge a branch into this one as git does, with the backlog's own merge, commit included.

        The tasks are those that differ from before. With *dry_run* nothing is touched, and the conflicts
        are those that would be. Raises RepositoryBusy where conflicts leave the merge open; Refused, NotFound.
        """
        from taskkeep.store.git.revision import commit_of
        from taskkeep.store.merging import branches
        from taskkeep.store.save import writing

        asked = _options(options)
        _refuse_meaningless(asked, "merge", ("if_match", "claim", "key", "commit", "allow_secret"))
        with writing(self.root, asked) as writer:
            repository = writer.repository
            if repository is None:
                raise Outside("this backlog is in no git repository", hint="There is nothing to merge without one.")
            theirs = commit_of(repository, branch, "BRANCH")
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
        from taskkeep.store.git.commit import read_head, refuse_obstacles
        from taskkeep.store.merging import branches
        from taskkeep.store.save import writing

        asked = _options(options)
        _refuse_meaningless(asked, "sync", ("if_match", "claim", "key", "commit", "allow_secret"))
        with writing(self.root, asked) as writer:
            repository = writer.repository
            if repository is None:
                raise Outside("this backlog is in no git repository", hint="There is nothing to sync without one.")
            refuse_obstacles(repository)
            before = writer.read()
            source = branches.upstream(repository, remote)
            theirs = branches.fetch(repository, source)
            head = read_head(repository).commit
            met = branches.Met(head, head, [])
            if asked.dry_run:
                met = (
                    branches.foresee(repository, theirs, rebases=source.rebases)
                    if theirs
                    else met._replace(backlog=before)
                )
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
        from taskkeep.store.git.repository import repository_of
        from taskkeep.store.merging.open_merge import open_conflicts
        from taskkeep.store.past.witnesses import refuse_gone

        repository = repository_of(self.root.path)
        found = open_conflicts(self.root, repository) if repository is not None else []
        if not found:
            refuse_gone(self.root)
        return found

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
        from taskkeep.store.merging import resolver
        from taskkeep.store.save import writing

        asked = _options({**options, "source": "resolve"})
        asked.request = ["resolve", [task_id, field, choice, value]]
        _refuse_meaningless(asked, "resolve", ("if_match", "claim"))
        with writing(self.root, asked, kind=resolver.Resolver) as writer:
            assert isinstance(writer, resolver.Resolver)
            repository = writer.repository

            def choose(state: OpenMerge) -> list[tuple[Conflict, str, Any]]:
                picked = resolver.pick(state, task_id, field)
                if choice == "newest" and repository is not None:
                    return resolver.newest(self.root, repository, picked)
                return [(conflict, choice, value) for conflict in picked]

            outcome, left = writer.resolve(choose)
        self._alive = outcome.backlog
        return _saved(outcome, writer.touched or _touched(outcome)), left

    def apply(
        self,
        data: bytes,
        *,
        name: str = "the file",
        base: str | None = None,
        allow_delete: Sequence[str] = (),
        allow_revert: Sequence[str] = (),
        force: bool = False,
        **options: Any,
    ) -> Saved:
        """Make the backlog equal *data*, a whole backlog.json that somebody rewrote, as one change. *base*: the
        event or revision that it was written upon; then what came since stays.

        Raises InputInvalid, Mojibake, TasksLost, FieldsReverted, Conflicting, but with *force* ClaimHeld, and what any
        change raises.
        """
        from hashlib import sha256

        from taskkeep.backlog.rewrite import read_rows
        from taskkeep.store.apply import Application
        from taskkeep.store.save import check_if_match

        check_if_match(Backlog({}), (), options.get("if_match"))
        rows, told = read_rows(data, name)
        application = Application(
            self.root, rows, told, base=base, delete=allow_delete, revert=allow_revert, force=force
        )
        arguments = [sha256(data).hexdigest(), base, sorted(allow_delete), sorted(allow_revert), force]
        options = {**options, "why": options.get("why") or f"{name} applied as a whole"}
        outcome = self._save("apply", arguments, application.change, options, source="apply")
        return _rewritten(outcome, application.difference)

    def adopt(
        self,
        *,
        base: str | None = None,
        allow_delete: Sequence[str] = (),
        allow_revert: Sequence[str] = (),
        **options: Any,
    ) -> Saved:
        """Record what the files hold other than the log, as a change. *base*: a revision whose events are
        brought back first, where this tree lacks them.

        Raises TasksLost and FieldsReverted for what is not allowed by name, BacklogUnreadable, and what any
        change raises.
        """
        from taskkeep.store.adopt import Adopter
        from taskkeep.store.save import check_if_match, writing

        def kind(root: Root, options: Options) -> Adopter:
            return Adopter(root, options, base=base, delete=allow_delete, revert=allow_revert)

        asked = _options(options)
        asked.request = ["adopt", [base, sorted(allow_delete), sorted(allow_revert)]]
        check_if_match(Backlog({}), (), asked.if_match)
        with writing(self.root, asked, kind=kind) as writer:
            assert isinstance(writer, Adopter)
            outcome, brought = writer.adopt()
        if brought:
            outcome.warnings.append(f"brought back from {base}: {', '.join(brought[:5])}")
        return _rewritten(outcome, writer.difference)

    def restore(
        self,
        ids: Sequence[str] = (),
        *,
        at: str,
        fields: Sequence[str] = (),
        unlink: bool = False,
        **options: Any,
    ) -> Saved:
        """Bring the whole backlog, or single tasks, back as they were *at* a point in time, by a new change.

        *fields*: only these. *unlink*: without links to tasks that are not there any more. Works over a
        backlog.json that is damaged or gone; that file is kept aside. Raises what `at` raises, LinksMissing,
        IdTaken, InvalidField, LogDamaged.
        """
        from taskkeep.store.past.restoring import Restoring

        asked = Restoring(self.root, ids, at, fields=fields, unlink=unlink)
        arguments = [[*ids], at, [*fields], unlink]
        outcome = self._save("restore", arguments, asked.change, options, source="restore", kind=asked.kind)
        return self._brought(outcome, asked, asked.named)

    def undo(self, event: str | None = None, *, force: bool = False, **options: Any) -> Saved:
        """Take back a request, by one of its events, or the actor's own last one, by a new change.

        Raises UnknownPoint, AmbiguousPoint, NothingToUndo, and but with *force* ChangedSince, ClaimHeld, TaskNeeded.
        """
        from taskkeep.store.past.restoring import Undoing

        asked = Undoing(self.root, event, force=force)
        outcome = self._save("undo", [event, force], asked.change, options, source="undo", kind=asked.kind)
        return self._brought(outcome, asked)

    def _brought(self, outcome: Outcome, asked: Restoring | Undoing, named: Sequence[str] = ()) -> Saved:
        from taskkeep.backlog.difference import difference

        found = None if asked.before is None else difference(asked.before, outcome.backlog)
        changed = [*found.added, *(one._asdict() for one in found.changed)] if found is not None else []
        touched = [task.get("task_id") or task["id"] for task in changed] or _touched(outcome)
        point = None if asked.moment is None else asked.moment.point
        return _saved(outcome, list(dict.fromkeys([*touched, *named])))._replace(at=point, difference=found)

    def backups(self) -> Sequence[Mapping[str, Any]]:
        """Return what is known of each snapshot, the newest first; damaged ones say what is wrong."""
        from taskkeep.errors import TaskkeepError
        from taskkeep.store import backups
        from taskkeep.store.past.history import History
        from taskkeep.store.progress import steps

        try:
            outline = History(self.root).outline
        except TaskkeepError:
            outline = None  # each says what it holds all the same, only not why it was made
        ledger, found = backups.Ledger(self.root, outline), backups.found(self.root)[::-1]
        return [backups.described(self.root, one, ledger) for one in steps(found, "backups")]

    def make_backup(self, **options: Any) -> tuple[str, bool]:
        """Keep backlog.json as it lies as a snapshot; returns its name, and False where one held the same.

        Takes ``why actor wait dry_run``. Raises BacklogUnreadable, BacklogLocked, DiskFault.
        """
        from taskkeep.store import backups
        from taskkeep.store.save import writing

        asked = _options(options)
        with writing(self.root, asked) as writer:
            data = self._reading().data
            if asked.dry_run:
                text.parse(data)
                return "", True
            return backups.create(self.root, data, now=_now(), actor=writer.actor(), why=asked.why)

    def prune_backups(self, **options: Any) -> tuple[Sequence[str], Sequence[str]]:
        """Remove the snapshots that the configured rule lets go, compress the old; returns the names of both."""
        from taskkeep.store import retention
        from taskkeep.store.save import writing

        asked = _options(options)
        with writing(self.root, asked) as writer:
            return retention.prune(self.root, writer.config, now=_now(), dry_run=asked.dry_run)

    def recover(self, **options: Any) -> Saved:
        """Settle what an interrupted save left and make the commit that waits, aloud."""
        from taskkeep.store import recovery
        from taskkeep.store.save import writing

        asked = _options(options)
        with writing(self.root, asked) as writer:
            made, waits = recovery.go_on(writer)
        changed = made is not None or any("cut short" in warning for warning in writer.warnings)
        return Saved(changed, [], [], made, waits, writer.warnings, dry_run=asked.dry_run)

    def uninstall(self) -> Sequence[str]:
        """Take out what was set up in git and for agents, never the backlog; returns what was taken out."""
        from taskkeep.store.git.repository import repository_of
        from taskkeep.store.setup import merge_driver
        from taskkeep.store.setup.edits import carry_out
        from taskkeep.store.setup.init import without_attributes

        repository = repository_of(self.root.path)
        planned = [*self.agents(remove=True), without_attributes(self.root)]
        if repository is not None:
            planned.append(self.git_hook(remove=True)[0])
        edits = [edit for edit in planned if edit.action != "unchanged"]
        section = []
        try:
            # First, since it is the likeliest to be refused.
            if repository is not None and merge_driver.take_out(self.root, repository):
                section.append(f"the section {merge_driver.SECTION} of git's configuration")
        except OSError as error:
            raise disk_fault("the set-up could not be taken out", error) from error
        carry_out(edits, self.root.path, done=[f"{entry} removed" for entry in section])
        removed = [edit.name if edit.after is None else f"the lines of taskkeep in {edit.name}" for edit in edits]
        return removed + section

    # -- what others find here -----------------------------------------------------------

    def agents(self, names: Sequence[str] = (), *, remove: bool = False) -> Sequence[FileEdit]:
        """Return what to write for agents of these names (or with *remove* to take out), to be carried out.

        Raises Usage, ForeignFile, DiskFault.
        """
        from taskkeep.store.setup.agents import planned

        return planned(self.root, names, remove=remove)

    def known_agents(self) -> Sequence[Mapping[str, Any]]:
        """Return the agents that can be set up: name, files, and whether they are."""
        from taskkeep.store.setup.agents import described

        return described(self.root)

    def git_hook(self, *, remove: bool = False) -> tuple[FileEdit, Sequence[str]]:
        """Return what to write, so that git's hook checks what is staged, and warnings. Raises Outside, ForeignFile."""
        from taskkeep.store.setup import git_hook

        edit = git_hook.planned(self.root, remove=remove)
        off = f"{edit.name} may not be executed, so git passes it over: it was left so"
        return edit, [off] if git_hook.is_off(edit) else []

    def carry_out(self, edits: Sequence[FileEdit]) -> None:
        """Write what edits say. Raises DiskFault; the ones before the one that failed then stand."""
        from taskkeep.store.setup.edits import carry_out

        carry_out(edits, self.root.path)

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


TRIES, PAUSE = 3, 0.5  # seconds
_OPTIONS = ("why", "actor", "dry_run", "commit", "wait", "if_match", "key", "claim", "source", "allow_secret")


def _rewritten(outcome: Outcome, difference: Difference | None) -> Saved:
    ids = _touched(outcome)
    if difference is not None:
        ids = [task["id"] for task in difference.added] + [one.task_id for one in difference.changed]
    return _saved(outcome, sorted(ids))._replace(difference=difference)


def _split_options(fields: dict[str, Any]) -> dict[str, Any]:
    """Take the writer options out of *fields*."""
    return {name: fields.pop(name) for name in _OPTIONS if name in fields}


def _touched(outcome: Outcome) -> list[str]:
    return list(dict.fromkeys(event["task_id"] for event in outcome.events if event["task_id"]))


def _now() -> str:
    from taskkeep.store.surroundings import now_text

    return now_text()


def _today() -> str:
    import time

    return time.strftime("%Y-%m-%d")

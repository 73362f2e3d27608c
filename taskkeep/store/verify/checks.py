"""What can be said of one tree by itself: its files, their graph, its log, and whether they agree."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from taskkeep.backlog import secrets, text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import apply
from taskkeep.backlog.picked import was_picked_early
from taskkeep.backlog.replay import Replay, is_told, reconcile
from taskkeep.backlog.rules import problems
from taskkeep.backlog.shape import quick_ok
from taskkeep.backlog.task import canonical, shortened
from taskkeep.errors import BacklogUnreadable, ConfigInvalid, UnknownField
from taskkeep.store.config import config_of
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG, CONFIG
from taskkeep.store.log import archive_after
from taskkeep.store.narrowing import Narrowing, narrowing_of
from taskkeep.store.validate import task_problem
from taskkeep.store.verify.findings import ERROR, WARNING
from taskkeep.store.verify.forks import Forks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.verify.findings import Findings, Progress
    from taskkeep.store.verify.trees import Tree

MANY = 2000  # tasks from which on forks are worth their start
ADOPT = "'taskkeep adopt' records it, 'taskkeep restore --at WHEN' brings a saved state back."
FROM_GIT = "Bring it back from git: 'git log' shows the commits that touched it."
# Ways of deleting that are a reason in themselves.
_REASONED = ("restore", "undo", "apply", "adopt", "merge", "resolve")


def named(task: Task) -> str:
    """A task for a message: its id, and its title for those who do not know ids by heart."""
    title = task.get("title")
    return f"{task['id']} ({shortened(title)})" if isinstance(title, str) and title else str(task["id"])


def lost_hint(task_id: str, when: str = "WHEN") -> str:
    """What to do about a task that is gone; *when* it was there."""
    return f"'taskkeep restore {task_id} --at {when}' brings it back; 'taskkeep delete' with --why is how a task goes."


class Judged:
    """A tree with what its checks made of it; parts that do not hold are None."""

    def __init__(self, tree: Tree, findings: Findings) -> None:
        self.tree, self.findings = tree, findings
        self.tasks: dict[str, list[Task] | None] = {}
        self.written: set[str] = set()  # files that are, byte for byte, the text of their tasks as they stand
        self.live: dict[str, Task] = {}
        self.archived: dict[str, Task] = {}
        self.sound = False  # shaped, every id once
        self.replay: Replay | None = None
        self.replayed = False  # the log gives the files by itself
        self.consistent = False  # so it does, or allows for them where branches met

    @property
    def by_uid(self) -> dict[str, Task]:
        return {task["uid"]: task for task in (*self.archived.values(), *self.live.values())}

    @property
    def readable(self) -> dict[str, Task] | None:
        """The tasks by uid, those of files that are not sound as far as it can be said which they are.

        None where a file is gone or cannot be read, which no choice of codes hides (see findings.settled).
        """
        if self.sound:
            return self.by_uid
        tasks = self.tree.loose_tasks
        return tasks if BACKLOG in self.tree.files and ARCHIVE not in self.tree.unread else None


STEPS = ("files", "tasks", "links", "log", "replay", "texts")


def judge(
    tree: Tree,
    findings: Findings,
    *,
    narrowed_by: Tree | None = None,
    allowed: Collection[tuple[str | None, str]] = (),
    progress: Progress | None = None,
) -> Judged:
    """Check one tree. *narrowed_by*: whose configuration narrows the schema; *allowed*: secrets that are
    let pass, by the task's uid and their fingerprint."""

    def step(what: str) -> None:
        if progress is not None:
            progress(STEPS.index(what), len(STEPS), what)

    judged = Judged(tree, findings)
    step("files")
    for name in (BACKLOG, ARCHIVE):
        judged.tasks[name] = _parse(judged, name)
    step("tasks")
    shaped = [_check_shape(judged, name) for name in (BACKLOG, ARCHIVE)]
    judged.sound = all(shaped)
    judged.live, judged.archived = (
        {task["id"]: task for task in judged.tasks[name] or () if isinstance(task.get("id"), str)}
        for name in (BACKLOG, ARCHIVE)
    )
    judged.archived = {task_id: task for task_id, task in judged.archived.items() if task_id not in judged.live}
    step("links")
    if judged.sound:
        _check_graph(judged)
    step("log")
    _check_log(tree, findings)
    step("replay")
    if tree.log.sound and tree.log.hashes:
        _check_replay(judged)
    if not judged.replayed:  # bytes that replay gives are canonical
        _check_canonical(judged)
        if judged.replay is not None and judged.sound:
            judged.consistent = _allows(judged, judged.replay)
    if judged.consistent:
        _check_left_open(judged)
    if judged.replay is not None:
        _check_missing(judged, judged.replay)
        if not judged.sound:
            _check_lost(judged, judged.replay)
    step("texts")
    narrowing = _check_config(tree, findings, narrowed_by)
    if narrowing is not None and judged.sound:
        _check_narrowed(judged, narrowing)
    _check_reasons(tree, tree.log.events, findings)
    _check_secrets(judged, allowed)
    return judged


# -- the files ---------------------------------------------------------------------------------


def _parse(judged: Judged, name: str) -> list[Task] | None:
    tree, findings = judged.tree, judged.findings
    try:
        data = tree.data(name)
        if (tasks := text.parse_written(data, _is_dump)) is not None:
            judged.written.add(name)
            return tasks
        return text.parse(data, name, only_known=True)
    except FileNotFoundError:
        if name == ARCHIVE:
            return []
        findings.add("unreadable", f"{name} is gone", file=name, hint=FROM_GIT)
    except BacklogUnreadable as error:
        line = error.details.get("line")
        if error.code == "duplicate_key":
            line = tree.places(name).second_key(error.details["key"])
        findings.add(error.code, error.message, file=name, line=line or 1, hint=error.hint or FROM_GIT)
    except UnknownField as error:
        findings.add("schema", error.message, file=name, line=1, hint=error.hint)
    return None


def _is_dump(data: bytes, tasks: list[Task]) -> bool:
    """What `text.is_dump` says, of many tasks by forks; a law of the tests holds the one to the other."""
    if len(tasks) < MANY:
        return text.is_dump(data, tasks)
    forks = Forks(lambda start, stop: text.span_of(data, tasks[start:stop]), len(tasks))
    return text.are_spans(data, forks.found(), forks.parts)


def _check_shape(judged: Judged, name: str) -> bool:
    tree, findings, tasks = judged.tree, judged.findings, judged.tasks[name]
    if tasks is None:
        return False
    sound = True

    def slow(start: int, stop: int) -> list[int]:
        return [number for number in range(start, stop) if not quick_ok(tasks[number])]

    for number in Forks(slow, len(tasks)).found() if len(tasks) >= MANY else slow(0, len(tasks)):
        task = tasks[number]
        if not (problem := task_problem(task)):
            continue
        sound = False
        shown = task.get("id") if isinstance(task.get("id"), str) else None
        field = str(problem.details.get("field") or "") or None
        places = tree.places(name)
        line = places.field(shown, field) if shown else None
        if line is None and number < len(places.all):
            line = places.all[number].line
        findings.add("schema", problem.message, task_id=shown, file=name, line=line, hint=problem.hint)
    if not sound:
        return False
    counts: dict[str, int] = {}
    for task in tasks:
        counts[task["id"]] = counts.get(task["id"], 0) + 1
    for task_id in [task_id for task_id, count in counts.items() if count > 1]:
        sound = False
        findings.add(
            "duplicate_id",
            f"{task_id} is there {counts[task_id]} times",
            task_id=task_id,
            file=name,
            line=tree.places(name).task(task_id, last=True),
            hint="A merge may have kept both sides: give one another id, and 'taskkeep adopt' records it.",
        )
    return sound


def _check_canonical(judged: Judged) -> None:
    for name, tasks in judged.tasks.items():
        if not judged.sound or name not in judged.tree.files:
            continue
        data, wanted = judged.tree.data(name), text.dump(sorted_canonical(tasks or ()))
        if wanted != data:
            judged.findings.add(
                "not_canonical",
                f"{name} is not in canonical form",
                file=name,
                line=_first_difference(wanted, data),
                hint="'taskkeep adopt' writes it in the form that saves write.",
            )


def sorted_canonical(tasks: Iterable[Task]) -> list[Task]:
    return sorted((canonical(task) for task in tasks), key=lambda task: str(task["id"]))


def _first_difference(one: bytes, other: bytes) -> int:
    rows = zip(one.split(b"\n"), other.split(b"\n"), strict=False)
    return next((number for number, (a, b) in enumerate(rows, 1) if a != b), 1)


def _check_graph(judged: Judged) -> None:
    for wrong in problems(Backlog(judged.live, judged.archived)):
        file, line = judged.tree.line_of(wrong.task_id, wrong.field)
        judged.findings.add(
            wrong.code,
            wrong.message,
            task_id=wrong.task_id,
            file=file,
            line=line,
            hint="'taskkeep update' mends it; where branches met, 'taskkeep log' says who set which.",
        )


# -- the log -----------------------------------------------------------------------------------


def _check_log(tree: Tree, findings: Findings) -> None:
    broken = False
    for name, kind in tree.odd.items():
        if name.startswith(AUDIT):
            broken = True
            findings.add("audit_broken", f"{name} is {kind}", file=name, line=1, hint=FROM_GIT)
    for name, file in tree.log.files.items():
        path = f"{AUDIT}/{name}"
        for line, trouble in file.troubles:
            broken = True
            findings.add("audit_broken", f"{path} line {line} {trouble}", file=path, line=line, hint=FROM_GIT)
        if name.startswith("pack-") and not file.troubles:
            data = tree.data(path)
            if name != f"pack-{sha256(data).hexdigest()}.jsonl":
                findings.add("audit_broken", "the pack is not what its name says", file=path, line=1, hint=FROM_GIT)
    ids: dict[str, str] = {}
    for event in tree.log.events:
        if ids.setdefault(event["event_id"], event["hash"]) != event["hash"]:
            path, line = tree.log.place(event)
            findings.add(
                "audit_broken", f"two events bear the id {event['event_id'][:40]}", file=path, line=line, hint=FROM_GIT
            )
    if not tree.log.files and not broken:
        findings.add("audit_broken", "the log is empty or gone", file=AUDIT, hint=FROM_GIT)


def _check_replay(judged: Judged) -> None:
    tree, findings = judged.tree, judged.findings
    try:
        replay = judged.replay = Replay(tree.log.events)
        expected, moved = replay.tasks(), replay.archived()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        judged.replay = None
        findings.add(
            "audit_broken",
            f"the log cannot be replayed ({type(error).__name__}: {str(error)[:60]})",
            file=AUDIT,
            hint="An event says what no save writes. " + FROM_GIT,
        )
        return
    judged.replayed = judged.consistent = judged.sound and _agrees(judged, replay, expected, moved)


def _check_missing(judged: Judged, replay: Replay) -> None:
    tree, findings = judged.tree, judged.findings
    for event, prev in replay.missing:
        path, line = tree.log.place(event)
        findings.add(
            "audit_broken",
            f"event {event['event_id'][:40]} follows {prev[:12]}, which is not in the log",
            severity=WARNING if judged.consistent else ERROR,
            task_id=event["task_id"],
            file=path,
            line=line,
            hint="A cherry-pick brings an event without those before it.",
        )


def _agrees(judged: Judged, replay: Replay, expected: Mapping[str, Task], moved: set[str]) -> bool:
    """Does a log with one head give these very bytes, by replay and, as far as its writer knew all of it, by
    what its last event says?"""
    tree, found = judged.tree, judged.tree.log.heads
    if len(found) != 1:
        return False
    last = tree.log.by_hash[found[0]]
    named = last["after"] == tree.sha(BACKLOG) and archive_after(last) == tree.sha(ARCHIVE)
    if not named and not was_picked_early(tree.log.events):
        return False
    ordered = sorted(expected.values(), key=lambda task: str(task["id"]))
    if not _is_text(judged, BACKLOG, [task for task in ordered if task["uid"] not in moved]):
        return False
    if not moved and ARCHIVE not in tree.files:
        return True
    return ARCHIVE in tree.files and _is_text(judged, ARCHIVE, [task for task in ordered if task["uid"] in moved])


def _is_text(judged: Judged, name: str, wanted: list[Task]) -> bool:
    """Is the file, byte for byte, the canonical text of these tasks?"""
    if name not in judged.written:
        return False
    there = judged.tasks[name] or []
    return len(there) == len(wanted) and all(map(text.is_same_text, there, wanted))


def _allows(judged: Judged, replay: Replay) -> bool:
    """Name what the log does not explain; True where branches met and it explains all there is."""
    tree, findings = judged.tree, judged.findings
    choices, wrong = reconcile(replay, judged.live, judged.archived)
    told = {task["id"]: task for task in replay.tasks().values()} if wrong else {}
    for words in wrong:
        _unexplained(judged, told, words)
    for choice in choices if not wrong else ():
        if is_told(choice):
            _chosen(judged, choice["task_id"], choice["field"])
    if not wrong and len(tree.log.heads) > 1:
        return True
    if not wrong and "not_canonical" in findings.codes():
        return False  # the content is what the log gives, and the bytes were named
    findings.add(
        "replay_mismatch",
        "replaying the log does not give backlog.json" + ("" if wrong else ", byte for byte"),
        line=1,
        hint="The last saved state is in git and in .taskkeep/local/backups.",
    )
    return False


def _chosen(judged: Judged, task_id: str, field: str | None) -> None:
    file, line = judged.tree.line_of(task_id, field)
    judged.findings.add(
        "merge_choice",
        f"{task_id}: branches met, and one side of {field or 'the task'} was taken",
        task_id=task_id,
        file=file,
        line=line,
        hint="The next save records it, or 'taskkeep adopt' with --why.",
    )


def _check_left_open(judged: Judged) -> None:
    """Name what a `resolve` left open that no save follows: committed as it lay, that is our value chosen."""
    log = judged.tree.log
    for name in log.heads:
        for conflict in log.by_hash[name]["details"].get("open", ()):
            _chosen(judged, conflict["task_id"], (conflict["field"] or "").partition(".")[0] or None)


def _check_lost(judged: Judged, replay: Replay) -> None:
    """Name the tasks of the log that files which are not sound do not hold, so that one fault hides no loss."""
    there = judged.readable
    if there is None:
        return
    gone = {task["id"]: task for uid, task in replay.tasks().items() if uid not in there}
    opened = {choice.uid for choice in replay.choices() if choice.field is None}
    for task_id, task in gone.items():
        if task["uid"] not in opened:
            _unexplained(judged, gone, f"{task_id} is missing")


def _unexplained(judged: Judged, told: Mapping[str, Task], words: str) -> None:
    """A difference that the replayed log has, as `reconcile` says it, as a finding."""
    tree, findings = judged.tree, judged.findings
    task_id, colon, field = words.partition(": ")
    if not colon:
        task_id = words.partition(" ")[0]
        file, line = tree.line_of(task_id)
        if words.endswith("is missing"):
            what = f"{named(told[task_id])} is gone, and no event deletes it"
            hint = lost_hint(task_id, tree.log.of_task(told[task_id]["uid"])[-1]["event_id"][:8])
            findings.add("lost_task", what, task_id=task_id, file=file, line=line, hint=hint)
        else:
            task = judged.live.get(task_id) or judged.archived[task_id]
            what = f"{named(task)} is there, and no event adds it"
            findings.add("unaudited_change", what, task_id=task_id, file=file, line=line, hint=ADOPT)
        return
    file, line = tree.line_of(task_id, field)
    task = judged.live.get(task_id) or judged.archived.get(task_id) or {}
    older = bool(task) and is_older(task.get(field), field, tree.log.of_task(task["uid"]))
    findings.add(
        "reverted_field" if older else "unaudited_change",
        f"{task_id}: {field} is {'set back to an older value' if older else 'changed'}, and no event says so"
        + _said_of(told.get(task_id), field),
        task_id=task_id,
        field=field,
        file=file,
        line=line,
        hint=ADOPT,
    )


def _said_of(task: Task | None, field: str) -> str:
    """What the log says of a field, where that is short."""
    if task is None or isinstance(task.get(field), (list, dict)):
        return ""
    return f"; the log says {shortened(str(task[field]))}" if field in task else "; the log has none"


def is_older(value: Any, field: str, events: Sequence[Event]) -> bool:
    """Did a task have *value* in *field* at some time before its last, as its *events* in order tell?"""
    task: Task | None = None
    seen: list[Any] = []
    for event in events:
        if event["event_type"] == "task_created":
            task = event["details"]["task"]
        elif task is not None and event["details"].get("changes"):
            try:
                task = apply(task, event["details"]["changes"], event["timestamp"])
            except (KeyError, TypeError):
                continue
        if task is not None and (not seen or seen[-1] != task.get(field)):
            seen.append(task.get(field))
    return value in seen[:-1]


def _check_reasons(tree: Tree, events: Iterable[Event], findings: Findings) -> None:
    for event in events:
        if event["event_type"] != "task_deleted" or (event["why"] or "").strip() or event["source"] in _REASONED:
            continue
        path, line = tree.log.place(event)
        findings.add(
            "missing_why",
            f"{event['task_id']} was deleted without a reason",
            task_id=event["task_id"],
            file=path,
            line=line,
            hint=f"'taskkeep restore {event['task_id']} --at WHEN' brings it back; 'taskkeep delete' takes a reason.",
        )


# -- the configuration, and secrets ------------------------------------------------------------


def _check_config(tree: Tree, findings: Findings, narrowed_by: Tree | None) -> Narrowing | None:
    narrowing = None
    try:
        narrowing = narrowing_of(config_of(_config_bytes(tree)))
    except (ConfigInvalid, BacklogUnreadable) as error:
        findings.add("config", error.message, file=CONFIG, line=1, hint=error.hint)
    if narrowed_by is None:
        return narrowing
    try:
        return narrowing_of(config_of(_config_bytes(narrowed_by)))
    except (ConfigInvalid, BacklogUnreadable):
        return narrowing  # the base's own trouble; what is to come judges


def _config_bytes(tree: Tree) -> bytes | None:
    try:
        return tree.data(CONFIG)
    except FileNotFoundError:
        return None


def _check_narrowed(judged: Judged, narrowing: Narrowing) -> None:
    try:
        found = [(task, problem) for task in judged.live.values() for problem in narrowing.problems(task)]
    except ConfigInvalid as error:
        judged.findings.add("config", error.message, file=CONFIG, line=1, hint=error.hint)
        return
    for task, problem in found:
        field = str(problem.details["field"]).partition(".")[0]
        file, line = judged.tree.line_of(task["id"], field)
        judged.findings.add("schema", problem.message, task_id=task["id"], file=file, line=line, hint=problem.hint)


def _might_hold(text_: str, count: int) -> bool:
    def marked(start: int, stop: int) -> list[int]:
        return [number for number in range(start, stop) if secrets.MARKS[number] in text_]

    return bool(Forks(marked, len(secrets.MARKS)).found()) if count >= MANY else secrets.might_hold(text_)


def _check_secrets(judged: Judged, allowed: Collection[tuple[str | None, str]]) -> None:
    tree = judged.tree
    for name, tasks in ((BACKLOG, judged.live), (ARCHIVE, judged.archived)):
        if not tasks or not _might_hold(tree.data(name).decode("utf-8", "replace"), len(tasks)):
            continue
        for task_id, task in tasks.items():
            for field, found in secrets.in_task(task):
                if (task.get("uid"), found.fingerprint) in allowed:
                    continue
                file, line = tree.line_of(task_id, field)
                judged.findings.add(
                    "secret",
                    f"{task_id}: {field} holds {found.kind} ({found.shown})",
                    task_id=task_id,
                    field=found.fingerprint,
                    file=file,
                    line=line,
                    hint="Make it worthless where it was issued: it stays in the history. A new exception is recorded "
                    "by a save with --allow-secret and --why.",
                )

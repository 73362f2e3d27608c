"""Everything that can be said about one tree: the file, its graph, the log, and whether they agree."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.replay import Replay, causal_order, heads, reconcile
from taskkeep.backlog.rules import problems
from taskkeep.backlog.shape import quick_ok
from taskkeep.errors import BacklogUnreadable, ConfigInvalid, LogDamaged, TaskkeepError, UnknownField
from taskkeep.store import log
from taskkeep.store.config import load_config
from taskkeep.store.files import read
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG, CONFIG
from taskkeep.store.narrowing import narrowing_of
from taskkeep.store.validate import task_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.git import Repository
    from taskkeep.store.layout import Root


class Verdict(NamedTuple):
    """What verify or doctor found; *ok* exactly when the exit status is 0."""

    ok: bool
    findings: list[dict[str, Any]]
    checked: dict[str, Any]


class Findings:
    """Gathers findings, in the form that CONTRACT names."""

    def __init__(self) -> None:
        self.list: list[dict[str, Any]] = []

    def add(
        self,
        code: str,
        message: str,
        *,
        severity: str = "error",
        task_id: str | None = None,
        file: str | None = BACKLOG,
        line: int | None = None,
        hint: str = "",
    ) -> None:
        self.list.append(
            {
                "code": code,
                "severity": severity,
                "message": message,
                "task_id": task_id,
                "file": file,
                "line": line,
                "hint": hint,
            }
        )


class Tree:
    """One reading of the files: unreadable parts are findings, and what follows from them is left out."""

    def __init__(self, root: Root, findings: Findings) -> None:
        self.findings = findings
        self.bytes: dict[str, bytes] = {}
        self.tasks: dict[str, list[Task] | None] = {
            BACKLOG: self._read(root.backlog, BACKLOG, needed=True),
            ARCHIVE: self._read(root.archive, ARCHIVE, needed=False),
        }

    def _read(self, path: str, name: str, *, needed: bool) -> list[Task] | None:
        try:
            data, _ = read(path, limit=text.MAX_BYTES)
            self.bytes[name] = data
            return text.parse(data, name, only_known=True)
        except FileNotFoundError:
            if not needed:
                return []
            self.findings.add(
                "unreadable",
                f"{name} is gone",
                file=name,
                hint="'git checkout -- backlog.json' brings the committed one back.",
            )
        except TaskkeepError as error:
            code = error.code if isinstance(error, BacklogUnreadable) else "unreadable"
            code = "schema" if isinstance(error, UnknownField) else code
            self.findings.add(code, error.message, file=name, line=error.details.get("line"), hint=error.hint)
        return None

    def line_of(self, name: str, task_id: str) -> int | None:
        """The line of the file on which the task's object begins its id."""
        at = self.bytes.get(name, b"").find(b'"id": "%s"' % task_id.encode("utf-8", "replace"))
        return None if at < 0 else self.bytes[name].count(b"\n", 0, at) + 1


def verify(root: Root, repository: Callable[[], Repository | None], *, strict: bool = False) -> Verdict:
    """Judge what lies in the working tree; reads only."""
    findings = Findings()
    tree = Tree(root, findings)
    _check_tasks(tree, findings)
    events = _check_log(root, findings)
    if events is not None and tree.tasks[BACKLOG] is not None:
        _check_replay(tree, events, findings)
    _check_config(root, tree, findings)
    _check_reasons(events or [], findings)
    _check_local(root, findings)
    try:
        _check_git(root, repository(), findings)
    except TaskkeepError as error:
        findings.add("unreadable", error.message, severity="warning", file=None, hint=error.hint)
    found = [*findings.list]
    ok = not any(f["severity"] == "error" or strict for f in found)
    checked = {
        "tasks": len(tree.tasks[BACKLOG] or []),
        "archived": len(tree.tasks[ARCHIVE] or []),
        "events": len(events or []),
        "heads": heads(events or []),
        "tree": root.path,
    }
    return Verdict(ok, found, checked)


def _check_tasks(tree: Tree, findings: Findings) -> None:
    all_tasks: dict[str, Task] = {}
    for name, tasks in tree.tasks.items():
        if tasks is None:
            continue
        sound = True
        for task in tasks:
            if not quick_ok(task) and (problem := task_problem(task)):
                sound = False
                shown = task.get("id") if isinstance(task.get("id"), str) else None
                findings.add(
                    "schema",
                    problem.message,
                    task_id=shown,
                    file=name,
                    hint=problem.hint,
                    line=tree.line_of(name, shown) if shown else None,
                )
        if not sound:
            continue
        ids = [task["id"] for task in tasks]
        if len(set(ids)) != len(ids):
            sound = False
            for task_id in sorted({one for one in ids if ids.count(one) > 1}):
                findings.add(
                    "duplicate_id",
                    f"{task_id} is there {ids.count(task_id)} times",
                    task_id=task_id,
                    file=name,
                    line=tree.line_of(name, task_id),
                )
        if sound and name in tree.bytes and text.dump(_canonical(tasks)) != tree.bytes[name]:
            findings.add(
                "not_canonical",
                f"{name} is not in canonical form",
                file=name,
                line=_first_difference(text.dump(_canonical(tasks)), tree.bytes[name]),
                hint="'taskkeep adopt' writes it in the form that saves write.",
            )
        if sound:
            all_tasks |= {task_id: task for task_id, task in zip(ids, tasks, strict=True) if task_id not in all_tasks}
    backlog = tree.tasks[BACKLOG]
    if backlog is None or any(f["code"] in ("schema", "duplicate_id") for f in findings.list):
        return
    live = {task["id"]: task for task in backlog}
    archived = {task["id"]: task for task in tree.tasks[ARCHIVE] or [] if task["id"] not in live}
    for wrong in problems(Backlog(live, archived)):
        findings.add(wrong.code, wrong.message, task_id=wrong.task_id, line=tree.line_of(BACKLOG, wrong.task_id))


def _canonical(tasks: list[Task]) -> list[Task]:
    from taskkeep.backlog.task import canonical

    return sorted((canonical(task) for task in tasks), key=lambda task: str(task["id"]))


def _first_difference(one: bytes, other: bytes) -> int:
    rows = zip(one.split(b"\n"), other.split(b"\n"), strict=False)
    return next((number for number, (a, b) in enumerate(rows, 1) if a != b), 1)


def _check_log(root: Root, findings: Findings) -> list[Event] | None:
    events: list[Event] = []
    sound = True
    for name in log.list_files(root):
        try:
            found = log.read_file(root, name)
        except LogDamaged as error:
            sound = False
            findings.add(
                "audit_broken",
                error.message,
                file=error.details.get("file"),
                line=error.details.get("line"),
                hint=error.hint,
            )
            continue
        names = [event["hash"] for event in found]
        if len(set(names)) != len(names):
            findings.add("audit_broken", "an event is given twice", file=f"{AUDIT}/{name}")
        pack = name.startswith("pack-")
        if pack and name != f"pack-{sha256(read(os.path.join(root.audit, name))[0]).hexdigest()}.jsonl":
            sound = False
            findings.add("audit_broken", "the pack is not what its name says", file=f"{AUDIT}/{name}")
        events += found
    if not events and sound:
        sound = False
        findings.add("audit_broken", "the log is empty or gone", file=AUDIT, hint="Bring it back from git.")
    return causal_order(events) if sound else None


def _check_replay(tree: Tree, events: list[Event], findings: Findings) -> None:
    replay = Replay(events)
    live, archived = (
        {task["id"]: task for task in tree.tasks[name] or [] if "id" in task} for name in (BACKLOG, ARCHIVE)
    )
    data = tree.bytes.get(BACKLOG, b"")
    found = heads(events)
    by_hash = {event["hash"]: event for event in events}
    mismatch = False
    if len(found) == 1 and by_hash[found[0]]["after"] == sha256(data).hexdigest():
        moved, expected = replay.archived(), sorted(replay.tasks().values(), key=lambda task: str(task["id"]))
        mismatch = text.dump(task for task in expected if task["uid"] not in moved) != data
        if moved or ARCHIVE in tree.bytes:
            there = text.dump(task for task in expected if task["uid"] in moved)
            mismatch = mismatch or there != tree.bytes.get(ARCHIVE)
    else:
        if any("uid" not in task for task in (*live.values(), *archived.values())):
            return
        choices, wrong = reconcile(replay, live, archived)
        for words in wrong[:50]:
            task_id, colon, field = words.partition(": ")
            shown = task_id if colon else words.split(" ")[0]
            code = "lost_task" if words.endswith(" is missing") else "unaudited_change"
            message = f"{shown}: {field} differs from the log" if colon else words
            findings.add(
                code,
                message,
                task_id=shown,
                line=tree.line_of(BACKLOG, shown),
                hint="'taskkeep adopt' records it, 'taskkeep restore' brings a saved state back.",
            )
        for choice in choices if not wrong else ():
            if choice.get("joined"):
                continue
            findings.add(
                "merge_choice",
                f"{choice['task_id']}: branches met, and one side of {choice['field'] or 'the task'} was chosen",
                severity="warning",
                task_id=choice["task_id"],
                line=tree.line_of(BACKLOG, choice["task_id"]),
                hint="The next save records it, or 'taskkeep adopt' with --why.",
            )
        mismatch = len(found) == 1
    if mismatch:
        findings.add(
            "replay_mismatch",
            "replaying the log does not give backlog.json",
            hint="The last saved state is in git and in .taskkeep/local/backups.",
        )
    for event, prev in replay.missing:
        severity = "error" if mismatch else "warning"
        findings.add(
            "audit_broken",
            f"event {event['event_id']} follows {prev[:12]}, which is not in the log",
            severity=severity,
            task_id=event["task_id"],
            file=AUDIT,
            hint="A cherry-pick brings an event without those before it.",
        )


def _check_reasons(events: list[Event], findings: Findings) -> None:
    for event in events:
        if (
            event["event_type"] == "task_deleted"
            and not (event["why"] or "").strip()
            and event["source"] in ("cli", "api")
        ):
            findings.add(
                "missing_why",
                f"{event['task_id']} was deleted without a reason",
                task_id=event["task_id"],
                file=f"{AUDIT}/{log.file_name(event)}",
            )


def _check_config(root: Root, tree: Tree, findings: Findings) -> None:
    try:
        narrowing = narrowing_of(load_config(root))
        if narrowing is not None and not findings.list:
            for problem in (problem for task in tree.tasks[BACKLOG] or [] for problem in narrowing.problems(task)):
                task_id = problem.details["task_id"]
                line = tree.line_of(BACKLOG, task_id)
                findings.add("schema", problem.message, task_id=task_id, line=line, hint=problem.hint)
    except ConfigInvalid as error:
        findings.add("config", error.message, file=CONFIG, hint=error.hint)


def _check_local(root: Root, findings: Findings) -> None:
    if os.path.exists(root.journal):
        findings.add(
            "interrupted",
            "a save was cut short",
            severity="warning",
            file=None,
            hint="The next command that writes settles it, or 'taskkeep recover'.",
        )
    if os.path.exists(root.pending):
        findings.add(
            "pending_commit",
            "a commit waits",
            severity="warning",
            file=None,
            hint="The next change commits it, or 'taskkeep recover'.",
        )


def _check_git(root: Root, repository: Repository | None, findings: Findings) -> None:
    if repository is None or repository.bare:
        return
    if repository.run("ls-files", "-u", "--", BACKLOG, ARCHIVE).out:
        findings.add("unresolved_conflict", "the index holds backlog.json unmerged", hint="Resolve the merge.")

"""What lies between two states of a backlog, and whether the log answers for all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from taskkeep.backlog import secrets
from taskkeep.backlog.events import diff
from taskkeep.backlog.task import is_finished
from taskkeep.errors import BacklogUnreadable
from taskkeep.store.layout import AUDIT, CONFIG
from taskkeep.store.log import MEND
from taskkeep.store.verify.checks import ADOPT, FROM_GIT, is_older, lost_hint, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task
    from taskkeep.store.verify.checks import Judged
    from taskkeep.store.verify.findings import Findings
    from taskkeep.store.verify.trees import Tree

GONE_HINT = (
    "Events are never taken back: 'taskkeep adopt --base REV' brings them back, after a 'git revert' too; "
    "'taskkeep undo' takes a change back."
)


class Changes(NamedTuple):
    """What one state has that another had not; *deleted* with the event that says why, where there is one.

    *whys*: by uid, the reasons that its new events give, each once, and who gave them.
    """

    added: list[Task]
    finished: list[Task]
    changed: list[tuple[Task, list[str]]]
    deleted: list[tuple[Task, Event | None]]
    events: int
    heads: list[str]
    whys: dict[str, list[tuple[str, str]]]


def compare(old: Tree, new: Judged, findings: Findings) -> None:
    """Find what of *old* is not in *new*, or is another there, without an event that says so."""
    if not old.exists:
        return
    gone = _check_events(old, new.tree, findings)
    tasks, found = old.loose_tasks, new.readable
    if tasks is None or found is None:
        return
    # A log that holds all of the older one and gives the files answers for every difference of a field.
    explained = new.consistent and not gone
    fresh = [event for event in new.tree.log.loose if event["hash"] not in old.log.hashes]
    touched = _touched(fresh)
    ended = {event["uid"] for event in new.tree.log.loose if event["event_type"] == "task_deleted"}
    ended |= {uid for uid, field in touched if field is None}
    for uid, task in tasks.items():
        if uid not in found:
            if uid not in ended and not _is_open(new, uid):
                _lost(old, new.tree, task, findings)
        elif not explained:
            _check_fields(old, new.tree, task, found[uid], touched, findings)


def _is_open(new: Judged, uid: str) -> bool:
    """Did branches meet that disagree on whether this task is there?"""
    return new.replay is not None and any(c.uid == uid and c.field is None for c in new.replay.choices())


def _lost(old: Tree, new: Tree, task: Task, findings: Findings) -> None:
    file, line = new.line_of(task["id"])
    findings.add(
        "lost_task",
        f"{named(task)} is in {old.label} and gone from {new.label}, and no event deletes it",
        task_id=task["id"],
        file=file,
        line=line,
        hint=lost_hint(task["id"]),
    )


def _touched(events: Iterable[Event]) -> set[tuple[str | None, str | None]]:
    """(uid, field) that events set; field None: the task made or deleted."""
    found: set[tuple[str | None, str | None]] = set()
    for event in events:
        details = event["details"]
        if event["event_type"] in ("task_created", "task_deleted"):
            found.add((event["uid"], None))
        elif "changes" in details:
            found |= {(event["uid"], field) for field in (*details["changes"], "updated_at")}
        for choice in details.get("choices", ()):
            found.add((choice.get("uid"), choice.get("field")))
    return found


def _check_fields(
    old: Tree,
    new: Tree,
    before: Task,
    after: Task,
    touched: set[tuple[str | None, str | None]],
    findings: Findings,
) -> None:
    uid = before["uid"]
    if before == after or (uid, None) in touched:
        return
    for field in _differing(before, after):
        if (uid, field) in touched:
            continue
        file, line = new.line_of(after["id"], field)
        older = is_older(after.get(field), field, old.log.of_task(uid))
        findings.add(
            "reverted_field" if older else "unaudited_change",
            f"{after['id']}: {field} is {'set back to an older value' if older else 'changed'} against {old.label}, "
            "and no event says so",
            task_id=after["id"],
            field=field,
            file=file,
            line=line,
            hint=ADOPT,
        )


def _differing(before: Task, after: Task) -> list[str]:
    return [field for field in sorted({*before, *after}) if before.get(field) != after.get(field)]


# -- the old log lies inside the new one -----------------------------------------------------------


def _check_events(old: Tree, new: Tree, findings: Findings) -> bool:
    """Every event of *old* is in *new*, as it was. True where one is gone."""
    there = new.log.hashes
    lost = False
    for name, key in old.audit.items():
        if new.audit.get(name) == key:
            continue
        path = f"{AUDIT}/{name}"
        events = old.log.files[name].events
        gone = [event for event in events if event["hash"] not in there]
        if name in new.audit:
            lost = lost or bool(gone)
            findings.add(
                "audit_broken",
                f"{path} is not the file that {old.label} has",
                task_id=events[0]["task_id"] if events else None,
                file=path,
                line=_first_other_line(old, new, name),
                hint=FROM_GIT,
            )
        elif gone:
            lost = True
            count = f"{len(gone)} event{'' if len(gone) == 1 else 's'}"
            findings.add(
                "audit_broken",
                f"{count} of {old.label} gone: {path} was taken out",
                task_id=gone[0]["task_id"],
                file=path,
                line=1,
                hint=MEND if old.label == "HEAD" else GONE_HINT,
            )
    return lost


def _first_other_line(old: Tree, new: Tree, name: str) -> int:
    rows = [tree.data(f"{AUDIT}/{name}").split(b"\n") for tree in (old, new)]
    return next((number for number, (a, b) in enumerate(zip(*rows, strict=False), 1) if a != b), 1)


def check_descent(olds: Sequence[Tree], new: Tree, findings: Findings) -> None:
    """A new head descends from the older log; one that stands alone is a history of its own."""
    known: set[str] = set().union(*(old.log.hashes for old in olds))
    if not known:
        return
    by_hash = new.log.by_hash
    rooted: dict[str, bool] = {}
    for event in new.log.events:  # those before come before
        name = event["hash"]
        # One that follows what is not here (a cherry-pick) is named as such.
        rooted[name] = name in known or any(prev not in by_hash or rooted.get(prev, False) for prev in event["prev"])
    for head in new.log.heads:
        if not rooted[head]:
            path, line = new.log.place(by_hash[head])
            findings.add(
                "audit_broken",
                f"event {by_hash[head]['event_id'][:40]} descends from no event of {olds[0].label}: "
                "a log of its own stands beside the old one",
                task_id=by_hash[head]["task_id"],
                file=path,
                line=line,
                hint=FROM_GIT,
            )


def check_anchor(new: Tree, anchor: str, findings: Findings) -> None:
    """The head that was kept elsewhere is in the log, with all that it follows."""
    by_hash = new.log.by_hash
    found = [name for name in by_hash if name.startswith(anchor)]
    if len(found) != 1:
        what = "does not hold" if not found else "holds several events that begin with"
        findings.add(
            "audit_broken",
            f"the log {what} the anchor {anchor[:16]}",
            file=AUDIT,
            line=1,
            hint="The log that this head came from was cut back or rewritten.",
        )
        return
    seen, waiting = set(found), list(found)
    while waiting:
        event = by_hash[waiting.pop()]
        for prev in event["prev"]:
            if prev not in by_hash:
                path, line = new.log.place(event)
                findings.add(
                    "audit_broken",
                    f"the anchor's past is not whole: event {prev[:12]} is not in the log",
                    file=path,
                    line=line,
                    hint=FROM_GIT,
                )
            elif prev not in seen:
                seen.add(prev)
                waiting.append(prev)


# -- what quiets a finding, and what a summary tells --------------------------------------------------


def check_config_changed(old: Tree, new: Tree, findings: Findings) -> None:
    """Whatever could quiet a finding is the same on both sides, or is named."""
    if old.files.get(CONFIG) != new.files.get(CONFIG):
        was, now = (CONFIG in tree.files for tree in (old, new))
        what = "is changed" if was and now else "is new" if now else "is gone"
        findings.add(
            "config_changed",
            f"{CONFIG} {what}; {old.label}'s own counts here",
            file=CONFIG,
            line=_first_other_config_line(old, new),
            hint="Look at it by itself: it counts once it is merged.",
        )
    known = secrets.allowed_in(old.log.loose)
    for event in new.log.events:
        if event["hash"] not in old.log.hashes and not secrets.allowed_in([event]) <= known:
            path, line = new.log.place(event)
            findings.add(
                "config_changed",
                f"{event['task_id']}: an exception for a secret is new; it counts once it is merged",
                task_id=event["task_id"],
                file=path,
                line=line,
                hint="Look at the reason: 'taskkeep log' shows it.",
            )


def _first_other_config_line(old: Tree, new: Tree) -> int:
    rows = []
    for tree in (old, new):
        try:
            rows.append(tree.data(CONFIG).split(b"\n"))
        except (FileNotFoundError, BacklogUnreadable):
            return 1
    return next((number for number, (a, b) in enumerate(zip(*rows, strict=False), 1) if a != b), 1)


def changes_between(old: Tree, new: Judged) -> Changes:
    """What the newer state adds, finishes, changes and deletes."""
    after: Mapping[str, Task] | None = new.readable
    before: Mapping[str, Task] = old.loose_tasks or {} if after is not None or not new.tree.exists else {}
    after = after or {}
    fresh = [event for event in new.tree.log.loose if event["hash"] not in old.log.hashes]
    reasons = {event["uid"]: event for event in fresh if event["event_type"] == "task_deleted"}
    added, finished, changed = [], [], []
    for uid, task in after.items():
        if uid not in before:
            added.append(task)
        elif before[uid] != task:
            if new.sound and is_finished(task) and not is_finished(before[uid]):
                finished.append(task)
            else:
                fields = diff(before[uid], task) if new.sound else _differing(before[uid], task)
                changed.append((task, [field for field in fields if field != "updated_at"]))
    deleted = [(task, reasons.get(uid)) for uid, task in before.items() if uid not in after]
    whys: dict[str, list[tuple[str, str]]] = {}
    for event in fresh:
        told = whys.setdefault(event["uid"], [])
        if event.get("why") and (event["why"], event["actor"]) not in told:
            told.append((event["why"], event["actor"]))
    return Changes(added, finished, changed, deleted, len(fresh), list(new.tree.log.heads), whys)

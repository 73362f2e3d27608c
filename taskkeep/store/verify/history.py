"""The walk along all commits that touched the backlog, up to the first that is not well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.backlog import secrets
from taskkeep.backlog.task import shortened
from taskkeep.errors import GitUnavailable
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG
from taskkeep.store.log import archive_after
from taskkeep.store.verify import compare as between
from taskkeep.store.verify.checks import Judged, judge, named
from taskkeep.store.verify.findings import ERROR, Findings

if TYPE_CHECKING:
    from taskkeep.store.verify.judge import Judgement
    from taskkeep.store.verify.trees import Tree


def walk(judgement: Judgement, head: str, last: Judged, findings: Findings) -> None:
    """Hold each commit that touched the backlog against its parents; name the first bad one in *findings*.

    A commit on one parent is passed quickly where it keeps that parent's log, its last event names the
    files as they are, and its new events touch every task and field that differs. All others are judged
    whole. Should the *last* state not be what the log gives all the same, each commit is judged whole.
    """
    git = judgement.git
    paths = [judgement.prefix + name for name in (BACKLOG, ARCHIVE, AUDIT)]
    order = ("--full-history", "--parents", "--topo-order", "--reverse")
    answer = git.run("-C", git.top, "rev-list", *order, head, "--", *paths)
    if answer.status:
        raise GitUnavailable(f"git cannot walk the history: {answer.trouble}", hint="Run 'git fsck'.")
    rows = [line.split(" ") for line in answer.text.split("\n") if line]
    judgement.checked["commits"] = len(rows)
    if not _walk(judgement, rows, findings, whole=False) and last.tree.exists and not last.consistent:
        _walk(judgement, rows, findings, whole=True)


def _walk(judgement: Judgement, rows: list[list[str]], findings: Findings, *, whole: bool) -> bool:
    """True where a bad commit was found."""
    progress = judgement.asked.progress
    awaited: dict[str, int] = {}
    for _, *parents in rows:
        for parent in parents:
            awaited[parent] = awaited.get(parent, 0) + 1
    trees: dict[str, Tree] = {}
    for number, (commit, *parents) in enumerate(rows, 1):
        if progress is not None:
            progress(number, len(rows), "commits")
        tree = trees[commit] = judgement.tree(commit, f"commit {commit[:12]}")
        olds = [trees[parent] for parent in parents if parent in trees]
        for old in olds:
            old.label = f"its parent {old.label.rpartition(' ')[2]}"
        found = _judge(tree, olds, whole)
        for old in olds:
            old.label = f"commit {old.label.rpartition(' ')[2]}"
        bad = [one for one in found.list if one["severity"] == ERROR]
        if bad:
            _name(judgement, commit, bad, findings)
            return True
        for parent in parents:
            awaited[parent] -= 1
            if not awaited[parent]:
                trees.pop(parent, None)
        judgement.shared.blobs.clear()  # a version of each commit would fill the memory
    return False


def _judge(tree: Tree, olds: list[Tree], whole: bool) -> Findings:
    findings = Findings()
    if not tree.exists:
        for old in olds:
            for task in (old.loose_tasks or {}).values():
                findings.add(
                    "lost_task",
                    f"{named(task)} is in {old.label}, and the backlog is gone",
                    task_id=task["id"],
                    line=1,
                )
        return findings
    if not whole and len(olds) == 1 and olds[0].exists and _is_plain(olds[0], tree, findings):
        return findings
    findings = Findings()
    judged = judge(tree, findings, allowed=secrets.allowed_in(tree.log.loose))
    for old in olds:
        between.compare(old, judged, findings)
    between.check_descent(olds, tree, findings)
    return findings


def _is_plain(old: Tree, tree: Tree, findings: Findings) -> bool:
    if any(tree.audit.get(name) != key for name, key in old.audit.items()) or not tree.log.sound or tree.odd:
        return False
    heads = tree.log.heads
    if len(heads) != 1:
        return False
    last = tree.log.by_hash[heads[0]]
    tasks = tree.loose_tasks
    if (last["after"], archive_after(last)) != (tree.sha(BACKLOG), tree.sha(ARCHIVE)) or tasks is None or tree.unread:
        return False
    judged = Judged(tree, findings)
    judged.sound = True
    judged.tasks = {BACKLOG: [], ARCHIVE: []}
    judged.live = {task["id"]: task for task in tasks.values()}
    between.compare(old, judged, findings)
    before = old.loose_tasks or {}
    made = {event["uid"] for event in tree.log.loose if event["event_type"] == "task_created"}
    return not findings.list and all(uid in made for uid in tasks if uid not in before)


def _name(judgement: Judgement, commit: str, bad: list[dict[str, object]], findings: Findings) -> None:
    answer = judgement.git.run("show", "-s", "--no-textconv", "--format=%an, %ad: %s", "--date=short", commit)
    subject = shortened(answer.text)
    judgement.checked["first_bad"] = {"commit": commit, "subject": subject}
    judgement.notes.append(f"the first bad commit is {commit[:12]} ({subject})")
    for one in bad:
        one["message"] = f"commit {commit[:12]}: {one['message']}"
        one["commit"] = commit
        findings.list.append(one)

"""The judgement: which trees are held against which, and what the surroundings of a checkout add."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import secrets
from taskkeep.errors import Outside, ShallowClone, TaskkeepError, UnknownPoint, Usage
from taskkeep.store.git.commit import under_way
from taskkeep.store.git.revision import commit_of, commit_of_or_none, is_shallow
from taskkeep.store.layout import ARCHIVE, AUDIT, BACKLOG, CONFIG
from taskkeep.store.verify import compare as between
from taskkeep.store.verify.backups import check_backups
from taskkeep.store.verify.checks import Judged, judge, named
from taskkeep.store.verify.findings import Findings, settled
from taskkeep.store.verify.trees import Shared, Tree, commit_tree, index_tree, working_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.store.git.repository import Repository
    from taskkeep.store.layout import Root
    from taskkeep.store.verify.findings import Progress, Verdict

_HEX = frozenset("0123456789abcdef")
UNSHALLOW = "Run 'git fetch --unshallow' (in Actions: 'fetch-depth: 0' of actions/checkout), then again."


class Asked(NamedTuple):
    """What verify is asked for."""

    base: str | None = None
    head: str | None = None
    replaced: bool = False  # has the head taken the base's place, as by a push, instead of growing from it?
    staged: bool = False
    history: bool = False
    anchor: str | None = None
    strict: bool = False
    only: Collection[str] = ()
    skip: Collection[str] = ()
    index_file: str | None = None  # a hook's own index file
    progress: Progress | None = None


class Where(NamedTuple):
    """One backlog: its folder (None where only commits have it), and its path in the repository."""

    root: Root | None
    prefix: str


def verify(where: Where, repository: Callable[[], Repository | None], asked: Asked) -> Verdict:
    """Judge one backlog; reads only.

    Raises Usage, BadPoint, UnknownPoint, ShallowClone, GitUnavailable.
    """
    _check_asked(asked)
    judgement = Judgement(where, repository, asked)
    return judgement.run()._replace(ground=judgement)


def _check_asked(asked: Asked) -> None:
    anchor = asked.anchor
    if anchor is not None and not (16 <= len(anchor) <= 64 and _HEX.issuperset(anchor)):
        raise Usage(
            "--anchor is the hash of an event, 16 to 64 characters of it", hint="'taskkeep verify' prints heads."
        )
    if asked.staged and (asked.base or asked.head or asked.history):
        raise Usage("--staged compares what is staged with HEAD, and nothing else", hint="Leave --base and --head out.")
    if asked.replaced and asked.base is None:
        raise Usage("--replaced goes with --base", hint="Name the commit whose place was taken.")
    if asked.history and asked.base is not None:
        raise Usage("--history walks every commit up to the head, a base adds nothing", hint="Leave --base out.")


class Judgement:
    def __init__(self, where: Where, repository: Callable[[], Repository | None], asked: Asked) -> None:
        self.root, self.prefix = where
        self.asked = asked
        self.findings = Findings(base=asked.base is not None)
        self.checked: dict[str, Any] = {}
        self.notes: list[str] = []
        try:
            self.repository = repository()
        except TaskkeepError as error:
            if asked.base is not None or asked.head is not None or asked.staged or asked.history:
                raise
            # The files can be judged without git; what it would have shown is not healthy for that.
            self.repository = None
            self.findings.add("unreadable", error.message, file=None, hint=error.hint)
        if self.repository is not None and self.root is not None:
            self.prefix = self.repository.prefix if self.root.path == self.repository.folder else self.prefix
        self.shared = Shared(self.repository)

    @property
    def git(self) -> Repository:
        if self.repository is None:
            raise Outside(
                "this backlog is in no git repository: there is no commit to compare with",
                hint="Leave --base out: the log is judged by itself.",
            )
        return self.repository

    def commit(self, name: str, option: str) -> str:
        try:
            return commit_of(self.git, name, option)
        except UnknownPoint as error:
            if is_shallow(self.git):
                raise ShallowClone(error.message, hint=UNSHALLOW) from None
            raise

    def tree(self, commit: str, label: str, prefix: str | None = None) -> Tree:
        return commit_tree(self.shared, commit, self.prefix if prefix is None else prefix, label)

    # -- the ways of asking ----------------------------------------------------------------

    def run(self) -> Verdict:
        asked = self.asked
        changes = None
        if asked.history:
            from taskkeep.store.verify.history import walk

            head = self.commit(asked.head or "HEAD", "--head")
            refuse_shallow(self.git, [head])
            own = Findings()
            judged = self.judge_head(self.tree(head, "HEAD"), own)
            walk(self, head, judged, self.findings)
            said = {(one["code"], one["task_id"], one["file"], one["line"]) for one in self.findings.list}
            for one in own.list:
                if (one["code"], one["task_id"], one["file"], one["line"]) not in said:
                    self.findings.list.append(one)
        elif asked.staged:
            judged = self._run_staged()
        elif asked.base is not None:
            judged, changes = self._run_base(asked.base)
        elif asked.head is not None:
            judged = self.judge_head(self.tree(self.commit(asked.head, "--head"), "the head"))
        else:
            judged = self._run_working_tree()
        if asked.anchor is not None and judged.tree.exists:
            between.check_anchor(judged.tree, asked.anchor, self.findings)
        self._tell(judged)
        return settled(
            self.findings.list, self.checked, strict=asked.strict, only=asked.only, skip=asked.skip, changes=changes
        )

    def _tell(self, judged: Judged) -> None:
        tree = judged.tree
        self.checked = {
            "tasks": len(judged.live),
            "archived": len(judged.archived),
            "events": len(tree.log.hashes),
            "files": len(tree.audit),
            "heads": list(tree.log.heads),
            "tree": self.root.path if self.root is not None else self.prefix,
            "what": tree.label,
            "prefix": self.prefix,
            **self.checked,
        }
        if self.notes:
            self.checked["notes"] = self.notes

    def judge_head(self, tree: Tree, findings: Findings | None = None, olds: Sequence[Tree] = ()) -> Judged:
        found = self.findings if findings is None else findings
        if not tree.exists:
            return Judged(tree, found)
        self.shared.load([tree, *olds])
        exceptions = [event for old in olds for event in old.log.loose] if olds else tree.log.loose
        return judge(
            tree,
            found,
            narrowed_by=olds[0] if olds else None,
            allowed=secrets.allowed_in(exceptions),
            progress=self.asked.progress,
        )

    def _run_working_tree(self) -> Judged:
        """The working tree, held against HEAD where there is one."""
        here = self._here()
        judged = self.judge_head(here)
        head = self._head()
        if head is not None:
            self.checked["commit"] = head
            self._hold_against_head(self.tree(head, "HEAD"), judged)
        elif self.repository is not None and not self.repository.bare and here.exists:
            self._pending(len(here.log.hashes), self.findings)
        self._check_surroundings(here.log.loose)
        if not here.exists and head is not None and not self.findings.list:
            self.notes.append("there is no backlog here")
        return judged

    def _here(self) -> Tree:
        if self.root is None:
            return Tree("the working tree", self.shared, {}, {})
        return working_tree(self.root, self.shared)

    def _head(self) -> str | None:
        """HEAD's commit, None in a repository without one and outside of git."""
        return None if self.repository is None else commit_of_or_none(self.repository)

    def _run_staged(self) -> Judged:
        git = self.git
        staged, unmerged = index_tree(self.shared, self.prefix, self.asked.index_file)
        head = self._head()
        old = self.tree(head, "HEAD") if head is not None else None
        if unmerged:
            self._unmerged()
        if old is not None and old.files == staged.files and not staged.odd:
            self.checked["unchanged"] = True
            self.notes.append("nothing of the backlog is staged")
            return Judged(Tree(staged.label, self.shared, {}, {}), self.findings)
        self.shared.load([staged, *([old] if old is not None else [])])
        judged = self.judge_head(staged)
        if old is not None and old.exists and not staged.exists:
            self._gone(old, self.findings)
        elif old is not None:
            between.compare(old, judged, self.findings)
        self.checked["commit"] = head
        self.checked["index"] = (
            os.path.join(git.git_dir, "index") if self.asked.index_file is None else self.asked.index_file
        )
        return judged

    def _run_base(self, base: str) -> tuple[Judged, Any]:
        base_commit = self.commit(base, "--base")
        head = self.commit(self.asked.head or "HEAD", "--head")
        merge_bases = [base_commit] if self.asked.replaced else self._merge_bases(base_commit, head)
        tree = self.tree(head, "HEAD" if self.asked.head is None else "the head")
        olds = [self._old_tree(commit, "the merge base" if commit != base_commit else "the base", tree)
                for commit in merge_bases]  # fmt: skip
        tip = olds[0] if merge_bases == [base_commit] else self._old_tree(base_commit, "the base", tree)
        # First, since git need not be asked for what lies here as well.
        here = self._here() if self.asked.head is None and not self.git.bare else None
        self.shared.load([tree, tip, *olds])
        self.checked |= {
            "commit": head,
            "base": {"commit": base_commit, "events": len(tip.log.hashes)},
            "merge_base": [
                {"commit": commit, "tasks": len(old.loose_tasks or {}), "events": len(old.log.hashes)}
                for commit, old in zip(merge_bases, olds, strict=True)
            ],
        }
        judged = self.judge_head(tree, olds=[tip, *olds])
        if not tree.exists and not any(old.exists for old in olds):
            self.notes.append("there is no backlog in the head, nor in its base")
        for old in olds:
            if not tree.exists and old.exists:
                self._gone(old, self.findings)
            else:
                between.compare(old, judged, self.findings)
        if tree.exists:
            between.check_descent([*olds, tip], tree, self.findings)
            for old in olds[:1]:
                if old.exists:
                    between.check_config_changed(old, tree, self.findings)
        if here is not None:
            self._hold_working_tree(here, tree)
        if self.asked.head is None:
            self._check_surroundings(tree.log.loose)
        return judged, between.changes_between(olds[0], judged)

    # -- parts -------------------------------------------------------------------------------

    def _merge_bases(self, base: str, head: str) -> list[str]:
        """All best common ancestors; the base itself where there is none, so that nothing of it may be lost."""
        git = self.git
        answer = git.run("merge-base", "--all", base, head)
        found = answer.text.split() if answer.status == 0 else []
        if found in ([base], [head]):
            return found
        # Behind a shallow boundary may lie a later common ancestor.
        refuse_shallow(git, [base, head], beyond=found)
        if not found:
            self.notes.append("base and head have no commit in common: all of the base is asked for")
            return [base]
        return found

    def _old_tree(self, commit: str, label: str, new: Tree) -> Tree:
        """The older side; where a pull request moves the backlog to another folder, from its old place."""
        tree = self.tree(commit, label)
        if tree.exists or not new.exists:
            return tree
        from taskkeep.store.verify.places import roots_in

        for prefix in roots_in(self.git, commit):
            moved = self.tree(commit, label, prefix)
            if moved.log.hashes and moved.log.hashes <= new.log.hashes:
                self.notes.append(f"the backlog was moved from {prefix or 'the top'} to {self.prefix or 'the top'}")
                return moved
        return tree

    def _gone(self, old: Tree, findings: Findings) -> None:
        """The whole backlog is on the older side only."""
        tasks = old.loose_tasks or {}
        for task in sorted(tasks.values(), key=lambda one: str(one["id"])):
            findings.add(
                "lost_task",
                f"{named(task)} is in {old.label}, and the backlog is gone",
                task_id=task["id"],
                line=1,
                hint="Bring the backlog back from git; 'taskkeep delete' with --why is how a task goes.",
            )
        if not tasks:
            findings.add("unreadable", f"the backlog of {old.label} is gone", line=1, hint="Bring it back from git.")

    def _hold_working_tree(self, here: Tree, head: Tree) -> None:
        """With a base: what lies here uncommitted."""
        if here.files == head.files and here.odd == head.odd:
            return
        judged = self.judge_head(here, Findings(base=True))
        self._hold_against_head(head, judged)
        self.findings.take(judged.findings)

    def _hold_against_head(self, head: Tree, judged: Judged) -> None:
        """The working tree differs from HEAD: the log has it and a commit waits, or it is nobody's change."""
        here, findings = judged.tree, judged.findings
        same = all(
            here.files.get(name) == head.files.get(name)
            for name in {*here.files, *head.files}
            if name in (BACKLOG, ARCHIVE) or name.startswith(AUDIT)
        )
        if same and not here.odd:
            return
        if head.exists and not here.exists:
            self._gone(head, findings)
            return
        before = len(findings.list)
        between.compare(head, judged, findings)
        if judged.consistent and len(findings.list) == before:
            self._pending(sum(name not in head.log.hashes for name in here.log.hashes), findings)
        elif not {"unaudited_change", "lost_task", "reverted_field", "replay_mismatch"} & findings.codes():
            names = sorted(n for n in (BACKLOG, ARCHIVE) if here.files.get(n) != head.files.get(n))
            if names and "not_canonical" not in findings.codes():
                findings.add(
                    "unaudited_change",
                    f"{names[0]} is not what HEAD has, and the log does not say why",
                    file=names[0],
                    line=1,
                    hint="'taskkeep restore --at WHEN' brings a saved state back.",
                )

    def _pending(self, events: int, findings: Findings) -> None:
        noted = self.root is not None and os.path.exists(self.root.pending)
        hint = "Commit backlog.json and .taskkeep/audit with git."
        if self.repository is not None and (what := under_way(self.repository)):
            hint = f"{what.capitalize()} is in progress here: finish it or give it up with git."
        elif noted or events:
            hint = "The next change commits it, or 'taskkeep recover'."
        findings.add(
            "pending_commit",
            f"a commit waits: {events} event{'' if events == 1 else 's'} of the log {'is' if events == 1 else 'are'} "
            "not in HEAD"
            if events
            else "a commit waits: the saved backlog is not in HEAD",
            file=BACKLOG,
            line=1,
            hint=hint,
        )

    def _unmerged(self) -> None:
        self.findings.add(
            "unresolved_conflict",
            "the index holds the backlog unmerged",
            line=1,
            hint="Resolve the merge, then 'git add backlog.json .taskkeep'.",
        )

    def _check_surroundings(self, events: Iterable[Event]) -> None:
        """What is this checkout's own: an interrupted save, an open merge, snapshots."""
        root = self.root
        if root is not None:
            if os.path.exists(root.journal):
                self.findings.add(
                    "interrupted",
                    "a save was cut short",
                    file=None,
                    hint="The next command that writes settles it, or 'taskkeep recover'.",
                )
            self.checked["backups"] = check_backups(root, events, self.findings)
        if self.repository is None or self.repository.bare:
            return
        paths = [self.prefix + name for name in (BACKLOG, ARCHIVE, CONFIG, AUDIT)]
        if self.repository.run("-C", self.repository.top, "ls-files", "-u", "--", *paths).out:
            self._unmerged()


def refuse_shallow(git: Repository, commits: Sequence[str], beyond: Sequence[str] = ()) -> None:
    """Raise ShallowClone where the history of *commits*, as far as *beyond*, is cut off in this clone."""
    if not is_shallow(git):
        return
    with open(os.path.join(git.common, "shallow"), encoding="ascii") as file:
        cut = set(file.read().split())
    answer = git.run("rev-list", *commits, *(f"^{commit}" for commit in beyond))
    if answer.status or cut & set(answer.text.split()):
        raise ShallowClone(
            "this clone is shallow: what the comparison needs was not fetched",
            hint=UNSHALLOW,
        )

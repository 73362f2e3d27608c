"""Nothing that a repository names is run: plain git sings, taskkeep is silent."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.changes import Edit
from taskkeep.cli.main import run

HOOKS = """applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg commit-msg
post-commit post-checkout post-merge pre-push post-rewrite pre-auto-gc post-index-change reference-transaction
fsmonitor-watchman push-to-checkout update post-update""".split()


class Canary:
    """A program that leaves a mark wherever it is run, named in many places."""

    def __init__(self, kit: Any, folder: Path) -> None:
        self.kit = kit
        self.mark = folder / "sang"
        self.program = folder / "canary.sh"
        self.program.write_text(f'#!/bin/sh\necho "$0 $*" >> "{self.mark}"\nexit 1\n')
        self.program.chmod(0o755)

    def sings(self, *args: str) -> bool:
        """Does plain git run it?"""
        asked = b"protocol=https\nhost=example.invalid\n\n"
        command = ["git", "-c", "core.askPass=true", *args]
        subprocess.run(command, cwd=self.kit.folder, capture_output=True, check=False, input=asked, timeout=20)
        return self.sang()

    def sang(self) -> bool:
        found = self.mark.exists()
        self.mark.unlink(missing_ok=True)
        return found

    def config(self, *names: str, value: str | None = None) -> None:
        for name in names:
            self.kit.git("config", name, value or str(self.program))

    def attributes(self, text: str) -> None:
        """As tracked attributes and as the repository's own."""
        (self.kit.folder / ".git" / "info").mkdir(exist_ok=True)
        (self.kit.folder / ".git" / "info" / "attributes").write_text(text)


@pytest.fixture
def canary(kit: Any, scratch: Path) -> Canary:
    return Canary(kit, scratch)


def in_hooks(canary: Canary) -> list[str]:
    folder = canary.kit.folder / ".git" / "hooks"
    folder.mkdir(exist_ok=True)
    for name in HOOKS:
        (folder / name).write_text(canary.program.read_text())
        (folder / name).chmod(0o755)
    return ["commit", "--allow-empty", "-m", "x"]


def in_a_hooks_path(canary: Canary) -> list[str]:
    command = in_hooks(canary)
    (canary.kit.folder / ".git" / "hooks").rename(canary.kit.folder / "hooks")
    canary.config("core.hooksPath", value="hooks")
    (canary.kit.folder / ".git" / "info").mkdir(exist_ok=True)
    (canary.kit.folder / ".git" / "info" / "exclude").write_text("hooks\n")
    return command


def in_fsmonitor(canary: Canary) -> list[str]:
    canary.config("core.fsmonitor")
    return ["status"]


def in_a_clean_and_smudge_filter(canary: Canary) -> list[str]:
    canary.config("filter.x.clean", "filter.x.smudge")
    canary.attributes("* filter=x\n")
    return ["hash-object", "--path=backlog.json", "backlog.json"]


def in_a_filter_process(canary: Canary) -> list[str]:
    canary.config("filter.x.process")
    canary.config("filter.x.required", value="true")
    canary.attributes("* filter=x\n")
    return ["hash-object", "--path=backlog.json", "backlog.json"]


def in_textconv(canary: Canary) -> list[str]:
    canary.config("diff.x.textconv")
    canary.attributes("* diff=x\n")
    return ["log", "-p", "-1"]


def in_diff_external(canary: Canary) -> list[str]:
    canary.config("diff.external", "diff.x.command")
    canary.attributes("* diff=x\n")
    return ["diff", "HEAD~1", "HEAD"]


def in_a_merge_driver(canary: Canary) -> list[str]:
    canary.config("merge.x.driver", "merge.taskkeep.driver")
    canary.attributes("* merge=x\n")
    kit = canary.kit
    kit.git("branch", "other", "HEAD~1")
    kit.git("worktree", "add", "-q", str(kit.folder.parent / "w"), "other")
    path = kit.folder.parent / "w" / "backlog.json"
    path.write_bytes(path.read_bytes() + b"\n")
    subprocess.run(["git", "commit", "-qam", "x"], cwd=path.parent, check=True)
    kit.git("worktree", "remove", "--force", str(path.parent))
    return ["merge-tree", "--write-tree", "main", "other"]


def in_gpg_program(canary: Canary) -> list[str]:
    canary.config("gpg.program", "gpg.openpgp.program", "gpg.x509.program", "gpg.ssh.program")
    canary.config("log.showSignature", value="true")
    return ["commit", "-S", "--allow-empty", "-m", "x"]


def in_a_pager_and_an_editor(canary: Canary) -> list[str]:
    canary.config("core.pager", "pager.log", "pager.status", "core.editor", "sequence.editor", "core.askPass")
    return ["commit", "--allow-empty"]


def in_aliases(canary: Canary) -> list[str]:
    for name in "rev-parse var update-index cat-file commit-tree update-ref ls-files hash-object log sing".split():
        canary.config(f"alias.{name}", value=f"!{canary.program}")
    return ["sing"]


def in_ssh_and_remotes(canary: Canary) -> list[str]:
    canary.config("core.sshCommand", "remote.origin.uploadpack", "remote.origin.receivepack", "core.gitProxy")
    canary.config("remote.origin.url", value="git@example.invalid:x.git")
    canary.config("remote.origin.promisor", value="true")
    return ["fetch", "origin"]


def in_trailers(canary: Canary) -> list[str]:
    canary.config("trailer.sign.command")
    canary.config("trailer.sign.key", value="Sign")
    canary.config("trailer.sign.ifmissing", value="add")
    return ["interpret-trailers", "--trailer", "sign=x", "backlog.json"]


PLACES: list[Callable[[Canary], list[str]]] = [
    in_hooks,
    in_a_hooks_path,
    in_fsmonitor,
    in_a_clean_and_smudge_filter,
    in_a_filter_process,
    in_textconv,
    in_diff_external,
    in_a_merge_driver,
    in_gpg_program,
    in_a_pager_and_an_editor,
    in_aliases,
    in_ssh_and_remotes,
    in_trailers,
]


def do_everything(kit: Any) -> None:
    """Each method of the API, and each command."""
    project = kit.project
    task = project.add("third", key="K").task
    ids = [task["id"]]
    assert project.add("third", key="K").replayed
    project.update(ids, Edit(set={"title": "changed"}))
    for method in (project.start, project.block, project.reopen, project.finish, project.cancel):
        method(ids)
    project.note(ids[0], "note")
    project.add("waits", commit=False)
    project.recover()
    project.delete(ids, why="gone")
    project.list()
    project.ready()
    project.search("first")
    project.show(list(project.backlog().tasks))
    project.log()
    project.status()
    project.verify()
    project.doctor()
    project.conflicts()
    folder = str(kit.folder)
    beside = kit.git("-c", "commit.gpgsign=false", "commit-tree", "-p", "HEAD~2", "-m", "x", "HEAD~1^{tree}").strip()
    kit.git("-c", "core.hooksPath=/dev/null", "branch", "merged", beside)
    for args in (
        ["add", "by command"],
        ["list", "--json"],
        ["list", "--mine"],
        ["ready"],
        ["log"],
        ["status"],
        ["verify"],
        ["doctor"],
        ["recover"],
        ["merge", "merged", "--dry-run"],
        ["merge", "merged"],
        ["sync"],
        ["add", "after the merge"],
        ["resolve", "--all", "--ours"],
        ["conflicts"],
        ["doctor", "--fix"],
        ["uninstall"],
    ):
        run(["-C", folder, *args])


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_no_command_runs_what_the_repository_names(
    canary: Canary, place: Callable[[Canary], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command does its work, and the canary stays silent; plain git wakes it."""
    command = place(canary)
    canary.sang()
    count = canary.kit.project.log().total
    # What the environment names is the user's; the program in question is the repository's.
    for name in ("PAGER", "GIT_PAGER", "EDITOR", "VISUAL", "SSH_ASKPASS"):
        monkeypatch.delenv(name, raising=False)

    do_everything(canary.kit)

    assert not canary.sang()
    assert canary.kit.project.log().total > count
    assert canary.kit.project.verify().ok
    assert canary.sings(*command), "plain git runs it, so the silence means something"


def test_a_new_backlog_is_set_up_in_silence(canary: Canary) -> None:
    """`init` below, with everything laid out at once."""
    for place in (in_hooks, in_fsmonitor, in_a_clean_and_smudge_filter, in_textconv, in_diff_external):
        place(canary)
    canary.sang()
    folder = canary.kit.folder / "below"
    folder.mkdir()

    taskkeep.init(str(folder))

    assert not canary.sang()
    assert taskkeep.open(str(folder)).verify().findings == []
    assert not canary.sang()


def test_what_tracked_files_name_is_not_run_either(canary: Canary) -> None:
    """Attributes in the tree, in a sub-folder and in our own file."""
    kit = canary.kit
    canary.config("filter.x.clean", "filter.x.smudge", "diff.x.textconv", "diff.x.command")
    rows = "* filter=x diff=x\n"
    for folder in (kit.folder / ".taskkeep", kit.folder / ".taskkeep" / "audit"):
        (folder / ".gitattributes").write_text(rows)
    (kit.folder / ".gitattributes").write_text((kit.folder / ".gitattributes").read_text() + rows)

    kit.project.add("third")
    kit.project.recover()
    kit.project.verify()
    kit.project.doctor()
    kit.project.status()

    assert not canary.sang()
    assert canary.sings("diff", "HEAD~1", "HEAD")


def test_a_signing_program_of_the_repository_is_not_run_to_sign(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With signing on, only the program of the user's own configuration may sign: else the save is refused."""
    in_gpg_program(canary)
    canary.kit.git("config", "commit.gpgsign", "true")
    canary.kit.git("config", "user.signingkey", "nobody")
    monkeypatch.setenv("GNUPGHOME", str(canary.program.parent / "no-keys"))
    before, head = canary.kit.files(), canary.kit.head()

    with pytest.raises(taskkeep.Outside) as refused:
        canary.kit.project.add("third")

    assert refused.value.exit_status == 7
    assert not canary.sang()
    assert (canary.kit.files(), canary.kit.head()) == (before, head)
    assert canary.sings("commit", "--allow-empty", "-m", "x")

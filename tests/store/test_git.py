"""Repositories and gits that are not as usual: what is refused is refused before anything is written."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.changes import Edit
from taskkeep.errors import (
    BacklogNotFound,
    CommitFailed,
    DiskFault,
    GitLocked,
    GitUnavailable,
    NoIdentity,
    Outside,
    RepositoryBusy,
)
from taskkeep.store.git import repository as git
from taskkeep.store.git.commit import Commit, read_head
from taskkeep.store.git.repository import Repository

from .conftest import FakeGit

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shell scripts and links stand in for odd gits")


def refused(kit: Any, error: Any, words: str, **options: Any) -> None:
    """A save raises this, and everything is as it was."""
    before, head = kit.files(), kit.head()
    with pytest.raises(error, match=words):
        kit.project.add("refused", **options)
    assert (kit.files(), kit.head()) == (before, head)


# -- git itself ------------------------------------------------------------------------------


def test_without_git_nothing_is_saved_in_a_repository(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative entry of PATH is none: it would run what lies in the current folder."""
    bait = kit.folder / "git"
    bait.write_text("#!/bin/sh\ntouch ran\n")
    bait.chmod(0o755)
    before = kit.files()
    monkeypatch.chdir(kit.folder)
    monkeypatch.setenv("PATH", os.pathsep.join([".", "", "/nowhere"]))

    with pytest.raises(GitUnavailable, match="not installed"):
        kit.project.add("refused")

    assert kit.files() == before


def test_a_git_that_cannot_be_started_is_named(kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_bytes(b"\x00no program\n")
    (tmp_path / "git").chmod(0o755)
    before = kit.files()
    monkeypatch.setenv("PATH", str(tmp_path))
    left = len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 0

    with pytest.raises(GitUnavailable, match="cannot be started"):
        kit.project.add("refused")

    assert kit.files() == before
    assert (len(os.listdir("/dev/fd")) if left else 0) <= left, "no pipe is left open"


@pytest.mark.parametrize(
    "says,error,hint",
    [
        ("fatal: detected dubious ownership in repository at '/x'", GitUnavailable, "safe.directory"),
        ("fatal: Invalid path '/x': Permission denied", Outside, "permissions"),
        ("error: unknown option: path-format=absolute", GitUnavailable, "2.31 or later"),
        ("fatal: something else", GitUnavailable, "git status"),
    ],
)
def test_what_git_has_against_a_repository_is_told_with_a_way_out(
    kit: Any, git_that: FakeGit, says: str, error: type[Any], hint: str
) -> None:
    before = kit.files()
    git_that(f'case "$*" in *"rev-parse --path-format"*) echo "{says}" >&2; exit 128;; esac')

    with pytest.raises(error) as raised:
        kit.project.add("refused")

    assert hint in raised.value.hint
    assert kit.files() == before


def test_a_git_folder_that_is_none_is_told(kit: Any) -> None:
    shutil.rmtree(kit.folder / ".git")
    (kit.folder / ".git").mkdir()
    before = kit.files()

    with pytest.raises(GitUnavailable, match="git finds no repository"):
        kit.project.add("refused")

    assert kit.files() == before


def test_a_configuration_that_says_nothing_is_not_taken_for_the_repositorys(kit: Any) -> None:
    """Where git fails to open it, it answers from the user's own files, and would commit as somebody else."""
    (kit.folder / ".git" / "config").write_text("")
    refused(kit, GitUnavailable, "could not read the repository's configuration")


def test_input_that_git_does_not_want_is_no_failure(kit: Any, git_that: FakeGit) -> None:
    """It has read enough, or has closed its outputs before: its status tells."""
    much = b"x" * (1 << 22)
    assert git.run(str(kit.folder), "version", given=much).text.startswith("git version")
    git_that('case "$*" in *early*) echo done; exec >&- 2>&-; sleep 0.2; exit 3;; esac')
    assert git.run(str(kit.folder), "early", given=much) == git.Answer(3, b"done\n", b"")


# -- who commits -----------------------------------------------------------------------------


def test_a_name_that_git_may_not_make_up_is_asked_for(kit: Any) -> None:
    kit.git("config", "--unset", "user.email")
    kit.git("config", "user.useConfigOnly", "true")
    refused(kit, NoIdentity, "does not know who you are")


def test_an_address_that_git_finds_out_by_itself_is_taken(kit: Any, git_that: FakeGit) -> None:
    """As on a machine whose name gives one."""
    kit.git("config", "--unset", "user.email")
    git_that('case "$*" in *"var GIT_COMMITTER_IDENT") echo "Ada <ada@host.invalid> 1 +0000"; exit 0;; esac')

    assert kit.project.add("third").commit == kit.head()


def test_without_any_name_the_login_acts(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.git("config", "--unset", "user.name")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Ada")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "")
    monkeypatch.setenv("USER", "login")

    assert kit.project.add("third", commit=False).task["created_by"] == "login"


# -- branches --------------------------------------------------------------------------------


def test_a_bare_repository_keeps_no_backlog(new_repository: Callable[..., Any], scratch: Path) -> None:
    bare = new_repository(scratch / "bare", "--bare")

    with pytest.raises(GitUnavailable, match="bare"):
        taskkeep.init(str(bare.folder))

    assert not (bare.folder / "backlog.json").exists()
    assert not (bare.folder / ".taskkeep").exists()


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_a_path_that_gits_answers_cannot_be_read_with_is_named(
    new_repository: Callable[..., Any], scratch: Path
) -> None:
    with pytest.raises(GitUnavailable, match="line break"):
        taskkeep.init(str(new_repository(scratch / "two\nlines").folder))


@pytest.mark.parametrize("state", ["a branch", "a branch that is packed", "no commit yet", "detached"])
def test_git_and_the_files_say_the_same_of_head(bare_kit: Any, state: str) -> None:
    """Read as files for speed; asked of git where it keeps its refs otherwise."""
    if state != "no commit yet":
        bare_kit.git("commit", "-q", "--allow-empty", "-m", "first")
    if state == "a branch that is packed":
        bare_kit.git("pack-refs", "--all")
    if state == "detached":
        bare_kit.git("checkout", "-q", "--detach")
    repository = Repository(str(bare_kit.folder))
    by_files = read_head(repository)
    repository.config["extensions.refstorage"] = "reftable"
    by_git = read_head(repository)

    assert (by_files.ref, by_files.commit) == (by_git.ref, by_git.commit)
    assert (by_git.ref is None) == (state == "detached")
    assert (by_git.commit is None) == (state == "no commit yet")


def test_a_branch_that_stands_for_another_moves_the_other(kit: Any) -> None:
    """As with a commit of git's own."""
    kit.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    kit.git("symbolic-ref", "HEAD", "refs/heads/alias")

    saved = kit.project.add("third")

    assert kit.git("rev-parse", "main").strip() == saved.commit
    assert kit.git("symbolic-ref", "refs/heads/alias").strip() == "refs/heads/main"
    kit.assert_sound()


@pytest.mark.parametrize("name", ["taken", "main/below"])
@pytest.mark.parametrize("with_index", [True, False])
def test_a_branch_that_cannot_be_born_is_refused(kit: Any, name: str, with_index: bool) -> None:
    """Its name is the folder of others, or below another: git refuses it too, and the index is as before."""
    kit.git("branch", "taken/by/another")
    kit.git("symbolic-ref", "HEAD", f"refs/heads/{name}")
    index = kit.folder / ".git" / "index"
    if not with_index:
        index.unlink()
    before, staged = kit.files(), index.read_bytes() if with_index else None

    with pytest.raises(DiskFault):
        kit.project.add("refused")

    assert kit.files() == before
    assert (index.read_bytes() if index.exists() else None) == staged
    assert kit.git("symbolic-ref", "HEAD").strip() == f"refs/heads/{name}"
    assert list((kit.folder / ".git").glob("*taskkeep*")) == []


def test_a_branch_that_keeps_moving_is_given_up_and_nothing_changed(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody commits each time just before the branch would move."""
    publish = Commit._publish

    def moved(self: Any, *args: Any) -> Any:
        kit.git("commit", "-q", "--allow-empty", "-m", "in between")
        return publish(self, *args)

    monkeypatch.setattr(Commit, "_publish", moved)
    before = kit.files()
    with pytest.raises(CommitFailed, match="kept moving"):
        kit.project.add("refused")

    assert kit.files() == before


def test_a_branch_that_has_moved_to_just_this_needs_no_commit(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where somebody commits all files while we are at it."""
    publish, moved = Commit._publish, []

    def commit_all_first(self: Any, *args: Any) -> Any:
        if not moved:
            kit.git("add", "-A")
            kit.git("commit", "-q", "-m", "all")
            moved.append(kit.head())
        return publish(self, *args)

    monkeypatch.setattr(Commit, "_publish", commit_all_first)
    kit.project.add("third")

    assert kit.head() == moved[0]
    assert "third" in kit.titles_in_head()


# -- the index and the objects -----------------------------------------------------------------


def test_an_index_that_is_damaged_is_left_as_it_is(kit: Any) -> None:
    index = kit.folder / ".git" / "index"
    index.write_bytes(b"rubbish")
    refused(kit, (CommitFailed, GitUnavailable), "index")
    assert index.read_bytes() == b"rubbish"


def test_a_tree_that_cannot_be_read_is_not_taken_for_an_empty_one(kit: Any) -> None:
    """All other files would be gone from the branch."""
    tree = kit.git("rev-parse", "HEAD^{tree}").strip()
    (kit.folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    refused(kit, CommitFailed, "cannot read HEAD's tree")


def test_entries_that_a_stash_left_unmerged_are_not_committed_over(kit: Any) -> None:
    """Nothing is under way then, and yet the index holds three versions."""
    kit.file.write_text(kit.file.read_text().replace('"second"', '"mine"'))
    kit.git("stash", "-q")
    kit.project.update([kit.id_of("second")], Edit(set={"title": "theirs"}))
    kit.git("stash", "pop", check=False)
    kit.git("checkout", "--ours", "--", "backlog.json")
    refused(kit, RepositoryBusy, "left conflicts")


def test_another_git_that_holds_the_copy_of_the_index_is_named(kit: Any) -> None:
    token = (kit.local / "token").read_text().strip()
    (kit.folder / ".git" / f"{token}.index.lock").mkdir()
    refused(kit, GitLocked, "index entries")


def test_a_git_that_may_not_write_makes_the_commit_wait(kit: Any, git_that: FakeGit) -> None:
    git_that('case "$*" in *update-index*) echo "fatal: cannot write: Permission denied" >&2; exit 128;; esac')
    saved = kit.project.add("third")
    assert (saved.commit, saved.pending) == (None, True)
    assert "third" in kit.titles()


def test_a_reference_that_was_moved_and_not_logged_is_a_warning(kit: Any) -> None:
    """Once the branch has moved nothing fails any more; the next writer has nothing to take back."""
    log = kit.folder / ".git" / "logs" / "HEAD"
    log.unlink()
    log.mkdir()

    saved = kit.project.add("third")

    assert saved.commit == kit.head()
    assert "not synced" in saved.warnings[0]
    log.rmdir()
    kit.project.add("fourth")
    kit.assert_sound()


def test_who_wants_no_reflog_gets_none(kit: Any) -> None:
    kit.git("config", "core.logAllRefUpdates", "false")
    before = (kit.folder / ".git" / "logs" / "HEAD").read_bytes()
    kit.project.add("third")
    assert (kit.folder / ".git" / "logs" / "HEAD").read_bytes() == before


def test_commits_are_encoded_as_the_repository_says(kit: Any) -> None:
    kit.git("config", "i18n.commitEncoding", "ISO-8859-1")
    saved = kit.project.add("für alle")
    raw = subprocess.run(["git", "cat-file", "commit", saved.commit], cwd=kit.folder, capture_output=True, check=True)
    assert b"\nencoding ISO-8859-1\n" in raw.stdout
    kit.git("config", "--unset", "i18n.commitEncoding")
    kit.assert_sound()


# -- repositories that several people share ---------------------------------------------------


def test_what_a_group_shares_the_group_can_write(bare_kit: Any) -> None:
    """Whatever the umask: objects, the branch and its log get the modes that git gives them."""
    bare_kit.git("config", "core.sharedRepository", "group")
    old = os.umask(0o077)
    try:
        taskkeep.init(str(bare_kit.folder))
        for number in range(3):
            bare_kit.project.add(f"task {number}")
    finally:
        os.umask(old)

    there = bare_kit.folder / ".git"
    files = [path for name in ("objects", "refs", "logs") for path in (there / name).rglob("*") if path.is_file()]
    made = [path for path in (there / "objects").glob("??") if path.is_dir()]
    assert files
    assert made
    assert [str(path) for path in files if not path.stat().st_mode & stat.S_IRGRP] == []
    assert [str(path) for path in (there / "logs").rglob("*") if not path.stat().st_mode & stat.S_IWGRP] == []
    assert [str(path) for path in made if not path.stat().st_mode & stat.S_IWGRP] == []
    assert bare_kit.git("log", "-g", "--format=%H").split()[0] == bare_kit.head()
    bare_kit.assert_sound()


def test_a_shared_repository_that_refuses_an_object_makes_the_commit_wait(kit: Any, git_that: FakeGit) -> None:
    kit.git("config", "core.sharedRepository", "group")
    git_that(
        'case "$*" in *hash-object*) echo "error: insufficient permission: Permission denied" >&2; exit 128;; esac'
    )
    assert kit.project.add("third").pending


def test_a_shared_branch_that_git_does_not_move_is_told(kit: Any, git_that: FakeGit) -> None:
    kit.git("config", "core.sharedRepository", "group")
    git_that('case "$*" in *update-ref*) echo "fatal: cannot lock ref" >&2; exit 128;; esac')
    refused(kit, CommitFailed, "would not move the branch")


def test_git_is_given_the_users_surroundings_and_asks_nobody(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what begins with GIT_ only who commits and what was configured: no other index, folder or editor."""
    kept = ["GIT_AUTHOR_NAME", "GIT_COMMITTER_DATE", "GIT_CONFIG_COUNT", "GIT_CEILING_DIRECTORIES", "GIT_TRACE2"]
    taken = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE", "GIT_EXTERNAL_DIFF"]
    for name in [*kept, *taken, "GIT_EDITOR", "GIT_ASKPASS", "SSH_ASKPASS", "LC_ALL", "HERE"]:
        monkeypatch.setenv(name, "given")

    found = git.environment({"GIT_INDEX_FILE": "ours"})

    quiet = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "false", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}
    assert {name: found.pop(name) for name in quiet} == quiet
    assert found.pop("GIT_INDEX_FILE") == "ours"
    assert {name for name in found if name.startswith("GIT_")} == {*kept, "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"}
    assert found["HERE"] == "given"
    assert found["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(
    ("err", "trouble"),
    [
        (b"", "git ended with 3"),
        (b"\n  \n", "git ended with 3"),
        (b"warning: odd\nfatal: it broke\nerror: more\n", "it broke"),
        (b"hint: try\nerror: it: broke\n", "it: broke"),
        (b"only words\nand more\n", "only words"),
        (b"\xff\n", "\ufffd"),
    ],
)
def test_of_what_git_says_the_telling_line_is_repeated(err: bytes, trouble: str) -> None:
    assert git.Answer(3, b"", err).trouble == trouble


@pytest.mark.parametrize("words", ["Permission denied", "Read-only file system", "Operation not permitted", ""])
def test_a_refusal_of_the_system_is_known_by_its_words(words: str) -> None:
    assert git.Answer(128, b"", f"fatal: could not write: {words}\n".encode()).refused is bool(words)


# -- the root ----------------------------------------------------------------------------------


def test_a_path_that_no_system_knows_is_refused(kit: Any) -> None:
    with pytest.raises(taskkeep.Usage, match="no folder"):
        taskkeep.open("a\0b")


def test_a_current_folder_that_is_gone_is_said(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = kit.folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.delenv("TASKKEEP_DIR", raising=False)
    gone.rmdir()
    with pytest.raises(taskkeep.Usage, match="current folder is gone"):
        taskkeep.open()
    monkeypatch.chdir(kit.folder)


def test_a_backlog_of_another_program_is_no_root(tmp_path: Path) -> None:
    """Neither one with tasks of another shape, nor a folder of that name."""
    (tmp_path / "backlog.json").write_text('{"version": 1, "tasks": [{"id": "1", "title": "theirs"}]}')
    with pytest.raises(BacklogNotFound):
        taskkeep.open(str(tmp_path)).backlog()
    (tmp_path / "backlog.json").unlink()
    (tmp_path / "backlog.json").mkdir()
    with pytest.raises(BacklogNotFound):
        taskkeep.open(str(tmp_path)).backlog()

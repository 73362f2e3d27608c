"""What the system or git will not let us do: said as it is, whoever runs the tests."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from taskkeep.errors import CommitFailed, DiskFault, GitUnavailable, TaskkeepError, UnknownPoint
from taskkeep.project import verify
from taskkeep.store import backups, pending
from taskkeep.store.git.commit import Commit

from .conftest import FakeGit
from .test_unread_objects import without


def refused(*args: Any, **more: Any) -> Any:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def on_paths(real: Callable[..., Any], *endings: str) -> Callable[..., Any]:
    """*real*, but refused for a path that ends so."""
    return lambda path, *rest, **more: (refused if str(path).endswith(endings) else real)(path, *rest, **more)


def test_doctor_names_what_a_save_has_no_access_to(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, how: not str(path).endswith("/local") and real(path, how))
    [finding] = [one for one in kit.project.doctor().findings if one["code"] == "disk"]
    assert "no access to .taskkeep/local" in finding["message"]


def test_snapshots_of_another_user_are_a_warning_and_hide_nothing_else(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "listdir", on_paths(os.listdir, "local/backups"))
    [finding] = kit.project.verify().findings
    assert (finding["code"], finding["severity"]) == ("damaged_backup", "warning")
    assert finding["message"].startswith("the snapshots cannot be read")


def test_snapshots_of_another_user_are_neither_near_nor_a_witness(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.git("branch", "feature-login")
    monkeypatch.setattr(backups, "names", refused)
    with pytest.raises(UnknownPoint) as unknown:
        kit.project.at("feature-logn")
    assert unknown.value.details["nearest"] == ["feature-login"]
    kit.file.unlink()
    with pytest.raises(TaskkeepError, match=r"backlog\.json is gone") as gone:
        kit.project.backlog()
    assert {one["kind"] for one in gone.value.details["witnesses"]} == {"log", "commit"}


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen to sign with")
@pytest.mark.parametrize("writable", [True, False])
def test_a_permission_that_signing_lacks_is_not_one_of_gits(
    kit: Any, git_that: FakeGit, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    """A commit waits only where .git cannot be written."""
    kit.git("config", "commit.gpgSign", "true")
    git_that('case "$*" in *commit-tree*) echo "error: cannot run gpg: Permission denied" >&2; exit 128;; esac')
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, how: (writable or "objects" not in str(path)) and real(path, how))
    if writable:
        with pytest.raises(CommitFailed, match="Permission denied"):
            kit.project.add("third")
    else:
        assert kit.project.add("third").commit is None
    assert kit.project.status()["pending"] != writable


def test_what_waits_for_a_git_that_cannot_be_written_is_said_to_wait(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.git("branch", "other")
    kit.project.add("waits", commit=False)
    monkeypatch.setattr(pending, "commit", refused)
    assert kit.project.recover().warnings == ["the commit still waits: Permission denied"]
    with pytest.raises(DiskFault, match=r"^what waits could not be committed: Permission denied; nothing was changed$"):
        kit.project.merge("other")


def test_an_index_that_may_not_be_put_back_lets_the_commit_wait(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The branch has not moved; the next save finds an index that is ahead, and makes the commit."""
    real, begun = os.replace, []

    def replace(source: Any, target: Any) -> None:
        if str(target).endswith(".git/index") and begun:
            refused()
        real(source, target)

    def move(commit: Any) -> None:
        begun.append(commit)
        refused()

    with monkeypatch.context() as patch:
        patch.setattr(Commit, "_move_ref", move)
        patch.setattr(os, "replace", replace)
        assert kit.project.add("third").commit is None
    assert begun
    kit.project.add("fourth")
    assert not kit.project.status()["pending"]
    kit.assert_sound()


def test_a_configuration_that_git_does_not_write_is_left_as_it_is(kit: Any, git_that: FakeGit) -> None:
    before = (kit.folder / ".git" / "config").read_bytes()
    git_that('case "$*" in *"config --file"*) exit 1;; esac')
    with pytest.raises(GitUnavailable, match="could not be taken out; nothing was changed"):
        kit.project.uninstall()
    assert (kit.folder / ".git" / "config").read_bytes() == before
    assert not list((kit.folder / ".git").glob("taskkeep-*"))


def test_no_save_is_made_on_a_head_whose_tree_git_cannot_list(kit: Any, git_that: FakeGit) -> None:
    kit.git("commit", "-q", "--allow-empty", "-m", "the user's, so that HEAD is looked into")
    titles = kit.titles()
    git_that('case "$*" in *"ls-tree -r"*) echo "fatal: not a tree object" >&2; exit 128;; esac')
    with pytest.raises((CommitFailed, DiskFault), match="git cannot read HEAD's tree"):
        kit.project.add("third")
    assert kit.titles() == titles


def test_no_backlog_is_called_missing_where_the_tree_of_head_cannot_be_listed(kit: Any) -> None:
    shutil.rmtree(kit.folder / ".taskkeep")
    kit.file.unlink()
    with without(kit, "HEAD^{tree}"), pytest.raises(GitUnavailable, match="git cannot read its objects"):
        verify(str(kit.folder), base="HEAD")

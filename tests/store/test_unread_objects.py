"""What git cannot read of a commit is never taken for what there never was."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep import Edit
from taskkeep.errors import BacklogUnreadable, GitUnavailable

from .test_open_merge import at, merged, unmerged


@contextmanager
def without(kit: Any, name: str) -> Iterator[None]:
    """Git's object of this name cannot be read meanwhile."""
    blob = kit.git("rev-parse", name).strip()
    path = kit.folder / ".git" / "objects" / blob[:2] / blob[2:]
    kept = path.read_bytes()
    path.unlink()
    yield
    path.write_bytes(kept)


@pytest.fixture
def archived(kit: Any) -> Any:
    """A task done and archived on `other`, edited on `main`, which is checked out; `before` has neither."""
    kit.project.finish([kit.id_of("first")])
    kit.git("branch", "before")
    kit.git("checkout", "-q", "-b", "other")
    kit.project.archive(older_than="0d")
    kit.git("checkout", "-q", "main")
    kit.project.update([kit.id_of("first")], Edit(set={"priority": "high"}))
    return kit


@pytest.mark.parametrize("ours", ["main", "other"])
def test_the_driver_takes_no_unread_archive_for_none(
    archived: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ours: str
) -> None:
    """What was archived there would look deleted to it."""
    archived.git("checkout", "-q", ours)
    monkeypatch.chdir(archived.folder)
    versions = [at(archived, name) for name in ("before", ours, "main" if ours == "other" else "other")]
    assert merged(tmp_path, *versions)[1] == []
    with without(archived, "other:backlog.archive.json"), pytest.raises(GitUnavailable, match="its objects"):
        merged(tmp_path, *versions)
    assert (tmp_path / "ours").read_bytes() == versions[1]


@pytest.mark.parametrize("path", ["backlog.json", "backlog.archive.json"])
def test_a_merge_is_not_foreseen_without_a_file_of_theirs(archived: Any, path: str) -> None:
    with without(archived, f"other:{path}"), pytest.raises(GitUnavailable, match=rf"git cannot read {path}"):
        archived.project.merge("other", dry_run=True)
    assert archived.project.merge("other", dry_run=True)[1] == []


@pytest.mark.parametrize("path", ["backlog.json", "backlog.archive.json"])
def test_no_commit_is_restored_without_a_file_of_its_own(archived: Any, path: str) -> None:
    """Without the archive every task in it would be deleted."""
    with without(archived, f"other:{path}"), pytest.raises(GitUnavailable, match=rf"git cannot read {path}"):
        archived.project.restore(at="other")
    archived.project.restore(at="other")
    assert len(archived.project.backlog().archived) == 1
    archived.assert_sound()


def test_a_partial_clone_that_cannot_fetch_says_what_brings_the_rest(kit: Any, scratch: Path) -> None:
    kit.git("config", "uploadpack.allowFilter", "true")
    source, partial = f"file://{kit.folder}", scratch / "partial"
    subprocess.run(["git", "clone", "-q", "--filter=blob:none", source, str(partial)], check=True)
    (kit.folder / ".git").rename(kit.folder / "gone")
    with pytest.raises(GitUnavailable) as refused:
        taskkeep.open(str(partial)).at("HEAD~1").backlog()
    assert "git fetch --refetch --no-filter" in refused.value.hint


@pytest.mark.parametrize("name", ["HEAD:.gitattributes", ":.gitattributes"])
def test_init_never_commits_attributes_without_the_users_own(bare_kit: Any, name: str) -> None:
    path = bare_kit.folder / ".gitattributes"
    for text in ("*.a text\n", "*.b text\n"):
        path.write_text(text)
        bare_kit.git("add", ".gitattributes")
        if text == "*.a text\n":
            bare_kit.git("commit", "-q", "-m", "attributes")
    with without(bare_kit, name), pytest.raises(GitUnavailable, match=r"git cannot read .*\.gitattributes"):
        taskkeep.init(str(bare_kit.folder))
    assert not bare_kit.file.exists()
    assert path.read_text() == "*.b text\n"
    taskkeep.init(str(bare_kit.folder))
    assert bare_kit.git("show", "HEAD:.gitattributes").startswith("*.a text\n")
    assert bare_kit.git("show", ":.gitattributes").startswith("*.b text\n")


def test_init_begins_no_new_backlog_over_one_that_git_cannot_read(kit: Any) -> None:
    kit.file.unlink()
    for path in sorted((kit.folder / ".taskkeep").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with without(kit, "HEAD:backlog.json"), pytest.raises(BacklogUnreadable, match="is gone"):
        taskkeep.init(str(kit.folder))
    assert not kit.file.exists()


def test_an_open_merge_is_not_told_without_the_file_that_names_what_is_merged(archived: Any) -> None:
    unmerged(archived, *(at(archived, name) for name in ("before", "main", "other")))
    (archived.folder / ".git" / "SQUASH_MSG").mkdir()
    with pytest.raises(IsADirectoryError):
        archived.project.conflicts()


def test_nothing_staged_is_judged_without_a_head_that_cannot_be_read(kit: Any) -> None:
    with without(kit, "HEAD"), pytest.raises(GitUnavailable, match="git cannot read the commit of HEAD"):
        kit.project.verify(staged=True)


@pytest.mark.parametrize("name", ["main^{tree}", "main:sub"])
def test_no_backlog_of_the_base_is_passed_over(kit: Any, name: str) -> None:
    """`--all` looks for the backlogs of both sides: one that head lacks is found by the base alone."""
    (kit.folder / "sub").mkdir()
    taskkeep.init(str(kit.folder / "sub"))
    kit.git("checkout", "-q", "-b", "other")
    kit.git("rm", "-q", "-r", "sub")
    kit.git("commit", "-q", "-m", "without")
    with without(kit, name), pytest.raises(GitUnavailable, match="git cannot read"):
        kit.project.verify(base="main", every=True)

"""Merging, syncing and going by revisions where git, the remote or the branch is not as one would wish."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.changes import Edit
from taskkeep.errors import AmbiguousPoint, GitUnavailable, NotFound, Outside, Refused, RepositoryBusy
from taskkeep.store.git.repository import Repository
from taskkeep.store.git.revision import commit_of
from taskkeep.store.merging import branches

from .conftest import FakeGit


@pytest.fixture
def other(kit: Any) -> Any:
    """With a branch `other` that has one task more, and one file of the user's."""
    (kit.folder / "file.txt").write_text("one\n")
    kit.git("add", "file.txt")
    kit.git("commit", "-q", "-m", "file")
    kit.git("checkout", "-q", "-b", "other")
    kit.project.add("theirs")
    (kit.folder / "file.txt").write_text("two\n")
    kit.git("commit", "-q", "-a", "-m", "file")
    kit.git("checkout", "-q", "main")
    return kit


def test_a_merge_into_a_branch_that_is_not_born_is_refused(other: Any) -> None:
    other.git("symbolic-ref", "HEAD", "refs/heads/new")
    with pytest.raises(RepositoryBusy, match="no commit yet"):
        other.project.merge("other", dry_run=True)


def test_a_merge_that_would_overwrite_the_users_work_is_gits_to_refuse(other: Any) -> None:
    """Whatever lies in the file stays there."""
    (other.folder / "file.txt").write_text("mine\n")
    head = other.head()
    with pytest.raises(Refused, match="git would not merge"):
        other.project.merge("other")
    assert (other.head(), (other.folder / "file.txt").read_text()) == (head, "mine\n")
    assert "theirs" not in other.titles()


def test_a_merge_is_refused_while_the_index_holds_an_open_one(other: Any) -> None:
    """As after a stash that came back in conflict."""
    other.file.write_text(other.file.read_text().replace('"second"', '"mine"'))
    other.git("stash", "-q")
    other.project.update([other.id_of("second")], Edit(set={"title": "ours"}))
    other.git("-c", "merge.taskkeep.driver=false", "stash", "pop", check=False)
    other.git("checkout", "--ours", "--", "backlog.json")
    with pytest.raises(RepositoryBusy, match="unmerged"):
        other.project.merge("other")


@pytest.mark.parametrize("what", ["merge", "sync"])
def test_without_git_there_is_nothing_to_merge(scratch: Path, what: str) -> None:
    taskkeep.init(str(scratch), git=False)
    project = taskkeep.open(str(scratch))
    with pytest.raises(Outside, match="in no git repository"):
        project.merge("other") if what == "merge" else project.sync()


@pytest.mark.parametrize(
    ("config", "asked", "found"),
    [
        ("", None, ("origin", "refs/heads/main", "refs/remotes/origin/main", False)),
        ("", "up", ("up", "refs/heads/main", "refs/remotes/up/main", False)),
        ("branch.main.remote up", None, ("up", "refs/heads/main", "refs/remotes/up/main", False)),
        (
            "branch.main.remote up\nbranch.main.merge refs/heads/theirs",
            None,
            ("up", "refs/heads/theirs", "refs/remotes/up/theirs", False),
        ),
        (
            "branch.main.remote up\nbranch.main.merge refs/heads/theirs",
            "origin",
            ("origin", "refs/heads/main", "refs/remotes/origin/main", False),
        ),
        ("branch.other.remote up", None, ("origin", "refs/heads/main", "refs/remotes/origin/main", False)),
        *[
            (f"pull.rebase {value}", None, ("origin", "refs/heads/main", "refs/remotes/origin/main", rebases))
            for value, rebases in (
                ("true", True), ("merges", True), ("interactive", True), ("false", False), ("FALSE", False),
                ("no", False), ("off", False), ("0", False),
            )
        ],
        (
            "pull.rebase true\nbranch.main.rebase false",
            None,
            ("origin", "refs/heads/main", "refs/remotes/origin/main", False),
        ),
    ],
)  # fmt: skip
def test_a_branch_follows_what_git_pull_would_take(kit: Any, config: str, asked: str | None, found: Any) -> None:
    for remote in ("origin", "up"):
        kit.git("remote", "add", remote, "/nowhere")
    for row in filter(None, config.split("\n")):
        kit.git("config", *row.split(" "))
    assert branches.upstream(Repository(str(kit.folder)), asked) == found


@pytest.mark.parametrize("remote", ["none", "--upload-pack=x", "-x"])
def test_a_remote_that_is_none_is_named(kit: Any, remote: str) -> None:
    with pytest.raises(NotFound, match=f"no remote '{remote}'") as refused:
        kit.project.sync(remote=remote)
    assert "git remote" in refused.value.hint


def test_a_detached_head_follows_nobody(kit: Any) -> None:
    kit.git("checkout", "-q", "--detach")
    with pytest.raises(RepositoryBusy, match="HEAD is detached"):
        kit.project.sync()


@pytest.fixture
def clone(kit: Any, scratch: Path) -> Any:
    """A clone of the repository, which it follows."""
    return kit.clone(scratch / "clone")


def test_what_a_remote_does_not_take_is_told_and_stays_here(kit: Any, clone: Any) -> None:
    """A branch that is checked out there, as any push would find it."""
    clone.project.add("from the clone")
    with pytest.raises(Outside, match="could not push to origin"):
        clone.project.sync(push=True)
    assert "from the clone" in clone.titles_in_head()
    clone.assert_sound()
    assert "from the clone" not in kit.titles()


def test_a_dry_run_of_sync_tells_the_conflicts_that_it_would_leave(kit: Any, clone: Any) -> None:
    task = kit.id_of("first")
    kit.project.update([task], Edit(set={"title": "theirs"}))
    clone.project.update([task], Edit(set={"title": "ours"}))
    head = clone.head()
    saved, _ = clone.project.sync(dry_run=True)
    assert saved.warnings == ["1 conflicts would be left open"]
    assert clone.head() == head


def test_a_branch_that_the_remote_does_not_have_is_only_verified(kit: Any, clone: Any) -> None:
    clone.git("checkout", "-q", "-b", "new")
    for dry_run in (True, False):
        saved, verdict = clone.project.sync(dry_run=dry_run)
        assert (saved.changed, verdict.ok) == (False, True)


def test_a_configuration_that_git_cannot_read_stops_the_way_to_a_remote(
    kit: Any, clone: Any, git_that: FakeGit
) -> None:
    git_that('case "$*" in *show-scope*sshcommand*) echo "fatal: bad config" >&2; exit 3;; esac')
    with pytest.raises(GitUnavailable, match="bad config"):
        clone.project.sync()


def test_only_the_users_own_configuration_names_programs_for_the_way(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every remote and for single ones; the repository's helpers and its ssh are passed over."""
    (tmp_path / "config").write_text(
        '[credential]\n\thelper = mine\n[credential "https://a"]\n\thelper = for a\n[core]\n\tsshCommand = my ssh\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    kit.git("config", "credential.helper", "evil")
    kit.git("config", "credential.https://b.helper", "evil")
    kit.git("config", "core.sshCommand", "evil")
    settings = branches._transport(Repository(str(kit.folder)))
    assert not any("evil" in one for one in settings)
    assert {"credential.helper=mine", "credential.https://a.helper=for a", "core.sshCommand=my ssh"} <= {*settings}
    assert "credential.https://b.helper=" in settings


def test_a_merge_is_signed_by_the_users_own_program(
    other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for gpg signs what the user's configuration has signed; the repository's own is not run."""
    for name, words in (("mi=ne", "MINE"), ("evil", "EVIL")):
        program = tmp_path / name
        program.write_text(
            f"#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\n"
            f"printf -- '-----BEGIN PGP SIGNATURE-----\\n\\n{words}\\n-----END PGP SIGNATURE-----\\n'\n"
        )
        program.chmod(0o755)
    (tmp_path / "config").write_text(f"[gpg]\n\tprogram = {tmp_path / 'mi=ne'}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    other.git("config", "gpg.program", str(tmp_path / "evil"))
    other.git("config", "gpg.ssh.defaultKeyCommand", str(tmp_path / "evil"))
    other.git("config", "user.signingKey", "ada")
    other.git("config", "commit.gpgSign", "true")
    other.project.add("ours")
    assert " MINE\n" in other.git("cat-file", "commit", "HEAD")
    other.project.merge("other")
    assert " MINE\n" in other.git("cat-file", "commit", "HEAD")
    assert "theirs" in other.titles()


@pytest.mark.skipif(os.name == "nt", reason="a short hash that means two things takes many commits")
def test_a_name_that_means_several_commits_is_asked_about(bare_kit: Any) -> None:
    """The beginning of two hashes, drawn until two begin alike."""
    tree = bare_kit.git("hash-object", "-w", "-t", "tree", "/dev/null").strip()
    seen: dict[str, str] = {}
    for number in range(20_000):
        row = f"tree {tree}\nauthor A <a> {number} +0000\ncommitter A <a> {number} +0000\n\nx\n".encode()
        from hashlib import sha1

        name = sha1(b"commit %d\0" % len(row) + row).hexdigest()
        if name[:4] in seen:
            break
        seen[name[:4]] = row.decode()
    for text in (row.decode(), seen[name[:4]]):
        subprocess.run(
            ["git", "hash-object", "-w", "-t", "commit", "--stdin"],
            cwd=bare_kit.folder, input=text.encode(), check=True, capture_output=True,
        )  # fmt: skip
    with pytest.raises(AmbiguousPoint, match="several things"):
        commit_of(Repository(str(bare_kit.folder)), name[:4], "--base")

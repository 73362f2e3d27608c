"""Commits are signed where the user's git says so, with a real key."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.changes import Edit

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen to sign with")


@pytest.fixture
def key(kit: Any, tmp_path: Path) -> Path:
    """The private half of a key that the repository signs with."""
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    (tmp_path / "allowed").write_text(f"ada@example.invalid {path.with_suffix('.pub').read_text()}")
    for name, value in {
        "gpg.format": "ssh",
        "user.signingKey": f"{path}.pub",
        "gpg.ssh.allowedSignersFile": str(tmp_path / "allowed"),
        "commit.gpgSign": "true",
    }.items():
        kit.git("config", name, value)
    return path


@pytest.mark.usefixtures("key")
def test_a_save_is_signed_like_any_commit(kit: Any) -> None:
    kit.project.add("signed")

    assert kit.git("log", "-1", "--format=%G?").strip() == "G"
    kit.assert_sound()


@pytest.mark.usefixtures("key")
def test_a_merge_is_signed_and_still_one_by_tasks(kit: Any) -> None:
    """Two fields of one task, where git by itself would see a conflict, and nothing tells git of the driver."""
    task_id = kit.id_of("first")
    kit.git("checkout", "-q", "-b", "other")
    kit.project.update([task_id], Edit(set={"title": "theirs"}))
    kit.git("checkout", "-q", "main")
    kit.project.update([task_id], Edit(set={"priority": "high"}))
    kit.git("config", "--remove-section", "merge.taskkeep")

    kit.project.merge("other")

    [task] = kit.project.show([task_id])
    assert (task["title"], task["priority"]) == ("theirs", "high")
    assert kit.git("log", "-3", "--format=%G?").split() == ["G", "G", "G"]


def test_a_key_that_is_gone_takes_the_change_back(kit: Any, key: Path) -> None:
    key.unlink()
    before, head = kit.files(), kit.head()

    with pytest.raises(taskkeep.Outside) as failed:
        kit.project.add("unsigned")

    assert failed.value.code == "commit_failed"
    assert (kit.files(), kit.head()) == (before, head)
    kit.assert_sound()


@pytest.mark.usefixtures("key")
def test_a_permission_that_signing_lacks_makes_no_commit_wait(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = tmp_path / "signer"
    signer.write_text("#!/bin/sh\necho 'agent: Permission denied' >&2\nexit 1\n")
    signer.chmod(0o755)
    (tmp_path / "config").write_text(f'[gpg "ssh"]\n\tprogram = {signer}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    before = kit.files()

    with pytest.raises(taskkeep.Outside) as failed:
        kit.project.add("unsigned")

    assert (failed.value.code, "user.signingKey" in failed.value.hint) == ("commit_failed", True)
    assert kit.files() == before

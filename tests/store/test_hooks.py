"""Hooks run where the user's own global git configuration asks for it, and only those of the user's choosing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import taskkeep


@pytest.fixture
def asked(kit: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A global configuration that turns hooks on, for a backlog that is there."""
    assert kit.file.exists()
    path = tmp_path / "gitconfig"
    path.write_text("[user]\n\tname = Ada\n\temail = ada@example.invalid\n[taskkeep]\n\thooks = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(path))
    return path


def hook(kit: Any, name: str, script: str) -> None:
    path = kit.folder / ".git" / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.usefixtures("asked")
def test_a_hook_that_refuses_takes_the_change_back(kit: Any) -> None:
    hook(kit, "pre-commit", "echo not on a friday >&2; exit 1")
    before, head = kit.files(), kit.head()

    with pytest.raises(taskkeep.Outside) as refused:
        kit.project.add("new")

    assert refused.value.code == "commit_failed"
    assert "pre-commit refused: not on a friday" in refused.value.message
    assert (kit.files(), kit.head()) == (before, head)
    kit.assert_sound()


@pytest.mark.usefixtures("asked")
def test_pre_commit_sees_what_will_be_committed_and_no_more(kit: Any, tmp_path: Path) -> None:
    """Like git commit --only: the user's own staged work is not in it."""
    (kit.folder / "theirs.txt").write_text("staged\n")
    kit.git("add", "theirs.txt")
    hook(kit, "pre-commit", f'git ls-files > "{tmp_path}/seen"; git cat-file blob :backlog.json | grep -q "new"')

    kit.project.add("new")

    assert "theirs.txt" not in (tmp_path / "seen").read_text()
    assert kit.git("diff", "--cached", "--name-only").split() == ["theirs.txt"]


@pytest.mark.usefixtures("asked")
def test_commit_msg_may_change_the_message_and_post_commit_follows(kit: Any, tmp_path: Path) -> None:
    hook(kit, "commit-msg", 'echo "Reviewed-by: nobody" >> "$1"')
    hook(kit, "post-commit", f'git rev-parse HEAD > "{tmp_path}/seen"; exit 3')

    saved = kit.project.add("new")

    assert "Reviewed-by: nobody" in kit.git("log", "-1", "--format=%B")
    assert (tmp_path / "seen").read_text().strip() == saved.commit
    assert any("post-commit refused" in warning for warning in saved.warnings)
    kit.assert_sound()


@pytest.mark.parametrize("way", ["absolute", "below the top", "below the home"])
def test_a_folder_of_hooks_that_the_user_names_is_the_one(
    kit: Any, asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """For all repositories; those that lie in the repository's own folder stay silent then."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder, name = {
        "absolute": (tmp_path / "hooks", str(tmp_path / "hooks")),
        "below the top": (kit.folder / "shared", "shared"),
        "below the home": (tmp_path / "mine", "~/mine"),
    }[way]
    folder.mkdir()
    (folder / "pre-commit").write_text(f'#!/bin/sh\ntouch "{tmp_path}/seen"\n')
    (folder / "pre-commit").chmod(0o755)
    asked.write_text(asked.read_text() + f"[core]\n\thooksPath = {name}\n")
    hook(kit, "pre-commit", f'touch "{tmp_path}/sang"')

    kit.project.add("new")

    assert ((tmp_path / "seen").exists(), (tmp_path / "sang").exists()) == (True, False)


def test_the_repository_cannot_ask_for_its_own_hooks(kit: Any, tmp_path: Path) -> None:
    hook(kit, "pre-commit", f'touch "{tmp_path}/sang"')
    kit.git("config", "taskkeep.hooks", "true")

    kit.project.add("new")

    assert not (tmp_path / "sang").exists()


@pytest.mark.usefixtures("asked")
def test_nor_name_a_folder_for_those_that_the_user_asked_for(kit: Any, tmp_path: Path) -> None:
    folder = kit.folder / "hooks"
    folder.mkdir()
    (folder / "pre-commit").write_text(f'#!/bin/sh\ntouch "{tmp_path}/sang"\n')
    (folder / "pre-commit").chmod(0o755)
    kit.git("config", "core.hooksPath", "hooks")

    kit.project.add("new")

    assert not (tmp_path / "sang").exists()

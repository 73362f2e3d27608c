"""What a save takes from its surroundings: chance, a name, and the hash of what is large."""

from __future__ import annotations

import os
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from taskkeep.store.git.repository import Repository
from taskkeep.store.hashing import THREAD_FROM, Hashing
from taskkeep.store.setup import merge_driver
from taskkeep.store.surroundings import default_actor, new_uuid, random_bits


@pytest.mark.parametrize("size", [0, 1, THREAD_FROM - 1, THREAD_FROM, THREAD_FROM + 1])
def test_content_of_any_size_has_the_hash_of_its_bytes(size: int) -> None:
    data = os.urandom(1024) * (size // 1024 + 1)
    assert Hashing(data[:size]).hexdigest() == sha256(data[:size]).hexdigest()


def test_an_identity_is_a_random_uuid_as_the_standard_says() -> None:
    drawn = [new_uuid() for _ in range(64)]
    assert all(str(uuid.UUID(one)) == one for one in drawn)
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in drawn} == {(4, uuid.RFC_4122)}
    assert len(set(drawn)) == 64
    for number, digit in enumerate(drawn[0]):
        free = number not in (8, 13, 14, 18, 19, 23)
        assert len({one[number] for one in drawn}) > 4 if free else digit in "-489ab", "every digit is drawn"


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20, 25, 64])
def test_as_many_bits_are_drawn_as_are_asked_for(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def ones(size: int) -> bytes:
        asked.append(size)
        return b"\xff" * size

    monkeypatch.setattr(os, "urandom", ones)
    assert random_bits(count) == 2**count - 1
    assert asked == [(count + 7) // 8]


def test_who_acts_is_whoever_is_named_first(kit: Any, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For taskkeep, for git, by the login; in a repository and outside of any."""
    inside = Repository(str(kit.folder))
    monkeypatch.chdir(scratch)
    for name in ("USER", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert (default_actor(inside), default_actor(None)) == ("Ada", "unknown")
    monkeypatch.setenv("USERNAME", "by username")
    assert default_actor(None) == "by username"
    monkeypatch.setenv("USER", "by user")
    assert (default_actor(inside), default_actor(None)) == ("Ada", "by user")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "  ")
    assert default_actor(None) == "by user"
    monkeypatch.setenv("GIT_AUTHOR_NAME", "by git")
    assert (default_actor(inside), default_actor(None)) == ("by git", "by git")
    monkeypatch.setenv("TASKKEEP_ACTOR", "  ")
    assert default_actor(inside) == "by git"
    monkeypatch.setenv("TASKKEEP_ACTOR", " by name ")
    assert (default_actor(inside), default_actor(None)) == ("by name", "by name")


def test_without_git_the_login_acts(scratch: Path, git_alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(scratch))
    monkeypatch.setenv("USER", "by user")
    assert default_actor(None) == "by user"


def test_a_python_that_does_not_know_its_own_program_leaves_the_driver_to_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.executable", "")
    assert merge_driver.line().startswith("taskkeep merge-driver ")

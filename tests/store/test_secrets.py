"""No key or token comes into the history unseen: refused on save, unless somebody says why it may be there."""

from __future__ import annotations

import json
from typing import Any

import pytest

import taskkeep
from taskkeep import Edit

TOKEN = "ghp" + "_" + "a1B2c3D4e5F6g7H8i9J0" * 2
OTHER = "npm" + "_" + "k1L2m3N4o5P6q7R8s9" * 2


@pytest.mark.parametrize(
    ("how", "field"),
    [
        (lambda p: p.add(f"use {TOKEN}"), "title"),
        (lambda p: p.add("x", description=f"use {TOKEN}"), "description"),
        (lambda p: p.add("x", metadata={"a": [{"b": TOKEN}]}), "metadata"),
        (lambda p: p.add("x", acceptance_criteria=[{"text": TOKEN, "done": False}]), "acceptance_criteria"),
        (lambda p: p.note(next(iter(p.backlog().tasks)), TOKEN), "notes"),
        (lambda p: p.delete([next(iter(p.backlog().tasks))], why=f"has {TOKEN}"), "the reason"),
        (lambda p: p.add("x", key=TOKEN), "the key"),
        (lambda p: p.start([next(iter(p.backlog().tasks))], actor=TOKEN), "the actor"),
        (lambda p: p.add("x", source=TOKEN), "the source"),
    ],
)
def test_a_secret_is_refused_and_nothing_is_written(kit: Any, how: Any, field: str) -> None:
    """The message says what and where, and shows no more of it than its first characters."""
    before = kit.files()

    with pytest.raises(taskkeep.Refused) as refused:
        how(kit.project)

    assert refused.value.code == "secret"
    assert refused.value.details["field"] == field
    assert "a GitHub token (ghp_…" in refused.value.message
    assert TOKEN not in json.dumps(refused.value.as_json())
    assert kit.files() == before


def test_an_exception_needs_a_reason_and_is_recorded(kit: Any) -> None:
    with pytest.raises(taskkeep.Usage):
        kit.project.add(f"use {TOKEN}", allow_secret=True)

    kit.project.add(f"use {TOKEN}", allow_secret=True, why="revoked long ago")

    [event] = kit.project.log(limit=1).events
    assert event["why"] == "revoked long ago"
    [fingerprint] = event["details"]["allowed_secrets"]
    assert len(fingerprint) == 16
    assert fingerprint not in TOKEN
    kit.assert_sound()


def test_what_was_let_pass_once_may_stay_move_and_come_back(kit: Any) -> None:
    """Other edits of the task, undo and restore need no second exception; another secret or task does."""
    saved = kit.project.add(f"use {TOKEN}", allow_secret=True, why="revoked long ago")
    task_id = saved.task["id"]
    kit.project.update([task_id], Edit(set={"priority": "high"}))
    kit.project.update([task_id], Edit(set={"title": "clean"}))
    kit.project.undo()
    kit.project.note(task_id, TOKEN)

    with pytest.raises(taskkeep.Refused):
        kit.project.note(task_id, OTHER)
    with pytest.raises(taskkeep.Refused):
        kit.project.note(kit.id_of("first"), TOKEN)
    kit.assert_sound()


def test_verify_finds_what_came_in_by_hand(kit: Any) -> None:
    """Line and field are named, the secret is not shown; adopt refuses it like any save."""
    kit.file.write_bytes(kit.file.read_bytes().replace(b'"first"', f'"first {TOKEN}"'.encode()))

    [found] = [one for one in kit.project.verify().findings if one["code"] == "secret"]
    assert found["line"] == 1 + kit.file.read_bytes().split(TOKEN.encode())[0].count(b"\n")
    assert TOKEN not in json.dumps(kit.project.verify().findings)
    with pytest.raises(taskkeep.Refused, match="GitHub token"):
        kit.project.adopt(why="by hand")
    kit.project.adopt(why="it is void", allow_secret=True)
    kit.assert_sound()


def test_a_commit_subject_in_a_finding_is_redacted_too(kit: Any) -> None:
    kit.file.write_bytes(b"{}")
    kit.git("commit", "-q", "-a", "-m", f"with {TOKEN}")

    verdict = kit.project.verify(history=True)

    assert not verdict.ok
    assert "with ghp_" in verdict.checked["first_bad"]["subject"]
    assert TOKEN not in json.dumps([verdict.findings, verdict.checked])

"""What doctor finds around a backlog, and what it may mend."""

from __future__ import annotations

import os
from typing import Any

from taskkeep.store import doctor


def codes(kit: Any) -> set[str]:
    return {finding["code"] for finding in kit.project.doctor().findings}


def test_a_sound_place_has_no_findings(kit: Any) -> None:
    verdict = kit.project.doctor()

    assert verdict.findings == []
    assert verdict.checked["sizes"]["backlog"] == kit.file.stat().st_size
    assert verdict.checked["loose_objects"] > 0


def test_what_a_dead_writer_left_is_found_and_cleared(kit: Any) -> None:
    (kit.local / "tmp" / "stale").write_text("left")

    assert codes(kit) == {"leftover"}
    assert kit.project.doctor(fix=True).findings == []
    assert not (kit.local / "tmp" / "stale").exists()


def test_loose_objects_are_packed_and_nothing_is_lost(kit: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(doctor, "WORTH_PACKING", 5)
    monkeypatch.setattr(doctor, "MANY_OBJECTS", 10)
    kit.project.add("third")
    assert codes(kit) == {"growth"}

    [done] = kit.project.doctor(fix=True).checked["fixed"]

    assert done.startswith("repacked ")
    assert codes(kit) == set()
    kit.project.add("after")
    kit.assert_sound()


def test_no_repack_while_another_git_works(kit: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(doctor, "WORTH_PACKING", 5)
    lock = kit.folder / ".git" / "gc.pid"
    lock.write_text("1 here\n")

    [done] = kit.project.doctor(fix=True).checked["fixed"]

    assert "another git is at work" in done
    assert lock.exists()


def test_the_old_files_of_the_log_become_one(kit: Any, monkeypatch: Any) -> None:
    """Event for event, in a commit of its own."""
    monkeypatch.setattr(doctor, "KEPT", 2)
    for number in range(4):
        kit.project.add(f"task {number}")
    events = kit.project.log().events

    kit.project.doctor(fix=True)

    assert len(list((kit.root / ".taskkeep" / "audit").glob("pack-*.jsonl"))) == 1
    assert kit.project.log().events == events
    kit.assert_sound()
    assert os.listdir(kit.local / "tmp") == []

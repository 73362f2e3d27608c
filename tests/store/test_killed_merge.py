"""A settling of conflicts that is killed at any step can be gone on with, or given up."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from taskkeep.backlog.changes import Edit
from taskkeep.errors import NotFound

from .test_recovery import Die, every_step


def conflicting(kit: Any) -> Any:
    kit.git("checkout", "-q", "-b", "other")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "theirs"}))
    kit.project.delete([kit.id_of("second")], why="gone")
    kit.git("checkout", "-q", "main")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "ours"}))
    kit.project.note(kit.id_of("second"), "still needed")
    kit.git("merge", "-q", "-m", "merge", "other", check=False)
    return kit


@pytest.mark.parametrize("with_driver", [True, False])
def test_a_resolve_that_was_killed_is_gone_on_with_or_given_up(kit: Any, run_and_die: Die, with_driver: bool) -> None:
    if not with_driver:
        kit.git("config", "--remove-section", "merge.taskkeep")
        (kit.root / ".taskkeep" / "local" / "uninstalled").touch()
    conflicting(kit)
    steps = 0

    for step, copy in every_step(kit, run_and_die, "project.resolve(choice='theirs')", 3):
        steps += 1
        other = type(kit)(copy.folder.with_name(f"{copy.folder.name}-given-up"))
        shutil.copytree(copy.folder, other.folder, symlinks=True)
        try:
            copy.project.resolve(choice="theirs")
        except NotFound:
            pass  # all was staged, and then it was killed
        assert copy.project.conflicts() == [], step
        copy.git("commit", "-q", "-m", "merge")
        assert copy.titles() == {"theirs"}, step
        assert copy.project.verify().findings == [], step
        copy.project.add("after")
        assert copy.git("status", "--porcelain") == "", step

        other.git("status")  # which looks anew at files that were only copied
        other.git("merge", "--abort")
        other.git("clean", "-qfd", ".taskkeep/audit")
        other.project.add("after")
        assert other.titles() == {"ours", "second", "after"}, step
        assert other.project.verify().ok, step
        shutil.rmtree(other.folder)
    assert steps > 2

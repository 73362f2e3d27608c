"""Old files of the log become one: event for event, whatever stops it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

import taskkeep
from taskkeep.store import pack
from taskkeep.store.layout import Root
from taskkeep.store.pack import pack_old
from taskkeep.store.save import Options, writing

PACK = """
from taskkeep.store.layout import Root
from taskkeep.store.pack import pack_old
from taskkeep.store.save import Options, writing
with writing(Root(project.folder), Options()) as writer:
    pack_old(writer, limit=2, kept=1)
"""


def events(kit: Any) -> dict[str, Any]:
    return {event["event_id"]: event for event in kit.project.log(limit=0).events}


def test_old_files_of_the_log_become_one(kit: Any) -> None:
    """In a commit of its own; the newest files stay as they were."""
    for number in range(5):
        kit.project.add(f"task {number}")
    before, files, commits = events(kit), kit.log_files(), kit.commits()

    with writing(Root(str(kit.root)), Options()) as writer:
        assert pack_old(writer, limit=4, kept=2)

    newest = sorted(files)[-2:]
    assert [name for name in sorted(kit.log_files()) if "/" in name] == newest
    assert all(kit.log_files()[name] == files[name] for name in newest)
    assert (events(kit), kit.commits()) == (before, commits + 1)
    kit.assert_sound()
    kit.project.add("after")
    kit.assert_sound()


@pytest.mark.parametrize("both", [True, False])
def test_a_log_with_a_large_file_is_packed_so_that_branches_merge(kit: Any, both: bool) -> None:
    """A pack that is mostly one file would be that file, renamed, to git: two packs a conflict, and so what comes
    into the folder that it has left empty.
    """
    kit.project.update([kit.id_of("first")], taskkeep.Edit(set={"description": "a long text " * 2000}))
    for number in range(6):
        kit.project.add(f"before {number}")
    kit.git("checkout", "-q", "-b", "other")
    kit.project.add("of other")
    if both:
        packed(kit, 2)
    kit.git("checkout", "-q", "main")
    for number in range(3):
        kit.project.add(f"of main {number}")
    packed(kit, 2 if both else 0)

    kit.git("merge", "-q", "-m", "merge", "other")

    kit.project.add("after")
    kit.assert_sound()


def test_two_files_of_a_log_are_left_as_they_are(kit: Any) -> None:
    """One of them is half of any pack."""
    files = kit.log_files()
    with writing(Root(str(kit.root)), Options()) as writer:
        assert pack_old(writer, limit=1, kept=len(files) - 2) is None
    assert kit.log_files() == files


def packed(kit: Any, kept: int) -> None:
    with writing(Root(str(kit.root)), Options()) as writer:
        assert pack_old(writer, limit=kept, kept=kept)


def test_a_packing_that_was_cut_short_after_its_commit_is_finished_by_the_next_save(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old files go, and nothing is left that names them."""
    for number in range(5):
        kit.project.add(f"task {number}")
    before, commits = events(kit), kit.commits()
    with monkeypatch.context() as patch:
        patch.setattr(pack, "_finish", lambda root, old: None)
        with writing(Root(str(kit.root)), Options()) as writer:
            pack_old(writer, limit=4, kept=2)
    assert (len(kit.log_files()), kit.commits()) == (9, commits + 1)

    assert kit.project.add("after").changed

    assert len(kit.log_files()) == 4
    assert not (kit.local / "packing").exists()
    assert events(kit).keys() > before.keys()
    kit.assert_sound()


def test_a_log_killed_while_it_is_packed_holds_all_its_events(
    kit: Any, run_and_die: Callable[[Any, int, str], bool]
) -> None:
    """At each step; the next writer, or `recover`, finishes the packing or takes it back."""
    for number in range(3):  # a file that is half of its pack stays loose
        kit.project.add(f"task {number}")
    before, seen = events(kit), set()
    for step in range(1, 200):
        copy = type(kit)(kit.folder.parent / "copy")
        shutil.copytree(kit.folder, copy.folder, symlinks=True)
        killed = run_and_die(copy, step, PACK)

        assert events(copy) == before, step
        copy.project.recover() if step % 2 else copy.project.add("after")
        assert events(copy).keys() >= before.keys(), step
        copy.assert_sound()
        seen.add(any("pack-" in name for name in copy.log_files()))
        shutil.rmtree(copy.folder)
        if not killed:
            break
    else:
        raise AssertionError("it never came to an end")
    assert seen == {True, False}, "both states were reached"

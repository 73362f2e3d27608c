"""Damage: every witness of the past is asked before anything is given up, and what is taken is said."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from taskkeep.backlog.changes import Edit
from taskkeep.errors import BacklogUnreadable, BackupDamaged, DiskFault, HandEdit, LogDamaged
from taskkeep.store import backups, files, retention


def forget(kit: Any) -> None:
    """Take away what this checkout keeps of the log beside its files."""
    for path in (kit.local / "audit.jsonl", *(kit.local / "cache").iterdir()):
        path.unlink()


def log_file(kit: Any, number: int) -> Path:
    return kit.root / ".taskkeep" / "audit" / sorted(kit.log_files())[number]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


WAYS = {"cut": cut, "flipped": flip, "empty": lambda path: path.write_bytes(b""), "gone": os.unlink}


@pytest.fixture(params=WAYS, ids=list(WAYS))
def damage(request: Any) -> Any:
    return WAYS[request.param]


@pytest.mark.parametrize("number", [0, 1])
def test_a_damaged_file_of_the_log_is_read_from_the_last_commit(kit: Any, damage: Any, number: int) -> None:
    """Without the joined log too, and it is said. (That the newest is gone leaves no gap: a writer asks git.)"""
    events = kit.project.log().events
    damage(log_file(kit, number))
    forget(kit)

    page = kit.project.log()

    assert page.events == events
    assert any("read from commit" in note for note in page.notes)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_doctor_puts_a_damaged_file_of_the_log_back(kit: Any, damage: Any, number: int) -> None:
    """Byte for byte, and keeps the damaged one aside."""
    files = kit.log_files()
    path = log_file(kit, number)
    damage(path)
    left = path.read_bytes() if path.exists() else None

    fixed = kit.project.doctor(fix=True).checked["fixed"]

    assert kit.log_files() == files
    assert not kit.project.status()["pending"]  # HEAD has it
    assert any("brought back from commit" in done for done in fixed), fixed
    kept = [file.read_bytes() for file in (kit.local / "damaged").iterdir()] if (kit.local / "damaged").exists() else []
    assert kept == ([left] if left is not None else [])
    kit.assert_sound()


def test_without_git_the_joined_log_gives_a_damaged_file_back(kit: Any, damage: Any) -> None:
    """As long as it holds all that is left and more."""
    files = kit.log_files()
    os.rename(kit.folder / ".git", kit.folder / "elsewhere")
    damage(log_file(kit, 1))
    (kit.local / "cache" / "log.json").unlink()

    assert any("the joined log" in note for note in kit.project.log().notes)
    fixed = kit.project.doctor(fix=True).checked["fixed"]

    assert any("brought back from the joined log" in done for done in fixed)
    assert kit.log_files() == files
    assert [finding["code"] for finding in kit.project.verify().findings] == []


def test_a_file_of_the_log_that_no_witness_has_is_said_to_be_lost(kit: Any) -> None:
    """Nothing is made up, and doctor names the file."""
    os.rename(kit.folder / ".git", kit.folder / "elsewhere")
    cut(log_file(kit, 1))
    forget(kit)

    with pytest.raises(LogDamaged, match="is cut off"):
        kit.project.log()
    with pytest.raises(LogDamaged, match="is cut off"):
        kit.project.doctor(fix=True)


@pytest.mark.parametrize("lost", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("dry_run", [None, True, False])
def test_a_writer_between_loses_no_event_that_the_joined_log_alone_has(kit: Any, lost: Any, dry_run: Any) -> None:
    """Refused, it says what brings the file back; where it saw nothing wrong, the event is still kept."""
    files = kit.log_files()
    os.rename(kit.folder / ".git", kit.folder / "elsewhere")
    for path in [log_file(kit, number) for number in lost]:
        path.unlink()
    if dry_run is not None and lost == (0,):  # no save tells of the beginning, so no file contradicts the log
        kit.project.add("third", dry_run=dry_run)
    elif dry_run is not None:
        with pytest.raises(HandEdit, match="is gone; the joined log has it") as refused:
            kit.project.add("third", dry_run=dry_run)
        assert "doctor --fix" in refused.value.hint

    fixed = kit.project.doctor(fix=True).checked["fixed"]

    assert len([done for done in fixed if "brought back from the joined log" in done]) == len(lost)
    assert files.items() <= kit.log_files().items()
    assert [finding["code"] for finding in kit.project.verify().findings] == []
    assert len(kit.project.log().events) == len(kit.log_files())


@pytest.mark.parametrize("writer", [False, True])
def test_doctor_brings_an_event_back_that_waited_for_its_commit(kit: Any, writer: bool) -> None:
    """backlog.json as it lies tells that it was there, though nothing in the log names the newest event."""
    kit.project.add("third", commit=False)
    files = kit.log_files()
    log_file(kit, -1).unlink()
    if writer:
        with pytest.raises(HandEdit, match="the joined log has it"):
            kit.project.add("fourth")

    fixed = kit.project.doctor(fix=True).checked["fixed"]

    assert any("brought back from the joined log" in done for done in fixed)
    assert kit.log_files() == files
    kit.project.add("fourth")
    assert kit.titles_in_head() == {"first", "second", "third", "fourth"}
    kit.assert_sound()


def test_restore_brings_a_lost_log_back_after_a_refused_writer_too(kit: Any) -> None:
    files = kit.log_files()
    shutil.rmtree(kit.root / ".taskkeep" / "audit")
    for _ in range(2):
        with pytest.raises(HandEdit, match="is gone; commit"):
            kit.project.add("third")

    saved = kit.project.restore(at="HEAD")

    assert any("brought back from commit" in warning for warning in saved.warnings)
    assert kit.log_files() == files
    kit.assert_sound()


def test_readers_tell_of_a_lost_event_after_a_refused_writer_too(kit: Any) -> None:
    """What the writer read is no reason to take the log for whole."""
    os.rename(kit.folder / ".git", kit.folder / "elsewhere")
    events = kit.project.log().events
    log_file(kit, 1).unlink()
    with pytest.raises(HandEdit):
        kit.project.add("third")

    page = kit.project.log()

    assert page.events == events
    assert any("read from the joined log instead" in note for note in page.notes)


def brought_back(kit: Any) -> list[str]:
    return [done for done in kit.project.doctor(fix=True).checked["fixed"] if "brought back" in done]


def test_switching_branches_brings_nothing_back_and_keeps_each_event_once(kit: Any) -> None:
    """What git took away with a branch is not lost, and is not kept again at each switch."""
    kit.git("checkout", "-qb", "side")
    kit.project.add("aside")
    kit.project.delete([kit.id_of("aside")], why="backlog.json is again what it was")
    kit.project.add("aside again")
    sizes = set()
    for branch in ("main", "side") * 3:
        kit.git("checkout", "-q", branch)
        assert not kit.project.log().notes
        assert brought_back(kit) == []
        assert kit.project.add("more", dry_run=True).warnings == []
        kit.assert_sound()
        sizes.add((kit.local / "vanished.jsonl").stat().st_size)
    kit.git("checkout", "-q", "main")
    kit.project.add("on main")
    kit.git("merge", "-q", "side")
    kit.project.add("after the merge")

    assert brought_back(kit) == []
    assert len(sizes) == 1
    kit.assert_sound()


@pytest.mark.parametrize("way", ["reset", "reset and edit", "pick", "pick of what is no more", "revert", "carried"])
def test_what_git_took_away_stays_away(kit: Any, way: str) -> None:
    """A reset, a revert, a commit picked without the one before it, a change carried to another branch."""
    kit.git("checkout", "-qb", "side")
    kit.project.add("taken")
    kit.project.add("kept", commit=way != "carried")
    newest = kit.file.read_bytes()
    if way == "carried":
        kit.git("stash", "-q", "-u")
        kit.git("checkout", "-q", "main")
        kit.git("stash", "pop", "-q", check=False)
        kit.git("checkout", "-q", "stash@{0}^3", "--", ".taskkeep/audit", check=False)
        kit.git("reset", "-q")
        kit.git("checkout", "-q", "HEAD", "--", "backlog.json")
    elif way.startswith("pick"):
        kit.git("checkout", "-q", "main")
        kit.git("cherry-pick", "side", check=False)
        if "<<<<<<<" in kit.file.read_text():
            kit.file.write_bytes(b"rubbish")
            kit.git("add", "-A")
            kit.git("-c", "core.editor=true", "cherry-pick", "--continue")
    elif way == "revert":
        kit.git("revert", "--no-edit", "HEAD~1", check=False)
        kit.git("add", "-A")
        kit.git("-c", "core.editor=true", "revert", "--continue", check=False)
    else:
        kit.git("reset", "-q", "--hard", "main")
        if way == "reset and edit":
            kit.file.write_bytes(newest)
    if way == "pick of what is no more":
        kit.git("branch", "-D", "-q", "side")
        kit.git("reflog", "expire", "--expire=now", "--all")
        kit.git("gc", "-q", "--prune=now")
    files = kit.log_files()
    events = [json.loads(row) for data in files.values() for row in data.splitlines()]
    gap = {prev for event in events for prev in event["prev"]} - {event["hash"] for event in events}
    assert bool(gap) is (not way.startswith("reset"))

    assert not kit.project.log().notes
    assert brought_back(kit) == []
    assert kit.log_files() == files


def test_a_damaged_pack_comes_back_too(kit: Any, monkeypatch: Any, damage: Any) -> None:
    from taskkeep.store import doctor

    for number in range(3):  # a file that is half of its pack stays loose
        kit.project.add(f"task {number}")
    monkeypatch.setattr(doctor, "KEPT", 1)
    kit.project.doctor(fix=True)
    files = kit.log_files()
    [pack] = [name for name in files if name.startswith("pack-")]
    damage(kit.root / ".taskkeep" / "audit" / pack)
    forget(kit)

    fixed = kit.project.doctor(fix=True).checked["fixed"]

    assert kit.log_files() == files, fixed
    kit.assert_sound()


def test_restore_brings_a_damaged_log_back_on_its_way(kit: Any, damage: Any) -> None:
    """It says so, and then restores."""
    files = kit.log_files()
    first = kit.project.log().events[-2]
    damage(log_file(kit, -1))
    (kit.local / "cache" / "log.json").unlink()

    saved = kit.project.restore(at=first["event_id"])

    assert any("brought back from commit" in warning for warning in saved.warnings)
    assert files.items() <= kit.log_files().items()
    assert kit.titles() == {"first"}
    kit.assert_sound()


# -- backlog.json ------------------------------------------------------------------------


@pytest.mark.parametrize("way", [*WAYS, "markers", "folder of git away", "json"])
def test_whatever_happened_to_the_file_restore_brings_the_last_state_back(kit: Any, way: str) -> None:
    """A reader says who has it, and that restore brings it back; the damaged one is kept aside."""
    kit.project.update([kit.id_of("first")], Edit(set={"description": "x" * 300}))
    before = kit.file.read_bytes()
    head = kit.project.log().events[0]["event_id"]
    if way == "markers":
        kit.file.write_bytes(b"<<<<<<< ours\n" + before + b"=======\n>>>>>>> theirs\n")
    elif way == "json":
        kit.file.write_bytes(b"[1, 2]\n")
    elif way in WAYS:
        WAYS[way](kit.file)
    else:
        kit.file.unlink()
        os.rename(kit.folder / ".git", kit.folder / "elsewhere")
    left = kit.file.read_bytes() if kit.file.exists() else None
    if way != "flipped":  # which may be a hand edit that any reader takes
        with pytest.raises(BacklogUnreadable) as caught:
            kit.project.list()
        assert "taskkeep restore --at" in caught.value.hint
        assert {one["kind"] for one in caught.value.details["witnesses"]} >= {"log", "backup"}

    saved = kit.project.restore(at=head)

    assert saved.changed
    assert kit.file.read_bytes() == before
    kept = [file.read_bytes() for file in (kit.local / "damaged").iterdir()] if left is not None else []
    assert kept == ([left] if left is not None else [])
    assert [finding["code"] for finding in kit.project.verify().findings if finding["severity"] == "error"] == []


def test_single_tasks_come_back_over_a_damaged_file_but_not_over_a_hand_edit(kit: Any) -> None:
    task_id = kit.id_of("first")
    point = kit.project.log().events[0]["event_id"]
    kit.project.delete([task_id], why="no")
    kit.file.write_bytes(kit.file.read_bytes().replace(b"second", b"edited"))
    with pytest.raises(HandEdit):
        kit.project.restore([task_id], at=point)

    kit.file.write_bytes(b"{")
    saved = kit.project.restore([task_id], at=point)

    assert [task["title"] for task in saved.tasks] == ["first"]
    assert kit.titles() == {"first", "second"}
    kit.assert_sound()


def test_restore_works_without_git_and_without_the_log_files_record(kit: Any) -> None:
    """From a backup by its name, and from the log by a time."""
    names = [row["name"] for row in kit.project.backups()]
    kit.project.add("third")
    os.rename(kit.folder / ".git", kit.folder / "elsewhere")
    forget(kit)

    saved = kit.project.restore(at=names[0])

    assert kit.titles() == {"first"}
    assert saved.commit is None
    assert not saved.pending
    kit.project.restore(at=saved.at.time)
    assert kit.project.verify().ok


# -- backups -----------------------------------------------------------------------------


def snapshot(kit: Any, number: int = -1) -> Path:
    found: list[Path] = sorted((kit.local / "backups").iterdir())
    return found[number]


@pytest.mark.parametrize("way", ["cut", "flipped", "empty"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
def test_a_damaged_backup_is_marked_and_its_state_taken_from_git(kit: Any, way: str, packed: bool) -> None:
    """And that is said; doctor makes it again."""
    path = snapshot(kit)
    data = path.read_bytes()
    if packed:
        path.unlink()
        path = path.with_name(path.name + ".gz")
        path.write_bytes(gzip.compress(data))
    WAYS[way](path)

    assert [row["damaged"] for row in kit.project.backups()] == [True, False]
    moment = kit.project.at(path.name)
    titles = {task["title"] for task in moment.backlog().tasks.values()}
    fixed = kit.project.doctor(fix=True).checked["fixed"]

    assert titles == {"first"}
    assert any("took the same state from git, commit" in note for note in moment.notes)
    assert any(path.name in done and "made again from git" in done for done in fixed)
    assert (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()) == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not any(row["damaged"] for row in kit.project.backups())


def test_a_damaged_backup_is_taken_from_the_log_where_git_is_gone(kit: Any) -> None:
    cut(snapshot(kit))
    os.rename(kit.folder / ".git", kit.folder / "elsewhere")

    moment = kit.project.at(snapshot(kit).name)

    assert any("took the same state from the log, event" in note for note in moment.notes)
    assert {task["title"] for task in moment.backlog().tasks.values()} == {"first"}


def test_a_damaged_backup_that_nobody_else_has_is_refused(kit: Any) -> None:
    """It is named, and no other is taken in its place."""
    strange = kit.local / "backups" / "backlog_20200101_000000_000000.json"
    strange.write_bytes(b'{"version": 1, "tasks": [')

    with pytest.raises(BackupDamaged, match=strange.name) as refused:
        kit.project.restore(at=strange.name)
    assert refused.value.details["backup"] == strange.name
    assert refused.value.details["time"].startswith("2020-01-01T00:00:00")
    assert [row["damaged"] for row in kit.project.backups()] == [False, False, True]
    assert any("nothing has what it held" in done for done in kit.project.doctor(fix=True).checked["fixed"])


def test_a_backup_that_the_disk_does_not_give_is_no_damaged_one(kit: Any, monkeypatch: Any) -> None:
    """It may be whole: the disk is named."""

    def refuse(path: str, **more: Any) -> Any:
        if "backlog_" in path:
            raise DiskFault("cannot read it")
        return files.read(path, **more)

    monkeypatch.setattr(backups, "read", refuse)
    with pytest.raises(DiskFault):
        kit.project.restore(at=snapshot(kit).name)
    assert [row["problem"] for row in kit.project.backups()] == ["cannot read it"] * 2


def test_equal_content_is_kept_once(kit: Any) -> None:
    """A state that comes again, as after a switch of branches, needs no second snapshot."""
    kit.git("branch", "other")
    kit.project.add("third")
    kit.git("checkout", "-q", "other")
    kit.project.add("fourth")
    contents = [path.read_bytes() for path in sorted((kit.local / "backups").iterdir())]

    assert len(contents) == len(set(contents)) == 3


def test_pruning_finds_equal_content_whatever_was_noted(kit: Any) -> None:
    """One made by hand stays rather than another."""
    name, _ = kit.project.make_backup(why="by hand")
    again, changed = kit.project.make_backup()
    assert (again, changed) == (name, False)
    copy = kit.local / "backups" / "backlog_20990101_000000_000000.json"
    copy.write_bytes((kit.local / "backups" / name).read_bytes())
    (kit.local / "cache" / backups.INDEX).unlink()

    gone, _ = kit.project.prune_backups()

    assert gone == [copy.name]
    assert (kit.local / "backups" / name).exists()
    kit.project.add("third")
    assert len(list((kit.local / "backups").iterdir())) == 3


def test_backups_are_for_the_user_alone(kit: Any) -> None:
    kit.project.make_backup()
    assert stat.S_IMODE((kit.local / "backups").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (kit.local / "backups").iterdir()} == {0o600}


def age(kit: Any, days: float, number: int = 0) -> Path:
    """Make a snapshot older than it is, by its name; returns its path now."""
    from taskkeep.backlog.times import later
    from taskkeep.store.placement import snapshot_name

    path = snapshot(kit, number)
    old = later(backups.time_of(path.name), -int(days * 86_400))
    target = path.with_name(snapshot_name(old))
    path.rename(target)
    return target


def test_saves_thin_out_and_compress_old_snapshots_in_passing(kit: Any, monkeypatch: Any) -> None:
    """A few milliseconds at a time; what is compressed still holds what it held."""
    monkeypatch.setattr(retention, "OFTEN_SAVES", 1)
    ancient, old = age(kit, 40, 0), age(kit, 3, 1)
    data = old.read_bytes()
    assert ancient.exists()

    for number in range(4):
        kit.project.add(f"more {number}")

    assert not ancient.exists()
    assert not old.exists()
    packed = old.with_name(old.name + ".gz")
    assert gzip.decompress(packed.read_bytes()) == data
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600
    assert kit.project.at(old.name).backlog().tasks


@pytest.mark.parametrize("way", ["", *WAYS, "note"])
def test_a_large_snapshot_is_compressed_piece_by_piece_over_many_saves(kit: Any, monkeypatch: Any, way: str) -> None:
    """Whatever becomes of the pieces meanwhile, what is put in its place holds what it held."""
    monkeypatch.setattr(retention, "OFTEN_SAVES", 1)
    monkeypatch.setattr(retention, "BUDGET", 0.0)
    monkeypatch.setattr(retention, "PIECE", 150)
    old = age(kit, 3, 1)
    data = old.read_bytes()
    packed = old.with_name(old.name + ".gz")
    for number in range(30):
        kit.project.add(f"more {number}", commit=False)
        part = kit.local / retention.PART
        if number == 1:
            assert part.exists()
            if way == "note":
                (kit.local / "cache" / retention.PART).write_bytes(b"rubbish")
            elif way:
                WAYS[way](part)
        if packed.exists():
            break

    assert not old.exists()
    assert gzip.decompress(packed.read_bytes()) == data
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600
    assert not (kit.local / retention.PART).exists()
    kit.project.recover()
    assert kit.project.verify().ok


def test_the_configuration_tells_how_many_are_kept(kit: Any) -> None:
    (kit.root / ".taskkeep" / "config.toml").write_text("[backups]\ncount = 3\n")
    for number in range(6):
        kit.project.add(f"more {number}")

    wanted, _ = kit.project.prune_backups(dry_run=True)
    gone, _ = kit.project.prune_backups()

    assert list(wanted) == list(gone)
    assert len(kit.project.backups()) == 3


def test_an_old_note_of_backups_says_nothing_wrong(kit: Any) -> None:
    """What is noted is derived: damaged, it is as if it were not there."""
    (kit.local / "cache" / backups.INDEX).write_bytes(b"\xff\x00 rubbish\n\n  \n" + b"0" * 64 + b" ../../x\n")
    (kit.local / "backups.jsonl").write_bytes(b'{"name": 1}\n{"name": "backlog_x"\n[]\n\xff\n')

    kit.project.add("third")

    assert [row["damaged"] for row in kit.project.backups()] == [False, False, False]


def test_the_log_is_told_with_the_files_that_stood_in(kit: Any) -> None:
    """In the order of their causes, each event once."""
    kit.project.delete([kit.id_of("first")], why="no")
    events = kit.project.log().events
    for path in (kit.root / ".taskkeep" / "audit").rglob("*.jsonl"):
        cut(path)
    forget(kit)

    page = kit.project.log()

    assert page.events == events
    assert len(page.notes) == len(kit.log_files())
    assert json.dumps(page.events)


def test_a_clone_reads_through_a_committed_damage(kit: Any) -> None:
    """An older commit has the file as it was first."""
    events = kit.project.log().events
    flip(log_file(kit, 1))
    kit.git("commit", "-qam", "by mistake")
    forget(kit)

    page = kit.project.log()
    fixed = kit.project.doctor(fix=True).checked["fixed"]

    assert page.events == events
    assert any("brought back from commit" in done for done in fixed)
    assert kit.project.status()["pending"]
    kit.project.recover()
    kit.assert_sound()


# -- killed on the way ---------------------------------------------------------------------


def copies(kit: Any, scratch: Path, run_and_die: Any, code: str) -> Any:
    """A copy for each step before which the process is killed, and at the end one that came through."""
    step, died = 1, True
    while died:
        copy = type(kit)(scratch / f"copy{step}")
        shutil.copytree(kit.folder, copy.folder, symlinks=True)
        died = run_and_die(copy, step, code)
        yield copy
        shutil.rmtree(copy.folder)
        step += 1
    assert step > 5


def test_a_pruning_that_is_killed_loses_nothing_that_was_to_be_kept(kit: Any, scratch: Path, run_and_die: Any) -> None:
    """Each snapshot is there once, as it was or compressed; what goes may be there still until the next."""
    for title in ("third", "fourth"):
        kit.project.add(title)
    ancient, old = age(kit, 40, 0), age(kit, 3, 1)
    data = old.read_bytes()
    for copy in copies(kit, scratch, run_and_die, "project.prune_backups()"):
        for again in range(2):
            found = sorted(path.name for path in (copy.local / "backups").iterdir())
            mine = [name for name in found if name.startswith(old.stem)]
            assert mine
            for name in mine:
                path = copy.local / "backups" / name
                assert (gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()) == data
            assert len(set(found) - {ancient.name, *mine}) == 2
            copy.project.add(f"after {again}")
            (copy.local / "backups" / sorted(path.name for path in (copy.local / "backups").iterdir())[-1]).unlink()
            copy.project.prune_backups()
        assert not (copy.local / "backups" / ancient.name).exists()
        assert not (copy.local / "backups" / old.name).exists()
        copy.assert_sound()


def test_a_mending_that_is_killed_is_mended_by_the_next(kit: Any, scratch: Path, run_and_die: Any) -> None:
    """The damaged are kept aside, whatever was done of it."""
    files, data = kit.log_files(), snapshot(kit).read_bytes()
    flip(log_file(kit, 1))
    cut(snapshot(kit))
    for copy in copies(kit, scratch, run_and_die, "project.doctor(fix=True)"):
        copy.project.doctor(fix=True)
        assert copy.log_files() == files
        assert snapshot(copy).read_bytes() == data
        assert len(list((copy.local / "damaged").iterdir())) == 1
        copy.project.add("after")
        copy.assert_sound()

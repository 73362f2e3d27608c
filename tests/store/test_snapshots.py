"""Snapshots that come and go beside us, hold what they should not, or stand where nothing else does."""

from __future__ import annotations

import gzip
import os
import shutil
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog import text
from taskkeep.backlog.changes import Edit
from taskkeep.backlog.times import later
from taskkeep.errors import BackupDamaged, DiskFault, UnknownPoint
from taskkeep.store import backups, retention
from taskkeep.store.config import load_config
from taskkeep.store.layout import Root


def folder(kit: Any) -> Path:
    there: Path = kit.local / "backups"
    return there


def names(kit: Any) -> list[str]:
    return sorted(path.name for path in folder(kit).iterdir())


def aged(kit: Any, path: Path, days: int) -> Path:
    """The same snapshot, named for a time that many days before."""
    old = later(backups.time_of(path.name), -days * 86_400)
    digits = old.replace("-", "").replace(":", "")
    return path.rename(path.with_name(f"backlog_{digits[:8]}_{digits[9:15]}_{digits[16:22]}.json"))


def test_without_the_folder_there_are_none(kit: Any) -> None:
    shutil.rmtree(folder(kit))
    assert kit.project.backups() == []
    assert kit.project.prune_backups() == ([], [])
    kit.project.add("third")
    kit.assert_sound()


def test_other_files_in_the_folder_are_no_snapshots_and_stay(kit: Any) -> None:
    (folder(kit) / "mine.json").write_text("{}")
    before = kit.project.backups()
    kit.project.prune_backups()
    assert "mine.json" not in {row["name"] for row in before}
    assert (folder(kit) / "mine.json").exists()


@pytest.mark.parametrize("call", ["listdir", "lstat"])
def test_a_snapshot_that_is_pruned_while_we_look_is_no_fault(
    kit: Any, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Gone after the listing it is not told, gone after that it is told as gone."""
    last = folder(kit) / names(kit)[-1]
    real = getattr(os, call)

    def then_gone(path: Any, *args: Any, **more: Any) -> Any:
        found = real(path, *args, **more)
        if str(path) in (str(folder(kit)), str(last)) and last.exists():
            last.unlink()
        return found

    monkeypatch.setattr(os, call, then_gone)
    told = [row for row in kit.project.backups() if row["name"] == last.name]
    assert [row["problem"] for row in told] == ([] if call == "listdir" else ["it was removed meanwhile"])


def test_going_back_to_a_snapshot_that_is_pruned_meanwhile_says_so(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = names(kit)[-1]
    real = os.listdir

    def then_gone(path: Any) -> Any:
        found = real(path)
        if str(path) == str(folder(kit)):
            (folder(kit) / name).unlink()
        return found

    monkeypatch.setattr(os, "listdir", then_gone)
    with pytest.raises(UnknownPoint, match="there is no backup"):
        kit.project.at(name).backlog()


def test_a_snapshot_answers_where_the_log_does_not(kit: Any) -> None:
    """With the archive of today, and both is said."""
    kit.project.finish([kit.id_of("first")])
    kit.project.archive(older_than="0d")
    before = kit.project.backlog()
    kit.project.add("third")
    name = names(kit)[-1]
    for path in (kit.root / ".taskkeep" / "audit").rglob("*.jsonl"):
        path.write_text("rubbish\n")
    shutil.rmtree(kit.local / "cache")
    (kit.local / "audit.jsonl").unlink()
    shutil.rmtree(kit.folder / ".git")

    moment = kit.project.at(name)
    found = moment.backlog()

    assert (found.tasks, found.archived) == (before.tasks, before.archived)
    assert "the log cannot be read" in moment.notes[0]
    assert "the archive is that of today" in moment.notes[1]
    assert sorted(row["name"] for row in kit.project.backups()) == names(kit)


def test_a_snapshot_of_a_state_that_no_log_knows_has_the_archive_of_today(kit: Any) -> None:
    """Here none; and one that breaks the schema is damaged."""
    name = "backlog_20200101_000000_000000.json"
    (folder(kit) / name).write_bytes(kit.file.read_bytes().replace(b'"first"', b'"other"'))
    assert {task["title"] for task in kit.project.at(name).backlog().tasks.values()} == {"other", "second"}
    (folder(kit) / name).write_bytes(kit.file.read_bytes().replace(b'"todo"', b'"never"'))
    with pytest.raises(BackupDamaged, match="is damaged"):
        kit.project.at(name).backlog()


def test_the_reason_of_a_snapshot_before_a_large_request_is_one_line(kit: Any) -> None:
    kit.project.batch([{"op": "add", "title": f"task {number}"} for number in range(4)], source="cli")
    kit.project.add("after")
    reasons = [row["reason"] for row in kit.project.backups()]
    assert any("several tasks" in reason for reason in reasons)
    assert all("\n" not in reason for reason in reasons)


def test_equal_content_is_kept_again_where_the_note_of_it_is_nonsense(kit: Any) -> None:
    """What is derived never keeps a snapshot from being taken."""
    sha = sha256(kit.file.read_bytes()).hexdigest()
    (kit.local / "cache" / backups.INDEX).write_bytes(f"{sha} ../../etc/passwd\n".encode())
    before = len(names(kit))
    kit.project.add("third")
    assert len(names(kit)) == before + 1


def test_a_damaged_snapshot_is_no_copy_of_anything(kit: Any) -> None:
    """Pruning leaves it to the eye of its owner until its time has come."""
    (folder(kit) / "backlog_20990101_000000_000000.json.gz").write_bytes(b"rubbish")
    gone, _ = kit.project.prune_backups()
    assert gone == []
    assert "backlog_20990101_000000_000000.json.gz" in names(kit)


def test_a_compressing_that_a_crash_spoiled_is_begun_anew(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot is whole in the end, whatever the part held."""
    kit.project.add("third", description="x" * 5000)
    kit.project.update([kit.id_of("third")], Edit(set={"priority": "high"}))
    path = aged(kit, folder(kit) / names(kit)[-1], 2)
    data = path.read_bytes()
    monkeypatch.setattr(retention, "OFTEN_SAVES", 1)
    monkeypatch.setattr(retention, "PIECE", 2000)
    monkeypatch.setattr(retention, "BUDGET", 0.0)
    kit.project.add("fourth")
    part = kit.local / retention.PART
    assert part.stat().st_size
    part.write_bytes(b"\0" * part.stat().st_size)

    _, compressed = kit.project.prune_backups()

    assert compressed == [path.name]
    assert gzip.decompress((folder(kit) / f"{path.name}.gz").read_bytes()) == data
    assert not part.exists()


def test_a_snapshot_that_was_compressed_already_is_not_compressed_twice(kit: Any) -> None:
    path = aged(kit, folder(kit) / names(kit)[0], 2)
    ready = path.with_name(f"{path.name}.gz")
    ready.write_bytes(gzip.compress(path.read_bytes()))
    kept = ready.read_bytes()
    retention._compress(Root(str(kit.root)), path.name, float("inf"))
    assert not path.exists()
    assert ready.read_bytes() == kept
    assert not (kit.local / retention.PART).exists()


def test_a_compressor_that_errs_costs_no_snapshot(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = aged(kit, folder(kit) / names(kit)[0], 2)
    monkeypatch.setattr(backups, "packed", lambda data: zlib.compress(data[:-1], wbits=31))
    with pytest.raises(DiskFault, match="could not be compressed"):
        kit.project.prune_backups()
    assert path.exists()


def test_a_save_spends_little_time_on_many_old_snapshots(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at least goes with each, so that they never grow, all where time allows; and the note of what each holds does not grow for ever."""
    (kit.root / ".taskkeep" / "config.toml").write_text("[backups]\ncount = 2\n")
    for number in range(4):
        kit.project.add(f"task {number}")
    monkeypatch.setattr(retention, "OFTEN_SAVES", 1)
    monkeypatch.setattr(retention, "BUDGET", 0.0)
    index = kit.local / "cache" / backups.INDEX
    index.write_bytes(b"".join(b"%064d backlog_none\n" % number for number in range(50)) + index.read_bytes())
    counts = []
    for number in range(6):
        kit.project.add(f"more {number}")
        counts.append(len(names(kit)))
    assert len(set(counts)) == 1
    monkeypatch.setattr(retention, "BUDGET", 60.0)
    kit.project.add("the last")
    assert len(names(kit)) == 2
    assert b"backlog_none" not in index.read_bytes()


def test_a_full_folder_of_snapshots_is_looked_through_now_and_then(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each save adds one then and lets one go; to look through them all is not for each save."""
    monkeypatch.setattr(retention, "BUDGET", float("inf"))
    root, count = Root(str(kit.root)), 400
    config = load_config(root) | {"backups.count": count}
    found, looks = backups.found, []
    monkeypatch.setattr(backups, "found", lambda root: looks.append(1) or found(root))
    for number in range(count + 100):
        (kit.root / ".taskkeep/local/backups" / f"backlog_29991120_120000_{number:06}.json").write_text("{}")
        if number >= count:
            retention.tidy(root, config, 2, None)

    assert 1 < len(looks) <= 1 + 100 // (retention.OFTEN_SAVES + count // retention.SHARE)
    assert len(backups.names(root)) < count + count // retention.SHARE + 2 * retention.OFTEN_SAVES


def test_a_backup_by_hand_needs_a_backlog(kit: Any) -> None:
    kit.file.unlink()
    with pytest.raises(taskkeep.TaskkeepError, match="gone"):
        kit.project.make_backup()


@pytest.mark.parametrize(
    "way", ["whole", "in two parts", "cut off", "cut within its end", "followed by rubbish", "large"]
)
def test_a_packed_snapshot_is_whole_or_damaged(kit: Any, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """However it was spoilt; and one that unpacks to more than a backlog may have is not unpacked."""
    good = kit.file.read_bytes()
    data = gzip.compress(good)
    data = {
        "in two parts": gzip.compress(good[:50]) + gzip.compress(good[50:]),
        "cut off": data[: len(data) // 2],
        "cut within its end": data[:-3],
        "followed by rubbish": data + b"rubbish",
    }.get(way, data)
    (folder(kit) / "backlog_20200101_000000_000000.json.gz").write_bytes(data)
    root = Root(str(kit.root))
    if way == "large":
        monkeypatch.setattr(text, "MAX_BYTES", len(good) - 1)
    if way in ("whole", "in two parts"):
        assert backups.content(root, "backlog_20200101_000000_000000.json.gz") == good
        return
    with pytest.raises(BackupDamaged, match=r"cut off or too large|cannot be unpacked"):
        backups.content(root, "backlog_20200101_000000_000000.json.gz")


def test_a_snapshot_made_by_hand_outlives_the_tidying_after_a_save(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.project.add("third")
    kit.project.make_backup(why="to keep")
    made = kit.project.backups()[0]["name"]
    looks: list[Any] = []
    real = retention.surplus
    monkeypatch.setattr(retention, "OFTEN_SAVES", 1)
    monkeypatch.setattr(retention, "surplus", lambda *given: looks.append(given[1]) or real(*given))

    assert kit.project.add("fourth").warnings == []

    assert looks == [[made]]
    assert made in names(kit)

"""What is on the disk when: a power cut between two steps of a save finds all that the later one needs."""

from __future__ import annotations

import os
from typing import Any

import pytest

import taskkeep
from taskkeep.errors import DiskFault

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows syncs no folders")


class Disk:
    """Notes what is synced, renamed, linked and removed, in order, by paths relative to a folder."""

    def __init__(self, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.steps = folder, []
        self._paths: dict[int, str] = {}
        for name in ("open", "fsync", "replace", "link", "unlink"):
            monkeypatch.setattr(os, name, self._noting(name, getattr(os, name)))

    def _noting(self, name: str, real: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            result = real(*args, **more)
            if name == "open":
                self._paths[result] = self._short(args[0])
            elif name == "fsync":
                self.steps.append(("sync", self._paths.get(args[0], "?")))
            else:
                self.steps.append((name, *map(self._short, args)))
            return result

        return call

    def _short(self, path: Any) -> str:
        return os.path.relpath(os.fspath(path), self.folder)

    def at(self, kind: str, end: str) -> int:
        """When the step happened whose last path ends so; the first of several."""
        return next(at for at, step in enumerate(self.steps) if step[0] == kind and step[-1].endswith(end))


def test_each_step_of_a_save_is_on_the_disk_before_the_next_one(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects, new file, intent; the file; the event; the index; the branch; only then the intent goes."""
    disk = Disk(str(kit.folder), monkeypatch)

    saved = kit.project.add("third")

    day = os.path.dirname(max(kit.log_files()))
    objects = [at for at, step in enumerate(disk.steps) if step[0] == "sync" and step[1].startswith(".git/objects")]
    order = [
        max(objects),
        disk.at("sync", "local/tmp/backlog"),
        disk.at("sync", "local/tmp/journal"),
        disk.at("replace", "local/journal"),
        disk.at("sync", ".taskkeep/local"),
        disk.at("replace", "backlog.json"),
        disk.at("sync", "."),
        disk.at("link", ".jsonl"),
        disk.at("sync", f"audit/{day}"),
        disk.at("replace", ".git/index"),
        disk.at("sync", ".git"),
        disk.at("replace", "refs/heads/main"),
        disk.at("sync", "refs/heads"),
        disk.at("unlink", "local/journal"),
    ]
    assert order == sorted(order)
    assert sum(step[0] == "sync" and "tmp_obj" in step[1] for step in disk.steps) >= 5  # file, event, trees, commit
    assert saved.commit == kit.head()


def test_no_content_gets_a_name_that_lasts_before_it_is_synced(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(str(kit.folder), monkeypatch)

    kit.project.add("third")
    done = kit.id_of("third")
    kit.project.finish([done])
    kit.project.archive(older_than="0d")
    kit.project.undo()

    synced: set[str] = set()
    for step in disk.steps:
        if step[0] == "sync":
            synced.add(step[1])
        elif step[0] in ("replace", "link"):
            source, target = step[1:]
            derived = "local/cache" in target or target.endswith(("local/audit.jsonl", ".lock"))
            standing = source in ("backlog.json", "backlog.archive.json", ".git/index")  # an earlier save synced it
            assert derived or standing or source in synced, step
            synced.add(target)


@pytest.mark.parametrize("name", ["backlog.json", ".jsonl"])
def test_a_disk_that_says_done_and_is_not_is_found_by_reading_back(
    kit: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The bytes under the new name are not those that were written: refused, and the old state stands."""
    before, lied = kit.titles(), []
    for call in ("replace", "link"):
        real = getattr(os, call)

        def lie(source: str, target: str, real: Any = real, **more: Any) -> None:
            real(source, target, **more)
            if target.endswith(name) and "local" not in target and not lied:
                lied.append(target)
                os.truncate(target, 10)

        monkeypatch.setattr(os, call, lie)

    with pytest.raises(DiskFault, match="does not hold what was written"):
        kit.project.add("third")
    monkeypatch.undo()

    assert kit.titles() == before
    kit.assert_sound()


def test_what_git_is_told_of_the_driver_is_on_the_disk_before_it_replaces_what_the_user_has_set(
    bare_kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`git config` renames a file that it has not synced; a power cut then leaves half of it, and nobody's name."""
    disk = Disk(str(bare_kit.folder), monkeypatch)

    taskkeep.init(str(bare_kit.folder))

    assert disk.at("sync", ".config") < disk.at("replace", ".git/config")
    assert disk.steps.index(("sync", ".git"), disk.at("replace", ".git/config"))
    assert bare_kit.git("config", "user.name") == "Ada\n"
    assert "taskkeep" in bare_kit.git("config", "merge.taskkeep.driver")
    assert [path.name for path in (bare_kit.folder / ".git").glob("*taskkeep*")] == []

"""The tests themselves: each fault planted into the pipeline is caught, by the test that is named beside it.

A copy of the package with one fault in it, in a process of its own; the test must fail there. It passes on the
package as it is, or the suite would be red. A row whose old lines are no longer in the file must be written anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent

# What is wrong, in which file, the lines as they are, as they are not to be, and who notices.
FAULTS = [
    (
        "a new file is not synced",
        "store/files.py",
        "            if sync:\n                os.fsync(fd)\n        finally:",
        "        finally:",
        "store/test_durability.py::test_each_step_of_a_save_is_on_the_disk_before_the_next_one",
    ),
    (
        "a folder's names are not synced",
        "store/files.py",
        '    if os.name != "nt":\n        _sync(path, os.O_RDONLY)',
        "    return",
        "store/test_durability.py::test_each_step_of_a_save_is_on_the_disk_before_the_next_one",
    ),
    (
        "git's objects are not synced",
        "store/git/objects.py",
        "os.fsync(fd)",
        "0",
        "store/test_durability.py::test_each_step_of_a_save_is_on_the_disk_before_the_next_one",
    ),
    (
        "the event enters the log before the file is replaced",
        "store/placement.py",
        "        sync_folder(root.local)\n        if self._takes_snapshot:",
        "        sync_folder(root.local)\n        enter_log(root, root.journal, self.name)\n        if self._takes_snapshot:",
        "store/test_durability.py::test_each_step_of_a_save_is_on_the_disk_before_the_next_one",
    ),
    (
        "the branch moves before the index",
        "store/git/commit.py",
        "            os.replace(self._copy, self._index)\n            self._sync(repository.git_dir)\n            if files:",
        "            if files:\n                self._move_ref()\n            os.replace(self._copy, self._index)\n            if files:\n                pass\n            elif files:",
        "store/test_durability.py::test_each_step_of_a_save_is_on_the_disk_before_the_next_one",
    ),
    (
        "the intent goes before the commit is made",
        "store/placement.py",
        "            self._rename()\n            self._read_back()\n",
        "            self._rename()\n            self._read_back()\n            os.unlink(self.root.journal)\n",
        "store/test_recovery.py::test_a_kill_at_any_step_leaves_the_old_state_or_the_new_one",
    ),
    (
        "what others put there meanwhile is replaced",
        "store/placement.py",
        '        self._refuse_theirs()\n        os.replace(parts["backlog"], root.backlog)\n',
        '        os.replace(parts["backlog"], root.backlog)\n',
        "store/test_other_programs.py::test_an_edit_by_hand_during_a_save_is_not_written_over",
    ),
    (
        "nothing is read back",
        "store/placement.py",
        "            self._read_back()\n",
        "",
        "store/test_durability.py::test_a_disk_that_says_done_and_is_not_is_found_by_reading_back",
    ),
    (
        "the way back forgets the event",
        "store/placement.py",
        "            with contextlib.suppress(FileNotFoundError):\n                os.unlink(os.path.join(root.audit, self.name))\n",
        "",
        "store/test_save.py::test_a_disk_that_fails_at_any_call_leaves_the_old_state_or_says_what_stands",
    ),
    (
        "an interrupted save is left as it is",
        "store/recovery.py",
        "    root = writer.root\n    try:\n        data, _ = read(root.journal)",
        "    root = writer.root\n    return\n    try:\n        data, _ = read(root.journal)",
        "store/test_recovery.py::test_a_kill_at_any_step_leaves_the_old_state_or_the_new_one",
    ),
    (
        "the lock is always free",
        "store/lock.py",
        "            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "            pass",
        "store/test_concurrency.py::test_a_writer_that_waits_too_long_gives_up_and_says_for_whom",
    ),
    (
        "the backlog is not read again inside the lock",
        "store/save.py",
        "            self.bytes, found = read(self.root.backlog, limit=text.MAX_BYTES)",
        "            self.bytes, found = globals().setdefault(self.root.backlog, read(self.root.backlog, limit=text.MAX_BYTES))",
        "store/test_save.py::test_what_waits_becomes_a_commit_of_its_own",
    ),
    (
        "a file that somebody edited is taken for ours",
        "store/save.py",
        "        if not ours:\n            self._join(backlog)\n",
        "",
        "store/test_not_a_crash.py::test_told_as_a_hand_edit_and_left_alone",
    ),
    (
        "the graph of the result is not judged",
        "store/save.py",
        "        self.warnings += refuse_worse(before, after)\n",
        "",
        "store/test_bad_files.py::test_links_that_lead_nowhere_or_in_a_circle_are_refused",
    ),
    (
        "a key of another request is answered",
        "store/save.py",
        '        if found["request"] != options.digest:\n            raise KeyReused(key)\n',
        "",
        "store/test_save.py::test_a_key_for_another_request_is_refused",
    ),
    (
        "no snapshot is kept",
        "store/placement.py",
        "self._takes_snapshot = snapshot and not fresh",
        "self._takes_snapshot = False",
        "store/test_save.py::test_a_snapshot_holds_what_was_before_for_its_owner_alone",
    ),
    (
        "an index that changed meanwhile is overwritten",
        "store/git/commit.py",
        "            if self._current_index() != self._index_id:\n                self._copy_index()\n",
        "",
        "store/test_save.py::test_what_the_user_stages_meanwhile_stays_staged",
    ),
    (
        "a branch that moved meanwhile is set back",
        "store/git/commit.py",
        "                raise HeadMovedError\n",
        "                pass\n",
        "store/test_save.py::test_a_commit_of_somebody_else_in_between_is_built_on",
    ),
    (
        "a lock of git is removed whoever holds it",
        "store/git/commit.py",
        'return kind.startswith(b"taskkeep ") and (kind == wanted or place == here)',
        "return True",
        "store/test_recovery.py::test_a_lock_of_somebody_else_is_waited_for_then_refused_and_stands",
    ),
    (
        "an event's own hash is not checked",
        "store/recovery.py",
        'if not events or any(event["hash"] != event_hash(event) for event in events):',
        "if not events:",
        "store/test_recovery.py::test_a_damaged_journal_is_put_aside_and_nothing_is_done_by_it",
    ),
    (
        "ids that were given once are forgotten",
        "store/save.py",
        "if task_id not in self._drawn and not state.known(task_id):",
        "if task_id not in self._drawn:",
        "store/test_save.py::test_the_id_of_a_deleted_task_is_never_drawn_again",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    for name in ("taskkeep", "tests", "schemas"):
        shutil.copytree(TOP / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "pyproject.toml", folder)
    return folder


@pytest.mark.skipif(os.name == "nt", reason="some of these tests need POSIX")
@pytest.mark.parametrize(("fault", "file", "old", "new", "test"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_planted_fault_is_caught(copy: Path, fault: str, file: str, old: str, new: str, test: str) -> None:
    path = copy / "taskkeep" / file
    whole = path.read_text(encoding="utf-8")
    assert old in whole, f"{file} has changed: plant '{fault}' anew"
    path.write_text(whole.replace(old, new), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", f"tests/{test}"],
            cwd=copy, env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        path.write_text(whole, encoding="utf-8")
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    assert "1 failed" in done.stdout or "1 error" in done.stdout  # in the making of its backlog, that is by saves too

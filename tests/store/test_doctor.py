"""What doctor finds around a backlog, and what it may mend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.errors import BacklogLocked, ConfigInvalid, TaskkeepError
from taskkeep.store import doctor
from taskkeep.store.git.repository import Repository
from taskkeep.store.lock import writer_lock
from taskkeep.store.merging.citations import citations
from taskkeep.store.setup import merge_driver
from taskkeep.store.setup.init import BLOCK

from .conftest import FakeGit
from .told import assert_told, rows_of


def look(kit: Any) -> list[dict[str, Any]]:
    """What doctor finds, which is held to the very words."""
    findings: list[dict[str, Any]] = kit.project.doctor().findings
    if findings:
        assert_told(os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].removesuffix(" (call)"), rows_of(findings))
    return findings


def codes(kit: Any) -> set[str]:
    return {finding["code"] for finding in look(kit)}


def test_a_sound_place_has_no_findings(kit: Any) -> None:
    verdict = kit.project.doctor()

    assert verdict.findings == []
    assert verdict.checked["sizes"]["backlog"] == kit.file.stat().st_size
    assert verdict.checked["loose_objects"] > 0


@pytest.mark.parametrize("way", ["gone", "empty", "markers", "folder", "schema", "archive"])
def test_a_backlog_that_no_reader_takes_is_named_as_a_reader_does(kit: Any, way: str) -> None:
    if way == "archive":
        (kit.root / "backlog.archive.json").write_text("{")
    elif way == "schema":
        kit.file.write_text(kit.file.read_text().replace('"todo"', '"nonsense"'))
    else:
        kit.file.unlink()
        {
            "gone": lambda: None,
            "empty": kit.file.touch,
            "markers": lambda: kit.file.write_text("<<<<<<< ours\n=======\n>>>>>>> theirs\n"),
            "folder": kit.file.mkdir,
        }[way]()
    with pytest.raises(TaskkeepError) as refused:
        kit.project.list()

    [found] = kit.project.doctor().findings

    error = refused.value
    assert (found["code"], found["message"], found["hint"]) == (error.code, error.message, error.advice)
    assert found["severity"] == "error"


@pytest.mark.parametrize("text", ["nonsense = 1\n", "= 1\n", "[schema.title]\npattern = '('\n"])
def test_a_configuration_that_no_writer_takes_is_named_as_a_writer_does(kit: Any, text: str) -> None:
    (kit.root / ".taskkeep" / "config.toml").write_text(text)
    with pytest.raises(ConfigInvalid) as refused:
        kit.project.add("third")

    [found] = kit.project.doctor().findings

    error = refused.value
    assert (found["code"], found["message"], found["hint"]) == ("config", error.message, error.advice)


@pytest.mark.parametrize("way", ["all", "one", "cut", "all without git", "of no witness"])
def test_a_log_that_lost_something_is_named_and_nothing_is_written(kit: Any, way: str) -> None:
    """Where a writer would stumble over it: a record of the log that still fits spares looking."""
    if "git" in way or way == "of no witness":
        shutil.rmtree(kit.folder / ".git")
    if way == "of no witness":
        (kit.local / "audit.jsonl").unlink()
    names = sorted((kit.root / ".taskkeep" / "audit").rglob("*.jsonl"))
    for path in names[1:2] if way in ("one", "cut") else names:
        path.unlink()
    if way == "cut":
        names[1].write_text("{")
        shutil.rmtree(kit.local / "cache")
    before = sorted((path, path.read_bytes()) for path in kit.local.rglob("*") if path.is_file())

    [found] = [one for one in kit.project.doctor().findings if one["severity"] == "error"]

    assert sorted((path, path.read_bytes()) for path in kit.local.rglob("*") if path.is_file()) == before
    assert found["code"] == "audit_broken"
    if way == "of no witness":
        assert found["message"] == "the log is empty or gone"
        return
    assert ("is cut off" if way == "cut" else "is gone") in found["message"]
    assert "doctor --fix" in found["hint"]
    assert [one for one in kit.project.doctor(fix=True).findings if one["severity"] == "error"] == []
    kit.project.add("third")


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
    (kit.folder / "unreachable").write_text("no commit has this, and it stays")
    kit.git("hash-object", "-w", "unreachable")
    (kit.folder / "unreachable").unlink()
    before = kit.project.doctor().checked

    found = kit.project.doctor(fix=True).checked

    assert found["loose_objects"] == 1

    gone, freed = (before[name] - found[name] for name in ("loose_objects", "loose_bytes"))
    assert found["fixed"] == [f"repacked {gone} loose objects, {freed >> 10} KiB"]
    assert gone > 10
    assert codes(kit) == set()
    kit.project.add("after")
    kit.assert_sound()


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "gc.pid", "packed-refs.lock", "shallow.lock"])
def test_no_repack_while_another_git_works(kit: Any, monkeypatch: Any, name: str) -> None:
    monkeypatch.setattr(doctor, "WORTH_PACKING", 5)
    lock = kit.folder / ".git" / name
    lock.write_text("1 here\n")

    [done] = kit.project.doctor(fix=True).checked["fixed"]

    assert done == f"did not repack: another git is at work ({name})"
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


# -- what stands in the way, named one by one --------------------------------------------------


def messages(kit: Any) -> str:
    return "\n".join(finding["message"] for finding in look(kit))


def test_a_save_that_was_cut_short_and_a_commit_that_waits_are_named(kit: Any, run_and_die: Any) -> None:
    """And what it left lies there rightly, until it is settled."""
    kit.project.add("waits", commit=False)
    assert run_and_die(kit, "local/journal", "project.add('killed', commit=False)")
    (kit.local / "tmp" / "half").write_text("of what was to be written")
    assert codes(kit) == {"interrupted", "pending_commit"}
    kit.project.recover()
    assert codes(kit) == set()


def test_a_repacking_that_git_refuses_is_told(kit: Any, monkeypatch: Any, git_that: FakeGit) -> None:
    monkeypatch.setattr(doctor, "WORTH_PACKING", 5)
    git_that('case "$*" in *repack*) echo "fatal: no space" >&2; exit 1;; esac')
    assert kit.project.doctor(fix=True).checked["fixed"] == ["could not repack: no space"]


def test_a_damaged_backlog_and_a_damaged_configuration_keep_nothing_else_from_being_told(kit: Any) -> None:
    kit.file.write_text("rubbish")
    (kit.root / ".taskkeep" / "config.toml").write_text("= rubbish")
    verdict = kit.project.doctor()
    assert {finding["code"] for finding in verdict.findings} == {"config", "unreadable"}
    assert verdict.checked["sizes"]["backlog"] == len("rubbish")
    assert not any("backups" in line for line in verdict.checked["advice"])


def test_a_configuration_that_is_a_folder_is_refused(kit: Any) -> None:
    (kit.root / ".taskkeep" / "config.toml").mkdir()
    with pytest.raises(taskkeep.TaskkeepError) as refused:
        kit.project.add("refused")
    assert refused.value.code == "config"


def test_many_files_of_the_log_are_advised_about(kit: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(doctor, "KEPT", 1)
    assert any(line.startswith("the log has 3 files") for line in kit.project.doctor().checked["advice"])


def test_what_lies_aside_is_told_with_its_size(kit: Any, monkeypatch: Any) -> None:
    """Files that were replaced, edits that were refused, snapshots: how many, how large, and what takes them away."""
    told = kit.project.doctor().checked["advice"]
    assert [line.partition(":")[0] for line in told] == ["backups"]
    count, rule = len(kit.project.backups()), "all of 24 hours, one a day for 30 days"
    oldest = kit.project.backups()[-1]["time"]
    assert told == [f"backups: {count}, the oldest of {oldest[:16]}Z; kept are {rule}"]
    for name, sizes in (("damaged", (3, 4)), ("edits", (5,))):
        (kit.local / name).mkdir(exist_ok=True)
        for size in sizes:
            (kit.local / name / str(size)).write_text("x" * size)
    monkeypatch.setattr(doctor, "KEPT", 1)
    monkeypatch.setattr(doctor, "WORTH_PACKING", 5)
    found = kit.project.doctor()
    loose = found.checked["loose_objects"]
    assert found.checked["advice"] == [
        "the log has 3 files: 'taskkeep doctor --fix' packs the old ones into one",
        f"git keeps {loose} loose objects: 'taskkeep doctor --fix' packs them",
        *told,
        ".taskkeep/local/damaged keeps files that were replaced: 2, 7 bytes, yours to delete",
        ".taskkeep/local/edits keeps edits that were refused: 1, 5 bytes, yours to delete",
    ]
    assert found.findings == []


def test_without_snapshots_none_are_told_of(bare_kit: Any) -> None:
    taskkeep.init(str(bare_kit.folder))
    assert bare_kit.project.doctor().checked["advice"] == []


def test_a_backlog_in_no_repository_is_warned_of(kit: Any) -> None:
    shutil.rmtree(kit.folder / ".git")
    [finding] = look(kit)
    assert (finding["code"], finding["severity"]) == ("git", "warning")
    assert kit.project.doctor(fix=True).checked["fixed"] == []


def test_a_git_that_is_too_old_is_named_with_what_is_needed(kit: Any, git_that: FakeGit) -> None:
    git_that('case "$*" in *version) echo "git version 2.20.1"; exit 0;; esac')
    [finding] = look(kit)
    assert finding["code"] == "git"
    assert "2.31" in finding["hint"]


def test_who_has_no_name_for_git_hears_it_before_the_first_change(kit: Any) -> None:
    kit.git("config", "--unset", "user.email")
    kit.git("config", "user.useConfigOnly", "true")
    assert codes(kit) == {"no_identity"}


def test_a_merge_under_way_is_a_warning(kit: Any) -> None:
    (kit.folder / ".git" / "MERGE_HEAD").write_text(kit.head() + "\n")
    assert "a merge is in progress" in messages(kit)
    assert kit.project.status()["under_way"] == "a merge"
    assert kit.project.doctor().ok is False


def test_a_git_folder_that_cannot_be_written_is_told_beforehand(kit: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or not str(path).endswith(".git"))
    assert "commits will wait" in messages(kit)


def test_what_a_dead_writer_left_in_gits_folder_is_named(kit: Any) -> None:
    token = (kit.local / "token").read_text().strip()
    (kit.folder / ".git" / f"{token}.index").write_text("left")
    assert f".git/{token}.index was left" in messages(kit)
    kit.project.add("third")
    assert codes(kit) == set()


def test_a_repository_that_git_does_not_read_is_named(kit: Any) -> None:
    shutil.rmtree(kit.folder / ".git")
    (kit.folder / ".git").mkdir()
    assert "git finds no repository" in messages(kit)


@pytest.mark.parametrize("left", [None, "*.txt text\n"])
def test_attributes_without_our_lines_are_named(kit: Any, left: str | None) -> None:
    path = kit.folder / ".gitattributes"
    if left is None:
        path.unlink()
    else:
        path.write_text(left)
    assert "attributes" in codes(kit)
    assert not merge_driver.is_wanted(kit.project.root)


def test_a_fresh_clone_has_no_lock_to_look_at(kit: Any) -> None:
    shutil.rmtree(kit.local)
    kit.project.doctor()
    assert not kit.local.exists()


def test_a_writer_at_work_is_named_and_not_waited_for(kit: Any) -> None:
    with writer_lock(str(kit.local / "lock"), wait=0):
        assert codes(kit) == {BacklogLocked.code}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_lock_that_is_no_file_is_named(kit: Any) -> None:
    (kit.local / "lock").unlink()
    os.mkfifo(kit.local / "lock")
    assert "the lock is no plain file" in messages(kit)


def test_a_link_to_nowhere_has_no_size(kit: Any) -> None:
    before = kit.project.doctor().checked["sizes"]["backups"]
    (kit.local / "backups" / "strange").symlink_to("nowhere")
    assert kit.project.doctor().checked["sizes"]["backups"] == before


# -- git's merge driver --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line,says",
    [
        ("'unbalanced", "is not taskkeep's"),
        ("another %O %A %B", "is not taskkeep's"),
        ("/nowhere/python -I -m taskkeep merge-driver %O %A %B %P; s=$?", "/nowhere/python, which is not there"),
    ],
)
def test_a_driver_that_would_not_run_is_named(kit: Any, line: str, says: str) -> None:
    """One of another is left as it is, ours is set up anew."""
    kit.git("config", merge_driver.DRIVER, line)
    assert says in messages(kit)
    kit.project.doctor(fix=True)
    assert (kit.git("config", merge_driver.DRIVER).strip() == line) == ("taskkeep's" in says)


def of_driver(kit: Any) -> list[Any]:
    """What doctor finds of the driver, whose words name this machine's Python."""
    return [one for one in kit.project.doctor().findings if one["code"] == "merge_driver"]


def test_a_driver_that_does_not_find_taskkeep_is_named(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where PYTHONPATH alone leads to it; to write the same line again would not help, and is not said to."""
    python = tmp_path / "a python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    kit.git("config", merge_driver.DRIVER, merge_driver.line())
    [finding] = of_driver(kit)
    assert finding["message"] == f"git's merge driver does not find taskkeep: '{python}' -EP"
    assert "PYTHONPATH" in finding["hint"]
    assert kit.project.doctor(fix=True).checked["fixed"] == []


def test_a_driver_finds_a_taskkeep_that_is_installed_for_the_user_alone(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by `pip install --user`; a driver of before that did not is set up anew."""
    python = str(getattr(sys, "_base_executable", sys.executable))
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = subprocess.run([python, "-c", "import site; print(site.getusersitepackages())"], capture_output=True)
    folder = Path(asked.stdout.decode().strip())
    folder.mkdir(parents=True)
    packages = [str(Path(taskkeep.__file__).parent.parent), *(path for path in sys.path if "site-packages" in path)]
    (folder / "taskkeep.pth").write_text("\n".join(packages))
    monkeypatch.setattr(sys, "executable", python)
    is_found = subprocess.run([python, "-I", "-c", "import taskkeep"], capture_output=True).returncode == 0
    kit.git("config", merge_driver.DRIVER, merge_driver.line().replace(" -EP ", " -I ", 1))
    assert bool(of_driver(kit)) is not is_found

    kit.project.doctor(fix=True)

    assert of_driver(kit) == []


def test_a_configuration_that_is_held_leaves_the_driver_for_another_time(kit: Any) -> None:
    """The save stands, and the next one tries again."""
    kit.git("config", "--remove-section", merge_driver.SECTION)
    held = kit.folder / ".git" / "config.lock"
    held.write_text("")
    saved = kit.project.add("third")
    assert (saved.commit, saved.warnings) == (kit.head(), [])
    held.unlink()
    assert any("merge driver" in words for words in kit.project.add("fourth").warnings)


def test_a_commit_that_cites_an_old_id_is_named_whatever_its_encoding(kit: Any) -> None:
    """Once, by its hash and subject; a save's own commit says by its events which task it means."""
    first, second = (dict(kit.project.show([kit.id_of(title)])[0]) for title in ("first", "second"))
    backlog = taskkeep.Backlog({first["id"]: first, second["id"]: {**second, "aliases": [first["id"]]}})
    who = "Ada <ada@example.invalid> 1700000000 +0000"
    head = f"tree {kit.git('rev-parse', 'HEAD^{tree}')}parent {kit.head()}\nauthor {who}\ncommitter {who}\n\n"
    said = f"Gr\xfc\xdfe an {first['id']}\n\n{first['id']}, again\n".encode("latin-1")
    made = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
        cwd=kit.folder, input=head.encode() + said, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    kit.git("update-ref", "HEAD", made.strip())
    name = kit.git("rev-parse", "--short", "HEAD").strip()
    [found] = citations(backlog, Repository(str(kit.folder)))
    assert found == (
        f"commit {name} (Gr\ufffd\ufffde an {first['id']}) names {first['id']}: that task, or {second['id']}, "
        "which two branches had called so"
    )


def test_every_text_that_cites_an_old_id_is_named(kit: Any) -> None:
    """Title, description, notes and criteria; not an alias that is no id, nor one that no other task has."""
    first, second = (dict(kit.project.show([kit.id_of(title)])[0]) for title in ("first", "second"))
    moved = {**second, "aliases": [first["id"], "second", "TNONE"]}
    cites = {
        **first,
        "title": f"see {first['id']}",
        "description": f"{first['id']} twice {first['id']}",
        "notes": [{"at": "2026-11-20T12:00:00.000000Z", "by": "ada", "text": f"as {first['id']} says"}],
        "acceptance_criteria": [{"text": f"{first['id']} holds"}, {"text": "none"}],
    }
    backlog = taskkeep.Backlog({first["id"]: cites, second["id"]: moved})
    found = [line.partition(" names")[0] for line in citations(backlog, Repository(str(kit.folder)))]
    where = ["title", "description", "note of 2026-11-20T12:00Z", "acceptance_criteria"]
    assert found == [f"{first['id']}: {one}" for one in where]


# -- a backlog that was there before its repository ----------------------------------------------


@pytest.fixture
def before_git(git_alone: None, scratch: Path, new_repository: Any) -> Any:
    """A backlog begun outside of git, with a configuration of its own, then put into a new repository."""
    folder = scratch / "repository"
    folder.mkdir()
    taskkeep.init(str(folder), ids="sequential", git=False)
    taskkeep.open(str(folder)).add("first")
    return new_repository(folder)


def test_what_init_commits_is_set_up_where_git_came_later(before_git: Any) -> None:
    """The user's own lines and what is staged stay theirs; a merge then takes the driver."""
    kit = before_git
    attributes = kit.folder / ".gitattributes"
    attributes.write_text("*.txt text\n")
    (kit.folder / "staged").write_text("by the user")
    kit.git("add", "staged")
    kit.project.add("second")

    [done, _] = kit.project.doctor(fix=True).checked["fixed"]

    assert done.endswith(f"commit {kit.head()[:10]}")
    ours = {".gitattributes", ".taskkeep/backlog.schema.json", ".taskkeep/config.toml"}
    assert {*kit.git("show", "--format=", "--name-only", "HEAD").split()} == ours
    assert all(path in done for path in ours)
    assert attributes.read_text() == f"*.txt text\n{BLOCK.text}"
    assert kit.git("show", "HEAD:.gitattributes") == BLOCK.text
    assert kit.git("status", "--porcelain").splitlines() == [" M .gitattributes", "A  staged"]
    assert "merge: taskkeep" in kit.git("check-attr", "merge", "backlog.json")
    assert (kit.project.doctor(fix=True).checked["fixed"], kit.project.verify().findings) == ([], [])


def test_lines_that_are_staged_are_staged_with_ours(before_git: Any) -> None:
    """And where there is no commit yet, the waiting one comes after."""
    kit = before_git
    (kit.folder / ".gitattributes").write_text("*.txt text\n")
    kit.git("add", ".gitattributes")

    kit.project.doctor(fix=True)
    kit.project.add("second")

    assert kit.git("show", "HEAD:.gitattributes") == BLOCK.text
    assert kit.git("show", ":.gitattributes") == f"*.txt text\n{BLOCK.text}"
    assert kit.titles_in_head() == {"first", "second"}
    assert kit.project.verify().findings == []


def test_lines_that_went_from_the_folder_alone_come_back_without_a_commit(kit: Any) -> None:
    """A change of the configuration is the user's to commit."""
    (kit.root / ".taskkeep" / "config.toml").write_text("")
    kit.git("add", ".taskkeep/config.toml")
    kit.git("commit", "-q", "-m", "configured")
    (kit.root / ".taskkeep" / "config.toml").write_text("# edited\n")
    (kit.folder / ".gitattributes").unlink()
    head = kit.head()

    [done] = kit.project.doctor(fix=True).checked["fixed"]

    assert done == "set up .gitattributes and .taskkeep/backlog.schema.json"
    assert (kit.head(), kit.git("status", "--porcelain")) == (head, " M .taskkeep/config.toml\n")


def test_what_is_set_up_is_left_to_users_who_commit_by_themselves(before_git: Any) -> None:
    kit = before_git
    (kit.root / ".taskkeep" / "config.toml").write_text("commit = false\n")

    assert "yours to commit" in kit.project.doctor(fix=True).checked["fixed"][0]

    assert (kit.folder / ".gitattributes").read_text() == BLOCK.text
    assert kit.git("log", "--all", "--oneline") == ""
    assert kit.project.doctor(fix=True).checked["fixed"] == []


@pytest.mark.parametrize("what", ["a merge", "a link"])
def test_what_cannot_be_set_up_says_why_and_the_rest_is_mended(before_git: Any, what: str) -> None:
    kit = before_git
    kit.project.add("second")
    if what == "a merge":
        (kit.folder / ".git" / "MERGE_HEAD").write_text(kit.head() + "\n")
    else:
        (kit.folder / ".gitattributes").symlink_to("elsewhere")
    before = kit.git("status", "--porcelain")

    told = kit.project.doctor(fix=True).checked["fixed"]

    assert told[0].startswith("could not set up .gitattributes: ")
    assert told[1:] == ["set up git's merge driver"]
    assert kit.git("rev-list", "--count", "HEAD").strip() == "2"
    assert kit.git("status", "--porcelain") == before


def test_the_first_commit_says_once_that_git_lacks_what_init_sets_up(before_git: Any) -> None:
    kit = before_git
    [words] = kit.project.add("second").warnings
    assert "doctor --fix" in words
    assert kit.project.add("third").warnings == []


def test_a_driver_that_was_taken_out_is_asked_for_no_more(before_git: Any) -> None:
    before_git.project.uninstall()
    assert before_git.project.add("second").warnings == []

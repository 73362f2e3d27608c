"""When witnesses of the past fail one after another: who is asked next, and what is said when nobody is left."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep import __version__, importers
from taskkeep.backlog.changes import Edit
from taskkeep.backlog.events import event_hash, line
from taskkeep.backlog.task import etag
from taskkeep.errors import (
    AmbiguousPoint,
    BacklogUnreadable,
    BadPoint,
    BeforeFirst,
    GitUnavailable,
    HandEdit,
    InvalidField,
    LogDamaged,
    TaskNotFound,
    TaskNotThen,
    UnknownField,
    UnknownPoint,
)
from taskkeep.store import log
from taskkeep.store.layout import Root
from taskkeep.store.past.restoring import _refuse_invalid
from taskkeep.store.past.when import is_ref
from taskkeep.store.record import note_checked

from .test_mending import cut, flip, forget, log_file


def edit(kit: Any, title: str, /, **fields: Any) -> None:
    kit.project.update([kit.id_of(title)], Edit(set=fields))


def no_git(kit: Any) -> None:
    shutil.rmtree(kit.folder / ".git")


def no_log(kit: Any) -> None:
    """The folder is there and holds nothing."""
    shutil.rmtree(kit.root / ".taskkeep" / "audit")
    (kit.root / ".taskkeep" / "audit").mkdir()


def broken_git(kit: Any) -> None:
    no_git(kit)
    (kit.folder / ".git").mkdir()


def spoil_object(kit: Any, name: str, way: str) -> None:
    path = kit.folder / ".git" / "objects" / name[:2] / name[2:]
    data = path.read_bytes()
    path.unlink()
    if way == "cut":
        path.write_bytes(data[: len(data) // 2])


def forget_record(kit: Any) -> None:
    """The joined log stays, and nothing vouches for it."""
    shutil.rmtree(kit.local / "cache")


def titles_at(kit: Any, when: str) -> set[str]:
    return {task["title"] for task in kit.project.at(when).backlog().tasks.values()}


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events whose ids begin alike."""

    def ids() -> Iterator[str]:
        for number in range(1000):
            yield f"abcdef00-0000-4000-8000-{number:012d}"

    drawn = ids()
    monkeypatch.setattr("taskkeep.store.save.new_uuid", lambda: next(drawn))


# -- who is asked when backlog.json cannot be read ---------------------------------------------------


def hint_of(kit: Any) -> str:
    kit.file.write_text("rubbish")
    with pytest.raises(BacklogUnreadable) as refused:
        kit.project.backlog()
    words: str = refused.value.hint
    return words


def test_log_commit_and_backup_are_named_that_have_the_last_state(kit: Any) -> None:
    kit.project.make_backup()
    hint = hint_of(kit)
    assert "log" in hint
    assert "commit" in hint
    assert "backup" in hint
    assert "have the last saved state (2 tasks)" in hint


def test_without_the_log_commit_and_backup_are_named_as_what_can_be_read(kit: Any) -> None:
    for path in (kit.root / ".taskkeep" / "audit").rglob("*.jsonl"):
        path.unlink()
    kit.git("commit", "-q", "-a", "-m", "the log is gone")
    (kit.local / "backups" / "backlog_20990101_000000_000000.json.gz").write_bytes(b"damaged")
    (kit.local / "backups" / "backlog_20990101_000000_000001.json").write_bytes(b"damaged")
    forget(kit)
    hint = hint_of(kit)
    assert "The log cannot say what was saved last; commit" in hint
    assert "backup" in hint


def test_where_nobody_is_left_that_is_said(kit: Any) -> None:
    no_log(kit)
    shutil.rmtree(kit.local)
    broken_git(kit)
    assert hint_of(kit).startswith("Neither log, commit nor backup can be read")


def test_a_witness_that_fails_is_told_in_the_form_of_one_that_does_not(kit: Any) -> None:
    """For programs: each says all, and why it cannot be read."""

    def told() -> dict[str, Any]:
        kit.file.write_text("rubbish")
        with pytest.raises(BacklogUnreadable) as refused:
            kit.project.backlog()
        return {one["kind"]: one for one in refused.value.details["witnesses"]}

    kit.project.make_backup()
    head, events = kit.head(), kit.project.log().events
    whole = told()
    state = {"sha256": whole["log"]["sha256"], "tasks": 2, "whole": True, "agrees": True}
    assert whole["log"] == {"kind": "log", "name": events[0]["event_id"], **state}
    assert whole["commit"] == {"kind": "commit", "name": head, **state}
    assert whole["backup"] == {"kind": "backup", "name": whole["backup"]["name"], **state}
    no_log(kit)
    shutil.rmtree(kit.local)
    broken_git(kit)
    gone = {"name": None, "sha256": None, "tasks": None, "whole": False, "agrees": False}
    found = told()
    assert {kind: {**one, "problem": ""} for kind, one in found.items()} == {
        kind: {"kind": kind, "problem": "", **gone} for kind in ("log", "commit")
    }
    assert all(one["problem"] for one in found.values())


def test_before_the_first_commit_no_commit_is_a_witness(bare_kit: Any) -> None:
    taskkeep.init(str(bare_kit.folder), commit=False)
    assert "log" in hint_of(bare_kit)
    assert "commit" not in hint_of(bare_kit)


@pytest.fixture
def met(kit: Any) -> Any:
    """Two branches that have just met: no event names the state yet."""
    kit.git("checkout", "-q", "-b", "side")
    kit.project.add("theirs")
    kit.git("checkout", "-q", "main")
    kit.project.add("ours")
    kit.git("merge", "-q", "side")
    return kit


def test_branches_that_have_just_met_are_folded_for_a_witness(met: Any) -> None:
    """The log has the state all the same."""
    assert "4 tasks" in hint_of(met)
    with pytest.raises(BacklogUnreadable):
        met.project.add("refused")
    assert met.project.restore([], at="HEAD", why="again").changed
    assert met.titles() == {"first", "second", "ours", "theirs"}


@pytest.mark.parametrize("points", [(), ("HEAD",)])
def test_a_file_that_cannot_be_read_is_never_said_to_be_as_it_was(kit: Any, points: Any) -> None:
    """Nor compared with anything: a reader's error. Two points of the past need no file."""
    kit.file.write_text("rubbish")
    with pytest.raises(BacklogUnreadable, match="JSON") as refused:
        kit.project.diff(*points)
    assert "have the last saved state" in refused.value.hint
    assert [task["title"] for task in kit.project.diff("HEAD~1", "HEAD").difference.added] == ["second"]


@pytest.mark.parametrize("points", [(), ("HEAD",)])
def test_of_a_file_that_is_gone_each_task_was_removed(kit: Any, points: Any) -> None:
    """What lies in the archive was not."""
    kit.project.update([kit.id_of("first")], Edit(set={"status": "done"}))
    kit.project.archive(older_than="0d")
    kit.file.unlink()
    compared = kit.project.diff(*points)
    assert [task["title"] for task in compared.difference.removed] == ["second"]
    assert not compared.difference.added
    assert not compared.difference.changed
    assert compared.notes == ["backlog.json is gone: each of its tasks counts as removed"]
    assert [task["title"] for task in kit.project.diff("HEAD~2", "HEAD~3").difference.removed] == ["second"]


def test_without_file_and_log_there_is_nothing_to_compare(kit: Any) -> None:
    no_log(kit)
    forget(kit)
    kit.file.write_text("rubbish")
    with pytest.raises(LogDamaged, match="empty or gone"):
        kit.project.diff()
    no_git(kit)
    with pytest.raises(LogDamaged, match="empty or gone"):
        kit.project.restore([], at=next((kit.local / "backups").iterdir()).name)


# -- the log with holes --------------------------------------------------------------------------------


def test_a_state_whose_past_has_a_hole_is_given_only_where_its_event_names_it(kit: Any) -> None:
    """Without the event that made the backlog nothing is missing; without that of a task something is."""
    last = kit.project.log(limit=1).events[0]["event_id"]
    names = sorted(kit.log_files())
    no_git(kit)
    forget(kit)
    (kit.root / ".taskkeep" / "audit" / names[0]).unlink()
    kit.file.write_text("rubbish")
    assert titles_at(kit, last) == {"first", "second"}
    (kit.root / ".taskkeep" / "audit" / names[1]).unlink()
    with pytest.raises(LogDamaged, match="lacks what came before"):
        kit.project.at(last).backlog()


@pytest.mark.parametrize("way", [cut, flip])
def test_a_pack_and_the_joined_log_are_held_to_what_they_must_be(kit: Any, way: Any) -> None:
    """A joined log that does not hold is no witness; a file that nobody else has is lost, and named."""
    no_git(kit)
    way(log_file(kit, 0))
    rows = (kit.local / "audit.jsonl").read_bytes().split(b"\n")
    (kit.local / "audit.jsonl").write_bytes(b"\n".join([rows[0].replace(b"Ada", b"Eve"), *rows[1:]]))
    shutil.rmtree(kit.local / "cache")
    with pytest.raises(LogDamaged):
        kit.project.log()


def test_a_pack_under_another_name_is_damage(kit: Any) -> None:
    data = b"".join(kit.log_files()[name] for name in sorted(kit.log_files()))
    (kit.root / ".taskkeep" / "audit" / "pack-0.jsonl").write_bytes(data)
    forget(kit)
    no_git(kit)
    with pytest.raises(LogDamaged, match="not what its name says"):
        kit.project.log()


def test_the_joined_log_answers_where_git_cannot_be_asked(kit: Any) -> None:
    """No repository, or one whose objects are gone."""
    name = sorted(kit.log_files())[1]
    path = kit.root / ".taskkeep" / "audit" / name
    data = path.read_bytes()
    path.write_bytes(b"rubbish\n")
    shutil.rmtree(kit.local / "cache")
    shutil.rmtree(kit.folder / ".git" / "objects")
    (kit.folder / ".git" / "objects").mkdir()
    assert len(kit.project.log().events) == 3
    broken_git(kit)
    page = kit.project.log()
    assert len(page.events) == 3
    assert "joined log" in page.notes[0]
    assert path.read_bytes() != data, "a reader writes nothing"


@pytest.mark.parametrize("way", ["gone", "cut"])
def test_the_joined_log_answers_where_git_lacks_what_an_older_commit_had(kit: Any, way: str) -> None:
    """The file is damaged here and in the last commit, and the object that held it is no more."""
    path = log_file(kit, 1)
    blob = kit.git("rev-parse", f"HEAD:{path.relative_to(kit.folder).as_posix()}").strip()
    flip(path)
    kit.git("commit", "-q", "-a", "-m", "damaged")
    spoil_object(kit, blob, way)
    forget_record(kit)

    page = kit.project.log()

    assert len(page.events) == 3
    assert "joined log" in page.notes[0]


def test_a_file_of_the_log_is_found_in_an_older_commit(kit: Any) -> None:
    """The last one has it damaged or not at all."""
    path = log_file(kit, 1)
    data = path.read_bytes()
    path.write_bytes(b"rubbish\n")
    kit.git("commit", "-q", "-a", "-m", "damaged")
    forget(kit)
    assert len(kit.project.log().events) == 3
    kit.git("rm", "-q", str(path.relative_to(kit.folder)))
    kit.git("commit", "-q", "-a", "-m", "gone")
    kit.project.doctor(fix=True)
    assert len(kit.project.log().events) == 2
    assert not path.exists() or path.read_bytes() == data


def test_events_that_lie_in_a_pack_now_are_not_gone(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit before has them loose; doctor brings none of them back twice."""
    from taskkeep.store.pack import pack_old
    from taskkeep.store.save import Options, writing

    for number in range(3):
        kit.project.add(f"task {number}")
    no_commit = Options(commit=True)
    with writing(Root(str(kit.root)), no_commit) as writer:
        assert pack_old(writer, limit=1, kept=1)
    kit.git("reset", "-q", "--soft", "HEAD~1")
    forget(kit)
    before = sorted(kit.log_files())
    assert not any("brought back" in words for words in kit.project.doctor(fix=True).checked["fixed"])
    assert sorted(kit.log_files()) == before


def test_a_joined_log_that_is_damaged_too_fills_the_gaps_whose_events_it_has(kit: Any) -> None:
    """Each event is known by its own hash, as those name it that follow it."""
    no_git(kit)
    whole = kit.project.log().events
    rows = (kit.local / "audit.jsonl").read_bytes().splitlines(keepends=True)
    (kit.local / "audit.jsonl").write_bytes(b"".join([b"\xff\n[]\n", *rows[:2], rows[2][:-20]]))
    shutil.rmtree(kit.local / "cache")
    log_file(kit, 1).unlink()
    kit.file.write_text("rubbish")
    assert kit.project.log().events == whole


def test_a_damaged_backup_is_taken_from_git_only_where_its_commit_has_the_same(kit: Any) -> None:
    """A commit that was rewritten since is no witness, nor one that is gone; then the log answers."""
    kit.project.make_backup()
    kit.project.add("third")
    kit.project.add("fourth")
    name = sorted(path.name for path in (kit.local / "backups").iterdir())[-1]
    for spoil in ("rewritten", "gone"):
        (kit.local / "backups" / name).write_bytes(b"rubbish")
        if spoil == "rewritten":
            message = kit.git("log", "-1", "--format=%B", "HEAD~1")
            kit.git("checkout", "-q", "--orphan", "rewritten")
            kit.git("rm", "-q", "--cached", "backlog.json")
            kit.git("commit", "-q", "--allow-empty", "-m", message)
            kit.git("branch", "-D", "-q", "main")
            kit.git("add", "-A")
            kit.git("commit", "-q", "-m", "all")
        else:
            kit.git("commit", "-q", "--amend", "-m", "without its trailers")
            kit.git("checkout", "-q", "--orphan", "other")
            kit.git("commit", "-q", "-m", "other")
            kit.git("branch", "-D", "-q", "rewritten")
        moment = kit.project.at(name)
        assert {task["title"] for task in moment.backlog().tasks.values()} == {"first", "second", "third"}
        assert "the log" in moment.notes[0]


def test_a_damaged_backup_is_taken_from_the_log_where_git_cannot_read_its_commit(kit: Any) -> None:
    name = kit.project.make_backup()[0]
    blob = kit.git("rev-parse", "HEAD:backlog.json").strip()
    kit.project.add("third")
    [path] = [one for one in (kit.local / "backups").iterdir() if name in one.name]
    path.chmod(0o600)
    path.write_bytes(b"rubbish")
    spoil_object(kit, blob, "cut")

    moment = kit.project.at(path.name)

    assert {task["title"] for task in moment.backlog().tasks.values()} == {"first", "second"}
    assert "the log" in moment.notes[0]


# -- names of points in time ---------------------------------------------------------------------------


@pytest.mark.usefixtures("alike")
def test_the_beginning_of_several_events_is_asked_about(kit: Any) -> None:
    for number in range(2):
        kit.project.add(f"task {number}")
    with pytest.raises(AmbiguousPoint, match="may be event"):
        kit.project.at("abcdef00")
    with pytest.raises(AmbiguousPoint, match="may be"):
        kit.project.undo("abcdef00")


def test_an_event_that_git_alone_has_still_is_told_from_its_commit(kit: Any) -> None:
    event = kit.project.log(limit=1).events[0]["event_id"]
    kit.git("reset", "-q", "--hard", "HEAD~1")
    (kit.local / "audit.jsonl").unlink()
    moment = kit.project.at(event)
    assert {task["title"] for task in moment.backlog().tasks.values()} == {"first", "second"}
    assert "from commit" in moment.notes[0]


def test_without_git_an_unknown_name_is_unknown(kit: Any) -> None:
    """With what is nearest, and for hexadecimal digits the events that begin alike."""
    event = kit.project.log(limit=1).events[0]["event_id"]
    no_git(kit)
    for name in ("nosuch", "0" * 40, event[:4] + "zz"):
        with pytest.raises(UnknownPoint):
            kit.project.at(name)
    wrong = event[:6] + ("0" if event[6] != "0" else "1")
    with pytest.raises(UnknownPoint) as refused:
        kit.project.at(wrong)
    assert event in refused.value.details["nearest"]


def test_a_repository_that_cannot_be_read_hides_no_event(kit: Any) -> None:
    event = kit.project.log(limit=1).events[0]["event_id"]
    broken_git(kit)
    assert titles_at(kit, event[:8]) == {"first", "second"}
    with pytest.raises(GitUnavailable):
        kit.project.at("HEAD")
    with pytest.raises(GitUnavailable):
        kit.project.at("0000000")


def test_a_branch_that_looks_like_a_time_that_never_was_is_a_branch(kit: Any) -> None:
    kit.git("branch", "2026-13-45", "HEAD~1")
    assert titles_at(kit, "2026-13-45") == {"first"}
    with pytest.raises(BadPoint, match="is no time"):
        kit.project.at("2026-13-46")


@pytest.mark.parametrize("packed", [False, True])
def test_branches_are_known_from_below_the_top_and_from_a_linked_worktree(
    kit: Any, scratch: Path, packed: bool
) -> None:
    """By git's files alone; where there is no git there are none, and a damaged one names none."""
    kit.git("branch", "2026-11-20")
    kit.git("worktree", "add", "-q", str(scratch / "linked"))
    if packed:
        kit.git("pack-refs", "--all")
    (kit.folder / "sub").mkdir()
    for folder in (kit.folder, kit.folder / "sub", scratch / "linked"):
        assert is_ref(Root(str(folder)), "2026-11-20"), folder
        assert not is_ref(Root(str(folder)), "2026-11-21"), folder
    assert not is_ref(Root("/nowhere-at-all"), "2026-11-20")
    (scratch / "linked" / ".git").write_bytes(b"\xff")
    assert not is_ref(Root(str(scratch / "linked")), "2026-11-20")


def test_the_git_folder_of_a_submodule_is_looked_into(scratch: Path, kit: Any) -> None:
    """A file names it, and it has no common folder."""
    (scratch / "sub").mkdir()
    kit.git("branch", "2026-11-20")
    (scratch / "sub" / ".git").write_text(f"gitdir: {kit.folder / '.git'}\n")
    assert is_ref(Root(str(scratch / "sub")), "2026-11-20")


def test_the_beginning_of_several_hashes_is_asked_about(bare_kit: Any) -> None:
    taskkeep.init(str(bare_kit.folder))
    seen: dict[str, int] = {}
    import subprocess
    from hashlib import sha1

    for number in range(20_000):
        name = sha1(b"blob %d\0%d" % (len(str(number)), number)).hexdigest()[:4]
        if name in seen and set(name) & set("abcdef"):
            break
        seen[name] = number
    for one in (number, seen[name]):
        subprocess.run(
            ["git", "hash-object", "-w", "--stdin"], cwd=bare_kit.folder, input=str(one).encode(), check=True,
            capture_output=True,
        )  # fmt: skip
    with pytest.raises(AmbiguousPoint, match="several things"):
        bare_kit.project.at(name)


def test_an_archive_edited_by_hand_is_no_ground_for_the_past(kit: Any) -> None:
    kit.project.finish([kit.id_of("first")])
    kit.project.archive(older_than="0d")
    for number in range(6):
        kit.project.add(f"more {number}")
    event = kit.project.log(limit=1).events[0]["event_id"]
    kit.project.add("last")
    (kit.root / "backlog.archive.json").write_text("edited")
    assert titles_at(kit, event) == {"second", *(f"more {number}" for number in range(6))}
    assert [task["title"] for task in kit.project.at(event).backlog().archived.values()] == ["first"]


# -- restore, over what lies there -------------------------------------------------------------------------


def test_a_field_of_a_newer_version_is_a_hand_edit_unless_a_save_wrote_it(kit: Any) -> None:
    kit.file.write_text(kit.file.read_text().replace('"title": "first"', '"title": "first",\n      "colour": "red"'))
    with pytest.raises(UnknownField):
        kit.project.restore([kit.id_of("second")], at="HEAD~1")
    saved = kit.project.restore([], at="HEAD")
    assert any("no save wrote" in words for words in saved.warnings)
    kit.assert_sound()


def test_a_backlog_of_a_newer_version_is_no_damage(kit: Any) -> None:
    """Every command says what is needed, and none advises to put an old state in its place."""
    kit.file.write_text(kit.file.read_text().replace('"version": 1', '"version": 2'))
    for command in (kit.project.list, kit.project.diff, lambda: kit.project.add("third")):
        with pytest.raises(BacklogUnreadable, match=f"version 2; taskkeep {__version__} knows version 1") as refused:
            command()
        assert refused.value.hint == "A newer taskkeep is needed."
    [found] = kit.project.doctor().findings
    assert found["hint"] == "A newer taskkeep is needed."
    assert kit.project.restore(at="HEAD").changed, "no save wrote that file"


def test_what_a_newer_version_saved_is_not_taken_back(kit: Any) -> None:
    """Where the log vouches for the file, as it does for a field that a newer version saved."""
    new = kit.file.read_bytes().replace(b'"version": 1', b'"version": 2')
    old_sha, sha = (sha256(data).hexdigest() for data in (kit.file.read_bytes(), new))
    path = log_file(kit, -1)
    event = json.loads(path.read_bytes())
    assert event["after"] == old_sha
    event["after"] = sha
    event["hash"] = event_hash(event)
    path.write_bytes(line(event))
    kit.file.write_bytes(new)
    forget(kit)
    note_checked(Root(str(kit.root)))
    for command in (kit.project.list, lambda: kit.project.add("third"), lambda: kit.project.restore(at="HEAD")):
        with pytest.raises(BacklogUnreadable, match="version 2"):
            command()
    assert kit.file.read_bytes() == new


def test_a_dry_run_over_a_damaged_log_says_who_has_it(kit: Any) -> None:
    flip(log_file(kit, 0))
    forget(kit)
    before = kit.files()
    with pytest.raises(LogDamaged, match="has it"):
        kit.project.restore([], at="HEAD", dry_run=True)
    assert kit.files() == before


def test_a_log_that_does_not_lead_to_its_own_state_is_no_ground(kit: Any) -> None:
    """As where somebody forged its last event."""
    path = log_file(kit, -1)
    event = json.loads(path.read_text())
    event["after"] = "0" * 64
    event["hash"] = event_hash(event)
    path.write_bytes(line(event))
    kit.git("commit", "-q", "-a", "-m", "forged")
    forget(kit)
    with pytest.raises(HandEdit):
        kit.project.add("refused")
    with pytest.raises(LogDamaged, match="does not lead to the state"):
        kit.project.restore([], at="HEAD")


@pytest.mark.parametrize("way", ["damaged", "gone", "as it was", "too many"])
def test_the_archive_comes_back_with_a_damaged_backlog(kit: Any, way: str) -> None:
    """Or goes, where no save has made one; what lay there is kept aside."""
    if way != "too many":
        kit.project.finish([kit.id_of("first")])
        kit.project.archive(older_than="0d")
    wanted = kit.project.backlog()
    path = kit.root / "backlog.archive.json"
    if way == "damaged":
        path.write_text("rubbish")
    elif way == "gone":
        path.unlink()
    elif way == "too many":
        path.write_text("mine")
    kit.file.write_text("rubbish")
    before = kit.files()
    assert kit.project.restore([], at="now", dry_run=True).changed
    assert kit.files() == before

    kit.project.restore([], at="now")

    after = kit.project.backlog()
    assert (after.tasks, after.archived) == (wanted.tasks, wanted.archived)
    assert path.exists() == (way != "too many")
    kept = [file.read_text() for file in (kit.local / "damaged").rglob("*") if file.is_file()]
    assert ("mine" in kept) == (way == "too many")
    kit.assert_sound()


def test_a_mended_file_whose_commit_had_waited_waits_again(kit: Any) -> None:
    kit.project.add("waits", commit=False)
    kit.file.write_text("rubbish")
    saved = kit.project.restore([], at="now")
    assert saved.pending
    assert "waits" in kit.titles()
    kit.project.recover()
    kit.assert_sound()


@pytest.mark.parametrize("text", ["rubbish", '{"version": 1, "tasks": []}\n'], ids=["damaged", "by hand"])
def test_what_waited_is_committed_as_it_was_saved_before_a_restore(kit: Any, text: str) -> None:
    """No commit ever holds the file that the restore puts aside."""
    kit.project.add("waits", commit=False)
    saved = kit.file.read_text()
    kit.file.write_text(text)
    kit.project.restore([], at="HEAD")
    assert kit.git("show", "HEAD~1:backlog.json") == saved
    assert kit.titles_in_head() == {"first", "second"}
    kit.assert_sound()


def test_a_file_with_conflict_markers_is_settled_by_resolve_while_its_merge_is_open(kit: Any) -> None:
    """A restore would be refused then; and where branches met, no event alone has the last state."""
    kit.git("checkout", "-q", "-b", "side")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "theirs"}))
    kit.git("checkout", "-q", "main")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "ours"}))
    kit.git("config", "--remove-section", "merge.taskkeep", check=False)
    kit.git("merge", "-q", "side", check=False)

    with pytest.raises(BacklogUnreadable, match="conflict markers") as refused:
        kit.project.list()
    assert "taskkeep resolve" in refused.value.hint

    kit.git("checkout", "-q", "HEAD", "--", "backlog.json")
    kit.git("commit", "-q", "-m", "ours")
    kit.file.write_text("rubbish")
    with pytest.raises(BacklogUnreadable) as refused:
        kit.project.list()
    assert "None" not in refused.value.hint


def test_a_task_that_a_merge_dropped_comes_back_by_what_verify_advises(kit: Any) -> None:
    """And the other branch's with it stays: no more is restored than is named."""
    kit.git("checkout", "-q", "-b", "side")
    lost = kit.project.add("on the side").task["id"]
    kit.git("checkout", "-q", "main")
    kit.project.add("on main")
    kit.git("merge", "-q", "--no-commit", "side")
    kit.git("checkout", "main", "--", "backlog.json")
    kit.git("commit", "-q", "-m", "a merge that drops one side")
    [found] = [one for one in kit.project.verify().findings if one["code"] == "lost_task"]
    command = shlex.split(found["hint"].split("'")[1])
    assert command[:3] == ["taskkeep", "restore", lost]

    kit.project.restore([lost], at=command[-1])
    kit.project.recover()

    assert kit.titles() == {"first", "second", "on the side", "on main"}
    assert kit.project.verify(strict=True).findings == []


def test_a_hand_edit_of_other_tasks_is_left_alone_by_a_restore_of_one(kit: Any) -> None:
    """Nor does a field alone go over an edit of the whole task."""
    first, second = kit.id_of("first"), kit.id_of("second")
    kit.file.write_text(kit.file.read_text().replace('"title": "first"', '"title": "by hand"'))
    for ids, fields in (([second], []), ([first], ["priority"])):
        with pytest.raises(HandEdit):
            kit.project.restore(ids, at="HEAD", fields=fields)
    assert "by hand" in kit.file.read_text()
    kit.project.restore([first], at="HEAD")
    kit.assert_sound()


def test_a_task_is_restored_by_the_id_that_it_has_today(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of then it is found by its identity, in the archive too; an id that nobody ever had is not there."""
    uid = kit.project.show([kit.id_of("first")])[0]["uid"]
    old = kit.id_of("first")
    edit(kit, "first", priority="high")
    then = kit.project.log(limit=1).events[0]["event_id"]
    edit(kit, "first", priority="low")
    after = kit.project.backlog()
    renamed = {**after.tasks[old], "id": "TRENAMED", "aliases": []}

    def rename(backlog: Any, context: Any) -> Any:
        tasks = {name: task for name, task in backlog.tasks.items() if name != old}
        return taskkeep.Backlog(dict(sorted({**tasks, "TRENAMED": renamed}.items())), backlog.archived)

    kit.project._save("rename", None, rename, {"why": "to see"})
    saved = kit.project.restore(["TRENAMED"], at=then)
    assert saved.changed
    assert [task["priority"] for task in saved.tasks] == ["high"]
    assert saved.tasks[0]["uid"] == uid
    assert kit.project.backlog().archived == {}
    with pytest.raises(TaskNotThen):
        kit.project.restore(["TNOBODY"], at=then)


def test_what_todays_schema_does_not_allow_is_named_field_by_field() -> None:
    task = {
        "id": "T0001", "uid": "0" * 32, "title": "a", "status": "todo", "priority": "medium", "type": "task",
        "created_at": "2026-11-20T12:00:00.000000Z", "created_by": "ada", "updated_at": "2026-11-20T12:00:00.000000Z",
    }  # fmt: skip
    one, two = {**task, "status": "never"}, {**task, "id": "T0002", "uid": "1" * 32, "priority": "urgent"}
    with pytest.raises(InvalidField, match="status"):
        _refuse_invalid(taskkeep.Backlog({}), taskkeep.Backlog({"T0001": one}))
    with pytest.raises(InvalidField, match=r"T0001: status, T0002: priority"):
        _refuse_invalid(taskkeep.Backlog({}), taskkeep.Backlog({"T0001": one, "T0002": two}))
    _refuse_invalid(taskkeep.Backlog({"T0001": one}), taskkeep.Backlog({"T0001": one}))


# -- what is not there, and what was last ---------------------------------------------------------------------


def test_that_a_task_is_not_there_is_said_whatever_the_log_is_worth(kit: Any) -> None:
    flip(log_file(kit, 0))
    forget(kit)
    with pytest.raises(TaskNotFound):
        kit.project.show(["TNOBODY"])


def test_a_primer_names_a_log_that_holds_no_events(kit: Any) -> None:
    log_file(kit, -1).write_bytes(b"rubbish\n")
    with pytest.raises(LogDamaged, match="holds no events"):
        kit.project.prime()
    shutil.rmtree(kit.root / ".taskkeep" / "audit")
    assert kit.project.prime().recent == []


def test_before_the_first_change_there_was_nothing(kit: Any) -> None:
    shutil.rmtree(kit.root / ".taskkeep" / "audit")
    forget(kit)
    with pytest.raises(BeforeFirst):
        kit.project.at("2026-01-01")


def test_what_a_request_did_not_change_is_passed_over_in_search_of_a_version(kit: Any) -> None:
    """An etag of before is explained though the task went to the archive since, and one of after it came back."""
    task_id = kit.id_of("first")
    kit.project.finish([task_id])
    old = kit.project.show([task_id])[0]
    kit.project.archive(older_than="0d")
    kit.project.restore([task_id], at="HEAD~1")
    edit(kit, "first", priority="high")
    for version in (old, kit.project.show([task_id])[0]):
        assert log.version_with_etag(Root(str(kit.root)), version["uid"], etag(version)) == version


def test_the_log_of_a_task_is_told_beside_a_backlog_that_cannot_be_read(kit: Any) -> None:
    """And of what never was it is said that it is not there, as the log itself knows."""
    task_id = kit.id_of("first")
    kit.file.write_text("rubbish")
    assert {event["task_id"] for event in kit.project.log([task_id]).events} == {task_id}
    for name in ("TNOBODY", "T\ud800"):  # which no encoding takes
        with pytest.raises(TaskNotFound):
            kit.project.log([name])


def test_each_alias_in_a_question_to_the_log_is_told(kit: Any) -> None:
    theirs = [{"title": "one", "aliases": ["A-1"]}, {"title": "two", "aliases": ["A-2"]}]
    kit.project.import_tasks(importers.read("json", json.dumps(theirs).encode()))
    ids = [kit.id_of(title) for title in ("one", "two")]
    page = kit.project.log(["a-1", "a-2"])
    assert {event["task_id"] for event in page.events} == set(ids)
    assert list(page.notes) == [f"A-{number} is an alias of {task_id}" for number, task_id in enumerate(ids, 1)]


def test_a_comparison_with_branches_that_have_just_met_tells_where_the_log_was_read(met: Any) -> None:
    """A file of it is damaged; the last save is that of no one event, and named by this checkout's own."""
    flip(log_file(met, 1))
    forget(met)
    found = met.project.diff()
    assert any("read from commit" in note for note in found.notes)
    assert not any(found.difference)
    assert found.before.kind == "event"
    assert found.before.name in {event["event_id"] for event in met.project.log().events}


@pytest.mark.parametrize("into", ["main", "side"])
def test_a_fresh_clone_takes_the_line_of_its_branch_for_its_own(kit: Any, scratch: Path, into: str) -> None:
    """That of the first parents, where the log alone cannot tell on which side it stands."""
    kit.git("checkout", "-q", "-b", "side")
    kit.project.add("of side")
    kit.git("checkout", "-q", "main")
    kit.project.add("of main")
    kit.git("checkout", "-q", into)
    kit.git("merge", "-q", "side" if into == "main" else "main")
    clone = kit.clone(scratch / "clone")

    events = clone.project.log(limit=0).events
    heads = [event for event in events if event["details"].get("task", {}).get("title", "").startswith("of ")]

    assert len(heads) == 2
    own = log.own_head(Root(str(clone.root)), heads)
    assert [event["details"]["task"]["title"] for event in heads if event["hash"] == own] == [f"of {into}"]


def test_the_log_of_an_id_that_two_tasks_had_is_that_of_both_once_neither_has_it(
    kit: Any, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = kit.clone(scratch / "clone")
    with monkeypatch.context() as patch:
        patch.setattr("taskkeep.store.save.random_bits", lambda count: (1 << count) - 5)
        task_id = clone.project.add("theirs").task["id"]
        assert kit.project.add("ours").task["id"] == task_id
    kit.git("fetch", "-q", str(clone.folder), "main:work")
    kit.project.merge("work")
    kit.project.add("after")

    def told() -> set[str]:
        return {event["uid"] for event in kit.project.log([task_id]).events} - {None}

    both = {task["uid"] for task in kit.project.backlog().tasks.values() if task["title"] in ("ours", "theirs")}
    assert told() == {kit.project.show([task_id])[0]["uid"]}
    kit.project.delete([task_id], why="not needed")
    assert told() == both

"""What verify says where trees, logs and repositories are stranger than a pull request makes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.changes import Edit
from taskkeep.backlog.events import event_hash, line
from taskkeep.errors import BacklogNotFound, GitUnavailable, Outside
from taskkeep.project import verify
from taskkeep.store.layout import Root
from taskkeep.store.verify import scope
from taskkeep.store.verify.backups import check_backups
from taskkeep.store.verify.findings import Findings

from .conftest import FakeGit
from .seed import Case
from .test_odd_requests import with_log_of


def codes(verdict: Any) -> set[str]:
    return {finding["code"] for finding in verdict.findings}


# -- the files -------------------------------------------------------------------------------------


def test_the_steps_of_a_long_look_are_told_as_it_goes(case: Case) -> None:
    """Of each tree, and of each commit of a history."""
    told: list[tuple[int, int, str]] = []
    case.project.verify(progress=lambda *step: told.append(step))
    assert [what for _, _, what in told[:3]] == ["files", "tasks", "links"]
    told.clear()
    case.project.verify(history=True, progress=lambda *step: told.append(step))
    commits = [(number, total) for number, total, what in told if what == "commits"]
    assert commits == [(number, len(commits)) for number in range(1, len(commits) + 1)]


def test_a_task_whose_id_is_no_text_is_named_by_its_line(case: Case) -> None:
    case.replace(f'"id": "{case.task("alpha")["id"]}"', '"id": 5')
    [found] = [one for one in case.found() if one["code"] == "schema"]
    assert found["task_id"] is None
    assert found["line"] in (case.line_with('"id": 5'), case.line_with('"id": 5') - 1)


@pytest.mark.parametrize("committed", [False, True])
def test_a_log_of_links_and_folders_is_a_broken_one(case: Case, committed: bool) -> None:
    path = case.event_file("task_created", "alpha")
    data = path.read_bytes()
    path.unlink()
    (case.root / "elsewhere").write_bytes(data)
    path.symlink_to(case.root / "elsewhere")
    if committed:
        case.commit()
    verdict = verify(str(case.root), head="HEAD") if committed else case.project.verify()
    assert "audit_broken" in codes(verdict)
    assert path.relative_to(case.root).as_posix() in {
        one["file"] for one in verdict.findings if "link" in one["message"]
    }


@pytest.mark.parametrize("name", ["backlog.json", "backlog.archive.json"])
def test_a_folder_committed_in_place_of_a_file_is_named(case: Case, name: str) -> None:
    if (case.root / name).exists():
        (case.root / name).unlink()
    (case.root / name).mkdir()
    (case.root / name / "inside").write_text("")
    (case.audit / "README").write_text("no event")
    case.commit()
    found = [one for one in verify(str(case.root), head="HEAD").findings if one["file"] == name]
    assert any("a folder" in one["message"] for one in found)


@pytest.mark.parametrize(
    "fields",
    [
        {"details": {"changes": {"title": {}}}, "event_type": "task_updated"},
        {"prev": "not a list"},
        {"txn": ""},
        {"task_id": 5},
    ],
)
def test_an_event_of_another_shape_is_no_event(case: Case, fields: dict[str, Any]) -> None:
    """Whatever it claims to say, and with a hash that fits."""
    task = case.task("alpha")
    given = {"uid": task["uid"], "task_id": task["id"], **fields}
    case.forge(**given)
    case.change("alpha", priority="low")
    assert {"audit_broken", "replay_mismatch", "unaudited_change", "reverted_field"} & codes(case.project.verify())


@pytest.mark.parametrize("said", [5, [{}], [{"task_id": None, "field": None}], [{"task_id": "T0001", "field": 1}]])
def test_an_event_that_leaves_open_what_is_no_conflict_is_no_event(case: Case, said: Any) -> None:
    case.forge(event_type="conflict_resolved", details={"open": said})
    assert "audit_broken" in codes(case.project.verify())


def test_a_file_of_the_log_that_gives_an_event_twice_is_named(case: Case) -> None:
    path = case.event_file("task_created", "beta")
    path.write_bytes(path.read_bytes() * 2)
    [found] = [one for one in case.found() if "second time" in one["message"]]
    assert found["line"] == 2


# -- snapshots ----------------------------------------------------------------------------------------


def test_snapshots_are_judged_one_by_one(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off, no backlog, against the schema, in another form; those of unknown origin too, but not one that
    is pruned meanwhile."""
    folder = kit.local / "backups"
    name = "backlog_2020010{}_000000_000000.json"
    good = kit.file.read_bytes()
    (folder / (name.format(1) + ".gz")).write_bytes(b"\x1f\x8b cut")
    (folder / name.format(2)).write_bytes(b"rubbish")
    (folder / name.format(3)).write_bytes(good.replace(b'"first"', b'"other"').replace(b'"todo"', b'"never"'))
    (folder / name.format(4)).write_bytes(good.replace(b'"first"', b'"other"').replace(b"\n  ", b"\n   "))
    (folder / name.format(5)).write_bytes(good.replace(b'"first"', b'"other"'))
    (folder / name.format(6)).write_bytes(good)
    findings = Findings()
    count = check_backups(Root(str(kit.root)), kit.project.log().events, findings)
    said = [one["message"].partition("2020010")[2] for one in findings.list]
    assert count == 8
    assert [one[0] for one in said] == ["1", "2", "3", "4"]
    assert ["cannot be unpacked" in said[0], "does not hold" in said[1]] == [True, True]
    assert "no save writes" in said[2]
    assert "form that a save writes" in said[3]

    import os

    real = os.listdir

    def then_gone(path: Any) -> Any:
        found = real(path)
        if str(path) == str(folder):
            shutil.rmtree(folder)
        return found

    monkeypatch.setattr(os, "listdir", then_gone)
    findings = Findings()
    check_backups(Root(str(kit.root)), [], findings)
    assert findings.list == []


# -- branches and histories ---------------------------------------------------------------------------


def test_a_base_whose_configuration_is_damaged_does_not_quiet_what_is_to_come(case: Case) -> None:
    case.git("checkout", "-q", "base")
    (case.root / ".taskkeep" / "config.toml").write_text("= rubbish")
    case.commit()
    case.git("checkout", "-q", "-b", "next")
    (case.root / ".taskkeep" / "config.toml").write_text("commit = true\n")
    case.commit()
    assert "config" not in codes(verify(str(case.root), base="base", head="HEAD"))


@pytest.mark.parametrize("spoilt", ["backlog.json", "backlog.archive.json"])
def test_a_base_that_cannot_be_read_asks_for_nothing_that_it_does_not_tell(case: Case, spoilt: str) -> None:
    case.git("checkout", "-q", "base")
    good = case.file.read_bytes()
    (case.root / spoilt).write_text("rubbish")
    case.commit()
    case.git("checkout", "-q", "-b", "mended")
    if spoilt == "backlog.json":
        case.file.write_bytes(good)
    else:
        (case.root / spoilt).unlink()
    case.commit("mended")
    assert "lost_task" not in codes(verify(str(case.root), base="base", head="HEAD"))


def test_branches_without_a_commit_in_common_owe_all_of_the_base(case: Case) -> None:
    case.git("checkout", "-q", "--orphan", "apart")
    case.git("commit", "-q", "-m", "all of it anew")
    verdict = verify(str(case.root), base="base", head="HEAD")
    assert any("no commit in common" in note for note in verdict.checked["notes"])
    assert "lost_task" not in codes(verdict)
    case.drop("beta")
    case.commit()
    assert "lost_task" in codes(verify(str(case.root), base="base", head="HEAD"))


def test_another_backlog_elsewhere_in_the_base_is_not_the_one_that_moved(case: Case) -> None:
    """Only where the new log holds all of the old one."""
    case.git("checkout", "-q", "base")
    taskkeep.init(str(make(case.folder / "other")), git=None)
    taskkeep.open(str(case.folder / "other")).add("of another")
    case.git("checkout", "-q", "-b", "third")
    taskkeep.init(str(make(case.folder / "third")), git=None)
    verdict = verify(str(case.folder / "third"), base="base", head="HEAD")
    assert verdict.ok
    assert "notes" not in verdict.checked or not any("moved" in note for note in verdict.checked["notes"])


def test_all_backlogs_of_a_folder_are_looked_at_tracked_or_new(case: Case) -> None:
    """But not one that git ignores."""
    for name in ("new", "newer", "ignored"):
        taskkeep.init(str(make(case.folder / name)), git=None, commit=False)
        (case.folder / name / ".taskkeep" / "audit" / "README").write_text("no event")
    (case.folder / ".gitignore").write_text("ignored/\n")
    verdict = verify(str(case.folder), every=True)
    assert verdict.checked["prefix"] == ""
    assert {one["file"].partition("/")[0] for one in verdict.findings} == {"new", "newer"}


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_an_empty_backlog_that_is_gone_is_named_too(bare_kit: Any) -> None:
    """There is no task to be lost, and still the backlog is."""
    taskkeep.init(str(bare_kit.folder))
    bare_kit.git("branch", "base")
    bare_kit.git("rm", "-q", "-r", ".")
    bare_kit.git("commit", "-q", "-m", "gone")
    shutil.rmtree(bare_kit.folder / ".taskkeep", ignore_errors=True)
    verdict = verify(str(bare_kit.folder), base="base")
    [found] = [one for one in verdict.findings if "is gone" in one["message"]]
    assert (found["code"], found["severity"], found["line"]) == ("unreadable", "error", 1)
    assert found["hint"] == "Bring it back from git."


def test_a_backlog_without_a_first_commit_waits_for_it(bare_kit: Any) -> None:
    taskkeep.init(str(bare_kit.folder), commit=False)
    assert codes(bare_kit.project.verify()) == {"pending_commit"}


def test_a_folder_of_which_git_knows_no_backlog_is_told(case: Case, scratch: Path) -> None:
    """Below the top, in no repository, and in one where only the past had it."""
    (case.folder / "sub" / "deep").mkdir(parents=True)
    assert verify(str(case.folder / "sub" / "deep"), head="HEAD").checked["tasks"]
    with pytest.raises(BacklogNotFound):
        verify(str(scratch))
    with pytest.raises(Outside, match="--all"):
        verify(str(scratch), every=True)
    case.git("rm", "-q", "-r", "backlog.json", ".taskkeep")
    case.git("commit", "-q", "-m", "gone")
    shutil.rmtree(case.root / ".taskkeep", ignore_errors=True)
    with pytest.raises(BacklogNotFound):
        verify(str(case.folder / "sub" / "deep"))
    assert verify(str(case.folder / "sub" / "deep"), history=True).ok is False


def test_a_backlog_that_is_deleted_here_is_all_its_tasks_lost(case: Case) -> None:
    case.file.unlink()
    shutil.rmtree(case.audit)
    case.audit.mkdir()
    found = [one for one in case.found() if one["code"] == "lost_task"]
    assert len(found) > 60


@pytest.mark.parametrize(
    "command,asked",
    [
        ("rev-list", {"history": True}),
        ("ls-tree", {"head": "HEAD"}),
        ("ls-files", {"staged": True}),
    ],
)
def test_a_git_that_fails_on_the_way_is_no_pass(
    case: Case, git_that: FakeGit, command: str, asked: dict[str, Any]
) -> None:
    git_that(f'case "$*" in *{command}*) echo "fatal: it broke" >&2; exit 128;; esac')
    with pytest.raises(GitUnavailable, match="it broke"):
        verify(str(case.root), **asked)


def test_an_object_that_git_lacks_stops_the_comparison(case: Case) -> None:
    blob = case.git("rev-parse", "HEAD:backlog.json").strip()
    (case.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(Outside, match="git lacks the object"):
        verify(str(case.root), base="base", head="HEAD")


def test_an_anchor_whose_past_is_not_whole_is_named(case: Case) -> None:
    """And one whose past forks and joins again is looked at once."""
    for branch in ("work", "base"):
        case.git("checkout", "-q", branch)
        case.project.add(f"on {branch}")
    case.git("merge", "-q", "-m", "m", "work")
    case.project.add("joins")
    anchor = case.project.verify().checked["heads"][0]
    assert case.project.verify(anchor=anchor).findings == []
    case.event_file("task_created", "alpha").unlink()
    assert any("past is not whole" in one["message"] for one in case.found(anchor=anchor))


def test_what_lies_between_two_states_ends_with_the_heads_of_the_newer_one(case: Case) -> None:
    case.project.add("one more")
    verdict = case.project.verify(base="base")
    assert verdict.changes.heads == verdict.checked["heads"]
    assert len(verdict.changes.heads) == 1
    assert verdict.changes.events == 2
    assert case.project.verify().checked["commit"] == case.head()
    known = len(case.project.log(limit=0).events) - 2
    assert verdict.checked["base"] == {"commit": case.git("rev-parse", "base").strip(), "events": known}


def test_a_deletion_without_a_reason_is_shown_at_its_own_line(case: Case) -> None:
    """The second of one request."""
    ids = [case.task(title)["id"] for title in ("still 7", "still 9")]
    case.project.delete(ids, why="both")
    path = max(case.audit.rglob("*.jsonl"))
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    rows[1]["why"] = None
    rows[1]["hash"] = event_hash(rows[1])
    path.write_bytes(b"".join(map(line, rows)))
    [found] = [one for one in case.found() if one["code"] == "missing_why"]
    assert (found["task_id"], found["line"]) == (rows[1]["task_id"], 2)


def test_what_is_wrong_here_and_in_the_head_is_said_once(case: Case) -> None:
    case.change("alpha", priority="low")
    case.commit()
    before = [one for one in case.found(base="base") if one["code"] == "reverted_field"]
    (case.root / "backlog.json").write_bytes(case.file.read_bytes() + b"\n")
    after = [one for one in case.found(base="base") if one["code"] == "reverted_field"]
    assert len(before) == len(after) == 1


def test_a_history_whose_end_does_not_fit_is_walked_whole(case: Case) -> None:
    """Each commit names its files and yet the log does not lead there: a forger computed all anew."""
    path = case.event_file("task_created", "beta")
    event = json.loads(path.read_text())
    event["details"]["task"]["title"] = "beta as it never was"
    old, event["hash"] = event["hash"], ""
    event["hash"] = event_hash(event)
    path.write_bytes(line(event))
    for other in case.audit.rglob("*.jsonl"):
        if old in other.read_text() and other != path:
            case.edit_events(
                other, lambda one: one.update(prev=[event["hash"] if n == old else n for n in one["prev"]])
            )
    case.commit()
    verdict = case.project.verify(history=True)
    assert not verdict.ok
    assert verdict.checked["first_bad"]["commit"] == case.head()


def test_an_event_that_says_another_value_than_its_file_is_found_in_the_history(case: Case) -> None:
    """It names the file, and touches the field: only replay tells."""
    task = case.task("alpha")
    case.change("alpha", title="by hand")
    changes = {"title": {"from": "alpha", "to": "something else"}}
    case.forge(task_id=task["id"], uid=task["uid"], details={"changes": changes})
    case.commit()
    verdict = case.project.verify(history=True)
    assert not verdict.ok
    assert verdict.checked["first_bad"]["commit"] == case.head()


def test_with_its_history_a_warning_of_the_head_is_told_too(kit: Any) -> None:
    """Branches met, and one side of a title was taken by hand."""
    kit.git("checkout", "-q", "-b", "work")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "theirs"}))
    kit.git("checkout", "-q", "main")
    kit.project.update([kit.id_of("first")], Edit(set={"title": "ours"}))
    with_log_of(kit, "work")
    verdict = kit.project.verify(history=True)
    assert verdict.ok
    assert codes(verdict) == {"merge_choice"}


def test_a_folder_that_is_left_of_a_backlog_is_none(kit: Any) -> None:
    """On a branch without one a stray file keeps the log's folder there."""
    kit.git("checkout", "-q", "--orphan", "other")
    kit.git("rm", "-q", "-r", "-f", ".")
    kit.git("commit", "-q", "--allow-empty", "-m", "without")
    audit = kit.root / ".taskkeep" / "audit"
    audit.mkdir(parents=True, exist_ok=True)
    (audit / ".DS_Store").write_text("")
    verdict = kit.project.verify()
    assert verdict.ok
    assert verdict.findings == []
    assert verdict.checked["notes"] == ["there is no backlog here"]


def test_a_title_that_only_the_reference_check_knows_is_well(kit: Any) -> None:
    """As one with a blank that no line breaks at."""
    kit.project.add("5\u00a0km")
    assert kit.project.verify().findings == []


def test_a_file_in_another_form_is_named_though_its_event_names_it(case: Case) -> None:
    """As a forger would write both; what it holds is what the log gives."""
    case.file.write_bytes(case.file.read_bytes().replace(b"\n  ", b"\n   "))
    path = sorted(case.audit.rglob("*.jsonl"))[-1]
    case.edit_events(path, lambda event: event.update(after=case.sha()))
    assert "not_canonical" in codes(case.project.verify())
    assert "unaudited_change" not in codes(case.project.verify())


def test_a_writer_that_comes_and_goes_is_looked_past(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What moved while we read is read again."""
    real, looked = scope.verify, []

    def look(*args: Any) -> Any:
        verdict = real(*args)
        if not looked:
            kit.project.add("meanwhile")
        looked.append(verdict)
        return verdict

    monkeypatch.setattr(scope, "verify", look)
    assert kit.project.verify().checked["tasks"] == 3
    assert len(looked) == 2


def test_a_shallow_clone_that_has_all_that_is_asked_is_judged(kit: Any, scratch: Path) -> None:
    """Its boundary lies before the base."""
    for number in range(3):
        kit.project.add(f"task {number}")
    clone = type(kit)(scratch / "clone")
    kit.git("clone", "-q", "--depth", "5", f"file://{kit.folder}", str(clone.folder))
    assert clone.git("rev-parse", "--is-shallow-repository").strip() == "true"
    clone.git("checkout", "-q", "-b", "side", "HEAD~3")
    clone.git("config", "user.name", "Bot")
    clone.git("config", "user.email", "bot@example.invalid")
    clone.project.update([clone.id_of("first")], Edit(set={"priority": "high"}))
    assert clone.project.verify(base="origin/main").findings == []


# -- one fault hides no other ------------------------------------------------------------------------


def spoilt_by_a_copy(tasks: list[dict[str, Any]]) -> None:
    tasks[0] = {**tasks[2], "uid": "f" * 32}


def spoilt_by_a_wrong_word(tasks: list[dict[str, Any]]) -> None:
    tasks[2]["priority"] = "P1"
    del tasks[0]


def spoilt_beyond_a_name(tasks: list[dict[str, Any]]) -> None:
    tasks[2].pop("title")
    tasks[2].pop("status")
    tasks[0] = {"title": "a task that says neither id nor uid"}


SPOILT = [spoilt_by_a_copy, spoilt_by_a_wrong_word, spoilt_beyond_a_name]


@pytest.fixture
def three(kit: Any) -> Any:
    """The tasks are `first`, `second` and `third`; what rewrites the list drops the first of it."""
    kit.project.add("third")
    return kit


def rewrite(kit: Any, spoil: Any) -> dict[str, Any]:
    """Returns the task that is dropped."""
    path = kit.root / "backlog.json"
    whole = json.loads(path.read_bytes())
    dropped: dict[str, Any] = dict(whole["tasks"][0])
    spoil(whole["tasks"])
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return dropped


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("asked", [{}, {"base": "HEAD~1"}])
def test_a_task_is_lost_whatever_else_is_wrong_with_the_file(
    three: Any, spoil: Any, committed: bool, asked: dict[str, Any]
) -> None:
    """And just that one; asked for alone too."""
    dropped = rewrite(three, spoil)
    if committed:
        three.git("commit", "-qam", "rewritten")

    for only in ((), ("lost_task",)):
        verdict = three.project.verify(only=only, **asked)
        lost = [finding["task_id"] for finding in verdict.findings if finding["code"] == "lost_task"]
        assert (verdict.ok, lost) == (False, [dropped["id"]])


def test_a_field_set_back_is_found_whatever_else_is_wrong_with_the_file(three: Any) -> None:
    task_id = sorted(three.project.backlog().tasks)[1]
    [old] = [task["title"] for task in three.project.show([task_id])]
    three.project.update([task_id], Edit(set={"title": "better"}))

    def spoil(tasks: list[dict[str, Any]]) -> None:
        spoilt_by_a_wrong_word(tasks)
        next(task for task in tasks if task["title"] == "better")["title"] = old

    rewrite(three, spoil)
    three.git("commit", "-qam", "rewritten")
    assert not three.project.verify(base="HEAD~1", only=["reverted_field"]).ok


@pytest.mark.parametrize("spoil", SPOILT)
def test_what_lies_between_a_base_and_a_spoilt_head_is_told_as_it_is(three: Any, spoil: Any) -> None:
    dropped = rewrite(three, spoil)
    three.git("commit", "-qam", "rewritten")
    changes = three.project.verify(base="HEAD~1").changes
    assert [task["id"] for task, _ in changes.deleted] == [dropped["id"]]
    assert changes.finished == []


@pytest.mark.parametrize("data", [b"", b"{", b"<<<<<<< ours\n", None])
@pytest.mark.parametrize("asked", [{}, {"base": "HEAD~1"}])
def test_what_cannot_be_read_is_found_whatever_is_asked_for(three: Any, data: bytes | None, asked: Any) -> None:
    """Nothing could be looked for in it; and no task of it is said to be deleted."""
    path = three.root / "backlog.json"
    path.unlink() if data is None else path.write_bytes(data)
    three.git("commit", "-qam", "spoilt")

    for chosen in ({"only": ["lost_task"]}, {"skip": ["unreadable", "conflict_marker"]}):
        verdict = three.project.verify(**chosen, **asked)
        assert {"unreadable", "conflict_marker"} & codes(verdict)
        assert not verdict.ok
    assert not asked or verdict.changes.deleted == []


def test_an_archive_that_cannot_be_read_makes_none_of_its_tasks_a_lost_one(three: Any) -> None:
    three.project.update([three.id_of("first")], Edit(set={"status": "done"}))
    three.project.add("fourth")
    three.project.archive(older_than="0d")
    (three.root / "backlog.archive.json").write_text("{")
    rewrite(three, spoilt_by_a_wrong_word)
    assert "lost_task" not in codes(three.project.verify())
    assert "unreadable" in codes(three.project.verify())


def test_a_task_on_which_branches_disagree_is_not_lost_in_a_spoilt_file(three: Any) -> None:
    """Deleted here and edited there: whoever takes one of the two makes a choice."""
    first = three.id_of("first")
    three.git("checkout", "-q", "-b", "other")
    three.project.delete([first], why="gone")
    theirs = (three.root / "backlog.json").read_text("utf-8")
    three.git("checkout", "-q", "main")
    three.project.note(first, "still needed")
    three.git("merge", "-q", "other", check=False)
    (three.root / "backlog.json").write_text(theirs.replace('"priority": "medium"', '"priority": "P1"', 1), "utf-8")
    three.git("add", "-A")
    three.git("commit", "-qm", "merge")
    for asked in ({}, {"base": "HEAD^1"}):
        found = codes(three.project.verify(**asked))
        assert "schema" in found
        assert "lost_task" not in found


def test_a_history_holds_a_commit_with_a_task_that_nothing_names(three: Any) -> None:
    """Quickly passed are commits all of whose tasks can be read."""
    rewrite(three, spoilt_beyond_a_name)
    three.git("commit", "-qam", "rewritten")
    assert {"lost_task", "schema"} <= codes(three.project.verify(history=True))

"""What verify does with its surroundings: git, a writer at work, what lies uncommitted, clones that lack something."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.changes import Edit
from taskkeep.errors import BadPoint, GitUnavailable, ShallowClone, UnknownPoint
from taskkeep.project import verify
from taskkeep.store.lock import writer_lock
from taskkeep.store.verify import scope

from .seed import Case


def told(verdict: Any) -> list[tuple[str, str]]:
    return [(finding["code"], finding["severity"]) for finding in verdict.findings]


def test_what_a_base_lacks_is_told_task_by_task_with_each_reason_once(kit: Any) -> None:
    """As a pull request's summary shows it."""
    base, [first, second] = kit.head(), [kit.id_of(title) for title in ("first", "second")]
    third = kit.project.add("third").task["id"]
    for field, value in (("priority", "high"), ("role", "tester")):
        kit.project.update([first], Edit(set={field: value}), why="asked for", actor="ada")
    kit.project.delete([second], why="a duplicate")

    verdict = kit.project.verify(base=base)

    found = verdict.changes
    assert [task["id"] for task in found.added] == [third]
    assert [(task["id"], sorted(fields)) for task, fields in found.changed] == [(first, ["priority", "role"])]
    assert [(task["id"], event["why"]) for task, event in found.deleted] == [(second, "a duplicate")]
    assert (found.finished, found.events) == ([], 4)
    assert found.whys[kit.project.show([first])[0]["uid"]] == [("asked for", "ada")]
    assert verdict.checked["events"] == len(kit.project.log(limit=0).events)


# -- what lies here and is not committed --------------------------------------------------------------


def test_a_commit_that_waits_is_known_without_a_note_of_this_checkout(kit: Any) -> None:
    """The log has the change and HEAD has not; with a base that is an error."""
    kit.project.add("waits", commit=False)
    (kit.local / "pending").unlink()

    assert told(kit.project.verify()) == [("pending_commit", "warning")]
    assert told(kit.project.verify(base="HEAD")) == [("pending_commit", "error")]


def test_what_waits_for_a_merge_of_the_users_is_said_to_wait_for_that(kit: Any) -> None:
    """No change of ours, and no `recover`, commits it."""
    kit.project.add("waits", commit=False)
    (kit.folder / ".git" / "MERGE_HEAD").write_text(kit.head() + "\n")
    [finding] = kit.project.verify().findings
    assert finding["code"] == "pending_commit"
    assert finding["hint"].startswith("A merge is in progress")


def test_a_hand_edit_is_reported_beside_what_head_has(kit: Any) -> None:
    """Once, whichever way it is found."""
    kit.file.write_bytes(kit.file.read_bytes().replace(b'"medium"', b'"high"', 1))

    for asked in ({}, {"base": "HEAD"}):
        verdict = kit.project.verify(**asked)
        assert told(verdict) == [("unaudited_change", "error"), ("replay_mismatch", "error")]
    assert kit.project.verify(head="HEAD").findings == []


def test_an_interrupted_save_is_a_warning_and_with_a_base_an_error(kit: Any) -> None:
    (kit.local / "journal").write_bytes(b"{}\n")

    assert told(kit.project.verify()) == [("interrupted", "warning")]
    assert told(kit.project.verify(base="HEAD")) == [("interrupted", "error")]


def test_a_damaged_snapshot_is_a_warning(kit: Any) -> None:
    name = max(path for path in (kit.local / "backups").iterdir())
    name.chmod(0o600)
    name.write_bytes(b"{")

    verdict = kit.project.verify()

    assert told(verdict) == [("damaged_backup", "warning")]
    assert name.name in verdict.findings[0]["message"]
    assert verdict.ok


def test_an_open_merge_is_found(case: Case) -> None:
    for branch, priority in (("base", "high"), ("work", "critical")):
        case.git("checkout", "-q", branch)
        case.project.update([case.id_of("beta")], Edit(set={"priority": priority}))
    case.git("merge", "-q", "base", check=False)

    assert "unresolved_conflict" in {code for code, _ in told(case.project.verify())}
    assert "unresolved_conflict" in {code for code, _ in told(case.project.verify(staged=True))}


def test_a_backlog_that_is_gone_is_lost_tasks(kit: Any) -> None:
    """Whether its files are deleted, or committed so."""
    ids = set(kit.project.backlog().tasks)
    kit.git("branch", "base")
    kit.git("rm", "-q", "-r", "--cached", "backlog.json", ".taskkeep")
    kit.git("commit", "-q", "-m", "gone")
    kit.file.unlink()
    (kit.root / ".taskkeep").rename(kit.root.parent / "elsewhere")

    verdict = verify(str(kit.folder), base="base")

    assert {finding["task_id"] for finding in verdict.findings if finding["code"] == "lost_task"} == ids


def test_a_backlog_below_the_top_that_is_gone_is_looked_for_where_it_was(bare_kit: Any) -> None:
    inner = bare_kit.folder / "inner"
    inner.mkdir()
    taskkeep.init(str(inner))
    project = taskkeep.open(str(inner))
    project.add("first")
    [task_id] = project.backlog().tasks
    bare_kit.git("branch", "base")
    bare_kit.git("rm", "-q", "-r", "inner")
    bare_kit.git("commit", "-q", "-m", "gone")
    shutil.rmtree(inner, ignore_errors=True)
    inner.mkdir()

    verdict = verify(str(inner), base="base")

    assert [finding["task_id"] for finding in verdict.findings if finding["code"] == "lost_task"] == [task_id]


def test_a_file_of_the_log_that_is_not_the_bases_is_shown_where_it_differs(kit: Any) -> None:
    """In the second of two events, both of one request."""
    kit.project.update([kit.id_of("first"), kit.id_of("second")], Edit(set={"priority": "high"}))
    kit.git("branch", "base")
    path = sorted(kit.root.rglob("audit/*/*.jsonl"))[-1]
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(b'"high"', b'"low"'))
    kit.git("commit", "-q", "-a", "-m", "forged")

    found = [one for one in verify(str(kit.root), base="base").findings if "is not the file that" in one["message"]]

    assert [(one["file"], one["line"]) for one in found] == [(path.relative_to(kit.root).as_posix(), 2)]


def test_a_task_that_is_gone_is_named(kit: Any) -> None:
    task_id = kit.id_of("first")
    value = json.loads(kit.file.read_text())
    value["tasks"] = [task for task in value["tasks"] if task["id"] != task_id]
    kit.file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    found = [finding for finding in kit.project.verify().findings if finding["code"] == "lost_task"]

    assert [finding["task_id"] for finding in found] == [task_id]


# -- what is staged ------------------------------------------------------------------------------------


def test_only_what_is_staged_counts_for_a_hook(kit: Any) -> None:
    """Not the working tree; and with nothing of ours staged nothing is looked at."""
    saved = kit.file.read_bytes()
    kit.file.write_bytes(saved.replace(b'"medium"', b'"high"', 1))
    (kit.folder / "code.py").write_text("pass\n")
    kit.git("add", "code.py")
    assert kit.project.verify(staged=True).checked["unchanged"] is True

    kit.git("add", "backlog.json")
    kit.file.write_bytes(saved)
    assert told(kit.project.verify(staged=True))[0] == ("unaudited_change", "error")
    assert kit.project.verify(head="HEAD").ok


def test_a_hook_lets_pass_what_has_no_backlog(kit: Any) -> None:
    """As on an older branch; the backlog staged for removal is lost tasks."""
    kit.git("checkout", "-q", "--orphan", "other")
    kit.git("rm", "-q", "-r", "--cached", ".")
    kit.git("clean", "-q", "-f", "-d", "-x")
    (kit.folder / "code.py").write_text("pass\n")
    kit.git("add", "code.py")
    assert verify(str(kit.folder), staged=True).findings == []
    kit.git("commit", "-q", "-m", "code")
    assert verify(str(kit.folder), staged=True).findings == []

    kit.git("checkout", "-q", "main")
    kit.git("rm", "-q", "-r", "backlog.json", ".taskkeep")
    for every in (False, True):
        assert set(told(verify(str(kit.folder), staged=True, every=every))) == {("lost_task", "error")}


def test_the_index_that_git_tells_a_hook_of_is_the_one(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`git commit -a` stages in an index of its own."""
    index = str(kit.folder / ".git" / "index.of.commit-a")
    kit.file.write_bytes(kit.file.read_bytes().replace(b'"medium"', b'"high"', 1))
    Path(index).write_bytes((kit.folder / ".git" / "index").read_bytes())
    monkeypatch.setenv("GIT_INDEX_FILE", index)
    kit.git("add", "backlog.json")
    monkeypatch.delenv("GIT_INDEX_FILE")

    assert kit.project.verify(staged=True).ok
    assert not kit.project.verify(staged=True, index_file=index).ok


def test_a_head_that_took_the_place_of_its_base_holds_all_of_it(kit: Any) -> None:
    """As a forced push does, where both come from a commit that has neither side's changes."""
    lost = kit.project.add("lost").tasks[0]["id"]
    replaced = kit.head()
    kit.git("reset", "-q", "--hard", "HEAD~1")
    kit.project.add("new")
    assert kit.project.verify(base=replaced).ok
    found = kit.project.verify(base=replaced, replaced=True).findings
    assert [(one["code"], one["task_id"]) for one in found] == [("lost_task", lost), ("audit_broken", lost)]
    with pytest.raises(taskkeep.Usage, match="--base"):
        kit.project.verify(replaced=True)


# -- clones that lack something ------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{"base": "origin/base"}, {"history": True}])
def test_a_shallow_clone_that_lacks_what_is_needed_is_no_pass(case: Case, asked: dict[str, Any]) -> None:
    case.project.add("one more")
    clone = case.folder.parent / "shallow"
    case.git("clone", "-q", "--depth", "1", "--no-single-branch", f"file://{case.folder}", str(clone))

    with pytest.raises(taskkeep.Outside) as refused:
        verify(str(clone), **asked)

    assert "fetch --unshallow" in refused.value.hint
    assert refused.value.exit_status == 7
    assert verify(str(clone)).ok  # what lies here can be judged


def test_a_partial_clone_that_lacks_what_is_needed_is_told_what_brings_it(case: Case) -> None:
    """Nothing is fetched unasked."""
    clone = case.folder.parent / "partial"
    case.git("config", "uploadpack.allowFilter", "true")
    case.git("clone", "-q", "--filter=blob:none", f"file://{case.folder}", str(clone))
    with pytest.raises(GitUnavailable, match="promisor") as refused:
        verify(str(clone), base="HEAD~1")
    assert "git fetch --refetch --no-filter" in refused.value.hint


def test_a_base_that_a_shallow_clone_has_not_fetched_is_named(case: Case) -> None:
    clone = case.folder.parent / "shallow"
    case.git("clone", "-q", "--depth", "1", f"file://{case.folder}", str(clone))

    with pytest.raises(ShallowClone) as refused:
        verify(str(clone), base="HEAD^1")

    assert "fetch --unshallow" in refused.value.hint


def test_a_whole_hash_that_a_shallow_clone_has_not_is_no_pass(case: Case) -> None:
    """As a pull request names its base to a shallow checkout; git itself takes it for a name."""
    clone = case.folder.parent / "shallow"
    case.git("clone", "-q", "--depth", "1", f"file://{case.folder}", str(clone))
    base = case.git("rev-parse", "HEAD~1").strip()

    with pytest.raises(ShallowClone) as refused:
        verify(str(clone), base=base)

    assert (refused.value.exit_status, "fetch --unshallow" in refused.value.hint) == (7, True)
    with pytest.raises(UnknownPoint) as refused:
        case.project.verify(base="0" * 40)
    assert "shallow" not in refused.value.hint


@pytest.mark.parametrize("name", ["HEAD^{tree}", "of-blob"])
def test_a_base_that_is_another_object_is_told_as_such(case: Case, name: str) -> None:
    case.git("tag", "of-blob", "HEAD:backlog.json")
    with pytest.raises(BadPoint, match="is no commit"):
        case.project.verify(base=name)


def test_a_partial_clone_fetches_nothing_by_itself(case: Case) -> None:
    """Blobs that are not here are an error, or git brings them: never a pass without them."""
    case.git("config", "uploadpack.allowFilter", "true")
    clone = case.folder.parent / "partial"
    case.git("clone", "-q", "--filter=blob:none", f"file://{case.folder}", str(clone))
    case.folder.rename(case.folder.parent / "away")

    with pytest.raises(taskkeep.Outside):
        verify(str(clone), base="origin/base")


def test_without_git_the_files_are_judged(scratch: Path, git_alone: None) -> None:
    folder = scratch / "plain"
    folder.mkdir()
    taskkeep.init(str(folder), git=False)
    taskkeep.open(str(folder)).add("one")

    assert verify(str(folder)).findings == []
    with pytest.raises(taskkeep.Outside):
        verify(str(folder), base="main")


def test_a_git_that_cannot_be_read_is_said_and_the_files_are_judged(kit: Any) -> None:
    (kit.folder / ".git" / "config").write_text("[core\n")

    verdict = kit.project.verify()

    assert told(verdict) == [("unreadable", "error")]
    assert verdict.checked["tasks"] == 2
    with pytest.raises(taskkeep.Outside):
        kit.project.verify(base="HEAD")


# -- beside a writer -------------------------------------------------------------------------------------


def test_it_waits_for_a_writer_at_work(kit: Any) -> None:
    """And keeps nobody out meanwhile."""
    lock = str(kit.local / "lock")
    freed: list[float] = []

    def hold() -> None:
        with writer_lock(lock, wait=0):
            held.set()
            time.sleep(0.3)
            freed.append(time.monotonic())

    held = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    verdict = kit.project.verify()
    assert freed
    assert time.monotonic() >= freed[0]
    thread.join()
    assert (verdict.findings, verdict.checked.get("notes")) == ([], None)


def test_it_judges_what_lies_there_when_a_writer_takes_too_long(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "PATIENCE", 0.1)

    with writer_lock(str(kit.local / "lock"), wait=0):
        verdict = kit.project.verify()

    assert verdict.ok
    assert "a writer is at work" in verdict.checked["notes"][0]


# -- where a place is --------------------------------------------------------------------------------------


def test_a_link_into_the_archive_is_fine_and_the_archive_is_judged_too(case: Case) -> None:
    case.project.finish([case.id_of("beta")])
    case.project.finish([case.id_of("alpha")])
    case.project.archive(older_than="0d")
    assert case.project.verify().findings == []
    archive = case.root / "backlog.archive.json"
    gamma = next(task for task in json.loads(archive.read_bytes())["tasks"] if task["title"] == "gamma")
    archive.write_bytes(archive.read_bytes().replace(b'"gamma"', b'"forged"'))

    first = case.project.verify().findings[0]

    place = (first["file"], first["line"])
    assert (first["code"], first["task_id"]) == ("unaudited_change", gamma["id"])
    assert place == ("backlog.archive.json", case.line_with('"forged"', "backlog.archive.json"))


def test_what_quiets_a_finding_is_the_bases(case: Case) -> None:
    """A narrowed schema that the pull request lifts still holds for it."""
    case.git("checkout", "-q", "base")
    config = case.root / ".taskkeep" / "config.toml"
    config.write_text(
        '[schema]\npriority = { enum = ["high", "low", "medium", "critical"] }\nassignee = { enum = ["ada"] }\n'
    )
    case.commit("narrow")
    case.git("checkout", "-q", "-b", "lifted")
    config.write_text(config.read_text().partition("\n")[0] + "\n")
    case.project.update([case.id_of("beta")], Edit(set={"assignee": "editor"}))
    case.commit("lift")

    found = {finding["code"]: finding for finding in case.project.verify(base="base").findings}

    assert found.keys() == {"schema", "config_changed"}
    assert found["schema"]["task_id"] == case.id_of("beta")
    assert "base" in found["config_changed"]["message"]
    assert found["config_changed"]["line"] == 2


def test_nothing_that_the_repository_names_is_run(case: Case) -> None:
    """Filters, textconv, fsmonitor, a pager, a gpg program."""
    program = case.folder / "pwn"
    program.write_text(f"#!/bin/sh\ntouch '{case.folder}/pwned'\ncat\n")
    program.chmod(0o755)
    (case.folder / ".gitattributes").write_text("* filter=pwn diff=pwn\n")
    for name in ("filter.pwn.clean", "filter.pwn.smudge", "filter.pwn.process", "diff.pwn.textconv", "core.fsmonitor",
                 "core.pager", "gpg.program", "core.sshCommand", "diff.external", "core.alternateRefsCommand"):  # fmt: skip
        case.git("config", name, str(program))
    case.git("config", "log.showSignature", "true")

    for asked in ({}, {"base": "base"}, {"history": True}, {"staged": True}, {"every": True}):
        verify(str(case.folder), **asked)

    assert not os.path.exists(case.folder / "pwned")

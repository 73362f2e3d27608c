"""What must not pass: each way of spoiling a backlog, its log or its history is found, by name and line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from taskkeep.backlog.events import event_hash
from taskkeep.project import verify

from .seed import Case
from .told import assert_told, rows_of

Mutation = Callable[[Case], Any]
# How the change reaches the judge: it lies here uncommitted, or a pull request has it.
CASES: dict[str, tuple[str, Mutation]] = {}
BASE_ONLY: dict[str, tuple[str, Mutation]] = {}


def planted(code: str, table: dict[str, tuple[str, Mutation]] = CASES) -> Callable[[Mutation], Mutation]:
    """A mutation that must be found as *code*; it returns (file, line) of where, or the line in backlog.json."""

    def register(mutation: Mutation) -> Mutation:
        table[mutation.__name__] = (code, mutation)
        return mutation

    return register


# -- tasks and fields ------------------------------------------------------------------------------


@planted("lost_task")
def a_task_is_dropped(case: Case) -> Any:
    gone = case.task("beta")["id"]
    case.drop("beta")
    left = [task["id"] for task in case.tasks()]
    return case.line_of(next((task_id for task_id in left if task_id > gone), left[-1]))


@planted("lost_task")
def half_of_the_tasks_are_dropped(case: Case) -> Any:
    case.write(case.tasks()[:2])
    return case.line_of(case.tasks()[1]["id"])


@planted("lost_task")
def all_tasks_are_dropped(case: Case) -> Any:
    case.write([])
    return 1


@planted("unaudited_change")
def a_field_is_dropped(case: Case) -> Any:
    case.change("beta", description=None)
    return case.line_of(case.task("beta")["id"])


@planted("unaudited_change")
def a_title_is_changed(case: Case) -> Any:
    case.change("beta", title="another")
    return case.line_with('"another"')


@planted("unaudited_change")
def fields_of_two_tasks_are_swapped(case: Case) -> Any:
    case.change("beta", description="What delta is about.")
    case.change("delta", description="What beta is about.")
    return min(case.line_with("What delta is about."), case.line_with("What beta is about."))


@planted("reverted_field")
def a_field_is_set_back(case: Case) -> Any:
    case.change("alpha", priority="low")
    line = case.line_of(case.task("alpha")["id"])
    return line + 5  # uid title description status priority


@planted("reverted_field")
def a_text_is_set_back(case: Case) -> Any:
    case.change("alpha", description="What alpha is about.")
    return case.line_with("What alpha is about.")


@planted("reverted_field")
def a_finished_task_is_open_again(case: Case) -> Any:
    case.change("gamma", status="todo", completed_at=None)
    return case.line_of(case.task("gamma")["id"]) + 4


@planted("reverted_field")
def a_link_is_taken_out(case: Case) -> Any:
    case.change("alpha", depends_on=None)
    return case.line_of(case.task("alpha")["id"])


@planted("unaudited_change")
def a_task_is_added_by_hand(case: Case) -> Any:
    case.write([*case.tasks(), {**case.task("beta"), "id": "TZZZZ", "uid": "f" * 32, "title": "mine"}])
    return case.line_of("TZZZZ")


@planted("lost_task")
def a_task_takes_the_place_of_another(case: Case) -> Any:
    tasks = case.tasks()
    for task in tasks:
        if task["title"] == "beta":
            task["uid"] = "e" * 32
    case.write(tasks)
    return case.line_of(case.task("beta")["id"])


@planted("unaudited_change")
def a_task_is_renumbered(case: Case) -> Any:
    case.change("epsilon", id="TZZZZ")
    return case.line_of("TZZZZ")


@planted("unaudited_change")
def text_is_garbled_by_a_wrong_encoding(case: Case) -> Any:
    case.change("beta", description="What beta is about.".replace("about", "Ã¤bout"))
    return case.line_with("Ã¤bout")


@planted("unaudited_change")
def a_description_is_cut_to_a_stub(case: Case) -> Any:
    case.change("delta", description="What …")
    return case.line_with("What …")


@planted("unaudited_change")
def a_time_of_change_is_moved(case: Case) -> Any:
    case.change("beta", updated_at="2030-01-01T00:00:00.000000Z")
    return case.line_with("2030-01-01")


# -- the file --------------------------------------------------------------------------------------


@planted("duplicate_id")
def a_task_is_there_twice(case: Case) -> Any:
    task = case.task("beta")
    case.write([*case.tasks(), task])
    return case.line_with(f'"id": "{task["id"]}"', nth=2)


@planted("duplicate_id")
def two_tasks_have_one_id(case: Case) -> Any:
    wanted = case.task("beta")["id"]
    case.change("epsilon", id=wanted)
    return case.line_with(f'"id": "{wanted}"', nth=2)


@planted("duplicate_uid")
def two_tasks_have_one_identity(case: Case) -> Any:
    case.change("epsilon", uid=case.task("beta")["uid"])
    places = sorted(case.task(title)["id"] for title in ("beta", "epsilon"))
    return {case.line_of(task_id) + offset for task_id in places for offset in (0, 1)}


@planted("duplicate_key")
def a_key_is_given_twice(case: Case) -> Any:
    case.replace('"title": "beta",\n', '"title": "beta",\n      "title": "other",\n')
    return case.line_with('"title": "other"')


@planted("conflict_marker")
def conflict_markers_are_left(case: Case) -> Any:
    case.replace('      "title": "beta",\n', '<<<<<<< HEAD\n      "title": "beta",\n=======\n>>>>>>> other\n')
    return case.line_with("<<<<<<<")


@planted("unreadable")
def the_file_is_cut_off(case: Case) -> Any:
    case.file.write_bytes(case.file.read_bytes()[:-40])
    return None


@planted("unreadable")
def the_file_is_gone(case: Case) -> Any:
    case.file.unlink()
    return None


@planted("unreadable")
def the_file_is_a_link(case: Case) -> Any:
    case.file.rename(case.root / "elsewhere.json")
    case.file.symlink_to("elsewhere.json")
    return None


@planted("not_canonical")
def the_layout_is_another(case: Case) -> Any:
    case.file.write_text(json.dumps(json.loads(case.file.read_text()), indent=4) + "\n")
    return 2


@planted("not_canonical")
def tasks_are_out_of_order(case: Case) -> Any:
    value = json.loads(case.file.read_text())
    first = value["tasks"][0]["id"]
    value["tasks"].reverse()
    case.file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    assert case.tasks()[0]["id"] != first
    return 6


@planted("not_canonical")
def line_ends_are_those_of_windows(case: Case) -> Any:
    case.git("config", "core.autocrlf", "false")
    (case.root / ".gitattributes").unlink()
    case.file.write_bytes(case.file.read_bytes().replace(b"\n", b"\r\n"))
    return 1


@planted("schema")
def a_status_is_none(case: Case) -> Any:
    case.change("beta", status="almost")
    return case.line_with('"almost"')


@planted("schema")
def a_task_has_no_title(case: Case) -> Any:
    task_id = case.task("beta")["id"]
    case.replace('      "title": "beta",\n', "")
    return case.line_of(task_id)


@planted("schema")
def the_version_is_another(case: Case) -> Any:
    case.replace('"version": 1', '"version": 2')
    return 1


@planted("dangling_link")
def a_link_leads_nowhere(case: Case) -> Any:
    case.change("beta", depends_on=["TZZZZ"])
    return case.line_with('"depends_on"', nth=1 if case.task("beta")["id"] < case.task("alpha")["id"] else 2)


@planted("cycle")
def tasks_wait_for_each_other(case: Case) -> Any:
    case.change("beta", depends_on=[case.task("alpha")["id"]])
    return {case.line_with('"depends_on"', nth=1), case.line_with('"depends_on"', nth=2)}


@planted("status_times")
def a_finished_task_has_no_time(case: Case) -> Any:
    case.change("gamma", completed_at=None)
    return case.line_of(case.task("gamma")["id"])


@planted("secret")
def a_token_stands_in_a_text(case: Case) -> Any:
    case.change("beta", description="use ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2)
    return case.line_with("ghp_")


# -- the log ---------------------------------------------------------------------------------------


def at(case: Case, path: Path, line: int = 1) -> tuple[str, int]:
    return path.relative_to(case.root).as_posix(), line


@planted("audit_broken")
def an_event_is_altered(case: Case) -> Any:
    path = case.event_file("task_created", "beta")
    path.write_bytes(path.read_bytes().replace(b"What beta", b"What BETA"))
    return at(case, path)


@planted("audit_broken")
def a_space_is_put_into_an_event(case: Case) -> Any:
    path = case.event_file("task_created", "beta")
    path.write_bytes(path.read_bytes().replace(b'"v":1,', b'"v": 1,'))
    return at(case, path)


@planted("audit_broken")
def an_event_is_cut_off(case: Case) -> Any:
    path = case.event_file("task_created", "beta")
    path.write_bytes(path.read_bytes()[:-20])
    return at(case, path)


@planted("audit_broken")
def a_file_of_the_log_is_empty(case: Case) -> Any:
    path = case.event_file("task_created", "beta")
    path.write_bytes(b"")
    return at(case, path)


@planted("audit_broken")
def an_event_is_given_twice(case: Case) -> Any:
    path = case.event_file("task_created", "beta")
    path.write_bytes(path.read_bytes() * 2)
    return at(case, path, 2)


@planted("audit_broken")
def events_of_one_request_change_places(case: Case) -> Any:
    path = case.event_file("task_created", "still 1")
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*rows[:2], rows[3], rows[2], *rows[4:]]))
    return at(case, path, 3)


@planted("audit_broken")
def an_event_in_the_middle_is_gone(case: Case) -> Any:
    path = case.event_file("task_created", "gamma")
    path.unlink()
    return at(case, path)


@planted("audit_broken")
def the_last_event_is_gone(case: Case) -> Any:
    path = max(case.audit.rglob("*.jsonl"))
    path.unlink()
    case.git("checkout", "-q", "base", "--", "backlog.json")
    case.git("branch", "-f", "base", "work")
    return at(case, path)


@planted("audit_broken")
def an_event_is_altered_and_its_hash_computed_again(case: Case) -> Any:
    path = case.event_file("task_created", "beta")
    case.edit_events(path, lambda event: event["details"]["task"].update(title="BETA"))
    return at(case, path)


@planted("replay_mismatch")
def the_last_event_says_another_value(case: Case) -> Any:
    path = max(case.audit.rglob("*.jsonl"))
    case.edit_events(path, lambda event: event["details"]["changes"]["assignee"].update(to="editor"))
    return 1


@planted("replay_mismatch")
def the_last_event_names_another_file(case: Case) -> Any:
    path = max(case.audit.rglob("*.jsonl"))
    case.edit_events(path, lambda event: event.update(after="0" * 64))
    return 1


@planted("audit_broken")
def the_log_is_gone(case: Case) -> Any:
    shutil.rmtree(case.audit)
    return None


@planted("audit_broken")
def a_pack_is_not_what_its_name_says(case: Case) -> Any:
    path = case.event_file("task_created", "beta")
    pack = case.audit / f"pack-{'0' * 64}.jsonl"
    path.rename(pack)
    return at(case, pack)


@planted("audit_broken")
def an_event_of_a_pack_is_left_out(case: Case) -> Any:
    files = sorted(case.audit.rglob("*.jsonl"))[:5]
    data = b"".join(path.read_bytes() for path in files[:2] + files[3:])
    (case.audit / f"pack-{sha256(data).hexdigest()}.jsonl").write_bytes(data)
    for path in files:
        path.unlink()
    return at(case, files[2])


@planted("audit_broken")
def two_events_bear_one_id(case: Case) -> Any:
    known = json.loads(case.event_file("task_created", "beta").read_text())["event_id"]
    return at(case, case.forge(event_id=known))


@planted("audit_broken")
def an_event_has_no_shape_that_replay_could_take(case: Case) -> Any:
    task = case.task("beta")
    case.forge(task_id=task["id"], uid=task["uid"], details={"changes": {"labels": {}}})
    return ".taskkeep/audit", None


@planted("missing_why")
def a_deletion_is_forged_without_a_reason(case: Case) -> Any:
    task = case.task("epsilon")
    before = case.sha()
    case.drop("epsilon")
    forged = {"task_id": task["id"], "uid": task["uid"], "details": {"task": task}, "before": before}
    return at(case, case.forge(event_type="task_deleted", **forged))


@planted("config")
def the_configuration_is_no_toml(case: Case) -> Any:
    (case.root / ".taskkeep" / "config.toml").write_text("ids = \n")
    return ".taskkeep/config.toml", 1


@planted("config")
def the_configuration_has_a_key_that_is_none(case: Case) -> Any:
    (case.root / ".taskkeep" / "config.toml").write_text("id = 1\n")
    return ".taskkeep/config.toml", 1


# -- what only a base shows ----------------------------------------------------------------------------


@planted("audit_broken", BASE_ONLY)
def log_and_backlog_are_rolled_back_together(case: Case) -> Any:
    base = case.git("rev-parse", "base").strip()
    case.git("rm", "-q", "-r", ".taskkeep/audit", "backlog.json")
    case.git("checkout", "-q", f"{base}~1", "--", "backlog.json", ".taskkeep")
    return None


@planted("lost_task", BASE_ONLY)
def a_task_is_taken_out_of_the_log_as_well(case: Case) -> Any:
    """As if it had never been: the file of its creation is gone, and what followed is forged anew."""
    case.git("rm", "-q", "-r", ".taskkeep/audit", "backlog.json")
    case.git("checkout", "-q", "base~9", "--", "backlog.json", ".taskkeep")
    return None


@planted("audit_broken", BASE_ONLY)
def the_whole_log_is_written_anew(case: Case) -> Any:
    renamed: dict[str, str] = {}

    def forge(event: dict[str, Any]) -> None:
        old = event["hash"]
        event["actor"] = "other"
        event["prev"] = [renamed[name] for name in event["prev"]]
        renamed[old] = event_hash(event)

    for path in sorted(case.audit.rglob("*.jsonl")):
        case.edit_events(path, forge)
    return at(case, min(case.audit.rglob("*.jsonl")))


@planted("audit_broken", BASE_ONLY)
def a_second_log_stands_beside_the_old_one(case: Case) -> Any:
    return at(case, case.forge(prev=[]))


@planted("config_changed", BASE_ONLY)
def the_configuration_is_changed_by_one_byte(case: Case) -> Any:
    (case.root / ".taskkeep" / "config.toml").write_text("#")
    return ".taskkeep/config.toml", 1


@planted("config_changed", BASE_ONLY)
def an_exception_for_a_secret_is_brought_along(case: Case) -> Any:
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
    case.project.note(case.task("beta")["id"], token, allow_secret=True, why="it is only an example")
    return at(case, max(case.audit.rglob("*.jsonl")))


@planted("secret", BASE_ONLY)
def an_exception_of_the_pull_request_does_not_count(case: Case) -> Any:
    an_exception_for_a_secret_is_brought_along(case)
    return case.line_with('"notes"')


@planted("lost_task", BASE_ONLY)
def the_whole_backlog_is_gone(case: Case) -> Any:
    case.git("rm", "-q", "-r", ".taskkeep", "backlog.json")
    (case.root / "other").write_text("x")
    return 1


# ---------------------------------------------------------------------------------------------------


def assert_found(case: Case, code: str, where: Any, findings: list[dict[str, Any]]) -> None:
    hits = [finding for finding in findings if finding["code"] == code]
    assert hits, [(finding["code"], finding["message"]) for finding in findings]
    assert all(finding["hint"] and (finding["line"] or not finding["file"]) for finding in findings), findings
    if where is None:
        return
    places = {(finding["file"], finding["line"]) for finding in hits}
    wanted = {("backlog.json", one) for one in where} if isinstance(where, set) else None
    if wanted is None:
        wanted = {where if isinstance(where, tuple) else ("backlog.json", where)}
    assert places & wanted or {(file, None) for file, _ in places} & wanted, (places, wanted)


@pytest.mark.parametrize("name", CASES)
def test_what_is_spoilt_here_is_found(case: Case, name: str) -> None:
    """Uncommitted, without a base; and committed, where HEAD alone tells it still."""
    code, mutation = CASES[name]
    where = mutation(case)

    verdict = case.project.verify()

    assert not verdict.ok
    assert_found(case, code, where, verdict.findings)
    assert_told(f"{name}: here", rows_of(verdict.findings))


@pytest.mark.parametrize("name", [*CASES, *BASE_ONLY])
def test_what_a_pull_request_spoils_is_found(case: Case, name: str) -> None:
    """Held against its base, whatever way it was committed."""
    code, mutation = {**CASES, **BASE_ONLY}[name]
    where = mutation(case)
    if case.git("status", "--porcelain"):
        case.commit()

    verdict = verify(str(case.folder), base="base")

    assert verdict.ok is (code == "config_changed" and "exception" not in name)
    assert_found(case, code, where, verdict.findings)
    assert_told(f"{name}: in a pull request", rows_of(verdict.findings))


OF_THE_BASE = {
    "the_configuration_is_changed_by_one_byte",
    "an_exception_for_a_secret_is_brought_along",
    "an_exception_of_the_pull_request_does_not_count",
}


@pytest.mark.parametrize("name", sorted(BASE_ONLY.keys() - OF_THE_BASE))
def test_history_finds_what_no_single_state_shows(case: Case, name: str) -> None:
    """It names the commit; an exception or a configuration is for the base alone to judge."""
    _, mutation = BASE_ONLY[name]
    mutation(case)
    case.commit("the bad one")

    verdict = verify(str(case.folder), history=True)

    assert not verdict.ok
    assert verdict.checked["first_bad"]["commit"] == case.head()
    assert verdict.findings[0]["commit"] == case.head()
    assert_told(f"{name}: in the history", rows_of(verdict.findings))


def test_there_are_as_many_as_were_promised() -> None:
    assert len({**CASES, **BASE_ONLY}) >= 40

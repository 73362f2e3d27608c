"""The commands that look back and go back: log, diff, blame, undo, restore, backups, and --at."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from taskkeep.cli.events import change_lines, word_diff
from taskkeep.cli.screen import Bar, Screen
from taskkeep.store.progress import steps, watch
from tests.cli.conftest import Cli


def events(cli: Cli, *args: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cli("log", *args, "--limit", "0", "--json").json["events"]
    return found


@pytest.fixture
def past(cli: Cli) -> tuple[Cli, str, str]:
    """A backlog with two tasks and a little history."""
    one, two = cli.add("One"), cli.add("Two", "-p", "high")
    cli("update", one, "--title", "First", "--why", "a better name")
    cli("done", two)
    return cli, one, two


# -- --at --------------------------------------------------------------------------------


def test_at_says_on_stderr_what_it_took_the_words_for(past: Any) -> None:
    cli, one, _ = past
    event = events(cli)[1]
    for command in (["show", one], ["list"], ["ready"], ["search", "First"]):
        result = cli(*command, "--at", event["event_id"][:8])
        assert result.status == 0
        assert "First" in result.out
        assert result.err.startswith(f"as of event {event['event_id'][:8]}")
        answer = cli(*command, "--at", event["event_id"], "--json")
        assert answer.err == ""
        assert answer.json["at"]["event"] == event["event_id"]


def test_lists_of_then_are_filtered_as_of_then(past: Any) -> None:
    cli, _, two = past
    before = events(cli)[1]["event_id"]
    assert [task["id"] for task in cli("list", "-p", "high", "--at", before, "--json").json["tasks"]] == [two]
    assert cli("list", "-p", "high", "--json").json["tasks"] == []


@pytest.mark.parametrize(
    ("when", "status"),
    [("", 2), ("-x", 2), ("a\nb", 2), ("y" * 9000, 2), ("tomorrow", 2), ("../x", 2), ("nosuch", 3), ("1999-01-01", 3)],
)
@pytest.mark.parametrize("command", ["list", "show", "search", "restore", "diff"])
def test_a_bad_when_is_the_same_error_everywhere(past: Any, command: str, when: str, status: int) -> None:
    cli, one, _ = past
    before = cli.bytes
    args = {
        "list": ["list", f"--at={when}"], "show": ["show", one, f"--at={when}"], "search": ["search", "x", f"--at={when}"],
        "restore": ["restore", f"--at={when}"], "diff": ["diff", "--", when],
    }[command]  # fmt: skip
    result = cli("--json", *args)
    assert result.status == status
    assert result.error["exit"] == status
    assert len(result.error["message"]) < 300
    assert cli.bytes == before


def test_a_task_that_did_not_exist_then_is_not_found(past: Any) -> None:
    cli, one, two = past
    first = events(cli)[-2]["event_id"]
    assert cli("show", two, "--at", first).status == 3
    assert cli("show", one, "--at", first).status == 0


# -- log ---------------------------------------------------------------------------------


def test_log_tells_who_when_why_and_field_by_field(past: Any) -> None:
    cli, one, _ = past
    text = cli("log", one).out
    assert "why: a better name" in text
    assert "title: One → First" in text
    assert text.index("title:") < text.index("created")


def test_log_is_filtered_by_time_actor_type_and_source(past: Any) -> None:
    cli, one, two = past
    cli("note", one, "x", "--actor", "bot")
    cli("undo", "--actor", "bot")
    cli("delete", two, "--why", "no")
    everything = events(cli)
    assert [event["actor"] for event in events(cli, "--actor", "bot")] == ["bot", "bot"]
    assert [event["task_id"] for event in events(cli, "--type", "task_deleted")] == [two]
    assert len(events(cli, "--type", "task_deleted,task_created")) == 3
    assert [event["source"] for event in events(cli, "--source", "undo")] == ["undo"]
    middle = everything[3]["timestamp"]
    assert events(cli, "--since", middle) == everything[:4]
    assert events(cli, "--until", middle) == everything[3:]
    assert events(cli, "--since", "yesterday") == everything == events(cli, "--until", "now")
    assert events(cli, "--until", "yesterday") == []
    assert cli("log", "--since", "nonsense").status == 2
    page = cli("log", "--limit", "2", "--json").json
    assert (page["events"], page["total"]) == (everything[:2], len(everything))
    assert page["next"] == 2
    rest = cli("log", "--limit", "3", "--offset", "2", "--json").json
    assert (rest["events"], rest["next"]) == (everything[2:5], 5)
    last = cli("log", "--offset", str(len(everything) - 1), "--json").json
    assert (last["events"], last["next"]) == (everything[-1:], None)
    assert cli("log", "--offset", "99", "--json").json["events"] == []
    assert cli("log", one, "--limit", "1", "--offset", "1", "--json").json["events"] == events(cli, one)[1:2]
    assert cli("log", "--limit", "-1").status == cli("log", "--offset", "-1").status == 2
    assert "older: --offset 2, or --limit 0" in cli("log", "--limit", "2").err


def test_a_deleted_task_still_has_its_log_and_blame_of_what_is_there(past: Any) -> None:
    cli, one, two = past
    cli("delete", two, "--why", "no")
    assert [event["event_type"] for event in events(cli, two)] == ["task_deleted", "task_updated", "task_created"]
    fields = {row["field"]: row for row in cli("blame", one, "--json").json["fields"]}
    assert fields["title"]["why"] == "a better name"
    assert fields["priority"]["event_id"] == events(cli, one)[-1]["event_id"]
    assert cli("blame", two).status == 3


# -- diff --------------------------------------------------------------------------------


def test_diff_names_what_came_went_and_changed(past: Any) -> None:
    cli, one, two = past
    start = events(cli)[-2]["event_id"]
    three = cli.add("Three")
    cli("delete", one, "--why", "no")
    found = cli("diff", start, "--json").json
    assert [task["id"] for task in found["added"]] == sorted([two, three])
    assert [task["id"] for task in found["removed"]] == [one]
    other = cli("diff", start, events(cli)[2]["event_id"], "--json").json
    [change] = other["changed"]
    assert change["changes"] == {"title": {"from": "One", "to": "First"}}
    assert cli("diff", "HEAD~1..HEAD", "--stat").out == "0 added, 1 removed, 0 changed\n"
    assert cli("diff", "HEAD", "--exit-code").status == 0
    assert cli("diff", "HEAD~1", "--exit-code").status == 1
    assert cli("diff", "HEAD~1").status == 0


def test_diff_without_points_shows_what_no_save_recorded(past: Any) -> None:
    cli, _, _ = past
    assert cli("diff", "--exit-code").status == 0
    path = cli.folder / "backlog.json"
    path.write_bytes(path.read_bytes().replace(b'"First"', b'"Edited"'))
    assert "title: First → Edited" in cli("diff").out


def test_tasks_that_only_updated_at_tells_apart_are_one_line_at_the_end(past: Any) -> None:
    """To and fro is no difference that anybody looks for; programs have it as it is."""
    cli, one, two = past
    start = events(cli)[0]["event_id"]
    cli("update", one, "--role", "backend")
    cli("update", one, "--unset", "role")
    cli("update", two, "--role", "backend")

    assert cli("diff", start).out == f"~\t{two}\tTwo\n  role: - → backend\nonly updated_at differs: {one}\n"
    assert len(cli("diff", start, "--json").json["changed"]) == 2


def test_what_a_newer_version_wrote_is_compared_too(past: Any) -> None:
    cli, one, _ = past
    text = (cli.folder / "backlog.json").read_text()
    (cli.folder / "new.json").write_text(text.replace('"status": "todo"', '"colour": "red", "status": "todo"'))
    [change] = cli("diff", "backlog.json", "new.json", "--json").json["changed"]
    assert (change["task_id"], change["changes"]) == (one, {"colour": {"from": None, "to": "red"}})


def test_a_state_that_no_reader_takes_is_refused_with_its_commit(past: Any) -> None:
    """Conflict markers, a status of another tool, a version to come: 4, and nothing is changed."""
    cli, one, _ = past
    git = ["git", "-C", str(cli.folder)]
    path = cli.folder / "backlog.json"
    good = path.read_text()
    for bad in ("<<<<<<< ours\n" + good, good.replace('"todo"', '"wip"'), good.replace('"version": 1', '"version": 7')):
        path.write_text(bad)
        subprocess.run([*git, "commit", "-qam", "bad"], check=True)
        path.write_text(good)
        subprocess.run([*git, "commit", "-qam", "good"], check=True)
        for args in (
            ["list", "--at", "HEAD~1"],
            ["restore", "--at", "HEAD~1"],
            ["restore", one, "--at", "HEAD~1"],
            ["diff", "HEAD~1"],
        ):
            result = cli(*args)
            assert result.status == 4, args
            assert "backlog.json at " in result.err
        assert cli.bytes.decode() == good


def test_diff_of_branches_and_of_files(past: Any) -> None:
    cli, one, _ = past
    git = ["git", "-C", str(cli.folder)]
    subprocess.run([*git, "checkout", "-qb", "feature"], check=True)
    cli("update", one, "--title", "On the branch")
    found = cli("diff", "main..feature", "--json").json
    assert found["changed"][0]["changes"]["title"] == {"from": "First", "to": "On the branch"}
    (cli.folder / "old.json").write_bytes(
        subprocess.run([*git, "show", "main:backlog.json"], capture_output=True, check=True).stdout
    )
    same = cli("diff", "--files", "old.json", "backlog.json", "--json").json
    assert same["changed"] == found["changed"]
    assert cli("diff", "old.json", "backlog.json", "--json").json == same
    assert cli("diff", "old.json").status == 2
    for names in (["nosuch.json", "backlog.json"], ["old.json"], [".", "backlog.json"]):
        assert cli("diff", "--files", *names).status in (2, 3, 4)


# -- undo and restore --------------------------------------------------------------------


def test_undo_and_restore_answer_like_writers_with_the_difference(past: Any) -> None:
    cli, one, two = past
    answer = cli("undo", "--json").json
    assert answer["changed"]
    assert [task["id"] for task in answer["tasks"]] == [two]
    assert answer["difference"]["changed"][0]["changes"]["status"] == {"from": "done", "to": "todo"}
    restored = cli("restore", one, "--at", "HEAD~3", "--json").json
    assert restored["difference"]["changed"][0]["task_id"] == one
    assert restored["at"]["kind"] == "revision"
    again = cli("restore", one, "--at", "HEAD~4", "--json").json
    assert (again["changed"], again["events"], again["commit"]) == (False, [], None)


def test_undo_of_nothing_is_refused(cli: Cli) -> None:
    result = cli("undo", "--json")
    assert (result.status, result.error["code"]) == (5, "nothing_to_undo")


def test_undo_lists_the_later_changes_that_are_in_the_way(past: Any) -> None:
    cli, one, _ = past
    event = events(cli, one)[0]["event_id"]
    cli("update", one, "--title", "Third name")
    result = cli("undo", event, "--json")
    assert (result.status, result.error["code"]) == (5, "changed_since")
    assert [later["fields"] for later in result.error["details"]["later"]] == [["title"]]
    assert cli("undo", event, "--force").status == 0
    assert cli.task(one)["title"] == "One"


def test_undo_takes_a_batch_back_as_one(past: Any) -> None:
    cli, _, _ = past
    before = cli.bytes
    operations = b'{"op": "add", "title": "a"}\n{"op": "add", "title": "b", "depends_on": ["$1"]}\n'
    result = cli("batch", "-", "--json", stdin=operations)
    assert result.status == 0, result.err
    assert cli("undo", result.json["events"][0]).status == 0
    assert cli.bytes == before


def test_a_retry_of_undo_by_its_key_undoes_once(past: Any) -> None:
    cli, _, _ = past
    first = cli("undo", "--key", "k1", "--json").json
    again = cli("undo", "--key", "k1", "--json").json
    assert again["replayed"]
    assert again["events"] == first["events"]


def test_restore_needs_a_when(past: Any) -> None:
    cli, one, _ = past
    assert cli("restore", one).status == 2
    assert cli("restore", one, "--at", "HEAD", "--field", "nosuch").status == 2


def test_the_archive_is_still_in_reach(past: Any) -> None:
    cli, _, two = past
    assert cli("archive", "--older-than", "0d").status == 0
    assert cli("search", "Two", "--json").json["total"] == 0
    assert [task["id"] for task in cli("search", "Two", "--archived", "--json").json["tasks"]] == [two]
    assert cli("show", two).status == 0
    assert len(events(cli, two)) == 3
    assert cli("restore", two, "--at", "HEAD~2").status == 0
    assert cli.task(two)["status"] == "todo"


# -- backups -----------------------------------------------------------------------------


def test_backups_are_listed_shown_made_and_pruned(past: Any) -> None:
    cli, _, _ = past
    rows = cli("backups", "--json").json["backups"]
    assert [row["tasks"] for row in rows] == [2, 2, 1, 0]
    assert all(row["reason"].startswith("before ") and row["size"] > 0 and row["time"] for row in rows)
    name = cli("backups", "create", "--why", "by hand").out.strip()
    assert re.fullmatch(r"backlog_\d{8}_\d{6}_\d{6}", name)
    assert cli("backups", "create").out.strip() == name
    shown = cli("backups", "show", name, "--json").json
    assert shown["backup"]["reason"].endswith(": by hand")
    assert len(shown["tasks"]) == 2
    assert cli("restore", "--at", rows[-2]["name"]).status == 0
    assert len(cli("list", "--all", "--format", "ids").out.split()) == 1
    assert cli("backups", "prune", "--json").json["removed"] == []
    for args in (["show"], ["show", "nosuch"], ["nonsense"], ["list", "x"], ["show", "../../etc/passwd"]):
        assert cli("backups", *args).status in (2, 3)


# -- on a terminal -----------------------------------------------------------------------


def test_long_texts_are_told_by_the_words_that_changed() -> None:
    screen = Screen(color=False, width=80)
    before = "one two three four five six seven eight nine ten eleven twelve"
    assert word_diff(before, before.replace("six", "SIX"), screen) == (
        "… three four five [-six-] {+SIX+} seven eight nine …"
    )
    [line] = change_lines("description", {"from": before, "to": before + " \x1b[31m"}, screen, 60)
    assert "\x1b" not in line


def test_a_bar_shows_only_after_half_a_second_and_leaves_nothing(monkeypatch: Any) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    drawn: list[str] = []
    watch(Bar(drawn.append))
    try:
        for number in steps(range(100), "backups"):
            clock[0] += 0.03
            assert bool(drawn) == (number >= 17), number
    finally:
        watch(None)
    assert "of 100 backups" in drawn[0]
    assert len(drawn) < 30
    assert drawn[-1] == "\r\x1b[K"


def test_the_files_of_the_past_are_the_users_alone(past: Any) -> None:
    cli, _, _ = past
    folder: Path = cli.folder / ".taskkeep" / "local" / "backups"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}

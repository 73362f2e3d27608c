"""What verify says, in each form: text, JSON, GitHub's annotations, SARIF, a summary."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskkeep.cli.verdicts import ANNOTATIONS, safe
from taskkeep.store.verify import CODES
from tests.cli.conftest import Cli

LOW = '"priority": "low"'
TITLE = "a | b <img src=x> [link](http://x) @team #7 ```\u2028::error::x"


@pytest.fixture
def spoilt(cli: Cli) -> Cli:
    """On the branch work: a task added, one finished, one deleted with a reason; and by hand, one lost, one edited."""
    ids = {title: cli.add(title) for title in ("kept", "done", "gone", "lost", "edited")}
    cli.git("branch", "base")
    cli.git("checkout", "-q", "-b", "work")
    cli.add(TITLE.replace("\u2028", " "))
    cli("done", ids["done"])
    cli("delete", ids["gone"], "--why", "not | needed @all")
    value = json.loads(cli.bytes)
    value["tasks"] = [task for task in value["tasks"] if task["title"] != "lost"]
    for task in value["tasks"]:
        if task["title"] == "edited":
            task["priority"] = "low"
    (cli.folder / "backlog.json").write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    cli.git("commit", "-q", "-a", "-m", "by hand")
    return cli


def line_of(cli: Cli, words: str) -> int:
    return 1 + cli.bytes.split(words.encode())[0].count(b"\n")


def codes(result: Any) -> list[str]:
    return [finding["code"] for finding in result.json["findings"]]


def test_text_is_a_line_for_each_finding_and_their_number_at_the_end(spoilt: Cli) -> None:
    """As compilers say it, what is lost first."""
    result = spoilt("verify", "--base", "base")

    assert result.status == 1
    first = result.out.splitlines()[0]
    assert first.startswith("backlog.json:")
    assert ": error: lost_task: " in first
    assert "(lost) is gone" in first
    assert f"backlog.json:{line_of(spoilt, LOW)}: error: unaudited_change: " in result.out
    assert result.err == "3 findings\n"
    assert spoilt("verify", "--base", "base", "-q").err == "3 findings\n"


def test_what_is_well_says_so(cli: Cli) -> None:
    cli.add("one")

    result = cli("verify")

    assert (result.status, result.out, result.err) == (0, "", "0 findings\n")


def test_json_has_the_keys_that_are_promised(spoilt: Cli) -> None:
    answer = spoilt("verify", "--base", "base", "--json").json

    assert (answer["schema_version"], answer["ok"]) == (1, False)
    for finding in answer["findings"]:
        assert finding.keys() == {"code", "severity", "message", "task_id", "file", "line", "hint"}
        assert finding["hint"]
    checked = answer["checked"]
    assert (checked["tasks"], checked["events"]) == (4, 9)
    assert [len(head) for head in checked["heads"]] == [64]
    assert checked["merge_base"][0]["tasks"] == 5


def test_codes_can_be_picked_and_left_out(spoilt: Cli) -> None:
    """Repeated or in one list; what is left out does not count."""
    assert codes(spoilt("verify", "--only", "lost_task", "--json")) == ["lost_task"]
    assert codes(spoilt("verify", "--only", "lost_task,unaudited_change", "--json")) == [
        "lost_task",
        "unaudited_change",
    ]
    rest = spoilt("verify", "--skip", "lost_task", "--skip", "unaudited_change,replay_mismatch", "--json")
    assert (rest.status, codes(rest)) == (0, [])
    unknown = spoilt("verify", "--only", "lost_tsk")
    assert unknown.status == 2
    assert "lost_task" in unknown.err


def test_with_strict_a_warning_is_enough(cli: Cli) -> None:
    cli("add", "waits", "--no-commit")

    assert cli("verify").status == 0
    assert cli("verify", "--strict").status == 1
    assert cli("verify", "--strict", "--json").json["ok"] is False
    assert cli("verify", "--strict", "--skip", "pending_commit").status == 0


def test_annotations_stand_at_the_line_and_hold_no_other_command(spoilt: Cli) -> None:
    lines = spoilt("verify", "--base", "base", "--format", "github").out.splitlines()

    place = f"::error file=backlog.json,line={line_of(spoilt, LOW)},title=taskkeep%3A unaudited_change::"
    assert any(line.startswith(place) for line in lines)
    assert all(line.startswith("::error file=") for line in lines)
    assert all("%0A" in line for line in lines)  # the hint, on a line of its own


def test_no_more_annotations_than_github_shows(cli: Cli) -> None:
    """The rest are plain lines of the log."""
    for number in range(ANNOTATIONS + 3):
        cli.add(f"task {number}")
    value = json.loads(cli.bytes)
    (cli.folder / "backlog.json").write_text(json.dumps({**value, "tasks": []}, indent=2) + "\n")

    lines = cli("verify", "--format", "github").out.splitlines()

    assert sum(line.startswith("::error") for line in lines) == ANNOTATIONS
    assert lines[-1].endswith("more errors are listed above and in the summary")


def test_sarif_has_a_rule_and_a_place_for_each_result(spoilt: Cli) -> None:
    answer = json.loads(spoilt("verify", "--base", "base", "--format", "sarif").out)

    assert answer["version"] == "2.1.0"
    [run] = answer["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(run["results"]) == 3
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        place = result["locations"][0]["physicalLocation"]
        assert (place["artifactLocation"]["uri"], place["region"]["startLine"] > 0) == ("backlog.json", True)


def test_the_summary_tells_what_a_pull_request_does(spoilt: Cli) -> None:
    """Appended, as Markdown in which no title can be more than text."""
    path = spoilt.folder / "summary.md"
    path.write_text("before\n")

    result = spoilt("verify", "--base", "base", "--summary", str(path))

    assert result.status == 1
    text = path.read_text()
    assert text.startswith("before\n## ❌ taskkeep: 3 errors, 0 warnings\n")
    for words in ("**Adds 1**", "**Finishes 1**", "**Changes 1**", "**Deletes 2**", "not &#124; needed &#64;all",
                  "no event says so", "log at `"):  # fmt: skip
        assert words in text, text
    assert "<img" not in text
    assert "](http" not in text
    assert "@team" not in text


def test_the_summary_of_a_good_pull_request(cli: Cli) -> None:
    cli.add("one")
    cli.git("branch", "base")
    cli.add("two")

    assert cli("verify", "--base", "base", "--summary", "summary.md").status == 0

    text = (cli.folder / "summary.md").read_text()
    assert text.startswith("## ✅ taskkeep: 0 errors, 0 warnings\n")
    assert "two" in text


@pytest.mark.parametrize("character", [*"\\`*_{}[]()#+!|~:@/$^=<>&\n\r\x1b\u202e"])
def test_a_character_of_markdown_is_only_a_character(character: str) -> None:
    assert character not in safe(f"a{character}b").replace("&#", "").replace("&lt;", "").replace("&gt;", "").replace(
        "&amp;", ""
    )


def test_history_names_the_first_bad_commit(spoilt: Cli) -> None:
    spoilt.git("commit", "-q", "--allow-empty", "-m", "later")

    result = spoilt("verify", "--history", "--json")

    assert result.status == 1
    assert "by hand" in result.json["checked"]["first_bad"]["subject"]
    commit = result.json["checked"]["first_bad"]["commit"]
    assert result.json["findings"][0]["message"].startswith(f"commit {commit[:12]}: ")
    assert len(result.json["findings"]) == 3
    assert "the first bad commit is" in spoilt("verify", "--history").err


@pytest.mark.parametrize(
    "args",
    [
        ["--base", "base", "--history"],
        ["--staged", "--base", "base"],
        ["--only", ""],
        ["--anchor", "xyz"],
        ["--format", "xml"],
        ["extra"],
    ],
)
def test_what_makes_no_sense_is_said(spoilt: Cli, args: list[str]) -> None:
    result = spoilt("verify", *args)

    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("error: ")


def test_an_anchor_holds_the_log_against_a_head_kept_elsewhere(cli: Cli) -> None:
    cli.add("one")
    [head] = cli("verify", "--json").json["checked"]["heads"]
    cli.add("two")

    assert cli("verify", "--anchor", head).status == 0
    assert cli("verify", "--anchor", head[:16]).status == 0
    cli.git("reset", "-q", "--hard", "HEAD~2")
    result = cli("verify", "--anchor", head, "--json")
    assert (result.status, codes(result)) == (1, ["audit_broken"])


def test_all_backlogs_of_a_repository(cli: Cli) -> None:
    """Each with its own folder in front of its files."""
    (cli.folder / "inner").mkdir()
    assert cli("init", "-C", "inner").status == 0
    cli("add", "of the inner one", "-C", "inner")
    path = cli.folder / "inner" / "backlog.json"
    path.write_bytes(path.read_bytes().replace(b"inner one", b"hand"))

    result = cli("verify", "--all", "--json")

    assert result.status == 1
    assert [checked["prefix"] for checked in result.json["checked"]["backlogs"]] == ["", "inner/"]
    assert {finding["file"] for finding in result.json["findings"]} == {"inner/backlog.json"}
    assert cli("verify", "--json").json["ok"] is True


def test_each_code_has_a_section_in_the_docs() -> None:
    """The page that findings link to."""
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text(encoding="utf-8")

    assert [code for code in CODES if f"\n### {code}\n" not in page] == []

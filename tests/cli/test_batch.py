"""batch: all lines or none, one commit, one answer a line."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from .conftest import Cli


def lines(*operations: Any) -> bytes:
    return "".join(json.dumps(operation) + "\n" for operation in operations).encode()


PLAN = lines(
    {"op": "add", "title": "a", "why": "the first"},
    {"op": "add", "title": "b", "depends_on": ["$1"]},
    {"op": "claim", "id": "$1", "lease": "1h"},
)


def commits(cli: Cli) -> int:
    done = subprocess.run(["git", "rev-list", "--count", "HEAD"], cwd=cli.folder, capture_output=True, check=True)
    return int(done.stdout)


def test_a_batch_is_one_commit_with_one_answer_a_line(cli: Cli) -> None:
    before = commits(cli)
    result = cli("batch", "-", "--why", "the plan", stdin=PLAN)
    rows = [row.split("\t") for row in result.out.splitlines()]
    assert [row[:2] for row in rows] == [["1", "add"], ["2", "add"], ["3", "claim"]]
    assert rows[2][3] == "claim 1"
    assert commits(cli) == before + 1
    whys = {event["task_id"]: event["why"] for event in cli("log", "--json").json["events"]}
    assert (whys[rows[0][2]], whys[rows[1][2]]) == ("the first", "the plan")
    assert cli("verify").status == 0


def test_a_batch_for_programs(cli: Cli) -> None:
    answer = cli("batch", "-", "--json", "--key", "k", stdin=PLAN).json
    assert [row["line"] for row in answer["results"]] == [1, 2, 3]
    assert {task["id"] for task in answer["tasks"]} == {row["id"] for row in answer["results"]}
    again = cli("batch", "-", "--json", "--key", "k", stdin=PLAN).json
    assert again["replayed"] is True
    for name in ("changed", "events", "commit", "results"):
        assert again[name] == answer[name]
    assert cli("batch", "-", "--json", "--key", "k", stdin=PLAN + b'{"op": "claim"}\n').error["code"] == "key_reused"


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (b'{"op": "done", "id": "T9999"}', "task_not_found"),
        (b'{"op": "done", "id": "$7"}', "invalid_input"),
        (b'{"op": "update", "id": "$1", "depends_on": ["$2"]}', "cycle"),
        (b'{"op": "note", "id": "$1", "text": "x", "if_match": "old"}', "stale_etag"),
        (b'{"op": "add", "op": "add", "title": "x"}', "invalid_input"),
        (b'{"op": "add", "title": "x"', "invalid_input"),
        (b'{"op": "add", "title": NaN}', "invalid_input"),
        (b"\xff", "invalid_input"),
        (b"```", "invalid_input"),
    ],
)
def test_one_line_that_fails_leaves_nothing_written(cli: Cli, last: bytes, code: str) -> None:
    """And is named, by its number in the file, blank lines counted."""
    before = cli.bytes, commits(cli)
    error = cli("batch", "-", "--json", stdin=PLAN + b"\n" + last + b"\n").error
    assert (error["code"], error["details"]["line"]) == (code, 5)
    assert (cli.bytes, commits(cli)) == before


def test_a_line_that_names_a_deleted_task_says_so(cli: Cli) -> None:
    gone = cli.add("gone")
    cli("delete", gone, "--why", "done with")
    result = cli("batch", "-", "--json", stdin=json.dumps({"op": "note", "id": gone.lower(), "text": "x"}).encode())
    assert (result.status, result.error["code"]) == (3, "task_not_found")
    assert result.error["message"].startswith(f"line 1: {gone} was deleted at ")
    assert result.error["details"]["deleted"]["why"] == "done with"


def test_a_line_with_an_old_etag_is_told_the_task_as_it_is_and_what_differs(cli: Cli) -> None:
    task_id = cli.add("one")
    old = cli.task(task_id)["etag"]
    cli("start", task_id)
    now = cli.task(task_id)
    before = cli.bytes
    plan = [
        {"op": "add", "title": "not written"},
        {"op": "done", "id": task_id, "if_match": now["etag"]},
        {"op": "note", "id": task_id, "text": "x", "if_match": old},
    ]
    result = cli("batch", "-", "--json", stdin="\n".join(map(json.dumps, plan)).encode())
    details = result.error["details"]
    assert (result.status, result.error["code"], details["line"], details["task"]) == (5, "stale_etag", 3, now)
    assert details["differs"]["status"] == {"from": "todo", "to": "in_progress"}
    assert cli.bytes == before


def test_a_dry_run_says_what_would_be(cli: Cli) -> None:
    before = cli.bytes
    answer = cli("batch", "-", "--json", "--dry-run", stdin=PLAN).json
    assert (answer["changed"], answer["commit"], len(answer["results"])) == (True, None, 3)
    assert cli.bytes == before


def test_the_reason_of_a_line_is_looked_at_for_secrets_too(cli: Cli) -> None:
    key = "AKIA" + "Q7RZLW3N5TXKPV2J"
    line = json.dumps({"op": "add", "title": "x", "why": f"with {key}"}).encode()
    result = cli("batch", "-", "--json", stdin=line)
    assert (result.status, result.error["code"]) == (5, "secret")
    assert key not in result.err

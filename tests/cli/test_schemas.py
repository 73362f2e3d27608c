"""What programs may rely on: every answer and every error object is as its schema says, and nothing more.

A new command needs a row in ``cli/describe.SHAPES`` and one in RUNS below.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from taskkeep.cli.app import COMMANDS
from taskkeep.cli.describe import SHAPES, description
from taskkeep.project import answer_schema, answer_schemas

from .conftest import Cli

PLAN = b'{"op": "add", "title": "x"}\n{"op": "claim", "id": "$1"}\n'
# Command lines for each command, on a backlog where ONE is a task to do, TWO one that depends on it,
# HELD is claimed and OLD is done; with what stands on stdin. BACKUP is a snapshot, rewritten.json all tasks
# with another title each; the branch `there`, which this one follows, has one task more.
RUNS: dict[str, list[tuple[list[str], bytes]]] = {
    "add": [(["title", "-l", "a", "--key", "k"], b""), (["title", "--dry-run"], b""), (["-"], b'{"title": "x"}')],
    "update": [(["ONE", "-p", "high", "--set", "k=[1]"], b""), (["ONE", "-p", "medium"], b"")],
    "edit": [(["ONE"], b"")],
    "note": [(["ONE", "text", "--no-commit"], b"")],
    "start": [(["ONE,TWO"], b"")],
    "done": [(["ONE"], b"")],
    "cancel": [(["ONE"], b"")],
    "block": [(["ONE"], b"")],
    "reopen": [(["OLD"], b"")],
    "claim": [([], b""), (["ONE", "--lease", "1h"], b""), (["HELD"], b""), (["ONE", "--dry-run"], b"")],
    "release": [(["HELD", "--claim", "1"], b"")],
    "batch": [(["-"], PLAN), (["-", "--key", "k"], PLAN), (["-", "--dry-run"], PLAN)],
    "delete": [(["ONE", "--unlink", "--why", "test"], b"")],
    "list": [(["--all"], b""), (["--fields", "id,etag"], b""), (["--limit", "1"], b""), (["--at", "BACKUP"], b"")],
    "ready": [([], b"")],
    "search": [(["task"], b"")],
    "show": [(["ONE"], b""), (["ONE,OLD"], b""), (["ONE", "--at", "HEAD"], b"")],
    "log": [([], b""), (["HELD"], b"")],
    "diff": [([], b""), (["BACKUP"], b""), (["HEAD~3..HEAD", "--exit-code"], b"")],
    "blame": [(["ONE"], b"")],
    "status": [([], b"")],
    "undo": [(["--key", "k"], b""), (["--dry-run"], b"")],
    "restore": [(["--at", "BACKUP", "--key", "k"], b""), (["HELD", "--at", "HEAD~4"], b"")],
    "backups": [
        ([], b""),
        (["show", "BACKUP"], b""),
        (["create", "--dry-run"], b""),
        (["create", "--why", "test"], b""),
        (["prune"], b""),
    ],
    "init": [(["--dry-run", "-C", "fresh"], b""), (["-C", "fresh"], b"")],
    "archive": [(["--older-than", "0d"], b"")],
    "import": [(["-", "--from", "json"], b'[{"title": "x", "status": "nearly"}]')],
    "adopt": [([], b"")],
    "apply": [(["rewritten.json", "--dry-run"], b""), (["rewritten.json", "--key", "k"], b"")],
    "verify": [([], b"")],
    "recover": [([], b"")],
    "doctor": [([], b"")],
    "merge": [(["there", "--dry-run"], b""), (["there"], b"")],
    "sync": [(["--dry-run"], b""), ([], b"")],
    "conflicts": [([], b"")],
    "resolve": [],  # see below: it needs an open merge
    "merge-driver": [(["backlog.json", "rewritten.json", "backlog.json", "backlog.json"], b"")],
    "prime": [([], b""), (["--budget", "100", "-C", "fresh"], b"")],
    "schema": [([], b""), (["saved"], b"")],
    "completion": [(["bash"], b"")],
    "agents": [([], b""), (["install", "claude", "--dry-run"], b""), (["install", "claude"], b"")],
    "setup": [(["git-hook"], b""), (["git-hook"], b"")],
    "uninstall": [([], b"")],
    "demo": [([], b"")],
}
FAILURES: list[tuple[list[str], bytes, str]] = [
    (["lst"], b"", "usage"),
    (["list", "--nope"], b"", "usage"),
    (["show"], b"", "usage"),
    (["show", "T9999"], b"", "task_not_found"),
    (["update", "ONE", "--check", "3"], b"", "criterion_not_found"),
    (["claim", "--label", "nobody"], b"", "nothing_ready"),
    (["add", "x", "--due", "soon"], b"", "invalid_field"),
    (["add", "-"], b'{"title": "x", "colour": 1}', "unknown_field"),
    (["add", "-"], b"```json", "invalid_input"),
    (["add", "x", "--depends-on", "T9999"], b"", "dangling_link"),
    (["update", "ONE", "--depends-on", "TWO"], b"", "cycle"),
    (["done", "TWO"], b"", "task_blocked"),
    (["delete", "ONE", "--why", "x"], b"", "task_needed"),
    (["done", "ONE", "--if-match", "old"], b"", "stale_etag"),
    (["done", "HELD", "--actor", "editor"], b"", "claimed"),
    (["done", "HELD", "--claim", "7"], b"", "stale_claim"),
    (["claim", "OLD"], b"", "task_finished"),
    (["start", "ONE,TWO", "--if-match", "x"], b"", "one_task_only"),
    (["batch", "-"], b'{"op": "done", "id": "$1"}', "invalid_input"),
    (["batch", "-"], b'{"op": "add", "title": "x", "depends_on": ["T9999"]}', "dangling_link"),
    (["init"], b"", "already_initialised"),
    (["undo", "abcd1234"], b"", "unknown_point"),
    (["undo", "--actor", "nobody"], b"", "nothing_to_undo"),
    (["restore", "--at", "2001-01-01"], b"", "before_first_change"),
    (["restore"], b"", "usage"),
    (["restore", "--at", "2999-01-01"], b"", "bad_point"),
    (["add", "x", "-d", "key: AKIA" + "Q7RZLW3N5TXKPV2J"], b"", "secret"),
    (["import", "nothing.json", "--from", "json"], b"", "not_found"),
    (["show", "TWO", "--at", "HEAD~6"], b"", "task_not_then"),
    (["apply", "-"], b'{"version": 1, "tasks": []}', "lost_task"),
    (["schema", "nope"], b"", "not_found"),
]


@pytest.fixture
def filled(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A small backlog; the ids of its tasks by what RUNS calls them."""
    monkeypatch.setenv("EDITOR", "true")
    one = cli.add("task one", "--accept", "works", "-d", "text")
    ids = {"ONE": one, "TWO": cli.add("task two", "--depends-on", one), "HELD": cli.add("h"), "OLD": cli.add("o")}
    assert cli("claim", ids["HELD"]).status == 0
    assert cli("done", ids["OLD"], "--why", "test").status == 0
    backup = cli("backups", "--json").json["backups"][0]["name"]
    cli.git("checkout", "-q", "-b", "there")
    cli.add("there")
    cli.git("checkout", "-q", "main")
    for name, value in (
        ("remote.self.url", "."),
        ("branch.main.remote", "self"),
        ("branch.main.merge", "refs/heads/there"),
    ):
        cli.git("config", name, value)
    cli.git("config", "remote.self.fetch", "+refs/heads/*:refs/remotes/self/*")
    (cli.folder / "fresh").mkdir()
    (cli.folder / "rewritten.json").write_bytes(cli.bytes.replace(b'"title": "', b'"title": "new '))
    return {**ids, "BACKUP": backup}


def named(args: list[str], ids: dict[str, str]) -> list[str]:
    return [",".join(ids.get(part, part) for part in arg.split(",")) for arg in args]


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(strict(answer_schema(name)))


def strict(schema: Any) -> Any:
    """The schema with no property allowed that it does not name: what is printed shall be documented."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result


def check(name: str, answer: Any) -> None:
    found = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator(name).iter_errors(answer)]
    assert not found, f"schemas/answers/{name}.schema.json: {found}"


def test_every_command_has_a_shape_and_is_run_here() -> None:
    """The names are those of commands that lack one."""
    assert sorted(COMMANDS.keys() - SHAPES.keys()) == []
    assert sorted(COMMANDS.keys() - {name for name, shape in SHAPES.items() if shape is None} - RUNS.keys()) == []
    assert sorted({shape for shape in SHAPES.values() if shape} - set(answer_schemas())) == []
    assert sorted((SHAPES.keys() | RUNS.keys()) - COMMANDS.keys()) == []


def test_the_page_on_json_has_a_row_for_every_command() -> None:
    """A writer that answers as all of them do needs none of its own."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    rows = "".join(line for line in page.splitlines() if line.startswith("|"))
    wanted = {name for name, shape in SHAPES.items() if shape not in (None, "saved")}
    assert sorted(name for name in wanted if f"`{name}" not in rows) == []


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() & RUNS.keys()))
def test_what_a_command_prints_is_as_its_schema_says(cli: Cli, filled: dict[str, str], name: str) -> None:
    """Nothing on stderr, one object on stdout; a second time with the same key as well."""
    for args, stdin in RUNS[name]:
        for _ in range(2 if "--key" in args else 1):
            result = cli(name, *named(args, filled), "--json", stdin=stdin)
            assert (result.status in (0, 1), result.err) == (True, ""), args
            if (shape := SHAPES[name]) == "schema":
                Draft202012Validator.check_schema(result.json)
            elif shape:
                check(shape, result.json)


@pytest.mark.parametrize(("args", "stdin", "code"), FAILURES, ids=[" ".join(row[0]) for row in FAILURES])
def test_an_error_is_as_its_schema_says(
    cli: Cli, filled: dict[str, str], args: list[str], stdin: bytes, code: str
) -> None:
    before = cli.bytes
    result = cli(*named(args, filled), "--json", stdin=stdin)
    check("error", json.loads(result.err))
    assert (result.out, result.error["code"], result.error["exit"]) == ("", code, result.status)
    assert cli.bytes == before


def test_the_description_of_the_commands_is_made_from_the_program(cli: Cli) -> None:
    answer = cli("schema", "commands").json
    check("commands", answer)
    assert [entry["name"] for entry in answer["commands"]] == list(COMMANDS)
    update = next(entry for entry in answer["commands"] if entry["name"] == "update")
    label = next(option for option in update["options"] if option["name"] == "--label")
    assert label["spellings"] == ["-l", "--label", "--labels", "--add-label"]
    assert label["repeats"]
    assert update["answer"] == "saved"
    assert 6 in update["exits"]


def test_a_retry_whose_task_is_gone_is_as_its_schema_says(cli: Cli) -> None:
    for shape, args in (("added", ["add", "x", "--key", "a"]), ("claimed", ["claim", "--key", "c"])):
        first = cli(*args, "--json").json
        check(shape, first)
        if shape == "claimed":
            cli("delete", first["task"]["id"], "--why", "test")
            check(shape, cli(*args, "--json").json)
            assert cli(*args, "--json").json["task"] is None


def test_every_code_of_an_error_is_in_the_description() -> None:
    codes = {entry["code"] for entry in description()["errors"]}
    assert {code for _, _, code in FAILURES} <= codes
    assert len(codes) == len(description()["errors"])


@pytest.mark.parametrize("name", answer_schemas())
def test_a_schema_is_one_and_stands_alone(cli: Cli, name: str) -> None:
    """So that a program needs no other file to use it."""
    if name == "commands":
        return
    text = cli("schema", name).out
    Draft202012Validator.check_schema(json.loads(text))
    assert ".schema.json#" not in text


def test_a_hand_edit_that_was_adopted_is_answered_as_its_schema_says(cli: Cli, filled: dict[str, str]) -> None:
    (cli.folder / "backlog.json").write_bytes(cli.bytes.replace(b'"task one"', b'"task 1"'))
    for args in (["add", "x"], ["list"], ["status"], ["diff"], ["verify"], ["recover"], ["adopt", "--why", "test"]):
        result = cli(*args, "--json")
        shape = SHAPES[args[0]]
        assert shape is not None
        check("error" if result.err else shape, json.loads(result.err or result.out))
    assert cli.task(filled["ONE"])["title"] == "task 1"


def test_an_open_merge_is_answered_as_its_schema_says(cli: Cli, filled: dict[str, str]) -> None:
    one, two = filled["ONE"], filled["TWO"]
    cli.git("checkout", "-q", "there")
    cli("update", one, "--title", "theirs", "--set", "k=1")
    cli("delete", two, "--why", "test")
    cli.git("checkout", "-q", "main")
    cli("update", one, "--title", "ours", "--set", "k=2")
    cli("note", two, "still needed")

    check("merged", cli("merge", "there", "--dry-run", "--json").json)
    result = cli("merge", "there", "--json")
    assert (result.status, result.out) == (5, "")
    check("error", json.loads(result.err))
    answer = cli("conflicts", "--json").json
    check("conflicts", answer)
    assert {found["field"] for found in answer["conflicts"]} == {"title", "metadata.k", None}
    for args in ([one, "title", "--value", "both"], ["--all", "--ours", "--dry-run"], ["--all", "--newest"]):
        check("resolved", cli("resolve", *args, "--json").json)
    assert cli("conflicts", "--json").json["conflicts"] == []

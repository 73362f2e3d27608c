"""A task is reached by an alias too, and every command says which task that was."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture
def aliased(cli: Any) -> tuple[Any, str]:
    """A backlog, and a task of it that is called OLD-7 as well."""
    task = {"id": "a", "title": "Known by two names", "aliases": ["OLD-7"]}
    (cli.folder / "theirs.json").write_text(json.dumps({"tasks": [task]}))
    made = cli("import", "theirs.json", "--from", "json", "--json").json["tasks"]
    return cli, made[0]["id"]


@pytest.mark.parametrize("command", ["show", "log", "blame", "show --at HEAD", "restore --at HEAD"])
def test_a_reader_says_which_task_bears_the_alias(aliased: tuple[Any, str], command: str) -> None:
    cli, task_id = aliased
    name, *rest = command.split()

    result = cli(name, "old-7", *rest)

    assert result.status == 0
    assert f"warning: OLD-7 is an alias of {task_id}\n" in result.err
    assert cli(name, task_id, *rest).err.count("alias") == 0


@pytest.mark.parametrize("command", ["show", "log", "blame"])
def test_a_program_finds_it_among_the_warnings(aliased: tuple[Any, str], command: str) -> None:
    cli, task_id = aliased

    assert cli(command, "OLD-7", "--json").json["warnings"] == [f"OLD-7 is an alias of {task_id}"]
    assert "warnings" not in cli(command, task_id, "--json").json


@pytest.mark.parametrize("command", ["list", "ready", "list --ready", "search part"])
def test_parts_are_listed_by_an_alias_of_the_whole_and_it_is_said(aliased: tuple[Any, str], command: str) -> None:
    cli, task_id = aliased
    part = cli.add("A part", "--parent", task_id)

    said = f"OLD-7 is an alias of {task_id}"
    told = cli(*command.split(), "--parent", "old-7", "--format", "ids")
    assert (told.out, told.err) == (f"{part}\n", f"warning: {said}\n")
    assert cli(*command.split(), "--parent", "old-7", "--json").json["warnings"] == [said]
    assert "warnings" not in cli(*command.split(), "--parent", task_id, "--json").json


def test_of_an_id_that_is_an_alias_of_another_task_too_that_one_is_named(cli: Any) -> None:
    """Whichever of the two was meant, the other is not far."""
    task_id = cli.add("Bears the id")
    task = {"id": "a", "title": "Bears the alias", "aliases": [task_id]}
    (cli.folder / "theirs.json").write_text(json.dumps({"tasks": [task]}))
    [other] = cli("import", "theirs.json", "--from", "json", "--json").json["tasks"]

    shown = cli("show", task_id)

    assert "Bears the id" in shown.out
    assert shown.err == f"warning: {task_id} is also an alias of {other['id']}\n"


def test_deleting_by_an_alias_deletes_the_task_that_bears_it_and_names_it(aliased: tuple[Any, str]) -> None:
    cli, task_id = aliased
    cli.add("Another")

    result = cli("delete", "OLD-7", "--why", "a duplicate")

    assert result.out == f"deleted {task_id}\n"
    assert result.err == f"warning: OLD-7 is an alias of {task_id}\n"
    assert [task["title"] for task in cli("list", "--json").json["tasks"]] == ["Another"]
    assert cli("log", task_id, "--json").json["events"][0]["event_type"] == "task_deleted"


def test_for_programs_a_deletion_names_the_ids_also_when_it_is_sent_again(aliased: tuple[Any, str]) -> None:
    cli, task_id = aliased
    asked = ("delete", "OLD-7", "--why", "a duplicate", "--key", "k", "--json")

    assert cli(*asked, "--dry-run").json["deleted"] == [task_id]
    assert cli(*asked).json["deleted"] == [task_id]
    again = cli(*asked).json
    assert (again["deleted"], again["replayed"]) == ([task_id], True)


def test_a_deletion_sent_twice_never_reaches_a_namesake(cli: Any) -> None:
    """Two branches drew one id: the second task has it as an alias, and is not what was to be deleted."""
    task_id = cli.add("The first")
    task = {"id": "a", "title": "The second", "aliases": [task_id]}
    (cli.folder / "theirs.json").write_text(json.dumps({"tasks": [task]}))
    [other] = cli("import", "theirs.json", "--from", "json", "--json").json["tasks"]
    assert cli("delete", task_id, "--why", "done elsewhere").status == 0

    again = cli("delete", task_id, "--why", "done elsewhere")

    assert again.status == 3
    assert again.err.startswith(f"error: {task_id} was deleted at ")
    assert f"hint: {other['id']} has {task_id} as an alias" in again.err
    assert cli("note", task_id, "is free").err == f"warning: {task_id} is an alias of {other['id']}\n"
    assert cli("delete", other["id"], "--why", "meant").status == 0

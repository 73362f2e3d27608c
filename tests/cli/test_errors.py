"""Every error is one line and a hint, with the exit status of its kind, and nothing is written."""

from __future__ import annotations

import json

import pytest

from taskkeep.cli import main

from .conftest import Cli


@pytest.mark.parametrize(
    ("args", "nearest"),
    [
        (["lst"], "list"),
        (["updaet"], "update"),
        (["list", "--statsu", "todo"], "--status"),
        (["add", "x", "--priorty", "high"], "--priority"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(empty: Cli, args: list[str], nearest: str) -> None:
    result = empty(*args)
    assert result.status == 2
    assert result.err.splitlines()[1] == f"hint: Did you mean {nearest}?"


@pytest.mark.parametrize(
    "args",
    [
        ["frobnicate"],
        ["list", "--frobnicate"],
        ["list", "surplus"],
        ["list", "--limit", "many"],
        ["list", "--limit", "-1"],
        ["list", "--sort", "colour"],
        ["list", "--since", "yesterday-ish"],
        ["list", "--fields", "titel"],
        ["list", "--format", "xml"],
        ["list", "--quiet", "--format", "markdown"],
        ["list", "--status", ","],
        ["show"],
        ["show", ","],
        ["add"],
        ["add", "a", "title", "in", "words"],
        ["add", "x", "--set", "novalue"],
        ["add", "x", "--wait", "nan"],
        ["add", "x", "-d", "-", "--why", "-"],
        ["update"],
        ["update", "T0001"],
        ["update", "T0001", "--check", "x"],
        ["update", "T0001", "--due", "2027-01-01", "--unset", "due"],
        ["note", "T0001"],
        ["delete", "T0001"],
        ["delete", "T0001", "--why", " "],
        ["edit", "T0001,T0002"],
        ["completion", "tcsh"],
    ],
)
def test_a_command_line_that_makes_no_sense_exits_2(cli: Cli, args: list[str]) -> None:
    """With a message for people, and one for programs."""
    before = cli.bytes
    result = cli(*args)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert len(result.err.splitlines()) <= 2
    error = cli(*args, "--json").error
    assert error["code"] == "usage"
    assert error["exit"] == 2
    assert cli.bytes == before


def test_an_error_object_has_exactly_these_keys(empty: Cli) -> None:
    result = empty("list", "--json")
    assert (result.status, result.out) == (3, "")
    value = json.loads(result.err)
    assert list(value) == ["schema_version", "error"]
    assert list(value["error"]) == ["code", "message", "hint", "exit", "retryable", "details"]
    assert value["error"]["code"] == "no_backlog"


@pytest.mark.parametrize("title", ["", "\t", "\x1b"])
def test_an_error_without_a_hint_of_its_own_has_that_of_its_kind(cli: Cli, title: str) -> None:
    """There is always a line that says what to do now, the same one in both forms."""
    lines = cli("add", title).err.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["error:", "hint:"]
    assert lines[1] == f"hint: {cli('add', title, '--json').error['hint']}"


def test_where_a_file_of_another_program_stands_init_is_not_advised(cli: Cli) -> None:
    """It would refuse: a backlog is made elsewhere, and import takes the file in."""
    (cli.folder / "other" / "below").mkdir(parents=True)
    (cli.folder / "other" / ".git").mkdir()
    (cli.folder / "other" / "backlog.json").write_text("[]")
    for folder in ("other", "other/below"):
        error = cli("list", "-C", folder, "--json").error
        assert error["code"] == "no_backlog"
        assert "in another folder" in error["hint"]
        assert "taskkeep import" in error["hint"]


def test_a_folder_that_is_not_there_is_told_by_where_it_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "-C" in cli("list", "-C", "nowhere").err
    monkeypatch.setenv("TASKKEEP_DIR", "nowhere")
    assert "TASKKEEP_DIR" in cli("list").err


def test_the_environment_asks_for_json_too(empty: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKKEEP_FORMAT", "json")
    assert empty("lst").error["exit"] == 2
    assert empty("list").error["exit"] == 3


@pytest.mark.parametrize("flag", ["--json", "--format=json"])
@pytest.mark.parametrize("before", [True, False])
def test_global_options_stand_before_or_after_the_command(empty: Cli, flag: str, before: bool) -> None:
    result = empty(flag, "list") if before else empty("list", flag)
    assert result.error["code"] == "no_backlog"


def test_what_the_user_typed_is_shown_escaped(cli: Cli) -> None:
    """An argument cannot speak to the terminal through an error."""
    for args in (["\x1b[31mred"], ["show", "T\x1b[31m"], ["list", "--\x1b[2J"], ["add", "a\x1b[0m"]):
        result = cli(*args)
        assert result.status in (2, 3, 4)
        assert "\x1b" not in result.err


def test_arguments_that_are_no_utf8_are_refused(cli: Cli) -> None:
    assert cli("add", "\udcff").status == 4
    assert cli("add", "x", "--why", "\udc80").status == 4


def test_stdin_that_is_no_utf8_is_refused(cli: Cli) -> None:
    before = cli.bytes
    assert cli("add", "x", "-d", "-", stdin=b"\xff").status == 4
    assert cli("add", "-", stdin=b"\xff").status == 4
    assert cli.bytes == before


def test_a_bug_is_one_line_and_70(empty: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """--debug shows where; with --json inside the object."""

    def broken(args: object) -> int:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr(main, "_dispatch", broken)
    result = empty("list")
    assert result.status == 70
    assert result.err.splitlines()[0] == "error: a bug in taskkeep: ZeroDivisionError: a\\nb"
    assert "Traceback" not in result.err
    assert "Traceback" in empty("list", "--debug").err
    error = empty("list", "--debug", "--json").error
    assert (error["code"], error["exit"]) == ("internal", 70)
    assert "Traceback" in error["details"]["traceback"]


@pytest.mark.parametrize("order", [["--git", "--no-git"], ["--no-git", "--git"]])
def test_init_with_and_without_git_is_refused(empty: Cli, order: list[str]) -> None:
    """Whichever stands last."""
    result = empty("init", *order)
    assert (result.status, list(empty.folder.iterdir())) == (2, [])
    assert result.err.startswith("error: --git and --no-git exclude each other\n")


def test_an_interrupt_exits_130(empty: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "_dispatch", interrupted)
    assert empty("list").status == 130
    assert empty("list", "--json").error["code"] == "interrupted"


def test_what_the_system_refuses_exits_7(empty: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(args: object) -> int:
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr(main, "_dispatch", refused)
    result = empty("list")
    assert result.status == 7
    assert result.err.startswith("error: Permission denied: /some/file\n")

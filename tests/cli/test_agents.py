"""agents, setup git-hook and uninstall: what goes into a repository for others, and comes out again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taskkeep.store.setup.agents import AGENTS, Agent, skill_text

from .conftest import Cli

INSTALLED = {"AGENTS.md", "CLAUDE.md", ".claude/skills/taskkeep/SKILL.md", ".claude/settings.json"}


def git(cli: Cli, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *args], cwd=cli.folder, env={**os.environ, **env}, capture_output=True, text=True)


def files(cli: Cli) -> dict[str, bytes]:
    """All files of the working tree but taskkeep's own."""
    return {
        str(path.relative_to(cli.folder)): path.read_bytes()
        for path in sorted(cli.folder.rglob("*"))
        if path.is_file() and path.relative_to(cli.folder).parts[0] not in (".git", ".taskkeep")
    }


def write(cli: Cli, name: str, text: str) -> None:
    path = cli.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# -- agents ------------------------------------------------------------------------------


def test_an_agent_is_set_up_and_taken_out_again(cli: Cli) -> None:
    """The difference is shown, a second time nothing is to do, and the way back leaves no trace."""
    before = files(cli)
    head = git(cli, "rev-parse", "HEAD").stdout

    shown = cli("agents", "install", "claude", "--dry-run")
    assert (shown.status, files(cli)) == (0, before)
    done = cli("agents", "install", "claude")
    assert (done.status, done.out) == (0, shown.out)
    assert "+++ AGENTS.md" in done.out
    assert files(cli).keys() - before.keys() == INSTALLED
    assert git(cli, "rev-parse", "HEAD").stdout == head
    again = cli("agents", "install", "claude", "--json").json
    assert (again["changed"], again["difference"]) == (False, "")
    assert {file["path"]: file["action"] for file in again["files"]} == dict.fromkeys(INSTALLED, "unchanged")

    assert cli("agents", "install", "claude", "--remove").status == 0
    assert files(cli) == before
    assert not (cli.folder / ".claude").exists()


def test_an_agents_own_files_are_whole_and_laid_out_as_people_write_them(cli: Cli) -> None:
    """The skill with the head that an agent knows it by, the settings a key a line."""
    cli("agents", "install", "claude")
    settings = (cli.folder / ".claude" / "settings.json").read_text(encoding="utf-8")

    assert (cli.folder / ".claude" / "skills" / "taskkeep" / "SKILL.md").read_text(encoding="utf-8") == skill_text()
    assert settings == json.dumps(json.loads(settings), indent=2) + "\n"


def test_without_a_name_only_the_common_file_is_written(cli: Cli) -> None:
    answer = cli("agents", "install", "--json").json
    assert [(file["path"], file["action"]) for file in answer["files"]] == [("AGENTS.md", "created")]


def test_what_stands_around_our_lines_stays(cli: Cli) -> None:
    write(cli, "AGENTS.md", "# Rules\r\n\r\nBe brief.")
    write(cli, "CLAUDE.md", "Own words.\n")
    write(cli, ".claude/settings.json", '{"permissions": {"allow": ["Bash(ls)"]},\n "model": "x"}\n')
    write(cli, ".claude/skills/other/SKILL.md", "other")
    before = files(cli)

    cli("agents", "install", "claude")
    assert (cli.folder / "CLAUDE.md").read_text().startswith("Own words.\n<!-- >>> taskkeep")
    cli("agents", "install", "--remove")
    assert files(cli) == before


def test_the_common_file_stays_while_another_agent_is_set_up(cli: Cli) -> None:
    cli("agents", "install", "claude", "gemini")
    cli("agents", "install", "claude", "--remove")
    assert files(cli).keys() == {".gitattributes", "backlog.json", "AGENTS.md", "GEMINI.md"}
    cli("agents", "install", "gemini", "--remove")
    assert files(cli).keys() == {".gitattributes", "backlog.json"}


def test_one_file_by_two_names_gets_the_lines_once(cli: Cli) -> None:
    write(cli, "AGENTS.md", "rules\n")
    (cli.folder / "CLAUDE.md").symlink_to("AGENTS.md")
    cli("agents", "install", "claude")
    assert (cli.folder / "AGENTS.md").read_text().count(">>> taskkeep >>>") == 1
    assert (cli.folder / "CLAUDE.md").is_symlink()
    cli("agents", "install", "claude", "--remove")
    assert (cli.folder / "AGENTS.md").read_text() == "rules\n"


def test_a_file_that_takes_the_common_one_in_is_left(cli: Cli) -> None:
    write(cli, "CLAUDE.md", "@AGENTS.md\n")
    cli("agents", "install", "claude")
    assert (cli.folder / "CLAUDE.md").read_text() == "@AGENTS.md\n"


def test_nothing_is_written_where_one_file_cannot_be(cli: Cli, tmp_path: Path) -> None:
    for name, text in ((".claude/settings.json", "{ // comment\n}"), ("CLAUDE.md", "<!-- >>> taskkeep >>> -->\n")):
        write(cli, name, text)
        before = files(cli)
        result = cli("agents", "install", "claude", "--json")
        assert (result.status, result.error["code"]) == (5, "foreign_file")
        assert files(cli) == before
        (cli.folder / name).unlink()
    outside = cli.folder.parent / "elsewhere"
    outside.mkdir()
    (cli.folder / "AGENTS.md").symlink_to(outside / "AGENTS.md")
    assert cli("agents", "install").status == 5
    assert not list(outside.iterdir())


def test_wrong_words_are_named(cli: Cli) -> None:
    for args in (["instal"], ["install", "emacs"], ["list", "claude"], ["guard", "--remove"]):
        assert cli("agents", *args).status == 2
    assert "claude" in cli("agents", "install", "emacs").err


def test_a_further_agent_is_one_row(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Agent("acme", "ACME.md", settings=".acme/hooks.json", hooks={"Start": (None, "taskkeep prime")})
    monkeypatch.setattr("taskkeep.store.setup.agents.AGENTS", (*AGENTS, row))
    assert cli("agents", "install", "acme").status == 0
    assert json.loads((cli.folder / ".acme" / "hooks.json").read_text())["hooks"].keys() == {"Start"}
    assert "acme\tinstalled" in cli("agents").out


def test_the_hooks_that_are_installed_run(cli: Cli) -> None:
    """As the agent would run them: by a shell, with the event on stdin, from the folder of the project."""
    cli("agents", "install", "claude")
    hooks = json.loads((cli.folder / ".claude" / "settings.json").read_text())["hooks"]
    [guard] = hooks["PreToolUse"][0]["hooks"]
    [start] = hooks["SessionStart"][0]["hooks"]
    event = {"hook_event_name": "PreToolUse", "cwd": str(cli.folder), "tool_name": "Write"}

    def run(command: str, tool_input: dict[str, Any], path: str) -> subprocess.CompletedProcess[str]:
        given = json.dumps({**event, "tool_input": tool_input})
        env = {**os.environ, "PATH": path}
        return subprocess.run(["/bin/sh", "-c", command], input=given, env=env, capture_output=True, text=True)

    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    refused = run(guard["command"], {"file_path": str(cli.folder / "backlog.json"), "content": "\ud800"}, path)
    answer = json.loads(refused.stdout)["hookSpecificOutput"]
    assert (answer["hookEventName"], answer["permissionDecision"]) == ("PreToolUse", "deny")
    assert "taskkeep update" in answer["permissionDecisionReason"]
    for tool_input, where in (({"file_path": "x.py"}, path), ({"file_path": "backlog.json"}, "/nowhere")):
        passed = run(guard["command"], tool_input, where)
        assert (passed.returncode, passed.stdout) == (0, "")
    assert run(start["command"], {}, path).stdout.startswith("taskkeep: 0 open")
    without = run(start["command"], {}, "/nowhere")
    assert (without.returncode, without.stdout, without.stderr) == (0, "", "")


@pytest.mark.parametrize("stdin", [b"", b"[]", b'{"tool_input": 3}', b"{" * 5000])
def test_the_guard_says_when_it_does_not_understand(cli: Cli, stdin: bytes) -> None:
    """Neither allowed nor denied by us: an agent goes on, and shows what we said."""
    result = cli("agents", "guard", stdin=stdin)
    assert (result.status, result.out) == (4, "")


# -- the hook of git ---------------------------------------------------------------------


def test_the_hook_is_put_before_the_users_own_lines_and_taken_out_again(cli: Cli) -> None:
    hook = cli.folder / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    own = "#!/bin/bash\necho own >> ran\nexit 0\n"
    hook.write_text(own)
    hook.chmod(0o755)

    assert cli("setup", "git-hook").status == 0
    assert cli("setup", "git-hook", "--json").json["changed"] is False
    assert hook.read_text().startswith("#!/bin/bash\n# >>> taskkeep >>>\n")
    assert hook.stat().st_mode & 0o777 == 0o755
    write(cli, "x", "x")
    git(cli, "add", "x")
    assert git(cli, "commit", "-qm", "x").returncode == 0
    assert (cli.folder / "ran").read_text() == "own\n"

    assert cli("setup", "git-hook", "--remove").status == 0
    assert hook.read_text() == own
    assert cli("setup", "git-hook", "--remove", "--json").json["changed"] is False


def test_a_hook_of_ours_alone_goes_with_its_file(cli: Cli) -> None:
    hook = cli.folder / ".git" / "hooks" / "pre-commit"
    cli("setup", "git-hook")
    assert os.access(hook, os.X_OK)
    cli("setup", "git-hook", "--remove")
    assert not hook.exists()
    assert hook.parent.exists()


def test_the_hook_lies_where_git_looks_for_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    git(cli, "config", "core.hooksPath", "tools/hooks")
    cli("setup", "git-hook")
    assert (cli.folder / "tools" / "hooks" / "pre-commit").exists()
    cli("setup", "git-hook", "--remove")
    git(cli, "config", "--unset", "core.hooksPath")
    git(cli, "commit", "--allow-empty", "-qm", "x")
    git(cli, "worktree", "add", "-q", "linked")
    assert cli("-C", "linked", "setup", "git-hook").status == 0
    assert (cli.folder / ".git" / "hooks" / "pre-commit").exists()


def test_a_folder_of_hooks_below_the_home_is_the_one_that_git_means(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    git(cli, "config", "core.hooksPath", "~/hooks")
    cli("setup", "git-hook")
    assert (tmp_path / "hooks" / "pre-commit").exists()


def test_a_hook_in_another_language_is_left_alone(cli: Cli) -> None:
    hook = cli.folder / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/usr/bin/env python3\n")
    result = cli("setup", "git-hook", "--json")
    assert (result.status, result.error["code"]) == (5, "foreign_file")
    assert "verify --staged" in result.error["hint"]
    assert hook.read_text() == "#!/usr/bin/env python3\n"


def test_a_hook_that_is_switched_off_stays_off(cli: Cli) -> None:
    hook = cli.folder / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o644)
    result = cli("setup", "git-hook")
    assert "passes it over" in result.err
    assert hook.stat().st_mode & 0o777 == 0o644


def test_outside_of_git_there_are_no_hooks(empty: Cli) -> None:
    empty("init", "--no-git")
    assert empty("setup", "git-hook").status == 7
    assert empty("uninstall").status == 0
    assert empty("setup", "editor").status == 2


def test_uninstall_takes_all_of_it_out(cli: Cli) -> None:
    hooks = sorted((cli.folder / ".git" / "hooks").iterdir())
    cli("agents", "install", "claude")
    cli("setup", "git-hook")
    removed = cli("uninstall", "--json").json["removed"]
    assert set(removed) >= {*INSTALLED, ".git/hooks/pre-commit"}
    assert files(cli).keys() == {"backlog.json"}
    assert sorted((cli.folder / ".git" / "hooks").iterdir()) == hooks
    assert cli("uninstall", "--json").json["removed"] == []


# -- what the hook does ------------------------------------------------------------------


@pytest.fixture
def hooked(cli: Cli) -> tuple[Cli, dict[str, str]]:
    """A backlog with a task and the hook, and the environment in which git finds the program."""
    task_id = cli.add("one")
    assert cli("setup", "git-hook").status == 0
    return cli, {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "ID": task_id}


def spoil(cli: Cli, task_id: str) -> None:
    """Take a task out of the file by hand."""
    path = cli.folder / "backlog.json"
    value = json.loads(path.read_text())
    value["tasks"] = [task for task in value["tasks"] if task["id"] != task_id]
    path.write_text(json.dumps(value, indent=2) + "\n")


def test_a_commit_that_loses_a_task_is_stopped(hooked: tuple[Cli, dict[str, str]]) -> None:
    """However it is staged; and one that stages nothing of the backlog goes through beside it."""
    cli, env = hooked
    head = git(cli, "rev-parse", "HEAD").stdout
    spoil(cli, env["ID"])
    for args in (["commit", "-am", "x"], ["commit", "-m", "x", "--", "backlog.json"]):
        stopped = git(cli, *args, **env)
        assert (stopped.returncode, "lost_task" in stopped.stdout + stopped.stderr) == (1, True)
    assert git(cli, "rev-parse", "HEAD").stdout == head
    write(cli, "code.py", "x = 1\n")
    git(cli, "add", "code.py")
    assert git(cli, "commit", "-m", "code", **env).returncode == 0


def test_a_commit_of_what_taskkeep_saved_goes_through(hooked: tuple[Cli, dict[str, str]]) -> None:
    cli, env = hooked
    assert cli("done", env["ID"], "--no-commit").status == 0
    git(cli, "add", "-A")
    done = git(cli, "commit", "-m", "by hand", **env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_the_program_the_hook_says_so_and_passes(hooked: tuple[Cli, dict[str, str]], tmp_path: Path) -> None:
    cli, env = hooked
    bare = tmp_path / "bin"
    bare.mkdir()
    for tool in ("git", "sh"):
        found = subprocess.run(["which", tool], capture_output=True, text=True, check=True).stdout.strip()
        (bare / tool).symlink_to(found)
    spoil(cli, env["ID"])
    done = git(cli, "commit", "-am", "x", PATH=str(bare))
    assert (done.returncode, "was not checked" in done.stderr) == (0, True)


def test_each_backlog_of_a_repository_has_its_own_lines(cli: Cli) -> None:
    """Also below a folder whose name a shell would take apart."""
    folder = cli.folder / "it's $(x)"
    folder.mkdir()
    assert cli("-C", str(folder), "init").status == 0
    [task_id] = cli("-C", str(folder), "add", "two").out.split()
    for where in (str(cli.folder), str(folder)):
        assert cli("-C", where, "setup", "git-hook").status == 0
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    spoil(Cli(folder, None, None), task_id)  # type: ignore[arg-type]
    stopped = git(cli, "commit", "-am", "x", **env)
    assert (stopped.returncode, task_id in stopped.stdout + stopped.stderr) == (1, True)
    assert cli("-C", str(folder), "setup", "git-hook", "--remove").status == 0
    assert (cli.folder / ".git" / "hooks" / "pre-commit").read_text().count(">>>") == 2
    assert git(cli, "commit", "-am", "x", **env).returncode == 0

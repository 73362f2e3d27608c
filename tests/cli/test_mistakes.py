"""A scripted agent that makes the mistakes which models make: each answer leads it to the right next call.

The transcript is tests/cli/mistakes.txt; ``TASKKEEP_UPDATE=1 pytest tests/cli/test_mistakes.py`` writes it anew.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli

TRANSCRIPT = Path(__file__).with_name("mistakes.txt")
MASKS = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "EVENT"),
    (re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{40}\b|\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b"), "HASH"),
    (re.compile(r"taskkeep \d+\.\d+\.\d+"), "taskkeep VERSION"),
]


class Agent:
    """Plays against one backlog, and writes down what it typed and what it was told."""

    def __init__(self, cli: Cli) -> None:
        self.cli = cli
        self.lines: list[str] = []
        self.mistakes = 0

    def right(self, *args: str, stdin: str = "") -> dict[str, Any]:
        """A call that is as it should be."""
        result = self.cli(*args, "--json", stdin=stdin.encode())
        self._write(args, stdin, f"=> {result.status}")
        assert (result.status, result.err) == (0, ""), (args, result)
        return result.json

    def wrong(self, *args: str, code: str, then: list[str] | None, stdin: str = "", then_stdin: str = "") -> Any:
        """A call that is refused with *code*, changes nothing, and whose hint leads to the call *then*."""
        self.mistakes += 1
        before = self.cli.bytes
        result = self.cli(*args, "--json", stdin=stdin.encode())
        error = result.error
        words = f"=> {result.status} {error['code']}: {error['message']}"
        self._write(args, stdin, words, *([f"   hint: {error['hint']}"] if error["hint"] else []))
        assert (error["code"], error["exit"], result.out) == (code, result.status, ""), args
        assert self.cli.bytes == before, args
        if then is not None:
            told = f"{error['message']} {error['hint']}"
            assert any(part in told for part in then if part not in args) or then[0] in (*args, "show"), (told, then)
            self.right(*then, stdin=then_stdin)
        return error

    def _write(self, args: tuple[str, ...], stdin: str, *rest: str) -> None:
        words = [arg if re.fullmatch(r"[\w./:=,@+-]+", arg, re.ASCII) else json.dumps(arg) for arg in args]
        given = " <<< " + json.dumps(stdin) if stdin else ""
        for line in ("$ taskkeep " + " ".join(words) + given, *rest):
            line = line.replace(str(self.cli.folder), "FOLDER")
            for pattern, mask in MASKS:
                line = pattern.sub(mask, line)
            self.lines.append(line if len(line) < 300 else line[:299] + "…")


@pytest.fixture
def agent(empty: Cli) -> Agent:
    """T0001, T0002 that waits for it, T0003 that bot works on, T0004."""
    git = ["git", "-c", "init.defaultBranch=main"]
    for args in (["init", "-q"], ["config", "user.name", "Ada"], ["config", "user.email", "ada@example.invalid"]):
        subprocess.run([*git, *args], cwd=empty.folder, check=True)
    assert empty("init", "--ids", "sequential").status == 0
    for args in (
        ["add", "Parse the header", "-p", "high"],
        ["add", "Write the docs", "--depends-on", "T0001"],
        ["add", "Ship it"],
        ["add", "Tidy up"],
        ["claim", "T0003", "--actor", "bot"],
    ):
        assert empty(*args).status == 0
    return Agent(empty)


def test_each_mistake_is_answered_with_the_way_on(agent: Agent) -> None:
    """And nothing is lost by any of them."""
    play_names(agent)
    play_values(agent)
    play_objects(agent)
    play_rules(agent)
    play_retries(agent)
    play_batches(agent)
    play_the_past(agent)
    play_files(agent)
    assert agent.mistakes >= 40
    assert agent.right("verify")["findings"] == []
    found = "\n".join(agent.lines) + "\n"
    if os.environ.get("TASKKEEP_UPDATE"):
        TRANSCRIPT.write_text(found, encoding="utf-8")
    assert found == TRANSCRIPT.read_text(encoding="utf-8")


def play_names(agent: Agent) -> None:
    """Commands and options of other tools."""
    agent.wrong("tasks", code="usage", then=["list"])
    agent.wrong("task", "list", code="usage", then=["list"])
    agent.wrong("next", code="usage", then=["ready"])
    agent.wrong("get-task", "T0001", code="usage", then=["get", "T0001"])
    agent.wrong("comment", "T0001", "seen", code="usage", then=["note", "T0001", "seen"])
    agent.wrong("history", "T0001", code="usage", then=["log", "T0001"])
    agent.wrong("udpate", "T0001", "-p", "low", code="usage", then=["update", "T0001", "-p", "low"])
    agent.wrong("commit", "-m", "done", code="usage", then=None)
    agent.wrong("add", "--title", "Fix the build", code="usage", then=["add", "Fix the build"])
    agent.wrong("add", "Fix", "the", "tests", code="usage", then=["add", "Fix the tests"])
    agent.wrong("add", "Paint it", "--tag", "ui", code="usage", then=["add", "Paint it", "--label", "ui"])
    agent.wrong("update", "T0004", "--note", "hm", code="usage", then=["note", "T0004", "hm"])
    agent.wrong("update", "T0004", "status=review", code="usage", then=["update", "T0004", "--status", "review"])
    agent.wrong("list", "tasks", code="usage", then=["list"])
    agent.wrong("list", "-n", "5", code="usage", then=["list", "--limit", "5"])
    agent.wrong("list", "--fields", "id,name", code="usage", then=["list", "--fields", "id,title"])
    agent.wrong("show", "T0001", "--format", "yaml", code="usage", then=["show", "T0001", "--format", "json"])
    agent.wrong("note", "T0004", "- a point", code="usage", then=["note", "T0004", "-"], then_stdin="- a point")
    agent.wrong("edit", "T0004", code="usage", then=["update", "T0004", "-d", "by option"])


def play_values(agent: Agent) -> None:
    agent.wrong("show", "T9999", code="task_not_found", then=["list", "--all"])
    agent.wrong("show", "1", code="task_not_found", then=["show", "T0001"])
    agent.wrong("update", "--status", "todo", code="usage", then=["update", "T0004", "--status", "todo"])
    agent.wrong("update", "T0004", "-p", "urgent", code="invalid_field", then=["update", "T0004", "-p", "critical"])
    agent.wrong("list", "--status", "open", code="invalid_field", then=["list", "--status", "todo"])
    agent.wrong(
        "update", "T0004", "--due", "soon", code="invalid_field", then=["update", "T0004", "--due", "2027-01-31"]
    )
    agent.wrong("add", "two\nlines", code="invalid_field", then=["add", "two", "-d", "lines"])
    agent.wrong("add", "\u202egnp.exe", code="invalid_field", then=["add", "gnp.exe"])
    agent.wrong("add", "", code="invalid_field", then=None)
    agent.wrong("note", "T0004", "-", code="invalid_field", then=None)
    agent.wrong("note", "T0004", "@ada look", code="not_found", then=["note", "T0004", "@@ada look"])
    agent.wrong("claim", "--lease", "30", code="invalid_field", then=["claim", "T0004", "--lease", "30m"])
    agent.wrong(
        "update", "T0004", "--check", "1", code="criterion_not_found", then=["update", "T0004", "--accept", "x"]
    )


def play_objects(agent: Agent) -> None:
    """JSON on stdin."""
    plain = '{"title": "from a model"}'
    agent.wrong("add", "-", stdin=f"```json\n{plain}\n```", code="invalid_input", then=["add", "-"], then_stdin=plain)
    agent.wrong("add", "-", stdin=f"[{plain}]", code="invalid_input", then=["add", "-"], then_stdin=plain)
    agent.wrong("add", "-", stdin="{'title': 'x'}", code="invalid_input", then=["add", "-"], then_stdin=plain)
    agent.wrong("add", "-", stdin='{"name": "x"}', code="unknown_field", then=["add", "-"], then_stdin='{"title": "x"}')
    shown = agent.right("show", "T0004")
    assert not agent.right("update", "-", stdin=json.dumps(shown))["changed"]
    forged = {"id": "T0004", "created_by": "somebody else"}
    agent.wrong("update", "-", stdin=json.dumps(forged), code="invalid_field", then=["show", "T0004"])
    old = {"id": "T0004", "etag": shown["task"]["etag"], "title": "Tidy up all"}
    agent.right("note", "T0004", "in between")
    refused = agent.wrong("update", "-", stdin=json.dumps(old), code="stale_etag", then=["show", "T0004"])
    assert list(refused["details"]["differs"]) == ["notes", "updated_at"]
    old["etag"] = refused["details"]["task"]["etag"]
    agent.right("update", "-", stdin=json.dumps(old))


def play_rules(agent: Agent) -> None:
    agent.wrong("done", "T0002", code="task_blocked", then=["done", "T0001", "T0002"])
    agent.wrong("claim", "T0002", code="task_finished", then=["reopen", "T0002"])
    agent.wrong("done", "T0003", code="claimed", then=["claim"])
    agent.wrong("done", "T0004", "--claim", "7", code="stale_claim", then=["claim"])
    agent.wrong("claim", "--label", "nobody", code="nothing_ready", then=None)
    agent.wrong("delete", "T0004", code="usage", then=["delete", "T0004", "--why", "a trial", "--dry-run"])
    agent.wrong("delete", "T0001", "--why", "x", code="task_needed", then=["show", "T0002"])
    agent.wrong("update", "T0001", "--depends-on", "T0002", code="cycle", then=["show", "T0002"])
    agent.wrong("update", "T0001", "--parent", "T8888", code="dangling_link", then=None)
    agent.wrong("start", "T0001", "T0002", "--if-match", "x", code="one_task_only", then=["start", "T0002"])
    agent.wrong("init", code="already_initialised", then=["status"])


def play_retries(agent: Agent) -> None:
    """The same again, and something else under the same key."""
    first = agent.right("add", "only once", "--key", "k1")
    again = agent.right("add", "only once", "--key", "k1")
    assert again["replayed"]
    assert (again["task"]["id"], again["events"]) == (first["task"]["id"], first["events"])
    agent.wrong("add", "another", "--key", "k1", code="key_reused", then=["add", "another", "--key", "k2"])
    assert not agent.right("done", "T0001")["changed"]


def play_batches(agent: Agent) -> None:
    add = '{"op": "add", "title": "of a batch"}\n'
    for stdin, code in (
        (f"[{add.strip()}]", "invalid_input"),
        (f"```json\n{add}```", "invalid_input"),
        (add + '{"op": "finished", "id": "$1"}', "invalid_input"),
        (add + '{"op": "done", "id": "$2"}', "invalid_input"),
        (add + '{"op": "update", "id": "$1", "status": "wip"}', "invalid_field"),
        (add + '{"op": "update", "id": "T0004", "title": "x", "if_match": "0123456789abcdef"}', "stale_etag"),
        (add + '{"op": "note", "id": "T9999", "text": "x"}', "task_not_found"),
    ):
        agent.wrong("batch", "-", stdin=stdin, code=code, then=None)
    agent.right("batch", "-", stdin=add + '{"op": "claim", "id": "$1"}\n{"op": "done", "id": "$1"}\n')


def play_the_past(agent: Agent) -> None:
    agent.wrong("restore", "T0004", code="usage", then=["restore", "T0004", "--at", "HEAD", "--dry-run"])
    agent.wrong("restore", "T0004", "--at", "2999-01-01", code="bad_point", then=None)
    agent.wrong("restore", "T0004", "--at", "never", code="unknown_point", then=["restore", "T0004", "--at", "HEAD"])
    agent.wrong("undo", "--actor", "editor", code="nothing_to_undo", then=["log", "--limit", "3"])
    agent.right("delete", "T0004", "--why", "a slip")
    agent.wrong("show", "T0004", code="task_not_found", then=["log", "T0004"])
    agent.wrong("note", "T0004", "x", code="task_not_found", then=["log", "T0004"])
    agent.right("undo")
    assert agent.right("show", "T0004")["task"]["title"] == "Tidy up all"


def play_files(agent: Agent) -> None:
    """A model rewrites the whole file, and drops a task."""
    file = agent.cli.folder / "backlog.json"
    saved = file.read_bytes()
    value = json.loads(saved)
    value["tasks"] = [task for task in value["tasks"] if task["id"] != "T0003"]
    rewritten = json.dumps(value)
    agent.wrong("apply", "-", stdin=rewritten, code="lost_task", then=None)
    agent.right("apply", "-", stdin=f"```json\n{saved.decode()}```")
    file.write_text(rewritten)
    agent.wrong("add", "afterwards", code="hand_edit", then=None)
    agent.wrong("adopt", code="lost_task", then=None)
    agent.right("restore", "--at", "HEAD")
    assert file.read_bytes() == saved
    agent.wrong("batch", "plan.jsonl", code="not_found", then=None)
    agent.wrong("-C", "no-such-folder", "list", code="usage", then=None)

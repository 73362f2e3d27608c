"""What the guard of an agent's hooks refuses, and what it lets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskkeep.store.setup.guard import refusal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A backlog below a folder that has a backlog.json of somebody else's."""
    (tmp_path / "backlog.json").write_text('{"sprints": []}')
    root = tmp_path / "package"
    (root / ".taskkeep" / "audit" / "2026-11-20").mkdir(parents=True)
    (root / "backlog.json").write_text('{"$schema": ".taskkeep/backlog.schema.json", "version": 1, "tasks": []}')
    (root / "alias").symlink_to("backlog.json")
    return root


@pytest.mark.parametrize(
    "path",
    ["backlog.json", "./backlog.json", "../package/backlog.json", "alias", "backlog.archive.json",
     ".taskkeep/audit/2026-11-20/x.jsonl", ".taskkeep/backlog.schema.json", ".taskkeep/local/journal"],
)  # fmt: skip
def test_a_file_of_the_backlog_is_not_edited(root: Path, path: str) -> None:
    for given in (path, str(root / path)):
        reason = refusal({"file_path": given, "content": "{}"}, str(root))
        assert reason is not None
        assert "taskkeep update" in reason


def test_a_backlog_whose_log_is_gone_is_guarded_still(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".taskkeep").rename(root / "elsewhere")
    monkeypatch.chdir(root.parent)
    assert refusal({"file_path": "backlog.json"}, str(root)) is not None


@pytest.mark.parametrize(
    "path", ["../backlog.json", "src/backlog.py", ".taskkeep/config.toml", "backlog.json.md", "\0"]
)
def test_any_other_file_is(root: Path, path: str) -> None:
    assert refusal({"file_path": path}, str(root)) is None


@pytest.mark.parametrize(
    "command",
    [
        "echo '{}' > backlog.json",
        "echo >>backlog.json x",
        "jq '.tasks=[]' backlog.json>backlog.json",
        "sed -i s/a/b/ backlog.json",
        "sed -ni.bak p backlog.json",
        "cat x | sudo tee -a backlog.json",
        "make && mv /tmp/new.json backlog.json",
        "cp /tmp/new.json ./backlog.json",
        "cp /tmp/new.json backlog.json --force",
        "FORCE=1 rm -rf .taskkeep/audit",
        "cd .. && truncate -s0 package/backlog.json",
        "python gen.py &> backlog.json",
        "dd if=x of=backlog.json",
        "true\nperl -pi -e s/a/b/ alias",
    ],
)
def test_a_shell_command_that_writes_one_is_refused(root: Path, command: str) -> None:
    assert refusal({"command": command}, str(root)) is not None


@pytest.mark.parametrize(
    "command",
    [
        "cat backlog.json | jq . > /tmp/x 2>&1",
        "cp backlog.json /tmp/copy.json",
        "sed -n p backlog.json",
        "git add backlog.json && git commit -m 'rm backlog.json; echo > backlog.json'",
        "taskkeep apply backlog.json.new",
        "taskkeep note T3M9X - <<'EOF'\nrm backlog.json\necho > backlog.json\nEOF\n",
        "echo 'open quote > backlog.json",
        "echo x > ../backlog.json",
        "cd /tmp; echo > backlog.json",
        "",
    ],
)
def test_any_other_command_is_not(root: Path, command: str) -> None:
    assert refusal({"command": command}, str(root)) is None

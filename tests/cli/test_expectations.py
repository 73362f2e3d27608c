"""--if-match and --claim on every writer: what does not fit is refused, what makes no sense is said, nothing is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskkeep.cli.app import COMMANDS, Writer, command

from .conftest import Cli
from .test_schemas import RUNS, filled, named

__all__ = ["filled"]

CASES = [
    (name, args, stdin)
    for name in COMMANDS
    if isinstance(command(name), Writer)
    for args, stdin in RUNS[name]
    if "--dry-run" not in args
]


def tree(folder: Path) -> dict[str, bytes]:
    """What git may hold of the folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git/" not in str(path) and "local/" not in str(path)
    }


@pytest.mark.parametrize(("name", "args", "stdin"), CASES, ids=[" ".join([case[0], *case[1]]) for case in CASES])
def test_a_stale_expectation_is_refused(
    cli: Cli, filled: dict[str, str], name: str, args: list[str], stdin: bytes
) -> None:
    """With 5, or 2 where the command names no task; or nothing was to change, or could be found."""
    before = tree(cli.folder)
    for stale in (["--if-match", "0123456789abcdef"], ["--claim", "99"]):
        result = cli(name, *named(args, filled), *stale, "--json", stdin=stdin)
        if result.status == 0:
            assert not result.json.get("changed"), "it was ignored"
        else:
            assert result.error["code"] in ("usage", "stale_etag", "stale_claim", "one_task_only", "task_not_then")
        assert tree(cli.folder) == before

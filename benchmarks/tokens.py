"""Count what an agent reads, and print a Markdown table: `python benchmarks/tokens.py`.

On a backlog of 100 tasks as benchmarks/tasks.py makes them. A token is taken as four bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from run import Bench, _an_id

COUNT = 100
BYTES_A_TOKEN = 4


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="taskkeep-tokens-") as name:
        bench = Bench(Path(name), 10)
        path = bench.repository("backlog")
        tasks = path.parent / "tasks.json"
        bench.cost([sys.executable, str(Path(__file__).with_name("tasks.py")), str(COUNT), str(tasks)], path)
        bench.cost([bench.tool, "import", str(tasks), "--from", "json"], path)
        bench.cost([bench.tool, "claim"], path)
        bench.cost([bench.tool, "claim", "--actor", "agent-2"], path)
        some = _an_id(path / "backlog.json")
        print("| command | bytes | tokens |\n|---|--:|--:|")
        for line in (
            "prime", "prime --json", "ready", "ready --json --fields id,title", "list", "list --json --fields id,title",
            "list --json", "show ID", "show ID --json", "claim --json", "list --help", "--help", "schema commands",
        ):  # fmt: skip
            args = [some if word == "ID" else word for word in line.split()]
            done = subprocess.run([bench.tool, *args], cwd=path, env=bench.env, capture_output=True, check=True)
            size = len(done.stdout) + len(done.stderr)
            print(row(f"`{line}`", size))
    print(row("the tools of `mcp`", mcp_tools()))


def row(what: str, size: int) -> str:
    return f"| {what} | {size:,} | {size // BYTES_A_TOKEN:,} |"


def mcp_tools() -> int:
    """The bytes of what a client of `taskkeep mcp` is told of its tools; needs the extra."""
    from taskkeep.mcp.server import TOOLS, described

    told = [described(tool).model_dump(by_alias=True, exclude_none=True, mode="json") for tool in TOOLS.values()]
    return len(json.dumps({"tools": told}, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()

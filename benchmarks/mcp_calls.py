"""Time calls of the MCP tools in a running server, and print a Markdown table: `python benchmarks/mcp_calls.py`.

On 1,000 tasks as benchmarks/tasks.py makes them, through the SDK's own client over stdio. What a save costs beside
its commit is timed in a backlog whose configuration leaves commits out. The size of the tool list is counted too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from run import Bench
from tokens import BYTES_A_TOKEN

COUNT = 1_000


async def timed(bench: Bench, path: Path, runs: int) -> tuple[int, dict[str, float]]:
    """The bytes of the tool list, and the median milliseconds of each call."""
    server = StdioServerParameters(command=bench.tool, args=["-C", str(path), "mcp", "--actor", "bench"], env=bench.env)
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        size = len(json.dumps([tool.model_dump(by_alias=True, exclude_none=True) for tool in tools]))
        page = await client.call_tool("list", {"limit": runs + 1})
        ids = [task["id"] for task in page.structured_content["tasks"]]
        calls: dict[str, list[dict[str, Any]]] = {
            "list": [{}] * len(ids),
            "list {ready: true}": [{"ready": True}] * len(ids),
            "get": [{"ids": [name]} for name in ids],
            "history": [{}] * len(ids),
            "add": [{"title": f"Measure the parser {number}"} for number in range(len(ids))],
            "update": [{"id": name, "note": "Seen."} for name in ids],
            "claim": [{}] * len(ids),
        }
        medians = {}
        for label, arguments in calls.items():
            costs = []
            for given in arguments:
                start = time.perf_counter()
                result = await client.call_tool(label.split(" ")[0], given)
                costs.append(time.perf_counter() - start)
                assert not result.is_error, result
            medians[label] = statistics.median(costs[1:]) * 1000
    return size, medians


def main() -> None:
    parser = argparse.ArgumentParser(description="Time calls of the MCP tools.")
    parser.add_argument("--runs", type=int, default=15, metavar="N", help="calls of each tool, at least 10")
    asked = parser.parse_args()
    if asked.runs < 10:
        parser.error("a median needs at least 10 runs")
    with tempfile.TemporaryDirectory(prefix="taskkeep-mcp-") as name:
        bench = Bench(Path(name), asked.runs)
        tasks = Path(name) / "tasks.json"
        bench.cost([sys.executable, str(Path(__file__).with_name("tasks.py")), str(COUNT), str(tasks)], Path(name))
        columns = []
        for folder in ("with", "without"):
            path = bench.repository(folder)
            bench.cost([bench.tool, "import", str(tasks), "--from", "json"], path)
            if folder == "without":
                (path / ".taskkeep" / "config.toml").write_text("commit = false\n")
            columns.append(asyncio.run(timed(bench, path, asked.runs)))
    (size, whole), (_, bare) = columns
    print(f"The tool list: {size:,} bytes, {size // BYTES_A_TOKEN:,} tokens.\n")
    print(f"| tool, {COUNT:,} tasks | ms | without the commit, ms |\n|---|--:|--:|")
    for label, cost in whole.items():
        print(f"| {label} | {cost:.0f} | {bare[label]:.0f} |")


if __name__ == "__main__":
    main()

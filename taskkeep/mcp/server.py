"""The tools over the Model Context Protocol: the one module that imports its SDK."""

from __future__ import annotations

import json
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ToolDescription

from taskkeep import __version__
from taskkeep import project as projects
from taskkeep.errors import DiskFault, TaskkeepError
from taskkeep.mcp.tools import INSTRUCTIONS, TOOLS, Tool, call


def serve(folder: str | None = None, *, actor: str | None = None) -> None:
    """Serve the backlog at or above *folder* on stdin and stdout until stdin ends."""
    server = make_server(folder, actor=actor)

    async def run() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    try:
        anyio.run(run)
    except* BrokenPipeError:
        pass  # the client reads no more: what it asked for is done, and nobody is left to tell


def make_server(folder: str | None = None, *, actor: str | None = None) -> Server[Any]:
    """Return the server, to be run on any pair of streams.

    The backlog is looked for at each call, so that one may be made, or mended, while the server runs.
    """
    one_at_a_time = anyio.Lock()

    async def list_tools(context: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[described(tool) for tool in TOOLS.values()])

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        def work() -> CallToolResult:
            return _answered(folder, params.name, dict(params.arguments or {}), actor)

        # In a thread, so that the connection lives while a writer waits for its lock; one at a time, since
        # all of one client's calls are one actor's.
        async with one_at_a_time:
            return await anyio.to_thread.run_sync(work)

    return Server(
        "taskkeep",
        title="taskkeep",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def described(tool: Tool) -> ToolDescription:
    """The tool as clients are told of it."""
    read_only, destructive, idempotent = tool.hints
    return ToolDescription(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=read_only,
            destructive_hint=destructive,
            idempotent_hint=idempotent,
            open_world_hint=False,
        ),
    )


def _answered(folder: str | None, name: str, args: dict[str, Any], actor: str | None) -> CallToolResult:
    """Carry a call out; every error is a result, so that who called can read what to do now."""
    try:
        return _result(call(lambda: projects.open(folder), name, args, actor=actor))
    except TaskkeepError as error:
        found = error
    except OSError as error:
        found = DiskFault(f"{error.strerror or error}", hint="Look at the disk, then try again.", errno=error.errno)
    except Exception as error:
        found = TaskkeepError(f"a bug in taskkeep: {type(error).__name__}: {error}", hint="Please report it.")
    return _result({"schema_version": 1, "error": found.as_json()}, is_error=True)


def _result(answer: dict[str, Any], *, is_error: bool = False) -> CallToolResult:
    text = json.dumps(answer, ensure_ascii=False, default=str)
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=json.loads(text) if is_error else answer,
        is_error=is_error,
    )

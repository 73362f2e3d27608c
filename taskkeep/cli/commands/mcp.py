"""mcp: the backlog as tools for agents that speak the Model Context Protocol."""

import gc
import signal
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from taskkeep.cli.app import Reader, new_app
from taskkeep.cli.call import call_of
from taskkeep.errors import ExtraMissing

app = new_app()


@app.command(
    "mcp",
    cls=Reader,
    epilog="""taskkeep mcp
    claude mcp add taskkeep -- taskkeep mcp --actor claude""",
)
def mcp(
    ctx: typer.Context,
    actor: Annotated[
        str | None,
        typer.Option("--actor", metavar="NAME", help="Who acts; else TASKKEEP_ACTOR, else git's user."),
    ] = None,
) -> None:
    """Serve the backlog to an agent over MCP, on stdin and stdout.

    Eight tools: list get add update claim history verify restore. They answer as the commands do with
    --json, errors included, and save through the same steps; several servers may run at once. Needs
    the extra: pip install 'taskkeep[mcp]'.
    """
    call = call_of(ctx)
    if find_spec("mcp") is None:
        raise ExtraMissing("mcp")
    gc.enable()  # which a command that lives for milliseconds does without
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a server waits for calls, and has nothing to say at its end
    import_module("taskkeep.mcp.server").serve(call.folder, actor=actor)

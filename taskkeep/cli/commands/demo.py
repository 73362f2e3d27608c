"""demo: what taskkeep guards against, as a play."""

from typing import Annotated

import typer

from taskkeep.cli.app import Reader, new_app
from taskkeep.cli.call import call_of

app = new_app()


@app.command("demo", cls=Reader, epilog="taskkeep demo")
def demo(
    ctx: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder, to look around.")] = False,
) -> int:
    """Show in a temporary folder what taskkeep guards against.

    A repository, a backlog, a model that drops tasks, a hand edit, a deletion, and the log that
    shows it all. Nothing outside that folder is touched.
    """
    from taskkeep.cli.demo import run

    call = call_of(ctx)
    return run(keep, as_json=call.output.is_json, color=not call.no_color)

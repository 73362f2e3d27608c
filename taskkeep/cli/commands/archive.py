"""archive: old finished tasks, out of the way and never lost."""

from typing import Annotated

import typer

from taskkeep.cli.app import Writer, new_app
from taskkeep.cli.call import call_of

app = new_app()


@app.command(
    "archive",
    cls=Writer,
    epilog="""taskkeep archive --dry-run
    taskkeep archive --older-than 30d""",
)
def archive(
    ctx: typer.Context,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Finished at least so long ago, like 30d; else 90d."),
    ] = None,
) -> None:
    """Move old finished tasks to backlog.archive.json.

    show, log, restore and 'search --archived' still reach them, and their ids stay taken. Tasks that
    an open one depends on stay; 0d takes every finished task.
    """
    call = call_of(ctx)
    call.output.saved(call.project.archive(older_than=older_than, **call.saving))

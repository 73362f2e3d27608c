"""batch: many operations from a file, as one change."""

from typing import Annotated

import typer

from taskkeep.cli.app import Writer, new_app
from taskkeep.cli.call import call_of

app = new_app()


@app.command(
    "batch",
    cls=Writer,
    epilog="""taskkeep batch plan.jsonl
    printf '%s\\n' '{"op": "add", "title": "a"}' '{"op": "add", "title": "b", "depends_on": ["$1"]}' | taskkeep batch -
    taskkeep batch plan.jsonl --dry-run --json""",
)
def batch(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="One JSON object a line; - for stdin.")],
) -> None:
    """Carry out many operations at once, all or none.

    {"op": "add", "title": …}, with the fields of backlog.json. Other operations: update delete
    note claim release start done cancel block reopen, each with "id"; "why", "if_match" and
    "claim" for each line. "$3" stands for the task that line 3 added. In update, null takes a
    field out and a list replaces the list; note has "text". One commit for all.
    """
    call = call_of(ctx)
    call.output.saved(call.project.batch(call.texts.whole(file, "the batch"), **call.saving))

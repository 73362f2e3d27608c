"""start, done, cancel, block and reopen: the commands that set the status."""

from typing import Annotated

import typer

from taskkeep.cli.app import Writer, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.ids import IdOption, Ids, needed_ids

app = new_app()

Force = Annotated[bool, typer.Option("--force", help="Also while it is claimed by someone else.")]
ForceDone = Annotated[
    bool,
    typer.Option("--force", help="Also while dependencies are open, or it is claimed by someone else."),
]


@app.command("start", cls=Writer, epilog="taskkeep start T3M9X")
def start(ctx: typer.Context, ids: Ids = None, id_: IdOption = None, force: Force = False) -> None:
    """Mark tasks as in progress."""
    call = call_of(ctx)
    call.output.saved(call.project.start(needed_ids(ids, id_), force=force, **call.saving))


@app.command("done", cls=Writer, epilog='taskkeep done T3M9X --why "merged in #12"')
def done(ctx: typer.Context, ids: Ids = None, id_: IdOption = None, force: ForceDone = False) -> None:
    """Mark tasks as done.

    Refused while a task that one of them depends on is open.
    """
    call = call_of(ctx)
    call.output.saved(call.project.finish(needed_ids(ids, id_), force=force, **call.saving))


@app.command("cancel", cls=Writer, epilog='taskkeep cancel T3M9X --why "not needed any more"')
def cancel(ctx: typer.Context, ids: Ids = None, id_: IdOption = None, force: Force = False) -> None:
    """Mark tasks as cancelled."""
    call = call_of(ctx)
    call.output.saved(call.project.cancel(needed_ids(ids, id_), force=force, **call.saving))


@app.command("block", cls=Writer, epilog='taskkeep block T3M9X --why "waits for the vendor"')
def block(ctx: typer.Context, ids: Ids = None, id_: IdOption = None, force: Force = False) -> None:
    """Mark tasks as blocked."""
    call = call_of(ctx)
    call.output.saved(call.project.block(needed_ids(ids, id_), force=force, **call.saving))


@app.command("reopen", cls=Writer, epilog='taskkeep reopen T3M9X --why "the bug is back"')
def reopen(ctx: typer.Context, ids: Ids = None, id_: IdOption = None, force: Force = False) -> None:
    """Mark tasks as to do again."""
    call = call_of(ctx)
    call.output.saved(call.project.reopen(needed_ids(ids, id_), force=force, **call.saving))

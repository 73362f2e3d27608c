"""list, ready, search and show: the commands that answer with tasks."""

from typing import Annotated

import typer

from taskkeep.cli.app import PastListing, Viewer, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.ids import IdOption, Ids, needed_ids
from taskkeep.cli.output import field_names
from taskkeep.cli.texts import parts

app = new_app()


@app.command(
    "list",
    cls=PastListing,
    epilog="""taskkeep list --status todo,review --label ci
    taskkeep list --mine --overdue
    taskkeep list --json --fields id,title --limit 0
    taskkeep list --at "yesterday 17:00\"""",
)
def list_tasks(ctx: typer.Context) -> None:
    """List tasks, the most pressing first.

    Open ones, 50 at a time, unless options say otherwise. Filters take lists (a,b) and repeat;
    --parent shows the parts of a task.
    """
    call = call_of(ctx)
    fields = field_names(call.fields)
    call.output.page(call.project.list(call.query(), at=call.moment), fields, at=call.moment)


@app.command("ready", cls=PastListing, epilog="taskkeep ready --role backend --limit 1")
def ready(ctx: typer.Context) -> None:
    """List what can be started now, best first, and why.

    To do, or with a claim that has ended, and with all dependencies finished. Best is the
    higher priority, then what most tasks wait for, then the older.
    """
    call = call_of(ctx)
    fields = field_names(call.fields)
    call.output.page(call.project.ready(call.query(), at=call.moment), fields, ready=True, at=call.moment)


@app.command("search", cls=PastListing, epilog='taskkeep search "merge driver" --all')
def search(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words, of which a task must hold all.")],
) -> None:
    """List tasks that hold all the words of a text.

    Looked for in ids, titles, descriptions, criteria, notes, labels, references and metadata,
    without regard to case.
    """
    call = call_of(ctx)
    fields = field_names(call.fields)
    call.output.page(call.project.search(text, call.query(), at=call.moment), fields, at=call.moment)


@app.command(
    "show",
    cls=Viewer,
    epilog="""taskkeep show T3M9X
    taskkeep show T3M9X --at "2 days ago\"""",
)
def show(ctx: typer.Context, ids: Ids = None, id_: IdOption = None) -> None:
    """Show tasks with all their fields."""
    call = call_of(ctx)
    names = needed_ids(ids, id_)
    tasks, warnings = call.project.look_up(names, at=call.moment)
    one = len(parts([*(ids or ()), *(id_ or ())])) == 1  # what a script gets does not hang on which two it names
    call.output.tasks(tasks, one=one, at=call.moment, warnings=warnings)

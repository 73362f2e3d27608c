"""add: a new task."""

from typing import Annotated

import typer

from taskkeep.cli.app import FieldWriter, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.fields import any_field, new_fields
from taskkeep.errors import Usage

app = new_app()


@app.command(
    "add",
    cls=FieldWriter,
    epilog="""taskkeep add "Fail the build when a task vanishes" -p high -l ci
    taskkeep add "Write the guide" --depends-on T3M9X --accept "has a picture" -d @guide.md
    taskkeep add - < task.json""",
)
def add(
    ctx: typer.Context,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="Taken literally; - reads one JSON object from stdin.")],
) -> None:
    """Add a task.

    Prints the new id. Descriptions, criteria and --why may be - (stdin) or @FILE (@@ for a
    plain @).
    """
    call = call_of(ctx)
    if title == "-":
        if any_field(call.fields):
            raise Usage("'add -' takes the fields from the object", hint="Put them into the JSON object.")
        saved = call.project.add_object(call.texts.object("add"), **call.saving)
    else:
        saved = call.project.add(title, **new_fields(call), **call.saving)
    call.output.saved(saved, new=True)

"""schema: what programs may rely on, as JSON Schemas and as a description of every command."""

import json
from typing import Annotated

import typer

from taskkeep.cli.app import Reader, new_app
from taskkeep.cli.call import call_of
from taskkeep.errors import NotFound

app = new_app()


@app.command(
    "schema",
    cls=Reader,
    epilog="""taskkeep schema backlog
    taskkeep schema saved
    taskkeep schema commands""",
)
def schema(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="backlog, a shape like saved or error, or commands.")
    ] = "backlog",
) -> None:
    """Print a JSON Schema, or what every command takes and answers.

    'backlog' is that of backlog.json. 'commands' describes all commands, and names the shape that
    each answers with; every shape has a schema by its name, and by that of its command.
    """
    from taskkeep.cli.app import ALIASES
    from taskkeep.cli.describe import SHAPES
    from taskkeep.project import answer_schema, answer_schemas, schema_text

    output = call_of(ctx).output
    name = SHAPES.get(ALIASES.get(name, name)) or name
    if name == "backlog":
        output.text(schema_text())
    elif name == "commands":
        from taskkeep.cli.describe import description

        output.json(description())
    elif name in answer_schemas():
        output.text(json.dumps(answer_schema(name), indent=2, ensure_ascii=False))
    else:
        names = ", ".join(["backlog", "commands", *(one for one in answer_schemas() if one != "commands")])
        raise NotFound(f"no schema {name[:40]!r}", hint=f"One of: {names}.")

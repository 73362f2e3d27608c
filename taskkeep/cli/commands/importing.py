"""import: tasks of other tools."""

from typing import Annotated

import typer

from taskkeep.cli.app import Writer, new_app
from taskkeep.cli.call import call_of
from taskkeep.errors import Usage

app = new_app()


@app.command(
    "import",
    cls=Writer,
    epilog="""taskkeep import issues.jsonl --from beads --dry-run
    taskkeep import tasks.json --from json --map "open=todo" """,
)
def import_file(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file; - for stdin.")],
    source: Annotated[str, typer.Option("--from", metavar="FORMAT", help="beads json")],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="THEIRS=OURS", help="Their status, type, priority or field as ours. May repeat."),
    ] = None,
) -> None:
    """Import tasks from a file of another tool.

    One save and one commit for all; what is known already is left alone, so that a second import
    of the same file changes nothing.
    """
    from taskkeep import importers

    call = call_of(ctx)
    mapped = {}
    for pair in mapping or ():
        theirs, equals, ours = pair.partition("=")
        if not equals or not theirs or not ours:
            raise Usage(f"--map takes THEIRS=OURS, not {pair[:40]!r}", hint="Like --map desc=description.")
        mapped[theirs] = ours
    data = call.texts.whole(file, "the file")
    plan = importers.read(source, data, mapped, name="stdin" if file == "-" else file)
    call.output.imported(call.project.import_tasks(plan, **call.saving))

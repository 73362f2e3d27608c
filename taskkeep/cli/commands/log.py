"""log: the audit events, field by field."""

from typing import Annotated

import typer

from taskkeep.cli.app import Reader, new_app
from taskkeep.cli.call import call_of, moment
from taskkeep.cli.events import event_lines, merge_lines
from taskkeep.cli.ids import IdOption, Ids
from taskkeep.cli.texts import split

app = new_app()

LIMIT = 50


@app.command(
    "log",
    cls=Reader,
    epilog="""taskkeep log T3M9X
    taskkeep log --since 7d --actor ada --type task_deleted
    taskkeep log --source undo,restore --full""",
)
def log(
    ctx: typer.Context,
    ids: Ids = None,
    id_: IdOption = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="From then on: a day, a time, or 7d.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Up to then.")] = None,
    actor: Annotated[list[str] | None, typer.Option("--actor", metavar="NAME", help="By one of these.")] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="task_created task_updated task_deleted …"),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="NAME", help="cli api mcp import undo restore archive recovery …"),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Long texts whole, not what changed in them.")] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="At most the last N; 0 for all.")] = LIMIT,
    offset: Annotated[int, typer.Option("--offset", metavar="N", help="Leave out the last N.")] = 0,
) -> None:
    """Show who changed what, when and why.

    The newest first, those of all branches that met as one history; tasks that were deleted have
    theirs too. --json has the events as they stand in the log.
    """
    call = call_of(ctx)
    page = call.project.log(
        split([*(ids or ()), *(id_ or ())]),
        since=moment(since, "--since"),
        until=moment(until, "--until", end=True),
        actors=split(actor or ()),
        types=split(types or ()),
        sources=split(source or ()),
        limit=limit,
        offset=offset,
    )
    if call.output.is_json:
        call.output.json(
            {
                "events": page.events,
                "total": page.total,
                "next": page.next,
                **({"warnings": page.notes} if page.notes else {}),
            }
        )
        return
    call.output.warnings(page.notes)
    lines = []
    heads = call.project.heads_joined(page.events)
    for event in page.events:
        lines.append(event_lines(event, call.output.screen, full=full))
        if event["event_type"] == "merged":
            lines.append(merge_lines(event, heads, call.output.screen))
    call.output.text("".join(lines))
    if page.next is not None:
        call.output.notice(f"… {page.total - page.next} older: --offset {page.next}, or --limit 0 for all")

"""diff and blame: what changed between two points in time, and who set what."""

from typing import Annotated

import typer

from taskkeep.cli.app import Reader, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.events import difference_lines, stat_lines
from taskkeep.cli.ids import IdOption, OneId, one_id
from taskkeep.cli.output import cell, point_words, shown, with_etag
from taskkeep.errors import Usage

app = new_app()


@app.command(
    "diff",
    cls=Reader,
    epilog="""taskkeep diff yesterday
    taskkeep diff main..feature --stat
    taskkeep diff v1.0 HEAD --exit-code
    taskkeep diff old.json backlog.json""",
)
def diff(
    ctx: typer.Context,
    before: Annotated[
        str | None, typer.Argument(metavar="[FROM]", help="A point in time, or A..B.", show_default=False)
    ] = None,
    after: Annotated[
        str | None,
        typer.Argument(metavar="[TO]", help="Another; without it backlog.json as it lies.", show_default=False),
    ] = None,
    stat: Annotated[bool, typer.Option("--stat", help="Only how many tasks, and in which fields.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Long texts whole, not what changed in them.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 where there is a difference.")] = False,
    files: Annotated[
        bool, typer.Option("--files", help="FROM and TO are files shaped like backlog.json, whatever they are called.")
    ] = False,
) -> int:
    """Show what changed between two points in time, per task and field.

    Without FROM: what of backlog.json no save has recorded. A point is a time, a git revision, an
    event's id or a backup's name; two files that end in .json are compared as files.
    """
    call = call_of(ctx)
    if files:
        if before is None or after is None:
            raise Usage("--files needs two files", hint="See 'taskkeep diff --help'.")
        compared = call.project.diff_files(before, after)
    else:
        compared = call.project.diff(before, after)
    found, output = compared.difference, call.output
    if output.is_json:
        points = {"from": compared.before, "to": compared.after}
        output.json(
            {
                **found.as_json(),
                **{name: None if point is None else point.as_json() for name, point in points.items()},
                "warnings": list(compared.notes),
            }
        )
    else:
        if compared.before is not None:
            end = "backlog.json as it lies" if compared.after is None else point_words(compared.after, output.screen)
            output.notice(f"from {point_words(compared.before, output.screen)} to {end}")
        output.warnings(compared.notes)
        output.text(stat_lines(found) if stat else difference_lines(found, output.screen, full=full))
        if not found and not stat:
            output.notice("no difference")
    return int(bool(exit_code and found))


@app.command("blame", cls=Reader, epilog="taskkeep blame T3M9X")
def blame(ctx: typer.Context, task_id: OneId = None, id_: IdOption = None) -> None:
    """Show for each field of a task who set it last, when and why."""
    call = call_of(ctx)
    task, fields, warnings = call.project.blame(one_id([task_id] if task_id else None, id_))
    if call.output.is_json:
        said = {"warnings": list(warnings)} if warnings else {}
        call.output.json({"task_id": task["id"], "fields": list(fields), "task": with_etag(task), **said})
        return
    call.output.warnings(warnings)
    screen = call.output.screen
    rows = [
        (
            one["field"],
            one["timestamp"] or "-",
            one["actor"] or "-",
            one["event_id"] or "-",
            one["why"] or "",
            one["value"],
        )
        for one in fields
        if one["field"] != "uid"
    ]
    if screen is None:
        rows = [(*row[:-1], cell({row[0]: row[-1]}, row[0])) for row in rows]
        call.output.text("".join("\t".join(shown(part) for part in row) + "\n" for row in rows))
    else:
        call.output.text(screen.blame(rows))

"""adopt and apply: a backlog that somebody rewrote as a whole becomes a change like any other."""

from typing import Annotated, Any

import typer

from taskkeep.cli.app import Writer, new_app
from taskkeep.cli.call import Call, call_of
from taskkeep.cli.events import difference_lines
from taskkeep.cli.texts import split
from taskkeep.project import Saved

app = new_app()

AllowDelete = Annotated[
    list[str] | None,
    typer.Option("--allow-delete", metavar="ID", help="This task may go. May repeat; a,b are two."),
]
AllowRevert = Annotated[
    list[str] | None,
    typer.Option("--allow-revert", metavar="ID", help="Fields of this task may go back or be cut. May repeat."),
]


@app.command(
    "adopt",
    cls=Writer,
    epilog="""taskkeep adopt --dry-run
    taskkeep adopt --why "edited on the web page"
    taskkeep adopt --base origin/main""",
)
def adopt(
    ctx: typer.Context,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="REV", help="First bring back events that REV has and this tree lacks."),
    ] = None,
    allow_delete: AllowDelete = None,
    allow_revert: AllowRevert = None,
) -> None:
    """Record a hand edit of backlog.json as a change.

    The difference is shown, and goes through the rules that every change must keep. A task that is
    gone must be named with --allow-delete, one whose fields went back to older values, or that lacks
    notes or criteria it had, with --allow-revert. Another field that was emptied is taken as meant,
    unlike in 'apply'. What only taskkeep sets is put right. Where branches met, the sides that were
    chosen are recorded too.
    """
    call = call_of(ctx)
    _show(call, call.project.adopt(base=base, **_allowed(allow_delete, allow_revert), **call.saving))


@app.command(
    "apply",
    cls=Writer,
    epilog="""taskkeep apply rewritten.json --dry-run
    taskkeep apply - --why "split the epic"
    taskkeep apply rewritten.json --base main~3""",
)
def apply(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A whole backlog.json; - for stdin.")],
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="EVENT|REV", help="What FILE was written upon; later changes then stay."),
    ] = None,
    allow_delete: AllowDelete = None,
    allow_revert: AllowRevert = None,
    force: Annotated[bool, typer.Option("--force", help="Also tasks that are claimed by someone else.")] = False,
) -> None:
    """Make the backlog equal a file that was rewritten as a whole.

    For a program or a model that gives back all tasks at once: the difference is shown and saved as
    one change. A task that FILE lacks must be named with --allow-delete, one whose fields would be
    emptied or go back to older values with --allow-revert; one that somebody else has claimed gets no
    more than notes without --force. What only taskkeep sets is not taken from FILE; a Markdown fence
    around the JSON, a bare list and another order are no matter. With --base what was changed since
    then stays, and what both changed differently is refused and named.
    """
    call = call_of(ctx)
    data = call.texts.whole(file, "the file")
    name = "stdin" if file == "-" else file
    asked: dict[str, Any] = {"base": base, "force": force, **_allowed(allow_delete, allow_revert)}
    _show(call, call.project.apply(data, name=name, **asked, **call.saving))


def _allowed(delete: list[str] | None, revert: list[str] | None) -> dict[str, Any]:
    return {"allow_delete": split(delete or ()), "allow_revert": split(revert or ())}


def _show(call: Call, saved: Saved) -> None:
    said = ""
    if not call.output.is_json and not call.quiet and saved.difference is not None:
        lines = difference_lines(saved.difference, call.output.screen)
        call.output.text(lines)
        saved = saved._replace(tasks=[])
        said = "" if lines else "recorded; no field of a task differs"  # the form of a file, a meeting of branches
    call.output.saved(saved, said=said)

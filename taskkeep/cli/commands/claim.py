"""claim and release: one worker for a task."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskkeep.cli.app import Writer, filter_options, new_app, writer_options
from taskkeep.cli.call import Call, call_of
from taskkeep.cli.ids import IdOption, Ids, OneId, needed_ids, one_id
from taskkeep.errors import Usage

if TYPE_CHECKING:
    from typer._click.core import Parameter

app = new_app()

# Filters of `ready` that say nothing of what can be claimed.
_NOT_HERE = ("status", "ready", "all", "archived")


class ClaimWriter(Writer):
    """A writer with the filters that choose among ready tasks."""

    def shared_options(self) -> list["Parameter"]:
        return [*(param for param in filter_options() if param.name not in _NOT_HERE), *writer_options()]

    def hand_over(self, call: Call, values: dict[str, Any]) -> None:
        super().hand_over(call, values)
        names = [name for name in Call.FILTERS if name in values]
        call.filters = dict.fromkeys(Call.FILTERS) | {name: values.pop(name) for name in names}
        call.filters |= {"status": (), "ready": False, "all": False, "archived": False}


@app.command(
    "claim",
    cls=ClaimWriter,
    epilog="""taskkeep claim
    taskkeep claim --role backend --label ci --lease 2h
    taskkeep claim T3M9X --lease 30m""",
)
def claim(
    ctx: typer.Context,
    task_id: OneId = None,
    id_: IdOption = None,
    lease: Annotated[str, typer.Option("--lease", metavar="TIME", help="How long, like 90s 30m 8h.")] = "30m",
) -> None:
    """Take a task for yourself alone, by default the best ready one.

    Sets it in progress. Until the lease ends nobody else changes or claims it; claiming again
    extends it. The answer names the claim by a number; handed back as --claim N to the commands
    that follow, it is refused once somebody else was given the task.
    """
    call = call_of(ctx)
    name = one_id([task_id] if task_id else None, id_) if task_id or id_ else None
    if name is not None and any(call.filters.values()):
        raise Usage("filters choose among ready tasks, and one is named", hint="Leave out the id or the filters.")
    query = None if name is not None else call.query()
    call.output.saved(call.project.claim(name, lease=lease, query=query, **call.saving))


@app.command("release", cls=Writer, epilog="taskkeep release T3M9X --claim 2")
def release(
    ctx: typer.Context,
    ids: Ids = None,
    id_: IdOption = None,
    force: Annotated[bool, typer.Option("--force", help="Also while it is claimed by someone else.")] = False,
) -> None:
    """Give a claim back.

    The task is to do again, for everybody.
    """
    call = call_of(ctx)
    call.output.saved(call.project.release(needed_ids(ids, id_), force=force, **call.saving))

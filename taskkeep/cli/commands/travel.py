"""undo, restore and backups: the past, brought back by new changes."""

from typing import Annotated, Any

import typer

from taskkeep.cli.app import Writer, new_app
from taskkeep.cli.call import Call, call_of
from taskkeep.cli.events import difference_lines
from taskkeep.cli.ids import IdOption, Ids
from taskkeep.cli.output import point_words, saved_as_json, shown
from taskkeep.cli.texts import split
from taskkeep.errors import NotFound, Usage
from taskkeep.project import Saved

app = new_app()


@app.command(
    "undo",
    cls=Writer,
    epilog="""taskkeep undo
    taskkeep undo 3f2a91c0 --why "wrong task\"""",
)
def undo(
    ctx: typer.Context,
    event: Annotated[
        str | None,
        typer.Argument(
            metavar="[EVENT]", help="An event's id, as 'log' shows it, or how it begins.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also where later changes touched the same.")] = False,
) -> None:
    """Take back a change by a new change.

    Without EVENT your own last one here. A batch or an import is taken back as one; an undo can be
    undone. Refused, with the list, where later changes touched the same fields.
    """
    call = call_of(ctx)
    _show(call, call.project.undo(event, force=force, **call.saving))


@app.command(
    "restore",
    cls=Writer,
    epilog="""taskkeep restore T3M9X --at yesterday
    taskkeep restore T3M9X --at HEAD~3 --field description
    taskkeep restore --at "2026-11-20 09:00" --dry-run""",
)
def restore(
    ctx: typer.Context,
    ids: Ids = None,
    id_: IdOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="WHEN", help="A time, a git revision, an event's id, a backup's name."),
    ] = None,
    field: Annotated[list[str] | None, typer.Option("--field", metavar="FIELD", help="Only this. May repeat.")] = None,
    unlink: Annotated[
        bool, typer.Option("--unlink", help="Leave links to tasks that are not there any more out.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Bring the backlog, or single tasks, back as they were, by a new change.

    Without ids all of it, the archive too; deleted tasks come back with their ids. On a terminal the
    difference is shown and asked about first. Goes over a backlog.json that is damaged or gone too.
    """
    call = call_of(ctx)
    if at is None:
        raise Usage("--at is missing", hint="Say when, like --at yesterday.")
    names, fields = split([*(ids or ()), *(id_ or ())]), split(field or ())
    asked: dict[str, Any] = {"at": at, "fields": fields, "unlink": unlink}
    if not yes and not call.saving["dry_run"] and call.output.can_ask:
        first = call.project.restore(names, **asked, **{**call.saving, "dry_run": True})
        if first.changed:
            _confirm(call, first)
            saved = call.project.restore(names, **asked, **call.saving)
            call.output.saved(saved._replace(tasks=[]), said=_counted(saved))
            return
    _show(call, call.project.restore(names, **asked, **call.saving))


def _confirm(call: Call, saved: Saved) -> None:
    assert saved.difference is not None
    if saved.at is not None:
        call.output.notice(f"as of {point_words(saved.at, call.output.screen)}")
    call.output.warnings(saved.warnings)
    call.output.text(difference_lines(saved.difference, call.output.screen))
    call.output.confirm(f"Restore: {_counted(saved)}?")


def _counted(saved: Saved) -> str:
    found = saved.difference
    if found is None:
        return "done"
    counts = ((len(found.added), "back"), (len(found.removed), "gone"), (len(found.changed), "changed"))
    return ", ".join(f"{count} {what}" for count, what in counts if count) or "as it was saved last"


def _show(call: Call, saved: Saved) -> None:
    """The difference in lines, or with --json beside what every writer answers."""
    if call.output.is_json:
        answer = saved_as_json(saved)
        if saved.at is not None:
            answer["at"] = saved.at.as_json()
        call.output.json(answer)
        return
    if saved.at is not None:
        call.output.notice(f"as of {point_words(saved.at, call.output.screen)}")
    if saved.difference is not None:
        call.output.text(difference_lines(saved.difference, call.output.screen))
    call.output.saved(saved._replace(tasks=[]), said=_counted(saved))


ACTIONS = ("list", "show", "create", "prune")


@app.command(
    "backups",
    cls=Writer,
    epilog="""taskkeep backups
    taskkeep backups show backlog_20261120_120000_000000
    taskkeep backups create --why "before the big clean-up"
    taskkeep backups prune --dry-run""",
)
def backups(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="[ACTION]", help="list show create prune")] = "list",
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="For show: a backup, as list names it.", show_default=False)
    ] = None,
) -> None:
    """List, show, make and thin out the snapshots of backlog.json.

    One is taken before each change. How long they are kept is told by [backups] in the
    configuration; 'restore --at NAME' brings one back, without git too.
    """
    call = call_of(ctx)
    if action not in ACTIONS:
        raise Usage(f"backups cannot {shown(action[:40])}", hint=f"One of: {', '.join(ACTIONS)}.")
    if (name is not None) != (action == "show"):
        raise Usage("'backups show' takes the name of one backup", hint="See 'taskkeep backups list'.")
    {"list": _list, "show": _show_one, "create": _create, "prune": _prune}[action](call, name or "")


def _list(call: Call, _: str) -> None:
    rows = call.project.backups()
    if call.output.is_json:
        call.output.json({"backups": list(rows), "total": len(rows)})
    else:
        call.output.text("".join(_row(call, row) for row in rows))
        if not rows:
            call.output.notice("no backups yet")


def _row(call: Call, row: Any) -> str:
    if call.output.screen is not None:
        return f"{call.output.screen.backup(row)}\n"
    count = "damaged" if row["damaged"] else f"{row['tasks']} task{'' if row['tasks'] == 1 else 's'}"
    reason = row["problem"] if row["damaged"] else row["reason"]
    name = row["name"].partition(".")[0]
    return "\t".join((name, row["time"], count, str(row["size"]), shown(reason))) + "\n"


def _show_one(call: Call, name: str) -> None:
    stem = name.removesuffix(".gz").removesuffix(".json")
    row = next((row for row in call.project.backups() if row["name"].partition(".")[0] == stem), None)
    if row is None:
        raise NotFound(f"there is no backup {shown(name[:80])}", hint="See 'taskkeep backups list'.")
    moment = call.project.at(row["name"])
    tasks = list(moment.backlog().tasks.values())
    if call.output.is_json:
        call.output.json({"backup": row, "tasks": tasks})
        return
    call.output.notice(_row(call, row).strip().replace("\t", "  ") if call.output.screen is None else "")
    if call.output.screen is not None:
        call.output.text(_row(call, row) + call.output.screen.table(tasks))
    else:
        call.output.rows(tasks, ("id", "status", "priority", "title"))


def _create(call: Call, _: str) -> None:
    name, changed = call.project.make_backup(**_options(call))
    if call.output.is_json:
        call.output.json(
            {"changed": changed, "backup": name.partition(".")[0] or None, "dry_run": call.saving["dry_run"]}
        )
    elif call.saving["dry_run"]:
        call.output.notice("dry run: nothing was written")
    else:
        call.output.text(name.partition(".")[0])
        if not changed:
            call.output.notice("that one holds the same already")


def _prune(call: Call, _: str) -> None:
    gone, packed = call.project.prune_backups(**_options(call))
    if call.output.is_json:
        call.output.json({"changed": bool(gone or packed), "removed": list(gone), "compressed": list(packed)})
        return
    call.output.text("".join(f"removed {name}\n" for name in gone) + "".join(f"compressed {name}\n" for name in packed))
    if not gone and not packed:
        call.output.notice("nothing to prune")
    elif call.saving["dry_run"]:
        call.output.notice("dry run: nothing was written")


def _options(call: Call) -> dict[str, Any]:
    return {name: call.saving[name] for name in ("why", "actor", "wait", "dry_run")}

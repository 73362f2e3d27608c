"""merge, sync, conflicts, resolve and merge-driver: branches that went apart come together."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskkeep.cli.app import Reader, Writer, new_app
from taskkeep.cli.call import Call, call_of
from taskkeep.cli.output import cell, saved_as_json, shown, write_err
from taskkeep.cli.screen import local, wrap
from taskkeep.cli.texts import metadata
from taskkeep.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskkeep.backlog.merge import Conflict
    from taskkeep.store.merging.open_merge import ChangedBy, OpenConflict

app = new_app()


@app.command("merge", cls=Writer, epilog="taskkeep merge topic --dry-run")
def merge(
    ctx: typer.Context, branch: Annotated[str, typer.Argument(metavar="BRANCH", help="A branch, or any commit.")]
) -> None:
    """Merge a branch, the backlog by task and field.

    The whole merge as git does it, commit included; nothing is fetched. Conflicts leave it open (exit 5).
    """
    call = call_of(ctx)
    saved, left = call.project.merge(branch, **call.saving)
    if call.output.is_json:
        call.output.json({**saved_as_json(saved), "conflicts": [found._asdict() for found in left]})
        return
    call.output.saved(saved)
    if left:
        call.output.text("would conflict:\n" + "".join(_lines(call, found) for found in left))


@app.command("sync", cls=Writer, epilog="taskkeep sync --push")
def sync(
    ctx: typer.Context,
    remote: Annotated[str | None, typer.Argument(metavar="[REMOTE]", help="Else what the branch follows.")] = None,
    push: Annotated[bool, typer.Option("--push", help="Push afterwards, if all is well.")] = False,
) -> int:
    """Fetch, merge or rebase, verify, and push where asked.

    Merges or rebases as git's pull is configured. Exit 1 with findings; then nothing is pushed.
    """
    call = call_of(ctx)
    saved, verdict = call.project.sync(remote, push=push, **call.saving)
    if call.output.is_json:
        call.output.json({**saved_as_json(saved), "ok": verdict.ok, "findings": verdict.findings})
        return 0 if verdict.ok else 1
    call.output.saved(saved)
    return call.output.verdict(verdict)


@app.command("conflicts", cls=Reader, epilog="taskkeep conflicts --json")
def conflicts(ctx: typer.Context) -> None:
    """List what a merge could not decide, both values shown.

    While rebasing, ours is the branch that is rebased onto.
    """
    call = call_of(ctx)
    found = call.project.conflicts()
    if call.output.is_json:
        call.output.json({"conflicts": [_as_json(one) for one in found]})
    elif found:
        call.output.text("".join(_lines(call, one.conflict, one.ours, one.theirs) for one in found))
        call.output.notice("settle them with 'taskkeep resolve ID [FIELD] --ours' (or --theirs, --both, --value)")
    else:
        call.output.notice("no conflicts")


def _as_json(found: "OpenConflict") -> dict[str, Any]:
    conflict = found.conflict
    sides = {"ours": found.ours, "theirs": found.theirs}
    return {
        **{name: getattr(conflict, name) for name in ("task_id", "uid", "field", "kind", "base", "ours", "theirs")},
        "branch": {name: side.branch for name, side in sides.items()},
        "actor": {name: side.actor for name, side in sides.items()},
        "time": {name: side.time for name, side in sides.items()},
    }


def _lines(call: Call, conflict: "Conflict", ours: "ChangedBy | None" = None, theirs: "ChangedBy | None" = None) -> str:
    """One conflict. On a terminal values are wrapped, and a text keeps its lines."""
    screen = call.output.screen
    what = conflict.field or "deleted on one side, changed on the other"
    head = shown(f"{conflict.task_id} {what} ({conflict.kind})")
    sides = [
        ("base", conflict.base, None),
        ("ours", conflict.ours, ours),
        ("theirs", conflict.theirs, theirs),
    ]
    if screen is None:
        head = shown(f"{conflict.task_id} {what} ({conflict.kind})")
        return "".join(
            [f"{head}\n", *(f"  {name:<7} {_shown_value(value)}{_told(who)}\n" for name, value, who in sides)]
        )
    lines = [screen.paint(shown(f"{conflict.task_id} {what} ({conflict.kind})"), "1")]
    for name, value, who in sides:
        text = value if isinstance(value, str) else _shown_value(value)
        rows = [row for part in text.split("\n") for row in wrap(shown(part), screen.width - 10)]
        lines.append(f"  {name:<7} {rows[0]}")
        lines += [f"{'':10}{row}" for row in rows[1:]]
        if who is not None and (told := _told(who, local)):
            lines.append(f"{'':10}{screen.dim(told.strip(' []'))}")
    return "\n".join(lines) + "\n\n"


def _shown_value(value: Any) -> str:
    if isinstance(value, dict) and "title" in value:
        value = f"{value['title']} ({value['status']})"
    return "-" if value is None else cell({"value": value}, "value")


def _told(who: "ChangedBy | None", moment: "Callable[[str], str] | None" = None) -> str:
    if who is None:
        return ""
    time = moment(who.time) if moment is not None and who.time else who.time
    told = ", ".join(shown(part) for part in (who.branch, who.actor, time) if part)
    return f"  [{told}]" if told else ""


@app.command("resolve", cls=Writer, epilog="taskkeep resolve T3M9X title --theirs\ntaskkeep resolve --all --newest")
def resolve(
    ctx: typer.Context,
    task_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The task.", show_default=False)] = None,
    field: Annotated[
        str | None, typer.Argument(metavar="[FIELD]", help="One field; else all of the task.", show_default=False)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    ours: Annotated[bool, typer.Option("--ours", help="Take our value; while rebasing that of upstream.")] = False,
    theirs: Annotated[bool, typer.Option("--theirs", help="Take their value.")] = False,
    both: Annotated[bool, typer.Option("--both", help="Join lists, and texts by line.")] = False,
    newest: Annotated[bool, typer.Option("--newest", help="Take what was changed last.")] = False,
    value: Annotated[
        str | None, typer.Option("--value", metavar="V", help="Set this; @FILE and - as elsewhere.")
    ] = None,
) -> None:
    """Settle conflicts of a merge.

    When none is left the files are staged; the commit of the merge is yours, with git.
    """
    if (task_id is None) != all_:
        raise Usage("name a task, or pass --all", hint="'taskkeep conflicts' lists them.")
    call = call_of(ctx)
    asked = {"ours": ours, "theirs": theirs, "both": both, "newest": newest, "value": value is not None}
    given = [name for name, is_given in asked.items() if is_given]
    if len(given) != 1:
        raise Usage("say one of --ours, --theirs, --both, --newest and --value")
    if value is not None and field is None:
        raise Usage("--value needs the field", hint="Name it after the task.")
    new: Any = None if value is None else call.texts.text(value, "--value")
    if field is not None and field.startswith("metadata.") and new is not None:
        new = metadata([f"value={new}"])["value"]
    saved, left = call.project.resolve(task_id, field, choice=given[0], value=new, **call.saving)
    if call.output.is_json:
        call.output.json({**saved_as_json(saved), "open": len(left)})
        return
    call.output.saved(saved)
    if left:
        call.output.notice(f"{len(left)} left: see 'taskkeep conflicts'")
    elif not saved.dry_run:
        call.output.notice("none left: the files are staged; finish with 'git commit' (or git's --continue)")


@app.command("merge-driver", cls=Reader, epilog="taskkeep merge-driver base.json ours.json theirs.json backlog.json")
def merge_driver(
    ctx: typer.Context,
    base: Annotated[str, typer.Argument(metavar="BASE", help="The common ancestor's version.")],
    ours: Annotated[str, typer.Argument(metavar="OURS", help="Our version; the result is written there.")],
    theirs: Annotated[str, typer.Argument(metavar="THEIRS", help="Their version.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="The file's name in the repository.")],
    conflict_exit: Annotated[int, typer.Option("--conflict-exit", metavar="N", help="Exit so on conflicts.")] = 1,
) -> int:
    """Merge three versions of a backlog's file, as git calls it.

    Exit 1 with conflicts: then the file holds our values, and they are listed on stderr.
    """
    from taskkeep.project import merge_files

    call = call_of(ctx)
    conflicts = merge_files(base, ours, theirs, path)
    if call.output.is_json:
        call.output.json({"conflicts": [found._asdict() for found in conflicts]})
        return conflict_exit if conflicts else 0
    for found in conflicts:
        what = f" {found.field}" if found.field else ""
        values = "" if found.field is None else f": ours {_value(found.ours)}, theirs {_value(found.theirs)}"
        write_err(shown(f"CONFLICT ({found.kind}): {found.task_id}{what}{values}"[:500]) + "\n")
    if conflicts:
        call.output.notice("our values stand for now: see 'taskkeep conflicts' and 'taskkeep resolve'")
    return conflict_exit if conflicts else 0


def _value(value: object) -> str:
    return "nothing" if value is None else f"'{cell({'value': value}, 'value')[:80]}'"

"""update, note and delete: the commands that change tasks that are there."""

from typing import Annotated

import typer

from taskkeep.cli.app import FieldWriter, Writer, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.fields import any_field, edit_of
from taskkeep.cli.ids import IdOption, Ids, OneId, needed_ids, one_id
from taskkeep.errors import Usage

app = new_app()

Texts = list[str] | None


@app.command(
    "update",
    cls=FieldWriter,
    epilog="""taskkeep update T3M9X --status review --check 1
    taskkeep update T3M9X,T0KQ2 --label ci --remove-label later
    taskkeep update - < task.json""",
)
def update(
    ctx: typer.Context,
    ids: Ids = None,
    id_: IdOption = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="A new title.")] = None,
    check: Annotated[Texts, typer.Option("--check", metavar="N", help="Tick a criterion, counted from 1.")] = None,
    uncheck: Annotated[Texts, typer.Option("--uncheck", metavar="N", help="Take the tick away.")] = None,
    unset: Annotated[
        Texts, typer.Option("--unset", metavar="FIELD", help="Take a field out; metadata.KEY too.")
    ] = None,
    remove_label: Annotated[
        Texts, typer.Option("--remove-label", metavar="LABEL", help="Take a label out. May repeat.")
    ] = None,
    remove_dep: Annotated[
        Texts, typer.Option("--remove-dep", metavar="ID", help="Take a dependency out. May repeat.")
    ] = None,
    remove_ref: Annotated[
        Texts, typer.Option("--remove-ref", metavar="REF", help="Take a reference out. May repeat.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also while it is claimed by someone else.")] = False,
) -> None:
    """Change fields of tasks.

    Options of lists add to them. 'update -' reads a task object as 'show --json' prints it: what
    is absent stays, null takes a field out, its etag counts as --if-match.
    """
    call = call_of(ctx)
    names = needed_ids(ids, id_)
    edit = edit_of(
        call,
        title=title,
        check=check,
        uncheck=uncheck,
        unset=unset,
        remove={"labels": remove_label, "depends_on": remove_dep, "external_refs": remove_ref},
    )
    if "-" in names:
        if any_field(call.fields) or edit:
            raise Usage("'update -' takes the fields from the object", hint="Put them into the JSON object.")
        rest = [name for name in names if name != "-"]
        value = call.texts.object("update")
        saved = call.project.update_object(rest or None, value, force=force, **call.saving)
    elif not edit:
        raise Usage(
            "nothing to change is named", hint="Fields are options, like --status review. See 'taskkeep update --help'."
        )
    else:
        saved = call.project.update(names, edit, force=force, **call.saving)
    call.output.saved(saved)


@app.command("note", cls=Writer, epilog='taskkeep note T3M9X "tried it on macOS: works"')
def note(
    ctx: typer.Context,
    task_id: OneId = None,
    text: Annotated[
        str | None,
        typer.Argument(metavar="TEXT", help="The note; - for stdin, @FILE for a file.", show_default=False),
    ] = None,
    id_: IdOption = None,
) -> None:
    """Append a note to a task."""
    call = call_of(ctx)
    if id_ and text is None:
        task_id, text = None, task_id
    if text is None:
        raise Usage("the text of the note is missing", hint="See 'taskkeep note --help'.")
    name = one_id([task_id] if task_id else None, id_)
    call.output.saved(call.project.note(name, call.texts.text(text, "the note"), **call.saving))


@app.command("delete", cls=Writer, epilog='taskkeep delete ID --why "a duplicate of T3M9X"')
def delete(
    ctx: typer.Context,
    ids: Ids = None,
    id_: IdOption = None,
    unlink: Annotated[bool, typer.Option("--unlink", help="Take links of other tasks to it out as well.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also while it is claimed by someone else.")] = False,
) -> None:
    """Delete tasks, for a reason; they can be brought back.

    Needs --why. Refused while other tasks name them, but with --unlink.
    """
    call = call_of(ctx)
    names = needed_ids(ids, id_)
    if not (call.saving["why"] or "").strip():
        raise Usage("deleting needs a reason", hint="Say it with --why; it stays in the log.")
    saved = call.project.delete(names, unlink=unlink, force=force, **call.saving)
    call.output.saved(saved)

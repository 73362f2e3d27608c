"""edit: one task as a page of text in the user's editor."""

from typing import Annotated

import typer

from taskkeep.cli.app import Writer, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.ids import IdOption, OneId, one_id
from taskkeep.errors import TaskkeepError

app = new_app()


@app.command("edit", cls=Writer, epilog="EDITOR=nano taskkeep edit T3M9X")
def edit(
    ctx: typer.Context,
    task_id: OneId = None,
    id_: IdOption = None,
    force: Annotated[bool, typer.Option("--force", help="Also while it is claimed by someone else.")] = False,
) -> None:
    """Change a task in your editor.

    A header of fields, then the description as Markdown. Others can write meanwhile; if one of
    them changed this task, your text is refused, kept, and offered the next time.
    """
    from taskkeep.backlog.task import etag
    from taskkeep.cli import page

    call = call_of(ctx)
    [task] = call.project.show([one_id([task_id] if task_id else None, id_)])
    kept = call.project.kept_edit(task["id"])
    text = page.run_editor(page.offered(task, kept), task["id"])
    try:
        saving = {**call.saving, "if_match": call.saving["if_match"] or etag(task)}
        saved = call.project.update([task["id"]], page.edit_of(task, text), force=force, **saving)
    except TaskkeepError as error:
        error.details["kept"] = call.project.keep_edit(task["id"], text)
        error.hint = f"{error.hint} Your text is kept; 'taskkeep edit {task['id']}' offers it again.".strip()
        raise
    if not saved.dry_run:
        call.project.keep_edit(task["id"], None)
    call.output.saved(saved)

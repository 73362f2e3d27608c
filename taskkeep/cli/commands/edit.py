"""edit: one task as a page of text in the user's editor."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from taskkeep.cli.app import Writer, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.ids import IdOption, OneId, one_id
from taskkeep.errors import InputInvalid, Interrupted, TaskkeepError
from taskkeep.project import Project

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
    if kept is not None and (base := _base(call.project, task, page.made_of(kept))) is not None:
        kept = page.rebased(task, kept, base)
    text = page.run_editor(page.offered(task, kept), task["id"])
    if page.is_empty(text):
        call.project.keep_edit(task["id"], None)
        raise InputInvalid(
            "the page is empty; nothing was changed",
            hint=f"'taskkeep edit {task['id']}' begins with the task as it is.",
        )
    try:
        saving = {**call.saving, "if_match": call.saving["if_match"] or etag(task)}
        saved = call.project.update([task["id"]], page.edit_of(task, text), force=force, **saving)
    except (TaskkeepError, KeyboardInterrupt) as stopped:
        error = stopped if isinstance(stopped, TaskkeepError) else Interrupted()
        try:
            error.details["kept"] = call.project.keep_edit(task["id"], text)
            where = f"; 'taskkeep edit {task['id']}' offers it again"
        except OSError:  # as in a checkout that may only be read
            error.details["kept"] = page.set_aside(text, task["id"])
            where = f" in {error.details['kept']}"
        error.hint = f"{error.hint} Your text is kept{where}.".strip()
        raise error from None
    if not saved.dry_run:
        call.project.keep_edit(task["id"], None)
    call.output.saved(saved)


def _base(project: Project, task: Mapping[str, Any], when: str) -> Mapping[str, Any] | None:
    """The task as it was *when* the kept page was made, None where nobody knows: then its text is offered whole."""
    if when == task["updated_at"]:
        return task
    try:
        return project.at(when).find(task["id"]) if when else None
    except TaskkeepError:
        return None

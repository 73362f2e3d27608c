"""status: where this checkout stands."""

from typing import Any

import typer

from taskkeep.cli.app import Reader, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.output import shown

app = new_app()


@app.command("status", cls=Reader, epilog="taskkeep status")
def status(ctx: typer.Context) -> None:
    """Show where this checkout stands.

    How many tasks there are, whether a commit waits, whether somebody edited the file by hand or
    a save was interrupted.
    """
    call = call_of(ctx)
    answer = call.project.status()
    if call.output.is_json:
        call.output.json(answer)
    else:
        call.output.text("".join(_line(name, value) for name, value in answer.items() if value is not None))


def _line(name: str, value: Any) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{count} {key.replace('_', ' ')}" for key, count in value.items() if count) or "none"
    elif isinstance(value, list):
        value = ", ".join(str(entry) for entry in value) or "none"
    elif isinstance(value, bool):
        value = "yes" if value else "no"
    return f"{name.replace('_', ' ')}: {shown(str(value))}\n"

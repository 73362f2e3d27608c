"""prime: what an agent needs at its start, and again when its context was cut."""

from typing import Annotated

import typer

from taskkeep.cli.app import Reader, new_app
from taskkeep.cli.call import call_of
from taskkeep.errors import BacklogNotFound, Usage

app = new_app()

BUDGET = 600


@app.command(
    "prime",
    cls=Reader,
    epilog="""taskkeep prime
    taskkeep prime --budget 300 --json""",
)
def prime(
    ctx: typer.Context,
    budget: Annotated[int, typer.Option("--budget", metavar="TOKENS", help="At most so long.")] = BUDGET,
) -> None:
    """Tell an agent what it needs at its start, in few words.

    The rules, counts, its own claims, the next ready tasks with the reason, and what others did.
    Where there is no backlog it says nothing and exits 0, so that it suits any session's start.
    """
    from taskkeep.cli.prime import answer, lines

    call = call_of(ctx)
    if budget < 1:
        raise Usage("--budget takes a number of tokens, from 1")
    try:
        project = call.project
    except BacklogNotFound:
        return
    value = answer(project.prime(), budget)
    if call.output.is_json:
        call.output.json(value)
    else:
        call.output.text(lines(value))

"""verify, recover and doctor: is everything there, and is the ground firm?"""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from taskkeep.cli.app import Reader, Writer, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.output import shown

app = new_app()


@app.command("verify", cls=Reader, epilog="taskkeep verify --strict")
def verify(
    ctx: typer.Context,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors do.")] = False,
) -> int:
    """Check the backlog and its log, and that nothing is lost.

    Reads only. Exit 1 with findings.
    """
    call = call_of(ctx)
    return call.output.verdict(call.project.verify(strict=strict))


@app.command("recover", cls=Writer, epilog="taskkeep recover")
def recover(ctx: typer.Context) -> None:
    """Finish or take back a change that was interrupted.

    And commit what waits. Every other difference between file and log is left alone and named.
    """
    call = call_of(ctx)
    call.output.saved(call.project.recover(**call.saving))


@app.command("doctor", cls=Reader, epilog="taskkeep doctor")
def doctor(
    ctx: typer.Context,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without losing anything.")] = False,
) -> int:
    """Check what the backlog stands on: git, lock, disk.

    Exit 1 with findings.
    """
    call = call_of(ctx)
    verdict = call.project.doctor(fix=fix)
    if not call.output.is_json and not call.quiet:
        call.output.text("".join(_lines(verdict.checked)))
    return call.output.verdict(verdict)


def _lines(checked: dict[str, Any]) -> Iterator[str]:
    for done in checked.get("fixed", ()):
        yield f"fixed: {shown(done)}\n"
    for name, size in checked["sizes"].items():
        yield f"{name}: {_size(size)}\n"
    if "loose_objects" in checked:
        yield f"loose git objects: {checked['loose_objects']}, {_size(checked['loose_bytes'])}\n"


def _size(count: int) -> str:
    return f"{count} bytes" if count < 10_000 else f"{count / 1000:,.0f} kB"

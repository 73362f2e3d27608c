"""verify, recover and doctor: is everything there, and is the ground firm?"""

import os
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from taskkeep.cli.app import Reader, Writer, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.output import shown
from taskkeep.errors import Usage

app = new_app()


class Checker(Reader):
    """A reader that answers in the formats of checks, too."""

    formats = ("text", "json", "github", "sarif")


def _codes(help: str, name: str) -> Any:
    return typer.Option(name, metavar="CODE", help=help)


@app.command(
    "verify",
    cls=Checker,
    epilog="""taskkeep verify
    taskkeep verify --base main
    taskkeep verify --base v1.0 --head v2.0
    taskkeep verify --history
    taskkeep verify --base HEAD^1 --format github --summary "$GITHUB_STEP_SUMMARY"
    taskkeep verify --skip damaged_backup --strict""",
)
def verify(
    ctx: typer.Context,
    base: Annotated[
        str | None, typer.Option("--base", metavar="REV", help="Hold HEAD against this commit: is nothing of it lost?")
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", metavar="REV", help="Judge this commit, without a checkout.")
    ] = None,
    replaced: Annotated[
        bool,
        typer.Option("--replaced", help="HEAD took the base's place, as by a forced push: is all of it there?"),
    ] = False,
    staged: Annotated[bool, typer.Option("--staged", help="Judge what is staged, against HEAD.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Walk all commits of the backlog and name the first bad one.")
    ] = False,
    anchor: Annotated[
        str | None, typer.Option("--anchor", metavar="HASH", help="The log holds this head, kept elsewhere.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All backlogs of the repository.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors do.")] = False,
    only: Annotated[
        list[str] | None, _codes("Only findings of these codes. May repeat; a,b are two.", "--only")
    ] = None,
    skip: Annotated[list[str] | None, _codes("No findings of these codes.", "--skip")] = None,
    format: Annotated[str | None, typer.Option("--format", metavar="FORMAT", help="text json github sarif")] = None,
    summary: Annotated[
        str | None, typer.Option("--summary", metavar="FILE", help="Append what was found and changed, as Markdown.")
    ] = None,
) -> int:
    """Check the backlog and its log, and that nothing is lost.

    Reads only. Without --base the working tree, held against HEAD; with it, task by task and field by
    field, HEAD against the commit that both come from. Exit 1 with findings that are errors.
    """
    from taskkeep.cli.texts import split
    from taskkeep.project import verify as verify_at

    call = call_of(ctx)
    progress = call.output.progress()
    try:
        verdict = verify_at(
            call.folder,
            base=base,
            head=head,
            replaced=replaced,
            staged=staged,
            history=history,
            anchor=anchor,
            every=every,
            strict=strict,
            only=_named(split(only or ()), only, "--only"),
            skip=_named(split(skip or ()), skip, "--skip"),
            index_file=_hooks_index() if staged else None,
            progress=progress,
        )
    finally:
        if progress is not None:
            progress.clear()
    status = call.output.verdict(verdict)
    if summary is not None:
        from taskkeep.cli.verdicts import append_summary

        append_summary(summary, verdict)
    return status


def _named(codes: list[str], given: list[str] | None, option: str) -> list[str]:
    if given and not codes:
        raise Usage(f"{option} names nothing")
    return codes


def _hooks_index() -> str | None:
    """The index that git tells a hook of: 'commit -a' and 'commit -- PATH' stage in one of their own."""
    path = os.environ.get("GIT_INDEX_FILE")
    return os.path.abspath(path) if path else None


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
    for said in checked["advice"]:
        yield f"{shown(said)}\n"


def _size(count: int) -> str:
    return f"{count} bytes" if count < 10_000 else f"{count / 1000:,.0f} kB"

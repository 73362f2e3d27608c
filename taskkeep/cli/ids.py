"""Ids as arguments: several, as comma lists, or by --id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from taskkeep.cli.texts import split
from taskkeep.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable


def complete_ids(ctx: typer.Context, args: list[str], incomplete: str) -> list[tuple[str, str]]:
    """The open tasks whose id begins like that, for a shell; nothing where there is no backlog."""
    from taskkeep.backlog.query import Query
    from taskkeep.cli.output import shown
    from taskkeep.errors import TaskkeepError
    from taskkeep.project import open as open_project

    root = ctx.find_root()
    try:
        page = open_project(root.params.get("folder")).list(Query(all=True, limit=0))
    except TaskkeepError:
        return []
    start = incomplete.upper()
    return [(task["id"], shown(task["title"])[:60]) for task in page.tasks if task["id"].startswith(start)]


# What Typer reads at run time.
Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID...",
        help="Ids, in any case; a,b are two.",
        autocompletion=complete_ids,
        show_default=False,
    ),
]
OneId = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="The task.", autocompletion=complete_ids, show_default=False),
]
IdOption = Annotated[list[str] | None, typer.Option("--id", hidden=True)]


def needed_ids(*given: Iterable[str] | None) -> list[str]:
    """The ids that were named, each once. Raises Usage for none: no task is ever meant silently."""
    names = split([name for names in given for name in names or ()])
    if not names:
        raise Usage("no task is named", hint="Name one or several by id, like T3M9X; see 'taskkeep list'.")
    return names


def one_id(*given: Iterable[str] | None) -> str:
    """The one id that was named. Raises Usage for none or several."""
    names = needed_ids(*given)
    if len(names) > 1:
        raise Usage(f"one task at a time, not {len(names)}")
    return names[0]

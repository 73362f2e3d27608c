"""Ids as arguments: several, as comma lists, or by --id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from taskkeep.cli.texts import split
from taskkeep.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable


# What Typer reads at run time.
Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID...",
        help="Ids, in any case; a,b are two.",
        show_default=False,
    ),
]
OneId = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="The task.", show_default=False),
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

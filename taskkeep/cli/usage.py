"""What the parser refuses, said in our words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer._click import exceptions as parser

from taskkeep.errors import Usage

if TYPE_CHECKING:
    from typer._click.core import Context


def usage_error(error: Exception) -> Usage | None:
    """The refusal as an error of ours, with the nearest name that exists; None for anything else."""
    if not isinstance(error, parser.ClickException):
        return None
    context = getattr(error, "ctx", None)
    see = f"See '{_command(context)} --help'."
    if isinstance(error, parser.NoSuchOption):
        near = [name for name in error.possibilities or () if name not in _hidden(context)]
        hint = f"Did you mean {near[0]}?" if near else see
        return Usage(f"unknown option {error.option_name}", hint=hint, option=error.option_name)
    if isinstance(error, parser.MissingParameter) and error.param is not None:
        return Usage(f"{error.param.human_readable_name} is missing", hint=see)
    message = error.format_message().rstrip(".").replace("a valid int", "a whole number")
    message = message.replace("a valid float", "a number")
    if "unexpected extra argument" in message:
        extra = message.rpartition(" (")[2].rstrip(")")
        return Usage(f"too many arguments: {extra}", hint=f"Put a text of several words into quotes. {see}")
    return Usage(message[:1].lower() + message[1:] if message[1:2].islower() else message, hint=see)


def _command(context: Context | None) -> str:
    """``taskkeep list``, without the arguments that the parser would put between."""
    if context is None or context.parent is None:
        return "taskkeep"
    return f"taskkeep {context.command.name}"


def _hidden(context: Context | None) -> set[str]:
    from taskkeep.cli.app import HIDDEN_OPTIONS

    known = {spelling for names in HIDDEN_OPTIONS.values() for spelling in names}
    shown = {name for param in (context.command.params if context else ()) for name in param.opts}
    return known - shown

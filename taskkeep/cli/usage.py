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
        from taskkeep.backlog.task import shortened
        from taskkeep.cli.guesses import option_hint

        hint = option_hint(error.option_name, _shown(context)) or see
        return Usage(f"unknown option {shortened(error.option_name)}", hint=hint, option=error.option_name)
    if isinstance(error, parser.MissingParameter) and error.param is not None:
        options = [name for name in error.param.opts if name.startswith("--")]
        return Usage(f"{(options or [error.param.human_readable_name])[0]} is missing", hint=see)
    message = error.format_message().rstrip(".").replace("a valid int", "a whole number")
    message = message.replace("a valid float", "a number")
    if "unexpected extra argument" in message:
        extra = message.rpartition(" (")[2].rstrip(")")
        takes = context is not None and any(param.param_type_name == "argument" for param in context.command.params)
        hint = "Put a text of several words into quotes." if takes else "It takes options alone."
        return Usage(f"too many arguments: {extra}", hint=f"{hint} {see}")
    return Usage(message[:1].lower() + message[1:] if message[1:2].islower() else message, hint=see)


def _command(context: Context | None) -> str:
    """``taskkeep list``, without the arguments that the parser would put between."""
    if context is None or context.parent is None:
        return "taskkeep"
    return f"taskkeep {context.command.name}"


def _shown(context: Context | None) -> list[str]:
    """The options that a command has, those left out of its help not."""
    if context is None:
        return []
    return [name for param in context.command.params if not getattr(param, "hidden", False) for name in param.opts]

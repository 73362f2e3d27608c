"""The whole command line as data: commands, options, exit statuses, and the shapes of the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep import __version__, errors
from taskkeep.cli.app import ALIASES, COMMANDS, HIDDEN_OPTIONS, Reader, Writer, command, group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer._click.core import Parameter

# The shape that each command answers with: schemas/answers/SHAPE.schema.json; None where the
# answer of a command is no JSON at all. A test runs every command and holds its answer to it.
SHAPES: dict[str, str | None] = {
    "add": "added",
    "update": "saved",
    "edit": "saved",
    "note": "saved",
    "start": "saved",
    "done": "saved",
    "cancel": "saved",
    "block": "saved",
    "reopen": "saved",
    "claim": "claimed",
    "release": "saved",
    "batch": "batched",
    "delete": "saved",
    "list": "page",
    "ready": "page",
    "search": "page",
    "show": "shown",
    "log": "logged",
    "diff": "compared",
    "blame": "blamed",
    "status": "status",
    "undo": "rewritten",
    "restore": "rewritten",
    "backups": "snapshots",
    "init": "saved",
    "archive": "saved",
    "import": "imported",
    "adopt": "rewritten",
    "apply": "rewritten",
    "verify": "verdict",
    "recover": "saved",
    "doctor": "verdict",
    "merge": "merged",
    "sync": "synced",
    "conflicts": "conflicts",
    "resolve": "resolved",
    "merge-driver": "conflicts",
    "prime": "primer",
    "schema": "schema",
    "completion": "completion",
    "mcp": None,
    "agents": "agents",
    "setup": "edited",
    "uninstall": "removed",
    "demo": "demo",
}
WITH_FINDINGS = (
    "verdict",
    "compared",
    "synced",
)  # shapes of commands that exit 1 with findings, or differences if asked to


def description() -> dict[str, Any]:
    """What `schema commands` prints."""
    return {
        "version": __version__,
        "global_options": [_option(param) for param in group().params if not getattr(param, "hidden", False)],
        "commands": [_command(name) for name in COMMANDS],
        "exits": {"0": "Done.", "1": "verify or doctor with findings."}
        | {str(kind.exit_status): _first_line(kind) for kind in _kinds()},
        "errors": sorted(_errors(), key=lambda entry: (entry["exit"], entry["code"])),
    }


def _command(name: str) -> dict[str, Any]:
    built = command(name)
    shown = [param for param in built.params if not getattr(param, "hidden", False)]
    shape = SHAPES.get(name)
    writes = isinstance(built, Writer)
    exits = [0, 2, 3, 4, 5, *([6] if writes else []), 7, 70, 130]
    return {
        "name": name,
        "help": " ".join((built.help or "").split()),
        "section": COMMANDS[name][1],
        "also": [other for other, meant in ALIASES.items() if meant == name],
        "writes": writes,
        "arguments": [_argument(param) for param in shown if param.param_type_name == "argument"],
        "options": [_option(param) for param in shown if param.param_type_name == "option"],
        "formats": list(built.formats) if isinstance(built, Reader) else [],
        "answer": shape,
        "exits": [0, 1, *exits[1:]] if shape in WITH_FINDINGS or name == "merge-driver" else exits,
        "examples": [line.strip() for line in (built.epilog or "").strip().splitlines()],
    }


def _argument(param: Parameter) -> dict[str, Any]:
    return {
        "name": (param.metavar or param.name or "").strip("[]").removesuffix("..."),
        "help": getattr(param, "help", None) or "",
        "repeats": param.nargs != 1,
        "required": param.required,
    }


def _option(param: Parameter) -> dict[str, Any]:
    names = [*param.opts, *param.secondary_opts]
    long = next((name for name in names if name.startswith("--")), names[0])
    flag = getattr(param, "is_flag", False)
    return {
        "name": long,
        "spellings": [*names, *(other for name in names for other in HIDDEN_OPTIONS.get(name, ()))],
        "takes": None if flag else param.metavar or (param.name or "").upper(),
        "help": getattr(param, "help", None) or "",
        "repeats": bool(getattr(param, "multiple", False)),
        "section": getattr(param, "rich_help_panel", None) or "Options",
    }


def _kinds() -> list[type[errors.TaskkeepError]]:
    return [errors.TaskkeepError, *errors.TaskkeepError.__subclasses__()]


def _errors() -> Iterator[dict[str, Any]]:
    waiting: list[type[errors.TaskkeepError]] = [errors.TaskkeepError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        codes = getattr(error, "codes", None) if "codes" in vars(error) else None
        for code in codes or ([error.code] if "code" in vars(error) else []):
            yield {
                "code": code,
                "exit": error.exit_status,
                "retryable": error.retryable,
                "meaning": _first_line(error),
            }


def _first_line(error: type[errors.TaskkeepError]) -> str:
    return "A bug in taskkeep." if error is errors.TaskkeepError else (error.__doc__ or "").strip().split("\n")[0]

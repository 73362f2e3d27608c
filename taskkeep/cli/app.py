"""The commands by name, and what all of them share: global, writer, field and filter options."""

from __future__ import annotations

from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from taskkeep.cli.call import Call
from taskkeep.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typer._click.core import Command as AnyCommand
    from typer._click.core import Context, Parameter
    from typer._click.formatting import HelpFormatter
    from typer._click.parser import _OptionParser
    from typer._click.shell_completion import CompletionItem

# Name: module below taskkeep.cli.commands, section of the help, one line of help (equal to the
# first line of the command's docstring, which a test sees to). Help, completion and the search
# for a misspelt name need no module.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "add": ("add", "Tasks", "Add a task."),
    "update": ("update", "Tasks", "Change fields of tasks."),
    "edit": ("edit", "Tasks", "Change a task in your editor."),
    "note": ("update", "Tasks", "Append a note to a task."),
    "start": ("state", "Tasks", "Mark tasks as in progress."),
    "done": ("state", "Tasks", "Mark tasks as done."),
    "cancel": ("state", "Tasks", "Mark tasks as cancelled."),
    "block": ("state", "Tasks", "Mark tasks as blocked."),
    "reopen": ("state", "Tasks", "Mark tasks as to do again."),
    "claim": ("claim", "Tasks", "Take a task for yourself alone, by default the best ready one."),
    "release": ("claim", "Tasks", "Give a claim back."),
    "batch": ("batch", "Tasks", "Carry out many operations at once, all or none."),
    "delete": ("update", "Tasks", "Delete tasks, for a reason; they can be brought back."),
    "list": ("read", "Looking", "List tasks, the most pressing first."),
    "ready": ("read", "Looking", "List what can be started now, best first, and why."),
    "search": ("read", "Looking", "List tasks that hold all the words of a text."),
    "show": ("read", "Looking", "Show tasks with all their fields."),
    "log": ("log", "Looking", "Show who changed what, when and why."),
    "diff": ("history", "Looking", "Show what changed between two points in time, per task and field."),
    "blame": ("history", "Looking", "Show for each field of a task who set it last, when and why."),
    "status": ("status", "Looking", "Show where this checkout stands."),
    "undo": ("travel", "The past", "Take back a change by a new change."),
    "restore": ("travel", "The past", "Bring the backlog, or single tasks, back as they were, by a new change."),
    "backups": ("travel", "The past", "List, show, make and thin out the snapshots of backlog.json."),
    "init": ("setup", "The backlog", "Make a backlog in the current folder."),
    "archive": ("archive", "The backlog", "Move old finished tasks to backlog.archive.json."),
    "import": ("importing", "The backlog", "Import tasks from a file of another tool."),
    "adopt": ("rewriting", "The backlog", "Record a hand edit of backlog.json as a change."),
    "apply": ("rewriting", "The backlog", "Make the backlog equal a file that was rewritten as a whole."),
    "verify": ("check", "The backlog", "Check the backlog and its log, and that nothing is lost."),
    "recover": ("check", "The backlog", "Finish or take back a change that was interrupted."),
    "doctor": ("check", "The backlog", "Check what the backlog stands on: git, lock, disk."),
    "merge": ("merging", "Merging", "Merge a branch, the backlog by task and field."),
    "sync": ("merging", "Merging", "Fetch, merge or rebase, verify, and push where asked."),
    "conflicts": ("merging", "Merging", "List what a merge could not decide, both values shown."),
    "resolve": ("merging", "Merging", "Settle conflicts of a merge."),
    "merge-driver": ("merging", "For programs", "Merge three versions of a backlog's file, as git calls it."),
    "prime": ("prime", "For programs", "Tell an agent what it needs at its start, in few words."),
    "schema": ("schema", "For programs", "Print a JSON Schema, or what every command takes and answers."),
    "completion": ("setup", "For programs", "Print the completion script of a shell."),
    "mcp": ("mcp", "For programs", "Serve the backlog to an agent over MCP, on stdin and stdout."),
    "agents": ("agents", "For programs", "Set up what language-model agents read and run here."),
    "setup": ("setup", "For programs", "Set up a check in git before each commit."),
    "uninstall": ("setup", "For programs", "Take out what was set up in git and for agents, never the backlog."),
    "demo": ("demo", "For programs", "Show in a temporary folder what taskkeep guards against."),
}

# Spellings that people and agents reach for too; left out of the help.
ALIASES = {
    "new": "add",
    "create": "add",
    "close": "done",
    "finish": "done",
    "complete": "done",
    "view": "show",
    "get": "show",
    "ls": "list",
    "rm": "delete",
    "remove": "delete",
}
HIDDEN_OPTIONS = {
    "--status": ("--state",),
    "--label": ("--labels", "--add-label"),
    "--description": ("--body",),
    "--depends-on": ("--blocked-by", "--add-dep"),
    "--why": ("-m", "--reason"),
    "--remove-dep": ("--remove-depends-on",),
    "--accept": ("--acceptance",),
}

GLOBAL = "Global options"
SAVING = "Saving"
FIELDS = "Fields"
FILTERS = "Filters"
OUTPUT = "Output"
WITHOUT_ID = ("claim", "log", "restore", "resolve")  # commands that take ids, and mean something without one


def option(
    name: str,
    *spellings: str,
    help: str = "",
    metavar: str = "",
    section: str | None = None,
    hidden: bool = False,
    **more: Any,
) -> TyperOption:
    """One option whose value is None, an empty tuple or False unless it is given."""
    if more.get("is_flag"):
        more["default"] = False
    else:
        more.setdefault("metavar", metavar or name.upper())
    return TyperOption(param_decls=[name, *spellings], help=help, rich_help_panel=section, hidden=hidden, **more)


def flag(name: str, *spellings: str, help: str = "", section: str | None = None, **more: Any) -> TyperOption:
    return option(name, *spellings, help=help, section=section, is_flag=True, **more)


def global_options(*, hidden: bool) -> list[Parameter]:
    """Taken before the command and after it; told in the help of the first place only."""
    return [
        option("folder", "-C", metavar="DIR", help="Look for the backlog from DIR upwards.", hidden=hidden),
        flag("json", "--json", help="Print one JSON object.", hidden=hidden),
        flag("quiet", "-q", "--quiet", help="Print results, warnings and errors only.", hidden=hidden),
        flag("no_color", "--no-color", help="Print no colours.", hidden=hidden),
        flag("debug", "--debug", help="Show the traceback of an error.", hidden=hidden),
    ]


def writer_options() -> list[Parameter]:
    option, flag = _in_section(SAVING)
    return [
        option("why", "--why", metavar="TEXT", help="The reason, kept in the log and the commit."),
        option("actor", "--actor", metavar="NAME", help="Who does it; else TASKKEEP_ACTOR, else git's user."),
        flag("dry_run", "--dry-run", help="Say what would be, write nothing."),
        flag("no_commit", "--no-commit", help="Save, and leave the commit for later."),
        option("wait", "--wait", metavar="SECONDS", type=float, help="How long to wait for another writer; 10."),
        option("if_match", "--if-match", metavar="ETAG", help="Only while the task has this etag."),
        option("claim", "--claim", metavar="N", type=int, help="Only while N is the task's last claim."),
        option("key", "--key", help="Idempotency key: the same request again writes nothing."),
        flag("allow_secret", "--allow-secret", help="Save text that looks like a key or token; needs --why."),
    ]


def field_options() -> list[Parameter]:
    option, _ = _in_section(FIELDS)
    many = partial(option, multiple=True)
    return [
        option("description", "-d", "--description", metavar="TEXT", help="Markdown."),
        option("status", "--status", help="todo in_progress blocked review done cancelled"),
        option("priority", "-p", "--priority", help="critical high medium low"),
        option("type", "-t", "--type", help="task bug feature epic chore"),
        many("label", "-l", "--label", help="May repeat; a,b are two."),
        many("depends_on", "--depends-on", metavar="ID", help="What must be finished before. May repeat."),
        option("parent", "--parent", metavar="ID", help="The task that it is a part of."),
        option("assignee", "-a", "--assignee", metavar="NAME", help="Who it is for."),
        option("role", "--role", help="What kind of worker it is for."),
        option("due", "--due", metavar="YYYY-MM-DD", help="The last day."),
        many("accept", "--accept", metavar="TEXT", help="An acceptance criterion. May repeat."),
        many("ref", "--ref", help="A name elsewhere, like github:17. May repeat."),
        many("set", "--set", metavar="KEY=VALUE", help="Metadata; VALUE as JSON where it is JSON."),
    ]


def filter_options() -> list[Parameter]:
    option, flag = _in_section(FILTERS)
    many = partial(option, multiple=True)
    return [
        many("status", "--status", help="todo in_progress blocked review done cancelled; open ones without it."),
        many("label", "-l", "--label", help="With all of these."),
        many("priority", "-p", "--priority", help="critical high medium low"),
        many("type", "-t", "--type", help="task bug feature epic chore"),
        many("assignee", "-a", "--assignee", metavar="NAME", help="For one of these."),
        many("role", "--role", help="For one of these kinds of worker."),
        many("parent", "--parent", metavar="ID", help="Parts of one of these."),
        flag("mine", "--mine", help="Assigned to you or claimed by you."),
        flag("overdue", "--overdue", help="Open past their due day."),
        option("since", "--since", metavar="WHEN", help="Updated then or later: a day, a time, or 7d."),
        option("until", "--until", metavar="WHEN", help="Updated then or before."),
        flag("ready", "--ready", help="Only what can be started now."),
        flag("all", "--all", help="Finished ones too."),
        flag("archived", "--archived", help="Archived ones too."),
    ]


def at_option(*, section: str | None = None) -> TyperOption:
    help = "As it was then: a time, 'yesterday 17:00', a git revision, an event's id, a backup's name."
    return option("at", "--at", metavar="WHEN", help=help, section=section)


def listing_options() -> list[Parameter]:
    option, _ = _in_section(OUTPUT)
    return [
        option("sort", "--sort", help="priority created updated due title; '-' before it turns it round."),
        option("limit", "--limit", metavar="N", type=int, help="At most N; 0 for all."),
        option("offset", "--offset", metavar="N", type=int, help="Leave out the first N."),
        option("format", "--format", help="table json jsonl tsv ids"),
        option("fields", "--fields", metavar="A,B", multiple=True, help="Only these fields, in this order."),
    ]


def _in_section(name: str) -> tuple[Callable[..., TyperOption], Callable[..., TyperOption]]:
    return partial(option, section=name), partial(flag, section=name)


class Reader(TyperCommand):
    """A command with the global options, whose values it hands over in the context's Call."""

    formats: tuple[str, ...] = ("text", "table", "json")

    def __init__(self, name: str | None, *, params: list[Parameter] | None = None, **more: Any) -> None:
        own = [*(params or ()), *self.shared_options()]
        if not any(param.name == "format" for param in own):
            own.append(option("format", "--format", hidden=True))
        super().__init__(name, params=[*own, *global_options(hidden=True)], **more)

    def shared_options(self) -> list[Parameter]:
        return []

    def invoke(self, ctx: Context) -> Any:
        ctx.obj = self.call(ctx.params, ctx.parent.params if ctx.parent is not None else {})
        return super().invoke(ctx)

    def call(self, values: dict[str, Any], outer: Mapping[str, Any]) -> Call:
        """What the shared options among *values* say, which are taken out; *outer*: those before the command."""
        call = Call(
            command=self.name or "",
            formats=self.formats,
            format=values.pop("format") or outer.get("format"),
            settings={name: values.pop(name) or outer.get(name) for name in Call.GLOBALS},
        )
        self.hand_over(call, values)
        return call

    def hand_over(self, call: Call, values: dict[str, Any]) -> None:
        """Move the values of shared options from *values* to *call*."""

    def make_parser(self, ctx: Context) -> _OptionParser:
        """The parser, which takes the hidden spellings too."""
        shown = {param: param.opts for param in self.params}
        for param, names in shown.items():
            param.opts = [*names, *(hidden for name in names for hidden in HIDDEN_OPTIONS.get(name, ()))]
        try:
            return super().make_parser(ctx)
        finally:
            for param, names in shown.items():
                param.opts = names

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """What stands behind the command, in brackets only what may be left out; ids are asked for by us."""
        pieces = [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]
        if self.name in WITHOUT_ID:
            return pieces
        return [piece.strip("[]") if piece in ("[ID...]", "[ID]", "[TEXT]") else piece for piece in pieces]

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                usual = "Arguments" if param.param_type_name == "argument" else "Options"
                name = getattr(param, "rich_help_panel", None) or usual
                sections.setdefault(name, []).append(record)
        order = ("Arguments", FIELDS, FILTERS, OUTPUT, "Options", SAVING)
        for name in sorted(sections, key=lambda name: order.index(name) if name in order else len(order)):
            with formatter.section(name):
                formatter.write_dl(sections[name])
        formatter.write_paragraph()
        formatter.write_text("Also -C DIR, --json, -q, --no-color, --debug: see 'taskkeep --help'.")

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        if self.epilog:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line.strip()}\n" for line in self.epilog.strip().splitlines()))


class Listing(Reader):
    """A reader that lists tasks: with filters, order, range and format."""

    formats = ("text", "table", "json", "jsonl", "tsv", "ids")

    def shared_options(self) -> list[Parameter]:
        return [*filter_options(), *listing_options()]

    def hand_over(self, call: Call, values: dict[str, Any]) -> None:
        call.fields = values.pop("fields")
        call.filters = {name: values.pop(name) for name in Call.FILTERS}


class Viewer(Reader):
    """A reader that can look at any point in time."""

    def shared_options(self) -> list[Parameter]:
        return [at_option()]

    def hand_over(self, call: Call, values: dict[str, Any]) -> None:
        call.when = values.pop("at")


class PastListing(Listing):
    """A listing that can look at any point in time."""

    def shared_options(self) -> list[Parameter]:
        return [*super().shared_options(), at_option(section=FILTERS)]

    def hand_over(self, call: Call, values: dict[str, Any]) -> None:
        super().hand_over(call, values)
        call.when = values.pop("at")


class Writer(Reader):
    """A command that saves: with the options of every save."""

    def shared_options(self) -> list[Parameter]:
        return writer_options()

    def hand_over(self, call: Call, values: dict[str, Any]) -> None:
        call.take_saving(values)


class FieldWriter(Writer):
    """A writer that takes the fields of a task as options."""

    def shared_options(self) -> list[Parameter]:
        return [*field_options(), *writer_options()]

    def hand_over(self, call: Call, values: dict[str, Any]) -> None:
        super().hand_over(call, values)
        call.fields = {name: values.pop(name) for name in Call.FIELDS}


class Commands(TyperGroup):
    """The commands, of which only the one that is asked for is imported."""

    def list_commands(self, ctx: Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> AnyCommand | None:
        name = ALIASES.get(cmd_name, cmd_name)
        return command(name) if name in COMMANDS else None

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, AnyCommand | None, list[str]]:
        found = self.get_command(ctx, args[0])
        if found is None and not ctx.resilient_parsing:
            raise unknown_command(args[0])
        return found.name if found else None, found, args[1:]

    def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
        from typer._click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=line) for name, (_, _, line) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return found or super(TyperGroup, self).shell_complete(ctx, incomplete)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (_, section, line) in COMMANDS.items():
            sections.setdefault(section, []).append((name, line))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        rows = [record for param in self.get_params(ctx) if (record := param.get_help_record(ctx))]
        with formatter.section("Options, before the command or after it"):
            formatter.write_dl(rows)


@cache
def command(name: str) -> AnyCommand:
    """Import and build one command."""
    from typer.main import get_command_from_info

    module = import_module(f"taskkeep.cli.commands.{COMMANDS[name][0]}")
    for info in module.app.registered_commands:
        if info.name == name:
            return get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)
    raise LookupError(name)


def unknown_command(name: str) -> Usage:
    from taskkeep.backlog.task import nearest, shortened
    from taskkeep.cli.guesses import command_hint

    hint = command_hint(name, {**dict(zip(COMMANDS, COMMANDS, strict=True)), **ALIASES})
    if not hint:
        near = nearest(name, [*COMMANDS, *ALIASES])
        near = list(dict.fromkeys(ALIASES.get(word, word) for word in near))[:2]
        hint = f"Did you mean {' or '.join(near)}?" if near else "See 'taskkeep --help'."
    return Usage(f"unknown command '{shortened(name)}'", hint=hint, command=name)


def show_version(ctx: Context, param: Parameter, value: bool) -> None:
    if value:
        from taskkeep import __version__
        from taskkeep.cli.output import write_out

        write_out(f"taskkeep {__version__}\n")
        raise typer.Exit


@cache
def group() -> Commands:
    """The whole command line."""
    version = flag("version", "-V", "--version", help="Print the version.")
    version.is_eager, version.expose_value, version.callback = True, False, show_version
    return Commands(
        name="taskkeep",
        help="A backlog that cannot lose a task, in your git repository.",
        params=[*global_options(hidden=False), option("format", "--format", hidden=True), version],
        no_args_is_help=False,
        invoke_without_command=True,
        callback=_help_alone,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        rich_markup_mode=None,
    )


def _help_alone(**values: Any) -> None:
    """``taskkeep`` alone asks what there is."""
    from typer._click.globals import get_current_context

    context = get_current_context()
    if context.invoked_subcommand is None:
        from taskkeep.cli.output import write_out

        write_out(context.get_help() + "\n")


def new_app() -> typer.Typer:
    """What a module of commands registers them with."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

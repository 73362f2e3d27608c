"""Plain command lines, run without Typer, whose import takes as long as all the rest of a call.

The commands are declared with Typer. Here stand-ins for the few names that the declarations use keep what they
are given, and a line of nothing but a known command, options spelled as declared, and arguments is read by that.
Whatever is not plain (help, a misspelling, a value that begins with a dash, a wrong number) is left to Typer, which
then reads the whole line anew. A law in tests/cli/test_plain.py holds the one to the other.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Below taskkeep.cli.commands; the others are rare, or ask Typer about itself.
MODULES = (
    "add", "archive", "batch", "check", "claim", "history", "importing", "log", "merging", "prime", "read",
    "rewriting", "state", "status", "travel", "update",
)  # fmt: skip
# Their classes and functions hold on to the stand-ins, so that nobody else may come by them.
_BOUND = ("typer", "taskkeep.cli.app", "taskkeep.cli.ids", "taskkeep.cli.commands")
_kept: dict[str, ModuleType] = {}


class NotPlainError(Exception):
    """A line, or a declaration, that is Typer's to read."""


class Parameter:
    """A declared option or argument. *kind*: flag, one, list or tuple; *opts* is empty for an argument."""

    def __init__(self, name: str, opts: Sequence[str], kind: str, type_: Any, default: Any, required: bool) -> None:
        self.name, self.opts, self.kind, self.default, self.required = name, list(opts), kind, default, required
        self.type: Callable[[str], Any] = type_

    def read(self, text: str) -> Any:
        try:
            return self.type(text)
        except ValueError:
            raise NotPlainError from None


def _shared(
    *, param_decls: Sequence[str], is_flag: bool = False, multiple: bool = False, type: Any = str, **_: Any
) -> Parameter:
    """For typer.core.TyperOption, as taskkeep.cli.app makes them."""
    kind = "flag" if is_flag else "tuple" if multiple else "one"
    default = {"flag": False, "tuple": (), "one": None}[kind]
    return Parameter(param_decls[0], param_decls[1:], kind, type, default, False)


class _Declared:
    """For what typer.Option and typer.Argument give within an annotation."""

    def __init__(self, *opts: str, **_: Any) -> None:
        self.opts = opts


class _Option(_Declared):
    pass


class _Argument(_Declared):
    pass


class Command:
    """For typer.core.TyperCommand."""

    def __init__(self, name: str, *, params: list[Parameter], **_: Any) -> None:
        self.name, self.params = name, params


class _App:
    """For typer.Typer."""

    def __init__(self, **_: Any) -> None:
        self.commands: dict[str, tuple[Any, Callable[..., Any]]] = {}

    def command(self, name: str, *, cls: Any, **_: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def keep(function: Callable[..., Any]) -> Callable[..., Any]:
            self.commands[name] = cls, function
            return function

        return keep


class Context:
    """For typer.Context: what a command finds its call in."""

    def __init__(self, obj: Any) -> None:
        self.obj = obj


class _Typer(ModuleType):
    """Typer, of which the real one is imported when a command asks for more, as to put a question."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module("typer"), name)


def _stand_ins() -> dict[str, ModuleType]:
    top, core = _Typer("typer"), ModuleType("typer.core")
    top.__dict__.update(Option=_Option, Argument=_Argument, Typer=_App, Context=Context)
    core.__dict__.update(TyperOption=_shared, TyperCommand=Command, TyperGroup=Command)
    return {"typer": top, "typer.core": core}


class Line(NamedTuple):
    """A plain line, read: the command's function, its own parameters and shared options, and those before it."""

    function: Callable[..., Any]
    command: Any
    values: dict[str, Any]
    outer: dict[str, Any]

    def run(self) -> Any:
        """Raises what the command raises."""
        call = self.command.call(self.values, self.outer)
        return self.function(Context(call), **self.values)


def read(args: Sequence[str]) -> Line | None:
    """The line, where it is plain and Typer is not there already; else None: Typer reads it."""
    if "typer" in sys.modules:
        return None
    sys.modules.update(_kept or _stand_ins())
    try:
        return _read(args)
    except NotPlainError:
        return None
    finally:
        for name in [name for name in sys.modules if name.startswith(_BOUND)]:
            _kept[name] = sys.modules.pop(name)
            package, _, last = name.rpartition(".")
            if package in sys.modules:  # which would hand it out by "from package import last"
                vars(sys.modules[package]).pop(last, None)


def _read(args: Sequence[str]) -> Line:
    from taskkeep.cli import app

    shared = [*app.global_options(hidden=False), app.option("format", "--format")]
    outer, rest = _values(shared, args, up_to_a_word=True)
    name = app.ALIASES.get(rest[0], rest[0]) if rest else ""
    if name not in app.COMMANDS or app.COMMANDS[name][0] not in MODULES:
        raise NotPlainError
    module = import_module(f"taskkeep.cli.commands.{app.COMMANDS[name][0]}")
    cls, function = module.app.commands[name]
    own = list(_declared(function))
    command = cls(name, params=[param for param in own if param.opts])
    for param in command.params:
        param.opts += [more for spelling in param.opts for more in app.HIDDEN_OPTIONS.get(spelling, ())]
    values, words = _values(command.params, rest[1:])
    values |= _arguments([param for param in own if not param.opts], words)
    return Line(function, command, values, outer)


def _declared(function: Callable[..., Any]) -> Iterator[Parameter]:
    """The parameters of a command but its context."""
    names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    defaults = function.__defaults__ or ()
    for place, name in enumerate(names, len(defaults) - len(names)):
        annotation = function.__annotations__[name]
        found, kind = annotation.__metadata__[0], _KINDS.get(annotation.__origin__)
        if kind is None or (isinstance(found, _Option) and not found.opts):
            raise NotPlainError
        default = defaults[place] if place >= 0 else None
        yield Parameter(name, found.opts, kind, int if annotation.__origin__ is int else str, default, place < 0)


_KINDS = {bool: "flag", str: "one", int: "one", str | None: "one", list[str] | None: "list"}


def _values(
    params: Sequence[Any], args: Sequence[str], *, up_to_a_word: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """The values of options by name, and what is no option."""
    by_spelling: dict[str, Parameter] = {spelling: param for param in params for spelling in param.opts}
    given: dict[str, Any] = {}
    words: list[str] = []
    waiting = iter(args)
    for arg in waiting:
        if not arg or arg == "--":
            raise NotPlainError
        if arg[0] != "-" or arg == "-":
            words.append(arg)
            if up_to_a_word:
                words += waiting
            continue
        spelling, equals, text = arg.partition("=") if arg.startswith("--") else (arg, "", "")
        param = by_spelling.get(spelling)
        if param is None or (param.kind == "flag" and equals):
            raise NotPlainError
        if param.kind == "flag":
            given[param.name] = True
            continue
        text = text if equals else next(waiting, "")
        if not text or (text[0] == "-" and text != "-"):
            raise NotPlainError
        value = param.read(text)
        if param.kind == "list":
            given[param.name] = [*given.get(param.name, ()), value]
        elif param.kind == "tuple":
            given[param.name] = (*given.get(param.name, ()), value)
        else:
            given[param.name] = value
    if any(param.required and param.name not in given for param in params):
        raise NotPlainError
    return {param.name: given.get(param.name, param.default) for param in params}, words


def _arguments(params: Sequence[Parameter], words: list[str]) -> dict[str, Any]:
    """The values of arguments by name, from the words in order."""
    values: dict[str, Any] = {}
    for param in params:
        taken, words = (words, []) if param.kind == "list" else (words[:1], words[1:])
        if param.required and not taken:
            raise NotPlainError
        value: Any = taken if param.kind == "list" else next(map(param.read, taken), None)
        values[param.name] = value if taken else param.default
    if words:
        raise NotPlainError
    return values

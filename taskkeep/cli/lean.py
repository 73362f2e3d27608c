"""Typer imported without what a plain command never uses: a third of the start of every call.

Typer and the standard library import modules that they need only for prompts, launching
browsers, tracebacks or a misspelt option. While Typer is imported, stand-ins lie in
``sys.modules`` in their place; each loads the real module at the first attribute asked of it.
Afterwards they are taken out again, so that every later ``import`` anywhere gets the real
module, and only those that Typer pulled in keep a stand-in.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Module, and the functions that are taken from it by name while Typer is imported
# ("from difflib import get_close_matches"), with who imports it and when it is really used.
LATER: dict[str, tuple[str, ...]] = {
    "ast": (),  # inspect: source of functions; see NodeVisitor
    "tokenize": (),  # inspect, linecache: source of functions
    "linecache": (),  # inspect, traceback: source lines
    "platform": (),  # typer.main: opening a browser
    "subprocess": (),  # typer.main, completion: opening a browser, asking for the shell
    "shellingham": (),  # typer: asking for the shell
    "bz2": (),  # shutil: archives
    "lzma": (),  # shutil: archives
    "traceback": ("FrameSummary", "StackSummary"),  # typer.main: pretty tracebacks, which are off
    "difflib": ("get_close_matches",),  # typer.core: a misspelt command
    "uuid": ("UUID",),  # typer.main: parameters of this type, which no command has
    "urllib.parse": ("quote_from_bytes",),  # pathlib: Path.as_uri
}


class Later(ModuleType):
    """A module that is imported when the first attribute is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # asked by every "from module import name"; none is a package
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


class NodeVisitor:
    """What inspect makes a subclass of while it is imported (up to 3.12): the methods of ast's."""

    def visit(self, node: Any) -> Any:
        import ast

        return ast.NodeVisitor.visit(self, node)  # type: ignore[arg-type]

    def generic_visit(self, node: Any) -> Any:
        import ast

        return ast.NodeVisitor.generic_visit(self, node)  # type: ignore[arg-type]


def _later(module: Later, name: str) -> Callable[..., Any]:
    """A function that is looked up in its module when it is called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return module.__getattr__(name)(*args, **kwargs)

    return call


def import_typer() -> None:
    """Import typer. Does nothing special where it is imported already."""
    if "typer" in sys.modules:
        return
    put: dict[str, ModuleType] = {}
    for name, functions in LATER.items():
        if name not in sys.modules:
            put[name] = module = Later(name)
            module.__dict__.update({function: _later(module, function) for function in functions})
    if "ast" in put:
        put["ast"].__dict__["NodeVisitor"] = NodeVisitor
    if sys.version_info < (3, 12) and "datetime" not in sys.modules:
        # Before 3.12 datetime.py runs its Python version through and then takes the classes of
        # the C module over it; Typer wants only these classes.
        put["datetime"] = import_module("_datetime")
    sys.modules.update(put)
    try:
        import typer
        import typer.core  # noqa: F401
    finally:
        for name, stand_in in put.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]

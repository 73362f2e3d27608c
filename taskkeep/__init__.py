"""A backlog that cannot lose a task, kept in a git repository."""

from __future__ import annotations

__version__ = "0.1.0"

# What the package offers, by the module that holds it; imported when first asked for.
_EXPORTS = {
    "Project": "project",
    "Saved": "project",
    "LogPage": "store.past.events",
    "init": "project",
    "open": "project",
    "Backlog": "backlog.backlog",
    "Edit": "backlog.changes",
    "Page": "backlog.query",
    "Query": "backlog.query",
    "Busy": "errors",
    "Interrupted": "errors",
    "Invalid": "errors",
    "NotFound": "errors",
    "Outside": "errors",
    "Refused": "errors",
    "TaskkeepError": "errors",
    "Usage": "errors",
}
__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'taskkeep' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"taskkeep.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

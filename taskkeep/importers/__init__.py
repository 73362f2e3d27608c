"""Tasks of other tools, read into drafts: bytes in, values out, no files and no clock.

A format is one module with ``read(data, *, name, rules) -> Plan``, found here by its name and imported
only when it is asked for. `plan.apply_plan` turns a plan into a new backlog.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from taskkeep.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskkeep.importers.draft import Plan

# The format's name on the command line: the module below taskkeep.importers, one line for the help.
FORMATS: dict[str, tuple[str, str]] = {
    "beads": ("beads", "JSON lines as 'bd export' writes them"),
    "json": ("json_tasks", "any JSON file that holds a list of task-like objects"),
}


def read(source: str, data: bytes, mapping: Mapping[str, str] | None = None, *, name: str = "the file") -> Plan:
    """The tasks in *data*, which is of the format *source*; *name* is what messages call the file.

    *mapping* is what ``--map`` gives (`draft.Rules` says what it may hold).

    Raises Usage for an unknown format or mapping, InputInvalid for what cannot be read.
    """
    from taskkeep.backlog.task import nearest, shortened
    from taskkeep.importers.draft import Rules

    if source not in FORMATS:
        near = nearest(source, FORMATS)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise Usage(f"unknown format '{shortened(source)}'", hint=f"{hint}One of: {', '.join(FORMATS)}.")
    module = import_module(f"taskkeep.importers.{FORMATS[source][0]}")
    plan: Plan = module.read(data, name=shortened(name), rules=Rules(source, mapping or {}))
    return plan

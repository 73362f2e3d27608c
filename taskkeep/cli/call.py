"""One call of a command: what its shared options say, the backlog and the output that follow."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from taskkeep.cli.texts import Texts, split
from taskkeep.errors import Invalid, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    import typer

    from taskkeep.backlog.query import Query
    from taskkeep.cli.output import Output
    from taskkeep.project import Project
    from taskkeep.store.past.history import Moment


# Writers that name no task, so that there is none whose etag or claim could be meant.
NAMELESS = ("init", "import", "merge", "sync", "backups", "recover")


class Call:
    """What a command needs beside its own arguments."""

    GLOBALS = ("folder", "json", "quiet", "no_color", "debug")
    FIELDS = (
        "description", "status", "priority", "type", "label", "depends_on", "parent", "assignee", "role",
        "due", "accept", "ref", "set",
    )  # fmt: skip
    FILTERS = (
        "status", "label", "priority", "type", "assignee", "role", "parent", "mine", "overdue", "since",
        "until", "ready", "all", "archived", "sort", "limit", "offset",
    )  # fmt: skip

    def __init__(
        self, *, command: str, formats: tuple[str, ...], format: str | None, settings: Mapping[str, Any]
    ) -> None:
        self.command = command
        self.folder: str | None = settings["folder"]
        self.quiet = bool(settings["quiet"])
        self.no_color = bool(settings["no_color"])
        self.format = _format(formats, format, bool(settings["json"]))
        self.texts = Texts()
        self.saving: dict[str, Any] = {}
        self.fields: Any = None
        self.filters: dict[str, Any] = {}
        self.when: str | None = None

    @cached_property
    def project(self) -> Project:
        """The backlog that the command is about. Raises BacklogNotFound."""
        from taskkeep.project import open as open_project

        if (bar := self.output.progress()) is not None:
            from taskkeep.project import watch

            watch(bar)
        return open_project(self.folder)

    @cached_property
    def output(self) -> Output:
        from taskkeep.cli.output import Output

        return Output(format=self.format, quiet=self.quiet, color=not self.no_color)

    @cached_property
    def moment(self) -> Moment | None:
        """The point in time that --at names, which is said on stderr; None without --at."""
        if self.when is None:
            return None
        moment = self.project.at(self.when)
        self.output.moment(moment)
        return moment

    def take_saving(self, values: dict[str, Any]) -> None:
        """Take the writer options out of *values*, as keywords of every writer of the project."""
        why, wait = values.pop("why"), values.pop("wait")
        if wait is not None and not 0 <= wait <= 86_400:
            raise Usage("--wait takes seconds, from 0 to 86400")
        claim = values.pop("claim")
        if self.command in NAMELESS and (claim is not None or values["if_match"] is not None):
            raise Usage("--if-match and --claim go with a command that names a task", hint="Leave them out.")
        if claim is not None and not 0 < claim < 1 << 53:
            raise Usage("--claim takes the number that 'taskkeep claim' answered")
        self.saving = {
            "why": None if why is None else self.texts.text(why, "--why"),
            "actor": values.pop("actor"),
            "dry_run": values.pop("dry_run"),
            "commit": False if values.pop("no_commit") else None,
            "wait": wait,
            "if_match": values.pop("if_match"),
            "key": values.pop("key"),
            "claim": claim,
            "allow_secret": values.pop("allow_secret"),
            "source": "cli",
        }

    def query(self, text: str = "") -> Query:
        """What the filters ask for. Raises Usage."""
        from taskkeep.backlog.query import Query

        asked = self.filters
        return Query(
            statuses=_values(asked, "status"),
            priorities=_values(asked, "priority"),
            types=_values(asked, "type"),
            labels=_values(asked, "label"),
            assignees=_values(asked, "assignee"),
            roles=_values(asked, "role"),
            parents=_values(asked, "parent"),
            text=text,
            mine=asked["mine"],
            overdue=asked["overdue"],
            ready=asked["ready"],
            all=asked["all"],
            archived=asked["archived"],
            since=moment(asked["since"], "--since"),
            until=moment(asked["until"], "--until", end=True),
            sort=asked["sort"],
            limit=asked["limit"],
            offset=asked["offset"] or 0,
        )


def _values(asked: dict[str, Any], name: str) -> tuple[str, ...]:
    values = tuple(split(asked[name]))
    if asked[name] and not values:
        raise Usage(f"--{name} names nothing")
    return values


def moment(text: str | None, option: str, *, end: bool = False) -> str | None:
    """The time that an option names, in taskkeep's own form. Raises Usage."""
    if text is None:
        return None
    import time

    from taskkeep.backlog.times import read_moment, to_text

    now = to_text(time.time_ns() // 1000)
    try:
        return read_moment(text, now=now, field=option, end=end)
    except Invalid as error:
        from taskkeep.project import said_moment

        if said := said_moment(text, now, end=end):
            return said
        raise Usage(error.message, hint=error.hint) from None


def _format(formats: tuple[str, ...], asked: str | None, json: bool) -> str:
    """How to print: what --format or --json say, else the environment, else text."""
    if asked is None:
        asked = "json" if json else os.environ.get("TASKKEEP_FORMAT") or "text"
        if asked not in ("json", "text", "table"):
            raise Usage(f"TASKKEEP_FORMAT cannot be {asked[:40]!r}", hint="json or text.")
    elif json and asked != "json":
        raise Usage(f"--json and --format {asked[:40]} say different things", hint="Leave one of them out.")
    if asked not in formats:
        raise Usage(f"--format cannot be {asked[:40]!r} here", hint=f"One of: {', '.join(formats)}.")
    return "text" if asked == "table" else asked


def call_of(ctx: typer.Context) -> Call:
    """The call that a command runs for."""
    call = ctx.obj
    assert isinstance(call, Call)
    return call

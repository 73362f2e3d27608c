"""The reading of plain lines without Typer is Typer's own reading, or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Reads lines from stdin, first each without Typer, then each with it, and prints what either makes of them.
_BOTH = """
import functools, inspect, json, random, sys
sys.path.insert(0, sys.argv[1])
from taskkeep.cli import plain
from taskkeep.errors import TaskkeepError

WORDS = (
    "list show add update note claim verify log ready T3M9X -p --priority=high -l a,b --json -q -C . --limit 5 "
    "--limit -1 -d - --why because --check --title=x --at - -- --fields id,title --format ids --wait 1.5 x --all --nope"
)

def shown(function, call, values):
    said = {name: value for name, value in vars(call).items() if name != "texts"}
    return repr([function.__module__, function.__name__, sorted(said.items()), sorted(values.items())])

def without(args):
    line = plain.read(args)
    assert not [name for name in sys.modules if name.startswith(("typer", "taskkeep.cli.app"))]
    if line is None:
        return None
    try:
        call = line.command.call(line.values, line.outer)
    except TaskkeepError as error:
        return f"{error.code}: {error.message}"
    bound = inspect.signature(line.function).bind(None, **line.values)
    bound.apply_defaults()
    values = {name: value for name, value in bound.arguments.items() if name != "ctx"}
    return shown(line.function, call, values)

lines = json.load(sys.stdin)
first = [without(args) for args in lines]

import typer
from typer._click.exceptions import ClickException
from taskkeep.cli import app

seen = []
def spying(info):
    function = info.callback
    @functools.wraps(function)
    def spy(ctx, **values):
        seen.append(shown(function, ctx.obj, values))
    info.callback = spy

for module in plain.MODULES:
    for info in __import__(f"taskkeep.cli.commands.{module}", fromlist=["app"]).app.registered_commands:
        spying(info)

def by_typer(args):
    seen.clear()
    try:
        with app.group().make_context("taskkeep", list(args)) as context:
            app.group().invoke(context)
    except TaskkeepError as error:
        return f"{error.code}: {error.message}"
    except (ClickException, typer.Exit):
        return "refused"
    return seen[-1] if seen else "refused"

def swept():
    # Every option of every command, in each of its spellings.
    for name, (module, _, _) in app.COMMANDS.items():
        if module not in plain.MODULES:
            continue
        for param in app.command(name).params:
            if param.param_type_name == "argument":
                continue
            value = "7" if "int" in repr(param.type).lower() or "float" in repr(param.type).lower() else "b"
            spellings = [*param.opts, *(more for one in param.opts for more in app.HIDDEN_OPTIONS.get(one, ()))]
            for spelling in spellings:
                flagged = [spelling] if param.is_flag else [spelling, value]
                for rest in ([], ["T1"], ["T1", "T2"]):
                    yield [name, *rest, *flagged]
                yield [name, *flagged, *rest, *flagged]
                yield [name, *rest, f"{spelling}={value}"]
    draw = random.Random(7)
    for _ in range(1000):
        yield draw.choices(WORDS.split(), k=draw.randrange(1, 7))

if sys.argv[2:] == ["sweep"]:
    print(json.dumps(list(swept())))
else:
    print(json.dumps([lines, first, [by_typer(args) for args in lines]]))
"""


def both_ways(lines: list[list[str]], folder: Path, *more: str) -> Any:
    env = {name: value for name, value in os.environ.items() if not name.startswith("TASKKEEP_")}
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", _BOTH, root, *more],
        cwd=folder,
        env=env,
        input=json.dumps(lines),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_what_is_read_without_typer_is_read_as_typer_does(tmp_path: Path) -> None:
    """Every option of every command in every spelling, and a thousand lines of words drawn blindly."""
    swept = both_ways([], tmp_path, "sweep")
    lines, plain, by_typer = both_ways(swept, tmp_path)
    wrong = [
        (args, one, other) for args, one, other in zip(lines, plain, by_typer, strict=True) if one not in (None, other)
    ]
    assert not wrong, [str(part) for part in wrong[0]]
    refused = [args for args, one, other in zip(lines, plain, by_typer, strict=True) if one is None and "[" in other]
    assert len(refused) < len(lines) / 20, refused[:20]


@pytest.mark.parametrize(
    "line",
    [
        "list --json --limit 20",
        "--json -C . ls --status todo,review --label ci",
        "ready",
        "show T3M9X --at yesterday",
        "prime",
        "new Title -p high -l a -l b --why because",
        "update T3M9X,T4M9X --status review --check 1 --no-commit",
        "claim --lease 2h",
        "done T3M9X",
        "note T3M9X text",
        "note T3M9X -",
        "add Title -d -",
        "verify --base main --format github",
        "merge-driver a b c backlog.json",
        "restore T3M9X --at yesterday --yes",
    ],
)
def test_everyday_lines_need_no_typer(line: str, tmp_path: Path) -> None:
    assert both_ways([line.split()], tmp_path)[1][0] is not None


@pytest.mark.parametrize(
    "line",
    ["", "list --help", "-h", "frobnicate", "list --limit x", "list --limit", "list --nope", "show -- T1", "add",
     "add a b", "list --json=1", "update T1 --why --json", "schema commands", "list -phigh"],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_typer(line: str, tmp_path: Path) -> None:
    assert both_ways([line.split()], tmp_path)[1][0] is None

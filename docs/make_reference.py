"""Write the generated tables of the documentation; with --check only say whether they are up to date."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from taskkeep import errors
from taskkeep.store.config import KEYS
from taskkeep.store.verify import CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TOP = Path(__file__).resolve().parent.parent
# What an error means that goes by several codes, or by none of its own.
MEANINGS = {
    "conflict_marker": "backlog.json holds the conflict markers of a merge.",
    "duplicate_id": "backlog.json holds two tasks of one id.",
    "duplicate_key": "backlog.json gives a key of an object twice.",
    "internal": "A bug in taskkeep.",
    "schema": "backlog.json is not shaped as version 1 says.",
    "unreadable": "backlog.json is no JSON, no UTF-8, no plain file, or too large.",
}
TOML_TYPES: dict[type, str] = {bool: "`true` `false`", str: "text", int: "a number", list: "a list", dict: "a table"}
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def statuses() -> str:
    rows = [
        (str(kind.exit_status), f"`{kind.__name__}`", MEANINGS.get(kind.code) or first_line(kind))
        for kind in sorted(kinds(), key=lambda kind: kind.exit_status)
    ]
    return table(("exit", "kind", "meaning"), rows)


def codes() -> str:
    rows = []
    for error in leaves():
        for code in sorted(codes_of(error)):
            again = "yes" if error.retryable else ""
            meaning = MEANINGS.get(code) or first_line(error)
            rows.append((f"`{code}`", str(error.exit_status), again, meaning))
    return table(("code", "exit", "retryable", "meaning"), sorted(rows, key=lambda row: (int(row[1]), row[0])))


def fields() -> str:
    schema = json.loads((TOP / "schemas" / "backlog.schema.json").read_text(encoding="utf-8"))
    rows = []
    for name, rule in schema["$defs"]["task"]["properties"].items():
        rows.append((f"`{name}`", kind_of(rule), rule.get("description", "")))
    return table(("field", "type", "meaning"), rows)


def configuration() -> str:
    rows = []
    for name, key in KEYS.items():
        allowed = key.allowed
        values = TOML_TYPES[allowed] if isinstance(allowed, type) else " ".join(f"`{one}`" for one in allowed)
        rows.append((f"`{name}`", values, f"`{json.dumps(key.default)}`", key.does, f"`{key.user}`"))
    return table(("key", "values", "default", "says", "used by"), rows)


def findings() -> str:
    rows = []
    for code, (severity, with_base, what) in CODES.items():
        said = severity if severity == with_base else f"{severity}, with `--base` {with_base}"
        rows.append((f"[`{code}`](#{code})", said, what))
    return table(("code", "severity", "finds"), rows)


def structure() -> str:
    """The units of the package, and how many modules of one import another unit, as a drawing in Mermaid."""
    arrows: dict[tuple[str, str], int] = {}
    for path in modules():
        here = unit(path.relative_to(TOP).with_suffix("").parts)
        for there in {unit(name) for name in imported(path)} - {here, "taskkeep"}:
            arrows[here, there] = arrows.get((here, there), 0) + 1
    lines = [f"    {here} -->|{count}| {there}\n" for (here, there), count in sorted(arrows.items())]
    return "```mermaid\nflowchart TD\n" + "".join(lines) + "```\n"


def map_of_modules() -> str:
    rows = []
    for path in modules():
        name = ".".join(path.relative_to(TOP / "taskkeep").with_suffix("").parts).removesuffix(".__init__")
        about = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        rows.append((f"`{'taskkeep' if name == '__init__' else name}`", about))
    return table(("module", "what it is"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "statuses": statuses,
    "codes": codes,
    "fields": fields,
    "configuration": configuration,
    "findings": findings,
    "structure": structure,
    "modules": map_of_modules,
}


# -- the package -------------------------------------------------------------------------


def modules() -> list[Path]:
    return sorted((TOP / "taskkeep").rglob("*.py"))


def unit(name: tuple[str, ...]) -> str:
    """The folder that a module lies in, or the module itself at the top: ``("taskkeep", "store", "save")`` → store."""
    parts = name[1:]
    folder = parts[:-1] if (TOP / "taskkeep" / Path(*parts)).with_suffix(".py").exists() else parts
    return ".".join(folder) or (parts[0] if parts and parts[0] != "__init__" else "taskkeep")


def imported(path: Path) -> Iterable[tuple[str, ...]]:
    """The modules of ours that one imports, late imports too; what only types need is none."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "taskkeep":
            parts = tuple((node.module or "").split("."))
            for alias in node.names:
                inner = TOP / Path(*parts) / alias.name
                yield (*parts, alias.name) if inner.with_suffix(".py").exists() or inner.is_dir() else parts


# -- errors ------------------------------------------------------------------------------


def kinds() -> list[type[errors.TaskkeepError]]:
    return [errors.TaskkeepError, *errors.TaskkeepError.__subclasses__()]


def leaves() -> list[type[errors.TaskkeepError]]:
    """Every error, a kind included, for a kind may be raised itself."""
    found: list[type[errors.TaskkeepError]] = []
    waiting = [errors.TaskkeepError]
    while waiting:
        error = waiting.pop()
        found.append(error)
        waiting += error.__subclasses__()
    return found


def codes_of(error: type[errors.TaskkeepError]) -> set[str]:
    """The codes of an error: its class's, or those that the program gives it where it takes one."""
    if "code" in vars(error):
        return {error.code}
    return {code for path in (TOP / "taskkeep").rglob("*.py") for code in given_codes(path, error.__name__)}


def given_codes(path: Path, name: str) -> Iterable[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


# -- text --------------------------------------------------------------------------------


def first_line(error: type[errors.TaskkeepError]) -> str:
    return (error.__doc__ or "").strip().partition("\n")[0]


def kind_of(rule: dict[str, object]) -> str:
    if "enum" in rule:
        values = rule["enum"]
        assert isinstance(values, list)
        return " ".join(f"`{value}`" for value in values)
    if "$ref" in rule:
        return str(rule["$ref"]).rpartition("/")[2]
    items = rule.get("items")
    if isinstance(items, dict):
        return f"list of {kind_of(items)}s"
    return str(rule.get("type", ""))


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def written(text: str) -> str:
    """*text* with its generated blocks as they must be."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{BLOCKS[found[2]]()}\n{found[3]}", text)


def main() -> int:
    stale = []
    for path in sorted((TOP / "docs").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        new = written(text)
        if new != text:
            stale.append(path)
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8", newline="\n")
    for path in stale:
        print(f"{'stale' if '--check' in sys.argv else 'written'}: {path.relative_to(TOP)}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())

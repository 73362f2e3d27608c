"""The JSON Schemas: beside the package in an installed wheel, in the source tree otherwise."""

from __future__ import annotations

import os
from typing import Any

import taskkeep

PACKAGE = os.path.dirname(os.path.abspath(taskkeep.__file__))
_FOLDERS = (os.path.join(PACKAGE, "schemas"), os.path.join(os.path.dirname(PACKAGE), "schemas"))
_END = ".schema.json"


def schema_text(name: str) -> bytes:
    """The bytes of one schema, by its file name: ``backlog.schema.json``.

    Raises FileNotFoundError, which means that taskkeep was installed without its data files.
    """
    for folder in _FOLDERS:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            continue
    raise FileNotFoundError(f"taskkeep was installed without {name}: install it again")


def answer_names() -> list[str]:
    """The shapes of answers that have a schema, sorted."""
    for folder in _FOLDERS:
        answers = os.path.join(folder, "answers")
        if os.path.isdir(answers):
            return sorted(name.removesuffix(_END) for name in os.listdir(answers) if name.endswith(_END))
    raise FileNotFoundError("taskkeep was installed without its schemas: install it again")


def answer_schema(name: str) -> dict[str, Any]:
    """The schema of one shape, with all that it refers to inside, so that it stands alone."""
    parts: dict[str, Any] = {}
    root = _part(name, parts)
    others = {part: schema for part, schema in sorted(parts.items()) if part != name}
    return {**root, "$defs": others} if others else root


def _part(name: str, parts: dict[str, Any]) -> Any:
    if name not in parts:
        import json

        parts[name] = None  # being read
        file = f"{name}{_END}" if name == "backlog" else f"answers/{name}{_END}"
        schema = json.loads(schema_text(file))
        parts[name] = _inward(schema, name, parts)
    return parts[name]


def _inward(value: Any, name: str, parts: dict[str, Any]) -> Any:
    """*value* with references to other files made references into ``$defs``."""
    if isinstance(value, list):
        return [_inward(item, name, parts) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: _inward(item, name, parts) for key, item in value.items()}
    if isinstance(target := value.get("$ref"), str):
        file, _, place = target.partition("#")
        other = file.removesuffix(_END) if file else name
        if file:
            _part(other, parts)
        result["$ref"] = f"#/$defs/{other}{place}"
    if isinstance(result.get("$id"), str):  # what stands inside another schema is found by its place there
        del result["$id"]
    return result

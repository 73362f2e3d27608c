"""What was promised once stays: answers, commands, options, codes and exit statuses are only ever added to.

tests/cli/interface-1.json is what was promised; ``TASKKEEP_UPDATE=1 pytest tests/cli/test_additive.py`` writes what
was added since, and refuses to write what breaks a promise.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskkeep.cli.describe import description

PROMISED = Path(__file__).with_name("interface-1.json")
SCHEMAS = Path(__file__).parents[2] / "schemas" / "answers"
# What a schema says of a value by itself; a consumer that trusted it must be able to go on.
BOUNDS = ("type", "const", "enum", "pattern", "minimum", "$ref", "anyOf", "additionalProperties")


def interface() -> dict[str, Any]:
    told = description()
    return {
        "answers": {path.name.partition(".")[0]: json.loads(path.read_text()) for path in sorted(SCHEMAS.iterdir())},
        "commands": {
            command["name"]: {
                "answer": command["answer"],
                "also": command["also"],
                "exits": command["exits"],
                "options": {name: option["takes"] is None for option in command["options"] for name in spelt(option)},
            }
            for command in told["commands"]
        },
        "errors": {error["code"]: error["exit"] for error in told["errors"]},
    }


def spelt(option: dict[str, Any]) -> list[str]:
    return list(option["spellings"])


def broken(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Each promise of *old* that *new* does not keep."""
    for name, schema in old["answers"].items():
        yield from changed(schema, new["answers"].get(name), f"answers/{name}")
    for name, command in old["commands"].items():
        now = new["commands"].get(name)
        if now is None or now["answer"] != command["answer"]:
            yield f"{name}: gone, or another answer"
            continue
        yield from (f"{name}: no more called {word}" for word in set(command["also"]) - set(now["also"]))
        yield from (
            f"{name}: option {word} is gone or takes something else"
            for word, flag in command["options"].items()
            if now["options"].get(word) is not flag
        )
    yield from (f"error {code}" for code, status in old["errors"].items() if new["errors"].get(code) != status)


def changed(old: Any, new: Any, place: str) -> Iterator[str]:
    """Where a schema promises less than before, or something else."""
    if not isinstance(old, dict):
        return
    if not isinstance(new, dict):
        yield f"{place} is gone"
        return
    for bound in BOUNDS:
        if bound in old and old[bound] != new.get(bound):
            yield f"{place}: {bound}"
    yield from (f"{place}: {name} need not be there any more" for name in missing(old, new, "required"))
    for name, value in old.get("properties", {}).items():
        yield from changed(value, new.get("properties", {}).get(name), f"{place}/{name}")
    if "items" in old:
        yield from changed(old["items"], new.get("items"), f"{place}/items")


def missing(old: dict[str, Any], new: dict[str, Any], name: str) -> list[str]:
    return sorted(set(old.get(name, ())) - set(new.get(name, ())))


def test_what_was_promised_is_kept() -> None:
    now = interface()
    if PROMISED.exists():
        found = list(broken(json.loads(PROMISED.read_text()), now))
        assert found == []
    if os.environ.get("TASKKEEP_UPDATE"):
        PROMISED.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
    assert PROMISED.exists()


def gone_property(value: dict[str, Any]) -> None:
    del value["answers"]["saved"]["properties"]["events"]


def optional_property(value: dict[str, Any]) -> None:
    value["answers"]["page"]["required"].remove("total")


def nullable(value: dict[str, Any]) -> None:
    value["answers"]["page"]["properties"]["total"]["type"] = ["integer", "null"]


def gone_command(value: dict[str, Any]) -> None:
    del value["commands"]["list"]


def gone_option(value: dict[str, Any]) -> None:
    del value["commands"]["add"]["options"]["--body"]


def other_exit(value: dict[str, Any]) -> None:
    value["errors"]["stale_etag"] = 4


@pytest.mark.parametrize("breach", [gone_property, optional_property, nullable, gone_command, gone_option, other_exit])
def test_a_breach_is_seen(breach: Any) -> None:
    """And an addition is none."""
    old = interface()
    new = copy.deepcopy(old)
    new["answers"]["saved"]["properties"]["more"] = {"type": "string"}
    new["answers"]["saved"]["required"].append("more")
    new["commands"]["list"]["options"]["--more"] = True
    assert list(broken(old, new)) == []
    breach(new)
    assert len(list(broken(old, new))) == 1

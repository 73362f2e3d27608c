"""What verify, doctor and refusals say of each case, whole: tests/store/told.txt.

``TASKKEEP_UPDATE=1 pytest FILE`` writes there what they say now.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskkeep.errors import TaskkeepError

TOLD = Path(__file__).with_name("told.txt")
MOST = 6  # findings of a case
UPDATED = "TASKKEEP_UPDATE" in os.environ  # which no test sees
MASKS = [
    (re.compile(r"\d{4}-\d\d-\d\d/\d{6}\.\d{6}Z-[0-9a-f]{12}\.jsonl"), "DAY/FILE"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "EVENT"),
    (re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{16}|[0-9a-f]{12}|[0-9a-f]{8})\b"), "HASH"),
    (re.compile(r"backlog_\d{8}_\d{6}_\d{6}"), "SNAPSHOT"),
    (re.compile(r"taskkeep-[0-9a-f]+"), "taskkeep-TOKEN"),
    (re.compile(r"\d+ loose"), "NUMBER loose"),
    (re.compile(r"process \d+"), "process NUMBER"),
    (re.compile(r"taskkeep \d+\.\d+\.\d+"), "taskkeep VERSION"),
    # Python's own words
    (re.compile(r"\b([A-Z]\w+Error): .*\)"), r"\1)"),
    (re.compile(r"(is not (?:JSON|TOML)): [^(]*\([^)]*\)"), r"\1"),
]
# Ids of a test that lets chance draw them, and what is said of several of them, in the order of their ids.
DRAWN = [
    (re.compile(r"\bT[0-9A-HJKMNP-TV-Z]{4,}\b"), "TXXXX"),
    (re.compile(r"(TXXXX is (missing|not in the log)((', '|, )(?=TXXXX))?)+"), "TXXXX and so on"),
]


def rows_of(findings: Iterable[dict[str, Any]]) -> list[str]:
    """Each finding with its place and its hint, without what chance and the clock make of it."""
    order: dict[tuple[Any, ...], int] = {}
    rows = []
    for one in sorted(
        findings,
        key=lambda one: (order.setdefault((one["code"], one["file"], one["line"]), len(order)), one["message"]),
    ):
        place = ":".join(str(one[key]) for key in ("file", "line") if one[key] is not None)
        said = f"{one['severity']} {one['code']} {one['task_id'] or '-'} {place or '-'}: {one['message']}"
        rows += [said, f"  {one['hint']}"]
    rows = [masked(row) for row in rows]
    return [*rows[: 2 * MOST], *([f"and {len(rows) // 2 - MOST} more"] if len(rows) > 2 * MOST else [])]


def rows_of_refusals(refusals: Iterable[TaskkeepError]) -> list[str]:
    """Each refusal with its hint and what stands beside it for programs, once."""
    rows: dict[str, None] = {}
    for one in refusals:
        away = ("witnesses", "line" if "is not JSON" in one.message else "")
        details = {name: value for name, value in sorted(one.details.items()) if name not in away}
        said = [f"{one.exit_status} {one.code}: {one.message}", one.hint, str(details or "")]
        rows["\n  ".join(masked(row, MASKS + DRAWN) for row in said if row)] = None
    return list(rows)


def masked(row: str, masks: Sequence[tuple[re.Pattern[str], str]] = MASKS) -> str:
    for mask, word in masks:
        row = mask.sub(word, row)
    return row


def assert_told(name: str, rows: list[str]) -> None:
    """The file has exactly these rows below the heading *name*."""
    parts = TOLD.read_text("utf-8").split("\n# ")[1:] if TOLD.exists() else []
    known = {part.partition("\n")[0]: part.partition("\n")[2].strip("\n") for part in parts}
    found = "\n".join(rows)
    if UPDATED:
        known[name] = found
        TOLD.write_text("".join(f"\n# {name}\n{known[name]}\n" for name in sorted(known)), "utf-8")
    assert found == known.get(name)

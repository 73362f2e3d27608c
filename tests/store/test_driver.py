"""The driver, which decodes only what changed, gives what the merge of the whole files gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from branches import Branch, requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tasks import task

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.merge import merge
from taskkeep.store.merging.driver import merge_files


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests, requests, requests, st.booleans())
def test_the_driver_gives_the_plain_merge(tmp_path: Path, base: Any, left: Any, right: Any, canonical: bool) -> None:
    """Byte for byte, with the same conflicts, whatever form the versions have."""
    root = Branch().do(*base)
    sides = [Backlog(branch.backlog.tasks) for branch in (root, root.fork().do(*left), root.fork().do(*right))]
    files = [str(tmp_path / name) for name in ("base", "ours", "theirs")]
    for name, side in zip(files, sides, strict=True):
        data = text.dump(side.tasks.values())
        Path(name).write_bytes(data if canonical else data.replace(b"\n", b"\n "))

    conflicts = merge_files(files[0], files[1], files[2], "elsewhere.json")

    merged, expected = merge(*sides)
    assert Path(files[1]).read_bytes() == text.dump(merged.tasks.values())
    assert conflicts == expected


def test_a_circle_that_leads_through_a_task_which_neither_side_touched_is_told(tmp_path: Path) -> None:
    base = [task(1), task(2, depends_on=["T0003"]), task(3)]
    ours = [task(1, depends_on=["T0002"]), *base[1:]]
    theirs = [*base[:2], task(3, depends_on=["T0001"])]
    files = [str(tmp_path / name) for name in ("base", "ours", "theirs")]
    for name, side in zip(files, (base, ours, theirs), strict=True):
        Path(name).write_bytes(text.dump(side))

    [conflict] = merge_files(files[0], files[1], files[2], "elsewhere.json")

    assert (conflict.task_id, conflict.field, conflict.kind) == ("T0003", "depends_on", "cycle")

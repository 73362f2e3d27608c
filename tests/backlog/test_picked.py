"""A log whose changes were picked out of their order is told from one that was written in order."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from branches import Branch

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import Chain, Event, Request, event_hash, task_changes
from taskkeep.backlog.merge import common_state, merge
from taskkeep.backlog.picked import was_picked_early
from taskkeep.backlog.replay import Replay, causal_order
from taskkeep.backlog.text import dump

ADD = [("add", "T0001", "one"), ("add", "T0002", "two")]


def sha(backlog: Backlog) -> str:
    return sha256(dump(backlog.tasks.values())).hexdigest()


def saved(before: Backlog, after: Backlog, heads: list[str], number: int, source: str = "cli") -> list[Event]:
    """The events of one save, with the hashes of the files that it found and left."""
    now = f"2026-11-20T12:00:00.{number:06d}Z"
    request = Request(txn=f"{number}", actor="ada", now=now, source=source, why=None, key=None, digest=None)
    chain = Chain(request, before=sha(before), after=sha(after), heads=heads, new_id=lambda: f"{number}")
    if len(heads) > 1:
        chain.add("merged", None, None, {"heads": heads, "choices": []})
    for kind, task, details in task_changes(before, after, now):
        chain.add(kind, task["id"], task["uid"], details)
    return chain.events


def states() -> tuple[Backlog, Backlog, Backlog]:
    """A backlog after one save, and what each of two further saves makes of it."""
    root = Branch().do(ADD)
    one = root.fork().do([("update", "T0001", {"title": "a"})])
    other = root.fork().do([("update", "T0002", {"title": "b"})])
    return root.backlog, one.backlog, other.backlog


def test_a_log_in_order_is_none_of_it() -> None:
    """With several events in a request, and where branches met in the file that their events give."""
    root, one, other = states()
    first = saved(Backlog({}), root, [], 1)
    heads = [first[-1]["hash"]]
    left, right = saved(root, one, heads, 2), saved(root, other, heads, 3)
    met = merge(root, one, other)[0]
    joined = saved(met, met, [left[-1]["hash"], right[-1]["hash"]], 4)

    assert len(first) == 2
    assert not was_picked_early([])
    assert not was_picked_early([*first, *left])
    assert not was_picked_early([*first, *left, *right, *joined])


def test_a_change_whose_writer_had_another_file_before_it_was_picked() -> None:
    """But where the writer took a file that no event named."""
    root, one, other = states()
    first = saved(Backlog({}), root, [], 1)
    after_one = saved(root, one, [first[-1]["hash"]], 2)

    def upon(source: str) -> list[Event]:
        return [*first, *after_one, *saved(other, merge(root, one, other)[0], [after_one[-1]["hash"]], 3, source)]

    assert was_picked_early(upon("cli"))
    assert not any(was_picked_early(upon(source)) for source in ("adopt", "restore", "recovery"))


def test_a_change_that_follows_what_the_log_lacks_was_picked() -> None:
    """Where it lacks all of it, the log begins there."""
    root, one, _ = states()
    first = saved(Backlog({}), root, [], 1)

    assert was_picked_early([*first, *saved(root, one, [first[-1]["hash"], "f" * 64], 2)])
    assert not was_picked_early(saved(root, one, ["f" * 64], 2))


def test_a_change_picked_after_branches_met_is_told_too() -> None:
    """Though the log begins with what it lacks."""
    root, one, other = states()
    first = saved(Backlog({}), root, ["f" * 64], 1)
    heads = [first[-1]["hash"]]
    left, right = saved(root, one, heads, 2), saved(root, other, heads, 3)
    met = merge(root, one, other)[0]
    joined = [*first, *left, *right, *saved(met, met, [left[-1]["hash"], right[-1]["hash"]], 4)]

    assert not was_picked_early(joined)
    assert was_picked_early([*joined, *saved(one, met.without("T0002"), [joined[-1]["hash"]], 5)])


@pytest.mark.parametrize("lost", ["a", "b"])
def test_a_joining_that_left_another_file_than_its_past_gives_came_too_early(lost: str) -> None:
    root, one, other = states()
    first = saved(Backlog({}), root, [], 1)
    heads = [first[-1]["hash"]]
    left, right = saved(root, one, heads, 2), saved(root, other, heads, 3)
    file = other if lost == "a" else one

    assert was_picked_early([*first, *left, *right, *saved(file, file, [left[-1]["hash"], right[-1]["hash"]], 4)])


def test_the_hash_is_no_part_of_the_question() -> None:
    """Events are judged by what they say; whether they were altered is for others to find."""
    root, one, _ = states()
    events = [*saved(Backlog({}), root, [], 1)]
    [change] = saved(root, one, [events[-1]["hash"]], 2)
    altered: dict[str, Any] = {**change, "actor": "editor"}

    assert event_hash(altered) != change["hash"]
    assert not was_picked_early([*events, altered])


# -- the base of a merge -----------------------------------------------------------------------


def test_what_a_shared_log_leaves_open_is_no_value_that_a_side_could_have_kept() -> None:
    """So two branches that settled it differently are in conflict again; the rest is as the log tells it."""
    root = Branch().do(ADD, [("archive", "T0002", None)])
    one = root.fork().do([("update", "T0001", {"title": "a"})])
    other = root.fork().do([("update", "T0001", {"title": "b"})])
    base = common_state(Replay(causal_order([*one.events, *other.events])))

    assert list(base.archived) == ["T0002"]
    assert base.tasks["T0001"]["title"] not in ("a", "b", "one")
    [conflict] = merge(base, one.backlog, other.backlog)[1]
    assert (conflict.field, conflict.ours, conflict.theirs) == ("title", "a", "b")
    closed = common_state(Replay(one.events))
    assert (closed.tasks, closed.archived) == (one.backlog.tasks, one.backlog.archived)


def test_a_task_that_a_shared_log_leaves_deleted_or_edited_is_changed_on_both_sides() -> None:
    """Deleted on the one, it is not dropped in silence on the other."""
    root = Branch().do(ADD)
    gone = root.fork().do([("delete", "T0001", None)])
    kept = root.fork().do([("update", "T0001", {"title": "a"})])
    base = common_state(Replay(causal_order([*gone.events, *kept.events])))

    [conflict] = merge(base, kept.backlog, gone.backlog)[1]

    assert (conflict.task_id, conflict.kind) == ("T0001", "delete_edit")
    later = root.fork().do([("delete", "T0001", None)])
    without = common_state(Replay(causal_order([*kept.events, *later.events])))
    assert "T0001" in merge(without, kept.backlog, later.backlog)[0].tasks

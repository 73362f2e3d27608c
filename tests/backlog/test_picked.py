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
from taskkeep.backlog.task import canonical
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


def shared(*branches: Branch) -> tuple[Backlog, Any]:
    events = {event["hash"]: event for branch in branches for event in branch.events}
    return common_state(Replay(causal_order(events.values())))


def test_what_a_shared_log_leaves_open_and_two_branches_settle_differently_is_a_conflict_again() -> None:
    """The rest is as the log tells it."""
    root = Branch().do(ADD, [("archive", "T0002", None)])
    one = root.fork().do([("update", "T0001", {"title": "a"})])
    other = root.fork().do([("update", "T0001", {"title": "b"})])
    base, left_open = shared(one, other)

    assert list(base.archived) == ["T0002"]
    [conflict] = merge(base, one.backlog, other.backlog, left_open)[1]
    assert (conflict.field, conflict.base, conflict.ours, conflict.theirs) == ("title", None, "a", "b")
    closed, left_open = shared(one)
    assert (closed.tasks, closed.archived, left_open) == (one.backlog.tasks, one.backlog.archived, {})


def test_a_task_with_an_open_field_that_one_side_left_so_is_gone_where_the_other_deleted_it() -> None:
    """Either value is what the log had, and no change of it; a third one is."""
    root = Branch().do(ADD)
    one = root.fork().do([("update", "T0001", {"title": "a"})])
    other = root.fork().do([("update", "T0001", {"title": "b"})])
    base, left_open = shared(one, other)
    task = base.tasks["T0001"]

    for title, found in (("a", []), ("b", []), ("c", ["delete_edit"])):
        left = base.replacing({**task, "title": title})
        merged, conflicts = merge(base, left, base.without("T0001"), left_open)
        assert [conflict.kind for conflict in conflicts] == found
        assert ("T0001" in merged.tasks) == bool(found)
        away = left.archiving("T0001")
        assert list(merge(base, away, left, left_open)[0].archived) == ([] if found else ["T0001"])


def test_what_a_rule_decides_is_not_left_open() -> None:
    """Of two times that a task was done the first, which both sides have, so that the one who changed it is heard."""
    root = Branch().do(ADD)
    one = root.fork().do([("update", "T0001", {"status": "done"})])
    other = root.fork().do([("update", "T0001", {"status": "done"})])
    base, left_open = shared(one, other)
    again = base.replacing(canonical({**base.tasks["T0001"], "status": "todo", "completed_at": None}))

    assert left_open == {}
    assert base.tasks["T0001"]["completed_at"] == one.backlog.tasks["T0001"]["completed_at"]
    merged, conflicts = merge(base, base, again, left_open)
    assert (merged.tasks, conflicts) == (again.tasks, [])


def test_a_task_that_a_shared_log_leaves_deleted_or_edited_is_changed_on_both_sides() -> None:
    """Deleted on the one, it is not dropped in silence on the other."""
    root = Branch().do(ADD)
    gone = root.fork().do([("delete", "T0001", None)])
    kept = root.fork().do([("update", "T0001", {"title": "a"})])
    base, left_open = shared(gone, kept)

    [conflict] = merge(base, kept.backlog, gone.backlog, left_open)[1]

    assert (conflict.task_id, conflict.kind) == ("T0001", "delete_edit")
    later = root.fork().do([("delete", "T0001", None)])
    without, left_open = shared(kept, later)
    assert "T0001" in merge(without, kept.backlog, later.backlog, left_open)[0].tasks

"""What a merge promises, as laws over random branches, and by example where a rule decides."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import pytest
from branches import STOCK, Branch, by_uid, requests, ticks
from hypothesis import given, settings
from hypothesis import strategies as st

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.merge import Conflict, merge, merged_text
from taskkeep.backlog.replay import Replay, causal_order
from taskkeep.backlog.rules import LINK_FIELDS, links, problems
from taskkeep.backlog.task import SET_FIELDS, canonical, same_task

EXAMPLES = int(os.environ.get("TASKKEEP_MERGES", "400"))
many = settings(max_examples=EXAMPLES, deadline=None)


def two(base: Any, left: Any, right: Any) -> tuple[Branch, Branch, Branch]:
    root = Branch().do(STOCK, *base)
    return root, root.fork().do(*left), root.fork().do(*right)


def sound(backlog: Backlog) -> bool:
    return not [problem for problem in problems(backlog) if problem.code in ("cycle", "dangling_link", "status_times")]


@many
@given(requests, requests, requests)
def test_no_task_of_either_side_is_lost(base: Any, left: Any, right: Any) -> None:
    """A task is gone only where a side deleted it, and where the other had changed it that is said."""
    root, one, other = two(base, left, right)

    merged, conflicts = merge(root.backlog, one.backlog, other.backlog)

    old, mine, yours, found = (by_uid(b) for b in (root.backlog, one.backlog, other.backlog, merged))
    told = {conflict.uid for conflict in conflicts if conflict.kind == "delete_edit"}
    for uid in {*mine, *yours} - found.keys():
        assert uid in old
        assert (uid in mine) != (uid in yours)
        assert uid in told or same_task(old[uid], mine.get(uid) or yours[uid])
    assert found.keys() <= {*mine, *yours}


@many
@given(requests, requests, requests)
def test_no_change_of_one_side_is_dropped_and_each_of_both_is_told(base: Any, left: Any, right: Any) -> None:
    """Field by field, item by item, key by key."""
    root, one, other = two(base, left, right)

    merged, conflicts = merge(root.backlog, one.backlog, other.backlog)

    old, mine, yours, found = (by_uid(b) for b in (root.backlog, one.backlog, other.backlog, merged))
    told = {(conflict.uid, conflict.field) for conflict in conflicts}
    by_rule = {"id", "aliases", "depends_on", "parent", "notes", "acceptance_criteria", "metadata", "updated_at"}
    by_rule |= {"started_at", "completed_at", "claimed_by", "claimed_until"}
    renumbered = {task["id"] for task in found.values() if "aliases" in task}
    for uid, task in found.items():
        a, b, c = old.get(uid, {}), mine.get(uid, {}), yours.get(uid, {})
        if not b or not c:
            continue
        for field in {*b, *c, *a} - by_rule:
            was, one_value, other_value = a.get(field), b.get(field), c.get(field)
            if field in SET_FIELDS:
                added = (set(one_value or ()) | set(other_value or ())) - set(was or ())
                removed = set(was or ()) - (set(one_value or ()) & set(other_value or ()))
                assert added <= set(task.get(field, ()))
                assert not removed & set(task.get(field, ()))
            elif was == one_value:
                assert task.get(field) == other_value
            else:
                assert task.get(field) == one_value
                assert other_value in (was, one_value) or (uid, field) in told
        for note in (*b.get("notes", ()), *c.get("notes", ())):
            assert note in task.get("notes", ())
        for key in {*b.get("metadata", {}), *c.get("metadata", {}), *a.get("metadata", {})}:
            one_value, other_value = (
                [side["metadata"][key]] if key in side.get("metadata", {}) else [] for side in (b, c)
            )
            was = [a["metadata"][key]] if key in a.get("metadata", {}) else []
            value = [task["metadata"][key]] if key in task.get("metadata", {}) else []
            expected = other_value if repr(was) == repr(one_value) else one_value
            assert repr(value) == repr(expected)
            if repr(was) not in (repr(one_value), repr(other_value)) and repr(one_value) != repr(other_value):
                assert (uid, f"metadata.{key}") in told
        assert task["updated_at"] == max(b["updated_at"], c["updated_at"])
        for field in LINK_FIELDS:
            for target in {*links(b, field), *links(c, field)} - set(links(a, field)) - set(links(task, field)):
                moved = any(target in found_task.get("aliases", ()) for found_task in found.values())
                assert moved or renumbered or (uid, field) in told


@many
@given(requests, requests, requests)
def test_what_comes_out_keeps_the_rules(base: Any, left: Any, right: Any) -> None:
    """Ids and uids once each, no link that leads nowhere or in a circle, times that fit the status."""
    root, one, other = two(base, left, right)

    merged, _ = merge(root.backlog, one.backlog, other.backlog)

    tasks = [*merged.tasks.values(), *merged.archived.values()]
    assert len({task["id"] for task in tasks}) == len({task["uid"] for task in tasks}) == len(tasks)
    assert all(canonical(task) == task for task in tasks)
    assert list(merged.tasks) == sorted(merged.tasks)
    assert list(merged.archived) == sorted(merged.archived)
    assert sound(merged) or not (sound(one.backlog) and sound(other.backlog))


@many
@given(requests, requests, requests)
def test_the_order_of_sides_is_a_choice_of_values_only(base: Any, left: Any, right: Any) -> None:
    """The same tasks under the same ids, the same conflicts turned round; without conflicts the same backlog."""
    root, one, other = two(base, left, right)

    merged, conflicts = merge(root.backlog, one.backlog, other.backlog)
    turned, again = merge(root.backlog, other.backlog, one.backlog)

    if not conflicts:
        assert (turned.tasks, turned.archived) == (merged.tasks, merged.archived)
    by_place = {(found.uid, found.field, found.kind) for found in conflicts if found.kind not in ("cycle", "dangling")}
    assert by_place == {
        (found.uid, found.field, found.kind) for found in again if found.kind not in ("cycle", "dangling")
    }
    ids = {task["uid"]: task["id"] for task in by_uid(merged).values()}
    assert all(ids.get(uid, task["id"]) == task["id"] for uid, task in by_uid(turned).items())


@many
@given(requests, requests, requests)
def test_merging_again_changes_nothing(base: Any, left: Any, right: Any) -> None:
    """With itself, with its own past, and with what has been merged already."""
    root, one, other = two(base, left, right)

    same, none = merge(root.backlog, one.backlog, one.backlog)
    assert (same.tasks, same.archived, none) == (one.backlog.tasks, one.backlog.archived, [])
    assert merge(root.backlog, one.backlog, root.backlog)[1] == []
    assert by_uid(merge(root.backlog, one.backlog, root.backlog)[0]) == by_uid(one.backlog)
    assert by_uid(merge(root.backlog, root.backlog, one.backlog)[0]) == by_uid(one.backlog)
    merged, conflicts = merge(root.backlog, one.backlog, other.backlog)
    if not conflicts:
        assert by_uid(merge(other.backlog, merged, other.backlog)[0]) == by_uid(merged)
        assert by_uid(merge(one.backlog, one.backlog, merged)[0]) == by_uid(merged)


@many
@given(requests, requests, requests, requests)
def test_the_log_allows_every_merge_and_replays_it(base: Any, left: Any, right: Any, later: Any) -> None:
    """Byte for byte once the next save has joined the heads, whatever was renumbered or left out."""
    root, one, other = two(base, left, right)
    merged, _ = merge(root.backlog, one.backlog, other.backlog)

    assert one.join(other, merged) == []
    one.do(*later)

    tasks, archived = one.replayed()
    assert tasks == by_uid(one.backlog)
    assert archived == {task["uid"] for task in one.backlog.archived.values()}


@many
@given(requests, st.lists(requests, min_size=3, max_size=5), st.randoms(use_true_random=False))
def test_branches_merged_one_after_the_other_give_the_same_tasks_in_any_order(
    base: Any, sides: Any, random: Any
) -> None:
    """Every order has the same tasks, and the log allows each of them."""
    conflicts, results = merged_twice(Branch().do(STOCK, *base), sides, random)

    if not conflicts:
        for one, other in pairwise(results):
            assert by_uid(one).keys() == by_uid(other).keys()
            assert {u: t["title"] for u, t in by_uid(one).items()} == {u: t["title"] for u, t in by_uid(other).items()}
            assert {u: t["id"] for u, t in by_uid(one).items()} == {u: t["id"] for u, t in by_uid(other).items()}


@many
@given(
    st.lists(ticks, max_size=3),
    st.lists(st.lists(st.lists(ticks, min_size=1, max_size=2), max_size=3), min_size=2, max_size=4),
    st.randoms(use_true_random=False),
)
def test_the_log_allows_what_merges_make_of_criteria_that_say_the_same(base: Any, sides: Any, random: Any) -> None:
    merged_twice(Branch().do(STOCK, *([base] if base else [])), sides, random)


# What needs the other tasks too, or a task's claim as a whole.
ONE_BY_ONE = {"id", "aliases", "parent", "depends_on", "claimed_by", "claimed_until"}
few_ticks = st.lists(st.lists(ticks, min_size=1, max_size=2), max_size=3)


@many
@given(st.one_of(st.tuples(requests, requests, requests), st.tuples(few_ticks, few_ticks, few_ticks)))
def test_what_the_log_alone_tells_of_branches_that_met_is_what_a_merge_makes_of_them(histories: Any) -> None:
    """So that no entry of either side is missing where the file is gone; but for what somebody has to choose."""
    root, one, other = two(*histories)
    merged, conflicts = merge(root.backlog, one.backlog, other.backlog)
    found, chosen = by_uid(merged), {conflict.uid for conflict in conflicts}

    told = Replay(causal_order([*one.events, *other.events])).tasks()

    assert found.keys() - chosen <= told.keys()
    for uid in (by_uid(one.backlog).keys() & by_uid(other.backlog).keys()) - chosen:
        for field in {*found[uid], *told[uid]} - ONE_BY_ONE:
            assert told[uid].get(field) == found[uid].get(field), field


@many
@given(requests, st.lists(requests, min_size=3, max_size=4))
def test_no_note_of_many_branches_is_missing_from_what_the_log_alone_tells(base: Any, sides: Any) -> None:
    root = Branch().do(STOCK, *base)
    branches = [root.fork().do(*side) for side in sides]
    events = {event["hash"]: event for branch in branches for event in branch.events}
    told = Replay(causal_order(events.values())).tasks()

    for branch in branches:
        for uid, task in by_uid(branch.backlog).items():
            if uid in told:
                assert all(note in told[uid].get("notes", ()) for note in task.get("notes", ()))


def merged_twice(root: Branch, sides: Any, random: Any) -> tuple[list[Conflict], list[Backlog]]:
    """All sides merged one after the other, twice, each time in another order."""
    results = []
    branches = [root.fork().do(*side) for side in sides]
    conflicts: list[Conflict] = []
    for _ in range(2):
        random.shuffle(branches)
        main = branches[0].fork()
        for branch in branches[1:]:
            merged, found = merge(root.backlog, main.backlog, branch.backlog)
            conflicts += found
            assert main.join(branch, merged) == []
        tasks, _archived = main.replayed()
        assert tasks == by_uid(main.backlog)
        results.append(main.backlog)
    return conflicts, results


# -- the rules, by example -------------------------------------------------------------------------


def forked(*base: Any) -> tuple[Branch, Branch, Branch]:
    root = Branch().do(*base)
    return root, root.fork(), root.fork()


def test_an_id_drawn_twice_stays_with_the_elder_task() -> None:
    """The younger gets one derived from its uid, keeps the old as alias, and its own side's links follow."""
    root, one, other = forked([("add", "T0001", "one")])
    one.do([("add", "T0002", "elder")], [("link", "T0001", "T0002")])
    other.do([("add", "T0002", "younger")], [("add", "T0003", "three")], [("link", "T0003", "T0002")])

    merged, conflicts = merge(root.backlog, one.backlog, other.backlog)

    assert conflicts == []
    younger = next(task for task in merged.tasks.values() if task["title"] == "younger")
    assert merged.tasks["T0002"]["title"] == "elder"
    assert younger["aliases"] == ["T0002"]
    assert merged.tasks["T0003"]["depends_on"] == [younger["id"]]
    assert merged.tasks["T0001"]["depends_on"] == ["T0002"]
    turned, _ = merge(root.backlog, other.backlog, one.backlog)
    assert turned.tasks == merged.tasks


def test_a_circle_that_only_the_merge_makes_is_left_open_and_told() -> None:
    """Our link stands, theirs is left out."""
    root, one, other = forked([("add", "T0001", "a"), ("add", "T0002", "b")])
    one.do([("link", "T0001", "T0002")])
    other.do([("link", "T0002", "T0001")])

    merged, [conflict] = merge(root.backlog, one.backlog, other.backlog)

    assert (conflict.task_id, conflict.field, conflict.kind) == ("T0002", "depends_on", "cycle")
    assert (conflict.ours, conflict.theirs) == (None, ["T0001"])
    assert merged.tasks["T0001"]["depends_on"] == ["T0002"]
    assert "depends_on" not in merged.tasks["T0002"]


@pytest.mark.parametrize("turned", [False, True])
def test_a_link_to_what_the_other_side_deleted_is_left_out_and_told(turned: bool) -> None:
    root, one, other = forked([("add", "T0001", "a"), ("add", "T0002", "b")])
    one.do([("delete", "T0002", None)])
    other.do([("link", "T0001", "T0002")])
    sides = (other, one) if turned else (one, other)

    merged, [conflict] = merge(root.backlog, sides[0].backlog, sides[1].backlog)

    assert (conflict.task_id, conflict.field, conflict.kind) == ("T0001", "depends_on", "dangling")
    assert list(merged.tasks) == ["T0001"]
    assert sound(merged)


def test_a_task_claimed_on_both_sides_is_a_conflict() -> None:
    root, one, other = forked([("add", "T0001", "a")])
    one.do([("claim", "T0001", "ada")])
    other.do([("claim", "T0001", "bot")])

    merged, [conflict] = merge(root.backlog, one.backlog, other.backlog)

    assert (conflict.kind, conflict.field, conflict.ours, conflict.theirs) == ("claim", "claimed_by", "ada", "bot")
    assert merged.tasks["T0001"]["claimed_until"] == one.backlog.tasks["T0001"]["claimed_until"]


@pytest.mark.parametrize("turned", [False, True])
def test_a_task_that_comes_back_from_the_archive_closes_no_circle(turned: bool) -> None:
    """Its links were history there; which of them stays is a conflict."""
    root, one, other = forked([("add", "T0001", "a"), ("add", "T0002", "b")], [("link", "T0001", "T0002")])
    one.do([("note", "T0001", "still here")])
    other.do([("archive", "T0001", None)], [("link", "T0002", "T0001")])
    sides = (other, one) if turned else (one, other)

    merged, conflicts = merge(root.backlog, sides[0].backlog, sides[1].backlog)

    assert list(merged.tasks) == ["T0001", "T0002"]
    assert problems(merged) == []
    assert [conflict.kind for conflict in conflicts] == ["cycle"]
    assert sides[0].join(sides[1], merged) == []


def test_what_is_archived_on_one_side_and_edited_on_the_other_comes_back() -> None:
    root, one, other = forked([("add", "T0001", "a"), ("add", "T0002", "b")])
    one.do([("archive", "T0001", None), ("archive", "T0002", None)])
    other.do([("note", "T0001", "still here")])

    merged, conflicts = merge(root.backlog, one.backlog, other.backlog)

    assert conflicts == []
    assert list(merged.tasks) == ["T0001"]
    assert list(merged.archived) == ["T0002"]


def test_two_backlogs_without_a_common_past_merge() -> None:
    """As of two clones that both ran init."""
    one, other = Branch().do([("add", "T0001", "a")]), Branch().do([("add", "T0001", "b")], [("add", "T0002", "c")])

    merged, conflicts = merge(Backlog({}), one.backlog, other.backlog)

    assert conflicts == []
    assert sorted(task["title"] for task in merged.tasks.values()) == ["a", "b", "c"]
    assert one.join(other, merged) == []


def test_texts_join_by_line_and_where_lines_collide_both_stand() -> None:
    assert merged_text("a\nb\nc", "A\nb\nc", "a\nb\nC") == "A\nb\nC"
    assert merged_text("a\nb\nc", "a\nx\nc", "a\ny\nc") == "a\nx\ny\nc"
    assert merged_text("", "one", "two") == "one\ntwo"

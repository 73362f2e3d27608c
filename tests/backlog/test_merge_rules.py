"""What a merge makes of each field, id and link that both sides changed, rule by rule."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks import task as plain_task

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.merge import (
    Conflict,
    derived_id,
    merge,
    merge_versions,
    merged_criteria,
    merged_notes,
    merged_set,
    merged_text,
)
from taskkeep.backlog.task import Task

T1, T2, T3 = (f"2026-11-2{day}T12:00:00.000000Z" for day in (1, 2, 3))


task = partial(plain_task, made=T1)


def merged(was: dict[str, Any] | None, mine: dict[str, Any], yours: dict[str, Any]) -> tuple[Task, list[Conflict]]:
    """The one task of three versions, each given by its fields."""
    base = Backlog({}) if was is None else Backlog.of([task(**was)])
    backlog, conflicts = merge(base, Backlog.of([task(**mine)]), Backlog.of([task(**yours)]))
    [found] = backlog.tasks.values()
    return found, conflicts


def told(conflicts: list[Conflict]) -> list[tuple[Any, ...]]:
    return [(one.field, one.kind, one.base, one.ours, one.theirs) for one in conflicts]


# -- plain fields --------------------------------------------------------------------------------


def test_what_one_side_changed_comes_from_it_and_what_both_changed_alike_is_no_conflict() -> None:
    was, mine, yours = (
        {"title": "a", "role": "x"},
        {"title": "b", "assignee": "editor"},
        {"title": "a", "role": "x", "assignee": "editor"},
    )

    found, conflicts = merged(was, mine, {**yours, "priority": "high"})

    assert conflicts == []
    assert (found["title"], found.get("role"), found["assignee"], found["priority"]) == ("b", None, "editor", "high")


@pytest.mark.parametrize("field", ["title", "description", "priority", "type", "assignee", "role", "due"])
def test_what_both_changed_differently_is_told_and_ours_stands(field: str) -> None:
    values = {"priority": ["low", "high", "critical"], "type": ["bug", "epic", "chore"]}.get(field, ["a", "b", "c"])
    was, mine, yours = ({field: value} for value in values)

    found, conflicts = merged(was, mine, yours)

    assert found[field] == values[1]
    assert told(conflicts) == [(field, "field", *values)]
    assert (conflicts[0].task_id, conflicts[0].uid) == (found["id"], found["uid"])


def test_a_task_that_both_sides_made_has_no_base() -> None:
    """As two clones that imported the same file."""
    found, conflicts = merged(None, {"title": "b", "labels": ["x"]}, {"title": "c", "labels": ["y"]})

    assert (found["title"], found["labels"]) == ("b", ["x", "y"])
    assert told(conflicts) == [("title", "field", None, "b", "c")]


def test_a_field_that_this_version_does_not_know_is_merged_like_the_others() -> None:
    found, conflicts = merged({"future": 1, "next": 1}, {"future": 2, "next": 1}, {"future": 3, "next": 2})

    assert (found["future"], found["next"]) == (2, 2)
    assert told(conflicts) == [("future", "field", 1, 2, 3)]


def test_the_later_time_of_change_stands() -> None:
    for mine, yours in ((T2, T3), (T3, T2)):
        assert merged({}, {"title": "b", "updated_at": mine}, {"role": "x", "updated_at": yours})[0]["updated_at"] == T3


def test_a_side_that_changed_nothing_leaves_the_very_task_of_the_other() -> None:
    base, other = task(), task(title="b")

    for sides in ((dict(base), other), (other, dict(base))):
        backlog, _ = merge(Backlog.of([base]), *(Backlog.of([side]) for side in sides))
        assert backlog.tasks["T0001"] is other
    ours = dict(base)
    assert merge(Backlog.of([base]), Backlog.of([ours]), Backlog.of([dict(base)]))[0].tasks["T0001"] is ours


def test_one_and_true_are_two_values() -> None:
    assert merged({"metadata": {"k": 1}}, {"metadata": {"k": 1}}, {"metadata": {"k": True}})[0]["metadata"]["k"] is True


@pytest.mark.parametrize(
    ("was", "mine", "yours", "value", "conflict"),
    [
        ({"k": 1}, {"k": 2}, {"k": 1, "l": 1}, {"k": 2, "l": 1}, None),
        ({"k": 1}, {"k": 2}, {}, {"k": 2}, ("metadata.k", "field", 1, 2, None)),
        ({"k": 1}, {}, {"k": 2}, None, ("metadata.k", "field", 1, None, 2)),
        ({"k": 1}, {}, {"k": 1, "l": 1}, {"l": 1}, None),
        ({"k": 1}, {"k": 1, "l": 1}, {}, {"l": 1}, None),
        ({"k": 1, "m": 1}, {"k": 2, "m": 1}, {"k": 2}, {"k": 2}, None),
        ({}, {"k": 1}, {"k": True}, {"k": 1}, ("metadata.k", "field", None, 1, True)),
        # A key that holds null is there.
        ({}, {"k": None}, {"l": 1}, {"k": None, "l": 1}, None),
        ({"k": 1}, {"k": None}, {"l": 2}, {"k": None, "l": 2}, ("metadata.k", "field", 1, None, None)),
    ],
)
def test_metadata_is_merged_by_key(was: Any, mine: Any, yours: Any, value: Any, conflict: Any) -> None:
    found, conflicts = merged({"metadata": was}, {"metadata": mine}, {"metadata": yours})

    assert found.get("metadata") == value
    assert told(conflicts) == ([conflict] if conflict else [])


# -- lists ---------------------------------------------------------------------------------------

LETTERS = st.sets(st.sampled_from("abcd"))


@given(LETTERS, LETTERS, LETTERS)
def test_a_set_holds_what_both_have_and_what_one_added(was: set[str], mine: set[str], yours: set[str]) -> None:
    """So what one side took out is gone, and the order of sides says nothing."""
    found = merged_set(was, mine, yours)

    assert found == merged_set(was, yours, mine) == sorted(found)
    for item in was | mine | yours:
        expected = (item in mine or item in yours) if item not in was else (item in mine and item in yours)
        assert (item in found) == expected


def note(text: str, at: str = T1) -> dict[str, Any]:
    return {"at": at, "by": "ada", "text": text}


def test_new_notes_of_both_come_by_their_time_after_those_of_both() -> None:
    """Each side's own order is kept whatever its clock said; a note that both added stands once."""
    old = [note("old", T3)]

    assert merged_notes(old, [*old, note("b", T2)], [*old, note("a", T1), note("c", T3)]) == [
        *old, note("a", T1), note("b", T2), note("c", T3),
    ]  # fmt: skip
    assert merged_notes([], [note("late", T3), note("early", T1)], [note("x", T2)]) == [
        note("x", T2), note("late", T3), note("early", T1),
    ]  # fmt: skip
    assert merged_notes([], [note("a")], [note("a"), note("b", T2)]) == [note("a"), note("b", T2)]
    assert merged_notes([], [note("b")], [note("a")]) == merged_notes([], [note("a")], [note("b")])


def test_a_note_that_one_side_took_out_is_gone() -> None:
    """By an import or an adopted edit: no command does."""
    first, second = note("a"), note("b")

    assert merged_notes([first, second], [second], [first, second, note("c", T2)]) == [second, note("c", T2)]


def test_notes_are_moved_as_the_side_has_them_that_moved_them() -> None:
    a, b, c = note("a"), note("b"), note("c")

    assert merged_notes([a, b, c], [c, a, b], [a, b, c]) == [c, a, b]
    assert merged_notes([a, b, c], [a, b, c], [b, a]) == [b, a]


def item(text: str, done: bool = False) -> dict[str, Any]:
    return {"text": text, "done": done}


@pytest.mark.parametrize(
    ("was", "mine", "yours", "found"),
    [
        # Ticked on one side is ticked; so is unticked.
        ([item("a"), item("b")], [item("a", True), item("b")], [item("a"), item("b", True)], [item("a", True), item("b", True)]),
        ([item("a", True)], [item("a")], [item("a", True), item("b")], [item("a"), item("b")]),
        # A change outlives the other's removal, an untouched one does not.
        ([item("a")], [item("a", True)], [], [item("a", True)]),
        ([item("a")], [], [item("a", True)], [item("a", True)]),
        ([item("a"), item("b")], [item("a")], [item("a"), item("b"), item("c")], [item("a"), item("c")]),
        # Added on both sides: once, and ticked where one has it so.
        ([], [item("a")], [item("a", True)], [item("a", True)]),
        ([], [item("a", True)], [item("a"), item("b")], [item("a", True), item("b")]),
        # Two of the same text are two.
        ([item("a"), item("a")], [item("a"), item("a", True)], [item("a"), item("a"), item("b")], [item("a"), item("a", True), item("b")]),
        # The order is that of the side that moved them.
        ([item("a"), item("b")], [item("b"), item("a")], [item("a"), item("b", True)], [item("b", True), item("a")]),
    ],
)  # fmt: skip
def test_criteria_are_merged_by_their_text(was: Any, mine: Any, yours: Any, found: Any) -> None:
    assert merged_criteria(was, mine, yours) == found


def test_new_criteria_of_both_stand_in_the_same_order_whoever_merges() -> None:
    one, other = [item("b"), item("x")], [item("a"), item("x")]

    assert merged_criteria([], one, other) == merged_criteria([], other, one) == [item("a"), item("x"), item("b")]


# -- status and claim ----------------------------------------------------------------------------

TODO: dict[str, Any] = {"status": "todo"}
STARTED = {"status": "in_progress", "started_at": T2}
DONE = {"status": "done", "completed_at": T2}
DONE_LATER = {"status": "done", "completed_at": T3}
STATE = ("status", "started_at", "completed_at", "claimed_by", "claimed_until")


def claim(by: str, until: str = T2) -> dict[str, Any]:
    return {"status": "in_progress", "started_at": T1, "claimed_by": by, "claimed_until": until}


@pytest.mark.parametrize(
    ("was", "mine", "yours", "found"),
    [
        (TODO, STARTED, TODO, STARTED),
        (TODO, TODO, DONE, DONE),
        (DONE, TODO, DONE, TODO),
        # Done on both sides is done since the first; started on both sides likewise.
        (TODO, DONE, DONE_LATER, DONE),
        (TODO, DONE_LATER, DONE, DONE),
        (TODO, STARTED, {**STARTED, "started_at": T3}, STARTED),
        ({**STARTED, "started_at": T1}, STARTED, {**STARTED, "started_at": T1}, STARTED),
        (DONE, DONE, DONE_LATER, DONE_LATER),
        # A start of one side is known beside the status of the other.
        (TODO, {**STARTED, "status": "todo"}, DONE, {**DONE, "started_at": T2}),
        # Both went on from a claim that both know.
        (claim("ada"), {**claim("ada", T3)}, claim("ada"), claim("ada", T3)),
        (claim("ada"), claim("ada"), {**claim("ada", T3)}, claim("ada", T3)),
        (claim("ada", T1), claim("ada", T2), claim("ada", T3), claim("ada", T3)),
        (claim("ada", T1), claim("ada", T3), claim("ada", T2), claim("ada", T3)),
        (TODO, claim("ada"), claim("ada"), claim("ada")),
        # Released on one side: that holds against its own holder, and not against a new one.
        (claim("ada"), {**TODO, "started_at": T1}, {**claim("ada", T3)}, {**TODO, "started_at": T1}),
        (claim("ada"), {**claim("ada", T3)}, {**TODO, "started_at": T1}, {**TODO, "started_at": T1}),
        (claim("ada"), {"status": "in_progress", "started_at": T1}, claim("bot", T3), claim("bot", T3)),
        (claim("ada"), claim("bot", T3), {"status": "in_progress", "started_at": T1}, claim("bot", T3)),
        # Who finishes a task ends its claim.
        (claim("ada"), {**DONE, "started_at": T1}, claim("ada", T3), {**DONE, "started_at": T1}),
        (claim("ada"), claim("bot", T3), {**DONE, "started_at": T1}, {**DONE, "started_at": T1}),
    ],
)
def test_status_times_and_claim_come_together(was: Any, mine: Any, yours: Any, found: Any) -> None:
    """Without a conflict where one side alone decided."""
    # Both sides changed something, so that neither task is taken whole.
    result, conflicts = merged(was, {**mine, "role": "x"}, {**yours, "assignee": "y"})

    assert conflicts == []
    assert {field: result[field] for field in STATE if field in result} == found


def test_two_new_statuses_are_a_conflict_and_ours_stands_with_its_times_and_claim() -> None:
    found, conflicts = merged(claim("ada"), {**claim("ada", T3), "status": "review"}, {**DONE, "started_at": T1})

    assert told(conflicts) == [("status", "field", "in_progress", "review", "done")]
    assert {field: found[field] for field in STATE if field in found} == {**claim("ada", T3), "status": "review"}
    found, conflicts = merged(TODO, DONE, {"status": "cancelled", "completed_at": T3})
    assert (found["status"], found["completed_at"]) == ("done", T2)
    assert told(conflicts) == [("status", "field", "todo", "done", "cancelled")]


def test_two_new_claims_are_a_conflict_and_ours_stands() -> None:
    found, conflicts = merged(claim("ada"), claim("bot"), claim("editor", T3))

    assert told(conflicts) == [("claimed_by", "claim", "ada", "bot", "editor")]
    assert (found["claimed_by"], found["claimed_until"]) == ("bot", T2)


# -- deleted and archived ------------------------------------------------------------------------


def test_what_one_side_deleted_and_the_other_left_alone_is_gone() -> None:
    base, none = Backlog.of([task()]), Backlog({})

    same = Backlog.of([task()])
    for sides in ((none, same), (same, none), (none, base), (base, none), (none, none)):
        found, conflicts = merge(base, *sides)
        assert (found.tasks, found.archived, conflicts) == ({}, {}, [])


def test_what_one_side_deleted_and_the_other_changed_is_told_with_the_whole_task() -> None:
    """Ours stands: kept where we changed it, gone where we deleted it."""
    base, changed, none = Backlog.of([task()]), Backlog.of([task(title="b")]), Backlog({})

    kept, [conflict] = merge(base, changed, none)
    assert kept.tasks == changed.tasks
    assert told([conflict]) == [(None, "delete_edit", task(), task(title="b"), None)]
    gone, [conflict] = merge(base, none, changed)
    assert gone.tasks == {}
    assert told([conflict]) == [(None, "delete_edit", task(), None, task(title="b"))]


def test_what_comes_after_a_deleted_task_is_merged_like_the_rest() -> None:
    base = Backlog.of([task(1), task(2), task(3)])
    theirs = Backlog.of([task(1, title="b"), task(2, title="b"), task(3), task(4)])

    found, _ = merge(base, base.without("T0001"), theirs)

    assert {task_id: one["title"] for task_id, one in found.tasks.items()} == {
        "T0002": "b",
        "T0003": "One",
        "T0004": "One",
    }


@pytest.mark.parametrize(
    ("was", "mine", "yours", "archived"),
    [
        ("live", "archive", "live", True),
        ("live", "live", "archive", True),
        ("live", "archive", "archive", True),
        ("archive", "live", "archive", False),
        ("archive", "archive", "live", False),
        ("live", "archive", "edited", False),
        ("live", "edited", "archive", False),
        ("none", "live", "archive", False),
        ("none", "archive", "archive", True),
        ("none", "none", "archive", True),
        ("none", "archive", "none", True),
    ],
)
def test_the_archive_of_one_side_holds_unless_the_other_edited(was: str, mine: str, yours: str, archived: bool) -> None:
    def backlog(place: str) -> Backlog:
        tasks = [] if place == "none" else [task(title="b" if place == "edited" else "a")]
        return Backlog.of([], tasks) if place == "archive" else Backlog.of(tasks)

    found, conflicts = merge(*map(backlog, (was, mine, yours)))

    assert conflicts == []
    assert list(found.archived if archived else found.tasks) == ["T0001"]
    assert not (found.tasks if archived else found.archived)


def test_a_task_that_lies_in_both_files_of_a_side_counts_as_in_its_backlog() -> None:
    both = Backlog.of([task(title="live")], [task(title="stale")])

    found, conflicts = merge(Backlog.of([task()]), both, Backlog.of([task()]))

    assert (found.tasks["T0001"]["title"], found.archived, conflicts) == ("live", {}, [])


# -- ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "mine", "yours", "task_id"),
    [
        ("T0001", {"id": "T0001"}, {"id": "T0009"}, "T0009"),
        ("T0001", {"id": "T0009"}, {"id": "T0001"}, "T0009"),
        # Neither has the old one: who knows the other's as an alias moved last, else the lesser.
        ("T0001", {"id": "T0008", "aliases": ["T0009"]}, {"id": "T0009"}, "T0008"),
        ("T0001", {"id": "T0009"}, {"id": "T0008", "aliases": ["T0009"]}, "T0008"),
        ("T0001", {"id": "T0008"}, {"id": "T0009", "aliases": ["T0008"]}, "T0009"),
        ("T0001", {"id": "T0009"}, {"id": "T0008"}, "T0008"),
        (None, {"id": "T0008"}, {"id": "T0009"}, "T0008"),
    ],
)
def test_a_task_that_has_two_ids_by_now_gets_one_and_keeps_the_other_as_alias(
    was: str | None, mine: Any, yours: Any, task_id: str
) -> None:
    """Links of both sides follow it."""
    base = Backlog({}) if was is None else Backlog.of([task(id=was)])
    named = task(2, depends_on=[mine["id"]], parent=mine["id"])
    ours, theirs = (
        Backlog.of([task(**mine), named]),
        Backlog.of([task(**yours), task(3, depends_on=[yours["id"]]), task(4, parent="T0002")]),
    )

    found, conflicts = merge(base, ours, theirs)

    assert conflicts == []
    [one] = [one for one in found.tasks.values() if one["uid"] == task()["uid"]]
    assert one["id"] == task_id
    assert {mine["id"], yours["id"]} - {task_id} <= set(one["aliases"])
    assert task_id not in one["aliases"]
    assert (found.tasks["T0002"]["parent"], found.tasks["T0002"]["depends_on"]) == (task_id, [task_id])
    assert found.tasks["T0003"]["depends_on"] == [task_id]
    assert found.tasks["T0004"]["parent"] == "T0002"


def test_of_three_that_share_an_id_the_eldest_keeps_it() -> None:
    """One may come by a renumbering of the other side."""
    eldest = task(1, created_at=T1)
    ours = Backlog.of([eldest])
    theirs = Backlog.of([task(2, id="T0001", created_at=T3)], [])

    found, _ = merge(Backlog({}), ours, theirs)

    assert found.tasks["T0001"]["uid"] == eldest["uid"]
    assert {one["uid"] for one in found.tasks.values()} == {task(1)["uid"], task(2)["uid"]}
    same_time = merge(Backlog({}), Backlog.of([task(2, id="T0001")]), Backlog.of([task(1)]))[0]
    assert same_time.tasks["T0001"]["uid"] == task(1)["uid"]


def test_what_is_renumbered_keeps_its_other_links_and_names() -> None:
    """The new id is the one derived from the uid, and none that a side has in use."""
    elder, younger = (
        task(1),
        task(2, id="T0001", created_at=T3, aliases=["T0077"], depends_on=["T0005"], parent="T0005"),
    )
    first = derived_id(younger["uid"], lambda _: False)
    other = task(5, depends_on=["T0006"])
    base = Backlog.of([other, task(6), task(7, id=first)])
    theirs = base.replacing(younger, {**other, "depends_on": ["T0001", "T0006"]})

    found, conflicts = merge(base, base.replacing(elder), theirs)

    assert conflicts == []
    [moved] = [one for one in found.tasks.values() if one["uid"] == younger["uid"]]
    assert moved["id"] == derived_id(younger["uid"], {first}.__contains__)
    assert moved["aliases"] == ["T0001", "T0077"]
    assert (moved["depends_on"], moved["parent"]) == (["T0005"], "T0005")
    assert found.tasks["T0005"]["depends_on"] == sorted(["T0006", moved["id"]])


def test_a_derived_id_is_the_same_in_every_clone_and_never_one_in_use() -> None:
    first = derived_id("uid", lambda _: False)
    second = derived_id("uid", {first}.__contains__)

    assert (first, second) == ("T69Q6J3", "TZS2VMB")
    assert derived_id("uid", lambda _: False) == first
    third = derived_id("uid", {first, second}.__contains__)
    assert len({first, second, third, derived_id("other", lambda _: False)}) == 4
    assert len(first) == len(second) == 7


# -- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", [{"depends_on": ["T0002"]}, {"parent": "T0002"}])
def test_a_link_that_led_nowhere_on_its_own_side_stays_as_it_was_there(link: dict[str, Any]) -> None:
    """A hand edit can leave one; the merge is not what made it."""
    base = Backlog.of([task(1), task(2)])
    broken = Backlog.of([task(1, **link)])

    for ours, theirs in ((broken, base), (base, broken)):
        found, conflicts = merge(base, ours, theirs)
        assert (found.tasks, conflicts) == (broken.tasks, [])


def linked(**links: Any) -> Backlog:
    """Three tasks; ``a=["b"]`` makes the first depend on the second, ``a="b"`` its child."""
    ids = {"a": "T0001", "b": "T0002", "c": "T0003"}

    def named(to: Any) -> dict[str, Any]:
        return {"parent": ids[to]} if isinstance(to, str) else {"depends_on": [ids[name] for name in to]}

    return Backlog.of(task(number, **named(links.get(name, []))) for number, name in enumerate(ids, 1))


def links_of(backlog: Backlog, field: str = "depends_on") -> dict[str, Any]:
    return {task_id: task[field] for task_id, task in backlog.tasks.items() if field in task}


def test_a_link_to_what_the_other_side_deleted_is_left_out_and_told_once() -> None:
    """Those that hold stay; both of two that lead nowhere are one conflict."""
    found, conflicts = merge(linked(), linked(a=["b", "c"]), Backlog.of([task(1)]))

    assert links_of(found) == {}
    assert told(conflicts) == [("depends_on", "dangling", None, ["T0002", "T0003"], None)]


def test_links_that_hold_stay_beside_one_that_does_not() -> None:
    found, [conflict] = merge(linked(), linked(a=["b", "c"]), linked().without("T0002"))

    assert links_of(found) == {"T0001": ["T0003"]}
    assert conflict.kind == "dangling"


def test_a_link_that_led_nowhere_before_stays_as_it_was() -> None:
    """A merge neither mends nor tells what was broken on one side."""
    broken = Backlog.of([task(1, depends_on=["T0009"], parent="T0008")])

    for sides in ((broken, linked()), (linked(), broken)):
        found, conflicts = merge(linked(), *sides)
        assert (links_of(found), links_of(found, "parent")) == ({"T0001": ["T0009"]}, {"T0001": "T0008"})
        assert conflicts == []


def test_a_link_into_the_archive_is_no_link_to_nothing() -> None:
    away = Backlog.of([task(1), task(3)], [task(2)])

    found, conflicts = merge(linked(), linked(a=["b"]), away)

    assert (links_of(found), conflicts) == ({"T0001": ["T0002"]}, [])


def test_a_parent_that_is_gone_falls_back_to_ours() -> None:
    """Where we have no other, to none."""
    base = linked(a="c")
    ours = base.without("T0002")

    found, conflicts = merge(base, ours, linked(a="b"))

    assert links_of(found, "parent") == {"T0001": "T0003"}
    assert told(conflicts) == [("parent", "dangling", "T0003", "T0003", "T0002")]
    assert links_of(merge(base, linked(a="b"), ours)[0], "parent") == {}


def test_notes_and_criteria_of_both_sides_come_together() -> None:
    mine = {"notes": [note("m")], "acceptance_criteria": [item("m")]}
    yours = {"notes": [note("y", T2)], "acceptance_criteria": [item("y")]}

    found, conflicts = merged({}, mine, yours)

    assert (found["notes"], conflicts) == ([note("m"), note("y", T2)], [])
    assert found["acceptance_criteria"] == [item("m"), item("y")]


@pytest.mark.parametrize("field", ["depends_on", "parent"])
def test_a_circle_through_three_is_opened_at_their_link(field: str) -> None:
    to = (lambda name: name) if field == "parent" else (lambda name: [name])
    ours, theirs = linked(a=to("b"), b=to("c")), linked(c=to("a"))

    found, [conflict] = merge(linked(), ours, theirs)

    assert links_of(found, field) == links_of(ours, field)
    assert (conflict.task_id, conflict.field, conflict.kind) == ("T0003", field, "cycle")
    turned, conflicts = merge(linked(), theirs, ours)
    assert links_of(turned, field)["T0003"] == links_of(theirs, field)["T0003"]
    assert len(links_of(turned, field)) == 2
    assert [one.kind for one in conflicts] == ["cycle"]


def test_a_circle_of_one_side_alone_stays_as_it_was_there() -> None:
    """Whichever side; a link that the other made into it is kept too."""
    circle = linked(a=["b"], b=["a"])

    for sides in ((circle, linked(c=["a"])), (linked(c=["a"]), circle)):
        found, conflicts = merge(linked(), *sides)
        assert links_of(found) == {"T0001": ["T0002"], "T0002": ["T0001"], "T0003": ["T0001"]}
        assert conflicts == []


def test_a_parent_that_both_changed_into_a_circle_is_one_conflict() -> None:
    """The circle is what has to be looked at."""
    base = linked(c="a")
    ours, theirs = linked(a="c"), linked(c="b", b="a")

    found, conflicts = merge(base, ours, theirs)

    assert len({(one.uid, one.field) for one in conflicts}) == len(conflicts)
    assert links_of(found, "parent")["T0001"] == "T0003"


def test_the_versions_come_along_under_their_final_ids() -> None:
    """As settling the conflicts needs them."""
    result = merge_versions(Backlog({}), Backlog.of([task(1, created_at=T2)]), Backlog.of([task(2, id="T0001")]))

    assert result.theirs[task(2)["uid"]]["id"] == "T0001"
    assert result.ours[task(1)["uid"]]["id"] != "T0001"
    assert result.ours[task(1)["uid"]]["aliases"] == ["T0001"]
    assert result.base == {}


# -- texts ---------------------------------------------------------------------------------------

ROWS = st.lists(st.sampled_from("abcd"), max_size=6).map("\n".join)


@given(ROWS, ROWS)
def test_a_text_that_one_side_left_alone_is_that_of_the_other(was: str, other: str) -> None:
    assert merged_text(was, other, was) == merged_text(was, was, other) == merged_text(was, other, other) == other


@given(ROWS, ROWS, ROWS)
def test_no_line_that_a_side_wrote_is_dropped(was: str, mine: str, yours: str) -> None:
    found = merged_text(was, mine, yours).split("\n")

    for side in (mine, yours):
        assert set(side.split("\n")) - set(was.split("\n")) <= set(found)


def test_lines_that_collide_stand_after_one_another_ours_first() -> None:
    """What one side took out and the other did not touch is gone."""
    assert merged_text("a\nb\nc\nd", "a\nx\nc\nd", "a\ny\nz\nc") == "a\nx\ny\nz\nc"
    assert merged_text("a\nb\nc", "b\nc", "a\nb") == "b"
    assert merged_text("a", "a\none", "a\ntwo") == "a\none\ntwo"
    assert merged_text("a\nb", "one\na\nb", "a\nb\ntwo") == "one\na\nb\ntwo"

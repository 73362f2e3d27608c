"""What a request did is taken back by a new change, and later work stays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from tasks import MADE, task

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import Chain, Event, Request, task_changes
from taskkeep.backlog.travel import undo
from taskkeep.errors import ChangedSince, ClaimHeld, IdTaken, TaskNeeded

NOW, LATER = (f"2026-11-2{day}T12:00:00.000000Z" for day in (5, 6))


def step(before: Backlog, after: Backlog) -> list[Event]:
    request = Request(txn="txn", actor="bot", now=MADE, source="api", why="so", key=None, digest=None)
    chain = Chain(request, before="", after="", heads=[], new_id=lambda: "event")
    for kind, one, details in task_changes(before, after, MADE):
        chain.add(kind, one["id"], one["uid"], details)
    return chain.events


def undone(*states: Backlog, force: bool = False) -> tuple[Backlog, list[str]]:
    """The last of *states* without what led from the first to the second."""
    before, after, now = states[0], states[1], states[-1]
    later = [event for one, other in pairwise(states[1:]) for event in step(one, other)]
    return undo(now, before, after, step(before, after), later, now=NOW, actor="ada", force=force)


def field_after_undo(field: str, *values: Any, force: bool = True) -> Any:
    """The field after its values in order, the change from the first to the second undone."""
    after, _ = undone(*(Backlog.of([task(**{field: value})]) for value in values), force=force)
    return after.tasks["T0001"].get(field)


@pytest.mark.parametrize(
    ("field", "was", "left", "now", "back"),
    [
        ("title", "One", "Two", "Two", "One"),
        ("role", None, "qa", "qa", None),
        ("labels", ["a"], ["a", "b"], ["a", "b", "c"], ["a", "c"]),
        ("labels", ["a", "b"], ["b"], ["b", "c"], ["a", "b", "c"]),
        ("labels", None, ["a"], ["a"], None),
        ("labels", ["a"], None, ["b"], ["a", "b"]),
        ("metadata", {"k": 1}, {"k": 2}, {"k": 2, "l": 1}, {"k": 1, "l": 1}),
        ("metadata", {"k": 1}, None, {"l": 1}, {"k": 1, "l": 1}),
        ("metadata", None, {"k": 1, "m": 2}, {"k": 1, "l": 1, "m": 2}, {"l": 1}),
        ("metadata", {"a": 1, "k": 1}, {"a": 1, "k": 2}, {"a": 2, "k": 2}, {"a": 2, "k": 1}),
        ("metadata", {"k": 1, "n": 1}, {"k": True, "n": 1}, {"k": True, "n": 2}, {"k": 1, "n": 2}),
    ],
)
def test_a_field_is_as_it_was_and_what_came_later_beside_it_stays(
    field: str, was: Any, left: Any, now: Any, back: Any
) -> None:
    """Entries of lists and keys of metadata one by one."""
    assert field_after_undo(field, was, left, now, force=False) == back


def test_notes_and_criteria_are_taken_back_one_by_one() -> None:
    """What was taken out comes back in front."""
    a, b, c = ({"text": text, "done": False} for text in "abc")
    ticked = {**a, "done": True}

    assert field_after_undo("acceptance_criteria", [a], [a, b], [a, b, c]) == [a, c]
    assert field_after_undo("acceptance_criteria", [a, b], [b], [b, c]) == [a, b, c]
    assert field_after_undo("acceptance_criteria", [a], [ticked], [ticked, b]) == [a, b]
    assert field_after_undo("acceptance_criteria", None, [a], [b]) == [b]
    assert field_after_undo("acceptance_criteria", [a], None, [b]) == [a, b]
    assert field_after_undo("acceptance_criteria", [a], [a, b], None) is None


def test_what_was_undone_by_hand_already_is_no_change() -> None:
    """The very same backlog comes back."""
    one, two = Backlog.of([task()]), Backlog.of([task(title="Two")])
    again = Backlog.of([task(updated_at=LATER)])

    assert undone(one, two, again, force=True)[0] is again


def test_only_the_fields_of_the_request_are_taken_back() -> None:
    one, two = Backlog.of([task()]), Backlog.of([task(title="Two")])

    found, warnings = undone(one, two, Backlog.of([task(title="Two", role="qa")]))

    assert found.tasks["T0001"] == task(role="qa", updated_at=NOW)
    assert warnings == []


def test_a_claim_is_never_brought_back_and_one_that_was_given_is_taken_away() -> None:
    """Neither whole nor by half."""
    claim = {"status": "in_progress", "claimed_by": "ada", "claimed_until": LATER}
    held, longer, free = (
        Backlog.of([task(**fields)])
        for fields in (claim, {**claim, "claimed_until": "2026-11-27T12:00:00.000000Z"}, {})
    )

    assert "claimed_by" not in undone(held, free)[0].tasks["T0001"]
    assert undone(free, held)[0].tasks["T0001"] == task(updated_at=NOW)
    assert undone(held, longer)[0] is longer
    half = Backlog.of([task(status="in_progress", claimed_until=LATER)])
    assert not {"claimed_by", "claimed_until"} & undone(half, held)[0].tasks["T0001"].keys()


@pytest.mark.parametrize("archived", [False, True])
def test_a_deletion_undone_brings_the_task_back_to_where_it_lay(archived: bool) -> None:
    lay = Backlog.of([], [task()]) if archived else Backlog.of([task()])

    after, warnings = undone(lay, Backlog({}), Backlog.of([task(2)]))

    assert (after.archived if archived else after.tasks)["T0001"] == task(updated_at=NOW)
    assert "T0002" in after.tasks
    assert warnings == []


def test_a_task_that_was_made_again_meanwhile_is_as_before_its_deletion() -> None:
    """With the claim and the id that it has now."""
    claim = {"claimed_by": "ada", "claimed_until": LATER, "status": "in_progress"}
    now = Backlog.of([{**task(2, title="Two", aliases=["T0001"], **claim), "uid": task()["uid"]}])

    after, _ = undone(Backlog.of([task()]), Backlog({}), now, force=True)

    found = after.tasks["T0002"]
    assert (found["title"], found["claimed_by"], found["aliases"]) == ("One", "ada", ["T0001"])


def test_an_archiving_undone_brings_the_task_back_as_it_is_now() -> None:
    """Where it lies by another's doing is left."""
    live, away = Backlog.of([task()]), Backlog.of([], [task()])

    assert undone(live, away)[0].tasks == live.tasks
    assert undone(away, live)[0].archived == away.archived
    edited = Backlog.of([task(title="Two")])
    moved = Backlog.of([], [task(title="Two")])
    found, _ = undone(live, edited, moved, force=True)
    assert (found.tasks, found.archived) == ({}, {"T0001": task(updated_at=NOW)})


def test_a_task_that_was_deleted_since_stays_deleted() -> None:
    after, warnings = undone(Backlog.of([task()]), Backlog.of([task(title="Two")]), Backlog({}), force=True)

    assert after.tasks == {}
    assert warnings == ["T0001 was deleted since: it stays so"]
    both = [Backlog.of([task(1, title=title), task(2, title=title)]) for title in ("One", "Two")]
    assert undone(*both, Backlog.of([task(2, title="Two")]), force=True)[0].tasks["T0002"]["title"] == "One"


def test_a_task_that_is_gone_already_need_not_go() -> None:
    now = Backlog({})

    assert undone(Backlog({}), Backlog.of([task()]), now, force=True)[0] is now


def test_making_a_task_is_undone_unless_another_needs_it() -> None:
    """With force the links to it go, and that is said; those of the archive are history and stay."""
    one, old = task(), task(4, depends_on=["T0001"])
    needed = Backlog.of([one, task(2, depends_on=["T0001", "T0003"]), task(3, parent="T0001")], [old])

    with pytest.raises(TaskNeeded) as refused:
        undone(Backlog({}), Backlog.of([one]), needed)
    found, warnings = undone(Backlog({}), Backlog.of([one]), needed, force=True)

    assert refused.value.details["task_id"] == "T0001"
    assert found.tasks == {
        "T0002": task(2, depends_on=["T0003"], updated_at=NOW),
        "T0003": task(3, updated_at=NOW),
    }
    assert found.archived == {"T0004": old}
    assert warnings == ["taken out: T0002 depends_on T0001", "taken out: T0003 parent T0001"]


def test_a_task_that_another_works_on_is_left_to_them() -> None:
    """Without force; one's own claim, and one that has ended, hinder nobody."""
    one, two = task(), task(title="Two")

    def held(by: str, until: str) -> Backlog:
        return Backlog.of([{**two, "claimed_by": by, "claimed_until": until}])

    with pytest.raises(ClaimHeld, match="editor"):
        undone(Backlog.of([one]), Backlog.of([two]), held("editor", LATER))
    for now, force in ((held("editor", LATER), True), (held("ada", LATER), False), (held("editor", NOW), False)):
        found, _ = undone(Backlog.of([one]), Backlog.of([two]), now, force=force)
        assert found.tasks["T0001"]["title"] == "One"


# -- later changes of the same -------------------------------------------------------------------

CRITERION, TICKED = ({"text": "x", "done": done} for done in (False, True))
NOTE = {"at": MADE, "by": "ada", "text": "n"}


@pytest.mark.parametrize(
    ("was", "left", "now", "fields"),
    [
        ({}, {"title": "Two"}, {"title": "Three"}, ["title"]),
        ({}, {"labels": ["a"]}, {}, ["labels"]),
        ({"labels": ["a"]}, {}, {"labels": ["a"]}, ["labels"]),
        ({"metadata": {"k": 1}}, {"metadata": {"k": 2}}, {"metadata": {"k": 3}}, ["metadata"]),
        ({}, {"acceptance_criteria": [CRITERION]}, {"acceptance_criteria": [TICKED]}, ["acceptance_criteria"]),
        ({}, {"title": "Two", "role": "a"}, {"title": "Three", "role": "b"}, ["role", "title"]),
    ],
)
def test_what_was_changed_again_since_is_refused_and_told(was: Any, left: Any, now: Any, fields: list[str]) -> None:
    states = [Backlog.of([task(**state)]) for state in (was, left, now)]

    with pytest.raises(ChangedSince) as refused:
        undone(*states)

    assert refused.value.message == f"1 later change of the same: T0001: {', '.join(fields)} by bot at {MADE}"
    [told] = refused.value.details["later"]
    assert told == {
        "event_id": "event",
        "task_id": "T0001",
        "actor": "bot",
        "timestamp": MADE,
        "why": "so",
        "fields": fields,
        "text": f"T0001: {', '.join(fields)} by bot at {MADE}",
    }


@pytest.mark.parametrize(
    ("left", "now"),
    [
        ({"title": "Two"}, {"title": "Two", "role": "x"}),
        ({"labels": ["a"]}, {"labels": ["a", "b"]}),
        ({"metadata": {"k": 1}}, {"metadata": {"k": 1, "l": 1}}),
        ({"notes": [NOTE]}, {"notes": [NOTE, {**NOTE, "text": "m"}]}),
        ({"title": "Two", "updated_at": NOW}, {"title": "Two", "updated_at": LATER}),
    ],
)
def test_what_came_later_beside_it_hinders_nothing(left: Any, now: Any) -> None:
    states = [Backlog.of([task(**state), task(2)]) for state in ({}, left, now)]
    other = Backlog.of([*(one for one in states[-1].tasks.values() if one["id"] == "T0001"), task(2, title="Two")])

    assert undone(*states, other)[0].tasks["T0002"]["title"] == "Two"


def test_any_later_change_of_a_task_that_was_made_or_deleted_counts() -> None:
    """Making a task sets all of it; and deleting one later does."""
    made = Backlog.of([task()])

    with pytest.raises(ChangedSince, match="T0001: title by bot"):
        undone(Backlog({}), made, Backlog.of([task(title="Two")]))
    with pytest.raises(ChangedSince, match="T0001: task by bot"):
        undone(made, Backlog.of([task(title="Two")]), Backlog({}))
    with pytest.raises(ChangedSince, match="T0001: archived by bot"):
        undone(made, Backlog.of([], [task()]), made)


def test_of_several_later_changes_the_first_is_told_and_the_others_counted() -> None:
    states = [Backlog.of([task(title=title)]) for title in ("One", "Two", "Three", "Four")]

    with pytest.raises(ChangedSince) as refused:
        undone(*states)

    assert refused.value.message == f"2 later changes of the same: T0001: title by bot at {MADE} …"
    assert len(refused.value.details["later"]) == 2


@pytest.mark.parametrize(("field", "told"), [("title", "title"), (None, "task")])
def test_a_choice_of_a_merge_is_a_change_too(field: str | None, told: str) -> None:
    """It names no task of its own."""
    one, two = Backlog.of([task()]), Backlog.of([task(title="Two")])
    choice = {"uid": task()["uid"], "field": field, "to": "Three"}
    [merged] = step(one, two)
    merged = {**merged, "uid": None, "task_id": None, "event_type": "merged", "details": {"choices": [choice]}}

    with pytest.raises(ChangedSince) as refused:
        undo(two, one, two, step(one, two), [merged], now=NOW, actor="ada")

    assert refused.value.details["later"][0]["text"] == f"{task()['uid']}: {told} by bot at {MADE}"
    other = {**merged, "details": {"choices": [{**choice, "uid": "f" * 32}]}}
    assert undo(two, one, two, step(one, two), [other], now=NOW, actor="ada")[0].tasks["T0001"]["title"] == "One"


def test_an_event_of_no_task_or_of_one_that_was_gone_all_along_has_nothing_to_take_back() -> None:
    """As of a conflict that was settled by leaving a task deleted."""
    now = Backlog.of([task()])
    [event] = step(Backlog({}), now)
    nothing = {**event, "uid": None, "task_id": None, "event_type": "backlog_initialised", "details": {}}

    assert undo(now, now, now, [nothing], [nothing], now=NOW, actor="ada") == (now, [])
    settled = {**event, "event_type": "conflict_resolved", "details": {}, "uid": "f" * 32}
    assert undo(now, now, now, [settled], [], now=NOW, actor="ada") == (now, [])


def test_an_id_that_another_task_bears_now_cannot_come_back() -> None:
    newer = {**task(title="Newer"), "uid": "f" * 32}

    with pytest.raises(IdTaken, match="another task is called T0001 now"):
        undone(Backlog.of([task()]), Backlog({}), Backlog.of([newer]))


def test_the_archive_that_stays_as_it_is_is_the_very_same() -> None:
    """So that its file is not written."""
    old = task(4)
    states = [Backlog.of([task(title=title)], [old]) for title in ("One", "Two")]

    assert undone(*states)[0].archived is states[-1].archived


def test_of_several_tasks_one_that_was_deleted_since_stays_so_and_the_others_are_taken_back() -> None:
    before = Backlog.of(task(number) for number in (1, 2, 3))
    after = Backlog.of(task(number, title="Two") for number in (1, 2, 3))

    found, warnings = undone(before, after, after.without("T0001"), force=True)

    assert {task_id: one["title"] for task_id, one in found.tasks.items()} == {"T0002": "One", "T0003": "One"}
    assert warnings == ["T0001 was deleted since: it stays so"]


def test_what_was_set_along_with_the_end_of_a_claim_is_taken_back_without_the_claim() -> None:
    claim = {"claimed_by": "ada", "claimed_until": LATER}
    before = Backlog.of([task(**claim, metadata={"k": 1})])
    after = Backlog.of([task(metadata={"k": 2})])

    found, _ = undone(before, after)

    assert found.tasks["T0001"]["metadata"] == {"k": 1}
    assert not claim.keys() & found.tasks["T0001"].keys()


def test_a_running_claim_of_another_is_named_with_its_end() -> None:
    held = {"claimed_by": "eve", "claimed_until": LATER}
    with pytest.raises(ClaimHeld) as refused:
        undone(Backlog.of([task(**held)]), Backlog.of([task(**held, title="Two")]))

    assert refused.value.details == {"task_id": "T0001", **held}
    half = {"claimed_by": "eve"}
    found, _ = undone(Backlog.of([task(**half)]), Backlog.of([task(**half, title="Two")]))
    assert found.tasks["T0001"]["title"] == "One"

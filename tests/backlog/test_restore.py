"""Tasks are as they were, by a new change; what is not theirs to bring back is left."""

from __future__ import annotations

import pytest
from tasks import task

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.task import CLAIM, FIELDS
from taskkeep.backlog.travel import FIXED, restore, restore_fields
from taskkeep.errors import IdTaken, LinksMissing, TaskNotFound, Usage

NOW, LATER = (f"2026-11-2{day}T12:00:00.000000Z" for day in (5, 6))


def uid(number: int) -> str:
    return f"{number:032x}"


def test_the_whole_state_comes_back_and_what_was_not_there_goes() -> None:
    then = Backlog.of([task(1), task(2)], [task(3)])
    now = Backlog.of([task(1, title="Two"), task(3), task(4)])

    after, warnings = restore(now, then, None, now=NOW)

    assert after.tasks == {"T0001": task(1, updated_at=NOW), "T0002": task(2, updated_at=NOW)}
    assert after.archived == {"T0003": task(3)}
    assert warnings == []


def test_what_is_as_it_was_is_the_very_same() -> None:
    """A task in spite of another time of change; so the backlog where all are."""
    then = Backlog.of([task(1), task(2)], [task(3)])
    now = Backlog.of([task(1, updated_at=LATER), task(2)], [task(3)])

    assert restore(now, then, None, now=NOW)[0] is now
    other = restore(now, Backlog.of([task(1), task(2, title="Two")], [task(3)]), None, now=NOW)[0]
    assert other.tasks["T0001"] is now.tasks["T0001"]
    assert other.archived is now.archived


def test_a_single_task_comes_back_and_the_others_stay() -> None:
    then = Backlog.of([task(1), task(2)])
    now = Backlog.of([task(2, title="Two"), task(3)])

    after, _ = restore(now, then, [uid(1)], now=NOW)

    assert after.tasks == {"T0001": task(1, updated_at=NOW), **now.tasks}


def test_a_claim_is_that_of_now() -> None:
    """Neither an old one comes back, nor one that stands goes."""
    claim = {"claimed_by": "ada", "claimed_until": LATER}
    old, new = task(1, role="then", **claim), task(1, role="now", claimed_by="bot", claimed_until=NOW)

    assert not {*CLAIM} & restore(Backlog({}), Backlog.of([old]), None, now=NOW)[0].tasks["T0001"].keys()
    found = restore(Backlog.of([new]), Backlog.of([old]), None, now=NOW)[0].tasks["T0001"]
    assert (found["role"], found["claimed_by"], found["claimed_until"]) == ("then", "bot", NOW)


def test_a_task_keeps_the_id_that_it_has_today_and_old_links_follow() -> None:
    then = Backlog.of([task(1, title="Then"), task(2, depends_on=["T0001", "T0003"], parent="T0001"), task(3)])
    renamed = {**task(9, aliases=["T0001"]), "uid": uid(1)}
    now = Backlog.of([renamed, task(2), task(3)])

    after, _ = restore(now, then, None, now=NOW)

    assert after.tasks["T0009"] == {**renamed, "title": "Then", "updated_at": NOW}
    assert (after.tasks["T0002"]["depends_on"], after.tasks["T0002"]["parent"]) == (["T0003", "T0009"], "T0009")
    assert after.tasks["T0003"] is now.tasks["T0003"]


def test_an_id_that_another_task_has_today_is_not_given_twice() -> None:
    with pytest.raises(IdTaken):
        restore(Backlog.of([{**task(1), "uid": uid(9)}]), Backlog.of([task(1)]), [uid(1)], now=NOW)


def test_links_to_what_is_not_there_are_refused_or_left_out_aloud() -> None:
    then = Backlog.of([task(1, depends_on=["T0002", "T0003"], parent="T0002"), task(2), task(3)])
    now = Backlog.of([task(3)])

    with pytest.raises(LinksMissing, match="T0002"):
        restore(now, then, [uid(1)], now=NOW)
    after, warnings = restore(now, then, [uid(1)], unlink=True, now=NOW)

    assert after.tasks["T0001"] == task(1, depends_on=["T0003"], updated_at=NOW)
    assert warnings == [f"left out: T0001 {field} T0002, which is not there" for field in ("depends_on", "parent")]


def test_links_of_the_archive_and_of_tasks_that_are_not_restored_are_not_judged() -> None:
    """Nor a parent that is there, beside a link that is not."""
    then = Backlog.of([], [task(1, depends_on=["T0002"])])
    now = Backlog.of([task(4, depends_on=["T0009"])])
    after, warnings = restore(now, then, [uid(1)], now=NOW)

    assert after.archived["T0001"]["depends_on"] == ["T0002"]
    assert warnings == []
    child = Backlog.of([task(1, depends_on=["T0002"], parent="T0004")])
    assert restore(now, child, [uid(1)], unlink=True, now=NOW)[0].tasks["T0001"]["parent"] == "T0004"


def test_links_to_tasks_that_kept_their_ids_stay_beside_those_that_follow() -> None:
    """And each task with links to nothing is named, also after one of the archive."""
    then = Backlog.of(
        [task(1, parent="T0003"), task(2), task(3), task(5, depends_on=["T0007"])], [task(4, depends_on=["T0008"])]
    )
    now = Backlog.of([{**task(9), "uid": uid(2)}, task(3)])

    after, warnings = restore(now, then, None, unlink=True, now=NOW)

    assert after.tasks["T0001"]["parent"] == "T0003"
    assert after.archived["T0004"]["depends_on"] == ["T0008"]
    assert warnings == ["left out: T0005 depends_on T0007, which is not there"]


# -- single fields -------------------------------------------------------------------------------


def test_single_fields_come_back_and_the_rest_stays() -> None:
    """One that was not there then goes; tasks that are gone, or lie elsewhere by now, are left so."""
    then = Backlog.of([task(1, title="Then", labels=["a"]), task(2)], [])
    now = Backlog.of([], [task(1, title="Now", labels=["b"], role="x")])

    after, _ = restore(now, then, None, fields=("labels", "role"), now=NOW)

    assert (after.tasks, after.archived) == ({}, {"T0001": task(1, title="Now", labels=["a"], updated_at=NOW)})
    assert restore(after, then, None, fields=("labels",), now=LATER)[0] is after
    gone_first = Backlog.of([task(1), task(2, title="Then")])
    assert (
        restore(Backlog.of([task(2)]), gone_first, None, fields=("title",), now=NOW)[0].tasks["T0002"]["title"]
        == "Then"
    )
    with pytest.raises(TaskNotFound, match="T0002"):
        restore(now, then, [uid(2)], fields=("labels",), now=NOW)


def test_links_among_single_fields_follow_renamed_tasks_too() -> None:
    then = Backlog.of([task(1, depends_on=["T0002"]), task(2)])
    now = Backlog.of([task(1), {**task(9), "uid": uid(2)}])

    assert restore(now, then, [uid(1)], fields=("depends_on",), now=NOW)[0].tasks["T0001"]["depends_on"] == ["T0009"]


def test_a_status_brings_its_times_with_it() -> None:
    assert restore_fields(["labels", "status", "labels"]) == ("labels", "status", "started_at", "completed_at")
    assert restore_fields([]) == ()


@pytest.mark.parametrize("name", [*FIXED, *CLAIM, "started_at", "completed_at", "colour", "x" * 99])
def test_what_is_nothing_by_itself_cannot_be_named(name: str) -> None:
    with pytest.raises(Usage) as refused:
        restore_fields(["title", name])

    assert refused.value.message == f"the field {name[:40]!r} cannot be restored by itself"
    allowed = refused.value.hint.removeprefix("One of: ").removesuffix(".").split(", ")
    assert {*allowed, *FIXED, *CLAIM, "started_at", "completed_at"} == {*FIELDS}
    assert "status" in allowed


def test_a_field_comes_back_to_every_task_that_is_still_there() -> None:
    """Those that are gone are passed over, wherever they stand in the order."""
    then = Backlog.of([task(1, title="a"), task(2, title="b"), task(3, title="c")])
    now = Backlog.of([task(1, title="x"), task(3, title="y")])

    after, _ = restore(now, then, None, fields=("title",), now=NOW)

    assert {task_id: one["title"] for task_id, one in after.tasks.items()} == {"T0001": "a", "T0003": "c"}


def test_all_links_that_lead_nowhere_are_told_at_once() -> None:
    """Of all tasks that come back; those of the archive are history."""
    then = Backlog.of(
        [task(1, depends_on=["T0008"]), task(2), task(3, parent="T0009")], [task(4, depends_on=["T0008"])]
    )

    with pytest.raises(LinksMissing) as refused:
        restore(Backlog({}), then, [uid(4), uid(1), uid(2), uid(3)], now=NOW)
    after, told = restore(Backlog({}), then, [uid(4), uid(1), uid(2), uid(3)], unlink=True, now=NOW)

    assert [one["target"] for one in refused.value.details["missing"]] == ["T0008", "T0009"]
    assert [words.split(",")[0] for words in told] == [
        "left out: T0001 depends_on T0008", "left out: T0003 parent T0009"
    ]  # fmt: skip
    assert not [one for one in after.tasks.values() if {"depends_on", "parent"} & one.keys()]
    assert after.archived["T0004"]["depends_on"] == ["T0008"]


def test_a_link_to_a_task_that_kept_its_id_leads_there_though_another_was_renamed() -> None:
    then = Backlog.of([task(1, parent="T0002", depends_on=["T0003"]), task(2), task(3)])
    now = Backlog.of([task(2), {**task(3), "id": "T0007"}])

    after, _ = restore(now, then, [uid(1)], now=NOW)

    assert (after.tasks["T0001"]["parent"], after.tasks["T0001"]["depends_on"]) == ("T0002", ["T0007"])

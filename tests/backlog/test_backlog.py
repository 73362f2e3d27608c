"""A backlog finds its tasks by id and alias, and is replaced, never changed."""

from __future__ import annotations

from typing import Any

import pytest

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import new_task
from taskkeep.backlog.task import Task
from taskkeep.errors import AmbiguousId, TaskArchived, TaskNotFound

NOW = "2026-11-20T12:00:00.000000Z"


def task(task_id: str, *aliases: str, **fields: Any) -> Task:
    return new_task(
        Backlog({}),
        {"title": task_id, **fields},
        task_id=task_id,
        uid=task_id[1:].lower().rjust(32, "0"),
        now=NOW,
        actor="ada",
        program={"aliases": list(aliases)},
        resolve=False,
    )


def test_ids_are_read_without_regard_to_case() -> None:
    backlog = Backlog.of([task("T3M9X")])
    assert backlog.resolve(" t3m9x ") == "T3M9X"
    assert backlog.task("t3m9x") is backlog.tasks["T3M9X"]


def test_an_alias_leads_to_its_task() -> None:
    assert Backlog.of([task("T3M9X", "T0007")]).resolve("t0007") == "T3M9X"


def test_an_id_wins_over_an_alias_and_the_other_is_named() -> None:
    backlog = Backlog.of([task("T3M9X", "T0007"), task("T0007")])
    assert backlog.resolve("T0007") == "T0007"
    assert "T3M9X" in (backlog.warning_for("t0007") or "")
    assert backlog.warning_for("T3M9X") is None


def test_an_alias_of_several_tasks_is_refused_and_they_are_named() -> None:
    backlog = Backlog.of([task("T3M9X", "T0007")], [task("T4444", "T0007")])
    with pytest.raises(AmbiguousId) as caught:
        backlog.resolve("T0007")
    assert caught.value.details["ids"] == ["T3M9X", "T4444"]


@pytest.mark.parametrize(("wrong", "meant"), [("T3M9Z", "T3M9X"), ("3M9X", "T3M9X"), ("TOOO1", "T0001")])
def test_an_unknown_id_names_what_may_have_been_meant(wrong: str, meant: str) -> None:
    with pytest.raises(TaskNotFound) as caught:
        Backlog.of([task("T3M9X"), task("T0001")]).resolve(wrong)
    assert meant in caught.value.hint


@pytest.mark.parametrize("text", ["", "--help", "../../etc/passwd", "T\x1b[31m", "x" * 100_000, "T3M9X\0"])
def test_what_is_no_id_at_all_is_not_found_and_printed_harmlessly(text: str) -> None:
    with pytest.raises(TaskNotFound) as caught:
        Backlog.of([task("T3M9X")]).resolve(text)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 200


def test_an_archived_task_is_found_by_readers_and_not_changed() -> None:
    backlog = Backlog.of([], [task("T0001", status="done")])
    assert backlog.find("t0001")["id"] == "T0001"
    assert "T0001" in backlog
    with pytest.raises(TaskArchived):
        backlog.task("T0001")


def test_replacing_keeps_the_order_and_every_other_object() -> None:
    backlog = Backlog.of([task("T0003"), task("T0001")])
    after = backlog.replacing(task("T0002"), task("T0003", priority="low"))
    assert list(after.tasks) == ["T0001", "T0002", "T0003"]
    assert after.tasks["T0001"] is backlog.tasks["T0001"]
    assert list(backlog.tasks) == ["T0001", "T0003"]
    assert backlog.tasks["T0003"]["priority"] == "medium"


def test_a_change_of_nothing_is_the_same_object() -> None:
    backlog = Backlog.of([task("T0001")])
    assert backlog.replacing(backlog.tasks["T0001"]) is backlog
    assert backlog.without("T9999") is backlog


def test_a_task_put_in_comes_back_from_the_archive() -> None:
    backlog = Backlog.of([], [task("T0001", status="done")])
    after = backlog.replacing(task("T0001"))
    assert list(after.tasks) == ["T0001"]
    assert not after.archived


def test_a_task_waits_for_open_and_for_missing_tasks_not_for_archived_ones() -> None:
    waiting = task("T0009", depends_on=["T0001", "T0002", "T0003", "T0004"])
    backlog = Backlog.of([task("T0001"), task("T0002", status="done"), waiting], [task("T0003")])
    assert backlog.blockers(waiting) == ["T0001", "T0004"]
    assert backlog.naming(["T0002", "T7777"]) == ["T0009"]


def test_a_task_in_both_files_bears_its_alias_once() -> None:
    one = task("T3M9X", "T0007", "t0007")

    assert Backlog.of([one], [one]).resolve("T0007") == "T3M9X"


@pytest.mark.parametrize("name", ["7", "#7", "T-7", "t7"])
def test_a_number_as_other_trackers_write_it_is_answered_with_the_id(name: str) -> None:
    with pytest.raises(TaskNotFound) as missing:
        Backlog.of([task("T0007")]).resolve(name)

    assert "T0007" in str(missing.value.hint)


def test_live_tasks_are_counted_by_status_and_archived_ones_are_not() -> None:
    todo, started = task("T0001"), task("T0002", status="in_progress")
    backlog = Backlog.of([todo, started, task("T0003")], [task("T0004", status="done")])
    assert backlog.counts() == {"todo": 2, "in_progress": 1}
    assert Backlog({}).counts() == {}

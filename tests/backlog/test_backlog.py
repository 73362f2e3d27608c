"""A backlog finds its tasks by id and alias, and is replaced, never changed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskkeep.backlog.backlog import Backlog, alias_words
from taskkeep.backlog.changes import new_task
from taskkeep.backlog.task import Task
from taskkeep.errors import AmbiguousId, BacklogUnreadable, TaskArchived, TaskNotFound

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
    assert backlog.warnings_for(["t0007 ", "T3M9X", "x"]) == ["T0007 is also an alias of T3M9X"]


def test_whoever_holds_but_the_tasks_that_were_meant_says_the_same_of_an_alias() -> None:
    """Of several bearers all are named."""
    one, other = task("T3M9X", "T0007"), task("T4444", "T0008", "T0009")
    backlog = Backlog.of([one, other], [task("T5555", "T0009")])
    texts, meant = [" t0007", "T0008", "t4444"], [one, other, other]

    assert backlog.warnings_for(texts) == alias_words(texts, meant)
    assert alias_words(texts, meant) == ["T0007 is an alias of T3M9X", "T0008 is an alias of T4444"]
    assert backlog.warning_for("T0009") == "T0009 is an alias of T4444, T5555"


def test_an_alias_of_several_tasks_is_refused_and_they_are_named() -> None:
    backlog = Backlog.of([task("T3M9X", "T0007")], [task("T4444", "T0007")])
    with pytest.raises(AmbiguousId) as caught:
        backlog.resolve("T0007")
    assert caught.value.details["ids"] == ["T3M9X", "T4444"]
    assert "T0007" in caught.value.message


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("T3M9Z", ["T3M9X"]),
        ("3M9X", ["T3M9X"]),
        ("t3m", ["T3M9X"]),
        ("TOOO1", ["T0001"]),
        ("t00ol", ["T0001"]),
        ("TOOI1", ["T0011"]),
        ("TUUUU", ["TVVVV"]),
        ("T0002", ["T0001", "T0003", "T0005"]),
        ("T1", ["T0001"]),
        ("T9Q9Q", []),
        ("TV", []),
        ("T" + "8" * 38 + "9", ["T" + "8" * 39]),
        ("7" * 41, []),
    ],
)
def test_an_unknown_id_names_what_may_have_been_meant(wrong: str, meant: list[str]) -> None:
    """What looks alike, what it begins, what is one character away; three at most."""
    ids = ("T3M9X", "T0001", "T0003", "T0005", "T0007", "T0011", "TVVVV", "T" + "7" * 41, "T" + "8" * 39)
    with pytest.raises(TaskNotFound) as caught:
        Backlog.of(task(task_id) for task_id in ids).resolve(wrong)
    assert re.findall("T[0-9A-Z]{4,}", caught.value.hint) == meant
    assert wrong.upper() in caught.value.message.upper()


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
    assert backlog.get("T0001") is backlog.archived["T0001"]
    with pytest.raises(TaskArchived) as caught:
        backlog.task("t0001")
    assert caught.value.details["task_id"] == "T0001"


def test_two_tasks_of_one_id_are_no_backlog() -> None:
    with pytest.raises(BacklogUnreadable, match="T0002") as refused:
        Backlog.of([task("T0001"), task("T0002"), task("T0002")])

    assert (refused.value.code, refused.value.details["task_id"]) == ("duplicate_id", "T0002")


def test_what_is_taken_out_or_archived_leaves_the_others_as_they_are() -> None:
    backlog = Backlog.of([task("T0001"), task("T0002"), task("T0004")], [task("T0003")])

    out, away = backlog.without("T0001", "T0003"), backlog.archiving("T0002", "T0003", "T9999")

    assert (list(out.tasks), list(out.archived)) == (["T0002", "T0004"], ["T0003"])
    assert (list(away.tasks), list(away.archived)) == (["T0001", "T0004"], ["T0002", "T0003"])
    assert out.get("T0004") is away.get("T0004") is backlog.tasks["T0004"]
    assert list(backlog.tasks) == ["T0001", "T0002", "T0004"]


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
    assert backlog.blockers(task("T0008")) == []
    assert backlog.naming(["T0002", "T7777"]) == ["T0009"]


def test_what_names_a_task_as_its_parent_names_it() -> None:
    backlog = Backlog.of([task("T0001"), task("T0002", parent="T0001"), task("T0003", parent="T0002")])
    assert backlog.naming(["T0001"]) == ["T0002"]
    assert backlog.naming(["T0003"]) == []


IDS = st.sampled_from(["T0001", "T0002", "T0003", "T0004"])


@given(st.lists(st.tuples(st.sampled_from(["put", "take out", "archive"]), st.lists(IDS, max_size=3)), max_size=12))
def test_put_in_taken_out_and_archived_it_is_what_plain_tables_say(steps: list[tuple[str, list[str]]]) -> None:
    """Sorted by id; and the same object where nothing was done."""
    backlog, live, away = Backlog({}), dict[str, Task](), dict[str, Task]()
    for number, (step, ids) in enumerate(steps):
        before, tables = backlog, (dict(live), dict(away))
        if step == "put":
            new = {task_id: task(task_id, description=str(number)) for task_id in ids}
            live |= new
            for task_id in ids:
                away.pop(task_id, None)
            backlog = backlog.replacing(*new.values())
        elif step == "take out":
            live = {task_id: one for task_id, one in live.items() if task_id not in ids}
            backlog = backlog.without(*ids)
        else:
            away |= {task_id: live.pop(task_id) for task_id in set(ids) if task_id in live}
            backlog = backlog.archiving(*ids)

        assert list(backlog.tasks.items()) == sorted(live.items())
        assert list(backlog.archived.items()) == sorted(away.items())
        assert (backlog is before) == ((live, away) == tables)
        for task_id in ("T0001", "T0002", "T0003", "T0004"):
            assert backlog.get(task_id) is (live.get(task_id) or away.get(task_id))
            assert (task_id in backlog) == (task_id in live or task_id in away)
            if task_id in live:
                assert backlog.task(task_id) is backlog.find(task_id) is live[task_id]


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

"""The difference of two states names each task that was added, removed or changed, and in which fields."""

from __future__ import annotations

from typing import Any

from branches import STOCK, Branch, by_uid, requests
from hypothesis import given, settings

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.difference import Changed, difference
from taskkeep.backlog.events import apply, json_text

NOW = "2027-01-01T00:00:00.000000Z"


@settings(max_examples=100)
@given(requests, requests)
def test_what_is_told_turns_the_one_state_into_the_other(base: Any, later: Any) -> None:
    """Nothing less, and nothing of tasks that are the same; the other way round it is the reverse."""
    root = Branch().do(STOCK, *base)
    before, after = root.backlog, root.fork().do(*later).backlog
    old, new = by_uid(before), by_uid(after)

    found, back = difference(before, after), difference(after, before)

    assert {task["uid"] for task in found.added} == new.keys() - old.keys()
    assert {task["uid"] for task in found.removed} == old.keys() - new.keys()
    changed = {one.uid: one for one in found.changed}
    for uid in old.keys() & new.keys():
        one, other = old[uid], new[uid]
        moved = (one["id"] in before.archived) != (other["id"] in after.archived)
        if uid not in changed:
            assert json_text(one) == json_text(other)
            assert not moved
            continue
        assert ("archived" in changed[uid].changes) == moved
        fields = {name: change for name, change in changed[uid].changes.items() if name != "archived"}
        assert json_text(apply(one, fields, NOW)) == json_text(
            {**other, "updated_at": apply(one, fields, NOW)["updated_at"]}
        )
    assert (back.added, back.removed) == (found.removed, found.added)
    assert [one.uid for one in back.changed] == [one.uid for one in found.changed]
    assert bool(found) == (json_text([old, list(before.archived)]) != json_text([new, list(after.archived)]))
    assert not difference(after, Backlog(dict(after.tasks), dict(after.archived)))


def states() -> tuple[Backlog, Backlog]:
    root = Branch().do([("add", f"T000{number}", str(number)) for number in range(1, 7)])
    other = root.fork().do(
        [("update", "T0002", {"title": "two", "priority": "high"})],
        [("archive", "T0003", None)],
        [("delete", "T0004", None), ("add", "T0007", "seven")],
        [("update", "T0005", {"priority": "low"})],
    )
    touched = {**other.backlog.tasks["T0006"], "updated_at": NOW}
    return root.backlog, other.backlog.replacing(touched)


def test_a_changed_task_is_told_field_by_field_with_the_title_of_now() -> None:
    """The time of the change is told where nothing else differs; a move to the archive as `archived`."""
    before, after = states()
    old = before.tasks

    found = difference(before, after)

    assert [task["id"] for task in found.added] == ["T0007"]
    assert [task["id"] for task in found.removed] == ["T0004"]
    assert found.changed == [
        Changed("T0002", old["T0002"]["uid"], "two", {"title": {"from": "2", "to": "two"}, "priority": {"from": "medium", "to": "high"}}),
        Changed("T0003", old["T0003"]["uid"], "3", {"archived": {"from": False, "to": True}}),
        Changed("T0005", old["T0005"]["uid"], "5", {"priority": {"from": "medium", "to": "low"}}),
        Changed("T0006", old["T0006"]["uid"], "6", {"updated_at": {"from": old["T0006"]["updated_at"], "to": NOW}}),
    ]  # fmt: skip


def test_the_fields_are_counted_by_task() -> None:
    assert difference(*states()).fields() == {"title": 1, "priority": 2, "archived": 1, "updated_at": 1}


def test_as_json_it_has_the_keys_of_the_contract() -> None:
    before, after = states()

    told = difference(before, after).as_json()

    assert told["added"] == [after.tasks["T0007"]]
    assert told["removed"] == [before.tasks["T0004"]]
    assert [one.keys() for one in told["changed"]] == [{"task_id", "uid", "title", "changes"}] * 4


def test_a_task_under_another_id_has_changed_and_is_listed_under_the_new_one() -> None:
    """Tasks are told apart by uid, and come in the order of their ids."""
    before, _ = states()
    renamed = {**before.tasks["T0001"], "id": "T0009"}
    after = before.without("T0001").replacing(renamed, {**before.tasks["T0002"], "title": "two"})

    found = difference(before, after)

    assert (found.added, found.removed) == ([], [])
    assert [one.task_id for one in found.changed] == ["T0002", "T0009"]
    assert found.changed[1].changes == {"id": {"from": "T0001", "to": "T0009"}}


def test_a_task_that_lies_in_both_files_counts_as_in_the_backlog() -> None:
    """Whichever of the two it loses."""
    before, _ = states()
    stale = {**before.tasks["T0001"], "title": "old"}
    both, away = Backlog(before.tasks, {"T0001": stale}), before.without("T0001")

    assert not difference(both, before)
    assert not difference(before, both)
    [moved] = difference(both, Backlog(away.tasks, {"T0001": stale})).changed
    assert moved.changes == {"title": {"from": "1", "to": "old"}, "archived": {"from": False, "to": True}}


def test_an_equal_task_in_another_dict_has_not_changed() -> None:
    before, _ = states()

    assert not difference(before, Backlog.of([dict(task) for task in before.tasks.values()]))


def test_a_field_that_this_version_does_not_know_is_told_as_well() -> None:
    before, _ = states()
    task = {**before.tasks["T0001"], "future": 1, "next": 1}

    [changed] = difference(before.replacing(task), before.replacing({**task, "future": 2})).changed

    assert changed.changes == {"future": {"from": 1, "to": 2}}

"""Each conflict of a merge is settled by a choice, and what comes of it keeps the rules."""

from __future__ import annotations

from typing import Any

import pytest
from branches import Branch, by_uid, requests
from hypothesis import given, settings
from hypothesis import strategies as st

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import Edit, update_task
from taskkeep.backlog.merge import Conflict, Merged, merge_versions
from taskkeep.backlog.resolve import resolved
from taskkeep.backlog.rules import problems
from taskkeep.backlog.task import CLAIM
from taskkeep.errors import Usage

NOW = "2027-01-01T00:00:00.000000Z"
HELD = {"claimed_by": "bot", "claimed_until": "2027-01-02T00:00:00.000000Z"}


class Meeting:
    """Two branches of one backlog and their merge, to be settled choice by choice."""

    def __init__(self, base: list[Any], left: list[Any], right: list[Any]) -> None:
        root = Branch().do(*base)
        self.versions = (root, root.fork().do(*left), root.fork().do(*right))
        self.merged: Merged = merge_versions(*(side.backlog for side in self.versions))
        self.backlog = self.merged.backlog

    def conflict(self, task_id: str, field: str | None) -> Conflict:
        return next(c for c in self.merged.conflicts if (c.task_id, c.field) == (task_id, field))

    def settle(self, task_id: str, field: str | None, choice: str, value: Any = None) -> Backlog:
        conflict = self.conflict(task_id, field)
        self.backlog = resolved(self.backlog, self.merged, conflict, choice, value, now=NOW, actor="ada")
        return self.backlog


def edited(title: str | None = None, **fields: Any) -> list[Any]:
    return [("update", "T0001", {**fields, **({"title": title} if title else {})})]


ADD = [("add", "T0001", "one"), ("add", "T0002", "two"), ("add", "T0003", "three")]


@settings(max_examples=200, deadline=None)
@given(requests, requests, requests, st.data())
def test_all_conflicts_settled_in_any_order_leave_a_sound_backlog(base: Any, left: Any, right: Any, data: Any) -> None:
    """Whatever is chosen for each: no link leads nowhere or in a circle, no other task is lost, and values are the side's."""
    meeting = Meeting(base, left, right)
    broken = [problem.code for side in meeting.versions for problem in problems(side.backlog)]
    gone: set[str] = set()
    for conflict in data.draw(st.permutations(meeting.merged.conflicts)):
        choice = data.draw(st.sampled_from(["ours", "theirs"]))
        meeting.backlog = resolved(meeting.backlog, meeting.merged, conflict, choice, now=NOW, actor="ada")
        task = by_uid(meeting.backlog).get(conflict.uid)
        wanted = conflict.ours if choice == "ours" else conflict.theirs
        if conflict.kind == "delete_edit":
            assert (task is None) == (wanted is None)
            gone = gone - {conflict.uid} if wanted is not None else gone | {conflict.uid}
        elif task is not None and conflict.field and conflict.kind in ("field", "claim"):
            field, _, key = conflict.field.partition(".")
            assert (task.get(field, {}).get(key) if key else task.get(field)) == wanted
            assert task["updated_at"] == NOW

    if not broken:
        assert problems(meeting.backlog) == []
    assert by_uid(meeting.merged.backlog).keys() - by_uid(meeting.backlog).keys() <= gone


@pytest.mark.parametrize(("choice", "title"), [("ours", "mine"), ("theirs", "yours"), ("value", "neither")])
def test_a_field_gets_the_value_that_was_chosen(choice: str, title: str) -> None:
    """The task counts as updated, even where it had the value already."""
    meeting = Meeting([ADD], [edited("mine")], [edited("yours")])

    task = meeting.settle("T0001", "title", choice, "neither").tasks["T0001"]

    assert (task["title"], task["updated_at"]) == (title, NOW)


def test_a_value_that_stands_already_is_a_choice_too() -> None:
    meeting = Meeting([ADD], [edited("mine")], [edited("yours")])

    task = meeting.settle("T0001", "title", "value", "mine").tasks["T0001"]

    assert (task["title"], task["updated_at"]) == ("mine", NOW)


def test_both_texts_are_joined_by_line_and_nothing_else_can_be_both() -> None:
    """Beginning from nothing, ours come first."""
    meeting = Meeting([ADD], [edited("mine", description="a")], [edited("yours", description="b")])

    assert meeting.settle("T0001", "description", "both").tasks["T0001"]["description"] == "a\nb"
    with pytest.raises(Usage, match="title cannot be both") as refused:
        meeting.settle("T0001", "title", "both")
    assert "--value" in refused.value.hint


def test_both_of_a_text_that_one_side_took_out_is_what_the_other_made_of_it() -> None:
    base = [ADD, edited(description="a\nb")]
    for left, right in (
        ({"description": None}, {"description": "a\nc"}),
        ({"description": "a\nc"}, {"description": None}),
    ):
        meeting = Meeting(base, [edited(**left)], [edited(**right)])

        assert meeting.settle("T0001", "description", "both").tasks["T0001"]["description"] == "a\nc"


@pytest.mark.parametrize(("choice", "status"), [("ours", "done"), ("theirs", "in_progress"), ("value", "review")])
def test_a_status_brings_its_times_and_its_claim_with_it(choice: str, status: str) -> None:
    meeting = Meeting([ADD], [edited(status="done")], [[("claim", "T0001", "bot")], edited(status="in_progress")])

    task = meeting.settle("T0001", "status", choice, "review").tasks["T0001"]

    assert task["status"] == status
    assert ("completed_at" in task) == (status == "done")
    assert ("claimed_by" in task) == (choice == "theirs")
    assert problems(meeting.backlog) == []


def test_a_start_that_one_side_knows_of_outlives_the_choice_of_the_other() -> None:
    meeting = Meeting([ADD], [edited(status="in_progress")], [edited(status="cancelled")])
    started = meeting.backlog.tasks["T0001"]["started_at"]

    assert meeting.settle("T0001", "status", "theirs").tasks["T0001"]["started_at"] == started


def test_a_claim_is_taken_whole_and_is_no_value_to_be_given() -> None:
    meeting = Meeting([ADD], [[("claim", "T0001", "ada")]], [[("claim", "T0001", "bot")]])
    theirs = meeting.versions[2].backlog.tasks["T0001"]

    with pytest.raises(Usage, match="a claim is ours or theirs") as refused:
        meeting.settle("T0001", "claimed_by", "value", "editor")
    assert "--theirs" in refused.value.hint
    task = meeting.settle("T0001", "claimed_by", "theirs").tasks["T0001"]

    assert [task[field] for field in CLAIM] == [theirs[field] for field in CLAIM]


@pytest.mark.parametrize(("choice", "value"), [("ours", 1), ("theirs", None), ("value", {"b": [1]})])
def test_metadata_is_settled_key_by_key(choice: str, value: Any) -> None:
    """Null where that side took the key out; the other keys stay."""
    base = [ADD, [("metadata", "T0001", {"x": 0, "y": 7})]]
    meeting = Meeting(base, [[("metadata", "T0001", {"x": 1})]], [[("metadata", "T0001", {"x": None})]])

    metadata = meeting.settle("T0001", "metadata.x", choice, {"b": [1]}).tasks["T0001"]["metadata"]

    assert metadata == {"y": 7, **({} if value is None else {"x": value})}


@pytest.mark.parametrize("choice", ["ours", "theirs"])
@pytest.mark.parametrize("emptied", ["ours", "theirs"])
def test_the_only_key_may_be_gone_on_one_side(choice: str, emptied: str) -> None:
    base = [ADD, [("metadata", "T0001", {"x": 0})]]
    gone, kept = [[("metadata", "T0001", {"x": None})]], [[("metadata", "T0001", {"x": 1})]]
    meeting = Meeting(base, *((gone, kept) if emptied == "ours" else (kept, gone)))

    task = meeting.settle("T0001", "metadata.x", choice).tasks["T0001"]

    assert task.get("metadata") == (None if choice == emptied else {"x": 1})


def test_a_choice_is_made_for_a_task_that_somebody_holds_too() -> None:
    """A value at its time; with a deletion the links to it go from a held task as well."""
    meeting = Meeting([ADD], [edited("mine", status="review")], [edited("yours", status="todo", priority="low")])
    meeting.backlog = meeting.backlog.replacing({**meeting.backlog.tasks["T0001"], **HELD})
    assert meeting.settle("T0001", "title", "value", "neither").tasks["T0001"]["title"] == "neither"

    meeting = Meeting([ADD], [edited("kept"), [("link", "T0003", "T0001")]], [[("delete", "T0001", None)]])
    meeting.backlog = meeting.backlog.replacing({**meeting.backlog.tasks["T0003"], **HELD})
    task = meeting.settle("T0001", None, "theirs").tasks["T0003"]
    assert ("depends_on" in task, task["updated_at"]) == (False, NOW)


def test_a_status_that_is_given_begins_at_the_time_of_the_choice() -> None:
    meeting = Meeting([ADD], [edited(status="review")], [edited(status="cancelled")])

    assert meeting.settle("T0001", "status", "value", "done").tasks["T0001"]["completed_at"] == NOW


# -- deleted here, edited there --------------------------------------------------------------


@pytest.mark.parametrize("deleted", ["ours", "theirs"])
@pytest.mark.parametrize("choice", ["ours", "theirs"])
def test_a_task_that_one_side_deleted_stays_or_goes(deleted: str, choice: str) -> None:
    """It goes with the links to it; kept, it is as the side has it that kept it. It may be chosen twice."""
    gone, kept = [[("delete", "T0001", None)]], [edited("kept")]
    meeting = Meeting([ADD], *((gone, kept) if deleted == "ours" else (kept, gone)))

    for _ in range(2):
        meeting.settle("T0001", None, choice)
        assert ("T0001" in meeting.backlog.tasks) == (choice != deleted)
        if choice != deleted:
            assert meeting.backlog.tasks["T0001"]["title"] == "kept"
            assert meeting.backlog.tasks["T0001"]["updated_at"] == NOW
        assert {"T0002", "T0003"} <= meeting.backlog.tasks.keys()


def test_a_deletion_takes_the_task_out_of_the_archive_too_with_the_links_to_it() -> None:
    base = [ADD, [("link", "T0002", "T0001")]]
    meeting = Meeting(base, [edited("kept"), [("archive", "T0001", None)]], [[("delete", "T0001", None)]])
    assert "T0001" in meeting.backlog.archived

    meeting.settle("T0001", None, "theirs")

    assert "T0001" not in meeting.backlog
    assert "depends_on" not in meeting.backlog.tasks["T0002"]


@pytest.mark.parametrize("choice", ["both", "value"])
def test_a_deletion_is_ours_or_theirs(choice: str) -> None:
    meeting = Meeting([ADD], [edited("kept")], [[("delete", "T0001", None)]])

    with pytest.raises(Usage, match="was deleted on one side") as refused:
        meeting.settle("T0001", None, choice)
    assert "--theirs" in refused.value.hint


def test_a_task_that_comes_back_leaves_behind_the_links_to_what_is_gone() -> None:
    """Both those of depends_on and the parent; those that hold stay."""
    base = [ADD, [("link", "T0001", "T0002"), ("link", "T0001", "T0003"), ("update", "T0001", {"parent": "T0002"})]]
    gone = [[("delete", "T0001", None)], [("delete", "T0002", None)]]
    meeting = Meeting(base, gone, [[("note", "T0001", "still here")]])

    task = meeting.settle("T0001", None, "theirs").tasks["T0001"]

    assert task["depends_on"] == ["T0003"]
    assert "parent" not in task


def test_a_conflict_of_a_task_that_was_let_go_is_settled_by_that() -> None:
    base = [ADD]
    meeting = Meeting(base, [[("link", "T0001", "T0002")]], [[("delete", "T0001", None)], [("delete", "T0002", None)]])
    [link] = [one for one in meeting.merged.conflicts if one.field == "depends_on"]
    after = meeting.settle("T0001", None, "theirs")

    assert meeting.settle(link.task_id, link.field, "ours") is after


# -- links -----------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["depends_on", "parent"])
def test_a_link_to_what_the_other_side_deleted_brings_it_back_or_goes(field: str) -> None:
    link = [("link", "T0001", "T0002")] if field == "depends_on" else edited(parent="T0002")
    for choice in ("ours", "theirs"):
        meeting = Meeting([ADD], [link], [[("delete", "T0002", None)]])

        task = meeting.settle("T0001", field, choice).tasks["T0001"]

        if choice == "ours":
            assert task[field] == (["T0002"] if field == "depends_on" else "T0002")
            assert meeting.backlog.tasks["T0002"]["updated_at"] == NOW
        else:
            assert field not in task
            assert "T0002" not in meeting.backlog
        assert task["updated_at"] == NOW
        assert problems(meeting.backlog) == []


@pytest.mark.parametrize("field", ["depends_on", "parent"])
@pytest.mark.parametrize("choice", ["ours", "theirs"])
def test_of_a_circle_that_only_the_merge_makes_one_side_stands(field: str, choice: str) -> None:
    """The links of the other that would close it go."""

    def link(one: str, other: str) -> list[Any]:
        return [("link", one, other)] if field == "depends_on" else [("update", one, {"parent": other})]

    meeting = Meeting([ADD], [link("T0001", "T0002")], [link("T0002", "T0001")])
    [conflict] = meeting.merged.conflicts

    meeting.settle(conflict.task_id, field, choice)

    there = {task_id for task_id, task in meeting.backlog.tasks.items() if field in task}
    assert there == ({"T0001"} if choice == "ours" else {"T0002"})
    assert problems(meeting.backlog) == []


def test_a_link_is_settled_by_a_side_that_does_not_have_the_task_or_has_more_links() -> None:
    """What the task names besides stays; a link of a task that only the other side has is not wanted here."""
    new = [("add", "T0004", "four"), ("link", "T0004", "T0002")]
    meeting = Meeting([ADD], [[("delete", "T0002", None)]], [new, [("link", "T0004", "T0003")]])
    assert meeting.settle("T0004", "depends_on", "ours").tasks["T0004"]["depends_on"] == ["T0003"]
    assert "T0002" not in meeting.backlog

    meeting = Meeting(
        [ADD], [[("link", "T0001", "T0002")]], [[("link", "T0001", "T0003")], [("delete", "T0002", None)]]
    )
    assert meeting.settle("T0001", "depends_on", "ours").tasks["T0001"]["depends_on"] == ["T0002", "T0003"]


def test_a_task_that_a_link_brings_back_comes_with_sound_links_and_others_stay_as_they_are() -> None:
    base = [ADD, [("add", "T0004", "four"), ("link", "T0002", "T0004"), ("link", "T0002", "T0003")]]
    left = [[("link", "T0001", "T0002"), ("link", "T0001", "T0003"), ("update", "T0003", {"title": "old"})]]
    right = [[("delete", "T0002", None), ("delete", "T0004", None)], [("update", "T0003", {"role": "new"})]]
    meeting = Meeting(base, left, right)

    meeting.settle("T0001", "depends_on", "ours")

    assert meeting.backlog.tasks["T0002"]["depends_on"] == ["T0003"]
    assert (meeting.backlog.tasks["T0003"]["title"], meeting.backlog.tasks["T0003"]["role"]) == ("old", "new")


def test_the_link_that_goes_from_a_circle_is_the_only_one_of_its_task_that_goes() -> None:
    """Also where another task of the circle is one that the chosen side does not have."""
    left = [
        ("add", "T0004", "four"),
        ("link", "T0001", "T0003"),
        ("link", "T0001", "T0004"),
        ("link", "T0004", "T0002"),
    ]
    meeting = Meeting([ADD], [left], [[("link", "T0002", "T0001")]])

    tasks = meeting.settle("T0002", "depends_on", "theirs").tasks

    links = {task_id: task["depends_on"] for task_id, task in tasks.items() if "depends_on" in task}
    assert links == {"T0001": ["T0003"], "T0002": ["T0001"], "T0004": ["T0002"]}
    assert [task_id for task_id, task in tasks.items() if task["updated_at"] == NOW] == ["T0001", "T0002"]


def test_a_circle_through_a_task_that_the_side_had_archived_is_opened() -> None:
    """Nobody judges what the links of an archived task lead to; here the other side brings it back."""
    link, note = ("link", "T0002", "T0001"), ("note", "T0001", "seen")
    meeting = Meeting([ADD, [("link", "T0001", "T0002")]], [[note]], [[("archive", "T0001", None), link]])

    for conflict in meeting.merged.conflicts:
        meeting.settle(conflict.task_id, conflict.field, "theirs")

    assert problems(meeting.backlog) == []
    assert meeting.backlog.tasks["T0002"]["depends_on"] == ["T0001"]


def test_a_circle_that_the_side_had_itself_stays_as_it_was_there() -> None:
    """It was broken before, and which of its links is wrong nobody can tell."""
    meeting = Meeting([ADD], [[("link", "T0001", "T0002")]], [[("link", "T0003", "T0001")]])
    theirs = meeting.versions[2].backlog
    for task_id, targets in {"T0002": ["T0003"], "T0003": ["T0001", "T0002"]}.items():
        theirs = theirs.replacing({**theirs.tasks[task_id], "depends_on": targets})
    meeting.merged = merge_versions(meeting.versions[0].backlog, meeting.versions[1].backlog, theirs)
    meeting.backlog = meeting.merged.backlog

    for conflict in meeting.merged.conflicts:
        meeting.settle(conflict.task_id, conflict.field, "theirs")

    assert {task_id: task.get("depends_on") for task_id, task in meeting.backlog.tasks.items()} == {
        "T0001": None,
        "T0002": ["T0003"],
        "T0003": ["T0001", "T0002"],
    }


@pytest.mark.parametrize("value", ["T0003", " t0003 ,, ", ["T0003"], None])
def test_links_may_be_given_as_a_list_or_in_words(value: Any) -> None:
    meeting = Meeting([ADD], [[("link", "T0001", "T0002")]], [[("link", "T0002", "T0001")]])

    task = meeting.settle("T0002", "depends_on", "value", value).tasks["T0002"]

    assert task.get("depends_on", []) == (["T0003"] if value else [])


def test_links_cannot_be_both() -> None:
    meeting = Meeting([ADD], [[("link", "T0001", "T0002")]], [[("link", "T0002", "T0001")]])

    with pytest.raises(Usage, match="cannot be both") as refused:
        meeting.settle("T0002", "depends_on", "both")
    assert "--theirs" in refused.value.hint


def test_a_value_for_a_task_in_the_archive_brings_it_back() -> None:
    """Ours and theirs leave it where it lies."""
    away = [("archive", "T0001", None)]
    meeting = Meeting([ADD], [edited("mine"), away], [edited("yours"), away])
    assert meeting.settle("T0001", "title", "theirs").get("T0001")["title"] == "yours"

    assert meeting.settle("T0001", "title", "value", "neither").tasks["T0001"]["title"] == "neither"


def test_the_merge_itself_is_left_as_it_was() -> None:
    """A choice gives a new backlog, so the next one finds the same sides."""
    meeting = Meeting([ADD], [edited("mine")], [edited("yours")])
    before = {uid: dict(task) for uid, task in meeting.merged.theirs.items()}

    meeting.settle("T0001", "title", "theirs")
    update_task(meeting.backlog, "T0001", Edit(set={"title": "later"}), now=NOW, actor="ada")

    assert meeting.merged.backlog.tasks["T0001"]["title"] == "mine"
    assert meeting.merged.theirs == before

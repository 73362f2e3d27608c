"""What a file shows where branches met is allowed by their logs, is a choice to be recorded, or is nobody's change."""

from __future__ import annotations

from typing import Any

import pytest
from branches import Branch, by_uid

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import Chain, Request
from taskkeep.backlog.merge import merge
from taskkeep.backlog.replay import Replay, causal_order, heads, reconcile
from taskkeep.backlog.task import canonical

ADD = [("add", "T0001", "one"), ("add", "T0002", "two"), ("add", "T0003", "three")]
OTHER_TIME = "2030-01-01T00:00:00.000000Z"


def update(**fields: Any) -> list[Any]:
    return [("update", "T0001", fields)]


class Meeting:
    """Two branches of one past, and the file in which they met."""

    def __init__(self, base: list[Any], left: list[Any], right: list[Any]) -> None:
        root = Branch().do(*base)
        self.one, self.other = root.fork().do(*left), root.fork().do(*right)
        self.file = merge(root.backlog, self.one.backlog, self.other.backlog)[0]
        self.replay = Replay(causal_order([*self.one.events, *self.other.events]))

    def judged(self, file: Backlog | None = None, **fields: Any) -> tuple[dict[str, Any], list[str]]:
        """The choices by field, those that a rule made marked so, of a file in which T0001 has these fields."""
        file = file or self.file
        if fields:
            task = {name: value for name, value in {**file.tasks["T0001"], **fields}.items() if value is not None}
            file = Backlog({**file.tasks, "T0001": task}, file.archived)
        settled, wrong = reconcile(self.replay, file.tasks, file.archived)
        kinds = {one["field"]: "rule" if one.get("joined") else one["to"] for one in settled}
        kinds.pop("updated_at", None)
        return kinds, wrong


def test_branches_that_touched_different_tasks_leave_nothing_to_choose() -> None:
    meeting = Meeting([ADD], [update(title="a")], [[("update", "T0002", {"title": "b"})]])

    assert meeting.judged() == ({}, [])


def test_either_side_of_a_field_is_a_choice_and_a_third_value_is_nobodys() -> None:
    meeting = Meeting([ADD], [update(title="a", priority="low")], [update(title="b", priority="low")])

    assert meeting.judged(title="a") == ({"title": "a"}, [])
    assert meeting.judged(title="b") == ({"title": "b"}, [])
    assert meeting.judged(title="one")[1] == meeting.judged(title="c")[1] == ["T0001: title"]
    assert meeting.judged(title="a", priority="high")[1] == ["T0001: priority"]
    assert meeting.judged(title="a", role="x")[1] == ["T0001: role"]


def test_a_task_that_no_branch_deleted_must_be_there_and_one_that_none_made_must_not() -> None:
    meeting = Meeting([ADD], [update(title="a")], [update(role="b")])
    stranger = {**meeting.file.tasks["T0002"], "id": "T0009", "uid": "f" * 32}

    assert meeting.judged(meeting.file.without("T0002"))[1] == ["T0002 is missing"]
    assert meeting.judged(meeting.file.replacing(stranger))[1] == ["T0009 is not in the log"]


@pytest.mark.parametrize("deleted_first", [False, True])
def test_a_task_that_one_side_deleted_and_the_other_changed_is_kept_or_gone(deleted_first: bool) -> None:
    """Whichever was later. Kept, it is as the side has it that kept it."""
    edit, deletion = update(title="a"), [("delete", "T0001", None)]
    sides = ([deletion], [edit]) if deleted_first else ([edit], [deletion])
    meeting = Meeting([ADD], *sides)
    kept = (meeting.other if deleted_first else meeting.one).backlog

    assert meeting.judged(kept) == ({None: kept.tasks["T0001"]}, [])
    assert meeting.judged(kept.without("T0001")) == ({None: None}, [])
    assert meeting.judged(kept, title="c")[1] == ["T0001: title"]


def test_the_archive_holds_what_the_log_says() -> None:
    """An edit beside an archiving brings the task back; a choice made in the archive says that it stays there."""
    moved = Meeting([ADD], [[("archive", "T0002", None)]], [update(title="a")])
    assert moved.judged() == ({}, [])
    back = moved.file.replacing(moved.file.archived["T0002"])
    assert moved.judged(back)[1] == ["T0002: brought back from the archive"]
    assert moved.judged(moved.file.archiving("T0003"))[1] == ["T0003: archived"]
    away = [("archive", "T0001", None)]
    beside = Meeting([ADD], [away], [update(title="b")])
    assert beside.judged() == ({}, [])
    assert beside.judged(beside.file.archiving("T0001"))[1] == ["T0001: archived"]
    both = Meeting([ADD], [update(title="a"), away], [update(title="b"), away])
    assert both.judged() == ({"title": "a", "archived": "rule"}, [])


@pytest.mark.parametrize("deleted_first", [False, True])
def test_a_task_deleted_here_and_archived_there_stays_in_the_archive_by_rule(deleted_first: bool) -> None:
    """It is another file, and git keeps it there; nobody has to look."""
    sides = [[("delete", "T0001", None)]], [[("archive", "T0001", None)]]
    meeting = Meeting([ADD], *(sides if deleted_first else sides[::-1]))

    assert list(meeting.file.archived) == ["T0001"]
    assert meeting.judged() == ({None: "rule", "archived": "rule"}, [])


def test_of_two_starts_a_rule_takes_the_first_and_nobody_has_to_look() -> None:
    meeting = Meeting([ADD], [update(status="in_progress")], [update(status="in_progress")])

    assert meeting.judged() == ({"started_at": "rule"}, [])
    assert meeting.judged(started_at=OTHER_TIME)[1] == ["T0001: started_at"]


def test_only_a_task_whose_id_was_drawn_twice_has_another_one() -> None:
    """It keeps the aliases that it had, and the id as one more."""
    meeting = Meeting([ADD], [update(title="a")], [update(role="b")])
    renamed = canonical({**meeting.file.tasks["T0001"], "id": "T0009", "aliases": ["T0001"]})
    assert meeting.judged(meeting.file.without("T0001").replacing(renamed))[1] == ["T0009: id"]

    root = Branch().do(ADD)
    one, other = root.fork().do([("add", "T0004", "elder")]), root.fork().do([("add", "T0004", "younger")])
    named = canonical({**other.backlog.tasks["T0004"], "aliases": ["T0070"]})
    other.save(other.backlog.replacing(named), named["updated_at"], 1)
    file = merge(root.backlog, one.backlog, other.backlog)[0]
    [younger] = [task for task in file.tasks.values() if task["title"] == "younger"]
    settled, wrong = reconcile(Replay(causal_order([*one.events, *other.events])), file.tasks, file.archived)

    assert younger["aliases"] == ["T0004", "T0070"]
    assert wrong == []
    assert all(choice["joined"] for choice in settled)


def test_a_time_of_change_is_one_of_the_sides() -> None:
    meeting = Meeting([ADD], [update(title="a")], [update(role="b")])
    sides = [branch.backlog.tasks["T0001"]["updated_at"] for branch in (meeting.one, meeting.other)]

    for time in sides:
        assert meeting.judged(updated_at=time) == ({}, [])
    assert meeting.judged(updated_at=OTHER_TIME)[1] == ["T0001: updated_at"]


def test_lists_hold_what_each_side_added_and_nothing_that_one_took_out() -> None:
    """Where one took an entry out and the other put it in anew, either is right."""
    base = [[*ADD], update(labels=["ci"])]
    meeting = Meeting(base, [update(labels=["ci", "ui"])], [update(labels=["api", "ci"])])

    assert meeting.judged(labels=["api", "ci", "ui"]) == ({}, [])
    for labels in (["ci"], ["ci", "ui"], ["api", "ui"], ["api", "ci", "ui", "x"], None):
        assert meeting.judged(labels=labels)[1] == ["T0001: labels"]
    anew = Meeting(base, [update(labels=["ui"])], [update(labels=[]), update(labels=["ci"])])
    for labels in (["ui"], ["ci", "ui"]):
        assert anew.judged(labels=labels) == ({"labels": "rule"}, [])
    assert anew.judged(labels=["ci"])[1] == ["T0001: labels"]
    criteria = Meeting([ADD], [[("accept", "T0001", "one")]], [[("accept", "T0001", "two")]])
    assert criteria.judged() == ({"acceptance_criteria": "rule"}, [])
    assert criteria.judged(acceptance_criteria=[{"text": "x", "done": False}])[1] == ["T0001: acceptance_criteria"]
    alone = Meeting([ADD], [[("note", "T0001", "n")]], [update(title="b")])
    assert alone.judged() == ({}, [])
    assert alone.judged(notes=None)[1] == ["T0001: notes"]


def test_metadata_is_judged_key_by_key() -> None:
    def meta(**keys: Any) -> list[Any]:
        return [("metadata", "T0001", keys)]

    meeting = Meeting([ADD, meta(x=1, y=1)], [meta(x=True)], [meta(x="a", y=None)])

    assert meeting.judged(metadata={"x": True})[0] == {"metadata": {"x": True}}
    assert meeting.judged(metadata={"x": "a"}) == ({"metadata": {"x": "a"}}, [])
    for wrong in ({"x": 1}, {"x": "a", "y": 1}, {"x": "a", "z": 1}, {}):
        assert meeting.judged(metadata=wrong)[1] == ["T0001: metadata"]
    alone = Meeting([ADD, meta(x=1)], [meta(x=2)], [update(title="b")])
    assert alone.judged() == ({}, [])
    assert alone.judged(metadata={"x": 1})[1] == ["T0001: metadata"]


def test_a_status_is_chosen_with_the_times_and_the_claim_of_its_side() -> None:
    meeting = Meeting([ADD], [update(status="done")], [[("claim", "T0001", "bot")], update(status="in_progress")])
    theirs = meeting.other.backlog.tasks["T0001"]
    names = ("status", "started_at", "completed_at", "claimed_by", "claimed_until")

    assert meeting.judged()[1] == []
    assert meeting.judged()[0]["status"] == "done"
    kinds, wrong = meeting.judged(**{name: theirs.get(name) for name in names})
    assert (kinds["status"], wrong) == ("in_progress", [])
    assert meeting.judged(started_at=OTHER_TIME)[1] == ["T0001: started_at"]
    assert meeting.judged(role="x")[1] == ["T0001: role"]
    with_role = Meeting([ADD], [update(status="done", role="x")], [update(status="review")])
    assert with_role.judged(role=None)[1] == ["T0001: role"]
    held = Meeting([ADD, [("claim", "T0001", "bot")]], [update(status="done")], [update(status="review")])
    theirs = held.other.backlog.tasks["T0001"]
    kinds, wrong = held.judged(**{name: theirs.get(name) for name in names})
    assert (kinds["status"], kinds["claimed_by"], wrong) == ("review", "rule", [])
    assert meeting.judged(claimed_by="editor", claimed_until=OTHER_TIME)[1] == [
        "T0001: claimed_by",
        "T0001: claimed_until",
    ]


def test_a_claim_renewed_beside_it_takes_no_status_back() -> None:
    """What one side alone wrote stands, unless the status is open, which brings times and claim along."""
    claim = [("claim", "T0001", "bot")]
    meeting = Meeting([ADD, claim], [claim], [update(status="done")])

    assert meeting.file.tasks["T0001"]["status"] == "done"
    assert meeting.judged()[1] == []
    assert meeting.judged(meeting.one.backlog)[1] == ["T0001: completed_at", "T0001: status"]


@pytest.mark.parametrize("renewed_first", [False, True])
def test_a_claim_renewed_here_and_another_workers_there_is_a_choice(renewed_first: bool) -> None:
    """Whosever stands; only one of the two wrote who holds it."""
    renewed, taken = [("claim", "T0001", "bot")], [("claim", "T0001", "ada")]
    sides = ([renewed], [taken]) if renewed_first else ([taken], [renewed])
    meeting = Meeting([ADD, renewed], *sides)

    for side in (meeting.one, meeting.other):
        until = side.backlog.tasks["T0001"]["claimed_until"]
        assert meeting.judged(side.backlog)[0]["claimed_until"] == until
        assert meeting.judged(side.backlog)[1] == []


def test_a_claim_that_a_finished_task_lost_is_no_choice() -> None:
    """The claim of one side ends where the other finished the task."""
    meeting = Meeting([ADD], [update(status="done")], [[("claim", "T0001", "bot")]])

    assert "claimed_by" not in meeting.file.tasks["T0001"]
    assert meeting.judged()[1] == []
    assert "claimed_by" not in {name for name, kind in meeting.judged()[0].items() if kind != "rule"}


def test_an_id_drawn_twice_is_given_anew_by_rule() -> None:
    """The younger task has its old id as an alias; under any other id it is nobody's change."""
    meeting = Meeting(
        [ADD],
        [[("add", "T0005", "elder")]],
        [[("add", "T0005", "younger")], [("add", "T0006", "x")], [("link", "T0006", "T0005")]],
    )
    [younger] = [task for task in meeting.file.tasks.values() if task["title"] == "younger"]

    assert meeting.judged() == ({"id": "rule", "aliases": "rule", "depends_on": "rule"}, [])
    bare = {name: value for name, value in younger.items() if name != "aliases"}
    assert meeting.judged(meeting.file.replacing(bare))[1][0] == f"{younger['id']}: id"
    strange = {**younger, "aliases": ["T0005", "T0077"]}
    assert meeting.judged(meeting.file.replacing(strange))[1] == [f"{younger['id']}: aliases"]
    renamed = {**meeting.file.tasks["T0001"], "id": "T0088"}
    assert meeting.judged(meeting.file.without("T0001").replacing(renamed))[1] == ["T0088: id"]


@pytest.mark.parametrize("field", ["depends_on", "parent"])
def test_a_link_is_left_out_only_where_it_would_lead_nowhere_or_round(field: str) -> None:
    """By choice, since somebody has to look."""

    def link(one: str, other: str) -> list[Any]:
        return [("link", one, other)] if field == "depends_on" else [("update", one, {"parent": other})]

    def without(file: Backlog, task_id: str) -> Backlog:
        return file.replacing({name: value for name, value in file.tasks[task_id].items() if name != field})

    nowhere = Meeting([ADD], [[("delete", "T0002", None)]], [link("T0001", "T0002")])
    assert nowhere.judged() == ({field: None}, [])
    around = Meeting([ADD], [link("T0001", "T0002"), link("T0002", "T0003")], [link("T0003", "T0001")])
    assert field not in around.file.tasks["T0003"]
    assert around.judged() == ({field: None}, [])
    sound = Meeting([ADD, link("T0002", "T0003")], [link("T0001", "T0002")], [update(title="b")])
    assert sound.judged() == ({}, [])
    assert sound.judged(without(sound.file, "T0001"))[1] == [f"T0001: {field}"]
    for other in ("T0003", "T0099"):
        assert sound.judged(**{field: [other] if field == "depends_on" else other})[1] == [f"T0001: {field}"]
    astray = {**sound.file.tasks["T0002"], field: ["T0099"] if field == "depends_on" else "T0099"}
    wrong = sound.judged(without(sound.file, "T0001").replacing(astray))[1]
    assert wrong == [f"T0001: {field}", f"T0002: {field}"]


def test_a_parent_that_both_set_is_a_choice_and_follows_a_new_id() -> None:
    meeting = Meeting([ADD], [update(parent="T0002")], [update(parent="T0003")])

    assert meeting.judged(parent="T0003") == ({"parent": "T0003"}, [])
    assert meeting.judged(parent=None)[1] == ["T0001: parent"]
    both = Meeting(
        [ADD],
        [[("add", "T0005", "elder")], update(parent="T0002")],
        [[("add", "T0005", "younger")], update(parent="T0005")],
    )
    [younger] = [task["id"] for task in both.file.tasks.values() if task["title"] == "younger"]
    assert both.judged(parent=younger)[0]["parent"] == younger
    child = [[("add", "T0005", "younger")], update(parent="T0005")]
    renamed = Meeting([ADD], [[("add", "T0005", "elder")]], child)
    assert renamed.file.tasks["T0001"]["parent"] != "T0005"
    assert renamed.judged()[1] == []
    assert renamed.judged()[0]["parent"] == "rule"


def test_a_parent_that_went_on_the_other_side_falls_back_to_that_of_a_side_or_to_none() -> None:
    meeting = Meeting([ADD, update(parent="T0003")], [[("delete", "T0002", None)]], [update(parent="T0002")])

    assert meeting.judged() == ({"parent": "T0003"}, [])
    assert meeting.judged(parent=None) == ({"parent": None}, [])
    assert meeting.judged(parent="T0099")[1] == ["T0001: parent"]


def test_a_link_that_would_close_a_circle_by_any_way_may_be_left_out() -> None:
    """However the ways between cross."""
    add = [("add", f"T000{number}", "x") for number in range(1, 5)]
    base = [add, [("link", "T0002", "T0003"), ("link", "T0002", "T0004"), ("link", "T0004", "T0003")]]
    meeting = Meeting(base, [[("link", "T0003", "T0001")]], [[("link", "T0001", "T0002")]])

    assert "depends_on" not in meeting.file.tasks["T0001"]
    assert meeting.judged()[1] == []


def test_each_head_has_its_side_of_what_is_open() -> None:
    """After an earlier meeting too."""
    root = Branch().do(ADD)
    one, other = root.fork().do(update(title="a")), root.fork().do(update(role="b"))
    one.join(other, merge(root.backlog, one.backlog, other.backlog)[0])
    left, right = one.fork().do(update(status="done")), one.fork().do(update(status="review"))

    sides = Replay(causal_order([*left.events, *right.events])).sides()

    assert sorted(map(str, sides)) == sorted(str(by_uid(side.backlog)) for side in (left, right))


def test_a_time_of_change_that_is_not_that_of_the_event_is_the_one_it_says() -> None:
    root = Branch().do(ADD)
    task = {**root.backlog.tasks["T0001"], "title": "a", "updated_at": OTHER_TIME}
    root.save(root.backlog.replacing(task), "2029-01-01T00:00:00.000000Z", 10**6)

    assert root.replayed()[0] == by_uid(root.backlog)


def test_of_two_times_of_change_the_later_stands_whatever_a_clock_said() -> None:
    """Though the branch whose clock went back comes last in the order of the log."""
    root = Branch().do(ADD)
    one, other = root.fork(), root.fork()
    for number, (branch, title, now) in enumerate(((one, "a", "2029"), (one, "b", "2001"), (other, "c", "2028"))):
        moment = f"{now}-01-01T00:00:00.000000Z"
        task = {**branch.backlog.tasks["T0001"], "title": title, "updated_at": moment}
        branch.save(branch.backlog.replacing(task), moment, 10**6 + number)
    events = causal_order([*one.events, *other.events])
    assert events[-1] == one.events[-1]

    assert Replay(events).tasks()[root.backlog.tasks["T0001"]["uid"]]["updated_at"] == "2028-01-01T00:00:00.000000Z"


def test_an_event_of_another_kind_changes_no_task() -> None:
    """A claim that ran out, and kinds that a newer version may know."""
    root = Branch().do(ADD)
    request = Request(txn="t", actor="ada", now=OTHER_TIME, source="cli", why=None, key=None, digest=None)
    chain = Chain(request, before="", after="", heads=heads(root.events), new_id=lambda: "e")
    uid = root.backlog.tasks["T0001"]["uid"]
    chain.add("claim_expired", "T0001", uid, {"claimed_by": "bot"})
    chain.add("future", None, None, {"changes": {"title": {"from": "one", "to": "two"}}})

    assert Replay([*root.events, *chain.events]).tasks() == by_uid(root.backlog)


# -- choices that were recorded ------------------------------------------------------------------

AWAY = [("archive", "T0001", None)]
TICKED, PLAIN = ({"text": "one", "done": done} for done in (True, False))


@pytest.mark.parametrize(
    ("base", "left", "right", "files"),
    [
        ([], [update(title="a")], [update(title="b")], [{"title": "a"}, {"title": "b"}]),
        ([update(role="x")], [update(role=None)], [update(role="b")], [{"role": None}, {"role": "b"}]),
        (
            [update(labels=["ci"])],
            [update(labels=["ui"])],
            [update(labels=[]), update(labels=["ci"])],
            [{"labels": ["ui"]}, {"labels": ["ci", "ui"]}],
        ),
        (
            [[("metadata", "T0001", {"x": 1, "y": 1})]],
            [[("metadata", "T0001", {"x": True})]],
            [[("metadata", "T0001", {"x": None})]],
            [{"metadata": {"x": True, "y": 1}}, {"metadata": {"y": 1}}],
        ),
        (
            [[("accept", "T0001", "one")]],
            [[("check", "T0001", 1)]],
            [[("accept", "T0001", "two")]],
            [{"acceptance_criteria": [TICKED, {"text": "two", "done": False}]}],
        ),
        ([], [update(parent="T0002")], [update(parent="T0003")], [{"parent": "T0002"}, {"parent": "T0003"}]),
        ([], [update(title="a"), AWAY], [update(title="b"), AWAY], [None]),
        ([], [update(title="a")], [[("delete", "T0001", None)]], [None, "gone"]),
        ([], [[("delete", "T0001", None)]], [update(title="a")], ["kept", None]),
        ([], [AWAY], [[("delete", "T0001", None)]], [None]),
    ],
)
def test_what_was_chosen_and_recorded_is_what_the_log_tells_from_then_on(
    base: Any, left: Any, right: Any, files: list[Any]
) -> None:
    """Nothing is left open, and later changes go on from there."""
    for fields in files:
        meeting = Meeting([ADD, *base], left, right)
        file = meeting.file
        if fields == "gone":
            file = file.without("T0001")
        elif fields == "kept":
            file = meeting.other.backlog
        elif fields:
            task = {name: value for name, value in {**file.tasks["T0001"], **fields}.items() if value is not None}
            file = file.replacing(task)

        assert meeting.one.join(meeting.other, file) == []
        meeting.one.do([("update", "T0002", {"title": "later"})])

        assert meeting.one.replayed() == (by_uid(meeting.one.backlog), {one["uid"] for one in file.archived.values()})
        replay = Replay(causal_order(meeting.one.events))
        assert replay.choices() == []
        assert reconcile(replay, meeting.one.backlog.tasks, meeting.one.backlog.archived) == ([], [])


# -- logs with gaps ------------------------------------------------------------------------------


def test_what_is_missing_from_a_log_is_named_and_the_rest_still_told() -> None:
    """Changes and moves of a task whose creation is not there give no task; one that was picked alone is taken."""
    root = Branch().do(
        [("add", "T0001", "one")], update(title="two"), [("archive", "T0001", None)], [("add", "T0002", "x")]
    )
    cut = Replay(root.events[1:])

    assert [prev for _, prev in cut.missing] == [root.events[0]["hash"]]
    assert [task["id"] for task in cut.tasks().values()] == ["T0002"]
    assert cut.archived() == set()
    assert cut.choices() == []
    gone = Branch().do([("add", "T0001", "one")], [("delete", "T0001", None)])
    assert Replay(gone.events[1:]).tasks() == {}


def test_a_picked_change_takes_the_place_of_what_it_was_made_upon() -> None:
    """Not of what others had set by then: that stays open beside it."""
    root = Branch().do([ADD[0]], update(title="a", labels=["ci"]), [("metadata", "T0001", {"x": 0})])
    side = root.fork().do(
        update(priority="low"), [("update", "T0001", {"title": "b", "labels": []}), ("metadata", "T0001", {"x": 1})]
    )
    picked = side.events[-1]
    ours = root.fork().do(update(assignee="ours"))

    found = Replay(causal_order([*ours.events, picked]))
    [task] = found.tasks().values()

    assert (task["title"], task.get("labels"), task["metadata"]) == ("b", None, {"x": 1})
    assert (task["assignee"], task["priority"]) == ("ours", "medium")
    assert [choice.field for choice in found.choices()] == []
    assert found.keys(task["uid"])["x"] == [[1]]
    changed = Replay(causal_order([*root.fork().do(update(title="c")).events, picked]))
    assert [choice.field for choice in changed.choices()] == ["title"]


@pytest.mark.parametrize("picked_last", [False, True])
def test_a_picked_change_takes_out_the_criteria_that_its_branch_had_and_no_others(picked_last: bool) -> None:
    """Whether what was added here is older or newer than what was picked."""
    root = Branch().do([ADD[0]], update(acceptance_criteria=["one", "two"]))
    side, ours = root.fork(), root.fork()
    for branch in (ours, side) if picked_last else (side, ours):
        branch.do(update(priority="low"))
        branch.do(update(acceptance_criteria=["two", "three"]) if branch is side else [("accept", "T0001", "ours")])

    [task] = Replay(causal_order([*ours.events, side.events[-1]])).tasks().values()

    assert sorted(item["text"] for item in task["acceptance_criteria"]) == ["ours", "three", "two"]


def test_what_was_made_upon_a_meeting_that_no_event_joined_has_the_entries_of_both_sides() -> None:
    """As where a hand edit is adopted there; the branches go on, and meet again."""
    root = Branch().do([ADD[0]], update(acceptance_criteria=["one"]))
    one, other = root.fork().do([("accept", "T0001", "a")]), root.fork().do([("accept", "T0001", "b")])
    met = one.fork()
    met.events = causal_order([*one.events, *other.events])
    task = other.backlog.tasks["T0001"]
    both = [{"text": text, "done": False} for text in ("one", "a", "b")]
    met.backlog = other.backlog.replacing({**task, "acceptance_criteria": both})
    other.do([("accept", "T0001", "c")])
    met.do(update(priority="low"), [("check", "T0001", 2)])

    [found] = Replay(causal_order([*met.events, *other.events])).tasks().values()

    assert [(item["text"], item["done"]) for item in found["acceptance_criteria"]] == [
        ("one", False),
        ("b", False),
        ("a", True),
        ("c", False),
    ]


def test_a_task_made_again_starts_anew_but_for_what_its_maker_had_not_seen() -> None:
    """An edit beside the deletion and the new making is open against it, field by field, item by item, key by key."""
    root = Branch().do([ADD[0]], update(title="a", labels=["ci"]), [("metadata", "T0001", {"x": 1, "z": 1})])
    task = root.backlog.tasks["T0001"]
    one = root.fork().do(
        update(description="x", labels=["ui"]), [("metadata", "T0001", {"y": 1})], [("delete", "T0001", None)]
    )
    again = {**task, "title": "again", "metadata": {"x": 1}, "updated_at": OTHER_TIME}
    one.save(one.backlog.replacing(again), OTHER_TIME, 10**6)
    assert by_uid(one.backlog) == one.replayed()[0]
    beside = root.fork().do(update(title="beside", labels=["api", "ci"]), [("metadata", "T0001", {"x": 2, "z": 2})])

    replay = Replay(causal_order([*one.events, *beside.events]))

    open_fields = {choice.field: choice.values for choice in replay.choices()}
    assert set(open_fields["title"]) == {"again", "beside"}
    assert "description" not in open_fields
    must, may = replay.bounds(task["uid"], "labels") or (set(), set())
    assert (must, may) == ({"ci"}, {"ci", "api"})
    assert replay.keys(task["uid"])["x"] in ([[1], [2]], [[2], [1]])
    assert replay.keys(task["uid"])["z"] in ([[2], []], [[], [2]])
    assert replay.keys(task["uid"]).get("y", [[]]) == [[]]


def test_a_task_made_again_on_both_sides_is_open_where_the_two_differ() -> None:
    """Field by field, item by item and key by key; what only one of them has is open too."""
    root = Branch().do([ADD[0]])
    uid = root.backlog.tasks["T0001"]["uid"]
    task = root.backlog.tasks["T0001"]
    root.do([("delete", "T0001", None)])
    one, other = root.fork(), root.fork()
    done = {"text": "c", "done": True}
    mine = {**task, "title": "a", "labels": ["ci", "ui"], "acceptance_criteria": [done], "metadata": {"x": 1, "y": 1}}
    yours = {**task, "title": "b", "role": "r", "labels": ["ci"], "metadata": {"x": 1}}
    for number, (branch, made) in enumerate(((one, mine), (other, yours))):
        branch.save(branch.backlog.replacing(canonical(made)), task["updated_at"], 10**6 + number)

    replay = Replay(causal_order([*one.events, *other.events]))

    choices = {choice.field: choice.values for choice in replay.choices()}
    assert choices == {"title": ["a", "b"], "role": [None, "r"]} or choices == {
        "title": ["b", "a"],
        "role": ["r", None],
    }
    assert replay.bounds(uid, "labels") == ({"ci"}, {"ci", "ui"})
    assert replay.keys(uid) in ({"x": [[1], [1]], "y": [[1], []]}, {"x": [[1], [1]], "y": [[], [1]]})
    joined = {"labels": ["ci", "ui"], "acceptance_criteria": [done], "metadata": {"x": 1, "y": 1}}
    assert replay.tasks()[uid].items() >= joined.items()
    both = {**by_uid(other.backlog)[uid], **joined}
    settled, wrong = reconcile(replay, {"T0001": both}, {})
    assert wrong == []
    assert {(one["field"], bool(one.get("joined"))) for one in settled} == {
        ("title", False), ("role", False), ("labels", True), ("acceptance_criteria", True), ("metadata", False)
    }  # fmt: skip


def test_a_task_made_in_the_archive_lies_there() -> None:
    root = Branch().do(ADD)
    made = {**root.backlog.tasks["T0001"], "id": "T0009", "uid": "9" * 32}
    root.save(Backlog(root.backlog.tasks, {"T0009": made}), OTHER_TIME, 10**6)

    assert root.replayed() == (by_uid(root.backlog), {"9" * 32})


def test_who_joined_two_that_had_joined_a_third_has_seen_as_far_as_the_farther_of_them() -> None:
    """Whichever of the two is its own: nothing that the third did by then is open against what follows."""
    root = Branch().do(ADD)
    third = root.fork().do(update(title="x"))
    near, far = (root.fork().do([("update", "T0002", {"title": name})]) for name in "ab")
    near.join(third, merge(root.backlog, near.backlog, third.backlog)[0])
    third.do(update(title="y"))
    far.do([("update", "T0003", {"title": "c"})])
    far.join(third, merge(root.backlog, far.backlog, third.backlog)[0])
    for one, other in ((near, far), (far, near)):
        both = one.fork()
        both.join(other, far.backlog)
        both.do(update(title="z"))

        replay = Replay(causal_order([*both.events, *third.events]))

        assert [choice.field for choice in replay.choices()] == []
        assert replay.tasks() == by_uid(both.backlog)


def test_the_order_of_events_is_that_of_their_making_whatever_their_clocks_said() -> None:
    """Each once; among free ones the earlier; the heads are those that none follows."""
    root = Branch().do(ADD)
    one, other = root.fork().do(update(title="a")), root.fork().do(update(title="b"))
    early = {**other.events[-1], "timestamp": "2000-01-01T00:00:00.000000Z"}
    events = [*one.events, early, *root.events]

    ordered = causal_order(events)

    assert [event["hash"] for event in ordered] == [event["hash"] for event in (*root.events, early, one.events[-1])]
    assert heads(ordered) == [early["hash"], one.events[-1]["hash"]]
    assert causal_order([]) == heads([]) == []
    assert causal_order(events[::-1]) == ordered


def test_of_a_criterion_that_both_added_the_ticked_one_stands_for_both() -> None:
    unticked, ticked = ({"text": "has a picture", "done": done} for done in (False, True))
    meeting = Meeting(
        [ADD],
        [update(acceptance_criteria=[unticked])],
        [[*update(acceptance_criteria=[unticked]), ("check", "T0001", 1)]],
    )

    assert meeting.file.tasks["T0001"]["acceptance_criteria"] == [ticked]
    assert meeting.judged() == ({"acceptance_criteria": "rule"}, [])
    assert meeting.judged(acceptance_criteria=[unticked])[1] == ["T0001: acceptance_criteria"]


def test_criteria_of_the_same_text_are_counted() -> None:
    """One of two is ticked, or removed, while another side adds a third of other words."""
    two = update(acceptance_criteria=[{"text": "one", "done": False}] * 2)
    ticked = Meeting([ADD], [[*two], [("check", "T0001", 1)]], [[("accept", "T0001", "two")]])
    texts = [(item["text"], item["done"]) for item in ticked.file.tasks["T0001"]["acceptance_criteria"]]
    assert sorted(texts) == [("one", False), ("one", True), ("two", False)]
    assert ticked.judged() == ({"acceptance_criteria": "rule"}, [])
    lost = [{"text": "one", "done": True}, {"text": "two", "done": False}]
    assert ticked.judged(acceptance_criteria=lost)[1] == ["T0001: acceptance_criteria"]
    unticked = [{"text": "one", "done": False}] * 2 + lost[1:]
    assert ticked.judged(acceptance_criteria=unticked)[1] == ["T0001: acceptance_criteria"]

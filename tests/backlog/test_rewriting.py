"""A rewritten file is read as what its writer meant: ids, new tasks, notes, what only the program sets, and what is lost."""

from __future__ import annotations

from typing import Any

import pytest
from tasks import MADE, task

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import Chain, Event, Request, task_changes
from taskkeep.backlog.rewrite import (
    Allowed,
    Past,
    Reverted,
    Rewriting,
    Wanted,
    allowed,
    lost,
    read_rows,
    refuse_losses,
    reverted,
    stubs,
    untouched,
    upon,
)
from taskkeep.backlog.task import canonical
from taskkeep.errors import (
    FieldsReverted,
    InputInvalid,
    InvalidField,
    Mojibake,
    TaskNotFound,
    TasksLost,
    UnknownField,
)

NOW, LATER = (f"2026-11-2{day}T12:00:00.000000Z" for day in (5, 6))


def past(*states: Backlog) -> Past:
    events: list[Event] = []
    before = Backlog({})
    for number, after in enumerate(states):
        request = Request(txn=str(number), actor="ada", now=MADE, source="api", why=None, key=None, digest=None)
        chain = Chain(request, before=None, after="", heads=[], new_id=str)
        for kind, one, details in task_changes(before, after, MADE):
            chain.add(kind, one["id"], one["uid"], details)
        events += chain.events
        before = after
    return Past(events)


def ask(before: Backlog, *rows: dict[str, Any], archived: Any = None, seen: Past | None = None, **more: Any) -> Wanted:
    """What the rows ask for, of a program; with ``by_hand=True`` of a person."""
    numbers = iter(range(900, 999))
    rewriting = Rewriting(
        before,
        seen or past(before),
        new_id=lambda: f"T{next(numbers):04d}",
        new_uid=lambda: f"{next(numbers):032x}",
        now=NOW,
        actor="bot",
        **{"by_hand": False, **more},
    )
    return rewriting.wanted(rows, archived)


ONE = Backlog.of([task(1)])

# -- which task is meant, under which id -----------------------------------------------------------


def test_a_row_without_a_uid_is_the_task_of_its_id() -> None:
    wanted = ask(ONE, {"id": "T0001", "title": "Two"})

    assert wanted == (wanted.backlog, [])
    assert wanted.backlog.tasks == {"T0001": task(title="Two", updated_at=NOW)}


def test_a_block_that_was_copied_to_begin_a_new_task_is_a_new_one() -> None:
    """Its uid names the one that has kept the id."""
    copy = {**task(1), "id": "T0002", "title": "Copy"}

    for rows in ((task(1), copy), (copy, task(1))):
        found = ask(ONE, *rows).backlog.tasks
        assert found["T0001"] is ONE.tasks["T0001"]
        assert (found["T0002"]["title"], found["T0002"]["uid"]) == ("Copy", f"{900:032x}")


def test_of_two_copies_under_other_ids_the_first_is_the_task() -> None:
    rows = [{**task(1), "id": task_id, "title": task_id} for task_id in ("T0002", "T0003")]

    found = ask(ONE, *rows)

    assert {task_id: one["title"] for task_id, one in found.backlog.tasks.items()} == {
        "T0001": "T0002",
        "T0003": "T0003",
    }
    assert found.told == ["kept their ids: T0001 (the file calls it T0002)"]


@pytest.mark.parametrize(
    ("row", "by_hand", "told"),
    [
        ({"title": "New"}, False, []),
        ({"title": "New"}, True, ["got new ids: T0900", "were put right, as only taskkeep sets them: T0900 uid, created_at, created_by"]),
        ({"title": "New", "id": "new-1"}, False, ["got new ids: T0900 (the file calls it new-1)"]),
        ({"title": "New", "id": "T0007"}, False, ["got new ids: T0900 (the file calls it T0007)"]),
    ],
)  # fmt: skip
def test_a_new_task_without_an_id_of_its_own_gets_one(row: Any, by_hand: bool, told: list[str]) -> None:
    """An id that another task has borne is never given out again, and one that the file uses is none to draw."""
    seen = past(Backlog.of([task(1), task(7)]), ONE)

    wanted = ask(ONE, task(1), row, seen=seen, by_hand=by_hand, archived=[])

    assert wanted.backlog.tasks["T0900"]["title"] == "New"
    assert wanted.told == told


def test_a_new_task_keeps_the_id_that_the_file_gives_it_where_nobody_has_borne_it() -> None:
    """Or where it is the very task that bore it; an id that the file uses itself is not drawn."""
    wanted = ask(ONE, task(1), {"id": "T0900", "title": "Mine"}, {"title": "Drawn", "parent": "T0900"})

    assert {i: one["title"] for i, one in wanted.backlog.tasks.items()} == {
        "T0001": "One",
        "T0900": "Mine",
        "T0901": "Drawn",
    }
    assert wanted.backlog.tasks["T0901"]["parent"] == "T0900"
    assert wanted.told == []


def test_links_follow_the_names_that_the_file_uses() -> None:
    wanted = ask(
        ONE, task(1), {"id": "x", "title": "X"}, {"id": "y", "title": "Y", "depends_on": ["x", "T0001"], "parent": "x"}
    )

    assert wanted.backlog.tasks["T0901"]["depends_on"] == ["T0001", "T0900"]
    assert wanted.backlog.tasks["T0901"]["parent"] == "T0900"


def test_a_deleted_task_that_the_file_still_has_is_that_task() -> None:
    """What it was is in the log; that it comes back is for the user to allow."""
    seen = past(ONE, Backlog({}))

    wanted = ask(Backlog({}), task(1), seen=seen)

    assert wanted.backlog.tasks == {"T0001": task(1)}
    assert [one.field for one in reverted(Backlog({}), wanted.backlog, seen, cuts=False)] == [None]
    assert "T0001" not in past(ONE, Backlog({}), ONE).deleted


def test_a_task_of_the_archive_that_stands_among_the_rows_comes_back() -> None:
    """The others stay where they are; with both files rewritten each says its own, the backlog first."""
    before = Backlog.of([task(1)], [task(2), task(3)])

    assert ask(before, task(1), task(2)).backlog.archived == {"T0003": task(3)}
    both = ask(
        before, task(1), task(2), archived=[task(2, title="Stale"), task(3, title="Edited"), {"title": "No uid"}]
    )
    assert both.backlog.tasks["T0002"]["title"] == "One"
    assert {one["title"] for one in both.backlog.archived.values()} == {"Edited", "No uid"}
    assert ask(before, task(1), archived=[task(2), task(3)]).backlog is before


@pytest.mark.parametrize(
    "rows", [[{"id": 5, "title": "x"}], [{"id": "T0001", "title": "x"}, {"id": "T0001", "title": "y"}]]
)
def test_an_id_is_a_text_and_stands_once(rows: Any) -> None:
    with pytest.raises(InvalidField) as refused:
        ask(ONE, *rows)

    assert refused.value.details["field"] == "id"


@pytest.mark.parametrize("row", [{"id": "T0001", "title": "x", "colour": "red"}, {"title": "x", "colour": "red"}])
def test_a_field_that_nobody_knows_is_refused(row: Any) -> None:
    with pytest.raises(UnknownField, match="colour"):
        ask(ONE, row)


@pytest.mark.parametrize(
    ("row", "shown"), [({"id": "T0007"}, "T0007"), ({"id": None}, "task 2 of the file"), ({}, "task 2 of the file")]
)
def test_a_new_task_without_a_title_is_named_as_well_as_can_be(row: Any, shown: str) -> None:
    with pytest.raises(InvalidField) as refused:
        ask(ONE, task(1), row)

    assert (refused.value.details["field"], refused.value.details["task_id"]) == ("title", shown)


# -- what only the program sets --------------------------------------------------------------------


def test_what_only_the_program_sets_is_ours_whatever_the_file_says() -> None:
    """Of a program without a word; of a person it is told."""
    row = {**task(1), "created_at": LATER, "created_by": "editor", "etag": "x", "aliases": ["T0009"]}

    assert ask(ONE, row).backlog is ONE
    by_hand = ask(ONE, row, by_hand=True)
    assert by_hand.backlog is ONE
    assert by_hand.told == ["were put right, as only taskkeep sets them: T0001 created_at, created_by, aliases"]


def test_a_person_may_give_a_new_task_what_it_brings_along() -> None:
    """A program's is set anew."""
    made = {
        "title": "New",
        "id": "T0002",
        "uid": "f" * 32,
        "created_at": MADE,
        "created_by": "editor",
        "status": "done",
        "completed_at": MADE,
    }

    by_hand = ask(ONE, task(1), made, by_hand=True, archived=[]).backlog.tasks["T0002"]
    by_program = ask(ONE, task(1), made).backlog.tasks["T0002"]

    assert (by_hand["created_at"], by_hand["created_by"], by_hand["completed_at"], by_hand["updated_at"]) == (
        MADE,
        "editor",
        MADE,
        NOW,
    )
    assert (by_program["created_at"], by_program["created_by"], by_program["completed_at"]) == (NOW, "bot", NOW)
    assert by_hand["uid"] == by_program["uid"] == "f" * 32


@pytest.mark.parametrize("uid", [None, 5, "short", "F" * 32, "g" * 32, f"{7:032x}", "f" * 37])
def test_a_uid_that_is_none_or_was_anothers_is_given_anew(uid: Any) -> None:
    seen = past(Backlog.of([task(1), task(7)]), ONE)
    row = {"id": "T0002", "title": "New", "uid": uid}
    if uid == f"{7:032x}":
        row, seen = {**row, "uid": f"{1:032x}"}, seen  # of a task that stands in the file itself

    assert ask(ONE, task(1), row, seen=seen).backlog.tasks["T0002"]["uid"] == f"{900:032x}"


def test_a_new_status_brings_its_times() -> None:
    """A person's own times stand where they are new and real."""
    done = {**task(1), "status": "done", "completed_at": LATER}

    assert ask(ONE, done).backlog.tasks["T0001"]["completed_at"] == NOW
    assert ask(ONE, done, by_hand=True).backlog.tasks["T0001"]["completed_at"] == LATER
    for wrong in ("soon", 5, None):
        assert ask(ONE, {**done, "completed_at": wrong}, by_hand=True).backlog.tasks["T0001"]["completed_at"] == NOW


def test_times_that_did_not_fit_before_are_mended_with_the_next_rewriting() -> None:
    broken = Backlog.of([task(1, status="done")])

    assert ask(broken, {**task(1), "status": "done"}).backlog.tasks["T0001"]["completed_at"] == NOW


def test_a_change_of_a_task_that_another_works_on_is_told() -> None:
    """Not where the claim is one's own, has ended, or the task is left alone."""

    def told(by: str, until: str, title: str, current: Any = None) -> list[str]:
        before = Backlog.of([task(1, claimed_by=by, claimed_until=until, status="in_progress")])
        return ask(before, {**task(1), "status": "in_progress", "title": title}, current=current).told

    assert told("editor", LATER, "Two") == [f"are claimed by others: T0001 by editor until {LATER}"]
    assert told("editor", LATER, "One") == told("bot", LATER, "Two") == told("editor", NOW, "Two") == []
    free = Backlog.of([task(1, status="in_progress")])
    assert told("editor", LATER, "Two", current=free) == []


# -- texts and notes -------------------------------------------------------------------------------


def note(words: str, at: str | None = MADE, by: str | None = "ada") -> dict[str, Any]:
    return {"at": at, "by": by, "text": words}


def test_notes_that_are_there_stay_and_new_ones_are_the_actors_of_now() -> None:
    """Whatever a program writes; a person may date them."""
    before = Backlog.of([task(1, notes=[note("old")])])
    row = {**task(1), "notes": [note("old"), note("new", LATER, "editor"), "plain"]}

    assert ask(before, row).backlog.tasks["T0001"]["notes"] == [
        note("old"),
        note("new", NOW, "bot"),
        note("plain", NOW, "bot"),
    ]
    assert ask(before, row, by_hand=True).backlog.tasks["T0001"]["notes"] == [
        note("old"), note("new", LATER, "editor"), note("plain", NOW, "bot"),
    ]  # fmt: skip
    new = {"id": "T0002", "title": "New", "notes": [note("n", LATER, "editor")]}
    assert ask(before, task(1), new).backlog.tasks["T0002"]["notes"] == [note("n", NOW, "bot")]
    assert ask(before, task(1), new, by_hand=True).backlog.tasks["T0002"]["notes"] == [note("n", LATER, "editor")]


def test_a_note_that_came_since_the_base_is_that_note() -> None:
    """Who rewrites an older state may have seen newer notes."""
    current = Backlog.of([task(1, notes=[note("since", LATER, "editor")])])

    found = ask(ONE, {**task(1), "notes": [note("since", None, None)]}, current=current)

    assert found.backlog.tasks["T0001"]["notes"] == [note("since", LATER, "editor")]


def test_a_text_that_a_program_wrapped_anew_stays_as_it_was() -> None:
    """Descriptions are told of, notes and criteria matched; a person's blanks count."""
    old = task(
        1,
        title="a b",
        description="one two\nthree",
        notes=[note("n  m")],
        acceptance_criteria=[{"text": "c  d", "done": False}],
    )
    before = Backlog.of([old])
    row = {
        **old,
        "title": "a  b",
        "description": "one\ntwo three",
        "notes": [note("n m", LATER, "x")],
        "acceptance_criteria": [{"text": "c d", "done": True}],
    }

    wanted = ask(before, row)

    assert wanted.backlog.tasks["T0001"] == canonical(
        {**old, "acceptance_criteria": [{"text": "c  d", "done": True}], "updated_at": NOW}
    )
    assert wanted.told == [
        "differ in blanks and line breaks alone and stay as they are: T0001 title; T0001 description"
    ]
    assert ask(before, row, by_hand=True).backlog.tasks["T0001"]["description"] == "one\ntwo three"


def test_of_many_the_first_ten_are_told_and_the_others_counted() -> None:
    before = Backlog.of(task(number, title="a b") for number in range(1, 13))

    [told] = ask(before, *({**one, "title": "a  b"} for one in before.tasks.values())).told

    assert told.endswith("T0010 title; and 2 more")


@pytest.mark.parametrize(
    ("was", "now", "by_hand", "spoiled"),
    [
        ("Grün", "GrÃ¼n", False, "GrÃ¼n"),
        ("Grün", "Gr?n", False, "Grün"),
        ("Grün", "Gr\ufffdn", False, "\ufffd"),
        ("plain", "Ã¼", False, "ü"),
        ("Grün", "GrÃ¼n", True, "ü"),
        ("\u201cq\u201d", "â€œqâ€\u009d", False, None),
    ],
)
def test_text_that_was_read_in_one_encoding_and_written_in_another_is_refused(
    was: str, now: str, by_hand: bool, spoiled: Any
) -> None:
    before = Backlog.of([task(1, title="t", description=was, metadata={"k": [was, 1]})])
    if now.endswith("\u009d"):
        now = "â€œq"

    with pytest.raises(Mojibake):
        ask(before, {**task(1), "title": "t", "description": now, "metadata": {"k": [was, 1]}}, by_hand=by_hand)


@pytest.mark.parametrize(
    ("was", "now", "by_hand"),
    [
        ("GrÃ¼n", "GrÃ¼n und mehr", False),  # it was there
        ("Grün", "Grün und öfter", False),
        ("a\ufffd", "b\ufffd", False),
        ("plain", "Ã¼", True),  # of a person only what was known to mean something else
        ("plain", "èèé", False),  # no bytes of UTF-8
        ("plain", "漢字", False),
        ("Why", "Why?", False),
    ],
)
def test_text_that_is_meant_as_it_stands_passes(was: str, now: str, by_hand: bool) -> None:
    before = Backlog.of([task(1, description=was)])

    assert ask(before, {**task(1), "description": now}, by_hand=by_hand).backlog.tasks["T0001"]["description"] == now


# -- what others did meanwhile ----------------------------------------------------------------------


def test_a_task_that_differs_in_its_time_alone_is_as_before() -> None:
    """In either file; new ones and edited ones stay as they are."""
    before = Backlog.of([task(1), task(2)], [task(3)])
    after = Backlog.of(
        [task(1, updated_at=NOW), task(2, title="Two", updated_at=NOW), task(4)], [task(3, updated_at=NOW)]
    )

    found = untouched(before, after)

    assert found.tasks == {"T0001": task(1), "T0002": after.tasks["T0002"], "T0004": task(4)}
    assert found.archived["T0003"] is before.archived["T0003"]


def test_who_names_a_task_made_since_the_base_had_seen_it() -> None:
    """By uid or by id; what nobody names was not seen."""
    now = Backlog.of([task(1), task(2), task(3), task(4)])

    found = upon(ONE, now, [{"uid": f"{2:032x}"}, {"id": "T0003"}, {"id": 5}, {}])

    assert list(found.tasks) == ["T0001", "T0002", "T0003"]
    assert upon(ONE, now, [{"id": "T0001"}]) is ONE
    other = Backlog.of([{**task(1), "uid": "f" * 32}])
    assert upon(ONE, other, [{"id": "T0001"}]) is ONE


# -- the file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing",
        b'"text"',
        b"{}",
        b'{"tasks": {}}',
        b"[1]",
        b'{"tasks": [[]]}',
        b'{"version": 2, "tasks": []}',
        b'{"version": true, "tasks": []}',
        b"```\n```",
    ],
)
def test_what_is_no_backlog_is_refused(data: bytes) -> None:
    with pytest.raises(InputInvalid):
        read_rows(data, "it")


def test_what_stands_beside_the_tasks_is_passed_over_aloud() -> None:
    data = b'{"$schema": "s", "version": 1, "schema_version": 1, "sprints": [], "a\\n": 1, "tasks": [{"title": "x"}]}'

    assert read_rows(data, "it") == ([{"title": "x"}], ["it: passed over a\\n, sprints"])


def test_too_many_tasks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_TASKS", 1)

    assert read_rows(b"[{}]", "it") == ([{}], [])
    with pytest.raises(InputInvalid, match="it holds more than 1 tasks"):
        read_rows(b"[{}, {}]", "it")


# -- what would be lost ------------------------------------------------------------------------------


def back(*states: Any, cuts: bool = False) -> list[str | None]:
    """The fields that go back, of a task that held these fields in order, the last being asked for."""
    backlogs = [Backlog.of([task(**state)]) for state in states]
    return [one.field for one in reverted(backlogs[-2], backlogs[-1], past(*backlogs[:-1]), cuts=cuts)]


X, XX, Y = {"text": "x", "done": False}, {"text": "x", "done": True}, {"text": "y", "done": False}


@pytest.mark.parametrize(
    ("states", "fields"),
    [
        ([{"title": "a"}, {"title": "b"}, {"title": "a"}], ["title"]),
        ([{"title": "a"}, {"title": "b"}, {"title": "c"}], []),
        ([{}, {"role": "x"}, {}], ["role"]),
        ([{"role": "x"}, {}], []),
        ([{}, {"status": "done", "completed_at": NOW}, {}], ["status"]),
        # Lists: an old entry that is there again, a new one that is gone.
        ([{"labels": ["a"]}, {}, {"labels": ["a", "b"]}], ["labels"]),
        ([{"labels": ["a"]}, {"labels": ["a", "b"]}, {"labels": ["a", "c"]}], ["labels"]),
        ([{"labels": ["a"]}, {"labels": ["b"]}], []),
        # Notes only grow.
        ([{"notes": [note("n")]}, {}], ["notes"]),
        ([{}, {"notes": [note("n")]}], []),
        # Criteria: gone, ticked back, back again; one for one is a new wording.
        ([{"acceptance_criteria": [X, Y]}, {"acceptance_criteria": [X]}], ["acceptance_criteria"]),
        ([{"acceptance_criteria": [X]}, {"acceptance_criteria": [Y]}], []),
        ([{"acceptance_criteria": [X]}, {"acceptance_criteria": [XX]}, {"acceptance_criteria": [X]}], ["acceptance_criteria"]),
        ([{"acceptance_criteria": [X]}, {"acceptance_criteria": [XX]}], []),
        ([{"acceptance_criteria": [X]}, {}, {"acceptance_criteria": [X, Y]}], ["acceptance_criteria"]),
        ([{}, {"acceptance_criteria": [X]}], []),
        # Metadata by key.
        ([{"metadata": {"k": 1, "l": 1, "m": 1}}, {"metadata": {"k": 2, "l": 1, "m": 1}}, {"metadata": {"k": 1, "l": 2, "m": 1}}], ["metadata.k"]),
        ([{}, {"metadata": {"k": 1}}, {}], ["metadata.k"]),
        ([{"metadata": {"k": 1}}, {}], []),
        # What the program sets is no matter of the file.
        ([{"updated_at": MADE}, {"updated_at": NOW}, {"updated_at": MADE}], []),
    ],
)  # fmt: skip
def test_a_step_back_is_told_from_a_new_value(states: Any, fields: list[str]) -> None:
    assert back(*states) == fields


def test_what_a_program_would_empty_is_told_too() -> None:
    """With a whole file that it wrote; a new value is none of it."""
    full = {"role": "x", "labels": ["a"], "metadata": {"k": 1, "l": 1}}

    assert back(full, {"metadata": {"l": 2}}, cuts=True) == ["labels", "role", "metadata.k"]
    assert back(full, {**full, "role": "y"}, cuts=True) == []


def test_a_choice_of_a_merge_is_a_value_that_was_held() -> None:
    [first] = past(ONE)._events[task(1)["uid"]]
    choices = [
        {"uid": task(1)["uid"], "field": "title", "to": "Merged"},
        {"uid": task(1)["uid"], "field": "id", "to": "x"},
        {"uid": "f" * 32, "field": "title", "to": "Another's"},
    ]
    merged = {**first, "uid": None, "task_id": None, "event_type": "merged", "details": {"choices": choices}}

    seen = Past([first, merged])

    assert seen.held(task(1)["uid"], "title") == ["One", "Merged"]
    assert seen.held(task(1)["uid"], "description") == [None]
    assert seen.held("nobody", "title") == []
    assert seen.bearers("T0001") == {task(1)["uid"]}
    assert seen.bearers("T0009") == set()


def test_a_task_that_would_come_back_from_the_archive_is_told() -> None:
    before, after = Backlog.of([], [task(1)]), Backlog.of([task(1)])

    assert reverted(before, after, past(before), cuts=False) == [Reverted("T0001", "archived", True, False)]
    assert reverted(before, before, past(before), cuts=True) == []
    both = Backlog.of([task(1)], [task(1)])
    assert reverted(both, after, past(both), cuts=False) == []


def test_a_task_that_is_new_is_no_step_back() -> None:
    assert reverted(ONE, Backlog.of([task(1), task(2)]), past(ONE), cuts=True) == []


def test_a_task_in_both_files_is_lost_once() -> None:
    both = Backlog.of([task(1)], [task(1)])

    assert lost(both, Backlog({})) == [task(1)]


def test_descriptions_that_shrank_to_stubs_are_told() -> None:
    """To a quarter, from two hundred characters on."""

    def told(was: int, now: int) -> list[str]:
        return stubs(*(Backlog.of([task(1, description="x" * count)]) for count in (was, now)))

    assert told(200, 49) == ["descriptions shrank to stubs: T0001 from 200 to 49 characters"]
    assert told(2000, 0) == ["descriptions shrank to stubs: T0001 from 2,000 to 0 characters"]
    assert told(199, 0) == told(200, 50) == []
    assert stubs(ONE, ONE) == stubs(ONE, Backlog.of([task(2)])) == []


def test_losses_are_refused_unless_each_task_is_named() -> None:
    """Deletions and steps back each by their own leave, in any case; what the file itself adds may be named too."""
    before = Backlog.of([task(1, title="b"), task(2)])
    seen = past(Backlog.of([task(1, title="a"), task(2)]), before)
    after = Backlog.of([task(1, title="a"), task(3)])
    none = Allowed(frozenset(), frozenset())

    with pytest.raises(TasksLost) as refused:
        refuse_losses(before, after, seen, none, cuts=False)
    assert refused.value.details["lost"] == [{"task_id": "T0002", "title": "One"}]
    told = [{"task_id": "T0001", "field": "title", "from": "b", "to": "a"}]
    assert refused.value.details["reverted"] == told
    may = allowed(before, after, ["t0002"], [])
    with pytest.raises(FieldsReverted) as reverting:
        refuse_losses(before, after, seen, may, cuts=False)
    assert reverting.value.details["reverted"] == told
    refuse_losses(before, after, seen, allowed(before, after, ["T0002"], ["t0001", "t0003"]), cuts=False)
    with pytest.raises(TaskNotFound):
        allowed(before, after, ["T0009"], [])

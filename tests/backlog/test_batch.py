"""A batch is its operations one after another, and stands or falls as a whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskkeep import __version__
from taskkeep.backlog import changes
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.batch import Batch, Draft, at_line, line_of
from taskkeep.backlog.claims import Ledger
from taskkeep.backlog.task import etag
from taskkeep.errors import ClaimHeld, DanglingLink, InputInvalid, LinkCycle, StaleEtag, TaskkeepError, TaskNeeded

NOW = "2026-11-20T12:00:00.000000Z"


def backlog_of(count: int, **fields: Any) -> Backlog:
    tasks = [
        changes.new_task(
            Backlog({}), {"title": f"task {n}", **fields}, task_id=f"T{n:04}", uid=f"{n:032}", now=NOW, actor="ada"
        )
        for n in range(count)
    ]
    return Backlog.of(tasks)


def batch_on(backlog: Backlog) -> Batch:
    numbers = iter(range(9000, 9999))
    return Batch(
        backlog,
        new_id=lambda: f"T{next(numbers)}",
        new_uid=lambda: f"{next(numbers):032x}",
        now=NOW,
        actor="ada",
        today="2026-11-20",
        why=None,
        claims=Ledger({}),
    )


def run(backlog: Backlog, *operations: Any) -> tuple[Batch, Backlog]:
    batch = batch_on(backlog)
    return batch, batch.run(list(enumerate(operations, 1)))


def test_later_lines_name_what_earlier_ones_added() -> None:
    batch, after = run(
        backlog_of(1),
        {"op": "add", "title": "a"},
        {"op": "add", "title": "b", "depends_on": ["$1", "T0000"], "parent": "$1"},
        {"op": "note", "id": "$2", "text": "$1 is no name in a text"},
        {"op": "update", "id": "t0000", "depends_on": ["$2"], "labels": ["x"]},
    )
    first, second = [row["id"] for row in batch.results[:2]]
    assert after.tasks[second]["depends_on"] == sorted(["T0000", first])
    assert after.tasks[second]["parent"] == first
    assert after.tasks[second]["notes"][0]["text"] == "$1 is no name in a text"
    assert after.tasks["T0000"]["depends_on"] == [second]
    assert batch.results == [
        {"line": 1, "op": "add", "id": first},
        {"line": 2, "op": "add", "id": second},
        {"line": 3, "op": "note", "id": second},
        {"line": 4, "op": "update", "id": "T0000"},
    ]
    assert list(after.tasks) == sorted(after.tasks)
    assert (after.tasks[first]["created_by"], after.tasks[first]["created_at"]) == ("ada", NOW)


def test_force_and_unlink_are_those_of_their_line() -> None:
    """Another's claim and a link hold a line off that does not say so."""
    held = {"claimed_by": "eve", "claimed_until": "2026-11-20T13:00:00.000000Z", "status": "in_progress"}
    before = Backlog.of({**task, **held} for task in backlog_of(2).tasks.values())
    linked = backlog_of(2)
    linked = linked.replacing({**linked.tasks["T0001"], "depends_on": ["T0000"]})
    for operation in (
        *({"op": op, "id": "T0000"} for op in ("release", "done", "start", "cancel", "block", "reopen")),
        {"op": "update", "id": "T0000", "title": "x"},
        {"op": "delete", "id": "T0000", "why": "x"},
    ):
        with pytest.raises(ClaimHeld):
            run(before, operation)
        _, after = run(before, {**operation, "force": True})
        assert after.tasks.get("T0000") != before.tasks["T0000"] or operation["op"] == "start"
    with pytest.raises(TaskNeeded):
        run(linked, {"op": "delete", "id": "T0000", "why": "x"})
    assert list(run(linked, {"op": "delete", "id": "T0000", "why": "x", "unlink": True})[1].tasks) == ["T0001"]


def test_in_update_null_takes_out_and_a_list_replaces() -> None:
    before = backlog_of(1, labels=["a", "b"], assignee="ada", role="qa")
    _, after = run(before, {"op": "update", "id": "T0000", "labels": ["c"], "assignee": None})
    task = after.tasks["T0000"]
    assert (task["labels"], task.get("assignee"), task["role"]) == (["c"], None, "qa")


@pytest.mark.parametrize("op", ["start", "done", "cancel", "block", "reopen", "close", "finish"])
def test_done_does_not_ask_for_dependencies(op: str) -> None:
    """That rule is the command's own."""
    before = backlog_of(2)
    before = changes.update_task(before, "T0001", changes.Edit(add={"depends_on": ["T0000"]}), now=NOW, actor="ada")
    batch, _ = run(before, {"op": op, "id": "T0001"})
    assert batch.results[0]["id"] == "T0001"


def test_claims_give_the_best_ready_task_and_its_number() -> None:
    before = backlog_of(60)
    operations = [{"op": "claim"}] * 59 + [{"op": "add", "title": "x", "priority": "critical"}, {"op": "claim"}]
    batch, after = run(before, *operations)
    assert batch.results[-1] == {"line": 61, "op": "claim", "id": batch.results[-2]["id"], "claim": 1}
    assert len({row["id"] for row in batch.results[:59]}) == 59
    released, _ = run(after, {"op": "release", "id": "T0000"}, {"op": "claim", "id": "T0000"})
    assert released.results[1]["id"] == "T0000"


def test_an_etag_is_that_of_the_task_before_the_batch() -> None:
    before = backlog_of(1)
    tag = etag(before.tasks["T0000"])
    lines = [{"op": "note", "id": "T0000", "text": text, "if_match": tag} for text in "ab"]
    _, after = run(before, *lines)
    assert len(after.tasks["T0000"]["notes"]) == 2
    with pytest.raises(StaleEtag) as refused:
        run(after, *lines)
    assert refused.value.details["line"] == 1


@pytest.mark.parametrize(
    ("operation", "code", "words", "hint"),
    [
        (
            [],
            "invalid_input",
            "an operation is a JSON object, not a list",
            '{"op": "add", "title": "…"}, no list around it.',
        ),
        (
            "add",
            "invalid_input",
            "an operation is a JSON object, not text",
            '{"op": "add", "title": "…"}, no list around it.',
        ),
        (
            {},
            "invalid_input",
            "the line names no operation",
            "'op' is one of: add, update, delete, note, claim, release, done, start, cancel, block, reopen.",
        ),
        (
            {"op": 3},
            "invalid_input",
            "the line has an operation that is a number",
            "'op' is one of: add, update, delete, note, claim, release, done, start, cancel, block, reopen.",
        ),
        ({"op": "ad"}, "invalid_input", "there is no operation 'ad'", "Did you mean add?"),
        ({"op": "add"}, "invalid_field", "title is missing", "Every task has a title."),
        ({"op": "add", "title": "x", "id": "T0000"}, "invalid_field", "id makes no sense for a new task", ""),
        (
            {"op": "add", "title": "x", "depends_on": ["$2"]},
            "invalid_input",
            "$2 names no line above that adds a task",
            "'$3' stands for the task that line 3 added.",
        ),
        (
            {"op": "add", "title": "x", "parent": "$x"},
            "invalid_input",
            "$x names no line above that adds a task",
            "'$3' stands for the task that line 3 added.",
        ),
        (
            {"op": "add", "title": "x", "colour": "red"},
            "unknown_field",
            "a field 'colour' that taskkeep {version} does not know",
            "A newer taskkeep is needed to write here; keys of your own belong into metadata.",
        ),
        ({"op": "done"}, "invalid_field", "id is missing", "'id' says which task."),
        ({"op": "done", "id": 5}, "invalid_field", "id must be text, not a number", ""),
        ({"op": "done", "id": ["T0000"]}, "invalid_field", "id must be text, not a list", ""),
        ({"op": "done", "id": "T0009"}, "task_not_found", "no task T0009", "Did you mean T0000?"),
        (
            {"op": "done", "id": "T0000", "status": "done"},
            "invalid_field",
            "status says nothing to 'done'",
            "It takes: claim, force, id, if_match, why.",
        ),
        (
            {"op": "done", "id": "T0000", "claim": 1},
            "stale_claim",
            "T0000 was never given claim 1",
            "Leave this task alone; take another with 'taskkeep claim'.",
        ),
        ({"op": "done", "id": "T0000", "claim": True}, "invalid_field", "claim must be a number, not true", ""),
        ({"op": "done", "id": "T0000", "force": "yes"}, "invalid_field", "force is true or false", ""),
        ({"op": "note", "id": "T0000"}, "invalid_field", "text is missing", "The note stands in 'text'."),
        (
            {"op": "note", "id": "T0000", "text": 3},
            "invalid_field",
            "T0000: notes must hold objects or texts, not a number",
            "",
        ),
        (
            {"op": "delete", "id": "T0000"},
            "usage",
            "deleting needs a reason",
            "Say it with 'why'; it stays in the log.",
        ),
        ({"op": "delete", "id": "T0000", "why": "x", "unlink": 1}, "invalid_field", "unlink is true or false", ""),
        (
            {"op": "delete", "id": "T0000", "why": "x\x00"},
            "invalid_field",
            "why holds the character U+0000, which is not allowed",
            "Control characters (but tab and newline), lone surrogates, bidi overrides, tag characters and zero width spaces are refused; take it out.",
        ),
        ({"op": "claim", "lease": 30}, "invalid_field", "lease must be text, not a number", "Write it like 30m."),
        (
            {"op": "claim", "lease": "soon"},
            "invalid_field",
            "lease is no duration",
            "Write it like 90s, 30m, 8h or 7d.",
        ),
        (
            {"op": "claim", "labels": "ci", "id": "T0000"},
            "usage",
            "filters choose among ready tasks, and one is named",
            "Leave out one of both.",
        ),
        ({"op": "claim", "labels": [1]}, "invalid_field", "labels is text or a list of texts", ""),
        ({"op": "claim", "mine": "yes"}, "invalid_field", "mine is true or false", ""),
        (
            {"op": "claim", "labels": ["nobody"]},
            "nothing_ready",
            "nothing is ready to be claimed",
            "2 ready in all: ask with fewer filters, or see 'taskkeep ready'.",
        ),
        (
            {"op": "update", "id": "T0000", "created_by": "editor"},
            "invalid_field",
            "T0000: created_by is set by taskkeep alone and differs from the task's",
            "Leave it out, or read the task again with 'taskkeep show --json'.",
        ),
        (
            {"op": "update", "id": "T0000", "title": None},
            "invalid_field",
            "T0000: title cannot be taken out",
            "Every task has one.",
        ),
    ],
)
def test_the_first_line_that_fails_is_named_with_what_is_wrong_and_what_to_do(
    operation: Any, code: str, words: str, hint: str
) -> None:
    with pytest.raises(TaskkeepError) as refused:
        run(backlog_of(1), {"op": "add", "title": "fine"}, operation, {"op": "nonsense"})
    assert (refused.value.code, refused.value.details["line"]) == (code, 2)
    assert refused.value.message == f"line 2: {words.replace('{version}', __version__)}"
    assert refused.value.hint == hint
    if code == "invalid_field":
        assert refused.value.details["field"] in words


@pytest.mark.parametrize(
    ("op", "known"),
    [
        ("delete", "claim, force, id, if_match, unlink, why"),
        ("note", "claim, id, if_match, text, why"),
        ("claim", "assignee, claim, id, if_match, labels, lease, mine, parent, priority, role, type, why"),
        ("release", "claim, force, id, if_match, why"),
        *((op, "claim, force, id, if_match, why") for op in ("start", "cancel", "block", "reopen", "close")),
    ],
)
def test_each_operation_names_what_it_takes(op: str, known: str) -> None:
    with pytest.raises(TaskkeepError) as refused:
        run(backlog_of(1), {"op": op, "id": "T0000", "colour": 1})
    assert refused.value.hint == f"It takes: {known}."


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"labels": "ci"}, "T0001"),
        ({"labels": ["ci", "ui"]}, "T0002"),
        ({"role": "qa"}, "T0003"),
        ({"priority": ["critical", "high"]}, "T0004"),
        ({"type": "bug"}, "T0005"),
        ({"assignee": "eve"}, "T0006"),
        ({"parent": "t0000"}, "T0007"),
        ({"mine": True}, "T0008"),
        ({"mine": False, "labels": []}, "T0004"),
    ],
)
def test_a_claim_may_choose_among_the_ready(filters: Any, expected: str) -> None:
    fields: list[dict[str, Any]] = [
        {}, {"labels": ["ci"]}, {"labels": ["ci", "ui"]}, {"role": "qa"}, {"priority": "high"}, {"type": "bug"},
        {"assignee": "eve"}, {"parent": "T0000"}, {"assignee": "ada"},
    ]  # fmt: skip
    backlog = Backlog.of(
        {**task, **more} for task, more in zip(backlog_of(len(fields)).tasks.values(), fields, strict=True)
    )
    batch, after = run(backlog, {"op": "claim", "lease": "1h", **filters})

    assert batch.results[0]["id"] == expected
    assert after.tasks[expected]["claimed_until"] == "2026-11-20T13:00:00.000000Z"


def test_a_misspelt_operation_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputInvalid) as refused:
        run(backlog_of(1), {"op": "updaet", "id": "T0000"})
    assert refused.value.hint == "Did you mean update?"


def test_what_comes_to_nothing_changes_nothing() -> None:
    before = backlog_of(1)
    _, after = run(before, {"op": "update", "id": "T0000", "title": "task 0"}, {"op": "reopen", "id": "T0000"})
    assert after is before


@settings(max_examples=200)
@given(st.data())
def test_a_draft_is_the_plain_way_in_place(data: st.DataObject) -> None:
    """Whatever follows whatever: changes on a draft give what they give on backlogs."""
    plain = backlog_of(5)
    draft: Backlog = Draft(plain)
    who = {"now": NOW, "actor": "ada"}
    for number in range(data.draw(st.integers(1, 8))):
        task_id = data.draw(st.sampled_from(["T0000", "T0001", "T0002", "T9000", "T9001"]))
        other = data.draw(st.sampled_from(["T0000", "T0003", "T9000"]))
        kind = data.draw(st.sampled_from(["add", "link", "note", "unlink", "delete"]))

        def step(
            backlog: Backlog, kind: str = kind, task_id: str = task_id, other: str = other, n: int = number
        ) -> Any:
            if kind == "add":
                if f"T900{n}" in backlog:
                    return backlog
                return changes.add_task(backlog, {"title": "x"}, task_id=f"T900{n}", uid=f"{n}" * 32, **who)
            if kind == "link":
                edit = changes.Edit(add={"depends_on": [other]})
                return changes.update_task(backlog, task_id, edit, **who)
            if kind == "note":
                return changes.add_note(backlog, task_id, "x", **who)
            return changes.delete_tasks(backlog, [task_id], unlink=kind == "unlink", **who)

        wanted, found = outcome(step, plain), outcome(step, draft)
        if isinstance(wanted, Backlog):
            assert isinstance(found, Draft)
            assert found.whole().tasks == wanted.tasks
            plain = wanted
        else:
            assert found == wanted


def outcome(step: Any, backlog: Backlog) -> Any:
    """What a step gives, or what it is refused with."""
    try:
        return step(backlog)
    except TaskkeepError as error:
        return type(error), error.message


def test_what_is_taken_from_a_queue_is_still_ready() -> None:
    """A task that a line named meanwhile is passed over, and when the queue is used up it is made anew."""
    before = backlog_of(3)

    batch, after = run(
        before,
        {"op": "claim"},
        {"op": "claim", "id": "T0001"},
        {"op": "claim"},
        {"op": "note", "id": "T0000", "text": "x"},
    )

    assert [row["id"] for row in batch.results] == ["T0000", "T0001", "T0002", "T0000"]
    with pytest.raises(TaskkeepError) as refused:
        run(after, {"op": "claim"})
    assert refused.value.code == "nothing_ready"
    with pytest.raises(TaskkeepError) as refused:
        run(before, {"op": "claim"}, {"op": "claim", "id": "T0001"}, {"op": "claim", "id": "T0002"}, {"op": "claim"})
    assert (refused.value.code, refused.value.details["line"]) == ("nothing_ready", 4)


def test_each_task_remembers_the_reasons_and_the_last_line_that_touched_it() -> None:
    batch, after = run(
        backlog_of(2),
        {"op": "update", "id": "T0000", "title": "a", "why": "first"},
        {"op": "note", "id": "T0001", "text": "x"},
        {"op": "update", "id": "T0000", "title": "b", "why": "second"},
        {"op": "delete", "id": "T0001", "why": "third"},
    )

    assert batch.whys == {"T0000": ["first", "second"], "T0001": ["third"]}
    assert batch.lines == {"T0000": 3, "T0001": 4}
    assert list(after.tasks) == ["T0000"]


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"op": "claim", "if_match": "x"}, "if_match and claim go with a task that is named"),
        ({"op": "claim", "claim": 1}, "if_match and claim go with a task that is named"),
        ({"op": "note", "id": "T0000", "text": "x", "if_match": 5}, "if_match must be text, not a number"),
        ({"op": "start", "id": "T0000", "if_match": "x"}, "T0000 has changed since you read it"),
        ({"op": "update", "id": "T0000", "title": "x", "etag": "x"}, "T0000 has changed since you read it"),
        ({"op": "claim", "id": "T0000", "if_match": "x"}, "T0000 has changed since you read it"),
        ({"op": "claim", "id": "T0000", "claim": 2}, "T0000 was never given claim 2"),
    ],
)
def test_conditions_are_those_of_a_named_task(operation: Any, words: str) -> None:
    with pytest.raises(TaskkeepError) as refused:
        run(backlog_of(1), operation)

    assert words in refused.value.message


def test_an_error_that_knows_its_line_keeps_it() -> None:
    """And says it once."""
    error = InputInvalid("wrong", line=7)

    assert at_line(at_line(error, 3), 2).details["line"] == 7
    assert error.message == "wrong"
    unknown = at_line(InputInvalid("wrong"), 3)
    assert (unknown.details["line"], unknown.message) == (3, "line 3: wrong")
    assert at_line(unknown, 4).message == "line 3: wrong"


def test_what_is_wrong_with_the_whole_is_blamed_on_the_last_line_that_touched_it() -> None:
    lines = {"T0001": 3, "T0002": 8}

    assert line_of(LinkCycle("depends_on", ["T0001", "T0002", "T0001"]), lines) == 8
    assert line_of(DanglingLink("T0001", "depends_on", "T0009"), lines) == 3
    assert line_of(DanglingLink("T0009", "depends_on", "T0008"), lines) is None
    assert line_of(InputInvalid("wrong"), lines) is None


def test_a_draft_knows_who_names_whom_after_every_change() -> None:
    """Asked before and after; what is put in as it is changes nothing."""
    draft = Draft(backlog_of(3))
    task = draft.tasks["T0001"]
    assert draft.naming(["T0000"]) == []

    linked = {**task, "depends_on": ["T0000"], "parent": "T0002"}
    draft.replacing(linked).replacing(linked)
    assert draft.naming(["T0000", "T0002"]) == ["T0001"]
    draft.replacing(task)
    assert draft.naming(["T0000", "T0002"]) == []
    draft.replacing(linked).without("T0001", "T0009")
    assert draft.naming(["T0000", "T0002"]) == []
    assert draft.touched == {"T0001"}


def test_an_alias_of_a_deleted_task_leads_nowhere() -> None:
    before = backlog_of(2)
    before = before.replacing({**before.tasks["T0001"], "aliases": ["T0099"]})

    assert run(before, {"op": "start", "id": "T0099"})[0].results[0]["id"] == "T0001"
    with pytest.raises(TaskkeepError, match="T0099"):
        run(
            before,
            {"op": "note", "id": "T0099", "text": "x"},
            {"op": "delete", "id": "T0001", "why": "x"},
            {"op": "start", "id": "T0099"},
        )

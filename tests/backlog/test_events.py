"""An event says what changed so that it can be read, made again, and not altered unnoticed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks import task

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import (
    Chain,
    Request,
    apply,
    apply_field,
    diff,
    event_hash,
    json_text,
    line,
    task_changes,
)

NOW, LATER = "2026-11-20T12:00:00.000000Z", "2026-11-21T12:00:00.000000Z"


def tick(text: str, done: bool = False) -> dict[str, Any]:
    return {"text": text, "done": done}


# -- what changed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "before", "after", "change"),
    [
        ("title", "One", "Two", {"from": "One", "to": "Two"}),
        ("assignee", None, "bot", {"from": None, "to": "bot"}),
        ("assignee", "bot", None, {"from": "bot", "to": None}),
        ("labels", ["a", "b"], ["b", "c"], {"added": ["c"], "removed": ["a"]}),
        ("labels", None, ["a"], {"added": ["a"], "removed": []}),
        ("labels", ["a"], None, {"added": [], "removed": ["a"]}),
        ("acceptance_criteria", None, [tick("x")], {"added": [tick("x")], "removed": []}),
        ("acceptance_criteria", [tick("x")], None, {"added": [], "removed": [tick("x")]}),
        ("acceptance_criteria", [tick("x")], [tick("x"), tick("y")], {"added": [tick("y")], "removed": []}),
        # Ticked: one removed and one of the same text added, in its place.
        (
            "acceptance_criteria",
            [tick("x"), tick("y")],
            [tick("x", True), tick("y")],
            {"added": [tick("x", True)], "removed": [tick("x")]},
        ),
        # Where the order says more it is told.
        (
            "acceptance_criteria",
            [tick("x"), tick("y")],
            [tick("y"), tick("x")],
            {"added": [], "removed": [], "to": [tick("y"), tick("x")]},
        ),
        (
            "acceptance_criteria",
            [tick("x"), tick("x")],
            [tick("x")],
            {"added": [], "removed": [tick("x")]},
        ),
        ("metadata", {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": {"from": 1, "to": 2}}),
        ("metadata", {"a": 1}, {"a": True}, {"a": {"from": 1, "to": True}}),
        ("metadata", None, {"a": 1}, {"a": {"from": None, "to": 1}}),
        ("metadata", {"a": 1}, None, {"a": {"from": 1, "to": None}}),
        ("metadata", {"a": 1}, {"a": None}, {"a": {"from": 1, "to": None, "null": ["to"]}}),
        ("metadata", {"a": None}, {"a": 1}, {"a": {"from": None, "to": 1, "null": ["from"]}}),
        ("metadata", {"a": None}, None, {"a": {"from": None, "to": None, "null": ["from"]}}),
    ],
)
def test_a_change_is_told_as_the_contract_says_and_can_be_made_again(
    field: str, before: Any, after: Any, change: Any
) -> None:
    """Plain fields and metadata keys as from and to, lists as added and removed."""
    old, new = task(**{field: before}), task(**{field: after, "updated_at": LATER})

    found = diff(old, new, LATER)

    assert found == {field: change}
    assert json_text(apply(old, found, LATER)) == json_text(new)
    assert json_text(found) == json_text({field: change})


def test_what_is_the_same_is_not_told() -> None:
    """Neither in another dict, nor where metadata stand in two of them."""
    fields = {"labels": ["a"], "metadata": {"k": [1, {"x": None}]}, "acceptance_criteria": [tick("x")]}

    assert diff(task(**fields), task(**json.loads(json.dumps(fields)))) == {}


def test_the_time_of_the_change_is_told_where_it_is_not_that_of_the_event() -> None:
    old, new = task(), task(title="Two", updated_at=LATER)

    assert "updated_at" not in diff(old, new, LATER)
    assert diff(old, new, NOW)["updated_at"] == diff(old, new)["updated_at"] == {"from": NOW, "to": LATER}
    assert apply(old, diff(old, new, NOW), NOW) == new


def test_metadata_that_another_version_left_empty_says_nothing() -> None:
    assert diff(task(), {**task(), "metadata": {}}) == {}


CRITERIA = st.lists(st.builds(tick, st.sampled_from("abc"), st.booleans()), max_size=5)
SCALARS = st.sampled_from([None, 0, 1, 1.0, True, "a", [1], {"b": None}])
METADATA = st.dictionaries(st.sampled_from("xyz"), SCALARS, max_size=3)


@given(CRITERIA, CRITERIA, METADATA, METADATA, st.sets(st.sampled_from("abc")), st.sets(st.sampled_from("abc")))
def test_a_change_made_to_the_old_gives_the_new_whatever_both_are(
    items: Any, other_items: Any, meta: Any, other_meta: Any, labels: Any, other_labels: Any
) -> None:
    """Criteria in any order and twice, metadata of any kind, lists of any entries; and nothing is changed in place."""
    old = task(acceptance_criteria=items, metadata=meta, labels=list(labels))
    new = task(acceptance_criteria=other_items, metadata=other_meta, labels=list(other_labels), updated_at=LATER)
    texts = json_text(old), json_text(new)

    changes = diff(old, new, LATER)

    assert json_text(apply(old, changes, LATER)) == json_text(new)
    assert (json_text(old), json_text(new)) == texts
    assert bool(changes) == (json_text({**old, "updated_at": LATER}) != json_text(new))


def test_a_change_is_made_as_far_as_it_fits_where_branches_met() -> None:
    """What it removes and is gone already is no fault; what it adds and is there already is there once in a set."""
    assert apply_field("labels", ["a"], {"added": ["a", "b"], "removed": ["z"]}) == ["a", "b"]
    assert apply_field("labels", None, {"added": ["b"], "removed": ["z"]}) == ["b"]
    assert apply_field("notes", None, {"added": [{"text": "n"}], "removed": [{"text": "z"}]}) == [{"text": "n"}]
    assert apply_field("metadata", {"a": 1}, {"z": {"from": 1, "to": None}}) == {"a": 1}
    assert apply_field("metadata", None, {"z": {"from": None, "to": None, "null": ["to"]}}) == {"z": None}
    two = [tick("x"), tick("y"), tick("z")]
    ticked = {"added": [tick("z", True)], "removed": [tick("gone"), tick("y"), tick("z")]}
    assert apply_field("acceptance_criteria", two, ticked) == [tick("x"), tick("z", True)]


# -- the events of a request -------------------------------------------------------------------


def test_each_task_that_differs_is_told_once_in_the_order_of_ids() -> None:
    """What was added, changed and deleted; what is the same dict, or equal in another one, is not told."""
    kept, old, gone = task(1), task(3), task(4)
    new, added = task(3, title="Two", updated_at=LATER), task(2)

    found = task_changes(Backlog.of([kept, old, gone, task(5)]), Backlog.of([added, kept, new, task(5)]), LATER)

    assert found == [
        ("task_created", added, {"task": added}),
        ("task_updated", new, {"changes": {"title": {"from": "One", "to": "Two"}}}),
        ("task_deleted", gone, {"task": gone}),
    ]


def test_another_task_under_the_same_id_is_one_deleted_and_one_created() -> None:
    """Identity is the uid."""
    old, new = task(1), {**task(1, title="Two"), "uid": "f" * 32}

    found = task_changes(Backlog.of([old]), Backlog.of([new]), LATER)

    assert found == [("task_deleted", old, {"task": old}), ("task_created", new, {"task": new})]


def test_moves_into_the_archive_and_out_of_it_are_told_without_a_change() -> None:
    """`updated_at` stays, and is not told."""
    one = task(1)
    live, away = Backlog.of([one]), Backlog.of([], [one])

    assert task_changes(live, away, LATER) == [("task_updated", one, {"changes": {}, "archived": True})]
    assert task_changes(away, live, LATER) == [("task_updated", one, {"changes": {}, "archived": False})]
    assert task_changes(away, away, LATER) == []


def test_an_edit_in_the_archive_says_where_the_task_lies() -> None:
    """Since an edit elsewhere brings it back."""
    old, new = task(1), task(1, title="Two", updated_at=LATER)
    change = {"title": {"from": "One", "to": "Two"}}

    assert task_changes(Backlog.of([], [old]), Backlog.of([], [new]), LATER) == [
        ("task_updated", new, {"changes": change, "archived": True})
    ]
    assert task_changes(Backlog.of([old]), Backlog.of([], [new]), LATER) == [
        ("task_updated", new, {"changes": change, "archived": True})
    ]


def test_a_move_that_changes_the_time_alone_says_so() -> None:
    """A move implies that the time stays, an edit that it is the event's."""
    old, touched = task(1), task(1, updated_at=LATER)
    time = {"updated_at": {"from": NOW, "to": LATER}}

    assert task_changes(Backlog.of([old]), Backlog.of([], [touched]), LATER) == [
        ("task_updated", touched, {"changes": time, "archived": True})
    ]
    assert task_changes(Backlog.of([old]), Backlog.of([touched]), LATER) == [("task_updated", touched, {"changes": {}})]
    edited = task(1, title="Two")
    assert task_changes(Backlog.of([old]), Backlog.of([edited]), LATER)[0][2]["changes"] == {
        "title": {"from": "One", "to": "Two"},
        "updated_at": {"from": NOW, "to": NOW},
    }


def test_what_is_made_or_deleted_in_the_archive_says_so() -> None:
    one, other = task(1), {**task(1), "uid": "f" * 32}
    away = Backlog.of([], [one])

    assert task_changes(Backlog({}), away, NOW) == [("task_created", one, {"task": one, "archived": True})]
    assert task_changes(away, Backlog({}), NOW) == [("task_deleted", one, {"task": one, "archived": True})]
    assert task_changes(away, Backlog.of([other]), NOW) == [
        ("task_deleted", one, {"task": one, "archived": True}),
        ("task_created", other, {"task": other}),
    ]


def request(**fields: Any) -> Request:
    given: dict[str, Any] = {"why": None, "key": None, "digest": None, **fields}
    return Request(txn="txn", actor="ada", now=NOW, source="cli", **given)


def chain(asked: Request, **more: Any) -> Chain:
    ids = iter("abc")
    return Chain(asked, before="b", after="a", heads=["h1", "h2"], new_id=lambda: next(ids), **more)


def test_an_event_has_the_fields_of_the_contract_in_their_order() -> None:
    made = chain(request(why="because")).add("task_updated", "T0001", "uid", {"changes": {}})

    assert list(made.items())[:-1] == [
        ("v", 1),
        ("event_id", "a"),
        ("timestamp", NOW),
        ("event_type", "task_updated"),
        ("task_id", "T0001"),
        ("uid", "uid"),
        ("actor", "ada"),
        ("source", "cli"),
        ("why", "because"),
        ("txn", "txn"),
        ("details", {"changes": {}}),
        ("before", "b"),
        ("after", "a"),
        ("prev", ["h1", "h2"]),
    ]
    assert list(made)[-1] == "hash"


def test_the_events_of_a_request_follow_one_another_and_the_first_names_the_heads() -> None:
    """The first alone bears what speaks of the whole; a reason of an event's own goes before that of the request."""
    made = chain(request(why="because"), first={"line": 1})
    events = [made.add("task_updated", "T0001", "uid", {"changes": {}}, why=why) for why in ("", "its own", "")]

    assert [event["prev"] for event in events] == [["h1", "h2"], [events[0]["hash"]], [events[1]["hash"]]]
    assert [event["details"] for event in events] == [{"changes": {}, "line": 1}, {"changes": {}}, {"changes": {}}]
    assert [event["why"] for event in events] == ["because", "its own", "because"]
    assert [event["event_id"] for event in events] == ["a", "b", "c"]
    assert made.events == events
    assert chain(request()).add("merged", None, None, {})["why"] is None


def test_a_key_stands_with_what_it_was_given_for() -> None:
    event = chain(request(key="k", digest="d")).add("task_updated", "T0001", "uid", {})

    assert (event["key"], event["request"]) == ("k", "d")
    assert not {"key", "request"} & chain(request(digest="d")).add("task_updated", "T0001", "uid", {}).keys()


@pytest.mark.parametrize(
    ("archive", "told"),
    [
        ((None, None), None),
        (("x", "y"), {"before": "x", "after": "y"}),
        ((None, "y"), {"before": None, "after": "y"}),
        (("x", None), {"before": "x", "after": None}),
    ],
)
def test_the_archive_is_told_of_where_there_is_one(archive: Any, told: Any) -> None:
    assert chain(request(), archive=archive).add("task_updated", "T0001", "uid", {}).get("archive") == told


def test_an_event_is_one_line_as_it_is_and_its_hash_that_of_its_sorted_json() -> None:
    """Nothing is escaped but what JSON demands; the hash covers every field but itself."""
    event = chain(request(why="ö\n")).add("task_updated", "T0001", "uid", {"b": 1, "a": [None, True]})
    rest = {name: value for name, value in event.items() if name != "hash"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    assert event["hash"] == event_hash(rest) == hashlib.sha256(text.encode()).hexdigest()
    assert line(event) == (json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
    assert line(event).count(b"\n") == 1
    for name in rest:
        assert event_hash({**event, name: "altered"}) != event["hash"]


def test_json_text_is_the_same_for_what_is_equal_as_json() -> None:
    assert json_text({"b": "ö", "a": 1}) == '{"a":1,"b":"ö"}'
    assert len({json_text(value) for value in (1, 1.0, True)}) == 3

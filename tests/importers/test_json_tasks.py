"""What a JSON file of any tool becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from importing import import_into, imported, one

from taskkeep.errors import InputInvalid, TaskkeepError, Usage
from taskkeep.importers import read


def file_of(*tasks: Any, **envelope: Any) -> bytes:
    return json.dumps({**envelope, "tasks": tasks}).encode()


def test_fields_of_ours_are_taken_as_such() -> None:
    task = one(
        "json",
        file_of(
            {
                "id": "T0007",
                "title": "Ours",
                "description": "Text",
                "status": "review",
                "priority": "high",
                "type": "bug",
                "labels": ["ci"],
                "assignee": "ada",
                "role": "backend",
                "due": "2027-01-31",
                "external_refs": ["github:17"],
                "acceptance_criteria": [{"text": "works", "done": True}],
                "notes": [{"at": "2026-01-01T00:00:00.000000Z", "by": "lead", "text": "n"}],
                "created_at": "2026-01-01T00:00:00.000000Z",
                "created_by": "lead",
                "updated_at": "2026-01-02T00:00:00.000000Z",
                "metadata": {"points": 3},
            }
        ),
    )

    assert task["status"], task["priority"] == ("review", "high")
    assert task["role"] == "backend"
    assert task["due"] == "2027-01-31"
    assert task["external_refs"] == ["github:17", "json:T0007"]
    assert task["acceptance_criteria"] == [{"text": "works", "done": True}]
    assert task["notes"] == [{"at": "2026-01-01T00:00:00.000000Z", "by": "lead", "text": "n"}]
    assert task["created_by"] == "lead"
    assert task["updated_at"] == "2026-01-02T00:00:00.000000Z"
    assert task["metadata"] == {"points": 3}


def test_common_names_of_fields_find_their_place() -> None:
    task = one(
        "json",
        file_of(
            {
                "id": "a",
                "name": "Theirs",
                "body": "Text",
                "state": "In Progress",
                "tags": "ci, slow",
                "assignedTo": {"login": "lead"},
                "deadline": "2027-01-31",
                "completedAt": None,
                "createdAt": 1776672000000,
            }
        ),
    )

    assert task["title"] == "Theirs"
    assert task["description"] == "Text"
    assert task["status"] == "in_progress"
    assert task["labels"] == ["ci", "slow"]
    assert task["assignee"] == "lead"
    assert task["due"] == "2027-01-31"
    assert task["created_at"] == "2026-04-20T08:00:00.000000Z"
    assert "metadata" not in task


def test_a_field_of_ours_wins_over_another_name_for_it() -> None:
    """The other is not lost: text goes below the description, the rest into the metadata."""
    task = one("json", file_of({"id": 1, "name": "b", "title": "a", "details": "d", "description": "c"}))

    assert task["title"] == "a"
    assert task["description"] == "c\n\n## Details\n\nd"
    assert task["metadata"] == {"name": "b"}


def test_unknown_fields_are_kept_in_the_metadata_whatever_they_hold() -> None:
    extra = {"effort": 5, "flags": {"b": [1, None], "a": True}, "metadata": {"effort": 8}}
    backlog, report = import_into(None, "json", file_of({"id": 1, "title": "a", **extra}))

    assert next(iter(backlog.tasks.values()))["metadata"] == {
        "effort": 8,
        "flags": {"a": True, "b": [1, None]},
        "json_effort": 5,
    }
    assert report.metadata == {"effort": 1, "flags": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("notes", [{"text": "n", "mood": "kept"}]),
        ("comments", [{"text": "n", "date": "kept"}, "m"]),
        ("comments", [{"text": "n", "author": {"shown_as": "kept"}}]),
        ("acceptance_criteria", [{"text": "c", "done": True, "evidence": "kept"}]),
        ("acceptance_criteria", [{"text": "c", "done": "kept"}, "d"]),
        ("subtasks", {"total": 3, "open": "kept"}),
        ("subtasks", [["kept"], {"title": "below"}]),
        ("depends_on", [{"id": 1, "why": "kept"}]),
        ("isDone", "kept"),
    ],
)
def test_what_an_entry_says_beyond_our_fields_is_kept_whole(field: str, value: Any) -> None:
    backlog, report = import_into(None, "json", file_of({"id": 1, "title": "a"}, {"id": 2, "title": "b", field: value}))
    task = next(task for task in backlog.tasks.values() if task["title"] == "b")

    assert task["metadata"][field] == ([value[0]] if field == "subtasks" and isinstance(value, list) else value)
    assert report.metadata == {field: 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("comments", [{"id": 7, "issue_id": "a", "author": "ada", "created_at": "2026-01-01", "text": "n"}]),
        ("acceptance_criteria", [{"id": 7, "text": "c", "done": True, "evidence": ""}, {"text": "d"}]),
        ("depends_on", [{"id": 1}]),
        ("subtasks", {"s1": {"title": "below"}}),
    ],
)
def test_an_entry_that_says_no_more_is_not_kept_twice(field: str, value: Any) -> None:
    backlog, _ = import_into(None, "json", file_of({"id": 1, "title": "a"}, {"id": 2, "title": "b", field: value}))

    assert not any("metadata" in task for task in backlog.tasks.values())


def test_subtasks_under_their_ids_keep_them() -> None:
    task = {"id": 1, "title": "one", "subtasks": {"s1": {"title": "below"}}}

    assert imported("json", file_of(task)).tasks["T000002"]["external_refs"] == ["json:s1"]


def test_links_name_the_files_own_ids_in_any_of_the_usual_ways() -> None:
    backlog = imported(
        "json",
        file_of(
            {"id": "a", "title": "a", "dependsOn": "b"},
            {"id": "b", "title": "b", "blockedBy": ["c", 7]},
            {"id": "c", "title": "c", "depends_on": None, "parent": "a"},
            {"id": 7, "title": "d", "dependencies": [{"id": "c"}]},
        ),
    )
    a, b, c, d = backlog.tasks.values()

    assert a["depends_on"] == [b["id"]]
    assert b["depends_on"] == [c["id"], d["id"]]
    assert c["parent"] == a["id"]
    assert d["depends_on"] == [c["id"]]


def test_a_link_that_leads_nowhere_is_reported_and_kept() -> None:
    backlog, report = import_into(None, "json", file_of({"id": "a", "title": "a", "dependsOn": ["zz"]}))
    task = next(iter(backlog.tasks.values()))

    assert "depends_on" not in task
    assert task["metadata"] == {"missing_depends_on": ["zz"]}
    assert report.links_missing == [{"place": "tasks[1] (a)", "field": "depends_on", "target": "zz"}]
    assert any("zz" in line for line in report.warnings())


def test_links_in_a_circle_are_refused_by_the_names_of_the_file() -> None:
    with pytest.raises(InputInvalid, match="a -> c -> b -> a"):
        read(
            "json",
            file_of(
                {"id": "a", "title": "a", "dependsOn": "c"},
                {"id": "b", "title": "b", "dependsOn": "a"},
                {"id": "c", "title": "c", "dependsOn": "b"},
            ),
        )


def test_a_very_long_chain_is_no_circle() -> None:
    tasks = [{"id": str(n), "title": "t", "dependsOn": str(n + 1)} for n in range(5_000)]

    assert len(imported("json", file_of(*tasks)).tasks) == 5_000


def test_subtasks_become_tasks_below_their_task() -> None:
    """Their numbers count within the task, and links among them look there first."""
    backlog = imported(
        "json",
        file_of(
            {
                "id": 1,
                "title": "one",
                "subtasks": [{"id": 1, "title": "first"}, {"id": 2, "title": "second", "dependencies": [1]}],
            },
            {"id": 2, "title": "two", "dependencies": ["1.2", 1]},
        ),
    )
    one_, first, second, two = backlog.tasks.values()

    assert (first["parent"], second["parent"]) == (one_["id"], one_["id"])
    assert second["depends_on"] == [first["id"]]
    assert two["depends_on"] == sorted([one_["id"], second["id"]])
    assert second["external_refs"] == ["json:1.2"]


def test_subtasks_that_are_mere_text_become_criteria() -> None:
    task = one("json", file_of({"id": 1, "title": "one", "subtasks": ["[x] open it", "close it"]}))

    assert task["acceptance_criteria"] == [
        {"text": "open it", "done": True},
        {"text": "close it", "done": False},
    ]


def test_a_list_without_ids_is_known_again_by_its_content() -> None:
    data = json.dumps([{"title": "a"}, {"title": "b"}, {"title": "a"}]).encode()
    backlog, report = import_into(None, "json", data)

    assert [task["title"] for task in backlog.tasks.values()] == ["a", "b"]
    assert report.skipped == [{"place": "tasks[3]", "reason": "the same as tasks[1]"}]
    assert import_into(backlog, "json", data)[0] is backlog


def test_two_tasks_of_one_id_are_both_taken_and_named() -> None:
    backlog, report = import_into(None, "json", file_of({"id": 1, "title": "a"}, {"id": 1, "title": "b"}))

    assert [task["external_refs"] for task in backlog.tasks.values()] == [["json:1"], ["json:1#2"]]
    assert report.warnings() == ["tasks[2] has the id of tasks[1], 1; both were taken"]


def test_an_object_whose_keys_are_the_ids_is_a_list() -> None:
    data = json.dumps({"tasks": {"a": {"title": "x"}, "b": {"title": "y", "dependsOn": "a"}}}).encode()
    a, b = imported("json", data).tasks.values()

    assert b["depends_on"] == [a["id"]]


def test_export_of_taskwarrior() -> None:
    """Its numbers are given out again, so its tasks are known by their uuid."""
    tasks = [
        {
            "id": 0,
            "uuid": "a0f278d4-a62c-4621-a1f9-27e2fd5466b2",
            "description": "first",
            "entry": "20180914T103257Z",
            "end": "20180915T103257Z",
            "status": "completed",
            "urgency": 2.6137,
        },
        {
            "id": 1,
            "uuid": "b0f278d4-a62c-4621-a1f9-27e2fd5466b2",
            "description": "second",
            "priority": "H",
            "status": "pending",
            "annotations": [{"entry": "20181002T143604Z", "description": "look"}],
            "depends": ["a0f278d4-a62c-4621-a1f9-27e2fd5466b2"],
        },
    ]
    first, second = imported("json", json.dumps(tasks).encode()).tasks.values()

    assert first["title"] == "first"
    assert "description" not in first
    assert first["status"] == "done"
    assert first["created_at"] == "2018-09-14T10:32:57.000000Z"
    assert first["completed_at"] == "2018-09-15T10:32:57.000000Z"
    assert first["external_refs"] == ["json:a0f278d4-a62c-4621-a1f9-27e2fd5466b2"]
    assert second["priority"] == "high"
    assert second["notes"][0]["at"] == "2018-10-02T14:36:04.000000Z"
    assert second["depends_on"] == [first["id"]]


def test_lists_by_tag_are_all_taken_and_their_ids_kept_apart() -> None:
    data = {
        "master": {"tasks": [{"id": 1, "title": "a"}, {"id": 2, "title": "b", "dependencies": [1]}]},
        "later": {"tasks": [{"id": 1, "title": "c"}, {"id": 3, "title": "d", "dependencies": [1]}]},
    }
    a, b, c, d = imported("json", json.dumps(data).encode()).tasks.values()

    assert b["depends_on"] == [a["id"]]
    assert d["depends_on"] == [c["id"]]


def test_a_list_that_is_not_taken_is_named() -> None:
    data = json.dumps({"people": [{"id": 1, "name": "lead"}], "tasks": [{"id": 1, "title": "a"}]}).encode()
    backlog, report = import_into(None, "json", data)

    assert len(backlog.tasks) == 1
    assert report.skipped[0]["place"] == "people"


@pytest.mark.parametrize("data", [b"{}", b"[]", b"7", b'"text"', b'{"tasks": [1, 2]}', b'{"people": ["a"]}', b"null"])
def test_a_file_without_tasks_is_refused(data: bytes) -> None:
    with pytest.raises(InputInvalid, match="holds no list of tasks"):
        read("json", data, name="x.json")


def test_a_file_whose_list_of_tasks_is_empty_imports_nothing() -> None:
    assert imported("json", b'{"tasks": []}').tasks == {}


def test_lists_of_which_each_may_be_meant_are_refused() -> None:
    with pytest.raises(InputInvalid, match="several lists"):
        read("json", b'{"one": [{"title": "a"}], "two": [{"title": "b"}]}')


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"\x00\x01\x02", "is not JSON"),
        (b'{"tasks": [', "is not JSON"),
        (b'{"tasks": [{"title": "a", "title": "b"}]}', "twice"),
        (b'{"tasks": [{"title": "a", "x": Infinity}]}', "Infinity"),
        (b'{"tasks": [{"title": "a", "x": ' + b"9" * 5_000 + b"}]}", "digits"),
        (b"[" * 100_000, "nested"),
        (b'{"tasks": [{"title": "a", "x": ' + b"[" * 80 + b"]" * 80 + b"}]}", "nested"),
        (b'{"tasks": [{"title": "\xff"}]}', "UTF-8"),
    ],
)
def test_what_is_no_sound_json_is_refused_in_one_line(data: bytes, problem: str) -> None:
    with pytest.raises(InputInvalid) as caught:
        read("json", data, name="tasks.json")

    assert caught.value.exit_status == 4
    assert problem in caught.value.message
    assert "\n" not in caught.value.message


# -- text that ours may not hold -----------------------------------------------------------


def test_a_title_that_is_too_long_is_cut_and_begins_the_description() -> None:
    title = "word " * 150
    backlog, report = import_into(None, "json", file_of({"id": 1, "title": title, "description": "More"}))
    task = next(iter(backlog.tasks.values()))

    assert len(task["title"]) <= 500
    assert task["title"].endswith("…")
    assert task["description"] == f"{title.strip()}\n\nMore"
    assert report.texts[0]["problem"].startswith("was cut")


def test_characters_that_are_not_allowed_are_taken_out_and_named() -> None:
    tasks = {
        "id": 1,
        "title": "a\x1b[31mb\n c\u202e",
        "description": "x\x00y\r\nz",
        "extra": {"k\u200b": "\ud800v"},
    }
    backlog, report = import_into(None, "json", file_of(tasks))
    task = next(iter(backlog.tasks.values()))

    assert task["title"] == "a[31mb c"
    assert task["description"] == "xy\nz"
    assert task["metadata"] == {"extra": {"k": "v"}}
    assert {(item["field"], item["problem"][-8:]) for item in report.texts} == {
        ("title", ", U+202E)"[-8:]),
        ("description", "(U+0000)"),
        ("extra", "(U+200B)"),
        ("extra", "(U+D800)"),
    }


def test_a_text_beyond_the_limit_is_refused_by_its_place() -> None:
    with pytest.raises(InputInvalid, match=r"tasks\[1\]: description is longer than 1 MiB"):
        read("json", file_of({"id": 1, "title": "a", "description": "x" * (1 << 20) + "x"}))


def test_a_task_without_a_title_is_called_by_what_it_has() -> None:
    data = file_of(
        {"id": "k-1", "status": "open", "description": "First line\nand more"},
        {"id": "k-2", "status": "open", "content": " "},
    )
    first, second = imported("json", data).tasks.values()

    assert (first["title"], first["description"]) == ("First line", "and more")
    assert second["title"] == "k-2"


# -- tables, and what the user says against them -------------------------------------------


def test_an_unknown_status_is_todo_kept_and_reported() -> None:
    backlog, report = import_into(None, "json", file_of({"id": 1, "title": "a", "status": "Zombie"}))
    task = next(iter(backlog.tasks.values()))

    assert task["status"] == "todo"
    assert task["metadata"] == {"status": "Zombie"}
    assert report.values["status"] == {"Zombie": {"to": "todo", "count": 1, "known": False}}
    assert "Zombie" in report.warnings()[0]


def test_a_map_says_what_their_words_mean() -> None:
    """Whether it is a status, a priority, a type or a field follows from our word."""
    data = file_of({"id": 1, "title": "a", "status": "Zombie", "priority": 9, "type": "Saga", "effort": "Big one"})
    mapping = {"zombie": "blocked", "9": "critical", "saga": "epic", "effort": "role"}
    backlog, report = import_into(None, "json", data, mapping=mapping)
    task = next(iter(backlog.tasks.values()))

    assert (task["status"], task["priority"], task["type"]) == ("blocked", "critical", "epic")
    assert task["role"] == "Big one"
    assert "metadata" not in task
    assert report.warnings() == []


def test_a_map_may_give_the_references_another_beginning() -> None:
    """Two files that give the same ids to different tasks are kept apart by it."""
    data = file_of({"id": 1, "title": "a"})
    backlog, _ = import_into(None, "json", data)
    both, _ = import_into(backlog, "json", file_of({"id": 1, "title": "b"}), mapping={"json:": "team-b:"})

    assert sorted(task["external_refs"][0] for task in both.tasks.values()) == ["json:1", "team-b:1"]


def test_a_map_to_nothing_known_is_refused() -> None:
    with pytest.raises(Usage) as caught:
        read("json", b"[]", {"zombie": "blokced"})

    assert caught.value.exit_status == 2
    assert "blocked" in caught.value.hint


def test_an_unknown_format_names_those_that_are_there() -> None:
    with pytest.raises(Usage) as caught:
        read("bead", b"")

    assert "beads" in caught.value.hint


def test_a_flag_finishes_a_task() -> None:
    data = file_of(
        {"id": 1, "title": "a", "completed": True, "updated_at": "2026-01-01T00:00:00Z"},
        {"id": 2, "title": "b", "done": False},
        {"id": 3, "title": "c", "done": True, "state": "review"},
    )
    a, b, c = imported("json", data).tasks.values()

    assert (a["status"], a["completed_at"]) == ("done", "2026-01-01T00:00:00.000000Z")
    assert b["status"] == "todo"
    assert (c["status"], c["metadata"]) == ("review", {"done": True})


def test_every_refusal_is_one_of_ours() -> None:
    with pytest.raises(TaskkeepError):
        read(
            "json",
            file_of(
                {
                    "id": 1,
                    "title": "a",
                    "subtasks": [json.loads('{"title": "x", "subtasks": [' * 40 + "]}" * 40)],
                }
            ),
        )

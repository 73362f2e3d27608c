"""What the commands take and print, in a pipe and for programs."""

from __future__ import annotations

import json

import pytest

from .conftest import Cli

SAVED = ["schema_version", "changed", "tasks", "events", "commit", "pending", "warnings"]


def test_init_notes_that_it_set_up_the_merge_driver(empty: Cli) -> None:
    """It is nothing to be warned of."""
    empty.git("init", "-q", ".")
    empty.git("config", "user.name", "Ada")
    empty.git("config", "user.email", "ada@example.invalid")

    assert empty("init").err.startswith("note: set up git's merge driver in the section 'merge.taskkeep'")


def test_add_prints_the_new_id_alone(cli: Cli) -> None:
    result = cli("add", "A title")
    assert result.status == 0
    assert result.out.strip() in cli.bytes.decode()
    assert result.out.count("\n") == 1


def test_the_answer_of_a_writer_has_exactly_these_keys(cli: Cli) -> None:
    added = cli("add", "A title", "--json")
    assert list(added.json) == [*SAVED, "task"]
    assert added.json["schema_version"] == 1
    assert added.json["tasks"] == [added.json["task"]]
    assert added.err == ""
    task = added.json["task"]
    assert list(cli("done", task["id"], "--json").json) == SAVED
    assert list(cli("done", task["id"], "--json", "--dry-run").json) == [*SAVED, "dry_run"]


def test_a_task_has_its_etag_in_answers_of_writers_and_in_show(cli: Cli) -> None:
    task = cli("add", "A title", "--json").json["task"]
    assert cli.task(task["id"]) == task
    assert "etag" not in cli("list", "--json").json["tasks"][0]


def test_all_fields_have_an_option(cli: Cli) -> None:
    first = cli.add("first")
    second = cli.add(
        "second", "-d", "text", "--status", "review", "-p", "high", "-t", "bug", "-l", "ci,docs", "-l", "x",
        "--depends-on", first, "--parent", first, "-a", "ada", "--role", "backend", "--due", "2027-01-31",
        "--accept", "one", "--accept", "two", "--ref", "github:17", "--set", "n=1", "--set", "s=text",
    )  # fmt: skip
    task = cli.task(second)
    expected = {
        "description": "text", "status": "review", "priority": "high", "type": "bug",
        "labels": ["ci", "docs", "x"], "depends_on": [first], "parent": first, "assignee": "ada",
        "role": "backend", "due": "2027-01-31", "external_refs": ["github:17"],
        "acceptance_criteria": [{"text": "one", "done": False}, {"text": "two", "done": False}],
        "metadata": {"n": 1, "s": "text"},
    }  # fmt: skip
    assert {name: task[name] for name in expected} == expected


def test_a_title_is_taken_literally(cli: Cli) -> None:
    for title in ("@file", "@@", "a,b", "`ls` $HOME"):
        assert cli.task(cli.add(title))["title"] == title
    assert cli.task(cli.add("--", "--json"))["title"] == "--json"


def test_add_reads_an_object(cli: Cli) -> None:
    result = cli("add", "-", stdin=b'{"title": "x", "labels": ["b", "a"], "metadata": {"k": [1]}}')
    task = cli.task(result.out.strip())
    assert (task["title"], task["labels"], task["metadata"]) == ("x", ["a", "b"], {"k": [1]})
    assert cli("add", "-", "-l", "ci", stdin=b'{"title": "x"}').status == 2


def test_update_adds_to_lists_and_takes_out(cli: Cli) -> None:
    name = cli.add("x", "-l", "a,b", "--ref", "r:1", "--accept", "one", "--accept", "two")
    result = cli(
        "update", name, "--add-label", "c", "--remove-label", "a", "--remove-ref", "r:1", "--check", "2",
        "--title", "y", "--due", "2027-01-31", "--set", "k=1",
    )  # fmt: skip
    assert result.status == 0, result.err
    task = cli.task(name)
    assert (task["title"], task["labels"], task["due"]) == ("y", ["b", "c"], "2027-01-31")
    assert [item["done"] for item in task["acceptance_criteria"]] == [False, True]
    assert cli("update", name, "--uncheck", "2", "--unset", "due,metadata.k").status == 0
    task = cli.task(name)
    assert "due" not in task
    assert "metadata" not in task
    assert [item["done"] for item in task["acceptance_criteria"]] == [False, False]


def test_update_reads_a_task_as_show_prints_it(cli: Cli) -> None:
    """Its etag counts as --if-match: the second time the task is another."""
    task = cli.task(cli.add("x", "-l", "a"))
    value = json.dumps({**task, "title": "y", "labels": None}).encode()
    assert cli("update", "-", stdin=value).status == 0
    assert cli.task(task["id"])["title"] == "y"
    assert "labels" not in cli.task(task["id"])
    assert cli("update", "-", "--json", stdin=value).error["code"] == "stale_etag"


@pytest.mark.parametrize(
    ("command", "status"),
    [("start", "in_progress"), ("done", "done"), ("cancel", "cancelled"), ("block", "blocked"),
     ("close", "done"), ("finish", "done"), ("complete", "done")],
)  # fmt: skip
def test_commands_set_the_status_of_several_tasks(cli: Cli, command: str, status: str) -> None:
    first, second, third = cli.add("a"), cli.add("b"), cli.add("c")
    result = cli(command, f"{first},{second.lower()}", "--id", third, "-m", "because", "--json")
    assert [task["status"] for task in result.json["tasks"]] == [status] * 3
    assert cli("reopen", first).status == 0
    assert cli.task(first)["status"] == "todo"


def test_hidden_spellings_of_commands_and_options(cli: Cli) -> None:
    first = cli("new", "a").out.strip()
    second = cli("create", "b", "--body", "text", "--state", "review", "--labels", "x", "--blocked-by", first)
    name = second.out.strip()
    assert cli("view", name).out == cli("get", name).out == cli("show", name).out
    assert cli("ls").out == cli("list").out
    assert cli.task(name)["depends_on"] == [first]
    assert cli.task(name)["status"] == "review"
    assert cli("rm", name, "--reason", "a duplicate").status == 0
    for word in ("--body", "--state", "--blocked-by", "--reason", "--id "):
        assert word not in cli("update", "--help").out


def test_a_change_that_changes_nothing_says_so(cli: Cli) -> None:
    name = cli.add("x", "-p", "high")
    before = cli.bytes
    result = cli("update", name, "-p", "high")
    assert (result.status, result.err) == (0, "nothing to change\n")
    assert cli("update", name, "-p", "high", "--json").json["changed"] is False
    assert cli.bytes == before


def test_a_dry_run_writes_nothing(cli: Cli) -> None:
    before = cli.bytes
    answer = cli("add", "x", "--dry-run", "--json").json
    assert (answer["changed"], answer["commit"], answer["events"]) == (True, None, [])
    assert cli.bytes == before


def test_note_takes_the_text_from_the_line_or_stdin(cli: Cli) -> None:
    name = cli.add("x")
    assert cli("note", name, "one").status == 0
    assert cli("note", "--id", name, "two").status == 0
    assert cli("note", name, "-", stdin=b"drei\n").status == 0
    assert [note["text"] for note in cli.task(name)["notes"]] == ["one", "two", "drei"]


def test_a_list_is_lines_of_cells_in_a_pipe(cli: Cli) -> None:
    """Never cut, whatever the width; what is left out is counted on stderr."""
    title = "long " * 60 + "end"
    first = cli.add(title, "-p", "high")
    cli.add("b"), cli.add("c")
    result = cli("list", "--limit", "1")
    assert result.out == f"{first}\ttodo\thigh\t{title}\n"
    assert result.err == "… 2 more: --offset 1, or --limit 0 for all\n"
    assert cli("list", "--limit", "1", "-q").err == ""


def test_a_list_for_programs(cli: Cli) -> None:
    names = [cli.add(title) for title in "abc"]
    answer = cli("list", "--json", "--limit", "2").json
    assert list(answer) == ["schema_version", "tasks", "total", "next"]
    assert (len(answer["tasks"]), answer["total"], answer["next"]) == (2, 3, 2)
    rest = cli("list", "--json", "--limit", "2", "--offset", "2").json
    assert rest["next"] is None
    assert {task["id"] for task in answer["tasks"] + rest["tasks"]} == set(names)


def test_formats_of_lists(cli: Cli) -> None:
    name = cli.add("x", "-l", "a,b")
    assert cli("list", "--format", "ids").out == f"{name}\n"
    assert json.loads(cli("list", "--format", "jsonl").out)["id"] == name
    assert cli("list", "--format", "tsv", "--fields", "id,labels").out == f"id\tlabels\n{name}\ta,b\n"
    assert cli("list", "--format", "json", "--fields", "id,due").json["tasks"] == [{"id": name}]
    assert cli("list", "--format", "table").out == cli("list").out


def test_filters_repeat_and_take_lists(cli: Cli) -> None:
    first = cli.add("a", "--status", "review")
    second = cli.add("b", "--status", "done")
    cli.add("c")
    found = {first, second}
    for args in (["--status", "review,done"], ["--status", "review", "--status", "done"]):
        assert set(cli("list", *args, "--format", "ids").out.split()) == found


def test_ready_says_why(cli: Cli) -> None:
    first = cli.add("a")
    cli.add("b", "--depends-on", first)
    answer = cli("ready", "--json").json
    assert list(answer)[:4] == ["schema_version", "tasks", "total", "next"]
    assert "unblocks 1" in answer["why"][first]
    assert "unblocks 1" in cli("ready").out


def test_search_finds_words(cli: Cli) -> None:
    name = cli.add("The merge driver", "-d", "falls back")
    cli.add("other")
    assert cli("search", "BACK driver", "--format", "ids").out == f"{name}\n"


def test_show_has_one_task_or_several(cli: Cli) -> None:
    first, second = cli.add("a"), cli.add("b")
    assert cli("show", first, "--json").json["task"]["id"] == first
    assert [task["id"] for task in cli("show", first, second, "--json").json["tasks"]] == [first, second]
    for same in ([first, first], [f"{first},{first}"], [first, first.lower()]):
        assert {task["id"] for task in cli("show", *same, "--json").json["tasks"]} == {first}
    assert cli("show", f"{first},", "--json").json["task"]["id"] == first
    assert f"id: {first}\ntitle: a\n" in cli("show", first).out


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("add", "[OPTIONS] TITLE"),
        ("done", "[OPTIONS] ID..."),
        ("note", "[OPTIONS] ID TEXT"),
        ("claim", "[OPTIONS] [ID]"),
        ("restore", "[OPTIONS] [ID...]"),
        ("diff", "[OPTIONS] [FROM] [TO]"),
    ],
)
def test_usage_puts_into_brackets_what_may_be_left_out(empty: Cli, name: str, usage: str) -> None:
    assert empty(name, "--help").out.startswith(f"Usage: taskkeep {name} {usage}\n")


def test_help_as_a_word_is_the_option(empty: Cli) -> None:
    assert empty("help").out == empty("--help").out
    assert empty("help", "add").out == empty("add", "--help").out
    assert empty("help", "nosuch").status == 2


def test_help_is_grouped_and_has_an_example(empty: Cli) -> None:
    assert empty().status == 0
    assert empty().out == empty("--help").out == empty("-h").out
    for word in ("Tasks:", "Looking:", "--no-color"):
        assert word in empty().out
    text = empty("add", "-h").out
    assert "Saving:" in text
    assert "Examples:\n  taskkeep add " in text


def test_the_version_is_one_line(empty: Cli) -> None:
    assert empty("--version").out.startswith("taskkeep ")

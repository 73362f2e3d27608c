"""What bad files and bad input get: one line, a hint, the right exit status, and nothing changed."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import taskkeep
from taskkeep.backlog.changes import Edit
from taskkeep.cli.main import run

from .told import assert_told, rows_of_refusals

TASK = {
    "id": "T0001", "uid": "0" * 32, "title": "a", "status": "todo", "priority": "medium", "type": "task",
    "created_at": "2026-11-20T12:00:00.000000Z", "created_by": "ada", "updated_at": "2026-11-20T12:00:00.000000Z",
}  # fmt: skip
SECOND = {**TASK, "id": "T0002", "uid": "1" * 32}


def envelope(*tasks: Any, **more: Any) -> bytes:
    value = {"$schema": ".taskkeep/backlog.schema.json", "version": 1, "tasks": list(tasks), **more}
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


def with_task(**fields: Any) -> bytes:
    return envelope({**TASK, **fields})


def with_number(text: str) -> bytes:
    return with_task(metadata={"n": "HERE"}).replace(b'"HERE"', text.encode())


GOOD = with_task()
# What no reader takes.
UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\n",
    "binary": bytes(range(256)) * 16,
    "truncated": GOOD[: len(GOOD) // 2],
    "without its last brace": GOOD.rstrip()[:-1],
    "followed by rubbish": GOOD + b"rubbish\n",
    "twice in one": GOOD + GOOD,
    "with a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "Latin-1": with_task(title="ü").decode().encode("latin-1"),
    "zero bytes": b"\0" * 4096,
    "a key twice": GOOD.replace(b'"title"', b'"status": "done", "title"'),
    "a key of the envelope twice": GOOD.replace(b'"version": 1', b'"version": 1, "version": 1'),
    "NaN": with_number("NaN"),
    "infinity": with_number("Infinity"),
    "minus infinity": with_number("-Infinity"),
    "1e400": with_number("1e400"),
    "a number of 5,000 digits": with_number("1" * 5000),
    "a fraction of 5,000 digits": with_number("0." + "1" * 5000),
    "a number that would be rounded": with_number("0.1234567890123456789"),
    "nested 100,000 deep": with_number("[" * 100_000 + "]" * 100_000),
    "nested 100,000 deep and cut": b"[" * 100_000,
    "objects nested 100,000 deep": with_number('{"a":' * 100_000 + "1" + "}" * 100_000),
    "conflict markers": b"<<<<<<< HEAD\n" + GOOD + b"=======\n" + GOOD + b">>>>>>> other\n",
    "a list": b"[]\n",
    "null": b"null\n",
    "a number": b"1\n",
    "no version": GOOD.replace(b'"version": 1,', b""),
    "no tasks": b'{"version": 1}\n',
    "version 2": GOOD.replace(b'"version": 1', b'"version": 2'),
    "version '1'": GOOD.replace(b'"version": 1', b'"version": "1"'),
    "version true": GOOD.replace(b'"version": 1', b'"version": true'),
    "tasks as an object": envelope(tasks={"T0001": TASK}),
    "tasks of numbers": envelope(1, 2),
    "a comment": b"// mine\n" + GOOD,
    "a comma too many": GOOD.replace(b'.000000Z"\n', b'.000000Z",\n'),
    "single quotes": GOOD.replace(b'"', b"'"),
    "a title that is a number": with_task(title=1),
    "a title of two lines": with_task(title="a\nb"),
    "an empty title": with_task(title=""),
    "a title of 501 characters": with_task(title="x" * 501),
    "a description of 2 MiB": with_task(description="x" * (2 << 20)),
    "labels as a string": with_task(labels="ci"),
    "an unknown status": with_task(status="almost"),
    "an unknown priority": with_task(priority="urgent"),
    "an id of another form": with_task(id="TASK-1"),
    "an id with a letter that is none": with_task(id="T000U"),
    "a uid of another form": with_task(uid="x"),
    "a time of another form": with_task(created_at="yesterday"),
    "a date that is none": with_task(due="2027-02-30"),
    "no uid": envelope({key: value for key, value in TASK.items() if key != "uid"}),
    "a lone surrogate": with_task(title="HERE").replace(b"HERE", b"\\ud800"),
    "a control character": with_task(title="HERE").replace(b"HERE", b"a\\u0007"),
    "an escape sequence": with_task(title="HERE").replace(b"HERE", b"\\u001b[31mred"),
    "a bidi override": with_task(title="a\u202eb"),
    "a bidi isolate": with_task(title="a\u2066b"),
    "a zero width space": with_task(title="a\u200bb"),
    "a tag character": with_task(title="a\U000e0041"),
    "a mark inside": with_task(title="a\ufeffb"),
    "metadata nested 70 deep": with_number("[" * 70 + "]" * 70),
    "an id twice": envelope(TASK, {**SECOND, "id": "T0001"}),
}
# What readers take and writers do not: 4 where the file is wrong in itself, 5 where it is only not what was saved.
REFUSED: dict[str, tuple[bytes, set[int]]] = {
    "line ends of Windows": (GOOD.replace(b"\n", b"\r\n"), {5}),
    "another layout": (json.dumps(json.loads(GOOD)).encode(), {5}),
    "a key that a newer version knows": (with_task(effort=3), {4}),
    "an envelope of a newer version": (envelope(TASK, sprint=1), {4}),
    "a circle": (envelope({**TASK, "depends_on": ["T0002"]}, {**SECOND, "depends_on": ["T0001"]}), {4, 5}),
    "a link to nowhere": (with_task(depends_on=["T9999"]), {4, 5}),
    "a uid twice": (envelope(TASK, {**SECOND, "uid": TASK["uid"]}), {4, 5}),
    "tasks not sorted": (envelope(SECOND, TASK), {5}),
}


REFUSALS: list[taskkeep.TaskkeepError] = []  # of the test that runs


@pytest.fixture(autouse=True)
def all_is_told(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is refused is said with its hint as the file beside the tests has it."""
    REFUSALS.clear()
    yield
    if REFUSALS:
        assert_told(request.node.name, rows_of_refusals(REFUSALS))


def assert_one_line(error: taskkeep.TaskkeepError) -> None:
    REFUSALS.append(error)
    assert error.message
    assert "\n" not in error.message
    assert "\n" not in error.hint
    assert len(error.message) < 400
    assert error.message.isprintable(), "what stands in the file cannot move the cursor"


def assert_command_says_so(kit: Any, capsys: pytest.CaptureFixture[str], status: int, *args: str) -> None:
    capsys.readouterr()
    assert run(["-C", str(kit.root), *args]) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert len(shown.err.rstrip("\n").split("\n")) <= 3, "an error, a hint, and what recovery did"


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_backlog_is_refused_by_all(kit: Any, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Readers and writers: invalid (4), and the file stays as it is."""
    kit.file.write_bytes(UNREADABLE[name])
    before, head = kit.files(), kit.head()

    for request in (
        lambda: kit.project.backlog(),
        lambda: kit.project.add("third"),
        lambda: kit.project.add("third", dry_run=True),
    ):
        with pytest.raises(taskkeep.Invalid) as refused:
            request()
        assert refused.value.exit_status == 4
        assert_one_line(refused.value)
    assert_command_says_so(kit, capsys, 4, "add", "third")

    assert (kit.files(), kit.head()) == (before, head)
    assert not (kit.local / "journal").exists()
    verdict = kit.project.verify()
    assert not verdict.ok
    assert all("\n" not in finding["message"] for finding in verdict.findings)
    kit.git("checkout", "-q", "--", "backlog.json")
    assert kit.project.add("third").changed


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_no_save_wrote_is_refused_to_writers(kit: Any, name: str) -> None:
    """Readers show it, verify finds it, writers leave it alone."""
    data, statuses = REFUSED[name]
    kit.file.write_bytes(data)
    before, head = kit.files(), kit.head()

    assert kit.project.list().total >= 1
    for more in ({}, {"dry_run": True}, {"commit": False}):
        with pytest.raises(taskkeep.TaskkeepError) as refused:
            kit.project.add("third", **more)
        assert refused.value.exit_status in statuses
        assert_one_line(refused.value)

    assert (kit.files(), kit.head()) == (before, head)
    assert not kit.project.verify().ok


@pytest.mark.parametrize("fault", [(b"", b""), (b'"priority": "medium"', b'"priority": "soon"')])
def test_a_million_keys_are_read_or_refused_and_never_hang(kit: Any, fault: tuple[bytes, bytes]) -> None:
    """In the processor's time, held against the plain decoding of the same bytes; with another fault beside them."""
    keys = ",".join(f'"k{number}":0' for number in range(1_000_000))
    data = with_number("{" + keys + "}").replace(*fault)
    kit.file.write_bytes(data)
    before = kit.file.stat()

    started = time.process_time()
    json.loads(data)
    floor = time.process_time() - started
    with pytest.raises(taskkeep.TaskkeepError) as refused:
        kit.project.add("third")

    assert refused.value.exit_status in (4, 5)
    assert time.process_time() - started < 20 * floor
    assert kit.file.stat().st_mtime_ns == before.st_mtime_ns


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(kit: Any) -> None:
    """A sparse file of 300 MiB costs nothing to refuse."""
    with open(kit.file, "r+b") as file:
        file.truncate(300 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(taskkeep.Invalid, match="larger than 256 MiB"):
            kit.project.add("third")
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


# -- what stands where a file or a folder should ---------------------------------------------


def a_link_out_of_the_root(kit: Any) -> None:
    outside = kit.folder.parent / "outside.json"
    kit.file.rename(outside)
    kit.file.symlink_to(outside)


def a_link_to_nowhere(kit: Any) -> None:
    kit.file.unlink()
    kit.file.symlink_to("nowhere")


def a_folder(kit: Any) -> None:
    kit.file.unlink()
    kit.file.mkdir()


def a_pipe(kit: Any) -> None:
    kit.file.unlink()
    os.mkfifo(kit.file)


def nothing(kit: Any) -> None:
    kit.file.unlink()


@pytest.mark.skipif(os.name == "nt", reason="no links and pipes there")
@pytest.mark.parametrize("place", [a_link_out_of_the_root, a_link_to_nowhere, a_folder, a_pipe, nothing])
def test_what_is_no_plain_file_is_never_read_nor_written(kit: Any, place: Callable[[Any], None]) -> None:
    """It neither hangs nor lands elsewhere."""
    place(kit)
    outside = kit.folder.parent / "outside.json"
    data = outside.read_bytes() if outside.exists() else None
    head = kit.head()

    for request in (lambda: kit.project.backlog(), lambda: kit.project.add("third")):
        with pytest.raises(taskkeep.TaskkeepError) as refused:
            request()
        assert refused.value.exit_status == 4
        assert_one_line(refused.value)

    assert kit.head() == head
    assert data is None or outside.read_bytes() == data
    assert not kit.project.verify().ok


@pytest.mark.skipif(os.name == "nt", reason="no links there")
@pytest.mark.parametrize("name", [".taskkeep", ".taskkeep/audit", ".taskkeep/local"])
def test_a_folder_of_ours_that_is_a_link_is_refused(kit: Any, name: str) -> None:
    """A write through it would land outside of the root."""
    path, outside = kit.root / name, kit.folder.parent / "outside"
    path.rename(outside)
    path.symlink_to(outside)
    before = sorted(str(one) for one in outside.rglob("*"))

    with pytest.raises(taskkeep.TaskkeepError) as refused:
        kit.project.add("third")

    assert refused.value.exit_status in (4, 5)
    assert_one_line(refused.value)
    assert sorted(str(one) for one in outside.rglob("*")) == before


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"{}\n", b"null\n", b"\xff\n", b"[" * 100_000 + b"\n"], ids=lambda data: repr(data[:8])
)
def test_a_damaged_log_is_refused_to_writers(kit: Any, damage: bytes) -> None:
    """Named with its file; nothing is written beside it."""
    path = sorted((kit.root / ".taskkeep/audit").rglob("*.jsonl"))[1]
    path.write_bytes(damage)
    (kit.local / "cache" / "log.json").unlink()
    before, head = kit.files(), kit.head()

    with pytest.raises(taskkeep.TaskkeepError) as refused:
        kit.project.add("third")

    assert refused.value.code == "audit_broken"
    assert path.name in refused.value.message
    assert_one_line(refused.value)
    assert (kit.files(), kit.head()) == (before, head)
    assert not kit.project.verify().ok


@pytest.mark.parametrize("text", ["ids = 1\n", "unknown = true\n", "= 1", 'ids = "random"\nids = "random"\n', "\x00"])
def test_a_configuration_that_cannot_be_read_is_refused(kit: Any, text: str) -> None:
    (kit.root / ".taskkeep" / "config.toml").write_text(text)
    head = kit.head()

    with pytest.raises(taskkeep.Invalid) as refused:
        kit.project.add("third")

    assert refused.value.code == "config"
    assert_one_line(refused.value)
    assert kit.head() == head


# -- bad input -------------------------------------------------------------------------------

BAD_FIELDS: dict[str, dict[str, Any]] = {
    "an empty title": {"title": ""},
    "a blank title": {"title": "  "},
    "a title of two lines": {"title": "a\nb"},
    "a title with an escape sequence": {"title": "\x1b[2J"},
    "a title with a zero byte": {"title": "a\0b"},
    "a lone surrogate": {"title": "\ud800"},
    "a long title": {"title": "x" * 501},
    "a description of 2 MiB": {"title": "a", "description": "x" * (2 << 20)},
    "an unknown field": {"title": "a", "effort": 3},
    "an unknown status": {"title": "a", "status": "almost"},
    "a number that is none": {"title": "a", "metadata": {"n": float("nan")}},
    "an endless number": {"title": "a", "metadata": {"n": float("inf")}},
    "a number of 301 digits": {"title": "a", "metadata": {"n": 10**300}},
    "a date that is none": {"title": "a", "due": "2027-02-30"},
    "a reason with a bell": {"title": "a", "why": "\a"},
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_a_field_that_the_schema_does_not_allow_is_refused(kit: Any, name: str) -> None:
    fields = dict(BAD_FIELDS[name])
    before, head = kit.files(), kit.head()

    with pytest.raises(taskkeep.TaskkeepError) as refused:
        kit.project.add(fields.pop("title"), **fields)

    assert refused.value.exit_status == 4
    assert_one_line(refused.value)
    assert (kit.files(), kit.head()) == (before, head)


@pytest.mark.parametrize("task_id", ["T9999", "--all", "../../etc/passwd", "", " ", "T\n0001", "\x1b[2J", "x" * 10_000])
def test_an_id_that_is_none_is_not_found(kit: Any, task_id: str) -> None:
    """Whatever it looks like; and what it holds is not printed raw."""
    for request in (
        lambda: kit.project.show([task_id]),
        lambda: kit.project.start([task_id]),
        lambda: kit.project.update([task_id], Edit(set={"title": "x"})),
        lambda: kit.project.delete([task_id], why="x"),
    ):
        with pytest.raises(taskkeep.TaskkeepError) as refused:
            request()
        assert refused.value.exit_status == 3
        assert_one_line(refused.value)


def test_links_that_lead_nowhere_or_in_a_circle_are_refused(kit: Any) -> None:
    first, second = kit.id_of("first"), kit.id_of("second")
    kit.project.update([first], Edit(add={"depends_on": [second]}))
    before = kit.files()

    for edit in (Edit(add={"depends_on": [first]}), Edit(add={"depends_on": ["T9999"]}), Edit(set={"parent": second})):
        with pytest.raises(taskkeep.TaskkeepError) as refused:
            kit.project.update([second], edit)
        assert refused.value.exit_status in (3, 5)
        assert_one_line(refused.value)
    assert kit.files() == before


# -- what git is in the middle of ------------------------------------------------------------


def a_merge_with_a_conflict(kit: Any) -> None:
    task_id = kit.id_of("first")
    kit.git("checkout", "-q", "-b", "other")
    kit.project.update([task_id], Edit(set={"title": "theirs"}))
    kit.git("checkout", "-q", "main")
    kit.project.update([task_id], Edit(set={"title": "ours"}))
    kit.git("config", "--remove-section", "merge.taskkeep", check=False)
    kit.git("merge", "other", check=False)


def a_merge_not_yet_committed(kit: Any) -> None:
    kit.git("checkout", "-q", "-b", "other")
    kit.git("commit", "-q", "--allow-empty", "-m", "x")
    kit.git("checkout", "-q", "main")
    kit.git("merge", "-q", "--no-ff", "--no-commit", "other")


def a_revert_not_yet_committed(kit: Any) -> None:
    kit.git("revert", "--no-commit", "HEAD")


def a_rebase(kit: Any) -> None:
    kit.git("-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "-q", "-i", "HEAD~1", check=False)
    assert (kit.folder / ".git" / "rebase-merge").exists()


@pytest.mark.parametrize(
    "under_way", [a_merge_with_a_conflict, a_merge_not_yet_committed, a_revert_not_yet_committed, a_rebase]
)
def test_a_merge_and_its_like_are_finished_first(kit: Any, under_way: Callable[[Any], None]) -> None:
    """A save in between would be swept into it, or would lose it."""
    under_way(kit)
    before, head, status = kit.files(), kit.head(), kit.git("status", "--porcelain")

    for more in ({}, {"commit": False}, {"dry_run": True}):
        with pytest.raises(taskkeep.TaskkeepError) as refused:
            kit.project.add("third", **more)
        assert refused.value.exit_status == 5
        assert_one_line(refused.value)

    assert (kit.files(), kit.head(), kit.git("status", "--porcelain")) == (before, head, status)


def test_without_an_identity_nothing_is_committed(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.git("config", "--unset", "user.name")
    kit.git("config", "--unset", "user.email")
    kit.git("config", "user.useConfigOnly", "true")
    for name in ("EMAIL", "TASKKEEP_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    before, head = kit.files(), kit.head()

    with pytest.raises(taskkeep.Outside) as refused:
        kit.project.add("third")

    assert refused.value.code == "no_identity"
    assert (kit.files(), kit.head()) == (before, head)
    assert kit.project.add("third", commit=False, actor="ada").pending

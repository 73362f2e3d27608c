"""What forks look for at once is what one process finds by itself."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from taskkeep.backlog import text
from taskkeep.backlog.events import Chain, Request, line
from taskkeep.store.verify import checks, forks, trees


def numbers_of_three(start: int, stop: int) -> list[int]:
    return [number for number in range(start, stop) if number % 3 == 0]


@pytest.mark.parametrize("count", [0, 1, 3, 1000])
def test_the_parts_of_all_forks_make_the_whole(count: int) -> None:
    assert forks.Forks(numbers_of_three, count).found() == numbers_of_three(0, count)


def test_a_fork_that_dies_or_cannot_be_made_is_stood_in_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "processors", lambda: 3)
    here = os.getpid()

    def dies(start: int, stop: int) -> list[int]:
        if os.getpid() != here:
            raise MemoryError
        return numbers_of_three(start, stop)

    ends: list[int] = []
    real = os.waitpid

    def waited(pid: int, options: int) -> tuple[int, int]:
        ended = real(pid, options)
        ends.append(os.waitstatus_to_exitcode(ended[1]))
        return ended

    with monkeypatch.context() as patch:
        end = os._exit  # which a fork comes to whatever happens, and with a number
        patch.setattr(os, "_exit", lambda status: end(status if isinstance(status, int) else 99))
        patch.setattr(os, "waitpid", waited)
        assert forks.Forks(dies, 100).found() == numbers_of_three(0, 100)
    assert ends == [1, 1, 1]

    def refused() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refused)
    assert forks.Forks(numbers_of_three, 100).found() == numbers_of_three(0, 100)


def test_beside_other_threads_nothing_is_forked() -> None:
    """A lock that another thread holds would stay held in the fork for good."""
    end = threading.Event()
    other = threading.Thread(target=end.wait)
    other.start()
    try:
        assert forks.processors() == 1
    finally:
        end.set()
        other.join()


def test_where_forks_are_not_known_to_be_safe_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert forks.processors() == 1
    assert forks.Forks(numbers_of_three, 10).found() == numbers_of_three(0, 10)


def rows_of(count: int) -> list[bytes]:
    request = Request(
        txn="t", actor="ada", now="2026-11-20T12:00:00.000000Z", source="api", why=None, key=None, digest=None
    )
    ids = iter(f"{number:036d}" for number in range(count))
    chain = Chain(request, before=None, after="a", heads=[], new_id=lambda: next(ids))
    for number in range(count):
        task = {"id": f"T{number:04d}", "uid": f"{number:032x}", "title": "an event of many"}
        chain.add("task_created", task["id"], task["uid"], {"task": task})
    return [line(event) for event in chain.events]


def damaged(rows: list[bytes]) -> dict[str, bytes]:
    """Files of the log: as written, and with lines that are not, at the ends of parts and within."""
    joined = b"".join(rows)
    half = len(rows[7]) // 2
    # Two events on one line, and one event on two: as many as before, if the line breaks did not count.
    swapped = [*rows[:5], rows[5][:-1] + b"," + rows[6], *rows[7:30], rows[30][:half] + b"\n" + rows[30][half:]]
    return {
        "as written": joined,
        "cut off": joined[:-1],
        "cut within": joined[:-40],
        "a byte changed": joined.replace(b"an event of many", b"an Event of many", 1),
        "blanks": joined.replace(b'{"v":1', b'{"v": 1'),
        "a line between": b"".join([*rows[:9], b"\n", *rows[9:]]),
        "no JSON": b"".join([*rows[:9], b"]\n", *rows[9:], b"[\n"]),
        "null": b"".join([b"null\n", *rows]),
        "twice": b"".join([*rows, rows[3]]),
        "the order": b"".join([rows[1], rows[0], *rows[2:]]),
        "broken and joined lines": b"".join([*swapped, *rows[31:]]),
    }


@pytest.mark.parametrize("kind", damaged(rows_of(40)))
def test_a_file_of_events_is_read_alike_by_many_and_by_one(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = damaged(rows_of(40))[kind]
    alone = trees.read_events(data)
    for chunk in (3, 40, 1000):
        monkeypatch.setattr(trees, "CHUNK", chunk)
        monkeypatch.setattr(trees, "WORTH_FORKS", 0)
        monkeypatch.setattr(forks, "processors", lambda: 3)
        assert trees.read_events(data) == alone
    assert bool(alone.troubles) == (kind != "as written")


def test_a_large_backlog_is_judged_as_a_small_one(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrong task and the secret are found by either way, in the same words."""

    def verdict() -> Any:
        return kit.project.verify().findings

    token = "ghp_" + "a1B2" * 9
    kit.file.write_text(kit.file.read_text().replace('"first"', f'"{token}"').replace('"todo"', '"nope"', 1))
    small = verdict()
    assert {"schema"} <= {one["code"] for one in small}
    monkeypatch.setattr(checks, "MANY", 0)
    monkeypatch.setattr(forks, "processors", lambda: 3)
    assert verdict() == small
    kit.file.write_text(kit.file.read_text().replace('"nope"', '"todo"'))
    by_many = verdict()
    assert "secret" in {one["code"] for one in by_many}
    monkeypatch.setattr(checks, "MANY", 1 << 30)
    assert verdict() == by_many


def test_a_large_sound_backlog_is_known_for_what_a_save_wrote(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(checks, "MANY", 0)
    monkeypatch.setattr(forks, "processors", lambda: 2)
    monkeypatch.setattr(text, "dump", lambda tasks: asked.append(1) or b"")
    verdict = kit.project.verify()
    assert verdict.ok
    assert verdict.ground is not None
    assert not asked

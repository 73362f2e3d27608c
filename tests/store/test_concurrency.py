"""Many writers at once, some of them killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

import taskkeep
from taskkeep.errors import BacklogLocked
from taskkeep.store.layout import Root
from taskkeep.store.lock import writer_lock

WRITERS, CHANGES = 8, 12
PROGRAM = """
import sys, taskkeep
project = taskkeep.open(sys.argv[1])
for number in range(int(sys.argv[3])):
    saved = project.add(f"{sys.argv[2]}-{number}", actor=f"agent-{sys.argv[2]}", wait=60)
    print(saved.task["id"], saved.events[0], saved.commit, flush=True)
"""


def start(kit: Any, name: int) -> subprocess.Popen[str]:
    args = [sys.executable, "-c", PROGRAM, str(kit.root), str(name), str(CHANGES)]
    return subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_every_acknowledged_change_of_many_writers_is_there(kit: Any) -> None:
    """Eight processes, three of them killed on the way: ids are unique, each change is one event and one commit."""
    before = kit.commits()
    writers = [start(kit, name) for name in range(WRITERS)]
    answers: list[list[str]] = [[] for _ in writers]

    def gather(place: int) -> None:
        stream = writers[place].stdout
        assert stream is not None
        for row in stream:
            answers[place].append(row)
            if place < 3 and len(answers[place]) == 2 + 2 * place:
                time.sleep(0.013 * place)
                writers[place].send_signal(signal.SIGKILL)

    threads = [threading.Thread(target=gather, args=(place,)) for place in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [writer.wait() for writer in writers]
    errors = [writer.stderr.read() if writer.stderr else "" for writer in writers]
    for writer in writers:
        for stream in (writer.stdout, writer.stderr):
            if stream:
                stream.close()
    kit.project.recover()

    assert set(statuses[3:]) == {0}, errors
    assert set(statuses[:3]) <= {0, -signal.SIGKILL}, errors
    # A killed writer may have died in the middle of its last line.
    said = [row.split() for rows in answers for row in rows if row.endswith("\n")]
    assert len(said) >= (WRITERS - 3) * CHANGES
    tasks, events = kit.project.backlog().tasks, kit.project.log().events
    assert len({task_id for task_id, _, _ in said}) == len(said)
    assert {task_id for task_id, _, _ in said} <= set(tasks)
    assert {event_id for _, event_id, _ in said} <= {event["event_id"] for event in events}
    created = [event["task_id"] for event in events if event["event_type"] == "task_created"]
    assert sorted(created) == sorted(tasks), "one event each, for those too that nobody could acknowledge"
    commits = kit.git("rev-list", "HEAD").split()
    assert {commit for _, _, commit in said} <= set(commits)
    assert len({commit for _, _, commit in said}) == len(said)
    assert kit.commits() >= before + len(said)
    for number in range(3, WRITERS):
        assert {f"{number}-{change}" for change in range(CHANGES)} <= kit.titles()
    kit.assert_sound()


def test_writers_in_threads_of_one_process_exclude_each_other(kit: Any) -> None:
    """Each opens the lock for itself."""
    failures: list[BaseException] = []

    def write(name: int) -> None:
        try:
            for number in range(4):
                kit.project.add(f"thread {name}-{number}", wait=30)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(kit.titles()) == 2 + 16
    kit.assert_sound()


def test_a_reader_never_waits_and_never_sees_half_a_change(kit: Any) -> None:
    """While another process writes, every read is a whole backlog, and no read takes a task back."""
    with start(kit, 1) as writer:
        counts = [len(kit.project.backlog().tasks)]
        while writer.poll() is None:
            counts.append(len(kit.project.backlog().tasks))
        assert writer.wait() == 0

    assert counts == sorted(counts)
    assert len(kit.project.backlog().tasks) == 2 + CHANGES


def test_reading_needs_no_lock(kit: Any) -> None:
    with writer_lock(Root(str(kit.root)).lock, wait=0):
        assert kit.project.list().total == 2
        assert kit.project.show([kit.id_of("first")])[0]["title"] == "first"
        assert kit.project.log().total == 3


def test_a_writer_that_waits_too_long_gives_up_and_says_for_whom(kit: Any) -> None:
    """Busy, worth another try, and nothing was written."""
    before = kit.files()
    with writer_lock(Root(str(kit.root)).lock, wait=0):
        with pytest.raises(BacklogLocked) as refused:
            kit.project.add("third", wait=0.05)

    assert refused.value.exit_status == 6
    assert refused.value.retryable
    assert str(os.getpid()) in refused.value.message
    assert kit.files() == before
    assert kit.project.add("third", wait=0).changed


def test_a_lock_file_that_git_clean_took_away_is_made_again(kit: Any) -> None:
    """A lock on a file that no longer has a name excludes nobody, so it counts for nothing."""
    kit.git("clean", "-q", "-fdx")
    assert not kit.local.exists()

    assert taskkeep.open(str(kit.root)).add("third").changed
    kit.assert_sound()

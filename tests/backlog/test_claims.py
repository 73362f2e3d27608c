"""A claim is for one worker; its number only grows."""

from __future__ import annotations

from typing import Any

import pytest

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import finish_task, new_task
from taskkeep.backlog.claims import Ledger, best_ready, check_claim, claim_task, is_held, read_lease, release_task
from taskkeep.backlog.query import Query
from taskkeep.backlog.task import Task
from taskkeep.errors import ClaimHeld, InvalidField, NothingReady, StaleClaim, TaskFinished

NOON = "2026-11-20T12:00:00.000000Z"
LATER = "2026-11-20T12:10:00.000000Z"
NEXT_DAY = "2026-11-21T12:00:00.000000Z"


def task(task_id: str, **fields: Any) -> Task:
    return new_task(
        Backlog({}),
        {"title": task_id, **fields},
        task_id=task_id,
        uid=task_id[1:].rjust(32, "0"),
        now="2026-11-19T12:00:00.000000Z",
        actor="ada",
        resolve=False,
    )


def claimed(
    backlog: Backlog,
    ledger: Ledger,
    *,
    now: str = NOON,
    actor: str = "agent-1",
    lease: int = 1800,
    task_id: str = "T0001",
) -> Backlog:
    return claim_task(backlog, task_id, ledger=ledger, lease=lease, now=now, actor=actor)


@pytest.fixture
def backlog() -> Backlog:
    return Backlog.of([task("T0001")])


def test_a_claim_names_worker_and_end_and_sets_the_task_in_progress(backlog: Backlog) -> None:
    ledger = Ledger({})
    found = claimed(backlog, ledger).tasks["T0001"]
    assert (found["claimed_by"], found["claimed_until"]) == ("agent-1", "2026-11-20T12:30:00.000000Z")
    assert (found["status"], found["started_at"], found["updated_at"]) == ("in_progress", NOON, NOON)
    assert ledger.given == {found["uid"]: 1}


def test_while_a_lease_runs_nobody_else_is_given_the_task(backlog: Backlog) -> None:
    with pytest.raises(ClaimHeld, match=r"claimed by agent-1 until 2026-11-20T12:30"):
        claimed(claimed(backlog, Ledger({})), Ledger({}), now=LATER, actor="agent-2")


def test_claiming_again_extends_and_keeps_the_number(backlog: Backlog) -> None:
    """And never makes a lease shorter."""
    uid = backlog.tasks["T0001"]["uid"]
    first, ledger = claimed(backlog, Ledger({uid: 3})), Ledger({uid: 4})
    again = claimed(first, ledger, now=LATER)
    assert again.tasks["T0001"]["claimed_until"] == "2026-11-20T12:40:00.000000Z"
    assert (ledger.given, ledger.expired) == ({uid: 4}, [])
    assert claimed(again, Ledger({}), now=LATER, lease=1) is again


@pytest.mark.parametrize("actor", ["agent-1", "agent-2"])
def test_a_claim_whose_lease_ended_is_taken_over_with_a_new_number(backlog: Backlog, actor: str) -> None:
    """Under the same name too; what was taken over is told."""
    uid = backlog.tasks["T0001"]["uid"]
    ledger = Ledger({uid: 1})
    taken = claimed(claimed(backlog, Ledger({})), ledger, now=NEXT_DAY, actor=actor)
    assert taken.tasks["T0001"]["claimed_by"] == actor
    assert ledger.given == {uid: 2}
    [(_, said)] = ledger.expired
    assert said == {"claimed_by": "agent-1", "claimed_until": "2026-11-20T12:30:00.000000Z", "claim": 1}


@pytest.mark.parametrize("status", ["done", "cancelled"])
def test_what_is_finished_is_not_claimed(status: str) -> None:
    with pytest.raises(TaskFinished) as refused:
        claimed(Backlog.of([task("T0001", status=status)]), Ledger({}))
    assert refused.value.details == {"task_id": "T0001", "status": status}


def test_releasing_takes_the_claim_back_and_the_task_is_to_do(backlog: Backlog) -> None:
    held = claimed(backlog, Ledger({}))
    with pytest.raises(ClaimHeld):
        release_task(held, "T0001", now=LATER, actor="agent-2")
    for free in (
        release_task(held, "T0001", now=LATER, actor="agent-1"),
        release_task(held, "T0001", now=LATER, actor="agent-2", force=True),
        release_task(held, "T0001", now=NEXT_DAY, actor="agent-2"),
    ):
        assert (free.tasks["T0001"]["status"], free.tasks["T0001"]["updated_at"] > NOON) == ("todo", True)
        assert not {"claimed_by", "claimed_until"} & free.tasks["T0001"].keys()
    assert release_task(backlog, "T0001", now=LATER, actor="agent-2") is backlog


@pytest.mark.parametrize("half", [{"claimed_by": "agent-1"}, {"claimed_until": NEXT_DAY}])
def test_half_a_claim_holds_nobody_off_and_is_taken_back_as_well(backlog: Backlog, half: dict[str, str]) -> None:
    """A hand edit can leave one."""
    held = backlog.replacing({**backlog.tasks["T0001"], **half})

    assert not is_held(held.tasks["T0001"], NOON)
    assert not half.keys() & release_task(held, "T0001", now=NOON, actor="agent-2").tasks["T0001"].keys()


def test_a_claim_ends_at_its_very_moment(backlog: Backlog) -> None:
    held = claimed(backlog, Ledger({}), now=NOON, lease=600).tasks["T0001"]

    assert is_held(held, "2026-11-20T12:09:59.999999Z")
    assert not is_held(held, LATER)


def test_a_claim_that_came_without_a_number_is_numbered_when_it_is_made_longer(backlog: Backlog) -> None:
    """What is taken over without one is told without one."""
    uid, held = backlog.tasks["T0001"]["uid"], claimed(backlog, Ledger({"other": 7}))
    longer, taken = Ledger({"other": 7}), Ledger({"other": 7})

    claimed(held, longer, now=LATER)
    claimed(held, taken, now=NEXT_DAY)

    assert (longer.given, taken.given) == ({uid: 1}, {uid: 1})
    assert (longer.last(uid), longer.last("other"), longer.last("none")) == (1, 7, 0)
    [(_, said)] = taken.expired
    assert said.keys() == {"claimed_by", "claimed_until"}


def test_finishing_ends_a_claim(backlog: Backlog) -> None:
    done = finish_task(claimed(backlog, Ledger({})), "T0001", now=LATER, actor="agent-1")
    assert "claimed_by" not in done.tasks["T0001"]


def test_a_number_other_than_the_last_is_refused(backlog: Backlog) -> None:
    uid = backlog.tasks["T0001"]["uid"]
    check_claim(backlog, "T0001", 2, Ledger({uid: 2}))
    for number in (1, 3):
        with pytest.raises(StaleClaim) as refused:
            check_claim(backlog, "T0001", number, Ledger({uid: 2}))
        assert refused.value.details["last"] == 2
    held = claimed(backlog, Ledger({}))
    with pytest.raises(StaleClaim) as refused:
        check_claim(held, "t0001", 1, Ledger({uid: 2}))
    assert refused.value.details == {
        "task_id": "T0001", "claim": 1, "last": 2, "claimed_by": "agent-1", "claimed_until": "2026-11-20T12:30:00.000000Z"
    }  # fmt: skip


def test_the_best_ready_task_is_claimed_and_without_one_it_says_why() -> None:
    backlog = Backlog.of([task("T0001"), task("T0002", priority="high"), task("T0003", depends_on=["T0002"])])
    who = {"now": NOON, "actor": "agent-1", "today": "2026-11-20"}
    assert best_ready(backlog, Query(), **who) == "T0002"
    backlog = claimed(claimed(backlog, Ledger({}), task_id="T0002"), Ledger({}), task_id="T0001")
    with pytest.raises(NothingReady) as nothing:
        best_ready(backlog, Query(), **who)
    assert nothing.value.details == {
        "open": 3, "claimed": 2, "waiting": 1, "ready": 0, "next_end": "2026-11-20T12:30:00.000000Z"
    }  # fmt: skip
    with pytest.raises(NothingReady) as nothing:
        best_ready(Backlog.of([task("T0001"), task("T0002", depends_on=["T0001"])]), Query(labels=("x",)), **who)
    assert nothing.value.details == {"open": 2, "claimed": 0, "waiting": 1, "ready": 1, "next_end": None}


def test_the_best_ready_task_is_that_of_the_query() -> None:
    """Whose and how late it asks for; the page is of no matter."""
    backlog = Backlog.of([
        task("T0001"), task("T0002", assignee="agent-1"), task("T0003", due="2026-11-20", assignee="agent-1")
    ])  # fmt: skip

    def best(query: Query, actor: str = "agent-1", today: str = "2026-11-21") -> str:
        return best_ready(backlog, query, now=NOON, actor=actor, today=today)

    assert (best(Query()), best(Query(offset=2, limit=5))) == ("T0001", "T0001")
    assert (best(Query(mine=True)), best(Query(mine=True, overdue=True))) == ("T0002", "T0003")
    with pytest.raises(NothingReady):
        best(Query(overdue=True), today="2026-11-20")


def test_a_lease_is_a_time() -> None:
    assert read_lease("1h30s") == 3630


@pytest.mark.parametrize("text", ["0s", "", "soon", "30"])
def test_a_lease_is_a_time_longer_than_nothing(text: str) -> None:
    with pytest.raises(InvalidField) as refused:
        read_lease(text)
    assert refused.value.details["field"] == "lease"

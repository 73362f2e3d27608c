"""The merge of two backlogs that went apart from a third: by identity and by field, nothing dropped."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.events import SEQUENCE_FIELDS
from taskkeep.backlog.ids import ALPHABET
from taskkeep.backlog.replay import TIME_RULES
from taskkeep.backlog.rules import LINK_FIELDS, circles, links
from taskkeep.backlog.task import (
    CLAIM,
    FIELDS,
    FINISHED,
    SET_FIELDS,
    STATE_FIELDS,
    canonical,
    numbered,
    same,
    same_task,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Set

    from taskkeep.backlog.replay import Replay
    from taskkeep.backlog.task import Task

    Open = Mapping[str, Mapping[str | None, list[Any]]]
    """What a base leaves open, by uid and field: the values that its log allows; the field None is the task itself."""

RENUMBERED_LENGTH = 6
METADATA = "metadata."
_OPEN = "\0"  # in the comparing of one field: a base's value that is none
_JUDGED_APART = ("id", "uid", *STATE_FIELDS)
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


class Conflict(NamedTuple):
    """What both sides changed and no rule decides; the merged backlog shows our value.

    *field* None: one side deleted what the other changed, and the values are whole tasks. One key of
    the metadata is ``metadata.KEY``. *kind* is field, delete_edit, dangling, cycle or claim.
    """

    task_id: str
    uid: str
    field: str | None
    kind: str
    base: Any
    ours: Any
    theirs: Any


class _Side:
    """One of the three versions, by uid, with the ids that its tasks have in the end."""

    def __init__(self, backlog: Backlog, left_open: Open | None = None) -> None:
        self.left_open = left_open or {}
        self.tasks: dict[str, Task] = {task["uid"]: task for task in backlog.archived.values()}
        self.archived = set(self.tasks)
        for task in backlog.tasks.values():
            self.tasks[task["uid"]] = task
        self.archived -= {task["uid"] for task in backlog.tasks.values()} if self.archived else set()
        self.ids = {task["id"] for task in self.tasks.values()}

    def renumber(self, final: Mapping[str, str], *, aliases: bool) -> None:
        """Give the tasks their final ids, and let all links of this side follow."""
        moved = {
            self.tasks[uid]["id"]: new
            for uid, new in final.items()
            if uid in self.tasks and self.tasks[uid]["id"] != new
        }
        if not moved:
            return
        self.ids = {moved.get(task_id, task_id) for task_id in self.ids}
        for uid, task in self.tasks.items():
            if task["id"] in moved or any(target in moved for field in LINK_FIELDS for target in links(task, field)):
                self.tasks[uid] = _renumbered(task, moved, aliases=aliases)

    def opened(self, uid: str) -> Task | None:
        """The task with no value, as neither side could have kept it, in the fields that are left open."""
        task, fields = self.tasks.get(uid), self.left_open.get(uid)
        return {**task, **{field: _OPEN for field in fields if field}} if task and fields else task

    def has(self, task: Task) -> bool:
        """Is *task* what this side has, or one of those that it leaves open?"""
        own, fields = self.tasks[task["uid"]], self.left_open.get(task["uid"])
        if fields:
            chosen = {field: task.get(field) for field, values in fields.items() if field and task.get(field) in values}
            own = canonical({**own, **chosen})
        return same_task(own, task)

    def has_surely(self, task: Task) -> bool:
        """As has(), where it is not open whether there is such a task."""
        return None not in self.left_open.get(task["uid"], ()) and self.has(task)


class Merged(NamedTuple):
    """A merge and the tasks of the three versions by uid, under the ids that they have in the end.

    *archived*: the uids of those that lay in the archive of ours, and of theirs; their links are history.
    """

    backlog: Backlog
    conflicts: list[Conflict]
    base: Mapping[str, Task]
    ours: Mapping[str, Task]
    theirs: Mapping[str, Task]
    archived: tuple[Set[str], Set[str]]


def merge(
    base: Backlog, ours: Backlog, theirs: Backlog, left_open: Open | None = None
) -> tuple[Backlog, list[Conflict]]:
    """Return *ours* with all that *theirs* changed since *base*, and what both changed differently.

    Tasks are the same by uid. Each version's ids and uids must be unique. A task that neither side
    changed, or only ours, is the same dict as in *ours*. *left_open*: of a base that is the state of a shared log.
    """
    merged = merge_versions(base, ours, theirs, left_open)
    return merged.backlog, merged.conflicts


def merge_versions(base: Backlog, ours: Backlog, theirs: Backlog, left_open: Open | None = None) -> Merged:
    """As merge(), with what settling its conflicts needs."""
    b, o, t = _Side(base, left_open), _Side(ours), _Side(theirs)
    conflicts: list[Conflict] = []
    kept = [uid for uid in (*o.tasks, *(uid for uid in t.tasks if uid not in o.tasks)) if _stays(uid, b, o, t)]
    if final := _final_ids(kept, b, o, t):
        o.renumber(final, aliases=True)
        t.renumber(final, aliases=True)
        b.renumber(final, aliases=False)
    live: dict[str, Task] = {}
    archived: dict[str, Task] = {}
    for uid in kept:
        one, other, old = o.tasks.get(uid), t.tasks.get(uid), b.tasks.get(uid)
        if one is None or other is None:
            task = one or other
            assert task is not None
            if old is not None and not b.has_surely(task):  # else it was archived there
                conflicts.append(Conflict(task["id"], uid, None, "delete_edit", old, one, other))
                if one is None:
                    continue
            away = uid in (o if one is not None else t).archived
        else:
            task = one if same_task(one, other) else _merged(b.opened(uid), one, other, conflicts)
            away = _is_archived(uid, b, o, t)
        (archived if away else live)[task["id"]] = task
    result = Backlog(dict(sorted(live.items())), dict(sorted(archived.items())))
    result = _without_dangling(result, b, o, t, conflicts)
    result = _without_circles(result, b, o, t, conflicts)
    conflicts.sort(key=lambda conflict: (conflict.task_id, conflict.field or "", conflict.kind))
    return Merged(result, conflicts, b.tasks, o.tasks, t.tasks, (o.archived, t.archived))


def common_state(replay: Replay) -> tuple[Backlog, Open]:
    """The state of a log that two branches share, as the base of their merge, and what that log leaves open.

    Where the two have settled that differently, it is a conflict again. What a rule decides is not open.
    """
    tasks, away = replay.tasks(), replay.archived()
    left_open: dict[str, dict[str | None, list[Any]]] = {}
    for choice in replay.choices():
        if not choice.by_rule and choice.field not in TIME_RULES:
            left_open.setdefault(choice.uid, {})[choice.field] = choice.values
    return Backlog.of(
        (task for uid, task in tasks.items() if uid not in away),
        (task for uid, task in tasks.items() if uid in away),
    ), left_open


# -- which tasks, under which ids, in which file ---------------------------------------------


def _stays(uid: str, b: _Side, o: _Side, t: _Side) -> bool:
    """False where one side deleted the task and the other left it as it was, and where it was."""
    if uid in o.tasks and uid in t.tasks:
        return True
    old, side = b.tasks.get(uid), o if uid in o.tasks else t
    return old is None or not b.has_surely(side.tasks[uid]) or (uid in side.archived and uid not in b.archived)


def _is_archived(uid: str, b: _Side, o: _Side, t: _Side) -> bool:
    """Archived on one side and edited on the other: the edit brings the task back."""
    away = (uid in o.archived, uid in t.archived)
    if away[0] == away[1]:
        return away[0]
    if uid in b.archived or uid not in b.tasks:
        return False
    beside = t if away[0] else o
    return b.has(beside.tasks[uid])


def _final_ids(kept: Iterable[str], b: _Side, o: _Side, t: _Side) -> dict[str, str]:
    """The ids that differ from what one side has: renumbered there before, or drawn twice."""
    final: dict[str, str] = {}
    owners: dict[str, str] = {}
    twice: set[str] = set()
    kept = list(kept)
    for uid in kept:
        one, other = o.tasks.get(uid), t.tasks.get(uid)
        task_id = (one or other or {})["id"]
        if one is not None and other is not None and one["id"] != other["id"]:
            task_id = final[uid] = _chosen_id(b.opened(uid), one, other)
        if owners.setdefault(task_id, uid) != uid:
            twice.add(task_id)
    if not twice:
        return final
    taken = o.ids | t.ids | b.ids | set(owners)
    for task_id in sorted(twice):
        bearers = [uid for uid in kept if (final.get(uid) or (o.tasks.get(uid) or t.tasks[uid])["id"]) == task_id]
        for uid in sorted(bearers, key=lambda uid: age(o.tasks.get(uid) or t.tasks[uid]))[1:]:
            final[uid] = derived_id(uid, taken.__contains__)
            taken.add(final[uid])
    return final


def _chosen_id(old: Task | None, one: Task, other: Task) -> str:
    if old is not None and old["id"] in (one["id"], other["id"]):
        return str(other["id"] if old["id"] == one["id"] else one["id"])
    for task, beside in ((one, other), (other, one)):
        if beside["id"] in task.get("aliases", ()):
            return str(task["id"])
    return str(min(one["id"], other["id"]))


def age(task: Mapping[str, Any]) -> tuple[str, str]:
    """What orders tasks that drew one id: the elder keeps it."""
    return task["created_at"], task["uid"]


def derived_id(uid: str, is_taken: Callable[[str], bool]) -> str:
    """The id that a task of *uid* gets when an elder one has its own, the same in every clone."""
    attempt = 0
    while is_taken(found := _drawn(f"{uid}/{attempt}")):
        attempt += 1
    return found


def _drawn(text: str) -> str:
    return "T" + "".join(ALPHABET[byte & 31] for byte in sha256(text.encode()).digest()[:RENUMBERED_LENGTH])


def _renumbered(task: Task, moved: Mapping[str, str], *, aliases: bool) -> Task:
    new = dict(task)
    if task["id"] in moved:
        new["id"] = moved[task["id"]]
        if aliases:
            new["aliases"] = sorted({*task.get("aliases", ()), task["id"]} - {new["id"]})
    if "parent" in task:
        new["parent"] = moved.get(task["parent"], task["parent"])
    if "depends_on" in task:
        new["depends_on"] = [moved.get(target, target) for target in task["depends_on"]]
    return canonical(new)


# -- the fields of one task --------------------------------------------------------------------


def _merged(old: Task | None, one: Task, other: Task, conflicts: list[Conflict]) -> Task:
    """One task of both sides; what both changed differently is reported and stays as in *one*."""
    if old is not None and same_task(old, one):
        return other
    if old is not None and same_task(old, other):
        return one
    before = old or {}
    found: list[tuple[str, str, Any, Any, Any]] = []
    task: Task = {"id": one["id"], "uid": one["uid"]}
    for field in (*FIELDS, *sorted(({*one, *other, *before}) - set(FIELDS))):
        if field in _JUDGED_APART:
            continue
        was, mine, yours = before.get(field), one.get(field), other.get(field)
        if same(mine, yours) or same(was, yours):
            task[field] = mine
        elif same(was, mine):
            task[field] = yours
        elif field in SET_FIELDS:
            task[field] = merged_set(was or (), mine or (), yours or ())
        elif field in SEQUENCE_FIELDS:
            task[field] = merged_sequence(field, was or [], mine or [], yours or [])
        elif field == "metadata":
            task[field] = _merged_metadata(was or {}, mine or {}, yours or {}, found)
        elif field == "updated_at":
            task[field] = max(str(mine), str(yours))
        else:
            task[field] = mine
            found.append((field, "field", was, mine, yours))
    task.update(_merged_state(before, one, other, found))
    conflicts += [
        Conflict(one["id"], one["uid"], field, kind, None if was == _OPEN else was, *values)
        for field, kind, was, *values in found
    ]
    task = canonical(task)
    return one if same_task(task, one) else task


def merged_set(was: Iterable[str], mine: Iterable[str], yours: Iterable[str]) -> list[str]:
    """What stands on both sides, and what one side added."""
    one, other = set(mine), set(yours)
    return sorted((one & other) | ((one | other) - set(was)))


def _merged_metadata(
    was: dict[str, Any], mine: dict[str, Any], yours: dict[str, Any], found: list[tuple[str, str, Any, Any, Any]]
) -> dict[str, Any]:
    result = {}
    for key in sorted({*was, *mine, *yours}):
        # A key that is not there differs from one that holds null.
        one, other, old = ([side[key]] if key in side else [] for side in (mine, yours, was))
        chosen = one
        if same(old, one):
            chosen = other
        elif not same(old, other) and not same(one, other):
            found.append((METADATA + key, "field", was.get(key), mine.get(key), yours.get(key)))
        if chosen:
            result[key] = chosen[0]
    return result


def merged_sequence(field: str, was: list[Any], mine: list[Any], yours: list[Any]) -> list[Any]:
    """Criteria or notes of both sides; replay takes this for branches that met without an event."""
    if mine in (was, yours):
        return yours
    return mine if was == yours else (merged_notes if field == "notes" else merged_criteria)(was, mine, yours)


def merged_notes(was: list[Any], mine: list[Any], yours: list[Any]) -> list[Any]:
    """Notes that both have, then the new ones of both by their time, each side's own order kept."""
    old, one, other = (numbered(notes) for notes in (was, mine, yours))
    kept = [note for name, note in _ordered(old, one, other).items() if name in one and name in other]
    first = [note for name, note in one.items() if name not in old]
    second = [note for name, note in other.items() if name not in old and name not in one]
    while first and second:
        kept.append(
            (first if (first[0]["at"], _encode(first[0])) <= (second[0]["at"], _encode(second[0])) else second).pop(0)
        )
    return kept + first + second


def merged_criteria(was: list[Any], mine: list[Any], yours: list[Any]) -> list[Any]:
    """Criteria by their text: ticked on one side is ticked; one side's change outlives the other's removal."""
    old, one, other = (numbered(items) for items in (was, mine, yours))
    result = []
    for name, item in _ordered(old, one, other).items():
        sides = [side[name] for side in (one, other) if name in side]
        changed = [found for found in sides if found["done"] != item["done"]]
        if changed or len(sides) == 2:
            result.append(changed[0] if changed else item)
    first, second = ([name for name in side if name not in old] for side in (one, other))
    for name in dict.fromkeys(first + second if _encode(first) <= _encode(second) else second + first):
        sides = [side[name] for side in (one, other) if name in side]
        result.append(next((item for item in sides if item["done"]), sides[0]))
    return result


def _ordered(old: dict[Any, Any], one: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    """What *old* has, in the order of the side that moved it."""
    for side in (one, other):
        names = [name for name in side if name in old]
        if names != [name for name in old if name in side]:
            return {name: old[name] for name in (*names, *(name for name in old if name not in side))}
    return old


def _merged_state(was: Task, one: Task, other: Task, found: list[tuple[str, str, Any, Any, Any]]) -> dict[str, Any]:
    """Status, its times and the claim: what belongs together comes from one side."""
    old, mine, yours = was.get("status"), one["status"], other["status"]
    task: dict[str, Any] = {"status": mine}
    started = [side["started_at"] for side in (one, other) if "started_at" in side]
    task["started_at"] = _of_one(was, one, other, "started_at", min(started) if started else None)
    if mine == yours:
        done = [side["completed_at"] for side in (one, other) if "completed_at" in side]
        task["completed_at"] = _of_one(was, one, other, "completed_at", min(done) if done else None)
    elif old == mine:
        task["status"], task["completed_at"] = yours, other.get("completed_at")
    else:
        task["completed_at"] = one.get("completed_at")
        if old != yours:
            found.append(("status", "field", old, mine, yours))
            return {**task, **{field: one.get(field) for field in CLAIM}}
    first, second, third = (tuple(side.get(field) for field in CLAIM) for side in (was, one, other))
    claim = _merged_claim(first, second, third, found)
    if claim[0] is not None and task["status"] in FINISHED and None in (second[0], third[0]):
        claim = (None, None)  # what finished the task ended its claim
    return {**task, **dict(zip(CLAIM, claim, strict=True))}


def _of_one(was: Task, one: Task, other: Task, field: str, both: Any) -> Any:
    """The value of the side that changed a field, or *both* where both did."""
    old, mine, yours = was.get(field), one.get(field), other.get(field)
    if mine == yours or old == yours:
        return mine
    return yours if old == mine else both


def _merged_claim(
    was: tuple[Any, ...], mine: tuple[Any, ...], yours: tuple[Any, ...], found: list[tuple[str, str, Any, Any, Any]]
) -> tuple[Any, ...]:
    if mine == yours or was == yours:
        return mine
    if was == mine:
        return yours
    if mine[0] == yours[0]:
        return max(mine, yours, key=lambda claim: claim[1] or "")
    if mine[0] is None or yours[0] is None:
        # One side ended the claim. That holds against its own holder, not against a new one.
        holder = mine if yours[0] is None else yours
        return (None, None) if holder[0] == was[0] else holder
    found.append(("claimed_by", "claim", was[0], mine[0], yours[0]))
    return mine


# -- links -------------------------------------------------------------------------------------


def _link_conflict(task: Task, field: str, kind: str, b: _Side, o: _Side, t: _Side) -> Conflict:
    values = (side.tasks.get(task["uid"], {}).get(field) for side in (b, o, t))
    return Conflict(task["id"], task["uid"], field, kind, *values)


def _without_link(task: Task, field: str, target: str, o: _Side) -> Task:
    """The task without one edge; a parent falls back to ours, as far as it is another."""
    new = dict(task)
    if field == "depends_on":
        new[field] = [name for name in task[field] if name != target]
    else:
        mine = o.tasks.get(task["uid"], {}).get(field)
        new[field] = mine if mine != target else None
    return canonical(new)


def _without_dangling(result: Backlog, b: _Side, o: _Side, t: _Side, conflicts: list[Conflict]) -> Backlog:
    """Leave out links to what only the other side deleted."""
    gone = ((o.ids | t.ids) - result.tasks.keys()) - result.archived.keys()
    if not gone:
        return result
    for task in list(result.tasks.values()):
        for field in LINK_FIELDS:
            for target in links(result.tasks[task["id"]], field):
                if target in gone and any(
                    target in side.ids and target in links(side.tasks.get(task["uid"], {}), field) for side in (o, t)
                ):
                    conflict = _link_conflict(task, field, "dangling", b, o, t)
                    if conflict not in conflicts:
                        conflicts.append(conflict)
                    result = result.replacing(_without_link(result.tasks[task["id"]], field, target, o))
    return result


def _without_circles(result: Backlog, b: _Side, o: _Side, t: _Side, conflicts: list[Conflict]) -> Backlog:
    """Leave out their links that close a circle with ours."""
    for field in LINK_FIELDS:
        while (edge := _closing_edge(result, field, o, t)) is not None:
            task = result.tasks[edge[0]]
            conflict = _link_conflict(task, field, "cycle", b, o, t)
            conflicts[:] = [found for found in conflicts if (found.uid, found.field) != (conflict.uid, field)]
            conflicts.append(conflict)
            result = result.replacing(_without_link(task, field, edge[1], o))
    return result


def _closing_edge(result: Backlog, field: str, o: _Side, t: _Side) -> tuple[str, str] | None:
    """A link of theirs in a circle that is not theirs alone."""
    new = [
        task["id"]
        for task in result.tasks.values()
        if field in task
        and task is not o.tasks.get(task["uid"])
        and set(links(task, field)) - set(_links_of(o, task, field))
    ]
    for group in circles(result, new, field):
        inside = set(group)
        alone = all(
            target in _links_of(t, result.tasks[task_id], field)
            for task_id in group
            for target in links(result.tasks[task_id], field)
            if target in inside
        )
        if alone:
            continue
        for task_id in group:
            for target in links(result.tasks[task_id], field):
                if target in inside and target not in _links_of(o, result.tasks[task_id], field):
                    return task_id, target
    return None


def _links_of(side: _Side, task: Task, field: str) -> Any:
    """A side's links of a live task; those of an archived one are history, which nobody judged there."""
    return () if task["uid"] in side.archived else links(side.tasks.get(task["uid"], {}), field)


# -- texts -------------------------------------------------------------------------------------


def merged_text(was: str, mine: str, yours: str) -> str:
    """Both texts in one, by line; where lines collide both stand, ours first."""
    from difflib import SequenceMatcher

    base, one, other = (text.split("\n") for text in (was, mine, yours))

    def matches(lines: list[str]) -> dict[int, int]:
        blocks = SequenceMatcher(None, base, lines, autojunk=False).get_matching_blocks()
        return {block.a + step: block.b + step for block in blocks for step in range(block.size)}

    in_one, in_other = matches(one), matches(other)
    result: list[str] = []
    at = (0, 0, 0)
    common = [number for number in range(len(base)) if number in in_one and number in in_other]
    for number in (*common, None):
        end = (len(base), len(one), len(other)) if number is None else (number, in_one[number], in_other[number])
        old, first, second = base[at[0] : end[0]], one[at[1] : end[1]], other[at[2] : end[2]]
        if first == second or second == old:
            result += first
        elif first == old:
            result += second
        else:
            result += [*first, *second]
        if number is not None:
            result.append(base[number])
            at = (number + 1, end[1] + 1, end[2] + 1)
    return "\n".join(result)

"""What a backlog that somebody rewrote as a whole asks for, held against ours and against what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog import text
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.changes import new_task, set_status
from taskkeep.backlog.events import SEQUENCE_FIELDS, apply_field
from taskkeep.backlog.ids import looks_like_id
from taskkeep.backlog.rules import time_problems
from taskkeep.backlog.shape import normalise, unknown_field
from taskkeep.backlog.task import FIELDS, PROGRAM_FIELDS, REQUIRED, SET_FIELDS, canonical, kind_of, same, shortened
from taskkeep.backlog.times import is_time
from taskkeep.errors import BacklogUnreadable, FieldsReverted, InputInvalid, InvalidField, Mojibake, TasksLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task

Row = dict[str, Any]

USER_FIELDS = tuple(field for field in FIELDS if field not in PROGRAM_FIELDS)
# What a new task may bring along where a person wrote it into the file.
_BROUGHT = ("created_at", "created_by", "started_at", "completed_at", "aliases")
STUB_FROM = 200  # characters: a text from there on that shrinks to a quarter is told
TOLD = 10  # of each kind of notice
_ABSENT = "null"


class Wanted(NamedTuple):
    """The backlog that a rewriting asks for, and what was put right or left out, in words."""

    backlog: Backlog
    told: list[str]


class Reverted(NamedTuple):
    """A field that would go back to an older value, or lose what was in it; *field* None: the task itself,
    deleted by now; ``archived``: it lies in the archive by now.
    """

    task_id: str
    field: str | None
    before: Any
    wanted: Any

    def as_json(self) -> dict[str, Any]:
        return {"task_id": self.task_id, "field": self.field, "from": self.before, "to": self.wanted}


# -- what is wanted ------------------------------------------------------------------------


class Rewriting:
    """Reads the rows of a whole file against *before*.

    Fields that the program sets are ours: from *before*, or set anew. *by_hand*: a person edited our
    own file, so that times and authors which fit are kept, and what is put right is told; without, a
    text that differs in blanks alone stays as it is, as a model that wraps it anew means no change.
    """

    def __init__(
        self,
        before: Backlog,
        past: Past,
        *,
        new_id: Callable[[], str],
        new_uid: Callable[[], str],
        now: str,
        actor: str,
        by_hand: bool,
        current: Backlog | None = None,
    ) -> None:
        self.before, self.past, self.by_hand = before, past, by_hand
        self._current = {} if current in (None, before) else by_uid(current)
        self._new_id, self._new_uid, self.now, self.actor = new_id, new_uid, now, actor
        self._told: dict[str, list[str]] = {}
        self._known = by_uid(before)
        self._renamed: dict[str, str] = {}  # id in the file -> id of the task that it means

    def wanted(self, live: Sequence[Row], archived: Sequence[Row] | None = None) -> Wanted:
        """Return what the rows ask for. *archived* None: the archive is not rewritten; a task of it that
        stands among the rows comes back.

        Raises InvalidField, UnknownField, Mojibake.
        """
        away = [] if archived is None else self._only_there(archived, live)
        rows = [*live, *away]
        _refuse_twice(rows)
        owners = self._owners(rows)
        ids = self._ids(rows, owners)
        made = [
            self._new(row, task_id, number) if owner is None else self._revised(owner, row)
            for number, (row, owner, task_id) in enumerate(zip(rows, owners, ids, strict=True), 1)
        ]
        _refuse_mojibake(made, owners, certain=self.by_hand)
        back = Backlog.of(made[: len(live)])
        if archived is None:
            kept = {i: task for i, task in self.before.archived.items() if i not in back.tasks}
        else:
            kept = Backlog.of(made[len(live) :]).tasks
        return Wanted(self._same_or(back.tasks, kept), [_counted(what, of) for what, of in self._told.items()])

    def _tell(self, what: str, of: str) -> None:
        self._told.setdefault(what, []).append(of)

    def _same_or(self, live: dict[str, Task], archived: dict[str, Task]) -> Backlog:
        before = self.before
        if _identical(archived, before.archived):
            archived = before.archived
        if archived is before.archived and _identical(live, before.tasks):
            return before
        return Backlog(live, archived)

    @staticmethod
    def _only_there(archived: Sequence[Row], live: Sequence[Row]) -> list[Row]:
        """A task in both files counts as in the backlog."""
        there = {row.get("uid") for row in live if isinstance(row.get("uid"), str)}
        return [row for row in archived if row.get("uid") not in there]

    def _owners(self, rows: Sequence[Row]) -> list[Task | None]:
        """Whose version each row is: by uid, else by id; None for a new task."""
        by_uid: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            uid = row.get("uid")
            if isinstance(uid, str) and (uid in self._known or uid in self.past.deleted):
                by_uid.setdefault(uid, []).append(place)
        owners: list[Task | None] = [None] * len(rows)
        for uid, places in by_uid.items():
            task = self._known.get(uid) or self.past.deleted[uid]
            # A block that was copied to begin a new task keeps its uid; the one with the id is meant.
            meant = next((place for place in places if rows[place].get("id") == task["id"]), places[0])
            owners[meant] = task
        taken = {task["id"] for task in owners if task is not None}
        for place, row in enumerate(rows):
            task_id = row.get("id")
            if owners[place] is None and isinstance(task_id, str) and task_id not in taken:
                owners[place] = self.before.get(task_id)
        return owners

    def _ids(self, rows: Sequence[Row], owners: Sequence[Task | None]) -> list[str]:
        written = {row["id"] for row in rows if isinstance(row.get("id"), str)}
        taken = {owner["id"] for owner in owners if owner is not None}
        ids = []
        for row, owner in zip(rows, owners, strict=True):
            given = row.get("id")
            if owner is not None:
                task_id = owner["id"]
                if isinstance(given, str) and given != task_id:
                    self._tell("kept their ids", f"{task_id} (the file calls it {shortened(given)})")
            elif isinstance(given, str) and looks_like_id(given) and self._is_free(given, row, taken):
                task_id = given
            else:
                while (task_id := self._new_id()) in written:
                    pass
                if isinstance(given, str):
                    self._tell("got new ids", f"{task_id} (the file calls it {shortened(given)})")
                elif self.by_hand:
                    self._tell("got new ids", task_id)
            if isinstance(given, str) and given != task_id:
                self._renamed[given] = task_id
            taken.add(task_id)
            ids.append(task_id)
        return ids

    def _is_free(self, task_id: str, row: Row, taken: set[str]) -> bool:
        """An id that another task has borne is never given out again."""
        return task_id not in taken and self.past.bearers(task_id) <= {row.get("uid")}

    def _revised(self, old: Task, row: Row) -> Task:
        task_id = old["id"]
        given = {field: row.get(field) for field in USER_FIELDS if field in row or field not in REQUIRED}
        _refuse_unknown(row, task_id)
        values = normalise(given, task_id=task_id)
        self._link(values)
        if values.get("notes"):
            values["notes"] = self._dated(values["notes"], old)
        if not self.by_hand:
            self._unwrap(old, values)
        status = values.pop("status", old["status"])
        draft = canonical({**old, **values})
        if status != old["status"] or time_problems(draft):
            if self.by_hand and status != old["status"]:
                draft |= {
                    field: row[field] for field in ("started_at", "completed_at") if _is_new_time(row, old, field)
                }
            alone = Backlog({task_id: draft})
            changed = set_status(alone, task_id, status, now=self.now, actor=self.actor, force=True)
            draft = changed.tasks[task_id]
        if same({**draft, "updated_at": old["updated_at"]}, {**old}):
            draft = old
        else:
            draft = canonical({**draft, "updated_at": self.now})
            self._tell_claim(old)
        if self.by_hand:
            self._tell_mended(row, draft)
        return draft

    def _new(self, row: Row, task_id: str, number: int) -> Task:
        _refuse_unknown(row, task_id)
        title = row.get("title")
        if title is None:
            shown = row.get("id") if isinstance(row.get("id"), str) else f"task {number} of the file"
            raise InvalidField("title", "is missing", hint="Every task has a title.", task_id=shown)
        fields = normalise({field: row[field] for field in USER_FIELDS if row.get(field) is not None}, task_id=task_id)
        self._link(fields)
        if not self.by_hand and fields.get("notes"):
            fields["notes"] = [{"text": note["text"]} for note in fields["notes"]]
        uid = row.get("uid")
        if not isinstance(uid, str) or not _is_uid(uid) or uid in self._known or uid in self.past.deleted:
            uid = self._new_uid()
        task = new_task(
            self.before,
            {field: value for field, value in fields.items() if value is not None},
            task_id=task_id,
            uid=uid,
            now=self.now,
            actor=self.actor,
            program={field: row[field] for field in _BROUGHT if row.get(field)} if self.by_hand else None,
            resolve=False,
        )
        if self.by_hand:
            self._tell_mended(row, task)
        return task

    def _link(self, values: dict[str, Any]) -> None:
        if values.get("parent"):
            values["parent"] = self._renamed.get(values["parent"], values["parent"])
        if values.get("depends_on"):
            values["depends_on"] = [self._renamed.get(target, target) for target in values["depends_on"]]

    def _dated(self, notes: Iterable[Row], old: Task) -> list[Row]:
        """Notes that are there as they are; new ones by the actor now, unless a person dated them."""
        known = {(note["at"], note["by"], note["text"]) for note in old.get("notes", ())}
        since = {note["text"]: note for note in self._current.get(old["uid"], {}).get("notes", ())}
        result = []
        for note in notes:
            at, by = note["at"], note["by"]
            if (at, by, note["text"]) not in known:
                if note["text"] in since:
                    at, by = since[note["text"]]["at"], since[note["text"]]["by"]
                elif not self.by_hand:
                    at, by = None, None
            result.append({"at": at or self.now, "by": by or self.actor, "text": note["text"]})
        return result

    def _unwrap(self, old: Task, values: dict[str, Any]) -> None:
        """Keep our text where the file's differs from it in blanks and line breaks alone."""
        for field in ("title", "description"):
            ours, theirs = old.get(field), values.get(field)
            if ours and theirs and ours != theirs and ours.split() == theirs.split():
                values[field] = ours
                self._tell("differ in blanks and line breaks alone and stay as they are", f"{old['id']} {field}")
        for field in SEQUENCE_FIELDS:
            words = {" ".join(item["text"].split()): item for item in old.get(field, ())}
            for item in values.get(field) or ():
                ours = words.get(" ".join(item["text"].split()))
                if ours is not None and item["text"] != ours["text"]:
                    item["text"] = ours["text"]
                    if field == "notes":
                        item["at"], item["by"] = ours["at"], ours["by"]

    def _tell_claim(self, old: Task) -> None:
        old = self._current.get(old["uid"], old)
        holder, until = old.get("claimed_by"), old.get("claimed_until")
        if holder is not None and holder != self.actor and until is not None and until > self.now:
            self._tell("are claimed by others", f"{old['id']} by {holder} until {until}")

    def _tell_mended(self, row: Row, task: Task) -> None:
        mended = [
            field
            for field in PROGRAM_FIELDS
            if field not in ("id", "updated_at") and not same(row.get(field), task.get(field))
        ]
        if mended:
            self._tell("were put right, as only taskkeep sets them", f"{task['id']} {', '.join(mended)}")


def by_uid(backlog: Backlog) -> dict[str, Task]:
    """All tasks, archived ones too."""
    return {task["uid"]: task for task in (*backlog.archived.values(), *backlog.tasks.values())}


def untouched(before: Backlog, after: Backlog) -> Backlog:
    """Return *after* with the tasks as *before* has them that differ from it in `updated_at` alone."""
    old = by_uid(before)
    same_but_time = {
        task["id"]: old[task["uid"]]
        for task in (*after.archived.values(), *after.tasks.values())
        if task["uid"] in old and same({**task, "updated_at": ""}, {**old[task["uid"]], "updated_at": ""})
    }
    live, archived = (
        {task_id: same_but_time.get(task_id, task) for task_id, task in tasks.items()}
        for tasks in (after.tasks, after.archived)
    )
    return Backlog(live, archived)


def upon(base: Backlog, now: Backlog, rows: Sequence[Row]) -> Backlog:
    """Return *base* with those tasks made since that *rows* speak of: who names them had seen them."""
    known = by_uid(base)
    uids, ids = ({row[field] for row in rows if isinstance(row.get(field), str)} for field in ("uid", "id"))
    since = [task for uid, task in by_uid(now).items() if uid not in known and (uid in uids or task["id"] in ids)]
    return base.replacing(*(task for task in since if task["id"] not in base)) if since else base


def _counted(what: str, of: Sequence[str]) -> str:
    shown = "; ".join(of[:TOLD]) + (f"; and {len(of) - TOLD} more" if len(of) > TOLD else "")
    return f"{what}: {shown}"


def _identical(one: Mapping[str, Task], other: Mapping[str, Task]) -> bool:
    return len(one) == len(other) and all(other.get(task_id) is task for task_id, task in one.items())


def _is_uid(uid: str) -> bool:
    return 32 <= len(uid) <= 36 and not set(uid) - set("0123456789abcdef-")


def _is_new_time(row: Row, old: Task, field: str) -> bool:
    value = row.get(field)
    return isinstance(value, str) and is_time(value) and value != old.get(field)


def _refuse_unknown(row: Row, task_id: str) -> None:
    for field in row:
        if field not in FIELDS and field != "etag":
            raise unknown_field(field, task_id=task_id)


def _refuse_twice(rows: Sequence[Row]) -> None:
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        task_id = row.get("id")
        if task_id is not None and not isinstance(task_id, str):
            raise InvalidField("id", f"of task {number} must be text, not {kind_of(task_id)}")
        if task_id in seen:
            raise InvalidField(
                "id", f"{shortened(task_id)} is given to two tasks", hint="Every task has an id of its own."
            )
        if task_id is not None:
            seen.add(task_id)


# -- what tasks held before ----------------------------------------------------------------


class Past:
    """What each task held, by the events of the log in causal order; read task by task, when asked."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events: dict[str | None, list[Event]] = {}
        self._bearers: dict[str, set[str]] = {}
        self._held: dict[str, dict[str, list[Any]]] = {}
        self.deleted: dict[str, Task] = {}
        for event in events:
            uid = event["uid"]
            for of in {choice["uid"] for choice in event["details"].get("choices", ())} | {uid}:
                self._events.setdefault(of, []).append(event)
            if uid is None:
                continue
            self._bearers.setdefault(event["task_id"], set()).add(uid)
            if event["event_type"] == "task_deleted":
                self.deleted[uid] = event["details"]["task"]
            elif event["event_type"] == "task_created":
                self.deleted.pop(uid, None)

    def bearers(self, task_id: str) -> set[str]:
        """The uids of all tasks that have borne this id."""
        return self._bearers.get(task_id, set())

    def held(self, uid: str, field: str) -> list[Any]:
        """Every value that a field of one task has had, the first first; None where it was not there."""
        if uid not in self._held:
            self._held[uid] = self._read(uid)
        return self._held[uid].get(field, [])

    def _read(self, uid: str) -> dict[str, list[Any]]:
        values: dict[str, list[Any]] = {}

        def note(field: str, value: Any) -> None:
            values.setdefault(field, []).append(None if value in ("", [], {}) else value)

        for event in self._events.get(uid, ()):
            details = event["details"]
            if event["uid"] == uid and isinstance(details.get("task"), dict):
                for field in USER_FIELDS:
                    note(field, details["task"].get(field))
            for choice in details.get("choices", ()):
                if choice["uid"] == uid and choice["field"] in USER_FIELDS:
                    note(choice["field"], choice["to"])
            if event["uid"] == uid:
                for field, change in details.get("changes", {}).items():
                    if field in USER_FIELDS:
                        note(field, apply_field(field, values.get(field, [None])[-1], change))
        return values


# -- the file that asks for it -------------------------------------------------------------


def read_rows(data: bytes, name: str) -> tuple[list[Row], list[str]]:
    """Return the tasks in *data*, a backlog that somebody or some model wrote, and what was overlooked in it.

    A byte order mark, a Markdown fence with words around it, a bare list, further keys beside the tasks
    are taken as they come. Raises InputInvalid.
    """
    try:
        value = text.loads(_without_fence(data.removeprefix(text.BOM)), name)
    except BacklogUnreadable as error:
        raise InputInvalid(error.message, line=error.line) from None
    told: list[str] = []
    if isinstance(value, dict):
        if value.get("version", text.VERSION) != text.VERSION or isinstance(value.get("version"), bool):
            raise InputInvalid(f"{name} has version {shortened(str(value['version']))}; this is {text.VERSION}")
        if further := sorted({*value} - {"$schema", "version", "schema_version", "tasks"}):
            told.append(f"{name}: passed over {', '.join(map(shortened, further[:5]))}")
        value = value.get("tasks")
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise InputInvalid(f"{name} is no backlog", hint="An object with a list of 'tasks', or that list alone.")
    if len(value) > text.MAX_TASKS:
        raise InputInvalid(f"{name} holds more than {text.MAX_TASKS} tasks")
    return value, told


def _without_fence(data: bytes) -> bytes:
    """What stands between the fences of Markdown, where the data begin with no JSON. The longest, of several."""
    if data.lstrip()[:1] in (b"{", b"[") or b"```" not in data:
        return data
    blocks: list[list[bytes]] = []
    inside = False
    for row in data.split(b"\n"):
        if row.lstrip().startswith(b"```"):
            inside = not inside
            if inside:
                blocks.append([])
        elif inside:
            blocks[-1].append(row)
    return max((b"\n".join(block) for block in blocks), key=len, default=data)


# -- what would be lost --------------------------------------------------------------------


def lost(before: Backlog, after: Backlog) -> list[Task]:
    """The tasks that *after* no longer has, in neither file."""
    kept = {task["uid"] for task in (*after.tasks.values(), *after.archived.values())}
    gone = [task for task in (*before.tasks.values(), *before.archived.values()) if task["uid"] not in kept]
    return list({task["uid"]: task for task in gone}.values())


def reverted(before: Backlog, after: Backlog, past: Past, *, cuts: bool) -> list[Reverted]:
    """What *after* would set back to a value that the task held before, and what it would drop of notes
    and criteria; with *cuts* every field that it would empty, too.
    """
    known = by_uid(before)
    archived = {task["uid"] for task in before.archived.values()} - {task["uid"] for task in before.tasks.values()}
    found: list[Reverted] = []
    for place, tasks in (("live", after.tasks), ("archive", after.archived)):
        for task in tasks.values():
            old = known.get(task["uid"])
            if old is None:
                if task["uid"] in past.deleted:
                    found.append(Reverted(task["id"], None, None, task))
                continue
            if place == "live" and task["uid"] in archived:
                found.append(Reverted(task["id"], "archived", True, False))
            if old is not task:
                found += _set_back(old, task, past, cuts)
    return found


def _set_back(old: Task, new: Task, past: Past, cuts: bool) -> list[Reverted]:
    uid, task_id = old["uid"], new["id"]
    found = []
    for field in USER_FIELDS:
        was, value = old.get(field), new.get(field)
        if was is value or same(was, value):
            continue
        held = past.held(uid, field)
        if field == "metadata":
            for key in sorted({*(was or {}), *(value or {})}):
                one, other = _key(was, key), _key(value, key)
                if one == other:
                    continue
                if other in [_key(older, key) for older in held] or (cuts and other == _ABSENT):
                    name = f"metadata.{key}"
                    found.append(Reverted(task_id, name, (was or {}).get(key), (value or {}).get(key)))
        elif _is_set_back(field, was, value, held) or (cuts and value is None):
            found.append(Reverted(task_id, field, was, value))
    return found


def _key(metadata: Any, key: str) -> str:
    if not metadata or key not in metadata:
        return _ABSENT
    return f"={metadata[key]!r}"


def _is_set_back(field: str, was: Any, value: Any, held: Sequence[Any]) -> bool:
    if field == "notes":
        return any(note not in (value or ()) for note in was or ())
    if field == "acceptance_criteria":
        return _criteria_set_back(was or [], value or [], [older or [] for older in held])
    if field in SET_FIELDS:
        return _set_set_back(set(was or ()), set(value or ()), [set(older or ()) for older in held])
    return any(same(older, value) for older in held)


def _set_set_back(was: set[str], value: set[str], held: Sequence[set[str]]) -> bool:
    """An entry that had been taken out is there again, or one that was put in later is gone again."""
    again = any(not (value - was).isdisjoint(older) for older in held)
    gone = any(not (was - value) <= older for older in held)
    return again or gone


def _criteria_set_back(was: list[Row], value: list[Row], held: Sequence[list[Row]]) -> bool:
    """A criterion is gone, ticked back, or back again. One for one is a new wording."""
    ours, theirs = {item["text"]: item["done"] for item in was}, {item["text"]: item["done"] for item in value}
    missing, new = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
    if len(missing) > len(new):
        return True
    older = [{item["text"]: item["done"] for item in items} for items in held]
    if any(name in items for name in new for items in older):
        return True
    turned = [name for name in theirs if name in ours and ours[name] != theirs[name]]
    return any(items.get(name) is theirs[name] for name in turned for items in older)


def stubs(before: Backlog, after: Backlog) -> list[str]:
    """Descriptions that shrank to a stub, in words."""
    found = []
    for task_id, task in after.tasks.items():
        old = before.tasks.get(task_id)
        if old is None or old is task:
            continue
        was, now = len(old.get("description", "")), len(task.get("description", ""))
        if was >= STUB_FROM and now * 4 < was:
            found.append(f"{task_id} from {was:,} to {now:,} characters")
    return [_counted("descriptions shrank to stubs", found)] if found else []


# -- text that was read in one encoding and written in another -----------------------------


def _refuse_mojibake(tasks: Sequence[Task], owners: Sequence[Task | None], *, certain: bool) -> None:
    found = []
    for task, owner in zip(tasks, owners, strict=True):
        if task is owner:
            continue
        for field in USER_FIELDS:
            value, was = task.get(field), (owner or {}).get(field)
            if value != was:
                found += [
                    (task["id"], field, *pair) for pair in _spoiled(list(_texts(value)), list(_texts(was)), certain)
                ]
    if found:
        raise Mojibake(found)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _spoiled(texts: Sequence[str], were: Sequence[str], certain: bool) -> Iterable[tuple[str, str]]:
    """Pairs of a spoiled text and what it was, or its spoiled run and what that means."""
    known = set(were)
    asked = {was.encode("ascii", "replace").decode(): was for was in were if not was.isascii()}
    for new in texts:
        if new in known:
            continue
        if new in asked:
            yield new, asked[new]
        elif "\ufffd" in new and not any("\ufffd" in was for was in were):
            yield new, "\ufffd"
        elif not new.isascii():
            runs = list(_runs(new))
            whole = new
            for run, meant in runs:
                whole = whole.replace(run, meant)
            fresh = [pair for pair in runs if not any(pair[0] in was for was in were)]
            if fresh and (not certain or whole in known):
                yield fresh[0]


def _runs(words: str) -> Iterable[tuple[str, str]]:
    """Runs of characters whose bytes in Windows-1252 are the UTF-8 of others, with those others."""
    import re

    for run in re.findall(r"[^\x00-\x7f]{2,}", words):
        try:
            meant = b"".join(map(_as_byte, run)).decode("utf-8")
        except UnicodeError:
            continue
        yield run, meant


def _as_byte(character: str) -> bytes:
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


# -- whether it may be ---------------------------------------------------------------------


class Allowed(NamedTuple):
    """The tasks that a user named: those that may go, and those whose fields may be set back."""

    delete: frozenset[str]
    revert: frozenset[str]


def allowed(before: Backlog, after: Backlog, delete: Iterable[str], revert: Iterable[str]) -> Allowed:
    """Read the ids that a user named, in any case. Raises TaskNotFound, AmbiguousId."""

    def ids(names: Iterable[str]) -> frozenset[str]:
        return frozenset(name.upper() if name.upper() in after else before.resolve(name) for name in names)

    return Allowed(ids(delete), ids(revert))


def refuse_losses(before: Backlog, after: Backlog, past: Past, may: Allowed, *, cuts: bool) -> None:
    """Raise TasksLost, FieldsReverted for what is lost or set back and not *may* be."""
    gone = [task for task in lost(before, after) if task["id"] not in may.delete]
    back = [one for one in reverted(before, after, past, cuts=cuts) if one.task_id not in may.revert]
    told = [one.as_json() for one in back]
    if gone:
        raise TasksLost([{"task_id": task["id"], "title": task["title"]} for task in gone], told)
    if back:
        raise FieldsReverted(told)

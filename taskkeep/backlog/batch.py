"""Many operations as one change: a JSON object each, carried out in order, all of them or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.backlog import changes
from taskkeep.backlog.backlog import Backlog
from taskkeep.backlog.claims import (
    LEASE,
    Ledger,
    check_claim,
    claim_task,
    nothing_ready,
    read_lease,
    release_task,
)
from taskkeep.backlog.rules import LINK_FIELDS, links
from taskkeep.backlog.task import check_text, etag, kind_of, nearest, shortened
from taskkeep.errors import InputInvalid, InvalidField, StaleEtag, TaskkeepError, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from taskkeep.backlog.query import Query
    from taskkeep.backlog.task import Task

QUEUE = 50  # ready tasks that are sorted at a time
STATUS_OPS = {"start": "in_progress", "cancel": "cancelled", "block": "blocked", "reopen": "todo"}
OPS = ("add", "update", "delete", "note", "claim", "release", "done", *STATUS_OPS)
SPELLINGS = {
    "new": "add",
    "create": "add",
    "close": "done",
    "finish": "done",
    "complete": "done",
    "rm": "delete",
    "remove": "delete",
}
# What every operation may say, and what each may say beside it; `add` and `update` take fields.
_COMMON = frozenset(("op", "why"))
_NAMING = frozenset(("id", "if_match", "claim"))
_OWN = {
    "delete": frozenset(("unlink", "force")),
    "note": frozenset(("text",)),
    "claim": frozenset(("lease", "labels", "role", "priority", "type", "assignee", "parent", "mine")),
    "release": frozenset(("force",)),
    "done": frozenset(("force",)),
    **{op: frozenset(("force",)) for op in STATUS_OPS},
}


class Draft(Backlog):
    """A backlog that is changed in place, so that a thousand changes do not copy it a thousand times.

    It stands wherever a change takes a backlog, and never leaves the batch: `whole` gives a plain one.
    *touched*: the ids that were changed since it was last emptied.
    """

    __slots__ = ("_named_by", "touched")

    def __init__(self, backlog: Backlog) -> None:
        super().__init__(dict(backlog.tasks), backlog.archived)
        self.touched: set[str] = set()
        self._named_by: dict[str, set[str]] | None = None

    def whole(self) -> Backlog:
        return Backlog(dict(sorted(self.tasks.items())), self.archived)

    def replacing(self, *tasks: Task) -> Draft:
        for task in tasks:
            task_id = task["id"]
            old = self.tasks.get(task_id)
            if old is task:
                continue
            self._forget(old)
            self.tasks[task_id] = task
            self._learn(task)
            self.touched.add(task_id)
        return self

    def without(self, *ids: str) -> Draft:
        for task_id in ids:
            if task_id in self.tasks:
                self._forget(self.tasks.pop(task_id))
                self.touched.add(task_id)
        return self

    def naming(self, targets: Iterable[str]) -> list[str]:
        if self._named_by is None:
            self._named_by = {}
            for task in self.tasks.values():
                self._learn(task)
        index = self._named_by
        return sorted({task_id for target in targets for task_id in index.get(target, ())})

    def _learn(self, task: Task) -> None:
        if self._named_by is not None:
            for field in LINK_FIELDS:
                for target in links(task, field):
                    self._named_by.setdefault(target, set()).add(task["id"])

    def _forget(self, task: Task | None) -> None:
        if task is not None and self._named_by is not None:
            for field in LINK_FIELDS:
                for target in links(task, field):
                    self._named_by.get(target, set()).discard(task["id"])

    def _bearers(self, alias: str) -> list[str]:
        return [task_id for task_id in super()._bearers(alias) if task_id in self]


class Batch:
    """Carries out operations on one backlog. What it leaves: *results*, *whys* by task, *lines* by task."""

    def __init__(
        self,
        backlog: Backlog,
        *,
        new_id: Callable[[], str],
        new_uid: Callable[[], str],
        now: str,
        actor: str,
        today: str,
        why: str | None,
        claims: Ledger,
    ) -> None:
        self.before, self.draft = backlog, Draft(backlog)
        self.new_id, self.new_uid, self.claims = new_id, new_uid, claims
        self.now, self.actor, self.today, self.why = now, actor, today, why
        self.results: list[dict[str, Any]] = []
        self.whys: dict[str, list[str]] = {}
        self.lines: dict[str, int] = {}
        self._added: dict[int, str] = {}
        self._queues: dict[Query, list[Task]] = {}

    def run(self, operations: Sequence[tuple[int, Any]]) -> Backlog:
        """The backlog after all *operations*, each with its line, or the same one where they change nothing.

        Raises what the first one that cannot be done raises, with its ``line`` in the details.
        """
        for line, operation in operations:
            try:
                self.results.append({"line": line, **self._carry_out(line, operation)})
            except TaskkeepError as error:
                raise at_line(error, line) from None
        return self.draft.whole() if self.lines else self.before

    def _carry_out(self, line: int, given: Any) -> dict[str, Any]:
        op, values = _read(given)
        self.draft.touched.clear()
        result: dict[str, Any] = {"op": op}
        why = values.pop("why", None)
        if why is not None:
            check_text("why", why)
        if op == "add":
            result["id"] = self._add(line, values)
        elif op == "claim":
            result["id"], result["claim"] = self._claim(values)
        else:
            result["id"] = self._on_task(op, values, why)
        if op not in ("claim", "note") and self.draft.touched:
            self._queues.clear()
        for task_id in self.draft.touched:
            self.lines[task_id] = line
            if why:
                self.whys.setdefault(task_id, []).append(why)
        return result

    # -- operations ----------------------------------------------------------------------

    def _add(self, line: int, values: dict[str, Any]) -> str:
        fields = self._with_links(values)
        task_id = self.new_id()
        changes.add_task(self.draft, fields, task_id=task_id, uid=self.new_uid(), now=self.now, actor=self.actor)
        self._added[line] = task_id
        return task_id

    def _on_task(self, op: str, values: dict[str, Any], why: str | None) -> str:
        if "id" not in values:
            raise InvalidField("id", "is missing", hint="'id' says which task.")
        task_id = self._named(values.pop("id"))
        etag_given = values.pop("if_match", None)
        if etag_given is None and op == "update":
            etag_given = changes.object_etag(values)
        self._expect(task_id, etag_given, values.pop("claim", None))
        who: dict[str, Any] = {"now": self.now, "actor": self.actor}
        force = values.pop("force", False)
        if not isinstance(force, bool):
            raise InvalidField("force", "is true or false")
        if op == "update":
            changes.merge_object(self.draft, task_id, self._with_links(values), force=force, **who)
        elif op == "note":
            if "text" not in values:
                raise InvalidField("text", "is missing", hint="The note stands in 'text'.")
            changes.add_note(self.draft, task_id, values["text"], **who)
        elif op == "delete":
            if not (why or self.why or "").strip():
                raise Usage("deleting needs a reason", hint="Say it with 'why'; it stays in the log.")
            unlink = values.get("unlink", False)
            if not isinstance(unlink, bool):
                raise InvalidField("unlink", "is true or false")
            changes.delete_tasks(self.draft, [task_id], unlink=unlink, force=force, **who)
        elif op == "release":
            release_task(self.draft, task_id, force=force, **who)
        elif op == "done":
            # The rule on dependencies is that of the command 'done' alone.
            changes.set_status(self.draft, task_id, "done", force=force, **who)
        else:
            changes.set_status(self.draft, task_id, STATUS_OPS[op], force=force, **who)
        return task_id

    def _claim(self, values: dict[str, Any]) -> tuple[str, int]:
        lease = values.get("lease", LEASE)
        if not isinstance(lease, str):
            raise InvalidField("lease", f"must be text, not {kind_of(lease)}", hint="Write it like 30m.")
        filters = {name: values[name] for name in _OWN["claim"] - {"lease"} if values.get(name) not in (None, [])}
        if values.get("id") is None:
            if values.get("if_match") is not None or values.get("claim") is not None:
                raise Usage("if_match and claim go with a task that is named", hint="Name it, or leave them out.")
            task_id = self._best(self._query(filters))
        else:
            if filters:
                raise Usage("filters choose among ready tasks, and one is named", hint="Leave out one of both.")
            task_id = self._named(values["id"])
            self._expect(task_id, values.get("if_match"), values.get("claim"))
        claim_task(self.draft, task_id, ledger=self.claims, lease=read_lease(lease), now=self.now, actor=self.actor)
        return task_id, self.claims.last(self.draft.tasks[task_id]["uid"])

    def _query(self, filters: Mapping[str, Any]) -> Query:
        from taskkeep.backlog.query import Query

        def texts(field: str) -> tuple[str, ...]:
            value = filters.get(field, ())
            value = (value,) if isinstance(value, str) else value
            if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
                raise InvalidField(field, "is text or a list of texts")
            return tuple(value)

        mine = filters.get("mine", False)
        if not isinstance(mine, bool):
            raise InvalidField("mine", "is true or false")
        return Query(
            labels=texts("labels"),
            roles=texts("role"),
            priorities=texts("priority"),
            types=texts("type"),
            assignees=texts("assignee"),
            parents=tuple(self._named(name) for name in texts("parent")),
            mine=mine,
            limit=QUEUE,
        )

    def _best(self, query: Query) -> str:
        """The best ready task; sorted once, as long as nothing but claims and notes comes between."""
        from taskkeep.backlog.query import is_ready, ready

        while True:
            if not self._queues.get(query):
                page = ready(self.draft, query, now=self.now, actor=self.actor, today=self.today)
                if not page.tasks:
                    raise nothing_ready(self.draft, now=self.now)
                self._queues[query] = page.tasks[::-1]
            queue = self._queues[query]
            while queue:
                task = self.draft.tasks[queue.pop()["id"]]
                if is_ready(self.draft, task, now=self.now):
                    task_id: str = task["id"]
                    return task_id

    # -- names ---------------------------------------------------------------------------

    def _named(self, text: Any) -> str:
        """The id that *text* means, ``$3`` being the task that line 3 added."""
        if not isinstance(text, str):
            raise InvalidField("id", f"must be text, not {kind_of(text)}")
        return self.draft.resolve(self._reference(text))

    def _reference(self, text: Any) -> Any:
        if not isinstance(text, str) or not text.startswith("$"):
            return text
        number = text[1:]
        line = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0
        if line not in self._added:
            raise InputInvalid(
                f"{shortened(text)} names no line above that adds a task",
                hint="'$3' stands for the task that line 3 added.",
            )
        return self._added[line]

    def _with_links(self, values: dict[str, Any]) -> dict[str, Any]:
        """*values* with the references in its links made ids."""
        result = dict(values)
        for field in LINK_FIELDS:
            value = result.get(field)
            if isinstance(value, str):
                result[field] = self._reference(value)
            elif isinstance(value, list):
                result[field] = [self._reference(item) for item in value]
        return result

    def _expect(self, task_id: str, wanted: Any, claim: Any) -> None:
        """Hold the task as it was before the batch against an etag, and a number against its last claim."""
        if wanted is not None:
            if not isinstance(wanted, str):
                raise InvalidField("if_match", f"must be text, not {kind_of(wanted)}")
            task = self.before.get(task_id) or self.draft.find(task_id)
            if etag(task) != wanted:
                raise StaleEtag(task["id"], task, etag(task), wanted)
        if claim is not None:
            if not isinstance(claim, int) or isinstance(claim, bool):
                raise InvalidField("claim", f"must be a number, not {kind_of(claim)}")
            check_claim(self.draft, task_id, claim, self.claims)


def at_line(error: TaskkeepError, line: int) -> TaskkeepError:
    """*error* as that of one line of a batch."""
    if "line" not in error.details or error.details["line"] is None:
        error.message = f"line {line}: {error.message}"
        error.details["line"] = line
    return error


def line_of(error: TaskkeepError, lines: Mapping[str, int]) -> int | None:
    """The line that most likely made the whole wrong: the last one that touched a task that *error* names."""
    names = [error.details.get("task_id"), *(error.details.get("path") or ())]
    return max((lines[name] for name in names if name in lines), default=None)


def _read(given: Any) -> tuple[str, dict[str, Any]]:
    """The operation and what it says, checked for words that it does not know."""
    if not isinstance(given, dict):
        raise InputInvalid(
            f"an operation is a JSON object, not {kind_of(given)}",
            hint='{"op": "add", "title": "…"}, no list around it.',
        )
    op = given.get("op")
    if not isinstance(op, str):
        problem = "names no operation" if op is None else f"has an operation that is {kind_of(op)}"
        raise InputInvalid(f"the line {problem}", hint=f"'op' is one of: {', '.join(OPS)}.")
    op = SPELLINGS.get(op, op)
    if op not in OPS:
        near = nearest(op, (*OPS, *SPELLINGS))
        hint = f"Did you mean {SPELLINGS.get(near[0], near[0])}?" if near else f"One of: {', '.join(OPS)}."
        raise InputInvalid(f"there is no operation '{shortened(op)}'", hint=hint)
    values = {name: value for name, value in given.items() if name != "op"}
    if op == "add":
        if strange := sorted(_NAMING & values.keys()):
            raise InvalidField(strange[0], "makes no sense for a new task")
    elif op != "update":
        known = _COMMON | _NAMING | _OWN[op]
        for name in values:
            if name not in known:
                raise InvalidField(
                    shortened(name), f"says nothing to '{op}'", hint=f"It takes: {', '.join(sorted(known - {'op'}))}."
                )
    return op, values

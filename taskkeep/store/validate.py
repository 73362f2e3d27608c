"""The reference check of tasks against the JSON Schema, asked where the quick check is not sure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taskkeep.backlog import text
from taskkeep.backlog.shape import beyond_schema, quick_ok
from taskkeep.backlog.task import FIELDS, shortened
from taskkeep.errors import BacklogUnreadable, InvalidField, UnknownField
from taskkeep.store.schemas import schema_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskkeep.backlog.task import Task

_known = frozenset(FIELDS)


def check_tasks(tasks: Iterable[Task], *, unknown_fields: bool = False) -> None:
    """Raise InvalidField or UnknownField for the first task that is not shaped as version 1.

    *unknown_fields*: let fields pass that a newer version may have written.
    """
    for task in tasks:
        if quick_ok(task):
            continue
        if problem := task_problem(task, unknown_fields=unknown_fields):
            raise problem


def refuse_unknown_fields(tasks: Iterable[Task]) -> None:
    """Raise UnknownField where a newer version has written a field that this one would not keep."""
    from taskkeep import __version__

    for task in tasks:
        if not _known.issuperset(task):
            raise UnknownField(shortened(min(set(task) - _known)), __version__, task_id=task.get("id"))


def refuse_double_ids(tasks: Sequence[Task], name: str) -> None:
    """Raise BacklogUnreadable where two tasks of file *name* have one id."""
    seen = set()
    for task in tasks:
        if task["id"] in seen:
            raise BacklogUnreadable("duplicate_id", f"{name} holds {task['id']} twice", task_id=task["id"])
        seen.add(task["id"])


def tasks_by_id(data: bytes, name: str) -> dict[str, Task]:
    """The tasks that the bytes of file *name* hold. Raises BacklogUnreadable."""
    tasks = text.parse(data, name)
    refuse_double_ids(tasks, name)
    return {task["id"]: task for task in tasks}


def task_problem(task: Task, *, unknown_fields: bool = False) -> InvalidField | UnknownField | None:
    """Return what is wrong with one task by the schema, None where nothing is."""
    shown = task.get("id")
    task_id = shown if isinstance(shown, str) else None
    if not unknown_fields and not _known.issuperset(task):
        from taskkeep import __version__

        return UnknownField(shortened(min(set(task) - _known)), __version__, task_id=task_id)
    known = {field: task[field] for field in FIELDS if field in task}
    if isinstance(known.get("metadata"), dict):
        known["metadata"] = {}  # which may be large, and `beyond_schema` judges it by the same rules
    for error in sorted(
        _validator().iter_errors(known), key=lambda one: (list(map(str, one.absolute_path)), one.message)
    ):
        field = str(error.absolute_path[0]) if error.absolute_path else missing_field(error)
        return InvalidField(shortened(field), words(error), task_id=task_id)
    if beyond := beyond_schema(task):
        return InvalidField(beyond[0], beyond[1], task_id=task_id)
    return None


def missing_field(error: Any) -> str:
    """The field that an error of jsonschema about a whole task is about."""
    needed = error.validator_value if error.validator == "required" else ()
    return next((str(name) for name in needed if name not in error.instance), "task")


def words(error: Any) -> str:
    """What one error of jsonschema says, as the rest of a sentence that begins with the field."""
    if error.validator == "required":
        return "is missing"
    if error.validator == "enum":
        return f"is {shortened(str(error.instance))}, not one of {', '.join(map(str, error.validator_value))}"
    if error.validator == "type":
        return f"is not of type {error.validator_value}"
    if error.validator in ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern"):
        return f"does not keep to {error.validator} {shortened(str(error.validator_value))}"
    return f"is not allowed by the schema ({error.validator})"


_made: list[Any] = []


def _validator() -> Any:
    if not _made:
        import jsonschema

        schema = json.loads(schema_text("backlog.schema.json"))
        one = {"$ref": "#/$defs/task", "$defs": schema["$defs"]}
        _made.append(jsonschema.Draft202012Validator(one))
    return _made[0]

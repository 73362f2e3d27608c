"""What a project's configuration demands of tasks beyond the schema: it can narrow, never widen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.backlog.task import FIELDS, shortened
from taskkeep.errors import ConfigInvalid, InvalidField

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from taskkeep.backlog.task import Task

HINT = "The project demands it in .taskkeep/config.toml."


class Narrowing:
    """The rules of ``[schema]`` (a JSON Schema for a field, and ``required``) and ``[metadata]`` (one for a key).

    Raises ConfigInvalid where they are none.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        # jsonschema fetches what a reference names from the network unless it is given a closed registry.
        from jsonschema import Draft202012Validator, SchemaError
        from referencing import Registry

        fields = dict(config["schema"])
        required = fields.pop("required", [])
        for name in [*fields, *(required if isinstance(required, list) else ())]:
            if name not in FIELDS:
                raise ConfigInvalid(f".taskkeep/config.toml: [schema] names a field {str(name)[:40]!r} that is none")
        own = {"metadata": {"properties": config["metadata"]}} if config["metadata"] else {}
        both = [{"required": required, "properties": fields}, {"properties": own}]
        try:
            Draft202012Validator.check_schema({"allOf": both})
        except SchemaError as error:
            place = ".".join(map(str, list(error.absolute_path)[2:]))
            raise ConfigInvalid(f".taskkeep/config.toml: {place or 'schema'}: {error.message[:80]}") from None
        self._validator = Draft202012Validator({"allOf": both}, registry=Registry())

    def problems(self, task: Task) -> list[InvalidField]:
        """What is wrong with a task by these rules. Raises ConfigInvalid for a reference that leads nowhere."""
        from referencing.exceptions import Unresolvable

        from taskkeep.store.validate import missing_field, words

        try:
            found = sorted(self._validator.iter_errors(task), key=lambda one: list(map(str, one.absolute_path)))
        except Unresolvable as error:
            raise ConfigInvalid(f".taskkeep/config.toml: a reference leads nowhere: {error.ref[:60]}") from None
        return [
            InvalidField(
                ".".join(map(shortened, map(str, error.absolute_path))) or missing_field(error),
                words(error),
                hint=HINT,
                task_id=task["id"],
            )
            for error in found
        ]

    def refuse_worse(self, pairs: Iterable[tuple[Task | None, Task]]) -> list[str]:
        """Raise InvalidField for what a change (task before, task after) breaks; what was broken is a warning."""
        warnings: list[str] = []
        for before, after in pairs:
            old = {problem.message for problem in self.problems(before)} if before is not None else set()
            for problem in self.problems(after):
                if problem.message not in old:
                    raise problem
                warnings.append(problem.message)
        return warnings


def narrowing_of(config: Mapping[str, Any]) -> Narrowing | None:
    """The rules of a configuration, None where it has none. Raises ConfigInvalid."""
    return Narrowing(config) if config["schema"] or config["metadata"] else None

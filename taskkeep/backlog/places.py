"""On which line of a backlog's text each task and field stands, whatever its layout."""

from __future__ import annotations

import re
from bisect import bisect
from functools import cached_property
from typing import NamedTuple

# A string, with its colon where it is a key; or what opens and closes. All else tells nothing of places.
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"(\s*:)?|[{}\[\]]')
_TASK_DEPTH = 3  # the envelope, the list of tasks, a task


class Place(NamedTuple):
    """A task in the text: its id as it stands there, its line, and the lines of its fields."""

    task_id: str
    line: int
    fields: dict[str, int]


class Places:
    """A map of one text, made when it is first asked. For annotations: a guess where the text is no JSON."""

    def __init__(self, data: bytes) -> None:
        self._text = data.decode("utf-8", "replace")

    @cached_property
    def all(self) -> list[Place]:
        return self._read()

    @cached_property
    def _by_id(self) -> dict[str, list[Place]]:
        found: dict[str, list[Place]] = {}
        for place in self.all:
            found.setdefault(place.task_id, []).append(place)
        return found

    @cached_property
    def _sorted(self) -> list[str]:
        return [place.task_id for place in self.all]

    def task(self, task_id: str, *, last: bool = False) -> int | None:
        """The line of the first (or last) task of this id."""
        lines = [place.line for place in self._by_id.get(task_id, ())]
        return lines[-1 if last else 0] if lines else None

    def field(self, task_id: str, field: str | None) -> int | None:
        """The line of a task's field, that of the task where it has none of this name."""
        for place in self._by_id.get(task_id, ()):
            return place.fields.get(field or "", place.line)
        return None

    def gap(self, task_id: str) -> int:
        """Where a task that is gone would stand: the line of the one after it, else of the last."""
        if not self.all:
            return 1
        return self.all[min(bisect(self._sorted, task_id), len(self.all) - 1)].line

    def second_key(self, key: str) -> int | None:
        """The line on which an object gives *key* for the second time."""
        opened: list[set[str]] = []
        for token in _TOKEN.finditer(self._text):
            word = token[0]
            if word == "{":
                opened.append(set())
            elif word == "}" and opened:
                opened.pop()
            elif token[1] and opened:
                name = word[: -len(token[1])][1:-1]
                if name == key and name in opened[-1]:
                    return self._text.count("\n", 0, token.start()) + 1
                opened[-1].add(name)
        return None

    def _read(self) -> list[Place]:
        found: list[Place] = []
        text, depth, in_tasks, at, line = self._text, 0, False, 0, 1
        fields: dict[str, int] = {}
        task_id, own, wants_id = "", 0, False
        for token in _TOKEN.finditer(text):
            word = token[0]
            if word in "{[":
                depth += 1
                if depth == _TASK_DEPTH and in_tasks and word == "{":
                    line += text.count("\n", at, token.start())
                    at = token.start()
                    task_id, fields, own = "", {}, line
            elif word in "}]":
                if depth == _TASK_DEPTH and in_tasks and word == "}":
                    found.append(Place(task_id, fields.get("id", own), fields))
                depth -= 1
            elif token[1]:
                name = word[: -len(token[1])][1:-1]
                if depth == 1:
                    in_tasks = name == "tasks"
                elif depth == _TASK_DEPTH and in_tasks:
                    line += text.count("\n", at, token.start())
                    at = token.start()
                    fields.setdefault(name, line)
                    wants_id = name == "id"
            elif wants_id:
                task_id, wants_id = word[1:-1], False
        return found

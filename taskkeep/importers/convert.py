"""One foreign object after the other becomes a draft, by the tables of its format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.backlog.task import (
    CHOICES,
    FINISHED,
    LINE_LIMIT,
    METADATA_DEPTH,
    REF_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    shortened,
)
from taskkeep.backlog.text import MAX_TASKS
from taskkeep.errors import InputInvalid
from taskkeep.importers.draft import Draft, Plan, Report, plain, squashed
from taskkeep.importers.values import criteria, criterion, day, display, long_text, moment, name_of, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from taskkeep.importers.draft import Rules

    _Setter = Callable[["_Object", str, Any], bool]
    _Step = tuple[str, str, _Setter | None]

DEFAULTS = {"status": "todo", "priority": "medium", "type": "task"}
TOLD_AS = {"key": "external_refs", "section": "description", "finished": "status"}
NESTING_LIMIT = 32  # levels of subtasks


class Format(NamedTuple):
    """The tables of a format.

    *fields* leads from their field (as `draft.plain` spells it) to a field of ours or one of ``key``
    (a name of the task), ``subtasks``, ``finished`` (a flag), ``section`` (text with a heading of its
    own in the description), ``ignored``, ``dependencies`` (left to the format). *values* leads from
    their value (`draft.squashed`) to ours; *narrower* are values that say more than ours do, and are
    therefore kept in metadata as well.
    """

    name: str
    fields: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]]
    narrower: frozenset[str]


class _Object:
    """A draft on the way: what was read, and the links as the file writes them."""

    __slots__ = (
        "above",
        "depends_on",
        "fields",
        "group",
        "key",
        "metadata",
        "names",
        "parent",
        "place",
        "program",
        "raw",
        "sections",
        "uid",
    )

    def __init__(self, place: str, raw: Mapping[str, Any], group: int, above: _Object | None) -> None:
        self.place = place
        self.raw = raw
        self.group = group
        self.above = above
        self.key = ""
        self.names: list[str] = []
        self.uid: str | None = None
        self.fields: dict[str, Any] = {}
        self.program: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.sections: list[tuple[str, str]] = []
        self.depends_on: list[str] = []
        self.parent: str | None = None


class Converter:
    """Takes the objects of one file and gives the plan."""

    def __init__(self, format: Format, rules: Rules) -> None:
        self.format = format
        self.rules = rules
        self.report = Report(format.name)
        self._objects: list[_Object] = []
        self._fields = {**format.fields, **rules.fields}
        self._groups = 0
        self._layouts: dict[tuple[str, ...], list[_Step]] = {}
        self._choices: dict[object, tuple[str, bool, dict[str, Any]]] = {}

    # -- taking objects ------------------------------------------------------------------

    def take(self, objects: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Take the objects of one list, each with its place; ids are looked up within the list first."""
        self._groups += 1
        for place, raw in objects:
            self._take(place, raw, None, 1)

    def _take(self, place: str, raw: Mapping[str, Any], above: _Object | None, level: int) -> None:
        if level > NESTING_LIMIT:
            raise InputInvalid(f"{place}: subtasks are nested deeper than {NESTING_LIMIT} levels")
        if len(self._objects) >= MAX_TASKS:
            raise InputInvalid(f"the file holds more than {MAX_TASKS} tasks")
        made = _Object(place, raw, self._groups, above)
        self._objects.append(made)
        below: list[Any] = []
        for theirs, target, setter in self._steps(tuple(raw)):
            value = raw[theirs]
            if value is None or value == "" or value == [] or value == {}:
                continue
            if setter is not None:
                if not setter(made, theirs, value):
                    self._keep(made, theirs, value)
                elif target not in ("ignored", "dependencies"):
                    self.report.mapped(theirs, TOLD_AS.get(target, target))
            elif target == "subtasks" and (items := as_list(value)) is not None:
                below += self._subtasks(made, theirs, items)
            else:
                self._keep(made, theirs, value)
        self._finish(made)
        self._name(made)
        for item_place, item in below:
            self._take(item_place, item, made, level + 1)

    def _subtasks(self, made: _Object, theirs: str, items: list[Any]) -> list[Any]:
        found, rest = [], []
        for number, item in enumerate(items, 1):
            if isinstance(item, dict):
                found.append((f"{made.place}.{theirs}[{number}]", item))
            elif isinstance(item, str) and item.strip():
                self._add_criteria(made, theirs, [criterion(self._text(made, theirs, item))])
            elif item is not None:
                rest.append(item)
        if rest:
            self._keep(made, theirs, rest)
        if found:
            self.report.mapped(theirs, "parent")
        return found

    def _steps(self, layout: tuple[str, ...]) -> list[_Step]:
        """What to do with the fields of an object, in which order; objects of a file are much alike.

        A field that bears our name goes before another that means the same, a flag after a status;
        what is kept in metadata gives way to what stands there already.
        """
        steps = self._layouts.get(layout)
        if steps is None:
            steps = []
            for theirs in layout:
                target = self._fields.get(plain(theirs), "")
                steps.append((theirs, target, self._setter(target)))
            steps.sort(key=lambda step: (step[1] != "metadata", step[1] == "finished", step[0] != step[1]))
            self._layouts[layout] = steps
        return steps

    def _setter(self, target: str) -> _Setter | None:
        """What gives a value its place, and answers False where it has none and is to be kept in metadata."""
        if target in ("", "subtasks"):
            return None
        if target in CHOICES:
            return lambda made, theirs, value: self._set_choice(made, target, value)
        if target in ("assignee", "role"):
            return lambda made, theirs, value: self._set_line(made.fields, target, made, theirs, value)
        if target == "created_by":
            return lambda made, theirs, value: self._set_line(made.program, target, made, theirs, value)
        if target.endswith("_at"):
            return lambda made, theirs, value: self._set_moment(made, target, value)
        setter: _Setter = getattr(self, f"_set_{target}")
        return setter

    def _keep(self, made: _Object, theirs: str, value: Any) -> None:
        key = long_text(theirs, lambda problem: self.report.text(made.place, "metadata", problem)) or "_"
        while key in made.metadata:
            key = f"{self.format.name}_{key}"
        made.metadata[key] = self._clean(made, key, value, 2)
        self.report.kept(theirs)

    def _clean(self, made: _Object, field: str, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(made, field, value)
        if isinstance(value, (dict, list)):
            if depth > METADATA_DEPTH:
                raise InputInvalid(f"{made.place}: {field} is nested deeper than {METADATA_DEPTH} levels")
            if isinstance(value, list):
                return [self._clean(made, field, item, depth + 1) for item in value]
            return {
                self._text(made, field, key): self._clean(made, field, item, depth + 1) for key, item in value.items()
            }
        return value

    # -- text ----------------------------------------------------------------------------

    def _text(self, made: _Object, field: str, text: str) -> str:
        text = long_text(text, lambda problem: self.report.text(made.place, field, problem))
        if len(text) > TEXT_LIMIT // 4 and len(text.encode()) > TEXT_LIMIT:
            raise InputInvalid(
                f"{made.place}: {shortened(field)} is longer than 1 MiB",
                hint="Shorten it in the file, or put it into a file of its own.",
            )
        return text

    def _line(self, made: _Object, field: str, value: Any, limit: int = LINE_LIMIT) -> str | None:
        """One line of text within the limit, or None."""
        if isinstance(value, dict):
            value = next((value[key] for key in ("name", "login", "title", "id") if value.get(key)), None)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            return None
        text = one_line(value, lambda problem: self.report.text(made.place, field, problem))
        return text if text and len(text) <= limit else None

    def _set_line(self, fields: dict[str, Any], target: str, made: _Object, theirs: str, value: Any) -> bool:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        text = self._line(made, theirs, value)
        if text is None or target in fields:
            return False
        fields[target] = text
        return True

    def _set_title(self, made: _Object, theirs: str, value: Any) -> bool:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or "title" in made.fields:
            return False
        title = one_line(value, lambda problem: self.report.text(made.place, "title", problem))
        if not title:
            return False
        self._give_title(made, title)
        return True

    def _give_title(self, made: _Object, title: str) -> None:
        if len(title) > TITLE_LIMIT:
            made.sections.insert(0, ("", title))
            title = title[: TITLE_LIMIT - 1].rstrip() + "…"
            self.report.text(made.place, "title", "was cut; the whole of it begins the description")
        made.fields["title"] = title

    def _set_description(self, made: _Object, theirs: str, value: Any) -> bool:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = "\n".join(value)
        if "description" in made.fields:
            return self._set_section(made, theirs, value)
        if not isinstance(value, str):
            return False
        text = self._text(made, theirs, value)
        if text.strip():
            made.fields["description"] = text
        return True

    def _set_section(self, made: _Object, theirs: str, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        text = self._text(made, theirs, value)
        if text.strip():
            made.sections.append((heading(theirs), text))
        return True

    def _set_acceptance_criteria(self, made: _Object, theirs: str, value: Any) -> bool:
        found: list[dict[str, Any]] = []
        whole = True
        if isinstance(value, str):
            found = criteria(self._text(made, theirs, value))
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, str):
                    found.append(criterion(self._text(made, theirs, item)))
                    continue
                rest = dict(item) if isinstance(item, dict) else {}
                text, done = _taken(rest, CRITERION_TEXTS), _taken(rest, CRITERION_FLAGS)
                if not isinstance(text, str):
                    return False
                found.append({"text": self._text(made, theirs, text).strip(), "done": done is True})
                whole = whole and isinstance(done, (bool, type(None))) and _says_no_more(rest)
        if not found:
            return False
        self._add_criteria(made, theirs, found)
        return whole

    def _add_criteria(self, made: _Object, theirs: str, found: list[dict[str, Any]]) -> None:
        there = made.fields.setdefault("acceptance_criteria", [])
        there += [item for item in found if item["text"]]
        if not there:
            del made.fields["acceptance_criteria"]

    def _set_notes(self, made: _Object, theirs: str, value: Any) -> bool:
        found = []
        whole = True
        for item in value if isinstance(value, list) else [value]:
            rest = dict(item) if isinstance(item, dict) else {"text": item}
            text, at, by = (_taken(rest, keys) for keys in (NOTE_TEXTS, NOTE_TIMES, NOTE_AUTHORS))
            if not isinstance(text, str):
                return False
            time, author = moment(at), self._line(made, theirs, by)
            if (text := self._text(made, theirs, text)).strip():
                note = {"text": text, "at": time, "by": author}
                found.append({field: said for field, said in note.items() if said is not None})
            whole = whole and _says_no_more(rest) and (time is None, author is None) == (at is None, by is None)
        if found:
            made.fields.setdefault("notes", []).extend(found)
        return whole

    # -- lists of lines ------------------------------------------------------------------

    def _set_labels(self, made: _Object, theirs: str, value: Any) -> bool:
        return self._set_lines(made.fields, "labels", made, theirs, value, LINE_LIMIT)

    def _set_external_refs(self, made: _Object, theirs: str, value: Any) -> bool:
        return self._set_lines(made.fields, "external_refs", made, theirs, value, REF_LIMIT)

    def _set_aliases(self, made: _Object, theirs: str, value: Any) -> bool:
        return self._set_lines(made.program, "aliases", made, theirs, value, LINE_LIMIT)

    def _set_lines(
        self, fields: dict[str, Any], target: str, made: _Object, theirs: str, value: Any, limit: int
    ) -> bool:
        if isinstance(value, str):
            value = value.split(",") if target == "labels" else [value]
        if not isinstance(value, list):
            return False
        lines = [self._line(made, theirs, item, limit) for item in value if item != ""]
        if None in lines:
            return False  # all of it is kept in metadata, as it was
        fields.setdefault(target, []).extend(lines)
        return True

    # -- choices, times ------------------------------------------------------------------

    def _set_choice(self, made: _Object, field: str, value: Any) -> bool:
        if field in made.fields or isinstance(value, (dict, list)):
            return False
        key = (field, type(value), value)  # True is no 1
        known = self._choices.get(key)
        if known is None:
            ours, is_known, whole = self._choice(field, squashed(value))
            known = self._choices[key] = ours, whole, self.report.value(field, value, ours, known=is_known)
        ours, whole, told = known
        made.fields[field] = ours
        told["count"] += 1
        if not whole:
            self._keep(made, field, value)
        return True

    def _choice(self, field: str, theirs: str) -> tuple[str, bool, bool]:
        """What a value becomes, whether it was known, and whether ours says all that it says."""
        if (ours := self.rules.values[field].get(theirs)) is not None:
            return ours, True, True
        if theirs in CHOICES[field]:
            return theirs, True, True
        if (ours := self.format.values[field].get(theirs)) is not None:
            return ours, True, theirs not in self.format.narrower
        return DEFAULTS[field], False, False

    def _set_finished(self, made: _Object, theirs: str, value: Any) -> bool:
        if isinstance(value, bool):
            status = made.fields.setdefault("status", "done" if value else "todo")
            return (status in FINISHED) == value
        return self._set_moment(made, "completed_at", value)

    def _set_due(self, made: _Object, theirs: str, value: Any) -> bool:
        found = day(value)
        if found is None or "due" in made.fields:
            return False
        made.fields["due"] = found
        return bool(found == value)  # the time of the day is kept in metadata

    def _set_moment(self, made: _Object, target: str, value: Any) -> bool:
        found = moment(value)
        if found is None or target in made.program:
            return False
        made.program[target] = found
        return True

    # -- names, links --------------------------------------------------------------------

    def _set_key(self, made: _Object, theirs: str, value: Any) -> bool:
        name = name_of(value)
        if name is None:
            return False
        if plain(theirs) == "uuid":
            made.names.insert(0, name)  # lasts where numbers are given out again
        else:
            made.names.append(name)
        return True

    def _set_uid(self, made: _Object, theirs: str, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        made.uid = value
        return True

    def _set_ignored(self, made: _Object, theirs: str, value: Any) -> bool:
        self.report.left(theirs)
        return True

    def _set_parent(self, made: _Object, theirs: str, value: Any) -> bool:
        name = _link_name(value)
        if name is None or (made.parent is not None and made.parent != name):
            return False
        made.parent = name
        return True

    def _set_depends_on(self, made: _Object, theirs: str, value: Any) -> bool:
        if isinstance(value, str):
            value = value.split(",")
        items = value if isinstance(value, list) else [value]
        names = [_link_name(item) for item in items]
        if None in names:
            return False
        made.depends_on += [name for name in names if name and name not in made.depends_on]
        return all(_says_no_more(item) for item in items if isinstance(item, dict))

    def _set_metadata(self, made: _Object, theirs: str, value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        for key, item in value.items():
            clean = self._text(made, "metadata", key) or "_"
            made.metadata.setdefault(clean, self._clean(made, "metadata", item, 2))
        return True

    def _set_dependencies(self, made: _Object, theirs: str, value: Any) -> bool:
        """Links in a list: names, or objects with a type, of which only two have a place of ours."""
        if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
            return self._set_depends_on(made, theirs, value)
        others = []
        for item in value:
            name = _link_name(item)
            kind = squashed(item.get("type") or "blocks") if isinstance(item, dict) else "blocks"
            if name is None:
                others.append(item)
            elif kind == "blocks":
                self._set_depends_on(made, theirs, [name])
                self.report.mapped(f"{theirs}: blocks", "depends_on")
            elif kind == "parent_child" and self._set_parent(made, theirs, name):
                self.report.mapped(f"{theirs}: parent-child", "parent")
            else:
                others.append(item)
        if others:
            self._keep(made, theirs, others)
        return True

    # -- one object done -----------------------------------------------------------------

    def _finish(self, made: _Object) -> None:
        fields, program = made.fields, made.program
        if "title" not in fields:
            self._find_title(made)
        if made.sections:
            texts = [f"## {title}\n\n{text}" if title else text for title, text in made.sections]
            place = 1 if made.sections[0][0] == "" else 0
            if fields.get("description"):
                texts.insert(place, fields["description"])
            fields["description"] = self._text(made, "description", "\n\n".join(texts))
        if "status" not in fields and "completed_at" in program:
            fields["status"] = "done"
        if fields.get("status") in FINISHED:
            if "completed_at" not in program and "updated_at" in program:
                program["completed_at"] = program["updated_at"]
        elif "completed_at" in program:
            self._keep(made, "completed_at", program.pop("completed_at"))

    def _find_title(self, made: _Object) -> None:
        """A task without a title is called by the first line of its description, else by its name."""
        first, _, rest = str(made.fields.get("description", "")).lstrip("\n").partition("\n")
        title = one_line(first, lambda problem: None)
        if title:
            self._give_title(made, title)
            if rest.strip():
                made.fields["description"] = rest.lstrip("\n")
            else:
                del made.fields["description"]
            return
        self._give_title(made, made.names[0] if made.names else "(no title)")
        self.report.text(made.place, "title", "is missing; the task is called by its id")

    def _name(self, made: _Object) -> None:
        if not made.names:
            made.key = f"sha256-{_digest(made.raw)}"
        elif made.above is not None and made.names[0].replace(".", "").isdigit():
            # Numbers of subtasks count within their task.
            number = made.names[0]
            made.key = number if number.startswith(f"{made.above.key}.") else f"{made.above.key}.{number}"
        else:
            made.key = made.names[0]

    # -- the plan ------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Everything taken so far, its links resolved. Raises InputInvalid for links in a circle."""
        objects = self._distinct()
        scopes = _Scopes(objects)
        drafts = []
        for made in objects:
            depends_on = [scopes.key(made, name) for name in made.depends_on]
            parent = made.above.key if made.above is not None else None
            if made.parent is not None:
                if parent is None:
                    parent = scopes.key(made, made.parent)
                elif scopes.key(made, made.parent) != parent:
                    self._keep(made, "parent", made.parent)
            if made.metadata:
                made.fields["metadata"] = made.metadata
            ref = f"{self.rules.prefix}:{made.key}"
            made.fields["external_refs"] = sorted({*made.fields.get("external_refs", ()), ref})
            drafts.append(
                Draft(
                    place=f"{made.place} ({shortened(made.key)})" if made.names else made.place,
                    key=made.key,
                    ref=ref,
                    uid=made.uid,
                    fields=made.fields,
                    program=made.program,
                    depends_on=tuple(dict.fromkeys(depends_on)),
                    parent=parent,
                )
            )
        if scopes.ambiguous:
            names = ", ".join(sorted(scopes.ambiguous)[:5])
            self.report.remarks.append(f"links to ids that several tasks bear were taken as the first: {names}")
        _refuse_circles({draft.key: draft.depends_on for draft in drafts}, "depends_on")
        _refuse_circles({draft.key: (draft.parent,) for draft in drafts if draft.parent}, "parent")
        self.report.read = len(drafts)
        return Plan(self.rules.prefix, drafts, self.report)

    def _distinct(self) -> list[_Object]:
        """The objects with a key of their own each; the same object given twice counts once."""
        first: dict[str, _Object] = {}
        for made in self._objects:
            number, key = 1, made.key
            while made.key in first and not _same_object(first[made.key], made):
                number += 1
                made.key = f"{key}#{number}"
            if made.key in first:
                self.report.skip(made.place, f"the same as {first[made.key].place}")
                continue
            if number > 1:
                self.report.remarks.append(
                    f"{made.place} has the id of {first[key].place}, {shortened(key)}; both were taken"
                )
            first[made.key] = made
        return list(first.values())


CRITERION_TEXTS = ("text", "title", "name", "description", "criterion")
CRITERION_FLAGS = ("done", "completed", "checked", "met", "passes")
NOTE_TEXTS = ("text", "body", "content", "comment", "description", "message")
NOTE_TIMES = ("at", "created_at", "createdAt", "entry", "date", "timestamp")
NOTE_AUTHORS = ("by", "author", "created_by", "user")
LINK_NAMES = ("depends_on_id", "uuid", "id", "key", "task", "task_id")
NUMBERS = frozenset((*LINK_NAMES, "number", "issue_id"))  # of entries, which mean nothing elsewhere


def _same_object(left: _Object, right: _Object) -> bool:
    left_above = left.above.key if left.above else None
    right_above = right.above.key if right.above else None
    return left_above == right_above and left.group == right.group and _digest(left.raw) == _digest(right.raw)


class _Scopes:
    """Which task a name in the file means: one beside it below the same task, in its list, anywhere."""

    def __init__(self, objects: Sequence[_Object]) -> None:
        self._keys: dict[object, dict[str, str]] = {}
        self._several: set[tuple[object, str]] = set()
        self.ambiguous: set[str] = set()
        for made in objects:
            for scope in _scopes_of(made):
                keys = self._keys.setdefault(scope, {})
                for name in {*made.names, made.key}:
                    if keys.setdefault(name, made.key) != made.key:
                        self._several.add((scope, name))

    def key(self, made: _Object, name: str) -> str:
        """The key of the task that *made* calls *name*, or *name* where the file has none."""
        for scope in _scopes_of(made):
            if (found := self._keys[scope].get(name)) is not None:
                if (scope, name) in self._several:
                    self.ambiguous.add(shortened(name))
                return found
        return name


def _scopes_of(made: _Object) -> tuple[object, ...]:
    return (made.group, None) if made.above is None else ((made.group, made.above.key), made.group, None)


def _refuse_circles(links: Mapping[str, Sequence[str]], field: str) -> None:
    """Raise InputInvalid that names a circle of *links*; walks without recursion."""
    finished: set[str] = set()
    for start in links:
        if start in finished:
            continue
        path = {start: iter(links[start])}
        while path:
            node = next(reversed(path))
            for target in path[node]:
                if target in path:
                    names = list(path)
                    circle = [*names[names.index(target) :], target]
                    raise InputInvalid(
                        f"{field} goes in a circle in the file: {' -> '.join(map(shortened, circle))}",
                        hint="Take one of these links out of the file.",
                        field=field,
                        path=circle,
                    )
                if target in links and target not in finished:
                    path[target] = iter(links[target])
                    break
            else:
                finished.add(node)
                del path[node]


def _link_name(value: Any) -> str | None:
    if isinstance(value, dict):
        return name_of(_taken(dict(value), LINK_NAMES))
    return name_of(value)


def _taken(rest: dict[str, Any], keys: Iterable[str]) -> Any:
    """Take what stands under the first of *keys* out of *rest*."""
    return next((rest.pop(key) for key in keys if rest.get(key) is not None), None)


def _says_no_more(rest: Mapping[str, Any]) -> bool:
    return all(key in NUMBERS or value in (None, "", [], {}) for key, value in rest.items())


def as_list(node: Any) -> list[Any] | None:
    """A list as it is; an object whose values are objects as their list, the keys being their ids."""
    if isinstance(node, list):
        return node
    if isinstance(node, dict) and node and all(isinstance(item, dict) for item in node.values()):
        return [item if {"id", "uuid"} & item.keys() else {"id": key, **item} for key, item in node.items()]
    return None


def _digest(raw: Mapping[str, Any]) -> str:
    import hashlib
    import json

    text = json.dumps(raw, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def heading(theirs: str) -> str:
    """A field's name as a heading: ``testStrategy`` as ``Test strategy``."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in theirs)
    return display(words.replace("_", " ").replace("-", " ").strip().capitalize())

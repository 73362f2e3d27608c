"""Whether a task is shaped as version 1 says: the rules of the schema, and what it cannot say.

`schemas/backlog.schema.json`, read by jsonschema, is the reference; `quick_ok` stands before it
because it is many times as fast. `normalise` is for what people and programs hand in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.backlog.ids import looks_like_id
from taskkeep.backlog.task import (
    CHOICES,
    DIGITS_LIMIT,
    FIELDS,
    LINE_LIMIT,
    LIST_FIELDS,
    METADATA_DEPTH,
    PRIORITIES,
    PROGRAM_FIELDS,
    REF_LIMIT,
    REQUIRED,
    STATUSES,
    TEXT_LIMIT,
    TITLE_LIMIT,
    TYPES,
    banned_character,
    check_text,
    kind_of,
    nearest,
    read_choice,
    sorted_json,
)
from taskkeep.backlog.times import is_date, is_time
from taskkeep.errors import InvalidField, UnknownField

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_STATUSES, _PRIORITIES, _TYPES = frozenset(STATUSES), frozenset(PRIORITIES), frozenset(TYPES)
_NO_HEX = str.maketrans("", "", "0123456789abcdef-")
_QUICK_TEXT = TEXT_LIMIT // 4  # characters that fit the limit however many bytes each takes
_TIMES = ("created_at", "updated_at", "started_at", "completed_at", "claimed_until")
_HUGE = 10**DIGITS_LIMIT
_QUICK_INT = 1 << 62


# -- the quick check -----------------------------------------------------------------------


def quick_ok(task: Any) -> bool:
    """True when a task surely has a valid shape; False means "ask jsonschema and `beyond_schema`".

    Ordinary tasks pass; False also where an answer would take long (text with characters that
    are not printable, such as joiners in emoji).
    """
    try:
        title = task["title"]
        if not (
            type(title) is str
            and title.isprintable()
            and len(title) <= TITLE_LIMIT
            and title.strip()
            and task["status"] in _STATUSES
            and task["priority"] in _PRIORITIES
            and task["type"] in _TYPES
            and looks_like_id(task["id"])
            and 32 <= len(task["uid"]) <= 36
            and task["uid"].translate(_NO_HEX) == ""
            and is_time(task["created_at"])
            and is_time(task["updated_at"])
            and _quick_line(task["created_by"])
        ):
            return False
        if len(task) > len(REQUIRED):
            for field, value in task.items():
                check = _QUICK[field]
                if check is not None and not check(value):
                    return False
        return True
    except (KeyError, TypeError, AttributeError):  # a field that lacks, is unknown, or of another type
        return False


def _quick_line(value: Any, limit: int = LINE_LIMIT) -> bool:
    # Of the blanks only the space is printable.
    return (
        type(value) is str and 0 < len(value) <= limit and value.isprintable() and value[0] != " " and value[-1] != " "
    )


def _quick_lines(value: Any) -> bool:
    return type(value) is list and all(map(_quick_line, value))


def _quick_refs(value: Any) -> bool:
    return type(value) is list and all(_quick_line(item, REF_LIMIT) for item in value)


def _quick_id(value: Any) -> bool:
    return type(value) is str and looks_like_id(value)


def _quick_ids(value: Any) -> bool:
    return type(value) is list and all(map(_quick_id, value))


def _quick_date(value: Any) -> bool:
    return type(value) is str and is_date(value)


def _quick_time(value: Any) -> bool:
    return type(value) is str and is_time(value)


def _quick_text(value: Any) -> bool:
    return type(value) is str and len(value) <= _QUICK_TEXT and banned_character(value) is None


def _quick_criteria(value: Any) -> bool:
    return type(value) is list and all(
        len(item) == 2 and type(item["done"]) is bool and _quick_text(item["text"]) and item["text"].strip()
        for item in value
    )


def _quick_notes(value: Any) -> bool:
    return type(value) is list and all(
        len(item) == 3
        and _quick_time(item["at"])
        and _quick_line(item["by"])
        and _quick_text(item["text"])
        and item["text"].strip()
        for item in value
    )


def _quick_metadata(value: Any) -> bool:
    return type(value) is dict and metadata_problem(value) is None


_QUICK: dict[str, Callable[[Any], bool] | None] = {
    **dict.fromkeys(REQUIRED),
    "description": _quick_text,
    "labels": _quick_lines,
    "assignee": _quick_line,
    "role": _quick_line,
    "parent": _quick_id,
    "depends_on": _quick_ids,
    "acceptance_criteria": _quick_criteria,
    "due": _quick_date,
    "external_refs": _quick_refs,
    "notes": _quick_notes,
    "started_at": _quick_time,
    "completed_at": _quick_time,
    "claimed_by": _quick_line,
    "claimed_until": _quick_time,
    "aliases": _quick_lines,
    "metadata": _quick_metadata,
}


# -- what the schema cannot say ------------------------------------------------------------


def beyond_schema(task: Mapping[str, Any]) -> tuple[str, str] | None:
    """The field and the problem of a task that the schema passes and that is invalid all the same.

    Limits in bytes, days that do not exist, depth and digits of metadata. None: nothing wrong.
    """
    for field in _TIMES:
        if field in task and not is_time(task[field]):
            return field, "is no time that exists"
    if "due" in task and not is_date(task["due"]):
        return "due", "is no day that exists"
    if "description" in task and _too_long(task["description"]):
        return "description", "is longer than 1 MiB"
    for field in ("acceptance_criteria", "notes"):
        for item in task.get(field, ()):
            if _too_long(item["text"]):
                return field, "has an entry longer than 1 MiB"
            if "at" in item and not is_time(item["at"]):
                return field, "has an entry with a time that does not exist"
    if problem := metadata_problem(task.get("metadata", {})):
        return "metadata", problem
    return None


def _too_long(text: str) -> bool:
    return len(text) > _QUICK_TEXT and len(text.encode("utf-8", "surrogatepass")) > TEXT_LIMIT


def metadata_problem(value: Any) -> str | None:
    """What is wrong with metadata, a JSON object; None where nothing is."""
    level, depth = [value], 1
    while level:
        if depth > METADATA_DEPTH:
            return f"is nested deeper than {METADATA_DEPTH} levels"
        deeper = []
        for container in level:
            if type(container) is dict:
                for key in container:
                    if type(key) is str and len(key) <= _QUICK_TEXT and key.isprintable():
                        continue
                    if problem := _scalar_problem(key) if type(key) is str else "has a key that is no text":
                        return problem
                items = container.values()
            else:
                items = container
            for item in items:
                if type(item) is int and -_QUICK_INT < item < _QUICK_INT:
                    continue
                if type(item) is dict or type(item) is list:
                    deeper.append(item)
                elif problem := _scalar_problem(item):
                    return problem
        level, depth = deeper, depth + 1
    return None


def _scalar_problem(value: Any) -> str | None:
    kind = type(value)
    if kind is str:
        if bad := banned_character(value):
            return f"holds the character U+{ord(bad):04X}, which is not allowed"
        return "has a text longer than 1 MiB" if _too_long(value) else None
    if value is None or kind is bool:
        return None
    if kind is int:
        return None if -_HUGE < value < _HUGE else f"has a number of more than {DIGITS_LIMIT} digits"
    if kind is float:
        # Neither infinity nor NaN equals itself less itself.
        return None if value - value == 0 else "has a number that JSON cannot hold"
    return f"holds a value that is no JSON: {kind.__name__}"


# -- what is handed in ---------------------------------------------------------------------


def normalise(fields: Mapping[str, Any], *, task_id: str | None = None) -> dict[str, Any]:
    """The fields that a user sets, checked and in canonical form, None where one is to go.

    Choices are read in any case, names lose blanks around them, CRLF in long text becomes LF, a
    criterion may be plain text. The order of lists is kept, links stay as written: what they
    name only a backlog knows. An empty text or list means None.

    Raises InvalidField (also for a field that only the program sets) and UnknownField.
    """
    return {field: _normal(field, value, task_id) for field, value in fields.items()}


def _normal(field: str, value: Any, task_id: str | None) -> Any:
    if field in PROGRAM_FIELDS:
        raise InvalidField(
            field,
            "is set by taskkeep alone",
            hint="Leave it out; commands like 'start' set it.",
            task_id=task_id,
        )
    if field not in FIELDS:
        raise unknown_field(field, task_id=task_id, taken_out=value is None)
    if field in REQUIRED:
        if value is None:
            raise InvalidField(field, "cannot be taken out", hint="Every task has one.", task_id=task_id)
    elif value is None or value == "" or value == [] or value == {}:
        return None
    if field in LIST_FIELDS:
        return normal_list(field, value, task_id=task_id)
    if field in CHOICES:
        return read_choice(field, value, task_id=task_id)
    if field == "title":
        check_text(field, value, task_id=task_id)
        return value
    if field == "description":
        return _long_text(field, value, task_id)
    if field == "metadata":
        return normal_metadata(value, task_id=task_id)
    if not isinstance(value, str):
        raise InvalidField(field, f"must be text, not {kind_of(value)}", task_id=task_id)
    value = value.strip(" ")
    if value:
        check_text(field, value, task_id=task_id)
    if field == "due" and value and not is_date(value):
        raise InvalidField(field, "is no day", hint="Write it like 2027-01-31.", task_id=task_id)
    return value or None


def normal_list(field: str, value: Any, *, task_id: str | None = None) -> list[Any]:
    """The entries of a list field, each checked; a lone text is refused, it may mean several."""
    if not isinstance(value, (list, tuple)):
        raise InvalidField(
            field,
            f"must be a list, not {kind_of(value)}",
            hint='Write it like ["one", "two"].',
            task_id=task_id,
        )
    if field == "acceptance_criteria":
        return [_criterion(item, task_id) for item in value]
    if field == "notes":
        return [_note(item, task_id) for item in value]
    entries = []
    for item in value:
        entry = item.strip(" ") if isinstance(item, str) else item
        check_text(field, entry, task_id=task_id)
        entries.append(entry)
    return entries


def normal_metadata(value: Any, *, task_id: str | None = None) -> dict[str, Any]:
    """A JSON object in canonical form. Raises InvalidField."""
    if not isinstance(value, dict):
        raise InvalidField("metadata", f"must be an object, not {kind_of(value)}", task_id=task_id)
    if problem := metadata_problem(value):
        raise InvalidField("metadata", problem, task_id=task_id)
    result: dict[str, Any] = sorted_json(value)
    return result


def _criterion(item: Any, task_id: str | None) -> dict[str, Any]:
    if isinstance(item, str):
        item = {"text": item}
    entry = _entry("acceptance_criteria", item, {"text", "done"}, task_id)
    done = entry.get("done", False)
    if not isinstance(done, bool):
        raise InvalidField("acceptance_criteria", f"has done as {kind_of(done)}, not true or false", task_id=task_id)
    return {"text": entry["text"], "done": done}


def _note(item: Any, task_id: str | None) -> dict[str, Any]:
    """A note; ``at`` and ``by`` are None where the caller is to fill them in."""
    if isinstance(item, str):
        item = {"text": item}
    entry = _entry("notes", item, {"at", "by", "text"}, task_id)
    at, by = entry.get("at"), entry.get("by")
    if at is not None and not (isinstance(at, str) and is_time(at)):
        raise InvalidField(
            "notes",
            "has a note whose time cannot be read",
            hint="2026-11-20T12:00:00.000000Z",
            task_id=task_id,
        )
    if by is not None:
        check_text("notes.by", by, task_id=task_id)
    return {"at": at, "by": by, "text": entry["text"]}


def _entry(field: str, item: Any, keys: set[str], task_id: str | None) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise InvalidField(field, f"must hold objects or texts, not {kind_of(item)}", task_id=task_id)
    if unknown := sorted(map(str, item.keys() - keys)):
        raise InvalidField(
            field,
            f"has an entry with an unknown key '{unknown[0]}'",
            hint=f"Known: {', '.join(sorted(keys))}.",
            task_id=task_id,
        )
    if "text" not in item:
        raise InvalidField(field, "has an entry without text", task_id=task_id)
    return {**item, "text": _long_text(field, item["text"], task_id)}


def _long_text(field: str, value: Any, task_id: str | None) -> str:
    text: str = value.replace("\r\n", "\n") if isinstance(value, str) else value
    check_text(field, text, task_id=task_id)
    return text


def unknown_field(field: Any, *, task_id: str | None = None, taken_out: bool = False) -> UnknownField:
    """The error for a field that is not in FIELDS, with the nearest ones in its hint."""
    from taskkeep import __version__
    from taskkeep.backlog.words import field_for

    error = UnknownField(ascii(field)[1:-1][:60], __version__, task_id=task_id, taken_out=taken_out)
    meant = field_for(str(field))
    if near := [meant] if meant else nearest(str(field), FIELDS):
        error.hint = f"Did you mean {' or '.join(near)}? {error.hint}"
    elif taken_out:
        known = [name for name in FIELDS if name not in PROGRAM_FIELDS and name not in REQUIRED]
        error.hint = f"One of: {', '.join(known)}. {error.hint}"
    return error

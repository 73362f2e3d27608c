"""What one task is: its fields, its canonical form, and the text it may hold.

A task is the JSON object of ``backlog.json``, a plain dict with its keys in the order of FIELDS.
By convention nobody changes one: a change makes a new dict, so that "the same object" means "unchanged".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.errors import InvalidField

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Mapping

Task = dict[str, Any]

FIELDS = (
    "id",
    "uid",
    "title",
    "description",
    "status",
    "priority",
    "type",
    "labels",
    "assignee",
    "role",
    "parent",
    "depends_on",
    "acceptance_criteria",
    "due",
    "external_refs",
    "notes",
    "created_at",
    "created_by",
    "updated_at",
    "started_at",
    "completed_at",
    "claimed_by",
    "claimed_until",
    "aliases",
    "metadata",
)
REQUIRED = ("id", "uid", "title", "status", "priority", "type", "created_at", "created_by", "updated_at")
# What only the program writes; everything else is the user's to set.
PROGRAM_FIELDS = (
    "id",
    "uid",
    "created_at",
    "created_by",
    "updated_at",
    "started_at",
    "completed_at",
    "claimed_by",
    "claimed_until",
    "aliases",
)
CLAIM = ("claimed_by", "claimed_until")
# What one change sets together: a status brings its times and its claim with it.
STATE_FIELDS = ("status", "started_at", "completed_at", *CLAIM)
SET_FIELDS = ("labels", "depends_on", "external_refs", "aliases")
LIST_FIELDS = (*SET_FIELDS, "acceptance_criteria", "notes")

STATUSES = ("todo", "in_progress", "blocked", "review", "done", "cancelled")
PRIORITIES = ("critical", "high", "medium", "low")
TYPES = ("task", "bug", "feature", "epic", "chore")
CHOICES = {"status": STATUSES, "priority": PRIORITIES, "type": TYPES}
OPEN = frozenset(("todo", "in_progress", "blocked", "review"))
FINISHED = frozenset(("done", "cancelled"))
NO_DUE = "9999-99-99"  # stands for no day where days are compared

TITLE_LIMIT = 500  # characters
LINE_LIMIT = 200  # characters: labels, names
REF_LIMIT = 2000  # characters: an external reference may be a long address
TEXT_LIMIT = 1 << 20  # bytes of UTF-8: description, a note, a criterion, a text in metadata
METADATA_DEPTH = 60  # levels, the metadata object being the first; the file may have 64
DIGITS_LIMIT = 300

# Control characters but tab and newline, zero width space, bidi overrides and isolates, BOM,
# lone surrogates, tag characters.
BANNED = "\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f"
LINE_BREAKS = "\n\u2028\u2029"

_banned: re.Pattern[str] | None = None


def is_finished(task: Mapping[str, Any]) -> bool:
    return task["status"] in FINISHED


def canonical(task: Mapping[str, Any]) -> Task:
    """The one form of a task: keys in order, sets sorted, metadata keys sorted, nothing empty.

    A field that this version does not know stays, after the others. Takes any task of a valid
    shape; what is nested deeper than METADATA_DEPTH must have been refused before.
    """
    result: Task = {}
    for field in FIELDS:
        value = task.get(field)
        if not value and (value is None or value == "" or value == [] or value == {}):
            continue
        if field in SET_FIELDS:
            value = sorted(set(value))
        elif field == "metadata":
            value = sorted_json(value)
        elif field == "acceptance_criteria":
            value = [{"text": item["text"], "done": item["done"]} for item in value]
        elif field == "notes":
            value = [{"at": item["at"], "by": item["by"], "text": item["text"]} for item in value]
        result[field] = value
    if len(result) < len(task):
        for field in sorted(task.keys() - set(FIELDS)):
            result[field] = sorted_json(task[field])
    return result


def numbered(items: Iterable[Any]) -> dict[tuple[tuple[Any, ...], int], Any]:
    """Criteria or notes by what they say, ticked or not, and by a number among those that say the same."""
    found: dict[tuple[tuple[Any, ...], int], Any] = {}
    for item in items:
        said, number = (item["text"], item.get("at"), item.get("by")), 0
        while (said, number) in found:
            number += 1
        found[said, number] = item
    return found


def sorted_json(value: Any) -> Any:
    """A copy of any JSON value with the keys of its objects sorted."""
    if isinstance(value, dict):
        return {key: sorted_json(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [sorted_json(item) for item in value]
    return value


def same(left: Any, right: Any) -> bool:
    """True when two canonical values give the same text; ``1``, ``1.0`` and ``True`` do not."""
    return left is right or (left == right and repr(left) == repr(right))


def same_task(left: Task, right: Task) -> bool:
    """As `same` for two whole tasks, but faster: only metadata hold values that are equal and not the same."""
    if left is right:
        return True
    return left == right and ("metadata" not in left or same(left["metadata"], right["metadata"]))


def etag(task: Mapping[str, Any]) -> str:
    """16 hex digits that stand for the content of a task."""
    import hashlib
    import json

    text = json.dumps(task, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


# -- text ----------------------------------------------------------------------------------


def banned_character(text: str) -> str | None:
    """The first character that no text of a backlog may hold, or None."""
    global _banned
    if text.isprintable():  # every banned character is unprintable, so this settles most text
        return None
    if _banned is None:
        import re

        _banned = re.compile(f"[{BANNED}]")
    found = _banned.search(text)
    return found.group() if found else None


def check_text(field: str, text: Any, *, task_id: str | None = None) -> None:
    """Refuse what *field* may not hold as text: type, characters, length, lines.

    Fields of long text (``description``, ``notes``, ``acceptance_criteria``, ``metadata``) may have
    many lines; all others are one line. Raises InvalidField.
    """

    def refuse(problem: str, hint: str = "") -> InvalidField:
        return InvalidField(field, problem, hint=hint, task_id=task_id)

    if not isinstance(text, str):
        raise refuse(f"must be text, not {kind_of(text)}")
    if bad := banned_character(text):
        raise refuse(
            f"holds the character U+{ord(bad):04X}, which is not allowed",
            "Control characters (but tab and newline), lone surrogates, bidi overrides, "
            "tag characters and zero width spaces are refused; take it out.",
        )
    if field in ("description", "notes", "acceptance_criteria", "metadata", "why"):
        if len(text) > TEXT_LIMIT // 4 and len(text.encode()) > TEXT_LIMIT:
            raise refuse("is longer than 1 MiB", "Put the long text into a file and name the file here.")
        if field in ("notes", "acceptance_criteria") and not text.strip():
            raise refuse("must not be blank")
        return
    if not text.isprintable() and any(character in text for character in LINE_BREAKS):
        raise refuse("must be one line", "Put the rest into the description or a note.")
    if not text or text.isspace():
        raise refuse("must not be blank")
    if field == "title":
        if len(text) > TITLE_LIMIT:
            raise refuse(f"has {len(text)} characters; {TITLE_LIMIT} are allowed", "Put the rest into the description.")
        return
    if text != text.strip() or "\t" in text:
        raise refuse("must not begin or end with a blank, nor hold a tab")
    limit = REF_LIMIT if field == "external_refs" else LINE_LIMIT
    if len(text) > limit:
        raise refuse(f"has {len(text)} characters; {limit} are allowed")


def kind_of(value: Any) -> str:
    """The JSON name of a value's kind, for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, (list, tuple)) else "an object"


def read_choice(field: str, text: Any, *, task_id: str | None = None) -> str:
    """The status, priority or type that somebody wrote, in any case, with ``-`` or blanks for ``_``.

    Raises InvalidField, which names the allowed values and the nearest.
    """
    allowed = CHOICES[field]
    if not isinstance(text, str):
        raise InvalidField(field, f"must be text, not {kind_of(text)}", task_id=task_id)
    value = text.strip().lower().replace("-", "_").replace(" ", "_")
    if value in allowed:
        return value
    from taskkeep.backlog.words import meant_by

    meant = meant_by(field, value)
    near = [meant] if meant else nearest(value, allowed)
    raise InvalidField(
        field,
        f"cannot be '{shortened(text)}'",
        hint=(f"Did you mean {near[0]}? " if near else "") + f"One of: {', '.join(allowed)}.",
        task_id=task_id,
    )


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Up to three of *known* that look like *word*, best first."""
    from difflib import get_close_matches

    return get_close_matches(word[:50], list(known))


def shortened(text: str) -> str:
    """*text* fit for a message: on one line, without control characters or secrets, not too long."""
    from taskkeep.backlog.secrets import redacted

    text = redacted(text)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 60 else text[:57] + "..."

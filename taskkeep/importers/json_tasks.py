"""Any JSON file that holds a list of task-like objects, by the names that task files commonly use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskkeep.backlog.task import CHOICES, FIELDS, shortened
from taskkeep.backlog.words import MEANT
from taskkeep.errors import InputInvalid
from taskkeep.importers.convert import Converter, Format, as_list
from taskkeep.importers.draft import plain
from taskkeep.importers.values import display, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskkeep.importers.draft import Plan, Rules


def _names(**fields: str) -> dict[str, str]:
    return {name: ours for ours, names in fields.items() for name in names.split()}


FORMAT = Format(
    name="json",
    fields={
        **{plain(field): field for field in FIELDS},
        # A claim binds whoever works in the other backlog, not here.
        **_names(ignored="claimedby claimeduntil etag"),
        **_names(
            key="id uuid key number slug identifier",
            uid="uid",
            title="title name summary subject headline",
            description="description body details desc content text",
            section="teststrategy implementationdetails rationale plan",
            status="state column",
            finished="done completed iscompleted iscomplete isdone checked closed passes",
            priority="severity importance",
            type="issuetype kind",
            labels="tags",
            assignee="assignedto assignees owner",
            parent="parentid epic epicid parenttask",
            depends_on="dependson depends blockedby blockers prerequisites requires",
            dependencies="dependencies",
            acceptance_criteria="acceptance criteria checklist definitionofdone dod",
            due="duedate dueat deadline",
            external_refs="externalref refs",
            notes="comments annotations",
            created_at="created createdat createdon entry dateadded",
            created_by="createdby author reporter",
            updated_at="updated updatedat updatedon modified modifiedat lastupdated",
            started_at="started startedat start",
            completed_at="completedat closedat finishedat doneat resolvedat end dateclosed",
            subtasks="subtasks children stories items tasks",
        ),
    },
    values={field: _names(**words) for field, words in MEANT.items()},
    narrower=frozenset(
        (
            "recurring someday on_hold waiting deferred wontfix won't_fix wont_fix rejected obsolete"
            " duplicate deleted p4 4 story user_story initiative"
        ).split()
    ),
)
# Where several lists look like tasks, those under these names are meant.
LISTS = frozenset("tasks issues items todos todo stories userstories backlog tickets cards features".split())
TITLES = frozenset(name for name, target in FORMAT.fields.items() if target in ("title", "description"))
SIGNS = frozenset(
    name for name, target in FORMAT.fields.items() if target in (*CHOICES, "finished", "depends_on", "key")
)


def read(data: bytes, *, name: str, rules: Rules) -> Plan:
    """The tasks of every list of tasks in *data*. Raises InputInvalid where there is none."""
    converter = Converter(FORMAT, rules)
    for path, items in _lists(read_json(data, name), name, converter):
        converter.take(_objects(path, items, converter))
    return converter.plan()


def _objects(path: str, items: list[Any], converter: Converter) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, item in enumerate(items, 1):
        place = f"{path}[{number}]"
        if not isinstance(item, dict):
            converter.report.skip(place, f"no object: {display(item)}")
        elif not item:
            converter.report.skip(place, "empty")
        else:
            yield place, item


def _lists(value: Any, name: str, converter: Converter) -> list[tuple[str, list[Any]]]:
    found = list(_candidates(value))
    if not found:
        if isinstance(value, dict) and value.get("tasks") == []:
            return []
        raise InputInvalid(
            f"{name} holds no list of tasks",
            hint="A task is an object with a title, and an id, a status or the like.",
        )
    named = [(path, items) for path, items in found if _last_name(path) in LISTS]
    chosen = named or found
    if not named and len(found) > 1:
        raise InputInvalid(
            f"{name} holds several lists that may be tasks: {', '.join(path for path, _ in found[:5])}",
            hint="Give the one that is meant the name 'tasks'.",
        )
    for path, items in found:
        if (path, items) not in chosen:
            converter.report.skip(path, f"a list of {len(items)} objects that is not named like tasks")
    return chosen


def _candidates(value: Any) -> Iterator[tuple[str, list[Any]]]:
    """Every list of task-like objects that lies in no task, by its path; breadth first."""
    level: list[tuple[str, Any]] = [("", value)]
    while level:
        deeper: list[tuple[str, Any]] = []
        for path, node in level:
            items = as_list(node)
            if items is not None and (
                any(map(_is_task, node)) if isinstance(node, list) else all(map(_is_task, node.values()))
            ):
                yield path or "tasks", items
                if _last_name(path) in LISTS or not path:
                    continue
            if isinstance(node, dict):
                deeper += [(f"{path}.{key}" if path else shortened(key), item) for key, item in node.items()]
            elif isinstance(node, list):
                deeper += [(f"{path}[{number}]", item) for number, item in enumerate(node, 1)]
        level = [(path, node) for path, node in deeper if isinstance(node, (dict, list))]


def _is_task(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    names = {plain(key) for key, value in item.items() if value is not None}
    return not TITLES.isdisjoint(names) and (not SIGNS.isdisjoint(names) or "title" in names)


def _last_name(path: str) -> str:
    return plain(path.rpartition(".")[2].partition("[")[0]) if path else ""

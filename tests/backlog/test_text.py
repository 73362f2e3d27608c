"""The canonical bytes are what json.dumps gives, whatever a task holds."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskkeep import __version__
from taskkeep.backlog import text
from taskkeep.backlog.text import (
    SCHEMA_REFERENCE,
    VERSION,
    Block,
    are_spans,
    blocks,
    dump,
    find_tasks,
    has_alias,
    is_same_text,
    loads,
    parse,
    parse_trusted,
    parse_written,
    read_lines,
    span_of,
    splice,
)
from taskkeep.errors import BacklogUnreadable, InputInvalid, UnknownField

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=6), max_size=4))
def test_it_is_the_text_of_json(tasks: list[dict[str, Any]]) -> None:
    """Indent 2, no escapes but those that JSON demands, and a line break at the end."""
    whole = {"$schema": SCHEMA_REFERENCE, "version": VERSION, "tasks": tasks}

    assert dump(tasks) == (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=3))
def test_what_was_written_is_read_quickly_and_the_same(tasks: list[dict[str, Any]]) -> None:
    data = dump(tasks)

    assert parse_written(data) == parse(data) == tasks
    assert parse_written(data.replace(b'"tasks": [', b'"tasks":  [', 1)) is None


@given(
    st.lists(st.dictionaries(st.text(), VALUES, max_size=4), min_size=1, max_size=6, unique_by=json.dumps),
    st.integers(1, 4),
    st.integers(0, 400),
    st.sampled_from([b"", b" ", b",", b"\n    }", b"{"]),
)
@example([{"a": 1}, {"a": 2}], 2, 0, b"")
def test_a_text_is_whole_where_its_parts_join(tasks: list[dict[str, Any]], parts: int, at: int, put: bytes) -> None:
    """The parts of a text held against it one by one say what the whole says; an empty part says nothing."""
    data = dump(tasks)
    ends = [len(tasks) * part // parts for part in range(parts + 1)]

    def joined(text_: bytes) -> bool:
        spans = [place for start, stop in pairwise(ends) for place in span_of(text_, tasks[start:stop])]
        return are_spans(text_, spans, parts)

    assert joined(data) == (parts <= len(tasks))
    changed = data[:at] + put + data[at:]
    if joined(changed):
        assert changed == data
    assert not joined(data[:-1])
    assert not joined(data[1:])
    for end in [span_of(data, tasks[start:stop])[1] for start, stop in pairwise(ends) if start < stop < len(tasks)]:
        spans = [place for start, stop in pairwise(ends) for place in span_of(data, tasks[start:stop])]
        assert not are_spans(data[:end] + b";" + data[end + 1 :], spans, parts), "no comma between two parts"


@given(VALUES, VALUES)
def test_same_text_is_what_json_would_write_alike(one: Any, other: Any) -> None:
    assert is_same_text(one, other) == (json.dumps(one) == json.dumps(other))


@pytest.mark.parametrize(
    "inner", [b'"a": 1, "a": 2', b'"a": NaN', b'"a": 1e400', b'"a": ' + b"9" * 400, b'"a": "\\ud800"', b'"a": 1.10']
)
def test_what_no_save_writes_is_left_to_the_strict_way(inner: bytes) -> None:
    assert parse_written(dump([{}]).replace(b"{}", b"{\n      " + inner + b"\n    }")) is None


# -- what is refused, in words -----------------------------------------------------------------


def envelope(tasks: str = "[]", version: str = "1") -> bytes:
    return f'{{"$schema": "x", "version": {version}, "tasks": {tasks}}}'.encode()


@pytest.mark.parametrize(
    ("data", "code", "words", "line"),
    [
        (b"", "unreadable", "it is empty", 1),
        (b" \n ", "unreadable", "it is empty", 2),
        (b'\n{\n"a": \xff\n}', "unreadable", "it is not UTF-8 (line 3)", 3),
        (b"\xef\xbb\xbf{}", "unreadable", "it begins with a byte order mark", 1),
        (b'{"a": 1,\n "b": }', "unreadable", "it is not JSON: Expecting value (line 2)", 2),
        (b'{"a": 1,\n "a": 2}', "duplicate_key", "it gives the key 'a' twice", None),
        (b"{\n<<<<<<< HEAD\n=======\n>>>>>>> x\n}", "conflict_marker", "it holds conflict markers (line 2)", 2),
        (b"{\n>>>>>>> x\n}", "conflict_marker", "it holds conflict markers (line 2)", 2),
        (b"{\n||||||| base\n}", "conflict_marker", "it holds conflict markers (line 2)", 2),
        (b"[" * 100_000, "unreadable", "it is nested deeper than 64 levels", None),
        (b'{"a": NaN}', "unreadable", "it holds NaN, which is no JSON", None),
        (b'{"a": -Infinity}', "unreadable", "it holds -Infinity, which is no JSON", None),
        (b'{"a": 1e999}', "unreadable", "it holds the number 1e999, which is beyond what a program can hold", None),
        (b'{"a": %s}' % (b"9" * 301), "unreadable", "it holds a number of more than 300 digits", None),
        (b'{"a": -%s}' % (b"9" * 301), "unreadable", "it holds a number of more than 300 digits", None),
        (b'{"a": 0.%s}' % (b"1" * 300), "unreadable", "it holds a number of more than 300 digits", None),
        (
            b'{"a": 0.1000000000000000055}',
            "unreadable",
            "it holds the number 0.1000000000000000055, which would be rounded to 0.1",
            None,
        ),
    ],
)
def test_what_is_no_strict_json_is_refused_with_the_line_where_that_is_known(
    data: bytes, code: str, words: str, line: int | None
) -> None:
    with pytest.raises(BacklogUnreadable) as refused:
        loads(data, "it")

    assert (refused.value.code, refused.value.message, refused.value.line) == (code, words, line)
    for asked, said in {"byte order mark": "adopt", "markers": "checkout"}.items():
        assert asked not in words or said in refused.value.hint


def test_of_the_keys_that_are_given_twice_the_first_is_named() -> None:
    with pytest.raises(BacklogUnreadable) as refused:
        loads(b'{"a": 1, "b": {"c": 1}, "c": 2, "b": 3, "a": 4}', "it")

    assert refused.value.details["key"] == "b"


def test_a_number_is_kept_to_its_last_digit_or_refused() -> None:
    """300 digits pass; so does another way of writing the same value."""
    longest = "9" * 300

    assert loads(longest.encode(), "it") == int(longest)
    assert loads(f"-{longest}".encode(), "it") == -int(longest)
    assert loads(b'["%s", -%s]' % (b"7" * 301, longest.encode()), "it")[1] == -int(longest)
    assert loads(b"[1.10, 1e2, 0.1, -2.50e-3]", "it") == [1.1, 100.0, 0.1, -0.0025]
    assert loads(b"0.5" + b"0" * 298, "it") == 0.5
    for longer in (b"0.5" + b"0" * 299, b"9" * 301, b"-" + b"9" * 301):
        with pytest.raises(BacklogUnreadable, match="more than 300 digits"):
            loads(longer, "it")


def test_more_tasks_than_a_backlog_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_TASKS", 2)

    assert len(parse(dump([{}, {}]))) == 2
    with pytest.raises(BacklogUnreadable, match="it holds more than 2 tasks") as refused:
        parse(dump([{}, {}, {}]), "it")
    assert refused.value.code == "schema"


def test_a_file_that_is_too_large_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_BYTES", 4 << 20)

    assert loads(b'"%s"' % (b"a" * ((4 << 20) - 2)), "it")
    with pytest.raises(BacklogUnreadable, match="it is larger than 4 MiB") as refused:
        loads(b'"%s"' % (b"a" * ((4 << 20) - 1)), "it")
    assert refused.value.code == "unreadable"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[]", "it is no backlog: it has no 'version' and 'tasks'"),
        (b'{"version": 1}', "it is no backlog: it has no 'version' and 'tasks'"),
        (b'{"tasks": []}', "it is no backlog: it has no 'version' and 'tasks'"),
        (envelope(version="2"), f"it has version 2; taskkeep {__version__} knows version 1"),
        (envelope(version="true"), "it has version True; this taskkeep knows version 1"),
        (envelope("{}"), "it: 'tasks' is not a list of objects"),
        (envelope("[1]"), "it: 'tasks' is not a list of objects"),
    ],
)
def test_what_is_no_backlog_is_told_apart_from_what_is_no_json(data: bytes, words: str) -> None:
    with pytest.raises(BacklogUnreadable) as refused:
        parse(data, "it")

    assert (refused.value.code, refused.value.message) == ("schema", words)
    assert parse_written(data) is None


def test_what_is_read_is_called_by_its_name_and_by_that_of_the_file_where_it_has_none() -> None:
    for given_name, name in (({"name": "it"}, "it"), ({}, "backlog.json")):
        for data in (b"", b"[]"):
            with pytest.raises(BacklogUnreadable, match=f"^{name} is "):
                parse(data, **given_name)


def test_a_key_of_the_envelope_that_a_newer_version_wrote_is_read_over_and_not_written_over() -> None:
    data = b'{"version": 1, "tasks": [], "sprints": []}'

    assert parse(data) == []
    assert parse(envelope(), only_known=True) == []
    with pytest.raises(UnknownField, match="sprints"):
        parse(data, only_known=True)


# -- JSON by lines -----------------------------------------------------------------------------


def test_lines_of_json_are_read_each_with_its_number() -> None:
    """Blank lines say nothing."""
    assert read_lines(b'{"a": 1}\n\n  \n[2]\r\n"x"') == [(1, {"a": 1}), (4, [2]), (5, "x")]
    assert read_lines(b"") == []


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        (b"```json", "Leave out the fences of Markdown."),
        (b"  ```", "Leave out the fences of Markdown."),
        (b"[", "One whole object a line: no list around them, no line breaks within."),
        (b' [{"op": "add"},', "One whole object a line: no list around them, no line breaks within."),
        (b"{", "One whole object a line: no list around them, no line breaks within."),
        (b"add", 'Each line is one JSON object, like {"op": "add", "title": "…"}.'),
        (b'{"op": ', 'Each line is one JSON object, like {"op": "add", "title": "…"}.'),
    ],
)
def test_the_first_line_that_is_no_json_is_named_with_what_it_may_be(row: bytes, hint: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        read_lines(b"{}\n" + row + b"\n{", "the plan")

    assert refused.value.message.startswith("the plan: line 2 is not JSON")
    assert (refused.value.hint, refused.value.details["line"]) == (hint, 2)
    with pytest.raises(InputInvalid, match=r"^the batch: line 1 is not JSON"):
        read_lines(row)


# -- reading a part ----------------------------------------------------------------------------

TRICKY = st.sampled_from(["one", "\n    }", '\n    {\n      "id": "T0002",\n', '"id": "T0001"', "},", "ö✓"])
WRITTEN = st.lists(
    st.fixed_dictionaries(
        {"title": TRICKY}, optional={"notes": st.lists(TRICKY, max_size=2), "metadata": st.dictionaries(TRICKY, TRICKY)}
    ),
    max_size=5,
)


def numbered(drafts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"T000{n}": {"id": f"T000{n}", "uid": f"{n:032x}", **draft} for n, draft in enumerate(drafts, 1)}


@given(WRITTEN, st.sets(st.sampled_from(["T0001", "T0002", "T0003", "T0009", "T000", 'T"', "", "Tö"])))
def test_single_tasks_are_read_as_in_the_whole(drafts: list[dict[str, Any]], ids: set[str]) -> None:
    """Those that are there, whatever the texts look like."""
    tasks = numbered(drafts)
    data = dump(tasks.values())

    assert find_tasks(data, ids) == {task_id: task for task_id, task in tasks.items() if task_id in ids}
    assert parse_trusted(data) == list(tasks.values())


NAMES = st.sampled_from(["T0001", "t0001", "T0002", "T00", '"T0001"', "\n      ]", "a", "ä"])


def test_a_name_that_goes_on_as_the_text_does_is_no_id() -> None:
    tasks = numbered([{"title": "a"}])

    assert find_tasks(dump(tasks.values()), [f'T0001",\n      "uid": "{1:032x}']) == {}


@given(st.lists(st.tuples(TRICKY, st.lists(NAMES, max_size=2)), max_size=4), st.lists(NAMES, max_size=2))
def test_a_name_that_some_task_bears_as_an_alias_is_seen(drafts: list[Any], names: list[str]) -> None:
    """In any case, as a whole, and nowhere but among the aliases."""
    tasks = [{"id": "T0001", "title": title, **({"aliases": aliases} if aliases else {})} for title, aliases in drafts]
    wanted = {name.upper() for name in names if name.isascii() and name.isalnum()}

    found = has_alias(dump(tasks), wanted)

    assert found == any(alias.upper() in wanted for _, aliases in drafts for alias in aliases)


def test_an_alias_is_seen_whichever_task_bears_it() -> None:
    aliases = [["T0011"], [], ["T0012", "t0013"], ["T0014"], []]
    data = dump(
        [{"id": f"T000{n}", "title": "T0015", **({"aliases": some} if some else {})} for n, some in enumerate(aliases)]
    )

    assert [name for name in ("T0010", "T0011", "T0012", "T0013", "T0014", "T0015") if has_alias(data, [name])] == [
        "T0011", "T0012", "T0013", "T0014"
    ]  # fmt: skip
    assert not has_alias(data, ["\ud800"])


@given(WRITTEN, WRITTEN)
def test_a_canonical_text_falls_into_its_tasks(drafts: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    """Joined by commas they are the whole again, whatever is known of another version."""
    tasks = numbered(drafts)
    data = dump(tasks.values())
    known: dict[bytes, Block] = {}
    blocks(dump(numbered(drafts[:1] + others).values()), known)

    found = blocks(data, known)

    assert found is not None
    assert found == blocks(data, {})
    assert [(task_id, uid) for task_id, uid, _ in found] == [(task["id"], task["uid"]) for task in tasks.values()]
    assert [json.loads(block) for _, _, block in found] == list(tasks.values())
    assert b",".join(block for _, _, block in found) in data


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        dump([]) + b"\n",
        dump(numbered([{"title": "a"}]).values()).replace(b'  "version": 1', b'  "version":  1'),
        dump(numbered([{"title": "a"}]).values())[:-1],
        dump([{"uid": "x", "id": "T0001"}]),
        dump([{"id": "t0001", "uid": "x", "title": "a"}]),
        dump(numbered([{"title": "a"}, {"title": "b"}]).values()).replace(b"\n    },", b"\n    }"),
    ],
)
def test_a_text_of_another_form_falls_into_nothing(data: bytes) -> None:
    assert blocks(data, {}) is None


def test_bytes_that_are_no_text_fall_into_tasks_all_the_same() -> None:
    """What is wrong with them is for the reader of the task to say."""
    [(task_id, _, _)] = (
        blocks(dump(numbered([{"title": "a"}]).values()).replace(b'0001",\n      "title', b'\xff",\n      "title'), {})
        or []
    )

    assert task_id == "T0001"


@given(WRITTEN, WRITTEN, st.sets(st.sampled_from([f"T000{n}" for n in range(1, 7)])))
@example([], [{"title": "first"}, {"title": "second"}], {"T0001", "T0002"})
@example([{"title": "a"}, {"title": "b"}], [], {"T0001", "T0002"})
@example([{"title": "a"}], [], {"T0001", "T0006"})
def test_tasks_are_put_into_the_text_and_taken_out_of_it(old: Any, new: Any, some: set[str]) -> None:
    """As if it had been written anew; the first and the last too."""
    before, given_tasks = numbered(old), numbered(new)
    changed = {task_id: given_tasks.get(task_id) for task_id in some}
    after = {**before, **changed}

    pieces = splice(dump(before.values()), list(before), changed)

    assert b"".join(pieces) == dump(task for _, task in sorted(after.items()) if task is not None)

"""Our lines in other people's files: in once, out again, and not a byte beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskkeep.errors import ForeignFile
from taskkeep.store.setup.agents import SNIPPET, _refuse_other_shapes, _with_ours, _without_ours
from taskkeep.store.setup.json_text import inserted, parts, place, removed
from taskkeep.store.setup.marked import Block, with_block, without_block

BLOCK = Block("# begin", "one\ntwo", "# end")
HOOKS = {"SessionStart": (None, "taskkeep prime"), "PreToolUse": ("Edit|Write", "taskkeep agents guard")}

texts = st.lists(st.sampled_from(["a", "#!", " ", "é", "\n", "\r\n", "\x0b", "\u2028"]), max_size=20).map("".join)


def test_the_snippet_is_short() -> None:
    assert len(SNIPPET.text.splitlines()) <= 8
    assert len(SNIPPET.text) < 800


@given(texts, st.booleans())
def test_what_goes_in_comes_out_again(text: str, first: bool) -> None:
    inside = with_block(text, BLOCK, name="f", first=first)
    assert inside.count("# begin") == 1
    assert with_block(inside, BLOCK, name="f", first=first) == inside
    assert without_block(inside, BLOCK, name="f") == text or (first and text.startswith("#!") and "\n" not in text)


@given(texts, texts, st.text("xyz\n", max_size=20))
def test_only_what_is_between_the_markers_is_brought_up_to_date(before: str, after: str, old: str) -> None:
    there = Block("# begin", old or "old", "# end").text
    before = before if before.endswith("\n") or not before else before + "\n"
    text = before + there + after
    newer = with_block(text, BLOCK, name="f")
    assert (newer.startswith(before), newer.endswith(after)) == (True, True)
    body = newer[len(before) : len(newer) - len(after) if after else None]
    assert body.replace("\r\n", "\n") == BLOCK.text


def test_the_lines_of_a_file_keep_their_kind_of_line_break() -> None:
    assert with_block("a\r\n", BLOCK, name="f") == "a\r\n# begin\r\none\r\ntwo\r\n# end\r\n"


def test_in_a_script_the_lines_come_before_all_that_might_end_it() -> None:
    text = "#!/bin/bash\nexit 0\n"
    assert with_block(text, BLOCK, name="f", first=True) == "#!/bin/bash\n# begin\none\ntwo\n# end\nexit 0\n"
    assert with_block("exit 0\n", BLOCK, name="f", first=True) == "# begin\none\ntwo\n# end\nexit 0\n"
    assert with_block("#!/bin/sh", BLOCK, name="f", first=True) == "#!/bin/sh\n# begin\none\ntwo\n# end\n"


@pytest.mark.parametrize("text", ["# begin\n", "# end\n", "# end\n# begin\n", "# begin\n# end\n# begin\n# end\n"])
def test_a_marker_that_stands_alone_is_left_to_the_user(text: str) -> None:
    with pytest.raises(ForeignFile):
        with_block(text, BLOCK, name="f")
    with pytest.raises(ForeignFile):
        without_block(text, BLOCK, name="f")


# -- JSON --------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('ab"\\{}[],: é\n', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"{', max_size=3), inner, max_size=3),
    max_leaves=12,
)
groups = st.fixed_dictionaries(
    {"hooks": st.lists(st.just({"type": "command", "command": "own"}), min_size=1, max_size=2)},
    optional={"matcher": st.just("Bash")},
)
settings = st.builds(
    lambda rest, hooks: {**rest, **({"hooks": hooks} if hooks else {})},
    st.dictionaries(st.text("abc", max_size=3), values, max_size=3),
    st.dictionaries(
        st.sampled_from(["PreToolUse", "SessionStart", "Stop"]), st.lists(groups, min_size=1, max_size=2), max_size=3
    ),
)
indents = st.sampled_from([None, 2, 4, "\t"])


@given(settings, indents)
def test_hooks_go_in_and_come_out_and_all_else_keeps_its_bytes(value: dict[str, Any], indent: Any) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    inside = _with_ours(text, HOOKS)
    _refuse_other_shapes(inside, "f")
    found = json.loads(inside)
    assert {key: found[key] for key in value if key != "hooks"} == {k: v for k, v in value.items() if k != "hooks"}
    for event, own in value.get("hooks", {}).items():
        assert found["hooks"][event][: len(own)] == own
    assert found["hooks"]["SessionStart"][-1] == {"hooks": [{"type": "command", "command": "taskkeep prime"}]}
    assert found["hooks"]["PreToolUse"][-1]["matcher"] == "Edit|Write"
    assert _with_ours(inside, HOOKS) == inside
    assert json.loads(_without_ours(inside)) == value
    assert _without_ours(inside) == text or not value


@given(st.dictionaries(st.text("ab", max_size=3), values, min_size=1, max_size=4), indents, st.data())
def test_an_entry_is_removed_as_text(value: dict[str, Any], indent: Any, data: st.DataObject) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    key = data.draw(st.sampled_from(sorted(value)))
    assert json.loads(removed(text, (key,))) == {name: rest for name, rest in value.items() if name != key}
    if isinstance(value[key], list):
        more = json.loads(inserted(text, (key,), {"new": [1]}))
        assert more == {**value, key: [*value[key], {"new": [1]}]}


def test_a_hook_beside_ours_in_one_group_stays() -> None:
    ours, own = ({"type": "command", "command": command} for command in ("taskkeep prime", "own"))
    text = json.dumps({"hooks": {"SessionStart": [{"hooks": [ours, own]}]}})
    assert _with_ours(text, {"SessionStart": HOOKS["SessionStart"]}) == text
    assert json.loads(_without_ours(text)) == {"hooks": {"SessionStart": [{"hooks": [own]}]}}


def test_an_older_hook_of_ours_is_replaced() -> None:
    old = {
        "hooks": {
            "PreToolUse": [{"matcher": "Edit", "hooks": [{"type": "command", "command": "taskkeep agents guard"}]}]
        }
    }
    found = json.loads(_with_ours(json.dumps(old), {"PreToolUse": HOOKS["PreToolUse"]}))
    assert [group["matcher"] for group in found["hooks"]["PreToolUse"]] == ["Edit|Write"]


@pytest.mark.parametrize("text", ["{", "[]", '{"hooks": []}', '{"hooks": {"Stop": {}}}', '{"hooks": {"Stop": [1]}}'])
def test_settings_of_another_shape_are_left_alone(text: str) -> None:
    with pytest.raises(ForeignFile, match=r"^f\b") as refused:
        _refuse_other_shapes(text, "f")
    assert refused.value.hint


def test_of_a_key_given_twice_the_last_counts() -> None:
    text = '{"a": [1], "a": [2]}'
    at = place(text, ("a", 0))
    assert at is not None
    assert text[at] == "2"
    assert [part.key for part in parts(text, 0)[0]] == ["a", "a"]

"""A terminal shows aligned columns, whole signs, and nothing that it would obey."""

from __future__ import annotations

import io
import re
import sys

import pytest

from taskkeep.cli.output import paragraphs, shown, write_out
from taskkeep.cli.screen import Screen, cell_len, cut, wrap

TITLES = (
    "Short",
    "A long title that goes on and on, well beyond what a narrow terminal can show on one line of it",
    "修复构建:任务消失时应当失败,并且说明是哪一个任务消失了以及为什么会这样,以便所有人都能看到",
    "🚀 Ship it 👩‍👩‍👧‍👦 with emoji of several code points 👍🏽 and e\u0301 combining",
    "한국어 제목이 여기에 있습니다 그리고 조금 더 길게 만들어서 잘려야 합니다 정말로 그렇습니다",
)


def task(number: int, title: str) -> dict[str, object]:
    return {
        "id": f"T{number:04}",
        "title": title,
        "status": ("todo", "in_progress", "blocked", "review", "done")[number % 5],
        "priority": ("critical", "high", "medium", "low")[number % 4],
        "type": "bug",
        "labels": ["ci", "documentation"],
        "assignee": "ada",
        "due": "2027-01-31",
        "created_at": "2026-11-20T12:00:00.000000Z",
    }


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    tasks = [task(number, title) for number, title in enumerate(TITLES)]
    for line in Screen(color=False, width=width).table(tasks).splitlines():
        assert cell_len(line) <= width


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_who_set_what_fits_as_well(width: int) -> None:
    """Where there is little room it is said without why, then without the event and the time."""
    rows = [(field, "2026-11-20T12:00:00.000000Z", "ada", "3f2a91c0-", "it had to be", text)
            for field, text in (("title", TITLES[1]), ("acceptance_criteria", TITLES[2]))]  # fmt: skip
    lines = Screen(color=False, width=width).blame(rows).splitlines()

    assert all(cell_len(line) <= width for line in lines)
    assert ("WHY" in lines[0], "WHEN" in lines[0], "BY" in lines[0]) == (width > 40, width > 40, True)


def test_columns_begin_at_the_same_cell() -> None:
    """Whatever the width of the signs before them."""
    tasks = [task(number, title) for number, title in enumerate(TITLES)]
    lines = Screen(color=False, width=120).table(tasks).splitlines()
    ends = {cell_len(line[: line.rindex("2027")]) for line in lines[1:]}
    assert len(ends) == 1


class OldTerminal(io.TextIOWrapper):
    """A terminal of western Europe, thirty years ago."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_without_unicode_gets_other_signs_of_the_same_width(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", OldTerminal(taken, encoding="iso8859-1"))

    write_out("✓ T0001  ○ todo  Größe … 🚀\n")

    assert taken.getvalue() == "+ T0001  o todo  Größe ~ \\U0001f680\n".encode("iso8859-1")


def test_colours_do_not_change_the_text() -> None:
    tasks = [task(number, title) for number, title in enumerate(TITLES)]
    plain = Screen(color=False, width=100).table(tasks)
    painted = Screen(color=True, width=100).table(tasks)
    assert painted != plain
    strip = re.sub("\x1b\\[[0-9;]*m", "", painted)
    assert [line.rstrip() for line in strip.splitlines()] == plain.splitlines()


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("width", range(3, 30))
def test_a_cut_text_fits_and_breaks_no_sign(title: str, width: int) -> None:
    text = cut(title, width)
    assert cell_len(text) <= width
    kept = text.removesuffix("…")
    assert not kept.endswith("\u200d")
    assert title.startswith(kept)


@pytest.mark.parametrize("title", [*TITLES, "x" * 300, "", "    indented words " * 9])
def test_wrapped_lines_fit_and_hold_every_word(title: str) -> None:
    lines = wrap(title, 30)
    assert all(cell_len(line) <= 30 for line in lines)
    assert "".join("".join(lines).split()) == "".join(title.split())


def test_a_task_is_shown_with_all_its_fields() -> None:
    value = {
        **task(1, TITLES[2]),
        "description": "a paragraph\n\n\tand code",
        "acceptance_criteria": [{"text": "first", "done": True}],
        "notes": [{"at": "2026-11-20T12:00:00.000000Z", "by": "bot", "text": "a note"}],
        "metadata": {"estimate": 3},
    }
    text = Screen(color=False, width=80).task(value)
    for part in (
        "T0001",
        "in progress",
        "2027-01-31",
        "a paragraph",
        "1 ✓ first",
        "bot",
        "a note",
        "estimate",
    ):
        assert part in text
    assert all(cell_len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("a\u202eb", "a\\u202eb"),
        ("\u200b", "\\u200b"),
        ("\udcff", "\\udcff"),
        ("\x9b", "\\x9b"),
    ],
)
def test_what_a_terminal_might_obey_is_shown_as_an_escape(text: str, escaped: str) -> None:
    assert shown(text) == escaped


def test_signs_of_several_code_points_stay() -> None:
    assert shown("👩‍👩‍👧‍👦 ❤️ 漢字 한") == "👩‍👩‍👧‍👦 ❤️ 漢字 한"


def test_long_texts_keep_their_lines() -> None:
    assert paragraphs("a\n\tb\x1b") == "a\n\tb\\x1b"

"""What a user hands over as text is read strictly, and never twice."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from taskkeep.cli.texts import Texts, check_arguments, given, metadata, numbers, split
from taskkeep.errors import InputInvalid, NotFound, Usage


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_text_is_itself() -> None:
    """Only a dash alone and a leading @ mean something else."""
    assert Texts().text("- not stdin", "--why") == "- not stdin"


def test_a_dash_is_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line ends are made LF, those at the end go."""
    stdin(monkeypatch, "für\r\nalle\n\n".encode())
    assert Texts().text("-", "--why") == "für\nalle"


def test_stdin_is_for_one_option_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second would find it empty; both are named."""
    stdin(monkeypatch, b"text")
    texts = Texts()
    texts.text("-", "--why")
    with pytest.raises(Usage, match="--why and --description"):
        texts.text("-", "--description")


def test_bytes_that_are_no_utf8_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line, instead of a text with holes."""
    stdin(monkeypatch, b"one\ntwo \xff\n")
    with pytest.raises(InputInvalid, match=r"not UTF-8 \(line 2\)"):
        Texts().text("-", "--why")


def test_a_byte_order_mark_before_a_text_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Editors and shells of Windows put one before what they write."""
    stdin(monkeypatch, b"\xef\xbb\xbffor all")
    assert Texts().text("-", "--why") == "for all"
    stdin(monkeypatch, b'\xef\xbb\xbf{"title": "x"}')
    assert Texts().object("add -") == {"title": "x"}


def test_an_at_sign_names_a_file(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_bytes(b"long\ntext\n")
    assert Texts().text(f"@{tmp_path}/note.md", "--why") == "long\ntext"


def test_two_at_signs_are_one() -> None:
    assert Texts().text("@@ada", "--why") == "@ada"


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Texts().text(f"@{tmp_path}/gone", "--why")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid):
        Texts().text(f"@{tmp_path}", "--why")


@pytest.mark.parametrize("data", [b"[1]", b"", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": 1e400}', b"\xff"])
def test_an_object_is_read_strictly(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    stdin(monkeypatch, data)
    with pytest.raises(InputInvalid):
        Texts().object("add")


def test_deep_nesting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """However deep, without a traceback."""
    stdin(monkeypatch, b'{"a": ' + b"[" * 100_000)
    with pytest.raises(InputInvalid):
        Texts().object("add")


@pytest.mark.parametrize(
    ("given_text", "value"),
    [("a=1", 1), ("a=x", "x"), ("a=", ""), ('a={"b": [1]}', {"b": [1]}), ("a=NaN", "NaN"), ("a=b=c", "b=c")],
)
def test_metadata_is_json_where_it_is_json(given_text: str, value: object) -> None:
    assert metadata([given_text]) == {"a": value}


@pytest.mark.parametrize("text", ["a=1e400", 'a={"b": 1, "b": 2}', f"a={'9' * 5000}", f"a={'[' * 100_000}"])
def test_json_that_cannot_be_kept_is_refused(text: str) -> None:
    """It is not taken as plain text in silence."""
    with pytest.raises(InputInvalid):
        metadata([text])


@pytest.mark.parametrize("text", ["a", "=1", " =1"])
def test_metadata_needs_a_key(text: str) -> None:
    with pytest.raises(Usage):
        metadata([text])


def test_lists_are_split_at_commas_and_hold_an_entry_once() -> None:
    assert split(["a, b", "b,c,", ""]) == ["a", "b", "c"]


def test_criteria_are_named_by_number() -> None:
    assert numbers(["1,3", "2"], "--check") == (1, 3, 2)
    for text in ("x", "-1", "1.5", "١"):
        with pytest.raises(Usage):
            numbers([text], "--check")


def test_arguments_must_be_text() -> None:
    """Bytes that are no UTF-8 reach Python as lone surrogates."""
    check_arguments(["add", "für alle"])
    with pytest.raises(InputInvalid, match="argument 2"):
        check_arguments(["add", "\udcff"])


def test_a_flag_is_found_before_the_double_dash_only() -> None:
    assert given(["list", "--json"], "--json")
    assert not given(["add", "--", "--json"], "--json")
    assert given(["list", "--format=json"], "--format", "json")
    assert given(["list", "--format", "json"], "--format", "json")
    assert not given(["list", "--format", "tsv"], "--format", "json")

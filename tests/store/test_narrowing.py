"""A project's own rules for its tasks, in its configuration."""

from __future__ import annotations

from typing import Any

import pytest

import taskkeep
from taskkeep import Edit

RULES = """
[schema]
required = ["role"]
priority = { enum = ["high", "low"] }
labels = { items = { enum = ["ci", "ui"] } }

[metadata]
estimate = { type = "number", minimum = 0 }
"""


@pytest.fixture
def strict(kit: Any) -> Any:
    (kit.root / ".taskkeep" / "config.toml").write_text(RULES)
    return kit


GOOD = {"role": "backend", "priority": "high", "labels": ["ci"], "metadata": {"estimate": 3, "own": "free"}}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"role": None}, "role is missing"),
        ({"priority": "medium"}, "priority is medium, not one of high, low"),
        ({"labels": ["ci", "other"]}, "labels.1 is other"),
        ({"metadata": {"estimate": -1}}, "metadata.estimate does not keep to minimum 0"),
        ({"metadata": {"estimate": "three"}}, "metadata.estimate is not of type number"),
    ],
)
def test_what_breaks_a_rule_is_refused(strict: Any, fields: dict[str, Any], words: str) -> None:
    before = strict.files()
    given = {name: value for name, value in {**GOOD, **fields}.items() if value is not None}

    with pytest.raises(taskkeep.Invalid) as refused:
        strict.project.add("new", **given)

    assert words in refused.value.message
    assert strict.files() == before


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("title = { minLength = 9 }", "title does not keep to minLength 9"),
        ("title = { maxLength = 2 }", "title does not keep to maxLength 2"),
        ('title = { pattern = "^x" }', "title does not keep to pattern ^x"),
        ("labels = { minItems = 2 }", "labels does not keep to minItems 2"),
        ("labels = { maxItems = 0 }", "labels does not keep to maxItems 0"),
        ("labels = { uniqueItems = true, items = { minLength = 3 } }", "labels.0 does not keep to minLength 3"),
        ('title = { const = "one" }', "title is not allowed by the schema (const)"),
        ('type = { enum = ["bug"] }', "type is task, not one of bug"),
        ('description = { type = "string" }\nrequired = ["description"]', "description is missing"),
    ],
)
def test_each_kind_of_rule_is_told_by_its_name_and_value(kit: Any, rule: str, words: str) -> None:
    (kit.root / ".taskkeep" / "config.toml").write_text(f"[schema]\n{rule}\n")
    with pytest.raises(taskkeep.Invalid) as refused:
        kit.project.add("new", labels=["ci"])
    assert refused.value.message.endswith(words)
    assert refused.value.hint == "The project demands it in .taskkeep/config.toml."


def test_what_keeps_to_the_rules_passes(strict: Any) -> None:
    assert strict.project.add("new", **GOOD).changed


def test_what_was_so_before_is_a_warning_and_a_finding(strict: Any) -> None:
    """A rule made today does not lock the tasks of yesterday."""
    task_id = strict.id_of("first")

    saved = strict.project.update([task_id], Edit(set={"title": "renamed"}))

    assert any("role is missing" in warning for warning in saved.warnings)
    findings = strict.project.verify().findings
    assert {finding["code"] for finding in findings} == {"schema"}
    assert task_id in {finding["task_id"] for finding in findings}
    strict.project.update([task_id], Edit(set=GOOD))
    with pytest.raises(taskkeep.Invalid) as refused:
        strict.project.update([task_id], Edit(set={"priority": "medium"}))
    assert refused.value.details == {"field": "priority", "task_id": task_id}


@pytest.mark.parametrize(
    "rules",
    ['[schema]\nnothing = { enum = ["a"] }', '[schema]\npriority = { type = "wrong" }', '[schema]\nrequired = ["x"]',
     '[schema]\ntitle = { "$ref" = "https://example.invalid/x.json" }', "schema = 3"],
)  # fmt: skip
def test_rules_that_are_none_are_an_error_of_the_configuration(kit: Any, rules: str) -> None:
    """Nothing is fetched for them either."""
    (kit.root / ".taskkeep" / "config.toml").write_text(rules + "\n")

    with pytest.raises(taskkeep.Invalid) as refused:
        kit.project.add("new")

    assert refused.value.code == "config"
    if "wrong" in rules:
        assert ".taskkeep/config.toml: properties.priority.type: " in refused.value.message
    assert "config" in {finding["code"] for finding in kit.project.verify().findings}

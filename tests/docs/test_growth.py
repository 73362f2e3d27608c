"""The picture of growth is that of the table."""

from __future__ import annotations

import importlib.util
from pathlib import Path

TOP = Path(__file__).parents[2]


def test_the_picture_of_growth_is_drawn_from_the_table() -> None:
    """Else 'python benchmarks/growth.py' draws it anew."""
    spec = importlib.util.spec_from_file_location("growth", TOP / "benchmarks" / "growth.py")
    assert spec is not None
    assert spec.loader is not None
    growth = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(growth)
    table = (TOP / "docs" / "performance.md").read_text(encoding="utf-8")

    drawn = growth.picture(table)

    assert drawn == (TOP / "docs" / "pictures" / "growth.svg").read_text(encoding="utf-8")
    assert all(f">{name}</text>" in drawn for name in growth.COMMANDS)

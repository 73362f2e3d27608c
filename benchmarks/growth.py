"""Draw docs/pictures/growth.svg from the table in docs/performance.md: `python benchmarks/growth.py`.

Time against the number of tasks, both by powers of ten, each command with its floor.
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
COMMANDS = (
    "list --json --limit 20", "ready", "show", "prime", "add", "update", "batch", "import",
    "verify", "verify --base", "merge-driver", "restore --at TIME",
)  # fmt: skip
COLUMNS = 4
WIDTH, HEIGHT, GAP = 222, 170, 44  # of a panel, and to the next
LEFT, TOP = 48, 46
SIZES = (100, 1_000, 10_000, 100_000)
TIMES = (10, 100, 1_000, 10_000, 100_000)  # ms
NAMES = ("10 ms", "0.1 s", "1 s", "10 s", "100 s")
OWN, FLOOR, INK, RULE = "#1d4ed8", "#9ca3af", "#374151", "#e5e7eb"
Points = list[tuple[int, float]]


def table(text: str) -> dict[str, tuple[Points, Points]]:
    """The times of each command and of its floor by number of tasks, as the table has them."""
    found: dict[str, tuple[Points, Points]] = {}
    for line in text.splitlines():
        cells = [cell.strip().replace(",", "") for cell in line.strip("| ").split("|")]
        if len(cells) != 8 or not (cells[1].isdigit() and cells[2].isdigit()):
            continue
        raw = line.strip("| ").split("|")[0].strip()
        name = raw.partition(", ")[0] if not raw.startswith("add,") else raw
        name = "batch" if name.startswith("batch") else name
        own, floor = found.setdefault(name, ([], []))
        own.append((int(cells[1]), float(cells[2])))
        floor.append((int(cells[1]), float(cells[3])))
    return found


def _x(tasks: float) -> float:
    return (math.log10(tasks) - 2) / 3 * (WIDTH - GAP)


def _y(milliseconds: float) -> float:
    return (HEIGHT - 44) * (1 - (math.log10(milliseconds) - 1) / 4)


def _line(points: Points, colour: str, dashes: str = "") -> str:
    path = " ".join(f"{_x(tasks):.1f},{_y(time):.1f}" for tasks, time in sorted(points))
    dotted = f' stroke-dasharray="{dashes}"' if dashes else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dotted}/>']
    if not dashes:
        parts += [
            f'<circle cx="{_x(tasks):.1f}" cy="{_y(time):.1f}" r="2.5" fill="{colour}"/>' for tasks, time in points
        ]
    return "".join(parts)


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'


def panel(name: str, own: Points, floor: Points, place: int) -> str:
    row, column = divmod(place, COLUMNS)
    parts = [f'<g transform="translate({LEFT + column * WIDTH},{TOP + 20 + row * HEIGHT})">']
    parts.append(_text(0, -8, name, 'font-weight="bold"'))
    for time, said in zip(TIMES, NAMES, strict=True):
        y = _y(time)
        parts.append(f'<line x1="0" x2="{WIDTH - GAP}" y1="{y:.1f}" y2="{y:.1f}" stroke="{RULE}"/>')
        if not column:
            parts.append(_text(-6, y + 4, said, 'text-anchor="end"'))
    for tasks in SIZES:
        parts.append(_text(_x(tasks), HEIGHT - 30, f"{tasks:,}".replace(",000", "k"), 'text-anchor="middle"'))
    parts += [_line(floor, FLOOR, "5 4"), _line(own, OWN), "</g>"]
    return "".join(parts)


def picture(text: str) -> str:
    """The picture of the table in *text*."""
    found = table(text)
    there = [name for name in COMMANDS if name in found]
    width, height = LEFT + COLUMNS * WIDTH, TOP + 10 + math.ceil(len(there) / COLUMNS) * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11" fill="{INK}">',
        "<title>Time of each command against the number of tasks, with its floor</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(LEFT, 20, "Time of one call against the number of tasks", 'font-size="14" font-weight="bold"'),
        f'<line x1="{LEFT}" x2="{LEFT + 24}" y1="34" y2="34" stroke="{OWN}" stroke-width="2"/>',
        _text(LEFT + 30, 38, "taskkeep"),
        f'<line x1="{LEFT + 100}" x2="{LEFT + 124}" y1="34" y2="34" stroke="{FLOOR}" stroke-width="2" '
        'stroke-dasharray="5 4"/>',
        _text(LEFT + 130, 38, "its floor, measured in the same run (for restore: list)"),
    ]
    parts += [panel(name, *found[name], place) for place, name in enumerate(there)]
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    drawn = picture((DOCS / "performance.md").read_text(encoding="utf-8"))
    (DOCS / "pictures" / "growth.svg").write_text(drawn, encoding="utf-8")
    print("written: docs/pictures/growth.svg")


if __name__ == "__main__":
    main()

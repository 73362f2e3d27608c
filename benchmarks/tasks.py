"""Write a file of N tasks of some 600 bytes: `python tasks.py N FILE`. Same N, same tasks."""

from __future__ import annotations

import json
import random
import sys

WORDS = (
    "parser cache index retry token merge writer reader branch commit schema limit queue socket "
    "header footer button layout release build login session export filter search import".split()
)


def tasks(count: int) -> list[dict[str, object]]:
    """Return *count* tasks as a foreign tracker would export them: links, labels, texts, some finished."""
    draw = random.Random(count)
    result: list[dict[str, object]] = []
    for number in range(1, count + 1):
        words = draw.choices(WORDS, k=24)
        task: dict[str, object] = {
            "id": f"T{number}",
            "title": " ".join(words[:5]).capitalize(),
            "description": " ".join(words[5:17]).capitalize() + ".",
            "status": draw.choices(["todo", "in_progress", "done"], [6, 1, 3])[0],
            "priority": draw.choice(["critical", "high", "medium", "low"]),
            "labels": sorted(set(words[21:23])),
            "acceptance_criteria": [f"The {words[23]} is tested."],
        }
        if number > 10 and number % 4 == 0:
            task["depends_on"] = [f"T{draw.randrange(1, number)}"]
        result.append(task)
    return result


if __name__ == "__main__":
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump({"tasks": tasks(int(sys.argv[1]))}, file, indent=2)

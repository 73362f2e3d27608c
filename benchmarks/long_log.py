"""Lengthen the log of a backlog to so many events: `python long_log.py FOLDER EVENTS [SINGLE]`; by so many: `+EVENTS`.

Requests that change all tasks at once, then SINGLE of one task each, by default some hundred, as many as a log has
files in everyday use.
"""

import gc
import sys

import taskkeep
from taskkeep.backlog.changes import Edit

SINGLE = 200


def main(folder: str, asked: str, single: int = SINGLE) -> None:
    gc.disable()
    project = taskkeep.open(folder)
    ids = list(project.backlog().tasks)
    count = project.log(limit=1).total
    wanted = int(asked) + (count if asked.startswith("+") else 0)
    turn = 0
    while count < wanted - single:
        turn += 1
        project.update(ids[: wanted - single - count], Edit(set={"assignee": f"a{turn}"}), commit=False)
        count += min(len(ids), wanted - single - count)
    for number in range(max(0, wanted - count)):
        project.update([ids[number % len(ids)]], Edit(set={"role": f"r{number}"}), commit=False)
    project.add("the commit of all that waits")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))

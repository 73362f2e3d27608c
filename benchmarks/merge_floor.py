"""The least that a merge of three files by task could do: `python merge_floor.py BASE OURS THEIRS`.

Decodes all three, takes each task of the side that changed it, and writes ours anew; fields, ids and links are not
looked at.
"""

import json
import os
import sys

import typer  # noqa: F401, as every command line of this kind loads it

base, ours, theirs = (
    {task["uid"]: task for task in json.loads(open(name, "rb").read())["tasks"]} for name in sys.argv[1:4]
)
merged = [
    theirs.get(uid, task) if task == base.get(uid) else task
    for uid, task in sorted({**theirs, **ours}.items(), key=lambda item: item[1]["id"])
]
new = f"{sys.argv[2]}.new"
with open(new, "w", encoding="utf-8") as file:
    file.write(json.dumps({"$schema": ".taskkeep/backlog.schema.json", "version": 1, "tasks": merged}, indent=2))
os.replace(new, sys.argv[2])

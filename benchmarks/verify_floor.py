"""The least that a check of a backlog could do: `python verify_floor.py FOLDER`.

Decodes the file and writes it again, decodes each event of the log and hashes it again, and asks git for
HEAD's file. No rule, no replay, no comparison, no secret, no line of a finding.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import typer  # noqa: F401, as every command line of this kind loads it

folder = Path(sys.argv[1])
data = (folder / "backlog.json").read_bytes()
assert (json.dumps(json.loads(data), indent=2, ensure_ascii=False) + "\n").encode() == data
for path in (folder / ".taskkeep" / "audit").rglob("*.jsonl"):
    for row in path.read_bytes().splitlines():
        event = json.loads(row)
        name = event.pop("hash")
        text = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(text.encode()).hexdigest() == name
head = subprocess.run(["git", "cat-file", "blob", "HEAD:backlog.json"], cwd=folder, capture_output=True, check=True)
json.loads(head.stdout)

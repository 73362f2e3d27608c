"""What a call costs beside its own work, on a backlog of 1,000 tasks: `python benchmarks/effort.py`, a Markdown table.

Modules of Python that are imported; programs that are started beside it, git mostly; syncs; files and bytes that are
written, by git too. Needs strace. `--processes` names the programs and what they were asked for, instead.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from run import Bench, _an_id

TASKS = 1_000
NO_FILES = ("/dev/null", "/dev/tty", "/dev/pts", "/proc/")
_CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+)")
_PLACE = re.compile(r"^\d+<(/[^>]*)>")


class Effort(NamedTuple):
    modules: int
    programs: list[str]
    syncs: int
    files: int
    written: int


def modules(bench: Bench, args: list[str], cwd: Path) -> int:
    """How many modules the console command has imported when it ends."""
    code = (
        "import os, sys\nsys.argv = ['taskkeep', *sys.argv[1:]]\nimport re\n"
        "def end(status, leave=os._exit):\n    print('modules', len(sys.modules), file=sys.stderr, flush=True)\n"
        "    leave(status)\nos._exit = end\nfrom taskkeep.cli.main import main\nmain()"
    )
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, cwd=cwd, env=bench.env, capture_output=True, text=True, check=True)
    return int(done.stderr.rsplit("modules ", 1)[1])


def effort(bench: Bench, args: list[str], cwd: Path, again: list[str] | None = None) -> Effort:
    """Run a command twice; the second time *again*, where it cannot be the same."""
    count = modules(bench, args, cwd)
    traces = bench.folder / "traces"
    traces.mkdir()
    calls = "trace=execve,fsync,fdatasync,write,pwrite64,writev"
    # A file for each process, so that no call is told in two parts.
    command = ["strace", "-ff", "-y", "-s", "400", "-o", str(traces / "of"), "-e", calls, bench.tool, *(again or args)]
    subprocess.run(command, cwd=cwd, env=bench.env, capture_output=True, check=True)
    programs: list[str] = []
    syncs = written = 0
    files: set[str] = set()
    for trace in sorted(traces.iterdir(), key=lambda path: int(path.suffix[1:])):
        for line in trace.read_text(errors="replace").splitlines():
            found = _CALL.match(line)
            if found is None or int(found[3]) < 0:
                continue
            name, given, result = found[1], found[2], int(found[3])
            if name == "execve":
                programs.append(given)
            elif name.endswith("sync"):
                syncs += 1
            elif (place := _PLACE.match(given)) is not None and not place[1].startswith(NO_FILES):
                files.add(place[1])
                written += result
    shutil.rmtree(traces)
    return Effort(count, programs[1:], syncs, len(files), written)


def what(program: str) -> str:
    """The part of a program's arguments that tells what it was asked for."""
    words = re.findall(r'"((?:[^"\\]|\\.)*)"', program)[1:]
    rest = words[words.index("core.quotePath=false") + 1 :] if "core.quotePath=false" in words else words
    return " ".join(["git" if rest != words else "", *rest]).strip()


def rows(bench: Bench) -> list[tuple[str, Effort]]:
    tasks = bench.folder / "tasks.json"
    bench.cost([sys.executable, str(Path(__file__).with_name("tasks.py")), str(TASKS), str(tasks)], bench.folder)
    path = bench.repository("backlog")
    bench.cost([bench.tool, "import", str(tasks), "--from", "json"], path)
    some = _an_id(path / "backlog.json")
    bench.cost(["git", "branch", "base"], path)
    bench.cost([bench.tool, "add", "Of the pull request"], path)
    found = [("--version", effort(bench, ["--version"], path))]
    for line in ("list --json --limit 20", "ready", f"show {some}", "prime", "verify", "verify --base base"):
        found.append((line.replace(some, "ID"), effort(bench, line.split(), path)))
    asked = [bench.tool, "log", "--limit", "1", "--json"]
    said = subprocess.run(asked, cwd=path, env=bench.env, capture_output=True, check=True).stdout
    moment = json.loads(said)["events"][0]["timestamp"]
    bench.cost([bench.tool, "update", some, "--title", "Something else"], path)
    found.append(("show ID --at TIME", effort(bench, ["show", some, "--at", moment], path)))
    found.append(("add", effort(bench, ["add", "Measure the parser"], path)))
    ids = bench.open_ids(path, 4)
    found.append(("update", effort(bench, ["update", some, "-a", "ada"], path, ["update", some, "-a", "grace"])))
    found.append(("claim", effort(bench, ["claim"], path)))
    done = [["done", one, "--force"] for one in ids[:2]]
    found.append(("done", effort(bench, done[0], path, done[1])))
    found.append(
        (
            "restore --at TIME",
            effort(
                bench,
                ["restore", some, "--at", moment, "--yes", "--dry-run"],
                path,
                ["restore", some, "--at", moment, "--yes"],
            ),
        )
    )
    bench.cost([bench.tool, "add", "Staged", "--no-commit"], path)
    bench.cost(["git", "add", "-A"], path)
    found.append(("verify --staged", effort(bench, ["verify", "--staged"], path)))
    names = [str(bench.folder / name) for name in ("base", "ours", "theirs")]
    for name in names:
        shutil.copyfile(path / "backlog.json", name)
    found.append(("merge-driver", effort(bench, ["merge-driver", *names, "backlog.json"], path)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Count what each command does beside its own work.")
    parser.add_argument("--processes", action="store_true", help="name the programs that each command starts")
    asked = parser.parse_args()
    if shutil.which("strace") is None:
        sys.exit("strace is not installed")
    with tempfile.TemporaryDirectory(prefix="taskkeep-effort-") as name:
        found = rows(Bench(Path(name), 1))
    if asked.processes:
        for command, one in found:
            print(command)
            print("".join(f"    {what(program)}\n" for program in one.programs), end="")
        return
    print("| command | modules | processes | syncs | files written | bytes written |")
    print("|---|--:|--:|--:|--:|--:|")
    for command, one in found:
        counts = (one.modules, len(one.programs), one.syncs, one.files, one.written)
        print(f"| {command} | " + " | ".join(f"{count:,}" for count in counts) + " |")


if __name__ == "__main__":
    main()

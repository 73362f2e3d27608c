"""Measure whole processes and print a Markdown table: `python benchmarks/run.py [--large] [--runs N]`.

Every command is run beside its floor, in turns, so that both see the same machine. Reads have
`python -c "import typer"` for a floor, writes that and floor.py, their times added, verify verify_floor.py, the
merge of two branches merge_floor.py. Times are medians of wall-clock milliseconds, and of those that
processors worked, which other work on the machine moves less; memory is the largest resident
size of the command and its children.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
SIZES = (100, 1_000, 10_000)
LARGE = 100_000
LARGE_RUNS = 3
LONG_LOG = 50_000
BATCH = 1_000
PAST = 1_000
WRITE_FLOOR, VERIFY_FLOOR = str(HERE / "floor.py"), str(HERE / "verify_floor.py")
MERGE_FLOOR = str(HERE / "merge_floor.py")
EDITS = 1_000
READ_FLOOR = [sys.executable, "-c", "import typer"]


class Cost(NamedTuple):
    """One process: wall-clock seconds, those of processors with its children, KiB of memory at most."""

    seconds: float
    worked: float
    memory: int

    def plus(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.worked + other.worked, max(self.memory, other.memory))


class Row(NamedTuple):
    command: str
    size: str
    own: list[Cost]
    floor: list[Cost]


def environment(home: Path) -> dict[str, str]:
    """An environment in which no configuration of the user's counts, and bytecode is used."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "TASKKEEP_"))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    settings = home / ".gitconfig"
    settings.write_text("[user]\n\tname = Bench\n\temail = bench@example.org\n[gc]\n\tauto = 0\n")
    return {**env, "HOME": str(home), "GIT_CONFIG_GLOBAL": str(settings), "GIT_CONFIG_NOSYSTEM": "1"}


class Bench:
    def __init__(self, folder: Path, runs: int) -> None:
        self.folder, self.runs = folder, runs
        self.env = environment(folder)
        self.tool = shutil.which("taskkeep", path=sysconfig.get_path("scripts")) or ""
        if not self.tool:
            sys.exit("taskkeep is not installed beside this Python: pip install -e .")
        self.rows: list[Row] = []
        self.first = 1  # the first of a command's runs that counts

    def cost(self, args: list[str], cwd: Path) -> Cost:
        """Run one command to its end. A failure of it ends all."""
        with tempfile.TemporaryFile() as out:
            start = time.perf_counter()
            process = subprocess.Popen(args, cwd=cwd, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                out.seek(0)
                sys.exit(f"{' '.join(args)}: exit status {process.returncode}\n{out.read().decode()}")
        scale = 1024 if sys.platform == "darwin" else 1
        return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // scale)

    def measure(
        self, label: str, size: str, own: list[str], floor: list[str], cwd: Path, ids: list[str] | None = None
    ) -> None:
        """Run command and floor in turns; the first of each only warms the caches.

        ``{turn}`` in *own* becomes the number of the run, so that each changes something, ``{id}`` one of *ids*.
        """
        costs: tuple[list[Cost], list[Cost]] = ([], [])
        for turn in range(self.first + self.runs):
            for gathered, args in zip(costs, (own, floor), strict=True):
                words = {"{turn}": str(turn), "{id}": ids[turn] if ids else ""}
                cost = self.cost([words.get(arg, arg.replace("{turn}", str(turn))) for arg in args], cwd)
                if gathered is costs[1] and len(floor) > 1 and floor[1] == WRITE_FLOOR:
                    cost = cost.plus(self.cost(READ_FLOOR, cwd))
                if turn >= self.first:
                    gathered.append(cost)
        self.rows.append(Row(label, size, *costs))
        print(_line(self.rows[-1]), file=sys.stderr)

    def repository(self, name: str) -> Path:
        """A fresh git repository with an empty backlog in it."""
        path = self.folder / name
        path.mkdir()
        self.cost(["git", "init", "-q"], path)
        self.cost([self.tool, "init"], path)
        return path

    def floor_repository(self, name: str, source: Path) -> list[str]:
        """The command that saves the bytes of *source* in a repository of its own."""
        path = self.folder / name
        path.mkdir()
        self.cost(["git", "init", "-q"], path)
        (path / "backlog.json").write_text("")
        self.cost(["git", "add", "backlog.json"], path)
        return [sys.executable, WRITE_FLOOR, str(path / "backlog.json"), str(source)]

    # -- what is measured ----------------------------------------------------------------

    def version(self) -> None:
        self.measure("--version", "", [self.tool, "--version"], READ_FLOOR, self.folder)

    def size(self, count: int) -> None:
        """All commands on a backlog of *count* tasks; of a large one each LARGE_RUNS times, which all count."""
        if count >= LARGE:
            self.runs, self.first = LARGE_RUNS, 0
        size = f"{count:,}"
        tasks = self.folder / f"tasks-{count}.json"
        self.cost([sys.executable, str(HERE / "tasks.py"), str(count), str(tasks)], self.folder)
        path = self.repository(f"backlog-{count}")
        self.cost([self.tool, "import", str(tasks), "--from", "json"], path)
        backlog = path / "backlog.json"
        some = _an_id(backlog)
        self.verify(size, path)
        source = self.folder / f"bytes-{count}"
        shutil.copyfile(backlog, source)
        floor = self.floor_repository(f"floor-{count}", source)
        for label, args in {
            "list --json --limit 20": ["list", "--json", "--limit", "20"],
            "show": ["show", some],
            "ready": ["ready"],
            "prime": ["prime"],
        }.items():
            self.measure(label, size, [self.tool, *args], READ_FLOOR, path)
        self.measure("add", size, [self.tool, "add", "Measure the parser"], floor, path)
        self.measure("update", size, [self.tool, "update", some, "--assignee", "someone-{turn}"], floor, path)
        self.measure("claim", size, [self.tool, "claim"], floor, path)
        self.measure("done", size, [self.tool, "done", "{id}", "--force"], floor, path, self.open_ids(path))
        if count >= BATCH:
            self.batch(size, floor, path)
        self.merge(count, source)
        self.travel(count, path, some)
        self.imports(count, tasks, source, floor)
        for old in self.folder.glob(f"*-{count}"):
            if old.is_dir():
                shutil.rmtree(old)

    def open_ids(self, path: Path, limit: int = 0) -> list[str]:
        args = [self.tool, "list", "--status", "todo", "--format", "ids", "--limit", str(limit or self.runs + 1)]
        return subprocess.run(args, cwd=path, env=self.env, capture_output=True, text=True, check=True).stdout.split()

    def batch(self, size: str, floor: list[str], path: Path) -> None:
        """BATCH operations as one change: half of them fields, half notes."""
        ids = self.open_ids(path, BATCH // 2)
        for turn in range(self.first + self.runs):
            rows = [{"op": "update", "id": name, "assignee": f"someone-{turn}"} for name in ids]
            rows += [{"op": "note", "id": name, "text": f"Seen in turn {turn}."} for name in ids]
            (self.folder / f"plan-{turn}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        plan = str(self.folder / "plan-{turn}.jsonl")
        self.measure(f"batch of {2 * len(ids):,}", size, [self.tool, "batch", plan, "-q"], floor, path)

    def merge(self, count: int, source: Path) -> None:
        """git's driver: EDITS of either side (a tenth where there are few tasks), the half of them of one task each."""
        tasks = json.loads(source.read_bytes())["tasks"]
        edits = min(EDITS, count // 10)
        names = []
        for name, first, change in (
            ("base", 0, {}),
            ("ours", 0, {"assignee": "ours", "updated_at": "2030-01-01T00:00:00.000000Z"}),
            ("theirs", edits // 2, {"role": "theirs", "updated_at": "2030-01-01T00:00:00.000001Z"}),
        ):
            edited = [
                {**task, **change} if change and first <= place < first + edits else task
                for place, task in enumerate(tasks)
            ]
            names.append(str(self.folder / f"merge-{name}-{count}"))
            _dump(edited, names[-1])
        folder = self.repository(f"merged-{count}")
        own, target = [self.tool, "merge-driver", *names, "backlog.json"], names[1]
        shutil.copyfile(target, f"{target}.kept")
        costs: tuple[list[Cost], list[Cost]] = ([], [])
        for turn in range(self.first + self.runs):
            for gathered, args in zip(costs, (own, [sys.executable, MERGE_FLOOR, *names]), strict=True):
                shutil.copyfile(f"{target}.kept", target)
                cost = self.cost(args, folder)
                if turn >= self.first:
                    gathered.append(cost)
        self.rows.append(Row(f"merge-driver, 2 x {edits:,} edits", f"{count:,}", *costs))
        print(_line(self.rows[-1]), file=sys.stderr)

    def travel(self, count: int, path: Path, some: str) -> None:
        """What looks back, with PAST events more, beside `list` on the same backlog."""
        singles = 20 if count >= LARGE else 200
        self.cost([sys.executable, str(HERE / "long_log.py"), str(path), f"+{PAST}", str(singles)], path)
        listing = [self.tool, "list"]
        found = subprocess.run(
            [self.tool, "log", "--limit", "1", "--json"], cwd=path, env=self.env, capture_output=True, check=True
        )
        [last] = json.loads(found.stdout)["events"]
        self.cost([self.tool, "update", some, "--title", "Something else"], path)
        size = f"{count:,}"
        for label, args in {
            "log ID": ["log", some],
            "show --at TIME": ["show", some, "--at", last["timestamp"]],
            "list --at TIME": ["list", "--at", last["timestamp"]],
            "restore --at TIME --dry-run": ["restore", "--at", last["timestamp"], "--dry-run"],
        }.items():
            self.measure(f"{label}, against list", size, [self.tool, *args], listing, path)
        # Each turn goes there or back, so that there always is something to bring back.
        own: list[Cost] = []
        floors: list[Cost] = []
        for turn in range(self.first + self.runs):
            self.cost([self.tool, "update", some, "--title", f"Something else {turn}"], path)
            cost = self.cost([self.tool, "restore", "--at", last["timestamp"], "--yes"], path)
            floor = self.cost(listing, path)
            if turn >= self.first:
                own.append(cost)
                floors.append(floor)
        self.rows.append(Row("restore --at TIME, against list", size, own, floors))
        print(_line(self.rows[-1]), file=sys.stderr)

    def verify(self, size: str, path: Path) -> None:
        """Everything here; a pull request of three commits; what is staged."""
        self.cost(["git", "branch", "base"], path)
        for number in range(3):
            self.cost([self.tool, "add", f"Of the pull request {number}"], path)
        floor = [sys.executable, VERIFY_FLOOR, str(path)]
        self.measure("verify", size, [self.tool, "verify"], floor, path)
        self.measure("verify --base", size, [self.tool, "verify", "--base", "base"], floor, path)
        self.cost([self.tool, "add", "Staged", "--no-commit"], path)
        self.cost(["git", "add", "-A"], path)
        self.measure("verify --staged", size, [self.tool, "verify", "--staged"], floor, path)
        self.cost([self.tool, "recover"], path)

    def imports(self, count: int, tasks: Path, source: Path, floor: list[str]) -> None:
        own: list[Cost] = []
        floors: list[Cost] = []
        for turn in range(self.runs):
            path = self.repository(f"import-{count}-{turn}")
            own.append(self.cost([self.tool, "import", str(tasks), "--from", "json"], path))
            floors.append(self.cost(floor, path).plus(self.cost(READ_FLOOR, path)))
            shutil.rmtree(path)
        self.rows.append(Row("import", f"{count:,}", own, floors))
        print(_line(self.rows[-1]), file=sys.stderr)

    def long_log(self, count: int) -> None:
        """`add` where the log has LONG_LOG events."""
        tasks = self.folder / f"tasks-{count}.json"
        path = self.repository("long-log")
        self.cost([self.tool, "import", str(tasks), "--from", "json"], path)
        self.cost([sys.executable, str(HERE / "long_log.py"), str(path), str(LONG_LOG)], path)
        source = self.folder / "bytes-long-log"
        shutil.copyfile(path / "backlog.json", source)
        floor = self.floor_repository("floor-long-log", source)
        label = f"add, {LONG_LOG:,} events"
        self.measure(label, f"{count:,}", [self.tool, "add", "Measure the parser"], floor, path)


def _dump(tasks: list[dict[str, object]], path: str) -> None:
    """In canonical form, which a task's fields have an order in."""
    from taskkeep.backlog import text
    from taskkeep.backlog.task import canonical

    Path(path).write_bytes(text.dump(canonical(task) for task in tasks))


def _an_id(backlog: Path) -> str:
    """The id of a task in the middle, found without reading the whole file into this process."""
    size = backlog.stat().st_size
    with backlog.open("rb") as file:
        file.seek(size // 2)
        for line in file:
            if line.startswith(b'      "id": "'):
                return str(json.loads(b"{" + line.strip().rstrip(b",") + b"}")["id"])
    raise AssertionError("no task in the second half")


def _line(row: Row) -> str:
    own, floor, worked, work = (
        statistics.median(getattr(cost, name) for cost in costs) * 1000
        for name in ("seconds", "worked")
        for costs in (row.own, row.floor)
    )
    memory = max(cost.memory for cost in row.own) / 1024
    numbers = f"{own:,.0f} | {floor:,.0f} | {own / floor:.2f} | {worked:,.0f} | {worked / work:.2f} | {memory:,.0f}"
    return f"| {row.command} | {row.size} | {numbers} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure taskkeep and print a Markdown table.")
    parser.add_argument("--large", action="store_true", help=f"measure {LARGE:,} tasks too, {LARGE_RUNS} runs each")
    parser.add_argument("--only", type=int, metavar="TASKS", help="only backlogs of this size")
    parser.add_argument("--runs", type=int, default=15, metavar="N", help="runs of each command, at least 10")
    asked = parser.parse_args()
    if asked.runs < 10:
        parser.error("a median needs at least 10 runs")
    # Without bytecode every start would compile; an installed package has it.
    import taskkeep

    compileall.compile_dir(os.path.dirname(taskkeep.__file__), quiet=1)
    with tempfile.TemporaryDirectory(prefix="taskkeep-bench-") as name:
        bench = Bench(Path(name), asked.runs)
        bench.version()
        for count in [asked.only] if asked.only else [*SIZES, *([LARGE] if asked.large else [])]:
            bench.size(count)
            if count == 1_000:
                bench.long_log(count)
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    print(f"{os.cpu_count()} cores, {platform.system()}, {platform.python_implementation()}", end=" ")
    print(f"{platform.python_version()}, git {git}, {asked.runs} runs each", end="")
    print(f" ({LARGE_RUNS} at {LARGE:,} tasks).\n" if asked.large else ".\n")
    print("| command | tasks | ms | floor, ms | ratio | processor, ms | ratio | peak memory, MiB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for row in bench.rows:
        print(_line(row))


if __name__ == "__main__":
    main()

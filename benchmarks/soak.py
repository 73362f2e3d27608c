"""A soak: several processes change one backlog at once, are killed, their clocks jump, and branches are merged into
it meanwhile; nothing may be lost.

    python benchmarks/soak.py --minutes 1 --processes 8 --seed 7 --tasks 300

Each worker keeps a ledger of what the program acknowledged. In the end the backlog must hold all of it,
`verify` and `git fsck` must find nothing, and nothing may be left lying around. The backlog begins with
that many tasks and stays at about as many, so that the last changes can be compared with the first; then with
those of a new backlog of the same tasks, in turns, since other work on the machine moves what they take. Prints
the seed, the counts, and what changes took of the processor. Exit 0: nothing bad.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

# The installed program, with a clock that is off by so many microseconds.
PROGRAM = """
import sys, time
real, off = time.time_ns, int(sys.argv.pop(1))
time.time_ns = lambda: real() + off * 1000
from taskkeep.cli.main import main
main()
"""
YEAR = 365 * 86_400 * 1_000_000
CLOCKS = (0, 0, 0, 0, 10 * YEAR, -10 * YEAR, 3_000_000, -3_000_000)
BUSY = 6
FINE = {0, 3, 5, BUSY}  # done; gone meanwhile; refused by a rule; busy
THOUSAND = 1_000
TURNS = 50  # changes of the old backlog and of a new one, when all is done
SETTLED = 8  # changes that a worker makes before it looks for tasks to change


class Backlog:
    """The program, run in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *args: str, clock: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PROGRAM, str(clock), *args]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def answer(self, *args: str) -> Any:
        done = self.run(*args, "--json")
        if done.returncode:
            raise SystemExit(f"{args}: {done.returncode} {done.stderr}")
        return json.loads(done.stdout)

    def git(self, *args: str) -> str:
        return subprocess.run(["git", *args], cwd=self.folder, capture_output=True, text=True, check=True).stdout


# -- one worker --------------------------------------------------------------------------


def work(folder: Path, ledger: Path, seed: int, name: str, size: int) -> None:
    """Change the backlog until killed; each change is written to *ledger* before it is tried and after."""
    backlog, chance = Backlog(folder), random.Random(seed)
    with ledger.open("a", encoding="utf-8") as file:
        known: list[str] = []
        number = 0
        while True:
            if number % SETTLED == 0:
                known = [task["id"] for task in backlog.answer("list", "--limit", "0")["tasks"]]
            number += 1
            kind, args = _step(chance, known, size, f"{name}-{seed}-{number}")
            began, effort = time.monotonic(), _effort()
            file.write(json.dumps({"try": kind, "args": args}) + "\n")
            file.flush()
            done = backlog.run(*args, "--json", "--actor", name, "--wait", "60", clock=chance.choice(CLOCKS))
            took = _effort() - effort
            answer = json.loads(done.stdout) if done.returncode == 0 else done.stderr[:400]
            row = {"done": kind, "args": args, "exit": done.returncode, "answer": answer}
            row |= {"at": began, "took": took, "tasks": len(known)}
            file.write(json.dumps(row) + "\n")
            file.flush()


def _effort() -> float:
    """The processor's seconds of all programs that ended, git's with them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _step(chance: random.Random, known: list[str], size: int, word: str) -> tuple[str, list[str]]:
    adds, deletes = (30, 5) if len(known) < size else (5, 30)
    kind = chance.choices(
        ["add", "note", "title", "status", "delete", "archive"],
        [adds, 30, 20, 14, deletes, 1] if known else [1, 0, 0, 0, 0, 0],
    )[0]
    task = chance.choice(known) if known else ""
    return kind, {
        "add": ["add", word, "--label", "soak"],
        "note": ["note", task, word],
        "title": ["update", task, "--title", word],
        "status": ["update", task, "--status", chance.choice(["todo", "in_progress", "review", "done"])],
        "delete": ["delete", task, "--why", word],
        "archive": ["archive", "--older-than", "0d"],
    }[kind]


# -- branches ------------------------------------------------------------------------------


def branch_off(folder: Path, ledger: Path, seed: int, stop: threading.Event) -> None:
    """Change clones of the backlog and merge them back, until told to stop; *ledger* has what was merged."""
    chance, main = random.Random(seed), Backlog(folder)
    with ledger.open("a", encoding="utf-8") as file:
        for number in itertools.count():
            topic = f"topic-{number}"
            with tempfile.TemporaryDirectory(dir=folder.parent) as place:
                clone = Backlog(Path(place) / "clone")
                # Not by links: git stumbles over an object that another process is just writing.
                main.git("clone", "-q", "--no-local", str(folder), str(clone.folder))
                for name in ("user.name", "user.email"):
                    clone.git("config", name, main.git("config", name).strip())
                rows = []
                for change in range(chance.randrange(1, 6)):
                    args = ["add", f"{topic}-{seed}-{change}", "--label", "branch"]
                    task = clone.answer(*args)
                    rows.append({"done": "add", "args": args, "exit": 0, "answer": task})
                    args = ["note", task["task"]["id"], f"of {topic}-{seed}-{change}"]
                    rows.append({"done": "note", "args": args, "exit": 0, "answer": clone.answer(*args)})
                clone.git("push", "-q", "origin", f"HEAD:refs/heads/{topic}")
            # Not by plain git, which reads its index before it locks it, so that saves without a pause break it.
            while (done := main.run("merge", topic, "--json", "--wait", "60")).returncode == BUSY:
                time.sleep(0.1)
            rows.append({"done": "merge", "args": ["merge", topic], "exit": done.returncode, "answer": done.stderr})
            if done.returncode == 0:
                rows[-1]["answer"] = json.loads(done.stdout)
                file.writelines(json.dumps(row) + "\n" for row in rows)
            else:
                file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
            if stop.wait(chance.uniform(1, 10)):
                return


# -- all workers -------------------------------------------------------------------------


def soak(folder: Path, *, processes: int, seconds: float, seed: int, size: int) -> list[Path]:
    """Run the workers, kill one now and then, and return their ledgers."""
    chance, stop = random.Random(seed), time.monotonic() + seconds
    ledgers = [folder.parent / f"worker-{number}.jsonl" for number in range(processes)]
    branches, last = folder.parent / "branches.jsonl", threading.Event()
    brancher = threading.Thread(target=branch_off, args=(folder, branches, seed, last))
    with contextlib.ExitStack() as held:
        held.callback(brancher.join)
        held.callback(last.set)
        brancher.start()
        workers = [held.enter_context(_worker(folder, ledger, chance, size)) for ledger in ledgers]
        while time.monotonic() < stop:
            time.sleep(chance.uniform(0.1, 1.5))
            number = chance.randrange(processes)
            _kill(workers[number])
            workers[number] = held.enter_context(_worker(folder, ledgers[number], chance, size))
    return [*ledgers, branches]


@contextlib.contextmanager
def _worker(folder: Path, ledger: Path, chance: random.Random, size: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, __file__, "--worker", str(folder), str(ledger), str(chance.randrange(10**9)), str(size)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield process
    finally:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The worker with the program that it runs, and git below that, at whatever instruction."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# -- the judgement -----------------------------------------------------------------------


def judge(backlog: Backlog, ledgers: list[Path]) -> tuple[list[str], dict[str, Any]]:
    """Return what is wrong, and the figures."""
    bad: list[str] = []
    rows = [json.loads(line) for ledger in ledgers for line in ledger.read_text().splitlines() if line.endswith("}")]
    done = [row for row in rows if "done" in row]
    for row in done:
        if row["exit"] not in FINE:
            bad.append(f"{row['args'][:2]} ended with {row['exit']}: {row['answer']}")
    kept = [row for row in done if row["exit"] == 0]
    backlog.run("recover")
    everything = backlog.answer("list", "--all", "--archived", "--limit", "0")["tasks"]
    titles = {task["id"]: task for task in everything}
    # A change that was killed before it could be acknowledged may have happened.
    tried_deletes = {row["args"][1] for row in rows if row.get("try") == "delete"}
    for row in kept:
        if row["done"] == "add" and (task_id := row["answer"]["task"]["id"]) not in titles | dict.fromkeys(
            tried_deletes
        ):
            bad.append(f"{task_id} was added and is gone")
        if row["done"] == "note" and row["args"][1] in titles:
            found = [note["text"] for note in titles[row["args"][1]].get("notes", ())]
            bad += [f"a note of {row['args'][1]} is gone: {text}" for text in row["args"][2:] if text not in found]
        if row["done"] == "delete" and row["args"][1] in titles:
            bad.append(f"{row['args'][1]} was deleted and is there")
    if len({task["uid"] for task in everything}) != len(everything):
        bad.append("a uid is given twice")
    events = backlog.answer("log", "--limit", "0")["events"]
    known = {event["event_id"] for event in events}
    bad += [f"event {name} is gone" for row in kept for name in row["answer"]["events"] if name not in known]
    verdict = json.loads(backlog.run("verify", "--json").stdout)
    bad += [f"verify: {finding['code']}: {finding['message']}" for finding in verdict["findings"]]
    if broken := backlog.git("fsck", "--strict", "--no-dangling").strip():
        bad.append(f"git fsck: {broken[:200]}")
    if dirty := backlog.git("status", "--porcelain").strip():
        bad.append(f"git status: {dirty[:200]}")
    for place in (".taskkeep/local/tmp", ".taskkeep/local/journal", ".git/index.lock", ".git/HEAD.lock"):
        path = backlog.folder / place
        if (path.is_dir() and list(path.iterdir())) or path.is_file():
            bad.append(f"left lying around: {place}")
    timed = sorted((row for row in kept if "at" in row), key=lambda row: row["at"])
    changes = [row for row in timed if row["done"] != "archive" and row["answer"]["changed"]]
    some = min(THOUSAND, max(1, len(changes) // 2))
    return bad, {
        "acknowledged": dict(Counter(row["done"] for row in kept)),
        "refused": dict(Counter(row["exit"] for row in done if row["exit"])),
        "killed under way": sum("try" in row for row in rows) - sum("at" in row for row in done),
        "tasks": len(everything),
        "events": len(events),
        f"processor's seconds of a change, median of the first {some}": _typical(changes[:some]),
        f"processor's seconds of a change, median of the last {some}": _typical(changes[-some:]),
    }


def compared(old: Backlog, folder: Path) -> dict[str, str]:
    """What a change takes in the backlog and in a new one in *folder* with the same tasks, archive and all."""
    new = made(folder)
    for path in old.folder.glob("*.json"):
        shutil.copy(path, folder)
    new.answer("adopt", "--why", "the same tasks")
    took: dict[str, list[float]] = {"the old": [], "a new": []}
    task = old.answer("list", "--limit", "1")["tasks"][0]["id"]
    for turn in range(TURNS):
        for name, backlog in zip(took, (old, new), strict=True):
            effort = _effort()
            backlog.answer("note", task, f"turn {turn}")
            took[name].append(_effort() - effort)
    return {
        f"processor's seconds of a change in {name} backlog of these tasks, median of {TURNS}": f"{median(some):.3f}"
        for name, some in took.items()
    }


def made(folder: Path) -> Backlog:
    """A new backlog in a repository of its own."""
    backlog = Backlog(folder)
    folder.mkdir()
    backlog.git("init", "-q")
    backlog.git("config", "user.name", "Soak")
    backlog.git("config", "user.email", "soak@example.invalid")
    backlog.answer("init")
    return backlog


def _typical(changes: list[dict[str, Any]]) -> str:
    if not changes:
        return "none"
    return f"{median(row['took'] for row in changes):.3f} at {median(row['tasks'] for row in changes):g} tasks"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--tasks", type=int, default=300, help="how many it begins with, and stays at about")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        folder, ledger, seed, size = asked.worker
        work(Path(folder), Path(ledger), int(seed), Path(ledger).stem, int(size))
    with contextlib.ExitStack() as held:
        scratch = Path(tempfile.mkdtemp() if asked.keep else held.enter_context(tempfile.TemporaryDirectory()))
        backlog = made(scratch / "repository")
        first = scratch / "first.json"
        first.write_text(
            json.dumps({"tasks": [{"id": str(one), "title": f"task {one}"} for one in range(asked.tasks)]})
        )
        backlog.answer("import", str(first), "--from", "json")
        print(f"seed {asked.seed}, {asked.processes} processes, {asked.minutes:g} minutes, {scratch}", flush=True)
        seconds = asked.minutes * 60
        ledgers = soak(backlog.folder, processes=asked.processes, seconds=seconds, seed=asked.seed, size=asked.tasks)
        bad, figures = judge(backlog, ledgers)
        figures |= compared(backlog, scratch / "new")
    for name, value in figures.items():
        print(f"{name}: {value}")
    for line in bad:
        print(f"BAD {line}")
    print(f"{len(bad)} bad")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())

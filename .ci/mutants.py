#!/usr/bin/env python3
"""Put small faults into modules, one at a time, and tell which of them no test notices.

    pip install 'mutmut==3.8.*'
    .ci/mutants.py                                        # every module of taskkeep/backlog
    .ci/mutants.py taskkeep/backlog/rules.py
    .ci/mutants.py taskkeep/store/lock.py --tests tests/store/test_lock.py --sample 40
    .ci/mutants.py taskkeep/store --draw 300 --patience 60 --reach /tmp/store.json

mutmut makes the mutants. The tests run once to tell which of them come to which line, in whatever process, and how long
each takes. A mutant then stands in a copy of the project with a Python of its own, so that every process of a test
meets it, until a test that comes to its line fails: the quickest of each file first, and more of the files that are
named after the module or import it. Where none comes there, those that come to its function, else all of those files.
Hypothesis draws few examples in the copy, always the same: so a mutant that is killed here is killed by the project's
own tests, and not the other way round. Nothing is left behind.
"""

import argparse
import ast
import difflib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis  # noqa: F401  # here, so that no process of a mutant needs to
import pytest

ROOT = Path(__file__).parent.parent
PARTS = ["taskkeep", "schemas", "tests", "docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", ".ci", ".github"]
EXAMPLES = 25
LEAST = 0.2  # seconds of a test, with what goes on around it
PROFILE = f"""
from hypothesis import Phase  # noqa: E402
settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, max_examples={EXAMPLES},
    phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck),
)
settings.load_profile("mutants")
"""
# What a process is doing, where a test started it: coverage reads it when it starts.
WATCHED = """
import os  # noqa: E402

def pytest_runtest_setup(item):
    os.environ["COVERAGE_PROCESS_START"] = {settings!r}
"""
QUIETLY = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


class Mutant(NamedTuple):
    name: str
    path: str
    source: str  # of the whole module, with the fault
    change: str  # the lines that differ
    lines: list[range]  # of its statement, then of its function


class Reach(NamedTuple):
    """What the tests come to: test -> seconds, module -> line -> tests."""

    seconds: dict[str, float]
    tests: dict[str, dict[str, list[str]]]


def copied(folder: Path) -> Path:
    """A copy of the project, in which Hypothesis draws fewer examples."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    mutmut = '\n[tool.mutmut]\nsource_paths = ["taskkeep"]\n'
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8") + mutmut, "utf-8")
    for path in (folder / "tests").rglob("*.py"):
        text = path.read_text("utf-8")
        if "max_examples=" in text or "count = 100_000" in text or path.name == "conftest.py":
            fewer = re.sub(r"max_examples=\w+", lambda found: f"max_examples={EXAMPLES}", text)
            fewer = fewer.replace("count = 100_000", "count = 1_000")
            fewer = re.sub(r"stateful_step_count=\d+", "stateful_step_count=20", fewer)
            path.write_text(fewer + (PROFILE if path.parent == folder / "tests" else ""), "utf-8")
    return folder


def own_python(folder: Path) -> Path:
    """A Python that takes the package from a copy, isolated or not, and all else from where this one has it."""
    programs = folder / "python" / "bin"
    if programs.exists():
        return programs / "python"
    venv.create(folder / "python", symlinks=True)
    [packages] = (folder / "python").rglob("site-packages")
    others = sysconfig.get_path("purelib")
    line = f"import site, sys; sys.path.append({str(folder)!r}); site.addsitedir({others!r})\n"
    (packages / "copy.pth").write_text(line, "utf-8")
    program = programs / "taskkeep"
    program.write_text(f"#!{programs / 'python'}\nimport sys\nfrom taskkeep.cli.main import main\nsys.exit(main())\n")
    program.chmod(0o755)
    return programs / "python"


def reached(folder: Path, tests: list[str], jobs: int) -> Reach:
    """What the tests come to, in their own process and in those that they start."""
    settings, data, others = folder / "reach.ini", folder / "reach.data", folder / "others.ini"
    settings.write_text(f"[run]\nsource = taskkeep\ndata_file = {data}\n", "utf-8")
    others.write_text(
        f"[run]\nsource_pkgs = taskkeep\nparallel = true\ndata_file = {data}\ncontext = ${{PYTEST_CURRENT_TEST-}}\n"
        "patch =\n    _exit\n    fork\n",
        "utf-8",
    )
    conftest = folder / "tests" / "conftest.py"
    before = conftest.read_text("utf-8")
    conftest.write_text(before + WATCHED.format(settings=str(others)), "utf-8")
    measured = ["--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report=", "--durations=0", "-vv"]
    done = subprocess.run(
        [own_python(folder), "-m", "pytest", *QUIETLY, "-n", str(jobs), *measured, *tests],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, text=True, capture_output=True,
    )  # fmt: skip
    conftest.write_text(before, "utf-8")
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return reach_of(folder, data, done.stdout)


def reach_of(folder: Path, data: Path, told: str) -> Reach:
    from coverage import CoverageData

    seconds: dict[str, float] = defaultdict(float)
    for took, test in re.findall(r"^([\d.]+)s (?:call|setup|teardown) +(.*)$", told, re.MULTILINE):
        seconds[test] += float(took)
    lines: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for part in data.parent.glob(f"{data.name}*"):
        found = CoverageData(str(part))
        found.read()
        for path in found.measured_files():
            if not path.startswith(f"{folder}{os.sep}"):
                continue  # of a copy that a test made for itself
            for line, names in found.contexts_by_lineno(path).items():
                tests = {re.sub(r"(\|| \()(run|call|setup|teardown)\)?$", "", name) for name in names if name}
                lines[str(Path(path).relative_to(folder))][str(line)] |= tests
    by_line = {path: {line: sorted(tests) for line, tests in found.items()} for path, found in lines.items()}
    for test in itertools.chain(*(tests for rows in by_line.values() for tests in rows.values())):
        seconds[test] += 0  # pytest tells no time of the quickest
    return Reach(seconds, by_line)


@cache
def made_of(path: str) -> Any:
    """What mutmut makes of a module, which finds its settings in the working directory."""
    from mutmut.mutation.file_mutation import mutate_file_contents

    return mutate_file_contents(path, (ROOT / path).read_text("utf-8"))


def names_of(path: str) -> list[str]:
    module = path.removesuffix(".py").replace("/", ".")
    return sorted(f"{module}.{generated}" for generated in made_of(path).mutant_names)


def drawn(modules: list[str], sample: int, draw: int, seed: int) -> dict[str, list[str]]:
    """By module the names of its mutants: all, or some of each, or some of all together."""
    names = {module: names_of(module) for module in modules}
    if draw:
        every = sorted(name for some in names.values() for name in some)
        chosen = set(random.Random(seed).sample(every, min(draw, len(every))))  # noqa: S311
        return {module: [name for name in some if name in chosen] for module, some in names.items()}
    if sample:
        return {m: random.Random(seed).sample(some, min(sample, len(some))) for m, some in names.items()}  # noqa: S311
    return names


def mutants(path: str, names: list[str]) -> list[Mutant]:
    source = (ROOT / path).read_text("utf-8")
    tree = ast.parse(source)
    made = made_of(path)
    made_lines = made.code.splitlines(keepends=True)
    module = path.removesuffix(".py").replace("/", ".")

    def text(generated: str, name: str) -> str:
        span = made.line_span_by_function_name[generated]
        return "".join(made_lines[span.start - 1 : span.end]).replace(generated, name).strip()

    def put_in(generated: str) -> Mutant:
        mangled = generated.partition("__mutmut_")[0]
        name = mangled.removeprefix("x_").rpartition("ǁ")[2]
        old, new = text(f"{mangled}__mutmut_orig", name), text(generated, name)
        if source.count(old) != 1:
            raise SystemExit(f"{path}: {generated} has no place of its own")
        start = source[: source.index(old)].count("\n") + 1
        change = list(difflib.unified_diff(old.split("\n"), new.split("\n"), lineterm="", n=0))[2:]
        line = start + abs(int(re.findall(r"-\d+", change[0])[0])) - 1
        lines = [statement(tree, line), range(start, start + old.count("\n") + 1)]
        return Mutant(f"{module}.{generated}", path, source.replace(old, new), "\n".join(change), lines)

    return [put_in(name.rpartition(".")[2]) for name in names]


def statement(tree: ast.AST, line: int) -> range:
    """The lines of the smallest statement around a line; of one that holds others, only its head."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    node = max(
        (node for node in statements if node.lineno <= line <= (node.end_lineno or 0)), key=lambda node: node.lineno
    )
    body: list[ast.stmt] = getattr(node, "body", [])
    last = body[0].lineno - 1 if body else node.end_lineno or 0
    return range(node.lineno, max(node.lineno, last) + 1)


def nearest(path: str, tests: set[str]) -> set[str]:
    """The files of tests that are named after a module, or import it."""
    name = path.removesuffix(".py").replace("/", ".")
    package, _, last = name.rpartition(".")
    imported = re.compile(rf"{re.escape(name)}\b|from {re.escape(package)} import .*\b{last}\b")
    return {file for file in tests if f"test_{last}.py" in file or imported.search((ROOT / file).read_text("utf-8"))}


def chosen(mutant: Mutant, reach: Reach, patience: float) -> list[str]:
    """The tests that a mutant meets, in order."""
    by_line = reach.tests.get(mutant.path, {})
    near = nearest(mutant.path, {test.partition("::")[0] for test in reach.seconds})
    for lines in mutant.lines:
        if tests := {test for line in lines for test in by_line.get(str(line), ())}:
            break
    else:
        tests = {test for test in reach.seconds if test.partition("::")[0] in near} or set(reach.seconds)
    rank: Counter[str] = Counter()
    order: dict[str, tuple[int, float]] = {}
    for test in sorted(tests, key=lambda test: (reach.seconds[test], test)):
        file = test.partition("::")[0]
        order[test] = (rank[file] // (4 if file in near else 1), reach.seconds[test])
        rank[file] += 1
    met: list[str] = []
    left = patience or float("inf")
    for test in sorted(order, key=order.__getitem__):
        cost = max(reach.seconds[test], LEAST)
        if not met or cost <= left:
            met.append(test)
            left -= cost
    return met


def passed(folder: Path, tests: list[str], seconds: float) -> bool:
    """Whether all of the tests pass, in a process that ends with all it began when its time is up."""
    child = os.fork()
    if not child:
        os.setsid()
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        os.environ["PYTHONPATH"] = str(folder)
        sys.executable = str(own_python(folder))
        os.environ["PATH"] = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os._exit(pytest.main(["-x", *QUIETLY, "-p", "no:xdist", "-p", "no:pytest_cov", *tests]))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) in (0, 5)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def write(path: Path, source: str) -> None:
    """Replace a source. Python takes its compiled form for a source of another time of change, to the second."""
    changed = int(path.stat().st_mtime) + 1
    path.write_text(source, "utf-8")
    os.utime(path, (changed, changed))


def survives(folder: Path, mutant: Mutant, reach: Reach, patience: float) -> bool:
    """Whether no test fails by it. The first few alone, since most mutants get no further."""
    tests = chosen(mutant, reach, patience)
    path, source = folder / mutant.path, (ROOT / mutant.path).read_text("utf-8")
    write(path, mutant.source)
    try:
        return all(
            passed(folder, some, 300 + 10 * sum(reach.seconds[test] for test in some))
            for some in (tests[:6], tests[6:])
            if some
        )
    finally:
        write(path, source)


def met(mutants: Iterable[Mutant], folders: list[Path], reach: Reach, patience: float) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant and whether it survives, as many at once as there are copies."""
    free, running, waiting = list(folders), dict[int, tuple[Path, Mutant]](), iter(mutants)
    while True:
        while free and (mutant := next(waiting, None)):
            folder = free.pop()
            child = os.fork()
            if not child:
                verdict = 2
                try:
                    verdict = survives(folder, mutant, reach, patience)
                finally:
                    os._exit(verdict)
            running[child] = folder, mutant
        if not running:
            return
        child, status = os.wait()
        folder, mutant = running.pop(child)
        free.append(folder)
        verdict = os.waitstatus_to_exitcode(status)
        if verdict not in (0, 1):
            raise SystemExit(f"{mutant.name} could not be put in")
        yield mutant, bool(verdict)


def modules_of(given: list[str]) -> list[str]:
    found: list[Path] = []
    for name in given or ["taskkeep/backlog"]:
        path = ROOT / name
        found += sorted(path.rglob("[a-z]*.py")) if path.is_dir() else [path]
    return [str(path.relative_to(ROOT)) for path in found]


def folder_of(tests: str) -> str:
    return f"tests/{Path(tests).parts[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="or a folder of them")
    parser.add_argument(
        "--tests", nargs="+", help="these alone, instead of the folder of tests named like the modules'"
    )
    parser.add_argument("--sample", type=int, default=0, help="as many mutants of each module, drawn; 0: all")
    parser.add_argument("--draw", type=int, default=0, help="as many mutants of all modules together")
    parser.add_argument("--seed", type=int, default=7, help="what is drawn by")
    parser.add_argument("--patience", type=float, default=0, help="seconds of tests that a mutant meets; 0: all")
    parser.add_argument("--reach", type=Path, help="keep there what the tests come to, or take it from there")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    modules = modules_of(given.modules)
    with tempfile.TemporaryDirectory() as scratch:
        folders = [copied(Path(scratch) / str(job)) for job in range(given.jobs)]
        os.chdir(folders[0])
        if given.reach and given.reach.exists():
            reach = Reach(*json.loads(given.reach.read_text("utf-8")))
        else:
            reach = reached(folders[0], given.tests or sorted({folder_of(module) for module in modules}), given.jobs)
            if given.reach:
                given.reach.write_text(json.dumps(reach), "utf-8")
        quickest = {
            test.partition("::")[0]: test for test in sorted(reach.seconds, key=lambda test: -reach.seconds[test])
        }
        if not passed(folders[0], list(quickest.values()), 600):
            raise SystemExit("tests fail without a fault, where a mutant would meet them")
        print("| module | mutants | killed | |\n|---|---|---|---|", flush=True)
        left: list[Mutant] = []
        for module, names in drawn(modules, given.sample, given.draw, given.seed).items():
            verdicts = list(met(mutants(module, names), folders, reach, given.patience))
            left += (alive := [mutant for mutant, survived in verdicts if survived])
            killed = len(verdicts) - len(alive)
            if verdicts:
                print(f"| {module} | {len(verdicts)} | {killed} | {100 * killed / len(verdicts):.1f} % |", flush=True)
        for mutant in left:
            print(f"\n# {mutant.name}\n{mutant.change}", flush=True)


if __name__ == "__main__":
    main()

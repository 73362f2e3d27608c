#!/usr/bin/env python3
"""Put small faults into modules, one at a time, and tell which of them no test notices.

    pip install 'mutmut==3.8.*'
    .ci/mutants.py                                        # every module of taskkeep/backlog
    .ci/mutants.py taskkeep/backlog/rules.py
    .ci/mutants.py taskkeep/store/lock.py --tests tests/store/test_lock.py --sample 40

Works in a copy in a temporary folder and leaves nothing behind. Each mutant meets the tests named after its module;
those that survive meet every test of the folder. Hypothesis then draws fewer examples, always the
same: so a mutant that is killed here is killed by the project's own tests, and not the other way round.
"""

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = ["taskkeep", "schemas", "tests", "docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", ".ci", ".github"]
SURVIVED = {0, 5, 33}  # of mutmut: no test failed, none was found, none runs the line
EXAMPLES = 25
PROFILE = f"""
from hypothesis import Phase  # noqa: E402
settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, max_examples={EXAMPLES},
    phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck),
)
settings.load_profile("mutants")
"""


def copied(folder: Path, modules: list[str], tests: list[str]) -> Path:
    """A copy of the project that mutmut may work in."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    config = {
        "source_paths": modules,
        "also_copy": PARTS,
        "pytest_add_cli_args_test_selection": tests,
        "process_isolation": "forkserver",
    }
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in config.items())
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    (folder / "pyproject.toml").write_text(
        f"{pyproject}\n[tool.mutmut]\n{lines}timeout_constant = 5.0\ntimeout_multiplier = 3.0\n", "utf-8"
    )
    for path in (folder / "tests").rglob("*.py"):
        text = path.read_text("utf-8")
        if "max_examples=" in text or "count = 100_000" in text or path.name == "conftest.py":
            fewer = re.sub(r"max_examples=\w+", lambda found: f"max_examples={EXAMPLES}", text)
            fewer = fewer.replace("count = 100_000", "count = 1_000")
            fewer = re.sub(r"stateful_step_count=\d+", "stateful_step_count=20", fewer)
            path.write_text(fewer + (PROFILE if path.parent == folder / "tests" else ""), "utf-8")
    return folder


def run(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, text=True, capture_output=True,
    )  # fmt: skip
    if done.returncode and check:
        raise SystemExit(f"{arguments}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def verdicts(folder: Path, module: str) -> dict[str, int | None]:
    """The exit status of the tests, by mutant; None where it was not run."""
    found: dict[str, int | None] = json.loads((folder / "mutants" / f"{module}.meta").read_text())["exit_code_by_key"]
    return found


def survivors(found: dict[str, int | None]) -> list[str]:
    return [name for name, code in found.items() if code in SURVIVED]


def own_tests(module: str) -> list[str]:
    """The tests named after a module, else those that import it, else all of its folder."""
    folder = ROOT / "tests" / Path(module).parent.name
    name = module.removesuffix(".py").replace("/", ".")
    tests = sorted(folder.glob("test_*.py"))
    named = [path for path in tests if path.stem == f"test_{Path(module).stem}"]
    named = named or [path for path in tests if f"from {name} import" in path.read_text("utf-8")] or [folder]
    return [str(path.relative_to(ROOT)) for path in named]


def met(folder: Path, module: str, jobs: str, sample: int = 0) -> dict[str, int | None]:
    """The verdicts over all mutants of a module, or over some of them, drawn."""
    if not sample:
        run(folder, "-m", "mutmut", "run", "--max-children", jobs)
        return verdicts(folder, module)
    # That no mutant has this name it says once all are made and the tests have been timed.
    run(folder, "-m", "mutmut", "run", "--max-children", jobs, "no.such.mutant*", check=False)
    names = sorted(verdicts(folder, module))
    names = random.Random(7).sample(names, min(sample, len(names)))  # noqa: S311
    run(folder, "-m", "mutmut", "run", "--max-children", jobs, *names)
    return {name: code for name, code in verdicts(folder, module).items() if name in names}


def differences(folder: Path, names: list[str]) -> str:
    """What each mutant changed. Asked of mutmut's own function, since its command tells of one mutant a process."""
    code = "import sys; from mutmut.mutation.diff_apply import get_diff_for_mutant as diff\n"
    code += "for name in sys.argv[1:]: print('#', name, diff(name), '', sep='\\n')"
    told = run(folder, "-c", code, *names)
    return "".join(f"{line}\n" for line in told.splitlines() if line[:3] not in ("+++", "---") and line[:1] != " ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--tests", nargs="+", help="these alone, instead of those that the module's name tells")
    parser.add_argument("--sample", type=int, default=0, help="as many mutants of a module, drawn; 0: all")
    parser.add_argument("--jobs", default="2")
    given = parser.parse_args()
    modules = given.modules or sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("taskkeep/backlog/[a-z]*.py"))
    with tempfile.TemporaryDirectory() as scratch:
        print("| module | mutants | killed | |\n|---|---|---|---|", flush=True)
        left: dict[str, list[str]] = {}
        for module in modules:
            folder = copied(Path(scratch) / module, [module], given.tests or own_tests(module))
            found = met(folder, module, given.jobs, given.sample)
            left[module] = survivors(found)
            killed = len(found) - len(left[module])
            print(f"| {module} | {len(found)} | {killed} | {100 * killed / len(found):.1f} % |", flush=True)
        if not given.tests and any(left.values()):
            folders = sorted({f"tests/{Path(module).parent.name}" for module in modules})
            wide = copied(Path(scratch) / "wide", modules, folders)
            run(
                wide,
                "-m",
                "mutmut",
                "run",
                "--max-children",
                given.jobs,
                *(name for names in left.values() for name in names),
            )
            print("\nand of those left, after all of the folder's tests:\n", flush=True)
            for module, names in left.items():
                still = set(survivors(verdicts(wide, module)))
                left[module] = [name for name in names if name in still]
                print(f"| {module} | {len(names)} | {len(names) - len(left[module])} |", flush=True)
        for module, names in left.items():
            print(differences(Path(scratch) / module, names), flush=True)


if __name__ == "__main__":
    main()

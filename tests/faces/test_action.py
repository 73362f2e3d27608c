"""The GitHub Action, its steps run as a runner runs them: with event payloads, environment files, shallow checkouts."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import taskkeep

TOP = Path(__file__).resolve().parents[2]
ACTION = TOP / ".github" / "actions" / "verify"


# -- the action's own text ---------------------------------------------------------------


class Step(NamedTuple):
    """One step of the action: its environment as written, and its script."""

    name: str
    env: dict[str, str]
    run: str


def steps() -> list[Step]:
    text = (ACTION / "action.yml").read_text(encoding="utf-8")
    found = []
    for part in re.split(r"^    - name: ", text.partition("\n  steps:\n")[2], flags=re.MULTILINE)[1:]:
        env = dict(re.findall(r"^        ([A-Z_]+): (.*)$", part, re.MULTILINE))
        run = part.partition("      run: |\n")[2]
        found.append(Step(part.partition("\n")[0], env, re.sub(r"^        ", "", run, flags=re.MULTILINE)))
    return found


def defaults() -> dict[str, str]:
    text = (ACTION / "action.yml").read_text(encoding="utf-8").partition("\ninputs:\n")[2].partition("\noutputs:\n")[0]
    return {name: json.loads(value) if value.startswith('"') else value
            for name, value in re.findall(r"^  (\w+):\n    description: .*\n    default: (.*)$", text, re.MULTILINE)}  # fmt: skip


def test_inputs_reach_a_script_by_its_environment_alone() -> None:
    """And each input reaches one."""
    given = [value for step in steps() for value in step.env.values()]
    assert sorted(given) == sorted(f"${{{{ inputs.{name} }}}}" for name in defaults())
    assert "${{" not in "".join(step.run for step in steps())
    assert defaults()["token"] == "${{ github.token }}"


def test_all_that_is_installed_is_named_by_hash_and_fits_the_package() -> None:
    """What taskkeep and its parts need stands in the list, in versions that fit, with nothing left open."""
    text = (ACTION / "requirements.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==([\w.]+)", text, re.MULTILINE))
    blocks = re.split(r"^(?=[\w-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(pinned)
    assert all("--hash=sha256:" in block for block in blocks)
    with (TOP / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    waiting = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    seen = set()
    while waiting:
        wanted = waiting.pop()
        match = re.match(r"[\w.-]+", wanted)
        assert match
        name = re.sub(r"[_.]+", "-", match[0]).lower()
        if name in seen or "extra ==" in wanted or "python_version" in wanted:
            continue
        seen.add(name)
        assert name in pinned, wanted
        for bound in re.findall(r"([<>]=?)([\d.]+)", wanted.partition(";")[0]):
            assert fits(pinned[name], *bound), wanted
        try:
            waiting += importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            assert name in ("hatchling", "colorama"), name


def fits(version: str, sign: str, bound: str) -> bool:
    ours, theirs = ([int(part) for part in text.split(".")[:3]] for text in (version, bound))
    return {"<": ours < theirs, "<=": ours <= theirs, ">": ours > theirs, ">=": ours >= theirs}[sign]


# -- a runner ----------------------------------------------------------------------------


class Ran(NamedTuple):
    """What the step left: exit status, log, outputs and summary."""

    status: int
    log: str
    outputs: dict[str, str]
    summary: str


class Hub:
    """A repository as a server has it, a clone to work in, and a runner that checks commits out of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.server, self.work = folder, folder / "server.git", folder / "work"
        self.checkout = folder / "checkout"
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.server))
        git(self.server, "config", "uploadpack.allowAnySHA1InWant", "true")
        git(folder, "clone", "-q", str(self.server), str(self.work))
        git(self.work, "checkout", "-q", "-B", "main")
        for name, value in (("user.name", "Ada"), ("user.email", "ada@example.invalid")):
            git(self.work, "config", name, value)
        taskkeep.init(str(self.work))
        self.project = taskkeep.open(str(self.work))
        self.ids = [self.project.add(title).task["id"] for title in ("one", "two", "three")]  # type: ignore[index]
        self.push("main")

    def push(self, ref: str, *, force: bool = False) -> str:
        git(self.work, "push", "-q", *(["-f"] if force else []), "origin", f"HEAD:refs/heads/{ref}")
        return self.head()

    def head(self) -> str:
        return git(self.work, "rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        git(self.work, "checkout", "-q", "-b", name)

    def lose(self, task_id: str) -> None:
        """Take a task out of the file by hand, as a rewritten file does, and commit that."""
        path = self.work / "backlog.json"
        value = json.loads(path.read_text())
        value["tasks"] = [task for task in value["tasks"] if task["id"] != task_id]
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        git(self.work, "commit", "-qam", "rewritten")

    def commits(self, count: int) -> None:
        for number in range(count):
            git(self.work, "commit", "-q", "--allow-empty", "-m", f"work {number}")

    def pull_request(self, head: str, base: str = "main") -> dict[str, Any]:
        """Open one, merged for a run as the server does it."""
        git(self.work, "checkout", "-q", "--detach", base)
        git(self.work, "merge", "-q", "--no-ff", "-m", "Merge", head)
        git(self.work, "push", "-q", "-f", "origin", "HEAD:refs/pull/1/merge")
        commits = {"head": git(self.work, "rev-parse", head), "base": git(self.work, "rev-parse", base)}
        return {"number": 1, "pull_request": {name: {"sha": sha} for name, sha in commits.items()}}

    def check_out(self, commit: str, depth: int | None = 1) -> None:
        """As actions/checkout does it."""
        self.checkout.mkdir()
        git(self.checkout, "init", "-q")
        git(self.checkout, "remote", "add", "origin", f"file://{self.server}")
        how = [] if depth is None else [f"--depth={depth}"]
        git(self.checkout, "fetch", "-q", "--no-tags", *how, "origin", commit)
        git(self.checkout, "checkout", "-q", "--detach", commit)

    def run(self, event_name: str, event: dict[str, Any], *, sha: str | None = None, **inputs: str) -> Ran:
        """Run the step that verifies; the one that installs is stood in for by what is installed here."""
        runner = self.folder / "runner"
        program = runner / "taskkeep-verify" / "bin"
        program.mkdir(parents=True, exist_ok=True)
        (program / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (program / "python").chmod(0o755)
        paths = {name: runner / name for name in ("event", "output", "summary")}
        paths["event"].write_text(json.dumps(event))
        for name in ("output", "summary"):
            paths[name].write_text("")
        step = steps()[1]
        given = {**defaults(), "token": "secret-token", **inputs}
        env = {name: given[value.removeprefix("${{ inputs.").removesuffix(" }}")] for name, value in step.env.items()}
        env |= {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "RUNNER_TEMP": str(runner),
            "GITHUB_ACTION_PATH": str(ACTION),
            "GITHUB_WORKSPACE": str(self.checkout),
            "GITHUB_EVENT_NAME": event_name,
            "GITHUB_EVENT_PATH": str(paths["event"]),
            "GITHUB_SHA": sha or git(self.checkout, "rev-parse", "HEAD"),
            "GITHUB_OUTPUT": str(paths["output"]),
            "GITHUB_STEP_SUMMARY": str(paths["summary"]),
            "GITHUB_SERVER_URL": "https://github.com",
            "PYTHONPATH": str(self.checkout),
        }
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.run]
        done = subprocess.run(shell, cwd=self.checkout, env=env, capture_output=True, text=True)
        assert "secret-token" not in done.stdout + done.stderr
        outputs = dict(line.split("=", 1) for line in paths["output"].read_text().splitlines())
        return Ran(done.returncode, done.stdout + done.stderr, outputs, paths["summary"].read_text())


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.delenv("TASKKEEP_ACTOR", raising=False)
    return Hub(tmp_path)


# -- pull requests -----------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, None])
def test_an_honest_pull_request_passes_on_a_shallow_checkout_and_a_whole_one(hub: Hub, depth: int | None) -> None:
    """What it needs is fetched, though main went on for longer than the first helping reaches."""
    hub.branch("feature")
    hub.project.finish([hub.ids[0]], why="works now")
    head = hub.push("feature")
    git(hub.work, "checkout", "-q", "main")
    hub.commits(60)
    hub.project.add("from main")
    base = hub.push("main")
    event = hub.pull_request("feature")
    hub.check_out(hub.head(), depth)

    ran = hub.run("pull_request", event)

    assert ran.status == 0, ran.log
    assert (ran.outputs["ok"], ran.outputs["base"], ran.outputs["findings"]) == ("true", base, "0")
    assert re.fullmatch("[0-9a-f]{64}( [0-9a-f]{64})*", ran.outputs["heads"])
    assert f"{hub.ids[0]} one — works now (Ada)" in ran.summary
    assert git(hub.checkout, "cat-file", "-t", head) == "commit"


def test_a_pull_request_that_loses_a_task_fails_with_its_line(hub: Hub) -> None:
    """As an annotation, in the summary, as SARIF."""
    hub.branch("feature")
    hub.lose(hub.ids[1])
    hub.push("feature")
    event = hub.pull_request("feature")
    hub.check_out(hub.head())

    ran = hub.run("pull_request", event, sarif="out/findings.sarif")

    assert (ran.status, ran.outputs["ok"]) == (1, "false")
    annotation = r"^::error file=backlog\.json,line=\d+,title=taskkeep%3A lost_task::"
    assert re.search(annotation, ran.log, re.MULTILINE), ran.log
    assert hub.ids[1] in ran.summary
    sarif = json.loads((hub.checkout / ran.outputs["sarif"]).read_text())
    assert "lost_task" in {result["ruleId"] for result in sarif["runs"][0]["results"]}


def test_the_true_base_is_the_first_parent_of_the_merge_that_is_checked(hub: Hub) -> None:
    """base.sha of the event may be older, and where the branch itself is checked out it is all there is."""
    old = hub.head()
    hub.branch("feature")
    hub.project.add("from the branch")
    head = hub.push("feature")
    git(hub.work, "checkout", "-q", "main")
    hub.project.add("from main")
    base = hub.push("main")
    event = hub.pull_request("feature")
    event["pull_request"]["base"]["sha"] = old
    merge = hub.head()
    hub.check_out(merge)
    assert hub.run("pull_request", event).outputs["base"] == base
    git(hub.checkout, "fetch", "-q", "--depth=1", "origin", head)
    git(hub.checkout, "checkout", "-q", head)
    ran = hub.run("pull_request", event, sha=merge)
    assert (ran.status, ran.outputs["base"]) == (0, old)


def test_at_most_ten_annotations_a_level_and_all_in_the_summary(hub: Hub) -> None:
    hub.project.batch([{"op": "add", "title": f"task {number}"} for number in range(15)])
    hub.push("main")
    hub.branch("feature")
    lost = [task_id for task_id in hub.project.backlog().tasks if task_id not in hub.ids]
    for task_id in lost:
        hub.lose(task_id)
    event = hub.pull_request("feature")
    hub.check_out(hub.head())
    ran = hub.run("pull_request", event)
    assert ran.status == 1
    assert len(re.findall("^::error ", ran.log, re.MULTILINE)) == 10
    assert all(task_id in ran.summary for task_id in lost)


def test_a_pull_request_cannot_bring_its_own_judge(hub: Hub) -> None:
    """Modules that lie in the checkout are not imported, and nothing that it configures runs."""
    hub.branch("feature")
    for name in ("json.py", "taskkeep.py", "typer.py", "sitecustomize.py"):
        (hub.work / name).write_text("raise SystemExit(0)\n")
    hub.lose(hub.ids[0])
    git(hub.work, "add", "-A")
    git(hub.work, "commit", "-qm", "modules")
    hub.push("feature")
    event = hub.pull_request("feature")
    hub.check_out(hub.head())
    assert hub.run("pull_request", event).status == 1


# -- other events ------------------------------------------------------------------------


def test_a_push_is_held_against_what_it_replaced(hub: Hub) -> None:
    before = hub.head()
    hub.lose(hub.ids[0])
    hub.push("main")
    hub.check_out(hub.head())
    ran = hub.run("push", {"before": before, "forced": False})
    assert (ran.status, ran.outputs["base"]) == (1, before)
    assert "lost_task" in ran.log


def test_a_new_branch_has_nothing_to_be_held_against(hub: Hub) -> None:
    hub.check_out(hub.head())
    ran = hub.run("push", {"before": "0" * 40})
    assert (ran.status, ran.outputs["base"]) == (0, "")


def test_what_a_deleted_branch_had_is_not_missed_on_the_default_one(hub: Hub) -> None:
    """GitHub runs workflows on a push that deletes, too, and checks the default branch out for them."""
    hub.branch("tried")
    hub.project.add("only there")
    before = hub.push("tried")
    git(hub.work, "push", "-q", "origin", ":tried")
    git(hub.work, "checkout", "-q", "main")
    hub.check_out(hub.head())

    ran = hub.run("push", {"before": before, "after": "0" * 40, "deleted": True})

    assert (ran.status, ran.outputs["base"]) == (0, "")


def test_a_pull_request_of_a_fork_is_checked_by_its_merge_alone(hub: Hub) -> None:
    """Its branch lies elsewhere, and is gone when somebody runs the check again."""
    hub.branch("of-a-fork")
    hub.lose(hub.ids[0])
    event = hub.pull_request("of-a-fork")
    hub.check_out(hub.head())

    ran = hub.run("pull_request", event)

    assert (ran.status, "lost_task" in ran.log) == (1, True)


def test_what_a_forced_push_threw_away_is_missed(hub: Hub) -> None:
    old = hub.head()
    hub.project.add("thrown away")
    before = hub.push("main")
    git(hub.work, "reset", "-q", "--hard", old)
    hub.push("main", force=True)
    hub.check_out(hub.head())
    ran = hub.run("push", {"before": before, "forced": True})
    assert (ran.status, ran.outputs["base"]) == (1, before)
    assert "lost_task" in ran.log
    gone = hub.run("push", {"before": "1" * 40, "forced": True})
    assert (gone.status, gone.outputs["base"]) == (0, "")
    assert "::warning" in gone.log
    assert hub.run("push", {"before": "1" * 40, "forced": False}).status == 7


def test_a_branch_that_was_rebased_and_pushed_by_force_has_lost_nothing(hub: Hub) -> None:
    """What was thrown away are commits; their events are in the new ones."""
    old = hub.head()
    hub.project.add("moved")
    before = hub.push("main")
    git(hub.work, "reset", "-q", "--hard", old)
    (hub.work / "code.txt").write_text("code\n")
    git(hub.work, "add", "code.txt")
    git(hub.work, "commit", "-qm", "code")
    git(hub.work, "cherry-pick", before)
    hub.push("main", force=True)
    hub.check_out(hub.head())
    ran = hub.run("push", {"before": before, "forced": True})
    assert (ran.status, ran.outputs["base"]) == (0, before), ran.log


def test_a_merge_queue_is_held_against_its_base(hub: Hub) -> None:
    base = hub.head()
    hub.branch("gh-readonly-queue/main/pr-1")
    hub.lose(hub.ids[2])
    hub.push("gh-readonly-queue/main/pr-1")
    hub.check_out(hub.head())
    ran = hub.run("merge_group", {"merge_group": {"base_sha": base, "head_sha": hub.head()}})
    assert (ran.status, ran.outputs["base"]) == (1, base)


def test_a_scheduled_run_checks_the_tree(hub: Hub) -> None:
    hub.check_out(hub.head())
    assert hub.run("schedule", {}).status == 0
    assert hub.run("workflow_dispatch", {}, base="origin/main").outputs["base"] == "origin/main"


def test_a_run_with_the_bases_rights_is_refused(hub: Hub) -> None:
    hub.check_out(hub.head())
    ran = hub.run("pull_request_target", {"pull_request": {"base": {"sha": hub.head()}}})
    assert (ran.status, "use pull_request" in ran.log) == (2, True)


# -- what cannot be checked is no pass ---------------------------------------------------


@pytest.mark.parametrize("event", [{}, {"pull_request": {}}, {"pull_request": {"base": {"sha": "--upload-pack=x"}}}])
def test_an_event_that_names_no_commit_fails(hub: Hub, event: dict[str, Any]) -> None:
    hub.check_out(hub.head())
    assert hub.run("pull_request", event).status == 2


def test_a_server_that_cannot_be_reached_fails_with_the_fix(hub: Hub) -> None:
    hub.branch("feature")
    hub.commits(1)
    hub.push("feature")
    event = hub.pull_request("feature")
    hub.check_out(hub.head())
    hub.server.rename(hub.folder / "moved.git")
    ran = hub.run("pull_request", event)
    assert (ran.status, "fetch-depth: 0" in ran.log) == (7, True)


HOSTILE = (
    "--output=hostile", "$(touch hostile)", "`touch hostile`", "ext::sh -c touch% hostile", "-", "../..",
    "origin/--upload-pack=touch hostile", "origin/../..", "::add-mask::x", "a\n::error::b", "'\"; touch hostile\\",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values"),
    [("base", HOSTILE), ("directory", HOSTILE), ("sarif", HOSTILE), ("skip", HOSTILE[:3]), ("anchor", HOSTILE[:3])],
)
def test_an_input_is_data(hub: Hub, name: str, values: tuple[str, ...]) -> None:
    """No file is written but the one asked for, no program run, no command given to the runner."""
    hub.check_out(hub.head())
    before = {path.name for path in hub.checkout.iterdir()}
    for value in values:
        ran = hub.run("push", {"before": "0" * 40}, **{name: value})
        after = {path.name for path in hub.checkout.iterdir()}
        assert after == before if ran.status else name == "sarif", value
        before = after
        assert "hostile" not in {path.name for path in [*hub.checkout.iterdir(), *hub.folder.iterdir()]}
        for line in ran.log.splitlines():
            assert not line.startswith("::") or line.startswith("::error title=taskkeep::"), line


def test_the_workflow_to_copy_names_inputs_and_outputs_that_there_are() -> None:
    text = (TOP / "docs" / "how-to" / "github-actions.md").read_text(encoding="utf-8")
    table = text.partition("| input |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(defaults())
    action = (ACTION / "action.yml").read_text(encoding="utf-8")
    outputs = re.findall(r"^  (\w+):\n", action.partition("\noutputs:\n")[2].partition("\nruns:\n")[0], re.MULTILINE)
    told = re.search(r"^Outputs: (.*)\.$", text, re.MULTILINE)
    assert told
    assert re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", told[1])) == outputs
    for used in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w-]+/[\w./-]+@([0-9a-f]{40}|COMMIT)", used), used
    for rights in re.findall(r"^permissions:\n((?:  .*\n)+)", text, re.MULTILINE):
        assert rights.startswith("  contents: read\n")


def test_the_hook_of_the_framework_runs_a_command_that_is_there() -> None:
    text = (TOP / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    assert "- id: taskkeep-verify\n" in text
    entry = re.search(r"entry: taskkeep verify (.*)", text)
    assert entry
    done = subprocess.run([sys.executable, "-m", "taskkeep", "verify", "--help"], capture_output=True, text=True)
    assert all(option in done.stdout for option in entry[1].split())

"""The demo: what taskkeep guards against, played in a temporary folder with the real commands."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from taskkeep.cli.output import wants_color, write_out
from taskkeep.errors import GitUnavailable, TaskkeepError

# Numbered ids make the story read the same each time; a backlog of several branches draws them at random.
PLAN: tuple[dict[str, Any], ...] = (
    {"id": "pay", "title": "Take payments by card", "type": "epic", "priority": "high"},
    {
        "id": "key",
        "title": "Keep the payment key out of the repository",
        "parent": "pay",
        "priority": "critical",
        "tags": ["security"],
    },
    {
        "id": "form",
        "title": "Card form with inline errors",
        "parent": "pay",
        "dependsOn": "key",
        "tags": ["frontend"],
    },
    {
        "id": "hook",
        "title": "Handle a payment webhook that comes twice",
        "parent": "pay",
        "dependsOn": "key",
        "tags": ["backend"],
        "acceptanceCriteria": "- an order is paid once\n- the second call answers 200",
    },
    {
        "id": "mail",
        "title": "Send the receipt by mail",
        "parent": "pay",
        "dependsOn": "hook",
        "tags": ["backend"],
    },
    {"id": "slow", "title": "Search takes 4 s on large shops", "type": "bug", "priority": "high"},
    {
        "id": "ci",
        "title": "Run the tests on pull requests",
        "type": "chore",
        "status": "done",
        "tags": ["ci"],
    },
    {"id": "faq", "title": "Answer the ten most frequent questions", "priority": "low", "tags": ["docs"]},
)


def run(keep: bool = False, *, as_json: bool = False, color: bool = True) -> int:
    """Play the story and return its exit status: 0 where every command ended as it should.

    The folder is removed at the end unless *keep*. With *as_json* one object tells the commands
    with their exit statuses. Raises GitUnavailable.
    """
    folder = tempfile.mkdtemp(prefix="taskkeep-demo-")
    try:
        stage = Stage(os.path.join(folder, "shop"), silent=as_json, color=color)
        play(stage)
        if keep:
            stage.say(f"The repository is yours to look at: {stage.folder}")
        if as_json:
            answer = {
                "schema_version": 1,
                "folder": stage.folder if keep else None,
                "as_told": stage.as_told,
                "steps": stage.steps,
            }
            write_out(json.dumps(answer, ensure_ascii=False) + "\n")
        return 0 if stage.as_told else TaskkeepError.exit_status
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def play(stage: Stage) -> None:
    """The story."""
    stage.say("A repository, and a backlog in it. The plan comes from a file of another tool.")
    stage.git("init", "-q", "-b", "main", ".")
    stage.write("plan.json", {"tasks": PLAN})
    stage.run("init", "--ids", "sequential")
    stage.run("import", "plan.json", "--from", "json")
    stage.run("add", "Say thanks after the order", "-l", "frontend", "--depends-on", "T0005")
    stage.run("start", "T0002", "--why", "everything else waits for it")
    stage.run("list")

    stage.say("A language model is asked to tidy up. It writes the whole file anew, as valid JSON …")
    stage.tidy_up()
    stage.run("verify", expect=1)
    stage.say("… with three tasks missing and one done that is not. No command builds on that:")
    stage.run("done", "T0002", expect=5)
    stage.run("restore", "--at", "HEAD", "--yes")

    stage.say("Somebody changes a priority in an editor. Well meant, so it is recorded, with a reason.")
    stage.replace('"priority": "high"', '"priority": "low"')
    stage.run("verify", expect=1)
    stage.run("adopt", "--why", "agreed on the phone")

    stage.say("A task may go: not under others that need it, and not without a reason.")
    stage.run("delete", "T0008", expect=2)
    stage.run("delete", "T0004", "--why", "the provider sends it once", expect=5)
    stage.run("delete", "T0008", "--why", "the forum answers them")

    stage.say("Nothing is lost: any state that ever was can be seen, and brought back by a new change.")
    stage.run("show", "T0008", "--at", "HEAD~1")
    stage.run("restore", "T0008", "--at", "HEAD~1", "--why", "the forum is closed", "--yes")

    stage.say("Two branches change one task, each another field. Git merges them, by way of taskkeep.")
    stage.git("switch", "-q", "-c", "feature", shown=True)
    stage.run("update", "T0002", "--title", "Keep the payment key in the vault")
    stage.git("switch", "-q", "main", shown=True)
    stage.run("done", "T0002", "--why", "shipped")
    stage.git("merge", "-q", "--no-edit", "feature", shown=True)
    stage.run("list", "--all", "--status", "done")

    stage.say("The log tells it all, and every byte of the backlog is accounted for.")
    stage.run("log", "T0002", "--limit", "3")
    stage.run("verify")


class Stage:
    """A fresh repository, what is shown on it, and whether all went as the story tells."""

    def __init__(self, folder: str, *, silent: bool, color: bool) -> None:
        os.mkdir(folder)
        self.folder = folder
        self.steps: list[dict[str, Any]] = []
        self.as_told = True
        self._silent = silent
        self._color = color and wants_color(sys.stdout)
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "TASKKEEP_"))}
        # The user's own settings of git (signing, hooks, names of branches) stay out of the story.
        self._env |= {
            "TASKKEEP_ACTOR": "ada",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "ada",
            "GIT_AUTHOR_EMAIL": "ada@example.invalid",
            "GIT_COMMITTER_NAME": "ada",
            "GIT_COMMITTER_EMAIL": "ada@example.invalid",
            "GIT_PAGER": "",
        }
        if not color:
            self._env["NO_COLOR"] = "1"

    # -- showing -------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """A line of the story."""
        self._print(f"\n{self._paint(text, '1;36')}\n")

    def _print(self, text: str) -> None:
        if not self._silent:
            write_out(text)

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text

    def _prompt(self, *words: str) -> None:
        self._print(f"{self._paint('$', '2')} {self._paint(shlex.join(words), '1')}\n")

    # -- doing ---------------------------------------------------------------------------

    def run(self, *args: str, expect: int = 0) -> None:
        """Run a command of taskkeep as a user would, shown as it shows itself."""
        self._prompt("taskkeep", *args)
        status = self._call([sys.executable, "-P", "-m", "taskkeep", *args])
        self.steps.append({"command": ["taskkeep", *args], "exit": status, "expected": expect})
        if status:
            self._print(self._paint(f"(exit {status})", "2") + "\n")
        if status != expect:
            self.as_told = False
            self._print(self._paint(f"the story expected exit {expect}", "1;31") + "\n")

    def git(self, *args: str, shown: bool = False) -> None:
        """Run git. Raises GitUnavailable where it is missing or fails."""
        if shown:
            self._prompt("git", *args)
        try:
            status = self._call(["git", *args])
        except OSError as error:
            raise GitUnavailable(f"cannot run git: {error.strerror}", hint="Install git.") from None
        if status:
            raise GitUnavailable(f"git {args[0]} ended with {status}", hint="See 'taskkeep doctor'.")

    def _call(self, command: list[str]) -> int:
        silent = subprocess.DEVNULL if self._silent else None
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=silent,
            # One stream, so that an error stands below its command wherever the two are sent.
            stderr=silent if self._silent else subprocess.STDOUT,
            check=False,
        ).returncode

    # -- what others do to the file ------------------------------------------------------

    def write(self, name: str, value: Any) -> None:
        with open(os.path.join(self.folder, name), "w", encoding="utf-8", newline="\n") as file:
            json.dump(value, file, indent=2, ensure_ascii=False)
            file.write("\n")

    def tidy_up(self) -> None:
        """Rewrite the backlog as models do: most of it kept, some dropped, one thing "fixed"."""
        with open(os.path.join(self.folder, "backlog.json"), encoding="utf-8") as file:
            backlog = json.load(file)
        kept = [task for task in backlog["tasks"] if task["id"] not in ("T0005", "T0006", "T0009")]
        kept[2]["status"] = "done"
        self.write("backlog.json", {**backlog, "tasks": kept})

    def replace(self, old: str, new: str) -> None:
        """Edit the backlog as an editor does."""
        path = os.path.join(self.folder, "backlog.json")
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text.replace(old, new, 1))

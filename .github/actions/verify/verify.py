"""The step of the action: finds what to hold HEAD against, fetches what a shallow checkout lacks, runs the check.

Everything comes from the environment: VERIFY_* are the action's inputs, the rest is the runner's. Only the
standard library is used; the program is this interpreter's own, and sees nothing of the
checkout but its data.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

DEPTHS = (50, 1000, None)  # commits to deepen by, one after the other; None: the whole history
MISSING = ("shallow", "unknown_point")  # what the check says where a commit was not fetched


class StepError(Exception):
    """What stops the step, with its exit status."""

    def __init__(self, text: str, status: int = 2) -> None:
        super().__init__(text)
        self.status = status


def main() -> int:
    try:
        return Step().run()
    except StepError as error:
        say("error", str(error))
        return error.status


class Step:
    """One run of the check."""

    def __init__(self) -> None:
        env = os.environ
        for name, value in env.items():
            if name.startswith("VERIFY_") and not value.strip("\n").isprintable():
                raise StepError(f"{name.removeprefix('VERIFY_').lower()} holds control characters")
        self.workspace = Path(env.get("GITHUB_WORKSPACE") or os.getcwd()).resolve()
        self.folder = self._inside(env.get("VERIFY_DIRECTORY") or ".", "directory")
        self.event_name = env.get("GITHUB_EVENT_NAME", "")
        self.event = self._event()
        self.program = [sys.executable, "-I", "-m", "taskkeep", "-C", str(self.folder), "verify"]
        for name in ("all", "strict"):
            if flag(name):
                self.program.append(f"--{name}")
        for name in ("skip", "anchor"):
            if value := env.get(f"VERIFY_{name.upper()}", "").strip():
                self.program.append(f"--{name}={value}")

    def run(self) -> int:
        if self.event_name == "pull_request_target":
            raise StepError("pull_request_target runs with the base's rights on a stranger's code: use pull_request")
        base = self.base()
        args = [f"--base={base}"] if base else []
        if base and base == self.event.get("before") and not os.environ.get("VERIFY_BASE", "").strip():
            args.append("--replaced")  # of what a forced push has thrown away nothing may be lost either
        answer = self.fetching(args)
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        status = self.shown([*args, "--format=github", *([f"--summary={summary}"] if summary else [])])
        sarif = self.written(args)
        checked = answer.get("checked", {})
        heads = [head for one in checked.get("backlogs", [checked]) for head in one.get("heads", ())]
        outputs = {
            "ok": "true" if status == 0 else "false",
            "base": base or "",
            "findings": str(len(answer.get("findings", ()))),
            "heads": " ".join(head for head in heads if head.isalnum()),
            "sarif": sarif,
        }
        if path := os.environ.get("GITHUB_OUTPUT"):
            with open(path, "a", encoding="utf-8") as file:
                file.writelines(f"{name}={value}\n" for name, value in outputs.items())
        return status

    # -- against what --------------------------------------------------------------------

    def base(self) -> str | None:
        """The commit to compare with, fetched; None where the event has none."""
        if given := os.environ.get("VERIFY_BASE", "").strip():
            self.bring_branch(given)
            return given
        if self.event_name == "pull_request":
            # The checkout is a merge made for this run: its first parent is the base as it was then. base.sha
            # may be older. Where the workflow checks something else out, there is only base.sha.
            if self.head() == os.environ.get("GITHUB_SHA") and len(self.parents()) == 2:
                return self.parents()[0]
            return self.there(self.of_event("pull_request", "base", "sha"))
        if self.event_name == "merge_group":
            return self.there(self.of_event("merge_group", "base_sha"))
        if self.event_name == "push":
            before = self.of_event("before")
            if before is None or set(before) == {"0"} or self.event.get("deleted"):
                return None  # a new branch; a deleted one, where the default branch is what is checked out
            try:
                return self.there(before)
            except StepError:
                if not self.event.get("forced"):
                    raise
                say("warning", "what this forced push replaced cannot be fetched: only the tree itself was checked")
        return None

    def of_event(self, *path: str) -> str | None:
        value: Any = self.event
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if value is None and path == ("before",):
            return None
        if not isinstance(value, str) or len(value) not in (40, 64) or set(value) - set("0123456789abcdef"):
            raise StepError(f"the event names no commit in {'.'.join(path)}")
        return value

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").stdout.strip()

    def parents(self) -> list[str]:
        """Of HEAD, as its commit says, also where they were not fetched."""
        text = self.git("cat-file", "commit", "HEAD").stdout
        lines = text.partition("\n\n")[0].split("\n")
        return [line.split(" ")[1] for line in lines if line.startswith("parent ")]

    # -- fetching ------------------------------------------------------------------------

    def bring_branch(self, name: str) -> None:
        """Fetch a branch of origin that the checkout lacks; any other word is left to the check to judge."""
        branch = name.removeprefix("origin/")
        if not re.fullmatch(r"origin/[A-Za-z0-9_][A-Za-z0-9_./-]*", name) or ".." in branch:
            return
        if self.git("rev-parse", "-q", "--verify", "--end-of-options", name, fails=True).returncode:
            shallow = ["--depth=1"] if self.is_shallow() else []
            self.fetch(shallow, [f"+refs/heads/{branch}:refs/remotes/origin/{branch}"])

    def there(self, commit: str | None) -> str:
        """The commit, fetched where it is not here."""
        assert commit is not None
        if self.git("cat-file", "-e", f"{commit}^{{commit}}", fails=True).returncode:
            self.fetch(["--depth=1"] if self.is_shallow() else [], [commit])
        return commit

    def fetching(self, args: list[str]) -> dict[str, Any]:
        """The check's answer as JSON, once it lacks nothing any more that can be fetched."""
        wanted = [self.head(), *(arg.partition("=")[2] for arg in args)]
        wanted = [name for name in wanted if len(name) in (40, 64)]
        for depth in (*DEPTHS, None):
            done = self.check([*args, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if done.returncode in (0, 1):
                return dict(json.loads(done.stdout))
            error = json.loads(done.stderr)["error"] if done.stderr.startswith(b"{") else {}
            if error.get("code") not in MISSING or not self.is_shallow():
                return {}
            self.fetch(["--unshallow"] if depth is None else [f"--deepen={depth}"], wanted)
        return {}

    def is_shallow(self) -> bool:
        return self.git("rev-parse", "--is-shallow-repository").stdout.strip() == "true"

    def fetch(self, how: list[str], commits: list[str]) -> None:
        done = self.git("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head",
                        *how, "origin", *commits, token=True, fails=True)  # fmt: skip
        if done.returncode:
            raise StepError(
                f"what the check needs could not be fetched: {last_line(done.stderr)}; "
                "'fetch-depth: 0' at actions/checkout brings all of it",
                7,
            )

    def git(self, *args: str, token: bool = False, fails: bool = False) -> subprocess.CompletedProcess[str]:
        """Run git in the backlog's folder; what the repository's configuration names is not run."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "VERIFY_"))}
        env |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        env |= self.credentials() if token else {}
        safe = ["-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "protocol.ext.allow=never"]
        done = subprocess.run(
            ["git", "-C", str(self.folder), *safe, *args],
            env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        if done.returncode and not fails:
            raise StepError(f"git {args[0]}: {last_line(done.stderr)}", 7)
        return done

    def credentials(self) -> dict[str, str]:
        """The token by the environment, so that neither the disk nor the list of processes has it."""
        token = os.environ.get("VERIFY_TOKEN", "")
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
        if not token or not server.startswith("https://"):
            return {}
        name = f"http.{server}/.extraheader"
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        # An empty one first: with what the checkout may have left, there would be two of them.
        values = ["", f"AUTHORIZATION: basic {basic}"]
        env = {"GIT_CONFIG_COUNT": str(len(values))}
        for number, value in enumerate(values):
            env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        return env

    # -- answers -------------------------------------------------------------------------

    def shown(self, args: list[str]) -> int:
        """Run the check for people: annotations, and the summary of the step."""
        status = self.check(args).returncode
        if status not in (0, 1):
            say("error", f"the check could not be made (exit {status}): see the step's log")
        return status

    def check(self, args: list[str], **streams: Any) -> subprocess.CompletedProcess[bytes]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("VERIFY_", "TASKKEEP_"))}
        return subprocess.run([*self.program, *args], env=env, stdin=subprocess.DEVNULL, **streams)

    def written(self, args: list[str]) -> str:
        """Write SARIF where it was asked for; returns the file's path."""
        name = os.environ.get("VERIFY_SARIF", "").strip()
        if not name:
            return ""
        path = self._inside(name, "sarif")
        done = self.check([*args, "--format=sarif"], stdout=subprocess.PIPE)
        if done.returncode not in (0, 1):
            return ""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(done.stdout)
        return str(path.relative_to(self.workspace))

    def _inside(self, name: str, option: str) -> Path:
        path = (self.workspace / name).resolve()
        if not path.is_relative_to(self.workspace) or ".git" in path.relative_to(self.workspace).parts:
            raise StepError(f"{option} must be a path below the workspace")
        return path

    def _event(self) -> dict[str, Any]:
        path = os.environ.get("GITHUB_EVENT_PATH")
        if not path:
            return {}
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))


def flag(name: str) -> bool:
    value = os.environ.get(f"VERIFY_{name.upper()}", "").strip().lower()
    if value not in ("", "true", "false"):
        raise StepError(f"{name} is 'true' or 'false'")
    return value == "true"


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def say(level: str, text: str) -> None:
    """An annotation; what could be read as another command is escaped."""
    text = "".join(c if c.isprintable() else " " for c in text).replace("%", "%25")
    print(f"::{level} title=taskkeep::{text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

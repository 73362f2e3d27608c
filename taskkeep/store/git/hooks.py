"""The repository's hooks, run only where the user's own global configuration of git asks for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from taskkeep.errors import CommitFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskkeep.store.git.repository import Repository

SETTING = "taskkeep.hooks"


class Hooks:
    """Runs hooks of ``.git/hooks``, or of the ``core.hooksPath`` that the global configuration names.

    One that the repository's own configuration names is never run, whoever asks.
    """

    def __init__(self, repository: Repository, folder: str) -> None:
        self._repository, self._folder = repository, folder

    def run(self, name: str, *args: str, env: Mapping[str, str] | None = None) -> None:
        """Run one hook, where there is one. Raises CommitFailed where it refuses."""
        answer = self._repository.run(
            "hook", "run", "--ignore-missing", name, "--", *args,
            env=env, config=[f"core.hooksPath={self._folder}"],
        )  # fmt: skip
        if answer.status:
            words = " ".join(answer.err.decode("utf-8", "replace").split())[-300:]
            raise CommitFailed(
                f"the hook {name} refused: {words or f'it ended with {answer.status}'}; nothing was changed",
                hint=f"Hooks run since {SETTING} is set in your global git configuration.",
            )


def hooks_of(repository: Repository) -> Hooks | None:
    """The hooks that are to be run here; None where the user has not asked, which costs no process."""
    if SETTING not in repository.config:
        return None
    if repository.run("config", "--global", "--type=bool", "--get", SETTING).text != "true":
        return None
    own = repository.run("config", "--global", "--type=path", "--get", "core.hooksPath").text
    return Hooks(repository, os.path.join(repository.top, own) if own else os.path.join(repository.common, "hooks"))

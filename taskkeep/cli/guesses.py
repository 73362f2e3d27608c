"""Commands and options that people and models reach for and that are not there, and what is right instead.

Read only after a failure. What may stand in for a command without a doubt is an alias in `app`, not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.backlog.task import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


# What says it -> the words for it.
_COMMANDS = {
    "'taskkeep list' lists tasks, 'add TITLE' makes one, 'show ID' shows one.": "task issue todo item backlog",
    "'taskkeep list' lists tasks, 'taskkeep search TEXT' finds some.": "tasks all query filter find grep issues items",
    "'taskkeep ready' lists what can be started, 'taskkeep claim' takes the best.": "next pick take grab work lock",
    "'taskkeep note ID TEXT' appends a note.": "comment annotate remark progress append",
    "'taskkeep log [ID]' shows who changed what, 'taskkeep diff WHEN' what differs.": "history events changes audit",
    "'taskkeep release ID' gives a claim back.": "unclaim unassign drop unlock abandon giveup",
    "'taskkeep update ID --assignee NAME' assigns it, 'taskkeep claim ID' takes it yourself.": "assign",
    "'taskkeep update ID' changes fields, as in 'update ID --status review'.": (
        "set modify change patch move mark set-status rename prioritize label tag link depends edit-task"
    ),
    "'taskkeep --version' prints it.": "version",
    "'taskkeep --help', or 'taskkeep COMMAND --help'.": "help man usage commands",
    "There is no need: every change is saved and committed by itself.": "commit save write flush",
    "taskkeep never pushes: that is git's, and yours.": "push publish",
    "'taskkeep show ID' shows a task.": "info describe details read cat print",
    "'taskkeep show ID' shows a task, 'taskkeep reopen ID' puts it back to do.": "open",
    "'taskkeep undo' takes back a change, 'taskkeep restore ID --at WHEN' brings a task back.": (
        "revert rollback undelete unremove recover-task"
    ),
    "'taskkeep verify' checks the backlog and its log.": "check validate lint fsck",
    "'taskkeep archive' moves old finished tasks out of the way.": "clear reset purge wipe clean gc prune",
    "'taskkeep list --all --limit 0 --json' has every task with all its fields.": "export dump",
    "The configuration is the file .taskkeep/config.toml.": "config settings",
}
COMMANDS = {word: hint for hint, words in _COMMANDS.items() for word in words.split()}

_OPTIONS = {
    "label": "tag tags labels add-tag",
    "description": "desc details text content body-file",
    "title": "name summary subject",
    "actor": "agent user as by author worker who me",
    "assignee": "owner assign assigned-to assigned user",
    "depends-on": "depends deps dep dependencies after requires needs blocked",
    "offset": "page skip start",
    "limit": "n max count first top max-results per-page",
    "status": "open todo closed completed pending finished set-status in-progress filter",
    "why": "message reason because msg",
    "due": "deadline due-date",
    "parent": "parent-id epic subtask-of",
    "accept": "acceptance-criteria criteria ac criterion",
    "set": "metadata meta field custom",
    "if-match": "etag expect version",
    "key": "idempotency-key request-id id-key",
    "lease": "ttl duration for timeout expires",
    "wait": "timeout lock-timeout",
    "claim": "token fence claim-id claim-number",
    "at": "as-of rev revision commit when",
    "sort": "order sort-by order-by",
    "format": "output o out",
    "fields": "columns select",
    "C": "project dir cwd path root file",
}
# Where none of these stands: what helps whatever the command is.
_SENTENCES = {
    "note notes comment": "'taskkeep note ID TEXT' appends a note.",
    "yes y confirm no-input no-interactive force": "Leave it out: nothing is asked without a terminal.",
    "verbose v": "Leave it out; 'taskkeep show ID' and '--json' have all fields.",
    "title name summary text body message content": "The text stands by itself, in quotes, without an option.",
}


def command_hint(name: str, known: Mapping[str, str]) -> str:
    """What to write instead of a command that there is not, of those *known* by all their names; empty where nobody
    knows."""
    word = name.lower()
    if word in COMMANDS:
        return COMMANDS[word]
    # add-task, task_list, getTask: the tools of other trackers.
    parts = [part for part in word.replace("_", "-").replace(":", "-").split("-") if part not in ("task", "tasks")]
    bare = "-".join(parts).removesuffix("tasks").removesuffix("task")
    if bare in known:
        return f"Did you mean {known[bare]}?"
    return COMMANDS.get(bare, "")


def option_hint(name: str, known: Iterable[str]) -> str:
    """What to write instead of an option that a command does not have, of those that it has."""
    if any(character.isspace() for character in name):
        return "Text that begins with '-' stands after '--', or comes by '-' from stdin."
    word = name.lstrip("-").replace("_", "-").lower()
    spelt = {option.lstrip("-"): option for option in known if option.startswith("--") or option == "-C"}
    if word in spelt:
        return f"Did you mean {spelt[word]}?"
    for meant, words in _OPTIONS.items():
        if word in words.split() and meant in spelt:
            return f"Did you mean {spelt[meant]}?"
    for words, sentence in _SENTENCES.items():
        if word in words.split():
            return sentence
    near = nearest(word, [option for option in spelt if len(option) > 1])
    # One that only looks a little like it would lead astray.
    close = [option for option in near if option.startswith(word) or word.startswith(option) or _alike(word, option)]
    return f"Did you mean {spelt[close[0]]}?" if close else ""


def _alike(word: str, option: str) -> bool:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, word, option).ratio() > 0.74

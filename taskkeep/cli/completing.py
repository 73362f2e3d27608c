"""What a shell is told at the Tab key, and the scripts by which it asks.

A shell calls the program with its own name in ``_TASKKEEP_COMPLETE`` and the words typed so far, the last one
incomplete, as arguments. The answer is a line for each proposal: the value, and after a tab what it is. `FILES` alone
asks the shell for names of files. Nothing of it is ever evaluated: titles of tasks stand in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typer._click.core import Parameter
    from typer.core import TyperGroup

    from taskkeep.project import Project

    Proposals = Iterable[tuple[str, str]]

FILES = ":files"
TITLE_MOST = 60
CHOICES = re.compile(r"[a-z_-]+(?: [a-z_-]+)*")  # the help of what takes one of a few words is these words
FINISHED_ONLY = ("reopen",)

BASH = """\
_taskkeep_completion() {
    local line word=${COMP_WORDS[COMP_CWORD]} width=$(( ${COLUMNS:-80} - 1 )) tab=$'\\t'
    local -a lines=()
    while IFS= read -r line; do
        lines+=( "$line" )
    done < <(_TASKKEEP_COMPLETE=bash "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    COMPREPLY=()
    if [[ ${lines[0]} == :files ]]; then
        compopt -o filenames 2>/dev/null
        lines=()
        while IFS= read -r line; do
            COMPREPLY+=( "$line" )
        done < <(compgen -f -- "$word")
    fi
    for line in "${lines[@]}"; do
        if [[ $COMP_TYPE == 63 && $line == *$tab* ]]; then  # only shown, so with what it is
            printf -v line '%-12s  %s' "${line%%$tab*}" "${line#*$tab}"
            COMPREPLY+=( "${line:0:width}" )
        else
            COMPREPLY+=( "${line%%$tab*}" )
        fi
    done
}
complete -F _taskkeep_completion taskkeep
"""

ZSH = """\
#compdef taskkeep
_taskkeep_completion() {
    local line tab=$'\\t'
    local -a lines proposals
    lines=( "${(@f)$(_TASKKEEP_COMPLETE=zsh "${words[1]}" "${(@Q)words[2,CURRENT]}" 2>/dev/null)}" )
    if [[ $lines[1] == :files ]]; then
        _files
        return
    fi
    for line in $lines; do
        if [[ $line == *$tab* ]]; then
            proposals+=( "${${line%%$tab*}//:/\\\\:}:${line#*$tab}" )
        else
            proposals+=( "${line//:/\\\\:}" )
        fi
    done
    (( $#proposals )) && _describe -V taskkeep proposals
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _taskkeep_completion taskkeep
"""

FISH = """\
function __taskkeep_completion
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l lines (env _TASKKEEP_COMPLETE=fish $words "$word" 2>/dev/null)
    if test "$lines[1]" = :files
        __fish_complete_path "$word"
    else if test (count $lines) -gt 0
        printf '%s\\n' $lines
    end
end
complete --command taskkeep --no-files --keep-order --arguments '(__taskkeep_completion)'
"""

POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName taskkeep -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
    if ($wordToComplete -eq '') { $words += '=' }
    $Env:_TASKKEEP_COMPLETE = 'powershell'
    & "$($commandAst.CommandElements[0])" @words | Where-Object { $_ -ne ':files' } | ForEach-Object {
        $value, $words = $_ -split "`t", 2
        $told = if ($words) { $words } else { $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $told)
    }
    Remove-Item Env:_TASKKEEP_COMPLETE
}
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH, "powershell": POWERSHELL, "pwsh": POWERSHELL}


def answer(words: Sequence[str]) -> str:
    """The lines for *words*, of which the last is incomplete."""
    from taskkeep.cli.app import group
    from taskkeep.cli.output import shown

    found = propose(group(), words)
    lines = (f"{shown(value)}\t{shown(told)}" if told else shown(value) for value, told in found)
    return "".join(f"{line}\n" for line in lines)


def propose(group: TyperGroup, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each value that may stand in the place of the last of *words*, and what is to be said of it."""
    from typer._click.shell_completion import _resolve_context, _resolve_incomplete

    from taskkeep.errors import TaskkeepError

    *args, word = _joined(words) or [""]
    try:
        context = _resolve_context(group, {}, "taskkeep", args)
        place, word = _resolve_incomplete(context, args, word)
    except TaskkeepError:  # what stands before is wrong, and the command will say so
        return
    command = context.command
    if place is command:
        if word.startswith("-"):
            yield from _options(command.params, word)
        elif command is group and not context._protected_args:
            yield from ((item.value, item.help or "") for item in command.shell_complete(context, word))
        return
    metavar = (getattr(place, "metavar", None) or "").removesuffix("...").strip("[]")
    if metavar == "FILE":
        yield FILES, ""
        return
    is_list = getattr(place, "multiple", False) or getattr(place, "nargs", 1) == -1
    last = word.rpartition(",")[2] if is_list else word
    taken = word[: len(word) - len(last)].split(",")
    before = words[-1][: len(words[-1]) - len(last)].removeprefix("=")
    try:
        for value, told in _values(metavar, place.name or "", getattr(place, "help", None) or "", context):
            if value.casefold().startswith(last.casefold()) and value not in taken:
                yield before + value, told
    except TaskkeepError:  # no backlog here, or one that cannot be read
        return


def _joined(words: Sequence[str]) -> list[str]:
    """*words* without the "=" that some shells part from an option and its value."""
    return [word for number, word in enumerate(words) if word != "=" or number == len(words) - 1]


def _options(params: Iterable[Parameter], word: str) -> Iterator[tuple[str, str]]:
    for param in params:
        if getattr(param, "hidden", False):
            continue
        told = (getattr(param, "help", None) or "").partition(". ")[0].rstrip(".")
        for name in sorted(param.opts, key=len, reverse=True):
            if name.startswith(word) and name.startswith("-"):
                yield name, told
                break


def _values(metavar: str, name: str, told: str, context: object) -> Proposals:
    choices = told.partition(";")[0].removesuffix(" …")
    if CHOICES.fullmatch(choices):
        return [(choice, "") for choice in choices.split(" ")]
    if "|" in metavar and metavar.islower():
        return [(choice, "") for choice in metavar.split("|")]
    if metavar == "FIELD":
        from taskkeep.backlog.task import FIELDS

        return [(field, "") for field in FIELDS]
    return _of_backlog(metavar, name, context)


def _of_backlog(metavar: str, name: str, context: object) -> Proposals:
    from taskkeep.project import open as open_project

    root = context.find_root()  # type: ignore[attr-defined]
    command = context.command.name  # type: ignore[attr-defined]
    folder = context.params.get("folder") or root.params.get("folder")  # type: ignore[attr-defined]
    if metavar == "ID":
        return _ids(open_project(folder), command)
    if metavar in ("REV", "WHEN", "BRANCH", "FROM", "TO", "EVENT|REV"):
        return [(ref, "") for ref in open_project(folder).refs()]
    if metavar == "AGENT":
        return [(row["name"], " ".join(row["files"])) for row in open_project(folder).known_agents()]
    if name in ("label", "remove_label", "assignee", "role"):
        field = {"label": "labels", "remove_label": "labels"}.get(name, name)
        tasks = open_project(folder).backlog().tasks.values()
        found = (task.get(field, ()) for task in tasks)
        return [(one, "") for one in sorted({one for entry in found for one in _entries(entry)})]
    return []


def _entries(value: object) -> Iterable[str]:
    return [value] if isinstance(value, str) else value  # type: ignore[return-value]


def _ids(project: Project, command: str) -> Proposals:
    """The open tasks before the finished ones, and for what puts back to do the finished ones alone."""
    from taskkeep.backlog.task import is_finished

    tasks = sorted(project.backlog().tasks.values(), key=is_finished)
    if command in FINISHED_ONLY:
        tasks = [task for task in tasks if is_finished(task)]
    for task in tasks:
        mark = f"({task['status']}) " if is_finished(task) else ""
        title = task["title"]
        yield task["id"], mark + (title if len(title) <= TITLE_MOST else f"{title[: TITLE_MOST - 1]}…")

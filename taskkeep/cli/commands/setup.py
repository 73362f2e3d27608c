"""init, completion, setup and uninstall: setting up, and taking out again."""

import os
from typing import Annotated

import typer

from taskkeep.cli.app import Reader, Writer, new_app
from taskkeep.cli.call import call_of
from taskkeep.cli.edits import carry_out
from taskkeep.cli.output import shown
from taskkeep.errors import Usage

app = new_app()


@app.command("init", cls=Writer, epilog="taskkeep init")
def init(
    ctx: typer.Context,
    ids: Annotated[
        str,
        typer.Option(
            "--ids",
            metavar="random|sequential",
            help="How new ids are drawn; sequential is for one branch only.",
        ),
    ] = "random",
    git: Annotated[bool, typer.Option("--git", help="Outside git: run 'git init'.")] = False,
    no_git: Annotated[bool, typer.Option("--no-git", help="Outside git: do without.")] = False,
) -> None:
    """Make a backlog in the current folder.

    Writes the files, sets up git's merge driver for them and commits.
    """
    from taskkeep.project import init as init_project

    if ids not in ("random", "sequential"):
        raise Usage(f"--ids cannot be {ids[:40]!r}", hint="random or sequential.")
    if git and no_git:
        raise Usage("--git and --no-git exclude each other", hint="Leave one of them out.")
    call = call_of(ctx)
    saved = init_project(call.folder, ids=ids, git=git or (False if no_git else None), **call.saving)
    call.output.saved(saved, said=f"made a backlog in {os.path.abspath(call.folder or '.')}")


@app.command(
    "completion",
    cls=Reader,
    epilog="""eval "$(taskkeep completion bash)"      # in ~/.bashrc
    eval "$(taskkeep completion zsh)"       # in ~/.zshrc, after compinit
    taskkeep completion fish | source       # in ~/.config/fish/config.fish""",
)
def completion(
    ctx: typer.Context,
    shell: Annotated[
        str | None, typer.Argument(metavar="[SHELL]", help="bash zsh fish powershell; else that of $SHELL.")
    ] = None,
) -> None:
    """Print the completion script of a shell.

    Load it in the start-up file of the shell; nothing is installed.
    """
    from taskkeep.cli.completing import SCRIPTS

    name = shell or os.path.basename(os.environ.get("SHELL", ""))
    if name not in SCRIPTS:
        raise Usage(f"no completion for the shell {name[:40]!r}", hint=f"One of: {', '.join(SCRIPTS)}.")
    script = SCRIPTS[name]
    output = call_of(ctx).output
    if output.is_json:
        output.json({"shell": name, "script": script})
    else:
        output.text(script)


@app.command(
    "setup",
    cls=Reader,
    epilog="""taskkeep setup git-hook
    taskkeep setup git-hook --remove""",
)
def setup(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="WHAT", help="git-hook")],
    remove: Annotated[bool, typer.Option("--remove", help="Take it out again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Set up a check in git before each commit.

    'git-hook' adds a few lines to the pre-commit hook, which git keeps in .git/hooks or where
    core.hooksPath says; a hook that is there stays as it is around them. They run 'verify --staged'
    where something of the backlog is staged, and nothing else.
    """
    call = call_of(ctx)
    if what != "git-hook":
        raise Usage(f"setup cannot {shown(what[:40])}", hint="One of: git-hook.")
    edit, warnings = call.project.git_hook(remove=remove)
    carry_out(call, [edit], dry_run=dry_run, yes=yes, warnings=warnings)


@app.command("uninstall", cls=Reader, epilog="taskkeep uninstall")
def uninstall(ctx: typer.Context) -> None:
    """Take out what was set up in git and for agents, never the backlog.

    Changes to tracked files are left uncommitted, for you to look at.
    """
    call = call_of(ctx)
    removed = call.project.uninstall()
    if call.output.is_json:
        call.output.json({"removed": removed})
    elif removed:
        call.output.text("".join(f"removed {entry}\n" for entry in removed))
    else:
        call.output.notice("nothing is set up")

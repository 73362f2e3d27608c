"""agents: what language-model agents find in a repository, and the guard that their hooks run."""

from typing import Annotated, Any

import typer

from taskkeep.cli.app import Reader, new_app
from taskkeep.cli.call import Call, call_of
from taskkeep.cli.edits import carry_out
from taskkeep.cli.output import shown
from taskkeep.cli.texts import OBJECT_BYTES
from taskkeep.errors import InputInvalid, Usage

app = new_app()

ACTIONS = ("list", "install", "guard")


@app.command(
    "agents",
    cls=Reader,
    epilog="""taskkeep agents
    taskkeep agents install
    taskkeep agents install claude --dry-run
    taskkeep agents install claude --remove""",
)
def agents(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="[ACTION]", help="list install guard")] = "list",
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[AGENT]...", help="For install: those that 'agents list' names.", show_default=False),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take out what install put in; without AGENT of all.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Set up what language-model agents read and run here.

    'install' puts a few lines into AGENTS.md, which most agents read; for an agent that is named also
    into its own file, and where it knows them a skill, a hook that runs 'prime' when a session begins,
    and one that refuses edits of backlog.json past taskkeep. The difference is shown first; only our
    lines and entries are touched, and nothing is committed. 'guard' is what that hook runs: it reads
    the hook's JSON on stdin.
    """
    call = call_of(ctx)
    if action not in ACTIONS:
        raise Usage(f"agents cannot {shown(action[:40])}", hint=f"One of: {', '.join(ACTIONS)}.")
    if action != "install" and (names or remove):
        raise Usage(f"'agents {action}' takes no names and no --remove", hint="Those are of 'agents install'.")
    if action == "guard":
        _guard(call)
    elif action == "list":
        _list(call)
    else:
        edits = call.project.agents(names or (), remove=remove)
        carry_out(call, edits, dry_run=dry_run, yes=yes)


def _list(call: Call) -> None:
    rows = call.project.known_agents()
    if call.output.is_json:
        call.output.json({"agents": rows})
    else:
        screen = call.output.screen
        for row in rows:
            state = "installed" if row["installed"] else "-" if screen is None else "not set up"
            cells = (row["name"], state, " ".join(row["files"]))
            call.output.text(
                "\t".join(cells) if screen is None else "  ".join((f"{cells[0]:8}{cells[1]:10}", cells[2]))
            )


def _guard(call: Call) -> None:
    """Answer a hook in the agent's own words: nothing where the call may go on."""
    import json

    from taskkeep.project import guard

    try:
        asked = json.loads(call.texts.stdin("agents guard", OBJECT_BYTES))
    except (ValueError, RecursionError):
        asked = None
    given = asked.get("tool_input") if isinstance(asked, dict) else None
    if not isinstance(asked, dict) or not isinstance(given, dict):
        raise InputInvalid("stdin holds no hook's JSON", hint="An object with tool_input.")
    event = asked.get("hook_event_name") or "PreToolUse"
    folder = asked.get("cwd")
    reason = guard(given, folder if isinstance(folder, str) else call.folder)
    if reason is not None:
        answer: dict[str, Any] = {
            "hookEventName": event,
            "permissionDecision": "deny",
            "permissionDecisionReason": reason,
        }
        call.output.text(json.dumps({"hookSpecificOutput": answer}, ensure_ascii=False))

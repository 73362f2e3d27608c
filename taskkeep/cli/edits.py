"""Changes to files of the user's: shown first, asked about on a terminal, then made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskkeep.cli.output import paragraphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskkeep.cli.call import Call
    from taskkeep.cli.screen import Screen
    from taskkeep.store.setup.edits import FileEdit


def carry_out(call: Call, edits: Sequence[FileEdit], *, dry_run: bool, yes: bool, warnings: Sequence[str] = ()) -> None:
    """Show what *edits* change and make the changes. Raises Refused where the user says no, Interrupted, DiskFault."""
    from taskkeep.store.setup.edits import difference as difference_of

    output = call.output
    changing = [edit for edit in edits if edit.action != "unchanged"]
    difference = difference_of(changing)
    if not output.is_json:
        output.warnings(warnings)
        if not call.quiet:
            output.text(colored(paragraphs(difference), output.screen))
        if changing and not (dry_run or yes) and output.can_ask:
            output.confirm("Write this?")
    if not dry_run:
        call.project.carry_out(changing)
    if output.is_json:
        answer = {
            "changed": bool(changing),
            "files": [{"path": edit.name, "action": edit.action} for edit in edits],
            "difference": difference,
            "warnings": list(warnings),
        }
        output.json({**answer, "dry_run": True} if dry_run else answer)
    elif dry_run:
        output.notice("dry run: nothing was written")
    elif changing:
        output.notice(f"{', '.join(f'{edit.name} {edit.action}' for edit in changing)}; nothing was committed")
    else:
        output.notice("nothing to change")


def colored(difference: str, screen: Screen | None) -> str:
    """A unified difference with its lines in colour."""
    if screen is None:
        return difference
    from taskkeep.cli.screen import BOLD, CYAN, GREEN, RED

    codes = {"+": GREEN, "-": RED, "@": CYAN}
    lines = []
    for line in difference.splitlines():
        code = BOLD if line.startswith(("+++ ", "--- ")) else codes.get(line[:1], "")
        lines.append(screen.paint(line, code))
    return "".join(f"{line}\n" for line in lines)

"""Play the demo and other scenes in a terminal of 100 columns, and write what they showed as pictures."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURES = Path(__file__).resolve().parent / "pictures"
COLUMNS = 100
# Where the picture for the README ends: the chapter on hand edits is the third.
LAST = "Somebody changes a priority"
# A picture asks nobody for its font.
REMOTE_FONT = re.compile(r',?\s*url\("https?://[^"]*"\) format\("[^"]*"\)')


def shown_by(command: list[str]) -> str:
    """What *command* shows on a terminal, with its escape sequences. Raises CalledProcessError."""
    import fcntl
    import pty
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    environment |= {"TERM": "xterm-256color", "TZ": "UTC"}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    pieces = []
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # Linux says EIO where the last writer has gone
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(leader)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command)
    return b"".join(pieces).decode().replace("\r\n", "\n")


def picture(text: str, title: str) -> str:
    """An SVG of a terminal that shows *text*."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(text.strip("\n")), soft_wrap=False)
    svg = console.export_svg(title=title, theme=MONOKAI, unique_id="taskkeep")
    return REMOTE_FONT.sub("", svg)


def scene(commands: str) -> str:
    """What a terminal shows of *commands*, a shell script whose lines are typed before they run."""
    with tempfile.TemporaryDirectory(prefix="taskkeep-picture-") as folder:
        script = Path(folder, "scene.sh")
        tool = f'taskkeep() {{ "{sys.executable}" -P -m taskkeep "$@"; }}\n'
        said = 'say() { printf \'\\033[1;32m$\\033[0m %s\\n\' "$1"; eval "$1"; echo; }\n'
        script.write_text(f"cd {folder}\n{tool}{said}{commands}", encoding="utf-8")
        return shown_by(["bash", str(script)])


TRAVEL = """
git init -q . && git config user.name Ada && git config user.email ada@example.org
exec 3>&1 >/dev/null 2>&1
taskkeep init
import=$(taskkeep add "Import the old board" -d "Take every card of the old board over, with its comments, once a day.")
merge=$(taskkeep add "Merge branches field by field" -p high)
docs=$(taskkeep add "Write the handbook" --depends-on "$merge")
taskkeep update "$import" -p low --why "the board is large" \\
  -d "Take every card of the old board over, without comments, once an hour."
taskkeep done "$merge"
taskkeep delete "$docs" --why "cleaning up"
exec 1>&3 2>&3
say "taskkeep log --limit 3"
say "taskkeep undo --why 'we need it'"
say "taskkeep diff HEAD~4"
say "taskkeep restore $import --at HEAD~4 --field description --yes"
say "taskkeep blame $import"
"""


def main() -> int:
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "time-travel.svg").write_text(
        picture(scene(TRAVEL), "going back in time"), encoding="utf-8", newline="\n"
    )
    print("written: docs/pictures/time-travel.svg")
    text = shown_by([sys.executable, "-P", "-m", "taskkeep", "demo"])
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines) if LAST in line), len(lines))
    for name, part in (("demo", "\n".join(lines[:end])), ("demo-whole", text)):
        (PICTURES / f"{name}.svg").write_text(picture(part, "taskkeep demo"), encoding="utf-8", newline="\n")
        print(f"written: docs/pictures/{name}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Play the demo in a terminal of 100 columns, and write what it showed as a picture."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
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


def main() -> int:
    text = shown_by([sys.executable, "-P", "-m", "taskkeep", "demo"])
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines) if LAST in line), len(lines))
    PICTURES.mkdir(exist_ok=True)
    for name, part in (("demo", "\n".join(lines[:end])), ("demo-whole", text)):
        (PICTURES / f"{name}.svg").write_text(picture(part, "taskkeep demo"), encoding="utf-8", newline="\n")
        print(f"written: docs/pictures/{name}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())

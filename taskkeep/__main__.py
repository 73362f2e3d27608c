"""``python -m taskkeep``."""

import os
import sys

try:
    here = os.getcwd()
except FileNotFoundError:
    here = ""  # it is gone, which the command tells
# With -m the current folder leads the search path: a json.py there would be run.
if not sys.flags.safe_path and sys.path and sys.path[0] in ("", here):
    del sys.path[0]

from taskkeep.cli.main import main

main()

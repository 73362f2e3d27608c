"""``python -m taskkeep``."""

import os
import sys

# With -m the current folder leads the search path: a json.py there would be run.
if not sys.flags.safe_path and sys.path and sys.path[0] in ("", os.getcwd()):
    del sys.path[0]

from taskkeep.cli.main import main

main()

"""The JSON Schemas: beside the package in an installed wheel, in the source tree otherwise."""

from __future__ import annotations

import os

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_FOLDERS = (os.path.join(_PACKAGE, "schemas"), os.path.join(os.path.dirname(_PACKAGE), "schemas"))


def schema_text(name: str) -> bytes:
    """The bytes of one schema, by its file name: ``backlog.schema.json``.

    Raises FileNotFoundError, which means that taskkeep was installed without its data files.
    """
    for folder in _FOLDERS:
        try:
            with open(os.path.join(folder, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            continue
    raise FileNotFoundError(f"taskkeep was installed without {name}: install it again")

"""What a save takes from its surroundings: the time, chance, and who acts."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from taskkeep.backlog.task import check_text
from taskkeep.backlog.times import to_text
from taskkeep.errors import InvalidField, Outside, Usage

if TYPE_CHECKING:
    from taskkeep.store.git.repository import Repository


def random_bits(count: int) -> int:
    """A random number of *count* bits from the system, without the import of secrets."""
    return int.from_bytes(os.urandom((count + 7) // 8)) >> (-count % 8)


def new_uuid() -> str:
    """A random UUID, version 4, without the import of uuid."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def default_actor(repository: Repository | None) -> str:
    """TASKKEEP_ACTOR, else git's user, else the login name."""
    if actor := os.environ.get("TASKKEEP_ACTOR", "").strip():
        return actor
    name = os.environ.get("GIT_AUTHOR_NAME") or (_user() if repository is None else repository.config.get("user.name"))
    if name and (name := name.strip()):
        return name
    return os.environ.get("USER") or os.environ.get("USERNAME") or "unknown"


def check_name(what: str, name: str) -> None:
    """Refuse a name that no event may bear: of the actor, the source, a key. Raises Usage."""
    try:
        check_text(what, name)
    except InvalidField as error:
        where = "It comes from --actor, TASKKEEP_ACTOR or git's user. " if what == "actor" else ""
        raise Usage(error.message, hint=f"{where}One line of 1 to 200 characters is fine.") from None


def _user() -> str:
    """Git's user where there is no repository; "" where there is no git either."""
    from taskkeep.store.git.repository import run

    try:
        return run(os.getcwd(), "config", "--get", "user.name").text
    except (OSError, Outside):
        return ""


def now_text() -> str:
    """The time now, as events and tasks carry it."""
    return to_text(time.time_ns() // 1000)

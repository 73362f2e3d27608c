"""The project's configuration: one table of keys, each with its default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from taskkeep.errors import BacklogUnreadable, ConfigInvalid
from taskkeep.store.files import read

if TYPE_CHECKING:
    from taskkeep.store.layout import Root


class Key(NamedTuple):
    """One key: its default, what it may hold, which module reads it, and what it does."""

    default: Any
    allowed: tuple[Any, ...] | type
    user: str
    does: str


KEYS: dict[str, Key] = {
    "ids": Key("random", ("random", "sequential"), "taskkeep.store.save", "how new ids are drawn"),
    "commit": Key(True, bool, "taskkeep.store.save", "whether each save is committed to git"),
    "subject_prefix": Key("", str, "taskkeep.store.save", "what commit subjects begin with"),
    "schema": Key({}, dict, "taskkeep.store.narrowing", "a JSON Schema for a field, which may only narrow; `required`"),
    "metadata": Key({}, dict, "taskkeep.store.narrowing", "a JSON Schema for a key of metadata"),
    "archive.older_than": Key("90d", str, "taskkeep.project", "how long ago a task must be finished for 'archive'"),
    "backups.keep": Key(True, bool, "taskkeep.store.save", "whether a snapshot is taken before each change"),
    "backups.hours": Key(24, int, "taskkeep.store.retention", "for how many hours every snapshot is kept"),
    "backups.days": Key(30, int, "taskkeep.store.retention", "for how many days one snapshot a day is kept"),
    "backups.count": Key(0, int, "taskkeep.store.retention", "how many snapshots are kept at most; 0: any number"),
    "backups.bytes": Key(256 << 20, int, "taskkeep.store.retention", "how many bytes of snapshots are kept at most"),
}


def load_config(root: Root) -> dict[str, Any]:
    """Return the value of every key of KEYS. Raises ConfigInvalid."""
    try:
        return config_of(read(root.config, limit=1 << 20)[0])
    except FileNotFoundError:
        return config_of(None)
    except BacklogUnreadable as error:
        raise ConfigInvalid(error.message) from None


def config_of(data: bytes | None) -> dict[str, Any]:
    """Return the value of every key of KEYS as the bytes of a config.toml have it. Raises ConfigInvalid."""
    values = {name: key.default for name, key in KEYS.items()}
    if data is None:
        return values
    import tomllib

    try:
        given = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigInvalid(f".taskkeep/config.toml is not TOML: {str(error)[:120]}") from None
    for name, value in _flat(given).items():
        key = KEYS.get(name)
        if key is None:
            raise ConfigInvalid(
                f".taskkeep/config.toml has a key {name[:60]!r} that is not known",
                hint=f"Known: {', '.join(KEYS)}.",
            )
        fits = type(value) is key.allowed if isinstance(key.allowed, type) else value in key.allowed
        if not fits:
            raise ConfigInvalid(f".taskkeep/config.toml: {name} cannot be {str(value)[:60]!r}")
        values[name] = value
    return values


def _flat(table: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        whole = f"{before}{name}"
        if isinstance(value, dict) and (whole not in KEYS or KEYS[whole].allowed is not dict):
            found |= _flat(value, f"{whole}.")
        else:
            found[whole] = value
    return found

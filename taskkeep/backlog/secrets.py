"""Keys and tokens in task text: a small set of patterns that nothing else looks like.

VERSION grows with the set. A hit is told by its kind and a few characters; it is never given whole.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Mapping

    from taskkeep.backlog.events import Event
    from taskkeep.backlog.task import Task

VERSION = 1

# What it is: a text that every hit holds, and the pattern. The texts are looked for first, all else is rare.
PATTERNS: dict[str, tuple[tuple[str, ...], str]] = {
    "an AWS access key id": (("AKIA", "ASIA"), r"(?<![A-Za-z0-9/+])A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9/+])"),
    "a GitHub token": (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})(?![A-Za-z0-9_])",
    ),
    "a GitLab token": (("glpat-",), r"(?<![A-Za-z0-9_-])glpat-[A-Za-z0-9_-]{20,300}"),
    "a Slack token": (("xox",), r"(?<![A-Za-z0-9])xox[abeprs]-[0-9]{8,14}-[A-Za-z0-9-]{20,250}"),
    "a Slack webhook": (
        ("hooks.slack.com",),
        r"https://hooks\.slack\.com/(?:services|workflows)/T[A-Z0-9]{8,12}/[A-Z0-9]{8,12}/[A-Za-z0-9]{20,30}",
    ),
    "a Google API key": (("AIza",), r"(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    "a Stripe key": (("k_live_",), r"(?<![A-Za-z0-9_])[sr]k_live_[A-Za-z0-9]{24,250}"),
    "an OpenAI key": (("T3BlbkFJ",), r"(?<![A-Za-z0-9_-])sk-[A-Za-z0-9_-]{16,200}T3BlbkFJ[A-Za-z0-9_-]{16,200}"),
    "an Anthropic key": (("sk-ant-",), r"(?<![A-Za-z0-9_-])sk-ant-[a-z]{3,8}[0-9]{2}-[A-Za-z0-9_-]{80,200}"),
    "an npm token": (("npm_",), r"(?<![A-Za-z0-9_])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9_])"),
    "a PyPI token": (("pypi-AgE",), r"(?<![A-Za-z0-9_-])pypi-AgE[A-Za-z0-9_-]{60,300}"),
    "a Hugging Face token": (("hf_",), r"(?<![A-Za-z0-9_])hf_[A-Za-z]{34}(?![A-Za-z0-9_])"),
    "a SendGrid key": (("SG.",), r"(?<![A-Za-z0-9_.-])SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
    "a DigitalOcean token": (("dop_v1_", "doo_v1_", "dor_v1_"), r"(?<![A-Za-z0-9_])do[opr]_v1_[a-f0-9]{64}"),
    "an Azure storage key": (("AccountKey=",), r"AccountKey=[A-Za-z0-9+/]{86}=="),
    "a private key": (
        ("PRIVATE KEY",),
        r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr])+"
        r"(?:[A-Za-z0-9-]{3,30}: ?[^\n\\]{0,100}(?:\s|\\[nr])+){0,4}"
        r"[A-Za-z0-9+/=]{16}(?:[A-Za-z0-9+/=\s]|\\[nr]){0,20000}",
    ),
}  # fmt: skip
MARKS = tuple(mark for marks, _ in PATTERNS.values() for mark in marks)
_SHOWN = 4
_encode = json.JSONEncoder(ensure_ascii=False).encode

_compiled: list[tuple[str, re.Pattern[str]]] = []


class Secret(NamedTuple):
    """One hit: what it is, a shortened form to show, and what an exception names it by."""

    kind: str
    shown: str
    fingerprint: str


def might_hold(text: str) -> bool:
    """False where *text* surely holds none; costs next to nothing."""
    for mark in MARKS:  # noqa: SIM110  # any() of a generator takes twice as long
        if mark in text:
            return True
    return False


def find(text: str) -> list[Secret]:
    """Return the secrets in *text*, each once."""
    found: dict[str, Secret] = {}
    for kind, secret in _hits(text):
        fingerprint = sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        found[fingerprint] = Secret(kind, f"{secret[:_SHOWN]}…, {len(secret)} characters", fingerprint)
    return list(found.values())


def redacted(text: str) -> str:
    """*text* for a message: of each secret in it only the first characters are left."""
    for _, secret in list(_hits(text)):
        text = text.replace(secret, f"{secret[:_SHOWN]}…")
    return text


def _hits(text: str) -> Iterator[tuple[str, str]]:
    if not might_hold(text):
        return
    if not _compiled:
        import re

        _compiled.extend((kind, re.compile(pattern)) for kind, (_, pattern) in PATTERNS.items())
    for kind, pattern in _compiled:
        for hit in pattern.finditer(text):
            yield kind, hit[0].strip()


def texts(value: Any) -> Iterator[str]:
    """All strings in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)


def in_task(task: Mapping[str, Any]) -> list[tuple[str, Secret]]:
    """Return the secrets of a task with the field that each stands in."""
    if not might_hold(_encode(task)):  # JSON writes all marks as they are
        return []
    return [(field, one) for field, value in task.items() for text in texts(value) for one in find(text)]


def new_in(before: Task | None, after: Task) -> list[tuple[str, Secret]]:
    """Return the secrets that a change brought into a task."""
    found = in_task(after)
    if not found or before is None:
        return found
    known = {one.fingerprint for _, one in in_task(before)}
    return [(field, one) for field, one in found if one.fingerprint not in known]


def fingerprints(found: Iterable[tuple[str, Secret]]) -> list[str]:
    return sorted({one.fingerprint for _, one in found})


def allowed_in(events: Iterable[Event]) -> set[tuple[str | None, str]]:
    """The secrets that events let pass, each with a reason: the task's uid, and the fingerprint."""
    return {
        (event["uid"], name)
        for event in events
        if isinstance(names := event["details"].get("allowed_secrets"), list) and (event["why"] or "").strip()
        for name in names
        if isinstance(name, str)
    }

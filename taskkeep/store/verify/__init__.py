"""Everything that can be said about a backlog: each tree by itself, and two of them held against each other."""

from __future__ import annotations

from taskkeep.store.verify.findings import CODES, Findings, Verdict

__all__ = ["CODES", "Findings", "Verdict"]

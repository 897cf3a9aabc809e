"""Deviations by design that several notes meet."""

from __future__ import annotations

from layerlaws import Known

BROADCASTING = Known(
    "sums broadcast an axis of extent 1 instead of refusing another extent",
    "https://docs.pytorch.org/docs/stable/notes/broadcasting.html",
)

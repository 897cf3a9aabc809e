"""Measures what the time of a check is spent on: drawing examples, definitions, or the backend.

There is one stopwatch per process. Time in a part within a part counts for the inner one only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

PARTS = ("drawing", "definition", "backend")
"""What is timed. The remaining time goes into laws, comparisons and bookkeeping."""

_spent = dict.fromkeys(PARTS, 0.0)
_running: list[list[float]] = []

F = TypeVar("F", bound=Callable[..., Any])


def spends(part: str) -> Callable[[F], F]:
    """A decorator that counts the time of a function for one of `PARTS`."""

    def decorate(function: F) -> F:
        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            _running.append([0.0])
            try:
                return function(*args, **kwargs)
            finally:
                whole, inner = time.perf_counter() - start, _running.pop()[0]
                _spent[part] += whole - inner
                if _running:
                    _running[-1][0] += whole

        return timed  # type: ignore[return-value]

    return decorate


def reading() -> dict[str, float]:
    """Seconds spent on each part so far."""
    return dict(_spent)


def since(before: dict[str, float]) -> dict[str, float]:
    """Seconds spent on each part since an earlier reading, without parts that took no time."""
    now = reading()
    return {part: round(now[part] - before[part], 4) for part in PARTS if now[part] - before[part] > 5e-5}

"""Memory on the CPU: the peak of one call, and a limit for what may be given up.

The kernel's own peak of resident memory (VmHWM of /proc/self/status, reset through /proc/self/clear_refs) sees
what every library allocates, where tracemalloc sees NumPy's arrays and not torch's. Before a call, what C's allocator
keeps of freed memory is given back, so that a call cannot live on what another left. Linux only; elsewhere nothing
is measured.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

SHARE = 0.6
"""Of the memory that is available, what a definition may take."""

PROCESS = Path("/proc/self")


@cache
def how() -> str:
    """How the peak is measured here, "" where it is not."""
    try:
        _reset()
        _status("VmHWM")
    except (OSError, StopIteration):
        return ""
    return "growth of peak resident memory in one call (VmHWM)"


def peak(call: Callable[[], Any]) -> int | None:
    """Bytes of resident memory that a call needs beyond what is held before it; None where that cannot be seen."""
    if not how():
        return None
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # another C library than glibc has no malloc_trim
        ctypes.CDLL(None).malloc_trim(0)
    _reset()
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before)


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Raise MemoryError in a block that allocates most of the memory that is left; only on Linux."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _status("VmSize") + int(SHARE * _kilobytes(Path("/proc/meminfo"), "MemAvailable"))
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _reset() -> None:
    (PROCESS / "clear_refs").write_text("5", encoding="ascii")


def _status(field: str) -> int:
    return _kilobytes(PROCESS / "status", field)


def _kilobytes(path: Path, field: str) -> int:
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    return int(next(line for line in lines if line.startswith(field + ":")).split()[1]) * 1024

"""How long a process has been at work on a task: what a time limit is held against.

Wall time alone would judge the machine: a run that was frozen, or that shares its cores with others, would see good
laws time out. A second counts in which the process computed for a second, or waited for something. One in which it
could have computed and was not given a core, and one in which the run itself was not awake, does not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from layerlaws.running.forkserver import children_of_all, processes_below

Children = Mapping[int, Sequence[int]]
"""The children of every process."""

TICK = 1.0
"""Seconds between two looks at a clock, at most. Of a longer gap, in which the run was frozen, twice that counts."""

SHORTEST = 0.2
"""Seconds between two looks at a clock, at least: each reads some files."""

RUNNABLE = b"R"
"""State of a thread that computes or waits for a core, in /proc."""


@dataclass(frozen=True)
class Usage:
    """seconds: of CPU time, of a process and of all below it. runnable: whether a thread of theirs wants a core."""

    seconds: float
    runnable: bool


class Clock:
    """Of one task. seconds: that count."""

    def __init__(self, process: int) -> None:
        """Start. process: its number, 0 if that is not known yet."""
        self._start = self._last = time.monotonic()
        self._used = _seconds(process)
        self.seconds = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds of wall time."""
        return time.monotonic() - self._start

    def tick(self, process: int, children: Callable[[], Children] = children_of_all) -> None:
        """Count the time since the last look. children: what to ask for those of every process."""
        now = time.monotonic()
        if now - self._last < SHORTEST:
            return
        wall, usage = min(now - self._last, 2 * TICK), usage_of(process, children)
        if usage and usage.runnable:
            self.seconds += min(wall, max(0.0, usage.seconds - self._used))
        else:
            self.seconds += wall
        self._last, self._used = now, usage.seconds if usage else 0.0


def usage_of(process: int, children: Callable[[], Children] = children_of_all) -> Usage | None:
    """What a process and all below it have used. None where the system does not say (it is not Linux)."""
    if not process or _stat(f"/proc/{process}/stat") is None:
        return None
    family = [process, *processes_below(process, children())]
    return Usage(sum(map(_seconds, family)), any(map(_runnable, family)))


def _seconds(process: int) -> float:
    """CPU time of a process and of its children that have ended; 0 if there is none."""
    fields = _stat(f"/proc/{process}/stat")
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _runnable(process: int) -> bool:
    try:
        threads = os.listdir(f"/proc/{process}/task")
    except OSError:
        return False
    states = (_stat(f"/proc/{process}/task/{thread}/stat") for thread in threads)
    return any(fields[0] == RUNNABLE for fields in states if fields)


def _stat(path: str) -> list[bytes] | None:
    """The fields of a process from the third on, its state; None if there is no such process."""
    try:
        with open(path, "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None

"""Lets entrants in several processes take turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from layerlaws.benchmark.messages import Done, Ready, Refusal
from layerlaws.benchmark.process import BenchmarkProcess, Lost
from layerlaws.benchmark.timing import turns


@dataclass(frozen=True)
class Entry:
    """An entrant, as the run knows it. number: of the entrant in its process. rounds: how many it takes."""

    process: BenchmarkProcess
    number: int
    rounds: int


def entries_of(process: BenchmarkProcess, ready: Ready, count: int = 1) -> list[Entry]:
    """The entrants that a process has made ready. Raises Lost if they are not as many as it was asked for."""
    if len(ready.rounds) != count:
        process.lose(f"the process made {len(ready.rounds)} calls ready, expected {count}")
        raise Lost(process.lost)
    return [Entry(process, ready.first + i, rounds) for i, rounds in enumerate(ready.rounds)]


def race(entries: Sequence[Entry], doing: str) -> None:
    """Let entrants take their turns. Those whose process is lost meanwhile miss the rest of theirs.

    doing: in words, for messages.
    """
    for process in dict.fromkeys(entry.process for entry in entries):
        numbers = [entry.number for entry in entries if entry.process is process]
        with suppress(Lost, Refusal):
            process.call(Done, doing, do="take_turns", entrants=numbers)
    for place in turns([entry.rounds for entry in entries]):
        entry = entries[place]
        with suppress(Lost, Refusal):
            entry.process.call(Done, doing, turn=entry.number)

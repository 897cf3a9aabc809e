"""What worker processes answer to the requests of a benchmark run, as lines of JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from layerlaws.benchmark.record import STATES
from layerlaws.support.fields import check_types

MOST_ROUNDS = 1000
"""Rounds that a worker may ask for; any budget allows fewer."""


class Refusal(Exception):
    """A contender is not timed. state: of its timing, one of `STATES`."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


@dataclass(frozen=True)
class Done:
    """The request was carried out."""


@dataclass(frozen=True)
class Refused:
    """The request was not carried out. See `Refusal`."""

    state: str
    reason: str


@dataclass(frozen=True)
class Place:
    """Where a backend's arrays are. See `layerlaws.benchmark.machine.Place`."""

    library: str
    device: str


@dataclass(frozen=True)
class Threads:
    """Threads of each library's pool."""

    pools: dict[str, int]


@dataclass(frozen=True)
class Evaluated:
    """The definition was evaluated.

    sizes: of the workload, at which it was. floats: whether the results depend on the format.
    """

    sizes: dict[str, int]
    floats: bool


@dataclass(frozen=True)
class Compared:
    """The output is the definition's. used: the largest share of the allowed error."""

    used: float


@dataclass(frozen=True)
class Ready:
    """Entrants can take turns. first: the number of the first one in its process. rounds: of each."""

    first: int
    rounds: list[int]
    device: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for rounds that nothing in this package asks for."""
        if not all(isinstance(rounds, int) and 1 <= rounds <= MOST_ROUNDS for rounds in self.rounds):
            raise ValueError(f"rounds are {self.rounds!r:.100}, expected numbers from 1 to {MOST_ROUNDS}")


@dataclass(frozen=True)
class Rate:
    """Operations or bytes per second that a probe reached; 0 if it failed."""

    per_second: float

    def __post_init__(self) -> None:
        """Raise ValueError for what is no rate."""
        if not 0 <= self.per_second < math.inf:
            raise ValueError(f"a rate is {self.per_second!r:.100}, expected a finite number that is not negative")


@dataclass(frozen=True)
class Figures:
    """What was measured of an entrant. See `layerlaws.benchmark.record.Timing`."""

    rounds: int
    calls: int
    seconds: float
    low: float
    high: float
    least: float
    memory: int | None


Answer = Done | Refused | Place | Threads | Evaluated | Compared | Ready | Rate | Figures

A = TypeVar("A", Done, Place, Threads, Evaluated, Compared, Ready, Rate, Figures)


def encode(answer: Answer) -> dict[str, Any]:
    """An answer as JSON."""
    return {"kind": type(answer).__name__, "fields": asdict(answer)}


def decode(message: Mapping[str, Any], expected: type[A]) -> A:
    """The answer in a message. Raises Refusal for `Refused`, and TypeError, ValueError or LookupError for nonsense."""
    kind = message["kind"]
    if kind == Refused.__name__:
        refused = Refused(**message["fields"])
        check_types(refused)
        if refused.state not in STATES:
            raise ValueError(f"state is {refused.state!r:.100}, expected one of {', '.join(STATES)}")
        raise Refusal(refused.state, refused.reason)
    if kind != expected.__name__:
        raise ValueError(f"kind is {kind!r:.100}, expected {expected.__name__}")
    answer = expected(**message["fields"])
    check_types(answer)
    return answer

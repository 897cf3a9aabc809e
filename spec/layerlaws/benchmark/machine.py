"""What the machine can do, measured in the run itself: the peak of a matrix product, and the bandwidth of a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from layerlaws.benchmark.messages import Done, Place, Rate, Ready, Refusal, Threads
from layerlaws.benchmark.pool import Pool
from layerlaws.benchmark.process import Lost
from layerlaws.benchmark.race import Entry, entries_of, race
from layerlaws.benchmark.record import Ceiling

MEASURING = "measuring what the machine can do"

PROBES = ("product", "copy")
"""What is probed: floating-point operations, and bytes read and written."""


@dataclass(frozen=True)
class Machine:
    """What the machine reached.

    ceilings: of each library on each device. best: for each device, the backends whose product and whose copy were the
    fastest there. threads: of each library's pool.
    """

    ceilings: Mapping[Place, Ceiling] = field(default_factory=dict)
    best: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    threads: Mapping[str, int] = field(default_factory=dict)

    def at_start(self, device: str) -> tuple[float, float]:
        """FLOP and bytes per second that the fastest probes of a device reached; zeros if it has none."""
        there = [ceiling for ceiling in self.ceilings.values() if ceiling.device == device]
        return max((c.flops for c in there), default=0.0), max((c.bandwidth for c in there), default=0.0)


def measure(pool: Pool) -> Machine:
    """The ceilings of each library on each device, from its arrays' own `@` and item assignment, all in turns.

    A library whose arrays cannot do that has no ceilings.
    """
    entries: dict[Place, list[Entry]] = {}
    for place, name in _one_of_each(pool).items():
        with suppress(Lost, Refusal):
            entries[place] = probe(pool, name, PROBES, at_start=True)
    race([entry for pair in entries.values() for entry in pair], MEASURING)
    rates = {place: pair for place, own in entries.items() if all(pair := rates_of(own))}
    ceilings = {place: Ceiling(place.library, pair[0], pair[1], place.device) for place, pair in rates.items()}
    best = {}
    for device in {place.device for place in rates}:
        there = [place for place in rates if place.device == device]
        fastest = [max(there, key=lambda place: rates[place][i]) for i in range(len(PROBES))]
        best[device] = entries[fastest[0]][0].process.name, entries[fastest[1]][1].process.name
    _keep(pool, best)
    return Machine(ceilings, best, _threads(pool))


def probe(pool: Pool, name: str, probes: Sequence[str], at_start: bool = False) -> list[Entry]:
    """Probes in the process of a backend, ready to take turns. Raises Lost and Refusal."""
    process = pool.process(name)
    ready = process.call(Ready, MEASURING, do="probe", names=list(probes), at_start=at_start)
    return entries_of(process, ready, len(probes))


def rates_of(entries: Sequence[Entry]) -> list[float]:
    """Operations or bytes per second of probes that have had their turns; 0 for one that failed."""
    rates = []
    for entry in entries:
        try:
            rates.append(entry.process.call(Rate, MEASURING, do="rate", entrant=entry.number).per_second)
        except (Lost, Refusal):
            rates.append(0.0)
    return rates


def _one_of_each(pool: Pool) -> dict[Place, str]:
    """A backend for each library and device."""
    places = {}
    for name in pool.backends:
        with suppress(Lost, Refusal):
            places[pool.process(name).call(Place, "making an array", do="place")] = name
    return places


def _keep(pool: Pool, best: Mapping[str, tuple[str, str]]) -> None:
    """Free all probes but the fastest: they are large."""
    for name in pool.backends:
        kept = [probe for pair in best.values() for probe, own in zip(PROBES, pair, strict=True) if own == name]
        with suppress(Lost, Refusal):
            pool.process(name).call(Done, "releasing memory", do="forget", keep=kept)


def _threads(pool: Pool) -> dict[str, int]:
    threads: dict[str, int] = {}
    for name in pool.backends:
        with suppress(Lost, Refusal):
            threads |= pool.process(name).call(Threads, "counting its threads", do="threads").pools
    return threads


def clocks() -> str:
    """The model and the frequencies of the processor."""
    from cpuinfo import get_cpu_info

    found = get_cpu_info()
    parts = [found.get("brand_raw") or found.get("arch", "unknown processor")]
    for label, key in (("at", "hz_actual_friendly"), ("nominal", "hz_advertised_friendly")):
        if found.get(key):
            parts.append(f"{label} {found[key]}")
    return ", ".join(parts)

"""One job: compare every contender with the definition, then time those that are right, in turns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from layerlaws.benchmark.expected import Expected, arguments_of, cotangent_of, expected_of
from layerlaws.benchmark.jobs import Contender, Job, blank, format_of, workload_of
from layerlaws.benchmark.machine import place_of, rates_of
from layerlaws.benchmark.record import Timing
from layerlaws.benchmark.timing import Entrant, take_turns
from layerlaws.benchmark.worker import Worker
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend
from layerlaws.language.implementation import Implementation, Raised, Unoffered
from layerlaws.language.workloads import Workload
from layerlaws.numerics.formats import Format, is_float
from layerlaws.support.errors import Broken

AGREEMENT = {"forward": "agrees_with_definition", "gradient": "gradient_agrees_with_definition"}
"""The law that a timed output obeys, by mode."""


class Refused(Exception):
    """A contender is not timed; `timing` says why."""

    def __init__(self, timing: Timing) -> None:
        super().__init__(timing.reason)
        self.timing = timing


@dataclass
class _Racer:
    """A contender that is right, ready to be timed."""

    timing: Timing
    entrant: Entrant


def contest(worker: Worker, job: Job, benchmark: BenchmarkFixture) -> None:
    """Time a job; every contender's timing is sent as soon as it is known."""
    racers = []
    for contender in job.contenders:
        try:
            racers.append(_ready(worker, job, contender))
        except Refused as refused:
            worker.send("timing", asdict(refused.timing))
    worker.said.clear()  # what definitions said may be large, as arguments may, and neither is needed any more
    worker.drawn.clear()
    if not racers:
        return
    probes = _probes(worker, job, {racer.timing.device for racer in racers})
    by_entrant = {id(racer.entrant): racer.timing.backend for racer in racers}
    take_turns(
        benchmark,
        [*(racer.entrant for racer in racers), *(entrant for own in probes.values() for entrant in own)],
        lambda entrant: worker.at(by_entrant.get(id(entrant), ""), "being timed"),
    )
    for racer in racers:
        worker.at(racer.timing.backend, "having its memory measured")
        worker.send("timing", asdict(_measured(racer, *_ceilings(worker, probes, racer.timing.device))))


def _probes(worker: Worker, job: Job, devices: Collection[str]) -> dict[str, tuple[Entrant, ...]]:
    """The probes of each device, ready to take turns with the contenders of a workload."""
    if worker.machine is None or worker.effort.probe is None or job.purpose != "workload":
        return {}
    worker.at("", "measuring what the machine can do")
    best, budget = worker.machine.best, worker.effort.probe
    return {device: tuple(probe.entrant(budget) for probe in best[device]) for device in devices if device in best}


def _ceilings(worker: Worker, probes: Mapping[str, tuple[Entrant, ...]], device: str) -> tuple[float, ...]:
    """FLOP and bytes per second of a device: between the rounds, or else at the start."""
    if worker.machine is None:
        return 0.0, 0.0
    if device not in probes:
        return worker.machine.at_start(device)
    return rates_of(worker.machine.best[device], probes[device])


def _ready(worker: Worker, job: Job, contender: Contender) -> _Racer:
    """A contender, compared and warmed up. Raises Refused."""
    worker.at(contender.backend, "loading")
    backend, workload = worker.backend(contender.backend), workload_of(contender, catalogue())
    format = format_of(backend)
    timing = blank(job, contender, workload, format)
    try:
        key = workload.name, contender.sizes, format.name
        if key not in worker.drawn:
            worker.drawn[key] = arguments_of(workload, format)
        arguments = worker.drawn[key]
        fewer = 4 if job.purpose == "growth" else 1  # its workload was compared at its own sizes
        limit = worker.effort.definition / fewer
        used, reason = _compared(worker, job.mode, workload, backend, format, arguments, limit)
        worker.at(backend.name, "warming up")
        timing = replace(timing, device=place_of(backend)[1])
        entrant = Entrant(
            _call(Implementation(workload.operation, backend, format), job.mode, arguments),
            backend.synchronize,
            backend.measured,
        )
        entrant.warm_up(worker.effort.contender)
    except Broken as broken:
        wrong = replace(timing, state="wrong", reason=str(broken))
        raise Refused(_unless_known(wrong, backend, [f"{timing.operation}.{AGREEMENT[job.mode]}"])) from None
    except Unoffered as unoffered:
        raise Refused(replace(timing, state="missing", reason=str(unoffered))) from None
    except Raised as raised:
        error = replace(timing, reason=str(raised))
        refused = isinstance(raised.cause, (ValueError, NotImplementedError))
        laws = [case.id for case in catalogue().note(job.note).cases]  # who cannot do one thing may refuse others
        raise Refused(_unless_known(error, backend, laws if refused else ())) from None
    except (Exception, SystemExit) as unforeseen:
        raise Refused(replace(timing, reason=f"{type(unforeseen).__name__}: {unforeseen}")) from None
    return _Racer(replace(timing, state="timed", used=used, reason=reason), entrant)


def _unless_known(timing: Timing, backend: Backend, laws: Collection[str]) -> Timing:
    """The timing, or "known" where the backend declares that it deviates from one of these laws by design."""
    known = next((known for law, known in backend.known.items() if law in laws), None)
    return replace(timing, state="known", reason=f"{known.reason}; {timing.reason}") if known else timing


def _compared(
    worker: Worker, mode: str, workload: Workload, backend: Backend, format: Format, arguments: dict[str, Any],
    limit: float,
) -> tuple[float | None, str]:  # fmt: skip
    """The share of the allowed error that a backend used, and what was compared where that was not everything."""
    sizes = tuple(workload.sizes.items())
    floats = any(is_float(x) for x in _arrays(arguments)) or "dtype" in arguments
    said = (workload.name, sizes, mode, format.name if floats else "")
    if (said, backend.name) not in worker.compared:
        if said not in worker.said:
            worker.at("", f"evaluating the definition of {workload.name}")
            worker.said[said] = expected_of(workload, mode, format, limit)
        worker.at(backend.name, "being compared with the definition")
        worker.compared[said, backend.name] = _against(worker.said[said], workload, backend, format)
    return worker.compared[said, backend.name]


def _against(
    expected: Expected | None, workload: Workload, backend: Backend, format: Format
) -> tuple[float | None, str]:
    if expected is None:
        raise RuntimeError("no part of the definition could be evaluated in time and memory, so nothing was compared")
    used = expected.compare(backend, format)
    part = ", ".join(f"{name}={size}" for name, size in expected.workload.sizes.items() if workload.sizes[name] != size)
    return (None, f"compared with the definition at {part}") if part else (used, "")


def _call(implementation: Implementation, mode: str, arguments: dict[str, Any]) -> Callable[[], Any]:
    """One call with arguments that are on the device already."""
    backend: Any = implementation.backend  # it has the function and, where it is timed, a gradient
    function = backend.function(implementation.name)
    native = implementation.native(arguments)
    if mode == "forward":
        return lambda: function(**native)
    results = implementation.results(**arguments)
    weights = implementation.native({"cotangent": cotangent_of(results, implementation.format)})["cotangent"]
    return lambda: backend.gradient(function, native, weights)


def _measured(racer: _Racer, peak: float, bandwidth: float) -> Timing:
    entrant, stats = racer.entrant, racer.entrant.stats
    if entrant.failed is None:
        try:
            memory = entrant.peak()
        except Exception as error:
            entrant.failed = error
    if entrant.failed is not None:
        reason = f"{type(entrant.failed).__name__} while being timed: {entrant.failed}"
        return replace(racer.timing, state="error", used=None, reason=reason)
    return replace(
        racer.timing,
        rounds=stats.rounds,
        calls=entrant.calls,
        seconds=stats.median,
        low=stats.q1,
        high=stats.q3,
        least=stats.min,
        memory=memory,
        peak=peak,
        bandwidth=bandwidth,
    )


def _arrays(arguments: dict[str, Any]) -> list[Any]:
    return [
        part
        for x in arguments.values()
        for part in (x if isinstance(x, tuple) else (x,))
        if isinstance(part, np.ndarray)
    ]

"""One job: compare every contender with the definition, then time those that are right, in turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from layerlaws.benchmark.definitions import Evaluation
from layerlaws.benchmark.jobs import Contender, Job, blank, format_of, workload_of
from layerlaws.benchmark.machine import Machine, probe, rates_of
from layerlaws.benchmark.messages import Compared, Figures, Ready, Refusal
from layerlaws.benchmark.pool import Pool
from layerlaws.benchmark.process import BenchmarkProcess, Lost
from layerlaws.benchmark.race import Entry, entries_of, race
from layerlaws.benchmark.record import Timing, check_timing
from layerlaws.discovery import catalogue
from layerlaws.language.workloads import Workload


@dataclass
class _Racer:
    """A contender that is right and can be timed. timing: as far as it is known. evaluation: of its definition."""

    timing: Timing
    entry: Entry
    evaluation: Evaluation


Probes = dict[str, list[Entry]]
"""By device: its fastest product and its fastest copy, ready to take turns with the contenders there."""


class Contests:
    """Times jobs one after the other."""

    def __init__(self, pool: Pool, machine: Machine, dtypes: dict[str, list[str]]) -> None:
        """Be ready for any job. dtypes: of each backend."""
        self.pool, self.machine, self.dtypes = pool, machine, dtypes
        self._compared: dict[tuple[Contender, str], tuple[float | None, str]] = {}

    def run(self, job: Job) -> Iterator[Timing]:
        """The timing of every contender, each as soon as it is known."""
        racers: list[_Racer] = []
        for contender in job.contenders:
            workload = workload_of(contender, catalogue())
            timing = blank(job, contender, workload, format_of(self.dtypes[contender.backend]))
            try:
                racers.append(self._ready(job, workload, timing))
            except Refusal as refusal:
                yield replace(timing, state=refusal.state, reason=refusal.reason)
            except Lost as lost:
                yield replace(timing, reason=str(lost))
        probes = self._probes(job, {racer.timing.device for racer in racers}) if racers else {}
        entries = [racer.entry for racer in racers] + [entry for pair in probes.values() for entry in pair]
        race(entries, "being timed")
        ceilings = {racer.timing.device: self._ceilings(probes, racer.timing.device) for racer in racers}
        for racer in racers:
            yield _measured(racer, *ceilings[racer.timing.device])
        self.pool.definitions.forget()
        self._forget(job, entries)

    def _ready(self, job: Job, workload: Workload, timing: Timing) -> _Racer:
        """A contender, compared and warmed up. Raises Refusal and Lost."""
        process = self.pool.process(timing.backend)
        what = {"note": job.note, "mode": job.mode, "workload": workload.name, "sizes": dict(workload.sizes)}
        if workload.beyond and job.purpose != "growth":
            beyond = workload.at(**workload.beyond)
            evaluation = self._evaluate(job, beyond, timing)
            self._compare(evaluation, beyond, timing, process, {**what, "sizes": dict(beyond.sizes)})
        evaluation = self._evaluate(job, workload, timing)
        used, reason = self._compare(evaluation, workload, timing, process, what)
        ready = process.call(Ready, "warming up", do="prepare", **what)
        (entry,) = entries_of(process, ready)
        return _Racer(replace(timing, state="timed", used=used, reason=reason, device=ready.device), entry, evaluation)

    def _evaluate(self, job: Job, workload: Workload, timing: Timing) -> Evaluation:
        """What the definition says of a workload, or of a part of it. Raises Refusal."""
        fewer = 4 if job.purpose == "growth" else 1  # its workload was compared at its own sizes
        return self.pool.definitions.evaluate(workload, job.mode, timing.dtype, self.pool.effort.definition / fewer)

    def _compare(
        self,
        evaluation: Evaluation,
        workload: Workload,
        timing: Timing,
        process: BenchmarkProcess,
        what: dict[str, Any],
    ) -> tuple[float | None, str]:
        """The share of the allowed error that a contender used, or which part of its workload was compared instead."""
        key = Contender(timing.backend, workload.name, tuple(workload.sizes.items())), timing.mode
        if key not in self._compared:
            doing = "being compared with the definition"
            compared = process.call(Compared, doing, do="compare", directory=str(evaluation.directory), **what)
            part = evaluation.part
            self._compared[key] = (None, f"compared with the definition at {part}") if part else (compared.used, "")
        return self._compared[key]

    def _probes(self, job: Job, devices: Iterable[str]) -> Probes:
        """The probes of these devices, if they are to take turns with the contenders of a job."""
        probes: Probes = {}
        if self.pool.effort.probe is None or job.purpose != "workload":
            return probes
        for device in devices:
            if device in self.machine.best:
                product, copy = self.machine.best[device]
                with suppress(Lost, Refusal):
                    probes[device] = [*probe(self.pool, product, ["product"]), *probe(self.pool, copy, ["copy"])]
        return probes

    def _ceilings(self, probes: Probes, device: str) -> tuple[float, float]:
        """FLOP and bytes per second of a device: between the rounds, or else at the start."""
        product, copy = rates_of(probes.get(device, [])) or (0.0, 0.0)
        return (product, copy) if product and copy else self.machine.at_start(device)

    def _forget(self, job: Job, entries: Iterable[Entry]) -> None:
        names = {contender.backend for contender in job.contenders} | {entry.process.name for entry in entries}
        for name in names:
            with suppress(Lost, Refusal):
                self.pool.forget(name)


def _measured(racer: _Racer, peak: float, bandwidth: float) -> Timing:
    """The timing of a contender that has had its turns."""
    process = racer.entry.process
    error = replace(racer.timing, state="error", used=None)
    try:
        doing = "having its last result compared and its memory measured"
        figures = process.call(
            Figures, doing, do="measure", entrant=racer.entry.number, directory=str(racer.evaluation.directory)
        )
        timing = replace(racer.timing, peak=peak, bandwidth=bandwidth, **asdict(figures))
        check_timing(timing)
    except Refusal as refusal:
        return replace(error, state=refusal.state, reason=refusal.reason)
    except Lost as lost:
        return replace(error, reason=str(lost))
    except (TypeError, ValueError) as nonsense:
        process.lose(f"the process sent nonsense: {nonsense}")
        return replace(error, reason=process.lost)
    return timing

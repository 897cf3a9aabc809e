"""Time every workload on every backend that keeps the laws, and record each timing as soon as it is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from layerlaws.benchmark import memory
from layerlaws.benchmark.contest import Contests
from layerlaws.benchmark.jobs import Contender, Job, blank, contender_of, format_of, jobs_of, workload_of, workloads_of
from layerlaws.benchmark.machine import Machine, clocks, measure
from layerlaws.benchmark.pool import Pool
from layerlaws.benchmark.record import BenchmarkHeader, BenchmarkJournal, Timing
from layerlaws.checking.verdict import ACCEPTED, Verdict
from layerlaws.language.note import Case, Catalogue, Note
from layerlaws.running import runner
from layerlaws.running.worker import Facts
from layerlaws.support.errors import RecordError, WrongUse
from layerlaws.support.version import __version__

Remarks = Mapping[tuple[str, str], str]
"""By backend and operation: what is to be said of it, though it is timed."""

Barred = Mapping[tuple[str, str, str], Verdict]
"""By backend, operation and mode: the verdict that bars it."""

BARRING = ("broken", "not judged", "error", "crashed", "timed out")
"""Verdicts on a law that bar its operation from being timed. Deviations by design and accepted bad input do not."""

LONGEST_NAME = 100
"""Characters of a record's name; file systems allow 255."""

QUICK_LAW = "agrees_with_definition"
"""The one law that a quick run holds backends to, beside the comparison of what is timed."""


@dataclass(frozen=True)
class Plan:
    """What a run is to do. notes: those selected. output: None to keep no record. jobs: None for all of the notes."""

    catalogue: Catalogue
    backends: Sequence[Facts]
    notes: Sequence[Note]
    quick: bool = False
    output: Path | None = None
    jobs: Sequence[Job] | None = None

    @property
    def todo(self) -> list[Job]:
        """Everything that is to be timed."""
        names = [backend.name for backend in self.backends]
        return list(jobs_of(self.notes, names, self.quick) if self.jobs is None else self.jobs)

    @property
    def present(self) -> list[Facts]:
        """The backends that can run here."""
        return [backend for backend in self.backends if not backend.state]

    @property
    def cases(self) -> tuple[Case, ...]:
        """The laws to hold before: those of operations that are timed; exact ones bar nothing."""
        timed = {workload.operation for note in self.notes for workload in workloads_of(note)}
        cases = [case for note in self.notes for case in note.cases if timed & set(case.operations)]
        barring = (case for case in cases if case.law.kind != "exact")
        return tuple(case for case in barring if not self.quick or case.law.name == QUICK_LAW)

    @property
    def name(self) -> str:
        """Of the record: the first device that is no CPU, else "cpu"; and what makes the run a partial one, so that
        its record does not replace that of a whole one.
        """
        devices = [backend.device for backend in self.present]
        device = next((device.partition(",")[0] for device in devices if not device.startswith("CPU")), "cpu")
        some = [note.name for note in self.notes] if len(self.notes) < len(self.catalogue.notes) else []
        return "-".join([device, *(["quick"] if self.quick else []), *some])[:LONGEST_NAME]


@dataclass(frozen=True)
class Listener:
    """What is called with each verdict on a law, with the header, and with each timing."""

    verdict: Callable[[Verdict], None]
    header: Callable[[BenchmarkHeader], None]
    timing: Callable[[Timing], None]


class Unwritten(RecordError):
    """The record could not be written, and the run came to its end nevertheless, with these timings."""

    def __init__(self, message: str, timings: list[Timing]) -> None:
        super().__init__(message)
        self.timings = timings


def run(plan: Plan, listen: Listener) -> list[Timing]:
    """Do what the plan says, and return the timings.

    Raises WrongUse, before anything runs, if that cannot be done, and Unwritten at the end if there is no record of it.
    """
    if not plan.todo:
        raise WrongUse("these notes have no workloads")
    start = time.perf_counter()
    with ExitStack() as stack:
        journal = _journal(plan, stack)
        verdicts = _verdicts(plan, listen.verdict)
        barred = _barred(plan, verdicts)
        recorder = _Recorder(plan, journal, listen, _remarks(verdicts))
        recorder.time(barred)
        unwritten = ""
        if journal:
            try:
                journal.close(time.perf_counter() - start)
            except RecordError as error:
                unwritten = str(error)
    pairs = [(job, contender) for job in plan.todo for contender in job.contenders]
    order = {(job.headline, contender, job.mode): i for i, (job, contender) in enumerate(pairs)}
    timings = sorted(recorder.timings, key=lambda t: order[t.headline, contender_of(t), t.mode])
    if unwritten:
        raise Unwritten(unwritten, timings)
    return timings


def _journal(plan: Plan, stack: ExitStack) -> BenchmarkJournal | None:
    if plan.output is None:
        return None
    try:
        return stack.enter_context(BenchmarkJournal(plan.output, plan.name))
    except OSError as error:
        raise WrongUse(f"cannot write records to {plan.output}: {error.strerror}; name another --output") from None


def _verdicts(plan: Plan, listen: Callable[[Verdict], None]) -> list[Verdict]:
    """Hold the backends to the laws of what is timed."""
    ids = [case.id for case in plan.cases]
    if not plan.present or not ids:
        return []
    return runner.run(runner.Plan(plan.present, plan.catalogue.select([], ids), [], ids, "quick"), listen)


def _remarks(verdicts: Iterable[Verdict]) -> Remarks:
    """What is right on valid input is timed, whatever bad input it accepts; that is said beside."""
    accepted: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts:
        if verdict.state == ACCEPTED:
            accepted.setdefault((verdict.backend, verdict.operation), []).append(verdict.law)
    return {key: f"accepts bad input: {', '.join(laws)}" for key, laws in accepted.items()}


def _barred(plan: Plan, verdicts: Iterable[Verdict]) -> Barred:
    """The verdicts that bar backends from being timed."""
    barred: dict[tuple[str, str, str], Verdict] = {}
    by_id = {case.id: case for case in plan.cases}
    for verdict in verdicts:
        if verdict.state in BARRING:
            case = by_id[verdict.id]
            modes = ("gradient",) if case.law.kind == "gradients" else ("forward", "gradient")
            for operation in case.operations:
                for mode in modes:
                    barred.setdefault((verdict.backend, operation.name, mode), verdict)
    return barred


def _refused(plan: Plan, job: Job, contender: Contender, backend: Facts, barred: Barred) -> Timing | None:
    """The timing of a contender that is known not to be timed; None if it may be."""
    workload = workload_of(contender, plan.catalogue)
    operation = workload.operation.name
    timing = blank(job, contender, workload, format_of(backend.dtypes) if backend.dtypes else None)
    if backend.state:
        state = "unavailable" if backend.unavailable else "error"
        return replace(timing, state=state, reason=backend.reason)
    if operation not in backend.functions:
        return replace(timing, state="missing", reason=f"no {operation}")
    if job.mode == "gradient" and not backend.gradient:
        return replace(timing, state="missing", reason="it offers no gradient")
    verdict = barred.get((backend.name, operation, job.mode))
    if verdict:
        return replace(timing, state="broken", reason=f"{verdict.id} is {verdict.state}: {verdict.reason}")
    return None


class _Recorder:
    """Runs the jobs of a plan, and records timings as soon as they are known."""

    def __init__(self, plan: Plan, journal: BenchmarkJournal | None, listen: Listener, remarks: Remarks) -> None:
        self.plan, self.journal, self.listen, self.remarks = plan, journal, listen, remarks
        self.timings: list[Timing] = []

    def time(self, barred: Barred) -> None:
        """Time all jobs. What is refused beforehand is recorded before the first of them."""
        jobs, refused = [], []
        facts = {backend.name: backend for backend in self.plan.backends}
        for job in self.plan.todo:
            why = {c: _refused(self.plan, job, c, facts[c.backend], barred) for c in job.contenders}
            refused += [timing for timing in why.values() if timing]
            able = tuple(contender for contender, timing in why.items() if timing is None)
            jobs += [replace(job, contenders=able)] if able else []
        if not jobs:
            self.begin(Machine(), refused)
            return
        with Pool([backend.name for backend in self.plan.present], len(jobs), self.plan.quick) as pool:
            machine = measure(pool)
            self.begin(machine, refused)
            contests = Contests(pool, machine, {backend.name: backend.dtypes for backend in self.plan.present})
            for job in jobs:
                for timing in contests.run(job):
                    self.add(timing)

    def begin(self, machine: Machine, refused: Iterable[Timing]) -> None:
        """Write the header, and what is known before anything is timed."""
        plan = self.plan
        header = BenchmarkHeader(
            plan.name,
            __version__,
            {backend.name: _described(backend) for backend in plan.backends},
            dict(machine.threads),
            clocks(),
            plan.quick,
            plan.jobs is None and not plan.quick and len(plan.notes) == len(plan.catalogue.notes),
            list(machine.ceilings.values()),
            timings=sum(len(job.contenders) for job in plan.todo),
            memory=memory.how(),
        )
        if self.journal:
            self.journal.begin(header)
        self.listen.header(header)
        for timing in refused:
            self.add(timing)

    def add(self, timing: Timing) -> None:
        """Record a timing and report it."""
        if timing.state == "timed":
            timing = replace(timing, remark=self.remarks.get((timing.backend, timing.operation), ""))
        if self.journal:
            self.journal.add(timing)
        self.timings.append(timing)
        self.listen.timing(timing)


def _described(backend: Facts) -> str:
    """The device of a backend, or why it is not timed."""
    return f"{backend.state}: {backend.reason}" if backend.state else backend.device

"""Time every workload on every backend that keeps the laws, and write each timing down as it falls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from layerlaws import __version__
from layerlaws.benchmark import memory
from layerlaws.benchmark.jobs import Contender, Job, blank, contender_of, format_of, jobs_of, workload_of, workloads_of
from layerlaws.benchmark.machine import clocks
from layerlaws.benchmark.process import told
from layerlaws.benchmark.record import BenchmarkHeader, BenchmarkJournal, Ceiling, Timing
from layerlaws.checking.verdict import Verdict
from layerlaws.language.backend import Backend
from layerlaws.language.note import Case, Catalogue, Note
from layerlaws.running import runner
from layerlaws.running.processes import inspected
from layerlaws.support.errors import WrongUse

Barred = Mapping[tuple[str, str, str], Verdict]
"""By backend, operation and mode: the verdict that bars it."""

Machine = tuple[list[Ceiling], dict[str, int]]
"""Ceilings, threads of each library."""

BARRING = ("broken", "error", "crashed", "timed out")
"""Verdicts on a law that bar its operation from being timed. Deviations by design do not."""

LONGEST_NAME = 100
"""Characters of a record's name; file systems allow 255."""

QUICK_LAW = "agrees_with_definition"
"""The one law that a quick run holds backends to, beside the comparison of what is timed."""


@dataclass(frozen=True)
class Plan:
    """What a run is to do. notes: those selected. output: None to keep no record. jobs: None for all of the notes."""

    catalogue: Catalogue
    backends: Sequence[Backend]
    notes: Sequence[Note]
    quick: bool = False
    output: Path | None = None
    jobs: Sequence[Job] | None = None

    @property
    def todo(self) -> list[Job]:
        """Everything that is to be timed."""
        return list(jobs_of(self.notes, self.backends, self.quick) if self.jobs is None else self.jobs)

    @property
    def cases(self) -> tuple[Case, ...]:
        """The laws to hold before: those of operations that are timed."""
        timed = {workload.operation for note in self.notes for workload in workloads_of(note)}
        cases = [case for note in self.notes for case in note.cases if timed & set(case.operations)]
        return tuple(case for case in cases if not self.quick or case.law.name == QUICK_LAW)

    @property
    def name(self) -> str:
        """Of the record: the first device that is no CPU, else "cpu"; and what the run is a part of everything by,
        so that it does not take the place of a whole one.
        """
        devices = [backend.device for backend in self.backends if not backend.unavailable]
        device = next((device.partition(",")[0] for device in devices if not device.startswith("CPU")), "cpu")
        some = [note.name for note in self.notes] if len(self.notes) < len(self.catalogue.notes) else []
        return "-".join([device, *(["quick"] if self.quick else []), *some])[:LONGEST_NAME]


@dataclass(frozen=True)
class Listener:
    """Who hears how a run goes: every verdict on a law, the header, every timing."""

    verdict: Callable[[Verdict], None]
    header: Callable[[BenchmarkHeader], None]
    timing: Callable[[Timing], None]


def run(plan: Plan, listen: Listener) -> list[Timing]:
    """Do what the plan says and return the timings. Raises WrongUse before anything runs where it cannot be done."""
    if not plan.todo:
        raise WrongUse("these notes have no workloads")
    start = time.perf_counter()
    with ExitStack() as stack:
        journal = _journal(plan, stack)
        barred = _barred(plan, listen.verdict)
        recorder = _Recorder(plan, journal, listen)
        recorder.time(barred)
        if journal:
            journal.close(time.perf_counter() - start)
    order = {
        (job.headline, c, job.mode): i for i, (job, c) in enumerate((j, c) for j in plan.todo for c in j.contenders)
    }
    return sorted(recorder.timings, key=lambda t: order[t.headline, contender_of(t), t.mode])


def _journal(plan: Plan, stack: ExitStack) -> BenchmarkJournal | None:
    if plan.output is None:
        return None
    try:
        return stack.enter_context(BenchmarkJournal(plan.output, plan.name))
    except OSError as error:
        raise WrongUse(f"cannot write records to {plan.output}: {error.strerror}; name another --output") from None


def _barred(plan: Plan, listen: Callable[[Verdict], None]) -> Barred:
    """Which backends break a law of which operation in which mode, and the verdict."""
    present = [backend for backend in plan.backends if not backend.unavailable]
    cases = plan.cases
    if not present or not cases:
        return {}
    ids = [case.id for case in cases]
    facts = inspected([backend.name for backend in present])
    verdicts = runner.run(runner.Plan(facts, plan.catalogue.select([], ids), [], ids, "quick"), listen)
    barred: dict[tuple[str, str, str], Verdict] = {}
    by_id = {case.id: case for case in cases}
    for verdict in verdicts:
        if verdict.state in BARRING:
            case = by_id[verdict.id]
            modes = ("gradient",) if "gradient" in case.law.needs else ("forward", "gradient")
            for operation in case.operations:
                for mode in modes:
                    barred.setdefault((verdict.backend, operation.name, mode), verdict)
    return barred


def _refused(plan: Plan, job: Job, contender: Contender, backend: Backend, barred: Barred) -> Timing | None:
    """Why a contender is not timed, as far as that is known before; None where nothing is against it."""
    workload = workload_of(contender, plan.catalogue)
    operation = workload.operation.name
    timing = blank(job, contender, workload, None if backend.unavailable else format_of(backend))
    if backend.unavailable:
        return replace(timing, state="unavailable", reason=backend.unavailable)
    if backend.function(operation) is None:
        return replace(timing, state="missing", reason=f"no {operation}")
    if job.mode == "gradient" and backend.gradient is None:
        return replace(timing, state="missing", reason="it offers no gradient")
    verdict = barred.get((backend.name, operation, job.mode))
    if verdict:
        return replace(timing, state="broken", reason=f"{verdict.id} is {verdict.state}: {verdict.reason}")
    return None


class _Recorder:
    """Runs the jobs of a plan, in as many processes as it takes, and writes down what they say."""

    def __init__(self, plan: Plan, journal: BenchmarkJournal | None, listen: Listener) -> None:
        self.plan, self.journal, self.listen = plan, journal, listen
        self.backends = {backend.name: backend for backend in plan.backends}
        self.timings: list[Timing] = []
        self.header: BenchmarkHeader | None = None
        self.measured = False

    def time(self, barred: Barred) -> None:
        """Time all jobs; the first process also measures the machine, and what is refused is written after that."""
        jobs, refused = [], []
        for job in self.plan.todo:
            why = {c: _refused(self.plan, job, c, self.backends[c.backend], barred) for c in job.contenders}
            refused += [timing for timing in why.values() if timing]
            able = tuple(contender for contender, timing in why.items() if timing is None)
            jobs += [replace(job, contenders=able)] if able else []
        present = [backend.name for backend in self.plan.backends if not backend.unavailable]
        jobs = self.in_one_process(present, jobs, refused) if jobs else []
        while jobs:  # what a process did not survive once while it measured the machine, the next need not survive
            jobs = self.in_one_process(present if self.measured else [], jobs)
        if self.header is None:
            self.begin(([], {}), refused)

    def begin(self, machine: Machine, refused: Iterable[Timing]) -> None:
        """Write the header, and what is known before anything is timed."""
        ceilings, threads = machine
        plan = self.plan
        described = {b.name: f"unavailable: {b.unavailable}" if b.unavailable else b.device for b in plan.backends}
        whole = plan.jobs is None and not plan.quick and len(plan.notes) == len(plan.catalogue.notes)
        count = sum(len(job.contenders) for job in plan.todo)
        self.header = BenchmarkHeader(
            plan.name, __version__, described, threads, clocks(), plan.quick, whole, ceilings, timings=count,
            memory=memory.how(),
        )  # fmt: skip
        if self.journal:
            self.journal.begin(self.header)
        self.listen.header(self.header)
        for timing in refused:
            self.add(timing)

    def add(self, timing: Timing) -> None:
        """Write down a timing, now."""
        if self.journal:
            self.journal.add(timing)
        self.timings.append(timing)
        self.listen.timing(timing)

    def lose(self, job: Job, contenders: Iterable[Contender], why: str) -> None:
        """Write down that contenders were not timed."""
        for contender in contenders:
            workload = workload_of(contender, self.plan.catalogue)
            self.add(replace(blank(job, contender, workload, format_of(self.backends[contender.backend])), reason=why))

    def in_one_process(self, machine: Sequence[str], jobs: list[Job], refused: Iterable[Timing] = ()) -> list[Job]:
        """Run jobs until all are done or the process is lost. machine: backends to measure ceilings with, or none.

        Returns the jobs that are left: whoever was at work when the process was lost is out, the others try again.
        """
        left, pending = list(jobs), list(jobs[0].contenders)
        backend, doing, reason = "", "starting", ""
        for kind, content in told(machine, jobs, self.plan.quick):
            if kind == "machine" and self.header is None:
                self.begin(content, refused)
                self.measured = True
            elif kind in ("done", "lost") and self.header is None:
                self.begin(([], {}), refused)
                if kind == "lost":
                    return left
            elif kind == "at":
                backend, doing = content
            elif kind == "timing":
                timing = Timing(**content)
                pending.remove(contender_of(timing))
                self.add(timing)
            elif kind == "failed":
                reason = f"the suite failed: {content}"
            elif kind == "job":
                self.lose(left[0], pending, reason or "the suite said nothing")
                left.pop(0)
                pending = list(left[0].contenders) if left else []
                backend, doing, reason = "", "starting", ""
            elif kind == "lost":
                guilty = [contender for contender in pending if contender.backend == backend] or pending
                self.lose(left[0], guilty, f"{content} ({doing})")
                rest = tuple(contender for contender in pending if contender not in guilty)
                return ([replace(left[0], contenders=rest)] if rest else []) + left[1:]
        return []

"""Holds backends to laws in worker processes, and records each verdict at once.

A worker serves one backend only (`layerlaws.running.worker`), so a backend that corrupts its process affects only its
own verdicts; a process that dies or hangs costs one verdict. This does not rely on the worker's cooperation: the run
reads from a non-blocking socket, watches the clock, and kills the process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import suite_code
from layerlaws.language.note import Case
from layerlaws.running.backlog import Backlog, Listener
from layerlaws.running.journal import START_OVER, Header, Journal, record_name
from layerlaws.running.processes import Worker, ending, facts_of, memory_share, wait
from layerlaws.running.worker import Facts, Task
from layerlaws.support.errors import RecordError, WrongUse
from layerlaws.support.version import __version__

TIME_LIMITS = {"quick": 60.0, "standard": 120.0, "thorough": 900.0}
"""Time limit of one law in seconds, by profile."""


class Unwritten(RecordError):
    """Records could not be written, and the run came to its end nevertheless, with these verdicts."""

    def __init__(self, message: str, verdicts: list[Verdict]) -> None:
        super().__init__(message)
        self.verdicts = verdicts


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    cases: the laws. notes, laws: the names by which they were selected; empty for all. output: the directory of the
    records, None for no records. jobs: number of worker processes. limit: seconds per law, 0 for the profile's. resume:
    continue incomplete records. strict: whether accepted bad input makes the run fail; exact: whether other bits do.
    """

    backends: Sequence[Facts]
    cases: Sequence[Case]
    notes: Sequence[str] = ()
    laws: Sequence[str] = ()
    profile: str = "standard"
    seed: int | None = None
    output: Path | None = None
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    limit: float = 0.0
    resume: bool = False
    strict: bool = False
    exact: bool = False

    def fails(self, verdict: Verdict) -> bool:
        """Whether a verdict makes the run fail."""
        return verdict.counts(self.strict, self.exact)


def run(plan: Plan, listen: Listener) -> list[Verdict]:
    """Carry out a plan and return the verdicts. listen: called with each verdict as soon as it is known.

    Raises WrongUse or RecordError before anything runs if records would overwrite each other, cannot be written or
    cannot be resumed; Unwritten at the end if one could not be written.
    """
    limit, memory = plan.limit or TIME_LIMITS[plan.profile], memory_share(plan.jobs)
    with ExitStack() as stack:
        journals = _journals(plan, stack)
        traces = stack.enter_context(TemporaryDirectory(prefix="layerlaws-"))
        backlogs = {
            facts.name: Backlog(
                Task(facts.name, plan.profile, plan.seed, limit, memory, str(plan.output or ""), traces),
                plan.cases,
                journals.get(facts.name),
                listen,
            )
            for facts in plan.backends
        }
        for facts in plan.backends:
            backlogs[facts.name].begin(facts)
        with ending() as workers:
            while any(backlog.unfinished for backlog in backlogs.values()):
                _employ(backlogs, workers, plan.jobs)
                wait(workers)
                for worker in list(workers):
                    if not attend(worker, backlogs[worker.task.backend]):
                        workers.remove(worker)
    verdicts = [verdict for backlog in backlogs.values() for verdict in backlog.verdicts]
    unwritten = [backlog.unwritten for backlog in backlogs.values() if backlog.unwritten]
    if unwritten:
        raise Unwritten("\n".join(unwritten), verdicts)
    return verdicts


def _employ(backlogs: dict[str, Backlog], workers: list[Worker], jobs: int) -> None:
    """Give every idle worker a law, end those without one, and start new workers for waiting laws, up to `jobs`."""
    for worker in [worker for worker in workers if not worker.law]:
        if not worker.dead and (law := backlogs[worker.task.backend].take(worker)):
            worker.send(law)
        else:
            backlogs[worker.task.backend].forget(worker)
            worker.end()
            workers.remove(worker)
    for backlog in backlogs.values():
        while backlog.waiting and len(workers) < jobs:
            worker = Worker(backlog.task)
            workers.append(worker)
            worker.send(backlog.take(worker))


def attend(worker: Worker, backlog: Backlog) -> bool:
    """Handle a worker's messages or its death. Returns whether it can be used further."""
    dead, loaded = worker.dead, worker.loaded  # read first: all messages of a dead worker have arrived then
    said = worker.hear()
    spent = False
    if said and not loaded:
        try:
            facts = facts_of(worker, said)
        except WrongUse as wrong:  # the file existed when the run began
            facts = Facts(worker.task.backend, state="error", reason=str(wrong))
        if not backlog.load_again(worker, facts):
            spent, worker.law = True, ""
    for message in said:
        if (
            worker.law and message.get("law") == worker.law
        ):  # otherwise the backend forked, and the copy of the worker sent it
            backlog.finish(worker, message)
            worker.law, spent = "", spent or bool(message.get("spent"))
    late = worker.overdue > 0
    if not (spent or dead or late):
        return True
    if worker.law and not (worker.abandoned and backlog.put_back(worker)):
        backlog.lose(worker, late and not dead)
    backlog.forget(worker)
    worker.end()
    return False


def _journals(plan: Plan, stack: ExitStack) -> dict[str, Journal]:
    by_name: dict[str, str] = {}
    for backend in plan.backends:
        other = by_name.setdefault(record_name(backend.name).casefold(), backend.name)
        if other != backend.name or sum(each.name == other for each in plan.backends) > 1:
            names = f"{other} and {backend.name}" if other != backend.name else f"{other}, named twice,"
            raise WrongUse(f"{names} would write the same record {record_name(other)}: check one at a time")
    if plan.output is None:
        return {}
    journals = {}
    for backend in plan.backends:
        try:
            journals[backend.name] = stack.enter_context(Journal(plan.output, _header(plan, backend), plan.resume))
            others = {verdict.id for verdict in journals[backend.name].kept} - {case.id for case in plan.cases}
            if others:
                raise RecordError(
                    f"cannot resume {journals[backend.name].path}: it has verdicts on other laws; {START_OVER}"
                )
        except OSError as error:
            raise WrongUse(f"cannot write records to {plan.output}: {error.strerror}; name another --output") from None
    return journals


def _header(plan: Plan, backend: Facts) -> Header:
    return Header(
        backend.name,
        __version__,
        backend.device,
        backend.dtypes,
        plan.profile,
        plan.seed,
        len(plan.cases),
        not plan.notes and not plan.laws,
        backend.unavailable,
        code=backend.code,
        files=backend.files,
        suite_code=suite_code(),
    )

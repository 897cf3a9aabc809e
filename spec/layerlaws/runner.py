"""Hold backends to laws in worker processes, writing each verdict down as it falls.

pytest runs the items (`layerlaws.suite`), pytest-xdist gives each worker its own process, so that a backend that
kills or blocks its process costs one verdict, and pytest-timeout ends what does not return.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from layerlaws import __version__
from layerlaws.backends import Backend
from layerlaws.catalogue import Case, WrongUse
from layerlaws.journal import Header, Journal, record_name
from layerlaws.pytest_plugin import verdict_fields
from layerlaws.suite import item_id
from layerlaws.verdict import Verdict

TIME_LIMITS = {"quick": 60.0, "standard": 120.0, "thorough": 900.0}
"""Seconds one law may take, by profile."""

Listener = Callable[[Verdict], None]


@dataclass(frozen=True)
class Plan:
    """What a run is to do. names: of the notes and laws selected; empty for all. output: None to keep no record."""

    backends: Sequence[Backend]
    cases: Sequence[Case]
    notes: Sequence[str] = ()
    laws: Sequence[str] = ()
    profile: str = "standard"
    seed: int | None = None
    output: Path | None = None
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)

    @property
    def pairs(self) -> list[tuple[Backend, Case]]:
        """Every backend and law, in the order of the items of `layerlaws.suite`."""
        return [(backend, case) for backend in self.backends for case in self.cases]


def run(plan: Plan, listen: Listener) -> list[Verdict]:
    """Do what the plan says. `listen` hears each verdict as it falls.

    Returns the verdicts. Raises WrongUse before anything runs where records would overwrite each other or cannot
    be written.
    """
    with ExitStack() as stack:
        journals = _journals(plan, stack)
        recorder = _Recorder(plan, journals, listen)
        status, said = _pytest(plan, recorder)
        if len(recorder.verdicts) == len(plan.pairs):
            for name, journal in journals.items():
                journal.close(sum(verdict.seconds for verdict in recorder.verdicts if verdict.backend == name))
        elif status == pytest.ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        else:
            lost = len(plan.pairs) - len(recorder.verdicts)
            raise RuntimeError(f"the run ended with {lost} laws not held (pytest: {status!r})\n{said}")
    return recorder.verdicts


def _journals(plan: Plan, stack: ExitStack) -> dict[str, Journal]:
    names = [record_name(backend.name) for backend in plan.backends]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise WrongUse(f"two backends would write the same record {', '.join(sorted(twice))}: check one at a time")
    if plan.output is None:
        return {}
    whole = not plan.notes and not plan.laws
    journals = {}
    for backend in plan.backends:
        header = Header(
            backend.name,
            __version__,
            backend.device,
            [format.name for format in backend.formats],
            plan.profile,
            plan.seed,
            len(plan.cases),
            whole,
            backend.unavailable,
        )
        try:
            journals[backend.name] = stack.enter_context(Journal(plan.output, header))
        except OSError as error:
            raise WrongUse(f"cannot write records to {plan.output}: {error.strerror}; name another --output") from None
    return journals


class _Recorder:
    """The pytest plugin of the controlling process: turns reports into verdicts and writes them down."""

    def __init__(self, plan: Plan, journals: dict[str, Journal], listen: Listener) -> None:
        self.by_item = {item_id(i, case.id): pair for i, pair in enumerate(plan.pairs) for case in [pair[1]]}
        self.journals, self.listen = journals, listen
        self.limit = TIME_LIMITS[plan.profile]
        self.started: dict[str, float] = {}
        self.verdicts: list[Verdict] = []
        self.seen: set[str] = set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.started[nodeid] = time.perf_counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        item = report.nodeid.partition("[")[2].removesuffix("]")
        fields = verdict_fields(report)
        finished = fields is not None and report.when == "call"
        if item in self.seen or not (finished or report.failed):
            return
        self.seen.add(item)
        backend, case = self.by_item[item]
        verdict = Verdict.from_json(fields) if fields else self._lost(report, backend, case)
        if backend.name in self.journals:
            self.journals[backend.name].add(verdict)
        self.verdicts.append(verdict)
        self.listen(verdict)

    def _lost(self, report: pytest.TestReport, backend: Backend, case: Case) -> Verdict:
        """The verdict of an item that could not give one: its process died, or the suite itself failed."""
        seconds = time.perf_counter() - self.started.get(report.nodeid, time.perf_counter())
        died = report.when not in ("setup", "call", "teardown")
        if died and seconds >= self.limit:
            state, reason = "timed out", f"no verdict within {self.limit:g} s"
        elif died:
            state, reason = "crashed", "the process died while the law was being held"
        else:
            state, reason = "error", f"the suite failed: {report.longreprtext[-2000:]}"
        return Verdict(
            backend.name, case.note.name, case.operation.name, case.law.name, state, reason, seconds=round(seconds, 3)
        )


def _pytest(plan: Plan, recorder: _Recorder) -> tuple[int | pytest.ExitCode, str]:
    """Run the suite; its exit status, and what it printed."""
    suite = Path(__file__).with_name("suite.py")
    options = [f"--layerlaws-{kind}={name}" for kind, names in (
        ("backend", [backend.name for backend in plan.backends]), ("note", plan.notes), ("law", plan.laws),
    ) for name in names]  # fmt: skip
    if plan.seed is not None:
        options.append(f"--layerlaws-seed={plan.seed}")
    arguments = [
        str(suite), "-q", f"--rootdir={suite.parent}", "-c", os.devnull, "--noconftest", "--import-mode=importlib",
        "-p", "no:cacheprovider", "-p", "xdist", "-p", "timeout", "-p", "layerlaws",
        f"--numprocesses={max(1, min(plan.jobs, len(plan.pairs)))}", "--dist=worksteal", "--max-worker-restart=100000",
        f"--timeout={TIME_LIMITS[plan.profile]}", "--timeout-method=thread",
        f"--layerlaws-profile={plan.profile}", *options,
    ]  # fmt: skip
    printed = io.StringIO()
    with _worker_environment(), contextlib.redirect_stdout(printed):
        status = pytest.main(arguments, plugins=[recorder])
    return status, printed.getvalue()


@contextlib.contextmanager
def _worker_environment() -> Iterator[None]:
    """Workers share the cores: one thread each, and no plugins but ours."""
    wanted: dict[str, Any] = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    wanted |= {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM")}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

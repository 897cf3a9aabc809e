"""The process in which backends are timed: it may die or hang without taking more than one timing with it.

pytest runs the items, pytest-benchmark is the timer; pytest-xdist would be the process, but pytest-benchmark refuses
to time in its workers. What happens is told to the controlling process at once, over a pipe.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from layerlaws.backends import load_backend
from layerlaws.benchmark.expected import Expected
from layerlaws.benchmark.jobs import Job
from layerlaws.benchmark.machine import Machine
from layerlaws.benchmark.timing import Effort
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend


@dataclass
class Worker:
    """What a worker process is to do, and its end of the pipe. Also the pytest plugin that hands itself and the jobs
    to the items.

    backends: to measure the machine with, before the jobs; with none it is not measured.
    """

    connection: Connection
    backends: tuple[str, ...]
    jobs: tuple[Job, ...]
    effort: Effort
    machine: Machine | None = None
    loaded: dict[str, Backend] = field(default_factory=dict)
    compared: dict[Any, tuple[float | None, str]] = field(default_factory=dict)
    said: dict[Any, Expected | None] = field(default_factory=dict)
    drawn: dict[Any, dict[str, Any]] = field(default_factory=dict)

    def send(self, kind: str, content: Any = None) -> None:
        """Tell the controlling process."""
        self.connection.send((kind, content))

    def at(self, backend: str, doing: str) -> None:
        """Say what comes next, so that it is known if the process does not survive it. backend: "" for none."""
        self.send("at", (backend, doing))

    def backend(self, name: str) -> Backend:
        if name not in self.loaded:
            self.loaded[name] = load_backend(name, catalogue())
            gc.freeze()  # libraries are full of objects that stay; looking through them at every call takes long
        return self.loaded[name]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "job" in metafunc.fixturenames:
            items = [(self, job) for job in self.jobs]
            metafunc.parametrize(("worker", "job"), items, ids=[str(i) for i in range(len(items))])
        else:
            metafunc.parametrize("worker", [self], ids=["0"])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.send("failed", report.longreprtext[-2000:])
        if report.when == "teardown":
            self.send("job" if "test_job" in report.nodeid else "done")


def work(connection: Connection, backends: Sequence[str], jobs: Sequence[Job], effort: Effort) -> None:
    """What the process does: run the suite's items. The last message is "end"."""
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    suite = Path(__file__).with_name("suite.py")
    arguments = [
        str(suite) if backends else f"{suite}::test_job", "-q", f"--rootdir={suite.parent}", "-c", os.devnull,
        "--noconftest", "--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:faulthandler",
        "-p", "pytest_benchmark.plugin", "--benchmark-disable-gc", "--benchmark-quiet",
    ]  # fmt: skip
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        pytest.main(arguments, plugins=[Worker(connection, tuple(backends), tuple(jobs), effort)])
    connection.send(("end", printed.getvalue()[-2000:]))

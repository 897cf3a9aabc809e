"""The worker processes of a benchmark run: one for each backend, and one that evaluates definitions."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from layerlaws.benchmark.definitions import Definitions
from layerlaws.benchmark.messages import Done
from layerlaws.benchmark.process import BenchmarkProcess, Lost
from layerlaws.benchmark.timing import Budget, Effort
from layerlaws.benchmark.worker import Task, serve
from layerlaws.running.isolation import environment
from layerlaws.running.processes import facts_of, memory_share
from layerlaws.support.errors import WrongUse

EFFORTS = {
    True: Effort(Budget(0.04, 3, 3, 0.2), None, 0.15, 60),
    False: Effort(Budget(1.0, 7, 50, 5.0), Budget(0.3, 7, 15, 5.0), 8.0, 300),
}
"""By whether the run is quick."""

THREAD_TIMEOUT = "20"
"""Idle threads of NumPy's OpenBLAS spin for 2 to this power clock ticks (https://github.com/OpenMathLib/OpenBLAS/issues/5171);
by default for up to a tenth of a second, on the cores that the next contender needs.
"""


class Pool:
    """Processes that stay from job to job. One that is lost is replaced when it is next needed.

    Only one of them works at a time, so each may use as much memory as a single worker of `check`, and all threads.
    """

    def __init__(self, backends: Sequence[str], jobs: int, quick: bool) -> None:
        """Prepare the pool; its processes start on entering. jobs: how many there will be."""
        self.backends, self.effort = tuple(backends), EFFORTS[quick]
        self._memory = memory_share(1)
        self._items = jobs + 2  # one more measures the machine, and the last answers what comes after its turns
        self._processes: dict[str, BenchmarkProcess] = {}
        self._unloadable: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            spin = os.environ.get("OPENBLAS_THREAD_TIMEOUT", THREAD_TIMEOUT)
            stack.enter_context(environment({"OPENBLAS_THREAD_TIMEOUT": spin}))  # read when a process loads NumPy
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="layerlaws-")))
            self.definitions = Definitions(directory, self._memory, self.effort.patience)
            stack.callback(self._end)
            self._start_all()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stack.close()

    def process(self, backend: str) -> BenchmarkProcess:
        """The process of a backend, a new one if it was lost. Raises Lost if the backend cannot be loaded."""
        if backend in self._unloadable:
            raise Lost(self._unloadable[backend])
        if self._processes[backend].lost:
            self._processes[backend] = self._start(backend)
            self._load(self._processes[backend])
            return self.process(backend)
        return self._processes[backend]

    def forget(self, backend: str) -> None:
        """Free the memory that a job took in the process of a backend. Raises Lost and Refusal."""
        process = self._processes[backend]
        if not process.lost:
            process.call(Done, "releasing memory", do="forget")

    def _start_all(self) -> None:
        """Start all processes, as many at a time as there are cores: loading libraries takes a while."""
        window = os.cpu_count() or 1
        for i, name in enumerate(self.backends):
            for soon in self.backends[i : i + window]:
                if soon not in self._processes:
                    self._processes[soon] = self._start(soon)
            self._load(self._processes[name])

    def _start(self, backend: str) -> BenchmarkProcess:
        task = Task(backend, self.effort, self._memory, self._items)
        return BenchmarkProcess(backend, serve, task, limit=self.effort.patience)

    def _load(self, process: BenchmarkProcess) -> None:
        """Wait until a process has loaded its backend, or note why it cannot."""
        message = process.await_message(lambda message: True)
        try:
            facts = facts_of(process, [message] if message else [])
            failed = facts.reason
        except WrongUse as wrong:  # the file was there when the run began
            failed = str(wrong)
        if failed:
            self._unloadable[process.name] = f"it could not be loaded again: {failed}"
            process.lose(failed)

    def _end(self) -> None:
        for process in self._processes.values():
            process.end()
        self.definitions.end()

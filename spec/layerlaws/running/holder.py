"""Holds backends to one law after another for somebody else's test run, in worker processes of their own."""

from __future__ import annotations

import atexit
from functools import cache

from layerlaws.checking.verdict import Verdict
from layerlaws.language.note import Case
from layerlaws.running.backlog import Backlog
from layerlaws.running.isolation import environment
from layerlaws.running.processes import ONE_THREAD, Worker, inspected, memory_share, wait
from layerlaws.running.runner import TIME_LIMITS, attend
from layerlaws.running.worker import Task


class Holder:
    """One backend, and the worker that holds it to laws, which stays until it is needed no more.

    facts: of the backend, as it was loaded first.
    """

    def __init__(self, backend: str) -> None:
        """Load the backend in a process of its own. Raises WrongUse if it does not exist."""
        (self.facts,) = inspected([backend], 1)
        self._workers: dict[Task, Worker] = {}
        self._backlogs: dict[Task, Backlog] = {}
        atexit.register(self.end)

    def hold(self, case: Case, profile: str, seed: int | None) -> Verdict:
        """The verdict on one law."""
        task = Task(self.facts.name, profile, seed, TIME_LIMITS[profile], memory_share(1))
        backlog = self._backlog(task)
        backlog.add(case)
        if self.facts.state:
            backlog.give_up(self.facts.state, self.facts.reason)
        while backlog.unfinished:
            worker = self._worker(task)
            if not worker.law:
                worker.send(backlog.take(worker))
            wait([worker])
            if not attend(worker, backlog):
                del self._workers[task]
        return backlog.verdicts.pop()

    def end(self) -> None:
        """End the worker."""
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()

    def _backlog(self, task: Task) -> Backlog:
        if task not in self._backlogs:
            self._backlogs[task] = Backlog(task, [], None, lambda verdict: None)
            self._backlogs[task].begin(self.facts)
        return self._backlogs[task]

    def _worker(self, task: Task) -> Worker:
        if task in self._workers and self._workers[task].dead and not self._workers[task].law:
            self._workers.pop(task).end()
        if task not in self._workers:
            with environment(ONE_THREAD):
                self._workers[task] = Worker(task)
        return self._workers[task]


@cache
def holder(backend: str) -> Holder:
    """The holder of a backend; one for all who ask."""
    return Holder(backend)

"""Starts and ends the workers that hold backends to laws, and loads backends in them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from layerlaws.running.isolation import WorkerProcess, environment, wait
from layerlaws.running.worker import Facts, Task, serve
from layerlaws.support.errors import WrongUse
from layerlaws.support.fields import check_types

__all__ = ["Worker", "ending", "facts_of", "inspected", "memory_share", "wait"]

LOADING = 120.0
"""Seconds a backend may take to be loaded."""

LEAST_MEMORY = 4 * 2**30
"""Smallest memory limit given to a worker, in bytes, on a machine that has as much: PyTorch alone takes a quarter."""

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM")}
"""Environment of workers that run side by side: they share the cores, one thread each."""


class Worker(WorkerProcess):
    """A process that holds one backend to laws."""

    def __init__(self, task: Task) -> None:
        """Start the process; it loads its backend at once."""
        self.task = task
        super().__init__(task.backend, serve, task, loading=LOADING, limit=task.limit)

    @property
    def law(self) -> str:
        """The id of the law it is working on, "" if idle."""
        return self.asked

    @law.setter
    def law(self, law: str) -> None:
        self.asked = law

    def send(self, law: str) -> None:
        """Ask for a verdict on a law, by its id."""
        self.ask(law, law=law)


def inspected(names: Sequence[str], jobs: int = os.cpu_count() or 1) -> list[Facts]:
    """Load each backend in a process of its own, and return what is known of it.

    Raises WrongUse for a backend that does not exist or lacks what backends need. One that cannot be loaded for other
    reasons comes back with the state that all its verdicts will have.
    """
    waiting, facts, again = list(names), dict[str, Facts](), set[str]()
    with ending() as workers:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(Worker(Task(waiting.pop(0), "quick", None, LOADING, memory_share(jobs))))
            wait(workers)
            for worker in list(workers):
                dead = worker.dead  # read first: then all messages of a dead process are there
                messages = worker.hear()
                if not (messages or dead or worker.overdue > 0):
                    continue
                if worker.abandoned and not messages and worker.name not in again:
                    again.add(worker.name)
                    waiting.append(worker.name)
                else:
                    facts[worker.name] = facts_of(worker, messages)
                worker.end()
                workers.remove(worker)
    return [facts[name] for name in names]


def facts_of(worker: WorkerProcess, messages: Sequence[dict[str, Any]]) -> Facts:
    """What the first of a worker's messages says of its backend, or else how loading failed. Raises WrongUse."""
    first = messages[0] if messages else {}
    if "wrong" in first:
        raise WrongUse(str(first["wrong"]))
    if first:
        try:
            facts = Facts(**first["facts"])
            check_types(facts)
        except (TypeError, KeyError) as nonsense:
            return Facts(worker.name, state="crashed", reason=f"what the process sent is no backend: {nonsense}")
        return facts
    if worker.dead:
        return Facts(worker.name, state="crashed", reason=f"{worker.death} while the backend was loaded")
    return Facts(worker.name, state="timed out", reason=f"it was not loaded within {LOADING:g} s")


@contextlib.contextmanager
def ending() -> Iterator[list[Worker]]:
    """A list of workers; those left in it at the end are killed."""
    workers: list[Worker] = []
    with environment(ONE_THREAD):
        try:
            yield workers
        finally:
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.end()


def memory_share(jobs: int) -> int:
    """Bytes one of so many workers may use: its share of three quarters of the memory; 0 where that is unknown."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
    with contextlib.suppress(OSError, ValueError):  # in a container; a plain number unless it is "max"
        whole = min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    most = 3 * whole // 4
    return max(most // jobs, min(most, LEAST_MEMORY))

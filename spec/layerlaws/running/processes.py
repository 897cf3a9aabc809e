"""Starts worker processes, hears them, and ends them, whatever state they are in."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any

from layerlaws.discovery import catalogue
from layerlaws.running.worker import Facts, Task, serve
from layerlaws.support.errors import WrongUse

LOADING = 120.0
"""Seconds a backend may take to be loaded."""

LEAST_MEMORY = 4 * 2**30
"""Bytes a worker may use at least, on a machine that has them: a quarter of it is what PyTorch takes by itself."""

LONGEST_MESSAGE = 2**24
"""Bytes of a message; no verdict is nearly as long."""


class Worker:
    """A process that holds one backend to laws. law: the id of the one it was sent last, "" where it is idle."""

    def __init__(self, task: Task) -> None:
        """Start the process; it loads its backend at once."""
        self.task = task
        self.law, self.loaded = "", False
        self._since = time.monotonic()
        self._heard = b""
        self.socket, theirs = socket.socketpair()
        self.process = _context().Process(target=serve, args=(theirs, task))
        self.process.start()
        theirs.close()
        self.socket.setblocking(False)

    @property
    def limit(self) -> float:
        """Seconds it may take for what it does now."""
        return self.task.limit if self.loaded else LOADING

    @property
    def elapsed(self) -> float:
        """Seconds it has taken for what it does now; 0 where it is idle."""
        return time.monotonic() - self._since if self.law or not self.loaded else 0.0

    @property
    def overdue(self) -> float:
        """Seconds since it should have answered; negative before."""
        return self.elapsed - self.limit

    @property
    def dead(self) -> bool:
        return self.process.exitcode is not None

    @property
    def alarmed(self) -> bool:
        """Whether the system ended it, long overdue: the run itself was held up, too."""
        return sys.platform != "win32" and bool(self.process.exitcode == -signal.SIGALRM)

    def send(self, law: str) -> None:
        """Ask for a verdict on a law."""
        self.law = law
        if self.loaded:
            self._since = time.monotonic()
        with contextlib.suppress(OSError):  # it is dead, and that is noticed elsewhere
            self.socket.send(law.encode() + b"\n")

    def hear(self) -> list[dict[str, Any]]:
        """What it has said by now. Never waits: a worker may stop in the middle of a message."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while (new := self.socket.recv(2**16)) and len(self._heard) < LONGEST_MESSAGE:
                self._heard += new
            self.process.kill()  # it closed the connection, or talks nonsense
        *lines, self._heard = self._heard.split(b"\n")
        messages = [message for line in lines if isinstance(message := _parsed(line), dict)]
        if messages:
            self.loaded, self._since = True, time.monotonic()
        return messages

    def end(self) -> None:
        """End the process now, and what it started."""
        if sys.platform != "win32" and self.process.pid:
            # Not there before the worker has made itself a session, nor once all of it has ended.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.socket.close()

    @property
    def death(self) -> str:
        """How a dead process died, in words."""
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"the process died (exit status {code})"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ", as the system does where memory runs out" if name == "SIGKILL" else ""
        return f"the process died ({name}{hint})"


def wait(workers: Sequence[Worker]) -> None:
    """Wait until one of them says something, dies or is overdue."""
    ready: list[Any] = [handle for worker in workers for handle in (worker.socket, worker.process.sentinel)]
    connection.wait(ready, timeout=max(0.0, -max(worker.overdue for worker in workers)))


def inspected(names: Sequence[str], jobs: int = os.cpu_count() or 1) -> list[Facts]:
    """Load each backend in a process of its own, and say what it is.

    Raises WrongUse for a backend that does not exist or is not made as backends are. One that cannot be loaded for
    other reasons comes back with the state that all its verdicts will have.
    """
    waiting, facts = list(names), dict[str, Facts]()
    with ending() as workers:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(Worker(Task(waiting.pop(0), "quick", None, LOADING, memory_share(jobs))))
            wait(workers)
            for worker in list(workers):
                dead = worker.dead  # asked first: what a dead process said is all there
                said = worker.hear()
                if said or dead or worker.overdue > 0:
                    facts[worker.task.backend] = facts_of(worker, said)
                    worker.end()
                    workers.remove(worker)
    return [facts[name] for name in names]


def facts_of(worker: Worker, said: Sequence[dict[str, Any]]) -> Facts:
    """What a worker says of its backend first, or what became of it while loading. Raises WrongUse."""
    first = said[0] if said else {}
    if "wrong" in first:
        raise WrongUse(str(first["wrong"]))
    with contextlib.suppress(TypeError, KeyError):
        return Facts(**first["facts"])
    if worker.dead:
        return Facts(worker.task.backend, state="crashed", reason=f"{worker.death} while the backend was loaded")
    return Facts(worker.task.backend, state="timed out", reason=f"it was not loaded within {LOADING:g} s")


@contextlib.contextmanager
def ending() -> Iterator[list[Worker]]:
    """A list of workers; what is left in it at the end is ended."""
    workers: list[Worker] = []
    with _environment():
        try:
            yield workers
        finally:
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


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _context() -> Any:
    """Workers are forked from a process that has imported the notes and nothing else, where the system can do that."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    notes = [note.module.__name__ for note in catalogue().notes]
    context.set_forkserver_preload(["layerlaws.cli", "layerlaws.running.worker", *notes])
    return context


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Workers share the cores: one thread each. A worker that is killed leaves its semaphores to Python's tracker,
    which has nothing to tell the user about them.
    """
    wanted = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM")}
    quiet = "ignore:resource_tracker:UserWarning"
    wanted["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), quiet]))
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

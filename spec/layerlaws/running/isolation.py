"""The parent's side of a worker process: starts it, receives its messages without blocking, and kills it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import connection
from typing import Any

from layerlaws.discovery import catalogue

LONGEST_MESSAGE = 2**24
"""Bytes of a message that are accepted; a real one is far shorter."""


class WorkerProcess:
    """A process in a session of its own, and the socket over which it exchanges lines of JSON with its parent.

    name: of the backend it serves, "" if none. asked: the request it has not answered yet, in words; "" if idle.
    loaded: whether it has sent its first message.
    """

    def __init__(
        self,
        name: str,
        serve: Callable[..., None],
        *arguments: Any,
        loading: float,
        limit: float,
        start: str = "forkserver",
    ) -> None:
        """Start a process that runs `serve(socket, *arguments)`.

        loading: seconds until its first message is due. limit: seconds for an answer after that. start:
        "forkserver", or "spawn" for a new interpreter that reads the environment as it is now.
        """
        self.name, self.asked, self.loaded = name, "", False
        self._loading, self._limit = loading, limit
        self._since = time.monotonic()
        self._received = b""
        self.socket, theirs = socket.socketpair()
        self.process = _context(start).Process(target=serve, args=(theirs, *arguments))
        self.process.start()
        theirs.close()
        self.socket.setblocking(False)

    @property
    def limit(self) -> float:
        """Seconds it may take for its current task."""
        return self._limit if self.loaded else self._loading

    @property
    def elapsed(self) -> float:
        """Seconds since it was given its current task; 0 if idle."""
        return time.monotonic() - self._since if self.asked or not self.loaded else 0.0

    @property
    def overdue(self) -> float:
        """Seconds since its answer was due; negative before that."""
        return self.elapsed - self.limit

    @property
    def dead(self) -> bool:
        """Whether the process has ended."""
        return self.process.exitcode is not None

    @property
    def alarmed(self) -> bool:
        """Whether its own alarm killed it, long after the answer was due: the parent itself was held up."""
        return sys.platform != "win32" and bool(self.process.exitcode == -signal.SIGALRM)

    def ask(self, asked: str, **request: Any) -> None:
        """Send a request."""
        self.asked = asked
        if self.loaded:
            self._since = time.monotonic()
        with contextlib.suppress(OSError):  # it is dead, which its caller notices later
            self.socket.sendall(json.dumps(request).encode() + b"\n")

    def hear(self) -> list[dict[str, Any]]:
        """The messages received by now. Does not block: a worker may stop in the middle of a message."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while (new := self.socket.recv(2**16)) and len(self._received) < LONGEST_MESSAGE:
                self._received += new
            self.process.kill()  # it closed the connection, or floods it
        *lines, self._received = self._received.split(b"\n")
        messages = [message for line in lines if isinstance(message := _parsed(line), dict)]
        if messages:
            self.loaded, self._since = True, time.monotonic()
        return messages

    def end(self) -> None:
        """Kill the process and all that it started."""
        if self.socket.fileno() < 0:
            return  # done before: its number may be another process's by now
        if sys.platform != "win32" and self.process.pid:
            # The group does not exist before the worker has made itself a session, nor once all of it has ended.
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


def wait(workers: Sequence[WorkerProcess]) -> None:
    """Block until one of them sends something, dies or is overdue."""
    ready: list[Any] = [handle for worker in workers for handle in (worker.socket, worker.process.sentinel)]
    connection.wait(ready, timeout=max(0.0, -max(worker.overdue for worker in workers)))


@contextlib.contextmanager
def environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that workers start with.

    Always silences Python's resource tracker: a worker that is killed leaves its semaphores to it, which is nothing
    to warn users of.
    """
    quiet = "ignore:resource_tracker:UserWarning"
    warnings = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), quiet]))
    wanted = {**wanted, "PYTHONWARNINGS": warnings}
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


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _context(start: str) -> Any:
    """How processes start; the fork server has imported the notes and nothing else. "spawn" where there is none."""
    if start not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context: Any = multiprocessing.get_context(start)
    if start == "forkserver":
        notes = [note.module.__name__ for note in catalogue().notes]
        context.set_forkserver_preload(["layerlaws.cli", "layerlaws.running.worker", *notes])
    return context

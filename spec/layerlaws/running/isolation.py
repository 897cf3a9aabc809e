"""The run's side of a worker process: starts it, receives its messages without blocking, and ends it."""

from __future__ import annotations

import atexit
import contextlib
import json
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from multiprocessing import connection
from typing import Any

from layerlaws.discovery import catalogue
from layerlaws.running import forkserver
from layerlaws.running.clock import SHORTEST, TICK, Children, Clock

LONGEST_MESSAGE = 2**24
"""Bytes of a message that are accepted; a real one is far shorter."""

ENDING = 30.0
"""Seconds to wait for killed processes to be gone; one that waits for a device may take longer, and is left to its
guard.
"""

FORKS = hasattr(os, "fork")
"""Whether workers are forked; elsewhere (Windows) they are spawned, and nothing watches over what they start."""


class WorkerProcess:
    """A process that nothing of the run can be taken by, and the socket over which they exchange lines of JSON.

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
        fresh: bool = False,
    ) -> None:
        """Start a process that runs `serve(socket, *arguments)`.

        loading: seconds until its first message is due. limit: seconds for an answer after that. fresh: a new
        interpreter that has imported nothing and reads the environment as it is now.
        """
        self.name, self.asked, self.loaded = name, "", False
        self._loading, self._limit = loading, limit
        self._received = b""
        self._process: _Guarded | _Spawned = _Guarded(serve, arguments, fresh) if FORKS else _Spawned(serve, arguments)
        self.socket = self._process.socket
        self.socket.setblocking(False)
        self._clock = Clock(self._process.pid)

    @property
    def pid(self) -> int:
        """The number of the process; 0 while it is not known."""
        return self._process.pid

    @property
    def limit(self) -> float:
        """Seconds it may take for its current task."""
        return self._limit if self.loaded else self._loading

    @property
    def busy(self) -> bool:
        """Whether an answer is due."""
        return bool(self.asked) or not self.loaded

    @property
    def elapsed(self) -> float:
        """Seconds since it was given its current task; 0 if idle."""
        return self._clock.elapsed if self.busy else 0.0

    @property
    def overdue(self) -> float:
        """Seconds since its answer was due, not counting those in which it could not work; negative before that."""
        return (self._clock.seconds if self.busy else 0.0) - self.limit

    @property
    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._process.ended

    @property
    def abandoned(self) -> bool:
        """Whether the process that watches over it was ended from elsewhere: nothing is known of its own end."""
        return self.dead and self._process.status is None

    @property
    def handles(self) -> list[Any]:
        """What becomes ready when it sends something or ends."""
        return [self.socket, self._process.handle]

    def tick(self, children: Callable[[], Children]) -> None:
        """Look at its clock. children: says which children every process has."""
        if self.busy:
            self._clock.tick(self._process.pid, children)

    def ask(self, asked: str, **request: Any) -> None:
        """Send a request."""
        self.asked = asked
        if self.loaded:
            self._clock = Clock(self._process.pid)
        with contextlib.suppress(OSError):  # it is dead, which its caller notices later
            self.socket.sendall(json.dumps(request).encode() + b"\n")

    def hear(self) -> list[dict[str, Any]]:
        """The messages received by now. Does not block: a worker may stop in the middle of a message."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while (new := self.socket.recv(2**16)) and len(self._received) < LONGEST_MESSAGE:
                self._received += new
            self._process.kill()  # it closed the connection, or floods it
        *lines, self._received = self._received.split(b"\n")
        messages = [message for line in lines if isinstance(message := _parsed(line), dict)]
        if messages and not self.loaded:
            self.loaded, self._clock = True, Clock(self._process.pid)
        return messages

    def kill(self) -> None:
        """Kill the process and all that it started, without waiting for it."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process and all that it started, and wait until they are gone. May be called again."""
        self._process.end()
        self.socket.close()

    @property
    def death(self) -> str:
        """How a dead process died, in words."""
        code = self._process.status
        if code is None:
            return "the process died with the one that watches over it"
        if code >= 0:
            return f"the process died (exit status {code})"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ", as the system does where memory runs out" if name == "SIGKILL" else ""
        return f"the process died ({name}{hint})"


class _Guarded:
    """A worker and its guard, forked by a fork server. See `layerlaws.running.forkserver`.

    pid: of the worker, 0 while it is not known. status: of the worker once it has ended; None if nobody says.
    """

    def __init__(self, serve: Callable[..., None], arguments: Sequence[Any], fresh: bool) -> None:
        self.pid = 0
        self.status: int | None = None
        self._said, self._silent = b"", False
        self._own_server = _ForkServer(()) if fresh else None
        self.socket, theirs = socket.socketpair()
        self.handle, guards = socket.socketpair()
        server = self._own_server or _server()
        if not server.fork(theirs, guards):
            _server().close()  # a backend, or the system, has ended it
            _server.cache_clear()
            _server().fork(theirs, guards)
        theirs.close()
        guards.close()
        self.handle.setblocking(False)
        task = pickle.dumps((import_path(), os.getcwd(), serve, arguments))
        with contextlib.suppress(OSError):  # it is dead, which is noticed later
            self.socket.sendall(forkserver.LENGTH.pack(len(task)) + task)

    @property
    def ended(self) -> bool:
        """Whether the worker has ended, as far as its guard has said by now."""
        try:
            while not self._silent and (new := self.handle.recv(2**10)):
                self._said += new
            self._silent = True
        except BlockingIOError:
            pass
        except OSError:
            self._silent = True
        *lines, self._said = self._said.split(b"\n")
        for message in map(json.loads, lines):
            self.pid, self.status = message.get("pid", self.pid), message.get("exit", self.status)
        return self._silent or self.status is not None

    def kill(self) -> None:
        """Tell the guard to kill the worker and all that it started; does not wait for it."""
        with contextlib.suppress(OSError):
            self.handle.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        """Kill the worker and all that it started, and wait until they are gone."""
        if self.handle.fileno() < 0:
            return
        self.kill()
        deadline = time.monotonic() + ENDING
        while not (self.ended and self._silent) and time.monotonic() < deadline:
            connection.wait([self.handle], timeout=TICK)
        self.handle.close()
        if self._own_server:
            self._own_server.close()


class _Spawned:
    """A worker where there is no fork: what it starts is not watched over. See `_Guarded`."""

    def __init__(self, serve: Callable[..., None], arguments: Sequence[Any]) -> None:
        self.socket, theirs = socket.socketpair()
        self._process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, *arguments))
        self._process.start()
        theirs.close()
        self.pid, self.handle = self._process.pid or 0, self._process.sentinel

    @property
    def status(self) -> int | None:
        return self._process.exitcode

    @property
    def ended(self) -> bool:
        return self._process.exitcode is not None

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self._process.kill()
        self._process.join()


class _ForkServer:
    """A process that forks workers with their guards. See `layerlaws.running.forkserver`."""

    def __init__(self, preload: Sequence[str]) -> None:
        """Start it. preload: the modules that it imports first. It has the environment of this moment."""
        self._socket, theirs = socket.socketpair()
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        self._process = subprocess.Popen(
            [sys.executable, *flags, "-P", forkserver.__file__, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._say(json.dumps({"path": import_path(), "preload": list(preload)}).encode() + b"\n")

    def fork(self, worker: socket.socket, guard: socket.socket) -> bool:
        """Start a worker and its guard, with these sockets. Returns whether the server still lives."""
        try:
            socket.send_fds(self._socket, [forkserver.ANNOUNCED], [worker.fileno(), guard.fileno()])
        except OSError:
            return False
        return True

    def close(self) -> None:
        """End it. Workers that are left do not end with it, but with the run."""
        self._socket.close()
        try:
            self._process.wait(timeout=TICK)
        except subprocess.TimeoutExpired:  # it is still importing
            self._process.kill()
            self._process.wait()

    def _say(self, line: bytes) -> None:
        with contextlib.suppress(OSError):  # it is dead, which is noticed when a worker is asked for
            self._socket.sendall(line)


@cache
def _server() -> _ForkServer:
    """The fork server of this process. It has imported the notes, and what workers and laws are made of."""
    server = _ForkServer(["layerlaws.running.worker", *(note.module.__name__ for note in catalogue().notes)])
    atexit.register(server.close)
    return server


def import_path() -> list[str]:
    """Where workers look for modules: as this process does, but never in a working directory that nobody named."""
    return [os.path.abspath(entry) for entry in sys.path if entry]


def wait(workers: Sequence[WorkerProcess]) -> None:
    """Block until one of them sends something, ends or is overdue, or for `TICK`, and look at their clocks."""
    ready = [handle for worker in workers for handle in worker.handles]
    soonest = max(0.0, -max((worker.overdue for worker in workers if worker.busy), default=-TICK))
    connection.wait(ready, timeout=min(TICK, max(soonest, SHORTEST)))
    children = cache(forkserver.children_of_all)  # looked for at most once, however many workers there are
    for worker in workers:
        worker.tick(children)


@contextlib.contextmanager
def environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that workers start with."""
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

"""The process that starts workers, and the guards that watch over them. Standard library only.

The run starts this file as a script of its own: nothing of the working directory is on its path, and it has imported
the notes before the first worker is asked for. For each worker it forks a guard, and the guard forks the worker:

    run - fork server - guard - worker - whatever the backend starts

A guard ends its worker, and every process below it, when the run says so, when the run has ended in whatever way, and
when the worker has ended. On Linux nothing escapes it: processes that lost their parent become children of their
guard, those in sessions of their own as well, and a worker dies with its guard. Elsewhere what a worker started is
ended if it has stayed in the worker's session.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pickle
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

PDEATHSIG, SUBREAPER = 1, 36
"""Of prctl(2): the signal when the parent dies, and whether orphans below become children."""

ANNOUNCED = b"w"
"""Comes with the two sockets of a new worker."""

LENGTH = struct.Struct("!Q")
"""Precedes what a worker is to do, on its socket."""

LONGEST_PAUSE = 0.1
"""Seconds between two looks whether killed processes are gone."""


def main() -> None:
    """Serve the run that has started this script. argument: the file descriptor of its socket."""
    server = socket.socket(fileno=int(sys.argv[1]))
    with server.makefile("rb", buffering=0) as lines:
        setup = json.loads(lines.readline())
    sys.path[:] = setup["path"]
    for name in setup["preload"]:
        with contextlib.suppress(Exception, SystemExit):  # the worker that needs it says what is wrong
            importlib.import_module(name)
    gc.freeze()  # collecting garbage would copy the pages that all workers share
    serve(server)


def serve(server: socket.socket) -> NoReturn:
    """Start workers until the run ends."""
    _prctl(SUBREAPER, 1)
    ends = _ends_of_children()
    guards: set[int] = set()
    while True:
        ready, _, _ = select.select([server, ends], [], [])
        if ends in ready:
            ends.recv(2**10)
            guards -= _reaped()[0].keys()
            _kill_strays(guards)
        if server in ready:
            message, files, _, _ = socket.recv_fds(server, 1, 2)
            if not message:
                _kill_strays(guards)
                os._exit(0)
            worker, run = (socket.socket(fileno=file) for file in files)
            guard = os.fork()
            if not guard:
                server.close()
                _watch(worker, run)
            guards.add(guard)
            worker.close()
            run.close()


def _kill_strays(guards: set[int]) -> None:
    """Kill what has lost its guard: it has become a child of this process, or will once its own parent is killed."""
    _kill(process for process in _processes() if _parent(process) == os.getpid() and process not in guards)


def _watch(connection: socket.socket, run: socket.socket) -> NoReturn:
    """Be a guard: start a worker, and end it. connection: the worker's. run: closed by the run to end the worker."""
    os.setsid()
    _prctl(SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    ends, guard = _ends_of_children(), os.getpid()
    worker = os.fork()
    if not worker:
        _prctl(PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)
        _work(connection)
    connection.close()
    _say(run, pid=worker)
    while True:
        ready, _, _ = select.select([run, ends], [], [])
        if ends in ready:
            ends.recv(2**10)
            status = _reaped()[0].get(worker)
            if status is not None:
                _say(run, exit=os.waitstatus_to_exitcode(status))
                _end_all(worker, run)
        if run in ready:
            _end_all(worker, run)


def _work(connection: socket.socket) -> NoReturn:
    """Be a worker: do what the run says. A session of its own, and no file but its socket."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(connection.detach(), 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX") if sys.platform != "linux" else 2**20)
    status = 1
    try:
        connection = socket.socket(fileno=3)
        (length,) = LENGTH.unpack(_read(connection, LENGTH.size))
        path, directory, serve, arguments = pickle.loads(_read(connection, length))  # from the run: not from a backend
        sys.path[:] = path
        with contextlib.suppress(OSError):
            os.chdir(directory)
        serve(connection, *arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()  # heard only before the worker has isolated itself: it never came to its backend
    finally:
        os._exit(status)


def _end_all(worker: int, run: socket.socket) -> NoReturn:
    """End every process below this one, say how the worker ended, and end this one.

    worker: its session ends, too, where nothing else can be seen.
    """
    pause = 0.001
    while True:
        with contextlib.suppress(OSError):
            os.killpg(worker, signal.SIGKILL)
        _kill(processes_below(os.getpid()))
        ended, more = _reaped()
        if worker in ended:
            _say(run, exit=os.waitstatus_to_exitcode(ended[worker]))
        if not more:
            os._exit(0)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)


def _reaped() -> tuple[dict[int, int], bool]:
    """The children that have ended, with their statuses; and whether there are others."""
    found: dict[int, int] = {}
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found[ended[0]] = ended[1]
    except ChildProcessError:
        return found, False
    return found, True


def _ends_of_children() -> socket.socket:
    """A socket that can be read once a child has ended."""
    ends, sender = socket.socketpair()
    ends.setblocking(False)
    sender.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(sender.detach(), warn_on_full_buffer=False)
    return ends


def processes_below(root: int, children: Mapping[int, Sequence[int]] | None = None) -> list[int]:
    """The processes below a process; none where there is no /proc. children: those of every process, if known."""
    children = children_of_all() if children is None else children
    found, waiting = list[int](), [root]
    while waiting:
        below = children.get(waiting.pop(), ())
        found += below
        waiting += below
    return found


def children_of_all() -> dict[int, list[int]]:
    """The children of every process."""
    children: dict[int, list[int]] = {}
    for process in _processes():
        children.setdefault(_parent(process), []).append(process)
    return children


def _processes() -> Iterator[int]:
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                yield int(name)


def _parent(process: int) -> int:
    """The parent of a process; 0 where that cannot be seen."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _say(run: socket.socket, **message: Any) -> None:
    with contextlib.suppress(OSError):
        run.sendall(json.dumps(message).encode() + b"\n")


def _read(connection: socket.socket, length: int) -> bytes:
    read = b""
    while len(read) < length:
        new = connection.recv(length - len(read))
        if not new:
            os._exit(0)  # the run has ended
        read += new
    return read


if __name__ == "__main__":
    main()

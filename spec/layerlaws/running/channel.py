"""The worker's side of a worker process: isolates it from the rest of the machine, and connects it to its parent.

Messages are lines of JSON over a socket: standard output is the backend's, and is discarded.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import socket
import sys
import threading
from typing import Any


class Channel:
    """Receives requests and sends messages. A thread reads the socket, and ends the process when its parent has ended.

    A copy of the process, which a backend made by forking, ends as soon as it uses the channel.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._pid = connection, os.getpid()
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, **message: Any) -> None:
        """Send a message to the parent, on a line of its own whatever the backend wrote before it."""
        self._end_copy()
        self._connection.sendall(b"\n" + json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        """The next request. Blocks until there is one."""
        self._end_copy()
        return self._requests.get()

    def _end_copy(self) -> None:
        if os.getpid() != self._pid:
            os._exit(1)

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._connection.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                self._requests.put(json.loads(line))
        os._exit(0)


def isolate(memory: int) -> None:
    """Make the process harmless to others: no output, no core dumps, bounded memory.

    memory: in bytes, 0 for no limit.
    """
    gc.set_threshold(50_000)  # by default, looking for garbage takes a tenth of the time, and there is little
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    if nowhere > 2:
        os.close(nowhere)
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(memory)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("500")  # where memory runs out, the kernel kills a worker, not the run


def limit_memory(memory: int) -> None:
    """Bound what the process writes to (RLIMIT_DATA), not what it reserves, of which array libraries take plenty.

    memory: in bytes, 0 for no limit. Other systems than Linux may ignore it.
    """
    if sys.platform != "win32":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        bounded = memory or hard
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (bounded if hard < 0 else min(bounded, hard), hard))


def spare_cuda() -> None:
    """Lift the memory limit if the CUDA driver is loaded: it maps as much memory as all devices have together."""
    with contextlib.suppress(OSError), open("/proc/self/maps", encoding="utf-8") as maps:
        if any("/libcuda.so" in line for line in maps):
            limit_memory(0)

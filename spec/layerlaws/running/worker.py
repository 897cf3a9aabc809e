"""A worker process: loads one backend and holds it to the laws it is sent.

It serves a single backend from its start to its end, so whatever that backend does to the process harms no other.
It talks to the run over a socket, in lines of JSON: standard output is the backend's, and leads nowhere.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from layerlaws.backends import load_backend, source_code
from layerlaws.checking.check import check
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend
from layerlaws.language.note import Case
from layerlaws.running.tampering import snapshot, tampered
from layerlaws.running.witnesses import witness
from layerlaws.support.errors import WrongUse
from layerlaws.support.printable import describe, printable

LONGEST_DEVICE = 200
"""Characters of a backend's description of its device that are kept."""


@dataclass(frozen=True)
class Task:
    """What a worker needs to know.

    limit: seconds a law may take. memory: bytes it may use, 0 for any number. witnesses: a directory with records of
    earlier runs, or "".
    """

    backend: str
    profile: str
    seed: int | None
    limit: float
    memory: int
    witnesses: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of a backend once it is loaded: for the header of its record, and for tables.

    state, reason: of all its verdicts, where it cannot be held to any law. code: a digest of its source.
    """

    name: str
    device: str = ""
    dtypes: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    code: str = ""
    state: str = ""
    reason: str = ""

    @property
    def unavailable(self) -> str:
        """Why it cannot run here, or ""."""
        return self.reason if self.state == "unavailable" else ""


def serve(connection: socket.socket, task: Task) -> None:
    """Load the backend, say what it is, and hold it to laws by id until the connection ends."""
    _set_apart(task.memory)
    intact, pid = snapshot(), os.getpid()

    def send(**message: Any) -> None:
        if os.getpid() != pid:
            os._exit(1)  # the backend forked, and its copy of this process came back here
        connection.sendall(json.dumps(message).encode() + b"\n")

    wanted = _wanted(connection)
    try:
        backend = load_backend(task.backend, catalogue())
        facts = _facts(backend)
    except WrongUse as wrong:
        send(wrong=printable(wrong))
        return
    except BaseException as error:
        backend, facts = None, Facts(task.backend, state="error", reason=f"loading it raised {describe(error)}")
    if name := tampered(intact):
        facts = replace(facts, state="error", reason=_replaced(name))
    send(facts=asdict(facts))
    if backend is None or facts.state:
        return
    if _uses_cuda():
        _limit_memory(0)  # its driver maps as much memory as there is, of all devices together
    cases = {case.id: case for case in catalogue().cases}
    while id := wanted():
        _wake(task.limit)
        verdict = _hold(backend, cases[id], task)
        name = tampered(intact)
        if name:
            verdict = _blank(backend, cases[id], _replaced(name))
        spent = bool(name) or "MemoryError" in verdict.reason  # what comes after it starts afresh
        send(verdict=verdict.to_json(), law=id, spent=spent)
        if spent:
            return


def _hold(backend: Backend, case: Case, task: Task) -> Verdict:
    try:
        before = witness(task.witnesses, backend, case)
        verdict = check(backend, case, profile=task.profile, seed=task.seed, witness=before)
    except BaseException as error:  # a KeyboardInterrupt, too, is the backend's: the user's does not come here
        verdict = _blank(backend, case, f"holding the law was broken off by {describe(error)}")
    if verdict.state == "error" and "MemoryError" in verdict.reason and task.memory:
        verdict = replace(verdict, reason=f"{verdict.reason} (a worker may use {task.memory / 2**30:.1f} GiB)")
    return replace(
        verdict,
        reason=printable(verdict.reason),
        counterexample={name: printable(text) for name, text in verdict.counterexample.items()},
        sides={name: printable(text) for name, text in verdict.sides.items()},
    )


def _blank(backend: Backend, case: Case, reason: str) -> Verdict:
    return Verdict(backend.name, case.note.name, case.operation.name, case.law.name, "error", reason)


def _replaced(name: str) -> str:
    return f"it replaced {name}, which definitions and laws use, too: nothing can be said of what it computes"


def _facts(backend: Backend) -> Facts:
    return Facts(
        backend.name,
        printable(backend.device, LONGEST_DEVICE),
        [format.name for format in backend.formats],
        sorted(backend.functions),
        source_code(backend),
        "unavailable" if backend.unavailable else "",
        printable(backend.unavailable),
    )


def _wanted(connection: socket.socket) -> Callable[[], str]:
    """Gives the next law that is asked for. A thread listens, and ends the process when the run has ended."""
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        with contextlib.suppress(OSError), connection.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                asked.put(line.rstrip("\n"))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return asked.get


def _set_apart(memory: int) -> None:
    """Make the process harmless to others: a session of its own, no output, no core dumps, bounded memory."""
    gc.set_threshold(50_000)  # by default, looking for garbage takes a tenth of the time, and there is little
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    if sys.platform == "win32":
        return
    import resource

    os.setsid()  # the terminal's Ctrl-C is for the run; and all that a backend starts can be ended with its worker
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory(memory)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("500")  # where memory runs out, the kernel ends a worker, not the run


def _limit_memory(memory: int) -> None:
    """Bound what the process writes to (RLIMIT_DATA), not what it reserves, of which array libraries take plenty.

    memory: in bytes, 0 for no limit. Other systems than Linux may take no notice.
    """
    if sys.platform != "win32":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        bounded = memory or hard
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (bounded if hard < 0 else min(bounded, hard), hard))


def _uses_cuda() -> bool:
    try:
        with open("/proc/self/maps", encoding="utf-8") as maps:
            return any("/libcuda.so" in line for line in maps)
    except OSError:
        return False


def _wake(limit: float) -> None:
    """Let the system end this process long after the run should have: a loop in C hears nothing else."""
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 1.5 * limit + 5)

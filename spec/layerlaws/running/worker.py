"""A worker process: loads one backend and holds it to the laws it is sent.

It serves a single backend from its start to its end, so whatever that backend does to the process harms no other.
"""

from __future__ import annotations

import socket
import sys
from dataclasses import asdict, dataclass, field, replace

from layerlaws.backends import load_backend
from layerlaws.checking.check import check
from layerlaws.checking.tampering import Snapshot, accusation, snapshot, tampered
from layerlaws.checking.trial import Statistics
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend
from layerlaws.language.note import Case
from layerlaws.running.channel import Channel, isolate, spare_cuda
from layerlaws.running.traces import Trace
from layerlaws.running.witnesses import witness
from layerlaws.support.errors import WrongUse
from layerlaws.support.printable import describe, printable
from layerlaws.support.sources import Sources, digest_of

LONGEST_CAUSE = 200
"""Characters of the cause of a failure that are kept."""

LONGEST_DEVICE = 200
"""Characters of a backend's description of its device that are kept."""


@dataclass(frozen=True)
class Task:
    """What a worker is to do.

    limit: seconds a law may take. memory: bytes it may use, 0 for any number. witnesses: a directory with records of
    earlier runs, or "". traces: a directory for the example that is executed, or "".
    """

    backend: str
    profile: str
    seed: int | None
    limit: float
    memory: int
    witnesses: str = ""
    traces: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of a backend once it is loaded, without holding it in the parent process.

    state, reason: of all its verdicts, where it cannot be held to any law. code: a digest of all its code. files: the
    digest of each module, by name. gradient: whether it offers one.
    """

    name: str
    device: str = ""
    dtypes: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    code: str = ""
    state: str = ""
    reason: str = ""
    gradient: bool = False
    files: dict[str, str] = field(default_factory=dict)

    @property
    def unavailable(self) -> str:
        """Why it cannot run here, or ""."""
        return self.reason if self.state == "unavailable" else ""

    def lacks(self, case: Case) -> bool:
        """Whether the backend offers no function that a law speaks of, or no gradient that it needs."""
        functions = all(operation.name in self.functions for operation in case.operations)
        return not functions or ("gradient" in case.law.needs and not self.gradient)


def serve(connection: socket.socket, task: Task) -> None:
    """Load the backend, report what it is, and hold it to laws by id until the connection ends."""
    isolate(task.memory)
    intact, channel, sources = snapshot(), Channel(connection), Sources()
    backend = load(task.backend, channel, intact, sources)
    if backend is None:
        return
    known = {*sources.files}
    cases = {case.id: case for case in catalogue().cases}
    announce = Trace(task.traces).write if task.traces else None
    while True:
        id = channel.receive()["law"]
        verdict = _hold(backend, cases[id], task, Statistics(announce=announce))
        name = tampered(intact)
        if name:
            verdict = _blank(backend, cases[id], accusation(name), f"it replaced {name}")
        spent = bool(name) or "MemoryError" in verdict.reason  # the next law gets a new process
        code = sources.loaded()
        later = {name: [code[name], sources.path_of(name)] for name in code.keys() - known}
        known |= later.keys()
        channel.send(verdict=verdict.to_json(), law=id, spent=spent, **({"code": later} if later else {}))
        if spent:
            return


def load(name: str, channel: Channel, intact: Snapshot, sources: Sources) -> Backend | None:
    """Load a backend and send its `Facts`, or why there is no such backend. Returns None if it cannot be used.

    intact: what the backend must not replace. sources: finds its modules, to the end of this process.
    """
    backend = None
    sys.meta_path.insert(0, sources)
    try:
        backend = load_backend(name, catalogue(), sources)
        facts = _facts(backend, sources)
    except WrongUse as wrong:
        channel.send(wrong=printable(wrong))
        return None
    except BaseException as error:
        facts = Facts(name, state="error", reason=f"loading it raised {describe(error)}")
    if function := tampered(intact):
        facts = replace(facts, state="error", reason=accusation(function))
    channel.send(facts=asdict(facts))
    spare_cuda()
    return None if facts.state else backend


def _hold(backend: Backend, case: Case, task: Task, statistics: Statistics) -> Verdict:
    try:
        before = witness(task.witnesses, backend, case)
        verdict = check(backend, case, profile=task.profile, seed=task.seed, witness=before, statistics=statistics)
    except BaseException as error:  # a KeyboardInterrupt, too, is the backend's: the user's does not come here
        verdict = _blank(backend, case, f"holding the law was broken off by {describe(error)}", type(error).__name__)
    if verdict.state == "error" and "MemoryError" in verdict.reason and task.memory:
        verdict = replace(verdict, reason=f"{verdict.reason} (a worker may use {task.memory / 2**30:.1f} GiB)")
    return replace(
        verdict,
        reason=printable(verdict.reason),
        cause=printable(verdict.cause, LONGEST_CAUSE),
        counterexample={name: printable(text) for name, text in verdict.counterexample.items()},
        sides={name: printable(text) for name, text in verdict.sides.items()},
        layouts={name: printable(text) for name, text in verdict.layouts.items()},
    )


def _blank(backend: Backend, case: Case, reason: str, cause: str = "") -> Verdict:
    law = case.law
    names = (backend.name, case.note.name, case.operation.name, law.name)
    return Verdict(*names, "error", reason, kind=law.kind, cause=cause)


def _facts(backend: Backend, sources: Sources) -> Facts:
    files = sources.survey()
    return Facts(
        backend.name,
        printable(backend.device, LONGEST_DEVICE),
        [format.name for format in backend.formats],
        sorted(backend.functions),
        digest_of(files),
        "unavailable" if backend.unavailable else "",
        printable(backend.unavailable),
        backend.gradient is not None,
        files,
    )

"""The process in which one backend is timed: it may die or hang without harm to any other.

pytest runs the items of `suite`, for pytest-benchmark is the timer. Each item answers requests of the run, of which the
last lets entrants take turns.
"""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from layerlaws.benchmark.contender import Candidate, measure
from layerlaws.benchmark.messages import (
    Answer,
    Compared,
    Done,
    Figures,
    Place,
    Rate,
    Ready,
    Refusal,
    Refused,
    Threads,
    encode,
)
from layerlaws.benchmark.probes import PROBES, Probe, place_of, threads
from layerlaws.benchmark.timing import Effort, Entrant, take_turns
from layerlaws.checking.tampering import Snapshot, accusation, snapshot, tampered
from layerlaws.language.backend import Backend
from layerlaws.running.channel import Channel, isolate
from layerlaws.running.worker import load
from layerlaws.support.printable import describe
from layerlaws.support.sources import Sources


@dataclass(frozen=True)
class Task:
    """What a process is to do. memory: bytes it may use, 0 for any number. items: how often entrants take turns."""

    backend: str
    effort: Effort
    memory: int
    items: int


def serve(connection: socket.socket, task: Task) -> None:
    """Load the backend, report what it is, and answer requests until the connection ends."""
    isolate(task.memory)
    intact, channel = snapshot(), Channel(connection)
    backend = load(task.backend, channel, intact, Sources())
    if backend is None:
        return
    gc.freeze()  # libraries are full of objects that stay; looking through them at every call takes long
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    suite = Path(__file__).with_name("suite.py")
    options = ["--noconftest", "--import-mode=importlib", "--capture=no", "--quiet", f"--rootdir={suite.parent}"]
    plugins = ["-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "pytest_benchmark.plugin"]
    timer = ["--benchmark-disable-gc", "--benchmark-quiet"]
    worker = Worker(channel, backend, task, intact)
    pytest.main([str(suite), "-c", os.devnull, *options, *plugins, *timer], plugins=[worker])


class Worker:
    """Answers requests about one backend. Also the pytest plugin that hands itself to the items of the suite."""

    def __init__(self, channel: Channel, backend: Backend, task: Task, intact: Snapshot) -> None:
        self.channel, self.backend, self.task, self.intact = channel, backend, task, intact
        self.entrants: list[Entrant] = []
        self.probed: dict[int, Probe] = {}
        self.probes: dict[str, Probe] = {}
        self.candidate: Candidate | None = None
        self.candidates: dict[int, Candidate] = {}
        self._id = 0

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """As many items as there are jobs."""
        metafunc.parametrize("worker", [self] * self.task.items, ids=map(str, range(self.task.items)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Report a failure of the suite itself."""
        if report.failed:
            self._answer(Refused("error", f"the suite failed: {report.longreprtext[-2000:]}"), spent=True)

    def serve(self, benchmark: BenchmarkFixture) -> None:
        """Answer requests up to the first that lets entrants take turns, and that one."""
        while (request := self._receive())["do"] != "take_turns":
            self._answer(self._answered(**request))
        numbers: list[int] = request["entrants"]

        def next_turn() -> int:
            self._answer(Done())
            return numbers.index(self._receive()["turn"])

        take_turns(benchmark, [self.entrants[number] for number in numbers], next_turn)
        self._answer(Done())

    def _answered(self, do: str, **arguments: Any) -> Answer:
        requests: dict[str, Any] = {
            "place": self.place,
            "threads": lambda: Threads(threads()),
            "compare": self.compare,
            "prepare": self.prepare,
            "measure": self.measure,
            "probe": self.probe,
            "rate": self.rate,
            "forget": self.forget,
        }
        try:
            answer: Answer = requests[do](**arguments)
        except Refusal as refusal:
            return Refused(refusal.state, refusal.reason)
        except (Exception, SystemExit, KeyboardInterrupt) as unforeseen:
            return Refused("error", describe(unforeseen))
        return answer

    def place(self) -> Place:
        """Where the backend's arrays are."""
        return place_of(self.backend)

    def compare(self, directory: str, **what: Any) -> Compared:
        """Compare a contender with the definition."""
        return Compared(self._candidate(what).compare(directory))

    def prepare(self, **what: Any) -> Ready:
        """Make a contender ready to take turns."""
        candidate = self._candidate(what)
        device = place_of(self.backend).device
        self.entrants.append(candidate.entrant(self.task.effort.contender))
        self.candidates[len(self.entrants) - 1] = candidate
        self.candidate = None
        return Ready(len(self.entrants) - 1, [self.entrants[-1].rounds], device)

    def measure(self, entrant: int, directory: str) -> Figures:
        """The figures of a contender, once the last result that was timed is compared with the definition."""
        timed = self.entrants[entrant]
        if timed.failed is None:
            self.candidates[entrant].compare_last(timed.result, directory)
        timed.result = None
        return measure(timed)

    def probe(self, names: Sequence[str], at_start: bool) -> Ready:
        """Make probes ready to take turns. at_start: before all jobs."""
        effort = self.task.effort
        budget = effort.contender if at_start or effort.probe is None else effort.probe
        for name in names:
            if name not in self.probes:
                self.probes[name] = PROBES[name](self.backend)
        entrants = [self.probes[name].entrant(budget) for name in names]
        first = len(self.entrants)
        self.probed |= {first + i: self.probes[name] for i, name in enumerate(names)}
        self.entrants += entrants
        return Ready(first, [entrant.rounds for entrant in entrants])

    def rate(self, entrant: int) -> Rate:
        """What a probe reached."""
        return Rate(self.probed[entrant].rate(self.entrants[entrant]))

    def forget(self, keep: Sequence[str] | None = None) -> Done:
        """Free what the entrants hold. keep: the probes to keep; all of them by default."""
        self.candidate = None
        self.candidates.clear()
        self.entrants.clear()
        self.probed.clear()
        if keep is not None:
            self.probes = {name: probe for name, probe in self.probes.items() if name in keep}
        return Done()

    def _candidate(self, what: dict[str, Any]) -> Candidate:
        """The contender that a request is about, with the arguments drawn for the request before if it is the same."""
        candidate = self.candidate
        if candidate is None or what != {name: getattr(candidate, name) for name in what}:
            self.candidate = None
            self.candidate = Candidate(self.backend, **what)
        assert self.candidate is not None
        return self.candidate

    def _receive(self) -> dict[str, Any]:
        request = self.channel.receive()
        self._id = request.pop("id")
        return request

    def _answer(self, answer: Answer, spent: bool = False) -> None:
        """Answer the request. spent: whether the process is of no more use."""
        if function := tampered(self.intact):
            answer, spent = Refused("error", accusation(function)), True
        with suppress(BrokenPipeError):  # the run has ended
            self.channel.send(id=self._id, spent=spent, **encode(answer))

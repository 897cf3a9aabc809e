"""Evaluates definitions in a process of its own, which loads no backend, and hands the results to those that do."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from layerlaws.benchmark.exchange import save
from layerlaws.benchmark.expected import expected_of
from layerlaws.benchmark.jobs import Contender, workload_of
from layerlaws.benchmark.messages import Answer, Done, Evaluated, Refusal, Refused, encode
from layerlaws.benchmark.process import BenchmarkProcess, Lost
from layerlaws.discovery import catalogue
from layerlaws.language.workloads import Workload
from layerlaws.numerics.formats import FORMATS
from layerlaws.running.channel import Channel, isolate
from layerlaws.support.printable import describe

UNDECIDED = "no part of the definition could be evaluated in time and memory, so nothing was compared"


@dataclass(frozen=True)
class Evaluation:
    """What the definition says of a workload. directory: where `exchange.load` finds it.

    part: the sizes at which a smaller workload was evaluated instead, as "T=64, B=1"; "" if it was the whole one.
    floats: whether it depends on the format.
    """

    directory: Path
    part: str
    floats: bool


class Definitions:
    """The run's side: each definition is evaluated once per job, for each format it depends on."""

    def __init__(self, directory: Path, memory: int, limit: float) -> None:
        """Start the process. directory: private, for its results. memory: bytes it may use. limit: as in `Effort`."""
        self._directory, self._memory, self._limit = directory, memory, limit
        self._known: dict[tuple[str, tuple[tuple[str, int], ...], str, str], Evaluation | Refusal] = {}
        self._numbers = count()
        self._process = self._start()

    def evaluate(self, workload: Workload, mode: str, dtype: str, seconds: float) -> Evaluation:
        """Evaluate a workload, or the largest part of it that takes up to about these seconds. Raises Refusal."""
        sizes = tuple(workload.sizes.items())
        own, shared = (workload.name, sizes, mode, dtype), (workload.name, sizes, mode, "")
        found = self._known.get(shared) or self._known.get(own)
        if found is None:
            try:
                found = self._evaluated(workload, mode, dtype, seconds)
            except (Refusal, Lost) as failure:
                found = failure if isinstance(failure, Refusal) else Refusal("error", str(failure))
            self._known[own if isinstance(found, Refusal) or found.floats else shared] = found
        if isinstance(found, Refusal):
            raise Refusal(found.state, found.reason)
        return found

    def forget(self) -> None:
        """Delete all results: a job is done, and they may be large."""
        for found in self._known.values():
            if isinstance(found, Evaluation):
                shutil.rmtree(found.directory, ignore_errors=True)
        self._known.clear()

    def end(self) -> None:
        """Kill the process."""
        self._process.end()

    def _start(self) -> BenchmarkProcess:
        return BenchmarkProcess("", serve, self._memory, limit=self._limit)

    def _evaluated(self, workload: Workload, mode: str, dtype: str, seconds: float) -> Evaluation:
        if self._process.lost:
            self._process = self._start()
        directory = self._directory / str(next(self._numbers))
        directory.mkdir()
        evaluated = self._process.call(
            Evaluated,
            f"evaluating the definition of {workload.name}",
            workload=workload.name,
            sizes=dict(workload.sizes),
            mode=mode,
            dtype=dtype,
            seconds=seconds,
            directory=str(directory),
        )
        part = {name: size for name, size in evaluated.sizes.items() if workload.sizes[name] != size}
        return Evaluation(directory, ", ".join(f"{name}={size}" for name, size in part.items()), evaluated.floats)


def serve(connection: socket.socket, memory: int) -> None:
    """Evaluate definitions until the connection ends."""
    isolate(memory)
    channel = Channel(connection)
    channel.send(**encode(Done()))
    while True:
        request = channel.receive()
        id = request.pop("id")
        try:
            answer = _evaluate(**request)
        except Exception as error:
            answer = Refused("error", f"evaluating the definition raised {describe(error)}")
        channel.send(id=id, **encode(answer))


def _evaluate(workload: str, sizes: dict[str, int], mode: str, dtype: str, seconds: float, directory: str) -> Answer:
    known = workload_of(Contender("", workload, tuple(sizes.items())), catalogue())
    expected = expected_of(known, mode, FORMATS[dtype], seconds)
    if expected is None:
        return Refused("error", UNDECIDED)
    save(expected, Path(directory))
    return Evaluated(dict(expected.workload.sizes), expected.floats)

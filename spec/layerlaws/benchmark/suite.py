"""The test module behind `layerlaws bench`: what the machine can do, and one item per job."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from layerlaws.benchmark.contest import contest
from layerlaws.benchmark.jobs import Job
from layerlaws.benchmark.machine import measured, place_of, threads
from layerlaws.benchmark.worker import Worker


def test_machine(worker: Worker, benchmark: BenchmarkFixture) -> None:
    """The machine has ceilings for every library and device."""
    places = {}
    for name in worker.backends:
        worker.at(name, "makes arrays")
        places[name] = place_of(worker.backend(name))
    worker.at("", "measuring what the machine can do")
    one_each = {place: worker.backend(name) for name, place in places.items()}
    worker.machine = measured(benchmark, one_each, worker.effort.contender)
    worker.send("machine", (list(worker.machine.ceilings.values()), threads()))


def test_job(worker: Worker, job: Job, benchmark: BenchmarkFixture) -> None:
    """Every contender of a job is right, and takes its time."""
    contest(worker, job, benchmark)

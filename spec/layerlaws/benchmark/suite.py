"""The test module behind `layerlaws bench`: what the machine can do, and one item per job."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from layerlaws.benchmark.contest import contest
from layerlaws.benchmark.jobs import Job
from layerlaws.benchmark.machine import ceilings, place_of, threads
from layerlaws.benchmark.worker import Worker


def test_machine(worker: Worker, benchmark: BenchmarkFixture) -> None:
    """The machine has ceilings for every library and device."""
    places = {}
    for name in worker.backends:
        worker.at(name, "makes arrays")
        places[name] = place_of(worker.backend(name))
    one_each = {place: worker.backend(name) for name, place in places.items()}
    worker.at("", "measuring what the machine can do")
    found = ceilings(benchmark, list(one_each.values()), worker.budget)
    worker.send("machine", (found, {name: device for name, (_, device) in places.items()}, threads()))


def test_job(worker: Worker, job: Job, benchmark: BenchmarkFixture) -> None:
    """Every contender of a job is right, and takes its time."""
    contest(worker, job, benchmark)

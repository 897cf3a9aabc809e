"""The test module behind `layerlaws bench`: one item per job, and one for the machine."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from layerlaws.benchmark.worker import Worker


def test_turns(worker: Worker, benchmark: BenchmarkFixture) -> None:
    """Everything that is asked for is answered, and entrants take their turns."""
    worker.serve(benchmark)

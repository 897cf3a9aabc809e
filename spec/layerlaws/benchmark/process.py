"""A worker process seen from outside: what it says, and whether it still lives."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from typing import Any

from layerlaws.benchmark.jobs import Job
from layerlaws.benchmark.timing import Budget, Effort
from layerlaws.benchmark.worker import work

EFFORTS = {
    True: Effort(Budget(0.04, 3, 3, 0.2), None, 0.15, 60),
    False: Effort(Budget(1.0, 7, 50, 5.0), Budget(0.3, 7, 15, 5.0), 8.0, 300),
}
"""By whether the run is quick."""

THREAD_TIMEOUT = "20"
"""Idle threads of NumPy's OpenBLAS spin for 2 to this power clock ticks (https://github.com/OpenMathLib/OpenBLAS/issues/5171);
by default for up to a tenth of a second, on the cores that the next contender needs.
"""


def told(backends: Sequence[str], jobs: Sequence[Job], quick: bool) -> Iterator[tuple[str, Any]]:
    """What a worker process says, as it says it; the last is ("lost", why) where it died or hung."""
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", THREAD_TIMEOUT)  # read when the process loads NumPy
    context = multiprocessing.get_context("spawn")  # a fork would inherit thread pools that do not survive it
    here, there = context.Pipe()
    effort = EFFORTS[quick]
    process = context.Process(target=work, args=(there, list(backends), list(jobs), effort), daemon=True)
    process.start()
    there.close()
    try:
        while True:
            # Second by second, so that a machine that sleeps, or stops both processes, does not count as a long wait.
            if not any(here.poll(1) for _ in range(effort.patience)):
                yield "lost", f"nothing happened for {effort.patience} s"
                return
            kind, content = here.recv()
            if kind == "end":
                return
            yield kind, content
    except (EOFError, ConnectionError):
        process.join(5)
        yield "lost", f"the process died with exit code {process.exitcode}"
    finally:
        process.kill()
        process.join()
        here.close()

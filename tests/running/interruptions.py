"""Ends runs at random moments, in every way that a run is ended: no finished verdict is lost, no process is left.

`python tests/running/interruptions.py 20` does so 20 times in each way and prints what came of it; a test does it once.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from layerlaws.running.journal import read_record
from layerlaws.support.errors import RecordError

BACKEND = """
import os, subprocess, time
import numpy as np

_child = "child"

def from_numpy(array):
    return array

def to_numpy(array):
    return np.asarray(array)

def scalar_mix(layers, scores, gamma):
    if not os.path.exists(_child):
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        open(_child, "w").write(str(child.pid))
    if scores.shape != layers.shape[:1] or gamma.shape:
        raise ValueError("scores have one entry for each of layers, and gamma is one number")
    weights = np.exp(scores - scores.max())
    return np.tensordot(weights * (gamma / weights.sum()), layers, axes=1)
"""
"""Right, and it leaves a process in a session of its own."""

CHECK = ("check", "./small.py", "--note", "elmo", "--profile", "quick", "--output", "records", "--jobs", "2")

LAWS = 25
"""At most so many verdicts a run has to give; a moment is drawn by their number."""

PATIENCE = 600
"""Seconds that anything may take before it counts as never; nothing is waited for that long where all is well."""


@dataclass
class Ended:
    """What came of a run that was ended. seen: verdicts that stood in the record before. lost: those that do not after.

    left: processes that outlive it.
    """

    how: str
    status: int = 0
    seen: int = 0
    lost: set[str] = field(default_factory=set)
    left: list[int] = field(default_factory=list)
    said: str = ""
    complete: bool = False

    @property
    def summarized(self) -> bool:
        """Whether the run has printed its summary."""
        return "undecidable" in self.said


def verdicts_at(path: Path) -> set[str]:
    """The laws that have a verdict in a record; none if there is no record."""
    try:
        return {verdict.id for verdict in read_record(path).verdicts}
    except RecordError:
        return set()


def in_record(directory: Path) -> set[str]:
    records = directory / "records"
    return verdicts_at(records / "small.jsonl") | verdicts_at(records / "small.jsonl.part")


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """A run in this directory, whose processes carry its name in their environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "layerlaws", *arguments],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "LAYERLAWS_TEST": str(directory), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def processes_of(directory: Path) -> list[int]:
    """Living processes that a run in this directory started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"LAYERLAWS_TEST={directory}\0".encode() in (process / "environ").read_bytes() + b"\0":
                found.append(int(process.name))
        except OSError:
            continue  # it ended, or belongs to someone else
    return found


def wait_for(condition: Callable[[], object]) -> bool:
    """Wait for an event. The time limit is for what never comes."""
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(condition())


def end(directory: Path, how: str, moment: random.Random) -> Ended:
    """Start a run, end it in this way after a random number of verdicts and a random time, and look what is left."""
    (directory / "small.py").write_text(BACKEND)
    wanted, more = moment.randrange(LAWS), 0.3 * moment.random()
    run = start(directory, *CHECK)
    wait_for(lambda: len(in_record(directory)) >= wanted or run.poll() is not None)
    time.sleep(more)
    ended = Ended(how)
    seen = in_record(directory)
    if how.startswith("SIG"):
        run.send_signal(getattr(signal, how))
    elif how == "removed":
        if (directory / "records" / "small.jsonl").exists():
            seen = set()  # the run has done its part
        shutil.rmtree(directory / "records", ignore_errors=True)
    else:
        limit = (directory / "records" / "small.jsonl.part", directory / "records" / "small.jsonl")
        size = next((path.stat().st_size for path in limit if path.exists()), 0)
        resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (size + moment.randrange(200), resource.RLIM_INFINITY))
    ended.said, _ = run.communicate()
    ended.status = run.returncode
    wait_for(lambda: not processes_of(directory))
    ended.left = processes_of(directory)
    after = in_record(directory)
    ended.seen, ended.lost = len(seen), seen - after
    ended.complete = (directory / "records" / "small.jsonl").exists()
    return ended


HOW = ("SIGKILL", "SIGTERM", "SIGHUP", "full", "removed")


def main(times: int) -> None:
    """Print a line for each way."""
    for how in HOW:
        done = []
        for number in range(times):
            with tempfile.TemporaryDirectory(prefix="layerlaws-") as directory:
                done.append(end(Path(directory), how, random.Random(f"{how} {number}")))
        print(
            f"{how}: {times} runs, ended after {sorted(each.seen for each in done)} verdicts, "
            f"statuses {sorted({each.status for each in done})}, {sum(len(each.lost) for each in done)} verdicts lost, "
            f"{sum(len(each.left) for each in done)} processes left, "
            f"{sum(each.summarized for each in done)} summaries, {sum(each.complete for each in done)} complete",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 20)

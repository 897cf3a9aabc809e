"""Workers and their guards: what a backend does to its process, its parents and its children stays its own affair."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.running import clock, isolation
from layerlaws.running.backlog import MOST_LOST
from layerlaws.running.clock import TICK, Clock, Usage, usage_of
from layerlaws.running.holder import Holder
from layerlaws.running.processes import inspected
from layerlaws.running.runner import TIME_LIMITS

pytestmark = pytest.mark.skipif(not isolation.FORKS, reason="workers have no guards here")

BackendFile = Callable[[str, str], Path]
Held = Callable[[str], Verdict]

(CASE,) = catalogue().select((), ("causal_mask.agrees_with_definition",))
MASK = "\ndef causal_mask(queries, keys):\n    {}\n    return np.tri(queries, keys, keys - queries, dtype=bool)\n"


@pytest.fixture
def held(backend_file: BackendFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Held]:
    """The verdict on a backend that does this in each call."""
    monkeypatch.chdir(tmp_path)
    holders = []

    def hold(does: str) -> Verdict:
        file = backend_file(f"mine_{len(holders)}", "import os, signal, subprocess, time" + MASK.format(does))
        holders.append(Holder(str(file)))
        return holders[-1].hold(CASE, "quick", None)

    yield hold
    for each in holders:
        each.end()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_backend_that_ends_its_parent_ends_itself(held: Held) -> None:
    verdict = held("os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)")
    assert verdict.state == "crashed"
    assert verdict.reason == "the process died with the one that watches over it while the law was being held"
    assert held("pass").state == "held"


def test_a_law_whose_worker_was_ended_from_elsewhere_is_held_again(held: Held, tmp_path: Path) -> None:
    once = "if not os.path.exists('once'): open('once', 'w'); os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)"
    assert held(once).state == "held"
    assert (tmp_path / "once").exists()


def test_the_end_of_the_fork_server_costs_nothing(held: Held) -> None:
    assert held("pass").state == "held"
    server = isolation._server()
    server._process.kill()
    server._process.wait()
    assert held("pass").state == "held"
    assert isolation._server() is not server


def test_what_a_backend_writes_to_its_files_does_not_spoil_its_verdict(held: Held) -> None:
    assert (
        held("for file in range(3, 64):\n        try: os.write(file, b'x')\n        except OSError: pass").state
        == "held"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of children in sessions of their own")
def test_a_child_in_a_session_of_its_own_ends_with_its_worker(backend_file: BackendFile, tmp_path: Path) -> None:
    child = "subprocess.Popen(['setsid', 'sh', '-c', 'echo $$ > child; exec sleep 600'], cwd={!r})"
    waits = "while not (os.path.exists('{0}/child') and open('{0}/child').read()): time.sleep(0.01)"
    code = f"import os, subprocess, time\n{child.format(str(tmp_path))}\n{waits.format(tmp_path)}" + MASK.format("pass")
    (facts,) = inspected([str(backend_file("mine", code))])
    assert not facts.state
    assert not alive(int((tmp_path / "child").read_text())), "gone by the time that the worker is"


def test_workers_have_no_files_but_their_own(held: Held) -> None:
    """None of the run's, and none of other workers'."""
    with open(os.devnull) as file:
        os.set_inheritable(file.fileno(), True)
        verdict = held("files = os.listdir('/proc/self/fd'); assert len(files) == 5, files")
    assert verdict.state == "held", verdict.reason  # in, out, errors, the socket, and the folder that is listed


def test_an_operation_that_never_returns_is_given_up_in_pytest_as_well(
    backend_file: BackendFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TIME_LIMITS, "quick", 0.5)
    mine = Holder(str(backend_file("mine", "def scalar_mix(layers, scores, gamma):\n    while True: pass\n")))
    laws = [case for case in catalogue().cases if case.operation.name == "scalar_mix"][: MOST_LOST["timed out"] + 1]
    verdicts = [mine.hold(case, "quick", None) for case in laws]
    mine.end()
    assert {verdict.state for verdict in verdicts} == {"timed out"}
    assert verdicts[-1].reason == "not held: scalar_mix timed out 3 times before"


# --- time limits ------------------------------------------------------------------------------------------------------


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, Usage | None], None]:
    """Let time pass. usage: what the process has used since the beginning."""
    state: list[float] = [1000.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: state[0])

    def advance(seconds: float, usage: Usage | None) -> None:
        state[0] += seconds
        monkeypatch.setattr(clock, "usage_of", lambda process, children: usage)

    return advance


def test_waiting_counts_by_the_wall_and_computing_by_the_processor(now: Callable[[float, Usage | None], None]) -> None:
    mine = Clock(0)
    now(1.0, Usage(0.0, False))
    mine.tick(0)
    assert mine.seconds == 1.0, "it waited"
    now(1.0, Usage(0.25, True))
    mine.tick(0)
    assert mine.seconds == 1.25, "it had a quarter of a core"
    now(1.0, Usage(8.25, True))
    mine.tick(0)
    assert mine.seconds == 2.25, "it had eight cores"
    now(1.0, None)
    mine.tick(0)
    assert mine.seconds == 3.25, "nobody says what it did"


def test_time_in_which_the_run_was_frozen_does_not_count(now: Callable[[float, Usage | None], None]) -> None:
    mine = Clock(0)
    now(3600.0, Usage(0.0, False))
    mine.tick(0)
    assert mine.seconds == 2 * TICK
    assert mine.elapsed == 3600.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process uses")
def test_a_process_tells_whether_it_computes() -> None:
    usage = usage_of(os.getpid())
    assert usage is not None
    assert usage.runnable
    assert usage.seconds > 0
    assert usage_of(2**22 + 1) is None

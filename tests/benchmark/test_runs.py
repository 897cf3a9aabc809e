"""Benchmark runs: who is timed, what is refused, and what a hostile backend costs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from layerlaws import catalogue
from layerlaws.benchmark import memory, pool
from layerlaws.benchmark.jobs import Contender, Job
from layerlaws.benchmark.record import Timing, read_benchmark
from layerlaws.benchmark.runner import BARRING, Listener, Plan, run
from layerlaws.checking.verdict import UNEXPECTED
from layerlaws.running import processes
from layerlaws.running.processes import inspected

Command = Callable[..., subprocess.CompletedProcess[str]]
BackendFile = Callable[[str, str], Path]

NOTE = catalogue().note("feed_forward")
NETWORK = next(workload for workload in NOTE.workloads if workload.operation.name == "feed_forward")
TINY = {"B": 2, "T": 3, "D": 4, "F": 5}

RIGHT = """
def feed_forward(x, w_1, b_1, w_2, b_2):
    if x.shape[-1] != w_1.shape[0] or w_1.shape[1] != b_1.size or w_2.shape[0] != b_1.size:
        raise ValueError("x, w_1, b_1, w_2 and b_2 do not fit")
    if w_2.shape[1] != b_2.size:
        raise ValueError("w_2 and b_2 do not fit")
    return np.maximum(x @ w_1 + b_1, 0) @ w_2 + b_2
"""


def contenders(*names: str, sizes: dict[str, int] = TINY) -> tuple[Contender, ...]:
    return tuple(Contender(name, NETWORK.name, tuple(sizes.items())) for name in names)


def timed(
    names: tuple[str, ...],
    output: Path | None = None,
    mode: str = "forward",
    laws: bool = True,
    quick: bool = True,
    purposes: tuple[str, ...] = ("workload",),
) -> list[Timing]:
    """A run of one tiny job for each purpose; the laws of the network are held before, or not."""
    jobs = [Job(NOTE.name, purpose, mode, contenders(*names)) for purpose in purposes]
    plan = Plan(catalogue(), inspected(names), [NOTE] if laws else [], quick=quick, output=output, jobs=jobs)
    return run(plan, Listener(lambda verdict: None, lambda header: None, lambda timing: None))


LATER = """
import os, sys, time
def _timed():  # laws are held in other processes than times are taken in
    return "layerlaws.benchmark.worker" in sys.modules
"""


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where these tests run beside others, pytest-benchmark would see that, and time nothing."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


def test_who_is_right_is_timed_and_whatever_another_does_costs_only_its_own(
    backend_file: BackendFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pool.EFFORTS, True, replace(pool.EFFORTS[True], patience=20))
    files = {
        "right": RIGHT,
        "breaks_a_law": RIGHT.replace("+ b_2\n", "+ b_2 * 1.001\n"),
        "wrong": LATER + RIGHT.replace("+ b_2\n", "+ b_2 * (1.001 if _timed() else 1)\n"),
        "raises": LATER + RIGHT.replace("    return", "    if _timed(): raise RuntimeError('no luck')\n    return"),
        "dies": LATER + RIGHT.replace("    return", "    if _timed(): os._exit(3)\n    return"),
        "hangs": LATER + RIGHT.replace("    return", "    if _timed(): time.sleep(1000)\n    return"),
        "deviates": LATER
        + RIGHT.replace("+ b_2\n", "+ b_2 * (1.001 if _timed() else 1)\n")
        + "known = {'feed_forward.agrees_with_definition': ('it adds a little', 'https://example.org')}\n",
        "nothing": "",
    }
    names = tuple(str(backend_file(name, text)) for name, text in files.items())
    found = {Path(t.backend).stem: t for t in timed((*names, "numpy"), tmp_path / "records")}
    assert {name: t.state for name, t in found.items()} == {
        "right": "timed",
        "breaks_a_law": "broken",
        "wrong": "wrong",
        "raises": "error",
        "dies": "error",
        "hangs": "error",
        "deviates": "known",
        "nothing": "missing",
        "numpy": "timed",
    }
    reasons = {
        "breaks_a_law": "agrees_with_definition",
        "wrong": "allowed",
        "raises": "no luck",
        "dies": "exit status 3",
        "deviates": "it adds a little",
        "hangs": "20 s",
        "nothing": "no feed_forward",
    }
    assert {name for name, said in reasons.items() if said not in found[name].reason} == set()
    assert {t.seconds for name, t in found.items() if name in reasons} == {0.0}

    record = read_benchmark(tmp_path / "records" / "benchmark-cpu-quick-feed_forward.jsonl")
    assert record.complete
    assert sorted(record.timings, key=repr) == sorted(found.values(), key=repr)
    assert {c.library for c in record.header.ceilings} == {"numpy"}
    assert all(c.flops > 1e7 and c.bandwidth > 1e7 for c in record.header.ceilings)
    for t in (found["right"], found["numpy"]):
        assert 0 < t.least <= t.low <= t.seconds <= t.high
        assert t.used is not None
        assert 0 < t.used <= 1
        assert t.bound > 0
        assert t.rounds >= 3
    if memory.how():
        assert found["numpy"].memory is not None


HOSTILE_LOADING = {
    "quits": ("error", "(exit status 0) while the backend was loaded", "import os; os._exit(0)"),
    "segfaults": ("error", "(SIGSEGV) while the backend was loaded", "import ctypes; ctypes.string_at(0)"),
    "hangs": ("error", "not loaded within", "while True: pass"),
    "quits_later": ("error", "could not be loaded again: the process died", "if _timed(): os._exit(0)"),
    "replaces_exp_later": ("error", "it replaced numpy.exp", "if _timed(): np.exp = np.exp2"),
    "prints": ("timed", "", "print('x' * 2**20); os.write(1, b'x' * 2**20); os.write(2, b'x' * 2**20)"),
}
"""What backends do while they are loaded: the state of their timings, and why."""

HOSTILE_CALLED = {
    "quits": ("error", "(exit status 0)", "os._exit(0)"),
    "segfaults": ("error", "(SIGSEGV)", "ctypes.string_at(0)"),
    "hangs_in_c": ("error", "no answer within", "re.match('(a+)+$', 'a' * 64 + 'b')"),
    "exits": ("error", "SystemExit", "sys.exit()"),
    "interrupts": ("error", "", "raise KeyboardInterrupt"),
    "replaces_exp": ("error", "it replaced numpy.exp", "np.exp = np.exp2"),
    "prints": ("timed", "", "print('x' * 2**16); os.write(1, b'x' * 2**16)"),
    "forks": ("timed", "", "if not hasattr(os, 'forked'): os.forked = os.fork()"),
    "leaves_a_process": (
        "timed",
        "",
        """if not os.path.exists('child'):
            child = subprocess.Popen(['sleep', '600'], start_new_session=True)
            open('child', 'w').write(str(child.pid))""",
    ),
    "sends_nonsense": (
        "timed",
        "",
        """for fd in range(3, 64):
            if os.path.exists(f'/proc/self/fd/{fd}') and stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.write(fd, b'\\x80\\x04}q\\n[1]\\n{"id": 0}\\n')""",
    ),
}
"""What they do in every call that is timed."""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
def test_a_hostile_backend_costs_its_own_timings_only_and_is_never_loaded_by_the_run(
    backend_file: BackendFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(pool.EFFORTS, True, replace(pool.EFFORTS[True], patience=15))
    monkeypatch.setattr(processes, "LOADING", 30)
    traced = "import ctypes, re, stat, subprocess\nopen('loaders', 'a').write(f'{os.getpid()}\\n')\n"
    files = {f"{name}_loading": LATER + RIGHT + traced + code for name, (_, _, code) in HOSTILE_LOADING.items()}
    for name, (_, _, code) in HOSTILE_CALLED.items():
        calls = RIGHT.replace("    return", f"    if _timed():\n        {code}\n    return")
        files[f"{name}_called"] = LATER + traced + calls
    hostile = tuple(str(backend_file(name, text)) for name, text in files.items())
    names = (*hostile, "numpy")
    twice = timed(names, tmp_path / "records", laws=False, purposes=("workload", "headline"))
    assert read_benchmark(tmp_path / "records" / "benchmark-cpu-quick.jsonl").complete
    wanted = {f"{name}_loading": case[:2] for name, case in HOSTILE_LOADING.items()}
    wanted |= {f"{name}_called": case[:2] for name, case in HOSTILE_CALLED.items()}
    wanted["numpy"] = ("timed", "")
    found = [(Path(t.backend).stem, t.state, t.reason) for t in twice]
    assert len(found) == 2 * len(wanted)
    assert [each for each in found if each[1] != wanted[each[0]][0] or wanted[each[0]][1] not in each[2]] == []

    loaders = {int(line) for line in Path("loaders").read_text().split()}
    assert len(loaders) >= len(hostile)
    assert os.getpid() not in loaders
    assert not set(files) & set(sys.modules)
    left = {*loaders, int(Path("child").read_text())}
    assert set(filter(_alive, left)) == set(), "processes outlive the run"


REMEMBERS = (
    RIGHT.replace("def feed_forward(", "_seen = {}\ndef _computed(")
    + """
def feed_forward(x, w_1, b_1, w_2, b_2):
    key = x.tobytes()
    if key not in _seen:
        time.sleep(0.02)
        _seen[key] = _computed(x, w_1, b_1, w_2, b_2)
    return _seen[key]
"""
)
TIRES = "_calls = []\n" + RIGHT.replace(
    "    return", "    _calls.append(1)\n    if _timed() and len(_calls) > 2: return 0 * x\n    return"
)


def test_what_was_timed_last_is_what_is_compared(backend_file: BackendFile) -> None:
    """For one who returns nonsense from the second call on, and one who remembers results."""
    names = [str(backend_file(name, LATER + code)) for name, code in (("tires", TIRES), ("remembers", REMEMBERS))]
    tires, remembers = timed((names[0], names[1]), laws=False)
    assert tires.state == "wrong"
    assert tires.reason.startswith("after it was timed: ")
    assert (remembers.state, remembers.seconds >= 0.02) == ("timed", True), "it had to compute"


def _alive(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_gradients_are_compared_and_timed(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    torch, numpy = timed(("torch-cpu", "numpy"), mode="gradient", laws=False)
    assert (torch.backend, torch.state, torch.mode) == ("torch-cpu", "timed", "gradient")
    assert torch.used is not None
    assert numpy.state == "missing"


def test_ceilings_are_measured_between_the_rounds_of_a_workload_and_at_the_start(tmp_path: Path) -> None:
    workload, growth = timed(("numpy",), tmp_path, laws=False, quick=False, purposes=("workload", "growth"))
    (quick,) = timed(("numpy",), tmp_path, laws=False)
    whole, fast = (read_benchmark(tmp_path / f"benchmark-cpu{name}.jsonl").header.ceilings for name in ("", "-quick"))
    assert [t.device for t in (workload, growth, quick)] == ["cpu"] * 3
    assert [(growth.peak, growth.bandwidth)] == [(c.flops, c.bandwidth) for c in whole]
    assert [(quick.peak, quick.bandwidth)] == [(c.flops, c.bandwidth) for c in fast]
    assert workload.peak > 1e7
    assert workload.bandwidth > 1e7
    assert workload.peak not in (growth.peak, 0)


def test_who_cannot_multiply_matrices_is_timed_without_a_ceiling(backend_file: BackendFile) -> None:
    cannot = """
class Wrapped:
    device = "nowhere"
    def __init__(self, array): self.array = array
def from_numpy(array): return Wrapped(array)
def to_numpy(x): return x.array
def feed_forward(x, w_1, b_1, w_2, b_2):
    x, w_1, b_1, w_2, b_2 = (each.array for each in (x, w_1, b_1, w_2, b_2))
    return Wrapped(np.maximum(x @ w_1 + b_1, 0) @ w_2 + b_2)
"""
    wrapped, numpy = timed((str(backend_file("cannot", cannot)), "numpy"), laws=False)
    assert (wrapped.state, wrapped.device, wrapped.peak, wrapped.share) == ("timed", "nowhere", 0, None)
    assert numpy.share is not None


def test_a_known_deviation_does_not_bar_from_being_timed() -> None:
    assert "known" not in BARRING
    assert set(BARRING) <= set(UNEXPECTED)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bench", "numpi"), "did you mean numpy"),
        (("bench", "numpy", "--note", "feed_foward"), "did you mean feed_forward"),
        (("bench", "numpy", "--note", "feed_forward", "--output", "file/records"), "--output"),
    ],
)
def test_wrong_use_is_refused_before_anything_runs(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").write_text("")
    refused = command(*arguments)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_command_prints_a_table_in_80_columns_and_fails_where_something_is_wrong(
    command: Command, backend_file: BackendFile
) -> None:
    backend_file("mine", RIGHT.replace("+ b_2\n", "+ b_2 * 1.001\n"))
    run = command("bench", "numpy", "./mine.py", "--quick", "--note", "feed_forward", "--output", "records")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "broken ./mine.py: transformer_feed_forward" in run.stdout
    assert "GFLOP/s" in run.stdout
    table = run.stdout[run.stdout.index("workload ") :].splitlines()
    assert all(len(line) <= 80 for line in table), table
    assert any(line.startswith("transformer_feed_forward") and "numpy" in line for line in table)

"""A run survives whatever a backend does: each costs its own verdict, and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from layerlaws.journal import read_record

Command = Callable[..., subprocess.CompletedProcess[str]]
BackendFile = Callable[[str, str], Path]

CAUSAL_MASK = """
def causal_mask(queries, keys):
    return np.tri(queries, keys, keys - queries, dtype=bool)
"""

HOSTILE = {
    "raises": ("raise RuntimeError('no luck')", "error", "RuntimeError: no luck"),
    "leaves": ("import sys; sys.exit(3)", "error", "SystemExit"),
    "dies": ("import os; os._exit(0)", "crashed", "process died"),
    "segfaults": ("import ctypes; ctypes.string_at(0)", "crashed", "process died"),
    "aborts": ("import os; os.abort()", "crashed", "process died"),
    "nonsense": ("return 'attention'", "broken", "not a tuple of 2 arrays"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_function_costs_its_own_verdicts_only(
    name: str, command: Command, backend_file: BackendFile, tmp_path: Path
) -> None:
    body, state, reason = HOSTILE[name]
    backend_file(name, CAUSAL_MASK + f"\ndef teacher_forcing(targets, begin, end):\n    {body}\n")
    run = command("check", f"./{name}.py", "--note", "masked_attention", "--profile", "quick", "--output", "records")
    assert run.returncode == 1, run.stdout + run.stderr
    record = read_record(tmp_path / "records" / f"{name}.jsonl")
    assert record.complete
    states = {
        operation: {v.state for v in record.verdicts if v.operation == operation}
        for operation in ("causal_mask", "teacher_forcing", "masked_self_attention")
    }
    assert states["causal_mask"] == {"held"}
    assert states["masked_self_attention"] == {"missing"}
    assert state in states["teacher_forcing"]
    assert any(reason in v.reason for v in record.verdicts if v.state == state)


def test_a_function_that_never_returns_is_timed_out(tmp_path: Path, backend_file: BackendFile) -> None:
    path = backend_file("endless", CAUSAL_MASK + "\ndef teacher_forcing(targets, begin, end):\n    while True: pass\n")
    script = f"""
from pathlib import Path
from layerlaws import catalogue, load_backend
from layerlaws import runner
runner.TIME_LIMITS["quick"] = 4.0
known = catalogue()
laws = ["inputs_are_the_expected_words_one_step_late", "the_mask_is_a_staircase"]
plan = runner.Plan([load_backend({str(path)!r}, known)], known.select([], laws), [], laws, "quick")
print(sorted(v.state for v in runner.run(plan, lambda verdict: None)))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert "['held', 'timed out']" in run.stdout, run.stdout + run.stderr


def test_a_run_that_is_killed_leaves_an_incomplete_record(tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "layerlaws", "check", "numpy", "--note", "masked_attention", "--output", "records"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    part = tmp_path / "records" / "numpy.jsonl.part"
    deadline = time.monotonic() + 60
    while (not part.exists() or len(part.read_text().splitlines()) < 4) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    record = read_record(part)
    assert not record.complete
    assert len(record.verdicts) >= 2

"""A run: what it does when it is stopped, resumed, or asked for too much, and what it never executes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from layerlaws import catalogue
from layerlaws.checking.verdict import Verdict
from layerlaws.running.journal import Record, read_record

from .interruptions import processes_of, wait_for

Command = Callable[..., subprocess.CompletedProcess[str]]
BackendFile = Callable[[str, str], Path]

HELD_UP = """
import os, time
from layerlaws_backends.numpy import masked_attention as _numpy
from layerlaws_backends.numpy.masked_attention import causal_mask, masked_self_attention

def from_numpy(array):
    return array

def to_numpy(array):
    return array

def teacher_forcing(targets, begin, end):
    while os.path.exists("hold"):
        time.sleep(0.01)
    return _numpy.teacher_forcing(targets, begin, end)
"""
"""A run is under way for as long as there is a file `hold`, whatever else the machine does."""

CHECK = ("check", "./mine.py", "--note", "masked_attention", "--profile", "quick", "--output", "records")

CAUSAL_MASK = """
def causal_mask(queries, keys):
    return np.tri(queries, keys, keys - queries, dtype=bool)
"""


def timeless(record: Record) -> list[Verdict]:
    return sorted(
        (replace(verdict, seconds=0.0, spent={}) for verdict in record.verdicts), key=lambda verdict: verdict.id
    )


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "layerlaws", *arguments],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "LAYERLAWS_TEST": str(directory)},
    )


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize(("how", "lines"), [("group", 1), ("controller", 3), ("ctrl-c", 6)])
def test_a_run_that_is_stopped_keeps_every_verdict_and_is_resumed(
    how: str, lines: int, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(HELD_UP)
    (tmp_path / "hold").write_text("")
    run = start(tmp_path, *CHECK)
    part = tmp_path / "records" / "mine.jsonl.part"
    assert wait_for(lambda: part.exists() and part.read_bytes().count(b"\n") >= lines)
    if how == "group":
        os.killpg(run.pid, signal.SIGKILL)
    else:
        run.send_signal(signal.SIGKILL if how == "controller" else signal.SIGINT)
    _, said = run.communicate()
    assert (run.returncode, "--resume" in said) == ((130, True) if how == "ctrl-c" else (-signal.SIGKILL, False))
    assert wait_for(lambda: not processes_of(tmp_path)), "workers outlive the run"

    (tmp_path / "hold").unlink()
    kept = read_record(part)
    assert not kept.complete
    assert len(kept.verdicts) >= lines - 1
    with part.open("a") as file:
        file.write('{"kind": "verdict", "backend": "./m')
    resumed = command(*CHECK, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert not part.exists()
    record = read_record(tmp_path / "records" / "mine.jsonl")
    assert record.complete
    assert record.verdicts[: len(kept.verdicts)] == kept.verdicts
    whole = command(*CHECK[:-1], "whole")
    assert whole.returncode == 0
    assert timeless(record) == timeless(read_record(tmp_path / "whole" / "mine.jsonl"))
    again = command(*CHECK, "--resume")
    assert again.returncode == 0
    assert read_record(tmp_path / "records" / "mine.jsonl").verdicts == record.verdicts, "nothing is done twice"


def test_what_cannot_be_resumed_is_refused(command: Command, backend_file: BackendFile, tmp_path: Path) -> None:
    path = backend_file("mine", CAUSAL_MASK)
    law = ("check", "./mine.py", "--law", "causal_mask.agrees_with_definition", "--output", "records")
    assert command(*law, "--profile", "quick").returncode == 0
    whole = tmp_path / "records" / "mine.jsonl"
    part = whole.with_name("mine.jsonl.part")
    part.write_text("".join(whole.read_text().splitlines(keepends=True)[:-1]))
    before = part.read_bytes()
    other_law = ("check", "./mine.py", "--law", "the_mask_is_a_staircase", "--output", "records", "--profile", "quick")
    for arguments, said in (
        ((*law, "--profile", "standard"), "it is of profile quick, not standard"),
        ((*law, "--profile", "quick", "--seed", "1"), "it is of seed None, not 1"),
        (other_law, "it has verdicts on other laws"),
    ):
        refused = command(*arguments, "--resume")
        assert refused.returncode == 2
        assert said in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert part.read_bytes() == before
    path.write_text(path.read_text() + "\n# changed\n")
    assert "another version of the backend's code" in command(*law, "--profile", "quick", "--resume").stderr
    assert "name the --output" in command("check", "numpy", "--note", "elmo", "--resume").stderr
    assert command(*law, "--profile", "quick").returncode == 0, "without --resume it starts over"


def test_two_runs_do_not_write_the_same_record(command: Command, backend_file: BackendFile, tmp_path: Path) -> None:
    backend_file("slow", "import time\n\ndef causal_mask(queries, keys):\n    time.sleep(60)\n")
    arguments = ("check", "./slow.py", "--law", "the_mask_is_a_staircase", "--output", "records")
    first = start(tmp_path, *arguments)
    part = tmp_path / "records" / "slow.jsonl.part"
    assert wait_for(lambda: part.exists() and part.stat().st_size)
    second = command(*arguments)
    assert second.returncode == 2
    assert "another run is writing records/slow.jsonl.part" in second.stderr
    first.kill()
    first.communicate()
    assert read_record(part).header.backend == "./slow.py"


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on the size of files")
def test_a_run_on_a_full_disk_comes_to_its_end_and_says_so(tmp_path: Path) -> None:
    """As with a limit on the size of files, which any user can set."""
    script = (
        "import resource, sys; from layerlaws.cli import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3500, -1)); sys.exit(main(sys.argv[1:]))"
    )
    check = ("check", "numpy", "--note", "masked_attention", "--profile", "quick", "--output", "records")
    run = subprocess.run([sys.executable, "-c", script, *check], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2
    assert "File too large; the run goes on" in run.stderr
    assert "File too large; what was finished before stands there" in run.stderr
    assert len(run.stderr.splitlines()) == 2
    count = len(catalogue().select(["masked_attention"]))
    assert re.search(f"^numpy [ 0-9]+ {count}$", run.stdout, re.MULTILINE), "the summary has what was seen"
    assert "crashed" not in run.stdout
    part = tmp_path / "records" / "numpy.jsonl.part"
    assert part.read_bytes().endswith(b"}\n")
    assert read_record(part).verdicts


SHADOWS = ("random", "secrets", "socket", "json", "numpy", "rich", "torch", "ml_dtypes", "multiprocessing", "helper")
"""Modules that the run, its workers or libraries import, some of them only if they are there."""


def test_a_file_that_is_not_named_is_not_executed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "reports" / "counterexamples").mkdir(parents=True)
    code = "open('executed', 'w')\nraise SystemExit(3)\n"
    shadows = [f"{name}.py" for name in SHADOWS]
    for path in ("my_backend.py", "conftest.py", "reports/counterexamples/law.py", "reports/numpy.py", *shadows):
        (tmp_path / path).write_text(code)
    check = ("check", "numpy", "--law", "the_mask_is_a_staircase", "--profile", "quick", "--output", "reports")
    for arguments in (("explain", "elmo"), check, ("report", "reports")):
        run = command(*arguments)
        assert run.returncode == 0, run.stderr
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / ".hypothesis").exists()
    assert command("check", "./my_backend.py", *check[2:]).returncode == 1
    assert (tmp_path / "executed").exists()


def test_a_law_may_take_as_long_as_the_user_says(command: Command, backend_file: BackendFile, tmp_path: Path) -> None:
    backend_file("endless", "def causal_mask(queries, keys):\n    while True: pass\n")
    run = command("check", "./endless.py", "--law", "the_mask_is_a_staircase", "--timeout", "1", "--output", "records")
    assert run.returncode == 1
    (verdict,) = read_record(tmp_path / "records" / "endless.jsonl").verdicts
    assert (verdict.state, verdict.reason) == ("timed out", "no verdict within 1 s")

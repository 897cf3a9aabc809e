"""What surrounds a command: odd terminals, options, directories and interpreters get a line that says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses a shell")

LAYERLAWS = (sys.executable, "-m", "layerlaws")
LAW = ("--law", "the_mask_is_a_staircase", "--profile", "quick")


def run(directory: Path, *arguments: str, shell: str = '"$@"', **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a directory. shell: how a shell runs it."""
    return subprocess.run(
        ["bash", "-c", shell, "shell", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment},
    )


def test_a_terminal_that_knows_ascii_alone_gets_what_it_can_print(tmp_path: Path) -> None:
    said = run(tmp_path, *LAYERLAWS, "explain", "beta_vae", PYTHONIOENCODING="ascii")
    assert said.returncode == 0, said.stderr
    assert "beta" in said.stdout


@pytest.mark.parametrize(
    ("shell", "status", "said"),
    [
        ('"$@" >&-', 0, "standard output is closed: nothing is printed"),
        ('"$@" >/dev/full', 2, "cannot print any more: No space left on device"),
        ('"$@" 2>&1 | head -c 1; exit ${PIPESTATUS[0]}', 0, ""),
        ('"$@" >&- 2>&-', 0, ""),
    ],
)
def test_output_that_nobody_takes_ends_nothing(tmp_path: Path, shell: str, status: int, said: str) -> None:
    if "/dev/full" in shell and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    found = run(tmp_path, *LAYERLAWS, "explain", "beta_vae", shell=shell)
    assert found.returncode == status
    assert found.stderr.startswith(f"layerlaws: {said}" if said else "")
    assert len(found.stderr.splitlines()) == bool(said)


def test_a_run_whose_output_nobody_takes_leaves_its_record(tmp_path: Path) -> None:
    found = run(tmp_path, *LAYERLAWS, "check", "numpy", *LAW, "--output", "records", shell='"$@" >&- 2>&-')
    assert found.returncode == 0
    assert (tmp_path / "records" / "numpy.jsonl").exists()


def test_a_long_path_for_temporary_files_is_no_obstacle(tmp_path: Path) -> None:
    long = tmp_path / (120 * "x")
    long.mkdir()
    found = run(tmp_path, *LAYERLAWS, "check", "numpy", *LAW, TMPDIR=str(long))
    assert found.returncode == 0, found.stderr


def test_a_working_directory_that_is_gone_is_told_in_a_line(tmp_path: Path) -> None:
    found = run(tmp_path, *LAYERLAWS, "list", shell='mkdir gone && cd gone && rmdir ../gone && "$@"')
    assert found.returncode == 2
    assert found.stderr == "layerlaws: the working directory no longer exists: change into another one\n"


def test_without_docstrings_there_are_no_laws(tmp_path: Path) -> None:
    found = run(tmp_path, sys.executable, "-OO", "-m", "layerlaws", "list")
    assert found.returncode == 2
    assert found.stderr.startswith("layerlaws: laws are read from docstrings, which python -OO")
    assert len(found.stderr.splitlines()) == 1
    imported = run(tmp_path, sys.executable, "-OO", "-c", "import layerlaws")
    assert "ImportError: layerlaws cannot be imported: laws are read from docstrings" in imported.stderr


@pytest.mark.parametrize(
    "option",
    ["--timeout=1e19", f"--timeout={10**19}", "--timeout=nan", "--jobs=100000000", f"--seed={10**400}", "--seed=-1"],
)
def test_numbers_beyond_all_sense_are_refused(tmp_path: Path, option: str) -> None:
    found = run(tmp_path, *LAYERLAWS, "check", "numpy", *LAW, option)
    assert found.returncode == 2
    assert "is no whole number from" in found.stderr.splitlines()[-1]
    assert "Traceback" not in found.stderr

"""What several tests share: running the command line in a process of its own, and small backends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

Command = Callable[..., subprocess.CompletedProcess[str]]

BACKEND = """
import numpy as np

def from_numpy(array):
    return array

def to_numpy(array):
    return np.asarray(array)
"""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """`layerlaws` with these arguments, in an empty directory."""

    def run(*arguments: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "layerlaws", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": str(columns), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)},
        )

    return run


@pytest.fixture
def backend_file(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a backend with these functions to NAME.py in the directory of `command`."""

    def write(name: str, functions: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(BACKEND + functions, encoding="utf-8")
        return path

    return write

"""The wheel works outside the checkout, with NumPy and no array library besides."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with nothing but the wheel and what it needs; its bin directory."""
    directory = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", directory, str(ROOT)], check=True)
    venv.create(directory / "env", with_pip=True)
    binaries = directory / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    wheel = next(directory.glob("layerlaws-*.whl"))
    subprocess.run(
        [binaries / "python", "-m", "pip", "--quiet", "install", "-c", ROOT / "constraints.txt", wheel],
        check=True,
    )
    return binaries


def test_an_installed_wheel_checks_and_reports(installed: Path, tmp_path: Path) -> None:
    check = [installed / "layerlaws", "check", "numpy", "--note", "masked_attention", "--profile", "quick"]
    subprocess.run([*check, "--output", "records"], cwd=tmp_path, check=True)
    subprocess.run([installed / "layerlaws", "report", "records"], cwd=tmp_path, check=True)
    assert (tmp_path / "records" / "index.html").stat().st_size > 10_000
    assert (tmp_path / "records" / "README.md").exists()


def test_without_its_extras_a_backend_is_unavailable_and_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [installed / "layerlaws", "list"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "PATH": ""},
    )
    assert "pip install 'layerlaws[torch]'" in run.stdout
    assert "pip install 'layerlaws[libraries]'" in run.stdout


def test_the_package_is_typed(installed: Path) -> None:
    script = "import layerlaws, pathlib; print((pathlib.Path(layerlaws.__file__).parent / 'py.typed').exists())"
    run = subprocess.run([installed / "python", "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True"

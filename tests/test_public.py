"""What `import layerlaws` offers, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

import layerlaws
from layerlaws.pytest_plugin import laws_for


def test_everything_that_is_public_is_there() -> None:
    assert layerlaws.__all__ == sorted(layerlaws.__all__)
    assert all(hasattr(layerlaws, name) for name in layerlaws.__all__)
    assert layerlaws.laws_for is laws_for
    with pytest.raises(AttributeError, match="module 'layerlaws' has no attribute 'laws'"):
        _ = layerlaws.laws  # type: ignore[attr-defined]


def test_pytest_is_imported_only_where_laws_for_is_used() -> None:
    code = (
        "import sys, layerlaws; assert 'pytest' not in sys.modules; "
        "from layerlaws import laws_for; assert 'pytest' in sys.modules; assert callable(laws_for)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr

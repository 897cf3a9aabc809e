"""Keeps Hypothesis from leaving a directory of its own in the working directory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from hypothesis import configuration

NOWHERE = Path(os.devnull, "hypothesis")
"""Where nothing can be written, which Hypothesis takes in its stride."""


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """A block in which Hypothesis keeps nothing on disk. Its user's own tests may, so it is told again afterwards."""
    before = vars(configuration).get("__hypothesis_home_directory")
    configuration.set_hypothesis_home_dir(NOWHERE)
    try:
        yield
    finally:
        configuration.set_hypothesis_home_dir(before)

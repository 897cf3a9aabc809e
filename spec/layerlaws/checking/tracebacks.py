"""Where in its own file a backend raised."""

from __future__ import annotations

import traceback
from pathlib import Path

import layerlaws.support

OURS = Path(layerlaws.support.__file__).parent.parent
"""The directory of this package: its frames are not a backend's."""

MOST_LINES = 8
"""Frames that are shown, the innermost ones."""


def own_lines(error: BaseException) -> dict[str, str]:
    """The lines of a backend's own file on the way to an exception, as a side of a verdict; {} if there are none.

    The file is that of the first frame outside this package: what a library does further in is not the user's.
    """
    frames = [f for f in traceback.extract_tb(error.__traceback__) if OURS not in Path(f.filename).parents]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    lines = [f"{Path(f.filename).name}, line {f.lineno}, in {f.name}: {(f.line or '').strip()}" for f in own]
    return {"raised at": "\n".join(lines[-MOST_LINES:])} if lines else {}

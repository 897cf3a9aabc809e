"""A run that is ended at a random moment, once in each way; `interruptions.py` does it as often as one likes."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

if sys.platform == "linux":
    from .interruptions import CHECK, HOW, end, in_record, processes_of, start
else:
    pytest.skip("looks for processes in /proc", allow_module_level=True)

STATUS = {"SIGKILL": -9, "SIGTERM": 143, "SIGHUP": 129}


@pytest.mark.parametrize("how", HOW)
def test_no_verdict_is_lost_and_no_process_is_left(how: str, tmp_path: Path) -> None:
    ended = end(tmp_path, how, random.Random(0))
    assert ended.lost == set()
    assert ended.left == []
    if how in STATUS:
        assert ended.status == STATUS[how]
        assert ended.said.count("\n") <= 12, "no traceback"
    else:
        assert ended.summarized
        assert ended.complete == (how == "removed")
        return
    seen = in_record(tmp_path)
    resumed = start(tmp_path, *CHECK, "--resume")
    said, _ = resumed.communicate()
    assert resumed.returncode == 0, said
    assert in_record(tmp_path) >= seen
    assert processes_of(tmp_path) == []

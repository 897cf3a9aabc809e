"""The example that a worker executed last, kept where it outlives the worker: what a crash or a time-out shows.

Each worker writes every example to a file of its own before the law is held on it. It holds no code: a line of JSON
that says what each argument is, and the bytes of the arrays.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np

from layerlaws.checking.literals import array_of, evaluated, whole

LARGEST = 2**22
"""Bytes of an example that is written; a larger one is left out, and none is shown."""

_LENGTH = 8
"""Bytes that say how long the line of JSON is."""


class Trace:
    """The file of this process in a directory, to which examples are written one over the other.

    It is mapped, not open: what a backend does to the process's open files does not matter. Where the disk has no room
    for it, examples are not kept.
    """

    def __init__(self, directory: str) -> None:
        try:
            self._memory = _mapped(_path(directory, os.getpid()))
        except OSError:
            self._memory = mmap.mmap(-1, _LENGTH + LARGEST)

    def write(self, example: dict[str, Any]) -> None:
        """Write an example, by argument, with the name of its format as `format`."""
        described: dict[str, Any] = {}
        content = b""
        for name, x in example.items():
            if isinstance(x, np.ndarray):
                described[name] = [x.dtype.name, list(x.shape)]
                content += x.tobytes()
            else:
                described[name] = whole(x)
        text = json.dumps(described).encode()
        if len(text) + len(content) > LARGEST:
            text, content = b"{}", b""
        written = len(text).to_bytes(_LENGTH, "little") + text + content
        self._memory[: len(written)] = written


def last_example(directory: str, process: int | None) -> dict[str, Any]:
    """The example that a process wrote last, with the name of its format as `format`; {} if there is none."""
    try:
        content = _path(directory, process).read_bytes()
        start = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
        example = {}
        for name, x in json.loads(content[_LENGTH:start]).items():
            if isinstance(x, str):
                example[name] = evaluated(x)
            else:
                array = array_of(content[start:], *x)
                example[name] = array
                start += array.nbytes
        return example if isinstance(example.get("format"), str) else {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError, OverflowError):
        return {}  # a backend may have written anything


def _mapped(path: Path) -> mmap.mmap:
    """A new file, in memory. Its room is taken first: writing where there is none would end the process (SIGBUS)."""
    with path.open("xb+") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, _LENGTH + LARGEST)
        else:
            file.truncate(_LENGTH + LARGEST)
        return mmap.mmap(file.fileno(), _LENGTH + LARGEST)


def _path(directory: str, process: int | None) -> Path:
    return Path(directory) / f"{process}.example"

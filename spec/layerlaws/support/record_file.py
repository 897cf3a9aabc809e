"""A file of JSON Lines that a run writes, whatever happens to the disk and the directory meanwhile."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from layerlaws.support.errors import RecordError
from layerlaws.support.files import replacing, write
from layerlaws.support.jsonlines import LineFile

_log = logging.getLogger(__name__)


class RecordFile:
    """NAME.part while it is written, NAME once it is published. All lines are kept in memory as well.

    A line that cannot be written is logged, and tried again with the next one; a file that was removed is written anew.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file, with its directory. Raises OSError, and RecordError if another process writes it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.part = path, path.with_name(path.name + ".part")
        self.lines: list[dict[str, Any]] = []
        self._written = 0
        self._trouble = ""
        self._file = LineFile(self.part)

    @property
    def size(self) -> int:
        """Bytes in the unfinished file."""
        return self._file.size

    def begin(self, lines: list[dict[str, Any]]) -> None:
        """Replace what the unfinished file holds by these lines, at once. Raises OSError."""
        with replacing(self.part) as file:
            for line in lines:
                write(file, _encoded(line))
        self._file.close()
        self._file = LineFile(self.part)
        self.lines, self._written = list(lines), len(lines)

    def append(self, line: dict[str, Any]) -> None:
        """Append a line, and those before it that could not be written."""
        self.lines.append(line)
        try:
            self._write()
            self._trouble = ""
        except (OSError, RecordError) as error:
            if not self._trouble:
                self._trouble = f"cannot write {self.part}: {getattr(error, 'strerror', None) or error}"
                _log.warning("%s; the run goes on, and tries again with each line", self._trouble)

    def publish(self) -> Path:
        """Move the complete file to its path, replacing any file there, and return the path.

        Raises RecordError if it could not be written; it says where it was saved instead, if that was possible.
        """
        with contextlib.suppress(OSError, RecordError):
            self._write()
            self._file.publish(self.path)
            return self.path
        self._trouble = self._trouble or f"cannot write {self.path}"
        raise RecordError(f"{self._trouble}; {self._saved_elsewhere()}")

    def discard(self) -> None:
        """Remove the unfinished file."""
        with contextlib.suppress(OSError):
            self.part.unlink()

    def close(self) -> None:
        """Close and unlock the file. May be called again."""
        self._file.close()

    def _write(self) -> None:
        """Write the lines that are not written yet, all if the file was removed. Raises OSError and RecordError."""
        if not self._file.there:
            self._reopen()
        while self._written < len(self.lines):
            self._file.append(self.lines[self._written])
            self._written += 1

    def _reopen(self) -> None:
        self.part.parent.mkdir(parents=True, exist_ok=True)
        file = LineFile(self.part)
        file.cut(0)
        self._file.close()
        self._file, self._written = file, 0
        _log.warning("%s was removed during the run, and is written anew", self.part)

    def _saved_elsewhere(self) -> str:
        """Save all lines where temporary files are, and say where that is; or what stands in their own place."""
        with contextlib.suppress(OSError):
            directory = Path(tempfile.mkdtemp(prefix="layerlaws-"))
            try:
                with replacing(directory / self.path.name) as file:
                    for line in self.lines:
                        write(file, _encoded(line))
            except OSError:
                directory.rmdir()
                raise
            return f"the whole record is {directory / self.path.name} instead"
        return "what was finished before stands there: mend that, and `layerlaws check` with --resume goes on"


def _encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"

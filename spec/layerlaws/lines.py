"""Files of JSON Lines on disk: appended to by one process at a time, and read with suspicion."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LARGEST, LONGEST = 2**28, 2**24
"""Bytes of a file, and of a line of it, that are read. Records of this suite take a few megabytes."""


class RecordError(Exception):
    """A file is no record that this version can read or write; the message says which file, which line and why."""


class LineFile:
    """A file that is open for appending, and locked against other processes until it is closed.

    Each line is handed to the operating system as it comes: it outlives this process, however that ends. It need
    not outlive the machine (that takes fsync, up to a tenth of a second a line): a record that lost its end is
    incomplete, and says so. `publish` does wait for the disk, as it puts the file in the place of another.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises OSError, and RecordError where another process writes it."""
        self.path = path
        if path.exists() and not path.is_file():
            raise RecordError(f"{path} is no file; move it out of the way")
        self._file = self._locked()
        self.size = os.fstat(self._file).st_size

    def append(self, fields: dict[str, Any]) -> None:
        """Write a line. Raises RecordError where it cannot be written; what stood there stays."""
        line = json.dumps(fields).encode() + b"\n"
        try:
            rest = line
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            self.cut(self.size)
            raise RecordError(
                f"cannot write {self.path}: {error.strerror}; what was finished stands there: "
                "mend that, and `layerlaws check` with --resume goes on"
            ) from None
        self.size += len(line)

    def cut(self, size: int) -> None:
        """Keep the first `size` bytes only."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, size)
        self.size = size

    def publish(self, path: Path) -> None:
        """The file is complete: it takes the place of another."""
        os.fsync(self._file)
        os.replace(self.path, path)

    def close(self) -> None:
        """Close the file, which unlocks it. May be called again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _locked(self) -> int:
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            if sys.platform == "win32":  # where a file that is open cannot be replaced either
                return file
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file), os.stat(self.path)):
                    return file
            except BlockingIOError:
                os.close(file)
                raise RecordError(f"another run is writing {self.path}; wait for it, or name another output") from None
            except FileNotFoundError:
                pass
            os.close(file)  # another run published it in this moment: what is open is its finished record


def read_lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """The objects in a file of JSON Lines, and how many bytes each line and all before it take.

    What follows the last line break was cut off while being written, and is left out. Raises RecordError, with the
    line, for what is no such file; it does so before reading one that is far too large.
    """
    end = 0
    for number, line in enumerate(_whole_lines(path), 1):
        end += len(line)
        try:
            fields = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            raise RecordError(f"{path}, line {number}: not text in UTF-8; is it a record?") from None
        except json.JSONDecodeError as wrong:
            raise RecordError(f"{path}, line {number}: not JSON ({wrong.msg}); restore the file or run again") from None
        except (ValueError, RecursionError) as wrong:  # a number of a million digits, a list a million deep
            raise RecordError(f"{path}, line {number}: not a record's JSON ({type(wrong).__name__})") from None
        if not isinstance(fields, dict):
            raise RecordError(f"{path}, line {number}: a {type(fields).__name__}, not an object; is it a record?")
        yield fields, end


def _whole_lines(path: Path) -> Iterator[bytes]:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise RecordError(f"{path}: a {'directory' if path.is_dir() else 'device or pipe'}, not a record")
        if found.st_size > LARGEST:
            raise RecordError(f"{path}: {found.st_size:,} bytes, far more than a record has; is it one?")
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST):
                number += 1
                if line.endswith(b"\n"):
                    yield line
                elif len(line) == LONGEST:
                    raise RecordError(f"{path}, line {number}: longer than {LONGEST:,} bytes; is it a record?")
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from None

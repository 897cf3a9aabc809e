"""Files of JSON Lines: appended to by one process at a time, and validated when read."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from layerlaws.support.errors import RecordError
from layerlaws.support.fields import number as number_of
from layerlaws.support.files import BINARY, NO_FOLLOW, NO_WAIT, no_file, opened, write
from layerlaws.support.printable import printable

H = TypeVar("H")
E = TypeVar("E")

LARGEST, LONGEST = 2**28, 2**24
"""Largest file and longest line that are read, in bytes. Records of this suite take a few megabytes."""


class LineFile:
    """A file open for appending, and locked against other processes until it is closed.

    Each line is passed to the operating system at once, so it survives the end of this process. It may not survive a
    crash of the machine: that takes fsync, up to a tenth of a second per line, and a record that lost its end is
    recognized as incomplete. `publish` does call fsync, since it replaces another file.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises OSError, and RecordError if another process is writing it."""
        self.path = path
        self._file = self._locked()
        self.size = os.fstat(self._file).st_size

    def append(self, fields: dict[str, Any]) -> None:
        """Append a line. Raises OSError if it cannot be written; earlier lines are kept."""
        line = json.dumps(fields).encode() + b"\n"
        try:
            write(self._file, line)
        except OSError:
            self.cut(self.size)
            raise
        self.size += len(line)

    @property
    def there(self) -> bool:
        """Whether the file still stands at its path."""
        try:
            return os.path.samestat(os.fstat(self._file), os.lstat(self.path))
        except OSError:
            return False

    def cut(self, size: int) -> None:
        """Truncate the file to its first `size` bytes."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, size)
        self.size = size

    def publish(self, path: Path) -> None:
        """Move the complete file to its final path, replacing any file there."""
        os.fsync(self._file)
        os.replace(self.path, path)

    def close(self) -> None:
        """Close and unlock the file. May be called again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _locked(self) -> int:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | NO_FOLLOW | NO_WAIT | BINARY
            try:
                file = os.open(self.path, flags, 0o666)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.EISDIR, errno.EMLINK):
                    what = "a directory" if error.errno == errno.EISDIR else "a link"
                    raise RecordError(f"{self.path} is {what}, not a file; move it out of the way") from None
                raise
            mode = os.fstat(file).st_mode
            if not stat.S_ISREG(mode):
                os.close(file)
                raise RecordError(f"{self.path} is {no_file(mode)}; move it out of the way")
            if sys.platform == "win32":  # an open file cannot be replaced there anyway
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
            os.close(file)  # another run published it just now: the open file is its finished record


def read_entries(
    path: Path,
    first: str,
    schema: int,
    header_of: Callable[[dict[str, Any]], H],
    each: str,
    entry_of: Callable[[dict[str, Any]], E],
    identity_of: Callable[[E], object],
) -> tuple[H, list[E], float | None]:
    """The header of a record, its entries, and the seconds in its footer, None if the record has no footer.

    first, each: the `kind` of the header and of an entry. header_of, entry_of: parse their fields, and raise TypeError,
    ValueError, AttributeError or KeyError for invalid ones. identity_of: what an entry is of; two of the same are
    refused, as they may contradict each other. Raises RecordError.
    """
    header, entries, footer, seconds = list[H](), dict[object, E](), None, None
    line = 0
    try:
        for fields, _ in read_lines(path):
            line += 1
            kind = fields.pop("kind", None)
            if not header:
                _check_first(path, kind, fields, first, schema)
                header.append(header_of(fields))
            footer = fields if kind == "footer" else None
            if kind == each:
                entry = entry_of(fields)
                identity = identity_of(entry)
                if identity in entries:
                    raise ValueError(f"{printable(identity, 200)} stands there a second time")
                entries[identity] = entry
        seconds = number_of(footer["seconds"]) if footer else None
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as wrong:
        reason = f"{printable(wrong, 200)}; it was written by another version, or by hand"
        raise RecordError(f"{path}: line {line}: {reason}") from None
    if not header:
        _check_first(path, None, {}, first, schema)
    if footer and footer.get(f"{each}s") != len(entries):
        counted = printable(footer.get(f"{each}s"), 40)
        raise RecordError(f"{path}: the footer counts {counted} {each}s, {len(entries)} stand there")
    return header[0], list(entries.values()), seconds


def _check_first(path: Path, kind: object, fields: dict[str, Any], first: str, schema: int) -> None:
    found = fields.get("schema")
    if kind != first or not isinstance(found, int):
        what = "record" if first == "header" else f"{first} record"
        raise RecordError(f"{path}: line 1: this is no header; is it a {what} of layerlaws?")
    if found != schema:
        what = "a newer layerlaws reads it" if found > schema else "run again"
        wanted = f"this version reads {schema}; {what}"
        raise RecordError(f"{path}: line 1: written in schema {printable(found, 40)}, {wanted}")


def read_lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """The objects in a file of JSON Lines, each with the offset in bytes at which its line ends.

    Text after the last line break is an interrupted write, and is left out. Raises RecordError, with the line number,
    for any other file, and for a file that is far too large, before reading it.
    """
    end = 0
    for number, line in enumerate(_whole_lines(path), 1):
        end += len(line)
        try:
            fields = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            raise RecordError(f"{path}: line {number}: not text in UTF-8; is it a record?") from None
        except json.JSONDecodeError as wrong:
            raise RecordError(f"{path}: line {number}: not JSON ({wrong.msg}); restore the file or run again") from None
        except (ValueError, RecursionError) as wrong:  # a number of a million digits, a list a million deep
            raise RecordError(f"{path}: line {number}: not a record's JSON ({type(wrong).__name__})") from None
        if not isinstance(fields, dict):
            raise RecordError(f"{path}: line {number}: a {type(fields).__name__}, not an object; is it a record?")
        yield fields, end


def _whole_lines(path: Path) -> Iterator[bytes]:
    try:
        with opened(path) as descriptor:
            size = os.fstat(descriptor).st_size
            if size > LARGEST:
                raise RecordError(f"{path}: {size:,} bytes, far more than a record has; is it one?")
            with open(descriptor, "rb", closefd=False) as file:
                number = 0
                while line := file.readline(LONGEST):
                    number += 1
                    if line.endswith(b"\n"):
                        yield line
                    elif len(line) == LONGEST:
                        raise RecordError(f"{path}: line {number}: longer than {LONGEST:,} bytes; is it a record?")
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from None

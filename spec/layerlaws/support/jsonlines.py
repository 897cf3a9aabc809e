"""Files of JSON Lines: appended to by one process at a time, and validated when read."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from layerlaws.support.errors import RecordError
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
        if path.exists() and not path.is_file():
            raise RecordError(f"{path} is no file; move it out of the way")
        self._file = self._locked()
        self.size = os.fstat(self._file).st_size

    def append(self, fields: dict[str, Any]) -> None:
        """Append a line. Raises RecordError if it cannot be written; earlier lines are kept."""
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
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
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
) -> tuple[H, list[E], float | None]:
    """The header of a record, its entries, and the seconds in its footer, None if the record has no footer.

    first, each: the `kind` of the header and of an entry. header_of, entry_of: parse their fields, and raise TypeError,
    ValueError, AttributeError or KeyError for invalid ones. Raises RecordError.
    """
    header, entries, footer = list[H](), list[E](), None
    try:
        for fields, _ in read_lines(path):
            kind = fields.pop("kind", None)
            if not header:
                _check_first(path, kind, fields, first, schema)
                header.append(header_of(fields))
            footer = fields if kind == "footer" else None
            if kind == each:
                entries.append(entry_of(fields))
        seconds = float(footer["seconds"]) if footer else None
    except (TypeError, ValueError, AttributeError, KeyError) as wrong:
        raise RecordError(f"{path}: {printable(wrong, 200)}; it was written by another version, or by hand") from None
    if not header:
        _check_first(path, None, {}, first, schema)
    if footer and footer.get(f"{each}s") != len(entries):
        counted = printable(footer.get(f"{each}s"), 40)
        raise RecordError(f"{path}: the footer counts {counted} {each}s, {len(entries)} stand there")
    return header[0], entries, seconds


def _check_first(path: Path, kind: object, fields: dict[str, Any], first: str, schema: int) -> None:
    found = fields.get("schema")
    if kind != first or not isinstance(found, int):
        what = "record" if first == "header" else f"{first} record"
        raise RecordError(f"{path}: the first line is no header; is it a {what} of layerlaws?")
    if found != schema:
        what = "a newer layerlaws reads it" if found > schema else "run again"
        raise RecordError(f"{path}: written in schema {printable(found, 40)}, this version reads {schema}; {what}")


def check_types(*parts: Any) -> None:
    """Raises TypeError for a dataclass with a field whose JSON type does not match its annotation."""
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
    for part in parts:
        for name, annotation in type(part).__annotations__.items():
            origin = annotation.partition("[")[0].partition(" |")[0]
            value, expected = getattr(part, name), kinds.get(origin, (dict, list))
            if not isinstance(value, expected) and not (value is None and "None" in annotation):
                raise TypeError(f"{name} is {value!r:.40}, not {annotation}")


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

"""Files of JSON Lines on disk: appended to by one process at a time, and read with suspicion."""

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
"""Bytes of a file, and of a line of it, that are read. Records of this suite take a few megabytes."""


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


def read_entries(
    path: Path,
    first: str,
    schema: int,
    header_of: Callable[[dict[str, Any]], H],
    each: str,
    entry_of: Callable[[dict[str, Any]], E],
) -> tuple[H, list[E], float | None]:
    """The header of a record, its entries, and the seconds in its footer, None where there is no footer at its end.

    first, each: kinds of the header and of an entry. header_of and entry_of read them from their fields, and raise
    TypeError, ValueError, AttributeError or KeyError for what they do not know. Raises RecordError.
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
    """Refuse dataclasses with fields whose JSON is of another kind than their annotations. Raises TypeError."""
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
    for part in parts:
        for name, annotation in type(part).__annotations__.items():
            origin = annotation.partition("[")[0].partition(" |")[0]
            value, expected = getattr(part, name), kinds.get(origin, (dict, list))
            if not isinstance(value, expected) and not (value is None and "None" in annotation):
                raise TypeError(f"{name} is {value!r:.40}, not {annotation}")


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

"""The record of a run: JSON Lines, written as verdicts fall, so that a run killed at any moment keeps what it saw.

The first line is a header (what ran, where, with which settings), then comes one line per verdict, and last a
footer. A record without its footer is incomplete, and everything that reads it says so. While a run is under
way its record is called NAME.jsonl.part; it takes the place of an earlier NAME.jsonl only once it is complete.
An unfinished one can be resumed by a run of the same laws with the same settings, code and versions; a run that starts
over leaves it as NAME.jsonl.part~.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

from layerlaws.checking.verdict import Verdict
from layerlaws.support.errors import RecordError as RecordError
from layerlaws.support.jsonlines import LineFile, check_types, read_entries, read_lines
from layerlaws.support.printable import printable

SCHEMA = 1
"""Version of the format of records."""

_log = logging.getLogger(__name__)

START_OVER = "without --resume the run starts over"
"""What to do about a record that cannot be resumed."""

LONGEST_HEADER = 2**16
"""Bytes of a first line that are looked at to see what kind of record it begins."""

LIBRARIES = ("numpy", "hypothesis", "torch", "tokenizers", "tiktoken", "sentencepiece", "subword-nmt", "ml_dtypes")
"""Packages whose versions stand in the header, where installed."""


@dataclass(frozen=True)
class Header:
    """What ran, where, and how.

    laws: how many laws the run set out to hold the backend to. whole: whether that was the whole catalogue.
    seed: None where examples are the same in every run. code: a digest of the backend's source.
    """

    backend: str
    suite: str
    device: str
    dtypes: list[str]
    profile: str
    seed: int | None
    laws: int
    whole: bool
    unavailable: str = ""
    code: str = ""
    schema: int = SCHEMA
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    environment: dict[str, str] = field(default_factory=lambda: environment())

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Header:
        """Read it back. Raises TypeError where a field is of another kind."""
        header = cls(**fields)
        check_types(header)
        return header


@dataclass(frozen=True)
class Record:
    """One backend's run, read back. seconds: spent on its laws by all workers; complete: whether it came to its end."""

    path: Path
    header: Header
    verdicts: tuple[Verdict, ...]
    complete: bool
    seconds: float = 0.0

    @property
    def counts(self) -> Counter[str]:
        """How many verdicts are in each state."""
        return Counter(verdict.state for verdict in self.verdicts)


def environment() -> dict[str, str]:
    """Interpreter, platform and versions of the libraries that matter."""
    found = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    found["cores"] = str(os.cpu_count() or 1)
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def record_name(backend: str) -> str:
    """The file name of a backend's record: `./my_backend.py` gives my_backend.jsonl."""
    stem = Path(backend).stem if backend.endswith(".py") else backend
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") + ".jsonl"


class Journal:
    """Writes one record, line by line. A context manager; leaving it by `close` alone writes the footer.

    kept: verdicts that an unfinished record held already.
    """

    def __init__(self, directory: Path, header: Header, resume: bool = False) -> None:
        """Open the record and write its header.

        resume: go on where an unfinished record ends; a complete one is kept as it is. Raises OSError where the
        directory cannot be written, and RecordError where another run is writing the record or where the one to
        resume is of other settings.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / record_name(header.backend)
        self.part = self.path.with_name(self.path.name + ".part")
        if self.path.is_dir():
            raise RecordError(f"{self.path} is a directory; move it out of the way")
        self.kept: tuple[Verdict, ...] = ()
        self.verdicts = 0
        self._file = LineFile(self.part)
        try:
            self._finished = resume and not self._file.size and self._stands(header)
            if resume and self._file.size:
                self._take_up(header)
            elif not self._finished:
                self._set_aside()
                self._file.cut(0)
                self._file.append({"kind": "header", **asdict(header)})
        except BaseException:
            self._file.close()
            raise

    def add(self, verdict: Verdict) -> None:
        """Write down a verdict, now."""
        self._file.append({"kind": "verdict", **verdict.to_json()})
        self.verdicts += 1

    def close(self, seconds: float) -> Path:
        """The run is complete: write the footer and put the record in its place. seconds: spent on its laws."""
        if self._finished:
            self.part.unlink()
        else:
            self._file.append({"kind": "footer", "verdicts": self.verdicts, "seconds": round(seconds, 3)})
            self._file.publish(self.path)
        self._file.close()
        return self.path

    def _set_aside(self) -> None:
        """Keep what an unfinished run left, and say where."""
        with self.part.open("rb") as file:
            verdicts = sum(1 for _ in file) - 1
        if verdicts > 0:
            aside = self.part.with_name(self.part.name + "~")
            shutil.copyfile(self.part, aside)
            _log.warning(
                "this run starts over; %d verdicts of an unfinished one are kept in %s: to go on from them, stop this "
                "run, rename that file to %s, and add --resume",
                verdicts,
                aside,
                self.part.name,
            )

    def _take_up(self, header: Header) -> None:
        """Keep the verdicts of the unfinished record, and cut off what else stands there."""
        record = read_record(self.part)
        _same_run(record, header)
        self.kept, self.verdicts = record.verdicts, len(record.verdicts)
        self._file.cut(max(end for fields, end in read_lines(self.part) if fields.get("kind") != "footer"))

    def _stands(self, header: Header) -> bool:
        """Whether the record is complete already: of several backends, some were finished before the run ended."""
        if not self.path.exists():
            return False
        record = read_record(self.path)
        _same_run(record, header)
        self.kept = record.verdicts
        return record.complete

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()


def _same_run(record: Record, header: Header) -> None:
    """Refuse to resume a record that a run with this header would not have written. Raises RecordError."""
    for name, value in asdict(header).items():
        found = getattr(record.header, name)
        if name != "started" and found != value:
            what = f"of {name} {printable(found, 100)}, not {printable(value, 100)}"
            if isinstance(value, dict):
                changed = sorted(k for k in value.keys() | found.keys() if found.get(k) != value.get(k))
                what = f"with another {printable(', '.join(changed), 100)}"
            elif name == "code":
                what = "of another version of the backend's code"
            raise RecordError(f"cannot resume {record.path}: it is {what}; {START_OVER}")


def read_record(path: Path) -> Record:
    """Read a record. Raises RecordError where it is none, is damaged, or is of another schema."""
    header, verdicts, seconds = read_entries(path, "header", SCHEMA, Header.from_json, "verdict", Verdict.from_json)
    return Record(path, header, tuple(verdicts), seconds is not None, seconds or 0.0)


def record_paths(directory: Path, kind: str = "header") -> list[Path]:
    """Records of a kind in a directory: complete ones, and unfinished ones that have no complete one.

    Files that are no record of any kind count as conformance records, so that reading them says what is wrong.
    """
    complete = {path.name: path for path in sorted(directory.glob("*.jsonl"))}
    parts = [
        path
        for path in sorted(directory.glob("*.jsonl.part"))
        if path.name[: -len(".part")] not in complete and path.stat().st_size  # of an empty one nothing is known
    ]
    return [path for path in [*complete.values(), *parts] if (_kind(path) == "benchmark") == (kind == "benchmark")]


def _kind(path: Path) -> str:
    """What the first line says the file is, "" where it does not say."""
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            fields = json.loads(file.readline(LONGEST_HEADER))
    except (OSError, ValueError, RecursionError):
        return ""
    return str(fields.get("kind", "")) if isinstance(fields, dict) else ""


def records_at(path: Path) -> list[Record]:
    """All records of a directory, or the one record that the path itself is. Raises RecordError where there is none."""
    if not path.exists():
        raise RecordError(f"there is no file or directory {path}")
    return records_in(path) if path.is_dir() else [read_record(path)]


def records_in(directory: Path) -> list[Record]:
    """All records of a directory, by backend name: complete ones, and unfinished ones that have no complete one.

    Raises RecordError for a file that is no record, and where the directory holds none.
    """
    records = [read_record(path) for path in record_paths(directory)]
    if not records:
        raise RecordError(f"{directory} holds no record; `layerlaws check BACKEND --output {directory}` writes one")
    return sorted(records, key=lambda record: record.header.backend)

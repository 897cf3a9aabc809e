"""Records of runs: JSON Lines, written verdict by verdict, so that a run killed at any moment loses nothing.

The first line is a header (what ran, where, with which settings), followed by one line per verdict and a footer. A
record without a footer is incomplete, and everything that reads it says so. During a run the record is called
NAME.jsonl.part; it replaces an earlier NAME.jsonl only when it is complete. An incomplete record can be resumed by a
run of the same laws with the same settings, code and versions; a run that starts over renames it NAME.jsonl.part~.
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

DIRECTORY = Path("layerlaws-reports")
"""Where records go unless a run is told otherwise."""

SCHEMA = 1
"""Version of the format of records."""

_log = logging.getLogger(__name__)

START_OVER = "without --resume the run starts over"
"""Ends the messages about records that cannot be resumed."""

LONGEST_HEADER = 2**16
"""How many bytes of a first line are read to find out the kind of a record."""

LIBRARIES = ("numpy", "hypothesis", "torch", "tokenizers", "tiktoken", "sentencepiece", "subword-nmt", "ml_dtypes")
"""Packages whose versions the header lists, if they are installed."""


@dataclass(frozen=True)
class Header:
    """What ran, where, and with which settings.

    laws: how many laws the run was asked for. whole: whether these are the whole catalogue. seed: None for the same
    examples in every run. code: a digest of the backend's source.
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
        """The header with these fields. Raises TypeError if one is unknown, missing, or of another type."""
        header = cls(**fields)
        check_types(header)
        return header


@dataclass(frozen=True)
class Record:
    """One backend's run, read back. complete: whether it has its footer. seconds: spent on the laws by all workers."""

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
    """Interpreter, platform, number of cores, and versions of `LIBRARIES`."""
    found = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    found["cores"] = str(os.cpu_count() or 1)
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def record_name(backend: str) -> str:
    """The file name of a backend's record, for example my_backend.jsonl for `./my_backend.py`."""
    stem = Path(backend).stem if backend.endswith(".py") else backend
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") + ".jsonl"


class Journal:
    """Writes one record, line by line. A context manager; only `close` writes the footer.

    kept: the verdicts of the record that is resumed.
    """

    def __init__(self, directory: Path, header: Header, resume: bool = False) -> None:
        """Open the record and write its header.

        resume: continue an incomplete record; a complete one is kept as it is. Raises OSError if the directory cannot
        be written, and RecordError if another run is writing the record, or if the one to resume has other settings.
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
            self._finished = resume and not self._file.size and self._is_complete(header)
            if resume and self._file.size:
                self._continue(header)
            elif not self._finished:
                self._set_aside()
                self._file.cut(0)
                self._file.append({"kind": "header", **asdict(header)})
        except BaseException:
            self._file.close()
            raise

    def add(self, verdict: Verdict) -> None:
        """Append a verdict."""
        self._file.append({"kind": "verdict", **verdict.to_json()})
        self.verdicts += 1

    def close(self, seconds: float) -> Path:
        """Write the footer and publish the complete record. seconds: spent on the laws. Returns the path."""
        if self._finished:
            self.part.unlink()
        else:
            self._file.append({"kind": "footer", "verdicts": self.verdicts, "seconds": round(seconds, 3)})
            self._file.publish(self.path)
        self._file.close()
        return self.path

    def _set_aside(self) -> None:
        """Copy the verdicts of an incomplete record, and log where to."""
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

    def _continue(self, header: Header) -> None:
        """Keep the verdicts of the incomplete record, and truncate it after the last of them."""
        record = read_record(self.part)
        _same_run(record, header)
        self.kept, self.verdicts = record.verdicts, len(record.verdicts)
        self._file.cut(max(end for fields, end in read_lines(self.part) if fields.get("kind") != "footer"))

    def _is_complete(self, header: Header) -> bool:
        """Whether the record to resume is complete: an interrupted run may have finished some of its backends."""
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
    """Raises RecordError if the record to resume is not of a run with this header."""
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
    """Read a record. Raises RecordError if the file is not a record, is damaged, or is of another schema."""
    header, verdicts, seconds = read_entries(path, "header", SCHEMA, Header.from_json, "verdict", Verdict.from_json)
    return Record(path, header, tuple(verdicts), seconds is not None, seconds or 0.0)


def record_paths(directory: Path, kind: str = "header") -> list[Path]:
    """The paths of records of a kind in a directory: complete ones, and incomplete ones without a complete one.

    Files that are not records of any kind count as conformance records, so that reading them reports what is wrong.
    """
    complete = {path.name: path for path in sorted(directory.glob("*.jsonl"))}
    parts = [
        path
        for path in sorted(directory.glob("*.jsonl.part"))
        if path.name[: -len(".part")] not in complete and path.stat().st_size  # an empty one says nothing
    ]
    return [path for path in [*complete.values(), *parts] if (_kind(path) == "benchmark") == (kind == "benchmark")]


def _kind(path: Path) -> str:
    """The kind of record according to the first line, "" if it does not say."""
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            fields = json.loads(file.readline(LONGEST_HEADER))
    except (OSError, ValueError, RecursionError):
        return ""
    return str(fields.get("kind", "")) if isinstance(fields, dict) else ""


def records_at(path: Path) -> list[Record]:
    """All records of a directory, or the single record at this path. Raises RecordError if there is none."""
    if not path.exists():
        raise RecordError(f"there is no file or directory {path}")
    return records_in(path) if path.is_dir() else [read_record(path)]


def records_in(directory: Path) -> list[Record]:
    """All records of a directory, sorted by backend: complete ones, and incomplete ones without a complete one.

    Raises RecordError for a file that is not a record, and if the directory holds none.
    """
    records = [read_record(path) for path in record_paths(directory)]
    if not records:
        raise RecordError(f"{directory} holds no record; `layerlaws check BACKEND --output {directory}` writes one")
    return sorted(records, key=lambda record: record.header.backend)

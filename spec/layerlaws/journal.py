"""The record of a run: JSON Lines, written as verdicts fall, so that a run killed at any moment keeps what it saw.

The first line is a header (what ran, where, with which settings), then comes one line per verdict, and last a
footer. A record without its footer is incomplete, and everything that reads it says so. While a run is under
way its record is called NAME.jsonl.part; it takes the place of an earlier NAME.jsonl only once it is complete.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from layerlaws.verdict import Verdict

SCHEMA = 1
"""Version of the format of records."""

LIBRARIES = ("numpy", "hypothesis", "torch", "tokenizers", "ml_dtypes")
"""Packages whose versions stand in the header, where installed."""


class RecordError(Exception):
    """A file is no record that this version can read; the message says which file, which line and why."""


@dataclass(frozen=True)
class Header:
    """What ran, where, and how.

    laws: how many laws the run set out to hold the backend to. whole: whether that was the whole catalogue.
    seed: None where examples are the same in every run.
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
    schema: int = SCHEMA
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    environment: dict[str, str] = field(default_factory=lambda: environment())


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
    """Writes one record, line by line. A context manager; leaving it by `close` alone writes the footer."""

    def __init__(self, directory: Path, header: Header) -> None:
        """Open the record and write its header. Raises OSError where the directory cannot be written."""
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / record_name(header.backend)
        self.part = self.path.with_name(self.path.name + ".part")
        self.verdicts = 0
        self._file: TextIO = self.part.open("w", encoding="utf-8")
        self._line({"kind": "header", **asdict(header)})

    def add(self, verdict: Verdict) -> None:
        """Write down a verdict, now."""
        self._line({"kind": "verdict", **verdict.to_json()})
        self.verdicts += 1

    def close(self, seconds: float) -> Path:
        """The run is complete: write the footer and put the record in its place. seconds: spent on its laws."""
        self._line({"kind": "footer", "verdicts": self.verdicts, "seconds": round(seconds, 3)})
        self._file.close()
        os.replace(self.part, self.path)
        return self.path

    def _line(self, fields: dict[str, Any]) -> None:
        self._file.write(json.dumps(fields) + "\n")
        self._file.flush()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()


def read_record(path: Path) -> Record:
    """Read a record. Raises RecordError where it is none, is damaged, or is of another schema."""
    lines: list[dict[str, Any]] = []
    text = _text(path)
    whole, _, rest = text.rpartition("\n")  # what follows the last line break was cut off while being written
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as wrong:
            raise RecordError(f"{path}, line {number}: not JSON ({wrong.msg}); restore the file or run again") from None
        if not isinstance(fields, dict):
            raise RecordError(f"{path}, line {number}: a {type(fields).__name__}, not an object; is it a record?")
        lines.append(fields)
    if not lines or lines[0].get("kind") != "header":
        raise RecordError(f"{path}: the first line is no header; is it a record of layerlaws?")
    if lines[0].get("schema") != SCHEMA:
        raise RecordError(f"{path}: written in schema {lines[0].get('schema')}, this version reads {SCHEMA}; run again")
    footer = lines[-1] if lines[-1].get("kind") == "footer" and not rest else None
    try:
        header = Header(**_fields(lines[0]))
        verdicts = tuple(Verdict.from_json(_fields(line)) for line in lines if line.get("kind") == "verdict")
        _check_types(header, *verdicts, *(shares for verdict in verdicts for shares in verdict.accuracy.values()))
    except (TypeError, ValueError, AttributeError) as wrong:
        raise RecordError(f"{path}: {wrong}; it was written by another version, or by hand") from None
    if footer is not None and footer.get("verdicts") != len(verdicts):
        raise RecordError(f"{path}: the footer counts {footer.get('verdicts')} verdicts, {len(verdicts)} stand there")
    return Record(path, header, verdicts, footer is not None, float(footer["seconds"]) if footer else 0.0)


def records_in(directory: Path) -> list[Record]:
    """All records of a directory, by backend name: complete ones, and unfinished ones that have no complete one.

    Raises RecordError for a file that is no record, and where the directory holds none.
    """
    complete = {path.name: path for path in sorted(directory.glob("*.jsonl"))}
    parts = [path for path in sorted(directory.glob("*.jsonl.part")) if path.name[: -len(".part")] not in complete]
    records = [read_record(path) for path in [*complete.values(), *parts]]
    if not records:
        raise RecordError(f"{directory} holds no record; `layerlaws check BACKEND --output {directory}` writes one")
    return sorted(records, key=lambda record: record.header.backend)


def _check_types(*parts: Any) -> None:
    """Refuse fields whose JSON is of another kind than the dataclass says. Raises TypeError."""
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
    for part in parts:
        for name, annotation in type(part).__annotations__.items():
            origin = annotation.partition("[")[0].partition(" |")[0]
            value, expected = getattr(part, name), kinds.get(origin, (dict, list))
            if not isinstance(value, expected) and not (value is None and "None" in annotation):
                raise TypeError(f"{name} is {value!r:.40}, not {annotation}")


def _fields(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key != "kind"}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RecordError(f"{path}: not a text file; is it a record?") from None
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from None

"""Records of runs: JSON Lines, written verdict by verdict, so that a run killed at any moment loses nothing.

The first line is a header (what ran, where, with which settings), followed by one line per verdict and a footer. A
record without a footer is incomplete, and everything that reads it says so. During a run the record is called
NAME.jsonl.part; it replaces an earlier NAME.jsonl only when it is complete. An incomplete record can be resumed by a
run of the same laws with the same settings, code and versions; a run that starts over copies it to NAME.jsonl.part~.
Code that a backend imports late is named in lines of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

from layerlaws.checking.verdict import Verdict
from layerlaws.support.errors import RecordError as RecordError
from layerlaws.support.fields import check_types
from layerlaws.support.files import copy, start_of
from layerlaws.support.jsonlines import read_entries, read_lines
from layerlaws.support.printable import printable
from layerlaws.support.record_file import RecordFile
from layerlaws.support.sources import digest_at

DIRECTORY = Path("layerlaws-reports")
"""Where records go unless a run is told otherwise."""

SCHEMA = 1
"""Version of the format of records."""

_log = logging.getLogger(__name__)

AGAIN = ("timed out",)
"""States of verdicts that a resumed run does not keep: they may have been about the machine."""

START_OVER = "without --resume the run starts over"
"""Ends the messages about records that cannot be resumed."""

LONGEST_HEADER = 2**18
"""How many bytes of a first line are read to find out the kind of a record."""

LONGEST_NAME = 100
"""Characters of a file name that come from a backend's; file systems allow 255 in all."""

LIBRARIES = ("numpy", "hypothesis", "torch", "tokenizers", "tiktoken", "sentencepiece", "subword-nmt", "ml_dtypes")
"""Packages whose versions the header lists, if they are installed."""


@dataclass(frozen=True)
class Header:
    """What ran, where, and with which settings.

    laws: how many laws the run was asked for. whole: whether these are the whole catalogue. seed: None for the same
    examples in every run. code: a digest of all code of the backend; files: of each of its modules.
    suite_code: a digest of this package and of other packages with notes.
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
    files: dict[str, str] = field(default_factory=dict)
    suite_code: str = ""

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
    """The file name of a backend's record, for example my_backend.jsonl for `./my_backend.py`.

    A name that loses something, as a folder or letters that not every file system has, gets a digest of the whole.
    """
    path = backend.removeprefix("./").removesuffix(".py")
    name = plain(Path(path).name if backend.endswith(".py") else path)
    if name != path:
        name = f"{name or 'backend'}-{hashlib.sha256(backend.encode(errors='surrogatepass')).hexdigest()[:8]}"
    return f"{name}.jsonl"


def plain(text: str) -> str:
    """A text as part of a file name, whatever is in it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:LONGEST_NAME]


class Journal:
    """Writes one record, line by line. A context manager; only `close` writes the footer.

    kept: the verdicts of the record that is resumed.
    """

    def __init__(self, directory: Path, header: Header, resume: bool = False) -> None:
        """Open the record and write its header.

        resume: continue an incomplete record, or one in which laws timed out, which are held again; any other is kept
        as it is. Raises OSError if the directory cannot be written, and RecordError if another run is writing the
        record, if the one to resume has other settings, or if the file is not this backend's record.
        """
        path = directory / record_name(header.backend)
        for each in (path, path.with_name(path.name + ".part")):
            check_owner(each, "header", "backend", header.backend)
        self._file = RecordFile(path)
        self.path, self.part = self._file.path, self._file.part
        self.kept: tuple[Verdict, ...] = ()
        try:
            self._finished = self._begin(header, resume)
        except BaseException:
            self._file.close()
            raise

    def add(self, verdict: Verdict) -> None:
        """Append a verdict."""
        self._file.append({"kind": "verdict", **verdict.to_json()})

    def add_code(self, files: dict[str, list[str]]) -> None:
        """Append code that was imported late. files: digest and path of each module."""
        self._file.append({"kind": "code", "files": files})

    def close(self, seconds: float) -> Path:
        """Write the footer and publish the complete record. seconds: spent on the laws. Returns the path.

        Raises RecordError if it cannot be written; it says where it was saved instead, if that was possible.
        """
        if self._finished:
            self._file.discard()
        else:
            verdicts = sum(line["kind"] == "verdict" for line in self._file.lines)
            self._file.append({"kind": "footer", "verdicts": verdicts, "seconds": round(seconds, 3)})
            self._file.publish()
        self._file.close()
        return self.path

    def _begin(self, header: Header, resume: bool) -> bool:
        """Write the header, or go on from the record that is there. Returns whether that is finished already."""
        source = self.part if self._file.size else self.path
        if not resume or not source.exists():
            self._set_aside()
            self._file.begin([{"kind": "header", **asdict(header)}])
            return False
        record = read_record(source)
        _same_run(record, header)
        self.kept = tuple(verdict for verdict in record.verdicts if verdict.state not in AGAIN)
        if record.complete and source == self.path and len(self.kept) == len(record.verdicts):
            return True
        lines = [fields for fields, _ in read_lines(source)]
        self._file.begin([line for line in lines if line.get("state") not in AGAIN and line.get("kind") != "footer"])
        return False

    def _set_aside(self) -> None:
        """Copy the verdicts of an incomplete record, and log where to."""
        with self.part.open("rb") as file:
            verdicts = sum(1 for _ in file) - 1
        if verdicts > 0:
            aside = self.part.with_name(self.part.name + "~")
            copy(self.part, aside)
            _log.warning(
                "this run starts over; %d verdicts of an unfinished one are kept in %s: to go on from them, stop this "
                "run, rename that file to %s, and add --resume",
                verdicts,
                aside,
                self.part.name,
            )

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()


def check_owner(path: Path, kind: str, field: str, owner: str) -> None:
    """Raises RecordError for a file that is not an earlier record of its owner, and would be replaced by the next.

    kind, field: of the header, and where in it the owner stands. A link is replaced, and not looked into.
    """
    if path.is_symlink() or not path.exists():
        return
    try:
        start = start_of(path, LONGEST_HEADER)
    except OSError as error:
        raise RecordError(f"{path} is {error.strerror}; move it out of the way") from None
    line, end, _ = start.partition(b"\n")
    fields = _fields_of(line)
    if (end or len(line) == LONGEST_HEADER) and (fields.get("kind") != kind or fields.get(field) != owner):
        what = f"the record of {printable(fields[field], 100)}" if field in fields else "no record of layerlaws"
        raise RecordError(f"{path} is {what}, and that of {owner} would replace it; name another --output")


def _same_run(record: Record, header: Header) -> None:
    """Raises RecordError if the record to resume is not of a run with this header, or of other code."""
    for name, value in asdict(header).items():
        found = getattr(record.header, name)
        if name not in ("started", "files") and found != value:
            what = f"of {name} {printable(found, 100)}, not {printable(value, 100)}"
            if name == "code":
                what = f"of another version of the backend's code{_changed(record.header.files, header.files)}"
            elif name == "suite_code":
                what = "of other code of layerlaws or of a package of notes"
            elif isinstance(value, dict):
                what = f"with another {_changed(found, value).strip(' ()')}"
            raise RecordError(f"cannot resume {record.path}: it is {what}; {START_OVER}")
    for name, digest, path in _late_code(record.path):
        if digest_at(path) != digest:
            what = f"{printable(name, 100)}, which the backend imports, has changed"
            raise RecordError(f"cannot resume {record.path}: {what}; {START_OVER}")


def _late_code(path: Path) -> Iterator[tuple[str, str, str]]:
    """Name, digest and path of the modules that were imported late."""
    for line, (fields, _) in enumerate(read_lines(path), 1):
        if fields.get("kind") == "code":
            try:
                yield from ((name, str(digest), str(place)) for name, (digest, place) in fields["files"].items())
            except (KeyError, TypeError, ValueError, AttributeError):
                raise RecordError(f"{path}: line {line}: it names no code; was it written by hand?") from None


def _changed(before: dict[str, str], now: dict[str, str]) -> str:
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return f" ({printable(', '.join(changed), 100)})" if changed else ""


def read_record(path: Path) -> Record:
    """Read a record. Raises RecordError if the file is not a record, is damaged, or is of another schema."""
    header, verdicts, seconds = read_entries(
        path, "header", SCHEMA, Header.from_json, "verdict", Verdict.from_json, lambda verdict: verdict.id
    )
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
    try:
        return str(_fields_of(start_of(path, LONGEST_HEADER).partition(b"\n")[0]).get("kind", ""))
    except OSError:
        return ""


def _fields_of(line: bytes) -> dict[str, Any]:
    """The fields of a line; none if it is not an object of JSON."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


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

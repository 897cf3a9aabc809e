"""Merges the records of several runs into one directory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from layerlaws.running.counterexamples import write_scripts
from layerlaws.running.journal import Record, record_name, record_paths, records_at
from layerlaws.support.errors import RecordError
from layerlaws.support.files import copy

_log = logging.getLogger(__name__)


def merge(sources: Sequence[Path], target: Path, incomplete: bool = False) -> list[Path]:
    """Copy the records of several runs into one directory, and return the paths written.

    sources: directories of records, including their benchmark records, or single records. target: must hold no records
    yet. incomplete: whether to accept incomplete records. Raises RecordError, before anything is written, if a source
    has no record, if two records are of the same backend, or if their suite versions differ.
    """
    records = [record for source in sources for record in records_at(source)]
    _check_mergeable(records, incomplete)
    folders = [source for source in sources if source.is_dir()]
    benchmarks = [path for folder in folders for path in record_paths(folder, "benchmark") if path.suffix == ".jsonl"]
    copies = _copies(records, benchmarks, target)
    if target.exists() and (not target.is_dir() or any(target.glob("*.jsonl*"))):
        raise RecordError(f"{target} holds records already: merge into a new directory")
    target.mkdir(parents=True, exist_ok=True)
    for copied, source in copies.items():
        copy(source, copied)
    for record in records:
        try:
            write_scripts(target, record.header.backend, record.verdicts)
        except OSError as error:
            _log.warning("no scripts are written to %s: %s", error.filename, error.strerror)
    return list(copies)


def _copies(records: Sequence[Record], benchmarks: Sequence[Path], target: Path) -> dict[Path, Path]:
    """What is copied, by where to. Raises RecordError if one copy would replace another."""
    sources = {record.path: _copied_name(record) for record in records} | {path: path.name for path in benchmarks}
    copies: dict[str, Path] = {}
    for source, name in sources.items():
        other = copies.setdefault(name.casefold(), source)
        if other != source:
            raise RecordError(f"{other} and {source} would both be {target / name}: rename one of them")
    return {target / name: source for source, name in sources.items()}


def _copied_name(record: Record) -> str:
    """The name of a record's copy: what its backend's record is called, whatever this file is."""
    return record_name(record.header.backend) + (".part" if record.path.suffix == ".part" else "")


def _check_mergeable(records: Sequence[Record], incomplete: bool) -> None:
    first = records[0]
    by_name: dict[str, Record] = {}
    for record in records:
        if record.header.suite != first.header.suite:
            raise RecordError(
                f"{record.path} is of suite {record.header.suite}, {first.path} of {first.header.suite}: "
                "laws differ between versions; run one of them again"
            )
        if not record.complete and not incomplete:
            raise RecordError(
                f"{record.path} is incomplete ({len(record.verdicts)} of {record.header.laws} laws): "
                "finish the run, or merge with --incomplete"
            )
        other = by_name.setdefault(record_name(record.header.backend), record)
        if other is not record:
            raise RecordError(
                f"{record.header.backend} is in {other.path} and in {record.path}: merge the one that you trust"
            )

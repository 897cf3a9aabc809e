"""Merges the records of several runs into one directory."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from layerlaws.running.counterexamples import write_scripts
from layerlaws.running.journal import Record, record_name, records_at
from layerlaws.support.errors import RecordError


def merge(sources: Sequence[Path], target: Path, incomplete: bool = False) -> list[Path]:
    """Copy the records of several runs into one directory, and return the paths written.

    sources: directories of records, including their benchmark records, or single records. target: must hold no records
    yet. incomplete: whether to accept incomplete records. Raises RecordError, before anything is written, if a source
    has no record, if two records are of the same backend, or if their suite versions differ.
    """
    records = [record for source in sources for record in records_at(source)]
    _check_mergeable(records, incomplete)
    benchmarks = [path for source in sources if source.is_dir() for path in sorted(source.glob("benchmark-*.jsonl"))]
    names = Counter(path.name for path in benchmarks)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice:
        raise RecordError(f"{twice} is there twice: rename one of them")
    if target.exists() and (not target.is_dir() or any(target.glob("*.jsonl*"))):
        raise RecordError(f"{target} holds records already: merge into a new directory")
    target.mkdir(parents=True, exist_ok=True)
    written = [_copied(record.path, target / record.path.name) for record in records]
    written += [_copied(path, target / path.name) for path in benchmarks]
    for record in records:
        write_scripts(target, record.header.backend, record.verdicts)
    return written


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


def _copied(source: Path, target: Path) -> Path:
    """Copy a file so that the target is never incomplete, and return the target."""
    unfinished = target.with_name(target.name + ".copy")
    shutil.copyfile(source, unfinished)
    os.replace(unfinished, target)
    return target

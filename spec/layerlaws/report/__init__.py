"""The report of a directory of records: README.md for a forge, index.html for a browser.

A pure function of the records and the catalogue: the same records always give the same two files.
"""

from __future__ import annotations

import os
from pathlib import Path

from layerlaws.catalogue import catalogue
from layerlaws.journal import RecordError, records_in
from layerlaws.report.markdown import as_markdown
from layerlaws.report.page import as_page
from layerlaws.report.tables import report_of
from layerlaws.report.text import MARK

__all__ = ["write_report"]


def write_report(directory: Path) -> list[Path]:
    """Read all records of a directory and write README.md and index.html into it.

    Raises RecordError where there is no record, where one cannot be read or is of another suite version, and
    where a file of that name is there which no report wrote; OSError where the directory cannot be written.
    """
    report = report_of(records_in(directory), catalogue())
    files = {directory / "README.md": as_markdown(report), directory / "index.html": as_page(report)}
    for path in files:
        _refuse_to_overwrite(path)
    for path, text in files.items():
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    return list(files)


def _refuse_to_overwrite(path: Path) -> None:
    """Somebody's own README is no report: leave it alone."""
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace")[:500]:
        raise RecordError(
            f"{path} was not written by `layerlaws report`: move it, or keep records in another directory"
        )

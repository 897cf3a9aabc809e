"""The report on a directory of records: README.md and plots for a forge, index.html for a browser.

It depends only on the records and the catalogue: the same records always give the same files.
"""

from __future__ import annotations

import os
from pathlib import Path

from layerlaws.benchmark.record import benchmarks_in
from layerlaws.discovery import catalogue
from layerlaws.report.markdown import as_markdown
from layerlaws.report.page import as_page
from layerlaws.report.plots import plots_of
from layerlaws.report.speed_markdown import speed_sections
from layerlaws.report.speed_tables import speed_of
from layerlaws.report.tables import report_of
from layerlaws.report.text import MARK
from layerlaws.running.journal import records_in
from layerlaws.support.errors import RecordError
from layerlaws.support.files import replace_text, start_of

__all__ = ["write_report"]

LONGEST_START = 2000
"""Bytes in which the mark of a report stands."""


def write_report(directory: Path) -> list[Path]:
    """Read all records of a directory and write README.md, index.html and the plots of benchmarks into it.

    Returns the paths written. Raises RecordError if there is no record, if one cannot be read or is of another suite
    version, or if a file to be replaced was not written by a report; OSError if the directory cannot be written.
    """
    speed = speed_of(benchmarks_in(directory), catalogue())
    report = report_of(records_in(directory), catalogue(), speed)
    plots, missing = plots_of(speed)
    files = {
        directory / "README.md": as_markdown(report, speed_sections(speed, plots, missing)),
        directory / "index.html": as_page(report, speed, plots, missing),
    }
    files |= {directory / f"{plot.name}.svg": plot.alone for of in plots.values() for plot in of.values()}
    for path in files:
        _refuse_to_overwrite(path)
    for path, text in files.items():
        replace_text(path, text)
    return list(files)


def _refuse_to_overwrite(path: Path) -> None:
    """Raises RecordError if there is something that was not written by a report."""
    if not os.path.lexists(path):
        return
    try:
        written = not path.is_symlink() and MARK in start_of(path, LONGEST_START).decode(errors="replace")
    except OSError:
        written = False
    if not written:
        raise RecordError(
            f"{path} was not written by `layerlaws report`: move it, or keep records in another directory"
        )

"""The part of a report on speed in GitHub Flavored Markdown, with plots as separate files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from layerlaws.report.markdown import _linked, _table, escaped
from layerlaws.report.plots import Plots
from layerlaws.report.speed import COLUMNS, HOW, NOTHING, Entry, Line, Measured, Run, Speed
from layerlaws.report.svg import Plot


def speed_sections(speed: Speed, plots: Plots, missing: str) -> dict[str, list[str]]:
    """The section on speed for `as_markdown`. missing: why plots are missing, "" if none is."""
    if not speed.runs:
        return {"Speed": [NOTHING]}
    parts = [
        *(f"**{escaped(warning)}**" for warning in speed.warnings),
        HOW,
        *([missing] if missing else []),
        _table(["", *(escaped(run.name) for run in speed.runs)], (map(escaped, row) for row in speed.provenance)),
    ]
    return {"Speed": parts + [part for run in speed.runs for part in _run(run, plots[run.slug])]}


def _run(run: Run, plots: Mapping[str, Plot]) -> list[str]:
    tables = {
        "headlines": ("What the notes claim, and how many times as fast it came out.", _headlines(run.headlines)),
        "ratios": ("Median time, and how many times as fast as NumPy; the fastest in bold.", _matrix(run)),
        "roofline": ("How near to the ceilings of the machine.", ""),
        "growth": ("The power of a size with which time grows, fitted to medians.", _growth(run)),
    }
    parts = [f"### Speed: {escaped(run.name)}"]
    for kind, (says, table) in tables.items():
        plot = [f"![{escaped(plots[kind].title)}]({plots[kind].name}.svg)"] if kind in plots else []
        parts += [says, *filter(None, [table]), *plot] if table or plot else []
    return [*parts, "Every timing.", _timings(run.lines)]


def _headlines(headlines: Iterable[Measured]) -> str:
    rows = [
        [
            escaped(m.claim),
            _linked(m.source),
            *map(escaped, (m.line.workload, f"{m.line.mode}, {m.line.setting}")),
            "<br>".join(f"{escaped(entry.backend)} {_measured(entry)}" for entry in m.line.reported) or "not run",
        ]
        for m in headlines
    ]
    return _table(["claim", "source", "compared", "setting", "measured: times as fast"], rows)


def _measured(entry: Entry) -> str:
    return f"**{entry.ratio}** ({escaped(entry.reason)})" if entry.faster else escaped(entry.state)


def _matrix(run: Run) -> str:
    rows = (
        [
            f"`{line.workload}`" if line.workload.isidentifier() else escaped(line.workload),
            escaped(line.mode),
            *map(_cell, line.entries),
        ]
        for line in run.lines
    )
    return _table(["workload", "mode", *map(escaped, run.backends)], rows)


def _cell(entry: Entry) -> str:
    """Time and ratio, in bold for the fastest; or the state."""
    if entry.seconds is None:
        return escaped(entry.state)
    cell = f"{entry.brief}, {entry.ratio}" if entry.faster else entry.brief
    return f"**{cell}**" if entry.behind == 1 else cell


def _growth(run: Run) -> str:
    rows = (map(escaped, row) for row in run.growth)
    return _table(["workload", "mode", "from", "to", *map(escaped, run.backends)], rows)


def _timings(lines: Iterable[Line]) -> str:
    rows = [
        map(escaped, (line.workload, line.mode, line.setting, entry.backend, *entry.facts, entry.reason))
        for line in lines
        for entry in line.reported
    ]
    return _table(["workload", "mode", "setting", "backend", *COLUMNS, "remark"], rows)

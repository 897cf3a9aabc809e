"""The part of a report on speed in GitHub Flavored Markdown, with plots as separate files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from layerlaws.report.markdown_text import WIDEST, escaped, linked, table, within
from layerlaws.report.plots import Plots
from layerlaws.report.speed import HOW, NOTHING, Entry, Line, Measured, Run, Speed
from layerlaws.report.svg import Plot

ROOM = 5_500
"""Bytes that the claims, and the times, of a run may take."""


def speed_sections(speed: Speed, plots: Plots, missing: str) -> dict[str, list[str]]:
    """The section on speed for `as_markdown`. missing: why plots are missing, "" if none is."""
    if not speed.runs:
        return {"Speed": [NOTHING]}
    parts = [
        *(f"**{escaped(warning)}**" for warning in speed.warnings),
        HOW,
        *([missing] if missing else []),
    ]
    return {"Speed": parts + [part for run in speed.runs for part in _run(run, plots[run.slug])]}


def _run(run: Run, plots: Mapping[str, Plot]) -> list[str]:
    tables = {
        "headlines": ("What the notes claim, and how many times as fast it came out.", _headlines(run.headlines)),
        "ratios": ("Median time, and how many times as fast as NumPy.", within(_matrix(run), ROOM, "tables")),
        "roofline": ("How near to the ceilings of the machine.", []),
        "growth": ("Time against one size; the fitted powers stand in [index.html](index.html).", []),
    }
    parts = [f"### Speed: {escaped(run.name)}"]
    for kind, (says, body) in tables.items():
        plot = [f"![{escaped(plots[kind].title)}]({plots[kind].name}.svg)"] if kind in plots else []
        parts += [says, *body, *plot] if body or plot else []
    return [*parts, "Every timing, and what the benchmark ran on, stands in [index.html](index.html)."]


def _headlines(headlines: Iterable[Measured]) -> list[str]:
    """A line per claim: what was measured, of what, and where the claim stands."""
    return within((_headline(measured) for measured in headlines), ROOM, "claims")


def _headline(m: Measured) -> str:
    found = ", ".join(f"{escaped(entry.backend)} {_measured(entry)}" for entry in m.line.reported) or "not run"
    compared = ", ".join(map(escaped, (m.line.workload, m.line.mode, m.line.setting)))
    return f"- {escaped(m.claim)} ({linked(m.source)}): {found}. Compared: {compared}."


def _measured(entry: Entry) -> str:
    return f"**{entry.ratio}** ({escaped(entry.reason)})" if entry.faster else escaped(entry.state)


def _matrix(run: Run) -> Iterator[str]:
    """Tables of as many backends side by side as fit."""
    columns = list(range(len(run.backends)))
    while columns:
        fitting = 1
        while fitting < len(columns) and _width(run, columns[: fitting + 1]) <= WIDEST:
            fitting += 1
        side, columns = columns[:fitting], columns[fitting:]
        rows = [(_workload(each), *(_cell(each.entries[i]) for i in side)) for each in run.lines]
        yield table(("workload", *(run.backends[i] for i in side)), rows)


def _width(run: Run, columns: Sequence[int]) -> int:
    cells = [max([run.backends[i], *(_cell(line.entries[i]) for line in run.lines)], key=len) for i in columns]
    return 34 + sum(len(escaped(cell)) + 3 for cell in cells)


def _workload(each: Line) -> str:
    return each.workload if each.mode == "forward" else f"{each.workload}, {each.mode}"


def _cell(entry: Entry) -> str:
    """The time and how many times as fast as NumPy it is; or the state."""
    if entry.seconds is None:
        return "" if entry.state in ("missing", "not run") else entry.state
    return f"{entry.brief}, {entry.ratio}" if entry.faster and entry.backend != "numpy" else entry.brief

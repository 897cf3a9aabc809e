"""What a benchmark run came to, on a terminal or in a log, in 80 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from layerlaws.benchmark.growth import growths, headlines
from layerlaws.benchmark.record import STATES, BenchmarkHeader, Timing

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def duration(seconds: float) -> str:
    """Three digits and a unit: "1.23 ms"."""
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds / size:.3g} {unit}" if seconds < 999.5 else f"{seconds:.0f} s"


def title(timing: Timing) -> str:
    """A workload and its mode."""
    return timing.workload + (" and gradient" if timing.mode == "gradient" else "")


def describe(console: Console, header: BenchmarkHeader) -> None:
    """Print what the machine can do."""
    console.print(header.clocks, markup=False)
    for ceiling in header.ceilings:
        console.print(
            f"  {ceiling.library} on {ceiling.device}: {ceiling.flops / 1e9:,.0f} GFLOP/s in a float32 product, "
            f"{ceiling.bandwidth / 1e9:,.1f} GB/s in a copy",
            markup=False,
        )


def summarize(console: Console, timings: Sequence[Timing]) -> None:
    """Print what went wrong, the table of times, growth, headlines, and how many timings are in each state."""
    for timing in timings:
        if timing.unexpected:
            line = f"{timing.state} {timing.backend}: {title(timing)} ({timing.purpose}): {timing.reason}"
            console.print("\n".join(textwrap.wrap(line, 79, max_lines=4, subsequent_indent="  ")), markup=False)
    console.print()
    console.print(_table([timing for timing in timings if timing.purpose == "workload"]))
    for growth in growths(timings):
        console.print(
            f"{growth.workload} on {growth.backend}: time grows as {growth.size}^{growth.exponent:.2f}", markup=False
        )
    for headline in headlines(timings):
        line = f"{headline.backend}: {headline.ratio:.2f} times as fast. {headline.claim}"
        console.print("\n".join(textwrap.wrap(line, 79, subsequent_indent="  ")), markup=False)
    for backend, operation, remark in dict.fromkeys((t.backend, t.operation, t.remark) for t in timings if t.remark):
        line = f"{backend}: {operation} {remark}"
        console.print("\n".join(textwrap.wrap(line, 79, subsequent_indent="  ")), markup=False)
    counts = Counter(timing.state for timing in timings)
    console.print(", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]))


def _table(timings: Sequence[Timing]) -> Table:
    """Times beside each other. Ratios say how many times as long as NumPy, and as the fastest, a backend takes."""
    table = Table(box=None, pad_edge=False)
    table.add_column("workload", overflow="fold", max_width=27)
    table.add_column("backend", overflow="fold", max_width=16)
    for heading in ("median", "/numpy", "/best", "ceiling"):
        table.add_column(heading, justify="right", no_wrap=True)
    groups: dict[str, list[Timing]] = {}
    for timing in timings:
        groups.setdefault(title(timing), []).append(timing)
    for name, group in groups.items():
        shown = [timing for timing in group if timing.state not in ("missing", "unavailable")]
        times = {timing.backend: timing.seconds for timing in shown if timing.state == "timed"}
        for i, timing in enumerate(shown):
            table.add_row("" if i else escape(name), escape(timing.backend), *_figures(timing, times))
    return table


def _figures(timing: Timing, times: dict[str, float]) -> tuple[str, ...]:
    if timing.state != "timed":
        return (f"[red]{timing.state}[/red]",)
    numpy = f"{timing.seconds / times['numpy']:.2f}" if "numpy" in times else ""
    share = "" if timing.share is None else f"{timing.share:.0%}"
    return duration(timing.seconds), numpy, f"{timing.seconds / min(times.values()):.2f}", share

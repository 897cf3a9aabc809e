"""Plots of benchmarks: ratios of times, a roofline, and growth of time with a size.

They need matplotlib, which is imported only here and only to draw. The same records and the same version of matplotlib
give the same files.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from layerlaws.report import text
from layerlaws.report.speed import Curve, Entry, Line, Run, Speed
from layerlaws.report.svg import INK, PAPER, RULE, SOFT, TIP, Plot, plot_of, series
from layerlaws.report.units import round_scaled, scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = (
    "Plots are missing: matplotlib is not installed. `pip install 'layerlaws[bench]'`, and write the report again."
)

WIDTH = 10.0
"""Width of every figure in inches of 72 pixels."""

ROWS = 6
"""How many backends the legend of a panel has room for, one below the other."""

MARKS = "osD^vPX*"

Plots = Mapping[str, Mapping[str, Plot]]
"""Plots by the slug of their run and their kind: headlines, ratios, roofline, growth."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "layerlaws", "text.parse_math": False, "font.size": 11,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": RULE, "axes.titlesize": 11.5,
    "xtick.color": RULE, "ytick.color": RULE, "xtick.labelcolor": SOFT, "ytick.labelcolor": SOFT,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "grid.color": RULE,
    "grid.linewidth": 0.6, "figure.constrained_layout.w_pad": 0.1, "axes.axisbelow": True,
}  # fmt: skip


def plots_of(speed: Speed) -> tuple[Plots, str]:
    """The plots, and why they are missing if they are: "" otherwise."""
    if not speed.runs:
        return {}, ""
    try:
        import matplotlib
    except ImportError:
        return {run.slug: {} for run in speed.runs}, MISSING
    colours = {name: i for i, name in enumerate(speed.backends)}
    with warnings.catch_warnings(), matplotlib.rc_context(_STYLE):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the browser has other fonts
        return {run.slug: dict(_plots(run, colours)) for run in speed.runs}, ""


def _plots(run: Run, colours: Mapping[str, int]) -> Iterator[tuple[str, Plot]]:
    """The plots of one run by kind, without those that have no data."""
    claims = [measured.line for measured in run.headlines if any(entry.faster for entry in measured.line.entries)]
    compared = [line for line in run.lines if sum(entry.faster is not None for entry in line.entries) > 1]
    points = [(line, entry) for line in run.lines for entry in line.entries if entry.flops and entry.intensity]
    if claims:
        yield (
            "headlines",
            _finished(
                _ratios(claims, set(), colours, "how many times as fast"),
                run,
                "headlines",
                "Headlines of the notes",
                "How many times as fast the first workload is as the second, on each backend; logarithmic.",
            ),
        )
    if compared:
        yield (
            "ratios",
            _finished(
                _ratios(compared, {"numpy"}, colours, "speed, NumPy = 1"),
                run,
                "ratios",
                "Speed against NumPy",
                "How many times as fast as NumPy each backend is, for each workload; logarithmic, faster to the right.",
            ),
        )
    if points:
        yield (
            "roofline",
            _finished(
                _roofline(run, points, colours),
                run,
                "roofline",
                "Roofline",
                "FLOP per second reached, against FLOP per byte that has to move; both logarithmic. Lines are what the "
                "machine reached between the rounds with a large matrix product and a large copy; hollow marks are "
                "forward and gradient. All are medians.",
            ),
        )
    if run.curves:
        yield (
            "growth",
            _finished(
                _growth(run.curves, colours),
                run,
                "growth",
                "Growth",
                "Median time against one size; both logarithmic. In the legend the fitted power of the size.",
            ),
        )


def _finished(figure: Figure, run: Run, kind: str, title: str, description: str) -> Plot:
    """The figure as SVG. `Figure.savefig` would draw it twice."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for axes in figure.axes:
        axes.patch.set_visible(False)
        for artist in (*axes.lines, *axes.patches, *axes.texts):
            artist.set_in_layout(False)  # what is within the axes needs no room around them
    drawing = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(drawing, metadata=nothing)
    return plot_of(drawing.getvalue(), f"speed-{run.slug}-{kind}", f"{title}: {run.name}", description)


def _figure(height: float) -> tuple[Figure, Any]:
    """A figure, unknown to pyplot, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained", frameon=False)
    return figure, figure.subplots()


def _panels(rows: int) -> tuple[Figure, Any]:
    """A figure and its axes in two columns, with the same room around each: labels there are short."""
    from matplotlib.figure import Figure

    left, right, top, bottom, between, below = 0.85, 0.1, 0.4, 0.55, 0.9, 0.95  # inches
    wide, high = (WIDTH - left - right - between) / 2, 2.1
    height = top + bottom + rows * high + (rows - 1) * below
    figure = Figure(figsize=(WIDTH, height), frameon=False)
    figure.subplots_adjust(
        left / WIDTH, bottom / height, 1 - right / WIDTH, 1 - top / height, between / wide, below / high
    )
    return figure, figure.subplots(rows, 2, squeeze=False)


def _ratios(lines: Sequence[Line], without: set[str], colours: Mapping[str, int], label: str) -> Figure:
    """A bar from 1 to the ratio for each backend in each line; its state where it has no time."""
    rows = [(line, [entry for entry in line.reported if entry.backend not in without]) for line in lines]
    height = sum(len(entries) + 0.8 for _, entries in rows)
    figure, axes = _figure(1.1 + 0.19 * height)
    _ratio_axis(axes, [entry.faster for _, entries in rows for entry in entries if entry.faster], label)
    place = 0.0
    ticks = []
    for line, entries in rows:
        ticks.append((place + (len(entries) - 1) / 2, _label(line)))
        for entry in entries:
            _bar(axes, place, entry, line, colours)
            place += 1
        place += 0.8
    axes.set_ylim(place - 0.8, -0.8)
    axes.set_yticks(*zip(*ticks, strict=True), color=INK)
    axes.tick_params(axis="y", length=0)
    _legend(axes, [name for name in colours if any(e.backend == name for _, entries in rows for e in entries)], colours)
    return figure


def _bar(axes: Axes, place: float, entry: Entry, line: Line, colours: Mapping[str, int]) -> None:
    colour = series(colours[entry.backend])
    if entry.faster is None:
        axes.text(1, place, f" {_short(entry.backend)}: {entry.state}", va="center", fontsize=9, color=colour)
        return
    bar = axes.barh(place, entry.faster - 1, left=1, height=0.72, color=colour)[0]
    bar.set_gid(f"{TIP}{line.workload}, {line.mode}, {entry.backend}: {entry.ratio}")
    right = entry.faster >= 1
    axes.annotate(
        entry.ratio,
        (entry.faster, place),
        (4 if right else -4, 0),
        textcoords="offset points",
        va="center",
        ha="left" if right else "right",
        fontsize=9,
        color=SOFT,
    )


def _ratio_axis(axes: Axes, ratios: Sequence[float], label: str) -> None:
    least, most = min([1, *ratios]), max([1, *ratios])
    room = (most / least) ** 0.12 * 1.1  # for the numbers beside the bars
    axes.set_xscale("log")
    axes.set_xlim(least / (room if least < 1 else 1), most * room)
    _ticks(axes.xaxis, (least, most), lambda x: f"{x:g}×")
    axes.axvline(1, color=SOFT, linewidth=1)
    axes.grid(axis="x")
    axes.set_xlabel(label)
    axes.spines["left"].set_visible(False)


def _roofline(run: Run, points: Sequence[tuple[Line, Entry]], colours: Mapping[str, int]) -> Figure:
    """Markers below the ceilings: filled for forward, hollow for other modes."""
    figure, axes = _figure(5.6)
    intensities = [entry.intensity for _, entry in points if entry.intensity]
    ridges = [roof.flops / roof.bandwidth for roof in run.roofs]
    ends = min(intensities + ridges) / 2, max(intensities + ridges) * 2
    for roof, dash in zip(run.roofs, ("-", "--", ":", "-.") * len(run.roofs), strict=False):
        bend = min(max(roof.flops / roof.bandwidth, ends[0]), ends[1])
        xs = (ends[0], bend, ends[1])
        label = f"{_short(roof.device)}: {scaled(roof.flops, 'FLOP/s')}, {scaled(roof.bandwidth, 'B/s')}"
        axes.plot(xs, [min(roof.flops, roof.bandwidth * x) for x in xs], dash, color=SOFT, linewidth=1.4, label=label)
    for line, entry in points:
        i = colours[entry.backend]
        tip = f"{line.workload}, {line.mode}, {entry.backend}: {scaled(entry.flops, 'FLOP/s')}"
        axes.plot(
            [entry.intensity],
            [entry.flops],
            MARKS[i % len(MARKS)],
            color=series(i),
            markersize=6.5,
            gid=f"{TIP}{tip}",
            markerfacecolor=series(i) if line.mode == "forward" else PAPER,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*ends)
    _ticks(axes.xaxis, ends, lambda x: f"{x:g}")
    _ticks(axes.yaxis, axes.get_ylim(), lambda x: round_scaled(x, "FLOP/s"))
    axes.grid()
    axes.set_xlabel("FLOP per byte that has to move")
    axes.set_ylabel("FLOP per second")
    roofs = axes.legend(loc="lower right", fontsize=9.5)
    _legend(axes, [name for name in colours if any(entry.backend == name for _, entry in points)], colours, MARKS)
    axes.add_artist(roofs)
    return figure


def _growth(curves: Sequence[Curve], colours: Mapping[str, int]) -> Figure:
    """A panel for each workload and size, sorted by size."""
    panels: dict[tuple[str, str, str], list[Curve]] = {}
    for curve in sorted(curves, key=lambda curve: curve.size):
        panels.setdefault((curve.size, curve.workload, curve.mode), []).append(curve)
    figure, grid = _panels(-(-len(panels) // 2))
    for axes, (key, of) in zip(grid.flat, panels.items(), strict=False):
        _panel(axes, key, of, colours)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    return figure


def _panel(axes: Axes, key: tuple[str, str, str], curves: Sequence[Curve], colours: Mapping[str, int]) -> None:
    size, workload, mode = key
    for curve in curves:
        i = colours[curve.backend]
        axes.plot(
            *zip(*curve.points, strict=True),
            marker=MARKS[i % len(MARKS)],
            markersize=4.5,
            linewidth=1.4,
            color=series(i),
            label=f"{_short(curve.backend)}: {_short(size)}^{curve.exponent:.2f}",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(
        sizes := sorted({n for curve in curves for n, _ in curve.points}),
        [f"{n:,}" if n < 1e5 else round_scaled(n, "") for n in sizes],
    )
    axes.minorticks_off()
    seconds = [s for curve in curves for _, s in curve.points]
    _ticks(axes.yaxis, seconds, lambda x: round_scaled(x, "s"))
    columns = 1 if len(curves) <= ROWS else 2
    least, most = axes.get_ylim()
    room = min(0.09 * math.ceil(len(curves) / columns), 0.7)  # of the height, for the legend
    axes.set_ylim(least, least * (most / least) ** (1 / (1 - room)))
    axes.set_title(_short(workload) if mode == "forward" else f"{_short(workload)}, {_short(mode)}", loc="left")
    axes.set_xlabel(_short(size))
    axes.grid()
    axes.legend(fontsize=9, loc="upper left", ncols=columns)


def _ticks(axis: Any, values: Sequence[float], words: Callable[[float], str]) -> None:
    """Tick labels at powers of ten, and between them where the values are close together."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    spread = max(values) / min(values)
    axis.set_major_locator(LogLocator(subs=(1,) if spread > 200 else (1, 2, 5) if spread > 4 else (1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: words(x)))
    axis.set_minor_locator(NullLocator())


def _legend(axes: Axes, names: Sequence[str], colours: Mapping[str, int], marks: str = "s") -> None:
    """A legend of the backends above the axes."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker=marks[colours[n] % len(marks)], markersize=7, color=series(colours[n]))
        for n in names
    ]
    axes.legend(
        handles,
        [_short(name) for name in names],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=4,
        handletextpad=0.2,
        borderaxespad=0.2,
    )


def _label(line: Line) -> str:
    parts = line.workload.split(" against ")
    return "\n".join(["\nagainst ".join(map(_short, parts)), *([] if line.mode == "forward" else [_short(line.mode)])])


def _short(name: str) -> str:
    """A name cut to leave room for the plot; the tables have it in full."""
    return text.line(name, 34).lstrip("_")  # matplotlib omits labels with a leading underscore

"""A badge for a README, made of a record: how many laws hold of those that the backend was held to."""

from __future__ import annotations

from collections import Counter
from html import escape

from layerlaws.checking.verdict import UNEXPECTED
from layerlaws.report.text import line
from layerlaws.running.journal import Record

NOT_HELD_TO = ("missing", "not offered", "unavailable")
"""States of laws of what a backend does not have or offer."""

GREEN, RED, GREY = "#2a7f4a", "#b3372f", "#6b7178"

HEIGHT, PADDING, CHARACTER = 20, 8, 6.2
"""In pixels; the last is the width that a character is given, which `textLength` makes true in any font."""


def badge(record: Record) -> str:
    """The SVG of a record's badge: "layerlaws | 29 of 31 laws hold", with more in its title.

    Green where all hold, or deviate by design; red where one is broken or raised; grey where the record is incomplete
    or nothing was held. Exact laws, which inform, are not counted.
    """
    counts = Counter(verdict.state for verdict in record.verdicts if verdict.kind != "exact" or verdict.unexpected)
    total = sum(count for state, count in counts.items() if state not in NOT_HELD_TO)
    unexpected = sum(counts[state] for state in UNEXPECTED)
    if not record.complete:
        return _svg("incomplete record", GREY, _title(record, counts, total))
    if not total:
        return _svg("no law held", GREY, _title(record, counts, total))
    return _svg(f"{counts['held']} of {total} laws hold", RED if unexpected else GREEN, _title(record, counts, total))


def _title(record: Record, counts: Counter[str], total: int) -> str:
    """The backend, the states of its laws, and how many laws are not counted since the backend lacks the function."""
    states = [f"{count} {state}" for state, count in sorted(counts.items()) if state not in NOT_HELD_TO]
    header = record.header
    lacking = sum(counts[state] for state in NOT_HELD_TO)
    left_out = f"; {lacking} more are of what it does not offer" * bool(lacking)
    return f"{header.backend}, layerlaws {header.suite}: {', '.join(states) or 'nothing'}{left_out}"


def _svg(value: str, colour: str, title: str) -> str:
    label = "layerlaws"
    widths = [round(len(text) * CHARACTER) + 2 * PADDING for text in (label, value)]
    parts = (
        f'  <text x="{x + PADDING}" y="14" textLength="{width - 2 * PADDING}">{escape(text)}</text>'
        for x, width, text in ((0, widths[0], label), (widths[0], widths[1], value))
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{sum(widths)}" height="{HEIGHT}" role="img" '
            f'aria-label="{escape(f"{label}: {value}")}">',
            f"<title>{escape(line(title))}</title>",
            f'<rect width="{sum(widths)}" height="{HEIGHT}" rx="3" fill="#3b4046"/>',
            f'<path d="M{widths[0]} 0h{widths[1] - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{widths[1] - 3}z" '
            f'fill="{colour}"/>',
            '<g fill="#fff" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11">',
            *parts,
            "</g>",
            "</svg>",
            "",
        ]
    )

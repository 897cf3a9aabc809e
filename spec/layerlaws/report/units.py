"""Formats measured numbers with three significant digits and suitable units."""

from __future__ import annotations

import math

NONE = "–"
"""Stands for a number that is unknown."""

_PREFIXES = {1e12: "T", 1e9: "G", 1e6: "M", 1e3: "k", 1.0: "", 1e-3: "m", 1e-6: "µ", 1e-9: "n"}


def digits(x: float) -> str:
    """A number with three significant digits, never in scientific notation: 0.0123, 1.23, 123, 12,300."""
    rounded = float(f"{x:.3g}")
    if not math.isfinite(x) or rounded == 0:
        return f"{x:g}"
    return f"{rounded:,.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def scaled(x: float | None, unit: str) -> str:
    """A quantity with a decimal prefix: 12.3 ms, 4.56 GB, 789 kFLOP/s."""
    if x is None:
        return NONE
    if x == 0:
        return f"0 {unit}"
    factor = next((f for f in _PREFIXES if abs(x) >= f * 0.9995), 1e-9)
    return f"{digits(x / factor)} {_PREFIXES[factor]}{unit}"


def round_scaled(x: float, unit: str) -> str:
    """A quantity without trailing zeros, for axes: 10 ms, 2.5 MB."""
    number, _, rest = scaled(x, unit).partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {rest}".strip()


def times(ratio: float | None) -> str:
    """A ratio: 2.50x."""
    return NONE if ratio is None else f"{digits(ratio)}×"


def percent(share: float | None) -> str:
    """A share in percent."""
    return NONE if share is None else f"{digits(100 * share) if share < 0.01 else format(100 * share, '.0f')}%"

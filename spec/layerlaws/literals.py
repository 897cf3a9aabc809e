"""Arguments printed as Python that gives them back."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.bounded import Bounded

LONGEST = 4000
"""Characters after which a printed argument is cut; a cut one is no literal any more, and says so."""


def literal(x: Any) -> str:
    """A readable Python expression for an argument or a result, exact for arrays of the formats."""
    if isinstance(x, tuple):
        return f"({''.join(literal(part) + ', ' for part in x).rstrip()})"
    if isinstance(x, Bounded):
        x = x.value.astype(x.dtype)
    if isinstance(x, np.ndarray):
        # An element takes a character at least: no more of them need printing than are shown.
        text = _array(x if x.size <= LONGEST else x.ravel()[:LONGEST])
        whole = f"shape {x.shape}"
    else:
        text = _scalar(x)
        whole = f"{len(text)} characters"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... (cut, {whole})"


def _scalar(x: Any) -> str:
    return f"float({str(x)!r})" if isinstance(x, float) and not np.isfinite(x) else repr(x)


def _array(x: np.ndarray[Any, Any]) -> str:
    if x.size == 0:
        return f"np.zeros({x.shape}, {x.dtype.name!r})"
    wide = x.astype(np.float64) if x.dtype.name == "bfloat16" else x
    with np.printoptions(nanstr="np.nan", infstr="np.inf"):
        numbers = np.array2string(wide, separator=", ", threshold=wide.size + 1, floatmode="unique", max_line_width=100)
    return f"np.array({numbers}, {x.dtype.name!r})"

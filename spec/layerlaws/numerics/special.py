"""What stands for functions of `scipy.special`, which need not be installed.

SciPy's ufuncs reach an array with an error by name: erf, erfc, expit, log_expit, xlogy, xlog1py, entr, rel_entr, log1p.
logsumexp, softmax and log_softmax are Python functions that look at their arguments as plain arrays and refuse others,
so `layerlaws.bound` puts the rules here in their place; within a function of your own write those of
`layerlaws.numerics.special`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws.numerics import mathematics
from layerlaws.numerics.bounded import COMPOSED, NAMESAKES, Bounded, _alike
from layerlaws.numerics.elementary import ERFC
from layerlaws.numerics.rounding import ERF


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False) -> Any:
    """log(sum(b exp(a))), with the largest number taken out first; b > 0 or None."""
    highest = np.max(a, axis=axis, keepdims=True)
    raised = np.exp(a - np.where(np.isfinite(highest.value), highest, 0.0))
    total = np.sum(raised if b is None else b * raised, axis=axis, keepdims=True)
    result = np.log(total) + np.where(np.isfinite(highest.value), highest, 0.0)
    return result if keepdims else np.squeeze(result, axis=tuple(range(a.ndim)) if axis is None else axis)


def softmax(x: Any, axis: Any = None) -> Any:
    """exp(x) / sum(exp(x))."""
    return mathematics.softmax(x, axis=tuple(range(x.ndim)) if axis is None else axis)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """x - log(sum(exp(x)))."""
    return mathematics.log_softmax(x, axis=tuple(range(x.ndim)) if axis is None else axis)


def _log_expit(x: Any) -> Any:
    """log(1 / (1 + exp(-x))) without a large number inside."""
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def _xlogy(x: Any, y: Any, logarithm: Callable[[Any], Any] = np.log) -> Any:
    """x log(y), and 0 where x is exactly 0."""
    x, y = _alike([x, y])
    zero = (x.value == 0) & (x.error == 0)
    return np.where(zero, 0.0, x * logarithm(np.where(zero, 1.0, y)))


def _entr(x: Bounded) -> Any:
    return -_xlogy(x, x)


def _rel_entr(x: Any, y: Any) -> Any:
    x, y = _alike([x, y])
    return _xlogy(x, np.where((x.value == 0) & (x.error == 0), 1.0, x / y))


SUBSTITUTES: dict[tuple[str, str], Callable[..., Any]] = {
    ("scipy.special", "logsumexp"): logsumexp,
    ("scipy.special", "softmax"): softmax,
    ("scipy.special", "log_softmax"): log_softmax,
}
"""Rules for Python functions, by package and name."""


def substitute(function: Callable[..., Any]) -> Callable[..., Any]:
    """The rule that stands for a Python function, or the function itself."""
    package = ".".join(str(getattr(function, "__module__", "")).split(".")[:2])
    return SUBSTITUTES.get((package, getattr(function, "__name__", "")), function)


NAMESAKES.update({"erf": ERF, "erfc": ERFC})
COMPOSED.update(
    {
        "expit": mathematics.sigmoid,
        "log_expit": _log_expit,
        "xlogy": _xlogy,
        "xlog1py": lambda x, y: _xlogy(x, y, np.log1p),
        "entr": _entr,
        "rel_entr": _rel_entr,
    }
)

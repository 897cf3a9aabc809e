"""What is said where an array with an error meets a function that no rule is known for."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

INSTEAD = {
    ("add", "reduce"): "numpy.sum",
    ("add", "accumulate"): "numpy.cumsum",
    ("multiply", "reduce"): "numpy.prod",
    ("multiply", "accumulate"): "numpy.cumprod",
    ("multiply", "outer"): "numpy.outer",
    ("maximum", "reduce"): "numpy.max",
    ("minimum", "reduce"): "numpy.min",
    ("logaddexp", "reduce"): "scipy.special.logsumexp",
}
"""What to write in place of a method of a ufunc."""


def no_rule(function: Any, known: Iterable[str], method: str = "__call__", options: Iterable[str] = ()) -> str:
    """The message for a function, a ufunc's method, or options of a ufunc, that have no rule.

    known: the names of the functions that have one.
    """
    name = named(function)
    if method != "__call__":
        instead = INSTEAD.get((function.__name__, method), "a function of this meaning")
        return f"layerlaws has no rule for {name}.{method}; write {instead} instead"
    if options:
        return f"layerlaws has no rule for {name} with {', '.join(f'{o}=' for o in sorted(options))}: {WITHOUT}"
    near = difflib.get_close_matches(name.rpartition(".")[2], sorted(known), n=3, cutoff=0.6)
    hint = f"near it are {', '.join(near)}; " if near else ""
    return (
        f"layerlaws has no rule for {name}; {hint}write it with functions that have one "
        "(arithmetic, sums, products, einsum, exp, log, power, ...), or bound the steps before and after it"
    )


WITHOUT = (
    "leave out= and dtype= away, as results are in the arithmetic's own formats, and write numpy.where(mask, x, 0) "
    "for where="
)


def accepts(rule: Callable[..., Any], function: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Raise TypeError, by name, where a rule does not take these arguments of its function."""
    try:
        inspect.signature(rule).bind(*args, **options)
    except TypeError as mismatch:
        unknown = [f"{o}=" for o in options if o not in inspect.signature(rule).parameters]
        given = f"with {', '.join(unknown)}: {WITHOUT}" if unknown else f"called so: {mismatch}"
        raise TypeError(f"layerlaws has no rule for {named(function)} {given}") from None


def named(function: Any) -> str:
    """A function as one imports it, for example "numpy.linalg.inv"; ufuncs do not say where they are from."""
    module = getattr(function, "__module__", None)
    name = str(getattr(function, "__name__", function))
    if module is None:
        import numpy as np

        module = "numpy" if getattr(np, name, None) is function else "scipy.special"
    return f"{module}.{name}"

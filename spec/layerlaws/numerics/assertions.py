"""The bound for everybody: how far from the mathematics a correct result may be, for any NumPy function.

No note and no backend: `bound` evaluates a function on arrays that carry their own rounding error, and `assert_within`
holds a computed result to that. Nobody chooses a tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import layerlaws.numerics.contractions  # these join the rules
import layerlaws.numerics.statistics  # noqa: F401
from layerlaws.numerics.arithmetic import Arithmetic, computing_in, described
from layerlaws.numerics.bounded import Bounded, asbounded, stored
from layerlaws.numerics.formats import EXTENSIONS, ArrayLike, Format, format_of, is_float
from layerlaws.numerics.rounding import quietly
from layerlaws.numerics.special import substitute
from layerlaws.support.errors import Undecidable


def bound(
    function: Callable[..., Any], *arguments: Any, arithmetic: Arithmetic | str | None = None, **keywords: Any
) -> Any:
    """What `function` gives on these arguments, and how far from it a correct implementation may land.

    function: any function of NumPy that layerlaws has a rule for, one of your own that is written with these, or an
    operation of a note. arguments, keywords: as it takes them. Floating-point arrays, NumPy's or a library's, also
    inside tuples and lists, are exact: an implementation is given the same ones. Integers, masks and Python numbers
    are passed as they are.
    arithmetic: what the implementation stores, adds up in and keeps: an `Arithmetic`, or a storage format's name; by
    default that of the arrays' dtype, and half precision adds up in float32.

    Returns (value, error): the numbers in a wider format (double; for float64 the longest double there is), and the
    largest absolute error as float64, of the same shape, infinite where nothing is claimed (a result may overflow, an
    operand may be zero). Integers and masks have no error. A tuple of results gives two tuples.
    Raises TypeError for arrays of several formats and for functions without a rule, and Undecidable where a decision
    (a comparison, an order) turns within the rounding errors.
    """
    result, _ = _evaluated(function, arguments, keywords, arithmetic)
    if isinstance(result, tuple):
        return tuple(_value(part) for part in result), tuple(_error(part) for part in result)
    return _value(result), _error(result)


def assert_within(
    actual: Any,
    function: Callable[..., Any],
    *arguments: Any,
    arithmetic: Arithmetic | str | None = None,
    **keywords: Any,
) -> None:
    """Assert that a computed result is as close to the mathematics as `bound` says that a correct one is.

    actual: an array, anything NumPy makes one of, or a tuple of them where the function gives one; tensors of PyTorch
    may require gradients, lie on a device and be bfloat16. The others: as for `bound`.
    Raises AssertionError, which tells the worst element and how many are out. Where nothing is claimed of any element,
    that fails, too: such a test could not.
    """
    __tracebackhide__ = True  # pytest shows the test's own line
    expected, format = _evaluated(function, arguments, keywords, arithmetic)
    name = str(getattr(function, "name", None) or getattr(function, "__name__", "the function"))
    if not isinstance(expected, tuple):
        return _hold(name, actual, expected, format)
    if not isinstance(actual, tuple | list) or len(actual) != len(expected):
        count = len(actual) if isinstance(actual, tuple | list) else 1
        raise AssertionError(f"{name} gives {len(expected)} results, and {count} came")
    for k, (one, other) in enumerate(zip(actual, expected, strict=True)):
        _hold(f"{name}[{k}]", one, other, format)
    return None


def _evaluated(
    function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any], arithmetic: Any
) -> tuple[Any, Format]:
    """The results as they are stored, and the arithmetic."""
    given = [_mapped(x, _numpy) for x in arguments]
    named = {name: _mapped(x, _numpy) for name, x in keywords.items()}
    format = _format(arithmetic, [x for part in (*given, *named.values()) for x in _arrays(part)])
    bounded = [_mapped(x, lambda array: asbounded(array, format)) for x in given]
    options = {name: _mapped(x, lambda array: asbounded(array, format)) for name, x in named.items()}
    try:
        with computing_in(format), quietly():
            result = stored(substitute(function)(*bounded, **options))
    except Undecidable as unsure:
        raise Undecidable(
            f"{unsure}. Correct implementations may differ here, so that no result is right or wrong: choose inputs "
            "that lie farther apart, or bound what is computed before the decision"
        ) from None
    return tuple(result) if isinstance(result, list) else result, format


def _format(arithmetic: Any, arrays: list[Any]) -> Format:
    formats = {format_of(x).name for x in arrays}
    if not formats:
        raise TypeError(
            "there is no floating-point array among the arguments: give at least one, whose dtype says "
            "what is computed in (np.float32(x) for a number)"
        )
    if len(formats) > 1:
        raise TypeError(
            f"the arguments are {' and '.join(sorted(formats))}; a bound is for one storage format: cast them to one "
            "(x.astype(...)), and name a wider accumulator with arithmetic=Arithmetic(accumulate=...)"
        )
    (name,) = formats
    declared = Arithmetic(store=arithmetic) if isinstance(arithmetic, str) else arithmetic or Arithmetic()
    if not isinstance(declared, Arithmetic):
        raise TypeError(f"arithmetic is {arithmetic!r}, expected an Arithmetic or the name of a storage format")
    if declared.store not in ("", name):
        raise TypeError(
            f"the arguments are {name} and the arithmetic stores {declared.store}: cast them, or leave "
            "store out of the arithmetic"
        )
    return declared.format(name)


def _numpy(x: Any) -> Any:
    """An array of any library as NumPy's; what is none comes back as it is."""
    if isinstance(x, np.ndarray | np.generic | Bounded) or not hasattr(x, "__array__"):
        return x
    if not hasattr(x, "detach"):
        return np.asarray(x)
    tensor = x.detach().cpu()
    name = str(x.dtype).rpartition(".")[2]
    if name in EXTENSIONS:  # formats that NumPy lacks; float32 holds their numbers exactly
        return tensor.float().numpy().astype(format_of(name).dtype)
    return tensor.numpy()


def _mapped(x: Any, change: Callable[[Any], Any]) -> Any:
    """An argument with every array in it changed, also inside tuples, lists and dictionaries."""
    if isinstance(x, tuple | list):
        return type(x)(_mapped(part, change) for part in x) if type(x) in (tuple, list) else x
    if isinstance(x, dict):
        return {key: _mapped(part, change) for key, part in x.items()}
    return change(x) if change is _numpy or _is_array(x) else x


def _arrays(x: Any) -> Iterator[Any]:
    if isinstance(x, tuple | list | dict):
        for part in x.values() if isinstance(x, dict) else x:
            yield from _arrays(part)
    elif _is_array(x):
        yield x


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) and is_float(x)


def _value(x: Any) -> NDArray[Any]:
    return x.value if isinstance(x, Bounded) else np.asarray(x)


def _error(x: Any) -> NDArray[np.float64]:
    return x.error if isinstance(x, Bounded) else np.zeros(np.shape(x))


def _hold(name: str, actual: ArrayLike, expected: Any, format: Format) -> None:
    __tracebackhide__ = True
    got, value, error = np.asarray(_numpy(actual)), _value(expected), _error(expected)
    if got.shape != value.shape:
        raise AssertionError(f"{name} has shape {got.shape}, expected {value.shape}")
    if not isinstance(expected, Bounded):
        return _hold_exactly(name, got, value)
    if got.dtype != expected.dtype:
        raise AssertionError(f"{name} has dtype {got.dtype.name}, expected {expected.dtype.name}")
    unclaimed = np.isinf(error) | np.isnan(value)
    if unclaimed.all() and unclaimed.size:
        raise AssertionError(f"{name}: nothing is claimed of any of the {value.size} elements{_why(value, expected)}")
    with np.errstate(all="ignore"):
        computed = got.astype(value.dtype)
        apart = np.where(computed == value, 0, np.abs(computed - value)).astype(np.float64)
        apart = np.where(np.isnan(apart), np.inf, apart)
        out = (apart > error) & ~unclaimed
    if out.any():
        raise AssertionError(_told(name, computed, value, apart, error, out, unclaimed, format))
    return None


def _hold_exactly(name: str, got: NDArray[Any], value: NDArray[Any]) -> None:
    """Integers and masks: no rounding is allowed."""
    __tracebackhide__ = True
    if is_float(got) and not is_float(value):
        raise AssertionError(f"{name} has dtype {got.dtype.name}, expected {value.dtype.name}")
    out = np.asarray(got != value)
    if out.any():
        at = tuple(int(k) for k in np.argwhere(out)[0])
        raise AssertionError(
            f"{name} is {got[at]} at {list(at)}, expected {value[at]}: {out.sum()} of {out.size} elements differ"
        )


def _why(value: NDArray[Any], expected: Bounded) -> str:
    """Why a bound says nothing: the usual causes, told apart by the values."""
    format = expected.format
    if np.isnan(value).all():
        return ": the definition gives no numbers here"
    if np.nanmax(np.abs(value)) * 2 > format.largest:
        return f": {format.name} ends at {format.largest:.3g}, and the results may overflow"
    return (
        f": within the rounding errors of {described(format)} some step may overflow, divide by zero or leave the "
        "domain of a function; scale the inputs, or bound the steps one by one"
    )


def _told(
    name: str,
    got: NDArray[Any],
    value: NDArray[Any],
    apart: NDArray[np.float64],
    error: NDArray[np.float64],
    out: NDArray[np.bool_],
    unclaimed: NDArray[np.bool_],
    format: Format,
) -> str:
    with np.errstate(all="ignore"):
        share = np.where(out, np.where(error > 0, apart / error, np.inf), -1.0)
    at = np.unravel_index(int(np.argmax(share)), share.shape)
    place = f" at [{', '.join(str(int(k)) for k in at)}]" if at else ""
    lines = [
        f"{name} is {float(got[at]):.9g}{place}, expected {float(value[at]):.9g}",
        f"  apart:   {apart[at]:.3g}",
        f"  allowed: {error[at]:.3g}",
        f"  share:   {share[at]:.3g}x of what is allowed",
        f"  out:     {out.sum()} of {out.size} elements",
        f"  in:      {described(format)}",
    ]
    if unclaimed.any():
        lines.insert(5, f"  unclaimed: {unclaimed.sum()} of {out.size} elements, where the results may overflow, say")
    return "\n".join(lines)

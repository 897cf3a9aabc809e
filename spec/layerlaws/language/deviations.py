"""What an implementation of any operation can get wrong: the shape of results, their precision, and gradients.

These are faults, made from the definition. They prove no law; a diagnosis compares broken backends with them as it does
with the faults of the note.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from layerlaws.language.laws import Fault
from layerlaws.language.operations import Operation
from layerlaws.numerics.bounded import Bounded
from layerlaws.numerics.formats import FORMATS, is_float
from layerlaws.numerics.tape import Variable, constant

MOST_AXES = 4
"""Axes of results that are tried in another order."""

Pull = Callable[[Any], Any]


@cache
def deviations_of(operation: Operation) -> tuple[Fault, ...]:
    """The deviations that an implementation of this operation can have."""
    return (*_of_results(operation), *_of_precision(operation), *_of_gradients(operation))


def _of_results(operation: Operation) -> Iterator[Fault]:
    """Right numbers in a wrong shape."""

    def make(name: str, wrong: str, repair: str, change: Callable[[Any], Any]) -> Fault:
        def changed(**arguments: Any) -> Any:
            return change(operation(**arguments))

        return _fault(operation, changed, name, wrong, repair, "contract", ("agrees_with_definition",))

    def each(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda results: tuple(map(change, results)) if isinstance(results, tuple) else change(results)

    for one, other in itertools.combinations(range(MOST_AXES), 2):
        yield make(
            f"swaps_axes_{one}_and_{other}",
            f"Axes {one} and {other} of the result are swapped.",
            "Transpose it before it is reshaped or returned.",
            each(lambda x, one=one, other=other: x.swapaxes(one, other) if x.ndim > other else x),  # type: ignore[misc]
        )
    squeezed = each(lambda x: x.reshape(tuple(n for n in x.shape if n != 1)))
    yield make("drops_axes_of_length_1", "Axes of length 1 are dropped.", "Squeeze no axis that is agreed.", squeezed)
    yield make("flattens_its_result", "The result has one axis.", "Reshape it.", each(lambda x: x.reshape(-1)))
    yield make("adds_an_axis", "The result has one axis more, the first.", "Drop it.", each(lambda x: x[None]))

    def first(results: Any) -> Any:
        return results[0] if isinstance(results, tuple) else results

    yield make("returns_the_first_result_only", "Results after the first are missing.", "Return all of them.", first)

    def last(results: Any) -> Any:
        return results[-1] if isinstance(results, tuple) else results

    yield make("returns_the_last_result_only", "Results before the last are missing.", "Return all of them.", last)

    def backwards(results: Any) -> Any:
        return results[::-1] if isinstance(results, tuple) else results

    yield make("returns_its_results_in_reverse", "The results come in reverse.", "Return them in order.", backwards)


COMPUTES_IN_FLOAT32 = "computes_in_float32"


def _of_precision(operation: Operation) -> Iterator[Fault]:
    def narrow(**arguments: Any) -> Any:
        named = {"dtype": "float32"} if arguments.get("dtype") == "float64" else {}
        if not named and not any(_is_double(x) for x in arguments.values()):
            return operation(**arguments)
        return _mapped(operation(**{**_mapped(arguments, _narrowed), **named}), _widened)

    yield _fault(
        operation,
        narrow,
        COMPUTES_IN_FLOAT32,
        "Float64 numbers pass through float32: a cast, a table, a constant or a library's default.",
        "Keep the dtype of the arguments in every step.",
        "precision",
        ("agrees_with_definition",),
        "https://github.com/huggingface/transformers/issues/48459",
    )


def _is_double(x: Any) -> bool:
    if isinstance(x, tuple):
        return any(map(_is_double, x))
    return hasattr(x, "dtype") and x.dtype == np.float64


def _mapped(x: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(x, dict):
        return {name: _mapped(part, change) for name, part in x.items()}
    if isinstance(x, tuple):
        return tuple(_mapped(part, change) for part in x)
    return change(x) if isinstance(x, (Bounded, Variable)) or is_float(x) else x


def _narrowed(x: Any) -> Any:
    """A float64 array rounded to float32; on the way back, a gradient is widened again."""
    if isinstance(x, Variable):
        return Variable(_narrowed(x.primal), (x, _widened))
    if isinstance(x, Bounded):
        single = FORMATS["float32"]
        return Bounded(x.value.astype(single.wide), x.error + single.unit * np.abs(x.value.astype(float)), single)
    return x.astype(np.float32)


def _widened(x: Any) -> Any:
    """A float32 array as float64, which is exact."""
    if isinstance(x, Variable):
        return Variable(_widened(x.primal), (x, _narrowed))
    return Bounded(x.value, x.error, FORMATS["float64"]) if isinstance(x, Bounded) else x.astype(np.float64)


def _of_gradients(operation: Operation) -> Iterator[Fault]:
    """Right results with a wrong gradient."""
    if not operation.differentiable:
        return

    def make(name: str, wrong: str, repair: str, function: Callable[..., Any], seen: str = "constructed") -> Fault:
        broken = ("gradient_agrees_with_definition",)
        return _fault(operation, function, name, wrong, repair, "gradient", broken, seen)

    def by_arguments(pull: Callable[[Any, dict[str, Any]], Any], *names: str) -> Callable[..., Any]:
        """The operation, with the gradients by these arguments (all, if none is named) changed on the way out."""

        def function(**arguments: Any) -> Any:
            def passed(x: Any) -> Any:
                return Variable(constant(x), (x, lambda s: pull(s, arguments))) if isinstance(x, Variable) else x

            return operation(**{n: _mapped(x, passed) if not names or n in names else x for n, x in arguments.items()})

        return function

    def by_results(pull: Pull) -> Callable[..., Any]:
        """The operation, with the cotangents changed on the way in."""

        def passed(x: Any) -> Any:
            return Variable(constant(x), (x, pull)) if isinstance(x, Variable) else x

        return lambda **arguments: _mapped(operation(**arguments), passed)

    parameters = inspect.signature(operation.definition).parameters.values()
    for name in [p.name for p in parameters if "Array" in str(p.annotation)]:
        yield make(
            f"cuts_{name}_off",
            f"The gradient by {name} is 0: it is cut off.",
            "Detach nothing.",
            by_arguments(lambda s, _: s * 0, name),
        )
        yield make(
            f"transposes_the_gradient_by_{name}",
            f"The gradient by {name} has its last two axes swapped.",
            f"It has the shape of {name}.",
            by_arguments(lambda s, _: s.swapaxes(-1, -2) if s.ndim > 1 else s, name),
        )
    yield make("negates_the_gradient", "Gradients have the wrong sign.", "Negate them.", by_arguments(lambda s, _: -s))
    yield make(
        "doubles_the_gradient", "Gradients are twice what they should be.", "Add up each share once.",
        by_arguments(lambda s, _: 2 * s),
    )  # fmt: skip
    yield make(
        "ignores_the_cotangent",
        "The gradient is that of the plain sum of the results, whatever comes from above.",
        "Multiply by the cotangent.",
        by_results(lambda s: s * 0 + 1),
    )
    yield make(
        "takes_the_first_cotangent_for_all",
        "The first row of the cotangent stands in for all rows.",
        "Multiply each row by its own.",
        by_results(lambda s: s * 0 + s[:1] if s.ndim else s),
        "https://github.com/linkedin/Liger-Kernel/pull/1298",
    )
    if operation.batch:
        leading = operation.batch[0]
        yield make(
            "averages_the_gradient_over_the_batch",
            "Gradients are divided by the size of the batch, as those of a mean.",
            "Add them up; a mean is the caller's business.",
            by_arguments(lambda s, arguments: s / len(arguments[leading])),
        )


def _fault(
    operation: Operation,
    function: Callable[..., Any],
    name: str,
    wrong: str,
    repair: str,
    kind: str,
    breaks: tuple[str, ...],
    seen: str = "constructed",
) -> Fault:
    def named(**arguments: Any) -> Any:
        return function(**arguments)

    named.__name__, named.__doc__ = name, wrong
    return Fault(operation, named, breaks, kind, repair, seen)

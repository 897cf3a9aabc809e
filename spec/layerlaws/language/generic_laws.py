"""Laws that every operation obeys; they come with the operation, and each with the fault that proves it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws.language import exact_laws, memory_laws, state_laws
from layerlaws.language.claims import Claim, closely, exactly
from layerlaws.language.implementation import Implementation, numbers_of
from layerlaws.language.inputs import normal, seeds
from layerlaws.language.laws import Fault, Law
from layerlaws.language.mistakes import each, moved
from layerlaws.language.operations import Operation
from layerlaws.language.sameness import alike, parts, same_bits
from layerlaws.language.seldom_laws import SELDOM_FAULTS, seldom_laws_of
from layerlaws.language.withheld import Withheld, offered
from layerlaws.numerics.bounded import Bounded
from layerlaws.numerics.formats import is_float
from layerlaws.numerics.reverse_mode import constant
from layerlaws.support.errors import Broken, Undecidable

Definition = Callable[..., Any]


def agrees_with_definition(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """The results are those of the definition: the same numbers up to rounding, the same shapes and dtypes."""
    return agreement(operation, operation.results(**inputs), operation.definition(**inputs))


def agreement(operation: Implementation, raw: Any, expected: Any) -> Claim:
    """Plain results are what the definition says."""
    computed = operation.beside(raw, expected)
    for got, want in zip(*offered(parts(raw), parts(expected)), strict=True):
        dtype = want.dtype if isinstance(want, Bounded) else np.asarray(want).dtype
        if got.dtype != dtype:
            raise Broken(
                f"{operation.name} returned dtype {got.dtype}, not {dtype}", cause=f"wrong dtype from {operation.name}"
            )
    return closely(computed, numbers_of(expected), names=("returned", "expected"))


def gradient_agreement(operation: Implementation, gradients: dict[str, Any], expected: dict[str, Any]) -> Claim:
    """Plain gradients are what the definition says."""
    computed = operation.beside_gradient(gradients, expected)
    return _gradients_agree(computed, expected)


def _gradients_agree(computed: dict[str, Any], expected: dict[str, Any]) -> Claim:
    """The gradients by all arguments are those expected; messages say by which argument."""
    names = tuple(f"the gradient by {name}" for name in expected)
    right = tuple(numbers_of(x) for x in expected.values())
    return closely(tuple(computed.values()), right, names=("returned", "expected"), of=names)


def gradient_agrees_with_definition(operation: Implementation, inputs: dict[str, Any], seed: int) -> Claim:
    """The gradient of any weighted sum of the results is that of the definition, by every float argument.

    What is allowed, and why it covers any correct backward pass: `layerlaws.numerics.reverse_mode`.
    """
    results = operation.definition(**inputs)
    weights = tuple(
        normal(seed + k, x.shape, x) if isinstance(x, Bounded) else np.zeros_like(x)
        for k, x in enumerate(parts(results))
    )
    computed, expected = operation.compare_gradient(weights if isinstance(results, tuple) else weights[0], **inputs)
    slopes = [x for gradient in expected.values() for x in parts(gradient)]
    if not any(np.any(np.abs(x.value) > x.error) for x in slopes):
        raise Undecidable("the gradient is zero up to its error: a backend that loses it could not be told")
    return _gradients_agree(computed, expected)


def leaves_its_inputs_alone(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """A call changes none of its arguments, and no result shares memory with one."""
    native = operation.native(inputs)
    results = [x for x in parts(operation.back(operation.raw(native))) if not isinstance(x, Withheld)]
    untouched = operation.native(inputs)
    for name in (name for name, x in native.items() if all(hasattr(part, "dtype") for part in parts(x))):
        after, before = (parts(operation.back(side[name])) for side in (native, untouched))
        if any(np.shares_memory(result, array) for result in results for array in after):
            raise Broken(f"{operation.name} returned an array that shares memory with its argument {name!r}")
        if any(not same_bits(one, other) for one, other in zip(before, after, strict=True)):
            raise Broken(f"{operation.name} changed its argument {name!r}", (("before", before), ("after", after)))
    return exactly(len(results), len(results))


def answers_the_same_twice(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """A second call with the same arguments gives the same results: nothing is kept from call to call."""
    first, second = operation.results(**inputs), operation.results(**inputs)
    if alike(first, second):  # whatever the definition says of them
        return exactly(len(parts(first)), len(parts(second)))
    expected = operation.definition(**inputs)
    return closely(operation.beside(first, expected), operation.beside(second, expected))


def batches_are_independent(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """Each row of the batch comes out as if it had been alone."""
    size = len(inputs[operation.operation.batch[0]])
    whole = operation(**inputs)
    row = size // 2
    alone = {
        name: x[row : row + 1] if name in operation.operation.batch and x is not None else x
        for name, x in inputs.items()
    }
    part = tuple(x[row : row + 1] for x in whole) if isinstance(whole, tuple) else whole[row : row + 1]
    return closely(operation(**alone), part)


def laws_of(operation: Operation) -> list[Law]:
    """The free laws of an operation."""
    states: list[Callable[..., Claim]] = [agrees_with_definition, answers_the_same_twice]
    if operation.takes_arrays:
        states.insert(1, leaves_its_inputs_alone)
    if operation.batch:
        states.append(batches_are_independent)
    # That a call leaves traces does not depend on the numbers: a few show it.
    traces = (leaves_its_inputs_alone, answers_the_same_twice)
    kinds = {leaves_its_inputs_alone: "memory", answers_the_same_twice: "state"}
    laws = [
        Law(state.__name__, state, examples=20 if state in traces else None, kind=kinds.get(state, "values"))
        for state in states
    ]
    if operation.differentiable:
        state = gradient_agrees_with_definition
        laws.append(Law(state.__name__, state, extra={"seed": seeds}, needs=("gradient",)))
    others = (seldom_laws_of, memory_laws.laws_of, state_laws.laws_of, exact_laws.laws_of)
    return [*laws, *(law for laws_of in others for law in laws_of(operation))]


def faults_of(operation: Operation) -> list[Fault]:
    """A fault for every free law of an operation, made from its definition."""
    broken_by = {
        "agrees_with_definition": (_off_by_a_little, "formula"),
        "leaves_its_inputs_alone": (_overwrites_its_input, "contract"),
        "answers_the_same_twice": (_counts_its_calls, "contract"),
        "batches_are_independent": (_mixes_the_batch, "order"),
        "gradient_agrees_with_definition": (_halves_its_gradient, "gradient"),
        **SELDOM_FAULTS,
        **memory_laws.FAULTS,
        **state_laws.FAULTS,
        **exact_laws.FAULTS,
    }
    made = []
    for law in laws_of(operation):
        make, kind = broken_by[law.name]
        function = make(operation)
        function.__name__, function.__doc__ = make.__name__.strip("_"), make.__doc__
        seen = {**memory_laws.SEEN, **exact_laws.SEEN}.get(law.name, "constructed")
        made.append(Fault(operation, function, (law.name,), kind, repair="", seen=seen))
    return made


def _off_by_a_little(operation: Operation) -> Definition:
    """A hundredth of the size is added to every number, one to every integer: no result is right."""

    def shifted(**arguments: Any) -> Any:
        return each(operation(**arguments), moved)

    return shifted


def _overwrites_its_input(operation: Operation) -> Definition:
    """The first array argument is overwritten in place; work on a copy."""

    def overwriting(**arguments: Any) -> Any:
        result = each(operation(**arguments), lambda x: x.astype(x.dtype))
        arrays = [part for x in arguments.values() for part in parts(x) if isinstance(part, np.ndarray) and part.size]
        for first in arrays[:1]:
            first[...] = moved(first)
        return result

    return overwriting


def _counts_its_calls(operation: Operation) -> Definition:
    """State is kept between calls (dropout left on, a counter, a cache): the second answer is not the first."""
    calls = itertools.count()

    def counting(**arguments: Any) -> Any:
        result = operation(**arguments)
        return each(result, moved) if next(calls) % 2 else result

    return counting


def _mixes_the_batch(operation: Operation) -> Definition:
    """The rows of the batch are reversed, so that each gets the answer of another."""

    def mixing(**arguments: Any) -> Any:
        return each(operation(**arguments), lambda x: x[::-1])

    return mixing


def _halves_its_gradient(operation: Operation) -> Definition:
    """Half of each result is detached from its arguments, so that the gradient is half of what it should be."""

    def detaching(**arguments: Any) -> Any:
        return each(operation(**arguments), lambda x: x / 2 + constant(x) / 2 if is_float(x) else x)

    return detaching

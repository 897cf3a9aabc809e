"""Laws that every operation obeys; they come with the operation, and each with the fault that proves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws.bounded import Bounded, value_of
from layerlaws.claims import Broken, Claim, closely, exactly
from layerlaws.formats import is_float
from layerlaws.law import Fault, Law
from layerlaws.operation import Implementation, Operation

Definition = Callable[..., Any]


def agrees_with_definition(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """The results are those of the definition: the same numbers up to rounding, the same shapes and dtypes."""
    computed, expected = operation.compare(**inputs)
    raw = operation.results(**inputs)
    for got, want in zip(_parts(raw), _parts(expected), strict=True):
        dtype = operation.format.dtype if isinstance(want, Bounded) else np.asarray(want).dtype
        if got.dtype != dtype:
            raise Broken(f"{operation.name} returned dtype {got.dtype}, not {dtype}")
    return closely(computed, expected)


def leaves_its_inputs_alone(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """A call changes none of its arguments, and no result shares memory with one."""
    native = operation.native(inputs)
    results = _parts(operation.back(operation.raw(native)))
    after = {name: tuple(operation.back(part) for part in _parts(x)) for name, x in native.items() if _is_array(x)}
    for name, arrays in after.items():
        for result in results:
            if any(np.shares_memory(result, array) for array in arrays):
                raise Broken(f"{operation.name} returned an array that shares memory with its argument {name!r}")
    before = operation.native(inputs)
    for name, arrays in after.items():
        originals = tuple(operation.back(part) for part in _parts(before[name]))
        if any(not _same_bits(one, other) for one, other in zip(originals, arrays, strict=True)):
            raise Broken(
                f"{operation.name} changed its argument {name!r}", (("before", originals), ("after", arrays))
            )
    return exactly(len(results), len(results))


def answers_the_same_twice(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """A second call with the same arguments gives the same results: nothing is kept from call to call."""
    first = operation(**inputs)
    second = operation(**inputs)
    return closely(first, second)


def batches_are_independent(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """Each row of the batch comes out as if it had been alone."""
    size = len(inputs[operation.operation.batch[0]])
    whole = operation(**inputs)
    row = size // 2
    alone = {name: x[row : row + 1] if name in operation.operation.batch and x is not None else x
             for name, x in inputs.items()}  # fmt: skip
    part = tuple(x[row : row + 1] for x in whole) if isinstance(whole, tuple) else whole[row : row + 1]
    return closely(operation(**alone), part)


def laws_of(operation: Operation) -> list[Law]:
    """The free laws of an operation."""
    states: list[Callable[..., Claim]] = [agrees_with_definition, leaves_its_inputs_alone, answers_the_same_twice]
    if operation.batch:
        states.append(batches_are_independent)
    return [Law(state.__name__, state) for state in states]


def faults_of(operation: Operation) -> list[Fault]:
    """A fault for every free law of an operation, made from its definition."""
    faults = [(_off_by_a_little, "agrees_with_definition"), (_overwrites_its_input, "leaves_its_inputs_alone"),
              (_counts_its_calls, "answers_the_same_twice")]  # fmt: skip
    if operation.batch:
        faults.append((_mixes_the_batch, "batches_are_independent"))
    made = []
    for make, broken in faults:
        function = make(operation)
        function.__name__, function.__doc__ = make.__name__.strip("_"), make.__doc__
        made.append(Fault(operation, function, (broken,), "constructed"))
    return made


def _off_by_a_little(operation: Operation) -> Definition:
    """A hundredth of the size is added to every number, one to every integer: no result is right."""

    def shifted(**arguments: Any) -> Any:
        return _each(operation(**arguments), lambda x: ~x if x.dtype == bool else _sized(x, x + _step(x)))

    return shifted


def _overwrites_its_input(operation: Operation) -> Definition:
    """The first array argument is overwritten in place; work on a copy."""

    def overwriting(**arguments: Any) -> Any:
        result = _each(operation(**arguments), np.copy)
        for x in arguments.values():
            for part in _parts(x):
                if isinstance(part, np.ndarray) and part.size:
                    part[...] = ~part if part.dtype == bool else part + _step(part)
                    return result
        return _first_array_or(result, arguments)

    return overwriting


def _counts_its_calls(operation: Operation) -> Definition:
    """State is kept between calls (dropout left on, a counter, a cache): the second answer is not the first."""
    calls = [0]

    def counting(**arguments: Any) -> Any:
        calls[0] += 1
        odd = calls[0] % 2

        def drift(x: Any) -> Any:
            return x if odd else (~x if x.dtype == bool else _sized(x, x + _step(x)))

        return _each(operation(**arguments), drift)

    return counting


def _mixes_the_batch(operation: Operation) -> Definition:
    """The rows of the batch are reversed, so that each gets the answer of another."""

    def mixing(**arguments: Any) -> Any:
        return _each(operation(**arguments), lambda x: x[::-1])

    return mixing


def _first_array_or(result: Any, arguments: dict[str, Any]) -> Any:
    return result


def _step(x: Any) -> Any:
    return (0.01 * np.abs(x) + 0.01).astype(x.dtype) if is_float(x) else np.asarray(1, x.dtype)


def _sized(x: Any, changed: Any) -> Any:
    return changed.astype(x.dtype)


def _each(result: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(result, tuple):
        return tuple(change(np.asarray(value_of(x))) for x in result)
    return change(np.asarray(value_of(result)))


def _parts(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else (x,)


def _is_array(x: Any) -> bool:
    return all(hasattr(part, "dtype") for part in _parts(x)) and _parts(x) != ()


def _same_bits(one: Any, other: Any) -> bool:
    return bool(np.array_equal(np.atleast_1d(one).view(np.uint8), np.atleast_1d(other).view(np.uint8)))

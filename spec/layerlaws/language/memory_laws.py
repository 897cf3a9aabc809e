"""Laws about memory that every operation with arrays obeys: how arguments lie in it, and who may write to it when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.language.claims import Claim, all_of, exactly
from layerlaws.language.implementation import Declined, Implementation, Raised
from layerlaws.language.inputs import normal, seeds
from layerlaws.language.laws import Law
from layerlaws.language.layouts import LAYOUTS, REPEATED, Placement, given_in, repeated_rows, require_some
from layerlaws.language.mistakes import each
from layerlaws.language.operations import Operation
from layerlaws.language.sameness import alike, kept, parts, same_gradients, same_results
from layerlaws.numerics.bounded import value_of
from layerlaws.numerics.formats import is_float
from layerlaws.numerics.reverse_mode import constant
from layerlaws.numerics.tape import Variable
from layerlaws.support.errors import Broken, Undecidable

Definition = Callable[..., Any]

FEW = 10
"""Examples of a law about memory: it depends little on the numbers, and each example asks for many calls."""

FEWER = 5
"""Examples of the law about gradients, which cost most."""


def memory_layout_does_not_matter(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """The same numbers lying otherwise in memory give the same results: column-major, with gaps, offset by one element,
    unaligned, expanded with stride 0, with negative strides, read-only.

    Which of these reached the backend is measured, and stands in the verdict.
    """
    plain, rows = operation.results(**inputs), repeated_rows(operation, inputs)
    claims, obstacles = [], list[str]()
    for layout in LAYOUTS:
        arguments, results = inputs, plain
        if layout is REPEATED:
            try:
                arguments, results = rows, operation.results(**rows)
            except (Raised, Declined):  # no input of the operation
                continue
        found = given_in(operation, layout, partial(_results, operation, arguments), obstacles)
        if found is not None:
            claims.append(same_results(operation, results, found[0], arguments, ("in C order", layout.name)))
    require_some(len(claims), obstacles)
    return all_of(*claims)


def _results(operation: Implementation, arguments: dict[str, Any], into: Placement) -> Any:
    return operation.back(operation.raw(operation.native(arguments, into)))


def gradient_does_not_depend_on_memory_layout(operation: Implementation, inputs: dict[str, Any], seed: int) -> Claim:
    """The same numbers lying otherwise in memory give the same gradient, cotangents included."""
    results = operation.results(**inputs)
    weights = tuple(
        normal(seed + k, x.shape, x) if is_float(x) else np.zeros_like(x) for k, x in enumerate(parts(results))
    )
    cotangent: Any = operation.offered_weights(weights if isinstance(results, tuple) else weights[0], inputs)
    plain = operation.gradient(cotangent, **inputs)

    def expected() -> Any:
        exact = operation.exact({"weights": cotangent})["weights"]
        return operation.definition_gradient(exact, **inputs)

    claims, obstacles = [], list[str]()
    for layout in LAYOUTS:
        found = given_in(operation, layout, lambda into: operation.gradient(cotangent, into, **inputs), obstacles)
        if found is not None:
            claims.append(same_gradients(operation, plain, found[0], expected, ("in C order", layout.name)))
    require_some(len(claims), obstacles)
    return all_of(*claims)


def results_stay_as_they_are(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """A result stays as it is while the operation is called again with other numbers: it has memory of its own."""
    native = operation.raw(operation.native(inputs))
    before, others = kept(operation.back(native)), 0
    for arguments in with_other_numbers(inputs):
        with suppress(Raised, Declined):
            others += not alike(kept(operation.results(**arguments)), before)
            _require_unchanged(operation, native, before)
    if not others:
        raise Undecidable("no other numbers give another result")
    _require_unchanged(operation, native, before)  # a moment later
    return exactly(len(parts(before)), len(parts(before)))


def _require_unchanged(operation: Implementation, native: Any, before: Any) -> None:
    after = kept(operation.back(native))
    if not alike(after, before):
        raise Broken(
            f"a result of {operation.name} was changed by a later call with other numbers",
            (("returned", before), ("later", after)),
        )


def arguments_are_read_anew(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """A call reads its arguments as they are now: where the caller has changed the same arrays, results change."""
    before = kept(operation.results(**inputs))
    for arguments in with_other_numbers(inputs):
        try:
            fresh = operation.results(**arguments)
        except (Raised, Declined):
            continue
        if not alike(kept(fresh), before):
            native, names = operation.native(inputs), ("in new arrays", "in arrays of an earlier call, changed")
            operation.raw(native)
            _overwrite(native, operation.native(arguments))
            again = operation.back(operation.raw(native))
            return same_results(operation, fresh, again, arguments, names)
    raise Undecidable("no other numbers give another result")


def _overwrite(native: dict[str, Any], other: dict[str, Any]) -> None:
    """Write the numbers of other arrays into arrays of the backend. Raises Declined if that cannot be."""
    for name, x in native.items():
        for array, new in zip(parts(x), parts(other[name]), strict=True):
            if hasattr(array, "shape"):
                try:
                    array[...] = new
                except Exception as error:
                    raise Declined("writing", NotImplementedError("its arrays cannot be written to")) from error


def with_other_numbers(inputs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Inputs of the same shapes with other numbers. The operation may refuse some of them.

    First every float array is halved and its first axis reversed, then halved only, then the first array is reversed.
    """
    arrays = [name for name, x in inputs.items() if any(isinstance(part, np.ndarray) for part in parts(x))]
    floats = [name for name in arrays if any(is_float(part) for part in parts(inputs[name]))]
    if floats:
        yield {
            name: _changed(x, lambda a: _reversed(_halved(a))) if name in floats else x for name, x in inputs.items()
        }
        yield {name: _changed(x, _halved) if name in floats else x for name, x in inputs.items()}
    yield {name: _changed(x, _reversed) if name == arrays[0] else x for name, x in inputs.items()}


def _changed(x: Any, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Any:
    if isinstance(x, tuple):
        return tuple(_changed(part, change) for part in x)
    return change(x) if isinstance(x, np.ndarray) else x


def _halved(array: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(array * array.dtype.type(0.5)) if is_float(array) else array


def _reversed(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array[::-1]) if array.ndim else array


def laws_of(operation: Operation) -> list[Law]:
    """The laws about memory of an operation; none where it takes no arrays."""
    if not operation.takes_arrays:
        return []
    states = (memory_layout_does_not_matter, results_stay_as_they_are, arguments_are_read_anew)
    laws = [Law(state.__name__, state, examples=FEW, kind="memory") for state in states]
    if operation.differentiable:
        gradient = gradient_does_not_depend_on_memory_layout
        extra = {"seed": seeds}
        laws.append(Law(gradient.__name__, gradient, extra, examples=FEWER, needs=("gradient",), kind="memory"))
    return laws


def _ignores_strides(operation: Operation) -> Definition:
    """The first array is read as if it were contiguous, whatever its strides are; use them, or copy it."""

    def ignoring(**arguments: Any) -> Any:
        first = next((name for name, x in arguments.items() if isinstance(x, np.ndarray)), None)
        if first is not None:
            arguments = {**arguments, first: _as_if_contiguous(arguments[first])}
        return operation(**arguments)

    return ignoring


def _as_if_contiguous(array: NDArray[Any]) -> NDArray[Any]:
    """As many elements as the array has, one after another, from its first one on, in the shape of the array."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if not owner.flags.c_contiguous or not array.size:
        return array
    start = array.ctypes.data - owner.ctypes.data
    try:
        return np.ndarray(array.shape, array.dtype, owner.reshape(-1).view(np.uint8), start)
    except TypeError:  # the memory ends before
        return array


def _loses_the_gradient_of_strided_arrays(operation: Operation) -> Definition:
    """The way back is half of what it should be where an argument is not contiguous; use strides there, too."""

    def losing(**arguments: Any) -> Any:
        primals = [value_of(x.primal) for x in arguments.values() if isinstance(x, Variable)]
        result = operation(**arguments)
        if all(x.flags.c_contiguous for x in primals):
            return result
        return each(result, lambda x: x / 2 + constant(x) / 2 if isinstance(x, Variable) else x)

    return losing


def _returns_one_buffer(operation: Operation) -> Definition:
    """All results of a shape are written into one buffer, which is returned again and again; allocate each."""
    buffers: dict[Any, NDArray[Any]] = {}

    def keeping(**arguments: Any) -> Any:
        dtypes = [x.dtype for value in arguments.values() for x in parts(value) if _is_float_array(x)]

        def into_buffer(x: Any) -> Any:
            if isinstance(x, Variable):
                return x
            x = np.asarray(value_of(x))
            x = x.astype(dtypes[0]) if dtypes and is_float(x) else x
            buffer = buffers.setdefault((x.shape, x.dtype), np.empty_like(x))
            buffer[...] = x
            return buffer

        return each(operation(**arguments), into_buffer)

    return keeping


def _remembers_arrays(operation: Operation) -> Definition:
    """The result for an array is kept by its identity, and outlives a change of its numbers; look at the numbers."""
    last: list[Any] = []

    def remembering(**arguments: Any) -> Any:
        arrays = [x for value in arguments.values() for x in parts(value) if isinstance(x, np.ndarray)]
        known = last[0] if last else ()
        if arrays and len(known) == len(arrays) and all(map(lambda x, y: x is y, known, arrays)):
            return last[1]
        result = operation(**arguments)
        if arrays:
            last[:] = [arrays, result]
        return result

    return remembering


def _is_float_array(x: Any) -> bool:
    return isinstance(x, np.ndarray) and is_float(x)


FAULTS: dict[str, tuple[Callable[[Operation], Definition], str]] = {
    "memory_layout_does_not_matter": (_ignores_strides, "contract"),
    "gradient_does_not_depend_on_memory_layout": (_loses_the_gradient_of_strided_arrays, "gradient"),
    "results_stay_as_they_are": (_returns_one_buffer, "contract"),
    "arguments_are_read_anew": (_remembers_arrays, "contract"),
}
"""What makes the fault of each law from an operation, and its kind."""

SEEN = {
    "memory_layout_does_not_matter": "https://github.com/NVIDIA/TransformerEngine/issues/2734",
    "gradient_does_not_depend_on_memory_layout": "https://github.com/NVIDIA/TransformerEngine/pull/2402",
}
"""Where faults were really shipped."""

"""The definitions as a backend, with or without a fault in place of one: what laws are tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from layerlaws.language.backend import Backend
from layerlaws.language.laws import Fault
from layerlaws.language.note import Catalogue
from layerlaws.language.operations import Operation
from layerlaws.numerics.bounded import Bounded, value_of
from layerlaws.numerics.formats import format_of, formats_named, is_float
from layerlaws.numerics.reverse_mode import vjp
from layerlaws.numerics.rounding import quietly
from layerlaws.numerics.tape import Variable
from layerlaws.support.errors import Undecidable, Unsupported


def reference(
    catalogue: Catalogue, fault: Fault | None = None, dtypes: tuple[str, ...] = ("float32", "float64")
) -> Backend:
    """A backend of all definitions, evaluated by plain NumPy in the formats of these dtypes.

    fault: replaces the definition of its operation.
    """
    return reference_of(catalogue.operations.values(), fault, dtypes)


def reference_of(
    operations: Iterable[Operation], fault: Fault | None = None, dtypes: tuple[str, ...] = ("float32", "float64")
) -> Backend:
    """`reference` for these operations only."""
    functions = {operation.name: _declining(plain(operation.definition)) for operation in operations}
    if fault is not None:
        functions[fault.operation.name] = _declining(plain(fault.function))
    name = "definitions" if fault is None else f"fault {fault.name}"
    return Backend(name, functions, lambda x: x, lambda x: x, formats_named(dtypes), gradient)


def gradient(function: Callable[..., Any], arguments: Mapping[str, Any], cotangent: Any) -> dict[str, Any]:
    """The gradient of sum(cotangent * function(**arguments)) with respect to every float array, in its own dtype."""
    with quietly():
        found = vjp(function, arguments)[1](cotangent)
    return {
        name: _cast(x, arguments[name][0].dtype if isinstance(x, tuple) else arguments[name].dtype)
        for name, x in found.items()
    }


def _declining(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which does not offer what a definition does not decide: such an input shows nothing."""

    def declining(**arguments: Any) -> Any:
        try:
            return function(**arguments)
        except Undecidable as reason:
            raise Unsupported(f"the definition does not decide: {reason}") from reason

    return declining


def plain(definition: Callable[..., Any]) -> Callable[..., Any]:
    """A definition as a function of plain arrays that returns floats in the format of its float arguments."""

    def function(**arguments: Any) -> Any:
        arrays = [
            x for argument in arguments.values() for x in (argument if isinstance(argument, tuple) else (argument,))
        ]
        formats = [format_of(x) for x in arrays if isinstance(x, np.ndarray) and is_float(x)]
        with quietly():
            result = definition(**arguments)
        return _cast(result, formats[0].dtype if formats else None, arrays)

    return function


def _cast(result: Any, dtype: np.dtype[Any] | None, arguments: Iterable[Any] = ()) -> Any:
    """A result in a dtype; a copy only where it is in another one, or shares memory with an argument."""
    if isinstance(result, tuple):
        return tuple(_cast(part, dtype, arguments) for part in result)
    if isinstance(result, Variable):
        return result
    if isinstance(result, Bounded):
        return result.value.astype(result.dtype)
    array = np.asarray(value_of(result))
    if dtype is None or not is_float(array):
        return array
    shared = any(isinstance(x, np.ndarray) and np.may_share_memory(x, array) for x in arguments)
    return array.astype(dtype, copy=shared)

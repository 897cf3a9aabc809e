"""Laws that every operation obeys on inputs that are met seldom: huge axes, small numbers, what is no number, nothing.

They come with the operation as `layerlaws.language.generic_laws` do, and so do the faults that prove them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.language import strategies as st
from layerlaws.language.claims import Claim, all_of, closely, exactly
from layerlaws.language.implementation import Implementation, Raised, numbers_of
from layerlaws.language.inputs import at_seldom_sizes, seeds
from layerlaws.language.laws import Law
from layerlaws.language.mistakes import each
from layerlaws.language.operations import Operation
from layerlaws.language.sameness import parts
from layerlaws.numerics.bounded import Bounded, value_of
from layerlaws.numerics.formats import is_float
from layerlaws.support.errors import Broken, Undecidable

Definition = Callable[..., Any]

SMALL = 2.0**-18
"""Below every number that is drawn elsewhere, but for a few of very many."""


def agrees_at_seldom_sizes(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """The results are those of the definition where one axis is huge, or two are at a tile's edge, and others tiny."""
    computed, expected = operation.compare(**inputs)
    return closely(computed, numbers_of(expected), names=("returned", "expected"))


def agrees_at_every_scale(operation: Implementation, inputs: dict[str, Any], exponent: int) -> Claim:
    """The results are those of the definition where all numbers are small, or all are large: none is lost beside 1."""
    other = _with_floats(inputs, lambda x: np.asarray(x * np.asarray(2.0**exponent, x.dtype), x.dtype))
    try:
        expected = operation.definition(**other)
    except ValueError as refusal:
        raise Undecidable(f"the definition refuses it: {refusal}") from refusal
    computed = operation.beside(operation.results(**other), expected)
    return closely(computed, numbers_of(expected), names=("returned", "expected"))


def what_is_not_a_number_is_not_hidden(operation: Implementation, inputs: dict[str, Any], seed: int) -> Claim:
    """Where an argument holds something that is not a number, so does every row of the results that depends on it, and
    other rows of the batch do not notice; or it is refused.
    """
    place = _place(inputs, np.random.default_rng(seed))
    spoiling = _holding(inputs, place, np.nan)
    try:
        results = operation.results(**spoiling)
    except Raised:
        return exactly(True, True)
    before = operation.definition(**inputs)
    try:
        spoiled = operation.definition(**spoiling)
        moved = [operation.definition(**_holding(inputs, place, by, True)) for by in (64, -64)]
    except ValueError:  # it has to be refused, or shows in what comes back
        spoiled, lost = before, [np.asarray(isinstance(x, Bounded)) for x in parts(before)]
    else:
        lost = [_lost(*results) for results in zip(*map(parts, (spoiled, before, *moved)), strict=True)]
    if not any(np.any(there) and np.size(x) for there, x in zip(lost, map(value_of, parts(before)), strict=True)):
        raise Undecidable("no result depends on it by more than its error")
    computed = operation.beside(results, spoiled)
    for got, there in zip(map(value_of, parts(computed)), lost, strict=True):
        if got.size and np.any(_in_rows(there) & ~_in_rows(got != got)):
            sides = (("returned", got), ("depends on it", there))
            raise Broken(f"{operation.name} returned only numbers, though its {place[0]!r} holds what is none", sides)
    if place[0] not in operation.operation.batch:
        return exactly(True, True)
    kept = np.arange(len(parts(before)[0])) != place[2][0]
    rows, expected = (tuple(x[kept] for x in parts(side)) for side in (computed, numbers_of(before)))
    return all_of(exactly(True, True), closely(rows, expected, names=("other rows", "expected")))


Place = tuple[str, int | None, tuple[int, ...]]
"""The name of an argument, the number of its part where it is a tuple, and an index."""


def _place(inputs: dict[str, Any], generator: np.random.Generator) -> Place:
    """Some number of some float argument."""
    arrays = [
        (name, part if isinstance(x, tuple) else None, array)
        for name, x in inputs.items()
        for part, array in enumerate(parts(x))
        if isinstance(array, np.ndarray) and is_float(array) and array.size
    ]
    if not arrays:
        raise Undecidable("there is no number to spoil")
    name, part, array = arrays[generator.integers(len(arrays))]
    return name, part, tuple(int(generator.integers(n)) for n in array.shape)


def _holding(inputs: dict[str, Any], place: Place, number: float, added: bool = False) -> dict[str, Any]:
    """The inputs with another number at a place; added: to what is there."""
    name, part, index = place
    arrays = list(parts(inputs[name]))
    copy = arrays[part or 0].copy()
    copy[index] = copy[index] + copy.dtype.type(number) if added else number
    arrays[part or 0] = copy
    return {**inputs, name: copy if part is None else tuple(arrays)}


def _lost(spoiled: Any, before: Any, *moved: Any) -> NDArray[np.bool_]:
    """Where a result is not a number by the definition, and would move beyond its error if that number moved."""
    if not isinstance(spoiled, Bounded):
        return np.zeros(np.shape(spoiled), bool)
    moves = [np.abs(x.value - before.value) > 2 * (x.error + before.error) for x in moved]
    lost: NDArray[np.bool_] = np.isnan(spoiled.value) & np.any(moves, axis=0)
    return lost


def _in_rows(found: Any) -> NDArray[np.bool_]:
    """In which rows, along the last axis, something is found."""
    rows: NDArray[np.bool_] = np.any(np.atleast_1d(found), axis=-1)
    return rows


def an_empty_batch_is_empty_or_refused(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """A batch of no rows gives results of no rows, of the same shapes otherwise, or is refused."""
    shapes = [(0, *np.shape(value_of(x))[1:]) for x in parts(operation.definition(**inputs))]
    batch = operation.operation.batch
    none = {name: x[:0] if name in batch and x is not None else x for name, x in inputs.items()}
    try:
        results = parts(operation.results(**none))
    except Raised:
        return exactly(True, True)
    found = [x.shape for x in results]
    if found != shapes:
        what = "shape of the result of" if len(found) == len(shapes) else "number of results from"
        raise Broken(
            f"{operation.name} returned shapes {found} for a batch of no rows, expected {shapes}",
            cause=f"wrong {what} {operation.name}",
        )
    return exactly(True, True)


def seldom_laws_of(operation: Operation) -> list[Law]:
    """The laws of this module that an operation has."""
    sizes, scales, nothing, none = (
        agrees_at_seldom_sizes,
        agrees_at_every_scale,
        what_is_not_a_number_is_not_hidden,
        an_empty_batch_is_empty_or_refused,
    )
    laws = [Law(sizes.__name__, sizes, inputs=at_seldom_sizes(operation.inputs), examples=20)]
    if operation.differentiable:
        laws.append(Law(scales.__name__, scales, {"exponent": st.sampled_from((-26, -20, -14, -8, 4))}, examples=20))
        laws.append(Law(nothing.__name__, nothing, {"seed": seeds}, examples=20))
    if operation.batch:
        laws.append(Law(none.__name__, none, examples=4))
    return laws


SELDOM_FAULTS: dict[str, tuple[Callable[[Operation], Definition], str]] = {}
"""For each law of this module how a fault is made from a definition, and its kind."""


def _breaks(law: Callable[..., Claim], kind: str) -> Callable[..., Any]:
    def register(make: Callable[[Operation], Definition]) -> Callable[[Operation], Definition]:
        SELDOM_FAULTS[law.__name__] = make, kind
        return make

    return register


@_breaks(agrees_at_seldom_sizes, "size")
def _knows_no_long_axis(operation: Operation) -> Definition:
    """Where an axis has 1,000 places or more, of an argument or a result, another kernel is at work, a wrong one."""

    def limited(**arguments: Any) -> Any:
        result = operation(**arguments)
        arrays = [part for x in (*arguments.values(), result) for part in parts(x)]
        huge = max((n for x in arrays for n in np.shape(x)), default=0) >= 1000
        return each(result, lambda x: x + np.asarray(1, x.dtype) if x.dtype != bool else ~x) if huge else result

    return limited


@_breaks(agrees_at_every_scale, "precision")
def _loses_small_numbers(operation: Operation) -> Definition:
    """Where an array holds numbers below 2^-18 only, the results are zeros."""

    def losing(**arguments: Any) -> Any:
        result = operation(**arguments)
        arrays = [x for part in arguments.values() for x in parts(part) if isinstance(x, np.ndarray) and is_float(x)]
        lost = any(0 < np.max(np.abs(x), initial=0) < SMALL for x in arrays)
        return each(result, lambda x: x * np.asarray(0, x.dtype)) if lost else result

    return losing


@_breaks(what_is_not_a_number_is_not_hidden, "contract")
def _takes_zero_for_what_is_not_a_number(operation: Operation) -> Definition:
    """What is not a number is replaced by 0 (nan_to_num), and the results look fine."""

    def replaced(x: Any) -> Any:
        return np.where(np.isnan(x), np.asarray(0, x.dtype), x)

    return lambda **arguments: operation(**_with_floats(arguments, replaced))


@_breaks(an_empty_batch_is_empty_or_refused, "boundary")
def _answers_an_empty_batch(operation: Operation) -> Definition:
    """A batch of no rows is answered with a row of zeros."""

    def answering(**arguments: Any) -> Any:
        batch = [arguments[name] for name in operation.batch if arguments[name] is not None]
        if len(batch[0]):
            return operation(**arguments)
        try:
            result = operation(**arguments)
        except Exception:  # the definition has no such batch; a row of ones is as good
            one = {name: np.ones((1, *x.shape[1:]), x.dtype) for name, x in zip(operation.batch, batch, strict=False)}
            result = operation(**{**arguments, **one})
        return each(result, lambda x: np.zeros((1, *x.shape[1:]), x.dtype))

    return answering


def _with_floats(arguments: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """The arguments with every float array changed."""

    def changed(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(changed, x))
        return change(x) if isinstance(x, np.ndarray) and is_float(x) else x

    return {name: changed(x) for name, x in arguments.items()}

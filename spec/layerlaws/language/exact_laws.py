"""Laws that results have the same bits: alone or in a batch, anywhere in it, and from run to run.

They are of kind "exact": a correct implementation may add up in another order where there are fewer rows, so they
inform, and fail nothing unless that is asked for. What they say is known as batch invariance and determinism; H. He,
"Defeating nondeterminism in LLM inference", Thinking Machines Lab, 2025, says why the first is rare and what it is good
for. They come with every operation that returns floats, on inputs of moderate size, where kernels are chosen by the
number of rows; laws on chunks and caches stand in their notes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from layerlaws.language.claims import Claim, all_of, bit_for_bit
from layerlaws.language.implementation import Declined, Implementation, Raised
from layerlaws.language.inputs import at_moderate_sizes, normal, seeds
from layerlaws.language.laws import Law
from layerlaws.language.memory_laws import with_other_numbers
from layerlaws.language.mistakes import each
from layerlaws.language.operations import Operation
from layerlaws.language.sameness import parts
from layerlaws.language.withheld import Withheld
from layerlaws.numerics.bounded import value_of
from layerlaws.numerics.formats import is_float
from layerlaws.numerics.reverse_mode import constant
from layerlaws.numerics.tape import Variable

Definition = Callable[..., Any]

FEW = 6
"""Examples of an exact law: kernels are chosen by sizes, and each example has large ones."""

ROWS = 8
"""Rows of a batch, at least; fewer are repeated."""

ALONE = 4
"""Rows of a batch that are computed alone."""

RUNS = 3
"""Calls after the first that have to give what it gave."""


def size_of_the_batch_changes_no_bit(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """A row has the same bits whether it is computed alone, in half of the batch, or in all of it."""
    batch = _enlarged(operation, inputs)
    count = _count(operation, batch)
    whole, name = operation.results(**batch), f"in a batch of {count:,}"
    some = [range(row, row + 1) for row in np.linspace(0, count - 1, ALONE).astype(int).tolist()] + [range(count // 2)]
    return all_of(
        *(
            bit_for_bit(
                _rows(whole, rows),
                operation.results(**_batch_of(operation, batch, rows)),
                (name, f"in its first {len(rows):,}" if len(rows) > 1 else f"alone (row {rows.start})"),
            )
            for rows in some
        )
    )


def place_in_the_batch_changes_no_bit(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """A row has the same bits wherever it stands in the batch."""
    batch = _enlarged(operation, inputs)
    count = _count(operation, batch)
    whole, claims = operation.results(**batch), []
    for shift in dict.fromkeys((1, count // 2)):
        rows = np.roll(np.arange(count), shift)
        elsewhere = operation.results(**_batch_of(operation, batch, rows))
        claims.append(bit_for_bit(_rows(whole, rows), elsewhere, ("where it stands", f"{shift:,} places farther")))
    return all_of(*claims)


def another_run_changes_no_bit(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """The same call gives the same bits every time, with other calls in between: the operation is deterministic."""
    first, others = operation.results(**inputs), _other_calls(operation, inputs)
    claims = []
    for run in range(RUNS):
        for other in itertools.islice(others, run):  # none at first
            with suppress(Raised, Declined):
                operation.results(**other)
        claims.append(bit_for_bit(first, operation.results(**inputs), ("at first", f"in run {run + 2}")))
    return all_of(*claims)


def another_run_changes_no_bit_of_the_gradient(operation: Implementation, inputs: dict[str, Any], seed: int) -> Claim:
    """The gradient has the same bits every time, with other calls in between: it is deterministic."""
    results = operation.results(**inputs)
    weights = tuple(
        normal(seed + k, x.shape, x) if is_float(x) else np.zeros_like(x) for k, x in enumerate(parts(results))
    )
    cotangent: Any = operation.offered_weights(weights if isinstance(results, tuple) else weights[0], inputs)
    first, claims = operation.gradient(cotangent, **inputs), []
    for run in range(RUNS - 1):
        again = operation.gradient(cotangent, **inputs)
        names = ("at first", f"in run {run + 2}")
        claims += [
            bit_for_bit(gradient, again.get(name, ()), (f"by {name} {names[0]}", names[1]))
            for name, gradient in first.items()
        ]
    return all_of(*claims)


BATCH_INVARIANT = (size_of_the_batch_changes_no_bit.__name__, place_in_the_batch_changes_no_bit.__name__)
"""Laws of what is batch-invariant."""

DETERMINISTIC = (another_run_changes_no_bit.__name__, another_run_changes_no_bit_of_the_gradient.__name__)
"""Laws of what is deterministic. Other exact laws are about chunks and caches."""


def _enlarged(operation: Implementation, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs, with their rows repeated to a batch of `ROWS` or more."""
    count = _count(operation, inputs)
    return inputs if count >= ROWS else _batch_of(operation, inputs, np.arange(ROWS) % count)


def _count(operation: Implementation, inputs: dict[str, Any]) -> int:
    return len(inputs[operation.operation.batch[0]])


def _batch_of(operation: Implementation, inputs: dict[str, Any], rows: Any) -> dict[str, Any]:
    """The inputs with these rows of the batch only."""
    batch = operation.operation.batch
    return {name: x[np.asarray(rows)] if name in batch and x is not None else x for name, x in inputs.items()}


def _rows(results: Any, rows: Any) -> Any:
    """These rows of each result that has them."""
    if isinstance(results, tuple):
        return tuple(_rows(part, rows) for part in results)
    return results if isinstance(results, Withheld) else results[np.asarray(rows)]


def _other_calls(operation: Implementation, inputs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Calls to be made in between: with fewer rows, and with other numbers."""
    if operation.operation.batch:
        yield _batch_of(operation, inputs, range(1))
    yield from with_other_numbers(inputs)


def laws_of(operation: Operation) -> list[Law]:
    """The exact laws of an operation; none where it returns no floats."""
    if not operation.returns_floats:
        return []
    inputs = at_moderate_sizes(operation.inputs)
    states: list[Callable[..., Claim]] = [another_run_changes_no_bit]
    if operation.batch:
        states += [size_of_the_batch_changes_no_bit, place_in_the_batch_changes_no_bit]
    laws = [Law(state.__name__, state, inputs=inputs, examples=FEW, kind="exact") for state in states]
    if operation.differentiable:
        state, extra = another_run_changes_no_bit_of_the_gradient, {"seed": seeds}
        laws.append(Law(state.__name__, state, extra, inputs, FEW, ("gradient",), "exact"))
    return laws


def row_by_row(operation: Operation) -> Definition:
    """The definition, computed for one row of the batch after the other: batch-invariant, whatever NumPy does."""

    def computed(**arguments: Any) -> Any:
        count = len(arguments[operation.batch[0]])
        if not count or any(isinstance(x, Variable) for value in arguments.values() for x in parts(value)):
            return operation(**arguments)
        rows = [
            operation(
                **{k: x[i : i + 1] if k in operation.batch and x is not None else x for k, x in arguments.items()}
            )
            for i in range(count)
        ]
        if isinstance(rows[0], tuple):
            return tuple(np.concatenate(part) for part in zip(*rows, strict=True))
        return np.concatenate(rows)

    return computed


def _adds_up_one_row_in_another_order(operation: Operation) -> Definition:
    """One row alone goes to another kernel (gemv in place of gemm, split sums), and its last bits are others."""
    computed = row_by_row(operation)

    def switching(**arguments: Any) -> Any:
        result = computed(**arguments)
        return _last_bits_moved(result, arguments) if len(arguments[operation.batch[0]]) == 1 else result

    return switching


def _treats_every_other_row_differently(operation: Operation) -> Definition:
    """Rows at even places go to another kernel than those at odd ones (tiles of two rows), and round otherwise."""
    computed = row_by_row(operation)

    def tiled(**arguments: Any) -> Any:
        result = computed(**arguments)
        odd = np.arange(len(arguments[operation.batch[0]])) % 2 == 1
        moved = parts(_last_bits_moved(result, arguments))
        mixed = tuple(
            np.where(odd.reshape(-1, *[1] * (new.ndim - 1)), new, np.asarray(old, new.dtype))
            for old, new in zip(parts(result), moved, strict=True)
        )
        return mixed if isinstance(result, tuple) else mixed[0]

    return tiled


def _adds_up_as_threads_finish(operation: Operation) -> Definition:
    """Partial sums are added as threads finish (atomicAdd), so that the last bits change from run to run."""
    calls = itertools.count()

    def adding(**arguments: Any) -> Any:
        result = operation(**arguments)
        return _last_bits_moved(result, arguments) if next(calls) % 2 else result

    return adding


def _adds_up_gradients_as_threads_finish(operation: Operation) -> Definition:
    """Contributions to a gradient are added as threads finish (atomicAdd), so that its last bits change."""
    calls = itertools.count()

    def adding(**arguments: Any) -> Any:
        result = operation(**arguments)
        if not any(isinstance(x, Variable) for x in parts(result)) or not next(calls) % 2:
            return result

        def stretched(x: Any) -> Any:
            by = np.asarray(4 * np.finfo(np.float32).eps, x.dtype)
            return x + (x - constant(x)) * by

        return each(result, lambda x: stretched(x) if isinstance(x, Variable) else x)

    return adding


def _last_bits_moved(result: Any, arguments: dict[str, Any]) -> Any:
    """Float results moved to the next number of the format of the arguments."""
    dtypes = [
        x.dtype for value in arguments.values() for x in parts(value) if isinstance(x, np.ndarray) and is_float(x)
    ]

    def moved(x: Any) -> Any:
        if isinstance(x, Variable) or not is_float(x):
            return x
        stored = np.asarray(value_of(x), dtypes[0] if dtypes else x.dtype)
        return np.nextafter(stored, np.asarray(np.inf, stored.dtype))

    return each(result, moved)


FAULTS: dict[str, tuple[Callable[[Operation], Definition], str]] = {
    size_of_the_batch_changes_no_bit.__name__: (_adds_up_one_row_in_another_order, "order"),
    place_in_the_batch_changes_no_bit.__name__: (_treats_every_other_row_differently, "order"),
    another_run_changes_no_bit.__name__: (_adds_up_as_threads_finish, "order"),
    another_run_changes_no_bit_of_the_gradient.__name__: (_adds_up_gradients_as_threads_finish, "order"),
}
"""What makes the fault of each law from an operation, and its kind."""

SEEN = {
    size_of_the_batch_changes_no_bit.__name__: "https://github.com/vllm-project/vllm/issues/11778",
    place_in_the_batch_changes_no_bit.__name__: "https://github.com/thinking-machines-lab/batch_invariant_ops/issues/6",
    another_run_changes_no_bit.__name__: "https://github.com/pytorch/pytorch/pull/56521",
    another_run_changes_no_bit_of_the_gradient.__name__: "https://github.com/pytorch/pytorch/issues/51366",
}
"""Where faults were really shipped."""

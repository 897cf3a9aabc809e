"""Laws about state that every operation obeys: what was called before, or is called meanwhile, changes nothing."""

from __future__ import annotations

import contextvars
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from layerlaws.language import strategies as st
from layerlaws.language.claims import Claim, all_of, exactly
from layerlaws.language.implementation import Declined, Implementation, Raised, cast_to
from layerlaws.language.inputs import seeds
from layerlaws.language.laws import Law
from layerlaws.language.memory_laws import with_other_numbers
from layerlaws.language.mistakes import each, moved
from layerlaws.language.operations import Operation
from layerlaws.language.sameness import alike, defined, is_defined, is_right, kept, parts, same_results
from layerlaws.numerics.arithmetic import computing_in
from layerlaws.numerics.formats import is_float
from layerlaws.support.errors import Broken, Undecidable

Definition = Callable[..., Any]

FEW = 6
"""Examples of a law about state: each makes many calls, and two of them are compared with the definition."""

AT_ONCE = 3
"""Calls that each of two threads makes at the same time."""

SWITCHING = 1e-5
"""Seconds between switches of threads, so that short calls overlap."""

Neighbour = tuple[str, Implementation, dict[str, Any]]
"""A call in between: what is different, the operation in the format of the call, and its arguments."""


@st.composite
def elsewhere(draw: st.DrawFn, inputs: st.SearchStrategy[dict[str, Any]]) -> tuple[tuple[str, Any], ...]:
    """Inputs of the operation as pairs of name and value, drawn apart from those that laws share."""
    draw(seeds)
    return tuple(draw(inputs).items())


def other_calls_change_nothing(
    operation: Implementation, inputs: dict[str, Any], other: tuple[tuple[str, Any], ...], turn: int
) -> Claim:
    """What a call returns does not depend on earlier calls: with other numbers, shapes, optional arguments or dtypes.

    A call is repeated after others; and those that share shapes with it are compared with their definition.
    """
    first = operation.results(**inputs)
    claims, neighbours = [], list(_neighbours(operation, inputs, turn))
    for what, implementation, arguments in neighbours:
        claims.append(_stands_alone(what, implementation, arguments, (inputs, first)))
    _ignored(operation, cast_to(dict(other), operation.format))
    again = operation.results(**inputs)
    names = ("before other calls", "after them")
    try:
        return all_of(same_results(operation, first, again, inputs, names), *claims)
    except Broken as broken:
        raise _told(broken, [what for what, _, _ in neighbours] + ["other shapes"]) from None


def _told(broken: Broken, calls: list[str]) -> Broken:
    return broken if broken.cause else Broken(f"{broken} (calls in between: {', '.join(calls)})", broken.sides)


def _neighbours(operation: Implementation, inputs: dict[str, Any], turn: int) -> Iterator[Neighbour]:
    """Calls that share shapes with the one at hand: without each optional argument, and with other numbers or dtype."""
    signature = inspect.signature(operation.operation.definition).parameters
    for name, x in inputs.items():
        if x is not None and "None" in str(signature[name].annotation):
            yield f"without {name}", operation, {**inputs, name: None}
    formats = [format for format in operation.backend.formats if format.name != operation.format.name]
    has_floats = any(is_float(part) for x in inputs.values() for part in parts(x) if isinstance(part, np.ndarray))
    if formats and has_floats and turn % 2:
        format = operation.backend.arithmetic(formats[turn // 2 % len(formats)], [operation.name])
        in_format = Implementation(operation.operation, operation.backend, format)
        yield f"in {format.name}", in_format, cast_to(inputs, format)
    elif operation.operation.takes_arrays:
        for arguments in with_other_numbers(inputs):
            yield "with other numbers", operation, arguments
            return


def _stands_alone(
    what: str, operation: Implementation, arguments: dict[str, Any], first: tuple[dict[str, Any], Any]
) -> Claim:
    """A call right after one that it differs from in one thing gives what the definition says.

    Where it does not: broken, if it returned what the `first` call (its arguments, its results) rightly did, or if the
    same rows in a batch twice as large, which was not called before, are right. Otherwise nothing is said: the
    operation may be wrong without any call before, which is for other laws to tell.
    """
    results = _ignored(operation, arguments)
    if results is None:
        return exactly(0, 0)
    with computing_in(operation.format):
        try:
            expected = defined(operation, arguments)
            is_defined(operation, results, expected)
        except Undecidable:
            return exactly(0, 0)
        except Broken as broken:
            proof = _proof(operation, arguments, results, first)
            if not proof:
                return exactly(0, 0)
            raise Broken(
                f"{operation.name} depends on earlier calls: called {what}, after another call, {broken}; {proof}",
                broken.sides,
            ) from None
    return exactly(len(parts(results)), len(parts(results)))


def _proof(
    operation: Implementation, arguments: dict[str, Any], results: Any, first: tuple[dict[str, Any], Any]
) -> str:
    """What shows that a wrong result is due to the call before, in words; "" if nothing does."""
    if alike(kept(results), kept(first[1])) and is_right(operation, first[1], defined(operation, first[0])):
        return "it returned what that call did"
    if _is_right_twice_as_large(operation, arguments):
        return "the same rows in a batch twice as large are right"
    return ""


def _is_right_twice_as_large(operation: Implementation, arguments: dict[str, Any]) -> bool:
    batch = operation.operation.batch
    if not batch:
        return False
    twice = {
        name: np.concatenate([x, x]) if name in batch and isinstance(x, np.ndarray) else x
        for name, x in arguments.items()
    }
    try:
        is_defined(operation, operation.results(**twice), defined(operation, twice))
    except (Broken, Raised, Declined, Undecidable):
        return False
    return True


def _ignored(operation: Implementation, arguments: dict[str, Any]) -> Any:
    """The results of a call in between; None if the backend refuses or declines it."""
    try:
        return operation.results(**arguments)
    except (Raised, Declined):
        return None


def calls_at_the_same_time_do_not_meet(operation: Implementation, inputs: dict[str, Any]) -> Claim:
    """Calls in two threads at the same time, with other numbers of the same shapes, change nothing for each other."""
    alone = [(inputs, operation.results(**inputs))]
    for arguments in with_other_numbers(inputs) if operation.operation.takes_arrays else ():
        results = _ignored(operation, arguments)
        if results is not None and not alike(kept(results), kept(alone[0][1])):
            alone.append((arguments, results))
            break
    else:
        alone.append(alone[0])
    together = _at_once(operation, [arguments for arguments, _ in alone])
    names = ("alone", "beside a call in another thread")
    return all_of(
        *(
            same_results(operation, results, operation.back(result), arguments, names)
            for (arguments, results), found in zip(alone, together, strict=True)
            for result in found
        )
    )


def _at_once(operation: Implementation, calls: list[dict[str, Any]]) -> list[list[Any]]:
    """The backend's own results of two calls, each made `AT_ONCE` times in a thread of its own, at the same time."""
    function = operation.backend.functions[operation.name]
    natives = [[operation.native(arguments) for _ in range(AT_ONCE)] for arguments in calls]
    found: list[list[Any]] = [[] for _ in calls]
    failures: list[BaseException] = []
    together = threading.Barrier(len(calls))

    def call(k: int) -> None:
        together.wait()
        try:
            found[k] += [function(**native) for native in natives[k]]
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(call, k), daemon=True) for k in range(len(calls))
    ]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCHING)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if failures:
        raise Raised(f"{operation.name} beside a call in another thread", failures[0])
    return found


def laws_of(operation: Operation) -> list[Law]:
    """The laws about state of an operation."""
    others = {"other": elsewhere(operation.inputs), "turn": st.integers(0, 7)}
    one, two = other_calls_change_nothing, calls_at_the_same_time_do_not_meet
    laws = [Law(one.__name__, one, others, examples=FEW, kind="state")]
    if operation.takes_arrays:
        laws.append(Law(two.__name__, two, examples=FEW, kind="state"))
    return laws


def _answers_with_the_latest(operation: Operation) -> Definition:
    """A cache keeps the key of one call, but the result of a later one of other shapes; replace both, or none."""
    earlier: list[Any] = []

    def caching(**arguments: Any) -> Any:
        result, content = operation(**arguments), _content(arguments)
        if content is None:
            return result
        since = earlier[earlier.index(content) + 1 :] if content in earlier else []
        stale = any(_shapes(call) != _shapes(content) for call in since)
        if not earlier or earlier[-1] != content:
            earlier.append(content)
            del earlier[:-5]
        return each(result, moved) if stale else result

    return caching


def _shapes(content: Any) -> Any:
    """What a call's arguments are, without the numbers of its arrays."""
    return tuple(x[:2] if isinstance(x, tuple) else x for x in content)


def _shares_its_scratch(operation: Operation) -> Definition:
    """Arguments are laid into one place that all threads share while they are computed with; give each call its own."""
    scratch: dict[str, Any] = {}

    def sharing(**arguments: Any) -> Any:
        if _content(arguments) is None:
            return operation(**arguments)
        scratch["arguments"] = arguments
        time.sleep(0.001)  # the kernel runs
        return operation(**scratch["arguments"])

    return sharing


def _content(arguments: dict[str, Any]) -> Any:
    """Every number of a call; None while it is differentiated, or evaluated with errors."""
    values = [x for value in arguments.values() for x in parts(value)]
    if any(hasattr(x, "shape") and not isinstance(x, np.ndarray) for x in values):
        return None
    return tuple((x.shape, x.dtype.name, x.tobytes()) if isinstance(x, np.ndarray) else x for x in values)


FAULTS: dict[str, tuple[Callable[[Operation], Definition], str]] = {
    "other_calls_change_nothing": (_answers_with_the_latest, "contract"),
    "calls_at_the_same_time_do_not_meet": (_shares_its_scratch, "contract"),
}
"""What makes the fault of each law from an operation, and its kind."""

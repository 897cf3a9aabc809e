"""Differentiates definitions in reverse mode, with a proven bound on every element of the gradient.

A definition evaluated on `Variable`s records how each intermediate array came about; going back through that
record gives its vector-Jacobian product (Griewank and Walther, Evaluating Derivatives, 2nd ed. 2008, section
3.2). On `Bounded` parts the way back is ordinary arithmetic on `Bounded` arrays, so the gradient comes out with
its error; on plain arrays it is an ordinary gradient.

Why the bound holds for an implementation. Any reverse sweep multiplies adjoints by local derivatives and adds
up the products; its roundings are relative perturbations of the edges of the linearized computation (Bauer,
Computational graphs and rounding errors, SIAM J. Numer. Anal. 11(1), 1974) and the rules of
`layerlaws.numerics.rounding` bound them here as they do on the way forth:
- A local derivative is evaluated on the definition's own `Bounded` intermediates, so it covers whatever an
  implementation stored or computed again.
- An adjoint is one inner product over all places that an element was repeated to (broadcasting, a gather, the
  batch axes of a matrix product), in any order.
- A sweep forward over tangents bounds something else: it counts n u for a product with n columns where the way
  back adds m rows, nothing for a broadcast that the way back adds up, and may lose an error to cancellation
  between inputs that a gradient keeps apart.
- What an array gets from several uses is one sum over the terms of all its shares, in any order:
  `layerlaws.numerics.accumulation`.
- Fused backward passes add the same products in other groups. The group that is common, sum(dO * O) in place of
  sum(P * dP) in attention (Dao, FlashAttention-2, 2023, section 3.1), is counted in `pullbacks.product`.

Where the definition has a kink (maximum, absolute value, the largest of several), an element that may lie on it
has every slope between the two sides: nothing is decided, and only the bound of that element widens.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np

from layerlaws.numerics.accumulation import together
from layerlaws.numerics.bounded import Bounded, asbounded
from layerlaws.numerics.formats import is_float
from layerlaws.numerics.rounding import quietly
from layerlaws.numerics.tape import Pull, Variable, constant, elementwise

__all__ = ["constant", "straight_through", "vjp", "with_gradient", "with_slope"]


def vjp(definition: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[Any, Callable[[Any], dict[str, Any]]]:
    """The results of a definition, and its vector-Jacobian product.

    arguments: by name; float arrays (`Bounded` or plain), also inside tuples, are differentiated. The function
    that comes back takes a cotangent shaped as the results (that of an integer result is ignored) and gives
    the gradient of sum(cotangent * results) by each such argument, `Bounded` where the argument is.
    """

    def leaf(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(leaf, x))
        return Variable(x) if isinstance(x, (Bounded, np.ndarray)) and is_float(x) else x

    leaves = {name: leaf(x) for name, x in arguments.items()}
    results = definition(**leaves)

    def pull(cotangent: Any) -> dict[str, Any]:
        pairs = zip(results, cotangent, strict=True) if isinstance(results, tuple) else [(results, cotangent)]
        found = _adjoints(
            [(result, _like(weight, result.primal)) for result, weight in pairs if isinstance(result, Variable)]
        )

        def gradient(x: Any) -> Any:
            if isinstance(x, tuple):
                return tuple(gradient(part) for part in x if _differentiable(part))
            return found.get(x.age, _like(np.zeros(x.shape), x.primal))

        return {name: gradient(x) for name, x in leaves.items() if _differentiable(x)}

    return (tuple(map(constant, results)) if isinstance(results, tuple) else constant(results)), pull


def with_slope(slope: Callable[[Any, Any], Any]) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Give an element-wise function a derivative of its own: slope(function(x), x).

    For functions that everybody differentiates by a formula whose rounding differs from that of the definition.
    """

    def give(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @wraps(function)
        def derived(x: Any) -> Any:
            if not isinstance(x, Variable):
                return function(x)
            result = function(x.primal)
            return elementwise(result, (x,), (slope(result, x.primal),))

        return derived

    return give


def in_either_order(one: Callable[..., Any], other: Callable[..., Any], *operands: Any) -> Any:
    """A product of three, (A B) C, that may have been formed as A (B C): the error of whichever loses more.

    Where arrays are kept as sums are accumulated, the rule for sums covers both. Where they are kept in a narrower
    format, A B or B C is rounded to it, and the two are of different sizes; so are the products of the way back. one,
    other: both orders, as functions of the operands.
    """
    first = one(*operands)
    whole = constant(first)
    if not isinstance(whole, Bounded) or whole.format.keep.precision >= whole.format.accumulate.precision:
        return first
    covered = _worse(whole, other(*map(constant, operands)))
    varied = [k for k, x in enumerate(operands) if isinstance(x, Variable)]

    known: dict[int, tuple[Any, list[Any]]] = {}

    def shares(adjoint: Any) -> list[Any]:
        if id(adjoint) not in known:
            ways = [_way_back(way, operands, adjoint) for way in (one, other)]
            known[id(adjoint)] = adjoint, [_worse(x, y) for x, y in zip(*ways, strict=True)]
        return known[id(adjoint)][1]

    def edge(place: int, k: int) -> tuple[Variable, Pull]:
        return operands[k], lambda adjoint: shares(adjoint)[place]

    return Variable(covered, *(edge(*pair) for pair in enumerate(varied))) if varied else covered


def _way_back(function: Callable[..., Any], operands: tuple[Any, ...], adjoint: Any) -> list[Any]:
    """The share of each operand that is a `Variable`, from the adjoint of a function's result."""
    inputs = [Variable(x.primal) if isinstance(x, Variable) else x for x in operands]
    found = _adjoints([(function(*inputs), adjoint)])
    return [found[x.age] for x in inputs if isinstance(x, Variable)]


def _worse(one: Bounded, other: Bounded) -> Bounded:
    return Bounded(one.value, np.maximum(one.error, other.error), one.format)


def straight_through(value: Any, other: Any) -> Any:
    """`value`, differentiated as if it were `other`: for faults that show in gradients alone."""
    if not isinstance(other, Variable):
        return value
    return Variable(constant(value), (other, lambda s: s))


def with_gradient(value: Any, argument: Any, pull: Callable[[Any], Any]) -> Any:
    """`value`, which on the way back adds pull(its adjoint) to the gradient by `argument`, whatever that is.

    For faults that show in gradients alone. What `value` was computed from gets its gradient as always: pass
    constant(argument) there.
    """
    if not isinstance(argument, Variable):
        return value
    own = [(value, lambda s: s)] if isinstance(value, Variable) else []
    return Variable(constant(value), *own, (argument, pull))


def _differentiable(x: Any) -> bool:
    return any(map(_differentiable, x)) if isinstance(x, tuple) else isinstance(x, Variable)


def _like(x: Any, primal: Any) -> Any:
    """An array as an exact adjoint of a primal; one that carries an error keeps it."""
    if isinstance(x, Bounded):
        return x
    if isinstance(primal, Bounded):
        return asbounded(np.asarray(x, primal.dtype), primal.format)
    return np.asarray(x, primal.dtype)


def _adjoints(seeds: list[tuple[Variable, Any]]) -> dict[int, Any]:
    """The adjoints of all variables that the seeded ones were computed from, by age: latest variables first."""
    shares: dict[int, list[Any]] = {}
    variables: list[tuple[int, Variable]] = []

    def add(variable: Variable, share: Any) -> None:
        if variable.age not in shares:
            heapq.heappush(variables, (-variable.age, variable))
        shares.setdefault(variable.age, []).append(share)

    for variable, seed in seeds:
        add(variable, seed)
    found = {}
    with quietly():
        while variables:
            _, variable = heapq.heappop(variables)
            adjoint = found[variable.age] = together(shares[variable.age])
            for operand, pull in variable.edges:
                add(operand, pull(adjoint))
    return found

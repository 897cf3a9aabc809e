"""Mathematics that definitions share. Every function takes plain arrays or `Bounded` ones and returns the like."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.numerics.arrays import Array
from layerlaws.numerics.bounded import value_of
from layerlaws.numerics.formats import ArrayLike
from layerlaws.numerics.reverse_mode import with_slope
from layerlaws.numerics.rounding import ERF
from layerlaws.numerics.tape import constant, kept_in_parts


def require(condition: Any, message: str) -> None:
    """Refuse bad input: raise ValueError with this message, which names the argument, unless all of it holds."""
    if not np.all(condition):
        raise ValueError(message)


def softmax(scores: Any, where: ArrayLike = True, axis: Any = -1) -> Any:
    """exp(scores) / sum(exp(scores)) over the places allowed by `where`; 0 elsewhere, and 0 where none is allowed."""
    allowed = np.broadcast_to(where, scores.shape)
    some = np.any(allowed, axis=axis, keepdims=True)
    highest = np.max(np.where(allowed, scores, -np.inf), axis=axis, keepdims=True)
    raised = np.exp(np.where(allowed, scores - np.where(some, highest, 0.0), 0.0))
    raised = np.where(allowed, raised, 0.0)
    return raised / np.where(some, np.sum(raised, axis=axis, keepdims=True), 1.0)


def log_softmax(scores: Any, axis: Any = -1) -> Any:
    """scores - log(sum(exp(scores)))."""
    shifted = scores - np.max(scores, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


@with_slope(lambda y, x: y * (1.0 - y))  # accurate next to 1 and not next to 0, as everybody's
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), written so that neither end overflows."""
    return np.exp(np.minimum(x, 0.0)) / (1.0 + np.exp(-np.abs(x)))


def relu(x: Any) -> Any:
    """max(0, x)."""
    return np.maximum(x, 0.0)


def erf(x: Any) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, at each element of an array."""
    return ERF(x).astype(x.dtype)


def gelu(x: Any) -> Any:
    """x Phi(x), Phi the distribution function of the standard normal: (1 + erf(x / sqrt(2))) / 2.

    Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, section 2; exact, not by a tanh or a sigmoid.
    """
    return x * (0.5 * (1.0 + erf(x * root(0.5))))


def affine(x: Array, weight: Array, bias: Array) -> Array:
    """x weight + bias, the bias as one more term of the sums: kernels start from it, or add it last. (n, m), (m,)."""
    return linear_sum((x, weight), bias=bias)


def linear_sum(*products: tuple[Array, Array], bias: Array | None = None) -> Array:
    """x w + y v + ... (+ bias), one sum, in any order and in any parts.

    Arguments x (..., n), y (..., k), ... with the same leading axes; weights w (n, m), v (k, m), ...; bias (m,)
    ->  (..., m)
    """
    factors, weights = [x for x, _ in products], [w for _, w in products]
    if bias is not None:
        factors.append(np.ones((*factors[0].shape[:-1], 1), factors[0].dtype))
        weights.append(bias[None])
    total = np.concatenate(factors, axis=-1) @ np.concatenate(weights, axis=0)
    pieces = [(constant(x), constant(w)) for x, w in products]

    def parts() -> list[Array]:
        return [x @ w for x, w in pieces] + ([] if bias is None else [constant(bias)])

    return kept_in_parts(total, parts)


def layer_norm(x: Any, scale: Any, shift: Any, epsilon: float) -> Any:
    """(x - mean) / sqrt(variance + epsilon) * scale + shift over the last axis, biased variance.

    Ba, Kiros, Hinton, Layer Normalization, 2016, section 3; epsilon stands inside the root.
    """
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(np.square(centred), axis=-1, keepdims=True)
    return centred / np.sqrt(variance + epsilon) * scale + shift


def one_hot(ids: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """(...) ids in [0, count) -> (..., count): 1 at the id, 0 elsewhere."""
    hot: NDArray[np.bool_] = np.asarray(ids)[..., None] == np.arange(count)
    return hot.astype(np.float64)


def split_heads(x: Any, num_heads: int) -> Any:
    """(B, T, H d) -> (B, H, T, d): head h owns the columns [h d, (h + 1) d)."""
    batch, length, width = x.shape
    return x.reshape(batch, length, num_heads, width // num_heads).swapaxes(1, 2)


def merge_heads(x: Any) -> Any:
    """(B, H, T, d) -> (B, T, H d): the inverse of `split_heads`."""
    batch, heads, length, width = x.shape
    return x.swapaxes(1, 2).reshape(batch, length, heads * width)


def root(n: float) -> float:
    """The square root of a size, as a Python float: a constant that does not widen an array's dtype."""
    return math.sqrt(n)


def ids_within(ids: ArrayLike, count: int, name: str) -> None:
    """Refuse ids outside [0, count); `name` is the argument's."""
    array = value_of(ids)
    require((array >= 0) & (array < count), f"{name} must lie in [0, {count})")

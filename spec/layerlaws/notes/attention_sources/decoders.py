"""What the three decoders share: drawn steps, the recurrence, the context, and a register that shows who asks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Format,
    Implementation,
    Mask,
    affine,
    all_of,
    arrays,
    at_most,
    closely,
    dependence,
    linear_sum,
    refused,
    require,
    rewritten,
    root,
    seeds,
)
from layerlaws.language import strategies as st

WEIGHTS = ("integers", "normal", "one-hot", "sparse", "tiny")
"""Textures of weights: none so large that everything is saturated."""

Shapes = dict[str, tuple[int, ...]]


def _filled(draw: st.DrawFn, shapes: Shapes, textures: tuple[str, ...], states: int = 3) -> Arguments:
    """Arrays of these shapes: the first ones states of these textures, the others weights."""
    names = list(shapes)
    given = draw(arrays(*[shapes[name] for name in names[:states]], textures=textures))
    weights = PLAIN if textures == PLAIN else WEIGHTS
    learned = draw(arrays(*[shapes[name] for name in names[states:]], textures=weights))
    return dict(zip(names, [*given, *learned], strict=True))


def _fits(name: str, array: Array, *shape: int) -> None:
    require(array.shape == shape, f"{name} has shape {array.shape}, expected {shape}")


def _recurrence(x: Array, state: Array, w_x: Array, w_state: Array, bias: Array) -> Array:
    """tanh(x w_x + state w_state + bias), one sum."""
    return np.tanh(linear_sum((x, w_x), (state, w_state), bias=bias))


def _context(weights: Array, memory: Array) -> Array:
    """The sum of the source states by their weights. (B, S), (B, S, M)  ->  (B, M)."""
    return (weights[:, None] @ memory)[:, 0]


sentences = st.fixed_dictionaries(
    {"steps": st.integers(1, 3), "batch": st.integers(1, 2), "source": st.integers(2, 4), "seed": seeds}
)


class Register:
    """A decoder whose units are all near 1 or -1, so that the lower formats, too, show who reaches the weights.

    The first unit takes the sign of the embedding, each of the others what the one before it held. To each unit one
    source state answers unlike the others. Shorter in half precision, whose errors grow with the units that are read.
    """

    def __init__(self, steps: int, batch: int, source: int, seed: int, format: Format) -> None:
        reach = {11: 2, 8: 1}.get(format.precision, steps)
        self.units, self.dtype = min(steps, reach), format.dtype
        steps, source = self.units, min(source, 2 * reach)
        self.generator = np.random.default_rng(seed)
        places = (batch, self.units, source)
        self.chosen = self.generator.permuted(np.eye(1, source) * np.ones(places), axis=-1).swapaxes(1, 2)
        pattern = self.signs(2, 1)
        self.embeddings = (self.signs(batch, steps, 1) * pattern.T).astype(self.dtype)
        self.arguments = {
            "state": self.signs(batch, self.units),
            "w_input": 2 * pattern * np.eye(1, self.units) + self.faint(2, self.units),
            "w_state": 4 * np.eye(self.units, k=1) + self.faint(self.units, self.units),
            "bias": self.faint(self.units),
        }

    def signs(self, *shape: int) -> Array:
        return self.generator.choice([-1.0, 1.0], shape)

    def faint(self, *shape: int) -> Array:
        return self.generator.standard_normal(shape) / 64

    def decoded(self, step: Implementation, part: int) -> tuple[Array, Array]:
        """The weights of all steps (B, T, S), taken one after the other, and what the definition says they are.

        part: what is negated, 0 for the first unit of the first state, t for the embedding of step t, -1 for nothing.
        """
        arguments = {name: x.astype(self.dtype) for name, x in self.arguments.items()}
        state, found = arguments.pop("state"), []
        if part == 0:
            state = rewritten(state, np.s_[:, 0], -state[:, 0])
        for t in range(self.embeddings.shape[1]):
            embedding = self.embeddings[:, t] * (-1 if part == t + 1 else 1)
            computed, defined = step.compare(embedding=embedding, state=state, **arguments)
            state = computed[0]
            found.append((computed[-1], defined[-1]))
        computed, defined = zip(*found, strict=True)
        return np.stack(computed, axis=1), np.stack(defined, axis=1)

    def reached(self, step: Implementation, first: int) -> Mask:
        """Which weights move with the parts from this one to the last embedding. (T, parts) bool."""
        steps = self.embeddings.shape[1]
        unrolled = SimpleNamespace(compare=lambda part: self.decoded(step, part))
        return dependence(unrolled, lambda j: {"part": j if j < 0 else first + j}, 1 + steps - first, axis=1)


def _log_ratios(weights: Array) -> Array:
    """log(weights_j / weights_0) over the last axis."""
    logs = np.log(weights)
    return logs - logs[..., :1]


def _mixed(context: Array, weights: Array, memory: Array) -> Claim:
    """The weights are shares, and the context is the sum of the source states by them. (B, M), (B, S), (B, S, M)."""
    return all_of(
        at_most(np.zeros(weights.shape), weights),
        closely(np.sum(weights, axis=-1), np.ones(weights.shape[:-1])),
        closely(context, (weights[:, None] @ memory)[:, 0]),
    )


def _twice(x: Array) -> Array:
    return np.concatenate([x, x], axis=1)


def _longer(x: Array, axis: int) -> Array:
    """The array with its first entry along the axis once more at the end."""
    return np.concatenate([x, np.take(x, [0], axis)], axis)


def _misfits(operation: Implementation, inputs: Arguments, places: dict[str, tuple[int, ...]]) -> Claim:
    """Each of the arguments is refused where it is too long by one along any of its axes named here."""
    return all_of(
        *(
            refused(operation, name, {**inputs, name: _longer(inputs[name], axis)})
            for name, axes in places.items()
            for axis in axes
        )
    )


def _places(memory: Array) -> Array:
    """0, 1, 2 ... along the source, a hundredth each, for faults that prefer places."""
    return (np.arange(memory.shape[1]) / 128).astype(memory.dtype)


def _linear_recurrence(x: Array, state: Array, w_x: Array, w_state: Array, bias: Array) -> Array:
    return affine(np.concatenate([x, state], axis=-1), np.concatenate([w_x, w_state]), bias)


def _rooted_context(weights: Array, memory: Array) -> Array:
    return _context(weights, memory) * root(memory.shape[1])


def _cut(inputs: Arguments, **shapes: tuple[int, ...]) -> Arguments:
    """The arguments with these cut down to these shapes, for faults that drop in silence what does not fit."""
    return {**inputs, **{name: inputs[name][tuple(slice(n) for n in shape)] for name, shape in shapes.items()}}

"""A head and its tails: inputs, the log-probabilities that each of them gives, and what computing them costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws.language import (
    TEXTURES,
    Arguments,
    Array,
    Cost,
    Ids,
    Implementation,
    arrays,
    extents,
    ids,
    log_softmax,
    matrix,
)
from layerlaws.language import strategies as st


@st.composite
def layers(
    draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), tails: tuple[int, int] = (1, 3), last: int = 0
) -> Arguments:
    """Hidden states and the weights of the head and of the tails; last: words of the last tail, where told."""
    rows, width, shortlist, *rest = draw(extents(9, edges=(0, 1, 2, 3, 6)))
    count = draw(st.integers(*tails))
    words, widths = rest[:count], rest[3 : 3 + count]
    if last:
        words[-1] = last
    shapes = [
        (rows, width),
        (width, shortlist + count),
        *((width, w) for w in widths),
        *zip(widths, words, strict=True),
    ]
    hidden, head, *matrices = draw(arrays(*shapes, textures=textures))
    return {
        "hidden": hidden,
        "head": head,
        "tail_projections": tuple(matrices[:count]),
        "tail_outputs": tuple(matrices[count:]),
        "cutoffs": tuple(int(n) for n in np.cumsum([shortlist, *words])),
    }


@st.composite
def targeted(
    draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), tails: tuple[int, int] = (1, 3)
) -> Arguments:
    """Layers and a target for each row."""
    drawn = draw(layers(textures, tails))
    return {**drawn, "targets": draw(ids(drawn["hidden"].shape[:1], drawn["cutoffs"][-1]))}


def at(logs: Array, targets: Ids) -> Array:
    """logs[n, targets[n]]."""
    return np.take_along_axis(logs, targets[:, None], axis=1)[:, 0]


def inputs_of(operation: Implementation, inputs: Arguments) -> Arguments:
    """The inputs that the operation has parameters for."""
    return {name: x for name, x in inputs.items() if name in operation.operation.parameters}


def cluster_logs(
    hidden: Array,
    head: Array,
    tail_projections: tuple[Array, ...],
    tail_outputs: tuple[Array, ...],
    normalize: Callable[[Array], Array] = log_softmax,
) -> tuple[Array, list[Array]]:
    """The log-probabilities that the head gives, and those within each tail."""
    tails = [normalize(hidden @ p @ o) for p, o in zip(tail_projections, tail_outputs, strict=True)]
    return normalize(hidden @ head), tails


def joined(top: Array, tails: list[Array], shortlist: int, first: int = 0) -> Array:
    """The log-probabilities of all words; first: number of the entry that tail 0 is given."""
    entries = [top[:, shortlist + (first + j) % len(tails), None] for j in range(len(tails))]
    return np.concatenate(
        [top[:, :shortlist], *(entry + tail for entry, tail in zip(entries, tails, strict=True))], axis=1
    )


def all_logs(cutoffs: tuple[int, ...], **weights: Any) -> Array:
    """The log-probabilities of all words. weights: what `cluster_logs` takes."""
    return joined(*cluster_logs(**weights), cutoffs[0])


def cutoffs_of(V: int) -> tuple[int, ...]:
    """A short list of a twenty-fifth of the words, a first tail up to the fifth, and the rest: 2,000 and 10,000 of
    50,000.
    """
    return V // 25, V // 5, V


def layer_weights(random: np.random.Generator, H: int, V: int) -> Arguments:
    """A head and two tails, whose projections are a quarter and a sixteenth as wide as the hidden state."""
    cutoffs = cutoffs_of(V)
    widths, words = (H // 4, H // 16), (cutoffs[1] - cutoffs[0], cutoffs[2] - cutoffs[1])
    return {
        "head": matrix(random, H, cutoffs[0] + len(widths)),
        "tail_projections": tuple(matrix(random, H, width) for width in widths),
        "tail_outputs": tuple(matrix(random, width, count) for width, count in zip(widths, words, strict=True)),
        "cutoffs": cutoffs,
    }


def tail_cost(N: int, H: int, V: int, shares: tuple[float, ...]) -> Cost:
    """The head for every row, and each tail for its share of the rows; all the weights are read."""
    cutoffs = cutoffs_of(V)
    flops, moved = 2.0 * N * H * (cutoffs[0] + 2), N * H + H * (cutoffs[0] + 2)
    for share, width, count in zip(shares, (H // 4, H // 16), np.diff(cutoffs), strict=True):
        flops += share * N * 2 * width * (H + int(count))
        moved += width * (H + int(count))
    return Cost(flops=flops, moved=moved)

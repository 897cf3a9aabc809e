"""Workloads: the real sizes at which an operation is timed, and the headlines that compare two of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.language.operations import Operation


@dataclass(frozen=True)
class Cost:
    """What a workload cannot do without, whoever implements it.

    flops: floating-point operations, a multiply-add counting as two. moved: numbers of the float dtype that cross
    memory at least once (inputs read, results written). text: bytes of text worked through, for tokenizers.
    """

    flops: float = 0.0
    moved: float = 0.0
    text: float = 0.0


@dataclass(frozen=True, eq=False)
class Workload:
    """One operation at a real size.

    arguments: called with a seeded generator and the sizes by name; returns the operation's arguments, float arrays
    in double (they are cast to the dtype that is timed). Its docstring says what the workload stands for.
    sizes: axis or count by name, as the field writes them. cost: from the sizes, by name; `backward` from the same,
    for forward and gradient together (None: three times the forward cost, the usual count for matrix products).
    grows: sizes to try beside the workload's own, by name, for growth curves; the other sizes stay.
    gradient: whether forward plus gradient is a workload of its own. beyond: other sizes, by name, at which what is
    timed is compared with the definition as well: beyond the windows and tiles that its own sizes fit into.
    """

    operation: Operation
    arguments: Callable[..., dict[str, Any]]
    sizes: Mapping[str, int]
    cost: Callable[..., Cost]
    backward: Callable[..., Cost] | None = None
    grows: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    gradient: bool = False
    beyond: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Unique over all notes."""
        return self.arguments.__name__

    @property
    def says(self) -> str:
        """What the workload stands for: the first paragraph of its docstring, on one line."""
        return " ".join((inspect.getdoc(self.arguments) or "").split("\n\n")[0].split())

    def at(self, **sizes: int) -> Workload:
        """The same workload at other sizes. Raises TypeError for a size that it does not have."""
        strange = sizes.keys() - self.sizes.keys()
        if strange:
            raise TypeError(f"{self.name} has no size {', '.join(sorted(strange))}; it has {', '.join(self.sizes)}")
        return replace(self, sizes={**self.sizes, **sizes})


def workload(
    operation: Operation,
    *,
    sizes: Mapping[str, int],
    cost: Callable[..., Cost],
    backward: Callable[..., Cost] | None = None,
    grows: Mapping[str, tuple[int, ...]] | None = None,
    gradient: bool = False,
    beyond: Mapping[str, int] | None = None,
) -> Callable[[Callable[..., dict[str, Any]]], Workload]:
    """Make a function of a generator and sizes a workload of the note it stands in. See `Workload`."""

    def make(arguments: Callable[..., dict[str, Any]]) -> Workload:
        if not inspect.getdoc(arguments):
            raise TypeError(f"the workload {arguments.__name__} needs a docstring: what it stands for")
        return Workload(operation, arguments, sizes, cost, backward, grows or {}, gradient, beyond or {})

    return make


@dataclass(frozen=True, eq=False)
class Headline:
    """A claim about speed that a note makes, to be measured: how many times faster one workload is than another.

    claim: a sentence. source: who says so, or a link. fast, slow: what is compared, on the same backend.
    gradient: whether forward plus gradient is compared. Assign it to a name of the note's module.
    """

    claim: str
    source: str
    fast: Workload
    slow: Workload
    gradient: bool = False


def matrix(random: np.random.Generator, *shape: int) -> NDArray[np.float64]:
    """Weights (..., n, m) that keep the size of what they multiply: normal numbers over the root of n."""
    weights: NDArray[np.float64] = random.standard_normal(shape) / shape[-2] ** 0.5
    return weights


def zipf(random: np.random.Generator, shape: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """Word ids in [0, count), of which id i is drawn in proportion to 1 / (i + 1): Zipf's law."""
    masses = np.cumsum(1 / np.arange(1, count + 1))
    ids: NDArray[np.int64] = np.searchsorted(masses, random.random(shape) * masses[-1], side="right")
    return ids

"""What a parameter of a module is made of: an argument of the operation as it is, or in another layout."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from layerlaws.support.errors import WrongUse


@dataclass(frozen=True)
class Made:
    """A tensor made of arguments.

    words: what it is called in messages. arguments: the names of those it is made of. make: takes them in that order.
    """

    words: str
    arguments: tuple[str, ...]
    make: Callable[..., Any]

    def of(self, arguments: Mapping[str, Any]) -> Any:
        """The tensor, made of the arguments of one call."""
        return self.make(*(arguments[name] for name in self.arguments))


Source: TypeAlias = str | Made | Callable[..., torch.Tensor]
"""The name of an argument, what the functions below return, or a function that names arguments as its parameters."""

as_built = Made("as_built", (), lambda: None)
"""A buffer stays as the module made it, in the dtype of the call: a mask, say. Parameters have to be given."""


def made(source: Source) -> Made:
    """Any source as a `Made`. Raises WrongUse for anything else."""
    if isinstance(source, Made):
        return source
    if isinstance(source, str):
        return Made(source, (source,), lambda x: x)
    if callable(source):
        names = tuple(inspect.signature(source).parameters)
        return Made(f"a function of {', '.join(names) or 'nothing'}", names, source)
    raise WrongUse(
        f"{source!r} gives no tensor: name an argument, or use transposed, packed, split, as_built or a function"
    )


def transposed(source: Source) -> Made:
    """With its axes in reverse order: nn.Linear keeps (out, in), nn.Conv1d (out, in, width)."""
    inner = made(source)
    return Made(
        f"transposed({inner.words})",
        inner.arguments,
        lambda *parts: _reversed(inner.make(*parts)),
    )


def packed(*sources: Source, dim: int = 0) -> Made:
    """Several joined along an axis, as nn.MultiheadAttention keeps three projections in one."""
    inner = [made(source) for source in sources]

    def join(*parts: Any) -> torch.Tensor:
        rest = iter(parts)
        return torch.cat([one.make(*(next(rest) for _ in one.arguments)) for one in inner], dim)

    words = ", ".join(one.words for one in inner)
    return Made(f"packed({words})", tuple(name for one in inner for name in one.arguments), join)


def split(source: Source, part: int, of: int, dim: int = 0) -> Made:
    """One of equal parts along an axis, counted from 0: modules that keep apart what the operation has in one."""
    inner = made(source)
    if not 0 <= part < of:
        raise WrongUse(f"split({inner.words}, {part}, {of}): of {of} parts, counted from 0, there is no {part}")

    def cut(*parts: Any) -> torch.Tensor:
        whole: torch.Tensor = inner.make(*parts)
        if whole.shape[dim] % of:
            raise ValueError(f"{inner.words} has extent {whole.shape[dim]}, which {of} does not divide")
        extent = whole.shape[dim] // of
        return whole.narrow(dim, part * extent, extent)

    return Made(f"split({inner.words}, {part}, {of})", inner.arguments, cut)


def _reversed(x: torch.Tensor) -> torch.Tensor:
    return x.permute(*reversed(range(x.ndim)))

"""The axes of an operation's arguments, by the letters that its definition gives them, and how to cut one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerlaws.language.operations import Operation

_SHAPES = re.compile(r"((?:\w+(?:, | and ))*\w+) \(([^()]*)\)")
"""In a docstring: names of arguments, and the shape that all of them have, for example "key and value (B, S, D)"."""


@dataclass(frozen=True)
class Axis:
    """An axis that arguments share.

    name: its letter in the definition's docstring or, where that does not say, the first array that has it. size: its
    extent. places: the arrays that have it, with the number of the axis; a tuple's array by name and number.
    """

    name: str
    size: int
    places: tuple[tuple[str, int], ...]


def axes_of(operation: Operation, inputs: Mapping[str, Any]) -> list[Axis]:
    """The axes of the arrays among these inputs: those of one letter together, those without a letter one by one."""
    letters = _letters(operation)
    found: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for name, x in inputs.items():
        if not isinstance(x, np.ndarray):
            continue
        known = letters.get(name, ())
        for axis, size in enumerate(x.shape):
            letter = known[axis] if len(known) == x.ndim else f"axis {axis} of {name}"
            found.setdefault((letter, size), []).append((name, axis))
    return [Axis(letter, size, tuple(places)) for (letter, size), places in found.items()]


def _letters(operation: Operation) -> dict[str, tuple[str, ...]]:
    """What the definition's docstring calls the axes of each argument."""
    text = " ".join((inspect.getdoc(operation.definition) or "").partition("->")[0].split())
    shapes: dict[str, tuple[str, ...]] = {}
    for names, axes in _SHAPES.findall(text):
        letters = tuple(letter.strip() for letter in axes.split(",") if letter.strip())
        for name in re.split(r", | and ", names):
            if name in operation.parameters:
                shapes.setdefault(name, letters)
    return shapes


def cut(inputs: Mapping[str, Any], axis: Axis, size: int, last: bool = False) -> dict[str, Any]:
    """The inputs with an axis cut to its first entries or its last; a number equal to its extent is cut, too."""
    kept = slice(axis.size - size, None) if last else slice(size)
    changed = dict(inputs)
    for name, number in axis.places:
        changed[name] = changed[name][(slice(None),) * number + (kept,)].copy()
    return {
        name: min(x, size) if type(x) is int and x == axis.size and name in inputs else x for name, x in changed.items()
    }

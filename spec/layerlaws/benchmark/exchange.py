"""Hands what a definition says from one process to another: .npy files, and JSON that says which array is which.

Nothing is pickled, so reading the files executes no code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from layerlaws.benchmark.expected import Expected, arguments_of
from layerlaws.language.workloads import Workload
from layerlaws.numerics.bounded import Bounded
from layerlaws.numerics.formats import Format, is_float

INDEX = "expected.json"


def save(expected: Expected, directory: Path) -> None:
    """Write it to an empty directory; arguments are not written, `load` makes them again."""
    names = (f"{number}.npy" for number in count())
    index = {
        "sizes": dict(expected.workload.sizes),
        "results": _saved(expected.results, directory, names),
        "cotangent": _saved(_widened(expected.cotangent), directory, names),
    }
    (directory / INDEX).write_text(json.dumps(index), encoding="utf-8")


def load(directory: Path, workload: Workload, format: Format, arguments: dict[str, Any]) -> Expected:
    """What `save` wrote. arguments: of the whole workload, used where the whole of it was evaluated."""
    index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
    part = workload.at(**index["sizes"])
    whole = part.sizes == workload.sizes
    return Expected(
        part,
        arguments if whole else arguments_of(part, format),
        _loaded(index["results"], directory, format),
        _narrowed(_loaded(index["cotangent"], directory, format), format),
    )


def _saved(x: Any, directory: Path, names: Iterator[str]) -> Any:
    """Write the arrays of a result, and describe it in JSON. Raises TypeError for what no definition returns."""

    def write(array: Any) -> str:
        name = next(names)
        np.save(directory / name, np.asarray(array), allow_pickle=False)
        return name

    if x is None:
        return None
    if isinstance(x, tuple):
        return {"tuple": [_saved(part, directory, names) for part in x]}
    if isinstance(x, dict):
        return {"dict": {name: _saved(part, directory, names) for name, part in x.items()}}
    if isinstance(x, Bounded):
        exact = type(x.absolute) is float
        return {"value": write(x.value), "error": None if exact else write(x.absolute)}
    if isinstance(x, (np.ndarray, np.generic, int, float)):
        return {"array": write(x)}
    raise TypeError(f"a definition returned a {type(x).__name__}, expected arrays, or a tuple or dict of them")


def _loaded(index: Any, directory: Path, format: Format) -> Any:
    def read(name: str) -> Any:
        return np.load(directory / name, allow_pickle=False)

    match index:
        case None:
            return None
        case {"tuple": parts}:
            return tuple(_loaded(part, directory, format) for part in parts)
        case {"dict": parts}:
            return {name: _loaded(part, directory, format) for name, part in parts.items()}
        case {"value": value, "error": error}:
            return Bounded(read(value), 0.0 if error is None else read(error), format)
        case _:
            return read(index["array"])


def _widened(cotangent: Any) -> Any:
    """A cotangent in a dtype that .npy files know: bfloat16 is not one of NumPy's own."""
    if isinstance(cotangent, tuple):
        return tuple(map(_widened, cotangent))
    return cotangent.astype(np.float64) if cotangent is not None and is_float(cotangent) else cotangent


def _narrowed(cotangent: Any, format: Format) -> Any:
    if isinstance(cotangent, tuple):
        return tuple(_narrowed(part, format) for part in cotangent)
    return cotangent.astype(format.dtype) if cotangent is not None and is_float(cotangent) else cotangent

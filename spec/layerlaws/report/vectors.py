"""Test vectors: inputs, values and allowed errors of a note's operations as JSON, for tests in other languages.

The files are described in docs/vectors.md, and by the JSON Schema docs/vectors.schema.json.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layerlaws.checking.examples import examples
from layerlaws.discovery import catalogue
from layerlaws.language.implementation import as_exact, cast_to
from layerlaws.language.note import Note
from layerlaws.language.operations import Operation
from layerlaws.numerics.arithmetic import Arithmetic, computing_in
from layerlaws.numerics.bounded import Bounded, stored
from layerlaws.numerics.formats import FORMATS, Format, is_float
from layerlaws.numerics.rounding import quietly
from layerlaws.support.errors import Undecidable, WrongUse, known_name
from layerlaws.support.files import replace_text

SCHEMA = 1
"""Version of the files' layout."""

DTYPES = ("float32", "bfloat16", "float16")


def write_vectors(
    name: str, directory: Path, dtypes: Sequence[str] = (), count: int = 3, seed: int | None = None
) -> list[Path]:
    """Write DIRECTORY/OPERATION.json for every operation of a note, with `count` examples for each dtype.

    Raises WrongUse, before anything is written, for unknown names and where one of the files exists.
    """
    note = catalogue().note(name)
    formats = [Arithmetic().format(known_name(dtype, FORMATS, "dtype")) for dtype in dtypes or DTYPES]
    paths = {operation: directory / f"{operation.name}.json" for operation in note.operations}
    for path in paths.values():
        if os.path.lexists(path):
            raise WrongUse(f"{path} exists already; remove it, or choose another directory")
    texts = {
        path: json.dumps(_file(note, operation, formats, count, seed), indent=1) + "\n"
        for operation, path in paths.items()
    }
    directory.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        replace_text(path, text)
    return list(texts)


def _file(note: Note, operation: Operation, formats: list[Format], count: int, seed: int | None) -> dict[str, Any]:
    from layerlaws.support.version import __version__

    return {
        "schema": SCHEMA,
        "layerlaws": __version__,
        "note": note.name,
        "operation": operation.name,
        "parameters": list(operation.parameters),
        "says": inspect.getdoc(operation.definition) or "",
        "cases": [case for format in formats for case in _cases(operation, format, count, seed)],
    }


def _cases(operation: Operation, format: Format, count: int, seed: int | None) -> Iterator[dict[str, Any]]:
    """The first examples that are decided: an order or a comparison may turn within the rounding errors."""
    found = 0
    for drawn in examples(operation.inputs, 4 * count, seed):
        inputs = cast_to(drawn, format)
        try:
            with computing_in(format), quietly():
                results = stored(operation.definition(**as_exact(inputs, format)))
        except Undecidable:
            continue
        parts = results if isinstance(results, tuple) else (results,)
        yield {
            "arithmetic": {part: getattr(format, part).name for part in ("store", "accumulate", "keep", "multiply")},
            "inputs": {name: _written(x) for name, x in inputs.items()},
            "results": [_written(x) for x in parts],
        }
        found += 1
        if found == count:
            return


def _written(x: Any) -> Any:
    """A value as JSON: see docs/vectors.md."""
    if isinstance(x, Bounded):
        return _bounded(x)
    if isinstance(x, np.ndarray | np.generic):
        data = np.asarray(x).reshape(-1)
        numbers = [float(v).hex() for v in data] if is_float(x) else data.tolist()
        return {"dtype": x.dtype.name, "shape": list(x.shape), "data": numbers}
    if isinstance(x, float):
        return {"float": x.hex()}
    if isinstance(x, tuple | list):
        return [_written(part) for part in x]
    if isinstance(x, dict):
        return {"map": [[_written(key), _written(value)] for key, value in x.items()]}
    if x is None or isinstance(x, bool | int | str):
        return x
    raise WrongUse(f"a {type(x).__name__} cannot be written as a test vector")


def _bounded(x: Bounded) -> dict[str, Any]:
    """The values rounded to double, which the errors cover; infinite errors where there is no number."""
    double = x.value.astype(np.float64)
    with quietly():
        moved = np.abs(double - x.value).astype(np.float64)
        error = np.where(np.isnan(double), np.inf, x.error + np.where(np.isnan(moved), 0.0, moved))
        error = np.where(moved > 0, np.nextafter(error, np.inf), error)
    return {
        "dtype": x.format.name,
        "shape": list(x.shape),
        "data": [float(v).hex() for v in double.reshape(-1)],
        "error": [float(e).hex() for e in error.reshape(-1)],
    }

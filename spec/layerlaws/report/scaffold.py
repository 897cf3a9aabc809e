"""Writes the file of `layerlaws new`: a backend that runs at once, with every operation missing."""

from __future__ import annotations

import inspect
import keyword
from pathlib import Path

from layerlaws.discovery import catalogue
from layerlaws.language.operations import Operation
from layerlaws.support.errors import WrongUse

HEAD = '''"""{name}: a backend for layerlaws. Hold it to the laws with `layerlaws check ./{name}.py`."""

import numpy as np

# The formats the laws are drawn in; "bfloat16" and "float16" are possible, too.
dtypes = ("float32", "float64")


def from_numpy(array):
    """How arrays come in: np.ndarray -> yours."""
    return array


def to_numpy(array):
    """How results go out: yours -> np.ndarray."""
    return np.asarray(array)


# Take the comment signs off an operation and write its body. What stays commented out is reported as missing.
# Functions are called by keyword. `layerlaws explain NAME` shows definition and laws.
'''


def scaffold(name: str, directory: Path) -> Path:
    """Write NAME.py into a directory. Raises WrongUse if the name is not an identifier, or if the file exists."""
    stem = name.removesuffix(".py")
    if not stem.isidentifier() or keyword.iskeyword(stem):
        raise WrongUse(f"{name!r} cannot be a module's name; use letters, digits and underscores")
    path = directory / f"{stem}.py"
    text = HEAD.format(name=stem)
    for note in catalogue().notes:
        text += f"\n# --- {note.name}: {note.title}\n"
        text += "".join(_stub(operation) for operation in note.operations)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise WrongUse(f"{path.name} exists already; move it, or choose another name") from None
    return path


def _stub(operation: Operation) -> str:
    doc = inspect.getdoc(operation.definition) or ""
    lines = [f"def {operation.signature}:", *(f"    # {line}".rstrip() for line in doc.splitlines())]
    return "\n" + "\n".join(f"# {line}".rstrip() for line in lines) + "\n"

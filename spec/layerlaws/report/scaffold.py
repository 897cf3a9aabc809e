"""Writes the file of `layerlaws new`: a backend that runs at once, with every operation missing."""

from __future__ import annotations

import importlib.util
import inspect
import keyword
import sys
from pathlib import Path

from layerlaws.backends import installed_backends
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


'''

TORCH_HEAD = '''"""{name}: a backend of PyTorch. Hold it to the laws with `layerlaws check ./{name}.py`."""

import torch
from torch import nn

from layerlaws.torch import as_built, from_module, from_numpy, gradient, packed, split, to_numpy, transposed

# The formats the laws are drawn in; "bfloat16" and "float16" are possible, too.
dtypes = ("float32", "float64")

# A module becomes an operation as below: say how it is built for the sizes of a call, what every parameter and buffer
# is, by name, and how it is called. as_built is a buffer that stays as it is. docs/your-module.md has the rest.
#
# feed_forward = from_module(
#     "feed_forward",
#     build=lambda w_1: nn.Sequential(nn.Linear(*w_1.shape), nn.ReLU(), nn.Linear(*w_1.shape[::-1])),
#     parameters={{
#         "0.weight": transposed("w_1"),
#         "0.bias": "b_1",
#         "2.weight": transposed("w_2"),
#         "2.bias": "b_2",
#     }},
#     call=lambda module, x: module(x),
# )
#
# Functions of tensors are operations, too.

'''

RULES = """\
# Take the comment signs off an operation and write its body. What stays commented out is reported as missing.
# Functions are called by keyword. `layerlaws explain NAME` shows definition and laws.
"""


def scaffold(name: str, directory: Path, torch: bool = False) -> Path:
    """Write NAME.py into a directory. torch: with what `layerlaws.torch` offers.

    Raises WrongUse if the name is not an identifier or that of a module which the file would hide, or if the file
    exists.
    """
    stem = name.removesuffix(".py")
    if not stem.isidentifier() or keyword.iskeyword(stem):
        raise WrongUse(f"{name!r} cannot be a module's name; use letters, digits and underscores")
    path = directory / f"{stem}.py"
    if not path.exists() and _taken(stem):
        raise WrongUse(f"{stem} is the name of a package, which {path.name} would hide: name it my_{stem}, say")
    text = (TORCH_HEAD if torch else HEAD).format(name=stem) + RULES
    for note in catalogue().notes:
        text += f"\n# --- {note.name}: {note.title}\n"
        text += "".join(_stub(operation) for operation in note.operations)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise WrongUse(f"{path.name} exists already; move it, or choose another name") from None
    return path


def _taken(name: str) -> bool:
    """Whether the name is that of an installed package, or of one that a bundled backend needs."""
    backends = {part for installed in installed_backends() for part in (installed, installed.partition("-")[0])}
    return name in backends or name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None


def _stub(operation: Operation) -> str:
    doc = inspect.getdoc(operation.definition) or ""
    lines = [f"def {operation.signature}:", *(f"    # {line}".rstrip() for line in doc.splitlines())]
    return "\n" + "\n".join(f"# {line}".rstrip() for line in lines) + "\n"

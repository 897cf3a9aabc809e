"""Prints arguments as Python expressions, and reads them back without running any code."""

from __future__ import annotations

import ast
import base64
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.numerics.bounded import Bounded
from layerlaws.numerics.formats import FORMATS

LONGEST = 4000
"""Longest printed argument, in characters. A longer one is cut, says so, and is not an expression any more."""

LARGEST = 1_000_000
"""Longest argument in any form, packed or not, in characters."""

MOST_BYTES = 2**24
"""Of an array that is packed or unpacked: a record of strangers may say that a few characters are gigabytes."""


def literal(x: Any) -> str:
    """A readable Python expression for an argument or a result, exact for arrays of the formats."""
    if isinstance(x, tuple):
        return f"({''.join(literal(part) + ', ' for part in x).rstrip()})"
    if isinstance(x, Bounded):
        x = x.value.astype(x.dtype)
    if isinstance(x, np.ndarray):
        # An element takes one character at least: more elements than characters need not be printed.
        text = _array(x if x.size <= LONGEST else x.flat[:LONGEST])
        whole = f"shape {x.shape}"
    else:
        text = _scalar(x)
        whole = f"{len(text)} characters"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... (cut, {whole})"


def _scalar(x: Any) -> str:
    return f"float({str(x)!r})" if isinstance(x, float) and not np.isfinite(x) else repr(x)


def _array(x: NDArray[Any]) -> str:
    if x.size == 0:
        return f"np.zeros({x.shape}, {x.dtype.name!r})"
    wide = x.astype(np.float64) if x.dtype.name == "bfloat16" else x
    with np.printoptions(nanstr="np.nan", infstr="np.inf"):
        numbers = np.array2string(wide, separator=", ", threshold=wide.size + 1, floatmode="unique", max_line_width=100)
    return f"np.array({numbers}, {x.dtype.name!r})"


def whole(x: Any) -> str:
    """An expression for an argument in full: arrays that are too long to print are packed.

    One of more than `LARGEST` characters is cut nevertheless, and is not an expression any more.
    """
    text = _whole(x)
    return text if len(text) <= LARGEST else literal(x)


def unpacked(text: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array that `whole` packed. text: its bytes, compressed by zlib, in base 64. dtype: by name."""
    size = math.prod(shape) * _dtype(dtype).itemsize
    if not 0 <= size <= MOST_BYTES:
        raise ValueError(f"an array of shape {shape!s:.60} is beyond {MOST_BYTES:,} bytes")
    content = zlib.decompressobj().decompress(
        base64.b64decode(text), size + 1
    )  # a hostile one may decompress to far more
    return np.frombuffer(content, _dtype(dtype)).reshape(shape).copy()


def array_of(content: bytes, dtype: str, shape: list[int]) -> NDArray[Any]:
    """The array of a dtype and a shape that some bytes begin with. Raises ValueError if there are too few."""
    count = math.prod(shape)
    return np.frombuffer(content, _dtype(dtype), count).reshape(shape).copy()


def printed(example: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The arguments of an example as readable expressions, and those that are cut there, in full."""
    arguments = {name: literal(x) for name, x in example.items()}
    return arguments, {name: text for name, x in example.items() if arguments[name] != (text := whole(x))}


def evaluated(text: str) -> Any:
    """The argument that `literal` or `whole` printed: an array, a constant, or a tuple or list of these.

    Raises ValueError for any other expression, including one that was cut.
    """
    try:
        return _value(ast.parse(text, mode="eval").body)
    except (
        ValueError, SyntaxError, TypeError, LookupError, AttributeError, OverflowError, zlib.error, RecursionError,
        MemoryError,
    ) as wrong:  # fmt: skip
        raise ValueError(f"no printed argument: {text[:60]!r} ({wrong})") from None


def _whole(x: Any) -> str:
    if isinstance(x, tuple):
        return f"({''.join(_whole(part) + ', ' for part in x).rstrip()})"
    if isinstance(x, Bounded):
        x = x.value.astype(x.dtype)
    text = literal(x) if not isinstance(x, np.ndarray) or x.size <= LONGEST or x.nbytes > MOST_BYTES else ""
    if isinstance(x, np.ndarray) and x.nbytes <= MOST_BYTES and (not text or len(text) > LONGEST):
        packed = base64.b64encode(zlib.compress(np.ascontiguousarray(x).tobytes(), 9)).decode()
        return f"unpacked({packed!r}, {x.dtype.name!r}, {x.shape})"
    return text if len(text) <= LONGEST or isinstance(x, np.ndarray) else repr(x)


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Tuple):
        return tuple(map(_value, node.elts))
    if isinstance(node, ast.List):
        return list(map(_value, node.elts))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Attribute):
        return {"np.nan": np.nan, "np.inf": np.inf}[ast.unparse(node)]
    if isinstance(node, ast.Call) and not node.keywords:
        return _MAKERS[ast.unparse(node.func)](*map(_value, node.args))
    raise TypeError(f"{type(node).__name__} is no argument")


def _dtype(name: str) -> np.dtype[Any]:
    dtype = FORMATS[name].dtype if name in FORMATS else np.dtype(name)
    if name not in FORMATS and dtype.kind not in "biu":
        raise TypeError(f"arrays of {name} are no arguments")
    return dtype


_MAKERS: dict[str, Callable[..., Any]] = {
    "np.array": lambda numbers, dtype: np.array(numbers, _dtype(dtype)),
    "np.zeros": lambda shape, dtype: np.array([], _dtype(dtype)).reshape(
        shape
    ),  # only empty arrays are printed like this
    "float": float,
    "unpacked": unpacked,
}

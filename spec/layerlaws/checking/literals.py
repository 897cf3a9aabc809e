"""Arguments printed as Python that gives them back, and read from it again without running any code."""

from __future__ import annotations

import ast
import base64
import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from layerlaws.numerics.bounded import Bounded
from layerlaws.numerics.formats import FORMATS

LONGEST = 4000
"""Characters after which a printed argument is cut; a cut one is no literal any more, and says so."""

LARGEST = 1_000_000
"""Characters after which an argument is cut in any form."""


def literal(x: Any) -> str:
    """A readable Python expression for an argument or a result, exact for arrays of the formats."""
    if isinstance(x, tuple):
        return f"({''.join(literal(part) + ', ' for part in x).rstrip()})"
    if isinstance(x, Bounded):
        x = x.value.astype(x.dtype)
    if isinstance(x, np.ndarray):
        # An element takes a character at least: no more of them need printing than are shown.
        text = _array(x if x.size <= LONGEST else x.flat[:LONGEST])
        whole = f"shape {x.shape}"
    else:
        text = _scalar(x)
        whole = f"{len(text)} characters"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... (cut, {whole})"


def _scalar(x: Any) -> str:
    return f"float({str(x)!r})" if isinstance(x, float) and not np.isfinite(x) else repr(x)


def _array(x: np.ndarray[Any, Any]) -> str:
    if x.size == 0:
        return f"np.zeros({x.shape}, {x.dtype.name!r})"
    wide = x.astype(np.float64) if x.dtype.name == "bfloat16" else x
    with np.printoptions(nanstr="np.nan", infstr="np.inf"):
        numbers = np.array2string(wide, separator=", ", threshold=wide.size + 1, floatmode="unique", max_line_width=100)
    return f"np.array({numbers}, {x.dtype.name!r})"


def whole(x: Any) -> str:
    """An expression that gives an argument back: arrays that are long to print are packed.

    What takes more than `LARGEST` characters all the same is cut, and gives nothing back.
    """
    text = _whole(x)
    return text if len(text) <= LARGEST else literal(x)


def unpacked(text: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The array that `whole` packed: its bytes, compressed, in base 64."""
    size = math.prod(shape) * _dtype(dtype).itemsize
    content = zlib.decompressobj().decompress(base64.b64decode(text), size + 1)  # and not whatever it swells to
    return np.frombuffer(content, _dtype(dtype)).reshape(shape).copy()


def evaluated(text: str) -> Any:
    """The argument behind what `literal` or `whole` printed; nothing but arrays and constants is made of it.

    Raises ValueError for any other expression, one that was cut included.
    """
    try:
        return _value(ast.parse(text, mode="eval").body)
    except (SyntaxError, TypeError, KeyError, AttributeError, zlib.error, RecursionError, MemoryError) as wrong:
        raise ValueError(f"no printed argument: {text[:60]!r} ({wrong})") from None


def _whole(x: Any) -> str:
    if isinstance(x, tuple):
        return f"({''.join(_whole(part) + ', ' for part in x).rstrip()})"
    if isinstance(x, Bounded):
        x = x.value.astype(x.dtype)
    text = literal(x) if not isinstance(x, np.ndarray) or x.size <= LONGEST else ""
    if isinstance(x, np.ndarray) and (not text or len(text) > LONGEST):
        packed = base64.b64encode(zlib.compress(np.ascontiguousarray(x).tobytes(), 9)).decode()
        return f"unpacked({packed!r}, {x.dtype.name!r}, {x.shape})"
    return text if len(text) <= LONGEST else repr(x)


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
    "np.zeros": lambda shape, dtype: np.array([], _dtype(dtype)).reshape(shape),  # only empty ones are printed so
    "float": float,
    "unpacked": unpacked,
}

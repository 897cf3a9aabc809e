"""The same numbers lying otherwise in memory: other orders, gaps, offsets, strides that are 0 or negative.

An array is laid out in memory of its own. Around its elements lies what does not belong to it, NaN or other numbers, so
that a function which ignores strides, or reads beyond the end, uses something else; there is enough of it for an array
that is read as if it were contiguous.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.language.implementation import Declined, Implementation, Raised
from layerlaws.numerics.formats import is_float
from layerlaws.support.errors import Broken, Undecidable
from layerlaws.support.printable import describe, printable

Strides = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """One way in which an array may lie in memory.

    name: in words. strides: for a shape in C order, those of each axis in elements; None where the array would lie as
    it does in C order. start: the element at which it begins, for a number of elements. shift: by so many bytes more.
    numpy_only: whether only NumPy's arrays can lie like that.
    """

    name: str
    strides: Callable[[NDArray[Any]], Strides | None]
    start: Callable[[int], int] = lambda size: 0
    shift: int = 0
    writeable: bool = True
    numpy_only: bool = False

    def lay_out(self, array: NDArray[Any]) -> NDArray[Any] | None:
        """The array in memory of this layout; None if it has no such form, as it is too small, say."""
        if not array.size or (self.shift and array.itemsize == 1):
            return None
        strides = self.strides(array)
        if strides is None:
            return None
        start, size = self.start(array.size), array.itemsize
        ends = [abs(stride) * (extent - 1) for stride, extent in zip(strides, array.shape, strict=True)]
        memory = _surroundings(array, start + max(array.size, 1 + sum(ends)) + 1).view(np.uint8)
        if self.shift:
            memory = np.concatenate([np.zeros(self.shift, np.uint8), memory])
        in_bytes = tuple(stride * size for stride in strides)
        laid: NDArray[Any] = np.ndarray(array.shape, array.dtype, memory, start * size + self.shift, in_bytes)
        laid[...] = array
        laid.flags.writeable = self.writeable
        return laid

    def reached(self, native: Any, laid: NDArray[Any]) -> bool | None:
        """Whether a backend's array lies in memory as the array that it was made of; None if it does not show it."""
        if self.numpy_only:
            return isinstance(native, np.ndarray) and native.flags.c_contiguous and _address(native) == _address(laid)
        strides, address = _strides(native), _address(native)
        if strides is None:
            return None
        if self.start(1) and min(laid.strides, default=0) >= 0:
            return address == _address(laid)
        return all(one == other for one, other, n in zip(strides, laid.strides, laid.shape, strict=True) if n > 1)


def _contiguous(array: NDArray[Any]) -> Strides:
    return tuple(math.prod(array.shape[k + 1 :]) for k in range(array.ndim))


def _columns(array: NDArray[Any]) -> Strides | None:
    """The first index runs fastest; the same as C order where only one axis is longer than 1."""
    if sum(extent > 1 for extent in array.shape) < 2:
        return None
    return tuple(math.prod(array.shape[:k]) for k in range(array.ndim))


def _scattered(array: NDArray[Any]) -> Strides | None:
    return tuple(2 * stride for stride in _contiguous(array)) if array.size > 1 else None


def _backwards(array: NDArray[Any]) -> Strides | None:
    return tuple(-stride for stride in _contiguous(array)) if array.size > 1 else None


def _repeated(array: NDArray[Any]) -> Strides | None:
    """Stride 0 along every axis along which the array is constant."""
    constant = [extent > 1 and _is_constant(array, k) for k, extent in enumerate(array.shape)]
    if not any(constant):
        return None
    kept = array[tuple(slice(1) if same else slice(None) for same in constant)]
    return tuple(0 if same else stride for same, stride in zip(constant, _contiguous(kept), strict=True))


def _is_constant(array: NDArray[Any], axis: int) -> bool:
    first = np.broadcast_to(np.take(array, [0], axis), array.shape)
    return np.ascontiguousarray(first).tobytes() == np.ascontiguousarray(array).tobytes()


COLUMNS = Layout("column-major", _columns)
SCATTERED = Layout("every other element", _scattered)
OFFSET = Layout("an offset of one element", _contiguous, start=lambda size: 1)
REPEATED = Layout("expanded with stride 0", _repeated)
BACKWARDS = Layout("negative strides", _backwards, start=lambda size: size - 1)
UNALIGNED = Layout("unaligned", _contiguous, shift=1, numpy_only=True)
READ_ONLY = Layout("read-only", _contiguous, writeable=False, numpy_only=True)

LAYOUTS = (COLUMNS, SCATTERED, OFFSET, REPEATED, BACKWARDS, UNALIGNED, READ_ONLY)


def _surroundings(array: NDArray[Any], count: int) -> NDArray[Any]:
    """Memory for so many elements, filled with what is not the array: NaN, other elements, inverted masks."""
    if is_float(array):
        return np.full(count, np.nan, array.dtype)
    flat = np.ascontiguousarray(array).reshape(-1)
    return np.resize(~flat if array.dtype == bool else np.roll(flat, 1), count)


def _strides(native: Any) -> Strides | None:
    """The strides of an array of NumPy's or PyTorch's kind, in bytes; None if it shows none."""
    try:
        if callable(getattr(native, "stride", None)):
            return tuple(int(stride) * int(native.element_size()) for stride in native.stride())
        return tuple(map(int, native.strides))
    except Exception:
        return None


def _address(native: Any) -> int | None:
    """Where the first element lies; None if the array does not show it."""
    try:
        return int(native.data_ptr()) if hasattr(native, "data_ptr") else int(native.ctypes.data)
    except Exception:
        return None


@dataclass
class Placement:
    """Gives a backend arrays in a layout, and sees whether they reach it. It takes the place of `Implementation.into`.

    placed: how many arrays the layout is another one for. arrived: how many of them lie in it. obstacle: why not all.
    """

    operation: Implementation
    layout: Layout
    placed: int = 0
    arrived: int = 0
    obstacle: str = field(default="")

    def __call__(self, array: NDArray[Any]) -> Any:
        """The backend's array. Raises Declined where it takes none of this layout."""
        laid = self.layout.lay_out(array)
        if laid is None:
            return self.operation.into(np.array(array, order="C", copy=True))
        self.placed += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of read-only memory, say
                native = self.operation.backend.from_numpy(laid)
        except Exception as error:
            self.obstacle = printable(f"from_numpy raises {describe(error)}", 120)
            raise Declined("from_numpy", NotImplementedError(self.obstacle)) from error
        reached = self.layout.reached(native, laid)
        self.arrived += bool(reached)
        if not reached:
            shown = "its arrays show no strides" if reached is None else "from_numpy copies it"
            self.obstacle = "only NumPy's arrays can be" if self.layout.numpy_only else shown
        return native


def given_in(
    operation: Implementation, layout: Layout, call: Callable[[Placement], Any], seen: list[str]
) -> tuple[Any] | None:
    """What `call` returns, which passes arrays on through the placement; None if none reached the backend like that.

    seen: why not is appended. What reached the backend is noted in `Implementation.layouts`.
    """
    placement = Placement(operation, layout)
    try:
        result = call(placement)
    except Declined:
        if not placement.obstacle:
            raise
    except Raised as raised:
        if not placement.arrived:
            raise
        raise Broken(f"where memory is {layout.name}, {raised}; in C order it does not") from raised.cause
    if placement.obstacle and not placement.arrived:
        seen.append(f"{layout.name}: {placement.obstacle}")
        operation.layouts.setdefault(layout.name, placement.obstacle)
        return None
    if not placement.arrived:
        return None
    operation.layouts[layout.name] = ""
    return (result,)


def require_some(tried: int, seen: list[str]) -> None:
    """Raises Declined if no layout reached the backend, Undecidable if none was another one for any array."""
    if not tried and seen:
        raise Declined("from_numpy", NotImplementedError(f"no other layout of memory reaches it ({'; '.join(seen)})"))
    if not tried:
        raise Undecidable("no array of the example has another layout")


def repeated_rows(operation: Implementation, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs whose arrays are constant along an axis: the first row of the batch for all, or of every float array."""
    batch = operation.operation.batch

    def repeat(array: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(np.broadcast_to(array[:1], array.shape)) if array.ndim else array

    def chosen(name: str, x: Any) -> bool:
        return isinstance(x, np.ndarray) and (name in batch if batch else is_float(x))

    return {name: repeat(x) if chosen(name, x) else x for name, x in inputs.items()}

"""What a backend is to the runner, and what it may declare of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from layerlaws.numerics.arithmetic import joint
from layerlaws.numerics.formats import Format, format_of

GRADIENT_OF = "gradient of "
"""What stands before an operation whose way back alone has an arithmetic of its own."""


@dataclass(frozen=True)
class Known:
    """A deviation by design: reason, and a link to where the library says so.

    dtype: the format, or formats, in which the library deviates; in all others the law has to hold. None for all.
    Declared by law, by law of one operation ("operation.law"), or for a whole operation.
    rare: whether so few inputs show it that a run may not meet one; then the law counts as held.
    """

    reason: str
    link: str
    dtype: str | tuple[str, ...] | None = None
    rare: bool = False

    def concerns(self, format: str) -> bool:
        """Whether the deviation is one of this format."""
        return self.dtype is None or format in ((self.dtype,) if isinstance(self.dtype, str) else self.dtype)


@dataclass(frozen=True, eq=False)
class Backend:
    """A backend as the runner uses it.

    functions: by operation name. formats: what laws are drawn in, each with the arithmetic that the backend declares.
    arithmetics: those of single operations, or gradients of them, that differ, by operation and dtype. gradient:
    vector-Jacobian product, or None. measured: seconds and peak bytes of a call by the device's own clock and
    allocator, for benchmarks; None to be timed by the wall clock. known: deviations by design, by law id. unavailable:
    why it cannot run here, or "".
    """

    name: str
    functions: Mapping[str, Callable[..., Any]]
    from_numpy: Callable[[Any], Any]
    to_numpy: Callable[[Any], Any]
    formats: tuple[Format, ...]
    gradient: Callable[..., Any] | None = None
    synchronize: Callable[[], None] = lambda: None
    device: str = "CPU"
    known: Mapping[str, Known] = field(default_factory=dict)
    unavailable: str = ""
    measured: Callable[[Callable[[], Any]], tuple[float, int]] | None = None
    arithmetics: Mapping[str, Mapping[str, Format]] = field(default_factory=dict)

    def format(self, dtype: str) -> Format:
        """The format of this name, with the arithmetic that the backend declares in it."""
        return next((format for format in self.formats if format.name == dtype), format_of(dtype))

    def arithmetic(self, format: Format, operations: Iterable[str], gradients: bool = False) -> Format:
        """The arithmetic of these operations in a format, or with their gradients: the narrowest, where they differ."""
        names = list(operations)
        names += [GRADIENT_OF + name for name in names if gradients and GRADIENT_OF + name in self.arithmetics]
        theirs = (self.arithmetics.get(name, {}).get(format.name, format) for name in names)
        return joint(tuple(dict.fromkeys(theirs)) or (format,))

    def function(self, operation: str) -> Callable[..., Any] | None:
        """The backend's function for an operation, None where it has none."""
        return self.functions.get(operation)

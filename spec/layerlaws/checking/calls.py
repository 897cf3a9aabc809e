"""Records the calls of a backend that a law makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from layerlaws.language.backend import Backend

Outcome = Any
"""The outcome of a call: its results as NumPy arrays, or the exception it raised."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation's function or, with a cotangent, of its gradient.

    arguments, cotangent: as NumPy arrays, copied before the call. outcome: the results or the exception.
    """

    operation: str
    arguments: dict[str, Any]
    cotangent: Any
    outcome: Outcome


def recording(backend: Backend, calls: list[Call]) -> Backend:
    """The backend, wrapped so that every call of its functions and gradients is appended to `calls` once it returns."""
    functions = {name: _recorded(name, function, backend, calls) for name, function in backend.functions.items()}
    if backend.gradient is None:
        return replace(backend, functions=functions)
    inner = backend.gradient

    def gradient(function: Any, arguments: Mapping[str, Any], cotangent: Any) -> Any:
        name, unwrapped = function.operation, function.unwrapped
        copies, weights = _as_numpy(backend, dict(arguments)), _as_numpy(backend, cotangent)
        return _record(name, copies, weights, lambda: inner(unwrapped, arguments, cotangent), backend, calls)

    return replace(backend, functions=functions, gradient=gradient)


def _recorded(name: str, function: Callable[..., Any], backend: Backend, calls: list[Call]) -> Callable[..., Any]:
    def wrapper(**arguments: Any) -> Any:
        copies = _as_numpy(backend, arguments)
        return _record(name, copies, None, lambda: function(**arguments), backend, calls)

    wrapper.operation, wrapper.unwrapped = name, function  # type: ignore[attr-defined]
    return wrapper


def _record(
    name: str, arguments: dict[str, Any], cotangent: Any, call: Callable[[], Any], backend: Backend, calls: list[Call]
) -> Any:
    """Make the call, append it to `calls` with its outcome, and return its result or raise what it raised."""
    try:
        result = call()
    except (Exception, SystemExit) as error:
        calls.append(Call(name, arguments, cotangent, error))
        raise
    calls.append(Call(name, arguments, cotangent, _as_numpy(backend, result)))
    return result


def _as_numpy(backend: Backend, x: Any) -> Any:
    """Arguments or results with their arrays copied to NumPy; anything else unchanged."""
    if isinstance(x, dict):
        return {name: _as_numpy(backend, part) for name, part in x.items()}
    if isinstance(x, tuple):
        return tuple(_as_numpy(backend, part) for part in x)
    if not hasattr(x, "shape"):
        return x
    try:
        return np.array(backend.to_numpy(x), copy=True)
    except Exception:  # not an array of the backend: the law reports it
        return x

"""The calls that a law makes of a backend: heard while the law is stated on an example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from layerlaws.language.backend import Backend

Outcome = Any
"""What a call came to: results as NumPy arrays, or the exception it raised."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation's function or, with a cotangent, of its gradient.

    arguments, cotangent: as NumPy arrays, as they were before the call. outcome: what the backend made of them.
    """

    operation: str
    arguments: dict[str, Any]
    cotangent: Any
    outcome: Outcome


def overheard(backend: Backend, heard: list[Call]) -> Backend:
    """The backend, with every call of its functions and gradients added to `heard` once it has come back."""
    functions = {name: _heard(name, function, backend, heard) for name, function in backend.functions.items()}
    if backend.gradient is None:
        return replace(backend, functions=functions)
    inner = backend.gradient

    def gradient(function: Any, arguments: Mapping[str, Any], cotangent: Any) -> Any:
        name, bare = function.operation, function.bare
        plain, weights = _numpy(backend, dict(arguments)), _numpy(backend, cotangent)
        return _added(name, plain, weights, lambda: inner(bare, arguments, cotangent), backend, heard)

    return replace(backend, functions=functions, gradient=gradient)


def _heard(name: str, function: Callable[..., Any], backend: Backend, heard: list[Call]) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        plain = _numpy(backend, arguments)
        return _added(name, plain, None, lambda: function(**arguments), backend, heard)

    call.operation, call.bare = name, function  # type: ignore[attr-defined]
    return call


def _added(
    name: str, arguments: dict[str, Any], cotangent: Any, call: Callable[[], Any], backend: Backend, heard: list[Call]
) -> Any:
    try:
        result = call()
    except (Exception, SystemExit) as error:
        heard.append(Call(name, arguments, cotangent, error))
        raise
    heard.append(Call(name, arguments, cotangent, _numpy(backend, result)))
    return result


def _numpy(backend: Backend, x: Any) -> Any:
    """Arguments or results with copies of their arrays as NumPy arrays; what is no array stays what it is."""
    if isinstance(x, dict):
        return {name: _numpy(backend, part) for name, part in x.items()}
    if isinstance(x, tuple):
        return tuple(_numpy(backend, part) for part in x)
    if not hasattr(x, "shape"):
        return x
    try:
        return np.array(backend.to_numpy(x), copy=True)
    except Exception:  # what the backend returned is no array of its own: the law will say so
        return x

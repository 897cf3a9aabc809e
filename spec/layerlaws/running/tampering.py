"""Detects a backend that replaces functions which definitions, error bounds and laws use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

WATCHED = ("builtins", "math", "numpy", "layerlaws")
"""Packages whose functions verdicts depend on. Their private modules are not watched."""

Snapshot = dict[str, dict[str, Callable[..., Any]]]
"""Functions by the name of their module and their own name."""


def snapshot() -> Snapshot:
    """The functions of all watched modules as they are now."""
    return {
        name: {attribute: value for attribute, value in vars(module).items() if callable(value)}
        for name, module in _watched_modules()
    }


def tampered(before: Snapshot) -> str:
    """The first function that is no longer what it was, for example "numpy.exp"; "" if there is none."""
    for name, functions in before.items():
        now = vars(sys.modules[name]) if name in sys.modules else {}
        for attribute, function in functions.items():
            if now.get(attribute) is not function:
                return f"{name}.{attribute}"
    return ""


def _watched_modules() -> Iterator[tuple[str, ModuleType]]:
    for name, module in list(sys.modules.items()):
        private = any(part.startswith("_") for part in name.split("."))
        if isinstance(module, ModuleType) and name.partition(".")[0] in WATCHED and not private:
            yield name, module

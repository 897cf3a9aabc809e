"""Notices when a backend replaces functions that definitions, bounds and laws are made of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

WATCHED = ("builtins", "math", "numpy", "layerlaws")
"""Packages whose functions the verdict on a backend rests on."""

Originals = dict[str, dict[str, Any]]
"""By name of module, and of function."""


def originals() -> Originals:
    """The functions of all watched modules, as they are now."""
    return {
        name: {attribute: value for attribute, value in vars(module).items() if callable(value)}
        for name, module in _watched()
    }


def replaced(before: Originals) -> str:
    """The first function that is not what it was, as numpy.exp; "" where there is none."""
    for name, functions in before.items():
        now = vars(sys.modules[name]) if name in sys.modules else {}
        for attribute, value in functions.items():
            if now.get(attribute) is not value:
                return f"{name}.{attribute}"
    return ""


def _watched() -> Iterator[tuple[str, ModuleType]]:
    for name, module in list(sys.modules.items()):
        private = any(part.startswith("_") for part in name.split("."))
        if isinstance(module, ModuleType) and name.partition(".")[0] in WATCHED and not private:
            yield name, module

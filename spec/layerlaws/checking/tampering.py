"""Detects a backend that replaces functions which definitions, error bounds and laws use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

WATCHED = ("builtins", "math", "numpy", "layerlaws")
"""Packages whose functions verdicts depend on. Their private modules are not watched."""

HARMLESS = {
    "builtins": {"print", "input", "open", "breakpoint", "help", "exit", "quit", "copyright", "credits", "license"},
    "numpy": {"load", "save", "savez", "savez_compressed", "loadtxt", "savetxt", "fromfile", "show_config", "info"},
}
"""Functions that no definition, bound or law calls, which libraries replace for purposes of their own."""

IDLE = ("numpy.testing", "numpy.f2py", "numpy.distutils", "numpy.typing")
"""Modules of NumPy in which that is true of all functions."""

Snapshot = dict[str, dict[str, Callable[..., Any]]]
"""Functions by the name of their module and their own name."""


def snapshot() -> Snapshot:
    """The functions of all watched modules as they are now."""
    return {
        name: {
            attribute: value
            for attribute, value in vars(module).items()
            if callable(value) and attribute not in HARMLESS.get(name, ())
        }
        for name, module in _watched_modules()
    }


def restore(before: Snapshot) -> None:
    """Put back the functions that were replaced: those who use them next are not to blame."""
    for name, functions in before.items():
        now = vars(sys.modules[name]) if name in sys.modules else {}
        for attribute, function in functions.items():
            if now.get(attribute) is not function and name in sys.modules:
                setattr(sys.modules[name], attribute, function)


def accusation(function: str) -> str:
    """Why nothing is known of a backend that replaced this function."""
    return f"it replaced {function}, which definitions and laws use, too: nothing can be said of what it computes"


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
        watched = name.partition(".")[0] in WATCHED and not name.startswith(IDLE)
        if isinstance(module, ModuleType) and watched and not private:
            yield name, module

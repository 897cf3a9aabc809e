"""Imported before anything else: says in one line what would be a traceback from deep within otherwise.

It imports nothing that Python has not imported itself, since `python -m layerlaws` looks for modules in the working
directory first, until this has told it not to.
"""

from __future__ import annotations

import os
import sys

COMMANDS = ("layerlaws", "layerlaws.exe", "-m")
"""What a command of this package is called while it is imported."""


def check() -> None:
    """Look at the interpreter and the working directory. Ends a command, else raises ImportError, if they are wrong.

    Of the working directory, nothing is imported that is not named: `python -m layerlaws` no longer looks there.
    """
    if sys.flags.optimize >= 2:
        _stop("laws are read from docstrings, which python -OO and PYTHONOPTIMIZE=2 remove: run it without")
    try:
        here = os.getcwd()
    except OSError:
        _stop("the working directory no longer exists: change into another one")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # where this package is itself
    if _is_command() and sys.argv[0] == "-m" and sys.path[:1] == [here] != [root] and not sys.flags.safe_path:
        del sys.path[0]


def _is_command() -> bool:
    name = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
    return name in COMMANDS and any(argument.endswith("layerlaws") for argument in sys.orig_argv)


def _stop(reason: str) -> None:
    if _is_command():
        print(f"layerlaws: {reason}", file=sys.stderr)
        raise SystemExit(2)
    raise ImportError(f"layerlaws cannot be imported: {reason}")


check()

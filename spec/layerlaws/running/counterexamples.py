"""Scripts that reproduce failures: one for every verdict with a counterexample that is no known deviation.

They are written next to the records, to counterexamples/BACKEND/OPERATION.LAW.py, and need only layerlaws and the
backend. Records are not trusted: arguments are parsed and printed again, and everything else that a record says becomes
a string literal or a comment.
"""

from __future__ import annotations

import contextlib
import os
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from layerlaws.checking.failure import ACCEPTED
from layerlaws.checking.literals import evaluated, whole
from layerlaws.checking.verdict import Verdict
from layerlaws.discovery import catalogue
from layerlaws.running.journal import record_name
from layerlaws.support.files import real_folder, replace_text, start_of

DIRECTORY = "counterexamples"

WIDTH = 100

TEMPLATE = '''\
"""Holds one backend to one law on one example: exit status 0 if the law holds, 1 if not, 2 if unknown."""

{comment}
import sys

import numpy as np
{imports}
from layerlaws import {names}

BACKEND = {backend}
LAW = {law}
DTYPE = {dtype}
ARGUMENTS = {{
{arguments}
}}

try:
    example = hold(BACKEND, LAW, DTYPE, ARGUMENTS)
except Exception as reason:
    print(f"{{BACKEND}} cannot be held to {{LAW}}: {{reason}}", file=sys.stderr)
    sys.exit(2)
print(example)
sys.exit(example.status)
'''


def script_path(verdict: Verdict) -> PurePosixPath | None:
    """The path of a verdict's script relative to the directory of the record; None if there is no script."""
    if not verdict.counts(strict=True) or not verdict.counterexample or script(verdict) is None:
        return None
    return _folder(verdict.backend) / (re.sub(r"[^A-Za-z0-9._-]+", "-", verdict.id).strip("-.") + ".py")


def _folder(backend: str) -> PurePosixPath:
    return PurePosixPath(DIRECTORY, record_name(backend).removesuffix(".jsonl") or "unnamed")


def write_scripts(directory: Path, backend: str, verdicts: Iterable[Verdict]) -> list[Path]:
    """Write the scripts of a backend's verdicts next to its record, replacing those of an earlier run.

    Returns their paths. Nothing but such scripts is replaced or removed, and no link is followed. Raises OSError if
    they cannot be written.
    """
    placed = ((script_path(verdict), script(verdict)) for verdict in verdicts)
    own = directory / _folder(backend)  # whatever backend a verdict says it is of
    texts = {own / place.name: text for place, text in placed if place is not None and text is not None}
    if texts or os.path.lexists(own):
        folder = real_folder(directory, *_folder(backend).parts)
        for path in folder.glob("*.py"):
            if path not in texts and _is_script(path):
                path.unlink()
        for path, text in texts.items():
            replace_text(path, text)
        if not texts:
            with contextlib.suppress(OSError):  # something else is in it
                folder.rmdir()
    return list(texts)


def _is_script(path: Path) -> bool:
    """Whether a file was written by `write_scripts`."""
    first = TEMPLATE.partition("\n")[0].encode()
    try:
        return not path.is_symlink() and start_of(path, len(first)) == first
    except OSError:
        return False


def script(verdict: Verdict) -> str | None:
    """The script that holds the backend to the law on the counterexample; None if that was cut."""
    try:
        arguments = {
            name: whole(evaluated(verdict.packed.get(name, text))) for name, text in verdict.counterexample.items()
        }
    except ValueError:
        return None
    lines = [textwrap.indent(f"{name!a}: {text},", "    ") for name, text in arguments.items()]
    packed = any("unpacked(" in text for text in arguments.values())
    return TEMPLATE.format(
        comment=_comment(verdict),
        imports="import ml_dtypes  # NumPy knows bfloat16 from it\n" if verdict.dtype == "bfloat16" else "",
        names="hold, unpacked" if packed else "hold",
        backend=ascii(verdict.backend),
        law=ascii(verdict.id),
        dtype=ascii(verdict.dtype),
        arguments="\n".join(lines),
    )


def _comment(verdict: Verdict) -> str:
    """The law, what was seen, and the diagnosis, as comments, whatever text they contain."""
    sentence = next((case.law.statement for case in catalogue().cases if case.id == verdict.id), "")
    parts = [f"Law: {sentence}", f"Seen: {verdict.reason}"]
    bad = next((f"{side}: {text}" for side, text in verdict.sides.items() if side.startswith(ACCEPTED)), "")
    if bad:
        parts.append(f"{bad[0].upper()}{bad[1:]}")
    if verdict.sizes:
        parts.append(f"Sizes: {verdict.sizes}")
    if verdict.diagnosis:
        parts.append(f"Known fault: {verdict.diagnosis}")
    if verdict.backend.endswith(".py"):
        parts.append("Run this where the path of the backend leads to it.")
    return "".join(f"# {line}\n" for part in parts for line in textwrap.wrap(_ascii(part), WIDTH - 2, max_lines=12))


def _ascii(text: str) -> str:
    """The text in printable ASCII characters on one line."""
    return "".join(c if c.isprintable() and c.isascii() else " " if c.isspace() else "?" for c in text[:4000])

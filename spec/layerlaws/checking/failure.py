"""A failed verdict as text, for a terminal or a log."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from layerlaws.checking.verdict import INEXACT, Verdict, declines_in_words, percentage
from layerlaws.discovery import catalogue
from layerlaws.support.errors import WrongUse

WIDTH = 80

NAMED = 40
"""Laws of one cause that are named; of more, only the number is printed."""

ACCEPTED = "accepted "
"""How the sides of a verdict begin that are arguments which should have been refused, the one at fault first."""


def failure(verdict: Verdict, again: str | None = None, others: Sequence[Verdict] = ()) -> str:
    """The law, how the backend broke it, and the input on which it did.

    again: the command that reproduces it; None for `layerlaws check`, "" for none. others: verdicts of the same cause.
    """
    lines = [f"{verdict.backend}: {verdict.id} is {verdict.state}"]
    sentence = _sentence(verdict)
    if sentence:
        lines += _wrapped("law", sentence)
    lines += _wrapped("seen", verdict.reason)
    if verdict.declined:
        lines += _wrapped("offered", f"{percentage(verdict.share)} of what was drawn; {declines_in_words([verdict])}")
    if verdict.diagnosis:
        lines += _wrapped("known fault", verdict.diagnosis)
    accepted = {side.removeprefix(ACCEPTED): x for side, x in verdict.sides.items() if side.startswith(ACCEPTED)}
    if accepted:
        lines += [f"  accepted ({verdict.dtype}):", *_assigned(accepted)]
    elif verdict.counterexample:
        lines += [f"  {_found(verdict)} ({verdict.dtype}):", *_assigned(verdict.counterexample)]
    if verdict.sizes:
        lines += _wrapped("sizes", verdict.sizes)
    for side, text in verdict.sides.items():
        if not side.startswith(ACCEPTED):
            lines += textwrap.indent(f"{side}: {_shortened(text)}", "  ").splitlines()
    if again is None and verdict.counts(strict=True, exact=True) and verdict.state != "stale":
        again = f"layerlaws check {verdict.backend} --law {verdict.id}{' --exact' * (verdict.state == INEXACT)}"
    if again:
        lines.append(f"  again: {again}")
    lines += same_cause(verdict, others)
    return "\n".join(lines)


def same_cause(verdict: Verdict, others: Sequence[Verdict]) -> list[str]:
    """The laws that meet the same as this one, by name, on lines; [] if there are none."""
    if not others:
        return []
    number = f"{len(others)} more law{'s' * (len(others) > 1)}"
    names = ", ".join(other.law if other.operation == verdict.operation else other.id for other in others[:NAMED])
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    meet = "meet" if len(others) > 1 else "meets"
    words = f"{number} {meet} the same ({verdict.cause}): {names}{more}"
    return textwrap.wrap(words, WIDTH - 2, initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def _found(verdict: Verdict) -> str:
    """What the example of a verdict is."""
    lost = verdict.state in ("crashed", "timed out")  # nobody could look for a smaller one
    return "input of the last call" if lost else "smallest input found"


def _assigned(arguments: Mapping[str, str]) -> list[str]:
    """Arguments as assignments, a line each, or more for arrays."""
    lines = (textwrap.indent(f"{name} = {_shortened(text)}", "    ") for name, text in arguments.items())
    return [line for text in lines for line in text.splitlines()]


def _sentence(verdict: Verdict) -> str:
    try:
        return next(case.law.statement for case in catalogue().cases if case.id == verdict.id)
    except (StopIteration, WrongUse):
        return ""


def _wrapped(label: str, text: str) -> list[str]:
    if "\n" in text:
        return [f"  {label}:", *textwrap.indent(text, "    ").splitlines()]
    return textwrap.wrap(text, WIDTH, initial_indent=f"  {label}: ", subsequent_indent="  " + " " * (len(label) + 2))


def _shortened(text: str, longest: int = 600) -> str:
    return text if len(text) <= longest else f"{text[:longest]} ... ({len(text)} characters, whole in the record)"

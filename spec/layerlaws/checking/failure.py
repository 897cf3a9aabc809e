"""A failed verdict as text, for a terminal or a log."""

from __future__ import annotations

import textwrap

from layerlaws.checking.verdict import Verdict, declines_in_words, percentage
from layerlaws.discovery import catalogue
from layerlaws.support.errors import WrongUse

WIDTH = 80


def failure(verdict: Verdict, again: str | None = None) -> str:
    """The law, how the backend broke it, and the input on which it did.

    again: the command that reproduces it; None for `layerlaws check`, "" for none.
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
    if verdict.counterexample:
        lines += [f"  smallest input found ({verdict.dtype}):"]
        for name, text in verdict.counterexample.items():
            lines += textwrap.indent(f"{name} = {_shortened(text)}", "    ").splitlines()
    for side, text in verdict.sides.items():
        lines += textwrap.indent(f"{side}: {_shortened(text)}", "  ").splitlines()
    if again is None and verdict.counts(strict=True) and verdict.state != "stale":
        again = f"layerlaws check {verdict.backend} --law {verdict.id}"
    if again:
        lines.append(f"  again: {again}")
    return "\n".join(lines)


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

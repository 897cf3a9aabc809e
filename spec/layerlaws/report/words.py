"""The words that a report prints, explained as in docs/glossary.md: reports are read where no checkout is at hand."""

from __future__ import annotations

from layerlaws.report.accuracy import ERRORS, PART

WORDS = {
    "Law": "A sentence that every correct implementation obeys, and the code that states it.",
    "Fault": "A wrong implementation of an operation, a few lines long, and the laws that must notice it.",
    "Known deviation": "A law that a library departs from by design, or has long been known to.",
    "Erratum, errata": "A mistake in a note or in its sources that the note corrects, with the laws that show it.",
    "Profile": "How many examples a law is held on at most: quick 20, standard 100, thorough 1,000.",
    "Bound, or allowed error": (
        "How far a correct result in a format may lie from the definition's, in any order of summation."
    ),
    "Share of the allowed error": (
        "How far a result is from the definition's, divided by the bound. 0 is no difference; 1 is as far as correct "
        "arithmetic in that format can get; a law is broken above 1."
    ),
    "Leaning": (
        "An operation leans if its bias, the mean of the shares of all elements, is more than "
        f"{ERRORS} standard errors and more than {PART:.0%} of their root mean square away from 0. +0.1 is away from 0 "
        "by a tenth of the bound on average, -0.1 is toward 0."
    ),
    "Undecidable": (
        "An example in which rounding could turn a decision of the definition (a comparison, an order, a rounding to "
        "whole numbers), so that no result can be called wrong."
    ),
    "Decisive": (
        "An example that could have told right from wrong: somewhere the allowed error was smaller than the values "
        "compared."
    ),
    "Workload": ("An operation at a size from practice, with what it costs at least (FLOP, memory traffic, text)."),
    "Headline": (
        "A claim about speed that a note makes, as two workloads of which one is said to be so many times as fast."
    ),
    "Ceiling": (
        "What the machine allows at best: the speed of a large matrix product and the bandwidth of a large copy, as "
        "the library at hand reaches them."
    ),
}
"""The first sentence, or sentences, of the glossary on each word; `tests/test_docs.py` holds both to the same text."""

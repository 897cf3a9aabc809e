"""A report in GitHub Flavored Markdown, summary first. It is small: what takes room stands in index.html."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from layerlaws.report.accuracy import ERRORS, PART
from layerlaws.report.contents import MEANINGS, Report, Result, Row, Summary
from layerlaws.report.markdown_text import WIDEST, code, escaped, fenced, line, linked, table, within
from layerlaws.report.marks import LEGEND, Mark, absent, grouped, marks_of, offered_by_none, states_in_words
from layerlaws.report.text import MARK
from layerlaws.report.text import number as text_number
from layerlaws.report.units import NONE
from layerlaws.report.words import WORDS

ROOM = 5_500
"""Bytes that a section may take; what goes beyond stands in index.html."""


def as_markdown(report: Report, more: Mapping[str, list[str]] | None = None) -> str:
    """The report as the text of a README. more: further sections, as lists of paragraphs by title."""
    sections = {
        "": [
            f"<!-- {MARK}; change the records, not this file -->",
            "# layerlaws report",
            f"{report.summary} Every law stands in [index.html](index.html); [Words](#words) explains the terms.",
            *within((f"**{escaped(warning)}**" for warning in report.warnings), ROOM, "warnings"),
        ],
        "Summary": _summary(report),
        "Unexpected verdicts": within(map(_cause, report.causes), 2 * ROOM, "causes") or ["None."],
        "Laws": [LEGEND, *_matrix(report), _legend()],
        **({"Partial support": _partial(report)} if report.partial else {}),
        "Known deviations": within(_known(report.known), ROOM, "deviations") or ["None."],
        **(more or {}),
        "Errata": within(_errata(report.rows), ROOM, "errata") or ["None."],
        "Why believe the laws": _proof(report),
        "Words": ["\n".join(f"- **{word}**: {sentence}" for word, sentence in WORDS.items())],
    }
    if report.beyond:
        rows = [(result.backend, result.law, result.state) for result in report.beyond]
        sections["Laws beyond the catalogue"] = _rows(("backend", "law", "state"), rows, "verdicts")
    sections["Provenance"] = within(_provenance(report), ROOM, "facts")
    parts = [part for title, body in sections.items() for part in ([f"## {title}"] if title else []) + body]
    return "\n\n".join(parts) + "\n"


def _summary(report: Report) -> list[str]:
    """The table of all backends, and a line of prose for each."""
    head = ("backend", "right?", "by design", "operations", "takes", "bad input", "share", "leaning", "bits", "speed")
    rows = [
        (
            summary.backend,
            f"no: {text_number(summary.wrong, 'law')}" if summary.wrong else summary.right,
            f"{summary.design:,}" if summary.design else "",
            summary.offers.removesuffix(" operations").replace(" of ", "/"),
            summary.domain,
            summary.bad_input.partition(" kind")[0].replace(" of ", "/"),
            summary.share,
            summary.leaning.partition(", ")[0],
            summary.bits,
            "1" if summary.backend == "numpy" else summary.speed.partition(" NumPy")[0],
        )
        for summary in report.summaries
    ]
    totals = (dict(counts) for counts in report.totals)
    lines = (_prose(summary, states_in_words(each)) for summary, each in zip(report.summaries, totals, strict=True))
    return [
        table(head, rows),
        "right: in values, gradients, state and memory of what it offers. takes: of what was drawn. bad input: kinds "
        "accepted of those that have to be refused. share: the largest [share of the allowed error](#words). leaning: "
        f"the operation whose mean share is farthest from 0, if by {ERRORS} standard errors and {PART:.0%} of the root "
        "mean square or more (positive: away from 0). bits: batch-invariant, deterministic, or the share of rows that "
        "differ. speed: geometric mean of the ratios, NumPy is 1.",
        *within(lines, ROOM, "backends"),
    ]


def _prose(summary: Summary, states: str) -> str:
    """Everything that the summary of one backend has to say."""
    facts = ((label, fact) for label, fact in summary.facts if fact not in ("", NONE))
    said = "; ".join(f"{label}: {escaped(fact)}" for label, fact in facts)
    return f"- **{escaped(summary.backend)}** {said}. {states}."


def _matrix(report: Report) -> Iterator[str]:
    """Tables of as many backends side by side as fit, each of the notes that one of them offers."""
    order = [i for group in grouped(report) for i in group]
    marks = {row.name: marks_of(row) for row in report.rows}
    while order:
        fitting = 1
        while fitting < len(order) and len(_head(report, order[: fitting + 1])) <= WIDEST:
            fitting += 1
        side, order = order[:fitting], order[fitting:]
        rows = [(row.name, *(_mark(marks[row.name][i]) for i in side)) for row in report.rows]
        yield table(("note", *(report.backends[i] for i in side)), [row for row in rows if any(row[1:])])
    missing = [f"{escaped(name)} ({states})" for name, states in absent(report)]
    if missing:
        yield f"Held to no law: {', '.join(missing)}."
    if offered_by_none(report):
        yield f"Notes of which no backend here has a function: {', '.join(map(code, offered_by_none(report)))}."


def _head(report: Report, side: Sequence[int]) -> str:
    """The widest that a row may become."""
    cells = (max(report.backends[i], "12/345 ✗, 64%", key=len) for i in side)
    return f"| {max((row.name for row in report.rows), key=len)} | {' | '.join(map(escaped, cells))} |"


def _mark(mark: Mark) -> str:
    return f"{mark.text}, {mark.domain}" if mark.domain else mark.text


def _legend() -> str:
    return "; ".join(f"**{state}**: {meaning}" for state, meaning in MEANINGS.items()) + "."


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]], what: str) -> list[str]:
    """A table with as many rows as there is room for."""
    top, ruler = table(head, [head]).splitlines()[:2]
    lines = within(map(line, rows), ROOM, what)
    beyond = [lines.pop()] if lines and not lines[-1].startswith("|") else []
    return ["\n".join([top, ruler, *lines]), *beyond]


def _partial(report: Report) -> list[str]:
    rows = ([p.backend, p.operation, p.domain, p.held, p.reasons] for p in report.partial)
    return [
        "Operations of which a backend takes a part only: it declined the rest of what was drawn, for the reasons "
        "given, and the laws are held on what it takes.",
        *_rows(("backend", "operation", "takes", "laws held", "declines"), rows, "operations"),
    ]


def _cause(group: Sequence[Result]) -> str:
    """A cause: its first law in full, the others by name."""
    first, *others = group
    return "\n\n".join([_result(first), *_others(others)])


def _others(results: Sequence[Result]) -> list[str]:
    """The laws that meet the same as one before."""
    if not results:
        return []
    laws = ", ".join(code(result.law) for result in results)
    return [f"{text_number(len(results), 'more law')} of the same cause ({escaped(results[0].cause)}): {laws}"]


def _result(result: Result) -> str:
    head = f"### {escaped(result.backend)}: {escaped(result.law)} is {result.state}"
    drawn = f"{result.domain} of what was drawn" if result.domain else ""
    texts = {"Law": result.sentence, "Seen": result.reason, "Offered": drawn, "Known fault": result.diagnosis}
    parts = [head, *(f"{what}: {escaped(text)}" for what, text in texts.items() if text)]
    inputs = [f"{name} = {value}" for name, value in result.counterexample]
    if inputs:
        parts += [
            f"Smallest input found ({escaped(result.input_dtype)}), and both sides:",
            fenced("\n".join(inputs + [f"# {name}:\n{value}" for name, value in result.sides])),
        ]
    if result.script:
        parts.append(f"Again: {code(f'python {result.script}')}")
    return "\n\n".join(parts)


def _known(results: Iterable[Result]) -> Iterator[str]:
    """A line for each reason that a backend gives, with the laws that it is given for."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for result in results:
        groups.setdefault((result.backend, result.reason, result.link), []).append(result.law)
    for (backend, reason, link), laws in groups.items():
        source = f" ({linked(link)})" if link else ""
        yield f"- **{escaped(backend)}** {', '.join(map(code, laws))}: {escaped(reason)}{source}"


def _errata(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        for erratum in row.errata:
            laws = ", ".join(f"`{law}`" for law in erratum.laws)
            yield f"- `{row.name}`: {escaped(erratum.text)} {f'Shown by {laws}.' if laws else 'No law shows it.'}"


def _proof(report: Report) -> list[str]:
    rows = [
        [row.name, *map(str, (len(row.laws), len(row.faults), row.shipped)), text_number(row.kills, "time")]
        for row in report.rows
    ]
    return [
        "Each law must notice wrong implementations; most of these are bugs that were really shipped. "
        "`layerlaws explain OPERATION` says what is wrong with each, and index.html which law notices which.",
        table(("note", "laws", "faults", "of these shipped", "noticed by a law"), rows),
    ]


def _provenance(report: Report) -> Iterator[str]:
    """A line per fact that is the same for all records, and the others by backend."""
    for name, fact in report.shared:
        yield f"- {name}: {escaped(fact)}"
    for backend, facts in report.own:
        yield f"- **{escaped(backend)}** {'; '.join(f'{name}: {escaped(fact)}' for name, fact in facts)}"

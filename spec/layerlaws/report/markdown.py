"""A report in GitHub Flavored Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tabulate import tabulate

from layerlaws.report.contents import MEANINGS, Fault, Report, Result, Row
from layerlaws.report.text import MARK, link, link_name
from layerlaws.report.text import number as text_number
from layerlaws.report.words import WORDS

IN_FULL = 25
"""How many unexpected verdicts are shown in full."""

_SPECIAL = re.compile(r"([\\`*\[\]<|~&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def as_markdown(report: Report, more: Mapping[str, list[str]] | None = None) -> str:
    """The report as the text of a README. more: further sections, as lists of paragraphs by title."""
    names = [escaped(name) for name in report.backends]
    sections = {
        "": [
            f"<!-- {MARK}; change the records, not this file -->",
            "# layerlaws report",
            f"{report.summary} Every law stands in [index.html](index.html); [Words](#words) explains the terms.",
            *(f"**{escaped(warning)}**" for warning in report.warnings),
        ],
        "Provenance": [_table(["", *names], (map(escaped, row) for row in report.provenance))],
        "Laws": [_matrix(report, names), _legend()],
        "Good and bad input": _taken(report),
        **({"Partial support": _partial(report)} if report.partial else {}),
        "Unexpected verdicts": _unexpected(report.causes) or ["None."],
        "Known deviations": [_known(report.known)],
        "Accuracy": [
            "Worst / median [share of the allowed error](#words) and, in newer records, the mean over all elements, "
            "positive away from 0. What correct arithmetic in that format can lose at most is 1. Operations that are "
            "exact wherever they are right (integers, masks) are left out.",
            _table(["operation", "of its", "dtype", *names], _accuracy(report.rows)),
        ],
        **(more or {}),
        "Errata": ["\n".join(_errata(report.rows)) or "None."],
        "Why believe the laws": [
            "Each law must notice wrong implementations; most of these are bugs that were really shipped. "
            "`layerlaws explain OPERATION` says what is wrong with each.",
            _table(["operation", "fault", "laws that notice", "seen"], map(_fault, _faults(report))),
        ],
        "Words": ["\n".join(f"- **{word}**: {sentence}" for word, sentence in WORDS.items())],
    }
    if report.beyond:
        sections["Laws beyond the catalogue"] = [_states(report.beyond)]
    parts = [part for title, body in sections.items() for part in ([f"## {title}"] if title else []) + body]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """The text escaped for Markdown, anywhere but at the beginning of a line."""
    return _SPECIAL.sub(r"\\\1", text)


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    body = [list(row) for row in rows]
    table = str(tabulate(body, list(head), tablefmt="github", disable_numparse=True))
    return re.sub("  +", " ", table) if body else "None."  # no alignment: forges do not show files beyond 500 kB


def _matrix(report: Report, names: Sequence[str]) -> str:
    def words(counts: Iterable[tuple[str, int]], domain: str) -> str:
        numbers = ", ".join(f"{count:,} {state}" for state, count in counts)
        return f"{numbers}; on {domain} of what was drawn" if domain else numbers

    rows = [[f"`{row.name}`", str(len(row.laws)), *map(words, row.counts, row.domain)] for row in report.rows]
    rows.append(["**all**", f"{report.laws:,}", *map(words, report.totals, report.domain)])
    return _table(["note", "laws", *names], rows)


def _taken(report: Report) -> list[str]:
    rows = ([t.backend, t.domain, t.bad_input or "none was tried", ", ".join(t.accepted)] for t in report.taken)
    return [
        "How much of what was drawn each backend takes, and how many kinds of bad input it accepts that have to be "
        "refused. A kind of bad input is a law that claims a refusal; accepting it does not make a run fail, unless "
        "that is asked for (`--strict`).",
        _table(["backend", "takes", "accepts bad input", "not by design"], (map(escaped, row) for row in rows)),
    ]


def _partial(report: Report) -> list[str]:
    rows = ([p.backend, p.operation, p.domain, p.held, p.reasons] for p in report.partial)
    return [
        "Operations of which a backend takes a part only: it declined the rest of what was drawn, for the reasons "
        "given, and the laws are held on what it takes.",
        _table(["backend", "operation", "takes", "laws held", "declines"], (map(escaped, row) for row in rows)),
    ]


def _legend() -> str:
    return "; ".join(f"**{state}**: {meaning}" for state, meaning in MEANINGS.items()) + "."


def _unexpected(causes: Sequence[Sequence[Result]]) -> list[str]:
    """Each cause once; the first ones in full, the others by name, since forges do not show large files."""
    sections = ["\n\n".join([_result(first), *_others(others)]) for first, *others in causes[:IN_FULL]]
    if len(causes) > IN_FULL:
        rest = [result for group in causes[IN_FULL:] for result in group]
        sections += ["### Others, in full in index.html", _states(rest)]
    return sections


def _others(results: Sequence[Result]) -> list[str]:
    """The laws that meet the same as one before."""
    if not results:
        return []
    laws = ", ".join(f"`{result.law}`" for result in results)
    return [f"{text_number(len(results), 'more law')} of the same cause ({escaped(results[0].cause)}): {laws}"]


def _states(results: Iterable[Result]) -> str:
    rows = (map(escaped, (result.backend, result.law, result.state)) for result in results)
    return _table(["backend", "law", "state"], rows)


def _result(result: Result) -> str:
    head = f"### {escaped(result.backend)}: {escaped(result.law)} is {result.state}"
    drawn = f"{result.domain} of what was drawn" if result.domain else ""
    texts = {"Law": result.sentence, "Seen": result.reason, "Offered": drawn, "Known fault": result.diagnosis}
    parts = [head, *(f"{what}: {escaped(text)}" for what, text in texts.items() if text)]
    code = [f"{name} = {value}" for name, value in result.counterexample]
    if code:
        parts += [
            f"Smallest input found ({escaped(result.input_dtype)}), and both sides:",
            _fenced("\n".join(code + [f"# {name}:\n{value}" for name, value in result.sides])),
        ]
    if result.script:
        parts.append(f"Again: `python {result.script}`")
    return "\n\n".join(parts)


def _fenced(code: str) -> str:
    """A block of code in a fence longer than any in the code."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{code}\n{fence}"


def _known(results: Iterable[Result]) -> str:
    rows = [
        [escaped(result.backend), escaped(result.law), escaped(result.reason), _linked(result.link)]
        for result in results
    ]
    return _table(["backend", "law", "reason", "source"], rows)


def _accuracy(rows: Iterable[Row]) -> Iterable[list[str]]:
    for line in (line for row in rows for line in row.accuracy):
        shares = [" / ".join(part for part in parts if part) for parts in line.shares]
        yield [escaped(part) for part in (line.operation, line.of, line.dtype, *shares)]


def _errata(rows: Iterable[Row]) -> Iterable[str]:
    for row in rows:
        for erratum in row.errata:
            laws = ", ".join(f"`{law}`" for law in erratum.laws)
            yield f"- `{row.name}`: {escaped(erratum.text)} {f'Shown by {laws}.' if laws else 'No law shows it.'}"


def _faults(report: Report) -> list[Fault]:
    return [*(fault for row in report.rows for fault in row.faults), *report.generic]


def _fault(fault: Fault) -> list[str]:
    laws = ", ".join(escaped(law) for law in fault.laws)
    return [escaped(fault.operation), escaped(fault.name), laws, _linked(fault.source)]


def _linked(url: str) -> str:
    return f"[{escaped(link_name(url))}](<{url}>)" if link(url) else escaped(url)

"""Makes the contents of a report from records and the catalogue.

The catalogue determines the number of laws: a law without a verdict is "not run", and only "held" counts as held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from layerlaws.checking.verdict import (
    Verdict,
    declines_in_words,
    percentage,
    share_of_domain,
)
from layerlaws.language import generic_laws
from layerlaws.language.errata import errata_of
from layerlaws.language.evidence import noticed_by
from layerlaws.language.note import Case, Catalogue, Note
from layerlaws.report import text
from layerlaws.report.accuracy import accuracy_of, worst_of
from layerlaws.report.contents import NOT_RUN, Erratum, Fault, Law, Partial, Report, Result, Row
from layerlaws.report.provenance import names_of, provenance_of, warnings_of
from layerlaws.report.speed import Speed
from layerlaws.report.summary import summaries_of
from layerlaws.running.counterexamples import script_path
from layerlaws.running.journal import Record
from layerlaws.support.errors import RecordError
from layerlaws.support.version import __version__

Verdicts = Sequence[Mapping[str, Verdict]]
"""For each record, its verdicts by the id of their law."""


def report_of(records: Sequence[Record], catalogue: Catalogue, speed: Speed | None = None) -> Report:
    """The report on these records. speed: what benchmarks say, for the summaries.

    Raises RecordError if one is of another suite version.
    """
    for record in records:
        if record.header.suite != __version__:
            raise RecordError(
                f"{record.path} was written by layerlaws {text.line(record.header.suite)}, this is {__version__}: laws "
                "differ between versions, so run the backend again, or report with the version that wrote all records"
            )
    names = names_of(records)
    kinds = {case.id: case.law.kind for case in catalogue.cases}
    sources = {fault.seen for note in catalogue.notes for fault in note.faults}
    verdicts = [
        {
            verdict.id: replace(
                verdict, kind=verdict.kind or kinds.get(verdict.id, ""), link=_cited(verdict.link, sources)
            )
            for verdict in record.verdicts
        }
        for record in records
    ]
    stated = {case.id for case in catalogue.cases}
    generic = _generic(catalogue)
    return Report(
        names,
        warnings_of(names, records),
        provenance_of(records, stated),
        tuple(_row(note, names, records, verdicts, generic) for note in catalogue.notes),
        generic,
        tuple(
            _result(name, text.line(id), "", verdict)
            for name, of in zip(names, verdicts, strict=True)
            for id, verdict in of.items()
            if id not in stated
        ),
        tuple(part for name, of in zip(names, verdicts, strict=True) for part in _partial(name, of.values())),
        tuple(_domain(of.values()) for of in verdicts),
        summaries_of(names, records, [of.values() for of in verdicts], len(catalogue.operations), speed or Speed()),
    )


def _cited(url: str, sources: Set[str]) -> str:
    """A link of a record: itself if the catalogue cites it, too, otherwise its label, since records are data."""
    link = text.link(url)
    return link if link in sources else text.link_name(link) if link else ""


def _partial(backend: str, verdicts: Iterable[Verdict]) -> Iterator[Partial]:
    """The operations of which a backend offers a part."""
    by_operation: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.examples:
            by_operation.setdefault(verdict.operation, []).append(verdict)
    for operation, own in by_operation.items():
        if _domain(own):
            held = f"{sum(verdict.state == 'held' for verdict in own)} of {len(own)}"
            yield Partial(backend, text.line(operation), _domain(own), held, text.line(declines_in_words(own, 8), 600))


def _domain(verdicts: Iterable[Verdict]) -> str:
    """How much of what was drawn a backend took; "" for all of it."""
    share = share_of_domain(verdicts)
    return percentage(share) if share < 1 else ""


def _row(
    note: Note, names: Sequence[str], records: Sequence[Record], verdicts: Verdicts, generic: Sequence[Fault]
) -> Row:
    faults = [
        Fault(
            str(i + 1),
            fault.name,
            fault.operation.name,
            fault.description,
            fault.seen,
            tuple(case.id for case in noticed_by(fault, note)),
        )
        for i, fault in enumerate(note.faults)
    ]
    ids = {case.law.name: case.id for case in note.cases}
    errata = tuple(Erratum(e.text, tuple(ids[law] for law in e.laws)) for e in errata_of(note))
    laws = tuple(_law(case, names, verdicts, [*faults, *generic]) for case in note.cases)
    accuracy = tuple(accuracy_of(note, records, verdicts))
    domain = tuple(_domain(of[case.id] for case in note.cases if case.id in of) for of in verdicts)
    return Row(note.name, note.title, laws, tuple(faults), errata, accuracy, worst_of(note, verdicts), domain)


def _law(case: Case, names: Sequence[str], verdicts: Verdicts, faults: Sequence[Fault]) -> Law:
    sentence = case.law.statement
    results = tuple(_result(name, case.id, sentence, of.get(case.id)) for name, of in zip(names, verdicts, strict=True))
    own = case.law in case.note.own_laws
    noticed = (fault.column for fault in faults if case.id in fault.laws or (not own and case.law.name in fault.laws))
    return Law(case.id, sentence, results, frozenset(noticed), case.law.kind)


def _result(backend: str, law: str, sentence: str, verdict: Verdict | None) -> Result:
    if verdict is None:
        return Result(backend, law, NOT_RUN, sentence)
    return Result(
        backend,
        law,
        verdict.state,
        sentence,
        reason=text.line(verdict.reason),
        diagnosis=text.line(verdict.diagnosis, 600),
        link=verdict.link,
        share=_worst(verdict),
        examples=f"{verdict.decisive:,}/{verdict.examples:,}" if verdict.examples else "",
        input_dtype=text.line(verdict.dtype, 40),
        counterexample=_code(verdict.counterexample),
        sides=_code(verdict.sides),
        script=str(script_path(verdict) or ""),
        domain=_domain([verdict]),
        kind=verdict.kind,
        cause=text.line(verdict.cause),
    )


def _code(named: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((text.line(name, 80), text.block(value)) for name, value in named.items())


def _worst(verdict: Verdict) -> str:
    """The worst share of the allowed error; "" if the law failed, since shares leave out the failing example."""
    if verdict.state not in ("held", "stale") or not verdict.accuracy:
        return ""
    return text.share(max(shares.worst for shares in verdict.accuracy.values()))


def _generic(catalogue: Catalogue) -> tuple[Fault, ...]:
    """The faults that come with every operation, each once, labelled a, b, c, ..."""
    found = [fault for operation in catalogue.operations.values() for fault in generic_laws.faults_of(operation)]
    times = Counter(fault.name for fault in found)
    first = {fault.name: fault for fault in reversed(found)}
    return tuple(
        Fault(
            chr(ord("a") + i),
            name,
            f"each of {n} operations",
            first[name].description,
            first[name].seen,
            first[name].breaks,
        )
        for i, (name, n) in enumerate(times.items())
    )

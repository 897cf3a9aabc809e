"""What a report says, as tables of plain text, worked out from records and the catalogue.

Denominators come from the catalogue: a law that a run did not reach is "not run", and only "held" counts as held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from layerlaws import __version__, free_laws
from layerlaws.catalogue import Catalogue, Note
from layerlaws.journal import Record, RecordError
from layerlaws.report import text
from layerlaws.report.contents import NOT_RUN, Cell, Proof, Report, Result, Row
from layerlaws.report.provenance import names_of, provenance_of, warnings_of
from layerlaws.verdict import Verdict

ACCURACY = {"agrees_with_definition": "result", "gradient_agrees_with_definition": "gradient"}
"""Laws whose share of the allowed error says how accurate an operation is, and of what."""


def report_of(records: Sequence[Record], catalogue: Catalogue) -> Report:
    """The report of these records. Raises RecordError where one is of another suite version than this one."""
    for record in records:
        if record.header.suite != __version__:
            raise RecordError(
                f"{record.path} was written by layerlaws {text.line(record.header.suite)}, this is {__version__}: laws "
                "differ between versions, so run the backend again, or report with the version that wrote all records"
            )
    names = names_of(records)
    verdicts = [{verdict.id: verdict for verdict in record.verdicts} for record in records]
    stated = {case.id for case in catalogue.cases}
    return Report(
        names,
        warnings_of(names, records),
        provenance_of(records, stated),
        tuple(_row(note, names, verdicts) for note in catalogue.notes),
        tuple(
            _result(name, text.line(id), "", verdict)
            for name, of in zip(names, verdicts, strict=True)
            for id, verdict in of.items()
            if id not in stated
        ),
        tuple(_accuracy(catalogue, records, verdicts)),
        tuple(_proofs(catalogue)),
    )


def errata(note: Note) -> str:
    """What a note says about mistakes in its sources: the paragraphs of its prose from "Errata" on."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in note.prose.split("\n\n")]
    starts = [i for i, paragraph in enumerate(paragraphs) if paragraph.startswith(("Errata", "Erratum"))]
    if not starts:
        return ""
    first, *more = paragraphs[starts[0] :]
    return " ".join([first.partition(" ")[2], *more])


def _row(note: Note, names: Sequence[str], verdicts: Sequence[dict[str, Verdict]]) -> Row:
    cells = []
    for i, (name, of) in enumerate(zip(names, verdicts, strict=True)):
        results = [_result(name, case.id, case.law.statement, of.get(case.id)) for case in note.cases]
        cells.append(Cell(f"{note.name}-{i + 1}", name, tuple(sorted(results, key=_urgency))))
    return Row(note.name, note.title, errata(note), tuple(cells))


def _urgency(result: Result) -> int:
    return 0 if result.unexpected else 1 if result.state == "known" else 2


def _result(backend: str, law: str, sentence: str, verdict: Verdict | None) -> Result:
    if verdict is None:
        return Result(backend, law, sentence, NOT_RUN)
    return Result(
        backend,
        law,
        sentence,
        verdict.state,
        reason=text.line(verdict.reason),
        diagnosis=text.line(verdict.diagnosis, 600),
        link=text.link(verdict.link),
        facts=_facts(verdict),
        input_dtype=text.line(verdict.dtype, 40),
        counterexample=_code(verdict.counterexample),
        sides=_code(verdict.sides),
    )


def _code(named: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((text.line(name, 80), text.block(value)) for name, value in named.items())


def _facts(verdict: Verdict) -> str:
    if not verdict.examples:
        return ""
    facts = [text.number(verdict.examples, "example")]
    if verdict.undecidable:
        facts.append(f"{verdict.undecidable:,} undecidable")
    facts.append(f"{verdict.telling:,} telling")
    if verdict.state in ("held", "stale") and verdict.accuracy:  # otherwise the shares leave out what failed
        worst = max(shares.worst for shares in verdict.accuracy.values())
        facts.append(f"at worst {text.share(worst)} of the allowed error")
    return ", ".join(facts)


def _accuracy(
    catalogue: Catalogue, records: Sequence[Record], verdicts: Sequence[dict[str, Verdict]]
) -> Iterable[tuple[str, ...]]:
    """Operation, of what, dtype, then worst / median share of the allowed error on each backend."""
    for case in catalogue.cases:
        if case.law.name not in ACCURACY:
            continue
        found = [of.get(case.id) for of in verdicts]
        used = [shares for verdict in found if verdict for shares in verdict.accuracy.values()]
        if used and not any(shares.worst for shares in used):
            continue  # integers and masks: exact wherever they are right
        for dtype in dict.fromkeys(dtype for verdict in found if verdict for dtype in verdict.accuracy):
            shares = [_shares(verdict, dtype, record) for verdict, record in zip(found, records, strict=True)]
            yield (case.operation.name, ACCURACY[case.law.name], text.line(dtype, 40), *shares)


def _shares(verdict: Verdict | None, dtype: str, record: Record) -> str:
    if verdict is None:
        return NOT_RUN
    if verdict.state not in ("held", "stale"):
        return verdict.state
    if dtype in verdict.accuracy:
        used = verdict.accuracy[dtype]
        return f"{text.share(used.worst)} / {text.share(used.median)}"
    return "no example" if dtype in record.header.dtypes else "not offered"


def _proofs(catalogue: Catalogue) -> Iterable[Proof]:
    for note in catalogue.notes:
        for fault in note.faults:
            yield Proof(fault.operation.name, fault.name, fault.description, fault.breaks, fault.seen)
    generic = [fault for operation in catalogue.operations.values() for fault in free_laws.faults_of(operation)]
    for name, times in Counter(fault.name for fault in generic).items():
        one = next(fault for fault in generic if fault.name == name)
        yield Proof(f"each of {times} operations", name, one.description, one.breaks, one.seen)

"""Diagnosis: which known fault a broken implementation behaves like.

Known faults are those of the note, and what any operation can get wrong (`layerlaws.language.deviations`). One is named
where a law is broken if

- it breaks the law on the same example, and does what the implementation did in every call of it;
- it does what the implementation does in all other calls that this law makes;
- it explains in the same way one of the laws that prove it: where bad input is accepted, the law at hand;
- the implementation is nowhere right where the fault would be wrong;
- enough calls distinguish the fault from the definition, and of all that do, it explains as many as not.

Laws are explained one by one: what else is wrong with the implementation need not be explained by the same fault. Of
several faults, those are named that leave the least unexplained in calls of other laws; faults that no call
distinguishes are named together. If no fault matches, there is no diagnosis.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from layerlaws.checking import probes
from layerlaws.checking.behaviour import (
    REFUSED,
    computed,
    distinguishes,
    dtypes,
    of_backend,
    of_definition,
    of_fault,
    of_record,
    same,
    shapes,
)
from layerlaws.checking.calls import Call
from layerlaws.checking.narrowing import loses_bits, of_another_dtype
from layerlaws.checking.reference import reference_of
from layerlaws.checking.trial import PROFILES, Trial
from layerlaws.language.backend import Backend
from layerlaws.language.deviations import COMPUTES_IN_FLOAT32, deviations_of
from layerlaws.language.evidence import noticed_by
from layerlaws.language.implementation import Implementation, Raised, Unoffered
from layerlaws.language.laws import Fault
from layerlaws.language.note import Case, Note
from layerlaws.language.operations import Operation
from layerlaws.language.withheld import offered
from layerlaws.numerics.formats import Format
from layerlaws.support.errors import Broken, Undecidable

LEAST_CALLS = 3
"""Fewest calls that must distinguish a fault from the definition before it is named. One is enough for a fault that
begins at some size, which shows in few calls, and where a law states a single fact."""


OF_A_PROOF = 60
"""Examples of a law among which are sought those on which a fault breaks it, and a backend may not."""


def diagnose(backend: Backend, case: Case, failing: Mapping[str, Any] | None = None) -> str:
    """The known faults that the backend's functions behave like, in words; "" if there are none.

    failing: the example that broke the law by argument, and the name of its format as `format`.
    """
    return " Or: ".join(
        f"{fault.name}: {fault.description}" + (f" ({fault.seen})" if fault.seen != "constructed" else "")
        for fault in matching(backend, case, failing)
    )


def matching(backend: Backend, case: Case, failing: Mapping[str, Any] | None = None) -> list[Fault]:
    """The known faults of a law's operations that explain why the backend broke it, the likeliest first."""
    suspicions = [
        suspicion
        for operation in case.operations
        if operation.name in backend.functions
        for suspicion in _suspicions(backend, operation, case, failing)
    ]
    least = min((suspicion.amiss for suspicion in suspicions), default=0)
    faults = [suspicion.fault for suspicion in suspicions if suspicion.amiss == least]
    if len(faults) > 1:  # it takes many examples
        faults = [fault for fault in faults if not _is_refuted(backend, fault, case.note)]
    return sorted(faults, key=lambda fault: case not in noticed_by(fault, case.note))


@dataclass(frozen=True)
class _Suspicion:
    """A fault that explains calls of a backend.

    shown: those in which the backend does what only the fault explains. amiss: in how many calls of other laws the
    fault would be wrong, and the backend is wrong in another way.
    """

    fault: Fault
    shown: frozenset[Hashable] = frozenset()
    amiss: int = 0


def _suspicions(
    backend: Backend, operation: Operation, case: Case, failing: Mapping[str, Any] | None
) -> list[_Suspicion]:
    faults = [fault for fault in case.note.faults if fault.operation is operation]
    explaining = _explanations(backend, operation, case, failing, [*faults, *deviations_of(operation)])
    named = []
    for fault, shown in explaining.items():
        if case in noticed_by(fault, case.note) or _is_proven(backend, fault, case.note):
            elsewhere = _elsewhere(backend, fault, case.note)
            if elsewhere is None:
                continue
            single = fault.kind == "size" or (case.law.examples or LEAST_CALLS) < LEAST_CALLS
            enough = max(1 if single else LEAST_CALLS, elsewhere.amiss)
            found = shown | elsewhere.shown
            if len(found) >= enough or len(found | _rare(backend, fault, case)) >= enough:
                named.append(elsewhere)
    if named:
        return named
    others = (of_another_dtype(backend, operation, case, format) for format in _formats(backend, failing))
    return [_Suspicion(other) for other in others if other][:1]


def _rare(backend: Backend, fault: Fault, case: Case) -> set[Hashable]:
    """Which of many more calls of a law show a fault; none if it does not explain one of them."""
    format = _most_precise(backend)
    calls = probes.of_law(case, fault.operation, format, probes.MANY)
    observed = _observed(backend, fault.operation, calls, format)
    return _explaining(backend, fault.operation, {fault: set()}, observed, format).get(fault, set())


def _formats(backend: Backend, failing: Mapping[str, Any] | None) -> list[Format]:
    """The most precise format of a backend, and that of a failing example where it is another one."""
    own = [backend.format(failing["format"])] if failing else []
    return list(dict.fromkeys([_most_precise(backend), *own]))


def _explanations(
    backend: Backend, operation: Operation, case: Case, failing: Mapping[str, Any] | None, faults: Iterable[Fault]
) -> dict[Fault, set[Hashable]]:
    """Those of the faults that explain how the backend breaks a law, and which of its calls show it."""
    shown: dict[Fault, set[Hashable]] = {fault: set() for fault in faults}
    if failing:
        format = backend.format(failing["format"])
        calls = [call for call in probes.of_failure(backend, case, failing) if call.operation == operation.name]
        accepting = bool(calls) and _accepts(operation, calls[-1], format)
        for fault in list(shown):
            if not calls or ((accepting or fault.kind == "refusal") and case not in noticed_by(fault, case.note)):
                del shown[fault]
        observed = ((call, of_record(call)) for call in calls)
        shown = _explaining(backend, operation, shown, observed, format)
        shown = {fault: calls for fault, calls in shown.items() if _breaks(fault, case, failing)}
    for format in _formats(backend, failing):
        count = probes.OF_THE_LAW if format is _most_precise(backend) else probes.OF_EACH_LAW
        further = probes.of_law(case, operation, format, count) if shown else ()
        shown = _explaining(backend, operation, shown, _observed(backend, operation, further, format), format)
    return shown


def _accepts(operation: Operation, call: Call, format: Format) -> bool:
    """Whether a recorded call should have been refused, and was not."""
    return of_record(call) is not REFUSED and _expected(operation, call, format) is REFUSED


def _observed(
    backend: Backend, operation: Operation, calls: Iterable[Call], format: Format
) -> Iterable[tuple[Call, Any]]:
    """Calls, and what the backend does in each; those that it does not offer are left out."""
    implementation = Implementation(operation, backend, format)
    for call in calls:
        try:
            yield call, of_backend(implementation, call)
        except Unoffered:
            continue
        except Broken:  # it returns something that is no array
            yield call, None


def _explaining(
    backend: Backend,
    operation: Operation,
    faults: Mapping[Fault, set[Hashable]],
    observed: Iterable[tuple[Call, Any]],
    format: Format,
) -> dict[Fault, set[Hashable]]:
    """Those of the faults that do what the backend did in these calls, with the calls that show it added.

    A call that has to be refused, and is, says nothing: one bad input may be refused, and another forgotten.
    """
    shown = dict(faults)
    for call, seen in observed:
        if not shown:
            break
        if seen is REFUSED and _expected(operation, call, format) is REFUSED:
            continue
        for fault in list(shown):
            try:
                if not _does(fault, call, seen, format):
                    del shown[fault]
                elif _tells(backend, fault, call, seen, format):
                    shown[fault].add(probes.key(call))
            except (Undecidable, Unoffered):  # or what it would show in is withheld
                continue
    return shown


def _does(fault: Fault, call: Call, seen: Any, format: Format) -> bool:
    """Whether the fault does what the backend did in a call. Raises Undecidable."""
    if seen is None:
        return False
    faulty = of_fault(fault, call, format)
    if fault.alike is not None and call.cotangent is None and seen is not REFUSED and faulty is not REFUSED:
        return shapes(seen) == shapes(faulty) and fault.alike(seen, call.arguments)
    return same(seen, faulty, format)


def _tells(backend: Backend, fault: Fault, call: Call, seen: Any, format: Format) -> bool:
    """Whether what the backend did is explained by the fault, and not by the definition. Raises Undecidable.

    A fault of precision is right mathematics: that it loses too much shows where the backend and the fault do.
    """
    expected = of_definition(fault.operation, call, format)
    if fault.name == COMPUTES_IN_FLOAT32:
        return loses_bits(Implementation(fault.operation, backend, format), call, seen, expected)
    if fault.kind == "precision" and seen is not REFUSED and expected is not REFUSED:
        return not any(same(results, expected, format) for results in (seen, computed(fault, call)))
    if fault.alike is not None and seen is not REFUSED and expected is not REFUSED:
        return not same(seen, expected, format)
    if dtypes(seen) == dtypes(computed(fault, call)) != dtypes(expected):
        return True
    return distinguishes(*_beside(seen, of_fault(fault, call, format), expected))


def _beside(seen: Any, *others: Any) -> tuple[Any, ...]:
    """Results without those that the backend withholds."""
    if seen is None or any(results is REFUSED for results in (seen, *others)):
        return others
    return offered(seen, *others)[1:]


def _breaks(fault: Fault, case: Case, failing: Mapping[str, Any]) -> bool:
    """Whether the fault may break the law on this example, too."""
    if fault.alike is not None:
        return True
    try:
        return probes.run(reference_of(case.operations, fault, (failing["format"],)), case, failing) is None
    except (Broken, Raised, Unoffered, ValueError, LookupError):
        return True


@cache
def _is_proven(backend: Backend, fault: Fault, note: Note) -> bool:
    """Whether the fault explains how the backend breaks one of the laws that prove the fault."""
    for proof in noticed_by(fault, note):
        failing = _failing(backend, proof)
        if failing and _explanations(backend, fault.operation, proof, failing, [fault]):
            return True
    return False


@cache
def _is_refuted(backend: Backend, fault: Fault, note: Note) -> bool:
    """Whether the backend holds a law on several examples on which the fault breaks it; on one it may by coincidence.

    It does where the definition says nothing of a single call, so that no call refutes the fault. Faults that begin at
    some size, or lose some precision, stand for those that begin, or lose, elsewhere.
    """
    if fault.alike is not None or fault.kind in ("size", "precision"):
        return False
    names = {format.name for format in backend.formats}
    return any(
        sum(example["format"] in names and _holds(backend, proof, example) for example in _broken_on(fault, proof)) > 1
        for proof in noticed_by(fault, note)
    )


@cache
def _broken_on(fault: Fault, case: Case) -> list[dict[str, Any]]:
    """Those of a few examples on which the fault breaks a law, with the names of their formats."""
    backend, found = reference_of(case.operations, fault), []
    for example in probes.examples_of(case, backend, OF_A_PROOF):
        try:
            probes.run(backend, case, example)
        except Broken:
            found.append(example)
        except Exception:  # it shows in another way
            continue
    return found


def _holds(backend: Backend, case: Case, example: Mapping[str, Any]) -> bool:
    try:
        return probes.run(backend, case, example) is not None
    except Exception:  # it breaks it as well, or in another way
        return False


@cache
def _failing(backend: Backend, case: Case) -> dict[str, Any]:
    """The first of a few examples on which a backend breaks a law, with the name of its format; {} if it holds."""
    trial = Trial(backend, case, "quick", shrink=False)
    try:
        trial.sweep(PROFILES["quick"])
    except (Broken, ValueError, LookupError):
        return trial.statistics.drawn
    except (Raised, Unoffered):
        return {}
    return {}


@cache
def _elsewhere(backend: Backend, fault: Fault, note: Note) -> _Suspicion | None:
    """What calls of all laws show of a fault; None if the backend is right where the fault would be wrong.

    Calls that have to be refused are left out: a backend may accept them and have a known fault as well.
    """
    format, amiss = _most_precise(backend), 0
    shown: set[Hashable] = set()
    for call, seen in _all_observed(backend, fault.operation, note):
        expected = _expected(fault.operation, call, format)
        if expected is REFUSED or expected is None:
            continue
        try:
            explained = _does(fault, call, seen, format)
            if fault.kind == "precision" or fault.alike is not None:  # it need not show
                amiss += not explained
                if explained and _tells(backend, fault, call, seen, format):
                    shown.add(probes.key(call))
            elif distinguishes(*_beside(seen, of_fault(fault, call, format), expected)):
                if seen is not None and same(seen, expected, format):
                    return None
                amiss += not explained
                if explained:
                    shown.add(probes.key(call))
        except (Undecidable, Unoffered):
            continue
    return _Suspicion(fault, frozenset(shown), amiss)


@cache
def _all_observed(backend: Backend, operation: Operation, note: Note) -> list[tuple[Call, Any]]:
    """What the backend does on inputs of the operation and in the calls of all laws of the note."""
    format = _most_precise(backend)
    calls = [*probes.drawn(operation, format), *probes.of_all_laws(note, operation, format)]
    return list(_observed(backend, operation, calls, format))


def _expected(operation: Operation, call: Call, format: Format) -> Any:
    """What the definition says, None if it is undecidable."""
    try:
        return of_definition(operation, call, format)
    except Undecidable:
        return None


def _most_precise(backend: Backend) -> Format:
    return max(backend.formats, key=lambda format: format.precision)

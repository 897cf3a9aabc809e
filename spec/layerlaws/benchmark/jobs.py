"""What there is to time: workloads in both modes, growth curves and headlines, as jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from layerlaws.benchmark.record import Timing
from layerlaws.language.note import Catalogue, Note
from layerlaws.language.workloads import Cost, Headline, Workload
from layerlaws.numerics.formats import FORMATS, Format

BATCHES = ("B", "N")
"""Sizes that count examples."""

TEXTS = ("bytes", "words")
"""Sizes that say how much text there is."""


@dataclass(frozen=True)
class Contender:
    """A workload on a backend, by name. sizes: of the workload, by name."""

    backend: str
    workload: str
    sizes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Job:
    """Contenders that are timed in turns: all backends on one workload, or both sides of a headline on one backend."""

    note: str
    purpose: str
    mode: str
    contenders: tuple[Contender, ...]
    headline: str = ""


def jobs_of(notes: Iterable[Note], backends: Sequence[str], quick: bool = False) -> list[Job]:
    """Everything to time, in the order of the notes.

    backends: their names. quick: small batches, no growth, no headlines.
    """
    return [job for note in notes for job in _jobs(note, backends, quick)]


def _jobs(note: Note, backends: Sequence[str], quick: bool) -> Iterator[Job]:
    for workload in note.workloads:
        small = at_hand(workload) if quick else workload
        for mode in ("forward", "gradient")[: 1 + workload.gradient]:
            yield _beside(note, "workload", mode, small, backends)
        if not quick:
            for name, sizes in workload.grows.items():
                for size in sizes:
                    if size != workload.sizes[name]:
                        yield _beside(note, "growth", "forward", workload.at(**{name: size}), backends)
    if not quick:  # a claim about a size says nothing at another
        for headline in note.headlines:
            yield from (_headline(note, headline, backend) for backend in backends)


def at_hand(workload: Workload) -> Workload:
    """The workload at the sizes of a quick run: the least of what it grows through, an eighth of batch and text."""
    sizes = {name: min((size, *workload.grows.get(name, ()))) for name, size in workload.sizes.items()}
    fewer = {name: max(1, size // 8) for name, size in sizes.items() if name in (*BATCHES, *TEXTS)}
    return workload.at(**sizes | fewer)


def _beside(note: Note, purpose: str, mode: str, workload: Workload, backends: Sequence[str]) -> Job:
    sizes = tuple(workload.sizes.items())
    return Job(note.name, purpose, mode, tuple(Contender(name, workload.name, sizes) for name in backends))


def _headline(note: Note, headline: Headline, backend: str) -> Job:
    sides = (headline.fast, headline.slow)
    contenders = tuple(Contender(backend, side.name, tuple(side.sizes.items())) for side in sides)
    return Job(note.name, "headline", "gradient" if headline.gradient else "forward", contenders, headline.claim)


def contender_of(timing: Timing) -> Contender:
    """The contender that a timing is of."""
    return Contender(timing.backend, timing.workload, tuple(timing.sizes.items()))


def workload_of(contender: Contender, catalogue: Catalogue) -> Workload:
    """The workload of a contender, at its sizes."""
    workloads = {workload.name: workload for note in catalogue.notes for workload in workloads_of(note)}
    return workloads[contender.workload].at(**dict(contender.sizes))


def workloads_of(note: Note) -> list[Workload]:
    """The workloads of a note, and those that only its headlines compare."""
    return [*note.workloads, *(side for headline in note.headlines for side in (headline.fast, headline.slow))]


def format_of(dtypes: Sequence[str]) -> Format:
    """The format that a backend with these dtypes is timed in: float32 if it has that, else its first."""
    return FORMATS["float32" if "float32" in dtypes else dtypes[0]]


def blank(job: Job, contender: Contender, workload: Workload, dtype: Format | None) -> Timing:
    """A timing of state "error" with everything but what is measured. dtype: None for a backend that was not loaded."""
    cost = cost_of(workload, job.mode)
    itemsize = dtype.dtype.itemsize if dtype else 0
    described: dict[str, Any] = {"flops": cost.flops, "moved": cost.moved * itemsize, "text": cost.text}
    return Timing(
        contender.backend,
        job.note,
        workload.operation.name,
        contender.workload,
        job.purpose,
        job.mode,
        dict(contender.sizes),
        dtype.name if dtype else "",
        "error",
        headline=job.headline,
        **described,
    )


def cost_of(workload: Workload, mode: str) -> Cost:
    """The cost of a workload in a mode. Forward plus gradient cost three times the forward if the note says nothing."""
    forward = workload.cost(**workload.sizes)
    if mode == "forward":
        return forward
    if workload.backward is not None:
        return workload.backward(**workload.sizes)
    return Cost(3 * forward.flops, 3 * forward.moved, 3 * forward.text)

"""Benchmark records, and what follows from their timings: bounds, growth, headlines."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from layerlaws.benchmark.growth import exponent, growths, headlines
from layerlaws.benchmark.record import (
    SCHEMA,
    BenchmarkHeader,
    BenchmarkJournal,
    Ceiling,
    Timing,
    benchmarks_in,
    read_benchmark,
)
from layerlaws.running.journal import records_in
from layerlaws.support.errors import RecordError


def timing(**fields: object) -> Timing:
    blank = Timing("numpy", "note", "operation", "work", "workload", "forward", {"T": 8}, "float32", "timed")
    return replace(blank, **{"seconds": 1.0, "rounds": 3, **fields})  # type: ignore[arg-type]


def write(directory: Path, *timings: Timing, complete: bool = True) -> Path:
    ceilings = [Ceiling("numpy", 2e9, 1e9)]
    header = BenchmarkHeader("cpu", "0.0", {"numpy": "CPU"}, {"openblas": 2}, "a processor", False, True, ceilings)
    with BenchmarkJournal(directory, "cpu") as journal:
        journal.begin(header)
        for each in timings:
            journal.add(each)
        return journal.close(2.0) if complete else journal.part


def test_a_record_reads_back_and_is_no_record_of_conformance(tmp_path: Path) -> None:
    timings = (timing(), timing(mode="gradient", state="wrong", seconds=0.0, reason="\u2028 <script> \ud800"))
    path = write(tmp_path, *timings)
    assert path.name == "benchmark-cpu.jsonl"
    record = read_benchmark(path)
    assert record.timings == timings
    assert record.complete
    assert record.seconds == 2.0
    assert record.header.ceilings == [Ceiling("numpy", 2e9, 1e9)]
    assert [r.path for r in benchmarks_in(tmp_path)] == [path]
    with pytest.raises(RecordError, match="holds no record"):
        records_in(tmp_path)


def test_a_run_that_is_killed_while_it_measures_the_machine_leaves_nothing_to_read(tmp_path: Path) -> None:
    with BenchmarkJournal(tmp_path, "cpu") as journal:
        assert journal.part.exists()
    assert benchmarks_in(tmp_path) == []
    with pytest.raises(RecordError, match="holds no record"):
        records_in(tmp_path)


def test_a_run_that_is_killed_leaves_an_incomplete_record(tmp_path: Path) -> None:
    write(tmp_path, timing(), complete=False)
    (record,) = benchmarks_in(tmp_path)
    assert not record.complete
    assert record.timings == (timing(),)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace('"benchmark"', '"header"', 1), "no header; is it a benchmark"),
        (lambda text: text.replace(f'"schema": {SCHEMA}', '"schema": 9'), "schema 9"),
        (lambda text: text.replace('"timed"', '"splendid"'), "no state of a timing"),
        (lambda text: text.replace('"seconds": 1.0', '"seconds": NaN'), "is timed, in nan"),
        (lambda text: text.replace('"rounds": 3', '"rounds": "3"'), "rounds is '3', not int"),
        (lambda text: text.replace('{"T": 8}', '{"T": "8"}'), "sizes is {'T': '8'}, not dict"),
        (lambda text: "\n".join(text.splitlines()[::2]) + "\n", "counts 1 timings, 0 stand"),
        (lambda text: text.replace('"seconds": 1.0', '"seconds": 1' + 400 * "0"), "line 2: seconds is a number beyond"),
        (lambda text: "\n".join(text.splitlines()[i] for i in (0, 1, 1, 2)) + "\n", "line 3: .* a second time"),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, damage: Callable[[str], str], said: str) -> None:
    path = write(tmp_path, timing())
    path.write_text(damage(path.read_text()))
    with pytest.raises(RecordError, match=said):
        read_benchmark(path)


def test_the_bound_is_what_the_ceilings_allow() -> None:
    ceilings = {"peak": 2e9, "bandwidth": 4e9}
    assert timing(flops=4e9, moved=4e9, **ceilings).bound == 2.0
    assert timing(flops=4e9, moved=16e9, **ceilings).bound == 4.0
    assert timing(flops=4e9, seconds=8.0, least=4.0, **ceilings).share == 0.25
    assert timing(flops=4e9).share is None
    assert timing(**ceilings).share is None


def test_a_fit_recovers_the_exponent_of_what_it_is_given() -> None:
    assert math.isclose(exponent({n: 3e-9 * n**2.5 for n in (10, 40, 160)}), 2.5)
    noisy = {n: n * (1 + 0.01 * (-1) ** i) for i, n in enumerate((64, 128, 256, 512, 1024))}
    assert abs(exponent(noisy) - 1) < 0.02
    with pytest.raises(ValueError, match="two sizes"):
        exponent({4: 1.0})


def test_growth_joins_the_workload_with_its_other_sizes() -> None:
    sizes = [timing(purpose="growth", sizes={"T": n}, seconds=(n / 8) ** 2) for n in (16, 32)]
    wrong = timing(purpose="growth", sizes={"T": 64}, state="wrong", seconds=0.0)
    (curve,) = growths([timing(), *sizes, wrong, timing(backend="other")])
    assert (curve.backend, curve.size) == ("numpy", "T")
    assert curve.seconds == {8: 1.0, 16: 4.0, 32: 16.0}
    assert math.isclose(curve.exponent, 2)


def test_a_headline_is_the_ratio_of_its_two_sides() -> None:
    sides = [timing(purpose="headline", headline="Claim.", workload=w, seconds=s) for w, s in (("a", 2.0), ("b", 9.0))]
    (measured,) = headlines([*sides, timing(purpose="headline", headline="Alone.")])
    assert (measured.claim, measured.ratio) == ("Claim.", 4.5)
    assert headlines([sides[0], replace(sides[1], state="error")]) == []

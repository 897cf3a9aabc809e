"""The harness of `layerlaws bench`: who is timed, in which order, and what is written down."""

from __future__ import annotations

import itertools
import math
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerlaws import catalogue, load_backend
from layerlaws.benchmark import expected, memory, process
from layerlaws.benchmark.expected import OutOfTime, arguments_of, expected_of, limited_memory, limited_time
from layerlaws.benchmark.growth import exponent, growths, headlines
from layerlaws.benchmark.jobs import Contender, Job, at_hand, cost_of, jobs_of, workload_of, workloads_of
from layerlaws.benchmark.record import (
    SCHEMA,
    BenchmarkHeader,
    BenchmarkJournal,
    Ceiling,
    Timing,
    benchmarks_in,
    read_benchmark,
)
from layerlaws.benchmark.runner import BARRING, Listener, Plan, run
from layerlaws.benchmark.timing import Budget, Entrant, turns
from layerlaws.checking.verdict import UNEXPECTED
from layerlaws.language.workloads import Workload
from layerlaws.numerics.formats import FORMATS
from layerlaws.running.journal import records_in
from layerlaws.support.errors import Broken, RecordError

Command = Callable[..., subprocess.CompletedProcess[str]]
BackendFile = Callable[[str, str], Path]

FLOAT32 = FORMATS["float32"]
NOTE = catalogue().note("feed_forward")
NETWORK = next(workload for workload in NOTE.workloads if workload.operation.name == "feed_forward")
TINY = {"B": 2, "T": 3, "D": 4, "F": 5}

RIGHT = """
def feed_forward(x, w_1, b_1, w_2, b_2):
    if x.shape[-1] != w_1.shape[0] or w_1.shape[1] != b_1.size or w_2.shape[0] != b_1.size:
        raise ValueError("x, w_1, b_1, w_2 and b_2 do not fit")
    if w_2.shape[1] != b_2.size:
        raise ValueError("w_2 and b_2 do not fit")
    return np.maximum(x @ w_1 + b_1, 0) @ w_2 + b_2
"""


def timing(**fields: object) -> Timing:
    blank = Timing("numpy", "note", "operation", "work", "workload", "forward", {"T": 8}, "float32", "timed")
    return replace(blank, **{"seconds": 1.0, "rounds": 3, **fields})  # type: ignore[arg-type]


def contenders(*names: str, sizes: dict[str, int] = TINY) -> tuple[Contender, ...]:
    return tuple(Contender(name, NETWORK.name, tuple(sizes.items())) for name in names)


def timed(
    names: tuple[str, ...], output: Path | None = None, mode: str = "forward", laws: bool = True, quick: bool = True,
    purposes: tuple[str, ...] = ("workload",),
) -> list[Timing]:  # fmt: skip
    """A run of one tiny job for each purpose; the laws of the network are held before, or not."""
    backends = [load_backend(name, catalogue()) for name in names]
    jobs = [Job(NOTE.name, purpose, mode, contenders(*names)) for purpose in purposes]
    plan = Plan(catalogue(), backends, [NOTE] if laws else [], quick=quick, output=output, jobs=jobs)
    return run(plan, Listener(lambda verdict: None, lambda header: None, lambda timing: None))


# --- who is timed ---------------------------------------------------------------------------------------------

LATER = """
import os, sys, time
def _timed():  # laws are held in other processes than times are taken in
    return "layerlaws.benchmark.contest" in sys.modules
"""


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where these tests run beside others, pytest-benchmark would see that, and time nothing."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


def test_who_is_right_is_timed_and_whatever_another_does_costs_only_its_own(
    backend_file: BackendFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(process.EFFORTS, True, replace(process.EFFORTS[True], patience=20))
    files = {
        "right": RIGHT,
        "breaks_a_law": RIGHT.replace("+ b_2\n", "+ b_2 * 1.001\n"),
        "wrong": LATER + RIGHT.replace("+ b_2\n", "+ b_2 * (1.001 if _timed() else 1)\n"),
        "raises": LATER + RIGHT.replace("    return", "    if _timed(): raise RuntimeError('no luck')\n    return"),
        "dies": LATER + RIGHT.replace("    return", "    if _timed(): os._exit(3)\n    return"),
        "hangs": LATER + RIGHT.replace("    return", "    if _timed(): time.sleep(1000)\n    return"),
        "deviates": LATER
        + RIGHT.replace("+ b_2\n", "+ b_2 * (1.001 if _timed() else 1)\n")
        + "known = {'feed_forward.agrees_with_definition': ('it adds a little', 'https://example.org')}\n",
        "nothing": "",
    }
    names = tuple(str(backend_file(name, text)) for name, text in files.items())
    found = {Path(t.backend).stem: t for t in timed((*names, "numpy"), tmp_path / "records")}
    assert {name: t.state for name, t in found.items()} == {
        "right": "timed", "breaks_a_law": "broken", "wrong": "wrong", "raises": "error", "dies": "error",
        "hangs": "error", "deviates": "known", "nothing": "missing", "numpy": "timed",
    }  # fmt: skip
    reasons = {"breaks_a_law": "agrees_with_definition", "wrong": "allowed", "raises": "no luck",
               "dies": "exit code 3", "deviates": "it adds a little", "hangs": "20 s",
               "nothing": "no feed_forward"}  # fmt: skip
    assert {name for name, said in reasons.items() if said not in found[name].reason} == set()
    assert {t.seconds for name, t in found.items() if name in reasons} == {0.0}

    record = read_benchmark(tmp_path / "records" / "benchmark-cpu-quick-feed_forward.jsonl")
    assert record.complete
    assert sorted(record.timings, key=repr) == sorted(found.values(), key=repr)
    assert {c.library for c in record.header.ceilings} == {"numpy"}
    assert all(c.flops > 1e7 and c.bandwidth > 1e7 for c in record.header.ceilings)
    for t in (found["right"], found["numpy"]):
        assert 0 < t.least <= t.low <= t.seconds <= t.high
        assert t.used is not None
        assert 0 < t.used <= 1
        assert t.bound > 0
        assert t.rounds >= 3
    if memory.how():
        assert found["numpy"].memory is not None


def test_gradients_are_compared_and_timed(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    torch, numpy = timed(("torch-cpu", "numpy"), mode="gradient", laws=False)
    assert (torch.backend, torch.state, torch.mode) == ("torch-cpu", "timed", "gradient")
    assert torch.used is not None
    assert numpy.state == "missing"


def test_ceilings_are_measured_between_the_rounds_of_a_workload_and_at_the_start(tmp_path: Path) -> None:
    workload, growth = timed(("numpy",), tmp_path, laws=False, quick=False, purposes=("workload", "growth"))
    (quick,) = timed(("numpy",), tmp_path, laws=False)
    whole, fast = (read_benchmark(tmp_path / f"benchmark-cpu{name}.jsonl").header.ceilings for name in ("", "-quick"))
    assert [t.device for t in (workload, growth, quick)] == ["cpu"] * 3
    assert [(growth.peak, growth.bandwidth)] == [(c.flops, c.bandwidth) for c in whole]
    assert [(quick.peak, quick.bandwidth)] == [(c.flops, c.bandwidth) for c in fast]
    assert workload.peak > 1e7
    assert workload.bandwidth > 1e7
    assert workload.peak not in (growth.peak, 0)


def test_who_cannot_multiply_matrices_is_timed_without_a_ceiling(backend_file: BackendFile) -> None:
    cannot = """
class Wrapped:
    device = "nowhere"
    def __init__(self, array): self.array = array
def from_numpy(array): return Wrapped(array)
def to_numpy(x): return x.array
def feed_forward(x, w_1, b_1, w_2, b_2):
    x, w_1, b_1, w_2, b_2 = (each.array for each in (x, w_1, b_1, w_2, b_2))
    return Wrapped(np.maximum(x @ w_1 + b_1, 0) @ w_2 + b_2)
"""
    wrapped, numpy = timed((str(backend_file("cannot", cannot)), "numpy"), laws=False)
    assert (wrapped.state, wrapped.device, wrapped.peak, wrapped.share) == ("timed", "nowhere", 0, None)
    assert numpy.share is not None


def test_a_known_deviation_does_not_bar_from_being_timed() -> None:
    assert "known" not in BARRING
    assert set(BARRING) <= set(UNEXPECTED)


# --- the timer ------------------------------------------------------------------------------------------------


def test_turns_go_round_and_who_has_fewer_skips_evenly() -> None:
    whole = list(turns([30] * 3))
    in_rounds = [tuple(whole[i : i + 3]) for i in range(0, 90, 3)]
    assert all(sorted(places) == [0, 1, 2] for places in in_rounds)
    assert len(set(in_rounds)) == 6, "in every order"
    assert [sorted(places) for places in ([0], [0, 1], [0], [0, 1])] == _rounds(turns([4, 2]), [1, 2, 1, 2])
    assert list(turns([])) == []


def _rounds(places: Iterator[int], sizes: list[int]) -> list[list[int]]:
    found = [sorted(itertools.islice(places, size)) for size in sizes]
    assert next(places, None) is None
    return found


def test_rounds_are_interleaved_and_one_that_fails_leaves_the_others(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # pytest-benchmark refuses to time beside others
    pytester.makepyfile("""
        import time
        from layerlaws.benchmark.timing import Entrant, take_turns

        def test_turns(benchmark):
            calls = []
            def slow(): calls.append("slow"); time.sleep(0.002)
            def fast(): calls.append("fast")
            def fails(): calls.append("fails"); raise RuntimeError
            entrants = [Entrant(call, rounds=3) for call in (slow, fails, fast)]
            entrants[2].calls = 2
            entrants[2].short = True
            heard = []
            take_turns(benchmark, entrants, heard.append)
            assert [calls.count(name) for name in ("slow", "fails", "fast")] == [3, 1, 12]
            assert [heard[i : i + 3].count(entrant) for i in (0, 3, 6) for entrant in entrants] == [1] * 9
            assert [entrant.stats.rounds for entrant in entrants] == [3, 0, 3]
            assert entrants[0].stats.min >= 0.002 > entrants[2].stats.min
            assert isinstance(entrants[1].failed, RuntimeError)

        def test_a_clock_of_its_own(benchmark):
            entrant = Entrant(lambda: None, measured=lambda call: (call(), 40.0)[1:] + (7,), rounds=2, calls=4)
            take_turns(benchmark, [entrant], lambda entrant: None)
            assert entrant.stats.median == 10.0
            assert entrant.peak() == 7
    """)
    run = pytester.runpytest_subprocess("-p", "no:xdist", "-p", "no:cacheprovider")
    run.assert_outcomes(passed=2)


def test_warming_up_settles_rounds_within_the_budget() -> None:
    patient = Entrant(lambda: time.sleep(0.02))
    patient.warm_up(Budget(seconds=0.1, least=2, most=50, patience=1.0))
    assert 2 <= patient.rounds <= 5
    assert patient.calls == 1
    assert patient.short
    slow = Entrant(lambda: time.sleep(0.02))
    slow.warm_up(Budget(seconds=0.01, least=50, most=50, patience=0.06))
    assert 1 <= slow.rounds <= 3
    quick = Entrant(lambda: None)
    quick.warm_up(Budget(seconds=0.1, least=2, most=50, patience=1.0))
    assert quick.calls > 10
    long = Entrant(lambda: time.sleep(0.11))
    long.warm_up(Budget(seconds=0.1, least=1, most=1, patience=1.0))
    assert not long.short, "a long call is not made twice to time it once"


def test_the_peak_of_a_call_is_what_it_allocates() -> None:
    if not memory.how():
        pytest.skip("not measured on this system")
    peak = memory.peak(lambda: np.ones(20_000_000).sum())
    assert peak is not None
    assert 150e6 < peak < 250e6
    assert memory.peak(lambda: None) < 20e6  # type: ignore[operator]


# --- what the definition says ---------------------------------------------------------------------------------


def test_arguments_are_the_same_every_time_and_of_the_dtype() -> None:
    first, second = (arguments_of(NETWORK.at(**TINY), FLOAT32) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert {x.dtype.name for x in first.values()} == {"float32"}


def test_a_definition_that_takes_too_long_is_compared_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    network = replace(NETWORK.at(**{**TINY, "B": 64}), grows={"B": (128,)})
    whole = expected_of(network, "forward", FLOAT32, limit=60)
    assert whole is not None
    assert whole.workload.sizes == network.sizes

    evaluated = expected._evaluated

    def slow(workload: Workload, arguments: Any, mode: str, format: object) -> expected.Expected:
        if workload.sizes["B"] > 4:
            raise OutOfTime
        return evaluated(workload, arguments, mode, FLOAT32)

    monkeypatch.setattr(expected, "_evaluated", slow)
    part = expected_of(network, "gradient", FLOAT32, limit=60)
    assert part is not None
    assert part.workload.sizes == {**TINY, "B": 4}
    assert part.cotangent.shape == (4, 3, 4)


def test_where_no_part_is_small_enough_all_sizes_are_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated = expected._evaluated

    def slow(workload: Workload, arguments: Any, mode: str, format: object) -> expected.Expected:
        if workload.sizes["D"] > 32:
            raise OutOfTime
        return evaluated(workload, arguments, mode, FLOAT32)

    monkeypatch.setattr(expected, "_evaluated", slow)
    part = expected_of(NETWORK.at(B=8, T=16, D=256, F=512), "forward", FLOAT32, limit=60)
    assert part is not None
    assert part.workload.sizes in ({"B": 1, "T": 2, "D": 32, "F": 64}, {"B": 1, "T": 1, "D": 16, "F": 32})


def test_a_part_whose_sizes_do_not_fit_each_other_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve words have no short list of a twenty-fifth of them."""
    words = next(w for w in catalogue().note("adaptive_softmax").workloads if w.name == "likeliest_words")
    parts = [words.at(N=1, V=12), small := words.at(N=2, H=8, V=50)]
    monkeypatch.setattr(expected, "_parts", lambda workload: parts)
    found = expected_of(words, "forward", FLOAT32, limit=60)
    assert found is not None
    assert found.workload is small


def test_parts_grow_up_to_the_workload() -> None:
    for note in catalogue().notes:
        for workload in note.workloads:
            *parts, last = expected._parts(workload)
            works = [expected._work(part) for part in parts]
            assert last is workload
            assert works == sorted(works)
            assert max(works, default=0) < expected._work(workload)


def test_what_a_part_takes_is_guessed_from_smaller_ones() -> None:
    half, *_ = parts = [NETWORK.at(**TINY | {"B": size}) for size in (1, 2, 4, 8, 1000)]
    tried = expected._Tried(limit=1.0)
    assert tried.largest(parts) == 0, "nothing is known, so the smallest"
    tried.succeed(half, 0.2)
    work = expected._work(half)
    assert tried.guess(2 * work) == pytest.approx(0.4)
    tried.succeed(parts[1], 0.2 + (expected._work(parts[1]) - work) / work * 0.1)
    assert tried.guess(3 * work) == pytest.approx(0.4), "what every part takes is not counted twice"
    assert tried.largest(parts[2:]) == 1
    tried.fail(parts[3])
    assert tried.guess(expected._work(parts[3])) > 1.0
    assert tried.largest(parts[2:3]) == 0, "half way to what took too long"
    quick = expected._Tried(limit=1.0)
    quick.succeed(half, 0.0)
    assert quick.largest(parts[1:]) == 2, "nor is more than a few times as much tried at once"


def test_wrong_results_are_told_at_full_size() -> None:
    said = expected_of(NETWORK.at(**TINY), "forward", FLOAT32, limit=60)
    assert said is not None
    numpy = load_backend("numpy", catalogue())
    assert 0 < said.compare(numpy, FLOAT32) <= 1
    off = {name: lambda function=f, **a: function(**a) * np.float32(1.0001) for name, f in numpy.functions.items()}
    with pytest.raises(Broken):
        said.compare(replace(numpy, functions=off), FLOAT32)


def test_time_and_memory_are_limited() -> None:
    def busy() -> None:
        while True:
            pass

    with pytest.raises(OutOfTime), limited_time(0.1):
        busy()
    if memory.how():
        with pytest.raises(MemoryError), limited_memory():
            np.ones(2**45)


# --- what there is to time ------------------------------------------------------------------------------------


def test_jobs_hold_every_workload_in_both_modes_and_both_sides_of_headlines() -> None:
    backends = [load_backend(name, catalogue()) for name in ("numpy", "tokenizers")]
    jobs = jobs_of(catalogue().notes, backends)
    workloads = [workload for note in catalogue().notes for workload in note.workloads]
    for workload in workloads:
        own = [j for j in jobs if j.purpose == "workload" and j.contenders[0].workload == workload.name]
        assert [job.mode for job in own] == ["forward", "gradient"][: 1 + workload.gradient]
        assert all([c.backend for c in job.contenders] == ["numpy", "tokenizers"] for job in own)
    for note in catalogue().notes:
        for headline in note.headlines:
            pairs = [job for job in jobs if job.headline == headline.claim]
            assert len(pairs) == 2
            assert [c.workload for c in pairs[0].contenders] == [headline.fast.name, headline.slow.name]
            assert len({c.backend for c in pairs[0].contenders}) == 1


def test_a_quick_run_has_no_more_to_do_than_a_whole_one() -> None:
    for note in catalogue().notes:
        for workload in workloads_of(note):
            small = at_hand(workload)
            assert small.sizes.keys() == workload.sizes.keys()
            for mode in ("forward", "gradient"):
                one, other = cost_of(small, mode), cost_of(workload, mode)
                assert 0 <= one.flops <= other.flops
                assert 0 <= one.moved <= other.moved
                assert 0 <= one.text <= other.text


def test_names_of_workloads_are_unique() -> None:
    names = [w.name for note in catalogue().notes for w in dict.fromkeys(workloads_of(note))]
    twice = {name for name in names if names.count(name) > 1}
    sizes = {name: [w for note in catalogue().notes for w in note.workloads if w.name == name] for name in twice}
    assert all(len(own) <= 1 for own in sizes.values())
    made = workload_of(contenders("numpy")[0], catalogue())
    assert made.sizes == TINY
    assert made.operation is NETWORK.operation


# --- the record -----------------------------------------------------------------------------------------------


def write(directory: Path, *timings: Timing, complete: bool = True) -> Path:
    ceilings = [Ceiling("numpy", 2e9, 1e9)]
    header = BenchmarkHeader("cpu", "0.0", {"numpy": "CPU"}, {"openblas": 2}, "a processor", False, True, ceilings)
    with BenchmarkJournal(directory, "cpu") as journal:
        journal.begin(header)
        for each in timings:
            journal.add(each)
        return journal.close(2.0) if complete else journal.part


def test_a_record_reads_back_and_is_no_record_of_conformance(tmp_path: Path) -> None:
    timings = (timing(), timing(state="wrong", seconds=0.0, reason="\u2028 <script> \ud800"))
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
        (lambda text: text.replace('{"T": 8}', '{"T": "8"}'), "whole numbers"),
        (lambda text: "\n".join(text.splitlines()[::2]) + "\n", "counts 1 timings, 0 stand"),
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


# --- growth and headlines -------------------------------------------------------------------------------------


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


# --- the command ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bench", "numpi"), "did you mean numpy"),
        (("bench", "numpy", "--note", "feed_foward"), "did you mean feed_forward"),
        (("bench", "numpy", "--note", "feed_forward", "--output", "file/records"), "--output"),
    ],
)
def test_wrong_use_is_refused_before_anything_runs(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").write_text("")
    refused = command(*arguments)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_command_prints_a_table_in_80_columns_and_fails_where_something_is_wrong(
    command: Command, backend_file: BackendFile
) -> None:
    backend_file("mine", RIGHT.replace("+ b_2\n", "+ b_2 * 1.001\n"))
    run = command("bench", "numpy", "./mine.py", "--quick", "--note", "feed_forward", "--output", "records")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "broken ./mine.py: transformer_feed_forward" in run.stdout
    assert "GFLOP/s" in run.stdout
    table = run.stdout[run.stdout.index("workload ") :].splitlines()
    assert all(len(line) <= 80 for line in table), table
    assert any(line.startswith("transformer_feed_forward") and "numpy" in line for line in table)

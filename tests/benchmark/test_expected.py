"""What timed outputs are compared with: definitions, evaluated in time and memory, and handed to other processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerlaws import catalogue, load_backend
from layerlaws.benchmark import expected, memory
from layerlaws.benchmark.exchange import load, save
from layerlaws.benchmark.expected import OutOfTime, arguments_of, expected_of, limited_memory, limited_time
from layerlaws.language.workloads import Workload
from layerlaws.numerics.formats import FORMATS
from layerlaws.support.errors import Broken

FLOAT32 = FORMATS["float32"]
NOTE = catalogue().note("feed_forward")
NETWORK = next(workload for workload in NOTE.workloads if workload.operation.name == "feed_forward")
TINY = {"B": 2, "T": 3, "D": 4, "F": 5}


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


@pytest.mark.parametrize("format", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("mode", ["forward", "gradient"])
def test_another_process_loads_what_the_definition_said(mode: str, format: str, tmp_path: Path) -> None:
    pytest.importorskip("ml_dtypes")
    known, network = FORMATS[format], NETWORK.at(**TINY)
    said = expected_of(network, mode, known, limit=60)
    assert said is not None
    save(said, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".npy", ".json"}
    loaded = load(tmp_path, network, known, said.arguments)
    assert loaded.workload.sizes == TINY
    pairs = [(said.results, loaded.results)]
    if mode == "gradient":
        assert loaded.cotangent.dtype == known.dtype
        assert np.array_equal(loaded.cotangent, said.cotangent)
        assert list(loaded.results) == list(said.results)
        pairs = [(said.results[name], loaded.results[name]) for name in said.results]
    for one, other in pairs:
        assert other.format is known
        assert other.value.dtype == one.value.dtype
        assert np.array_equal(other.value, one.value)
        assert np.array_equal(other.error, one.error)


def test_tuples_integers_and_parts_are_handed_over_but_no_objects(tmp_path: Path) -> None:
    part = expected.Expected(NETWORK.at(**TINY), {}, (np.arange(3), (np.int64(4), np.ones((2, 0), bool))))
    save(part, tmp_path)
    loaded = load(tmp_path, NETWORK.at(**TINY | {"B": 9}), FLOAT32, {})
    assert loaded.workload.sizes == TINY
    assert next(x.shape for x in loaded.arguments.values()) == (2, 3, 4), "those of the part"
    assert loaded.cotangent is None
    ids, (count, mask) = loaded.results
    assert (ids.tolist(), int(count), mask.shape, mask.dtype) == ([0, 1, 2], 4, (2, 0), bool)
    with pytest.raises(ValueError, match="allow_pickle"):
        save(replace(part, results=np.array([object()])), tmp_path)
    with pytest.raises(TypeError, match="a definition returned a set"):
        save(replace(part, results={1}), tmp_path)
    np.save(tmp_path / "0.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        load(tmp_path, NETWORK, FLOAT32, {})


def test_only_definitions_of_numbers_depend_on_the_format() -> None:
    words = next(w for w in catalogue().note("byte_pair_encoding").workloads if w.name == "decode_library_text")
    ids, numbers = (expected_of(w, "forward", FLOAT32, limit=5) for w in (words, NETWORK.at(**TINY)))
    assert ids is not None
    assert numbers is not None
    assert (ids.floats, numbers.floats) == (False, True)


def test_time_and_memory_are_limited() -> None:
    def busy() -> None:
        while True:
            pass

    with pytest.raises(OutOfTime), limited_time(0.1):
        busy()
    if memory.how():
        with pytest.raises(MemoryError), limited_memory():
            np.ones(2**45)

"""Inputs reach where implementations break, and are cheap to draw."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import find, settings
from hypothesis import strategies as st

from layerlaws.checking.examples import examples
from layerlaws.language.inputs import (
    BULK,
    PLAIN,
    TEXTURES,
    TILE_EDGES,
    arrays,
    at_moderate_sizes,
    calmed,
    durations,
    extents,
    huge,
    ids,
    masks,
    normal,
    rewritten,
)
from layerlaws.numerics.formats import FORMATS

COUNT = 240


def drawn(strategy: st.SearchStrategy[Any], count: int = COUNT) -> list[Any]:
    """What a law would be given in this many examples."""
    return list(examples(strategy, count, None))


def test_one_extent_is_at_a_tile_edge_in_about_a_tenth_of_the_examples() -> None:
    at_edge = [sizes for sizes in drawn(extents(4, edges=(1, 3)), 600) if max(sizes) >= min(TILE_EDGES)]
    assert 600 / 20 < len(at_edge) < 600 / 5
    for sizes in at_edge:
        large = [k for k, size in enumerate(sizes) if size >= min(TILE_EDGES)]
        assert len(large) == 1, "one large axis only: the others stay cheap"
        assert large[0] in (1, 3)
        assert sizes[large[0]] in TILE_EDGES


def test_every_tile_edge_comes_up() -> None:
    assert {max(sizes) for sizes in drawn(extents(2, edges=(0,)), 2000)} >= set(TILE_EDGES)


def test_without_edges_every_extent_is_small() -> None:
    assert max(max(sizes) for sizes in drawn(extents(4))) < min(TILE_EDGES)


def test_sizes_mostly_differ_and_one_is_well_represented() -> None:
    seen = drawn(extents(3))
    assert sum(len(set(sizes)) == 3 for sizes in seen) > COUNT / 2, "an axis mixed up with another shows"
    assert sum(len(set(sizes)) < 3 for sizes in seen) > COUNT / 20, "equal sizes, too: code that guesses by size breaks"
    assert sum(1 in sizes for sizes in seen) > COUNT / 10
    assert all(isinstance(size, int) and size >= 1 for sizes in seen for size in sizes)


@pytest.mark.parametrize("least", [0, 2])
def test_no_extent_is_below_the_least(least: int) -> None:
    seen = drawn(extents(3, edges=(2,), least=least))
    assert min(min(sizes) for sizes in seen) == least


def test_many_axes_may_all_differ() -> None:
    assert any(len(set(sizes)) == 12 for sizes in drawn(extents(12), 100))


def test_every_texture_comes_up_and_is_finite_in_every_format() -> None:
    generator = np.random.default_rng(0)
    for name, texture in TEXTURES.items():
        for shape in ((3, 4), (2, 0), (1,), (2, 3, 5), ()):
            numbers = texture(generator, shape)
            assert numbers.shape == shape, name
            assert numbers.dtype == np.float64
            for format in FORMATS.values():
                assert np.isfinite(numbers.astype(format.dtype).astype(np.float64)).all()


def test_textures_are_what_they_are_called() -> None:
    generator = np.random.default_rng(0)
    of = {name: texture(generator, (50, 20)) for name, texture in TEXTURES.items()}
    assert set(np.unique(of["integers"])) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    assert set(np.unique(of["ties"])) == {0.0, 1.0}
    assert np.array_equal(of["one-hot"].sum(axis=-1), np.ones(50))
    assert len({row.argmax() for row in of["one-hot"]}) > 10
    assert 0.1 < np.mean(of["sparse"] != 0) < 0.3
    assert np.abs(of["large"]).max() > 50
    assert np.abs(of["tiny"]).max() < 0.01
    assert np.ptp(np.log10(np.abs(of["spread"]))) > 5


def test_each_array_has_a_texture_of_its_own() -> None:
    pairs = drawn(arrays((4, 3), (4, 3)))
    kinds = Counter(tuple(bool(np.all(x == np.rint(x))) for x in pair) for pair in pairs)
    assert len(kinds) == 4, "whole numbers may meet others"
    plain = drawn(arrays((4, 3), textures=PLAIN), 100)
    assert all(x.shape == (4, 3) and np.abs(x).max() < 6 for x in plain)


def test_recurrences_are_mostly_short_and_sometimes_beyond_a_tile() -> None:
    seen = Counter(drawn(durations(4)))
    assert set(seen) == {4, 17, 33, 65}
    assert seen[4] > 0.8 * sum(seen.values())


def test_calmed_weights_stretch_nothing() -> None:
    generator = np.random.default_rng(0)
    for shape in ((4, 4), (3, 12), (1, 1)):
        weights = calmed(30 * generator.standard_normal(shape))
        assert np.linalg.norm(weights, 2) <= 1 + 1e-12
    assert np.array_equal(calmed(np.eye(3) / 2), np.eye(3) / 2)


def test_ids_stay_within_range_and_reach_both_ends() -> None:
    seen = drawn(ids((3, 4), 7))
    assert all(x.shape == (3, 4) and x.dtype == np.int64 for x in seen)
    assert {int(i) for x in seen for i in x.ravel()} == set(range(7))
    few = drawn(ids((2,), 1000))
    assert sum(bool(((x == 0) | (x == 999)).any()) for x in few) > COUNT / 4
    assert all(x.shape == (0, 3) for x in drawn(ids((0, 3), 5), 5))


def test_masks_have_every_density_and_empty_rows_only_where_they_may() -> None:
    seen = drawn(masks((3, 5)))
    assert all(x.shape == (3, 5) and x.dtype == bool for x in seen)
    assert any(not x.any(axis=-1).all() for x in seen)
    assert any(x.all() for x in seen)
    assert any(0 < x.sum() < 15 for x in seen)
    kept = drawn(masks((3, 5), empty_rows=False))
    assert all(x.any(axis=-1).all() for x in kept)
    assert any(x.sum() < 8 for x in kept)
    assert all(x.shape == (3, 0) for x in drawn(masks((3, 0), empty_rows=False), 5))


@pytest.mark.parametrize("name", FORMATS)
def test_numbers_a_law_makes_up_have_the_dtype_it_speaks_of(name: str) -> None:
    like = np.zeros(1, FORMATS[name].dtype)
    first, second = (normal(11, (40, 50), like, 3.0) for _ in range(2))
    assert first.dtype == like.dtype
    assert np.array_equal(first, second), "the same seed gives the same numbers"
    assert not np.array_equal(first, normal(12, (40, 50), like, 3.0))
    assert isinstance(normal(11, (), like), np.ndarray), "a cotangent of a scalar result is an array, too"
    # 2000 numbers of standard deviation 3: five standard errors of it, and the rounding of the format
    assert abs(first.astype(np.float64).std() - 3) < 3 * (5 / np.sqrt(2 * 2000) + FORMATS[name].unit_roundoff)
    assert np.isfinite(np.asarray(huge(like)).astype(like.dtype).astype(np.float64))
    assert huge(like) == min(1e10, FORMATS[name].largest / 1000)


def test_rewriting_leaves_the_original() -> None:
    original = np.zeros((2, 3))
    copy = rewritten(original, (slice(None), 1), 5)
    assert copy.tolist() == [[0, 5, 0], [0, 5, 0]]
    assert not original.any()


def test_draws_are_cheap() -> None:
    """A law takes some milliseconds per example; drawing is to be the smaller part, also on a busy machine."""
    strategy = st.tuples(extents(4, edges=(2,)), arrays((4, 5, 6), (7, 8)), ids((5, 6), 9), masks((5, 6)))
    drawn(strategy, 10)
    start = time.process_time()
    drawn(strategy, 200)
    assert (time.process_time() - start) / 200 < 0.01


def test_counterexamples_shrink_to_the_smallest_sizes() -> None:
    found = find(extents(4), lambda sizes: sizes[2] > sizes[1], settings=settings(database=None, derandomize=True))
    assert found == (1, 1, 2, 1)


@pytest.mark.parametrize(
    ("count", "least", "squared"), [(1, 1, ()), (3, 1, ()), (5, 3, (2,)), (9, 1, ()), (6, 1, (1, 3, 4))]
)
def test_moderate_sizes_are_large_on_every_axis_as_far_as_the_bulk_goes(
    count: int, least: int, squared: tuple[int, ...]
) -> None:
    found = drawn(at_moderate_sizes(extents(count, least=least, squared=squared)), 60)
    bulks = [np.prod([n ** (2 if axis in squared else 1) for axis, n in enumerate(sizes)]) for sizes in found]
    assert min(map(min, found)) >= max(2, least)
    assert max(bulks) <= 2 * BULK
    assert all({sizes[axis] for sizes in found} - {max(2, least)} for axis in range(count))
    if count == 3:
        outside = drawn(extents(count, least=least), 60)
        assert 20 * np.median([np.prod(sizes) for sizes in outside]) < np.median(bulks), "nothing else is like that"


def test_numbers_of_moderate_arrays_are_normal() -> None:
    (array,) = drawn(at_moderate_sizes(arrays((50, 40))), 1)
    assert abs(array.mean()) < 0.2
    assert 0.9 < array.std() < 1.1
    assert not (drawn(at_moderate_sizes(arrays((9, 9), textures=("integers",))), 3)[2] % 1).any()

"""Sinusoidal positions: waves of many lengths, read at a position, say where it is.

Note of 2021-10-28. Position p is written down as the sines and cosines of p w_i, with frequencies w_i that fall
geometrically from 1 towards 1/10000: column 2i is sin(p w_i), column 2i + 1 is cos(p w_i), and w_i = 10000^(-2i/d) for
width d (Vaswani et al., Attention Is All You Need, 2017, section 3.5). Two columns of one frequency are a point on a
circle, and moving on by k positions turns each circle by an angle that depends on k alone.

Claimed: the inner product of two rows depends on their distance only; the row of p + k is a rotation of the row of p;
rows of the first ten thousand positions differ; a row does not depend on how many others there are. Not claimed: that
a model trained on short sequences understands longer ones.

Conventions. tensor2tensor and fairseq put all sines before all cosines and divide the exponent by d/2 - 1, which for
d = 2 divides by zero; fairseq counts positions from behind the padding id. Here an odd width ends on a sine, where
tensor2tensor appends a zero. Positions are integers, negative ones included. They and the angles are taken in double
precision whatever the result is, which is rounded once, at the end: that is what the error bound allows. Most libraries
form angles in single precision, and are off by p 2^-24 radians and more: 0.06 at a million, where a result in single
precision has room for 3e-8. In half precision position 2049 does not even exist, in bfloat16 257. In double the
angle's own error remains, about p times 1e-15.

Erratum. Rows are not the less alike the farther they are apart: the inner product of two rows is a sum of cosines of
their distance, and ripples. At width 512 it first rises from lag 43 to lag 44. Shown by
rows_farther_apart_may_be_more_alike and at_width_512_likeness_first_rises_at_lag_44.
"""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    FORMATS,
    Arguments,
    Array,
    Claim,
    Cost,
    Ids,
    Implementation,
    all_of,
    asbounded,
    at_most,
    closely,
    exactly,
    extents,
    fault,
    law,
    operation,
    refused,
    require,
    rounded,
    seeds,
    workload,
)
from layerlaws.language import strategies as st

LANDMARKS = (0, 1, 255, 256, 257, 2047, 2048, 2049, 4999, 5000, 65504, 65535, 65536, 65537, 999_999, 1_000_000)
"""Where whole numbers leave a format, and where tables end."""


@st.composite
def waves(draw: st.DrawFn, least: int = 1, even: bool = False) -> Arguments:
    """Positions, consecutive or anywhere, half of them small, and a width. least: of the width, which may be even."""
    count, narrow = draw(extents(2, edges=(0, 1)))
    far = draw(st.sampled_from((20, 20, 1000, 1_000_000)))
    generator = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from(("consecutive", "anywhere", "both signs", "landmarks")))
    if kind == "consecutive":
        positions = generator.integers(0, far + 1) * draw(st.integers(0, 1)) + np.arange(count)
    elif kind == "landmarks":
        positions = generator.choice(LANDMARKS, count)
    else:
        positions = generator.integers(-far if kind == "both signs" else 0, far + 1, count)
    width = narrow + least - 1
    return {"positions": positions, "width": width + width % 2 if even else width, "dtype": "float64"}


DOUBLE = FORMATS["float64"]
"""What angles are formed in, whatever the results are."""


def frequencies(width: int, start: int = 0) -> Array:
    """w_i = 10000^(-2i / width) for each pair of columns i, the last one of an odd width included."""
    pairs = asbounded(np.arange(start, start + (width + 1) // 2), DOUBLE)
    return np.exp(-2.0 * pairs / width * np.log(asbounded(10000.0, DOUBLE)))


def interleaved(angles: Array, width: int) -> Array:
    """(T, pairs) angles  ->  (T, width): sin, cos, sin, cos, ..."""
    columns = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    return columns.reshape(len(angles), 2 * angles.shape[1])[:, :width]


@operation(inputs=waves())
def sinusoidal_positions(positions: Ids, width: int, dtype: str) -> Array:
    """sin(p 10000^(-2i / width)) in column 2i, cos of the same in column 2i + 1; an odd width ends on a sine.

    positions (T,) int64, width >= 1, dtype the name of the result's format  ->  (T, width)
    """
    require(width >= 1, f"width must be at least 1, not {width}")
    require(dtype in FORMATS, f"dtype must be one of {', '.join(FORMATS)}, not {dtype}")
    angles = asbounded(positions, DOUBLE)[:, None] * frequencies(width)
    return rounded(interleaved(angles, width), dtype)


def _checked(positions: Ids, width: int, dtype: str) -> Array:
    """The positions in double, after what the definition refuses."""
    sinusoidal_positions(positions[:1], width, dtype)
    return asbounded(positions, DOUBLE)[:, None]


def _doubled(x: Array) -> Array:
    """Numbers that a faulty step has left, as exact ones to go on with in double."""
    return asbounded(np.asarray(x, np.float64), DOUBLE)


@fault(
    sinusoidal_positions,
    breaks="agrees_with_definition",
    kind="contract",
    repair="Round it to dtype.",
)
def always_in_double(positions: Ids, width: int, dtype: str) -> Array:
    """The result is in double, whatever dtype says, and widens all that it is added to."""
    return sinusoidal_positions(positions, width, dtype).value.astype(np.float64)


@law()
def position_zero_is_zeros_and_ones(
    sinusoidal_positions: Implementation, positions: Ids, width: int, dtype: str
) -> Claim:
    """At position 0 all sines are 0 and all cosines are 1: the row is 0, 1, 0, 1, ..."""
    zeros = np.zeros_like(positions)
    expected = np.broadcast_to(np.arange(width) % 2, (len(positions), width))
    return closely(sinusoidal_positions(positions=zeros, width=width, dtype=dtype), expected)


whole_pairs = waves(least=2)


def pairs_of(rows: Array) -> tuple[Array, Array]:
    """The sines and the cosines of whole pairs of columns: without the last sine of an odd width."""
    whole = rows.shape[1] // 2 * 2
    return rows[:, 0:whole:2], rows[:, 1:whole:2]


@law(inputs=whole_pairs)
def each_pair_of_columns_lies_on_the_unit_circle(
    sinusoidal_positions: Implementation, positions: Ids, width: int, dtype: str
) -> Claim:
    """sin^2 + cos^2 = 1 in columns 2i and 2i + 1: they are of one angle."""
    sines, cosines = pairs_of(sinusoidal_positions(positions=positions, width=width, dtype=dtype))
    return closely(np.square(sines) + np.square(cosines), np.ones(sines.shape))


@fault(
    sinusoidal_positions,
    breaks=(position_zero_is_zeros_and_ones, each_pair_of_columns_lies_on_the_unit_circle),
    kind="order",
    repair="They alternate.",
    seen="https://github.com/facebookresearch/fairseq/issues/4648",
)
def all_sines_before_all_cosines(positions: Ids, width: int, dtype: str) -> Array:
    """The first half are sines, the second half cosines, as in tensor2tensor."""
    angles = _checked(positions, width, dtype) * frequencies(width)
    return rounded(np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :width], dtype)


@fault(
    sinusoidal_positions,
    breaks=(position_zero_is_zeros_and_ones, each_pair_of_columns_lies_on_the_unit_circle),
    kind="boundary",
    repair="Its cosines are 1.",
    seen="https://github.com/jadore801120/attention-is-all-you-need-pytorch/issues/99",
)
def position_zero_is_padding(positions: Ids, width: int, dtype: str) -> Array:
    """The row of position 0 is set to zeros, for padding, though the first word has it."""
    return np.where((positions == 0)[:, None], 0.0, sinusoidal_positions(positions, width, dtype))


@law()
def four_columns_are_two_plain_waves(
    sinusoidal_positions: Implementation, positions: Ids, width: int, dtype: str
) -> Claim:
    """At width 4 the row of p is sin p, cos p, sin p/100, cos p/100."""
    angles = asbounded(positions, DOUBLE)[:, None] / np.array([1.0, 100.0])
    rows = sinusoidal_positions(positions=positions, width=4, dtype=dtype)
    return closely(rows, rounded(interleaved(angles, 4), dtype))


@fault(
    sinusoidal_positions,
    breaks=four_columns_are_two_plain_waves,
    kind="formula",
    repair="The base is 10000.",
    seen="https://github.com/maxjcohen/transformer/issues/62",
)
def a_base_of_1000(positions: Ids, width: int, dtype: str) -> Array:
    """The frequencies fall towards 1/1000."""
    lower = _doubled(1000.0 ** (-2.0 * np.arange((width + 1) // 2) / width))
    return rounded(interleaved(_checked(positions, width, dtype) * lower, width), dtype)


@law()
def every_other_pair_of_twice_the_width(
    sinusoidal_positions: Implementation, positions: Ids, width: int, dtype: str
) -> Claim:
    """Twice the width has the same waves and one more between any two, so that an odd width ends on a sine, too."""
    rows = sinusoidal_positions(positions=positions, width=width, dtype=dtype)
    finer = sinusoidal_positions(positions=positions, width=2 * width, dtype=dtype)
    columns = np.arange(width)
    return closely(rows, finer[:, columns + columns // 2 * 2])


@fault(
    sinusoidal_positions,
    breaks=(four_columns_are_two_plain_waves, every_other_pair_of_twice_the_width),
    kind="scale",
    repair="Divide 2i by d.",
    seen="https://github.com/ml-explore/mlx/pull/3614",
)
def one_pair_fewer_in_the_divisor(positions: Ids, width: int, dtype: str) -> Array:
    """The exponent is divided by d/2 - 1, so that the last frequency is 1/10000."""
    pairs = (width + 1) // 2
    lower = _doubled(10000.0 ** (-np.arange(pairs) / max(pairs - 1, 1)))
    return rounded(interleaved(_checked(positions, width, dtype) * lower, width), dtype)


@fault(
    sinusoidal_positions,
    breaks=(four_columns_are_two_plain_waves, every_other_pair_of_twice_the_width),
    kind="formula",
    repair="Put d / 2 in brackets.",
    seen="https://github.com/zju3dv/LoFTR/issues/41",
)
def floors_the_exponent(positions: Ids, width: int, dtype: str) -> Array:
    """-log(10000) / d // 2 is floored after the division, to -1 for most widths."""
    powers = np.arange((width + 1) // 2) * (-np.log(10000.0) / width // 2)
    return rounded(interleaved(_checked(positions, width, dtype) * _doubled(np.exp(powers)), width), dtype)


@fault(
    sinusoidal_positions,
    breaks=every_other_pair_of_twice_the_width,
    kind="boundary",
    repair="Its last column is a sine.",
)
def an_odd_width_ends_on_zero(positions: Ids, width: int, dtype: str) -> Array:
    """An odd width is the even one below it and a column of zeros, as in tensor2tensor."""
    angles = _checked(positions, width, dtype) * frequencies(width)
    rows = interleaved(angles, width)
    return rounded(np.where((np.arange(width) == width - 1) & (width % 2 == 1), 0.0, rows), dtype)


@fault(
    sinusoidal_positions,
    breaks=every_other_pair_of_twice_the_width,
    kind="scale",
    repair="Frequencies belong to the width itself.",
)
def an_odd_width_is_cut_from_the_next(positions: Ids, width: int, dtype: str) -> Array:
    """For an odd width the waves of the next even one are computed and cut."""
    angles = _checked(positions, width, dtype) * frequencies(width + width % 2)
    return rounded(interleaved(angles, width), dtype)


@law()
def negative_positions_mirror_the_waves(
    sinusoidal_positions: Implementation, positions: Ids, width: int, dtype: str
) -> Claim:
    """At -p the sines change their sign and the cosines do not: positions may be any integers."""
    rows = sinusoidal_positions(positions=positions, width=width, dtype=dtype)
    mirrored = sinusoidal_positions(positions=-positions, width=width, dtype=dtype)
    return closely(mirrored, np.where(np.arange(width) % 2 == 0, -rows, rows))


@fault(
    sinusoidal_positions,
    breaks=(position_zero_is_zeros_and_ones, negative_positions_mirror_the_waves),
    kind="shift",
    repair="Position 0 is 0.",
    seen="https://github.com/facebookresearch/fairseq/issues/1177",
)
def positions_behind_the_padding(positions: Ids, width: int, dtype: str) -> Array:
    """Positions count from the padding id + 1, here 2."""
    return sinusoidal_positions(positions + 2, width, dtype)


far_positions = st.builds(
    lambda seed, count, width: {
        "positions": np.random.default_rng(seed).integers(2049, 1_000_001, count),
        "width": width,
        "dtype": "float64",
    },
    seeds,
    st.integers(1, 5),
    st.integers(1, 9),
)


@law(inputs=far_positions)
def a_million_is_as_exact_as_one(sinusoidal_positions: Implementation, inputs: Arguments) -> Claim:
    """Positions beyond what half precision counts to, up to a million, are exact, and so are their angles: a result in
    single precision or less is off by its own rounding and hardly more.
    """
    computed, expected = sinusoidal_positions.compare(**inputs)
    return closely(computed, expected.value, names=("returned", "expected"))


@law(cut=st.integers(0, 300))
def more_positions_leave_the_first_rows_alone(
    sinusoidal_positions: Implementation, positions: Ids, width: int, dtype: str, cut: int
) -> Claim:
    """The rows of the first positions are the same, however many follow."""
    kept = cut % len(positions) + 1
    whole = sinusoidal_positions(positions=positions, width=width, dtype=dtype)
    return closely(sinusoidal_positions(positions=positions[:kept], width=width, dtype=dtype), whole[:kept])


@fault(
    sinusoidal_positions,
    breaks=(more_positions_leave_the_first_rows_alone, four_columns_are_two_plain_waves),
    kind="scale",
    repair="Take them as they are.",
)
def positions_as_shares_of_the_length(positions: Ids, width: int, dtype: str) -> Array:
    """Positions are divided by how many there are, so that each row changes with the length."""
    shares = _checked(positions, width, dtype) / float(len(positions))
    return rounded(interleaved(shares * frequencies(width), width), dtype)


@law(seed=seeds)
def a_row_depends_on_its_position_only(
    sinusoidal_positions: Implementation, positions: Ids, width: int, dtype: str, seed: int
) -> Claim:
    """Positions in any order, repeated or left out, have the rows they had: no row asks where it stands."""
    chosen = np.random.default_rng(seed).integers(0, len(positions), len(positions))
    whole = sinusoidal_positions(positions=positions, width=width, dtype=dtype)
    return closely(sinusoidal_positions(positions=positions[chosen], width=width, dtype=dtype), whole[chosen])


@fault(
    sinusoidal_positions,
    breaks=a_row_depends_on_its_position_only,
    kind="contract",
    repair="Read the argument.",
)
def numbers_the_rows_itself(positions: Ids, width: int, dtype: str) -> Array:
    """Rows are numbered 0, 1, 2, ... whatever positions were asked for."""
    return sinusoidal_positions(np.arange(len(positions)), width, dtype)


offsets = st.one_of(st.integers(-20, 20), st.sampled_from((1885, 2049, 65_537, 1_000_000)))


@law(inputs=whole_pairs, offset=offsets)
def moving_on_turns_every_pair(
    sinusoidal_positions: Implementation, positions: Ids, width: int, dtype: str, offset: int
) -> Claim:
    """The row of p + k is the row of p with each pair turned by the angle that k alone has."""
    sines, cosines = pairs_of(sinusoidal_positions(positions=positions, width=width, dtype=dtype))
    turn = pairs_of(sinusoidal_positions(positions=np.array([offset]), width=width, dtype=dtype))
    moved = pairs_of(sinusoidal_positions(positions=positions + offset, width=width, dtype=dtype))
    return all_of(
        closely(moved[0], sines * turn[1] + cosines * turn[0]),
        closely(moved[1], cosines * turn[1] - sines * turn[0]),
    )


def _plain_frequencies(width: int) -> Array:
    return 10000.0 ** (-2.0 * np.arange((width + 1) // 2) / width)


@fault(
    sinusoidal_positions,
    breaks=(a_million_is_as_exact_as_one, four_columns_are_two_plain_waves, moving_on_turns_every_pair),
    kind="precision",
    repair="Form them in double, and round the result.",
    seen="https://github.com/tinygrad/tinygrad/pull/4587",
)
def angles_in_the_precision_of_the_result(positions: Ids, width: int, dtype: str) -> Array:
    """Positions, frequencies and angles are formed in the format of the result (in single precision for double), as
    the thread's were in half.
    """
    _checked(positions, width, dtype)
    narrow = np.dtype(np.float32) if dtype == "float64" else FORMATS[dtype].dtype
    angles = positions.astype(narrow)[:, None] * _plain_frequencies(width).astype(narrow)
    return rounded(interleaved(_doubled(angles), width), dtype)


@law(inputs=waves(least=2, even=True), offset=offsets)
def inner_products_depend_on_the_distance_only(
    sinusoidal_positions: Implementation, positions: Ids, width: int, dtype: str, offset: int
) -> Claim:
    """For an even width, moving all positions on together leaves all inner products of rows as they are."""
    rows = sinusoidal_positions(positions=positions, width=width, dtype=dtype)
    moved = sinusoidal_positions(positions=positions + offset, width=width, dtype=dtype)
    return closely(moved @ moved.T, rows @ rows.T)


first_ten_thousand = st.builds(
    lambda width: {"positions": np.arange(10_000), "width": width, "dtype": "float64"}, st.integers(4, 12)
)


@law(inputs=first_ten_thousand, examples=10)
def the_first_ten_thousand_rows_differ(sinusoidal_positions: Implementation, inputs: Arguments) -> Claim:
    """From width 4 on no two of the positions below 10000 share a row, in whatever format."""
    rows = sinusoidal_positions(**inputs).value.astype(np.float64)
    return exactly(len(np.unique(rows, axis=0)), len(rows))


@fault(
    sinusoidal_positions,
    breaks=(a_million_is_as_exact_as_one, the_first_ten_thousand_rows_differ),
    kind="precision",
    repair="Keep them integers, or in double.",
    seen="https://github.com/wfondrie/depthcharge/pull/82",
)
def positions_in_half_precision(positions: Ids, width: int, dtype: str) -> Array:
    """Positions go through eight bits, those of bfloat16, under automatic mixed precision: from 257 on neighbours
    coincide.
    """
    _checked(positions, width, dtype)
    mantissa, exponent = np.frexp(positions.astype(np.float64))
    coarse = np.ldexp(np.rint(np.ldexp(mantissa, 8)), exponent - 8)
    return rounded(interleaved(_doubled(coarse)[:, None] * frequencies(width), width), dtype)


@fault(
    sinusoidal_positions,
    breaks=(the_first_ten_thousand_rows_differ, a_million_is_as_exact_as_one, negative_positions_mirror_the_waves),
    kind="size",
    repair="Compute the waves.",
)
def a_table_of_5000_rows(positions: Ids, width: int, dtype: str) -> Array:
    """Rows are looked up in a table of 5000, and positions outside it get its first or its last."""
    _checked(positions, width, dtype)
    return sinusoidal_positions(np.clip(positions, 0, 4999), width, dtype)


@fault(
    sinusoidal_positions,
    breaks=(a_row_depends_on_its_position_only, the_first_ten_thousand_rows_differ),
    kind="formula",
    repair="Slice it.",
    seen="https://github.com/DiffPoseTalk/DiffPoseTalk/issues/20",
)
def one_row_for_all(positions: Ids, width: int, dtype: str) -> Array:
    """The table is indexed by the length instead of up to it, and all positions get the last row."""
    rows = sinusoidal_positions(positions, width, dtype)
    return np.broadcast_to(rows[-1:], rows.shape)


starts_and_widths = st.fixed_dictionaries(
    {"start": st.sampled_from((0, 1, 100, 4096)), "width": st.sampled_from((2, 4, 6, 8)), "dtype": st.just("float64")}
)


def likeness(operation: Implementation, start: int, width: int, dtype: str) -> Array:
    """The inner products of a row with itself and the 44 rows after it, added up in double."""
    rows = rounded(operation(positions=np.arange(start, start + 45), width=width, dtype=dtype), DOUBLE)
    return rows @ rows[0]


@law(inputs=starts_and_widths, examples=8)
def rows_farther_apart_may_be_more_alike(
    sinusoidal_positions: Implementation, start: int, width: int, dtype: str
) -> Claim:
    """Erratum. Rows 6 apart, about once round the fastest circle, have a larger inner product than rows 3 apart."""
    found = likeness(sinusoidal_positions, start, width, dtype)
    return at_most(found[3], found[6])


@fault(
    sinusoidal_positions,
    breaks=(four_columns_are_two_plain_waves, rows_farther_apart_may_be_more_alike),
    kind="shift",
    repair="Count pairs from 0.",
)
def pairs_counted_from_one(positions: Ids, width: int, dtype: str) -> Array:
    """The first pair already has the exponent 2/d, and the fastest wave is missing."""
    return rounded(interleaved(_checked(positions, width, dtype) * frequencies(width, start=1), width), dtype)


@law(inputs=starts_and_widths, examples=4)
def at_width_512_likeness_first_rises_at_lag_44(sinusoidal_positions: Implementation, start: int, dtype: str) -> Claim:
    """Erratum. The inner product with a row falls with the distance up to lag 43 only, and rises from there to 44."""
    found = likeness(sinusoidal_positions, start, 512, dtype)
    return all_of(at_most(found[1:44], found[:43]), at_most(found[43], found[44]))


@fault(
    sinusoidal_positions,
    breaks=(
        each_pair_of_columns_lies_on_the_unit_circle,
        inner_products_depend_on_the_distance_only,
        moving_on_turns_every_pair,
        at_width_512_likeness_first_rises_at_lag_44,
    ),
    kind="formula",
    repair="Both of pair i have 2i/d.",
    seen="https://github.com/shenweichen/DeepCTR/issues/379",
)
def a_frequency_for_every_column(positions: Ids, width: int, dtype: str) -> Array:
    """Column j has the exponent 2j/d, a sine and its cosine another one each."""
    columns = _checked(positions, width, dtype) * _doubled(10000.0 ** (-2.0 * np.arange(width) / width))
    return rounded(np.where(np.arange(width) % 2 == 0, np.sin(columns), np.cos(columns)), dtype)


@fault(
    sinusoidal_positions,
    breaks=(four_columns_are_two_plain_waves, at_width_512_likeness_first_rises_at_lag_44),
    kind="scale",
    repair="Take them as they are.",
)
def squeezes_positions_together(positions: Ids, width: int, dtype: str) -> Array:
    """Positions are halved to reach twice as far, as position interpolation does."""
    return rounded(interleaved(_checked(positions, width, dtype) / 2.0 * frequencies(width), width), dtype)


@law(bad=st.sampled_from((0, -1, -2)), examples=20)
def a_row_without_columns_is_refused(
    sinusoidal_positions: Implementation, positions: Ids, width: int, dtype: str, bad: int
) -> Claim:
    """Any width from 1 on will do, and none below."""
    return refused(sinusoidal_positions, "width", {"positions": positions, "width": bad, "dtype": dtype})


@fault(
    sinusoidal_positions,
    breaks=a_row_without_columns_is_refused,
    kind="refusal",
    repair="Refuse it.",
)
def rows_of_no_columns(positions: Ids, width: int, dtype: str) -> Array:
    """A width of 0 gives rows without columns."""
    if width < 1:
        return np.zeros((len(positions), 0), FORMATS[dtype].dtype)
    return sinusoidal_positions(positions, width, dtype)


@workload(sinusoidal_positions, sizes={"T": 4096, "D": 512}, cost=lambda T, D: Cost(flops=2 * T * D, moved=T * D))
def transformer_positions(random: np.random.Generator, T: int, D: int) -> Arguments:
    """The positions 0 to 4,095 at the width of the base Transformer (Vaswani et al. 2017, section 3.5 and table 3)."""
    return {"positions": np.arange(T), "width": D, "dtype": "float32"}

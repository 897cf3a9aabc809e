"""BERT's embedding layers: token, segment and position are looked up, summed and normalized.

Note of 2021-12-08. A word of BERT's input is the sum of three rows: of the table of tokens, of the table of segments
and of the table of positions, learned all three, followed by layer normalization (Devlin, Chang, Lee, Toutanova, BERT:
Pre-training of Deep Bidirectional Transformers, 2019, section 3 and figure 2; Ba, Kiros, Hinton, Layer Normalization,
2016, section 3). The segment says to which of two inputs a token belongs: [CLS] A [SEP] B [SEP].

Claimed: the segment table has exactly two rows, row 0 for every token of the first input and row 1 for those of the
second. Not claimed: anything about dropout, which follows in training.

Conventions. The variance is biased and epsilon stands inside the root, 1e-12 in BERT. The Annotated Transformer divides
by the unbiased deviation plus epsilon. Flax computes the variance in one pass by default (`use_fast_variance`), as the
mean square minus the squared mean: that loses the square of |mean| / deviation to rounding, where any implementation
loses the factor itself. RoBERTa counts positions from the padding id + 1.

Erratum. Two rows is a configuration: Google's BertConfig defaults to a table of 16 rows, and the released models use 2.
Shown by the_segment_table_has_exactly_two_rows.

Erratum. Row 0 is not for the tokens of the first input alone: [CLS] and the first [SEP] have it, too, and the last
[SEP] has row 1. Shown by one_segment_follows_the_other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws import Claim, Cost, all_of, asbounded, closely, differ, exactly, fault, law, operation, refused, workload
from layerlaws.language import strategies as st
from layerlaws.language.inputs import PLAIN, TEXTURES, arrays, extents, huge, ids, normal, rewritten, seeds
from layerlaws.language.workloads import zipf
from layerlaws.numerics.mathematics import ids_within, layer_norm, one_hot, require

# --- inputs ---------------------------------------------------------------------------------------------------

lengths = st.integers(0, 20)

pair_lengths = st.fixed_dictionaries({"first_length": lengths, "second_length": st.one_of(st.none(), lengths)})

epsilons = st.sampled_from([1e-12, 1e-5, 0.1])


@st.composite
def sentences(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), least: int = 1) -> dict[str, Any]:
    """Token and segment ids with tables for them; there may be more positions than tokens. least: of the width."""
    batch, length, vocabulary, spare, narrow = draw(extents(5, edges=(1, 2, 4)))
    width = narrow + least - 1
    token_table, segment_table, position_table, scale, shift = draw(
        arrays((vocabulary, width), (2, width), (length + spare - 1, width), (width,), (width,), textures=textures)
    )
    return {
        "token_ids": draw(ids((batch, length), vocabulary)),
        "segment_ids": draw(ids((batch, length), 2)),
        "token_table": token_table,
        "segment_table": segment_table,
        "position_table": position_table,
        "scale": scale,
        "shift": shift,
        "epsilon": draw(epsilons),
    }


plain_sentences = sentences(textures=PLAIN, least=8)
"""Numbers of one size, and a width from which normalization leaves differences visible."""

normal_sentences = sentences(textures=("normal",), least=8)


# --- definitions ----------------------------------------------------------------------------------------------


@operation(inputs=pair_lengths)
def segment_ids(first_length: int, second_length: int | None) -> Any:
    """0 for [CLS] A [SEP], 1 for B [SEP]; a second length of 0 or None is no second input, and has no [SEP].

    -> (first_length + 2 + second_length + 1,) int64
    """
    require(first_length >= 0, "first_length must not be negative")
    require(second_length is None or second_length >= 0, "second_length must not be negative")
    second = second_length + 1 if second_length else 0
    return np.repeat(np.arange(2), [first_length + 2, second])


@operation(inputs=sentences(), batch=("token_ids", "segment_ids"), differentiable=True)
def bert_embeddings(
    token_ids: Any, segment_ids: Any, token_table: Any, segment_table: Any, position_table: Any,
    scale: Any, shift: Any, epsilon: float,
) -> Any:  # fmt: skip
    """LayerNorm(token_table[token_ids] + segment_table[segment_ids] + position_table[:T]).

    token_ids, segment_ids (B, T) int64, token_table (V, D), segment_table (2, D), position_table (P, D), P >= T,
    scale, shift (D,)  ->  (B, T, D)
    """
    length, (positions, width) = token_ids.shape[1], position_table.shape
    require(segment_ids.shape == token_ids.shape, f"segment_ids has shape {segment_ids.shape}, not {token_ids.shape}")
    require(segment_table.shape[0] == 2, f"segment_table has {segment_table.shape[0]} rows, not 2")
    require(length <= positions, f"position_table has {positions} rows, fewer than {length} tokens")
    for name, array in (
        ("token_table", token_table),
        ("segment_table", segment_table),
        ("scale", scale),
        ("shift", shift),
    ):
        require(array.shape[-1] == width, f"{name} has width {array.shape[-1]}, position_table {width}")
    ids_within(token_ids, token_table.shape[0], "token_ids")
    ids_within(segment_ids, 2, "segment_ids")
    tokens = token_table[token_ids]
    rows = [tokens, segment_table[segment_ids], np.broadcast_to(position_table[:length], tokens.shape)]
    return layer_norm(np.sum(np.stack(rows), axis=0), scale, shift, epsilon)  # one sum of three, in any order


# --- laws: segments -------------------------------------------------------------------------------------------


@law()
def one_segment_follows_the_other(segment_ids: Any, first_length: int, second_length: int | None) -> Claim:
    """Erratum. Row 0 goes to the first input with its [CLS] and its [SEP], row 1 to the second with its [SEP]."""
    found = segment_ids(first_length=first_length, second_length=second_length)
    second = second_length + 1 if second_length else 0
    return all_of(
        exactly(np.bincount(found, minlength=2), np.array([first_length + 2, second])),
        exactly(found, np.sort(found)),
    )


@law()
def no_second_input_has_no_separator(segment_ids: Any, first_length: int, second_length: int | None) -> Claim:
    """A second input of length 0 is none: the ids are zeros for [CLS] A [SEP], and nothing follows."""
    zeros = np.zeros(first_length + 2, np.int64)
    return all_of(*(exactly(segment_ids(first_length=first_length, second_length=none), zeros) for none in (None, 0)))


@law(negative=st.integers(-3, -1), examples=20)
def negative_lengths_are_refused(
    segment_ids: Any, first_length: int, second_length: int | None, negative: int
) -> Claim:
    """Neither input has fewer tokens than none."""
    return all_of(
        refused(segment_ids, "first_length", {"first_length": negative, "second_length": second_length}),
        refused(segment_ids, "second_length", {"first_length": first_length, "second_length": negative}),
    )


@law(rows=st.sampled_from([1, 3, 16]))
def the_segment_table_has_exactly_two_rows(bert_embeddings: Any, inputs: dict[str, Any], rows: int) -> Claim:
    """One row is refused, and so are three and the 16 that the original configuration defaults to."""
    table = np.resize(inputs["segment_table"], (rows, inputs["segment_table"].shape[1]))
    zeros = np.zeros_like(inputs["segment_ids"])
    return refused(bert_embeddings, "segment_table", {**inputs, "segment_table": table, "segment_ids": zeros})


@law(bad=st.sampled_from([-2, -1, 2, 3, 15]), place=seeds, examples=20)
def a_third_segment_is_refused(bert_embeddings: Any, inputs: dict[str, Any], bad: int, place: int) -> Claim:
    """A segment id is 0 or 1; no other is wrapped around, clipped or looked up."""
    found = inputs["segment_ids"]
    spoilt = rewritten(found, np.unravel_index(place % found.size, found.shape), bad)
    return refused(bert_embeddings, "segment_ids", {**inputs, "segment_ids": spoilt})


@law(inputs=plain_sentences)
def the_other_segment_changes_the_result(bert_embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """Exchanging the segments of all tokens alone changes the result."""
    exchanged = {**inputs, "segment_ids": 1 - inputs["segment_ids"]}
    return differ(
        bert_embeddings(**inputs),
        bert_embeddings(**exchanged),
        expected=(bert_embeddings.definition(**inputs), bert_embeddings.definition(**exchanged)),
    )


@law()
def exchanging_ids_and_rows_changes_nothing(bert_embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """Segment ids are names: with the two rows exchanged as well, the result is the same."""
    renamed = {"segment_ids": 1 - inputs["segment_ids"], "segment_table": inputs["segment_table"][::-1]}
    return closely(bert_embeddings(**{**inputs, **renamed}), bert_embeddings(**inputs))


@law(inputs=normal_sentences, lengths=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def a_pair_is_told_from_one_input(
    bert_embeddings: Any, segment_ids: Any, inputs: dict[str, Any], lengths: tuple[int, int]
) -> Claim:
    """The same tokens read as a pair and as one input agree up to the first [SEP] and on nothing after it."""
    first, second = lengths
    size = first + second + 3
    width = inputs["token_table"].shape[1]
    pair = segment_ids(first_length=first, second_length=second)
    single = segment_ids(first_length=first + second + 1, second_length=None)
    sequence = {
        **inputs,
        "token_ids": np.arange(size)[None] % len(inputs["token_table"]),
        "position_table": normal(size, (size, width), inputs["scale"]),
        "scale": np.ones_like(inputs["scale"]),
    }
    computed, expected = zip(
        *(bert_embeddings.compare(**{**sequence, "segment_ids": found[None]}) for found in (pair, single)), strict=True
    )
    after = slice(first + 2, None)
    return all_of(
        closely(computed[0][:, : first + 2], computed[1][:, : first + 2]),
        *(
            differ(computed[0][:, i], computed[1][:, i], expected=(expected[0][:, i], expected[1][:, i]))
            for i in range(size)[after]
        ),
    )


# --- laws: the sum of three rows ------------------------------------------------------------------------------


@law()
def three_look_ups_are_one_product(bert_embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """The sum of the three rows is one row of three ones times the three tables on top of each other."""
    tables = [asbounded(inputs[name]) for name in ("token_table", "segment_table", "position_table")]
    counts = [len(table) for table in tables]
    places = np.broadcast_to(np.arange(inputs["token_ids"].shape[1]), inputs["token_ids"].shape)
    chosen = np.concatenate(
        [one_hot(x, n) for x, n in zip((inputs["token_ids"], inputs["segment_ids"], places), counts, strict=True)],
        axis=-1,
    )
    summed = chosen @ np.concatenate(tables)
    scale, shift = asbounded(inputs["scale"]), asbounded(inputs["shift"])
    normalized = layer_norm(summed, scale, shift, inputs["epsilon"])
    return closely(bert_embeddings(**inputs), normalized)


@law(seed=seeds)
def a_vector_may_move_from_the_tokens_to_the_segments(bert_embeddings: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Added to every token and taken from both segments, a vector changes nothing: only the sum counts."""
    vector = asbounded(normal(seed, inputs["scale"].shape, inputs["scale"]))
    moved = {"token_table": inputs["token_table"] + vector, "segment_table": inputs["segment_table"] - vector}
    return closely(bert_embeddings(**{**inputs, **moved}), bert_embeddings(**inputs))


@law(seed=seeds)
def unused_rows_have_no_effect(bert_embeddings: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Rows of tokens, segments and positions that do not occur may hold anything."""
    used = {
        "token_table": inputs["token_ids"],
        "segment_table": inputs["segment_ids"],
        "position_table": np.arange(inputs["token_ids"].shape[1]),
    }
    others = {}
    for name, found in used.items():
        unused = ~np.isin(np.arange(len(inputs[name])), found)
        noise = normal(seed, inputs[name].shape, inputs[name], 100)
        others[name] = np.where(unused[:, None], noise + inputs[name].dtype.type(huge(noise)), inputs[name])
    return closely(bert_embeddings(**{**inputs, **others}), bert_embeddings(**inputs))


@law(seed=seeds)
def with_equal_positions_order_does_not_matter(bert_embeddings: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """Where all rows of the position table are equal, permuted tokens with their segments give permuted results."""
    order = np.random.default_rng(seed).permutation(inputs["token_ids"].shape[1])
    flat = {**inputs, "position_table": np.repeat(inputs["position_table"][:1], len(inputs["position_table"]), axis=0)}
    permuted = {**flat, "token_ids": flat["token_ids"][:, order], "segment_ids": flat["segment_ids"][:, order]}
    return closely(bert_embeddings(**permuted), bert_embeddings(**flat)[:, order])


@law(inputs=normal_sentences, seed=seeds)
def position_tells_tokens_apart(bert_embeddings: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """The same token in the same segment at another position comes out differently."""
    length = inputs["token_ids"].shape[1]
    none = np.zeros((1, length + 1), np.int64)
    table = normal(seed, (length + 1, len(inputs["scale"])), inputs["scale"])
    same = {
        **inputs,
        "token_ids": none,
        "segment_ids": none,
        "position_table": table,
        "scale": np.ones_like(inputs["scale"]),
    }
    computed, expected = bert_embeddings.compare(**same)
    later = (slice(None), 1 + seed % length)
    return differ(computed[:, 0], computed[later], expected=(expected[:, 0], expected[later]))


@law(bad=st.sampled_from([-1, 0, 1, 1000]), place=seeds, examples=20)
def token_ids_outside_the_vocabulary_are_refused(
    bert_embeddings: Any, inputs: dict[str, Any], bad: int, place: int
) -> Claim:
    """A token id lies in [0, V); no other is wrapped around, clipped or looked up."""
    found = inputs["token_ids"]
    wrong = bad if bad < 0 else len(inputs["token_table"]) + bad
    spoilt = rewritten(found, np.unravel_index(place % found.size, found.shape), wrong)
    return refused(bert_embeddings, "token_ids", {**inputs, "token_ids": spoilt})


@law(examples=20)
def more_tokens_than_positions_are_refused(bert_embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """A learned table of positions ends: tokens beyond it have none."""
    short = inputs["position_table"][: inputs["token_ids"].shape[1] - 1]
    return refused(bert_embeddings, "position_table", {**inputs, "position_table": short})


@law(examples=20)
def segment_ids_of_another_length_are_refused(bert_embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """Each token has one segment id: one more than there are tokens is too many, even for a single token."""
    more = np.concatenate([inputs["segment_ids"], inputs["segment_ids"][:, :1]], axis=1)
    return refused(bert_embeddings, "segment_ids", {**inputs, "segment_ids": more})


# --- laws: normalization --------------------------------------------------------------------------------------


@law()
def the_result_has_mean_0_and_a_known_variance(bert_embeddings: Any, inputs: dict[str, Any]) -> Claim:
    """With scale 1 and shift 0 each token has mean 0 and variance v / (v + epsilon), where v is the (biased) variance
    of its sum of rows.
    """
    width = inputs["scale"].shape
    bare = {**inputs, "scale": np.ones(width, inputs["scale"].dtype), "shift": np.zeros(width, inputs["shift"].dtype)}
    result = bert_embeddings(**bare)
    variance = spread(inputs)
    return all_of(
        closely(np.mean(result, axis=-1), np.zeros(result.shape[:-1])),
        closely(np.mean(np.square(result), axis=-1), variance / (variance + inputs["epsilon"])),
    )


def total(inputs: dict[str, Any]) -> Any:
    """The sum of the three rows of each token, before normalization. (B, T, D)."""
    length = inputs["token_ids"].shape[1]
    rows = inputs["token_table"][inputs["token_ids"]], inputs["segment_table"][inputs["segment_ids"]]
    return asbounded(rows[0]) + asbounded(rows[1]) + asbounded(inputs["position_table"][:length])


def spread(inputs: dict[str, Any]) -> Any:
    """The biased variance of that sum. (B, T)."""
    rows = total(inputs)
    return np.mean(np.square(rows - np.mean(rows, axis=-1, keepdims=True)), axis=-1)


@law(inputs=plain_sentences, offset=st.sampled_from([-3.0, 0.3, 2.0]), place=seeds)
def a_constant_added_to_a_row_changes_nothing(
    bert_embeddings: Any, inputs: dict[str, Any], offset: float, place: int
) -> Claim:
    """A number added to all of a row of any table is taken off again with the mean."""
    moved = {}
    for name in ("token_table", "segment_table", "position_table"):
        chosen = np.arange(len(inputs[name])) == place % len(inputs[name])
        moved[name] = np.where(chosen[:, None], asbounded(inputs[name]) + offset, asbounded(inputs[name]))
    return closely(bert_embeddings(**{**inputs, **moved}), bert_embeddings(**inputs))


@law(inputs=normal_sentences)
def a_mean_far_from_zero_costs_a_factor_not_its_square(
    bert_embeddings: Any, inputs: dict[str, Any], format: Any
) -> Claim:
    """Rows whose mean is 1/sqrt(u) times their deviation lose half of the digits to rounding, and not all."""
    far = {**inputs, "token_table": asbounded(inputs["token_table"]) + 2.0 ** (format.precision // 2)}
    return closely(bert_embeddings(**far), bert_embeddings(**inputs))


# --- laws: gradients ------------------------------------------------------------------------------------------


def token_gradients(inputs: dict[str, Any], cotangent: Any) -> Any:
    """The gradient of sum(cotangent * result) by the sum of rows of each token, with its bound. (B, T, D)."""
    rows = total(inputs)
    deviation = np.sqrt(spread(inputs) + inputs["epsilon"])[..., None]
    normalized = (rows - np.mean(rows, axis=-1, keepdims=True)) / deviation
    pulled = asbounded(cotangent) * asbounded(inputs["scale"])
    along = normalized * np.mean(pulled * normalized, axis=-1, keepdims=True)
    return (pulled - np.mean(pulled, axis=-1, keepdims=True) - along) / deviation


@law(inputs=plain_sentences, needs=["gradient"], seed=seeds)
def a_row_s_gradient_is_the_sum_over_its_tokens(bert_embeddings: Any, inputs: dict[str, Any], seed: int) -> Claim:
    """A segment's row gets the gradients of all its tokens, added up, and so do the rows of tokens and positions."""
    cotangent = normal(seed, (*inputs["token_ids"].shape, len(inputs["scale"])), inputs["scale"])
    computed = bert_embeddings.gradient(cotangent, **inputs)
    places = np.broadcast_to(np.arange(inputs["token_ids"].shape[1]), inputs["token_ids"].shape)
    gradients = token_gradients(inputs, cotangent).reshape(-1, cotangent.shape[-1])

    def added(name: str, found: Any) -> Claim:
        return closely(computed[name], one_hot(found.reshape(-1), len(inputs[name])).T @ gradients)

    return all_of(
        added("segment_table", inputs["segment_ids"]),
        added("token_table", inputs["token_ids"]),
        added("position_table", places),
    )


@law(needs=["gradient"], present=st.integers(0, 1), seed=seeds)
def an_absent_segment_gets_no_gradient(bert_embeddings: Any, inputs: dict[str, Any], present: int, seed: int) -> Claim:
    """Where no token belongs to a segment, its row's gradient is exactly 0."""
    cotangent = normal(seed, (*inputs["token_ids"].shape, len(inputs["scale"])), inputs["scale"])
    one = {**inputs, "segment_ids": np.full_like(inputs["segment_ids"], present)}
    gradient = bert_embeddings.gradient(cotangent, **one)["segment_table"]
    return exactly(gradient[1 - present], np.zeros_like(gradient[0]))


# --- faults ---------------------------------------------------------------------------------------------------


@fault(
    segment_ids, breaks="one_segment_follows_the_other", seen="https://github.com/huggingface/transformers/issues/15735"
)
def one_segment_for_both(first_length: int, second_length: int | None) -> Any:
    """All ids are 0, also those of a pair. Give the second input and its [SEP] 1."""
    require(first_length >= 0 and (second_length or 0) >= 0, "lengths are negative")
    return np.zeros(first_length + 2 + (second_length + 1 if second_length else 0), np.int64)


@fault(segment_ids, breaks="one_segment_follows_the_other")
def first_separator_in_the_second_segment(first_length: int, second_length: int | None) -> Any:
    """The second segment starts at the [SEP] between the inputs. That one belongs to the first."""
    require(first_length >= 0 and (second_length or 0) >= 0, "lengths are negative")
    return np.repeat(np.arange(2), [first_length + 1, second_length + 2] if second_length else [first_length + 2, 0])


@fault(segment_ids, breaks="one_segment_follows_the_other")
def a_third_segment_for_the_first_token(first_length: int, second_length: int | None) -> Any:
    """[CLS] has a segment of its own, as in XLNet. It belongs to the first input."""
    found = segment_ids(first_length, second_length)
    return rewritten(found, 0, 2)


@fault(segment_ids, breaks="no_second_input_has_no_separator")
def a_separator_behind_nothing(first_length: int, second_length: int | None) -> Any:
    """A second length of 0 still brings its [SEP]. Without a second input there is none."""
    require(first_length >= 0 and (second_length or 0) >= 0, "lengths are negative")
    return np.repeat(np.arange(2), [first_length + 2, 0 if second_length is None else second_length + 1])


@fault(segment_ids, breaks="negative_lengths_are_refused")
def negative_lengths_count_as_none(first_length: int, second_length: int | None) -> Any:
    """Negative lengths are taken for 0. Refuse them."""
    return segment_ids(max(first_length, 0), max(second_length or 0, 0))


def _embedded(inputs: dict[str, Any], **changed: Any) -> Any:
    """The definition with other arguments, for faults that look up the wrong row."""
    return bert_embeddings(**{**inputs, **changed})


def _normalized(inputs: dict[str, Any]) -> tuple[Any, Any]:
    """What is to be normalized, and a function for the end; refuses what the definition refuses."""
    bert_embeddings(**inputs)
    length = inputs["token_ids"].shape[1]
    rows = inputs["token_table"][inputs["token_ids"]] + inputs["segment_table"][inputs["segment_ids"]]
    return rows + inputs["position_table"][:length], lambda x: x * inputs["scale"] + inputs["shift"]


@fault(bert_embeddings, breaks=("the_other_segment_changes_the_result", "a_pair_is_told_from_one_input",
                                "a_row_s_gradient_is_the_sum_over_its_tokens"),
       seen="https://github.com/huggingface/transformers/issues/263")  # fmt: skip
def everything_is_the_first_segment(**inputs: Any) -> Any:
    """Segment ids are ignored, and each token gets row 0. Look their rows up."""
    _embedded(inputs)
    return _embedded(inputs, segment_ids=np.zeros_like(inputs["segment_ids"]))


@fault(bert_embeddings, breaks="exchanging_ids_and_rows_changes_nothing")
def segment_as_a_number(**inputs: Any) -> Any:
    """The id is multiplied with one row instead of choosing between two. Look the row up."""
    rows = np.stack([np.zeros_like(inputs["segment_table"][0]), inputs["segment_table"][1]])
    _embedded(inputs)
    return _embedded(inputs, segment_table=rows)


@fault(bert_embeddings, breaks="an_absent_segment_gets_no_gradient")
def both_segments_for_every_token(**inputs: Any) -> Any:
    """The mean of the rows is added to each, so that a segment that is absent is changed by training. Add one row."""
    _embedded(inputs)
    mean = inputs["segment_table"].mean(axis=0, keepdims=True)
    return _embedded(inputs, segment_table=inputs["segment_table"] + mean)


@fault(bert_embeddings, breaks="the_segment_table_has_exactly_two_rows")
def takes_a_table_of_any_size(**inputs: Any) -> Any:
    """A table of one or of three rows is accepted, as the configuration has it. Refuse other tables than two rows."""
    ids_within(inputs["segment_ids"], len(inputs["segment_table"]), "segment_ids")
    two = np.resize(inputs["segment_table"], (2, inputs["segment_table"].shape[1]))
    return _embedded(inputs, segment_table=two)


@fault(bert_embeddings, breaks="a_third_segment_is_refused")
def clips_segment_ids(**inputs: Any) -> Any:
    """Segment ids beyond 1 count as 1, those below 0 as 0. Refuse them."""
    return _embedded(inputs, segment_ids=np.clip(inputs["segment_ids"], 0, 1))


@fault(bert_embeddings, breaks="token_ids_outside_the_vocabulary_are_refused")
def wraps_token_ids(**inputs: Any) -> Any:
    """Token ids are taken modulo the vocabulary, as negative indices are. Refuse them."""
    return _embedded(inputs, token_ids=inputs["token_ids"] % len(inputs["token_table"]))


@fault(bert_embeddings, breaks="more_tokens_than_positions_are_refused")
def no_position_beyond_the_table(**inputs: Any) -> Any:
    """To tokens beyond the table no position is added. Refuse them."""
    missing = max(inputs["token_ids"].shape[1] - len(inputs["position_table"]), 0)
    padded = np.pad(inputs["position_table"], ((0, missing), (0, 0)))
    return _embedded(inputs, position_table=padded)


@fault(bert_embeddings, breaks="segment_ids_of_another_length_are_refused")
def cuts_segment_ids_to_length(**inputs: Any) -> Any:
    """Segment ids beyond the last token are dropped in silence. Compare the shapes."""
    return _embedded(inputs, segment_ids=inputs["segment_ids"][:, : inputs["token_ids"].shape[1]])


@fault(
    bert_embeddings,
    breaks=("position_tells_tokens_apart", "three_look_ups_are_one_product"),
    seen="https://github.com/santhoshkolloju/Abstractive-Summarization-With-Transfer-Learning/issues/21",
)
def forgets_the_positions(**inputs: Any) -> Any:
    """Token and segment are summed, and the order of the tokens is lost. Add the position's row."""
    _embedded(inputs)
    return _embedded(inputs, position_table=np.zeros_like(inputs["position_table"]))


@fault(bert_embeddings, breaks=("position_tells_tokens_apart", "batches_are_independent"),
       seen="https://github.com/songyangco/GETNext/issues/2")  # fmt: skip
def positions_along_the_batch(**inputs: Any) -> Any:
    """Position i is added to sequence i of the batch. Add it to token i of every sequence."""
    _embedded(inputs)
    table, (batch, length) = inputs["position_table"], inputs["token_ids"].shape

    def alone(i: int) -> Any:
        row = {name: inputs[name][i : i + 1] for name in ("token_ids", "segment_ids")}
        return _embedded(inputs, **row, position_table=np.repeat(table[i % len(table)][None], length, axis=0))

    return np.concatenate([alone(i) for i in range(batch)])


@fault(bert_embeddings, breaks="unused_rows_have_no_effect",
       seen="https://github.com/huggingface/sentence-transformers/pull/3879")  # fmt: skip
def positions_from_another_start(**inputs: Any) -> Any:
    """Positions are counted as a relative of the model counts them, from behind its padding rows; the thread has it the
    other way round. BERT's first token has row 0.
    """
    _embedded(inputs)
    return _embedded(inputs, position_table=np.roll(inputs["position_table"], -1, axis=0))


@fault(bert_embeddings, breaks="with_equal_positions_order_does_not_matter")
def adds_waves_as_well(**inputs: Any) -> Any:
    """A fixed encoding of the position is added to the learned one. BERT has the table alone."""
    table = inputs["position_table"]
    waves = np.sin(np.arange(len(table))[:, None] + np.arange(table.shape[1])).astype(table.dtype)
    return _embedded(inputs, position_table=table + waves)


@fault(bert_embeddings, breaks="a_vector_may_move_from_the_tokens_to_the_segments")
def adds_the_segment_twice(**inputs: Any) -> Any:
    """The segment's row is added by the embedding and again by the caller. Add it once."""
    return _embedded(inputs, segment_table=2 * inputs["segment_table"])


@fault(bert_embeddings, breaks=("a_vector_may_move_from_the_tokens_to_the_segments",
                                "a_constant_added_to_a_row_changes_nothing"))  # fmt: skip
def scales_tokens_by_the_root_of_the_width(**inputs: Any) -> Any:
    """Token rows are multiplied by sqrt(D), as in the original Transformer, and all is divided by the root of the
    mean square without taking the mean off. Add the rows as they are, and centre.
    """
    rows, finish = _normalized({**inputs, "token_table": inputs["token_table"] * inputs["scale"].size ** 0.5})
    return finish(rows / np.sqrt(np.mean(np.square(rows), axis=-1, keepdims=True) + inputs["epsilon"]))


@fault(bert_embeddings, breaks="the_result_has_mean_0_and_a_known_variance",
       seen="https://github.com/harvardnlp/annotated-transformer/pull/119")  # fmt: skip
def divides_by_the_unbiased_deviation(**inputs: Any) -> Any:
    """The variance is divided by D - 1, as torch.std does unless told not to. Divide by D."""
    rows, finish = _normalized(inputs)
    variance = np.square(rows - rows.mean(axis=-1, keepdims=True)).sum(axis=-1, keepdims=True)
    variance = variance / max(rows.shape[-1] - 1, 1)
    return finish((rows - rows.mean(axis=-1, keepdims=True)) / np.sqrt(variance + inputs["epsilon"]))


@fault(bert_embeddings, breaks="the_result_has_mean_0_and_a_known_variance",
       seen="https://github.com/hyunwoongko/transformer/issues/7")  # fmt: skip
def adds_epsilon_to_the_deviation(**inputs: Any) -> Any:
    """Epsilon is added to the standard deviation. It belongs inside the root, to the variance."""
    rows, finish = _normalized(inputs)
    centred = rows - rows.mean(axis=-1, keepdims=True)
    return finish(centred / (np.sqrt(np.square(centred).mean(axis=-1, keepdims=True)) + inputs["epsilon"]))


@fault(bert_embeddings, breaks="a_mean_far_from_zero_costs_a_factor_not_its_square",
       seen="https://github.com/ml-explore/mlx/issues/2238")  # fmt: skip
def variance_in_one_pass(**inputs: Any) -> Any:
    """The variance is the mean square minus the squared mean, which cancel where the mean is large. Take the mean off
    first, or use Welford's update.
    """
    rows, finish = _normalized(inputs)
    mean = rows.mean(axis=-1, keepdims=True)
    variance = np.maximum(np.square(rows).mean(axis=-1, keepdims=True) - np.square(mean), 0)
    return finish((rows - mean) / np.sqrt(variance + inputs["epsilon"]))


@fault(bert_embeddings, breaks="a_constant_added_to_a_row_changes_nothing")
def normalizes_without_the_mean(**inputs: Any) -> Any:
    """The root of the mean square stands for the deviation, and the mean is not taken off. Centre first."""
    rows, finish = _normalized(inputs)
    return finish(rows / np.sqrt(np.square(rows).mean(axis=-1, keepdims=True) + inputs["epsilon"]))


# --- workloads ------------------------------------------------------------------------------------------------


def _sum_and_norm(B: int, T: int, D: int, V: int) -> Cost:
    """Two additions and seven operations of the normalization; a row of the tokens for each word, and its result."""
    return Cost(flops=9 * B * T * D, moved=2 * B * T * D + T * D + 4 * D)


def _sum_and_norm_backward(B: int, T: int, D: int, V: int) -> Cost:
    """A gradient for all the rows of the table of tokens, read or not."""
    forward = _sum_and_norm(B, T, D, V)
    return Cost(flops=3 * forward.flops, moved=forward.moved + B * T * D + V * D + T * D + 4 * D)


@workload(
    bert_embeddings,
    sizes={"B": 32, "T": 512, "D": 768, "V": 30522},
    cost=_sum_and_norm,
    backward=_sum_and_norm_backward,
    gradient=True,
)
def bert_base_embeddings(random: np.random.Generator, B: int, T: int, D: int, V: int) -> dict[str, Any]:
    """The embedding layers of BERT base on 32 pairs of inputs of 512 tokens together (Devlin et al. 2019, sections 3
    and A.2).
    """
    first = random.integers(1, T + 1, (B, 1))  # where the second input begins
    return {
        "token_ids": zipf(random, (B, T), V),
        "segment_ids": (np.arange(T) >= first).astype(np.int64),
        "token_table": random.standard_normal((V, D)) / 50,
        "segment_table": random.standard_normal((2, D)) / 50,
        "position_table": random.standard_normal((T, D)) / 50,
        "scale": 1 + random.standard_normal(D) / 50,
        "shift": random.standard_normal(D) / 50,
        "epsilon": 1e-12,
    }

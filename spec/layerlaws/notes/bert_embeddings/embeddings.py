"""The embedding layers: three rows for each token, summed and normalized, and which rows they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    PLAIN,
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Cost,
    Ids,
    Implementation,
    all_of,
    arrays,
    asbounded,
    closely,
    constant,
    differ,
    extents,
    fault,
    huge,
    ids,
    ids_within,
    kept_in_parts,
    law,
    layer_norm,
    normal,
    one_hot,
    operation,
    refused,
    require,
    rewritten,
    seeds,
    workload,
    zipf,
)
from layerlaws.language import strategies as st

epsilons = st.sampled_from([1e-12, 1e-5, 0.1])


@st.composite
def sentences(draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), least: int = 1) -> Arguments:
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


@operation(inputs=sentences(), batch=("token_ids", "segment_ids"), differentiable=True)
def bert_embeddings(
    token_ids: Ids,
    segment_ids: Ids,
    token_table: Array,
    segment_table: Array,
    position_table: Array,
    scale: Array,
    shift: Array,
    epsilon: float,
) -> Array:
    """LayerNorm(token_table[token_ids] + segment_table[segment_ids] + position_table[:T]).

    token_ids, segment_ids (B, T) int64, token_table (V, D), segment_table (2, D), position_table (P, D), P >= T,
    scale, shift (D,)  ->  (B, T, D)
    """
    length, (positions, width) = token_ids.shape[1], position_table.shape
    require(segment_ids.shape == token_ids.shape, f"segment_ids has shape {segment_ids.shape}, not {token_ids.shape}")
    require(segment_table.shape[0] == 2, f"segment_table has {segment_table.shape[0]} rows, not 2")
    require(length <= positions, f"position_table has {positions} rows, fewer than {length} tokens")
    widths = {"token_table": token_table, "segment_table": segment_table, "scale": scale, "shift": shift}
    for name, array in widths.items():
        require(array.shape[-1] == width, f"{name} has width {array.shape[-1]}, position_table {width}")
    ids_within(token_ids, token_table.shape[0], "token_ids")
    ids_within(segment_ids, 2, "segment_ids")
    tokens = token_table[token_ids]
    rows = [tokens, segment_table[segment_ids], np.broadcast_to(position_table[:length], tokens.shape)]
    total = kept_in_parts(np.sum(np.stack(rows), axis=0), lambda: [constant(row) for row in rows])  # in any order
    return layer_norm(total, scale, shift, epsilon)


def _embedded(inputs: Arguments, **changed: Any) -> Array:
    """The definition with other arguments, for faults that look up the wrong row."""
    return bert_embeddings(**{**inputs, **changed})


@law(rows=st.sampled_from([1, 3, 16]))
def the_segment_table_has_exactly_two_rows(bert_embeddings: Implementation, inputs: Arguments, rows: int) -> Claim:
    """One row is refused, and so are three and the 16 that the original configuration defaults to."""
    table = np.resize(inputs["segment_table"], (rows, inputs["segment_table"].shape[1]))
    zeros = np.zeros_like(inputs["segment_ids"])
    return refused(bert_embeddings, "segment_table", {**inputs, "segment_table": table, "segment_ids": zeros})


@fault(
    bert_embeddings,
    breaks=the_segment_table_has_exactly_two_rows,
    kind="refusal",
    repair="Refuse other tables than two rows.",
)
def takes_a_table_of_any_size(**inputs: Any) -> Array:
    """A table of one or of three rows is accepted, as the configuration has it."""
    ids_within(inputs["segment_ids"], len(inputs["segment_table"]), "segment_ids")
    two = np.resize(inputs["segment_table"], (2, inputs["segment_table"].shape[1]))
    return _embedded(inputs, segment_table=two)


@law(bad=st.sampled_from([-2, -1, 2, 3, 15]), place=seeds, examples=20)
def a_third_segment_is_refused(bert_embeddings: Implementation, inputs: Arguments, bad: int, place: int) -> Claim:
    """A segment id is 0 or 1; no other is wrapped around, clipped or looked up."""
    found = inputs["segment_ids"]
    spoilt = rewritten(found, np.unravel_index(place % found.size, found.shape), bad)
    return refused(bert_embeddings, "segment_ids", {**inputs, "segment_ids": spoilt})


@fault(
    bert_embeddings,
    breaks=a_third_segment_is_refused,
    kind="refusal",
    repair="Refuse them.",
)
def clips_segment_ids(**inputs: Any) -> Array:
    """Segment ids beyond 1 count as 1, those below 0 as 0."""
    return _embedded(inputs, segment_ids=np.clip(inputs["segment_ids"], 0, 1))


plain_sentences = sentences(textures=PLAIN, least=8)
"""Numbers of one size, and a width from which normalization leaves differences visible."""


@law(inputs=plain_sentences)
def the_other_segment_changes_the_result(bert_embeddings: Implementation, inputs: Arguments) -> Claim:
    """Exchanging the segments of all tokens alone changes the result."""
    exchanged = {**inputs, "segment_ids": 1 - inputs["segment_ids"]}
    return differ(
        bert_embeddings(**inputs),
        bert_embeddings(**exchanged),
        expected=(bert_embeddings.definition(**inputs), bert_embeddings.definition(**exchanged)),
    )


@law()
def exchanging_ids_and_rows_changes_nothing(bert_embeddings: Implementation, inputs: Arguments) -> Claim:
    """Segment ids are names: with the two rows exchanged as well, the result is the same."""
    renamed = {"segment_ids": 1 - inputs["segment_ids"], "segment_table": inputs["segment_table"][::-1]}
    return closely(bert_embeddings(**{**inputs, **renamed}), bert_embeddings(**inputs))


@fault(
    bert_embeddings,
    breaks=exchanging_ids_and_rows_changes_nothing,
    kind="formula",
    repair="Look the row up.",
)
def segment_as_a_number(**inputs: Any) -> Array:
    """The id is multiplied with one row instead of choosing between two."""
    rows = np.stack([np.zeros_like(inputs["segment_table"][0]), inputs["segment_table"][1]])
    _embedded(inputs)
    return _embedded(inputs, segment_table=rows)


normal_sentences = sentences(textures=("normal",), least=8)


@law(inputs=normal_sentences, lengths=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def a_pair_is_told_from_one_input(
    bert_embeddings: Implementation, segment_ids: Implementation, inputs: Arguments, lengths: tuple[int, int]
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


@law()
def three_look_ups_are_one_product(bert_embeddings: Implementation, inputs: Arguments) -> Claim:
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
def a_vector_may_move_from_the_tokens_to_the_segments(
    bert_embeddings: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Added to every token and taken from both segments, a vector changes nothing: only the sum counts."""
    vector = asbounded(normal(seed, inputs["scale"].shape, inputs["scale"]))
    moved = {"token_table": inputs["token_table"] + vector, "segment_table": inputs["segment_table"] - vector}
    return closely(bert_embeddings(**{**inputs, **moved}), bert_embeddings(**inputs))


@fault(
    bert_embeddings,
    breaks=a_vector_may_move_from_the_tokens_to_the_segments,
    kind="formula",
    repair="Add it once.",
)
def adds_the_segment_twice(**inputs: Any) -> Array:
    """The segment's row is added by the embedding and again by the caller."""
    return _embedded(inputs, segment_table=2 * inputs["segment_table"])


@law(seed=seeds)
def unused_rows_have_no_effect(bert_embeddings: Implementation, inputs: Arguments, seed: int) -> Claim:
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


@fault(
    bert_embeddings,
    breaks=unused_rows_have_no_effect,
    kind="shift",
    repair="BERT's first token has row 0.",
    seen="https://github.com/huggingface/sentence-transformers/pull/3879",
)
def positions_from_another_start(**inputs: Any) -> Array:
    """Positions are counted as a relative of the model counts them, from behind its padding rows; the thread has it
    the other way round.
    """
    _embedded(inputs)
    return _embedded(inputs, position_table=np.roll(inputs["position_table"], -1, axis=0))


@law(seed=seeds)
def with_equal_positions_order_does_not_matter(bert_embeddings: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Where all rows of the position table are equal, permuted tokens with their segments give permuted results."""
    order = np.random.default_rng(seed).permutation(inputs["token_ids"].shape[1])
    flat = {**inputs, "position_table": np.repeat(inputs["position_table"][:1], len(inputs["position_table"]), axis=0)}
    permuted = {**flat, "token_ids": flat["token_ids"][:, order], "segment_ids": flat["segment_ids"][:, order]}
    return closely(bert_embeddings(**permuted), bert_embeddings(**flat)[:, order])


@fault(
    bert_embeddings,
    breaks=with_equal_positions_order_does_not_matter,
    kind="formula",
    repair="BERT has the table alone.",
)
def adds_waves_as_well(**inputs: Any) -> Array:
    """A fixed encoding of the position is added to the learned one."""
    table = inputs["position_table"]
    waves = np.sin(np.arange(len(table))[:, None] + np.arange(table.shape[1])).astype(table.dtype)
    return _embedded(inputs, position_table=table + waves)


@law(inputs=normal_sentences, seed=seeds)
def position_tells_tokens_apart(bert_embeddings: Implementation, inputs: Arguments, seed: int) -> Claim:
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


@fault(
    bert_embeddings,
    breaks=(position_tells_tokens_apart, three_look_ups_are_one_product),
    kind="formula",
    repair="Add the position's row.",
    seen="https://github.com/santhoshkolloju/Abstractive-Summarization-With-Transfer-Learning/issues/21",
)
def forgets_the_positions(**inputs: Any) -> Array:
    """Token and segment are summed, and the order of the tokens is lost."""
    _embedded(inputs)
    return _embedded(inputs, position_table=np.zeros_like(inputs["position_table"]))


@fault(
    bert_embeddings,
    breaks=(position_tells_tokens_apart, "batches_are_independent"),
    kind="axis",
    repair="Add it to token i of every sequence.",
    seen="https://github.com/songyangco/GETNext/issues/2",
)
def positions_along_the_batch(**inputs: Any) -> Array:
    """Position i is added to sequence i of the batch."""
    _embedded(inputs)
    table, (batch, length) = inputs["position_table"], inputs["token_ids"].shape

    def alone(i: int) -> Array:
        row = {name: inputs[name][i : i + 1] for name in ("token_ids", "segment_ids")}
        return _embedded(inputs, **row, position_table=np.repeat(table[i % len(table)][None], length, axis=0))

    return np.concatenate([alone(i) for i in range(batch)])


@law(bad=st.sampled_from([-1, 0, 1, 1000]), place=seeds, examples=20)
def token_ids_outside_the_vocabulary_are_refused(
    bert_embeddings: Implementation, inputs: Arguments, bad: int, place: int
) -> Claim:
    """A token id lies in [0, V); no other is wrapped around, clipped or looked up."""
    found = inputs["token_ids"]
    wrong = bad if bad < 0 else len(inputs["token_table"]) + bad
    spoilt = rewritten(found, np.unravel_index(place % found.size, found.shape), wrong)
    return refused(bert_embeddings, "token_ids", {**inputs, "token_ids": spoilt})


@fault(
    bert_embeddings,
    breaks=token_ids_outside_the_vocabulary_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def wraps_token_ids(**inputs: Any) -> Array:
    """Token ids are taken modulo the vocabulary, as negative indices are."""
    return _embedded(inputs, token_ids=inputs["token_ids"] % len(inputs["token_table"]))


@law(examples=20)
def more_tokens_than_positions_are_refused(bert_embeddings: Implementation, inputs: Arguments) -> Claim:
    """A learned table of positions ends: tokens beyond it have none."""
    short = inputs["position_table"][: inputs["token_ids"].shape[1] - 1]
    return refused(bert_embeddings, "position_table", {**inputs, "position_table": short})


@fault(
    bert_embeddings,
    breaks=more_tokens_than_positions_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def no_position_beyond_the_table(**inputs: Any) -> Array:
    """To tokens beyond the table no position is added."""
    missing = max(inputs["token_ids"].shape[1] - len(inputs["position_table"]), 0)
    padded = np.pad(inputs["position_table"], ((0, missing), (0, 0)))
    return _embedded(inputs, position_table=padded)


@law(examples=20)
def segment_ids_of_another_length_are_refused(bert_embeddings: Implementation, inputs: Arguments) -> Claim:
    """Each token has one segment id: one more than there are tokens is too many, even for a single token."""
    more = np.concatenate([inputs["segment_ids"], inputs["segment_ids"][:, :1]], axis=1)
    return refused(bert_embeddings, "segment_ids", {**inputs, "segment_ids": more})


@fault(
    bert_embeddings,
    breaks=segment_ids_of_another_length_are_refused,
    kind="refusal",
    repair="Compare the shapes.",
)
def cuts_segment_ids_to_length(**inputs: Any) -> Array:
    """Segment ids beyond the last token are dropped in silence."""
    return _embedded(inputs, segment_ids=inputs["segment_ids"][:, : inputs["token_ids"].shape[1]])


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
def bert_base_embeddings(random: np.random.Generator, B: int, T: int, D: int, V: int) -> Arguments:
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

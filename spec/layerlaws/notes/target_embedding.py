"""Target embedding: what a decoder knows of the words before, and of where it stands.

Note of 2021-11-02. The decoder of a convolutional sequence-to-sequence model reads, at step i, the embedding g_i of the
word it wrote last and of its own position: g_i = token(y_(i-1)) + position(i), both looked up in learned tables, and
the word before the first is a begin symbol (Gehring, Auli, Grangier, Yarats, Dauphin, Convolutional Sequence to
Sequence Learning, 2017, sections 3.1 and 3.3, where g is also added to the state that asks the attention).

Claimed: g_i depends on y_(i-1), on i, and on nothing else; g is the embedding of the decoder's teacher-forced inputs.
Not claimed: any scale. Vaswani et al. multiply the token's row with the root of the width, this paper does not.

Conventions. Positions count from 0. fairseq counts them from behind the padding id, and its tables have a row of zeros
for that id; BART has kept the two spare rows. All targets have to be words of the vocabulary, the last one too, which
no step embeds; a library that looks up only what it embeds cannot tell.

Erratum. In the paper g_i embeds the decoder's input at i, and nothing is shifted. The note's "previous word" is
relative to the word to be predicted. Both are right, and both at once are the classic bug: a sequence that was shifted
already is shifted again, and each step reads the word before the last. Shown by
the_decoders_inputs_are_embedded_where_they_stand and each_target_is_known_to_the_next_step_only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    TEXTURES,
    Arguments,
    Array,
    Claim,
    Cost,
    Ids,
    Implementation,
    Mask,
    all_of,
    arrays,
    asbounded,
    closely,
    constant,
    dependence,
    differ,
    exactly,
    extents,
    fault,
    huge,
    ids,
    ids_within,
    law,
    normal,
    operation,
    refused,
    require,
    rewritten,
    root,
    seeds,
    workload,
    zipf,
)
from layerlaws.language import strategies as st


@st.composite
def translations(
    draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), least: int = 1, edges: tuple[int, ...] = (1, 2, 3)
) -> Arguments:
    """Targets, a begin symbol and two tables; there may be more positions than targets. least: of words and width."""
    batch, length, vocabulary, narrow, spare = draw(extents(5, edges=edges))
    words, width = vocabulary + least - 1, narrow + least - 1
    token_table, position_table = draw(arrays((words, width), (length + spare - 1, width), textures=textures))
    return {
        "targets": draw(ids((batch, length), words)),
        "begin": draw(st.integers(0, words - 1)),
        "token_table": token_table,
        "position_table": position_table,
    }


@operation(inputs=translations(), batch=("targets",), differentiable=True)
def target_embedding(targets: Ids, begin: int, token_table: Array, position_table: Array) -> Array:
    """g_i = token_table[y_(i-1)] + position_table[i], where y_(-1) is begin.

    targets (B, T) int64, token_table (V, E), position_table (P, E), P >= T  ->  (B, T, E)
    """
    (batch, length), (positions, width) = targets.shape, position_table.shape
    require(length <= positions, f"position_table has {positions} rows, fewer than {length} targets")
    require(token_table.shape[1] == width, f"token_table has width {token_table.shape[1]}, position_table {width}")
    ids_within(targets, token_table.shape[0], "targets")
    ids_within(begin, token_table.shape[0], "begin")
    previous = np.concatenate([np.full((batch, 1), begin), targets], axis=1)[:, :length]
    return token_table[previous] + position_table[:length]


telling_translations = translations(textures=("normal",), least=4, edges=(2, 3))
"""Rows that differ from each other by more than half precision could hide; few enough to rewrite one by one."""


@law(inputs=telling_translations)
def each_target_is_known_to_the_next_step_only(target_embedding: Implementation, inputs: Arguments) -> Claim:
    """Who depends on whom: g_i on the target y_(i-1), and on no other: not on y_i, which is to be predicted, nor on
    any later or earlier one.
    """
    targets, words = inputs["targets"], len(inputs["token_table"])

    def another(j: int) -> Arguments:
        if j < 0:
            return inputs
        place = (slice(None), j)
        return {**inputs, "targets": rewritten(targets, place, (targets[place] + 1) % words)}

    length = targets.shape[1]
    return exactly(dependence(target_embedding, another, length, axis=1), np.eye(length, k=-1, dtype=bool))


@law()
def the_decoders_inputs_are_embedded_where_they_stand(
    target_embedding: Implementation, teacher_forcing: Implementation, inputs: Arguments
) -> Claim:
    """Erratum. Relative to the decoder's own inputs, the targets shifted by teacher forcing, nothing is shifted any
    more: g_i embeds input i.
    """
    targets, begin = inputs["targets"], inputs["begin"]
    fed, _ = teacher_forcing(targets=targets, begin=begin, end=begin)
    rows = asbounded(inputs["token_table"])[fed[:, :-1]] + asbounded(inputs["position_table"])[: targets.shape[1]]
    return closely(target_embedding(**inputs), rows)


def _embedded(inputs: Arguments, **changed: Array) -> Array:
    """The definition with other arguments, once it has refused what it refuses."""
    target_embedding(**inputs)
    return target_embedding(**{**inputs, **changed})


def _fed(inputs: Arguments) -> Ids:
    """The targets shifted by one. (B, T)."""
    first = np.full((len(inputs["targets"]), 1), inputs["begin"])
    return np.concatenate([first, inputs["targets"]], axis=1)[:, :-1]


@fault(
    target_embedding,
    breaks=(each_target_is_known_to_the_next_step_only, the_decoders_inputs_are_embedded_where_they_stand),
    kind="shift",
    repair="Shift once.",
    seen="https://github.com/huggingface/transformers/pull/40185",
)
def shifts_what_was_shifted(**inputs: Any) -> Array:
    """A sequence that is shifted already is shifted again, and step i reads y_(i-2); in the thread it was the
    labels.
    """
    return _embedded(inputs, targets=_fed(inputs))


@fault(
    target_embedding,
    breaks=the_decoders_inputs_are_embedded_where_they_stand,
    kind="scale",
    repair="Add them as they are.",
)
def words_times_the_root_of_the_width(**inputs: Any) -> Array:
    """Token rows are multiplied with sqrt(E), as in the Transformer."""
    return _embedded(inputs, token_table=inputs["token_table"] * root(inputs["token_table"].shape[1]))


@law()
def the_first_step_knows_the_begin_symbol_alone(target_embedding: Implementation, inputs: Arguments) -> Claim:
    """g_0 is the begin symbol at position 0, whatever the targets are."""
    first = asbounded(inputs["token_table"])[inputs["begin"]] + asbounded(inputs["position_table"])[0]
    found = target_embedding(**inputs)[:, 0]
    return closely(found, np.broadcast_to(first, found.shape))


@law(inputs=telling_translations)
def another_begin_symbol_changes_the_first_step_only(target_embedding: Implementation, inputs: Arguments) -> Claim:
    """With another begin symbol g_0 changes, and no other row."""
    other = {**inputs, "begin": (inputs["begin"] + 1) % len(inputs["token_table"])}
    (one, expected_one), (two, expected_two) = target_embedding.compare(**inputs), target_embedding.compare(**other)
    changes = differ(one[:, 0], two[:, 0], expected=(expected_one[:, 0], expected_two[:, 0]))
    return all_of(changes, closely(one[:, 1:], two[:, 1:]))


def _looked_up(inputs: Arguments, words: Ids, places: Ids) -> Array:
    """Rows of these words at these positions, once the definition has refused what it refuses."""
    target_embedding(**inputs)
    return inputs["token_table"][words] + inputs["position_table"][places]


def _places(inputs: Arguments) -> Ids:
    """The positions of the steps. (T,)."""
    return np.arange(inputs["targets"].shape[1])


@fault(
    target_embedding,
    breaks=(
        each_target_is_known_to_the_next_step_only,
        the_first_step_knows_the_begin_symbol_alone,
        another_begin_symbol_changes_the_first_step_only,
    ),
    kind="shift",
    repair="Put begin in front.",
    seen="https://github.com/huggingface/transformers/issues/6624",
)
def embeds_the_word_to_be_predicted(**inputs: Any) -> Array:
    """Targets are not shifted, and step i reads y_i, its own answer."""
    return _looked_up(inputs, inputs["targets"], _places(inputs))


@law(cut=st.integers(0, 300))
def a_prefix_of_the_targets_has_the_first_embeddings(
    target_embedding: Implementation, inputs: Arguments, cut: int
) -> Claim:
    """Writing on changes nothing of what was read: g of the first targets is the beginning of g."""
    kept = cut % inputs["targets"].shape[1] + 1
    prefix = target_embedding(**{**inputs, "targets": inputs["targets"][:, :kept]})
    return closely(prefix, target_embedding(**inputs)[:, :kept])


@law(inputs=telling_translations)
def position_is_part_of_the_embedding(target_embedding: Implementation, inputs: Arguments) -> Claim:
    """Where all words are the same, rows of g differ as their positions' rows do."""
    same = {**inputs, "targets": np.full_like(inputs["targets"], inputs["begin"])}
    found, table = target_embedding(**same), asbounded(inputs["position_table"])
    steps = table[: found.shape[1]] - table[:1]
    return closely(found - found[:, :1], np.broadcast_to(steps, found.shape))


@fault(
    target_embedding,
    breaks=(position_is_part_of_the_embedding, the_decoders_inputs_are_embedded_where_they_stand),
    kind="formula",
    repair="Add the row of the position.",
)
def words_without_positions(**inputs: Any) -> Array:
    """Only the words are looked up."""
    return _embedded(inputs, position_table=np.zeros_like(inputs["position_table"]))


@fault(
    target_embedding,
    breaks=(position_is_part_of_the_embedding, "batches_are_independent"),
    kind="axis",
    repair="Positions run along the sequence.",
    seen="https://github.com/AkiRusProd/numpy-transformer/issues/1",
)
def the_batch_takes_the_positions(**inputs: Any) -> Array:
    """Sequence b of the batch gets position b at all its steps."""
    rows = np.arange(len(inputs["targets"])) % len(inputs["position_table"])
    return _looked_up(inputs, _fed(inputs), rows[:, None])


@fault(
    target_embedding,
    breaks=position_is_part_of_the_embedding,
    kind="shift",
    repair="Slice it.",
    seen="https://github.com/DiffPoseTalk/DiffPoseTalk/issues/20",
)
def the_last_position_for_all(**inputs: Any) -> Array:
    """The table is indexed by the length instead of up to it, and every step gets the last row."""
    return _looked_up(inputs, _fed(inputs), np.full_like(_places(inputs), inputs["targets"].shape[1] - 1))


@fault(
    target_embedding,
    breaks=(position_is_part_of_the_embedding, the_decoders_inputs_are_embedded_where_they_stand),
    kind="shift",
    repair="A word moves to the next step, and has its place there.",
    seen="https://github.com/PrimeIntellect-ai/prime-rl/pull/1525",
)
def positions_are_shifted_along(**inputs: Any) -> Array:
    """Positions are shifted together with the words, to 0, 0, 1, 2."""
    return _looked_up(inputs, _fed(inputs), np.maximum(_places(inputs) - 1, 0))


@law(seed=seeds)
def words_may_be_renumbered_with_their_rows(target_embedding: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Ids are names: with the rows of the token table in another order, and the ids renamed alike, g is the same."""
    order = np.random.default_rng(seed).permutation(len(inputs["token_table"]))
    names = np.argsort(order)
    renamed = {
        **inputs,
        "targets": names[inputs["targets"]],
        "begin": int(names[inputs["begin"]]),
        "token_table": inputs["token_table"][order],
    }
    return closely(target_embedding(**renamed), target_embedding(**inputs))


@fault(
    target_embedding,
    breaks=words_may_be_renumbered_with_their_rows,
    kind="boundary",
    repair="Leave padding_idx out.",
    seen="https://github.com/huggingface/transformers/pull/10200",
)
def word_zero_is_padding(**inputs: Any) -> Array:
    """The row of id 0 counts as padding and is zero, though 0 is a word (the thread's row was a position's)."""
    padding = np.arange(len(inputs["token_table"]))[:, None] == 0
    return _embedded(inputs, token_table=np.where(padding, 0.0, inputs["token_table"]))


def rows_read(inputs: Arguments) -> dict[str, Mask]:
    """Which rows of each table some step reads."""
    read = {"token_table": [inputs["begin"], *inputs["targets"][:, :-1].flat], "position_table": _places(inputs)}
    return {name: np.isin(np.arange(len(inputs[name])), rows) for name, rows in read.items()}


@law(seed=seeds)
def rows_that_no_step_reads_have_no_effect(target_embedding: Implementation, inputs: Arguments, seed: int) -> Claim:
    """Words that were not written, the last target and positions behind it may have any rows."""
    others = {}
    for name, rows in rows_read(inputs).items():
        noise = normal(seed, inputs[name].shape, inputs[name], 100)
        others[name] = np.where(rows[:, None], inputs[name], noise + inputs[name].dtype.type(huge(noise)))
    return closely(target_embedding(**{**inputs, **others}), target_embedding(**inputs))


@fault(
    target_embedding,
    breaks=(
        rows_that_no_step_reads_have_no_effect,
        the_first_step_knows_the_begin_symbol_alone,
        a_prefix_of_the_targets_has_the_first_embeddings,
    ),
    kind="shift",
    repair="The first step has row 0.",
    seen="https://github.com/huggingface/transformers/issues/19240",
)
def positions_from_the_end_of_the_table(**inputs: Any) -> Array:
    """The rows used are the last of the table, behind spare ones such as BART's; here these are as many as there are
    too many.
    """
    spare = len(inputs["position_table"]) - inputs["targets"].shape[1]
    return _looked_up(inputs, _fed(inputs), _places(inputs) + spare)


@law(needs=["gradient"])
def only_words_that_were_read_are_trained(target_embedding: Implementation, inputs: Arguments) -> Claim:
    """The gradient reaches the rows of words and positions that a step reads, and is exactly 0 for all others, those of
    a last target and of positions behind it among them.
    """
    cotangent = np.ones((*inputs["targets"].shape, inputs["token_table"].shape[1]), inputs["token_table"].dtype)
    gradient = target_embedding.gradient(cotangent, **inputs)
    return all_of(*(exactly((gradient[name] != 0).any(axis=1), rows) for name, rows in rows_read(inputs).items()))


@fault(
    target_embedding,
    breaks=(
        each_target_is_known_to_the_next_step_only,
        the_first_step_knows_the_begin_symbol_alone,
        a_prefix_of_the_targets_has_the_first_embeddings,
        only_words_that_were_read_are_trained,
    ),
    kind="boundary",
    repair="Put begin there.",
    seen="https://github.com/huggingface/transformers/issues/7961",
)
def the_last_word_wraps_around(**inputs: Any) -> Array:
    """Targets are rolled by one, so that the first step reads the last word."""
    return _looked_up(inputs, np.roll(inputs["targets"], 1, axis=1), _places(inputs))


@fault(
    target_embedding,
    breaks=(rows_that_no_step_reads_have_no_effect, only_words_that_were_read_are_trained),
    kind="formula",
    repair="Look up rows as they are.",
)
def centres_the_token_table(**inputs: Any) -> Array:
    """The mean of all words is taken off each, and a step depends on the whole table."""
    return _embedded(inputs, token_table=inputs["token_table"] - inputs["token_table"].mean(axis=0, keepdims=True))


@fault(
    target_embedding,
    breaks=("gradient_agrees_with_definition", only_words_that_were_read_are_trained),
    kind="gradient",
    repair="Add the parameter itself.",
    seen="https://github.com/d2l-ai/d2l-en/pull/2121",
)
def positions_are_not_trained(**inputs: Any) -> Array:
    """Positions are added without their gradient (`.data`), and stay as they were drawn."""
    return _embedded(inputs, position_table=constant(inputs["position_table"]))


@law(bad=st.sampled_from([-1, 0, 1, 1000]), place=seeds, examples=20)
def words_outside_the_vocabulary_are_refused(
    target_embedding: Implementation, inputs: Arguments, bad: int, place: int
) -> Claim:
    """A word that a step is to embed lies in [0, V); no other is wrapped around, clipped or looked up."""
    wrong = bad if bad < 0 else len(inputs["token_table"]) + bad
    longer = np.concatenate([inputs["targets"], inputs["targets"][:, :1]], axis=1)
    table = np.concatenate([inputs["position_table"], inputs["position_table"][:1]])
    spoilt = rewritten(longer, (place % len(longer), place % (longer.shape[1] - 1)), wrong)
    return all_of(
        refused(target_embedding, "targets", {**inputs, "targets": spoilt, "position_table": table}),
        refused(target_embedding, "begin", {**inputs, "begin": wrong}),
    )


@fault(
    target_embedding,
    breaks=words_outside_the_vocabulary_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def wraps_words_around(**inputs: Any) -> Array:
    """Ids are taken modulo the vocabulary, as negative indices are."""
    words = len(inputs["token_table"])
    return target_embedding(**{**inputs, "targets": inputs["targets"] % words, "begin": inputs["begin"] % words})


@law(bad=st.sampled_from([-1, 0, 1000]), examples=20)
def a_last_target_outside_the_vocabulary_is_refused(
    target_embedding: Implementation, inputs: Arguments, bad: int
) -> Claim:
    """The last target has to be a word, too, though no step embeds it."""
    wrong = bad if bad < 0 else len(inputs["token_table"]) + bad
    spoilt = rewritten(inputs["targets"], (slice(None), -1), wrong)
    return refused(target_embedding, "targets", {**inputs, "targets": spoilt})


@fault(
    target_embedding,
    breaks=a_last_target_outside_the_vocabulary_is_refused,
    kind="refusal",
    repair="Check all.",
)
def checks_what_it_embeds_only(**inputs: Any) -> Array:
    """The last target is cut off before ids are looked at, and may be anything."""
    targets = inputs["targets"]
    return target_embedding(**{**inputs, "targets": np.concatenate([targets[:, :-1], 0 * targets[:, -1:]], axis=1)})


@law(examples=20)
def more_targets_than_positions_are_refused(target_embedding: Implementation, inputs: Arguments) -> Claim:
    """A learned table of positions ends: targets beyond it have none."""
    short = inputs["position_table"][: inputs["targets"].shape[1] - 1]
    return refused(target_embedding, "position_table", {**inputs, "position_table": short})


@fault(
    target_embedding,
    breaks=more_targets_than_positions_are_refused,
    kind="refusal",
    repair="Refuse them.",
)
def no_position_behind_the_table(**inputs: Any) -> Array:
    """Steps beyond the table get no position."""
    missing = max(inputs["targets"].shape[1] - len(inputs["position_table"]), 0)
    return target_embedding(**{**inputs, "position_table": np.pad(inputs["position_table"], ((0, missing), (0, 0)))})


@law(examples=20)
def words_and_positions_of_different_widths_are_refused(target_embedding: Implementation, inputs: Arguments) -> Claim:
    """Both tables have rows of one width; a single column is not spread over the others."""
    wide = np.repeat(inputs["token_table"], 2, axis=1)
    narrow = inputs["position_table"][:, :1]
    return refused(target_embedding, "token_table", {**inputs, "token_table": wide, "position_table": narrow})


@fault(
    target_embedding,
    breaks=words_and_positions_of_different_widths_are_refused,
    kind="refusal",
    repair="Compare the widths.",
)
def spreads_a_single_column(**inputs: Any) -> Array:
    """A position table of one column is added to all columns of the words."""
    shape = (len(inputs["position_table"]), inputs["token_table"].shape[1])
    return target_embedding(**{**inputs, "position_table": np.broadcast_to(inputs["position_table"], shape)})


def _lookup_cost(B: int, T: int, V: int, E: int) -> Cost:
    """One addition; a row of the words for each target, each position once, and the results."""
    return Cost(flops=B * T * E, moved=2 * B * T * E + T * E)


def _lookup_cost_backward(B: int, T: int, V: int, E: int) -> Cost:
    """The result's gradient is read and added up, into gradients for all rows of both tables."""
    return Cost(flops=3 * B * T * E, moved=3 * B * T * E + 2 * T * E + V * E)


@workload(
    target_embedding,
    sizes={"B": 32, "T": 50, "V": 40_000, "E": 512},
    cost=_lookup_cost,
    backward=_lookup_cost_backward,
    gradient=True,
)
def conv_s2s_targets(random: np.random.Generator, B: int, T: int, V: int, E: int) -> Arguments:
    """The inputs of ConvS2S's decoder for 32 sentences of 50 words out of 40,000, embedded 512 wide (Gehring et al.
    2017, sections 4.1 and 4.2).
    """
    return {
        "targets": zipf(random, (B, T), V),
        "begin": 0,
        "token_table": random.standard_normal((V, E)) / 10,
        "position_table": random.standard_normal((T, E)) / 10,
    }

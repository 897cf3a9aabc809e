"""Adaptive softmax: frequent words stand in a short list, rare ones in clusters that are entered when needed.

Note of 2021-11-07. A softmax over a large vocabulary spends nearly all its time on words that nearly never occur.
The adaptive softmax (Grave, Joulin, Cisse, Grangier, Jegou, Efficient softmax approximation for GPUs, 2017,
section 4) sorts the words by frequency and cuts the list. The head is a softmax over the first c0 words and one
entry for each cluster of the rest; a cluster, or tail, is a softmax of its own over its words, on a narrower
projection of the hidden state. A word of the short list has the probability that the head gives it; a word of a
tail that of the tail's entry times its own within the tail. To train on a word takes the head and the tail it is
in, if any, and no other.

Claimed: this is a distribution over the whole vocabulary, and each tail weighs what its entry in the head says; the
loss is the negative logarithm of that distribution at the target, with the gradient that this has, of which tails
without a target get exactly nothing; prediction finds the likeliest of all words. Not claimed: how much faster it is,
which depends on the vocabulary, the cut and the machine, and is for a benchmark to measure. The "1000%" of the note
is the title of an article about the paper, whose range is 2 to 10 times; the article itself measures 3.1 times.

Conventions. cutoffs end with the size of the vocabulary, (c0, c1, ..., V), and words count from 0, so that word c0
is the first of the first tail; PyTorch leaves V out of the list. Entries of the tails stand behind the short list, in
the order of the tails. Transformer-XL counts them from the end and adds biases. There are none here.

Erratum. It is no approximation of the softmax, whatever the paper's title says: nothing is sampled or left out. It is a
model of its own, with fewer parameters, and it is the full softmax where the entry of each tail happens to be the
logarithm of the tail's sum of exponentials. Shown by entries_that_are_log_sums_give_the_full_softmax.

Erratum. The likeliest word is not always in the likeliest cluster: a tail may outweigh each word of the short list
though none of its own words does. Shown by no_word_is_likelier_than_the_predicted_one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from layerlaws import Claim, Cost, Headline, all_of, at_most, closely, exactly, fault, law, operation, refused, workload
from layerlaws.language import strategies as st
from layerlaws.language.inputs import PLAIN, TEXTURES, arrays, extents, ids, normal, seeds
from layerlaws.language.workloads import matrix, zipf
from layerlaws.numerics.bounded import asbounded
from layerlaws.numerics.mathematics import ids_within, log_softmax, one_hot, require, softmax
from layerlaws.numerics.reverse_mode import constant

# --- inputs ---------------------------------------------------------------------------------------------------


@st.composite
def layers(
    draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), tails: tuple[int, int] = (1, 3), last: int = 0
) -> dict[str, Any]:
    """Hidden states and the weights of the head and of the tails; last: words of the last tail, where told."""
    rows, width, shortlist, *rest = draw(extents(9, edges=(0, 1, 2, 3, 6)))
    count = draw(st.integers(*tails))
    words, widths = rest[:count], rest[3 : 3 + count]
    if last:
        words[-1] = last
    shapes = [
        (rows, width),
        (width, shortlist + count),
        *((width, w) for w in widths),
        *zip(widths, words, strict=True),
    ]
    hidden, head, *matrices = draw(arrays(*shapes, textures=textures))
    return {
        "hidden": hidden,
        "head": head,
        "tail_projections": tuple(matrices[:count]),
        "tail_outputs": tuple(matrices[count:]),
        "cutoffs": tuple(int(n) for n in np.cumsum([shortlist, *words])),
    }


@st.composite
def clear_layers(draw: st.DrawFn, tails: tuple[int, int] = (1, 3)) -> dict[str, Any]:
    """Each score is one weight, and one in each row of weights stands out: rounding orders no two candidates."""
    drawn = draw(layers(textures=("normal",), tails=tails))
    generator = np.random.default_rng(draw(seeds))

    def picked(x: Any) -> Any:
        return one_hot(generator.integers(x.shape[1], size=len(x)), x.shape[1])

    return {**drawn, "hidden": picked(drawn["hidden"]), "head": drawn["head"] / 4 + 2 * picked(drawn["head"]),
            "tail_projections": tuple(map(picked, drawn["tail_projections"])),
            "tail_outputs": tuple(x / 4 + 2 * picked(x) for x in drawn["tail_outputs"])}  # fmt: skip


@st.composite
def targeted(
    draw: st.DrawFn, textures: tuple[str, ...] = tuple(TEXTURES), tails: tuple[int, int] = (1, 3)
) -> dict[str, Any]:
    """Layers and a target for each row."""
    drawn = draw(layers(textures, tails))
    return {**drawn, "targets": draw(ids(drawn["hidden"].shape[:1], drawn["cutoffs"][-1]))}


@st.composite
def extreme_layers(draw: st.DrawFn) -> dict[str, Any]:
    """All scores of the head and of the tails are 1e4 or -1e4."""
    drawn = draw(targeted(textures=("one-hot",)))
    signs = draw(st.sampled_from([(-1,), (1,), (-1, 1)]))
    generator = np.random.default_rng(draw(seeds))

    def score(x: Any) -> Any:
        return generator.choice(signs, x.shape) * 100.0

    return {**drawn, "hidden": drawn["hidden"] * 100, "head": score(drawn["head"]),
            "tail_outputs": tuple(map(score, drawn["tail_outputs"]))}  # fmt: skip


@st.composite
def score_tables(draw: st.DrawFn) -> dict[str, Any]:
    """A score for every word in every row, and cutoffs."""
    rows, *words = draw(extents(4))
    cutoffs = tuple(int(n) for n in np.cumsum(words))
    return {"scores": draw(arrays((rows, cutoffs[-1]))), "cutoffs": cutoffs}


# --- definitions ----------------------------------------------------------------------------------------------


@operation(inputs=layers(), batch=("hidden",), differentiable=True)
def adaptive_log_softmax(
    hidden: Any, head: Any, tail_projections: tuple[Any, ...], tail_outputs: tuple[Any, ...], cutoffs: tuple[int, ...]
) -> Any:
    """log p: log_softmax(hidden head) for words below c0, and for those of tail j its entry there, number c0 + j, plus
    log_softmax(hidden tail_projections[j] tail_outputs[j]).

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V)  ->  (N, V)
    """
    _require_fitting(hidden, head, tail_projections, tail_outputs, cutoffs)
    shortlist = cutoffs[0]
    top = log_softmax(hidden @ head)  # (N, c0 + J)
    parts = [top[:, :shortlist]]
    for j, (projection, output) in enumerate(zip(tail_projections, tail_outputs, strict=True), shortlist):
        parts.append(top[:, j : j + 1] + log_softmax(hidden @ projection @ output))
    return np.concatenate(parts, axis=1)


@operation(inputs=targeted(), batch=("hidden", "targets"), differentiable=True)
def adaptive_softmax_loss(
    hidden: Any, head: Any, tail_projections: tuple[Any, ...], tail_outputs: tuple[Any, ...], cutoffs: tuple[int, ...],
    targets: Any,
) -> Any:  # fmt: skip
    """-log p(targets[n]) of each row.

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V), targets (N,) ids  ->  (N,)
    """
    logs = adaptive_log_softmax(hidden, head, tail_projections, tail_outputs, cutoffs)
    require(targets.shape == (hidden.shape[0],), f"targets has the shape {targets.shape}, not {(hidden.shape[0],)}")
    ids_within(targets, cutoffs[-1], "targets")
    return -_at(logs, targets)


@operation(inputs=clear_layers(), batch=("hidden",))
def adaptive_softmax_predict(
    hidden: Any, head: Any, tail_projections: tuple[Any, ...], tail_outputs: tuple[Any, ...], cutoffs: tuple[int, ...]
) -> Any:
    """The word of the largest p, in each row.

    hidden (N, H), head (H, c0 + J), tail_projections J of (H, h_j), tail_outputs J of (h_j, c_{j+1} - c_j),
    cutoffs (c0, c1, ..., V)  ->  (N,) ids
    """
    return np.argmax(adaptive_log_softmax(hidden, head, tail_projections, tail_outputs, cutoffs), axis=1)


def _require_fitting(
    hidden: Any, head: Any, tail_projections: tuple[Any, ...], tail_outputs: tuple[Any, ...], cutoffs: tuple[int, ...]
) -> None:
    width, sizes = hidden.shape[1], np.diff((0, *cutoffs))
    require(len(cutoffs) > 0 and np.all(sizes > 0), f"cutoffs must increase from above 0, not {cutoffs}")
    tails = len(cutoffs) - 1
    require(head.shape == (width, cutoffs[0] + tails),
            f"head has the shape {head.shape}, not {(width, cutoffs[0] + tails)}")  # fmt: skip
    for name, given in (("tail_projections", tail_projections), ("tail_outputs", tail_outputs)):
        require(len(given) == tails, f"{name} has {len(given)} matrices for {tails} tails")
    for projection, output, size in zip(tail_projections, tail_outputs, sizes[1:], strict=True):
        require(
            projection.shape[0] == width, f"tail_projections has a matrix of {projection.shape[0]} rows, not {width}"
        )
        require(output.shape == (projection.shape[1], size),
                f"tail_outputs has a matrix of shape {output.shape}, not {(projection.shape[1], size)}")  # fmt: skip


def _at(logs: Any, targets: Any) -> Any:
    """logs[n, targets[n]]."""
    return np.take_along_axis(logs, targets[:, None], axis=1)[:, 0]


# --- laws: a distribution -------------------------------------------------------------------------------------


@law()
def probabilities_over_the_whole_vocabulary_sum_to_one(adaptive_log_softmax: Any, inputs: dict[str, Any]) -> Claim:
    """The probabilities of all words, those of the short list and of every tail, sum to 1."""
    total = np.exp(adaptive_log_softmax(**inputs)).sum(axis=1)
    return closely(total, np.ones(len(total)))


@law()
def each_tail_weighs_what_its_head_entry_says(
    adaptive_log_softmax: Any, inputs: dict[str, Any], hidden: Any, head: Any, cutoffs: tuple[int, ...]
) -> Claim:
    """The probabilities within a tail sum to what the softmax of the head gives to that tail's entry."""
    probabilities = np.exp(adaptive_log_softmax(**inputs))
    masses = [probabilities[:, low:high].sum(axis=1) for low, high in pairwise(cutoffs)]
    return closely(np.stack(masses, axis=1), softmax(asbounded(hidden) @ head)[:, cutoffs[0] :])


@law(tail=st.integers(0, 2), seed=seeds)
def a_tail_changes_no_word_outside_it(
    adaptive_log_softmax: Any, inputs: dict[str, Any], cutoffs: tuple[int, ...], tail: int, seed: int
) -> Claim:
    """Other weights in one tail leave the short list and the words of all other tails as they were."""
    tail %= len(cutoffs) - 1
    other = {name: tuple(normal(seed, x.shape, x, 10) if j == tail else x for j, x in enumerate(inputs[name]))
             for name in ("tail_projections", "tail_outputs")}  # fmt: skip
    outside = np.delete(np.arange(cutoffs[-1]), np.arange(cutoffs[tail], cutoffs[tail + 1]))
    before, after = adaptive_log_softmax(**inputs), adaptive_log_softmax(**{**inputs, **other})
    return closely(after[:, outside], before[:, outside])


@law(seed=seeds)
def words_may_be_relabelled_within_their_cluster(
    adaptive_log_softmax: Any, inputs: dict[str, Any], head: Any, cutoffs: tuple[int, ...], seed: int
) -> Claim:
    """Words of the short list, and words of one tail, may change places if their columns of weights do."""
    generator = np.random.default_rng(seed)
    shortlist, *tails = [generator.permutation(size) for size in np.diff((0, *cutoffs))]
    entries = np.concatenate([shortlist, np.arange(cutoffs[0], head.shape[1])])
    order = np.concatenate([shortlist, *(start + t for start, t in zip(cutoffs, tails, strict=False))])
    outputs = tuple(x[:, t] for x, t in zip(inputs["tail_outputs"], tails, strict=True))
    relabelled = adaptive_log_softmax(**{**inputs, "head": head[:, entries], "tail_outputs": outputs})
    return closely(relabelled, adaptive_log_softmax(**inputs)[:, order])


@law(inputs=layers(last=1))
def a_tail_of_one_word_gives_it_all_of_its_mass(
    adaptive_log_softmax: Any, inputs: dict[str, Any], hidden: Any, head: Any
) -> Claim:
    """With a cutoff of V - 1 the last word is alone in its tail: it has the whole probability of the tail's entry."""
    return closely(adaptive_log_softmax(**inputs)[:, -1], log_softmax(asbounded(hidden) @ head)[:, -1])


@law(inputs=targeted(tails=(0, 0)))
def without_tails_it_is_the_plain_softmax(
    adaptive_log_softmax: Any, adaptive_softmax_loss: Any, inputs: dict[str, Any], hidden: Any, head: Any, targets: Any
) -> Claim:
    """With (V,) for cutoffs, log-probabilities and loss are those of a softmax over all words."""
    expected = log_softmax(asbounded(hidden) @ head)
    return all_of(
        closely(adaptive_log_softmax(**_for(adaptive_log_softmax, inputs)), expected),
        closely(adaptive_softmax_loss(**inputs), -_at(expected, targets)),
    )


@law(inputs=score_tables())
def entries_that_are_log_sums_give_the_full_softmax(
    adaptive_log_softmax: Any, scores: Any, cutoffs: tuple[int, ...]
) -> Claim:
    """Where the entry of each tail is the logarithm of the sum of its words' exponentials, cutting the vocabulary
    changes nothing.
    """
    rows = len(scores)
    tails = tuple(scores[:, low:high] for low, high in pairwise(cutoffs))
    entries = [_log_sum(asbounded(tail)) for tail in tails]
    identity = np.eye(rows, dtype=scores.dtype)  # each row of hidden picks its row of scores
    cut = adaptive_log_softmax(
        hidden=identity, head=np.concatenate([asbounded(scores[:, : cutoffs[0]]), *entries], axis=1),
        tail_projections=(identity,) * len(tails), tail_outputs=tails, cutoffs=cutoffs,
    )  # fmt: skip
    return closely(cut, log_softmax(asbounded(scores)))


@law(inputs=extreme_layers())
def extreme_scores_give_finite_log_probabilities(
    adaptive_log_softmax: Any, adaptive_softmax_loss: Any, inputs: dict[str, Any]
) -> Claim:
    """Where all scores are 1e4 or -1e4, every log-probability and every loss is finite."""
    finite = [np.isfinite(x.value) for x in (
        adaptive_log_softmax(**_for(adaptive_log_softmax, inputs)), adaptive_softmax_loss(**inputs)
    )]  # fmt: skip
    return all_of(*(exactly(x, np.ones_like(x)) for x in finite))


# --- laws: the loss -------------------------------------------------------------------------------------------


@law()
def the_loss_is_the_negative_log_probability_of_the_target(
    adaptive_softmax_loss: Any, adaptive_log_softmax: Any, inputs: dict[str, Any], targets: Any
) -> Claim:
    """Going through the target's cluster only gives what the distribution over all words has at the target."""
    return closely(
        adaptive_softmax_loss(**inputs), -_at(adaptive_log_softmax(**_for(adaptive_log_softmax, inputs)), targets)
    )


@law(seed=seeds)
def losses_of_a_permuted_batch_are_permuted(
    adaptive_softmax_loss: Any, inputs: dict[str, Any], hidden: Any, targets: Any, seed: int
) -> Claim:
    """Rows are gathered by cluster and put back: each loss stands where its row does, in any order of the batch."""
    order = np.random.default_rng(seed).permutation(len(targets))
    permuted = adaptive_softmax_loss(**{**inputs, "hidden": hidden[order], "targets": targets[order]})
    return closely(permuted, adaptive_softmax_loss(**inputs)[order])


@law(visited=st.integers(0, 6))
def tails_without_targets_may_hold_anything(
    adaptive_softmax_loss: Any, inputs: dict[str, Any], cutoffs: tuple[int, ...], visited: int
) -> Claim:
    """A loss reads the head and its target's tail: weights of other tails may be anything, even not a number."""
    targets, idle = _keeping_to(visited, inputs["targets"], cutoffs)
    inputs = {**inputs, "targets": targets}
    spoilt = {name: tuple(np.full_like(x, np.nan) if j in idle else x for j, x in enumerate(inputs[name]))
              for name in ("tail_projections", "tail_outputs")}  # fmt: skip
    return closely(adaptive_softmax_loss(**{**inputs, **spoilt}), adaptive_softmax_loss(**inputs))


@law(needs=["gradient"], visited=st.integers(0, 6), seed=seeds)
def tails_without_targets_get_no_gradient(
    adaptive_softmax_loss: Any, inputs: dict[str, Any], cutoffs: tuple[int, ...], visited: int, seed: int
) -> Claim:
    """The gradient of the loss by both matrices of a tail that no target is in is exactly 0."""
    targets, idle = _keeping_to(visited, inputs["targets"], cutoffs)
    cotangent = normal(seed, targets.shape, inputs["hidden"])
    gradient = adaptive_softmax_loss.gradient(cotangent, **{**inputs, "targets": targets})
    found = [gradient[name][j] for name in ("tail_projections", "tail_outputs") for j in idle]
    return all_of(*(exactly(x, np.zeros_like(x)) for x in found))


@law(needs=["gradient"], seed=seeds, examples=50)
def the_gradient_of_the_loss_is_that_of_the_whole_distribution(
    adaptive_softmax_loss: Any, adaptive_log_softmax: Any, inputs: dict[str, Any], targets: Any,
    cutoffs: tuple[int, ...], seed: int,
) -> Claim:  # fmt: skip
    """The gradient that visits the targets' clusters only is the one of all log-probabilities, taken at the targets."""
    cotangent = normal(seed, targets.shape, inputs["hidden"])
    chosen = one_hot(targets, cutoffs[-1]).astype(cotangent.dtype)
    sparse, _ = adaptive_softmax_loss.compare_gradient(cotangent, **inputs)
    dense, _ = adaptive_log_softmax.compare_gradient(-cotangent[:, None] * chosen, **_for(adaptive_log_softmax, inputs))
    return closely(tuple(sparse.values()), tuple(dense.values()))


# --- laws: prediction -----------------------------------------------------------------------------------------


@law(inputs=layers())
def no_word_is_likelier_than_the_predicted_one(
    adaptive_softmax_predict: Any, adaptive_log_softmax: Any, inputs: dict[str, Any]
) -> Claim:
    """Erratum. The predicted word is the likeliest of all, whichever cluster is: entering the likeliest cluster and
    looking no further does not find it.
    """
    predicted = adaptive_softmax_predict.results(**inputs)  # without its definition, which does not decide near ties
    logs = adaptive_log_softmax.definition(**inputs)
    return at_most(logs, np.broadcast_to(_at(logs, predicted)[:, None], logs.shape))


@law(inputs=clear_layers(tails=(0, 0)))
def without_tails_the_highest_score_is_predicted(
    adaptive_softmax_predict: Any, inputs: dict[str, Any], hidden: Any, head: Any
) -> Claim:
    """With (V,) for cutoffs the word with the highest score of the head is predicted, the last one included."""
    return exactly(adaptive_softmax_predict(**inputs), np.argmax(asbounded(hidden) @ head, axis=1))


# --- laws: what is refused ------------------------------------------------------------------------------------


@law(inputs=targeted(textures=PLAIN), place=st.integers(0, 5), beyond=st.integers(0, 3), examples=20)
def targets_outside_the_vocabulary_are_refused(
    adaptive_softmax_loss: Any, inputs: dict[str, Any], targets: Any, cutoffs: tuple[int, ...], place: int, beyond: int
) -> Claim:
    """A target of V or above, or below 0, is refused, wherever it stands."""
    here = np.arange(len(targets)) == place % len(targets)
    high, low = (np.where(here, bad, targets) for bad in (cutoffs[-1] + beyond, -1 - beyond))
    return all_of(*(refused(adaptive_softmax_loss, "targets", {**inputs, "targets": bad}) for bad in (high, low)))


@law(inputs=targeted(textures=PLAIN), examples=20)
def every_row_needs_one_target(adaptive_softmax_loss: Any, inputs: dict[str, Any], targets: Any) -> Claim:
    """More rows than targets, or more targets than rows, are refused."""
    repeated = np.concatenate([targets, targets])
    return all_of(
        refused(adaptive_softmax_loss, "targets", {**inputs, "targets": repeated}),
        refused(adaptive_softmax_loss, "targets", {**inputs, "hidden": np.concatenate([inputs["hidden"]] * 2)}),
    )


@law(inputs=targeted(textures=PLAIN), examples=20)
def cutoffs_that_do_not_increase_are_refused(
    adaptive_softmax_loss: Any, adaptive_log_softmax: Any, adaptive_softmax_predict: Any, inputs: dict[str, Any],
    head: Any, cutoffs: tuple[int, ...],
) -> Claim:  # fmt: skip
    """No cutoffs, an empty short list, an empty tail, even where the weights fit them, and clusters out of order are
    refused.
    """
    inputs = {**inputs, "targets": np.zeros_like(inputs["targets"])}
    first, *rest = cutoffs
    projections, outputs = inputs["tail_projections"], inputs["tail_outputs"]
    no_shortlist = {"head": head[:, first:], "cutoffs": (0, *(c - first for c in rest))}
    empty_tail = {
        "head": np.concatenate([head, head[:, -1:]], axis=1),
        "tail_projections": (*projections, projections[-1]),
        "tail_outputs": (*outputs, outputs[-1][:, :0]),
        "cutoffs": (*cutoffs, cutoffs[-1]),
    }
    changes = (no_shortlist, empty_tail, {"cutoffs": cutoffs[::-1]}, {"cutoffs": ()})
    return all_of(*(
        refused(f, "cutoffs", {**_for(f, inputs), **change})
        for f in (adaptive_softmax_loss, adaptive_log_softmax, adaptive_softmax_predict) for change in changes
    ))  # fmt: skip


@law(inputs=targeted(textures=PLAIN), examples=20)
def a_head_without_one_entry_for_each_tail_is_refused(
    adaptive_softmax_loss: Any, adaptive_log_softmax: Any, adaptive_softmax_predict: Any, inputs: dict[str, Any],
    head: Any,
) -> Claim:  # fmt: skip
    """A head of more or fewer than c0 + J columns is refused."""
    return all_of(*(
        refused(f, "head", {**_for(f, inputs), "head": other})
        for f in (adaptive_softmax_loss, adaptive_log_softmax, adaptive_softmax_predict)
        for other in (np.concatenate([head, head[:, :1]], axis=1), head[:, 1:])
    ))  # fmt: skip


@law(inputs=targeted(textures=PLAIN), examples=20)
def tails_that_do_not_fit_are_refused(
    adaptive_softmax_loss: Any, adaptive_log_softmax: Any, adaptive_softmax_predict: Any, inputs: dict[str, Any]
) -> Claim:
    """A tail with a word too many, a projection of another width, and a tail too many or too few are refused."""
    projections, outputs = inputs["tail_projections"], inputs["tail_outputs"]
    surplus_word = (*outputs[:-1], np.concatenate([outputs[-1], outputs[-1][:, :1]], axis=1))
    surplus_width = (*projections[:-1], np.concatenate([projections[-1], projections[-1][:1]]))
    wrong = (
        ("tail_outputs", surplus_word), ("tail_projections", surplus_width),
        ("tail_outputs", (*outputs, outputs[-1])), ("tail_outputs", outputs[:-1]),
        ("tail_projections", (*projections, projections[-1])), ("tail_projections", projections[:-1]),
    )  # fmt: skip
    return all_of(*(
        refused(f, name, {**_for(f, inputs), name: other})
        for f in (adaptive_softmax_loss, adaptive_log_softmax, adaptive_softmax_predict) for name, other in wrong
    ))  # fmt: skip


def _for(operation: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs that the operation has parameters for."""
    return {name: x for name, x in inputs.items() if name in operation.operation.parameters}


def _log_sum(scores: Any) -> Any:
    """(N, n) -> (N, 1): log(sum(exp(scores)))."""
    highest = np.max(scores, axis=1, keepdims=True)
    return highest + np.log(np.sum(np.exp(scores - highest), axis=1, keepdims=True))


def _keeping_to(visited: int, targets: Any, cutoffs: tuple[int, ...]) -> tuple[Any, list[int]]:
    """Targets that visit only the tails whose bits are set, never all of them, and the tails they do not visit.

    Targets in other tails are moved to the short list.
    """
    tails = len(cutoffs) - 1
    idle = [j for j in range(tails) if not visited % (2**tails - 1) >> j & 1]
    for j in idle:
        targets = np.where((targets >= cutoffs[j]) & (targets < cutoffs[j + 1]), targets % cutoffs[0], targets)
    return targets, idle


# --- faults ---------------------------------------------------------------------------------------------------


def _parts(
    hidden: Any, head: Any, tail_projections: Any, tail_outputs: Any, normalize: Callable[[Any], Any] = log_softmax
) -> tuple[Any, list[Any]]:
    """The log-probabilities that the head gives, and those within each tail."""
    tails = [normalize(hidden @ p @ o) for p, o in zip(tail_projections, tail_outputs, strict=True)]
    return normalize(hidden @ head), tails


def _joined(top: Any, tails: list[Any], shortlist: int, first: int = 0) -> Any:
    """The log-probabilities of all words; first: number of the entry that tail 0 is given."""
    entries = [top[:, shortlist + (first + j) % len(tails), None] for j in range(len(tails))]
    return np.concatenate(
        [top[:, :shortlist], *(entry + tail for entry, tail in zip(entries, tails, strict=True))], axis=1
    )


def _distribution(cutoffs: Any, **weights: Any) -> Any:
    return _joined(*_parts(**weights), cutoffs[0])


@fault(adaptive_log_softmax, breaks=("probabilities_over_the_whole_vocabulary_sum_to_one",
                                     "each_tail_weighs_what_its_head_entry_says",
                                     "entries_that_are_log_sums_give_the_full_softmax"))  # fmt: skip
def leaves_out_the_mass_of_the_tail(cutoffs: Any, **weights: Any) -> Any:
    """Words of a tail get their probability within the tail. Add the log-probability of the tail's entry."""
    top, tails = _parts(**weights)
    return np.concatenate([top[:, : cutoffs[0]], *tails], axis=1)


@fault(adaptive_log_softmax, breaks=("each_tail_weighs_what_its_head_entry_says", "agrees_with_definition"))
def takes_the_entry_of_the_next_tail(cutoffs: Any, **weights: Any) -> Any:
    """Tail j is multiplied by the mass of tail j + 1. Its entry is column c0 + j of the head."""
    return _joined(*_parts(**weights), cutoffs[0], first=1)


@fault(adaptive_log_softmax, breaks="a_tail_changes_no_word_outside_it")
def normalizes_the_tails_together(cutoffs: Any, **weights: Any) -> Any:
    """One softmax runs over the words of all tails, times the mass of all. Each tail has a softmax of its own."""
    top, scores = _parts(**weights, normalize=lambda scores: scores)
    top = log_softmax(top)
    tails = [_log_sum(top[:, cutoffs[0] :]) + log_softmax(np.concatenate(scores, axis=1))] if scores else []
    return np.concatenate([top[:, : cutoffs[0]], *tails], axis=1)


@fault(adaptive_log_softmax, breaks="words_may_be_relabelled_within_their_cluster")
def leaves_the_last_word_out_of_the_sum(cutoffs: Any, **weights: Any) -> Any:
    """The sums end one word early: a slice that stops at cutoff - 1. A slice excludes its end anyway."""

    def normalize(scores: Any) -> Any:
        return scores - _log_sum(scores[:, : max(scores.shape[1] - 1, 1)])

    return _distribution(cutoffs, **weights, normalize=normalize)


@fault(adaptive_log_softmax, breaks="a_tail_of_one_word_gives_it_all_of_its_mass",
       seen="https://github.com/pytorch/pytorch/issues/16658")  # fmt: skip
def knows_no_tail_of_one_word(cutoffs: Any, **weights: Any) -> Any:
    """A cutoff of V - 1 is taken to be out of range: refused, or, as here, ignored, so that the last word is never
    likely. V - 1 is the last cutoff that leaves a word.
    """
    logs = _distribution(cutoffs, **weights)
    alone = cutoffs[-1] - 1 in cutoffs
    return np.where(alone & (np.arange(cutoffs[-1]) == cutoffs[-1] - 1), -100.0, logs)


@fault(adaptive_log_softmax, breaks="without_tails_it_is_the_plain_softmax")
def returns_scores_where_there_are_no_tails(cutoffs: Any, **weights: Any) -> Any:
    """A short cut for a head without tails leaves before it has normalized. Take the log_softmax first."""
    return _distribution(cutoffs, **weights) if len(cutoffs) > 1 else weights["hidden"] @ weights["head"]


@fault(adaptive_log_softmax, breaks="extreme_scores_give_finite_log_probabilities",
       seen="https://github.com/deeplearning4j/deeplearning4j/issues/785")  # fmt: skip
def takes_the_log_of_a_softmax(cutoffs: Any, **weights: Any) -> Any:
    """Probabilities underflow to 0 before the logarithm is taken. Use log_softmax."""
    return _distribution(cutoffs, **weights, normalize=lambda scores: np.log(softmax(scores)))


@fault(adaptive_log_softmax, breaks="extreme_scores_give_finite_log_probabilities",
       seen="https://github.com/dwavesystems/dwave-optimization/issues/555")  # fmt: skip
def subtracts_no_maximum(cutoffs: Any, **weights: Any) -> Any:
    """exp overflows at scores of a few hundred. Subtract the highest score of the row first."""

    def normalize(scores: Any) -> Any:
        return scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))

    return _distribution(cutoffs, **weights, normalize=normalize)


@fault(adaptive_log_softmax, breaks="extreme_scores_give_finite_log_probabilities",
       seen="https://github.com/PaddlePaddle/Paddle/pull/21165")  # fmt: skip
def clamps_the_maximum(cutoffs: Any, **weights: Any) -> Any:
    """The maximum that is subtracted is at least -64, so that where all scores are far below it every exponential is 0.
    Subtract the maximum as it is.
    """

    def normalize(scores: Any) -> Any:
        shifted = scores - np.maximum(np.max(scores, axis=1, keepdims=True), -64.0)
        return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))

    return _distribution(cutoffs, **weights, normalize=normalize)


@fault(adaptive_softmax_loss, breaks="the_loss_is_the_negative_log_probability_of_the_target")
def loses_the_term_of_the_head(targets: Any, **layer: Any) -> Any:
    """The loss of a word in a tail is that within the tail. Add the loss of the tail's entry in the head."""
    return -_at(leaves_out_the_mass_of_the_tail.function(**layer), targets)


@fault(adaptive_softmax_loss, breaks="the_loss_is_the_negative_log_probability_of_the_target",
       seen="https://github.com/salesforce/awd-lstm-lm/issues/82")  # fmt: skip
def counts_the_entry_of_the_tail_twice(targets: Any, cutoffs: Any, **weights: Any) -> Any:
    """The head's loss is added to a log-probability that has it already. Add it once."""
    top, tails = _parts(**weights)
    once = [top[:, cutoffs[0] + j, None] + tail for j, tail in enumerate(tails)]
    return -_at(_joined(top, once, cutoffs[0]), targets)


@fault(adaptive_softmax_loss, breaks="the_loss_is_the_negative_log_probability_of_the_target")
def counts_the_cutoff_to_the_shortlist(targets: Any, cutoffs: Any, **weights: Any) -> Any:
    """Word c0 is looked up in the head, where the entry of the first tail stands. The short list ends at c0 - 1."""
    top, tails = _parts(**weights)
    beyond = min(cutoffs[0], top.shape[1] - 1)  # without tails there is no such column
    return -np.where(targets == cutoffs[0], top[:, beyond], _at(_joined(top, tails, cutoffs[0]), targets))


@fault(adaptive_softmax_loss, breaks=("losses_of_a_permuted_batch_are_permuted", "agrees_with_definition"))
def returns_losses_by_cluster(targets: Any, cutoffs: Any, **weights: Any) -> Any:
    """Losses come back cluster by cluster, as they were computed. Put each where its row is."""
    order = np.argsort(np.searchsorted(cutoffs, targets, side="right"), kind="stable")
    return -_at(_distribution(cutoffs, **weights), targets)[order]


@fault(adaptive_softmax_loss, breaks="tails_without_targets_may_hold_anything")
def multiplies_losses_by_a_mask(targets: Any, cutoffs: Any, **weights: Any) -> Any:
    """Every tail is computed for every row, and multiplied by 0 where the target is elsewhere; what is not a number
    survives that. Select rows instead.
    """
    top, tails = _parts(**weights)
    cluster = np.searchsorted(cutoffs, targets, side="right")
    loss = -_at(top, np.where(cluster == 0, targets, cutoffs[0] + cluster - 1))
    for j, tail in enumerate(tails):
        word = np.clip(targets - cutoffs[j], 0, tail.shape[1] - 1)
        loss = loss - _at(tail, word) * (cluster == j + 1).astype(tail.dtype)
    return loss


@fault(adaptive_softmax_loss, breaks="tails_without_targets_get_no_gradient")
def trains_every_tail(targets: Any, cutoffs: Any, **weights: Any) -> Any:
    """The gradient of every tail's first word is let through in every row, whatever the target. Gather the rows of a
    tail first.
    """
    top, tails = _parts(**weights)
    loss = -_at(_joined(top, tails, cutoffs[0]), targets)
    for tail in tails:
        loss = loss + (tail[:, 0] - constant(tail[:, 0]))
    return loss


@fault(adaptive_softmax_loss, breaks=("the_gradient_of_the_loss_is_that_of_the_whole_distribution",
                                      "gradient_agrees_with_definition"),
       seen="https://github.com/salesforce/awd-lstm-lm/issues/82")  # fmt: skip
def does_not_train_the_entries_of_the_tails(targets: Any, cutoffs: Any, **weights: Any) -> Any:
    """The head's part of a tail's loss does not reach the head: the entries stay as they were initialized. Let the
    gradient through for targets in tails, too.
    """
    top, tails = _parts(**weights)
    parts = [constant(top[:, cutoffs[0] + j, None]) + tail for j, tail in enumerate(tails)]
    return -_at(np.concatenate([top[:, : cutoffs[0]], *parts], axis=1), targets)


@fault(adaptive_softmax_loss, breaks="targets_outside_the_vocabulary_are_refused")
def wraps_targets_around(targets: Any, cutoffs: Any, **weights: Any) -> Any:
    """Targets of V and above, or below 0, count from the other end. Refuse them."""
    return -_at(_distribution(cutoffs, **weights), targets % cutoffs[-1])


@fault(adaptive_softmax_loss, breaks="every_row_needs_one_target")
def takes_as_many_rows_as_targets(targets: Any, hidden: Any, **weights: Any) -> Any:
    """Rows without a target get no loss, and nobody hears of it. Refuse them."""
    return adaptive_softmax_loss(hidden=hidden[: len(targets)], targets=targets, **weights)


@fault(adaptive_log_softmax, breaks="cutoffs_that_do_not_increase_are_refused")
def accepts_an_empty_shortlist(cutoffs: Any, **weights: Any) -> Any:
    """A first cutoff of 0 is taken, and the most frequent words go through a tail. Refuse it."""
    return _distribution(cutoffs, **weights)


@fault(adaptive_log_softmax, breaks="a_head_without_one_entry_for_each_tail_is_refused")
def ignores_surplus_entries(cutoffs: Any, **weights: Any) -> Any:
    """Columns of the head beyond the tails' take probability that no word gets. Compare head with cutoffs."""
    return _distribution(cutoffs, **weights)


@fault(adaptive_softmax_predict, breaks="tails_that_do_not_fit_are_refused")
def predicts_words_beyond_the_vocabulary(cutoffs: Any, **weights: Any) -> Any:
    """A tail with too many words is taken as it is. Compare its outputs with cutoffs."""
    return np.argmax(_distribution(cutoffs, **weights), axis=1)


@fault(adaptive_softmax_predict, breaks="no_word_is_likelier_than_the_predicted_one")
def predicts_from_the_shortlist(cutoffs: Any, **weights: Any) -> Any:
    """Only words of the short list are ever predicted. Look into the tails, too."""
    top, _ = _parts(**weights)
    return np.argmax(top[:, : cutoffs[0]], axis=1)


@fault(adaptive_softmax_predict, breaks="no_word_is_likelier_than_the_predicted_one")
def enters_the_likeliest_cluster(cutoffs: Any, **weights: Any) -> Any:
    """Where the best entry of the head is a tail, the best word of that tail is predicted, though its share of the mass
    may be small. Compare it with the words of all other clusters.
    """
    top, tails = _parts(**weights)
    best = np.argmax(top, axis=1)
    word = best
    for j, tail in enumerate(tails):
        word = np.where(best == cutoffs[0] + j, cutoffs[j] + np.argmax(tail, axis=1), word)
    return word


@fault(adaptive_softmax_predict, breaks="without_tails_the_highest_score_is_predicted")
def takes_the_last_word_for_a_tail(cutoffs: Any, **weights: Any) -> Any:
    """Without tails the last column of the head still counts as the entry of one. Take the short list from cutoffs."""
    logs = _distribution(cutoffs, **weights)
    return np.argmax(logs if len(cutoffs) > 1 else logs[:, : max(cutoffs[0] - 1, 1)], axis=1)


# --- workloads ------------------------------------------------------------------------------------------------


def _clusters(V: int) -> tuple[int, ...]:
    """A short list of a twenty-fifth of the words, a first tail up to the fifth, and the rest: 2,000 and 10,000 of
    50,000.
    """
    return V // 25, V // 5, V


def _weights(random: np.random.Generator, H: int, V: int) -> dict[str, Any]:
    """A head and two tails, whose projections are a quarter and a sixteenth as wide as the hidden state."""
    cutoffs = _clusters(V)
    widths, words = (H // 4, H // 16), (cutoffs[1] - cutoffs[0], cutoffs[2] - cutoffs[1])
    return {
        "head": matrix(random, H, cutoffs[0] + len(widths)),
        "tail_projections": tuple(matrix(random, H, width) for width in widths),
        "tail_outputs": tuple(matrix(random, width, count) for width, count in zip(widths, words, strict=True)),
        "cutoffs": cutoffs,
    }


def tail_cost(N: int, H: int, V: int, shares: tuple[float, ...]) -> Cost:
    """The head for every row, and each tail for its share of the rows; all the weights are read."""
    cutoffs = _clusters(V)
    flops, moved = 2.0 * N * H * (cutoffs[0] + 2), N * H + H * (cutoffs[0] + 2)
    for share, width, count in zip(shares, (H // 4, H // 16), np.diff(cutoffs), strict=True):
        flops += share * N * 2 * width * (H + int(count))
        moved += width * (H + int(count))
    return Cost(flops=flops, moved=moved)


def tail_shares(V: int) -> tuple[float, ...]:
    """The part of all words of a text by Zipf's law that each tail holds."""
    masses = np.cumsum(1 / np.arange(1, V + 1))
    return tuple(np.diff([masses[cut - 1] / masses[-1] for cut in _clusters(V)]))


def _adaptive_cost(N: int, H: int, V: int) -> Cost:
    """A tail is computed for the rows whose targets it holds: as many as Zipf's law has."""
    cost = tail_cost(N, H, V, tail_shares(V))
    return Cost(flops=cost.flops, moved=cost.moved + N)


def _adaptive_cost_backward(N: int, H: int, V: int) -> Cost:
    """Each product has two more; every weight has a gradient."""
    cost = _adaptive_cost(N, H, V)
    return Cost(flops=3 * cost.flops, moved=2 * cost.moved)


@workload(adaptive_softmax_loss, sizes={"N": 1024, "H": 512, "V": 50_000}, cost=_adaptive_cost,
          backward=_adaptive_cost_backward, grows={"V": (10_000, 25_000, 100_000)}, gradient=True)  # fmt: skip
def adaptive_loss(random: np.random.Generator, N: int, H: int, V: int) -> dict[str, Any]:
    """The loss of 1,024 words of a text by Zipf's law, over 50,000 words in a short list of 2,000 and tails up to
    10,000 and to the end (Grave et al. 2017, sections 4 and 5).
    """
    hidden = random.standard_normal((N, H))
    return {"hidden": hidden, **_weights(random, H, V), "targets": zipf(random, (N,), V)}


def _full_cost(N: int, H: int, V: int) -> Cost:
    """One matrix product."""
    return Cost(flops=2 * N * H * V, moved=N * H + H * V + N)


def _full_cost_backward(N: int, H: int, V: int) -> Cost:
    """Two more products; every weight has a gradient."""
    return Cost(flops=6 * N * H * V, moved=2 * (N * H + H * V + N))


@workload(adaptive_softmax_loss, sizes={"N": 1024, "H": 512, "V": 50_000}, cost=_full_cost,
          backward=_full_cost_backward, grows={"V": (10_000, 25_000, 100_000)}, gradient=True)  # fmt: skip
def full_loss(random: np.random.Generator, N: int, H: int, V: int) -> dict[str, Any]:
    """The same loss without tails, which is that of the full softmax over 50,000 words (Grave et al. 2017, table 1)."""
    return {"hidden": random.standard_normal((N, H)), "head": matrix(random, H, V), "tail_projections": (),
            "tail_outputs": (), "cutoffs": (V,), "targets": zipf(random, (N,), V)}  # fmt: skip


def _distribution_cost(N: int, H: int, V: int) -> Cost:
    """All tails for every row; the distribution is written."""
    cost = tail_cost(N, H, V, (1, 1))
    return Cost(flops=cost.flops, moved=cost.moved + N * V)


def _distribution_cost_backward(N: int, H: int, V: int) -> Cost:
    """Two more products for each; the distribution has a gradient as large, which is read."""
    cost = _distribution_cost(N, H, V)
    return Cost(flops=3 * cost.flops, moved=2 * cost.moved)


@workload(adaptive_log_softmax, sizes={"N": 1024, "H": 512, "V": 50_000}, cost=_distribution_cost,
          backward=_distribution_cost_backward, gradient=True)  # fmt: skip
def whole_distribution(random: np.random.Generator, N: int, H: int, V: int) -> dict[str, Any]:
    """The log-probabilities of all 50,000 words after each of 1,024, with the clusters of `adaptive_loss`."""
    return {"hidden": random.standard_normal((N, H)), **_weights(random, H, V)}


@workload(adaptive_softmax_predict, sizes={"N": 1024, "H": 512, "V": 50_000},
          cost=lambda N, H, V: tail_cost(N, H, V, (0, 0)))  # fmt: skip
def likeliest_words(random: np.random.Generator, N: int, H: int, V: int) -> dict[str, Any]:
    """The likeliest of 50,000 words after each of 1,024, with the clusters of `adaptive_loss`; each state asks for a
    word of the short list, clearly, as those of a trained model mostly do.
    """
    weights = _weights(random, H, V)
    asked = weights["head"][:, zipf(random, (N,), weights["cutoffs"][0])].T
    return {"hidden": random.standard_normal((N, H)) + 16 * asked, **weights}


_PAPER = (
    "Grave et al. 2017, Efficient softmax approximation for GPUs: 2 to 10 times; the title of the article that the"
    " note cites says 1000%"
)

adaptive_against_full_at_10000_words = Headline(
    "Over 10,000 words the adaptive softmax trains 2 to 10 times as fast as the full one.", _PAPER,
    fast=adaptive_loss.at(V=10_000), slow=full_loss.at(V=10_000), gradient=True,
)  # fmt: skip

adaptive_against_full_at_50000_words = Headline(
    "Over 50,000 words the adaptive softmax trains 2 to 10 times as fast as the full one.", _PAPER,
    fast=adaptive_loss, slow=full_loss, gradient=True,
)  # fmt: skip

adaptive_against_full_at_250000_words = Headline(
    "Over 250,000 words the adaptive softmax trains 2 to 10 times as fast as the full one.",
    _PAPER + "; with 256 rows, as the full one would hold a gigabyte of scores for 1,024",
    fast=adaptive_loss.at(V=250_000, N=256), slow=full_loss.at(V=250_000, N=256), gradient=True,
)  # fmt: skip

adaptive_against_full_forward = Headline(
    "Over 50,000 words the loss of the adaptive softmax is found 2 to 10 times as fast, gradients aside.", _PAPER,
    fast=adaptive_loss, slow=full_loss,
)  # fmt: skip

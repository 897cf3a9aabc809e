"""What is named where a backend does what no note has a fault for, or several things at once, and what is not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from layerlaws.checking.check import check
from layerlaws.checking.diagnosis import matching
from layerlaws.checking.reference import gradient, plain, reference
from layerlaws.checking.trial import Statistics
from layerlaws.checking.verdict import NOTICED
from layerlaws.discovery import catalogue
from layerlaws.language.backend import Backend
from layerlaws.language.deviations import COMPUTES_IN_FLOAT32, deviations_of
from layerlaws.language.evidence import noticed_by
from layerlaws.language.laws import Fault
from layerlaws.notes.adaptive_softmax.clusters import all_logs
from layerlaws.notes.volo.outlook import outlook_with
from layerlaws.numerics.reverse_mode import constant

Function = Callable[..., Any]
RIGHT = reference(catalogue())
SAMPLE = ("masked_self_attention", "learned_positions", "kl_divergence", "random_masking")
EVERY = 1 if os.environ.get("LAYERLAWS_ALL_FAULTS") else 3
"""Which deviations are offered: all, or the first of so many."""


@pytest.fixture(autouse=True)
def no_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts come without a diagnosis: it is asked for here, with the names of the faults."""
    monkeypatch.setattr(sys.modules[check.__module__], "diagnose", lambda *asked: "")


def named(backend: Backend, law: str) -> list[str] | None:
    """The faults that are named where the backend breaks a law; None if it does not."""
    (case,) = catalogue().select((), (law,))
    for profile in ("quick", "standard"):
        statistics = Statistics()
        if check(backend, case, profile=profile, shrink=False, statistics=statistics).state in NOTICED:
            return [fault.name for fault in matching(backend, case, statistics.drawn)]
    return None


def with_functions(**functions: Function) -> Backend:
    """The definitions, with these functions in place of theirs."""
    return replace(RIGHT, functions={**RIGHT.functions, **functions})


# --- what was told wrongly before -----------------------------------------------------------------------------


def test_an_accepted_even_window_is_no_overflow() -> None:
    def outlook_attention(**inputs: Any) -> Any:
        even = inputs["kernel_size"] % 2 == 0
        return plain(outlook_with)(**inputs) if even else RIGHT.functions["outlook_attention"](**inputs)

    backend = with_functions(outlook_attention=outlook_attention)
    assert named(backend, "outlook_attention.an_even_window_has_no_centre") == []


def test_a_table_of_another_width_does_not_start_again() -> None:
    backend = with_functions(learned_positions=lambda x, table: x + table[: x.shape[1]])
    assert named(backend, "learned_positions.positions_of_another_width_are_refused") == []
    assert named(backend, "learned_positions.agrees_with_definition") is None

    def cut(x: Any, table: Any) -> Any:
        return RIGHT.functions["learned_positions"](x=x, table=table[:, : x.shape[2]])

    assert named(with_functions(learned_positions=cut), "learned_positions.positions_of_another_width_are_refused") == [
        "adds_the_columns_that_fit"
    ]


def test_zeros_for_words_that_do_not_exist_do_not_wrap_around() -> None:
    def target_embedding(targets: Any, begin: int, token_table: Any, **others: Any) -> Any:
        words = len(token_table)
        padded = np.concatenate([token_table, np.zeros_like(token_table[:1])])
        known = np.where((targets < 0) | (targets >= words), words, targets)
        first = begin if 0 <= begin < words else words
        return RIGHT.functions["target_embedding"](targets=known, begin=first, token_table=padded, **others)

    backend = with_functions(target_embedding=target_embedding)
    assert named(backend, "target_embedding.words_outside_the_vocabulary_are_refused") == []
    assert named(backend, "target_embedding.a_last_target_outside_the_vocabulary_is_refused") == [
        "checks_what_it_embeds_only"
    ]


def test_an_accepted_empty_short_list_is_that_and_nothing_else() -> None:
    def adaptive_log_softmax(**inputs: Any) -> Any:
        empty = inputs["cutoffs"] and inputs["cutoffs"][0] == 0
        return plain(all_logs)(**inputs) if empty else RIGHT.functions["adaptive_log_softmax"](**inputs)

    backend = with_functions(adaptive_log_softmax=adaptive_log_softmax)
    assert named(backend, "adaptive_softmax_loss.cutoffs_that_do_not_increase_are_refused") == [
        "accepts_an_empty_shortlist"
    ]


# --- rows that see nothing ------------------------------------------------------------------------------------


def attention(hide: Callable[[Any, Any], Any]) -> Function:
    """Attention by a mask that is applied to scores by a function."""

    def scaled_dot_product_attention(query: Any, key: Any, value: Any, mask: Any) -> Any:
        scores = query @ key.swapaxes(-1, -2) / np.asarray(query.shape[-1] ** 0.5, query.dtype)
        if mask is not None:
            scores = hide(scores, mask).astype(query.dtype)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True) @ value

    return scaled_dot_product_attention


BILLION, TEN_THOUSAND = "hides_scores_behind_minus_a_billion", "hides_scores_behind_minus_ten_thousand"


@pytest.mark.parametrize(
    ("fill", "also"), [(-1e30, []), (-1e9, [BILLION]), (-1e4, [TEN_THOUSAND, BILLION]), (None, [])]
)
def test_a_finite_fill_of_any_size_attends_uniformly(fill: float | None, also: list[str]) -> None:
    def hide(scores: Any, mask: Any) -> Any:
        return np.where(mask, scores, np.finfo(scores.dtype).min if fill is None else fill)

    backend = with_functions(scaled_dot_product_attention=attention(hide))
    law = "scaled_dot_product_attention.a_query_that_sees_nothing_gets_nothing"
    assert named(backend, law) == ["attends_uniformly_where_nothing_is_allowed", *also]


@pytest.mark.parametrize("size", [1e9, 1e4])
def test_a_number_that_is_subtracted_leaves_the_scores_of_a_row_that_sees_nothing(size: float) -> None:
    backend = with_functions(scaled_dot_product_attention=attention(lambda scores, mask: scores - size * ~mask))
    law = "scaled_dot_product_attention.a_query_that_sees_nothing_gets_nothing"
    assert named(backend, law) == ["sees_everything_where_nothing_is_allowed"]


# --- precision and dtypes -------------------------------------------------------------------------------------


def in_single(function: Function) -> Function:
    """A function whose float64 arguments are rounded to float32, and its results widened again."""

    def single(**arguments: Any) -> Any:
        double = any(getattr(x, "dtype", None) == np.float64 for x in arguments.values())
        result = function(
            **{n: x.astype(np.float32) if getattr(x, "dtype", None) == np.float64 else x for n, x in arguments.items()}
        )
        return result.astype(np.float64) if double else result

    return single


def test_float32_inside_float64_is_named_whole_or_in_part() -> None:
    whole = in_single(RIGHT.functions["scaled_dot_product_attention"])
    backend = with_functions(scaled_dot_product_attention=whole)
    assert named(backend, "scaled_dot_product_attention.agrees_with_definition") == [COMPUTES_IN_FLOAT32]

    def softmax_in_single(query: Any, key: Any, value: Any, mask: Any) -> Any:
        weights = whole(
            query=query,
            key=key,
            value=np.broadcast_to(
                np.eye(key.shape[2], dtype=value.dtype), (*key.shape[:2], key.shape[2], key.shape[2])
            ),
            mask=mask,
        )
        return weights @ value

    backend = with_functions(scaled_dot_product_attention=softmax_in_single)
    assert named(backend, "scaled_dot_product_attention.agrees_with_definition") == [COMPUTES_IN_FLOAT32]


def test_an_error_as_small_as_that_of_float32_is_not_called_float32() -> None:
    """A scale that is off by 1e-7 is within what float32 may lose."""

    def slightly_off(query: Any, **others: Any) -> Any:
        return RIGHT.functions["scaled_dot_product_attention"](query=query * query.dtype.type(1 + 1e-7), **others)

    backend = with_functions(scaled_dot_product_attention=slightly_off)
    assert named(backend, "scaled_dot_product_attention.agrees_with_definition") == []


def test_results_of_another_dtype_are_named() -> None:
    def returns_single(**arguments: Any) -> Any:
        return RIGHT.functions["masked_self_attention"](**arguments).astype(np.float32)

    def returns_int32(targets: Any, begin: int, end: int) -> Any:
        return tuple(
            x.astype(np.int32) for x in RIGHT.functions["teacher_forcing"](targets=targets, begin=begin, end=end)
        )

    backend = with_functions(masked_self_attention=returns_single, teacher_forcing=returns_int32)
    assert named(backend, "masked_self_attention.agrees_with_definition") == ["returns_float32"]
    assert named(backend, "teacher_forcing.agrees_with_definition") == ["returns_int32"]


# --- shapes and gradients -------------------------------------------------------------------------------------


def offered(fault: Fault) -> Backend:
    return reference(catalogue(), fault)


@pytest.mark.parametrize("operation", SAMPLE)
def test_a_deviation_is_named_or_cannot_be_told_from_what_is(operation: str) -> None:
    """Whatever the operation: each deviation that breaks its law is named, alone or beside those it equals."""
    chosen = catalogue().operations[operation]
    note = next(note for note in catalogue().notes if chosen in note.operations)
    broken = {}
    for fault in deviations_of(chosen)[::EVERY]:
        (case,) = noticed_by(fault, note)
        names = named(offered(fault), case.id)
        if names is not None:
            broken[fault.name] = names
    assert len(broken) > 2
    assert not {name: names for name, names in broken.items() if name not in names}
    for name, names in broken.items():
        for other in set(names) & set(broken):
            assert name in broken[other], f"{name} is taken for {other}, but not the other way round"


def test_the_first_cotangent_for_all_is_named_where_a_backend_of_its_own_has_it() -> None:
    def pull(function: Function, arguments: Mapping[str, Any], cotangent: Any) -> Any:
        return gradient(function, arguments, np.broadcast_to(cotangent[:1], cotangent.shape))

    backend = replace(RIGHT, gradient=pull)
    assert named(backend, "kl_divergence.gradient_agrees_with_definition") == ["takes_the_first_cotangent_for_all"]


# --- several things at once -----------------------------------------------------------------------------------

PAIRS = [
    ("masked_attention", "mask_aligned_to_the_first_key", "accepts_more_queries_than_keys"),
    ("multi_head_attention", "cuts_the_mask_to_fit", "attends_uniformly_where_nothing_is_allowed"),
    ("multi_head_attention", "no_mask_means_causal", "attends_uniformly_where_nothing_is_allowed"),
    ("position_methods", "starts_the_table_again", "cuts_the_table_off"),
    ("position_methods", "drops_the_last_row", "attends_uniformly_where_no_key_is_allowed"),
    ("feed_forward", "turns_weights_until_they_fit", "adds_the_bias_gradient_up_over_the_batch_only"),
    ("bert_embeddings", "wraps_token_ids", "the_last_of_equal_tokens_trains_the_row"),
    ("beta_vae", "does_not_use_beta", "clips_pixels"),
    ("rnn_language_model", "returns_the_state_before_the_last_word", "wraps_unknown_words"),
    ("masked_autoencoder", "divides_by_the_removed_patches_of_an_image", "broadcasts_the_prediction"),
]
"""Two faults of one operation, or of two, in one backend."""


def mixed(first: Fault, second: Fault) -> Fault:
    """What the first fault does where it differs from the definition, and otherwise what the second does."""

    def both(**arguments: Any) -> Any:
        try:
            expected = first.operation(**arguments)
        except Exception:
            expected = None
        try:
            results = first.function(**arguments)
        except Exception:
            return second.function(**arguments)
        return second.function(**arguments) if expected is not None and alike(results, expected) else results

    both.__doc__ = "Two faults."
    return replace(first, function=both)


def alike(one: Any, other: Any) -> bool:
    """Whether results are the same but for rounding."""
    if isinstance(one, tuple):
        return all(map(alike, one, other))
    left, right = (np.asarray(constant(x)) for x in (one, other))
    loss = 100 * np.finfo(left.dtype).eps if left.dtype.kind == "f" else 0
    return left.shape == right.shape and np.allclose(left, right, loss, loss, equal_nan=True)


@pytest.mark.parametrize(("note", "first", "second"), PAIRS, ids=lambda x: x)
def test_of_two_faults_in_one_function_each_is_named_where_it_breaks_a_law(note: str, first: str, second: str) -> None:
    faults = {fault.name: fault for fault in catalogue().note(note).faults}
    backend, found = offered(mixed(faults[first], faults[second])), set()
    for case in {case for name in (first, second) for case in noticed_by(faults[name], catalogue().note(note))}:
        names = named(backend, case.id) or []
        assert not names or {first, second} & set(names), f"{case.id} is explained by {names}"
        found |= set(names)
    assert {first, second} <= found

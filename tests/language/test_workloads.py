"""Workloads can be run, mean what their operation means, and cost what their formulas say."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from layerlaws import Headline, Operation, Workload, catalogue, closely, load_backend
from layerlaws.language.claims import settle
from layerlaws.language.dependence import changed
from layerlaws.language.implementation import Implementation, as_exact, cast_to
from layerlaws.notes.adaptive_softmax.clusters import tail_cost
from layerlaws.notes.adaptive_softmax.loss import tail_shares
from layerlaws.numerics.formats import FORMATS, is_float

CATALOGUE = catalogue()
TEXT = ("byte_pair_encoding", "subword")
"""Notes whose workloads are texts, not arrays."""

NOTES = tuple(note for note in CATALOGUE.notes if note.name not in TEXT)
WORKLOADS = {w.name: w for note in NOTES for w in note.workloads}
HEADLINES = {f"{note.name}: {h.claim}": h for note in NOTES for h in note.headlines}
FLOAT32 = FORMATS["float32"]

UNTIMED = {
    "segment_ids": "a row of a few hundred integers",
    "causal_mask": "a comparison of integers, made once for all steps",
    "teacher_forcing": "a copy of a few thousand integers",
    "cloze_windows": "a copy of integers",
    "reparameterize": "2,048 numbers at its real size (64 images, 32 latents): the call would be timed, not the work",
    "kl_divergence": "2,048 numbers at its real size; it is a part of beta_vae_loss, which is timed",
}
"""Operations without a workload, and why."""


def small(workload: Workload) -> Workload:
    """The same at sizes 16 times smaller, though at least 2 where they were; a window keeps its width, which is odd."""
    return workload.at(
        **{
            name: size if name == "K" and size < 16 else max(size // 16, min(size, 2))
            for name, size in workload.sizes.items()
        }
    )


def drawn(workload: Workload, seed: int = 0) -> dict[str, Any]:
    return workload.arguments(np.random.default_rng(seed), **workload.sizes)


def arrays(arguments: dict[str, Any]) -> list[Any]:
    """All arrays among arguments, those in tuples, too."""
    return [
        x
        for value in arguments.values()
        for x in (value if isinstance(value, tuple) else (value,))
        if isinstance(x, np.ndarray)
    ]


def test_every_operation_has_a_workload_or_a_reason() -> None:
    timed = {w.operation.name for w in WORKLOADS.values()}
    operations = {o.name for note in NOTES for o in note.operations}
    assert timed | UNTIMED.keys() == operations
    assert not timed & UNTIMED.keys()


def test_names_are_unique_over_all_notes() -> None:
    names = [w.name for note in CATALOGUE.notes for w in note.workloads]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_says_what_it_stands_for(name: str) -> None:
    workload = WORKLOADS[name]
    assert workload.says.endswith(".")
    assert all(isinstance(size, int) and size >= 1 for size in workload.sizes.values())
    for size, others in workload.grows.items():
        assert all(isinstance(n, int) and n >= 1 for n in others)
        assert workload.sizes[size] not in others, "its own size is timed anyway"
        assert len(others) >= 3, "an exponent is not fitted to fewer than four sizes"
    if workload.gradient:
        assert workload.operation.differentiable


@pytest.mark.parametrize("name", WORKLOADS)
def test_arguments_are_those_of_the_operation(name: str) -> None:
    arguments = drawn(small(WORKLOADS[name]))
    signature = inspect.signature(WORKLOADS[name].operation.definition)
    assert arguments.keys() == signature.parameters.keys()
    assert all(
        x.dtype == (np.float64 if is_float(x) else bool if x.dtype == bool else np.int64) for x in arrays(arguments)
    )


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_seed_gives_the_same_arguments_every_time(name: str) -> None:
    workload = small(WORKLOADS[name])
    one, again = arrays(drawn(workload, 1)), arrays(drawn(workload, 1))
    assert all(np.array_equal(x, y) for x, y in zip(one, again, strict=True))


@pytest.mark.parametrize("name", WORKLOADS)
def test_numpy_does_the_work_as_it_is_defined(name: str) -> None:
    """Nothing about it is undecidable, and it tells right from wrong."""
    workload = small(WORKLOADS[name])
    implementation = Implementation(workload.operation, load_backend("numpy", CATALOGUE), FLOAT32)
    found, expected = implementation.compare(**cast_to(drawn(workload), FLOAT32))
    assert settle(closely(found, expected)).decisive


@pytest.mark.parametrize("name", WORKLOADS)
def test_no_less_is_moved_than_the_results_and_what_all_of_them_depend_on(name: str) -> None:
    """Between the numbers of the results alone, and those with all arguments; tables are read in part."""
    workload = small(WORKLOADS[name])
    arguments = drawn(workload)
    results = workload.operation(**cast_to(arguments, FLOAT32))
    results = results if isinstance(results, tuple) else (results,)
    written = sum(x.size for x in results if x.dtype == FLOAT32.dtype)
    read = sum(x.size for x in arrays(arguments) if is_float(x))
    moved = workload.cost(**workload.sizes).moved
    assert written <= moved
    if not any("table" in argument for argument in arguments):
        assert moved <= written + read
    if workload.backward is not None:
        assert workload.backward(**workload.sizes).moved >= moved


def counted(operation: Operation, arguments: dict[str, Any]) -> int:
    """Operations of all matrix products that PyTorch's implementation calls, by PyTorch's own count."""
    torch = pytest.importorskip("torch")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    implementation = Implementation(operation, load_backend("torch-cpu", CATALOGUE), FLOAT32)
    native = implementation.native(cast_to(arguments, FLOAT32))
    # The fused kernel of the CPU is not counted; the plain form is.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        implementation.raw(native)
    total: int = counter.get_total_flops()
    return total


MATRIX_PRODUCTS = (
    "full_loss", "whole_distribution", "likeliest_words", "dot_scores_of_a_step", "general_scores_of_a_step",
    "luong_decoder_step", "conv_s2s_decoder_attention", "conv_s2s_encoder_layer", "conv_s2s_decoder_layer",
    "conv_s2s_layer", "elmo_mix", "transformer_feed_forward", "position_wise_convolutions",
    "global_attention", "vit_base_encoder", "encoder_self_attention", "relative_self_attention", "treebank_model",
    "volo_d1_outlooker",
)  # fmt: skip


@pytest.mark.parametrize("name", MATRIX_PRODUCTS)
def test_operations_are_as_many_as_pytorch_counts(name: str) -> None:
    workload = small(WORKLOADS[name])
    assert workload.cost(**workload.sizes).flops == counted(workload.operation, drawn(workload))


@pytest.mark.parametrize("name", ["recurrent_layer", "gap_filling"])
def test_a_fused_lstm_costs_what_its_matrix_products_do(name: str) -> None:
    """PyTorch counts nothing inside its LSTM kernel: an input and a state meet four gates at every step."""
    workload = small(WORKLOADS[name])
    sizes = workload.sizes
    steps = {"recurrent_layer": sizes["T"], "gap_filling": 2 * (sizes["T"] - 1)}[name]
    inside = steps * 2 * sizes["B"] * 4 * sizes["H"] * (sizes["E"] + sizes["H"])
    assert workload.cost(**sizes).flops == inside + counted(workload.operation, drawn(workload))


@pytest.mark.parametrize("name", ["concat_scores_of_a_step", "bahdanau_decoder_step", "predicted_windows"])
def test_products_with_a_vector_are_counted_too(name: str) -> None:
    """v . tanh(...) is a product of a matrix and a vector, which PyTorch's count leaves out."""
    workload = small(WORKLOADS[name])
    arguments = drawn(workload)
    pairs = arguments["query" if "query" in arguments else "memory"].shape[:2]
    if name == "concat_scores_of_a_step":
        pairs = (*pairs, arguments["keys"].shape[1])
    vector = arguments["v_p" if name == "predicted_windows" else "v"].size
    expected = counted(workload.operation, arguments) + 2 * int(np.prod(pairs)) * vector
    assert workload.cost(**workload.sizes).flops == expected


def test_a_tail_is_counted_for_the_rows_that_zipf_sends_there() -> None:
    workload = small(WORKLOADS["adaptive_loss"]).at(N=4096)
    arguments, expected = drawn(workload), np.array(tail_shares(workload.sizes["V"]))
    tail_of = np.searchsorted(arguments["cutoffs"], arguments["targets"], side="right")
    shares = np.bincount(tail_of, minlength=len(expected) + 1)[1:] / len(tail_of)
    assert counted(workload.operation, arguments) == tail_cost(**workload.sizes, shares=shares).flops
    assert (abs(shares - expected) < 5 * np.sqrt(expected * (1 - expected) / len(tail_of))).all()  # deviations
    assert workload.cost(**workload.sizes).flops == tail_cost(**workload.sizes, shares=expected).flops


def test_pairs_that_are_masked_cost_nothing() -> None:
    """Counted one by one, in a mask; PyTorch's count would have all pairs."""
    for name in ("decoder_self_attention", "decoding_step"):
        sizes = small(WORKLOADS[name]).sizes
        seen = CATALOGUE.operations["causal_mask"](sizes["T"], sizes.get("S", sizes["T"])).sum()
        expected = 4 * sizes["B"] * sizes["H"] * seen * sizes["d"]
        assert WORKLOADS[name].cost(**sizes).flops == expected
    padded = small(WORKLOADS["padded_attention"])
    seen = drawn(padded)["mask"].sum()
    assert padded.cost(**padded.sizes).flops == 4 * seen * padded.sizes["d"]


def test_states_outside_the_windows_cost_nothing() -> None:
    """Every pair whose weight is not 0 is a product for its score, and one for the context."""
    workload = small(WORKLOADS["monotonic_windows"])
    _, weights = workload.operation(**drawn(workload))
    assert workload.cost(**workload.sizes).flops == 4 * np.count_nonzero(weights) * workload.sizes["D"]
    longer = workload.at(S=16 * workload.sizes["S"])
    assert longer.cost(**longer.sizes).flops == workload.cost(**workload.sizes).flops


@pytest.mark.parametrize(
    ("name", "sizes", "flops"),
    [
        ("encoder_self_attention", {"B": 8, "T": 512, "D": 512, "H": 8}, "1.29e+10"),
        ("transformer_feed_forward", {"B": 8, "T": 512, "D": 512, "F": 2048}, "1.72e+10"),
        ("full_loss", {"N": 1024, "H": 512, "V": 50_000}, "5.24e+10"),
        ("conv_s2s_layer", {"B": 32, "T": 50, "C": 512, "K": 3}, "5.03e+09"),
    ],
)
def test_known_figures(name: str, sizes: dict[str, int], flops: str) -> None:
    assert dict(WORKLOADS[name].sizes) == sizes
    assert f"{WORKLOADS[name].cost(**sizes).flops:.3g}" == flops


@pytest.mark.parametrize("claim", HEADLINES)
def test_a_headline_compares_what_does_the_same_amount_of_good(claim: str) -> None:
    headline: Headline = HEADLINES[claim]
    assert headline.claim.endswith(".")
    assert any(year in headline.source for year in ("2015", "2017", "2021"))
    for side in (headline.fast, headline.slow):
        assert side.name in WORKLOADS
        assert side.gradient or not headline.gradient
    fast, slow = (side.cost(**side.sizes).flops for side in (headline.fast, headline.slow))
    assert fast < slow


def test_a_quarter_of_the_patches_costs_less_than_a_quarter() -> None:
    """Attention falls with the square of their number: 4.12 times fewer operations."""
    headline = next(h for h in HEADLINES.values() if h.fast.name == "vit_base_encoder")
    fast, slow = (side.cost(**side.sizes).flops for side in (headline.fast, headline.slow))
    assert f"{slow / fast:.2f}" == "4.12"


BEYOND = {name: w for name, w in WORKLOADS.items() if w.beyond}


def test_workloads_of_recurrences_are_compared_beyond_windows_of_64_and_128() -> None:
    assert BEYOND.keys() == {"recurrent_layer", "gap_filling", "treebank_model"}
    assert all(w.beyond.keys() <= w.sizes.keys() and w.at(**w.beyond).sizes["T"] > 2 * 128 for w in BEYOND.values())


@pytest.mark.parametrize("window", [64, 128])
@pytest.mark.parametrize("name", BEYOND)
def test_a_window_shows_in_what_is_compared(name: str, window: int) -> None:
    """What is timed may not forget: read from zeros, the last steps alone give other results, beyond all errors."""
    workload = BEYOND[name].at(**BEYOND[name].beyond)
    arguments = cast_to(drawn(workload), FLOAT32)
    (steps,) = {"x", "tokens", "embeddings"} & arguments.keys()
    states = {"hidden", "cell", "state"} & arguments.keys()
    last = {**arguments, steps: arguments[steps][:, -window:], **{s: np.zeros_like(arguments[s]) for s in states}}
    whole, cut = (_end(workload.operation.definition(**as_exact(x, FLOAT32))) for x in (arguments, last))
    assert changed(whole, cut, demanded=True)


def _end(results: Any) -> Any:
    """The result of the last step."""
    first = results[0] if isinstance(results, tuple) else results
    return first[:, -1]

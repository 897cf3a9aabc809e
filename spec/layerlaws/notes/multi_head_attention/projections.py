"""Laws on the projections of multi_head_attention and their biases: what they add, and which of them have no effect."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerlaws.language import (
    PLAIN,
    Arguments,
    Array,
    Claim,
    Implementation,
    Mask,
    all_of,
    asbounded,
    closely,
    fault,
    law,
    normal,
    seeds,
)
from layerlaws.notes.multi_head_attention.heads import (
    heads_add_up,
    multi_head_attention,
    plain_heads,
    projected_states,
    require_whole_heads,
)
from layerlaws.notes.multi_head_attention.weights import (
    allowed,
    distances,
    plain_weights,
)


def _change_of_basis(seed: int, width: int) -> tuple[Array, Array]:
    """A matrix R of small integers and powers of two, and the inverse of its transpose, without any rounding."""
    generator = np.random.default_rng(seed)
    shear = np.zeros((width, width))
    shear[: width // 2, width // 2 :] = generator.integers(-1, 2, (width // 2, width - width // 2))
    scales = 2.0 ** generator.integers(-1, 2, width)
    identity = np.eye(width)  # shear @ shear = 0, so the inverse of identity + shear is identity - shear
    return (identity + shear) * scales, (identity - shear).T / scales


@law(inputs=projected_states(textures=PLAIN), seed=seeds)
def only_inner_products_of_queries_and_keys_count(
    multi_head_attention: Implementation, inputs: Arguments, seed: int
) -> Claim:
    """Within a head, queries may be multiplied by R and keys by the inverse of R transposed: nothing changes."""
    heads, width = inputs["num_heads"], inputs["query"].shape[-1]
    forward, backward = _change_of_basis(seed, width // heads)

    def changed(x: Array, basis: Array) -> Array:
        blocks = asbounded(x).reshape(*x.shape[:-1], heads, 1, width // heads)
        return (blocks @ basis).reshape(x.shape)

    moved = {
        "w_q": changed(inputs["w_q"], forward),
        "b_q": changed(inputs["b_q"], forward),
        "w_k": changed(inputs["w_k"], backward),
        "b_k": changed(inputs["b_k"], backward),
    }
    return closely(multi_head_attention(**{**inputs, **moved}), multi_head_attention(**inputs))


@fault(
    multi_head_attention,
    breaks=only_inner_products_of_queries_and_keys_count,
    kind="formula",
    repair="Vaswani et al. use them as they are.",
)
def normalizes_queries_and_keys(**inputs: Any) -> tuple[Array, Array]:
    """Queries and keys are brought to length 1, as some models do."""

    def unit(x: Array) -> Array:
        return x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True) + x.dtype.type(1e-6))

    return plain_heads(inputs, attend=lambda q, k, mask: plain_weights(unit(q), unit(k), mask))


@law(seed=seeds)
def the_bias_of_keys_has_no_effect(multi_head_attention: Implementation, inputs: Arguments, seed: int) -> Claim:
    """b_k adds the same number to all scores of a query, which the softmax does not notice."""
    other = {**inputs, "b_k": normal(seed, inputs["b_k"].shape, inputs["b_k"])}
    return closely(multi_head_attention(**other), multi_head_attention(**inputs))


@fault(
    multi_head_attention,
    breaks=the_bias_of_keys_has_no_effect,
    kind="formula",
    repair="Add them to all.",
)
def biases_are_another_key(**inputs: Any) -> tuple[Array, Array]:
    """b_k and b_v stand as one more key and value at the end, as PyTorch's bias_k and bias_v do."""
    require_whole_heads(inputs["num_heads"], inputs["query"].shape[-1])

    def longer(x: Array, bias: str) -> Array:
        return np.concatenate([x, np.broadcast_to(inputs[bias], (len(x), 1, x.shape[-1]))], axis=1)

    batch, queries, width = inputs["query"].shape
    mask = inputs["mask"]
    one = np.eye(width, dtype=inputs["w_k"].dtype)
    output, weights = plain_heads(
        {
            **inputs,
            "w_k": one,
            "w_v": one,
            "b_k": 0 * inputs["b_k"],
            "b_v": 0 * inputs["b_v"],
            "key": longer(inputs["key"] @ inputs["w_k"], "b_k"),
            "value": longer(inputs["value"] @ inputs["w_v"], "b_v"),
            "mask": None if mask is None else np.concatenate([mask, np.ones((batch, queries, 1), bool)], axis=2),
        }
    )
    return output, weights[..., :-1]


@law(inputs=projected_states(textures=PLAIN))
def the_bias_of_values_is_added_as_it_is(multi_head_attention: Implementation, inputs: Arguments) -> Claim:
    """Weights sum to 1, so b_v adds b_v w_o to every output."""
    unbiased, _ = multi_head_attention(**{**inputs, "b_v": np.zeros_like(inputs["b_v"])})
    output, _ = multi_head_attention(**inputs)
    return closely(output - unbiased, np.broadcast_to(asbounded(inputs["b_v"])[None] @ inputs["w_o"], output.shape))


@fault(
    multi_head_attention,
    breaks=(the_bias_of_values_is_added_as_it_is, heads_add_up),
    kind="formula",
    repair="Weights sum to 1, so b_v reaches the output.",
)
def forgets_the_bias_of_values(**inputs: Any) -> tuple[Array, Array]:
    """b_v is left out, as if the softmax undid it like b_k."""
    return plain_heads({**inputs, "b_v": np.zeros_like(inputs["b_v"])})


@law()
def a_query_of_zeros_gives_the_mean_value(multi_head_attention: Implementation, inputs: Arguments) -> Claim:
    """With w_q = 0 and b_q = 0 all keys that are seen weigh the same."""
    blank = {"w_q": np.zeros_like(inputs["w_q"]), "b_q": np.zeros_like(inputs["b_q"])}
    output, weights = multi_head_attention(**{**inputs, **blank})
    seen = allowed(inputs["mask"], inputs["query"], inputs["key"])
    shares = asbounded(seen / seen.sum(axis=-1, keepdims=True), output.format)
    means = shares @ (asbounded(inputs["value"]) @ inputs["w_v"] + inputs["b_v"])
    return all_of(
        closely(weights, np.broadcast_to(shares[:, None], weights.shape)),
        closely(output, means @ inputs["w_o"] + inputs["b_o"]),
    )


@fault(
    multi_head_attention,
    breaks=a_query_of_zeros_gives_the_mean_value,
    kind="formula",
    repair="Scores come from inner products alone.",
)
def each_query_prefers_itself(**inputs: Any) -> tuple[Array, Array]:
    """Keys at the query's own place score 1 more."""

    def attend(q: Array, k: Array, mask: Mask | None) -> Array:
        return plain_weights(q, k, mask, bias=(distances(q, k) == 0).astype(q.dtype))

    return plain_heads(inputs, attend=attend)

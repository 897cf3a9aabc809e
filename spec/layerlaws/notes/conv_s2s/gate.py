"""One half of the channels gates the other: gated_linear_unit."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Cost,
    Implementation,
    all_of,
    arrays,
    asbounded,
    at_most,
    closely,
    extents,
    fault,
    law,
    operation,
    refused,
    require,
    sigmoid,
    workload,
)
from layerlaws.language import strategies as st


@st.composite
def gates(draw: st.DrawFn) -> Arguments:
    *outer, channels = draw(extents(3, edges=(1, 2)))
    axes = tuple(outer[: draw(st.integers(0, 2))])
    content, gate = draw(arrays((*axes, channels), (*axes, channels)))
    return {"x": np.concatenate([content, gate], axis=-1)}


@operation(inputs=gates(), differentiable=True)
def gated_linear_unit(x: Array) -> Array:
    """A sigmoid(B), where A is the first half of the last axis and B the second. (..., 2C) -> (..., C)."""
    width, odd = divmod(x.shape[-1], 2)
    require(not odd, f"x has {x.shape[-1]} channels, which have no halves")
    return x[..., :width] * sigmoid(x[..., width:])


@law()
def a_gate_of_zero_halves(gated_linear_unit: Implementation, x: Array) -> Claim:
    """With B = 0 the gate is half open: A / 2 comes out."""
    content = x[..., : x.shape[-1] // 2]
    half = gated_linear_unit(x=np.concatenate([content, np.zeros_like(content)], axis=-1))
    return closely(half, asbounded(content) * 0.5)


@law(gate=st.sampled_from([np.inf, 1e4]))
def a_gate_opens_and_shuts(gated_linear_unit: Implementation, x: Array, gate: float) -> Claim:
    """B = inf and B = 1e4 let A pass as it is; B = -inf and B = -1e4 let nothing pass."""
    content = x[..., : x.shape[-1] // 2]
    wide = np.full_like(content, gate)
    opened = gated_linear_unit(x=np.concatenate([content, wide], axis=-1))
    shut = gated_linear_unit(x=np.concatenate([content, -wide], axis=-1))
    return all_of(closely(opened, content), closely(shut, np.zeros_like(content)))


@fault(
    gated_linear_unit,
    breaks=a_gate_opens_and_shuts,
    kind="precision",
    repair="Take 1 / (1 + exp(-B)) there.",
)
def overflows_in_the_gate(x: Array) -> Array:
    """exp(B) / (1 + exp(B)) is infinity by infinity for large B."""
    require(x.shape[-1] % 2 == 0, "x is odd")
    content, gate = np.split(x, 2, axis=-1)
    return content * (np.exp(gate) / (1 + np.exp(gate)))


@law()
def a_gate_never_amplifies(gated_linear_unit: Implementation, x: Array) -> Claim:
    """No output is larger than its A."""
    return at_most(np.abs(gated_linear_unit(x=x)), np.abs(x[..., : x.shape[-1] // 2]))


@fault(
    gated_linear_unit,
    breaks=(a_gate_of_zero_halves, a_gate_never_amplifies),
    kind="formula",
    repair="Multiply.",
    seen="https://github.com/LeronQ/STGCN-Pytorch/issues/1",
)
def adds_the_gate(x: Array) -> Array:
    """A + sigmoid(B) lets everything pass."""
    require(x.shape[-1] % 2 == 0, "x is odd")
    content, gate = np.split(x, 2, axis=-1)
    return content + sigmoid(gate)


@law()
def the_second_half_is_the_gate(gated_linear_unit: Implementation, x: Array) -> Claim:
    """Negating the first half negates the output; A sigmoid(B) + A sigmoid(-B) is A."""
    content, gate = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    result = gated_linear_unit(x=x)
    negated = gated_linear_unit(x=np.concatenate([-content, gate], axis=-1))
    complement = gated_linear_unit(x=np.concatenate([content, -gate], axis=-1))
    return all_of(closely(-negated, result), closely(result + complement, content))


@fault(
    gated_linear_unit,
    breaks=(the_second_half_is_the_gate, a_gate_of_zero_halves, a_gate_opens_and_shuts),
    kind="contract",
    repair="The second half is the gate.",
)
def gates_with_the_first_half(x: Array) -> Array:
    """The halves are exchanged: sigmoid(A) B."""
    require(x.shape[-1] % 2 == 0, "x is odd")
    gate, content = np.split(x, 2, axis=-1)
    return content * sigmoid(gate)


@fault(
    gated_linear_unit,
    breaks=(a_gate_of_zero_halves, the_second_half_is_the_gate),
    kind="formula",
    repair="Use the logistic sigmoid.",
)
def gates_with_tanh(x: Array) -> Array:
    """The gate is tanh(B), which is shut at 0 and turns signs."""
    require(x.shape[-1] % 2 == 0, "x is odd")
    content, gate = np.split(x, 2, axis=-1)
    return content * np.tanh(gate)


@law()
def an_odd_number_of_channels_has_no_gate(gated_linear_unit: Implementation, x: Array) -> Claim:
    """Content and gate are of one width; an odd number of channels is refused."""
    return refused(gated_linear_unit, "x", {"x": x[..., 1:]})


@fault(
    gated_linear_unit,
    breaks=an_odd_number_of_channels_has_no_gate,
    kind="refusal",
    repair="Refuse it.",
)
def drops_the_odd_channel(x: Array) -> Array:
    """The last of an odd number of channels is dropped in silence."""
    half = x.shape[-1] // 2
    return x[..., :half] * sigmoid(x[..., half : 2 * half])


def _gate_cost(B: int, T: int, C: int) -> Cost:
    """A sigmoid in three operations, and a product."""
    return Cost(flops=4 * B * T * C, moved=3 * B * T * C)


def _gate_cost_backward(B: int, T: int, C: int) -> Cost:
    """Six operations more for the gradients of both halves."""
    return Cost(flops=10 * B * T * C, moved=6 * B * T * C)


@workload(
    gated_linear_unit, sizes={"B": 32, "T": 50, "C": 512}, cost=_gate_cost, backward=_gate_cost_backward, gradient=True
)
def conv_s2s_gate(random: np.random.Generator, B: int, T: int, C: int) -> Arguments:
    """The gate of that layer: 1,024 numbers become 512 (Gehring et al. 2017, section 3.2)."""
    return {"x": random.standard_normal((B, T, 2 * C))}

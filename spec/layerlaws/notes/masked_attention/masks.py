"""The mask of a decoder: causal_mask."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Claim,
    Implementation,
    Mask,
    exactly,
    extents,
    fault,
    law,
    operation,
    require,
)
from layerlaws.language import strategies as st


@st.composite
def mask_sizes(draw: st.DrawFn) -> Arguments:
    queries, keys = draw(extents(2, edges=(0, 1)))
    return {"queries": queries, "keys": keys}


@operation(inputs=mask_sizes())
def causal_mask(queries: int, keys: int) -> Mask:
    """True where key j <= query i + keys - queries: the queries are the last of the positions.

    -> (queries, keys) bool; with more queries than keys the leading rows see nothing.
    """
    require(queries >= 0, "queries must not be negative")
    require(keys >= 0, "keys must not be negative")
    return np.arange(keys) <= np.arange(queries)[:, None] + keys - queries


@law()
def the_mask_is_a_staircase(causal_mask: Implementation, queries: int, keys: int) -> Claim:
    """The last query may see every key, and each query sees one key fewer than the next, never fewer than none."""
    seen = causal_mask(queries=queries, keys=keys)
    return exactly(seen.sum(axis=1), np.maximum(np.arange(keys - queries + 1, keys + 1), 0))


@fault(
    causal_mask,
    breaks=the_mask_is_a_staircase,
    kind="shift",
    repair="They have to end at the last key: j <= i + keys - queries.",
    seen="https://github.com/Dao-AILab/flash-attention/issues/517",
)
def staircase_from_the_first_key(queries: int, keys: int) -> Mask:
    """The stairs start at key 0."""
    return np.tril(np.ones((queries, keys), bool))

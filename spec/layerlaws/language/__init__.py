"""What notes are written in: operations, laws, claims, faults, workloads, and strategies of inputs.

A note imports from here and from nowhere else in `layerlaws`, but for the operations of other notes::

    from layerlaws.language import Array, Claim, arrays, closely, extents, fault, law, operation, softmax
    from layerlaws.language import strategies as st
"""

from layerlaws.language.claims import Claim, all_of, at_most, closely, differ, exactly, refused
from layerlaws.language.dependence import dependence
from layerlaws.language.implementation import Implementation
from layerlaws.language.inputs import (
    HUGE,
    LIKELY_EDGES,
    PLAIN,
    TEXTURES,
    TILE_EDGES,
    arrays,
    calmed,
    durations,
    extents,
    huge,
    ids,
    masks,
    normal,
    rewritten,
    seeds,
    sizes_are_seldom,
)
from layerlaws.language.laws import Fault, Law, fault, law
from layerlaws.language.operations import Operation, operation
from layerlaws.language.sentinels import (
    STEEPNESS,
    answers_as,
    answers_where,
    far_below,
    keys_with_scores,
    log_softmax_from,
    softmax_from,
    two_factors,
)
from layerlaws.language.words import library_text, library_words, packed, unpacked
from layerlaws.language.workloads import Cost, Headline, Workload, matrix, workload, zipf
from layerlaws.numerics.arrays import Arguments, Array, Ids, Mask, Results
from layerlaws.numerics.bounded import Bounded, asbounded, error_of, rounded, stored, value_of
from layerlaws.numerics.formats import FORMATS, Format
from layerlaws.numerics.mathematics import (
    affine,
    erf,
    gelu,
    ids_within,
    layer_norm,
    linear_sum,
    log_softmax,
    merge_heads,
    one_hot,
    relu,
    require,
    root,
    sigmoid,
    softmax,
    split_heads,
)
from layerlaws.numerics.reverse_mode import constant, in_either_order, straight_through, with_gradient, with_slope
from layerlaws.numerics.tape import kept_in_parts
from layerlaws.support.errors import Undecidable

__all__ = [
    "FORMATS",
    "HUGE",
    "LIKELY_EDGES",
    "PLAIN",
    "STEEPNESS",
    "TEXTURES",
    "TILE_EDGES",
    "Arguments",
    "Array",
    "Bounded",
    "Claim",
    "Cost",
    "Fault",
    "Format",
    "Headline",
    "Ids",
    "Implementation",
    "Law",
    "Mask",
    "Operation",
    "Results",
    "Undecidable",
    "Workload",
    "affine",
    "all_of",
    "answers_as",
    "answers_where",
    "arrays",
    "asbounded",
    "at_most",
    "calmed",
    "closely",
    "constant",
    "dependence",
    "differ",
    "durations",
    "erf",
    "error_of",
    "exactly",
    "extents",
    "far_below",
    "fault",
    "gelu",
    "huge",
    "ids",
    "ids_within",
    "in_either_order",
    "kept_in_parts",
    "keys_with_scores",
    "law",
    "layer_norm",
    "library_text",
    "library_words",
    "linear_sum",
    "log_softmax",
    "log_softmax_from",
    "masks",
    "matrix",
    "merge_heads",
    "normal",
    "one_hot",
    "operation",
    "packed",
    "refused",
    "relu",
    "require",
    "rewritten",
    "root",
    "rounded",
    "seeds",
    "sigmoid",
    "sizes_are_seldom",
    "softmax",
    "softmax_from",
    "split_heads",
    "stored",
    "straight_through",
    "two_factors",
    "unpacked",
    "value_of",
    "with_gradient",
    "with_slope",
    "workload",
    "zipf",
]

"""The Gaussian of predictive attention: how weights fall off around the centre, and the gradient it lets through."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Array,
    Claim,
    Implementation,
    Results,
    Undecidable,
    all_of,
    at_most,
    closely,
    exactly,
    fault,
    law,
    rounded,
)
from layerlaws.notes.local_attention.predictive import (
    _bell,
    _positions,
    _predict,
    a_real_centre_has_only_twice_the_window_within_reach,
    central_predictions,
    local_attention_predictive,
    middle_steps,
    outside_the_predicted_window_anything_may_stand,
    predictive_attention_reads_its_window_alone,
)
from layerlaws.notes.local_attention.windows import _near, _read


@law()
def predictive_weights_sum_to_at_most_one(local_attention_predictive: Implementation, inputs: Arguments) -> Claim:
    """Weights are not negative, and the Gaussian only takes away: they sum to 1 at most."""
    _, weights = local_attention_predictive(**inputs)
    return all_of(at_most(0.0, weights), at_most(weights.sum(axis=-1), 1.0))


@law(inputs=central_predictions())
def weights_fall_off_as_sigma_says(local_attention_predictive: Implementation, inputs: Arguments) -> Claim:
    """Under constant scores log-weights are a parabola: its second difference is -1 / sigma^2 = -4 / w^2, whatever p
    is.
    """
    window, count = inputs["window"], inputs["keys"].shape[1]
    _, weights = local_attention_predictive(**inputs)
    middle = (count - 1) // 2  # the floor of every centre
    logs = np.log(weights[..., middle - window : middle + window + 1])
    bends = logs[..., 2:] - logs[..., 1:-1] * 2.0 + logs[..., :-2]
    return closely(bends, rounded(np.full(bends.shape, -4 / window**2), bends.format))


@law(inputs=middle_steps())
def without_a_prediction_the_centre_is_the_middle(
    local_attention_predictive: Implementation, local_attention_monotonic: Implementation, inputs: Arguments
) -> Claim:
    """With v_p = 0 the centre is S/2: the weights of monotonic attention at step floor(S/2), times the Gaussian
    around S/2.
    """
    query, keys, window = inputs["query"][:, :1], inputs["keys"], inputs["window"]
    count = keys.shape[1]
    _, weights = local_attention_predictive(**{**inputs, "query": query})
    steps = np.concatenate([np.repeat(query * 0, count // 2, axis=1), query], axis=1)
    _, shares = local_attention_monotonic(query=steps, keys=keys, window=window)
    gaussian = np.exp(-((np.arange(count) - count / 2) ** 2) * 2 / window**2)
    return closely(weights, shares[:, -1:] * rounded(gaussian, shares.format))


@law(inputs=middle_steps(even=True))
def constant_scores_leave_a_known_mass(local_attention_predictive: Implementation, inputs: Arguments) -> Claim:
    """Under constant scores and around a whole position the weights sum to the mean of exp(-2 s^2 / w^2) over the
    window: 0.5278 for w = 3.
    """
    window, keys = inputs["window"], inputs["keys"]
    same = np.repeat(keys[:, :1], keys.shape[1], axis=1)
    _, weights = local_attention_predictive(**{**inputs, "keys": same})
    mass = np.mean(np.exp(-2 * np.arange(-window, window + 1) ** 2 / window**2))
    return closely(weights.sum(axis=-1), rounded(np.full(weights.shape[:-1], mass), weights.format))


@fault(
    local_attention_predictive,
    breaks=(
        outside_the_predicted_window_anything_may_stand,
        predictive_attention_reads_its_window_alone,
        a_real_centre_has_only_twice_the_window_within_reach,
        constant_scores_leave_a_known_mass,
    ),
    kind="mask",
    repair="Mask what is outside the window.",
)
def leaves_the_window_to_the_gaussian(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """All states are scored, and only the Gaussian makes those far away small."""
    centres = _positions(query, w_p, v_p, keys.shape[1])
    return _read(query, keys, True, _bell(centres, window / 2, keys.shape[1]))


@fault(
    local_attention_predictive,
    breaks=(outside_the_predicted_window_anything_may_stand, constant_scores_leave_a_known_mass),
    kind="mask",
    repair="Take it inside the window only.",
)
def crops_the_global_softmax_to_the_prediction(
    query: Array, keys: Array, w_p: Array, v_p: Array, window: int
) -> Results:
    """The softmax runs over all states and is cut to the window."""
    count = keys.shape[1]
    centres = _positions(query, w_p, v_p, count)
    near = _near(np.floor(centres), window, count).astype(query.dtype)
    return _read(query, keys, True, _bell(centres, window / 2, count) * near)


@fault(
    local_attention_predictive,
    breaks=(constant_scores_leave_a_known_mass, without_a_prediction_the_centre_is_the_middle),
    kind="scale",
    repair="What it takes away stays away.",
)
def renormalizes_after_the_gaussian(
    query: Array, keys: Array, w_p: Array, v_p: Array, window: int
) -> tuple[Array, Array]:
    """Weights are divided by their sum after the Gaussian."""
    _, weights = _predict(query, keys, w_p, v_p, window)
    shares = weights / np.sum(weights, axis=-1, keepdims=True)
    return shares @ keys, shares


@fault(
    local_attention_predictive,
    breaks=(
        weights_fall_off_as_sigma_says,
        constant_scores_leave_a_known_mass,
        without_a_prediction_the_centre_is_the_middle,
    ),
    kind="scale",
    repair="It is half the window.",
)
def sigma_is_the_window(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """The Gaussian has sigma = w."""
    return _predict(query, keys, w_p, v_p, window, sigma=window)


@fault(
    local_attention_predictive,
    breaks=(predictive_weights_sum_to_at_most_one, constant_scores_leave_a_known_mass),
    kind="formula",
    repair="Restore it.",
)
def divides_by_the_gaussian(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """The exponent lost its minus sign, so that states far from the centre weigh more than their share."""
    count = keys.shape[1]
    centres = _positions(query, w_p, v_p, count)
    return _read(query, keys, _near(np.floor(centres), window, count), 1.0 / _bell(centres, window / 2, count))


@law(inputs=middle_steps(even=True))
def weights_are_symmetric_about_a_whole_position(
    local_attention_predictive: Implementation, inputs: Arguments
) -> Claim:
    """States mirrored about a whole position, here S/2, get mirrored weights, and the same context."""
    keys = inputs["keys"]
    mirror = -np.arange(keys.shape[1]) % keys.shape[1]  # S/2 - s and S/2 + s change places, 0 stays
    context, weights = local_attention_predictive(**inputs)
    mirrored_context, mirrored = local_attention_predictive(**{**inputs, "keys": keys[:, mirror]})
    return all_of(closely(mirrored, weights[:, :, mirror]), closely(mirrored_context, context))


@fault(
    local_attention_predictive,
    breaks=weights_are_symmetric_about_a_whole_position,
    kind="mask",
    repair="State floor(p) + w belongs to it.",
)
def predicted_window_leaves_out_its_last_state(
    query: Array, keys: Array, w_p: Array, v_p: Array, window: int
) -> Results:
    """The window is the half-open range(floor(p) - w, floor(p) + w)."""
    return _predict(query, keys, w_p, v_p, window, whole=lambda centres: np.floor(centres) - 1, before=window - 1)


@fault(
    local_attention_predictive,
    breaks=(without_a_prediction_the_centre_is_the_middle, weights_are_symmetric_about_a_whole_position),
    kind="scale",
    repair="The centre is S sigmoid(...), whose floor is a place.",
)
def predicts_up_to_the_last_place(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """The sigmoid is scaled by S - 1."""
    return _predict(query, keys, w_p, v_p, window, centres=_positions(query, w_p, v_p, keys.shape[1] - 1))


@law(inputs=central_predictions(counts=(1, 3, 5), scale=0.5), needs=["gradient"])
def the_gradient_reaches_the_prediction(local_attention_predictive: Implementation, inputs: Arguments) -> Claim:
    """The Gaussian passes gradient on to the centre, and so to v_p and w_p: none of it is lost at the floor."""
    one = {**inputs, "query": inputs["query"][:1, :1], "keys": inputs["keys"][:1], "window": inputs["window"] + 2}
    cotangent = np.zeros_like(one["query"]), np.zeros_like(one["keys"][:, None, :, 0])
    cotangent[1][..., 0] = 1  # the weight of the first state
    computed, expected = local_attention_predictive.compare_gradient(cotangent, **one)
    alive = [np.abs(expected[name].value) > expected[name].error for name in ("w_p", "v_p")]
    if not any(part.any() for part in alive):
        raise Undecidable("the gradient by the prediction drowns in the rounding error")
    return all_of(
        *(
            exactly(computed[name].value[part] != 0, np.ones(part.sum(), bool))
            for name, part in zip(("w_p", "v_p"), alive, strict=True)
        )
    )


@fault(
    local_attention_predictive,
    breaks=(the_gradient_reaches_the_prediction, without_a_prediction_the_centre_is_the_middle),
    kind="formula",
    repair="Only the window stands around floor(p).",
    seen="https://github.com/giancds/tsf_nmt/issues/2",
)
def floors_the_centre_of_the_gaussian(query: Array, keys: Array, w_p: Array, v_p: Array, window: int) -> Results:
    """p is floored before the Gaussian, too, so that no gradient reaches it."""
    centres = np.floor(_positions(query, w_p, v_p, keys.shape[1]))
    return _predict(query, keys, w_p, v_p, window, centres=np.asarray(centres).astype(query.dtype))

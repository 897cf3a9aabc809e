"""Each word with its neighbours on both sides: cloze_windows."""

from __future__ import annotations

import numpy as np

from layerlaws.language import (
    Arguments,
    Claim,
    Ids,
    Implementation,
    all_of,
    exactly,
    extents,
    fault,
    ids,
    law,
    operation,
    refused,
    require,
    seeds,
)
from layerlaws.language import strategies as st


@st.composite
def texts(draw: st.DrawFn, distinct: bool = False) -> Arguments:
    """distinct: no word occurs twice, and none is the padding."""
    length, width = draw(extents(2, edges=(0,)))
    length = 0 if draw(st.integers(0, 9)) == 0 else length
    if distinct:
        tokens = np.random.default_rng(draw(seeds)).permutation(length).astype(np.int64)
        return {"tokens": tokens, "width": width, "padding": draw(st.sampled_from([-1, length]))}
    return {"tokens": draw(ids((length,), 5)), "width": width, "padding": draw(st.sampled_from([0, -1, 5]))}


@operation(inputs=texts())
def cloze_windows(tokens: Ids, width: int, padding: int) -> tuple[Ids, Ids]:
    """Each word, and the k = width words before and after it, in the order of the text; padding beyond its ends.

    tokens (T,) ids, width >= 1  ->  contexts (T, 2 k), targets (T,)
    """
    require(width >= 1, f"width must be 1 at least, not {width}")
    sides = np.delete(np.arange(2 * width + 1), width)
    padded = np.pad(tokens, width, constant_values=padding)
    return padded[np.arange(len(tokens))[:, None] + sides], tokens.copy()


@law(inputs=texts(distinct=True))
def a_window_holds_the_neighbours_and_never_the_word(
    cloze_windows: Implementation, tokens: Ids, width: int, padding: int
) -> Claim:
    """Where no word occurs twice, window i holds words i - k .. i - 1 and i + 1 .. i + k, in this order, not word i."""
    contexts, targets = cloze_windows(tokens=tokens, width=width, padding=padding)
    places = np.arange(len(tokens))[:, None] + np.array([d for d in range(-width, width + 1) if d])
    inside = (places >= 0) & (places < len(tokens))
    everywhere = tokens[places.clip(0, max(0, len(tokens) - 1))] if len(tokens) else places
    return all_of(
        exactly(targets, tokens),
        exactly((contexts == targets[:, None]).any(axis=1), np.zeros(len(tokens), bool)),
        exactly(np.where(inside, contexts, 0), np.where(inside, everywhere, 0)),
    )


@fault(
    cloze_windows,
    breaks=a_window_holds_the_neighbours_and_never_the_word,
    kind="mask",
    repair="Leave the middle of 2 k + 1 out.",
)
def window_with_the_word_itself(tokens: Ids, width: int, padding: int) -> tuple[Ids, Ids]:
    """The window is 2 k consecutive words, the word itself among them."""
    padded = np.pad(tokens, width, constant_values=padding)
    return padded[np.arange(len(tokens))[:, None] + np.arange(2 * width)], tokens.copy()


@law(inputs=texts(distinct=True))
def padding_stands_only_beyond_the_ends(cloze_windows: Implementation, tokens: Ids, width: int, padding: int) -> Claim:
    """Window i lacks max(0, k - i) words on the left and max(0, k - (T - 1 - i)) on the right, and no others."""
    contexts, _ = cloze_windows(tokens=tokens, width=width, padding=padding)
    missing = contexts == padding
    lacking = np.maximum(0, width - np.arange(len(tokens)))
    return all_of(
        exactly(missing[:, :width].sum(axis=1), lacking), exactly(missing[:, width:].sum(axis=1), lacking[::-1])
    )


@fault(
    cloze_windows,
    breaks=padding_stands_only_beyond_the_ends,
    kind="boundary",
    repair="Put padding there.",
)
def windows_around_the_corner(tokens: Ids, width: int, padding: int) -> tuple[Ids, Ids]:
    """Beyond its ends the text begins again, as negative indices make it."""
    places = np.arange(len(tokens))[:, None] + np.delete(np.arange(2 * width + 1), width) - width
    return tokens[places % max(1, len(tokens))], tokens.copy()


@law()
def reversing_the_text_mirrors_its_windows(
    cloze_windows: Implementation, tokens: Ids, width: int, padding: int
) -> Claim:
    """The windows of the reversed text are the windows of the text in reverse order, each read backwards."""
    contexts, targets = cloze_windows(tokens=tokens, width=width, padding=padding)
    mirrored, words = cloze_windows(tokens=tokens[::-1], width=width, padding=padding)
    return exactly((mirrored[::-1, ::-1], words[::-1]), (contexts, targets))


@law(wider=st.integers(1, 3))
def a_wider_window_holds_the_narrower_one(
    cloze_windows: Implementation, tokens: Ids, width: int, padding: int, wider: int
) -> Claim:
    """The middle of a wide window is the narrow one."""
    narrow, _ = cloze_windows(tokens=tokens, width=width, padding=padding)
    wide, _ = cloze_windows(tokens=tokens, width=width + wider, padding=padding)
    return exactly(wide[:, wider : wider + 2 * width], narrow)


@fault(
    cloze_windows,
    breaks=(
        a_window_holds_the_neighbours_and_never_the_word,
        reversing_the_text_mirrors_its_windows,
        a_wider_window_holds_the_narrower_one,
    ),
    kind="shift",
    repair="Take k on each side.",
)
def window_of_the_words_before(tokens: Ids, width: int, padding: int) -> tuple[Ids, Ids]:
    """All 2 k words stand before the gap, as in a language model."""
    padded = np.pad(tokens, (2 * width, 0), constant_values=padding)
    return padded[np.arange(len(tokens))[:, None] + np.arange(2 * width)], tokens.copy()


@law(width=st.integers(-2, 0), examples=10)
def a_window_without_neighbours_is_refused(
    cloze_windows: Implementation, tokens: Ids, padding: int, width: int
) -> Claim:
    """A window is 1 wide at least, on each side."""
    return refused(cloze_windows, "width", {"tokens": tokens, "width": width, "padding": padding})


@fault(
    cloze_windows,
    breaks=a_window_without_neighbours_is_refused,
    kind="refusal",
    repair="Raise ValueError.",
)
def takes_any_width(tokens: Ids, width: int, padding: int) -> tuple[Ids, Ids]:
    """A width below 1 gives windows of nothing."""
    return cloze_windows(tokens, max(width, 1), padding)[0][:, : 2 * max(width, 0)], tokens.copy()

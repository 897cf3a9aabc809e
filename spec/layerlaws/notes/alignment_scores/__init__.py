"""Alignment scores: three ways to say how well a decoder state matches an encoder state.

Note of 2021-10-06. Attention first scores every pair of a target state h_t and a source state h_s, and only then
normalizes. Luong, Pham and Manning (Effective Approaches to Attention-based Neural Machine Translation, EMNLP 2015,
section 3.1) compare three scores: the inner product (dot), a bilinear form (general), and a small network over both
states (concat), which is the additive score of Bahdanau, Cho and Bengio (Neural Machine Translation by Jointly
Learning to Align and Translate, ICLR 2015, appendix A.1.2) written with one matrix instead of two.

Claimed: dot has no parameters and does not tell the two states apart; general turns into dot where its matrix is the
identity, and takes states of two widths; concat is the additive score, is bounded by its outer weights, and does
tell the two states apart. Not claimed: that one of them translates better.

Conventions. Scores are returned as they are: nothing is divided by the root of the width, as Vaswani et al. (2017) do,
and no softmax is taken. Here general is query w keyT with w (Q, M); a library that projects the keys first keeps w
transposed, as (out, in) of its linear layer. The rows of concat's w belong to the query first, then to the key;
Bahdanau et al. keep two matrices.

Erratum. The article that the note cites adds the two states and multiplies the sum by one matrix where it says concat.
That is concat with both halves of w tied, which makes the score symmetric and needs states of one width. Shown by
concat_score_tells_query_from_key and tied_halves_make_concat_score_additive.

Erratum. Its formula for general multiplies shapes that do not fit: w has to stand between the two states. Shown by
general_score_refuses_a_matrix_that_does_not_fit.
"""

from layerlaws.notes.alignment_scores import concat, dot, general

parts = (dot, general, concat)

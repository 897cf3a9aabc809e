"""Multi-head attention: several small attentions side by side, each on its own slice of the width.

Note of 2021-11-26. A query is compared with every key; the softmax of the scores says how much of each value
it takes (Vaswani et al., Attention Is All You Need, 2017, section 3.2.1). Instead of one attention of width D,
H attentions of width D / H run in parallel on learned projections of the inputs; their results are laid side by
side and projected once more (section 3.2.2).

Claimed: the result of a query is a weighted mean of the values it may see, with weights that depend on scores
only by their differences; the heads know nothing of each other, so their contributions to the output add up.
Not claimed: that heads specialise, or that many heads are better than few.

Conventions. A mask is True where a query may look; torch.nn.MultiheadAttention means the opposite, its bool mask
is True where it must not. A query that may look nowhere gets weights 0, here and in PyTorch's
scaled_dot_product_attention; elsewhere it gets not-a-number or the mean of all values. Weights are (in, out)
and apart; PyTorch packs those of query, key and value as (3 D, D), out before in. Head h owns the columns
[h d, (h + 1) d) of the projections and the same rows of w_o.
"""

from layerlaws.notes.multi_head_attention import heads, hidden_scores, projections, scaled_dot_product, weights

parts = (weights, scaled_dot_product, heads, projections, hidden_scores)

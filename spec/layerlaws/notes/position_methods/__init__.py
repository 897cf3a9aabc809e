"""Telling order: attention sees a set, and positions have to be brought in.

Note of 2021-10-27. Attention compares contents and adds up values, so that nothing in it says which token came first
(Vaswani et al., Attention Is All You Need, 2017, section 3.5). Three ways to bring order in: a learned row per
position, added to the token (Gehring, Auli, Grangier, Yarats, Dauphin, Convolutional Sequence to Sequence Learning,
2017, section 3.1); a fixed row of sines and cosines in its place; or a learned row per distance between two tokens,
added to the key and to the value of every pair (Shaw, Uszkoreit, Vaswani, Self-Attention with Relative Position
Representations, 2018, section 3). A causal mask tells order, too, and so do recurrence and convolutions wider than 1.

Claimed: without any of these self-attention is equivariant under permutations, and attention to a source does not
depend on the source's order; each of them ends that; relative attention depends on distances only, and tells none
beyond k apart. Not claimed: which way is the best.

Conventions. Row r of a table of 2k + 1 rows belongs to the distance r - k, and the distance is the key's position minus
the query's: positive where the key comes later. Both positions are counted from 0, also where there are more keys than
queries; tensor2tensor lines the last query up with the last key there, as a decoder with a cache has to. The tables are
shared by all heads and scaled with the keys. Hugging Face's BERT with "relative_key" takes query minus key, has no
table for values, and does not clip: a sequence longer than its table is an error
(https://github.com/huggingface/transformers/issues/17026). Many models multiply the tokens by the root of their width
before they add positions; here they do not.

Erratum. Self-attention is often called insensitive to order. It is equivariant: permuted tokens give permuted results.
Insensitive is what pools its results over all positions, and attention to a source whose order changes. Shown by
equivariant_is_not_insensitive, self_attention_without_positions_is_equivariant and
the_order_of_a_source_does_not_matter.
"""

from layerlaws.notes.position_methods import (
    learned,
    order,
    permutations,
    relative,
    relative_masks,
    relative_scores,
    relative_tables,
)

parts = (permutations, order, learned, relative, relative_tables, relative_masks, relative_scores)

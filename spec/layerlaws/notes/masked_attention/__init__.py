"""Masked self-attention and teacher forcing: a decoder may use what came before, nothing later.

Note of 2021-11-23. A decoder is trained on whole sequences at once. Two devices keep it honest. The mask lets
row i of self-attention look at rows up to i only (Vaswani et al., Attention Is All You Need, 2017, section
3.2.3). Teacher forcing feeds the true sequence shifted by one, so that row i holds what precedes the word it
predicts (Williams and Zipser, A Learning Algorithm for Continually Running Fully Recurrent Neural Networks,
1989).

Claimed: the dependence of outputs on inputs is exactly the lower triangle; decoding step by step against a cache
of earlier keys and values is the same function as the parallel pass. Not claimed: anything about attention to
the source, which is not masked.

Conventions. With S > T keys the queries are the last T of the S positions. PyTorch's `is_causal` aligns query 0
with key 0 instead, which differs as soon as there is a cache.

Erratum. "Word i cannot know the words after i" is true of input rows. Relative to the words to be predicted only those
before i are known, and only because of the shift: with the mask alone row i sees the very word it has to predict. Shown
by only_the_shift_hides_the_word_to_be_predicted.

Erratum. A strict mask (j < i) on top of the shift leaves row 0 with nothing to look at; it has to see itself. Shown by
the_first_position_returns_its_own_value.
"""

from layerlaws.notes.masked_attention import decoding, forcing, hidden_scores, masks

parts = (masks, decoding, hidden_scores, forcing)

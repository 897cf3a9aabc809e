"""BERT's embedding layers: token, segment and position are looked up, summed and normalized.

Note of 2021-12-08. A word of BERT's input is the sum of three rows: of the table of tokens, of the table of segments
and of the table of positions, learned all three, followed by layer normalization (Devlin, Chang, Lee, Toutanova, BERT:
Pre-training of Deep Bidirectional Transformers, 2019, section 3 and figure 2; Ba, Kiros, Hinton, Layer Normalization,
2016, section 3). The segment says to which of two inputs a token belongs: [CLS] A [SEP] B [SEP].

Claimed: the segment table has exactly two rows, row 0 for every token of the first input and row 1 for those of the
second. Not claimed: anything about dropout, which follows in training.

Conventions. The variance is biased and epsilon stands inside the root, 1e-12 in BERT. The Annotated Transformer divides
by the unbiased deviation plus epsilon. Flax computes the variance in one pass by default (`use_fast_variance`), as the
mean square minus the squared mean: that loses the square of |mean| / deviation to rounding, where any implementation
loses the factor itself. RoBERTa counts positions from the padding id + 1.

Erratum. Two rows is a configuration: Google's BertConfig defaults to a table of 16 rows, and the released models use 2.
Shown by the_segment_table_has_exactly_two_rows.

Erratum. Row 0 is not for the tokens of the first input alone: [CLS] and the first [SEP] have it, too, and the last
[SEP] has row 1. Shown by one_segment_follows_the_other.
"""

from layerlaws.notes.bert_embeddings import embeddings, gradients, normalization, segments

parts = (segments, embeddings, normalization, gradients)

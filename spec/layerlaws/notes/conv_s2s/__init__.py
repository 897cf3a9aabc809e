"""ConvS2S convolutions: where the zeros go decides what a step may see.

Note of 2021-10-29. A convolutional sequence-to-sequence model has no recurrence and no mask: padding alone keeps
the length and, in the decoder, hides the future. The encoder puts (K - 1)/2 zeros on each side; the decoder puts
K - 1 zeros in front, so that step i reads steps i - K + 1 to i. Each layer is a convolution to twice the width, a
gated linear unit and a residual sum scaled by sqrt(1/2) (Gehring, Auli, Grangier, Yarats, Dauphin, Convolutional
Sequence to Sequence Learning, 2017, sections 3.2 and 3.5; the gate is from Dauphin, Fan, Auli, Grangier, Language
Modeling with Gated Convolutional Networks, 2017).

Claimed: lengths are kept; the dependence of outputs on inputs is exactly the stated band; L layers see 1 + L(K - 1)
steps; the last K - 1 steps are all that a decoder has to remember. Not claimed: anything about weight normalization,
dropout or the attention between encoder and decoder.

Conventions. Kernels are (width, in, out), correlated and not flipped, oldest tap first; torch keeps (out, in, width).
What the libraries pad on both sides they cut off at the end again, K - 1 steps of it: TCN's Chomp1d
(https://github.com/locuslab/TCN/issues/8) does so, and it equals padding in front. With K = 1 there is nothing to cut
off, and a slice [:-0] would take all. The bound of a convolution is that of a sum over its taps, element by element;
a Fourier transform keeps only a bound by the largest element, and is a fault here.

Erratum. The note pads K - 1 zeros on both ends "and deletes the last K", which is the paper's own sentence in section
3.2. Both ends make T + K - 1 outputs, so that deleting K leaves T - 1: for T = 1 nothing, and L steps are lost over L
layers. K - 1 is right. Shown by deleting_the_last_k_would_lose_a_step_per_layer and
padding_both_ends_and_deleting_k_minus_1_is_padding_in_front.
"""

from layerlaws.notes.conv_s2s import block, convolutions, decoder, gate

parts = (convolutions, decoder, gate, block)

"""Attention to the source: whose state asks the question.

Note of 2021-11-02. In a sequence-to-sequence model the decoder weighs the states of the source, by a question that each
of them answers with a score. Three models differ in who asks. In Bahdanau, Cho, Bengio, Neural Machine Translation by
Jointly Learning to Align and Translate, 2015, section 3.1 and appendix A.1.2, it is the decoder's previous state: the
step first looks at the source, and what it found is one more input of the recurrence. In Luong, Pham, Manning,
Effective Approaches to Attention-based Neural Machine Translation, 2015, sections 3 and 3.1, it is the new state: the
step first goes on, and what it then finds is combined with the state for the output. In ConvS2S (Gehring, Auli,
Grangier, Yarats, Dauphin, Convolutional Sequence to Sequence Learning, 2017, section 3.3) it is the state of a layer
together with g_i, the embedding of the decoder's input at the same place: there is no recurrence to carry it.

Claimed, for the weights of step t: with Bahdanau they depend on the decoder's inputs strictly before t; with Luong on
those up to t; in ConvS2S on g_t directly, beside all that the state has seen. Every one of these inputs can reach them,
and no other. In ConvS2S what is weighed is not what answers: the scores come from the encoder's outputs z alone, the
context is made of z + e with the embeddings e of the source. Not claimed: that one of them translates better.

Conventions. The recurrence is tanh(x w_input + s w_state + bias), where the papers have a gated unit and an LSTM; who
asks is the same. Luong's score is the general one, s' w_score m; [c; h] has the context first. His input feeding, the
attentional vector beside the next embedding, is left to the caller: with it the context does reach the next state, and
the weights of a step still wait for its own input. There is no mask: all source states are states of words. ConvS2S
takes the sum over S source states times sqrt(S), which fairseq writes as S sqrt(1/S), so that uniform weights keep the
variance; the other two do not.

Erratum. That "the decoder's state asks" is true of all three, and tells none of them apart: what tells them apart is
which inputs that state has seen. Bahdanau's alignment model reads s_(i-1); tutorials ask with what the cell has just
returned, which is Luong's order, or with the embedding of the new input beside the state, and call it by his name.
Shown by bahdanau_s_weights_see_the_inputs_before_their_step, luong_s_weights_see_the_inputs_up_to_their_step and
conv_s2s_s_weights_see_their_own_embedding_and_state.
"""

from layerlaws.notes.attention_sources import bahdanau, convolutional, decoders, far_scores, luong

parts = (decoders, bahdanau, luong, convolutional, far_scores)

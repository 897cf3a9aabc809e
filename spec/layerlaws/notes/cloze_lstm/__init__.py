"""Cloze with two LSTMs: each word predicted from all the others, and never from itself.

Note of 2021-11-01. A word is understood from both sides. A window gives k words before and k words after the gap
(as in the continuous bag of words of Mikolov, Chen, Corrado, Dean, Efficient Estimation of Word Representations in
Vector Space, 2013, section 3.1); two LSTMs, one in each direction, give all of them: the gap at i is filled from the
forward state after word i - 1 and the backward state after word i + 1 (Melamud, Goldberger, Dagan, context2vec:
Learning Generic Context Embedding with Bidirectional LSTM, 2016, section 2). The LSTM is that of Hochreiter and
Schmidhuber, Long Short-Term Memory, 1997, with the forget gate of Gers, Schmidhuber, Cummins, Learning to Forget,
2000.

Claimed: the prediction at i depends on every word but word i; reversing the text exchanges the two sides; a cell
gains at most 1 a step, and is kept, with its gradient, where the forget gate is open and the input gate closed. Not
claimed: that a window and two LSTMs predict alike.

Conventions. Gates stand in the order input, forget, candidate, output, each H wide, with one bias: PyTorch's order,
and two biases there, which are added up; ONNX has input, output, forget, candidate. The rows of w_out are the forward
state's, then the backward state's. At the ends of the text the state of the empty side is zero.

Erratum. "Bidirectional" is not enough. A plain bidirectional LSTM has read word i in both directions by the time it
predicts word i; and where two such layers are stacked, shifting the outputs of the second does not help, since the
first has already told its neighbours what word i is. Shown by bidirectional_is_not_enough.
"""

from layerlaws.notes.cloze_lstm import cloze, recurrence, windows

parts = (windows, recurrence, cloze)

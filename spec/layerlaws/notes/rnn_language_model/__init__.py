"""The recurrent language model: one state carries the whole past, and the same weights serve every step.

Note of 2021-10-31. A language model predicts each word from the words before it. A window of n words cannot see
farther back than n; a recurrent network reads one word at a time into a state, h = tanh(x w_x + h w_h + b), and
predicts from the state alone (Elman, Finding Structure in Time, 1990; Mikolov, Karafiat, Burget, Cernocky,
Khudanpur, Recurrent neural network based language model, 2010). It is trained by unrolling: the gradient by a shared
weight is the sum over its copies (Werbos, Backpropagation Through Time: What It Does and How to Do It, 1990).

Claimed: texts of any length share the parameters, and may be cut anywhere if the state is carried on; each
prediction depends on every word so far and on none later; what the past can still do fades at least as fast as the
powers of the largest stretch of w_h (Pascanu, Mikolov, Bengio, On the difficulty of training Recurrent Neural
Networks, 2013, section 2.1). Not claimed: that the far past is put to use, which is a matter of training.

Conventions. w_x is (E, H), w_h is (H, H): rows are multiplied from the left. Prediction t is for the word after word
t, and the state that comes back is the one after the last word; a text of no words returns the state as it came.
Elman's units are logistic, Mikolov's too; tanh is what libraries call an RNN. PyTorch has two biases, which are added
up, and refuses a text of no words.

Erratum. "The same weight matrix at every step" are two matrices: one for the word, one for the state (and a third for
the prediction). Shown by words_and_states_have_a_matrix_each and the_recurrent_matrix_is_square.

Erratum. That the model does not grow with the length of the context is true of the parameters; training keeps the state
of every step, since the gradient by w_h multiplies each of them. Shown by training_needs_the_state_of_every_step.
"""

from layerlaws.notes.rnn_language_model import past, recurrence, training

parts = (recurrence, past, training)

"""Local attention: every target state looks at a few neighbouring source states, however long the sentence is.

Note of 2021-10-01. Global attention scores all S source states at every target step. Luong, Pham and Manning
(Effective Approaches to Attention-based Neural Machine Translation, EMNLP 2015, section 3.2) choose a centre p_t first
and take the softmax over the window [p_t - w, p_t + w] only. The centre is the step itself, p_t = t (monotonic, for
languages that run alike), or is predicted from the state, p_t = S sigmoid(v_p . tanh(h_t w_p)) (predictive); then the
weights are multiplied by a Gaussian around p_t with sigma = w/2, which lets gradient reach the prediction although the
borders of the window jump.

Claimed: states outside the window have no effect at all, so that the work at a step does not grow with S; with a
window over everything the monotonic form is global attention; the gradient of the predictive form reaches w_p and v_p.
Not claimed: that it translates better, or that predicted centres are alignments.

Conventions. Positions are 0 ... S - 1 and states outside the sentence are left out; libraries that pad instead give
weight to what they padded with. The score is the plain inner product (`dot_score`). The window stands around floor(p),
not round(p), and always has 2 w + 1 places. The Gaussian is not renormalized: predictive weights sum to less than 1.
A monotonic window behind the last state, t > S - 1 + w, is empty: weights and context are 0. A prediction that lies
within its rounding error of a whole position is undecidable: its window may be either of two.

Erratum. "Only 2 D + 1 states" for a window [p_t - D, p_t + D] holds for whole p_t alone; around a real p_t there are 2
D. The window around floor(p_t) has its 2 D + 1 states always, and the first of them lies farther than D from p_t. Shown
by a_real_centre_has_only_twice_the_window_within_reach.
"""

from layerlaws.notes.local_attention import far_scores, gaussian, monotonic, predictive, windows

parts = (windows, monotonic, predictive, gaussian, far_scores)

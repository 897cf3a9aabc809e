"""Label smoothing: a share of every label is spread evenly over all classes.

Note of 2021-11-30. Cross-entropy with one-hot labels is smallest where the right logit is infinitely far above the
others. Label smoothing replaces the label q by q' = (1 - eps) q + eps / K over K classes (Szegedy, Vanhoucke, Ioffe,
Shlens, Wojna, Rethinking the Inception Architecture for Computer Vision, 2016, section 7), so that the loss is
(1 - eps) H(q, p) + eps H(u, p), with the uniform distribution u, and is smallest at a finite gap.

Claimed: the loss is at least the entropy of q', which it has at logits log q', and rises again once the right logit is
more than log(1 + K (1 - eps) / eps) above the others: 9.105 for 1000 classes and eps = 0.1, as in the paper. The loss
of a batch is the mean over the rows whose target is not `ignore_index`; ignored rows count in neither term, nor in the
denominator. Not claimed: that models trained so are better, or better calibrated.

Conventions. eps / K goes to every class, the right one included, as in the paper, PyTorch and optax. fairseq leaves the
right class 1 - eps and gives the others eps / (K - 1): that is q' here with the share eps K / (K - 1). OpenNMT and the
Annotated Transformer leave out the padding class as well. Where every row is ignored the loss is 0 here; PyTorch's is
not a number, the mean of nothing.

Erratum. Label smoothing was introduced with the networks called Inception-v2 and v3 in that paper, not with
BN-Inception (Ioffe and Szegedy, Batch Normalization, 2015), which trained on one-hot labels. No law shows it.
"""

from layerlaws.notes.label_smoothing import cross_entropy, gradients, ignored_rows, labels, refusals

parts = (labels, cross_entropy, ignored_rows, gradients, refusals)

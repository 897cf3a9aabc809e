"""Masked autoencoder: hide most patches of an image, encode the rest, and rebuild what was hidden.

Note of 2021-11-17, on He, Chen, Xie, Li, Dollar, Girshick, Masked Autoencoders Are Scalable Vision Learners (CVPR
2022; arXiv 2111.06377 of November 2021), section 3. An image is cut into patches, as for a Vision Transformer
(Dosovitskiy et al. 2021). Noise is drawn for each patch; the patches with the least are kept, a quarter of them, say.
Only those enter the encoder. Behind it every removed place gets one shared vector, the mask token, and a small decoder
predicts the pixels of the removed patches, which alone count in the loss.

Claimed: nothing of a removed patch reaches the encoder, and its cost is that of the kept ones; the loss does not look
at patches that were visible; shuffling and restoring leave every token where it was. Not claimed: anything of the
decoder, which is Transformer blocks again, of the class token, or of a ratio that is best.

Conventions. In the mask True means removed. A patch lists its pixels row by row, the channels of a pixel side by side:
(py, px, c); torch.nn.functional.unfold and convolution kernels go (c, py, px). Positions are added before patches are
removed. Blocks normalize in front of attention and of the network (pre-norm); the reference has one more LayerNorm
behind the last block, which is left out here, as its class token is. GELU is the exact one. A normalized target is
divided by the unbiased standard deviation of its patch, since the reference calls torch.var as it is; 1e-6 is added to
the variance, inside the root.

Erratum. The reference keeps int(L (1 - ratio)) patches, in floating point: none of 10 at ratio 0.9, and 9 of 100. Here
`keep` is a number of patches. Shown by a_ratio_does_not_say_how_many_tokens_to_keep.

Erratum. "3x or more" faster pre-training, as the abstract has it, is not the paper's own table 2 throughout: with the
decoder of 8 blocks it says 2.8x for ViT-L. No law shows it.
"""

from layerlaws.notes.masked_autoencoder import blocks, encoder, loss, masking, patches

parts = (patches, masking, encoder, blocks, loss)

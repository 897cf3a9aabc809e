"""Outlook attention and tokens-to-token: windows of an image unfolded, mixed by weights, folded back.

Note of 2021-11-17. Two ways to give a vision transformer the fine structure of an image, both made of windows of
K x K pixels that overlap. Tokens-to-token makes each window one token (Yuan and others, Tokens-to-Token ViT, 2021,
section 3.1: the soft split, which is `unfold`). Outlook attention lets the pixel at a window's centre say, by one
linear map and without any keys, how the K^2 pixels of its window are mixed into K^2 new ones; where windows overlap,
the new pixels are added up, which is `fold` (Yuan, Hou, Jiang, Feng, Yan, VOLO: Vision Outlooker for Visual
Recognition, 2021, section 3.1).

Claimed: fold is the adjoint of unfold; a pixel sees the K - 1 pixels on each side of it; the weights belong to the
centre of a window and serve all pixels under it; at 224 x 224 the soft splits of T2T make 3136, 784 and 196 tokens.
Not claimed: anything about accuracy, or about what T2T does between its soft splits.

Conventions. Images are (B, Y, X, C); patches are (B, L, C K K), L = rows times columns of windows, row by row, and
within a patch the channel is slowest, then ky, then kx. torch's F.unfold takes (B, C, Y, X) and returns the transpose,
(B, C K K, L); F.fold takes that. Others put the channel last (tf.image.extract_patches), so that weights do not carry
over. There are floor((Y + 2 padding - K) / stride) + 1 rows of windows: pixels behind the last one are in none, and
fold leaves them 0. Padding is zeros, and those zeros take part in the softmax. With a stride s the window is centred at
the first pixel of the s x s block whose average decides its weights; blocks cut off by the border are averaged over
the pixels they have (ceil_mode=True and no padding in torch). Overlaps are summed and not divided by their number.

Erratum. The released code has a shortcut for stride 1: it folds the weights of each pixel to a window of (2K - 1)^2 and
applies them to that pixel alone. That is another function, since a pixel is weighed by the centre of every window over
it: on normal numbers its results are off by 0.1 to 0.8 of their size (a relative error in the Euclidean norm), the more
the further the scores are apart. Shown by a_centre_may_send_one_pixel_to_its_whole_window.

Erratum. Algorithm 1 of the paper has v.permute(2, 1, 0), which makes (C, X, Y) of (Y, X, C), so that window (j, i) is
mixed by the weights of pixel (i, j). Shown by outlook_treats_both_axes_alike.
"""

from layerlaws.notes.volo import folding, outlook, outlook_weights, unfolding, windows

parts = (windows, unfolding, folding, outlook, outlook_weights)

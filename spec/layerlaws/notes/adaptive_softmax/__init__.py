"""Adaptive softmax: frequent words stand in a short list, rare ones in clusters that are entered when needed.

Note of 2021-11-07. A softmax over a large vocabulary spends nearly all its time on words that nearly never occur.
The adaptive softmax (Grave, Joulin, Cisse, Grangier, Jegou, Efficient softmax approximation for GPUs, 2017,
section 4) sorts the words by frequency and cuts the list. The head is a softmax over the first c0 words and one
entry for each cluster of the rest; a cluster, or tail, is a softmax of its own over its words, on a narrower
projection of the hidden state. A word of the short list has the probability that the head gives it; a word of a
tail that of the tail's entry times its own within the tail. To train on a word takes the head and the tail it is
in, if any, and no other.

Claimed: this is a distribution over the whole vocabulary, and each tail weighs what its entry in the head says; the
loss is the negative logarithm of that distribution at the target, with the gradient that this has, of which tails
without a target get exactly nothing; prediction finds the likeliest of all words. Not claimed: how much faster it is,
which depends on the vocabulary, the cut and the machine, and is for a benchmark to measure. The "1000%" of the note
is the title of an article about the paper, whose range is 2 to 10 times; the article itself measures 3.1 times.

Conventions. cutoffs end with the size of the vocabulary, (c0, c1, ..., V), and words count from 0, so that word c0
is the first of the first tail; PyTorch leaves V out of the list. Entries of the tails stand behind the short list, in
the order of the tails. Transformer-XL counts them from the end and adds biases. There are none here.

Erratum. It is no approximation of the softmax, whatever the paper's title says: nothing is sampled or left out. It is a
model of its own, with fewer parameters, and it is the full softmax where the entry of each tail happens to be the
logarithm of the tail's sum of exponentials. Shown by entries_that_are_log_sums_give_the_full_softmax.

Erratum. The likeliest word is not always in the likeliest cluster: a tail may outweigh each word of the short list
though none of its own words does. Shown by no_word_is_likelier_than_the_predicted_one.
"""

from layerlaws.notes.adaptive_softmax import clusters, distribution, loss, prediction, refusals

parts = (clusters, distribution, loss, prediction, refusals)

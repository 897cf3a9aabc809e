"""Unknown words: one name for all of them, a shorter history in their place, or the pieces they are made of.

Note of 2021-09-30. A vocabulary is finite, and text is not. "I don't know": every word outside the vocabulary
becomes the same id, and which word it was is lost. "Let me look again": a language model that never saw a word
after a history asks a shorter one. Stupid back-off multiplies by a constant per step (Brants, Popat, Xu, Och and
Dean, Large Language Models in Machine Translation, 2007, section 4); Katz back-off takes from what was seen exactly
what it gives to what was not (Katz, Estimation of Probabilities from Sparse Data for the Language Model Component
of a Speech Recognizer, 1987; absolute discounting after Ney, Essen and Kneser, On Structuring Probabilistic
Dependences in Stochastic Language Modelling, 1994). "I know its parts": WordPiece reads a word from the left and
takes the longest piece that fits (Wu et al., Google's Neural Machine Translation System, 2016, section 4.1; the
greedy reading is that of BERT, 2018); a unigram model takes the most probable of all segmentations (Kudo, Subword
Regularization, 2018, section 3.2).

Claimed: pieces spell the word that they encode; the unigram model finds the best segmentation that there is; Katz
back-off is a probability distribution whatever the corpus. Not claimed: that greedy pieces are the fewest or that
they are found where some exist, or that pieces mean anything.

Conventions. A piece is a row of symbols with a mark that says whether it continues a word (BERT's ##); of equal
pieces the first counts, of equal ones with different probabilities the most probable. A word without symbols has no
pieces, and no id of its own. A word that is longer than the limit is unknown as a whole; tensorflow-text and
sentencepiece can name single symbols unknown instead. A history counts wherever it occurs, at the end of the corpus
too, where no word follows; Katz's model divides by how often any word followed. The corpus is one line, without
marks for begin and end. Below the unigrams of Katz's model stands the uniform distribution, as in SRILM; where every
word of the vocabulary was seen after a history there is nobody to give to, and nothing is discounted.

Erratum. What back-off with a constant gives is not "the probability of a model of another precision" but a score: the
scores of all words after one history may add up to more than 1, or to less. Shown by scores_are_no_probabilities.
"""

from layerlaws.notes.subword import (
    backoff,
    encoders,
    histories,
    katz,
    language_models,
    library,
    long_words,
    segmentations,
    unigram,
    unknown,
    wordpiece,
    words,
)

parts = (
    words,
    library,
    histories,
    unknown,
    backoff,
    katz,
    language_models,
    wordpiece,
    segmentations,
    unigram,
    encoders,
    long_words,
)

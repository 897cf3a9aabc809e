"""Byte-pair encoding: the most frequent pair of neighbours becomes a symbol of its own, again and again.

Note of 2021-10-26. Gage compressed data this way (A New Algorithm for Data Compression, The C Users Journal 12(2),
1994): replace the most frequent pair of bytes by a byte that does not occur, write the pair into a table, repeat.
Sennrich, Haddow and Birch made it a tokenizer (Neural Machine Translation of Rare Words with Subword Units, 2016,
section 3.2): the table is trained on words weighted by their frequency, no pair crosses a word, and any word,
unknown ones too, is encoded by the table in the order in which it was learned. On bytes every text has a code.

Claimed: encoding loses nothing, whatever the bytes and whatever the table; encoding the training words gives the
segmentation that the trainer had reached. Not claimed: that the result is the shortest possible, or that pieces
mean anything.

Conventions. Overlapping occurrences are counted (aaa holds aa twice), and replaced from left to right without
overlap. Among equally frequent pairs the smallest (id, id) is merged; subword-nmt takes the largest pair of
strings, sentencepiece the shortest piece, minbpe the pair seen first. A piece is its row of the table: two rows
that spell the same bytes are two ids. Hugging Face's tokenizers identify a piece by its spelling, and tiktoken
merges whatever spells a piece.

Erratum. ababab -> ccc with c = ab is the textbook's compression. Gage's own program merges from three occurrences on,
so it stops there (cc occurs twice), and what it writes, table and output together, is 10 bytes for the 6. Shown by
gage_writes_ten_bytes_for_the_six_of_ababab.
"""

from layerlaws.notes.byte_pair_encoding import decoding, encoding, library, merging, replacing, texts, training

parts = (merging, texts, library, replacing, training, encoding, decoding)

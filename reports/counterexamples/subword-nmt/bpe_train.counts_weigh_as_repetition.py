"""Holds one backend to one law on one example: exit status 0 where the law holds, 1 where it does not."""

# Law: A word that counts n times is n words that count once, wherever they stand.
# Seen: bpe_train raised ValueError: max() arg is an empty sequence

import sys

import numpy as np

import layerlaws

BACKEND = 'subword-nmt'
LAW = 'bpe_train.counts_weigh_as_repetition'
DTYPE = 'float64'
ARGUMENTS = {
    'symbols': np.zeros((0,), 'int64'),
    'offsets': np.array([0, 0, 0, 0], 'int64'),
    'counts': np.array([1, 1, 1], 'int64'),
    'base': 2,
    'num_merges': 12,
    'min_count': 1,
    'seed': 0,
}

example = layerlaws.hold(BACKEND, LAW, DTYPE, ARGUMENTS)
print(example)
sys.exit(not example.holds)

"""Holds one backend to one law on one example: exit status 0 where the law holds, 1 where it does not."""

# Law: A billion times as many words, and a threshold as much higher, train the same table.
# Seen: bpe_train raised ValueError: max() arg is an empty sequence

import sys

import numpy as np

import layerlaws

BACKEND = 'subword-nmt'
LAW = 'bpe_train.only_proportions_of_counts_matter'
DTYPE = 'float64'
ARGUMENTS = {
    'symbols': np.zeros((0,), 'int64'),
    'offsets': np.array([0, 0, 0, 0], 'int64'),
    'counts': np.array([1, 1, 1], 'int64'),
    'base': 2,
    'num_merges': 12,
    'min_count': 1,
    'scale': 30,
}

example = layerlaws.hold(BACKEND, LAW, DTYPE, ARGUMENTS)
print(example)
sys.exit(not example.holds)

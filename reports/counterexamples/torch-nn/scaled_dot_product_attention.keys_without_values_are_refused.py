"""Holds one backend to one law on one example: exit status 0 where the law holds, 1 where it does not."""

# Law: Every key has a value.
# Seen: scaled_dot_product_attention accepted a bad 'value' instead of raising ValueError

import sys

import numpy as np

import layerlaws

BACKEND = 'torch-nn'
LAW = 'scaled_dot_product_attention.keys_without_values_are_refused'
DTYPE = 'float32'
ARGUMENTS = {
    'query': np.array([[[[2.]]]], 'float32'),
    'key': np.array([[[[1.]]]], 'float32'),
    'value': np.array([[[[0.]]]], 'float32'),
    'mask': None,
    'surplus': 1,
}

example = layerlaws.hold(BACKEND, LAW, DTYPE, ARGUMENTS)
print(example)
sys.exit(not example.holds)

"""Benchmarks: every workload on every backend, side by side in one run."""

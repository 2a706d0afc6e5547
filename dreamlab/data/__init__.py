"""Data sets, splits, subsets and mixes: numpy arrays, no torch."""

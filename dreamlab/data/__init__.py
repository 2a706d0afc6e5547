"""Data sets, selections, mixes, imports and exports, as numpy arrays and without torch."""

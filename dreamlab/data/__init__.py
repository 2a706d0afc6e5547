"""Data sets, selections of real images, arms, imports and exports, as numpy arrays and without
torch."""

"""Task fidelity: a synthetic set against real images."""

"""Task fidelity: compares a synthetic set with real images."""

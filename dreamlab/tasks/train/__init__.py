"""Task train: trains a diffusion model on real images."""

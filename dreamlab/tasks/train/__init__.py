"""Task train: a diffusion model on real images."""

"""The diffusion model: pure functions of tensors and one network. It reads no files, chooses no
device and has no global state."""

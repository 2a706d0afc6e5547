"""The diffusion model as plain maths and one network: no files, no devices chosen, no global
state."""

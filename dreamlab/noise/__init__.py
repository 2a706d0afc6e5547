"""Noise schedules and sampling timesteps, without torch."""

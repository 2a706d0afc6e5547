"""Noise schedules and timesteps, without torch."""

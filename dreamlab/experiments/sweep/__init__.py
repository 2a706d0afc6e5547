"""Sweep: fidelity against guidance weight, sampler steps, or T."""

"""The networks that are trained on mixes and judged on real test images; no training loop here."""

"""Layers, number of parameters and cost of the U-Net, computed without torch."""

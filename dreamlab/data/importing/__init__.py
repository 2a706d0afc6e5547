"""Imports images: sources, limits, preprocessing, the split, and writing the image set."""

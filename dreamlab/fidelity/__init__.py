"""Distances between sets of images: features, Frechet distance, KID, and intervals for both."""

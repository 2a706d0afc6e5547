"""Distances between sets of images: features, Frechet distance and KID, with intervals."""

"""Distances between sets of images: feature extractors, Frechet distance and KID, with
intervals."""

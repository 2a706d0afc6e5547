"""Import of images from elsewhere: sources, limits, preprocessing, split, and the set that is
written."""

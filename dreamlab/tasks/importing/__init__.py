"""Task import: images from elsewhere as a set that other runs can use."""

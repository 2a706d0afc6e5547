"""Task import: turns images from elsewhere into an image set that other runs can use."""

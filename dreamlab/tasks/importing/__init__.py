"""Task import: images from elsewhere as a set that every other run can use."""

"""Images from elsewhere: layouts, pictures, limits, splits, and the set that is written."""

"""Forms that are made from settings."""

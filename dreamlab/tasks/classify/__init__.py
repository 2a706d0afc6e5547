"""Task classify: one classifier recipe on one arm, over several seeds."""

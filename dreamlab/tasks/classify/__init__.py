"""Task classify: trains one classifier recipe on one arm with several seeds."""

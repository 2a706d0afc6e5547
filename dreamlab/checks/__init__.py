"""Everything that refuses a spec before it starts."""

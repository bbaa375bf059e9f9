"""Cards on paper: what stands there, and setting it in type."""

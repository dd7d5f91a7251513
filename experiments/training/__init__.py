"""Training of one task and of everything derived from it."""

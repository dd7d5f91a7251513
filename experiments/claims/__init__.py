"""Published claims about energy, recomputed."""

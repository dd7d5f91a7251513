"""Reports as terminal tables: the end of a run, energy, placements."""

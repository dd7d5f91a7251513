"""Side-by-side timings: rows of {name, ours, other, ratio, unit, goal, holds}."""

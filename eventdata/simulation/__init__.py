"""The event sensor simulator: radiance in, events out."""

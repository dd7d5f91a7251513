"""Lava processes of a network graph; nothing else is in here: Lava executes every file beside a Process."""

"""Planning through Lava: a planner of a session, whole episodes with every plan checked, and plans replayed layer by layer."""

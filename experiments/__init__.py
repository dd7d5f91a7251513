"""The runnable things: one readable file each, and the command line."""

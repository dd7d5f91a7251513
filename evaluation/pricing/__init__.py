"""Joules of a run: every pair of machine and method, opponents, layers and files of other projects."""

"""Figures of reports and pages: each a function of what a JSON file holds, never of a live run."""

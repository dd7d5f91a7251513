"""Planners and the closed loop: CEM in floating point and in integers, and the cost for other planners."""

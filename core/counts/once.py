"""Inputs that rows of one pass have in common: their part of the first layer is computed once and kept as its bias.

    u = W_c x_c + W_o x_o + b       x_c: of all rows alike

Dense hardware computes W_c x_c once and keeps it. A chip sends x_c once; the neurons of the first layer store what reaches them,
an update each, and add it to every row as they add their bias. The outputs are the same to the bit, so that only counts differ.
"""

from __future__ import annotations

from typing import NamedTuple


class Once(NamedTuple):
    """`columns`: of the input, that all rows share. `rows`: how many rows they are charged for; 0: an earlier pass has paid."""

    columns: slice
    rows: int

    def saved(self, rows: int) -> int:
        """Numbers that are not computed again, in a pass of so many rows: rows saved x columns."""
        return (rows - self.rows) * int(self.columns.stop - self.columns.start)

"""Progress of long work: `on_progress(done, total)` is called after each of its parts.

The numbers count parts of the work (actions planned, pairs priced, placements tried), so their ratio is a share of it.
"""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """The default of an `on_progress`: nothing is shown."""

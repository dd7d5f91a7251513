"""How long work says how far it is: it calls `on_progress(done, total)` after each of its parts.

The numbers count parts of the work (actions planned, pairs priced, placements tried), so their ratio is a share of it.
"""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[int, int], None]


def unheard(done: int, total: int) -> None:
    """For callers that do not ask."""

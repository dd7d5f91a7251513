"""The machine-code layers where numba is installed (extra `fast`; tonic pulls it too), else None: torch and numpy twins run."""

from __future__ import annotations

from functools import cache
from types import ModuleType


@cache
def compiled() -> ModuleType | None:
    try:
        from spikeplan.core import spike_loops
    except ImportError:  # numba is optional
        return None
    return spike_loops

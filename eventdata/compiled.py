"""The machine-code loops where numba is installed (extra `fast`; tonic pulls it too), else None: then the numpy twin runs."""

from __future__ import annotations

from functools import cache
from types import ModuleType


@cache
def compiled() -> ModuleType | None:
    try:
        from spikeplan.eventdata import loops
    except ImportError:  # numba is optional
        return None
    return loops

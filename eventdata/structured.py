"""Structured arrays (x, y, t, p), as Tonic and most readers hand them out, to `Events`: one place reads polarity.

p > 0 is ON      so bool, uint8 or int8 {0, 1}, and int8 {-1, +1}, all mean the same
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.recording import MAX_STAMP_US

COORDINATE = np.iinfo(np.uint16)


def from_structured(array: NDArray[Any]) -> Events:
    """Columns of a structured array; a coordinate that uint16 cannot hold and a broken stamp are refused by index."""
    missing = {"x", "y", "t", "p"} - set(array.dtype.names or ())
    if missing:
        raise UserError(f"event array lacks the field(s) {', '.join(sorted(missing))}; it needs x, y, t and p")
    for name in ("x", "y"):
        column = array[name]
        outside = np.flatnonzero(~((column >= 0) & (column <= COORDINATE.max)))  # NaN too
        if outside.size:
            first = int(outside[0])
            what = "is negative" if column[first] < 0 else f"is not in 0 .. {COORDINATE.max}"
            raise UserError(f"event {first}: {name} = {column[first]} {what}; clip in the transform")
    broken = np.flatnonzero(~((array["t"] >= -MAX_STAMP_US) & (array["t"] <= MAX_STAMP_US)))
    if broken.size:
        first = int(broken[0])
        raise UserError(f"event {first}: stamp {array['t'][first]} is no time in us; drop the event")
    return Events(
        x=array["x"].astype(np.uint16),
        y=array["y"].astype(np.uint16),
        t_us=array["t"].astype(np.int64),
        p=np.ascontiguousarray(array["p"] > 0),
    )

"""Batches of representations as torch tensors, ready for a network. torch is imported on the first call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events

if TYPE_CHECKING:
    import torch


def batch(
    events_B: Sequence[Events], represent: Callable[[Events], NDArray[Any]], *, device: str = "cpu"
) -> torch.Tensor:
    """(B, ...) float32: `represent` of each entry, stacked. Counts stay exact up to 2^24.

    `batch([w.events for w in recording.windows(10_000)], lambda e: voxel_grid(e, (H, W), 5))` is (B, 5, 1, H, W); an
    empty window gives zeros.
    """
    try:
        import torch
    except ImportError as error:
        raise UserError("batch: torch is not installed; pip install spikeplan") from error
    if not len(events_B):
        raise UserError("batch: no entry to stack; give at least one Events (it may be empty)")
    arrays = [represent(events) for events in events_B]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise UserError(
            f"batch: entries of {len(shapes)} shapes ({shapes[:3]}); give every entry the same shape and bins"
        )
    return torch.from_numpy(np.stack(arrays).astype(np.float32, copy=False)).to(device)

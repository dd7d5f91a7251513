"""Our representations and filters as Tonic transforms: callables on its structured array, for `tonic.transforms.Compose`.

    Compose([Denoise(sensor_size, 10_000), VoxelGrid(sensor_size, bins=5)])

sensor_size is Tonic's (width, height, polarities). Any polarity dtype that Tonic uses is read right
(spikeplan.eventdata.structured);
filters return rows of the array they were given, representations a numpy array. Nothing here imports Tonic.
Compose itself stops at the first empty array and returns it: for windows that may be empty call the transforms yourself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata import filters, representations
from spikeplan.eventdata.info import hot_pixels
from spikeplan.eventdata.structured import from_structured

Array = NDArray[Any]


@dataclass(frozen=True)
class _OnSensor:
    sensor_size: tuple[int, int, int]

    def __post_init__(self) -> None:
        if len(self.sensor_size) != 3 or min(self.sensor_size) < 1:
            raise UserError(f"sensor_size {self.sensor_size}: give Tonic's (width, height, polarities)")

    @property
    def shape(self) -> tuple[int, int]:
        return self.sensor_size[1], self.sensor_size[0]


@dataclass(frozen=True)
class Histogram(_OnSensor):
    """(bins, C, H, W) int32."""

    bins: int = 1
    polarity: str = "both"

    def __call__(self, array: Array) -> NDArray[np.int32]:
        return representations.histogram(from_structured(array), self.shape, self.bins, polarity=self.polarity)


@dataclass(frozen=True)
class VoxelGrid(_OnSensor):
    """(bins, C, H, W) float32, bilinear in time."""

    bins: int = 5
    polarity: str = "signed"

    def __call__(self, array: Array) -> NDArray[np.float32]:
        return representations.voxel_grid(from_structured(array), self.shape, self.bins, polarity=self.polarity)


@dataclass(frozen=True)
class LastTime(_OnSensor):
    """(2, H, W) int64 stamps; representations.NEVER where a pixel was silent."""

    def __call__(self, array: Array) -> NDArray[np.int64]:
        return representations.last_time(from_structured(array), self.shape)


@dataclass(frozen=True)
class TimeSurface(_OnSensor):
    """(2, H, W) float32, exponential, read at the last event."""

    tau_us: float = 10_000

    def __call__(self, array: Array) -> NDArray[np.float32]:
        return representations.last_time_surface(from_structured(array), self.shape, self.tau_us)


@dataclass(frozen=True)
class Denoise(_OnSensor):
    window_us: int = 10_000
    neighbours: int = 8

    def __call__(self, array: Array) -> Array:
        events = from_structured(array)
        return array[filters.denoise_mask(events, self.shape, self.window_us, neighbours=self.neighbours)]


@dataclass(frozen=True)
class Refractory(_OnSensor):
    dead_us: int = 1_000

    def __call__(self, array: Array) -> Array:
        return array[filters.refractory_mask(from_structured(array), self.shape, self.dead_us)]


@dataclass(frozen=True)
class DropHotPixels(_OnSensor):
    """Finds the hot pixels of the array at hand (spikeplan.eventdata.info) and drops them."""

    def __call__(self, array: Array) -> Array:
        events = from_structured(array)
        events.check(self.shape[1], self.shape[0])
        return array[~hot_pixels(events, *self.shape)[events.y, events.x]]

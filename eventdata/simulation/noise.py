"""Shot noise of the simulated sensor: a Poisson process of `rate_hz` per pixel, ON and OFF equally likely.

Drawn as one total count and uniform places and times, which is the same process as a draw per pixel and costs only the
events that happen. Each pixel's times wait in a queue, because a noise event can fall into a dead time (it is lost) or
start one (it resets the pixel like any other event).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(eq=False)
class NoiseQueue:
    """Noise times in order of (pixel, t). `start` names the pixels that will ask; `next_after` moves their cursors.

    The queue belongs to one step and does not outlive it.
    """

    pixel: NDArray[np.int64]
    t_us: NDArray[np.float64]  # from the start of the step; one inf at the end stands for "no more"
    on: NDArray[np.bool_]

    def start(self, asking: NDArray[np.intp]) -> None:
        """Place i asks for pixel asking[i]: its noise lies in [cursor[i], end[i])."""
        self._cursor = np.searchsorted(self.pixel, asking)
        self._end = np.searchsorted(self.pixel, asking, side="right")

    def next_after(
        self, place: NDArray[np.intp], since_us: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Time and polarity of each place's first noise event later than `since_us`; earlier ones are lost."""
        if not len(self.pixel):
            return np.full(len(place), np.inf), np.zeros(len(place), bool)
        while True:
            at = self._at(place)
            late = self.t_us[at] <= since_us
            if not late.any():
                return self.t_us[at], self.on[at]
            self._cursor[place[late]] += 1

    def _at(self, place: NDArray[np.intp]) -> NDArray[np.intp]:
        cursor = self._cursor[place]
        return np.where(cursor < self._end[place], cursor, len(self.pixel))


def shot_noise(pixels: int, rate_hz: float, span_us: int, rng: np.random.Generator) -> NoiseQueue:
    """Draw one step's noise. A rate of zero draws nothing, so that it leaves the generator untouched."""
    count = int(rng.poisson(rate_hz * pixels * span_us * 1e-6)) if rate_hz else 0
    pixel = rng.integers(0, pixels, count)
    t_us = (1.0 - rng.random(count)) * span_us  # in (0, span]
    on = rng.random(count) < 0.5
    order = np.lexsort((t_us, pixel))
    return NoiseQueue(pixel[order], np.append(t_us[order], np.inf), np.append(on[order], False))

"""Shot noise of the simulated sensor: a Poisson process of `rate_hz` per pixel, ON and OFF equally likely.

Drawn as one total count and uniform places and times, which is the same process as a draw per pixel and costs only the
events that happen. Each pixel's times wait in a queue, because a noise event can fall into a dead time (it is lost) or
start one (it resets the pixel like any other event).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class NoiseQueue:
    """Noise times in order of (pixel, t); `cursor[i]` is the next one of pixel i, `end[i]` is past its last.

    `next_after` moves the cursor: the queue belongs to one step and does not outlive it.
    """

    t_us: NDArray[np.float64]  # from the start of the step; one inf at the end stands for "no more"
    on: NDArray[np.bool_]
    cursor: NDArray[np.intp]
    end: NDArray[np.intp]

    def next_after(
        self, pixel: NDArray[np.intp], since_us: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Time and polarity of each pixel's first noise event later than `since_us`; earlier ones are lost."""
        if len(self.t_us) == 1:
            return np.full(len(pixel), np.inf), np.zeros(len(pixel), bool)
        while True:
            at = self._at(pixel)
            late = self.t_us[at] <= since_us
            if not late.any():
                return self.t_us[at], self.on[at]
            self.cursor[pixel[late]] += 1

    def _at(self, pixel: NDArray[np.intp]) -> NDArray[np.intp]:
        cursor = self.cursor[pixel]
        return np.where(cursor < self.end[pixel], cursor, len(self.t_us) - 1)


def shot_noise(pixels: int, rate_hz: float, span_us: int, rng: np.random.Generator) -> NoiseQueue:
    """Draw one step's noise. A rate of zero draws nothing, so that it leaves the generator untouched."""
    count = int(rng.poisson(rate_hz * pixels * span_us * 1e-6)) if rate_hz else 0
    pixel = rng.integers(0, pixels, count)
    t_us = (1.0 - rng.random(count)) * span_us  # in (0, span]
    on = rng.random(count) < 0.5
    order = np.lexsort((t_us, pixel))
    edges = np.searchsorted(pixel[order], np.arange(pixels + 1))
    return NoiseQueue(np.append(t_us[order], np.inf), np.append(on[order], False), edges[:-1].copy(), edges[1:])

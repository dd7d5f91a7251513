"""Pictures of events for a report: ON red, OFF blue on white.

A pixel shows which polarity is in the majority, purple for a tie, and fades to white where it fired less than
`FULL_AT` times: a picture of counts that a single noise event does not dominate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeplan.eventdata.events import Events
from spikeplan.eventdata.representations import histogram

FULL_AT = 3  # events per pixel at which the colour is full
WHITE, RED, BLUE, PURPLE = (np.array(c, np.float64) for c in ((255, 255, 255), (255, 0, 0), (0, 0, 255), (128, 0, 128)))


def event_image(events: Events, height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB."""
    return _painted(events, np.broadcast_to(WHITE, (height, width, 3)))


def overlay(frame: NDArray[np.uint8], events: Events) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: the same over a grey frame of the sensor's size, fading to the frame instead of to white."""
    return _painted(events, np.repeat(frame[..., None].astype(np.float64), 3, axis=2))


def _painted(events: Events, paper: NDArray[np.float64]) -> NDArray[np.uint8]:
    height, width, _ = paper.shape
    off, on = histogram(events, (height, width), 1)[0]
    colour = np.where((on > off)[..., None], RED, np.where((off > on)[..., None], BLUE, PURPLE))
    ink = np.minimum((on + off) / FULL_AT, 1.0)[..., None]
    picture: NDArray[np.uint8] = np.rint(paper + ink * (colour - paper)).astype(np.uint8)
    return picture

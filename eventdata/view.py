"""Pictures of events for a report: ON red, OFF blue on white.

A pixel shows which polarity is in the majority, purple for a tie, and fades to white where it fired less than
`FULL_AT` times: a picture of counts that a single noise event does not dominate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventdata.events import Events
from eventdata.representations import histogram

FULL_AT = 3  # events per pixel at which the colour is full
WHITE, RED, BLUE, PURPLE = (np.array(c, np.float64) for c in ((255, 255, 255), (255, 0, 0), (0, 0, 255), (128, 0, 128)))


def event_image(events: Events, height: int, width: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB."""
    off, on = histogram(events, (height, width), 1)[0]
    colour = np.where((on > off)[..., None], RED, np.where((off > on)[..., None], BLUE, PURPLE))
    ink = np.minimum((on + off) / FULL_AT, 1.0)[..., None]
    return np.rint(WHITE + ink * (colour - WHITE)).astype(np.uint8)


def overlay(frame: NDArray[np.uint8], events: Events) -> NDArray[np.uint8]:
    """(H, W, 3): events in full colour over a grey frame of the sensor's size."""
    height, width = frame.shape
    drawn = event_image(events, height, width)
    fired = (drawn != 255).any(axis=2, keepdims=True)
    return np.where(fired, drawn, frame[..., None]).astype(np.uint8)

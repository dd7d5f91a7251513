"""The arm as a frame and as events: PlanarReach rendered at 1 kHz through the sensor simulator."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeplan.core.files import write_whole
from spikeplan.eventdata import Events
from spikeplan.eventdata.simulation.simulator import DvsParams, start, step
from spikeplan.eventdata.view import event_image
from spikeplan.worldmodel.tasks import make_world

RATE_US = 1000


def simulate_arm(steps: int = 100, *, seed: int = 0) -> tuple[np.ndarray, Events]:
    """One control step of a fast swing: the last frame (H, W) and all events of `steps` ms."""
    world = make_world("planar-reach")
    share = np.linspace(0.0, 1.0, steps + 1)[:, None]
    poses = np.array([[0.3, 0.8]]) + share * np.array([[world.action_limit, world.action_limit]])
    radiance = world.render(poses, np.zeros((len(poses), 0)))[:, 0]
    rng = np.random.default_rng(seed)
    params = DvsParams()
    state = start(radiance[None, 0], 0, params, rng)
    found = []
    for i in range(1, len(radiance)):
        state, batch = step(state, radiance[None, i], i * RATE_US, params, rng)
        found.append(batch.of(0))
    return radiance[-1], Events.concat(found)


def write_events(path: Path) -> None:
    frame, events = simulate_arm()
    height, width = frame.shape
    image = event_image(events, height, width)
    caption = f"simulated DVS, 1 kHz render of one 0.1 s control step: {len(events.t_us)} events"
    write_whole(path, lambda part: np.savez(part, frame=frame, events=image, caption=np.array(caption)))

"""From frames to events to tensors: simulate an event camera, write the recording, read it back, cut windows, batch them.

    python examples/recording_to_windows.py --window-us 10000 --bins 5
    python examples/recording_to_windows.py --recording mine.aedat4

Any format that `spikeplan list formats` names can be read. Windows cover the recording exactly once, empty ones included.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

import spikeplan as sp
from spikeplan.eventdata import Recording, write_recording
from spikeplan.eventdata.filters import denoise
from spikeplan.eventdata.representations import voxel_grid
from spikeplan.eventdata.simulation.record import record
from spikeplan.eventdata.simulation.simulator import DvsParams
from spikeplan.eventdata.tensors import batch


@dataclass(frozen=True)
class Settings:
    recording: Path | None = None  # None: a disc that moves over a grey background is filmed
    out: Path = Path("disc.npz")
    size: int = 32  # pixels a side of the simulated sensor
    frames: int = 200
    rate_hz: float = 1000.0
    shot_noise_hz: float = 1.0
    window_us: int = 10_000
    support_us: int = 5_000  # an event without a neighbour within this time is noise
    bins: int = 5
    seed: int = 0


def film(settings: Settings) -> Recording:
    """Linear radiance in [0, 1]; the disc crosses the sensor once."""
    y, x = np.mgrid[: settings.size, : settings.size]
    across = np.linspace(0.2, 0.8, settings.frames) * settings.size
    frames = (
        np.where((x - centre) ** 2 + (y - settings.size / 2) ** 2 < 16, 0.9, 0.3).astype(np.float32)
        for centre in across
    )
    params = DvsParams(theta_sigma=0.03, shot_noise_hz=settings.shot_noise_hz, refractory_us=500)
    return record(frames, settings.rate_hz, params, np.random.default_rng(settings.seed))


def main(settings: Settings) -> dict[str, Any]:
    path = settings.recording
    if path is None:
        path = settings.out
        lost = write_recording(film(settings), path, replace=True)
        print(f"{path}: written", f"without {', '.join(lost)}" if lost else "with every stream")

    recording = sp.open_recording(path)
    shape = (recording.height, recording.width)
    print(f"{len(recording.events)} events, {recording.width}x{recording.height}, span {recording.span_us} us")

    windows = [denoise(w.events, shape, settings.support_us) for w in recording.windows(settings.window_us)]
    tensor = batch(windows, lambda events: voxel_grid(events, shape, settings.bins))
    kept = sum(map(len, windows)) / max(1, len(recording.events))
    print(f"{len(windows)} windows of {settings.window_us} us; {kept:.0%} of the events kept")
    print(f"tensor (windows, bins, polarity, height, width): {tuple(tensor.shape)}")
    return {"recording": recording, "windows": windows, "tensor": tensor, "kept": kept, "path": path}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))

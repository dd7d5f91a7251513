"""The sensor over frames: streaming, recordings, every rung of the validation ladder, and torch batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events
from spikeplan.eventdata import validate as events_validate
from spikeplan.eventdata.representations import histogram, voxel_grid
from spikeplan.eventdata.simulation.record import record, simulate
from spikeplan.eventdata.simulation.simulator import DvsParams, start, step
from spikeplan.eventdata.tensors import batch
from spikeplan.eventdata.validate import ladder

PARAMS = DvsParams(theta_sigma=0.03, refractory_us=500, leak_hz=5, leak_jitter=0.1, shot_noise_hz=20, cutoff_hz=300)


def movie(frames: int = 10, batch_size: int = 1) -> np.ndarray:
    return np.random.default_rng(0).random((frames, batch_size, 6, 7)).astype(np.float32)


def test_simulate_is_step_after_step_and_takes_one_frame_at_a_time() -> None:
    frames, asked = movie(10, 3), []

    def stamped() -> Iterator[tuple[int, np.ndarray]]:
        for k, frame in enumerate(frames):
            asked.append(k)
            yield 1000 * k, frame

    stream = simulate(stamped(), PARAMS, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    state = start(frames[0], 0, PARAMS, rng)
    for k in range(1, 10):
        state, expected = step(state, frames[k], 1000 * k, PARAMS, rng)
        found = next(stream)
        assert asked[-1] == k  # nothing is read ahead
        assert np.array_equal(found.events.t_us, expected.events.t_us) and np.array_equal(found.env, expected.env)
    assert next(stream, None) is None


def test_record_covers_the_frames_and_is_seeded() -> None:
    one, two, other = (record(movie()[:, 0], 2000, PARAMS, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert (one.width, one.height, one.span_us) == (7, 6, (0, 4501))
    assert 4000 < one.events.t_us[-1] <= 4500  # frames at 2 kHz are 500 us apart
    assert len(one.events) > 100 and np.array_equal(one.events.t_us, two.events.t_us)
    assert not np.array_equal(one.events.t_us[:50], other.events.t_us[:50])
    still = record(np.full((3, 4, 5), 0.5, np.float32), 1000, DvsParams(), np.random.default_rng(0))
    assert len(still.events) == 0 and still.span_us == (0, 2001)
    for frames, rate, words in ((movie()[:1, 0], 1000, "one frame"), ([], 1000, "no frame"), (movie()[:, 0], 0, "in ")):
        with pytest.raises(UserError, match=words):
            record(frames, rate, PARAMS, np.random.default_rng(0))


def test_every_rung_of_the_ladder_holds() -> None:
    rows = ladder()
    assert [row for row in rows if not row["holds"]] == []
    assert len(rows) >= 15


BROKEN = {
    "ramp: pixels with another count": lambda p: DvsParams(**{**vars(p), "theta_on": p.theta_on * 1.1}),
    "static scene without noise": lambda p: DvsParams(**{**vars(p), "shot_noise_hz": 5.0}),
    "shot noise with dead time": lambda p: DvsParams(**{**vars(p), "refractory_us": 0}),
    "leak": lambda p: DvsParams(**{**vars(p), "leak_hz": p.leak_hz * 1.2}),
    "step response at tau, cutoff 100 Hz": lambda p: DvsParams(
        **{**vars(p), "cutoff_hz": p.cutoff_hz and p.cutoff_hz * 1.3}
    ),
}


@pytest.mark.parametrize("check", BROKEN)
def test_a_broken_sensor_breaks_its_rung(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ladder itself is tested: a sensor that is not what it claims must fail the rung that is about it."""
    real = events_validate.simulate
    monkeypatch.setattr(events_validate, "simulate", lambda s, params, rng: real(s, BROKEN[check](params), rng))
    assert check in {row["check"] for row in ladder() if not row["holds"]}


def test_batches_of_windows_are_tensors() -> None:
    recording = record(movie(30)[:, 0], 1000, DvsParams(), np.random.default_rng(0))
    windows = [window.events for window in recording.windows(5000)]
    windows.append(Events.empty())
    tensor = batch(windows, lambda e: voxel_grid(e, (6, 7), 3))
    assert tensor.dtype == torch.float32 and tensor.shape == (len(windows), 3, 1, 6, 7)
    assert torch.equal(tensor[1], torch.from_numpy(voxel_grid(windows[1], (6, 7), 3)))
    assert not tensor[-1].any() and tensor[0].any()
    counts = batch(windows, lambda e: histogram(e, (6, 7), 2))
    assert counts.sum() == len(recording.events)
    with pytest.raises(UserError, match="no entry"):
        batch([], lambda e: voxel_grid(e, (6, 7), 3))
    with pytest.raises(UserError, match="2 shapes"):
        batch(windows, lambda e: histogram(e, (6, 7), 1 + (len(e) > 0)))

"""`spikeplan bench events`: representations and filters against Tonic, readers against their decoders, and the simulated
sensor, on one core.

Both sides take turns, round after round, and the best round of each counts; loops are compiled before the first.
Tonic's Denoise and RefractoryPeriod loop over events in Python, so they get the first events only; the row says how the
time grew when their number tripled (3.0 is linear, and then the rate is that of the whole).
Each side gets its own native form: Tonic a structured array with int8 polarity, ours four columns.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.evaluation.shard import one_thread
from spikeplan.eventdata import Events, open_recording
from spikeplan.eventdata.filters import denoise, refractory
from spikeplan.eventdata.recording import Recording
from spikeplan.eventdata.representations import histogram, voxel_grid
from spikeplan.eventdata.simulation.simulator import DvsParams, start, step
from spikeplan.eventdata.tonic_bridge import to_tonic, tonic
from spikeplan.eventdata.writers import write_recording
from spikeplan.experiments.bench.rows import BenchRow, quotient
from spikeplan.experiments.runner.progress import progress_bar

WIDTH, HEIGHT, COUNT, SPAN_US = 640, 480, 5_000_000, 1_000_000
SHAPE = (HEIGHT, WIDTH)
BINS, WINDOW_US, DEAD_US = 10, 10_000, 1_000
ROUNDS, SLOW_COUNT = 3, 100_000
# every noise term on; rates of a DAVIS346 in ordinary light (Hu 2021, v2e: section 4 and its command line's defaults)
NOISY = DvsParams(theta_sigma=0.03, refractory_us=500, leak_hz=0.1, leak_jitter=0.1, shot_noise_hz=1.0, cutoff_hz=300.0)
FRAMES, FRAME_US = 120, 1000

Call = Callable[[], Any]


def made_events(count: int = COUNT) -> Events:
    """A square that moves over the sensor, with a fifth of uniform noise: clustered, as recordings are."""
    rng = np.random.default_rng(0)
    t_us = np.sort(rng.integers(0, SPAN_US, count))
    noise = rng.random(count) < 0.2
    centre = 100 + 400 * t_us // SPAN_US
    x = np.where(noise, rng.integers(0, WIDTH, count), centre + rng.integers(-80, 80, count))
    y = np.where(noise, rng.integers(0, HEIGHT, count), 240 + rng.integers(-80, 80, count))
    return Events(x=x.astype(np.uint16), y=y.astype(np.uint16), t_us=t_us, p=rng.random(count) < 0.5)


def best_of(calls: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Best seconds of each call; they take turns. The first round warms up and does not count."""
    best = [float("inf")] * len(calls)
    for number in range(rounds + 1):
        for i, call in enumerate(calls):
            began = time.perf_counter()
            call()
            if number:
                best[i] = min(best[i], time.perf_counter() - began)
    return best


def row(name: str, ours: float | None, other: float | None, unit: str, goal: float) -> BenchRow:
    ratio = quotient(ours, other)
    held = ratio if other is not None else ours
    return BenchRow(
        name=name,
        ours=ours,
        other=other,
        ratio=ratio,
        unit=unit,
        goal=f">= {goal:g}",
        holds=None if held is None else held >= goal,
    )


def against_tonic(events: Events, tick: Callable[[], None], slow_count: int, rounds: int) -> list[BenchRow]:
    transforms = tonic().transforms
    size = (WIDTH, HEIGHT, 2)
    array, total = to_tonic(events), len(events)
    few, third = array[:slow_count].copy(), array[: slow_count // 3].copy()
    frame = transforms.ToFrame(sensor_size=size, n_time_bins=BINS)
    grid = transforms.ToVoxelGrid(sensor_size=size, n_time_bins=BINS)
    rows = []
    dense: list[tuple[str, Call, Call, float]] = [
        ("histogram", lambda: histogram(events, SHAPE, BINS), lambda: frame(array), 6.0),
        ("voxel", lambda: voxel_grid(events, SHAPE, BINS), lambda: grid(array), 3.0),
    ]
    for name, ours, other, goal in dense:
        mine, theirs = best_of([ours, other], rounds)
        unit = f"Mev/s, {total:,} events, {WIDTH}x{HEIGHT}, {BINS} bins"
        rows.append(row(f"{name}_vs_tonic", total / mine / 1e6, total / theirs / 1e6, unit, goal))
        tick()
    remove = transforms.Denoise(filter_time=WINDOW_US)
    rest = transforms.RefractoryPeriod(delta=DEAD_US)
    slow: list[tuple[str, Call, Any, float]] = [
        ("denoise", lambda: denoise(events, SHAPE, WINDOW_US, neighbours=4), remove, 50.0),
        ("refractory", lambda: refractory(events, SHAPE, DEAD_US), rest, 50.0),
    ]
    for name, ours, filter_, goal in slow:
        mine, theirs, small = best_of([ours, partial(filter_, few), partial(filter_, third)], rounds)
        unit = (
            f"Mev/s, {total:,} events; tonic on the first {len(few):,}, "
            f"{theirs / small:.2f}x the time of {len(third):,}"
        )
        rows.append(row(f"{name}_vs_tonic", total / mine / 1e6, len(few) / theirs / 1e6, unit, goal))
        tick()
    return rows


def reader_row(events: Events, rounds: int) -> BenchRow:
    """Our Recording of an .es file, checked and on one clock, against the decoder's packets alone."""
    name = "read_vs_decoder"
    try:
        from faery.extension import es
    except ImportError:
        return row(name, None, None, "not available: pip install 'spikeplan[events]'", 0.9)

    def packets(path: Path) -> list[Any]:
        with es.Decoder(path, 0) as decoder:
            return list(decoder)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.es"
        write_recording(Recording(events=events, width=WIDTH, height=HEIGHT), path)
        mine, theirs = best_of([lambda: open_recording(path), lambda: packets(path)], rounds)
    count = len(events)
    return row(
        name, count / mine / 1e6, count / theirs / 1e6, f"Mev/s, Event Stream, {count:,} events, whole file", 0.9
    )


def clip_row(path: Path, rounds: int) -> BenchRow:
    """The same on a short recording of a real camera, where what is paid once a file shows."""
    name = "read_vs_decoder_clip"
    if not path.is_file():
        return row(name, None, None, f"not available: {path.name} is not beside the checkout", 0.9)
    try:
        import aedat
    except ImportError:
        return row(name, None, None, "not available: pip install 'spikeplan[events]'", 0.9)
    count = len(open_recording(path).events)
    mine, theirs = best_of([lambda: open_recording(path), lambda: list(aedat.Decoder(path))], rounds)
    return row(name, count / mine / 1e6, count / theirs / 1e6, f"Mev/s, {path.name}, {count:,} events, whole file", 0.9)


def moving_texture(frames: int = FRAMES, height: int = 260, width: int = 346) -> NDArray[np.float32]:
    """A smooth random texture that drifts by 0.7 pixels a frame; radiance 0.05 to 0.95. (T, 1, H, W)"""
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    spectrum *= np.exp(-((fx**2 + fy**2) * (2 * np.pi * 4) ** 2) / 2)  # blurred by 4 pixels
    moved = [np.fft.irfft2(spectrum * np.exp(-2j * np.pi * fx * 0.7 * k), (height, width)) for k in range(frames)]
    stack = np.stack(moved)
    low, high = stack.min(), stack.max()
    radiance: NDArray[np.float32] = (0.05 + 0.9 * (stack - low) / (high - low)).astype(np.float32)[:, None]
    return radiance


def simulator_row(frames_TBHW: NDArray[np.float32], rounds: int) -> BenchRow:
    steps = len(frames_TBHW) - 1
    emitted = 0

    def run() -> None:
        nonlocal emitted
        rng = np.random.default_rng(0)
        state, emitted = start(frames_TBHW[0], 0, NOISY, rng), 0
        for k in range(steps):
            state, batch = step(state, frames_TBHW[k + 1], (k + 1) * FRAME_US, NOISY, rng)
            emitted += len(batch.env)

    (seconds,) = best_of([run], rounds)
    height, width = frames_TBHW.shape[2:]
    rate = emitted / (steps * FRAME_US * 1e-6) / 1e6
    unit = f"frames/s, {width}x{height} at 1 kHz, all noise terms, {rate:.2f} M simulated events/s"
    return row("simulator_frames_per_s", steps / seconds, None, unit, 150)


def bench_events(console: Console) -> list[BenchRow]:
    one_thread()
    clip = Path(os.environ.get("SPIKEPLAN_AEDAT4", "clip.aedat4"))
    try:
        tonic()
    except UserError as error:
        raise UserError(f"bench events: {error}") from error
    with progress_bar(console) as bar:
        task = bar.add_task("bench events", total=7)
        events = made_events()
        rows = against_tonic(events, lambda: bar.advance(task), SLOW_COUNT, ROUNDS)
        rows.append(reader_row(events, 2 * ROUNDS))
        bar.advance(task)
        rows.append(clip_row(clip, 20 * ROUNDS))
        bar.advance(task)
        rows.append(simulator_row(moving_texture(), ROUNDS))
        bar.advance(task)
    return rows

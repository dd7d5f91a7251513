"""`spikeplan events simulate | represent | denoise`: recordings from frames, tensors from recordings, noise out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape

from spikeplan.core.errors import UserError
from spikeplan.core.files import new_file, write_whole
from spikeplan.core.format import several
from spikeplan.eventdata import Events, open_recording
from spikeplan.eventdata.filters import denoise, drop_pixels, refractory
from spikeplan.eventdata.info import hot_pixels
from spikeplan.eventdata.representations import POLARITY, histogram, last_time_surface, voxel_grid
from spikeplan.eventdata.simulation.record import record
from spikeplan.eventdata.simulation.simulator import DvsParams
from spikeplan.eventdata.writers import write_recording
from spikeplan.experiments.main_study.frames import arm_frames, read_frames
from spikeplan.experiments.runner.output import check_seed, write_report
from spikeplan.experiments.runner.progress import working

MAX_VALUES = 1 << 30  # of a represented recording: 4 GiB


def camera(*, theta: float, **settings: Any) -> DvsParams:
    """The simulated camera of these flags. Raises UserError that names the flag."""
    try:
        return DvsParams(theta_on=theta, theta_off=theta, leak_jitter=0.1, **settings)
    except UserError as error:
        name, _, rest = str(error).removeprefix("DvsParams: ").partition(" ")
        flag = "theta" if name.startswith("theta_o") else name.replace("_", "-")
        raise UserError(f"simulate: --{flag} {rest.split(';')[0]}") from error


def simulate_command(
    out: str,
    *,
    frames: str | None,
    rate_hz: float,
    control_steps: int,
    size: int,
    linear: bool,
    seed: int,
    params: DvsParams,
    json: str | None,
    console: Console,
) -> None:
    check_seed(seed)
    target = new_file(out, (".npz",))
    if frames is None:
        found = arm_frames(control_steps, rate_hz, size, seed)
    else:
        found = read_frames(Path(frames), linear=linear)
    with working("simulating"):
        recording = record(found, rate_hz, params, np.random.default_rng(seed))
    write_recording(recording, target)
    seconds = (recording.span_us[1] - 1) * 1e-6
    if json is not None:
        facts = {
            "out": out,
            "events": len(recording.events),
            "width": recording.width,
            "height": recording.height,
            "duration_us": recording.span_us[1] - 1,
            "params": asdict(params),
            "seed": seed,
        }
        write_report(json, facts)
    console.print(
        f"{escape(out)}: {several(len(recording.events), 'event')} of {recording.width}x{recording.height} pixels "
        f"in {seconds:g} s, {len(recording.events) / seconds / 1e6:.3g} M events/s",
        soft_wrap=True,
    )


def represent_command(
    file: str,
    out: str,
    *,
    kind: str,
    bins: int,
    polarity: str | None,
    window_us: int | None,
    tau_us: float,
    json: str | None,
    console: Console,
) -> None:
    target = new_file(out, (".npz",))
    with working(f"reading {file}"):
        recording = open_recording(file)
    if bins * recording.height * recording.width > MAX_VALUES:
        raise UserError(f"represent: --bins {bins} of {recording.width}x{recording.height} exceed {MAX_VALUES} values")
    make = _representation(kind, bins, polarity, tau_us, (recording.height, recording.width))
    start_us, stop_us = recording.span_us
    period_us = max(stop_us - start_us, 1) if window_us is None else window_us
    if period_us < 1:
        raise UserError(f"represent: --window-us {window_us} must be at least 1")
    count = max(-(-(stop_us - start_us) // period_us), 1)
    shape = make(Events.empty(), (0, 1)).shape
    if count * int(np.prod(shape)) > MAX_VALUES:
        raise UserError(
            f"{file}: {count} windows of shape {shape} exceed {MAX_VALUES} values; give a longer --window-us"
        )
    stack = np.zeros((count, *shape), np.float32)
    with working(f"representing {several(count, 'window')}", total=count) as step:
        for k in range(count):
            first_us = start_us + k * period_us
            window = (first_us, first_us + period_us)
            stack[k] = make(recording.slice_us(*window).events, window)
            step()
    stamps = start_us + np.arange(count) * period_us
    write_whole(target, lambda part: np.savez(part, tensor=stack, t_us=stamps, period_us=period_us))
    if json is not None:
        write_report(
            json, {"out": out, "shape": list(stack.shape), "windows": count, "period_us": period_us, "kind": kind}
        )
    console.print(
        f"{escape(out)}: tensor {stack.shape} float32, {several(count, 'window')} of {period_us:,} us", soft_wrap=True
    )


Make = Callable[[Events, tuple[int, int]], NDArray[Any]]


def _representation(kind: str, bins: int, polarity: str | None, tau_us: float, shape: tuple[int, int]) -> Make:
    """Of one window (start, stop): its bins lie where the window lies, whatever events fell into it."""
    if polarity is not None and polarity not in POLARITY:
        raise UserError(f"represent: polarity {polarity!r} is unknown; use one of {', '.join(POLARITY)}")
    kinds: dict[str, Make] = {
        "histogram": lambda e, span: histogram(e, shape, bins, span_us=span, polarity=polarity or "both"),
        "voxel": lambda e, span: voxel_grid(
            e, shape, bins, span_us=(span[0], span[1] - 1), polarity=polarity or "signed"
        ),
        "surface": lambda e, span: last_time_surface(e, shape, tau_us, at_us=span[1] - 1),
    }
    if kind not in kinds:
        raise UserError(f"represent: kind {kind!r} is unknown; use one of {', '.join(kinds)}")
    if kind == "surface" and polarity is not None:
        raise UserError("represent: a surface keeps both polarities; leave --polarity out")
    return kinds[kind]


def denoise_command(
    file: str,
    *,
    out: str | None,
    window_us: int,
    neighbours: int,
    dead_us: int | None,
    hot: bool,
    json: str | None,
    console: Console,
) -> None:
    target = None if out is None else new_file(out, (".npz",))
    with working(f"reading {file}"):
        recording = open_recording(file)
    shape, events = (recording.height, recording.width), recording.events
    stages: list[tuple[str, Events]] = []
    if hot:
        events = drop_pixels(events, hot_pixels(events, *shape))
        stages.append(("hot_pixels", events))
    if dead_us is not None:
        events = refractory(events, shape, dead_us)
        stages.append(("refractory", events))
    events = denoise(events, shape, window_us, neighbours=neighbours)
    stages.append(("denoise", events))
    total = len(recording.events)
    facts = {
        "file": file,
        "events": total,
        "kept": len(events),
        "kept_percent": _percent(len(events), total),
        "stages": {name: _percent(len(left), total) for name, left in stages},
        "out": out,
    }
    if target is not None:
        # the clock and the span stay: what was silenced is silence, not a shorter recording
        write_recording(replace(recording, events=events), target)
    if json is not None:
        write_report(json, facts)
    for name, left in stages:
        console.print(f"{name}: {len(left):,} of {several(total, 'event')} left ({_shown(len(left), total)})")
    console.print(
        f"kept {_shown(len(events), total)}" + ("" if out is None else f", written to {escape(out)}"), soft_wrap=True
    )


def _percent(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None


def _shown(part: int, whole: int) -> str:
    return f"{100.0 * part / whole:.1f} %" if whole else "- of no events"

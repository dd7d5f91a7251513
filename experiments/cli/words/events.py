"""`spikeplan events ...`: recordings of event cameras."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Literal

import tyro

from spikeplan.experiments.cli.words.common import Command, Group, Json, Seed, flags, text
from spikeplan.experiments.runner.output import check_outputs, result_console

File = Annotated[tyro.conf.Positional[str], text("the recording (spikeplan list formats)", "FILE")]
Copy = Annotated[str, text("the new file: .npz or .h5 keep everything, .es events alone", "FILE")]
Tensor = Annotated[str, text("the new file, .npz", "FILE")]
DAY = "microseconds after the first event"


def info(file: File, json: Json = None) -> None:
    """Say what a recording holds: streams, size, time, rates."""
    check_outputs({"--json": json}, inputs=(file,))
    from spikeplan.experiments.cli.events_files import info_command

    info_command(file, json=json, console=result_console(json))


def stats(
    file: File, period_us: Annotated[int, text("microseconds a bin of the rates", "US")] = 10_000, json: Json = None
) -> None:
    """Count: rates over time, events a pixel, hot pixels, ON and OFF, intervals between events."""
    check_outputs({"--json": json}, inputs=(file,))
    from spikeplan.experiments.cli.events_files import stats_command

    stats_command(file, period_us=period_us, json=json, console=result_console(json))


def convert(
    file: File,
    out: Copy,
    sort: Annotated[bool, text("order streams whose stamps go back")] = False,
    json: Json = None,
) -> None:
    """Write a recording in another format; says what that format cannot keep."""
    check_outputs({"--json": json}, inputs=(file, out))
    from spikeplan.experiments.cli.events_files import convert_command

    convert_command(file, out, sort=sort, json=json, console=result_console(json))


def cut(
    file: File,
    out: Copy,
    start_us: Annotated[int, text(f"first instant, {DAY}", "US")],
    stop_us: Annotated[int, text(f"first instant after it, {DAY}", "US")],
    json: Json = None,
) -> None:
    """Write what was stamped in [start, stop) microseconds; the clock stays the recording's."""
    check_outputs({"--json": json}, inputs=(file, out))
    from spikeplan.experiments.cli.events_files import slice_command

    slice_command(file, out, start_us=start_us, stop_us=stop_us, json=json, console=result_console(json))


def view(
    file: File,
    out: Annotated[str, text("the new file: .png, one picture; .gif, a film with a picture a window", "FILE")],
    start_us: Annotated[int | None, text(f"first instant, {DAY}", "US", "the beginning")] = None,
    stop_us: Annotated[int | None, text(f"first instant after it, {DAY}", "US", "the end")] = None,
    window_us: Annotated[int, text("microseconds a picture of a film", "US")] = 10_000,
    frames: Annotated[bool, text("draw the camera's frames under the events")] = True,
) -> None:
    """Draw the events over the camera's frames: ON red, OFF blue."""
    from spikeplan.experiments.cli.events_view import view_command

    view_command(
        file, out, start_us=start_us, stop_us=stop_us, window_us=window_us, frames=frames, console=result_console(None)
    )


def simulate(
    out: Tensor,
    frames: Annotated[
        str | None, text("a folder of images or a .npy of shape (T, H, W)", "PATH", "the planar arm, random actions")
    ] = None,
    rate_hz: Annotated[float, text("frames a second", "HZ")] = 1000.0,
    control_steps: Annotated[int, text("steps of 0.1 s that the arm is filmed", "N")] = 5,
    size: Annotated[int, text("pixels a side of the arm's picture", "N")] = 48,
    linear: Annotated[bool, text("8 and 16 bit pixels hold linear radiance, not sRGB")] = False,
    seed: Seed = 0,
    theta: Annotated[float, text("contrast threshold, change of ln radiance an event", "LN")] = 0.2,
    theta_sigma: Annotated[float, text("its standard deviation over pixels", "LN")] = 0.03,
    cutoff_hz: Annotated[float, text("bandwidth of a pixel at full light", "HZ")] = 300.0,
    leak_hz: Annotated[float, text("ON events a second and pixel from leakage", "HZ")] = 0.01,
    shot_noise_hz: Annotated[float, text("events a second and pixel from shot noise, in the dark", "HZ")] = 0.001,
    refractory_us: Annotated[int, text("dead time of a pixel after an event, microseconds", "US")] = 500,
    json: Json = None,
) -> None:
    """Record a simulated event camera that sees the planar arm or your frames."""
    check_outputs({"--json": json}, inputs=(out, frames))
    from spikeplan.experiments.cli.events_process import camera, simulate_command

    params = camera(
        theta=theta,
        theta_sigma=theta_sigma,
        cutoff_hz=cutoff_hz,
        leak_hz=leak_hz,
        shot_noise_hz=shot_noise_hz,
        refractory_us=refractory_us,
    )
    simulate_command(
        out,
        frames=frames,
        rate_hz=rate_hz,
        control_steps=control_steps,
        size=size,
        linear=linear,
        seed=seed,
        params=params,
        json=json,
        console=result_console(json),
    )


def represent(
    file: File,
    out: Tensor,
    kind: Annotated[Literal["histogram", "voxel", "surface"], text("the representation")] = "voxel",
    bins: Annotated[int, text("time bins a window", "N")] = 5,
    polarity: Annotated[
        Literal["both", "signed", "sum", "on", "off"] | None,
        text("what becomes of ON and OFF", "{both,signed,sum,on,off}", "both; signed for voxel"),
    ] = None,
    window_us: Annotated[int | None, text("microseconds a window", "US", "one window of everything")] = None,
    tau_us: Annotated[float, text("decay time, microseconds, for --kind surface", "US")] = 10_000.0,
    json: Json = None,
) -> None:
    """Turn a recording into one tensor, a row for each window."""
    check_outputs({"--json": json}, inputs=(file, out))
    from spikeplan.experiments.cli.events_process import represent_command

    represent_command(
        file,
        out,
        kind=kind,
        bins=bins,
        polarity=polarity,
        window_us=window_us,
        tau_us=tau_us,
        json=json,
        console=result_console(json),
    )


def denoise(
    file: File,
    out: Annotated[str | None, text("the new file, .npz", "FILE", "count only")] = None,
    window_us: Annotated[int, text("microseconds within which a neighbour must have fired", "US")] = 10_000,
    neighbours: Annotated[Literal[4, 8], text("pixels around one that count")] = 8,
    refractory_us: Annotated[int | None, text("dead time of a pixel, applied before", "US", "none")] = None,
    hot: Annotated[bool, text("drop the hot pixels before")] = False,
    json: Json = None,
) -> None:
    """Drop events that no neighbour supports; prints what is kept."""
    check_outputs({"--json": json}, inputs=(file, out))
    from spikeplan.experiments.cli.events_process import denoise_command

    denoise_command(
        file,
        out=out,
        window_us=window_us,
        neighbours=neighbours,
        dead_us=refractory_us,
        hot=hot,
        json=json,
        console=result_console(json),
    )


def validate(json: Json = None) -> None:
    """Hold the simulated camera to closed forms; exit code 1 when one does not hold."""
    from spikeplan.experiments.cli.events_validate import validate_command

    sys.exit(validate_command(json, console=result_console(json)))


def bench(json: Json = None) -> None:
    """Time representations, filters and readers beside others' tools (`spikeplan bench events`)."""
    check_outputs({"--json": json})
    from spikeplan.experiments.bench.plan import bench_command

    bench_command("events", json, console=result_console(json))


def represents(given: Mapping[str, str]) -> str | None:
    kind = given.get("kind", "voxel")
    idle = flags(given, *(("bins", "polarity") if kind == "surface" else ("tau_us",)))
    return f"--kind {kind} does not use {idle}; leave it out" if idle else None


def simulates(given: Mapping[str, str]) -> str | None:
    if "frames" in given:
        idle = flags(given, "control_steps", "size")
        return f"--frames are yours, the arm is not filmed; leave out {idle}" if idle else None
    return "--linear says how your pixels are to be read; give --frames too" if "linear" in given else None


def views(given: Mapping[str, str]) -> str | None:
    if given["out"].lower().endswith(".png") and "window_us" in given:
        return "--window-us is for a film; leave it out, or end --out in .gif"
    return None


GROUP = Group(
    "Read, count, convert, draw, clean and simulate recordings of event cameras.",
    {
        "info": Command(info),
        "stats": Command(stats),
        "convert": Command(convert),
        "slice": Command(cut),
        "view": Command(view, unused=views),
        "simulate": Command(simulate, unused=simulates),
        "represent": Command(represent, unused=represents),
        "denoise": Command(denoise),
        "validate": Command(validate),
        "bench": Command(bench),
    },
)

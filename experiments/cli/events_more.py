"""`spikeplan events simulate | represent | denoise | validate | bench`: their words; the work is in events_process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import tyro
from rich.console import Console


def simulate(
    out: tyro.conf.Positional[str],
    frames: str | None = None,
    rate_hz: float = 1000.0,
    control_steps: int = 5,
    size: int = 48,
    linear: bool = False,
    seed: int = 0,
    theta: float = 0.2,
    theta_sigma: float = 0.03,
    cutoff_hz: float = 300.0,
    leak_hz: float = 0.01,
    shot_noise_hz: float = 0.001,
    refractory_us: int = 500,
    json: Annotated[bool, tyro.conf.arg(help="print facts as JSON")] = False,
) -> None:
    """A simulated event camera to OUT.npz. Sees the planar arm under random actions (`--control-steps` of 0.1 s), or `--frames`:
    a folder of images or a .npy of shape (T, H, W), at `--rate-hz`; `--linear` when 8 and 16 bit pixels hold no sRGB."""
    from spikeplan.eventdata.simulation.simulator import DvsParams
    from spikeplan.experiments.cli.events_process import simulate_command

    params = DvsParams(
        theta_on=theta,
        theta_off=theta,
        theta_sigma=theta_sigma,
        cutoff_hz=cutoff_hz,
        leak_hz=leak_hz,
        leak_jitter=0.1,
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
        as_json=json,
        console=Console(),
    )


def represent(
    file: tyro.conf.Positional[str],
    out: tyro.conf.Positional[str],
    kind: str = "voxel",
    bins: int = 5,
    polarity: str | None = None,
    window_us: int | None = None,
    tau_us: float = 10_000.0,
    json: Annotated[bool, tyro.conf.arg(help="print facts as JSON")] = False,
) -> None:
    """A recording as one tensor in OUT.npz, a row for each `--window-us` (default: all of it). `--kind`: histogram, voxel,
    surface; `--polarity`: both, signed, sum, on, off."""
    from spikeplan.experiments.cli.events_process import represent_command

    represent_command(
        file,
        out,
        kind=kind,
        bins=bins,
        polarity=polarity,
        window_us=window_us,
        tau_us=tau_us,
        as_json=json,
        console=Console(),
    )


def denoise(
    file: tyro.conf.Positional[str],
    out: str | None = None,
    window_us: int = 10_000,
    neighbours: int = 8,
    refractory_us: int | None = None,
    hot: bool = False,
    json: Annotated[bool, tyro.conf.arg(help="print facts as JSON")] = False,
) -> None:
    """Drops events that no neighbour supports within `--window-us`; before that a dead time a pixel (`--refractory-us`) and
    the hot pixels (`--hot`) where asked. Prints what is kept; `--out FILE.npz` writes it."""
    from spikeplan.experiments.cli.events_process import denoise_command

    denoise_command(
        file,
        out=out,
        window_us=window_us,
        neighbours=neighbours,
        dead_us=refractory_us,
        hot=hot,
        as_json=json,
        console=Console(),
    )


def validate(json: str | None = None) -> None:
    """The simulated camera against closed forms; exit code 1 when one does not hold."""
    from spikeplan.experiments.cli.events_validate import validate_command

    sys.exit(validate_command(json, console=Console()))


def bench_events(json: str | None = None) -> None:
    """`spikeplan bench events`."""
    from spikeplan.experiments.bench.plan import bench_command

    bench_command("events", json, console=Console())


PROCESS: dict[str, Callable[..., Any]] = {
    "simulate": simulate,
    "represent": represent,
    "denoise": denoise,
    "validate": validate,
    "bench": bench_events,
}

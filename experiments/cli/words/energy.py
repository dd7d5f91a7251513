"""The words of `spikeplan energy ...`. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tyro
from rich.console import Console


def report(
    run_dir: tyro.conf.Positional[str],
    json: str | None = None,
    svg: str | None = None,
    counts_files: str | None = None,
    devices: str | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> None:
    """What a run of demo, results or plan takes in energy: every method on every device, who is ahead at equal success and how
    sure that is, all opponents, break-even by layer. `--devices FILE.toml` adds devices or figures of your own, `--svg FILE`
    draws ratio against density, `--counts_files DIR` writes every method as plain JSON for `energy compare`."""
    from spikeplan.experiments.cli.energy_commands import report_command

    report_command(
        run_dir,
        json=json,
        svg=svg,
        counts_files=counts_files,
        devices=devices,
        draws=draws,
        seed=seed,
        console=Console(),
    )


def devices(json: bool = False, devices: str | None = None) -> None:
    """The catalogue: every constant with its band, node, source and evidence. `--devices FILE.toml`: with yours."""
    from spikeplan.experiments.cli.energy_commands import devices_command

    devices_command(as_json=json, devices=devices, console=Console())


def compare(
    counts_files: tyro.conf.Positional[tuple[str, ...]], json: str | None = None, devices: str | None = None
) -> None:
    """Ledgers of any simulator, as plain JSON, on every device that can run them."""
    from spikeplan.experiments.cli.energy_commands import compare_command

    compare_command(counts_files, json=json, devices=devices, console=Console())


def claims(json: bool = False) -> None:
    """What the articles behind this project state, recomputed: each with its source, the sum and a verdict."""
    from spikeplan.experiments.claims.table import claims_command

    claims_command(as_json=json, console=Console())


def measure(task: str = "two-room", seconds: float = 5.0, json: bool = False) -> None:
    """The dense planner's predictions of one action on this machine's meters (RAPL; NVML on a GPU), idle subtracted.
    `--seconds`: how long the work runs, and each pause before and after it."""
    from spikeplan.experiments.bench.measure_energy import measure_command

    measure_command(task=task, seconds=seconds, as_json=json, console=Console())


ENERGY: dict[str, Callable[..., Any]] = {
    "report": report,
    "devices": devices,
    "compare": compare,
    "claims": claims,
    "measure": measure,
}

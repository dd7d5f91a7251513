"""`spikeplan energy ...`: what operation counts cost on each machine."""

from __future__ import annotations

from typing import Annotated

import tyro

from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.words.common import Command, Devices, Group, Json, Seed, Task, text
from spikeplan.experiments.runner.output import check_outputs, result_console


def report(
    run_dir: Annotated[tyro.conf.Positional[str], text("results folder of demo, results or plan", "DIR")],
    json: Json = None,
    svg: Annotated[str | None, text("draw the energy ratio against density", "FILE", "no drawing")] = None,
    counts_files: Annotated[
        str | None, text("write every method's operation counts as JSON for `energy compare`", "DIR", "not written")
    ] = None,
    devices: Devices = None,
    measured: Annotated[
        str | None, text("figures that `energy measure --json` wrote", "FILE", "none: modelled")
    ] = None,
    draws: Annotated[int, text("draws of the figures' bands, 1 to 100000", "N")] = 2000,
    seed: Seed = 0,
    full: Annotated[bool, text("print every table, not one screen")] = False,
) -> None:
    """Price a run: every method on every machine, who is ahead at equal success and how sure that is."""
    from spikeplan.experiments.cli.energy_commands import report_command

    report_command(
        run_dir,
        json=json,
        svg=svg,
        counts_files=counts_files,
        devices=devices,
        measured=measured,
        draws=draws,
        seed=seed,
        full=full,
        console=result_console(json),
    )


def systems(
    run_dir: Annotated[tyro.conf.Positional[str], text("results folder of demo or results", "DIR")],
    rate: Annotated[str, text("actions a second", "HZ,HZ")] = "1,10,50,200",
    systems: Annotated[str | None, text("which of the shipped ones, and of --own", "NAME,NAME", "all")] = None,
    own: Annotated[str | None, text("a system of your own (docs/energy.md)", "FILE", "none")] = None,
    json: Json = None,
    svg: Annotated[
        str | None, text("draw which constants move the ratio of the best two", "FILE", "no drawing")
    ] = None,
    devices: Devices = None,
    draws: Annotated[int, text("draws of episodes and figures, 1 to 20000", "N")] = 2000,
    seed: Seed = 0,
) -> None:
    """Mean watts of whole systems at control rates, each with its cheapest plan of equal success; how sure that is.

    Waiting is included. How sure: the probability over episodes and constants that a spiking system draws less than a dense one,
    and what would have to be measured to decide it."""
    from spikeplan.experiments.cli.energy_systems import systems_command

    systems_command(
        run_dir,
        rates=rate,
        systems=systems,
        own=own,
        json=json,
        svg=svg,
        devices=devices,
        draws=draws,
        seed=seed,
        console=result_console(json),
    )


def show_devices(json: Json = None, devices: Devices = None) -> None:
    """Print the catalogue: every constant with its band, node, source and evidence."""
    check_outputs({"--json": json}, inputs=(devices,))
    from spikeplan.experiments.cli.energy_devices import devices_command

    devices_command(json=json, devices=devices, console=result_console(json))


def compare(
    files: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        text(
            "operation counts (.json), a file whose network() makes a torch module (.py), artifact, netx or NIR",
            "FILE...",
        ),
    ],
    rate: Annotated[str | None, text("actions a second: prices whole systems too", "HZ,HZ", "machines alone")] = None,
    systems: Annotated[str | None, text("which systems", "NAME,NAME", "all")] = None,
    own: Annotated[str | None, text("a system of your own (docs/energy.md)", "FILE", "none")] = None,
    machines: Annotated[str | None, text("which machines", "NAME,NAME", "all")] = None,
    candidates: Annotated[int, text("candidates that an action evaluates at once", "N")] = 1,
    iterations: Annotated[int, text("iterations of the planner", "N")] = 1,
    horizon: Annotated[int, text("steps that a candidate is rolled out", "N")] = 1,
    batch: Annotated[int | None, text("candidates that share a read of the weights", "N", "all of them")] = None,
    cores: Annotated[int | None, text("neurocores that share the work", "N", "the least that hold the network")] = None,
    chips: Annotated[int | None, text("chips that are on", "N", "the least that hold the network")] = None,
    eta: Annotated[float | None, text("share of its peak that a GPU reaches", "SHARE", "the catalogue's")] = None,
    rates: Annotated[str | None, text("messages per neuron and step of a network file", "RATE", "none")] = None,
    inputs: Annotated[
        str | None, text("inputs that a network file runs on (docs/placement.md)", "FILE", "none")
    ] = None,
    recording: Annotated[str | None, text("what a network file's neurons sent", "FILE", "none")] = None,
    steps: Annotated[int | None, text("steps of an action in it", "N", "all of them")] = None,
    dt: Annotated[float | None, text("seconds a step, for NIR", "S", "the file's reader")] = None,
    graded: Annotated[bool, text("inputs are values, not spikes, for NIR")] = False,
    measured: Annotated[str | None, text("rows of `energy measure --json`", "FILE", "none")] = None,
    json: Json = None,
    devices: Devices = None,
) -> None:
    """Price networks of yours, dense and spiking, on every machine that can run them and on whole systems."""
    from spikeplan.experiments.cli.energy_compare import compare_command

    compare_command(
        files,
        rate=rate,
        systems=systems,
        own=own,
        machines=machines,
        loop={"candidates": candidates, "iterations": iterations, "horizon": horizon, "batch": batch},
        setup={"cores": cores, "chips": chips, "eta": eta},
        sent={"rates": rates, "inputs": inputs, "recording": recording, "dt": dt, "graded": graded},
        steps=steps,
        measured=measured,
        json=json,
        devices=devices,
        console=result_console(json),
    )


def regime_map(
    weights: Annotated[str | None, text("sizes of a network's weights", "KB,KB", "64 KB to 1 GB")] = None,
    candidates: Annotated[str | None, text("candidates that an action evaluates at once", "N,N", "1 to 800")] = None,
    rate: Annotated[str, text("actions a second", "HZ,HZ")] = "1,10,50,200",
    density: Annotated[float, text("density at which watts and winners are told", "SHARE")] = 0.1,
    systems: Annotated[str | None, text("which systems", "NAME,NAME", "all without sensors")] = None,
    own: Annotated[str | None, text("a system of your own (docs/energy.md)", "FILE", "none")] = None,
    run: Annotated[str | None, text("results folder whose methods are put on the map", "DIR", "no points")] = None,
    csv: Annotated[str | None, text("every point as a line", "FILE", "not written")] = None,
    svg: Annotated[str | None, text("draw the map", "FILE", "no drawing")] = None,
    json: Json = None,
    devices: Devices = None,
) -> None:
    """Map where spikes win: break-even density over weights, candidates and control rate."""
    from spikeplan.experiments.cli.energy_map import map_command

    map_command(
        weights=weights,
        candidates=candidates,
        rate=rate,
        density=density,
        systems=systems,
        own=own,
        run=run,
        csv_file=csv,
        svg=svg,
        json=json,
        devices=devices,
        console=result_console(json),
    )


def claims(json: Json = None) -> None:
    """Recompute what the articles behind this project state: each with its source, the sum and a verdict."""
    check_outputs({"--json": json})
    from spikeplan.experiments.claims.table import claims_command

    claims_command(json=json, console=result_console(json))


def reproductions(json: Json = None, devices: Devices = None) -> None:
    """Recompute published measurements from their operation counts: ours beside measured, hits and misses alike."""
    from spikeplan.experiments.cli.energy_reproductions import reproductions_command

    reproductions_command(json=json, devices=devices, console=result_console(json))


def measure(
    task: Task = "two-room",
    seconds: Annotated[float, text("how long each way runs, and each pause before and after it", "S")] = 5.0,
    precision: Annotated[str, text("of the products on a GPU: fp32, tf32 or fp16", "NAME")] = "fp32",
    json: Json = None,
) -> None:
    """Measure one action's dense plan with this machine's meters, idle subtracted: RAPL, NVML, a Jetson's monitor. A GPU plans
    in eager torch, as a CUDA graph and as one kernel. `energy report --measured` reads the file."""
    names.check("tasks", task)
    check_outputs({"--json": json})
    from spikeplan.experiments.bench.measure_energy import measure_command

    measure_command(task=task, seconds=seconds, precision=precision, json=json, console=result_console(json))


GROUP = Group(
    "Price operation counts on chips and machines: counts are simulated, energy is an estimate with its band.",
    {
        "report": Command(report),
        "systems": Command(systems),
        "devices": Command(show_devices),
        "compare": Command(compare),
        "map": Command(regime_map),
        "claims": Command(claims),
        "reproductions": Command(reproductions),
        "measure": Command(measure),
    },
)

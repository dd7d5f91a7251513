"""`spikeplan lava run`: networks of other tools in our Lava processes."""

from __future__ import annotations

from typing import Annotated, Literal

import tyro

from spikeplan.experiments.cli.words.common import Command, Group, Json, Seed, text
from spikeplan.experiments.runner.output import result_console


def run(
    network: Annotated[tyro.conf.Positional[str], text("netx (.net, .h5; sigma-delta) or NIR (.nir; LIF)", "FILE")],
    steps: Annotated[int, text("chip steps, 1 to 100000", "N")] = 100,
    inputs: Annotated[str | None, text("a .npy of shape (steps, ...)", "FILE", "drawn at random")] = None,
    residue: Annotated[
        Literal["owed", "lost"], text("bits that a message cannot carry: sent later, or lost as in netx's own rule")
    ] = "owed",
    precision: Annotated[
        Literal["fixed_pt", "floating_pt"], text("arithmetic; floating point is for NIR")
    ] = "fixed_pt",
    dt: Annotated[float | None, text("seconds a step, for NIR", "S", "the file's reader")] = None,
    graded: Annotated[bool, text("inputs are values, not spikes, for NIR")] = False,
    seed: Seed = 0,
    json: Json = None,
    svg: Annotated[str | None, text("draw messages and states", "FILE", "no drawing")] = None,
) -> None:
    """Run a network file in our Lava processes; prints messages a step, --json and --svg add states."""
    from spikeplan.experiments.cli.lava_run import network_command

    network_command(
        network,
        steps=steps,
        inputs=inputs,
        residue=residue,
        precision=precision,
        dt=dt,
        graded=graded,
        seed=seed,
        json=json,
        svg=svg,
        console=result_console(json),
    )


GROUP = Group("Run networks in Lava, which simulates Loihi 2 bit by bit.", {"run": Command(run)})

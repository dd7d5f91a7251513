"""`spikeplan lava run`: networks of other tools in our Lava processes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import tyro

from spikeplan.experiments.cli.words.common import Command, Group, Json, Seed, flags, text
from spikeplan.experiments.runner.output import result_console


def run(
    network: Annotated[
        tyro.conf.Positional[str], text("netx (.net, .h5), NIR (.nir), or an artifact of `convert`", "FILE")
    ],
    steps: Annotated[int, text("chip steps, 1 to 100000", "N")] = 100,
    inputs: Annotated[str | None, text("a .npy of shape (steps, ...)", "FILE", "drawn at random")] = None,
    residue: Annotated[
        Literal["owed", "lost"],
        text("bits that a message cannot carry, for netx: sent later, or lost as in its own rule"),
    ] = "owed",
    precision: Annotated[
        Literal["fixed_pt", "floating_pt"], text("arithmetic; floating point is for NIR")
    ] = "fixed_pt",
    dt: Annotated[float | None, text("seconds a step, for NIR", "S", "the file's reader")] = None,
    graded: Annotated[bool, text("inputs are values, not spikes, for NIR")] = False,
    decay: Annotated[
        Literal["euler", "exact"], text("how a step decays, for NIR: euler as snnTorch, exact as sinabs")
    ] = "euler",
    reset: Annotated[
        Literal["zero", "subtract"], text("what a spike does to the potential, for NIR, which cannot say it")
    ] = "zero",
    seed: Seed = 0,
    json: Json = None,
    svg: Annotated[str | None, text("draw messages and states", "FILE", "no drawing")] = None,
    counts: Annotated[
        str | None, text("write operation counts of the run as JSON for `energy compare`", "FILE", "not written")
    ] = None,
    out: Annotated[
        str | None, text("write inputs, outputs and messages of every step as .npz", "FILE", "not written")
    ] = None,
) -> None:
    """Run a network file in our Lava processes; prints messages a step, --json and --svg add states."""
    from spikeplan.experiments.cli.lava_run import Reading, network_command

    network_command(
        network,
        Reading(residue=residue, precision=precision, dt=dt, graded=graded, decay=decay, reset=reset),
        steps=steps,
        inputs=inputs,
        seed=seed,
        json=json,
        svg=svg,
        counts=counts,
        out=out,
        console=result_console(json),
    )


def unused(given: Mapping[str, str]) -> str | None:
    path = given["network"]
    if Path(path).suffix.lower() == ".nir":
        return f"{path}: NIR networks have no residue; leave out --residue" if "residue" in given else None
    nir = flags(given, "precision", "dt", "graded", "decay", "reset")
    if nir and Path(path).suffix.lower() != ".nir":
        return f"{path}: only NIR networks are quantised here; leave out {nir}, which is for NIR files"
    return "--inputs are given, nothing is drawn; leave out --seed" if {"inputs", "seed"} <= given.keys() else None


GROUP = Group(
    "Run networks in Lava, which simulates Loihi 2 bit by bit.",
    {"run": Command(run, unused=unused)},
)

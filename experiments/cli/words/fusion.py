"""`spikeplan fusion`: what an event camera adds to frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from rich.console import Console

from spikeplan.experiments.cli.words.common import Command, Overwrite, flags, text


def fusion(
    out: Annotated[str, text("folder of the results, or of the networks with --train", "DIR")] = "results/fusion",
    episodes: Annotated[int, text("paired episodes a condition, 1 to 10000", "N")] = 100,
    seeds: Annotated[int, text("sensor seeds, 1 to 20", "N")] = 1,
    conditions: Annotated[
        str | None, text('some conditions, as "nominal,speed x8" (spikeplan list conditions)', "NAMES", "all")
    ] = None,
    checkpoint: Annotated[str | None, text("folder that --train made", "DIR", "the shipped networks")] = None,
    train: Annotated[bool, text("train the networks into --out instead")] = False,
    lava: Annotated[bool, text("also run the event encoder in Lava and compare every value")] = True,
    overwrite: Overwrite = False,
) -> None:
    """Follow a moving leader with frames, events and proprioception: what an event camera adds.

    Paired episodes of every method and condition. An interrupted run resumes.
    """
    from spikeplan.experiments.fusion_study.run import fuse_command
    from spikeplan.experiments.fusion_study.train import train_command
    from spikeplan.fusion.train import FuseTraining

    if train:
        train_command(out, FuseTraining(), console=Console())
        return
    fuse_command(
        out,
        episodes=episodes,
        seeds=seeds,
        conditions=conditions,
        checkpoint=checkpoint,
        lava=lava,
        overwrite=overwrite,
        console=Console(),
    )


def unused(given: Mapping[str, str]) -> str | None:
    study = flags(given, "episodes", "seeds", "conditions", "checkpoint", "lava", "overwrite")
    if given.get("train") == "yes" and study:
        return f"--train makes the networks and follows nobody; leave out {study}"
    return None


COMMANDS = {
    "fusion": Command(fusion, kept="finished parts are kept; the same command goes on from there", unused=unused)
}
